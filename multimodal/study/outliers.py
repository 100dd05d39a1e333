"""Which inputs stand apart from their study, or from the others of their task or question, and why.

Medians and absolute deviations from them are hardly moved by the very inputs that are looked for, unlike means and
standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multimodal.formatting import percent
from multimodal.study.tables import SHARES, Cells, StudyTables, by_group
from multimodal.types import UNCERTAIN

FAR = 3.5
"""Robust z-score from which an input stands apart, as its authors recommend."""

FEWEST = 8
"""Inputs that a group needs for a median and a deviation that mean something."""

FEWEST_UTTERANCES = 5
"""That an input needs for its shares to be compared: of three typed lines a share is all, nothing or a third."""

LEAST_DEVIATION = 0.05
"""Deviations below this count as this much: where nearly all inputs are alike, a few points are no news."""

NORMAL_MEDIAN, NORMAL_MEAN = 1.4826, 1.2533
"""From the median and the mean of absolute deviations to the standard deviation of a normal distribution."""

REASONS = 3
"""Told of an input at most."""

COMPARED: Mapping[str, str] = {
    "mean_valence": "valence",
    "mean_arousal": "arousal",
    "confidence": "confidence",
    **{label: label for label in SHARES if label != UNCERTAIN},
}
"""Measure to how it is called. What is uncertain is told by the confidence."""


class Reason(NamedTuple):
    """Why an input stands apart: one measure against one group.

    Attributes:
        score: Robust z-score, signed.
        measure: One of ``COMPARED``.
        by: ``task``, ``question``, or ``all``.
        group: Which of them; empty for all.
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
    """An input that stands apart.

    Attributes:
        index: Its place in the study.
        reasons: At most ``REASONS``, each of another measure, the strongest first.
    """

    index: int
    reasons: tuple[Reason, ...]


def robust_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value lies from the median, in robust standard deviations.

    Args:
        values: ``(inputs,)``; NaN where an input has none.

    Returns:
        ``(inputs,)``, signed: the distance from the median over the scaled median of such distances; NaN where the
        value is. Shares are often zero in most inputs, so a median of distances below ``LEAST_DEVIATION`` gives way to
        their scaled mean where that is larger.

    Example:
        >>> robust_scores(np.array([0.1, 0.2, 0.3, 0.4, 1.0])).round(2).tolist()
        [-1.35, -0.67, 0.0, 0.67, 4.72]

    Source:
        Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, ASQC, chapter 3 (modified z-score); the mean in
        place of a median of zero as in IBM SPSS Statistics, "Modified z score".
    """
    there = np.isfinite(values)
    if not there.any():
        return np.full_like(values, np.nan)
    middle = np.median(values[there])
    distances = np.abs(values[there] - middle)
    deviation = NORMAL_MEDIAN * float(np.median(distances))
    if deviation < NORMAL_MEDIAN * LEAST_DEVIATION:
        deviation = max(NORMAL_MEDIAN * LEAST_DEVIATION, NORMAL_MEAN * float(distances.mean()))
    return np.asarray((values - middle) / deviation)


def find_outliers(study: StudyTables) -> list[Outlier]:
    """Finds the inputs that lie furthest from all, or from those of the same task or question.

    Args:
        study: Read from a batch's tables.

    Returns:
        Those with a robust z-score of ``FAR`` or more, the furthest first. Groups of fewer than ``FEWEST`` inputs with
        a value are compared with nothing.
    """
    found: dict[int, dict[str, Reason]] = {}
    for by, group, indices in _groups(study):
        for measure in COMPARED:
            values = np.array([_value(study.rows[index], measure) for index in indices], np.float64)
            if np.isfinite(values).sum() < FEWEST:
                continue
            scores = robust_scores(values)
            median = float(np.nanmedian(values))
            for place in np.flatnonzero(np.abs(scores) >= FAR):
                reason = Reason(float(scores[place]), measure, by, group, float(values[place]), median)
                _keep_furthest(found.setdefault(indices[place], {}), reason)
    outliers = [Outlier(index, _strongest(reasons)) for index, reasons in found.items()]
    return sorted(outliers, key=lambda outlier: (-abs(outlier.reasons[0].score), outlier.index))


def describe(reason: Reason) -> str:
    """Says why, in plain words.

    Example:
        >>> describe(Reason(-5.1, "mean_valence", "task", "checkout", -0.62, 0.41))
        'valence −0.62, where the task “\u2068checkout\u2069” has a median of +0.41 (robust z −5.1)'
        >>> describe(Reason(4.0, "anger", "all", "", 0.6, 0.02))
        'anger 60%, where the study has a median of 2% (robust z +4.0)'
    """
    # Isolates keep a name in a right-to-left script from turning the numbers behind it round.
    whole = f"the {reason.by} “\u2068{reason.group}\u2069”" if reason.group else "the study"
    value, median = (_shown(reason.measure, number) for number in (reason.value, reason.median))
    score = _signed(reason.score, 1)
    return f"{COMPARED[reason.measure]} {value}, where {whole} has a median of {median} (robust z {score})"


def _groups(study: StudyTables) -> list[tuple[str, str, list[int]]]:
    groups = [("all", "", list(range(len(study.rows))))]
    for by in ("task", "question"):
        if by in study.groupings:
            groups += [(by, group, indices) for group, indices in by_group(study, by).items()]
    return [group for group in groups if len(group[2]) >= FEWEST]


def _keep_furthest(reasons: dict[str, Reason], reason: Reason) -> None:
    """Of one measure only the group from which the input lies furthest is told."""
    known = reasons.get(reason.measure)
    if known is None or abs(reason.score) > abs(known.score):
        reasons[reason.measure] = reason


def _strongest(reasons: Mapping[str, Reason]) -> tuple[Reason, ...]:
    ordered: Sequence[Reason] = sorted(reasons.values(), key=lambda reason: -abs(reason.score))
    return tuple(ordered[:REASONS])


def _shown(measure: str, value: float) -> str:
    return _signed(value, 2) if measure in ("mean_valence", "mean_arousal") else percent(value)


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _value(row: Cells, measure: str) -> float:
    """What is compared of an input; NaN where it has no value, or a share of too little."""
    value, coarse = row[measure], measure in SHARES and (row["utterances"] or 0) < FEWEST_UTTERANCES
    return float("nan") if value is None or coarse else float(value)
