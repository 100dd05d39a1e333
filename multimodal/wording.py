"""How numbers, and where they come from, are said to people, everywhere alike."""

from __future__ import annotations

from collections.abc import Mapping

SOURCES: Mapping[str, str] = {
    "norms": "from what the emotion words mean",
    "head": "estimated by the fusion head",
}
"""Where valence and arousal come from."""


def percent(share: float) -> str:
    """A share or a probability in whole per cent; what is not quite nothing or all does not look like it.

    Args:
        share: 0 … 1.

    Example:
        >>> [percent(share) for share in (0.894, 0.003, 0.0, 0.997, 1.0)]
        ['89%', '<1%', '0%', '>99%', '100%']
    """
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
