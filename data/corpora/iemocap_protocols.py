"""How IEMOCAP is taught and judged: label sets, the scales of valence, arousal and dominance, and the folds.

Two protocols. ``leave_one_session_out``: each session is judged by a training that had neither of its two actors nor
any of its dialogues; a further session chooses the epoch, for the same reason. ``random_folds``: utterances are dealt
out at random, as in Yoon et al. 2018 (arXiv 1810.04635): the same actors, dialogues and even sentences are on both
sides, so its figures are higher and say nothing about strangers.
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
"""Of the scales: drawings numbered 1 to 5, of which 3 is neither pleasant nor unpleasant, calm nor excited."""

RANDOM_FOLDS = 5
VALIDATION_SHARE = 0.05
"""Of all utterances. The paper parts them 80 : 5 : 15; here 75 : 5 : 20, since the judged fifths are to cover all."""


@dataclass(frozen=True)
class TurnFold:
    """Which turns to learn from, which choose the epoch, and which are judged: indices, int64, in order.

    Attributes:
        name: As ``session-5`` (the one that is judged) or ``fold-1``.
        train: ``(n,)``.
        validation: Likewise.
        test: Likewise.
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
    """The turns that belong to one of the classes.

    Args:
        turns: Of any labels.
        classes: 4, 5 or 6.

    Returns:
        These turns, in order, and ``(n,)`` index of each one's class in ``label_names``.
    """
    table, names = IEMOCAP_LABEL_SETS[classes], label_names(classes)
    kept = [turn for turn in turns if turn.label in table]
    return kept, np.array([names.index(table[turn.label]) for turn in kept], np.int64)


def rescale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Brings valence, arousal and dominance from the corpus's 1 … 5 onto -1 … 1.

    The rule, the same for all three: ``(value - 3) / 2``, so that the middle drawing is 0; what lies outside (a few
    values do, and dominance starts at 0.5) is clipped.

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
    """``(turns, 3)`` of ``rescale``: valence, arousal, dominance."""
    rows = [(turn.valence, turn.arousal, turn.dominance) for turn in turns]
    return rescale(np.array(rows, np.float64).reshape(-1, len(DIMENSIONS)))


def folds(turns: Sequence[IemocapTurn], protocol: str, seed: int = 0) -> list[TurnFold]:
    """Parts turns by a protocol.

    Args:
        turns: Those of a label set.
        protocol: One of ``PROTOCOLS``.
        seed: Of ``random_folds``.

    Returns:
        Folds whose judged parts are disjoint and cover all turns.

    Raises:
        CorpusError: Fewer than three sessions, or too few turns to deal out.
        ValueError: An unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {PROTOCOLS}, got {protocol!r}")
    return _by_session(turns) if protocol == PROTOCOLS[0] else _at_random(len(turns), seed)


def _by_session(turns: Sequence[IemocapTurn]) -> list[TurnFold]:
    of_turn = np.array([turn.session for turn in turns], np.int64)
    there = sorted(set(of_turn.tolist()))
    if len(there) < 3:
        fact = f"{len(there)} sessions with such labels are there, and training, choosing and judging want one each"
        raise CorpusError("IEMOCAP", fact, 'add sessions, or write protocol = "random_folds"')
    found = []
    for place, judged in enumerate(there):
        choosing = there[(place + 1) % len(there)]
        parts = [np.flatnonzero(mask) for mask in (of_turn == choosing, of_turn == judged)]
        rest = np.flatnonzero((of_turn != choosing) & (of_turn != judged))
        found.append(TurnFold(f"session-{judged}", rest, *parts))
    return found


def _at_random(count: int, seed: int) -> list[TurnFold]:
    held = round(VALIDATION_SHARE * count)
    if held < 1:
        raise CorpusError("IEMOCAP", f"has {count} such turns, too few to deal out", "name the whole release")
    parts = np.array_split(np.random.default_rng(seed).permutation(count).astype(np.int64), RANDOM_FOLDS)
    found = []
    for place, judged in enumerate(parts):
        rest = np.concatenate([part for index, part in enumerate(parts) if index != place])
        found.append(TurnFold(f"fold-{place + 1}", np.sort(rest[held:]), np.sort(rest[:held]), np.sort(judged)))
    return found
