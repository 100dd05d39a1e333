"""What the words of a recording say about the product: counts and times of the usability labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multimodal.types import UNCERTAIN, UtteranceEstimate

TROUBLE = ("frustration", "confusion")
"""The labels that come first in every output."""

ORDER = ("frustration", "confusion", "complaint", "suggestion", "question", "delight", "satisfaction", "neutral")
"""Usability labels in the order of tables: those of ``TROUBLE``, what asks for an answer, what went well, the rest."""

LEAST = 0.5
"""Probability from which a usability label counts; a label below it is ``uncertain``."""

COLUMN = "usability_"
"""Beginning of the columns with shares of usability labels in the tables of a study."""


@dataclass(frozen=True)
class UsabilityCount:
    """How often one usability label occurs.

    Attributes:
        label: One of ``USABILITY_LABELS``, or ``uncertain``.
        count: Number of utterances.
        share: Of all utterances with a usability label, 0 … 1.
        seconds: Speaking time; 0 in text without times.
    """

    label: str
    count: int
    share: float
    seconds: float


def certain_usability(estimate: UtteranceEstimate) -> str | None:
    """The usability label of an utterance if it is probable enough.

    Args:
        estimate: The estimate of one utterance.

    Returns:
        One of ``USABILITY_LABELS``; ``uncertain`` if the label is below ``LEAST``; None without words that were read.

    Example:
        >>> from multimodal.types import Utterance
        >>> certain_usability(UtteranceEstimate(Utterance(0.0, 1.0))) is None
        True
    """
    probability = estimate.usability_probability
    if probability is None:
        return None
    return estimate.usability_label if round(probability, 4) >= LEAST else UNCERTAIN  # as saved


def usability_counts(estimates: Sequence[UtteranceEstimate]) -> list[UsabilityCount]:
    """Counts the usability labels of a recording.

    Args:
        estimates: The estimates of all utterances.

    Returns:
        The labels that occur, in the order of ``ORDER``, then ``uncertain``; empty without any usability label.
    """
    times: dict[str, list[float]] = {}
    for each in estimates:
        label = certain_usability(each)
        if label is not None:
            times.setdefault(label, []).append(each.utterance.end_seconds - each.utterance.start_seconds)
    total = sum(map(len, times.values()))
    return [
        UsabilityCount(label, len(times[label]), len(times[label]) / total, math.fsum(times[label]))
        for label in (*ORDER, UNCERTAIN)
        if label in times
    ]


def usability_shares(utterances: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Computes the share of utterances with each usability label, from the entries of ``analysis.json``.

    Args:
        utterances: Entries; those without ``usability_label`` and ``usability_probability`` do not count.

    Returns:
        ``usability_frustration`` … and ``usability_uncertain``, 0 … 1, which sum to 1; all None without any label.

    Example:
        >>> entry = {"usability_label": "delight", "usability_probability": 0.7}
        >>> shares = usability_shares([entry, {"usability_label": None}])
        >>> shares["usability_delight"], shares["usability_neutral"]
        (1.0, 0.0)
    """
    pairs = [(each.get("usability_label"), each.get("usability_probability")) for each in utterances]
    labels = [label if sure >= LEAST else UNCERTAIN for label, sure in pairs if label is not None and sure is not None]
    return {
        f"{COLUMN}{label}": round(labels.count(label) / len(labels), 4) if labels else None
        for label in (*ORDER, UNCERTAIN)
    }
