"""Valence and arousal without a trained head: from the probabilities and published norms of the emotion words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from multimodal.data.emotions import AFFECT_NORMS

NORMS = "norms"
"""Name of this source of valence and arousal in results."""
HEAD = "head"
"""Name of a trained head as their source."""


def affect_from_norms(probabilities: Mapping[str, float]) -> tuple[float, float]:
    """Averages the published valence and arousal of the emotion words, weighted by their probabilities.

    Args:
        probabilities: In labels of ``multimodal.data.emotions.AFFECT_NORMS``, summing to 1.

    Returns:
        Valence, -1 (unpleasant) … 1 (pleasant), and arousal, -1 (calm) … 1 (excited).

    Example:
        >>> affect_from_norms({"happiness": 0.5, "neutral": 0.5})
        (0.405, 0.255)

    Source: the norms of Russell and Mehrabian 1977.
    """
    valence, arousal = (
        math.fsum(share * AFFECT_NORMS[label][index] for label, share in probabilities.items()) for index in (0, 1)
    )
    return valence, arousal
