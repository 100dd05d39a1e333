"""Chooses the numbers of a face network's card that make its confidence believable: temperature, prior, doubt.

All are chosen on every other picture of the validation part, clean and disturbed; the pictures between report what they
are worth, also under conditions that no choice has seen.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multimodal.augmentation.face import FaceAugmentation, augment, weaken
from multimodal.data.corpora.ferplus import (
    KEPT_SHARE,
    SIZE,
    FaceCorpus,
    distributions,
    kept_apart,
    majority_labels,
    read_ferplus,
    vote_shares,
)
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import predict
from multimodal.encoders.face_calibration import (
    MEASURES,
    CropDoubt,
    FaceCalibration,
    crop_measures,
    doubt_features,
)
from multimodal.evaluate.confidence import uncertainty_threshold
from multimodal.evaluate.face import as_answered, condition_figures, degraded_faces, vote_confidence
from multimodal.evaluate.metrics import Floats, classification_figures, fit_temperature, kl_divergence
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import load_weights, save_weights

_OFF = weaken(FaceAugmentation(), 0.0)

DISTURBANCES: Mapping[str, FaceAugmentation] = {
    "features": replace(_OFF, feature_share=1.0),
    "shadow": replace(_OFF, shadow_share=1.0),
    "dark": replace(_OFF, dark_share=1.0),
    "motion": replace(_OFF, motion_share=1.0),
    "jpeg": replace(_OFF, jpeg_share=1.0),
    "few pixels": replace(_OFF, low_resolution_share=1.0),
    "noise": replace(_OFF, noise=60.0),
    "place": replace(_OFF, rotation_degrees=20.0, zoom=0.2, shift=0.2),
    "light": replace(_OFF, gamma=1.0, shade=120.0),
}
"""Kinds of disturbance that calibration sees, of random strength; each counts a third of the clean pictures."""

CLEAN_WEIGHT = 3.0
POWERS = tuple(round(0.05 * step, 2) for step in range(11))
"""Parts of the prior that are tried."""

MOST_LOST = 0.003
"""Accuracy that may be given for mean recall; clean and disturbed pictures count half each."""

SMALLEST, LARGEST = 0.7, 4.0
"""Bounds of the doubt's factor."""

PENALTY = 1e-4
"""Of the squares of the doubt's weights, in units of the deviation of what they weigh."""

LEAST_PICTURES = 200
"""With fewer, the temperature alone is fitted."""

SEED = 5

PROTOCOL = (
    "valid: FER+ validation part without the pictures kept apart, pictures with a majority (published rule), majority "
    "label as truth, one view per picture, weights in half precision, as evaluate face gives them. Stages, and epochs "
    "where the best was kept, were selected on this part, and half of it was calibrated on, so its figures are "
    "slightly optimistic. other_half: the same on the pictures that calibration did not use. confidence: over the "
    "seven labels, against the shares of all votes, on these pictures; temperature, prior, doubt (cross-entropy "
    "against the votes, clean and disturbed pictures) and threshold were chosen on the pictures between. The "
    "calibration fits votes, so ece against majorities is larger: one voter agrees less often than the majority. "
    "degraded: the same pictures, changed twice as strongly as training changes them. conditions: the same pictures "
    "under fixed bad conditions; accuracy and recall against majorities over eight labels; agreement, confidence and "
    "overconfidence (confidence less agreement) against votes over seven."
)

FACTS = {
    "data": {
        "name": "FER+ (Barsoum et al. 2016, arXiv 1608.01041): FER2013 pictures with ten people's votes each",
        "parts": "training part to train, validation part to choose epoch and calibration; test part unused",
        "license": "votes MIT; FER2013 pictures were collected from the web and are for research use",
    },
    "license": (
        "MIT for our part; the training pictures are for research use, and whether that restricts weights trained on "
        "them is unsettled: ask a lawyer before commercial use"
    ),
    "limits": [
        "Perceived expression as labeled by ten crowd workers, not what a person felt.",
        "Posed and press pictures, gray, 48x48 pixels; interviews in dim light or from the side look different.",
        "Disgust, contempt and fear are rare in the corpus and weak here: see per_class.",
        "The corpus does not state age, sex or skin tone, so error rates by group were not measured.",
    ],
}


@dataclass(frozen=True)
class Answers:
    """What a network says of some pictures, before calibration.

    Attributes:
        probabilities: ``(n, labels)`` of the network.
        embeddings: ``(n, features)``.
        measures: ``(n, len(MEASURES))`` of the pictures.
    """

    probabilities: Tensor
    embeddings: Tensor
    measures: Tensor

    def part(self, start: int) -> Answers:
        """Every other picture.

        Args:
            start: 0 for the pictures that choose, 1 for those that report.

        Returns:
            Half of the answers.
        """
        return Answers(self.probabilities[start::2], self.embeddings[start::2], self.measures[start::2])


