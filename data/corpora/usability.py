"""The project's own corpus of usability-test and interview talk: sentences and dialogues, written for it.

Sentences and turns bear GoEmotions' labels, of which the first is the main one, and a usability label. Tables with a
header, tab-separated, without quotation marks: ``train.tsv``, ``dev.tsv``, ``test.tsv`` (``text emotions group
usability kind topic author level``) and ``<part>_dialogues.tsv`` (``dialogue turn speaker text emotions group
usability topic author``; speaker ``P`` is the participant, ``M`` the moderator). Two more columns hold what a second
reader labeled otherwise; they are not read here. ``second.tsv`` is a second volume, read by its name. No author is in
two parts. The corpus is part of the package, see ``usability/README.md``; license CC0.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.text_corpus import TextCorpus, corpus_text
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED
from multimodal.errors import CorpusError
from multimodal.types import USABILITY_LABELS

KINDS = (
    *("frustration", "confusion", "doubt", "worry", "delight", "satisfaction", "relief", "boredom", "disappointment"),
    *("understatement", "sarcasm", "negation_positive", "negation_negative", "conditional", "reported", "narration"),
    *("question", "suggestion", "complaint", "surprise", "embarrassment", "disgust", "mixed"),
)
"""What a sentence was written as an example of."""

SECOND_COLUMNS = ("second_emotions", "second_usability")
"""Labels of the second reader where they differ from the author's, else empty."""

SENTENCE_COLUMNS = ("text", "emotions", "group", "usability", "kind", "topic", "author", "level", *SECOND_COLUMNS)
DIALOGUE_COLUMNS = (
    *("dialogue", "turn", "speaker", "text", "emotions", "group", "usability", "topic", "author"),
    *SECOND_COLUMNS,
)

SPEAKERS = ("P", "M")
"""Participant and moderator."""


@dataclass(frozen=True)
class UsabilityCorpus(TextCorpus):
    """Texts with GoEmotions' labels, one main emotion and one usability label each.

    Attributes:
        main: ``(n,)`` int64 index in ``FUSED_LABELS`` of the group of the main emotion.
        usability: ``(n,)`` int64 index in ``USABILITY_LABELS``.
        kinds: ``n`` names of ``KINDS``; empty for the turns of dialogues.

    Raises:
        ValueError: The numbers of texts and labels differ.
    """

    main: NDArray[np.int64]
    usability: NDArray[np.int64]
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.main) == len(self.usability) == len(self.kinds) == len(self.texts):
            raise ValueError(f"{len(self.texts)} texts and {len(self.usability)} usability labels")

    def subset(self, keep: NDArray[np.bool_]) -> UsabilityCorpus:
        """The texts for which ``keep``, ``(n,)``, is true.

        Args:
            keep: ``(n,)`` bool.

        Returns:
            A smaller corpus.
        """
        base = super().subset(keep)
        inherited = {field.name: getattr(base, field.name) for field in fields(TextCorpus)}
        kinds = tuple(itertools.compress(self.kinds, keep))
        return UsabilityCorpus(**inherited, main=self.main[keep], usability=self.usability[keep], kinds=kinds)


@dataclass(frozen=True)
class Dialogue:
    """One session or interview, turn by turn.

    Attributes:
        name: Name of the dialogue; its author is the part before the last hyphen or the author's column.
        speakers: Per turn ``P`` or ``M``.
        turns: The turns in order, as a corpus.
    """

    name: str
    speakers: tuple[str, ...]
    turns: UsabilityCorpus


def shipped_corpus() -> Path:
    """The folder of the corpus inside the installed package."""
    return Path(str(resources.files("multimodal.data.corpora") / "usability"))


def read_usability(path: Path | None = None, part: str = "train", *, check_counts: bool = True) -> UsabilityCorpus:
    """Reads the sentences of one part.

    Args:
        path: A folder with the parts, or the file of the part; None for the corpus in the package.
        part: ``train``, ``dev`` or ``test``.
        check_counts: Not used; every reader has it.

    Returns:
        The sentences; the source is the author.

    Raises:
        CorpusError: A file is missing, a label is unknown, or a group is not that of the main emotion.

    Example:
        >>> corpus = read_usability(part="dev")
        >>> len(corpus.labels), set(corpus.kinds) <= set(KINDS)
        (28, True)
    """
    folder = shipped_corpus() if path is None else path
    file = folder if folder.is_file() else folder / f"{part}.tsv"
    rows = _table(file, SENTENCE_COLUMNS)
    for number, row in enumerate(rows, start=2):
        if row["kind"] not in KINDS:
            raise _invalid(file, number, f"the unknown kind {row['kind']!r}", KINDS)
    return _corpus(file, rows, [row["kind"] for row in rows])


