"""Outliers: inputs that differ from their study, or from the others of their task or question, and why.

Medians and absolute deviations from them are hardly affected by outliers, unlike means and standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multimodal.formatting import percent, signed
from multimodal.study.tables import SHARES, Cells, StudyTables, by_group

THRESHOLD = 3.5
"""Robust z-score from which an input is an outlier, as its authors recommend."""

MIN_INPUTS = 8
"""Inputs that a group needs for a meaningful median and deviation."""

MIN_UTTERANCES = 5
"""Utterances that an input needs before its shares are compared: with three lines, one decides a third of each."""

MIN_DEVIATION = 0.05
"""Smaller deviations count as this: if nearly all inputs are alike, a few points do not matter."""

NORMAL_MEDIAN, NORMAL_MEAN = 1.4826, 1.2533
"""From the median and the mean of absolute deviations to the standard deviation of a normal distribution."""

MAX_REASONS = 3
"""Reasons per outlier."""

COMPARED: Mapping[str, str] = {
    "mean_valence": "valence",
    "mean_arousal": "arousal",
    "confidence": "confidence",
    **{label: label for label in SHARES},
}
"""Measure to its name. The confidence stands for ``uncertain``."""


class Reason(NamedTuple):
    """Why an input is an outlier: one measure compared with one group.

    Attributes:
        score: Robust z-score, signed.
        measure: One of ``COMPARED``.
        by: ``task``, ``question``, or ``all``.
        group: Its name; empty for all.
        value: Of the input.
        median: Of the group.
    """

    score: float
    measure: str
    by: str
    group: str
    value: float
    median: float


@dataclass(frozen=True)
class Outlier:
    """An input that differs from the others.

    Attributes:
        index: Of the input in the study.
        reasons: At most ``MAX_REASONS``, each of another measure, the strongest first.
    """

    index: int
    reasons: tuple[Reason, ...]


def robust_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each value from the median, in robust standard deviations.

    Args:
        values: ``(inputs,)``; NaN for a missing value.

    Returns:
        ``(inputs,)``, signed: the distance from the median over the scaled median of all distances; NaN for a missing
        value. Shares are often near zero in most inputs, so if the median distance is below ``MIN_DEVIATION`` the
        scaled mean distance replaces it, where that is larger.

    Example:
        >>> robust_scores(np.array([0.1, 0.2, 0.3, 0.4, 1.0])).round(2).tolist()
        [-1.35, -0.67, 0.0, 0.67, 4.72]

    Source:
        Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, ASQC, chapter 3 (modified z-score); the mean in
        place of a median of zero as in IBM SPSS Statistics, "Modified z score".
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.full_like(values, np.nan)
    middle = np.median(values[finite])
    distances = np.abs(values[finite] - middle)
    deviation = NORMAL_MEDIAN * float(np.median(distances))
    if deviation < NORMAL_MEDIAN * MIN_DEVIATION:
        deviation = max(NORMAL_MEDIAN * MIN_DEVIATION, NORMAL_MEAN * float(distances.mean()))
    return np.asarray((values - middle) / deviation)


def find_outliers(study: StudyTables) -> list[Outlier]:
    """Finds the inputs that differ most from all others, or from those of their task or question.

    Args:
        study: Read from a batch's tables.

    Returns:
        Inputs with a robust z-score of at least ``THRESHOLD``, the largest first. Groups of fewer than ``MIN_INPUTS``
        inputs with a value are skipped.
    """
    reasons_of: dict[int, dict[str, Reason]] = {}
    for by, group, indices in _groups(study):
        for measure in COMPARED:
            values = np.array([_value(study.rows[index], measure) for index in indices], np.float64)
            if np.isfinite(values).sum() < MIN_INPUTS:
                continue
            scores = robust_scores(values)
            median = float(np.nanmedian(values))
            for place in np.flatnonzero(np.abs(scores) >= THRESHOLD):
                reason = Reason(float(scores[place]), measure, by, group, float(values[place]), median)
                _keep_furthest(reasons_of.setdefault(indices[place], {}), reason)
    outliers = [Outlier(index, _strongest(reasons)) for index, reasons in reasons_of.items()]
    return sorted(outliers, key=lambda outlier: (-abs(outlier.reasons[0].score), outlier.index))


def describe(reason: Reason) -> str:
    """Describes a reason in plain words.

    Args:
        reason: Reason of an outlier.

    Example:
        >>> describe(Reason(-5.1, "mean_valence", "task", "checkout", -0.62, 0.41))
        'valence −0.62; median of the task “\u2068checkout\u2069”: +0.41 (robust z −5.1)'
        >>> describe(Reason(4.0, "anger", "all", "", 0.6, 0.02))
        'anger 60%; median of the study: 2% (robust z +4.0)'
    """
    # Isolates keep a name in a right-to-left script from reordering the numbers after it.
    whole = f"the {reason.by} “\u2068{reason.group}\u2069”" if reason.group else "the study"
    value, median = (_number_text(reason.measure, number) for number in (reason.value, reason.median))
    return f"{COMPARED[reason.measure]} {value}; median of {whole}: {median} (robust z {signed(reason.score, 1)})"


def _groups(study: StudyTables) -> list[tuple[str, str, list[int]]]:
    groups = [("all", "", list(range(len(study.rows))))]
    for by in ("task", "question"):
        if by in study.groupings:
            groups += [(by, group, indices) for group, indices in by_group(study, by).items()]
    return [group for group in groups if len(group[2]) >= MIN_INPUTS]


def _keep_furthest(reasons: dict[str, Reason], reason: Reason) -> None:
    """Keeps, of one measure, only the group from which the input differs most."""
    previous = reasons.get(reason.measure)
    if previous is None or abs(reason.score) > abs(previous.score):
        reasons[reason.measure] = reason


def _strongest(reasons: Mapping[str, Reason]) -> tuple[Reason, ...]:
    ordered: Sequence[Reason] = sorted(reasons.values(), key=lambda reason: -abs(reason.score))
    return tuple(ordered[:MAX_REASONS])


def _number_text(measure: str, value: float) -> str:
    return signed(value) if measure in ("mean_valence", "mean_arousal") else percent(value)


def _value(row: Cells, measure: str) -> float:
    """The value of an input to compare; NaN if missing, or a share of too few utterances."""
    value, too_few = row[measure], measure in SHARES and (row["utterances"] or 0) < MIN_UTTERANCES
    return float("nan") if value is None or too_few else float(value)
