"""The emotion vocabularies, and how each corpus maps onto them. No other module names a label.

Order matters: it is the order of every probability vector and of every column.
"""

from __future__ import annotations

from collections.abc import Mapping

FACE_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""FER+'s eight, in the column order of its ``label.csv`` (Barsoum et al. 2016, arXiv 1608.01041)."""

FUSED_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""The seven that all signals share. Contempt is left out: neither voice nor text corpora have it."""

FACE_TO_FUSED: Mapping[str, str | None] = {label: label if label in FUSED_LABELS else None for label in FACE_LABELS}
"""FER+'s eight onto the seven; contempt has no counterpart, the rest is renormalised."""