def read_dialogues(path: Path | None = None, part: str = "train") -> list[Dialogue]:
    """Reads the dialogues of one part.

    Args:
        path: A folder with the parts; None for the corpus in the package.
        part: ``train``, ``dev`` or ``test``.

    Returns:
        The dialogues in the order of the file; the source of a turn is the author.

    Raises:
        CorpusError: A file is missing, a label is unknown, or the turns of a dialogue are not numbered in order.

    Example:
        >>> dialogue = read_dialogues(part="dev")[0]
        >>> len(dialogue.speakers) == len(dialogue.turns)
        True
    """
    file = (shipped_corpus() if path is None else path) / f"{part}_dialogues.tsv"
    rows = _table(file, DIALOGUE_COLUMNS)
    dialogues, start = list[Dialogue](), 0
    for name, group in itertools.groupby(rows, key=lambda row: row["dialogue"]):
        turns = list(group)
        for number, row in enumerate(turns):
            if row["turn"] != str(number + 1):
                fact = f"line {start + number + 2}: turn {row['turn']!r} of dialogue {name!r} is out of order"
                raise CorpusError(file, fact, "number the turns of each dialogue from 1")
            if row["speaker"] not in SPEAKERS:
                raise _invalid(file, start + number + 2, f"the unknown speaker {row['speaker']!r}", SPEAKERS)
        corpus = _corpus(file, turns, [""] * len(turns), start)
        dialogues.append(Dialogue(name, tuple(row["speaker"] for row in turns), corpus))
        start += len(turns)
    return dialogues


def _table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    lines = [line for line in corpus_text(file).replace("\r\n", "\n").split("\n") if line]
    header = tuple(lines[0].split("\t")) if lines else ()
    if header != tuple(columns):
        raise CorpusError(file, "has other columns", f"give a first line with {', '.join(columns)}, tab-separated")
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(columns):
            fact = f"line {number} has {len(row)} columns instead of {len(columns)}"
            raise CorpusError(file, fact, "separate the columns by one tab each")
    if not rows:
        raise CorpusError(file, "contains no text", "install the package again")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _corpus(file: Path, rows: Sequence[dict[str, str]], kinds: Sequence[str], first: int = 0) -> UsabilityCorpus:
    targets = np.zeros((len(rows), len(GOEMOTIONS_LABELS)), np.uint8)
    main, usability = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for index, row in enumerate(rows):
        line, emotions = first + index + 2, row["emotions"].split(",")
        for emotion in emotions:
            if emotion not in GOEMOTIONS_LABELS:
                raise _invalid(file, line, f"the unknown emotion {emotion!r}", GOEMOTIONS_LABELS)
            targets[index, GOEMOTIONS_LABELS.index(emotion)] = 1
        group = main_group(emotions[0], row["usability"], row.get("speaker", "P"))
        if row["group"] != group:
            fact = f"line {line} has the group {row['group']!r}; that of {emotions[0]} is {group}"
            raise CorpusError(file, fact, "write the group of the first emotion")
        if row["usability"] not in USABILITY_LABELS:
            raise _invalid(file, line, f"the unknown usability label {row['usability']!r}", USABILITY_LABELS)
        main[index], usability[index] = FUSED_LABELS.index(group), USABILITY_LABELS.index(row["usability"])
    texts, sources = tuple(row["text"] for row in rows), tuple(row["author"] for row in rows)
    base = ("usability", texts, targets, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED, sources)
    return UsabilityCorpus(*base, main=main, usability=usability, kinds=tuple(kinds))


def main_group(emotion: str, usability: str, speaker: str = "P") -> str:
    """The one of the seven emotions that a text shows.

    Args:
        emotion: The main emotion, one of ``GOEMOTIONS_LABELS``.
        usability: One of ``USABILITY_LABELS``.
        speaker: One of ``SPEAKERS``.

    Returns:
        The group of the emotion; neutral for a suggestion that only wishes, and for a moderator's curiosity.

    Example:
        >>> main_group("desire", "suggestion"), main_group("annoyance", "frustration")
        ('neutral', 'anger')
    """
    wish = usability == "suggestion" and emotion in ("desire", "optimism")
    asked = speaker == "M" and emotion == "curiosity"
    return "neutral" if wish or asked else str(GOEMOTIONS_TO_FUSED[emotion])


def _invalid(file: Path, line: int, fact: str, choices: Sequence[str]) -> CorpusError:
    return CorpusError(file, f"line {line} has {fact}", f"use one of {', '.join(choices)}")
