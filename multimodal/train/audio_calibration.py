"""Calibrates the voice for the corpora that it was trained on and for others at once.

Two kinds of predictions are there: of unknown speakers of known corpora (speaker folds) and of corpora that a training
left out. One temperature cannot serve both: on known corpora the network is more often right than it says before
calibration, on others less often. How unlike the training corpora a speaker is (``Familiarity``) tells them apart
without labels, so the temperature follows it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch import nn

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.encoders.statistics import Familiarity, nearest_distance, unfamiliar_share
from multimodal.evaluate.audio import predict_recordings
from multimodal.evaluate.confidence import uncertainty_threshold
from multimodal.evaluate.metrics import Floats, Labels, apply_temperature, cross_entropy
from multimodal.evaluate.voice_recordings import CONDITIONS, condition_recordings
from multimodal.train.audio_task import ClipTable

LARGEST_TEMPERATURE = 5.0


@dataclass(frozen=True)
class VoicePredictions:
    """Predictions of clips by networks that were not trained on their speakers.

    Attributes:
        probabilities: ``(n, labels)`` before calibration.
        groups: Fused label of each label of the network.
        targets: ``(n,)`` index of the true label among the network's.
        labels: ``(n,)`` index of the true label in ``FUSED_LABELS``; -1 for a clip with none of the seven.
        distances: ``(n,)`` of the clip's speaker from the nearest of the network's training corpora.
        corpora: ``(n,)`` names.
        speakers: ``(n,)`` names.
        crossed: ``(n,)`` true where the network was trained without the whole corpus.
        conditions: ``(n,)`` what else the recording holds, of ``CONDITIONS``.
    """

    probabilities: Floats
    groups: tuple[str | None, ...]
    targets: Labels
    labels: Labels
    distances: Floats
    corpora: NDArray[np.str_]
    speakers: NDArray[np.str_]
    crossed: NDArray[np.bool_]
    conditions: NDArray[np.str_]

    def subset(self, keep: NDArray[np.bool_]) -> VoicePredictions:
        """The rows for which ``keep``, ``(n,)``, is true.

        Args:
            keep: ``(n,)`` bool.

        Returns:
            Fewer predictions.
        """
        return VoicePredictions(
            self.probabilities[keep],
            self.groups,
            self.targets[keep],
            self.labels[keep],
            self.distances[keep],
            self.corpora[keep],
            self.speakers[keep],
            self.crossed[keep],
            self.conditions[keep],
        )

    def calibrated(self, calibration: VoiceCalibration) -> Floats:
        """Probabilities ``(n, labels)`` at the temperature of each clip's speaker.

        Args:
            calibration: Fitted on other clips.

        Returns:
            ``(n, labels)``, rows summing to 1.
        """
        return apply_temperature(self.probabilities, calibration.temperatures(self.distances)[:, None])


@dataclass(frozen=True)
class VoiceCalibration:
    """A temperature that depends on the distance of the speaker, and the confidence below which an answer is uncertain.

    Attributes:
        temperature: Of familiar speakers.
        factor: Of unfamiliar ones, relative to it; at least 1.
        middle: See ``Familiarity``.
        slope: See ``Familiarity``.
        uncertain_below: Confidence over the seven labels.
    """

    temperature: float
    factor: float = 1.0
    middle: float = 1.0
    slope: float = 1.0
    uncertain_below: float = 0.0

    def temperatures(self, distances: Floats) -> Floats:
        """The temperature of each row.

        Args:
            distances: ``(n,)``.

        Returns:
            ``(n,)``.
        """
        shares = [unfamiliar_share(float(distance), self.middle, self.slope) for distance in distances]
        return self.temperature * self.factor ** np.array(shares)


def corpus_centers(table: ClipTable) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the speakers of each corpus are, and how far from each other.

    Args:
        table: The clips that a network is trained on.

    Returns:
        Per corpus the mean of its speakers' mean summaries, ``(corpora, features)``, and the variance between the
        speakers of a corpus, averaged over the corpora, ``(features,)``; float64.
    """
    by_corpus: dict[str, list[torch.Tensor]] = {}
    corpus_of = {clip.speaker: clip.corpus for clip in table.clips}
    for speaker, mean in speaker_means(table).items():
        by_corpus.setdefault(corpus_of[speaker], []).append(mean)
    spreads = [torch.var_mean(torch.stack(means), dim=0, correction=0) for means in by_corpus.values()]
    return torch.stack([mean for _, mean in spreads]), torch.stack([variance for variance, _ in spreads]).mean(0)


