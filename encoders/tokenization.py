"""From text to token numbers: how text is normalized, and how BERT's vocabulary is trimmed to what English needs.

The tokenizer is one file, ``tokenizer.json`` of the ``tokenizers`` library, beside the weights. BERT's ignores case. A
word that is not in the vocabulary is spelled by its pieces, down to single letters.

Source: Wu et al. 2016 (WordPiece, arXiv 1609.08144), Devlin et al. 2019 (the vocabulary of BERT, uncased).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "})
"""Typographic marks and their plain forms, which keyboards and recognizers write."""

EMOJI_PARTS = {"\ufe0e", "\ufe0f", "\u200d", *map(chr, range(0x1F3FB, 0x1F400))}
"""Variation selectors, the joiner and skin tones: they change the look of an emoji, not its meaning."""

SILENT = " \t\r\n.…-–—_*•"
"""Characters of a text without words."""


def normalize_text(text: str) -> str:
    """Replaces typographic quotation marks by straight ones and emoji by words, which BERT's vocabulary contains.

    Args:
        text: Any text.

    Returns:
        The text for the tokenizer; empty if it has only blanks, dots and dashes.

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

    Args:
        char: One character.

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
    """Token numbers of texts without truncation, without marks of start and end.

    Args:
        tokenizer: A tokenizer of ``load_tokenizer``.
        texts: Any texts.

    Returns:
        A list per text; empty if the text has no word that the vocabulary can spell.
    """
    unknown = _special_id(tokenizer, "unk")
    encodings = tokenizer.encode_batch([normalize_text(text) for text in texts], add_special_tokens=False)
    return [list(each.ids) if any(number != unknown for number in each.ids) else [] for each in encodings]


class TokenMarks(NamedTuple):
    """Token numbers that stand around every text.

    Attributes:
        start: Before the text; BERT's ``[CLS]``. Empty for types that have none.
        end: After the text; BERT's ``[SEP]``.
        padding: Fills up the shorter texts of a batch.
    """

    start: tuple[int, ...]
    end: tuple[int, ...]
    padding: int

    def around(self, ids: Sequence[int]) -> list[int]:
        """Puts the marks around token numbers.

        Args:
            ids: Token numbers of a text.

        Returns:
            Token numbers with the marks.
        """
        return [*self.start, *ids, *self.end]

    def room(self, window_tokens: int) -> int:
        """Number of tokens of a text that fit into a window with the marks.

        Args:
            window_tokens: Tokens of a window.

        Returns:
            Number of tokens.
        """
        return window_tokens - len(self.start) - len(self.end)


def token_marks(tokenizer: Tokenizer) -> TokenMarks:
    """Finds the marks of a tokenizer from ``load_tokenizer``.

    Start and end are what the tokenizer itself puts around a text. Without a padding token, padding is 0: masked
    positions are never read.

    Args:
        tokenizer: The tokenizer.
    """
    encoding = tokenizer.encode("a")
    ids, special = encoding.ids, [bool(flag) for flag in encoding.special_tokens_mask]
    first = special.index(False) if False in special else 0
    last = len(ids) - special[::-1].index(False) if False in special else 0
    padding = _special_id(tokenizer, "pad")
    return TokenMarks(tuple(ids[:first]), tuple(ids[last:]), 0 if padding is None else padding)


def _special_id(tokenizer: Tokenizer, name: str) -> int | None:
    """The number of the special token with a name in its text: ``[PAD]`` and ``<pad>`` for ``pad``."""
    tokens = tokenizer.get_added_tokens_decoder().items()
    return next((number for number, token in sorted(tokens) if token.special and name in token.content.lower()), None)


def load_tokenizer(content: str, special: Sequence[str] = SPECIAL) -> Tokenizer:
    """Reads ``tokenizer.json`` without its truncation and padding.

    Args:
        content: The file's text.
        special: Tokens that it must have; BERT's unless told otherwise.

    Returns:
        A tokenizer without truncation and padding.

    Raises:
        ValueError: It is no tokenizer, or lacks one of the special tokens.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"is no tokenizer ({error})") from None
    missing = [token for token in special if tokenizer.token_to_id(token) is None]
    if missing:
        raise ValueError(f"is a tokenizer without {missing[0]}")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def trim_vocabulary(content: str, size: int, counts: Mapping[int, int]) -> tuple[str, list[int]]:
    """Trims a WordPiece vocabulary to the part that English texts need.

    The result holds, in this order until ``size`` is reached: special tokens; Latin letters, digits and marks, alone
    and as continuations, so that every word can be spelled; the most frequent tokens of the texts; then the smallest
    numbers, because BERT's vocabulary is ordered by frequency.

    Args:
        content: The text of ``tokenizer.json``.
        size: Number of tokens to keep.
        counts: Token number to its frequency in the texts.

    Returns:
        The text of the smaller ``tokenizer.json``, and the former number of each of its tokens, in order.
    """
    whole = json.loads(content)
    vocabulary: dict[str, int] = whole["model"]["vocab"]
    names = {number: token for token, number in vocabulary.items()}
    spelling = [number for token, number in vocabulary.items() if token in SPECIAL or _is_letter(token)]
    used = sorted(counts, key=lambda number: (-counts[number], number))
    rest = [number for number in sorted(names) if not names[number].startswith("[unused") and names[number].isascii()]
    numbers = sorted(list(dict.fromkeys([*spelling, *used, *rest]))[:size])
    whole["model"]["vocab"] = {names[number]: index for index, number in enumerate(numbers)}
    whole["added_tokens"] = [
        {**token, "id": whole["model"]["vocab"][token["content"]]} for token in whole["added_tokens"]
    ]
    for token, facts in whole["post_processor"]["special_tokens"].items():
        facts["ids"] = [whole["model"]["vocab"][token]]
    whole["truncation"] = whole["padding"] = None
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")) + "\n", numbers


def _is_letter(token: str) -> bool:
    """Whether a token is one character of English texts, alone or as a continuation."""
    char = token.removeprefix("##")
    return len(char) == 1 and (char.isascii() or unicodedata.name(char, "").startswith("LATIN") or char in "£€°éñ")
