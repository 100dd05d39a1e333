"""Whether words are English, the only language that the text model knows: as stated, else by its commonest words."""

from __future__ import annotations

import re
from collections.abc import Iterable

ENGLISH_NAMES = frozenset({"en", "eng", "english"})

# fmt: off
ENGLISH_ONLY = frozenset({
    "the", "and", "of", "that", "it", "this", "with", "you", "but", "they", "from", "would", "which", "are", "not",
    "there", "just", "like", "your", "she", "because", "when", "could", "how", "about", "if",
})
# fmt: on
"""Common English words that are hardly words of another European language; a fifth of English talk is made of them."""

FEWEST_WORDS = 25
"""Fewer words say nothing about their language."""

LEAST_SHARE = 0.03
"""Of ``ENGLISH_ONLY``. Of the comments of GoEmotions' development part, joined to 25 words and more, 0.1 % have less;
German, French, Dutch, Spanish, Italian, Danish, Polish, Swedish, Turkish, Portuguese and Finnish talk has none."""


def is_english(language: str | None, texts: Iterable[str]) -> bool:
    """Whether words are English, or may be.

    Args:
        language: As a transcript or a recognizer states it (``en``, ``en-GB``, ``English``); it is believed.
        texts: The words; asked only where no language is stated. Fewer than ``FEWEST_WORDS`` count as English.

    Returns:
        False only where another language is stated, or none is and English's commonest words are missing.

    Example:
        >>> is_english("en-US", []), is_english("de", []), is_english(None, ["Hm, gut."])
        (True, False, True)
        >>> is_english(None, ["Der Knopf war schwer zu finden, und ich war in Eile."] * 3)
        False
    """
    if language is not None and language.strip():
        return re.split(r"[-_\s]", language.strip().casefold())[0] in ENGLISH_NAMES
    words = [word for text in texts for word in re.findall(r"[^\W\d_]+", text.casefold())]
    common = sum(word in ENGLISH_ONLY for word in words)
    return len(words) < FEWEST_WORDS or common >= LEAST_SHARE * len(words)