def speaker_means(table: ClipTable) -> dict[str, torch.Tensor]:
    """The mean summary of each speaker's clips.

    Args:
        table: The clips.

    Returns:
        Speaker to ``(features,)`` float64.
    """
    rows: dict[str, list[torch.Tensor]] = {}
    for clip, features in zip(table.clips, table.versions[0], strict=True):
        rows.setdefault(clip.speaker, []).append(features.summary)
    return {speaker: torch.stack(summaries).double().mean(0) for speaker, summaries in rows.items()}


def predictions_of(
    network: nn.Module,
    held_out: ClipTable,
    training: ClipTable,
    groups: tuple[str | None, ...],
    crossed: bool,
    speech: bool,
) -> VoicePredictions:
    """Predicts held-out clips in recordings of every kind.

    Args:
        network: In evaluation mode, on the CPU.
        held_out: The clips.
        training: The clips that the network was trained on.
        groups: Fused label of each label.
        crossed: Whether the training left out the whole corpus.
        speech: Whether speech states are used.

    Returns:
        The predictions, a row per clip and condition.
    """
    centers = corpus_centers(training)
    features = [each if speech else replace(each, speech_states=None) for each in held_out.versions[0]]
    summaries = torch.stack([each.summary for each in held_out.versions[0]]).double()
    clips: Sequence[VoiceClip] = held_out.clips
    labels = np.array([-1 if clip.label is None else FUSED_LABELS.index(clip.label) for clip in clips], np.int64)
    parts = []
    for condition in CONDITIONS:
        kept, rows = predict_recordings(network, clips, features, condition)
        if not len(kept):
            continue
        distances = np.full(len(clips), np.nan)
        for recording in condition_recordings(clips, condition):
            distance = nearest_distance(summaries[list(recording.members)].mean(0), *centers)
            distances[sorted(recording.judged)] = distance
        part = VoicePredictions(
            rows,
            groups,
            held_out.targets[kept],
            labels[kept],
            distances[kept],
            np.array([clips[index].corpus for index in kept]),
            np.array([clips[index].speaker for index in kept]),
            np.full(len(kept), crossed),
            np.full(len(kept), condition),
        )
        parts.append(part)
    return joined(parts)


def joined(parts: Sequence[VoicePredictions]) -> VoicePredictions:
    """All predictions of several trainings.

    Args:
        parts: At least one.

    Returns:
        The rows one after the other.
    """
    return VoicePredictions(
        np.concatenate([part.probabilities for part in parts]),
        parts[0].groups,
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.corpora for part in parts]),
        np.concatenate([part.speakers for part in parts]),
        np.concatenate([part.crossed for part in parts]),
        np.concatenate([part.conditions for part in parts]),
    )


def fit_calibration(predictions: VoicePredictions) -> VoiceCalibration:
    """Fits the temperatures with the best likelihood over the seven labels, every corpus counting the same.

    Known and left-out corpora count the same as well, and so do the kinds of recordings. Without left-out corpora one
    temperature serves all speakers.

    Args:
        predictions: Of the clips to calibrate on.

    Returns:
        The calibration; its threshold is chosen on the left-out corpora where there are any.
    """
    usable = predictions.subset(predictions.labels >= 0)
    shift = _fit_shift(usable) if usable.crossed.any() and not usable.crossed.all() else (1.0, 1.0)
    weights = _equal_weights(usable)
    shares = np.array([unfamiliar_share(float(distance), *shift) for distance in usable.distances])

    def loss(logarithms: NDArray[np.float64]) -> float:
        temperatures = np.exp(logarithms[0] + (shares * logarithms[1] if len(logarithms) > 1 else 0.0))
        rows = apply_temperature(usable.probabilities, np.broadcast_to(temperatures, len(shares))[:, None])
        return cross_entropy(sum_to_fused(rows, usable.groups), usable.labels, weights)

    largest = float(np.log(LARGEST_TEMPERATURE))
    bounds = [(-largest, largest), (0.0, 2 * largest)][: 1 if shift == (1.0, 1.0) else 2]
    start = np.zeros(len(bounds))
    fitted = np.exp(minimize(loss, start, bounds=bounds, method="Nelder-Mead", options={"xatol": 1e-4}).x)
    factor = float(fitted[1]) if len(fitted) > 1 else 1.0
    calibration = VoiceCalibration(round(float(fitted[0]), 4), round(factor, 4), *(round(each, 4) for each in shift))
    return replace(calibration, uncertain_below=_threshold(usable, calibration))


