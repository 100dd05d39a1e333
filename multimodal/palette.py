"""Colors and signs of the emotions, the same everywhere; no emotion has a color only.

Okabe and Ito chose the hues so that people with any kind of color blindness can distinguish them; neutral and uncertain
are grays. Each emotion also has a sign, for people who see no colors and for printers.
"""

from __future__ import annotations

from collections.abc import Mapping

from multimodal.types import UNCERTAIN

COLORS: Mapping[str, str] = {
    "neutral": "#787b80",
    "happiness": "#e69f00",
    "surprise": "#56b4e9",
    "sadness": "#0072b2",
    "anger": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "contempt": "#6b4c9a",
    UNCERTAIN: "#d0d2d6",
}
"""Label to the ``#rrggbb`` of a surface; the color of letters on it is ``ink_on`` it.

Source: Okabe and Ito 2008, "Color Universal Design", https://jfly.uni-koeln.de/color/, orange, sky blue, blue,
vermillion, bluish green and reddish purple.
"""

SIGNS: Mapping[str, str] = {
    "neutral": "–",
    "happiness": "▲",
    "surprise": "✦",
    "sadness": "▼",
    "anger": "◆",
    "disgust": "■",
    "fear": "●",
    "contempt": "◐",
    UNCERTAIN: "?",
}
"""Label to one character that most fonts contain."""

USABILITY_COLORS: Mapping[str, str] = {
    "frustration": "#b3164a",
    "confusion": "#4d4a9e",
    "complaint": "#a65a00",
    "suggestion": "#1f7a8c",
    "question": "#787b80",
    "delight": "#2e8540",
    "satisfaction": "#5a8a3a",
    "neutral": "#787b80",
}
"""Usability label to the ``#rrggbb`` of a surface. Only frustration and confusion are meant to stand out; the label is
always written out."""

USABILITY_SIGNS: Mapping[str, str] = {"frustration": "!", "confusion": "¿"}
"""Usability labels that make a moment to one character each."""

MODALITY_COLORS: Mapping[str, str] = {"face": "#7a5195", "audio": "#2f7f86", "text": "#b0622c"}
"""Modality to ``#rrggbb``, for what belongs to a modality and not to an emotion."""


def ink_on(color: str) -> str:
    """The color of letters on a surface: black or white, whichever has the higher contrast.

    Args:
        color: ``#rrggbb``.

    Returns:
        ``#000000`` or ``#ffffff``; the contrast is at least 4.58.

    Example:
        >>> ink_on("#e69f00"), ink_on("#0072b2")
        ('#000000', '#ffffff')

    Source:
        W3C, Web Content Accessibility Guidelines 2.2, contrast ratio.
    """
    # White has the luminance 1, black 0: (1.05 / (l + 0.05)) against ((l + 0.05) / 0.05).
    return "#ffffff" if (luminance(color) + 0.05) ** 2 < 1.05 * 0.05 else "#000000"


def luminance(color: str) -> float:
    """Relative luminance of a color, 0 (black) … 1 (white).

    Args:
        color: ``#rrggbb``.

    Example:
        >>> round(luminance("#ffffff"), 3), luminance("#000000")
        (1.0, 0.0)

    Source:
        W3C, Web Content Accessibility Guidelines 2.2, relative luminance.
    """
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