def face_answers(network: nn.Module, images: Tensor, flip: bool) -> Answers:
    """Runs a network on any number of pictures, in batches.

    Args:
        network: In evaluation mode, on the CPU.
        images: ``(n, height, width)`` gray levels 0 … 255.
        flip: Whether to average with the mirrored picture.

    Returns:
        The answers.
    """
    rows = [predict(network, part, flip=flip) for part in images.split(256)]
    measures = torch.cat([crop_measures(part) for part in images.split(256)])
    probabilities, embeddings = (torch.cat(column).clone() for column in zip(*rows, strict=True))
    return Answers(probabilities, embeddings, measures)


def calibrated(calibration: FaceCalibration, answers: Answers) -> NDArray[np.float32]:
    """Probabilities as inference would give them.

    Args:
        calibration: The numbers.
        answers: Answers of the network.

    Returns:
        ``(n, labels)`` float32.
    """
    rows = replace(calibration, doubt=None).apply(answers.probabilities)
    if calibration.doubt is not None:
        factor = calibration.doubt.factor(answers.measures, rows, answers.embeddings)
        rows = torch.softmax(rows.clamp(min=1e-12).log() / factor, dim=1)
    result: NDArray[np.float32] = rows.numpy()
    return result


def calibrate(network: nn.Module, spec: ModelSpec, validation: FaceCorpus) -> tuple[ModelSpec, dict[str, object]]:
    """Chooses temperature, prior, doubt and threshold on every other picture, by the votes, and evaluates.

    The target is the distribution of all votes, so that a confidence says how many of ten people would name the
    emotion. Fitted to majorities, the confidence would also ignore the pictures on which people disagree.

    Args:
        network: The trained network, on the CPU.
        spec: How to run it; the numbers of its calibration are replaced.
        validation: Validation part of FER+, without the pictures that are kept apart.

    Returns:
        The spec, and the figures for the card: ``valid`` against majorities of all pictures; of the pictures that
        calibration did not use ``other_half`` against majorities, ``confidence`` against votes, and ``conditions``.
    """
    usable = vote_shares(validation.votes).sum(axis=1) > 0
    pictures = validation.subset(usable)
    shares, labels = vote_shares(pictures.votes), majority_labels(pictures.votes)
    clean = face_answers(network, torch.from_numpy(pictures.images), spec.flip)
    degraded = face_answers(network, degraded_faces(pictures), spec.flip)
    disturbed: list[Answers] = []
    if len(pictures) >= 2 * LEAST_PICTURES:
        half = torch.from_numpy(pictures.images[::2])
        disturbed = [face_answers(network, _disturb(half, kind), spec.flip) for kind in DISTURBANCES.values()]
    found = choose(clean.part(0), disturbed, shares[::2], labels[::2])
    samples = [as_answered(calibrated(found, each.part(0)), shares[::2]) for each in (clean, degraded)]
    spec = replace(
        spec,
        temperature=found.temperature,
        label_prior={"shares": list(found.prior), "power": found.prior_power} if found.prior_power else {},
        crop_doubt=_entry(found.doubt),
        uncertain_below=round(uncertainty_threshold(*samples), 3),
    )
    confidence = {
        name: vote_confidence(calibrated(found, each.part(1)), shares[1::2], spec.uncertain_below)
        for name, each in (("votes", clean), ("degraded", degraded))
    }
    rows, labeled = calibrated(found, clean), labels >= 0
    figures = classification_figures(rows[labeled], labels[labeled], FACE_LABELS)
    figures["divergence"] = kl_divergence(distributions(pictures.votes)[labeled], rows[labeled])
    result: dict[str, object] = {"valid": figures, "confidence": confidence}
    if disturbed:
        other = np.arange(len(labels)) % 2 == 1
        result["other_half"] = classification_figures(rows[labeled & other], labels[labeled & other], FACE_LABELS)
        result["conditions"] = condition_figures(
            network, pictures.subset(other), found, flip=spec.flip, uncertain_below=spec.uncertain_below
        )
    return spec, result


def _disturb(images: Tensor, kind: FaceAugmentation) -> Tensor:
    generator = torch.Generator().manual_seed(SEED)
    return torch.cat([augment(part, SIZE, kind, generator) for part in images.split(256)]).round()


def _entry(doubt: CropDoubt | None) -> dict[str, object]:
    if doubt is None:
        return {}
    return {key: list(value) if isinstance(value, Sequence) else value for key, value in asdict(doubt).items()}


def choose(clean: Answers, disturbed: Sequence[Answers], shares: Floats, labels: NDArray[np.int64]) -> FaceCalibration:
    """Chooses a calibration on pictures with votes.

    Args:
        clean: Answers for the pictures.
        disturbed: Answers for the same pictures, disturbed in one way each; none for the temperature alone.
        shares: ``(n, labels)`` shares of the votes.
        labels: ``(n,)`` majority labels; -1 for none.

    Returns:
        The part of the prior with the highest mean recall at no more than ``MOST_LOST`` accuracy, its temperature, and
        the doubt.
    """
    alone = FaceCalibration(_temperature(clean, shares, (), 0.0))
    if not disturbed:
        return alone
    prior = tuple(np.maximum(shares.mean(axis=0), 1e-4).round(4).tolist())
    tried = [alone, *(FaceCalibration(_temperature(clean, shares, prior, p), prior, p) for p in POWERS if p)]
    scored = [_accuracy_and_recall(each, clean, disturbed, labels) for each in tried]
    allowed = [place for place, (accuracy, _) in enumerate(scored) if accuracy >= scored[0][0] - MOST_LOST]
    best = tried[max(allowed, key=lambda place: scored[place][1])]
    return replace(best, doubt=fit_doubt(best, clean, disturbed, shares))