def _fit_shift(predictions: VoicePredictions) -> tuple[float, float]:
    """Middle and slope of the logistic function that tells speakers of left-out corpora by their distance."""
    rows = sorted(
        set(
            zip(
                predictions.speakers,
                predictions.conditions,
                predictions.crossed,
                predictions.distances,
                strict=True,
            )
        )
    )
    # A condition with more recordings counts no more than another.
    counts = Counter(row[1:3] for row in rows)
    logs = np.log(np.maximum([distance for *_, distance in rows], 1e-6))[:, None]
    weights = [len(rows) / len(counts) / counts[row[1:3]] for row in rows]
    model = LogisticRegression().fit(logs, [row[2] for row in rows], weights)
    slope = max(float(model.coef_[0, 0]), 0.1)
    return float(np.exp(-model.intercept_[0] / slope)), slope


def _equal_weights(predictions: VoicePredictions) -> Floats:
    """``(n,)``: every corpus counts the same, as left out the same as by speaker folds, and so does every condition."""
    columns = (predictions.corpora, predictions.crossed, predictions.conditions)
    kinds = [*zip(*(column.tolist() for column in columns), strict=True)]
    counts = Counter(kinds)
    return np.array([1 / counts[kind] for kind in kinds])


def _threshold(predictions: VoicePredictions, calibration: VoiceCalibration) -> float:
    shifted = predictions.subset(predictions.crossed) if predictions.crossed.any() else predictions
    rows = sum_to_fused(shifted.calibrated(calibration), shifted.groups)
    parts = [shifted.corpora == corpus for corpus in sorted(set(shifted.corpora.tolist()))]
    return round(uncertainty_threshold(*((rows[part], shifted.labels[part]) for part in parts)), 3)


def calibrated_out_of_sample(predictions: VoicePredictions) -> tuple[Floats, Floats]:
    """Calibrates every clip with what was fitted without it.

    Speakers of known corpora: fitted on the other half of the speakers. Left-out corpora: fitted without any clip of
    the corpus.

    Args:
        predictions: All of them.

    Returns:
        ``(n, labels)`` calibrated probabilities, and the threshold ``(n,)`` of ``uncertain`` that was fitted with them.
    """
    result, thresholds = np.array(predictions.probabilities), np.zeros(len(predictions.labels))
    names = sorted(set(predictions.speakers.tolist()))
    first_half = np.isin(predictions.speakers, names[::2])
    parts = [(~predictions.crossed & (first_half == half), first_half != half) for half in (True, False)]
    for corpus in sorted(set(predictions.corpora[predictions.crossed].tolist())):
        parts.append((predictions.crossed & (predictions.corpora == corpus), predictions.corpora != corpus))
    for rows, others in parts:
        if not rows.any():
            continue
        chosen = predictions.subset(others & ~rows) if others.any() else predictions
        calibration = fit_calibration(chosen)
        result[rows] = predictions.subset(rows).calibrated(calibration)
        thresholds[rows] = calibration.uncertain_below
    return result, thresholds


def familiarity_of(calibration: VoiceCalibration, table: ClipTable) -> Familiarity | None:
    """What the card says of the distances.

    Args:
        calibration: The fitted calibration.
        table: The clips that the network is trained on.

    Returns:
        The familiarity, values rounded to five digits; None if the temperature does not depend on the speaker.
    """
    if calibration.factor == 1.0:
        return None
    centers, variance = corpus_centers(table)
    rows = [[float(f"{value:.5g}") for value in values.tolist()] for values in (*centers, variance)]
    return Familiarity(rows[:-1], rows[-1], calibration.middle, calibration.slope, calibration.factor)
