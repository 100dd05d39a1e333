"""FER+: 48x48 gray faces from FER2013 with the votes of ten people on each (Barsoum et al. 2016, arXiv 1608.01041).

Two published layouts are read: folders ``FER2013Train``, ``FER2013Valid``, ``FER2013Test`` of PNG pictures with a
``label.csv`` each, and ``fer2013.csv`` (pixels) next to ``fer2013new.csv`` (votes). The labels are MIT-licensed; the
pictures come from the web and are for research.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import CorpusError

LABELS = len(FACE_LABELS)
VOTE_COLUMNS = LABELS + 2
"""The eight emotions, then "unknown" and "NF" (not a face)."""

SIZE = 48
FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
USAGES = {"train": "Training", "valid": "PublicTest", "test": "PrivateTest"}

PUBLISHED = {"train": (28_558, 25_045), "valid": (3_579, 3_191), "test": (3_573, None)}
"""Pictures, and those of them with a majority, per split; None where the number was not checked here."""

KEPT_SHARE = 0.2
"""Share of the validation part that no choice is made on, by the hash of the picture: see ``kept_apart``."""


@dataclass(frozen=True)
class FaceCorpus:
    """Pictures and their votes.

    Attributes:
        images: ``(n, 48, 48)`` uint8 gray levels.
        votes: ``(n, 10)`` int64 counts: the eight of ``FACE_LABELS``, unknown, not a face.
        names: ``n`` file names.
    """

    images: NDArray[np.uint8]
    votes: NDArray[np.int64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, keep: NDArray[np.bool_]) -> FaceCorpus:
        """The pictures for which ``keep``, ``(n,)``, is true.

        Args:
            keep: ``(n,)`` bool.

        Returns:
            A smaller corpus.
        """
        return FaceCorpus(self.images[keep], self.votes[keep], tuple(itertools.compress(self.names, keep)))


def read_ferplus(folder: Path, split: str, *, check_counts: bool = True) -> FaceCorpus:
    """Reads one split in either published layout.

    Args:
        folder: The folder with the split folders or the two CSV files, or the folder of one split.
        split: ``train``, ``valid`` or ``test``.
        check_counts: Whether the split must have the published number of pictures.

    Returns:
        The pictures in the order of the label file.

    Raises:
        CorpusError: The layout is not one of the two, a picture is missing, or the counts differ.

    Source: https://github.com/microsoft/FERPlus (layouts).
    """
    if split not in FOLDERS:
        raise CorpusError(folder, f"FER+ has no split {split!r}", f"choose one of {', '.join(FOLDERS)}")
    others = {name for key, name in FOLDERS.items() if key != split}
    itself = (folder / "label.csv").is_file() and folder.resolve().name not in others
    pictures = folder if itself else folder / FOLDERS[split]
    try:
        if (pictures / "label.csv").is_file():
            corpus = _read_pictures(pictures)
        elif (folder / "fer2013.csv").is_file() and (folder / "fer2013new.csv").is_file():
            corpus = _read_csv(folder, split)
        else:
            remedy = "name the folder that contains it, or the one with fer2013.csv and fer2013new.csv"
            raise CorpusError(folder, f"contains no {FOLDERS[split]}/label.csv", remedy)
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorpusError(folder, f"contains an invalid label file ({error})", "unpack the corpus again") from None
    if not (majority_labels(corpus.votes) >= 0).any():
        raise CorpusError(folder, f"has no picture with a majority in the {split} split", "unpack the corpus again")
    if check_counts:
        _check_counts(folder, split, corpus)
    return corpus


def _check_counts(folder: Path, split: str, corpus: FaceCorpus) -> None:
    pictures, with_majority = PUBLISHED[split]
    clear = int((majority_labels(corpus.votes) >= 0).sum())
    if len(corpus) != pictures or with_majority not in (None, clear):
        published = f"{pictures} and {with_majority or 'an unchecked number'} were published"
        fact = f"has {len(corpus)} pictures in the {split} split, {clear} with a majority; {published}"
        raise CorpusError(folder, fact, "unpack the corpus again")


def _read_pictures(folder: Path) -> FaceCorpus:
    names, votes = [], []
    with (folder / "label.csv").open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            votes.append(_votes(folder / "label.csv", number, row[2:]))
            names.append(row[0])
    images = np.empty((len(names), SIZE, SIZE), np.uint8)
    for index, name in enumerate(names):
        image = cv2.imread(str(folder / Path(name).name), cv2.IMREAD_GRAYSCALE)
        if image is None or image.shape != (SIZE, SIZE):
            raise CorpusError(folder / name, "is missing or not 48x48 pixels", "unpack the corpus again")
        images[index] = image
    return FaceCorpus(images, np.array(votes, np.int64).reshape(-1, VOTE_COLUMNS), tuple(names))


def _read_csv(folder: Path, split: str) -> FaceCorpus:
    names, votes, images = [], [], []
    with (
        (folder / "fer2013.csv").open(newline="", encoding="utf-8") as pixels_file,
        (folder / "fer2013new.csv").open(newline="", encoding="utf-8") as votes_file,
    ):
        rows = itertools.zip_longest(csv.DictReader(pixels_file), itertools.islice(csv.reader(votes_file), 1, None))
        for number, (pixels, row) in enumerate(rows, start=2):
            if pixels is None or row is None:
                shorter = "fer2013.csv" if pixels is None else "fer2013new.csv"
                raise CorpusError(folder / shorter, f"ends before line {number} of the other", "unpack both again")
            # The publishers dropped pictures without a name: no PNG folder contains them.
            if row[:1] != [USAGES[split]] or not row[1:2] or not row[1]:
                continue
            names.append(row[1])
            votes.append(_votes(folder / "fer2013new.csv", number, row[2:]))
            images.append(_pixels(folder / "fer2013.csv", number, pixels.get("pixels") or ""))
    stacked = np.stack(images) if images else np.empty((0, SIZE, SIZE), np.uint8)
    return FaceCorpus(stacked, np.array(votes, np.int64).reshape(-1, VOTE_COLUMNS), tuple(names))


def _pixels(path: Path, line: int, text: str) -> NDArray[np.uint8]:
    try:
        return np.array(text.split(), np.uint8).reshape(SIZE, SIZE)
    except (ValueError, OverflowError):
        fact = f"line {line} does not contain {SIZE * SIZE} gray levels of 0 to 255"
        raise CorpusError(path, fact, "unpack the corpus again") from None


def _votes(path: Path, line: int, columns: list[str]) -> list[int]:
    if len(columns) != VOTE_COLUMNS or not all(column.isdecimal() for column in columns):
        raise CorpusError(path, f"line {line} does not contain {VOTE_COLUMNS} vote counts", "unpack the corpus again")
    return [int(column) for column in columns]


def _without_single_votes(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(votes > 1, votes, 0)


def majority_labels(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The published majority rule: single votes count as zero; the winner needs more than half of the rest.

    Args:
        votes: ``(n, 10)`` counts.

    Returns:
        ``(n,)`` index into ``FACE_LABELS``; -1 for no majority, or a majority for "unknown" or "NF".

    Example:
        >>> majority_labels(np.array([[8, 1, 0, 0, 0, 0, 0, 0, 1, 0], [4, 4, 0, 0, 0, 0, 0, 0, 2, 0]])).tolist()
        [0, -1]
    """
    clean_votes = _without_single_votes(votes)
    winner = clean_votes.argmax(axis=1)
    clear = clean_votes.max(axis=1) * 2 > clean_votes.sum(axis=1)
    return np.where(clear & (winner < LABELS), winner, -1)


