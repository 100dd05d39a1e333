"""The emotion vocabularies, and the mappings of the text corpora onto them.

Order matters: it is the order of every probability vector and of every column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

FACE_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""FER+'s eight, in the column order of its ``label.csv`` (Barsoum et al. 2016, arXiv 1608.01041)."""

FUSED_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""The seven labels that all modalities share. Contempt is absent from the speech and text corpora."""

FACE_TO_FUSED: Mapping[str, str | None] = {label: label if label in FUSED_LABELS else None for label in FACE_LABELS}
"""FER+'s eight labels onto the seven; contempt has no counterpart, and the rest is renormalized."""

AFFECT_NORMS: Mapping[str, tuple[float, float, float]] = {
    "neutral": (0.0, 0.0, 0.0),
    "happiness": (0.81, 0.51, 0.46),
    "surprise": (0.40, 0.67, -0.13),
    "sadness": (-0.63, -0.27, -0.33),
    "anger": (-0.51, 0.59, 0.25),
    "disgust": (-0.60, 0.35, 0.11),
    "fear": (-0.64, 0.60, -0.43),
}
"""Pleasure (valence), arousal and dominance of an emotion word, each -1 … 1: how people rated what the word means.

Source: Russell and Mehrabian 1977, "Evidence for a three-factor theory of emotions", Journal of Research in
Personality 11, 273-294, https://doi.org/10.1016/0092-6566(77)90037-X, the terms happy, surprised, sad, angry,
disgusted and fearful.
Neutral is the middle of the scales by definition; it is not one of their terms.
"""


def sum_to_fused(probabilities: NDArray[np.floating], groups: Sequence[str | None]) -> NDArray[np.float64]:
    """Sums the probabilities of labels that have the same fused label.

    Args:
        probabilities: ``(n, labels)``.
        groups: The fused label of each label; None for one without a counterpart, whose share goes to the others.

    Returns:
        ``(n, 7)`` in the order of ``FUSED_LABELS``, rows summing to 1.

    Example:
        >>> sum_to_fused(np.array([[0.2, 0.3, 0.5]]), ("neutral", "neutral", "anger")).round(2).tolist()
        [[0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0]]
    """
    matrix = np.array([[float(group == label) for label in FUSED_LABELS] for group in groups])
    summed = np.asarray(probabilities, np.float64) @ matrix
    rows: NDArray[np.float64] = summed / np.maximum(summed.sum(axis=1, keepdims=True), 1e-12)
    return rows


# --- texts --------------------------------------------------------------------------------------------------------

# fmt: off
GOEMOTIONS_LABELS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)
# fmt: on
"""GoEmotions' 27 emotions and neutral, in the order of its ``emotions.txt`` (Demszky et al. 2020, arXiv 2005.00547)."""

_GOEMOTIONS_GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "happiness": (
        *("joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride"),
        *("admiration", "desire", "caring"),
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}

GOEMOTIONS_TO_FUSED: Mapping[str, str | None] = {
    label: group for group, labels in _GOEMOTIONS_GROUPS.items() for label in labels
}
"""The authors' grouping by Ekman's six and neutral (``ekman_mapping.json``; Demszky et al. 2020, section 5.1)."""

MELD_LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
"""MELD's seven, in the order of its paper (Poria et al. 2019, arXiv 1810.02508)."""

MELD_TO_FUSED: Mapping[str, str | None] = {label: "happiness" if label == "joy" else label for label in MELD_LABELS}
"""The same seven, with joy as happiness."""

ISEAR_LABELS = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
"""The seven situations that ISEAR asked for, in its numbering from 1 (Scherer and Wallbott 1994)."""

ISEAR_TO_FUSED: Mapping[str, str | None] = {
    "joy": "happiness", "fear": "fear", "anger": "anger", "sadness": "sadness", "disgust": "disgust",
    "shame": None, "guilt": None,
}  # fmt: skip
"""Shame and guilt have no counterpart among the seven."""

DAILYDIALOG_LABELS = ("no emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""DailyDialog's numbers 0 to 6 (Li et al. 2017, arXiv 1710.03957)."""

DAILYDIALOG_TO_FUSED: Mapping[str, str | None] = {
    label: "neutral" if label == "no emotion" else label for label in DAILYDIALOG_LABELS
}
"""The authors' Ekman labels; "no emotion" counts as neutral."""
