"""Evaluates a face model on a corpus of labeled faces: labels against majorities, confidence against votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multimodal.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from multimodal.data.corpora.ferplus import FaceCorpus
    from multimodal.encoders.face_calibration import FaceCalibration
    from multimodal.evaluate.metrics import Floats
    from multimodal.models.weights import Weights

DEGRADATION_SEED = 0


def evaluate_face(
    weights: Weights, corpus: FaceCorpus, device: str = "cpu", conditions: bool = False
) -> dict[str, Any]:
    """Evaluates a face model against the majority of the votes, like Barsoum et al. 2016, and against all votes.

    Args:
        weights: The model.
        corpus: Pictures and votes; labels are evaluated on the pictures with a majority, confidence on all pictures
            for which half of the votes name an emotion.
        device: Device of the network.
        conditions: Whether to evaluate bad conditions too, which takes twenty times as long.

    Returns:
        The figures of ``classification_figures``, ``recall_intervals``, ``divergence`` (``kl_divergence`` from the
        shares of the votes, in nats), ``parameters`` and ``confidence``: ``vote_confidence`` of the pictures
        (``votes``) and of degraded copies of them (``degraded``); on demand ``conditions`` of ``condition_figures``.

    Raises:
        WeightsError: The model has other labels than the corpus.
    """
    from multimodal.data.corpora.ferplus import distributions, majority_labels, vote_shares
    from multimodal.data.emotions import FACE_LABELS
    from multimodal.evaluate.metrics import classification_figures, kl_divergence
    from multimodal.models.faces import face_calibration

    if weights.spec.labels != FACE_LABELS:
        fact = f"predicts {', '.join(weights.spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a model with FER+'s labels: {', '.join(FACE_LABELS)}")
    probabilities, labels = face_probabilities(weights, corpus, device), majority_labels(corpus.votes)
    labeled = labels >= 0
    figures = classification_figures(probabilities[labeled], labels[labeled], weights.spec.labels)
    figures["recall_intervals"] = recall_intervals(figures)
    figures["divergence"] = kl_divergence(distributions(corpus.votes)[labeled], probabilities[labeled])
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    shares, spec = vote_shares(corpus.votes), weights.spec
    degraded = predict_faces(weights.network, degraded_faces(corpus), face_calibration(spec), spec.flip, device)
    figures["confidence"] = {
        "votes": vote_confidence(probabilities, shares, spec.uncertain_below),
        "degraded": vote_confidence(degraded, shares, spec.uncertain_below),
    }
    if conditions:
        network, calibration, below = weights.network, face_calibration(spec), spec.uncertain_below
        figures["conditions"] = condition_figures(
            network, corpus, calibration, flip=spec.flip, uncertain_below=below, device=device
        )
    return figures


def vote_confidence(probabilities: Floats, shares: Floats, uncertain_below: float | None) -> dict[str, Any]:
    """The figures of ``confidence_figures`` against votes, over the seven labels that the program answers with.

    Args:
        probabilities: ``(n, 8)`` calibrated, over ``FACE_LABELS``.
        shares: ``(n, 8)`` of ``vote_shares``.
        uncertain_below: Confidence below which a prediction is called uncertain; None for no such rule.

    Returns:
        The figures, without the pictures that got votes for no one of the seven.
    """
    from multimodal.evaluate.confidence import confidence_figures

    return confidence_figures(*as_answered(probabilities, shares), uncertain_below)


def as_answered(probabilities: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Probabilities and votes over the seven labels, for the pictures with votes for one of them.

    Args:
        probabilities: ``(n, 8)`` over ``FACE_LABELS``.
        shares: ``(n, 8)`` of ``vote_shares``.

    Returns:
        Both ``(m, 7)``, rows summing to 1.
    """
    from multimodal.data.emotions import FACE_LABELS, FACE_TO_FUSED, sum_to_fused

    groups = tuple(FACE_TO_FUSED[label] for label in FACE_LABELS)
    usable = shares[:, [group is not None for group in groups]].sum(axis=1) > 0
    return sum_to_fused(probabilities[usable], groups), sum_to_fused(shares[usable], groups)


