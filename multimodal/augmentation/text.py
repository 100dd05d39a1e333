"""Text augmentation: makes typed comments look like transcripts of a speech recognizer.

Each change has a share: of the texts, or of the words of a changed text. Case needs no augmentation, because the
tokenizer ignores it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from multimodal.encoders.tokenization import EMOJI_PARTS, is_emoji
from multimodal.errors import ConfigError

FILLERS = ("um", "uh", "uhm", "er", "hmm", "you know", "like", "i mean", "well", "so", "sort of", "kind of", "okay")
"""Fillers of English speakers."""

NAMES = (
    *("anna", "ben", "carlos", "chloe", "daniel", "emma", "fatima", "george", "hannah", "ivan", "jack", "james"),
    *("jessica", "john", "kate", "kevin", "laura", "li", "maria", "mark", "mary", "mike", "mohammed", "nina"),
    *("olivia", "omar", "paul", "peter", "priya", "rachel", "robert", "sam", "sarah", "sofia", "steve", "tom"),
)
"""First names, for the placeholder ``[NAME]``."""

RELIGIONS = ("christian", "muslim", "jewish", "buddhist", "hindu", "catholic")
"""For the placeholder ``[RELIGION]``."""

_SOUNDALIKE = (
    *(
        "their there they're",
        "your you're",
        "to too two",
        "its it's",
        "then than",
        "hear here",
        "know no",
        "by buy bye",
    ),
    *("write right", "whole hole", "for four", "one won", "wear where", "weather whether", "would wood", "see sea"),
    *("week weak", "meet meat", "piece peace", "break brake", "great grate", "wait weight", "made maid", "son sun"),
    *("are our", "of have", "can can't", "in and an", "a the this", "is was", "want won't", "him them"),
)
HOMOPHONES = {
    word: tuple(other for other in group.split() if other != word) for group in _SOUNDALIKE for word in group.split()
}
"""Words that recognizers confuse: similar in sound, or short and unstressed."""

PLACEHOLDER = re.compile(r"\[(NAME|RELIGION)\]", re.IGNORECASE)
SILENT_SYMBOL = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True)
class TextAugmentation:
    """Strength of each change; a share of 0 turns it off.

    Attributes:
        placeholder_share: Share of the placeholders ``[NAME]`` and ``[RELIGION]`` that become a name or a word.
        bare_share: Share of texts that lose their punctuation; half of these lose their apostrophes too.
        emoji_share: Share of texts that lose their emoji.
        filler_share: Share of texts that get fillers.
        repeat_share: Share of texts with repeated words.
        drop_share: Share of texts with dropped words.
        mishear_share: Share of texts with words replaced by similar-sounding ones.
        word_rate: Share of the words that are followed by a filler, repeated or dropped.
        mishear_rate: Share of the replaceable words that are replaced.
    """

    placeholder_share: float = 0.0
    bare_share: float = 0.0
    emoji_share: float = 0.0
    filler_share: float = 0.0
    repeat_share: float = 0.0
    drop_share: float = 0.0
    mishear_share: float = 0.0
    word_rate: float = 0.08
    mishear_rate: float = 0.3

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ConfigError(key, f"is {value}", "give a share between 0 and 1")


def augment(text: str, settings: TextAugmentation, chance: random.Random) -> str:
    """Changes a text at random.

    Args:
        text: Any text.
        settings: Strength of each change.
        chance: Source of all randomness.

    Returns:
        The changed text; unchanged if no word would remain.

    Example:
        >>> augment("[NAME], that's odd.", TextAugmentation(bare_share=1.0), random.Random(0))
        "NAME that's odd"
    """
    changed = PLACEHOLDER.sub(lambda match: _fill_placeholder(match, settings, chance), text)
    if chance.random() < settings.emoji_share:
        changed = "".join(char for char in changed if not is_emoji(char) and char not in EMOJI_PARTS)
    if chance.random() < settings.bare_share:
        changed = bare(changed, apostrophes=chance.random() < 0.5)
    words = changed.split()
    if chance.random() < settings.mishear_share:
        words = [_misheard(word, settings.mishear_rate, chance) for word in words]
    if chance.random() < settings.drop_share:
        words = [word for word in words if chance.random() >= settings.word_rate]
    if chance.random() < settings.repeat_share:
        words = [copy for word in words for copy in [word] * (2 if chance.random() < settings.word_rate else 1)]
    if chance.random() < settings.filler_share:
        words = _with_fillers(words, settings.word_rate, chance)
    return " ".join(words) or text


def bare(text: str, apostrophes: bool = False) -> str:
    """Removes punctuation, as a recognizer without punctuation writes; emoji stay.

    Args:
        text: Any text.
        apostrophes: Whether apostrophes inside a word stay.

    Returns:
        The text without punctuation.

    Example:
        >>> bare("Well, I don’t know... 😂")
        'Well I dont know 😂'
    """
    straight = text.replace("’", "'")
    marked = re.sub(r"(?<=\w)'(?=\w)", "\0" if apostrophes else "", straight)
    plain = SILENT_SYMBOL.sub(lambda match: match[0] if _stays(match[0]) else " ", marked)
    return " ".join(plain.replace("\0", "'").split())


def _stays(char: str) -> bool:
    return char == "\0" or is_emoji(char) or char in EMOJI_PARTS


def _fill_placeholder(match: re.Match[str], settings: TextAugmentation, chance: random.Random) -> str:
    if chance.random() >= settings.placeholder_share:
        return match[0]
    return chance.choice(NAMES if match[1].upper() == "NAME" else RELIGIONS)


def _misheard(word: str, rate: float, chance: random.Random) -> str:
    others = HOMOPHONES.get(word.lower())
    return chance.choice(others) if others and chance.random() < rate else word


def _with_fillers(words: list[str], rate: float, chance: random.Random) -> list[str]:
    """Adds a filler in front in half of the texts, and more between the words."""
    result = [chance.choice(FILLERS)] if chance.random() < 0.5 else []
    for word in words:
        result.append(word)
        if chance.random() < rate:
            result.append(chance.choice(FILLERS))
    return result
