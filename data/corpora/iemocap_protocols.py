"""Training and evaluation on IEMOCAP: label sets, the scales of valence, arousal and dominance, and the folds.

Two protocols. ``leave_one_session_out``: each session is evaluated by a training without its two actors and its
dialogues; another session selects the epoch, for the same reason. ``random_folds``: utterances are assigned at random,
as in Yoon et al. 2018 (arXiv 1810.04635): the same actors, dialogues and even sentences are on both sides, so its
figures are higher and do not hold for new speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.iemocap import IEMOCAP_LABEL_SETS, IemocapTurn
from multimodal.errors import CorpusError

PROTOCOLS = ("leave_one_session_out", "random_folds")

DIMENSIONS = ("valence", "arousal", "dominance")

MIDDLE, REACH = 3.0, 2.0
"""Midpoint and half range of the scales: drawings numbered 1 to 5, of which 3 is neutral."""

RANDOM_FOLDS = 5
VALIDATION_SHARE = 0.05
"""Share of all utterances. The paper splits 80 : 5 : 15; here it is 75 : 5 : 20, so that the test fifths cover all."""


@dataclass(frozen=True)
class TurnFold:
    """Ascending int64 indices of the turns for training, for selecting the epoch, and for evaluation.

    Attributes:
        name: ``session-5`` (the test session) or ``fold-1``.
        train: ``(n,)`` indices.
        validation: ``(n,)`` indices.
        test: ``(n,)`` indices.
    """

    name: str
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def label_names(classes: int) -> tuple[str, ...]:
    """The classes of a label set, in order.

    Args:
        classes: 4, 5 or 6.

    Returns:
        Names, in the order of the table ``IEMOCAP_LABEL_SETS``.

    Example:
        >>> label_names(4)
        ('anger', 'happiness', 'sadness', 'neutral')
    """
    return tuple(dict.fromkeys(IEMOCAP_LABEL_SETS[classes].values()))


def with_labels(turns: Sequence[IemocapTurn], classes: int) -> tuple[list[IemocapTurn], NDArray[np.int64]]:
    """Selects the turns of some classes.

    Args:
        turns: Turns with any label.
        classes: 4, 5 or 6.

    Returns:
        These turns, in order, and ``(n,)`` index of each one's class in ``label_names``.
    """
    table, names = IEMOCAP_LABEL_SETS[classes], label_names(classes)
    labeled = [turn for turn in turns if turn.label in table]
    return labeled, np.array([names.index(table[turn.label]) for turn in labeled], np.int64)


def rescale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps valence, arousal and dominance from the corpus's 1 … 5 to -1 … 1.

    The rule is ``(value - 3) / 2`` for all three, so that the middle drawing is 0; values outside (a few, and dominance
    starts at 0.5) are clipped.

    Args:
        values: Any shape.

    Returns:
        The same shape, -1 … 1.

    Example:
        >>> rescale(np.array([1.0, 3.0, 5.0, 5.5, 0.5])).tolist()
        [-1.0, 0.0, 1.0, 1.0, -1.0]
    """
    return ((values - MIDDLE) / REACH).clip(-1, 1)


def affect_of(turns: Sequence[IemocapTurn]) -> NDArray[np.float64]:
    """``(turns, 3)`` of ``rescale``: valence, arousal, dominance.

    Args:
        turns: The turns.

    Returns:
        ``(turns, 3)`` float64.
    """
    rows = [(turn.valence, turn.arousal, turn.dominance) for turn in turns]
    return rescale(np.array(rows, np.float64).reshape(-1, len(DIMENSIONS)))


def folds(turns: Sequence[IemocapTurn], protocol: str, seed: int = 0) -> list[TurnFold]:
    """Splits turns by a protocol.

    Args:
        turns: The turns of a label set.
        protocol: One of ``PROTOCOLS``.
        seed: Random seed of ``random_folds``.

    Returns:
        Folds with disjoint test parts that together cover all turns.

    Raises:
        CorpusError: Fewer than three sessions, or too few turns.
        ValueError: The protocol is unknown.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {PROTOCOLS}, got {protocol!r}")
    return _by_session(turns) if protocol == PROTOCOLS[0] else _at_random(len(turns), seed)


def _by_session(turns: Sequence[IemocapTurn]) -> list[TurnFold]:
    sessions = np.array([turn.session for turn in turns], np.int64)
    numbers = sorted(set(sessions.tolist()))
    if len(numbers) < 3:
        fact = f"has {len(numbers)} sessions with such labels; training, validation and test need one each"
        raise CorpusError("IEMOCAP", fact, 'add sessions, or write protocol = "random_folds"')
    folds = []
    for index, test in enumerate(numbers):
        validation = numbers[(index + 1) % len(numbers)]
        parts = [np.flatnonzero(mask) for mask in (sessions == validation, sessions == test)]
        train = np.flatnonzero((sessions != validation) & (sessions != test))
        folds.append(TurnFold(f"session-{test}", train, *parts))
    return folds


def _at_random(count: int, seed: int) -> list[TurnFold]:
    size = round(VALIDATION_SHARE * count)
    if size < 1:
        raise CorpusError("IEMOCAP", f"has {count} such turns, too few for {RANDOM_FOLDS} folds", "name the release")
    parts = np.array_split(np.random.default_rng(seed).permutation(count).astype(np.int64), RANDOM_FOLDS)
    folds = []
    for number, test in enumerate(parts):
        rest = np.concatenate([part for other, part in enumerate(parts) if other != number])
        folds.append(TurnFold(f"fold-{number + 1}", np.sort(rest[size:]), np.sort(rest[:size]), np.sort(test)))
    return folds