def _temperature(answers: Answers, shares: Floats, prior: Sequence[float], power: float) -> float:
    """With the prior taken out after the temperature, as ``FaceCalibration`` does it."""
    from multimodal.evaluate.metrics import cross_entropy, minimize_temperature

    if not power:
        return round(fit_temperature(answers.probabilities.double().numpy(), shares), 4)

    def loss(temperature: float) -> float:
        rows = FaceCalibration(temperature, prior, power).apply(answers.probabilities.double())
        return cross_entropy(rows.numpy(), shares)

    return round(minimize_temperature(loss), 4)


def _accuracy_and_recall(
    calibration: FaceCalibration, clean: Answers, disturbed: Sequence[Answers], labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Both against majorities; clean pictures count as much as all kinds of disturbance together."""
    labeled = labels >= 0
    truth = labels[labeled]
    rows = []
    for answers in (clean, *disturbed):
        right = calibrated(calibration, answers)[labeled].argmax(axis=1) == truth
        recalls = [right[truth == label].mean() for label in np.unique(truth)]
        rows.append((right.mean(), np.mean(recalls)))
    accuracy, recall = (np.array(rows[0]) + np.mean(rows[1:], axis=0)) / 2
    return float(accuracy), float(recall)


def fit_doubt(calibration: FaceCalibration, clean: Answers, disturbed: Sequence[Answers], shares: Floats) -> CropDoubt:
    """Fits how the temperature rises for crops that are hard to see, by the likelihood of the votes.

    Args:
        calibration: Temperature and prior.
        clean: Answers for the pictures.
        disturbed: Answers for the same pictures, disturbed in one way each.
        shares: ``(n, labels)`` shares of the votes.

    Returns:
        The doubt, its weights rounded as on a card.
    """
    parts = [clean, *disturbed]
    rows = [replace(calibration, doubt=None).apply(each.probabilities) for each in parts]
    features = torch.cat(
        [doubt_features(each.measures, row, each.embeddings) for each, row in zip(parts, rows, strict=True)]
    )
    logs = torch.cat(rows).clamp(min=1e-12).log()
    truth = torch.from_numpy(shares).float().repeat(len(parts), 1)
    counts = torch.ones(len(parts))
    counts[0] = CLEAN_WEIGHT
    importance = (counts / counts.sum()).repeat_interleave(len(shares)) / len(shares)
    middle, spread = features.mean(0), features.std(0) + 1e-4
    scaled = (features - middle) / spread
    weights, bias = torch.zeros(features.shape[1], requires_grad=True), torch.tensor(-1.5, requires_grad=True)
    search = torch.optim.LBFGS([weights, bias], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        factor = SMALLEST * (LARGEST / SMALLEST) ** torch.sigmoid(scaled @ weights + bias)
        likelihood = (truth * torch.log_softmax(logs / factor[:, None], dim=1)).sum(1)
        total = PENALTY * weights.square().sum() - (importance * likelihood).sum()
        total.backward()
        return total

    search.step(loss)
    plain = (weights / spread).detach()
    values = [round(value, 6) for value in plain.tolist()]
    constant = float((bias - middle @ plain).detach())
    last = len(MEASURES) + 3
    return CropDoubt(
        SMALLEST, LARGEST, round(constant, 6), values[: len(MEASURES)], values[len(MEASURES) : last], values[last:]
    )


def recalibrate(source: str, data: Path, folder: Path, name: str, kept_share: float = KEPT_SHARE) -> Path:
    """Writes the tensors of trained weights again, with a calibration of today and a card under another name.

    Args:
        source: Name of shipped weights, a file or a folder.
        data: Folder of FER+; only its validation part is read, without the pictures kept apart.
        folder: Output folder.
        name: Name of the new weights, ``<architecture>.<corpus>-v<N>``.
        kept_share: Share of the validation part that is used for no choice.

    Returns:
        Path of the weights.

    Raises:
        WeightsError: The weights are unknown or damaged.
        CorpusError: The corpus differs from the published FER+.
        ConfigError: Other weights of that name exist.
        OutputError: The folder cannot be written.
    """
    weights = load_weights(source, "face", "cpu")
    validation = read_ferplus(data, "valid")
    apart = kept_apart(validation, kept_share)
    spec, figures = calibrate(weights.network, weights.spec, validation.subset(~apart))
    training = {
        **weights.card["training"],
        "calibrated": datetime.date.today().isoformat(),
        "calibration": f"the tensors of {weights.name}; temperature, prior, doubt and threshold were chosen again",
        "kept_apart": f"{apart.sum()} of {len(apart)} validation pictures, by hash, used for no choice of calibration",
    }
    facts = {**FACTS, "training": training, "metrics": {"protocol": PROTOCOL, **figures}}
    return save_weights(folder, name, weights.network, spec, facts)
