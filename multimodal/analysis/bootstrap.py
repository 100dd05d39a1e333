"""Confidence intervals by resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of draws: the ends of a 95 % interval are the 50th and the 1,951st."""

DRAWS_AT_ONCE = 100
"""Draws held in memory together: 8 MB for 10,000 participants."""

SEED = 20260
"""The same results give the same intervals."""

LEVEL = 0.95
"""Confidence level of the intervals."""


def bootstrap(values: NDArray[np.float64], resamples: int = RESAMPLES) -> tuple[NDArray[np.float64], ...]:
    """Means over participants and their confidence intervals, the same for any order of the participants.

    Args:
        values: ``(participants, measures)``; NaN where a participant has no value.
        resamples: Number of draws; each draws as many participants as there are, with replacement.

    Returns:
        Means, lower and upper ends of the 95 % percentile interval, each ``(measures,)``; NaN for a mean without values
        and for an interval over fewer than two participants.

    Example:
        >>> mean, low, high = bootstrap(np.array([[0.0], [1.0], [1.0], [0.0]]))
        >>> mean.tolist(), low.tolist(), high.tolist()
        ([0.5], [0.0], [1.0])

    Source:
        Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile interval).
    """
    # Draws go by place: in one order of the values, any order of the participants gives the same interval.
    values = values[np.lexsort(np.round(values, 9).T[::-1])]
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    counts = present.sum(axis=0)
    mean = np.divide(filled.sum(axis=0), counts, out=np.full(values.shape[1], np.nan), where=counts > 0)
    low, high = np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    enough = counts >= 2
    if enough.any():
        draws = _draws(filled[:, enough], present[:, enough].astype(np.float64), resamples)
        low[enough], high[enough] = np.nanquantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return mean, low, high


def _draws(filled: NDArray[np.float64], present: NDArray[np.float64], resamples: int) -> NDArray[np.float64]:
    """Means of each draw; NaN if no participant in the draw has a value."""
    random = np.random.default_rng(SEED)
    people = len(filled)
    means = []
    for start in range(0, resamples, DRAWS_AT_ONCE):
        times = random.multinomial(people, np.full(people, 1 / people), size=min(DRAWS_AT_ONCE, resamples - start))
        weights = times @ present
        means.append(np.divide(times @ filled, weights, out=np.full(weights.shape, np.nan), where=weights > 0))
    return np.concatenate(means)


def block_bootstrap(
    values: NDArray[np.float64], lengths: Sequence[float], resamples: int = RESAMPLES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidence intervals of means over time by the circular block bootstrap.

    A block has the cube root of the number of segments: neighbors stay together, and there are many blocks.

    Args:
        values: ``(segments, measures)``, in order of time, such as the probability of each label.
        lengths: ``(segments,)`` in seconds, or their parts of the whole.
        resamples: Number of draws.

    Returns:
        Lower and upper ends of the 95 % percentile interval, each ``(measures,)``.

    Example:
        >>> low, high = block_bootstrap(np.array([[0.75, 0.25]] * 8), [1.0] * 8)
        >>> low.tolist(), high.tolist()
        ([0.75, 0.25], [0.75, 0.25])

    Source:
        Politis and Romano 1992, A circular block-resampling procedure for stationary data.
    """
    seconds = np.asarray(lengths, np.float64)
    count = len(seconds)
    run = math.ceil(count ** (1 / 3))
    places = (np.arange(count)[:, None] + np.arange(run)) % count
    run_seconds = seconds[places].sum(axis=1)
    run_sums = (values * seconds[:, None])[places].sum(axis=1)
    random = np.random.default_rng(SEED)
    means = []
    for first in range(0, resamples, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, resamples - first)
        times = random.multinomial(math.ceil(count / run), np.full(count, 1 / count), size=size)
        draw_seconds = times @ run_seconds
        means.append((times @ run_sums)[draw_seconds > 0] / draw_seconds[draw_seconds > 0, None])
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
