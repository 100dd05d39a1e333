"""Corpora of labeled texts, one reader each: GoEmotions, the usability talk of this project, MELD and others.

Licenses: MELD GPL-3.0 (subtitles of a television series), ISEAR CC BY-NC-SA 3.0, DailyDialog CC BY-NC-SA 4.0, IEMOCAP
by agreement with its owners.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.corpora.iemocap import IEMOCAP, PUBLISHED_SESSIONS, read_iemocap
from multimodal.data.corpora.text_corpus import TextCorpus, corpus_text
from multimodal.data.corpora.usability import read_usability
from multimodal.data.emotions import (
    DAILYDIALOG_LABELS,
    DAILYDIALOG_TO_FUSED,
    FUSED_LABELS,
    GOEMOTIONS_TO_FUSED,
    ISEAR_LABELS,
    ISEAR_TO_FUSED,
    MELD_LABELS,
    MELD_TO_FUSED,
)
from multimodal.errors import CorpusError

PARTS = ("train", "dev", "test")

MELD_PUBLISHED = {"train": 9_989, "dev": 1_109, "test": 2_610}
"""Utterances per part (https://github.com/declare-lab/MELD)."""

ISEAR_PUBLISHED = 7_666
"""Reports of all parts together."""

DAILYDIALOG_PUBLISHED = {"train": 11_118, "dev": 1_000, "test": 1_000}
"""Dialogues per part."""

IEMOCAP_SESSIONS = {"train": (1, 2, 3), "dev": (4,), "test": (5,)}
"""No two sessions share a speaker."""

DAILYDIALOG_FOLDERS = {"train": "train", "dev": "validation", "test": "test"}

UNEVEN_DIALOGUES = 5
"""Dialogues with more or fewer emotions than utterances are skipped; more such dialogues mean unrelated files."""

CP1252 = {code: bytes([code]).decode("cp1252") for code in (*range(0x82, 0x8D), *range(0x91, 0x9D))}
"""MELD's CSV contains Windows quotation marks as control characters."""


def read_text_corpus(corpus: str, path: Path | None, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    """Reads one part of a corpus.

    Args:
        corpus: One of ``TEXT_CORPORA``.
        path: Its folder, or the file of the part; None for a corpus that the package contains (``SHIPPED``).
        part: ``train``, ``dev`` or ``test``.
        check_counts: Whether the part must have the published number of texts.

    Returns:
        The texts and their labels.

    Raises:
        CorpusError: The corpus or part is unknown, a file is missing or invalid, or the counts differ.
    """
    if corpus not in TEXT_CORPORA:
        fact = f"cannot be read as {corpus!r}: unknown text corpus"
        raise CorpusError(path or corpus, fact, f"choose one of {', '.join(TEXT_CORPORA)}")
    if path is None and corpus not in SHIPPED:
        raise CorpusError(corpus, "is not part of the package", "name its folder")
    if part not in PARTS:
        raise CorpusError(path or corpus, f"has no part {part!r}", f"choose one of {', '.join(PARTS)}")
    return TEXT_CORPORA[corpus](path, part, check_counts=check_counts)


def evaluation_split(path: Path) -> str:
    r"""The part of a corpus to evaluate on, if none is named.

    Args:
        path: A folder with files or folders named after parts (itself or in ``data/``), or one file.

    Returns:
        ``dev``; ``test`` where a folder holds that part and no ``dev`` (or ``validation``).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test.tsv").write_text("Is this New Orleans??\t7,26\ted0\n", encoding="utf-8")
        >>> evaluation_split(folder), evaluation_split(folder / "test.tsv")
        ('test', 'dev')
    """
    entries = [entry for folder in (path, path / "data") if folder.is_dir() for entry in folder.iterdir()]
    names = {re.split(r"[._]", entry.name)[0] for entry in entries}
    return "test" if "test" in names and names.isdisjoint(("dev", DAILYDIALOG_FOLDERS["dev"])) else "dev"


def read_meld(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    """Reads MELD's ``<part>_sent_emo.csv``: utterances of a television series (Poria et al. 2019, arXiv 1810.02508).

    Args:
        path: The folder, or the file of the part.
        part: ``train``, ``dev`` or ``test``.
        check_counts: Whether the part must have the published number of utterances.

    Returns:
        The utterances; the source is the dialogue.

    Raises:
        CorpusError: The file is missing, lacks a column, has an unknown label, or the counts differ.
    """
    file = path if path.is_file() else path / f"{part}_sent_emo.csv"
    rows = _table(file, ("Utterance", "Emotion", "Dialogue_ID"))
    texts = [row["Utterance"].translate(CP1252) for row in rows]
    labels = [[row["Emotion"].strip().lower()] for row in rows]
    sources = [f"{part} {row['Dialogue_ID']}" for row in rows]
    _check_count(file, check_counts, len(rows), MELD_PUBLISHED[part], "utterances")
    return _corpus("meld", file, texts, labels, MELD_LABELS, MELD_TO_FUSED, sources)


def read_isear(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    """Reads ISEAR's table: situations that students in 37 countries reported (Scherer and Wallbott 1994).

    The published table has no parts; eight of ten people are in the training part, one each in the others.

    Args:
        path: The table, or a folder with ``isear.csv``; columns ``ID``, ``SIT`` and ``Field1`` (or ``EMOT``, from 1).
        part: ``train``, ``dev`` or ``test``.
        check_counts: Whether the table must have the published number of reports, of all parts together.

    Returns:
        The reports; the source is the person.

    Raises:
        CorpusError: The table is missing, lacks a column, has an unknown label, or the counts differ.
    """
    file = path if path.is_file() else path / "isear.csv"
    rows = _table(file, ("ID", "SIT"))
    _check_count(file, check_counts, len(rows), ISEAR_PUBLISHED, "reports")
    # "[ No response.]" and similar texts mean no report; á is a line break of the original database.
    reports = [row for row in rows if row["SIT"].strip() and not row["SIT"].lstrip().startswith("[")]
    rows = [row for row in reports if _part_of_source(row["ID"]) == part]
    texts = [" ".join(row["SIT"].replace("á\n", " ").split()) for row in rows]
    labels = [[_isear_label(row)] for row in rows]
    return _corpus("isear", file, texts, labels, ISEAR_LABELS, ISEAR_TO_FUSED, [row["ID"] for row in rows])


def _isear_label(row: Mapping[str, str]) -> str:
    if row.get("Field1"):
        return row["Field1"].strip().lower()
    number = row.get("EMOT") or ""
    return dict(zip("1234567", ISEAR_LABELS, strict=True)).get(number, number)


def _part_of_source(source: str) -> str:
    """The part of a source in a corpus without parts, by its hash: eight, one and one of ten."""
    tenth = hashlib.sha256(source.encode("utf-8", "replace")).digest()[0] * 10 // 256
    return {8: "dev", 9: "test"}.get(tenth, "train")


def read_dailydialog(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    """Reads DailyDialog: everyday dialogues from pages for learners of English (Li et al. 2017, arXiv 1710.03957).

    Args:
        path: The folder that contains ``train``, ``validation`` and ``test``, or the folder of the part; in it
            ``dialogues_<part>.txt`` and ``dialogues_emotion_<part>.txt``.
        part: ``train``, ``dev`` or ``test``.
        check_counts: Whether the part must have the published number of dialogues.

    Returns:
        The utterances; the source is the dialogue.

    Raises:
        CorpusError: A file is missing, the two files do not match, a label is unknown, or the counts differ.
    """
    name = DAILYDIALOG_FOLDERS[part]
    folder = path / name if (path / name).is_dir() else path
    file = folder / f"dialogues_{name}.txt"
    dialogues = [line for line in corpus_text(file).split("\n") if line.strip()]
    numbers = [
        line.split() for line in corpus_text(folder / f"dialogues_emotion_{name}.txt").split("\n") if line.strip()
    ]
    _check_count(file, check_counts, len(dialogues), DAILYDIALOG_PUBLISHED[part], "dialogues")
    turns = [[text.strip() for text in line.split("__eou__") if text.strip()] for line in dialogues]
    even = [index for index, (texts, row) in enumerate(zip(turns, numbers, strict=False)) if len(texts) == len(row)]
    if len(turns) != len(numbers) or len(turns) - len(even) > UNEVEN_DIALOGUES:
        fact = f"has {len(turns)} dialogues; {len(even)} of them have as many emotions as utterances"
        raise CorpusError(file, fact, "unpack the corpus again")
    names = {str(number): label for number, label in enumerate(DAILYDIALOG_LABELS)}
    texts = [text for index in even for text in turns[index]]
    labels = [[names.get(number, number)] for index in even for number in numbers[index]]
    sources = [f"{part} {index}" for index in even for _ in turns[index]]
    return _corpus("dailydialog", file, texts, labels, DAILYDIALOG_LABELS, DAILYDIALOG_TO_FUSED, sources)


def read_iemocap_words(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    """Reads the words of IEMOCAP's labeled turns; sound and video are not needed.

    Args:
        path: ``IEMOCAP_full_release``, or the folder above it.
        part: ``train`` (sessions 1 to 3), ``dev`` (4) or ``test`` (5).
        check_counts: Whether these sessions must have the published number of labeled turns.

    Returns:
        The turns that were transcribed; the source is the dialogue.

    Raises:
        CorpusError: The folder does not contain these sessions, a line is invalid, or the counts differ.
    """
    sessions = IEMOCAP_SESSIONS[part]
    turns = [turn for turn in read_iemocap(path, check_counts=False) if turn.session in sessions]
    _check_count(path, check_counts, len(turns), sum(PUBLISHED_SESSIONS[one] for one in sessions), "labeled turns")
    pairs = [(turn, turn.text) for turn in turns if turn.text]
    native, table = IEMOCAP.labels, IEMOCAP.to_fused
    texts, labels = [text for _, text in pairs], [[turn.label] for turn, _ in pairs]
    return _corpus("iemocap", path, texts, labels, native, table, [turn.dialogue for turn, _ in pairs])


def read_plain_csv(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    r"""Reads a table of your own: columns ``text`` and ``label``, and ``source`` where texts belong together.

    Args:
        path: The file, or a folder with ``<part>.csv``. Several labels of one text are separated by ``|``; each is one
            of ``FUSED_LABELS`` or of GoEmotions' labels.
        part: ``train``, ``dev`` or ``test``.
        check_counts: Not used; every reader has it.

    Returns:
        The texts; without a column ``source`` each is its own.

    Raises:
        CorpusError: The file is missing, lacks a column, or has an unknown label.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = file.write_text("text,label\nIt crashed again.,anger|sadness\n", encoding="utf-8")
        >>> read_plain_csv(file).groups.tolist()
        [[0, 0, 0, 1, 1, 0, 0]]
    """
    file = path if path.is_file() else path / f"{part}.csv"
    rows = _table(file, ("text", "label"))
    table = {**GOEMOTIONS_TO_FUSED, **{label: label for label in FUSED_LABELS}}
    labels = [[label.strip().lower() for label in row["label"].split("|")] for row in rows]
    occurring = {label for several in labels for label in several}
    # Only labels that occur, so that a network has no output without a training text.
    occurring_labels = tuple(label for label in table if label in occurring)
    sources = [row.get("source") or f"{number} {row['text']}" for number, row in enumerate(rows)]
    return _corpus("csv", file, [row["text"] for row in rows], labels, occurring_labels, table, sources, tuple(table))


TEXT_CORPORA: Mapping[str, Callable[..., TextCorpus]] = {
    "goemotions": read_goemotions,
    "usability": read_usability,
    "meld": read_meld,
    "isear": read_isear,
    "dailydialog": read_dailydialog,
    "iemocap": read_iemocap_words,
    "csv": read_plain_csv,
}
"""Name of a corpus to its reader."""

SHIPPED = ("usability",)
"""Corpora that the package contains."""


def _table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV with a header, separated by commas, semicolons, tabs or bars."""
    text = corpus_text(file)
    header = text.partition("\n")[0]
    separator = max(",;\t|", key=header.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval="")
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            fact = f"has no column {missing[0]!r}"
            raise CorpusError(file, fact, f"give a table with a first line that names {', '.join(columns)}")
        return [{str(key): str(value) for key, value in row.items()} for row in reader]
    except csv.Error as error:
        raise CorpusError(file, f"is not a CSV file ({error})", "unpack the corpus again") from None


def _check_count(file: Path, check: bool, count: int, published: int, unit: str) -> None:
    if check and count != published:
        raise CorpusError(file, f"has {count} {unit}; {published} were published", "unpack the corpus again")


def _corpus(
    name: str,
    file: Path,
    texts: Sequence[str],
    labels: Sequence[Sequence[str]],
    native: tuple[str, ...],
    table: Mapping[str, str | None],
    sources: Sequence[str],
    choices: Sequence[str] = (),
) -> TextCorpus:
    """Makes a corpus of rows; an error names an unknown label and its text."""
    targets = np.zeros((len(texts), len(native)), np.uint8)
    for number, (target, several) in enumerate(zip(targets, labels, strict=True), start=1):
        for label in several:
            if label not in native:
                fact = f"text {number} has the unknown label {label!r}"
                raise CorpusError(file, fact, f"use one of {', '.join(choices or native)}")
            target[native.index(label)] = 1
    if not len(texts):
        raise CorpusError(file, "contains no text", "unpack the corpus again")
    return TextCorpus(name, tuple(texts), targets, native, table, tuple(sources))
