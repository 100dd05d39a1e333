"""Reads utterances of several sentences: piece by piece and as a whole, joined into one estimate.

A network that reads a whole answer reports the mood that prevails, but "confused at first, then pleased" is both.
Pieces are sentences, and clauses that a contrast or a sequence separates. An answer of particles alone ("No.", "I don't
know.") states agreement, refusal or doubt, which the training corpus counts as emotions; it is estimated as mostly
neutral. ``docs/log.md`` has the experiments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from multimodal.encoders.text import TextPrediction, mean_usability, read_texts
from multimodal.encoders.tokenization import is_emoji

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WHOLE_SHARE = 1 / 3
"""Share of the whole text's estimate in the joined one; the pieces have the rest."""

PARTICLE_WEIGHT = 0.15
"""Weight of the network's estimate of an answer of particles alone; the rest is neutral."""

SHORTEST_CLAUSE = 2
"""Minimum number of words of a clause; a shorter one stays with its neighbor."""

LONGEST_ABBREVIATION = 12
"""Characters before a mark that are looked at: more than any abbreviation or pronoun has."""

# Every pattern takes linear time: repetitions do not give back, and none starts inside what an earlier start has read.
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"')\]”’]*+(?:\s++[^\w\s\"'“‘(\[]++(?=\s))*+(?=\s)")
_CLAUSE_BREAK = re.compile(
    r"(?<!\s)(?:\s*;\s+|\s+(?:[–—]|--?)\s+|,?\s+(?=but\b(?! (?:to|for|also|not least)\b))|,?\s+(?=and then\b)"
    r"|,\s+(?=(?:then|though|although|however|yet|until)\b))",
    re.IGNORECASE,
)
_EXCEPT = re.compile(r"\b(?:all|none|nobody|(?:any|every|no)(?:body|one|thing))\Z", re.IGNORECASE)
"""Words after which "but" means "except" and separates nothing."""