def condition_figures(
    network: nn.Module,
    corpus: FaceCorpus,
    calibration: FaceCalibration,
    *,
    flip: bool = False,
    uncertain_below: float | None = None,
    device: str = "cpu",
) -> dict[str, dict[str, float]]:
    """Accuracy and confidence on the same pictures under each of the bad conditions.

    Args:
        network: A face network in evaluation mode, on ``device``.
        corpus: Pictures and votes.
        calibration: From the card.
        flip: Whether to average with the mirrored picture.
        uncertain_below: Confidence below which an answer is called uncertain.
        device: Device to compute on.

    Returns:
        Per condition ``accuracy`` and ``recall`` (mean over the labels), both against majorities over eight labels; and
        against votes, over the seven labels that the program answers with: ``agreement`` (mean share of people who gave
        the top label), ``confidence``, ``overconfidence`` (confidence less agreement), ``ece`` and ``uncertain`` (share
        of the answers).
    """
    import torch

    from multimodal.augmentation.face_conditions import CONDITIONS, UNSEEN, under_condition
    from multimodal.data.corpora.ferplus import majority_labels, vote_shares

    labels, shares = majority_labels(corpus.votes), vote_shares(corpus.votes)
    labeled, images = labels >= 0, torch.from_numpy(corpus.images)
    figures = {}
    for name in (*CONDITIONS, *UNSEEN):
        rows = predict_faces(network, under_condition(images, name), calibration, flip, device)
        right = rows[labeled].argmax(axis=1) == labels[labeled]
        against = vote_confidence(rows, shares, uncertain_below)
        figures[name] = {
            "accuracy": float(right.mean()),
            "recall": _mean_recall(right, labels[labeled]),
            "agreement": against["accuracy"],
            "confidence": against["confidence"],
            "overconfidence": against["confidence"] - against["accuracy"],
            "ece": against["ece"],
            "uncertain": against.get("uncertain_share", 0.0),
        }
    return figures


def _mean_recall(right: Any, labels: Any) -> float:
    """Mean over the labels of the share of right answers; both ``(n,)``."""
    import numpy as np

    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def recall_intervals(figures: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """95 % intervals of the recall of each label, by the number of its pictures (Wilson 1927).

    Args:
        figures: Of ``classification_figures``.

    Returns:
        Label to its lowest and highest recall, 0 … 1; without labels that do not occur.

    Example:
        >>> confusion, labels = [[8, 2], [0, 0]], ["calm", "angry"]
        >>> recall_intervals({"confusion": confusion, "labels": labels})
        {'calm': (0.49, 0.943)}
    """
    from scipy.stats import binomtest

    intervals = {}
    for index, (label, row) in enumerate(zip(figures["labels"], figures["confusion"], strict=True)):
        if sum(row):
            found = binomtest(row[index], sum(row)).proportion_ci(method="wilson")
            intervals[label] = (round(float(found.low), 3), round(float(found.high), 3))
    return intervals


def degraded_faces(corpus: FaceCorpus) -> Tensor:
    """Copies of all pictures, changed twice as strongly as training changes them, the same at every call.

    They stand for recordings that differ from the corpus (light, blur, noise, turned and covered faces): no second
    corpus of labeled faces is free.

    Args:
        corpus: The pictures.

    Returns:
        ``(n, 48, 48)`` float32 gray levels 0 … 255.
    """
    import torch

    from multimodal.augmentation.face import FaceAugmentation, augment
    from multimodal.data.corpora.ferplus import SIZE

    usual = FaceAugmentation()
    doubled = FaceAugmentation(**{name: 2 * strength for name, strength in vars(usual).items()})
    generator = torch.Generator().manual_seed(DEGRADATION_SEED)
    parts = torch.from_numpy(corpus.images).split(256)
    return torch.cat([augment(part, SIZE, doubled, generator) for part in parts])


def face_probabilities(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> Any:
    """Calibrated probabilities ``(n, labels)`` float32 of every picture, with the code of inference.

    Args:
        weights: A face model.
        corpus: The pictures.
        device: Device to compute on.

    Returns:
        ``(n, labels)`` float32, each row summing to 1.
    """
    import torch

    from multimodal.models.faces import face_calibration

    images, spec = torch.from_numpy(corpus.images), weights.spec
    return predict_faces(weights.network, images, face_calibration(spec), spec.flip, device)


def predict_faces(
    network: nn.Module,
    images: Tensor,
    calibration: FaceCalibration | None = None,
    flip: bool = False,
    device: str = "cpu",
) -> Floats:
    """Probabilities of any number of pictures, in batches.

    Args:
        network: A face network in evaluation mode, on ``device``.
        images: ``(n, height, width)`` gray levels 0 … 255.
        calibration: From the card; None for the network's own probabilities.
        flip: Whether to average with the mirrored picture.
        device: Device to compute on.

    Returns:
        ``(n, labels)`` float32, each row summing to 1.
    """
    import torch

    from multimodal.encoders.face_calibration import FaceCalibration, classify

    used = calibration or FaceCalibration()
    parts = [classify(network, part.to(device), used, flip)[0] for part in images.split(256)]
    rows: Floats = torch.cat(parts).cpu().numpy()
    return rows
