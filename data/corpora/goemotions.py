"""GoEmotions: 58,009 English Reddit comments, each with one or more of 27 emotions or neutral (Demszky et al. 2020).

Three files without a header, ``train.tsv``, ``dev.tsv`` and ``test.tsv``: text, label numbers separated by commas, the
comment's id. Names and religions are replaced by ``[NAME]`` and ``[RELIGION]``. Texts and labels are published under
Apache-2.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multimodal.data.corpora.text_corpus import TextCorpus, corpus_text
from multimodal.data.emotions import GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED
from multimodal.errors import CorpusError

PUBLISHED = {"train": 43_410, "dev": 5_426, "test": 5_427}
"""Comments per part on which at least two raters agreed."""

LABEL_FILES = ("emotions.txt", "labels.txt")
"""Names of the list of labels next to the parts; the first is the publishers' name."""


def read_goemotions(path: Path, part: str = "train", *, check_counts: bool = True) -> TextCorpus:
    r"""Reads one part.

    Args:
        path: A folder that contains the parts (itself or in ``data/``), or the file of the part.
        part: ``train``, ``dev`` or ``test``.
        check_counts: Whether the part must have the published number of comments.

    Returns:
        The comments in the order of the file; each is its own source.

    Raises:
        CorpusError: The part is unknown, a line is invalid, or labels or counts are not the published ones.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "dev.tsv").write_text("Is this New Orleans??\t7,26\ted0\n", encoding="utf-8")
        >>> corpus = read_goemotions(folder, "dev", check_counts=False)
        >>> corpus.groups.tolist()
        [[0, 0, 1, 0, 0, 0, 0]]

    Source: https://github.com/google-research/google-research/tree/master/goemotions (files and labels).
    """
    if part not in PUBLISHED:
        raise CorpusError(path, f"GoEmotions has no part {part!r}", f"choose one of {', '.join(PUBLISHED)}")
    file = _part_file(path, part)
    _check_labels(file.parent)
    rows = [_row(file, number, line) for number, line in enumerate(_lines(file), start=1)]
    if check_counts and len(rows) != PUBLISHED[part]:
        fact = f"the {part} part has {len(rows)} comments; {PUBLISHED[part]} were published"
        raise CorpusError(file, fact, "unpack the corpus again")
    targets = np.zeros((len(rows), len(GOEMOTIONS_LABELS)), np.uint8)
    for target, (_, numbers, _) in zip(targets, rows, strict=True):
        target[numbers] = 1
    texts, sources = tuple(row[0] for row in rows), tuple(row[2] for row in rows)
    return TextCorpus("goemotions", texts, targets, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED, sources)


def _part_file(path: Path, part: str) -> Path:
    if path.is_file():
        return path
    for folder in (path, path / "data"):
        if (folder / f"{part}.tsv").is_file():
            return folder / f"{part}.tsv"
    raise CorpusError(path, f"contains no {part}.tsv", "name the folder that contains it, or the file itself")


def _check_labels(folder: Path) -> None:
    """Checks that the list of labels next to the parts is the published one; otherwise numbers mean other labels."""
    for name in LABEL_FILES:
        if (folder / name).is_file():
            labels = tuple(corpus_text(folder / name).split())
            if labels != GOEMOTIONS_LABELS:
                raise CorpusError(folder / name, "is not the published list of 28 labels", "unpack the corpus again")


def _lines(file: Path) -> list[str]:
    # Comments contain line separators of Unicode, at which splitlines would split them.
    lines = corpus_text(file).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def _row(file: Path, number: int, line: str) -> tuple[str, list[int], str]:
    columns = line.split("\t")
    numbers = columns[1].split(",") if len(columns) == 3 else []
    if not numbers or not all(label.isdecimal() and int(label) < len(GOEMOTIONS_LABELS) for label in numbers):
        fact = f"line {number} is not a text, label numbers below {len(GOEMOTIONS_LABELS)} and an id"
        raise CorpusError(file, fact, "unpack the corpus again")
    return columns[0], [int(label) for label in numbers], columns[2]
