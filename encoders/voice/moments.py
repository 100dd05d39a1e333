"""Statistics of recordings: means and variances of voice features over any set of utterances, in vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal.encoders.statistics import SMALLEST_DEVIATION
from multimodal.encoders.voice.features import VoiceFeatures

LARGEST = 5.0
"""Standardized features are clipped to this magnitude: one outlier must not decide."""

FRAMES_PER_STEP = 8.0
"""MFCC frames to a step of speech states."""


class Moments(NamedTuple):
    """Mean and variance of one kind of features in recordings, ``(recordings, features)`` float64, and their weight.

    Attributes:
        weight: ``(recordings,)`` frames or utterances.
        mean: ``(recordings, features)``.
        variance: ``(recordings, features)``.
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    def shrunk(self, mean: Tensor, variance: Tensor, weight: float) -> Moments:
        """Shrinks the estimates toward those of the corpora, see ``RecordingStatistics.shrunk``.

        Args:
            mean: ``(features,)`` of the corpora.
            variance: ``(features,)`` of the corpora.
            weight: Weight of the corpora; with 0 they count only without frames.

        Returns:
            The shrunk estimates.
        """
        total = self.weight + weight
        share = torch.where(total > 0, self.weight / total.clamp(min=1e-12), torch.zeros_like(total))[:, None]
        mean, variance = mean.cpu().double(), variance.cpu().double()
        return Moments(
            self.weight, share * self.mean + (1 - share) * mean, share * self.variance + (1 - share) * variance
        )

    def standardize(self, values: Tensor) -> Tensor:
        """Normalizes utterances by their recordings, within ±``LARGEST``.

        Args:
            values: ``(batch, features)`` or ``(batch, steps, features)``, a recording per utterance or one for all.

        Returns:
            The shape of ``values``, float32.
        """
        mean, deviation = self.mean.float(), self.variance.sqrt().clamp(min=SMALLEST_DEVIATION).float()
        if values.ndim == 3:
            mean, deviation = mean[:, None], deviation[:, None]
        return ((values.float() - mean) / deviation).clamp(-LARGEST, LARGEST)


class RecordingMoments(NamedTuple):
    """The moments that a batch is normalized by; ``states`` is None without a speech encoder."""

    frames: Moments
    summary: Moments
    states: Moments | None

    def rows(self, recordings: Tensor) -> RecordingMoments:
        """The moments of some recordings.

        Args:
            recordings: ``(batch,)`` indices.
        """
        parts = (
            None if part is None else Moments(*(value[recordings] for value in part))
            for part in (self.frames, self.summary, self.states)
        )
        return RecordingMoments(*parts)  # type: ignore[arg-type]


def joined_moments(parts: Sequence[RecordingMoments]) -> RecordingMoments:
    """The rows of several moments one after the other.

    Args:
        parts: At least one, all with states or all without.

    Returns:
        The rows.
    """

    def joined(rows: Sequence[Moments]) -> Moments:
        return Moments(*(torch.cat(values) for values in zip(*rows, strict=True)))

    states = [part.states for part in parts if part.states is not None]
    frames, summaries = joined([part.frames for part in parts]), joined([part.summary for part in parts])
    return RecordingMoments(frames, summaries, joined(states) if states else None)


class VoiceSums:
    """Sums over the frames of each utterance, from which the statistics of any recording of them follow quickly.

    Args:
        features: The utterances; speech states are used where all have them.

    Attributes:
        counts: ``(utterances,)`` float64 frames.
        steps: ``(utterances,)`` float64 steps of speech states; empty without them.
    """

    def __init__(self, features: Sequence[VoiceFeatures]) -> None:
        self.counts = torch.tensor([float(len(each.frames)) for each in features], dtype=torch.float64)
        self._frames = torch.stack([_sums(each.frames) for each in features])
        summaries = torch.stack([each.summary for each in features]).double()
        self._summaries = torch.cat([summaries, summaries.square()], dim=1)
        self.steps = torch.zeros(0, dtype=torch.float64)
        self._states: Tensor | None = None
        if has_states(features):
            states = [each.speech_states for each in features if each.speech_states is not None]
            self.steps = torch.tensor([float(len(each)) for each in states], dtype=torch.float64)
            self._states = torch.stack([_sums(each) for each in states])

    def frames(self, recordings: Sequence[Tensor]) -> Moments:
        """Moments of the frames.

        Args:
            recordings: Indices of the utterances of each recording.

        Returns:
            A row per recording.
        """
        return _moments(self._frames, None, self.counts, recordings)

    def summaries(self, recordings: Sequence[Tensor], by_length: bool) -> Moments:
        """Moments of the summaries.

        Args:
            recordings: Indices of the utterances of each recording.
            by_length: Whether an utterance weighs as much as its frames; else each weighs 1.

        Returns:
            A row per recording.
        """
        weights = self.counts if by_length else torch.ones_like(self.counts)
        return _moments(self._summaries, weights, weights, recordings)

    def states(self, recordings: Sequence[Tensor]) -> Moments | None:
        """Moments of the speech states; None without them.

        Args:
            recordings: Indices of the utterances of each recording.

        Returns:
            A row per recording, with weights in frames.
        """
        if self._states is None:
            return None
        moments = _moments(self._states, None, self.steps, recordings)
        return moments._replace(weight=moments.weight * FRAMES_PER_STEP)


def _sums(values: Tensor) -> Tensor:
    """``(2 × features,)`` float64: sums and sums of squares over the rows."""
    rows = values.double()
    return torch.cat([rows.sum(0), rows.square().sum(0)])


def _moments(sums: Tensor, factors: Tensor | None, counts: Tensor, recordings: Sequence[Tensor]) -> Moments:
    rows = []
    for members in recordings:
        part = sums[members]
        rows.append((part if factors is None else part * factors[members, None]).sum(0))
    weight = torch.stack([counts[members].sum() for members in recordings])
    mean, square = (torch.stack(rows) / weight.clamp(min=1e-12)[:, None]).chunk(2, dim=1)
    return Moments(weight, mean, (square - mean.square()).clamp(min=0))


def has_states(features: Sequence[VoiceFeatures]) -> bool:
    """Whether all utterances have speech states.

    Args:
        features: Features of utterances.
    """
    return bool(features) and all(each.speech_states is not None for each in features)
