"""CMU-MOSI: people who review films to a camera, each utterance positive or negative.

Read is the training part in the form of Poria et al. 2017: one vector of the voice and one of the face per utterance.
Three files with rows in the same order: ``words.csv`` (columns video, utterance, words, polarity), ``audio.csv`` (73
features of openSMILE) and ``face.csv`` (100 features of a convolutional network), the latter two without a header.

The corpus is for research. The face features hold the labels of these very videos (``docs/accuracy.md`` shows it), so
figures that use them on these videos are too good.

Source: Zadeh et al. 2016 (arXiv 1606.06259), Poria et al. 2017 (https://aclanthology.org/P17-1081).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.text_corpus import corpus_text
from multimodal.errors import ConfigError, CorpusError

POLARITIES = ("negative", "positive")
"""The two classes, in the order of the targets."""

AUDIO_FEATURES, FACE_FEATURES = 73, 100

PUBLISHED = {"utterances": 1_447, "videos": 62}
"""Sizes of the training part."""

COLUMNS = ["video", "utterance", "words", "polarity"]


@dataclass(frozen=True)
class MosiCorpus:
    """Utterances with words, voice, face and polarity: video by video, each in the order of speaking.

    Attributes:
        videos: ``n`` names of the video; one person speaks in it.
        numbers: ``(n,)`` int64 number of the utterance in its video, rising within the video.
        texts: ``n`` utterances in lower case without punctuation.
        targets: ``(n,)`` int64 index in ``POLARITIES``.
        audio: ``(n, 73)`` float32 features of the voice, as published.
        face: ``(n, 100)`` float32 features of the face, as published, at least 0.
    """

    videos: tuple[str, ...]
    numbers: NDArray[np.int64]
    texts: tuple[str, ...]
    targets: NDArray[np.int64]
    audio: NDArray[np.float32]
    face: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.videos)


def read_mosi(folder: Path, *, check_counts: bool = True) -> MosiCorpus:
    """Reads the training part.

    Args:
        folder: The folder with the three files, or the one that contains it as ``mosi``.
        check_counts: Whether the corpus must have the published numbers of utterances and videos.

    Returns:
        The utterances, sorted by video and number.

    Raises:
        CorpusError: A file is missing, a row is invalid or doubled, the files differ in length, or the counts differ.
    """
    place = folder if (folder / "words.csv").is_file() else folder / "mosi"
    for name in ("words.csv", "audio.csv", "face.csv"):
        if not (place / name).is_file():
            raise CorpusError(folder, f"contains no {name}", "name the folder that contains words.csv")
    rows = _words(place / "words.csv")
    audio = _features(place / "audio.csv", AUDIO_FEATURES, len(rows))
    face = _features(place / "face.csv", FACE_FEATURES, len(rows))
    # The published order within a video is by polarity, and then that of text: 10 before 2.
    order = sorted(range(len(rows)), key=lambda index: rows[index][:2])
    videos, numbers, texts, targets = zip(*(rows[index] for index in order), strict=True)
    corpus = MosiCorpus(videos, np.array(numbers), texts, np.array(targets), audio[order], face[order])
    if check_counts:
        _check_counts(folder, corpus)
    return corpus


def _check_counts(folder: Path, corpus: MosiCorpus) -> None:
    actual = {"utterances": len(corpus), "videos": len(set(corpus.videos))}
    for unit, published in PUBLISHED.items():
        if actual[unit] != published:
            raise CorpusError(
                folder, f"has {actual[unit]:,} {unit}, {published:,} were published", "unpack the corpus again"
            )


def _words(file: Path) -> list[tuple[str, int, str, int]]:
    """Video, number, words and target of each row."""
    remedy = "unpack the corpus again"
    try:
        lines = list(csv.reader(io.StringIO(corpus_text(file), newline=""), strict=True))
    except csv.Error as error:
        raise CorpusError(file, f"is not CSV ({error})", remedy) from None
    if not lines or lines[0] != COLUMNS:
        raise CorpusError(file, f"does not start with the columns {', '.join(COLUMNS)}", remedy)
    if len(lines) == 1:
        raise CorpusError(file, "has no utterance", remedy)
    rows: dict[tuple[str, int], tuple[str, int, str, int]] = {}
    for count, line in enumerate(lines[1:], start=1):
        if len(line) != len(COLUMNS) or not line[0] or not line[1].isdecimal() or line[3] not in POLARITIES:
            fact = f"row {count} is not a video, a number, words and one of {', '.join(POLARITIES)}"
            raise CorpusError(file, fact, remedy)
        key = line[0], int(line[1])
        if key in rows:
            raise CorpusError(file, f"row {count} repeats utterance {key[1]} of {key[0]}", remedy)
        rows[key] = *key, line[2], POLARITIES.index(line[3])
    return list(rows.values())


def _features(file: Path, columns: int, rows: int) -> NDArray[np.float32]:
    remedy = "unpack the corpus again"
    lines = corpus_text(file).splitlines()
    if len(lines) != rows:
        raise CorpusError(file, f"has {len(lines):,} rows for {rows:,} utterances in words.csv", remedy)
    values = np.zeros((rows, columns), np.float32)
    for number, line in enumerate(lines):
        cells = line.split(",")
        try:
            values[number] = np.array(cells, np.float32)
            if len(cells) != columns:  # a single number would fill the row
                raise ValueError
        except ValueError:
            raise CorpusError(file, f"row {number + 1} is not {columns} numbers", remedy) from None
        if not np.isfinite(values[number]).all():
            raise CorpusError(file, f"row {number + 1} holds a value that is not finite", remedy)
    return values


def video_folds(videos: Sequence[str], folds: int, seed: int = 0) -> NDArray[np.int64]:
    """Assigns utterances to folds by video, so that no video and so no person is in two folds.

    Videos are drawn in random order; each goes to the fold that has the fewest utterances.

    Args:
        videos: ``n`` names of the utterances' videos.
        folds: Number of folds, at least 2.
        seed: Random seed; the order of the utterances does not matter.

    Returns:
        ``(n,)`` int64 fold of each utterance, 0 … folds - 1; every fold has at least one video.

    Raises:
        ConfigError: Fewer than 2 folds, or more folds than videos.

    Example:
        >>> video_folds(["a", "a", "a", "b", "c", "b"], 2, seed=1).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    names = sorted(set(videos))
    if not 2 <= folds <= len(names):
        fact = f"is {folds} for {len(names)} videos"
        raise ConfigError("folds", fact, "give at least 2 and at most the number of videos")
    counts = dict.fromkeys(names, 0)
    for video in videos:
        counts[video] += 1
    sizes = [0] * folds
    fold_of: dict[str, int] = {}
    for name in np.random.default_rng(seed).permutation(np.array(names)).tolist():
        fold_of[name] = sizes.index(min(sizes))
        sizes[fold_of[name]] += counts[name]
    return np.array([fold_of[video] for video in videos], np.int64)
