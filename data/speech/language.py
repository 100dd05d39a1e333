"""Detects English, the only language of the text model, by the stated language or by common words."""

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
"""Common English words that hardly occur in other European languages; they make up a fifth of spoken English."""

MIN_WORDS = 25
"""Minimum number of words for a decision."""

MIN_SHARE = 0.03
"""Minimum share of words in ``ENGLISH_ONLY``. Of the GoEmotions dev comments, joined to at least 25 words, 0.1 % are
below it; German, French, Dutch, Spanish, Italian, Danish, Polish, Swedish, Turkish, Portuguese, Finnish have none."""


def is_english(language: str | None, texts: Iterable[str]) -> bool:
    """Whether texts are, or may be, English.

    Args:
        language: Language stated by a transcript or a recognizer (``en``, ``en-GB``, ``English``); None if unknown.
        texts: The texts; used only if no language is stated. Fewer than ``MIN_WORDS`` words count as English.

    Returns:
        False if another language is stated, or if none is stated and common English words are missing.

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
    return len(words) < MIN_WORDS or common >= MIN_SHARE * len(words)