_ABBREVIATION = re.compile(
    r"(?:mrs?|ms|dr|prof|st|jr|sr|vs|etc|approx|dept|fig|gen|lt|sgt|capt|inc|ltd|[a-hj-z]|(?:[a-z]\.)+[a-z])"
)
_WORD_BEFORE = re.compile(r"[\w.]*\Z")
_NOT_BLANK = re.compile(r"\S")
_EMPHASIS = re.compile(r"[!?*<>]|[:;=][-']?[()DPpOo/\\|\[\]]|\bxD\b|\boh,? (?:no|my)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CONTRACTION = re.compile(r"(?:'(?:s|m|re|ve|ll|d)|n't)\Z")

# fmt: off
PARTICLES = frozenset({
    # agreement, refusal, doubt
    "absolutely", "agreed", "alright", "aye", "certainly", "correct", "course", "definitely", "dunno", "exactly",
    "indeed", "maybe", "nah", "neither", "never", "no", "none", "nope", "nor", "not", "nothing", "ok", "okay",
    "perhaps", "possibly", "probably", "right", "sure", "totally", "true", "yea", "yeah", "yep", "yes", "yup",
    # fillers and backchannels
    "actually", "ah", "also", "anyway", "anyways", "basically", "eh", "either", "er", "erm", "hm", "hmm", "hmmm", "huh",
    "just", "literally", "mhm", "mm", "mmm", "now", "oh", "quite", "rather", "really", "so", "still", "then", "too",
    "uh", "um", "umm", "well", "whatever",
    # pronouns, articles, question words
    "a", "an", "he", "her", "here", "him", "his", "how", "i", "it", "its", "me", "my", "our", "she", "that", "the",
    "their", "them", "there", "these", "they", "this", "those", "us", "we", "what", "when", "where", "which", "who",
    "why", "you", "your",
    # auxiliaries, verbs of thinking and saying
    "am", "are", "be", "been", "can", "can't", "cannot", "could", "did", "do", "does", "done", "guess", "had", "has",
    "have", "is", "know", "may", "might", "must", "say", "see", "shall", "should", "suppose", "think", "was", "were",
    "will", "won't", "would",
    # connections
    "and", "as", "at", "but", "for", "if", "in", "of", "on", "or", "to", "with",
    # numbers
    "eight", "eleven", "fifty", "first", "five", "forty", "four", "half", "hundred", "nine", "one", "ones", "second",
    "seven", "six", "ten", "third", "thirty", "thousand", "three", "twelve", "twenty", "two", "zero",
})
# fmt: on
"""Words without a sign of emotion: they state agreement or refusal, doubt, a number or a relation, or fill a pause."""


def is_particles(text: str) -> bool:
    """Whether a text consists of particles and numbers alone, without a mark of emphasis, a question or an emoticon.

    Args:
        text: Any text.

    Returns:
        True if all of its words are in ``PARTICLES``, contractions of them, or numbers; False without words.

    Example:
        >>> [is_particles(text) for text in ("No.", "Well, I don't know.", "12", "No!", "Great.", "Oh no.")]
        [True, True, True, False, False, False]
    """
    plain = text.replace("’", "'").casefold()
    words = _WORD.findall(plain)
    if not words or _EMPHASIS.search(plain) or any(map(is_emoji, plain)):
        return False
    return all(word in PARTICLES or word.isdecimal() or _CONTRACTION.sub("", word) in PARTICLES for word in words)


def split_text(text: str) -> list[str]:
    """Splits a text into sentences, and sentences into clauses at "but", "then", a semicolon or a dash.

    Args:
        text: Any text, such as an utterance or a typed answer.

    Returns:
        The pieces in order, without the blanks and commas between them; empty for a text of blanks. A piece without a
        letter or a pictogram stays with its neighbor.

    Example:
        >>> split_text("Dr. No took 3.5 minutes. I was confused at first, but then it was fun! :) Great.")
        ['Dr. No took 3.5 minutes.', 'I was confused at first', 'but then it was fun! :)', 'Great.']
    """
    sentences, start = list[tuple[int, int]](), 0
    for match in _SENTENCE_END.finditer(text):
        if _ends_sentence(text, match):
            sentences.append((start, match.end()))
            start = match.end()
    sentences.append((start, len(text)))
    spans = [span for first, last in sentences for span in _clauses(text, first, last)]
    pieces = (text[first:last].strip(" \t\r\n,;–—") for first, last in _merge(text, spans, _has_word, 1))
    return [piece for piece in pieces if piece]


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Whether a mark ends a sentence, rather than an abbreviation or a hesitation within it."""
    marks = match.group().split()[0]
    following = _next_character(text, match.end())
    if len(marks) > 1 or marks == "…":
        return not following.islower() or marks[-1] in "!?"
    if marks in "!?":
        return True
    before = _WORD_BEFORE.search(text[max(match.start() - LONGEST_ABBREVIATION, 0) : match.start()])
    word = before.group().casefold() if before else ""
    is_number = word == "no" and following.isdecimal()
    return not (is_number or _ABBREVIATION.fullmatch(word))


def _next_character(text: str, start: int) -> str:
    match = _NOT_BLANK.search(text, start)
    return match.group() if match else ""


def _clauses(text: str, first: int, last: int) -> list[tuple[int, int]]:
    """Divides one sentence, given by its place in the text; returns the places of its clauses."""
    clauses, start = list[tuple[int, int]](), first
    for match in _CLAUSE_BREAK.finditer(text, first, last):
        is_but = text[match.end() : match.end() + 3].casefold() == "but"
        if not (is_but and _EXCEPT.search(text[max(match.start() - LONGEST_ABBREVIATION, first) : match.start()])):
            clauses.append((start, match.start()))
            start = match.end()
    return _merge(text, [*clauses, (start, last)], lambda piece: len(piece.split()), SHORTEST_CLAUSE)


def _has_word(piece: str) -> int:
    return any(char.isalpha() or is_emoji(char) for char in piece)


def _merge(
    text: str, spans: Iterable[tuple[int, int]], size: Callable[[str], int], least: int
) -> list[tuple[int, int]]:
    """Merges spans below the least size with the one before, a first one with the one after; sizes add up."""
    merged, sizes = list[tuple[int, int]](), list[int]()
    for first, last in spans:
        own = size(text[first:last])
        if merged and min(own, sizes[-1]) < least:
            merged[-1], sizes[-1] = (merged[-1][0], last), sizes[-1] + own
        else:
            merged.append((first, last))
            sizes.append(own)
    return merged


def read_utterances(
    network: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    temperature: float = 1.0,
    usability_temperature: float = 1.0,
    window_tokens: int = 128,
    batch_size: int = 32,
    neutral: int | None = 0,
    usability_neutral: int | None = None,
) -> list[TextPrediction | None]:
    """Estimates emotions from utterances of any length, sentence by sentence.

    The probabilities of an utterance of several pieces are the mean of the whole text's (``WHOLE_SHARE``) and those of
    the pieces, weighted by the square root of their tokens times 1 - neutral: a piece counts by its length and by what
    it tells of emotions. Usability labels are joined in the same way, by 1 - the usability label neutral. A single
    piece gets the estimate of ``read_texts``, except that an answer of particles alone is shifted towards neutral.

    Args:
        network: As for ``read_texts``.
        tokenizer: As for ``read_texts``.
        texts: Utterances or typed answers.
        temperature: As for ``read_texts``.
        usability_temperature: As for ``read_texts``.
        window_tokens: As for ``read_texts``.
        batch_size: As for ``read_texts``.
        neutral: Position of the label neutral; None for a network without it.
        usability_neutral: Position of the usability label neutral; None for a network without it.

    Returns:
        A prediction per text, in order; None for a text without words. The states of several pieces are those of each
        piece, one after the other.
    """
    pieces = [parts if len(parts := split_text(text)) > 1 else [] for text in texts]
    every_text = [*texts, *(piece for parts in pieces for piece in parts)]
    predictions = read_texts(
        network,
        tokenizer,
        every_text,
        temperature=temperature,
        usability_temperature=usability_temperature,
        window_tokens=window_tokens,
        batch_size=batch_size,
    )
    predictions = [
        _towards_neutral(prediction, neutral, usability_neutral)
        if prediction is not None and is_particles(text)
        else prediction
        for text, prediction in zip(every_text, predictions, strict=True)
    ]
    joined, position = list[TextPrediction | None](), len(texts)
    for whole, parts in zip(predictions[: len(texts)], pieces, strict=True):
        read = [each for each in predictions[position : position + len(parts)] if each is not None]
        position += len(parts)
        alone = whole is None or len(read) < 2
        joined.append(whole if whole is None or alone else _join(whole, read, neutral, usability_neutral))
    return joined


def _towards_neutral(prediction: TextPrediction, neutral: int | None, usability_neutral: int | None) -> TextPrediction:
    changed = prediction
    if neutral is not None:
        changed = replace(changed, probabilities=_shifted(changed.probabilities, neutral))
    if usability_neutral is not None and changed.usability is not None:
        changed = replace(changed, usability=_shifted(changed.usability, usability_neutral))
    return changed


def _shifted(probabilities: NDArray[np.float64], neutral: int) -> NDArray[np.float64]:
    shifted = PARTICLE_WEIGHT * probabilities
    shifted[neutral] += 1 - PARTICLE_WEIGHT
    return shifted


def _join(
    whole: TextPrediction, pieces: Sequence[TextPrediction], neutral: int | None, usability_neutral: int | None
) -> TextPrediction:
    """Joins the estimates of a text's pieces with that of the whole text."""
    lengths = np.sqrt([len(piece.states) for piece in pieces])
    weights = lengths
    if neutral is not None:
        weights = lengths * np.maximum([1 - piece.probabilities[neutral] for piece in pieces], 1e-6)

    def mean(name: str) -> NDArray[np.float64]:
        average = np.average([getattr(piece, name) for piece in pieces], axis=0, weights=weights)
        joined: NDArray[np.float64] = WHOLE_SHARE * getattr(whole, name) + (1 - WHOLE_SHARE) * average
        return joined

    usability = None
    if whole.usability is not None:
        if usability_neutral is not None:
            told = [1 - piece.usability[usability_neutral] for piece in pieces if piece.usability is not None]
            lengths = lengths * np.maximum(told, 1e-6)
        average = mean_usability(pieces, lengths)
        usability = None if average is None else WHOLE_SHARE * whole.usability + (1 - WHOLE_SHARE) * average
    return TextPrediction(
        mean("probabilities"),
        mean("scores"),
        mean("native_scores"),
        np.concatenate([piece.states for piece in pieces]),
        mean("embedding").astype(np.float32),
        usability,
    )