def vote_shares(votes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of all votes for the eight emotions, single votes included: what people say who look at the picture.

    Args:
        votes: ``(n, 10)`` counts.

    Returns:
        ``(n, 8)``; a row sums to 1, or to 0 where fewer than half of the votes name an emotion ("unknown", not a face).

    Example:
        >>> vote_shares(np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0, 0, 8]]))[:, :3].tolist()
        [[0.6, 0.3, 0.1], [0.0, 0.0, 0.0]]
    """
    emotions = votes[:, :LABELS].astype(np.float64)
    counts = emotions.sum(axis=1, keepdims=True)
    usable = (counts > 0) & (counts * 2 >= votes.sum(axis=1, keepdims=True))
    shares: NDArray[np.float64] = np.where(usable, emotions / np.maximum(counts, 1), 0.0)
    return shares


def distributions(votes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Shares of the votes for the eight emotions, single votes counted as zero.

    Args:
        votes: ``(n, 10)`` counts.

    Returns:
        ``(n, 8)`` float32; a row sums to 1, or to 0 where fewer than half of the remaining votes name an emotion
        (such a picture is not used in training).

    Example:
        >>> distributions(np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0]]))[0, :3].round(2).astype(str).tolist()
        ['0.67', '0.33', '0.0']
    """
    clean_votes = _without_single_votes(votes).astype(np.float32)
    emotions = clean_votes[:, :LABELS]
    emotion_votes = emotions.sum(axis=1, keepdims=True)
    usable = (emotion_votes > 0) & (emotion_votes * 2 >= clean_votes.sum(axis=1, keepdims=True))
    return np.where(usable, emotions / np.maximum(emotion_votes, 1), 0).astype(np.float32)


def kept_apart(corpus: FaceCorpus, share: float) -> NDArray[np.bool_]:
    """Which pictures are kept out of every choice, for one final figure; the same picture is always on the same side.

    Args:
        corpus: Pictures, usually the validation part.
        share: Share of the pictures, 0 … 1; a smaller share is part of a larger one.

    Returns:
        ``(n,)`` bool, from the hashes of the pixels.

    Example:
        >>> corpus = FaceCorpus(np.zeros((2, 48, 48), np.uint8), np.zeros((2, 10), np.int64), ("a.png", "b.png"))
        >>> kept_apart(corpus, 0.0).tolist(), kept_apart(corpus, 1.0).tolist()
        ([False, False], [True, True])
    """
    hashes = [hashlib.sha256(image.tobytes()).digest()[:4] for image in corpus.images]
    return np.array([int.from_bytes(digest) / 2**32 < share for digest in hashes], np.bool_)
