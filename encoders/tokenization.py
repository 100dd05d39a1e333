"""From text to token numbers: what is tidied first, and how BERT's vocabulary is trimmed to what English needs.

The tokenizer is one file, ``tokenizer.json`` of the ``tokenizers`` library, which stands beside the weights. It ignores
case. A word that is not in the vocabulary is spelled by its pieces, down to single letters.

Source: Wu et al. 2016 (WordPiece, arXiv 1609.08144), Devlin et al. 2019 (the vocabulary of BERT, uncased).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "})
"""Typographic marks that a keyboard or a recognizer writes otherwise."""

EMOJI_PARTS = {"\ufe0e", "\ufe0f", "\u200d", *map(chr, range(0x1F3FB, 0x1F400))}
"""Variation selectors, the joiner and skin tones: they change how an emoji looks, not what it says."""

SILENT = " \t\r\n.…-–—_*•"
"""What may stand in a text without a word being said."""


def normalize_text(text: str) -> str:
    """Writes quotation marks straight and emoji as words, for BERT's vocabulary has none of them.

    Args:
        text: Any text.

    Returns:
        The text that is cut into word pieces; empty when it holds only blanks, dots and dashes.

    Example:
        >>> normalize_text("I don’t know 😂")
        "I don't know face with tears of joy"
        >>> normalize_text(" … ")
        ''
    """
    straight = text.translate(STRAIGHT)
    if not straight.isascii():
        straight = "".join(_spelled(char) for char in straight)
    return " ".join(straight.split()) if straight.strip(SILENT) else ""


def is_emoji(char: str) -> bool:
    """Whether a character is a pictogram: Unicode's "other symbol" beyond Latin-1, where © and ° stand.

    Example:
        >>> is_emoji("😂"), is_emoji("©")
        (True, False)
    """
    return ord(char) > 0xFF and unicodedata.category(char) == "So"


def _spelled(char: str) -> str:
    if char in EMOJI_PARTS:
        return ""
    return f" {unicodedata.name(char, '').lower()} " if is_emoji(char) else char


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token numbers of texts, whole, without marks of start and end.

    Args:
        tokenizer: With neither truncation nor padding, as ``load_tokenizer`` gives it.
        texts: Any texts.

    Returns:
        A list per text; empty where the text holds no word that the vocabulary can spell.
    """
    unknown = tokenizer.token_to_id("[UNK]")
    found = tokenizer.encode_batch([normalize_text(text) for text in texts], add_special_tokens=False)
    return [list(one.ids) if any(number != unknown for number in one.ids) else [] for one in found]


def special_token_ids(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Numbers of the marks of start, end and padding of a tokenizer from ``load_tokenizer``."""
    numbers: dict[str, int] = tokenizer.get_vocab()
    return numbers["[CLS]"], numbers["[SEP]"], numbers["[PAD]"]


def load_tokenizer(content: str) -> Tokenizer:
    """Reads ``tokenizer.json``; the program windows and pads by itself.

    Args:
        content: The file's text.

    Returns:
        A tokenizer without truncation and padding.

    Raises:
        ValueError: It is no tokenizer, or lacks one of BERT's special tokens.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"is no tokenizer ({error})") from None
    missing = [token for token in SPECIAL if tokenizer.token_to_id(token) is None]
    if missing:
        raise ValueError(f"is a tokenizer without {missing[0]}")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def trim_vocabulary(content: str, size: int, counts: Mapping[int, int]) -> tuple[str, list[int]]:
    """Keeps the part of a WordPiece vocabulary that English texts need.

    Kept are, in this order until ``size`` is reached: special tokens; Latin letters, digits and marks, alone and as
    continuations, so that every word can still be spelled; the tokens that the texts use most; then the smallest
    numbers, because BERT's vocabulary is ordered by frequency.

    Args:
        content: The text of ``tokenizer.json``.
        size: How many tokens to keep.
        counts: Token number to how often the texts hold it.

    Returns:
        The text of the smaller ``tokenizer.json``, and for each of its tokens the number it had, in order.
    """
    whole = json.loads(content)
    vocabulary: dict[str, int] = whole["model"]["vocab"]
    names = {number: token for token, number in vocabulary.items()}
    spelling = [number for token, number in vocabulary.items() if token in SPECIAL or _is_letter(token)]
    used = sorted(counts, key=lambda number: (-counts[number], number))
    rest = [number for number in sorted(names) if not names[number].startswith("[unused") and names[number].isascii()]
    kept = sorted(list(dict.fromkeys([*spelling, *used, *rest]))[:size])
    whole["model"]["vocab"] = {names[number]: index for index, number in enumerate(kept)}
    whole["added_tokens"] = [
        {**token, "id": whole["model"]["vocab"][token["content"]]} for token in whole["added_tokens"]
    ]
    for token, facts in whole["post_processor"]["special_tokens"].items():
        facts["ids"] = [whole["model"]["vocab"][token]]
    whole["truncation"] = whole["padding"] = None
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", kept


def _is_letter(token: str) -> bool:
    """Whether a token is one character that English texts hold, alone or as a continuation."""
    char = token.removeprefix("##")
    return len(char) == 1 and (char.isascii() or unicodedata.name(char, "").startswith("LATIN") or char in "£€°éñ")
