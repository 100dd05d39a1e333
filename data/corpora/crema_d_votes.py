"""CREMA-D's votes: what people hear in a voice alone, see in a face alone, and judge from both (Cao et al. 2014).

``tabulatedVotes.csv`` has three rows for each of the 7,442 clips of 91 actors: votes on the sound alone (row numbers
that begin with 1), on the picture alone (2) and on both (3), for anger, disgust, fear, happiness, neutral and sadness.
Published under ODbL 1.0.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError

PUBLISHED = 7_442
"""Number of clips."""

FILE = "tabulatedVotes.csv"

LICENSE = "ODbL 1.0"

VOTES = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
"""Column of the table to its label."""

CHANNELS = ("1", "2", "3")
"""First digit of a row's number: voice alone, face alone, both."""

_COUNT = re.compile(r"\d{1,6}")
_NAME = re.compile(r"(\d{4}_[A-Z]{3})_[A-Z]{3}_[A-Z]{1,2}")


@dataclass(frozen=True)
class JointVotes:
    """How often people heard, saw and judged each combination of emotions.

    Attributes:
        shares: ``(labels, labels, labels)`` float64 summing to 1, in the order of ``FUSED_LABELS``: emotion heard in
            the voice alone and seen in the face alone by most people, judged from both by anybody. Emotions without
            votes have zeros.
        clips: Number of clips.
        agreement: Share of the clips in which voice and face have the same majority.
    """

    shares: NDArray[np.float64]
    clips: int
    agreement: float


def read_votes(folder: Path, *, check_counts: bool = True) -> JointVotes:
    """Reads the table of votes.

    Args:
        folder: Folder with ``tabulatedVotes.csv``, itself or in ``crema_d_votes/``; or the file.
        check_counts: Whether the table must have the published number of clips.

    Returns:
        The joint distribution, each clip with equal weight.

    Raises:
        CorpusError: There is no table, a row is invalid, or the number of clips is not the published one.

    Example:
        >>> votes = read_votes(Path("crema_d_votes"))  # doctest: +SKIP
        >>> votes.shares.shape, votes.clips  # doctest: +SKIP
        ((7, 7, 7), 7442)

    Source: https://github.com/CheyneyComputerScience/CREMA-D (the table and its columns).
    """
    file = _table(folder)
    rows: dict[str, dict[str, NDArray[np.float64]]] = {}
    for clip, channel, votes in _rows(file):
        rows.setdefault(clip, {})[channel] = votes
    complete = [channels for channels in rows.values() if len(channels) == len(CHANNELS)]
    if check_counts and len(complete) != PUBLISHED:
        fact = f"has votes on all three channels for {len(complete)} clips; {PUBLISHED} were published"
        raise CorpusError(file, fact, "unpack the corpus again")
    if not complete:
        raise CorpusError(file, "has no clip with votes on voice, face and both", "unpack the corpus again")
    voice, face, both = (np.stack([channels[channel] for channels in complete]) for channel in CHANNELS)
    voice, face = _majority(voice), _majority(face)
    shares = np.einsum("na,nb,nc->abc", voice, face, both) / len(complete)
    return JointVotes(shares, len(complete), float((voice * face).sum(axis=1).mean()))


def _majority(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The emotion with most votes in each row ``(clips, labels)``; equals share it."""
    most = votes == votes.max(axis=1, keepdims=True)
    rows: NDArray[np.float64] = most / most.sum(axis=1, keepdims=True)
    return rows


def _table(folder: Path) -> Path:
    for file in (folder, folder / FILE, folder / "crema_d_votes" / FILE):
        if file.is_file():
            return file
    raise CorpusError(folder, f"contains no {FILE}", "name the folder that contains it, or the file itself")


def _rows(file: Path) -> Iterator[tuple[str, str, NDArray[np.float64]]]:
    """Clip, channel and shares of the votes of every row with a vote."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                yield _row(file, number, row)
    except (OSError, UnicodeError, csv.Error) as error:
        raise CorpusError(file, f"cannot be read ({error})", "unpack the corpus again") from None


def _row(file: Path, number: int, row: dict[str, str]) -> tuple[str, str, NDArray[np.float64]]:
    channel, clip = (row.get("") or "")[:1], row.get("fileName") or ""
    counts = [row.get(column) or "" for column in VOTES]
    if channel not in CHANNELS or not _NAME.fullmatch(clip) or not all(map(_COUNT.fullmatch, counts)):
        raise CorpusError(file, f"line {number} is not a row of votes on a clip", "unpack the corpus again")
    votes = np.zeros(len(FUSED_LABELS))
    for label, count in zip(VOTES.values(), counts, strict=True):
        votes[FUSED_LABELS.index(label)] = int(count)
    if not votes.any():
        raise CorpusError(file, f"line {number} has no votes", "unpack the corpus again")
    return clip, channel, votes / votes.sum()
