"""Expected shares of time: probabilities over time, not counts of the most probable labels.

A face that looks 75 % happy and 25 % neutral throughout is happy for 75 % of the time, not for all of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.bootstrap import block_bootstrap

MIN_SEGMENTS = 5
"""Segments below which an interval would describe their number rather than the conversation."""

ALIKE = 0.005
"""Segments whose probabilities differ by less are alike: drawing others would tell nothing."""

SMALLEST = 0.01
"""Smaller shares are named together: probabilities of 1 % stand for none of the time in particular."""


@dataclass(frozen=True)
class SegmentProbabilities:
    """What one segment adds to the shares.

    Attributes:
        seconds: Time with an estimate; 0 in text without times.
        probabilities: Per label, summing to 1; of a face the mean over the segment's frames.
        uncertain: Whether the answer is too uncertain to be named.
    """

    seconds: float
    probabilities: Mapping[str, float]
    uncertain: bool = False


def expected_shares(segments: Sequence[SegmentProbabilities], labels: Iterable[str] = ()) -> dict[str, float] | None:
    """Computes the mean of the probabilities, weighted by the length of the segments.

    Args:
        segments: Segments with an estimate.
        labels: Labels of the shares in order; without any, those of the segments. Others are left out.

    Returns:
        Label to share, 0 … 1, summing to 1; None without segments.

    Example:
        >>> happy = SegmentProbabilities(3.0, {"neutral": 0.2, "happiness": 0.8})
        >>> calm = SegmentProbabilities(1.0, {"neutral": 1.0, "happiness": 0.0})
        >>> {label: round(share, 2) for label, share in expected_shares([happy, calm]).items()}
        {'neutral': 0.4, 'happiness': 0.6}
    """
    if not segments:
        return None
    order = tuple(labels) or tuple(dict.fromkeys(label for each in segments for label in each.probabilities))
    rows = np.array(segment_weights(segments)) @ _rows(segments, order)
    total = float(rows.sum())
    return {label: float(value) / total if total else 0.0 for label, value in zip(order, rows, strict=True)}


def _rows(segments: Sequence[SegmentProbabilities], labels: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities of these labels, ``(segments, labels)``; each row sums to 1, or to 0 if it has none of them."""
    rows = np.array([[each.probabilities.get(label, 0.0) for label in labels] for each in segments], np.float64)
    return np.asarray(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12))


def uncertain_share(segments: Sequence[SegmentProbabilities]) -> float | None:
    """Computes the fraction of the estimated time whose answer is uncertain.

    Args:
        segments: Segments with an estimate.

    Returns:
        0 … 1; None without segments.
    """
    if not segments:
        return None
    pairs = zip(segment_weights(segments), segments, strict=True)
    return min(math.fsum(weight for weight, each in pairs if each.uncertain), 1.0)


def segment_weights(segments: Sequence[SegmentProbabilities]) -> list[float]:
    """The part of the estimated time that each segment has; without times all have the same.

    Args:
        segments: At least one.

    Returns:
        Weights 0 … 1, summing to 1.
    """
    total = math.fsum(each.seconds for each in segments)
    return [each.seconds / total if total > 0 else 1 / len(segments) for each in segments]


def share_intervals(
    segments: Sequence[SegmentProbabilities], labels: Sequence[str]
) -> tuple[dict[str, tuple[float, float]], tuple[float, float] | None]:
    """Computes 95 % intervals of the shares, and of the time with an uncertain answer.

    They estimate how a share would vary with other segments of such a conversation. Neighboring segments are alike, so
    blocks of them are drawn, not single ones. Errors of the networks are not included.

    Args:
        segments: Segments with an estimate, in order of time.
        labels: Labels of the shares.

    Returns:
        Label to the ends of its interval, 0 … 1, and the ends for uncertain answers; empty and None with fewer than
        ``MIN_SEGMENTS`` segments, or if all are alike.

    Source:
        Politis and Romano 1992, "A circular block-resampling procedure for stationary data".
    """
    if len(segments) < MIN_SEGMENTS:
        return {}, None
    rows = _rows(segments, labels)
    flags = np.array([[float(each.uncertain)] for each in segments])
    values = np.hstack([rows, flags])
    low, high = _around(values, segment_weights(segments))
    shares = {label: (float(low[at]), float(high[at])) for at, label in enumerate(labels)}
    return (
        shares if np.ptp(rows, axis=0).max() >= ALIKE else {},
        (float(low[-1]), float(high[-1])) if np.ptp(flags) > 0 else None,
    )


def _around(values: NDArray[np.float64], weights: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of each column, widened to its mean, which a percentile interval of few segments may miss."""
    low, high = block_bootstrap(values, weights)
    mean = np.average(values, axis=0, weights=weights)
    return np.clip(np.minimum(low, mean), 0, 1), np.clip(np.maximum(high, mean), 0, 1)


def largest_shares(shares: Mapping[str, float] | None) -> list[tuple[str, float]]:
    """Lists labels and shares, the largest first, without those below ``SMALLEST``.

    Args:
        shares: Label to share; None without estimates.

    Example:
        >>> largest_shares({"neutral": 0.3, "happiness": 0.695, "fear": 0.005}), largest_shares(None)
        ([('happiness', 0.695), ('neutral', 0.3)], [])
    """
    return sorted((pair for pair in (shares or {}).items() if pair[1] >= SMALLEST), key=lambda pair: -pair[1])
