"""What a report shows of the usability labels: a label beside each utterance, counts, and the choices of the filter."""

from __future__ import annotations

from typing import Any

from multimodal.analysis.result import Analysis
from multimodal.analysis.usability import TROUBLE, certain_usability, usability_counts
from multimodal.formatting import duration_text, percent, probability_percent
from multimodal.types import UNCERTAIN, UtteranceEstimate

QUIET = ("question", "neutral")
"""Labels that are shown without a frame."""


def usability_chip(estimate: UtteranceEstimate) -> dict[str, str] | None:
    """Describes the usability label of an utterance.

    Args:
        estimate: The estimate of one utterance.

    Returns:
        ``label`` (one of the labels, or ``uncertain``), ``name`` and ``note`` to show, and ``kind`` (``loud``,
        ``plain``, ``quiet`` or ``unsure``); None without words that were read.

    Example:
        >>> from multimodal.types import Utterance
        >>> usability_chip(UtteranceEstimate(Utterance(0.0, 1.0))) is None
        True
    """
    label, probability = certain_usability(estimate), estimate.usability_probability
    if label is None or probability is None:
        return None
    if label == UNCERTAIN:
        name, kind = f"uncertain, perhaps {estimate.usability_label}", "unsure"
    else:
        name, kind = label, "loud" if label in TROUBLE else "quiet" if label in QUIET else "plain"
    return {"label": label, "name": name, "note": probability_percent(probability), "kind": kind}


def usability_section(analysis: Analysis) -> dict[str, Any] | None:
    """Computes the counts of the usability labels.

    Args:
        analysis: Of one recording, or of typed answers.

    Returns:
        ``title``, ``total`` (utterances with a label) and ``rows`` with ``label``, ``count``, ``share`` and ``length``
        (empty without times) as text, in order; None without any usability label.
    """
    counts, timed = usability_counts(analysis.estimates), bool(analysis.media.duration_seconds)
    if not counts:
        return None
    return {
        "title": "What people said" if timed else "What people wrote",
        "total": sum(each.count for each in counts),
        "rows": [
            {
                "label": each.label,
                "count": each.count,
                "share": percent(each.share),
                "length": duration_text(each.seconds) if timed and each.seconds > 0 else "",
            }
            for each in counts
        ],
    }
