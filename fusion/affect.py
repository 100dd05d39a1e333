"""Valence and arousal where no trained head gives them: from the probabilities and what the emotion words mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

from multimodal.data.emotions import AFFECT_NORMS

NORMS = "norms"
"""How the output names this source."""
HEAD = "head"
"""How the output names a trained head."""


def affect_from_norms(probabilities: Mapping[str, float]) -> tuple[float, float]:
    """The mean of the emotion words' published valence and arousal, weighted by their probabilities.

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
