"""Keeps a fused answer consistent with the signals that it is made of.

A trained head can be sure of an emotion that no signal shows. Four rules exclude that for any head and any input:

1. One signal alone is answered by its own calibrated probabilities.
2. Neutral is at least as probable as in the signal with the least of it.
3. The most probable emotion is first, or close to first, in at least one signal.
4. Where three signals have no such emotion in common, not even two of them, no emotion is more probable than not.

An answer that breaks rule 2 or 3 is moved toward one of the signals, each of which keeps both, and no further than
necessary. By rule 4 the first emotion yields to the others in proportion. Pure functions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]

CLOSE = 0.8
"""An emotion is close to first in a signal if it has at least this share of the first one's probability there."""

MAJORITY = 3
"""Signals of which two make a majority."""

HALF = 0.5 - 1e-6
"""Most of an emotion where three signals have none in common: just below half, which is uncertain."""

EVEN = 1e-4
"""Part of what the others gain then that they share alike, so that none that had nearly all of it takes over."""

TOLERANCE = 1e-9
"""Of comparisons, far above rounding errors; an emotion that overtakes another leads by as much."""


def constrain(probabilities: Rows, signals: Rows, present: NDArray[np.bool_], neutral: int | None) -> Rows:
    """Applies the rules to fused answers.

    Args:
        probabilities: ``(utterances, labels)`` answers of a head, each row summing to 1.
        signals: ``(utterances, signals, labels)`` calibrated probabilities of each signal; rows of absent signals are
            not read.
        present: ``(utterances, signals)`` bool; a row without any is left unchanged.
        neutral: Index of the label neutral; None if there is none.

    Returns:
        ``(utterances, labels)``, each row summing to 1; a row that keeps the rules is unchanged.

    Example:
        >>> face, voice = [0.5, 0.45, 0.05], [0.5, 0.05, 0.45]
        >>> answer = constrain(np.array([[0.1, 0.8, 0.1]]), np.array([[face, voice]]), np.array([[True, True]]), 0)
        >>> answer.round(2).tolist()
        [[0.5, 0.45, 0.05]]
    """
    result = probabilities.astype(np.float64)
    for row, (answer, present_row) in enumerate(zip(probabilities, present, strict=True)):
        rows = signals[row][present_row]
        if len(rows) == 1:
            result[row] = rows[0]
        elif len(rows) and not _keeps_rules(answer[None], rows, neutral)[0]:
            result[row] = _moved(answer, rows, neutral)
        if len(rows) >= MAJORITY and _is_close(rows).sum(axis=0).max() == 1:
            result[row] = _halved(result[row])
    return result


def _halved(answer: Rows) -> Rows:
    """The answer with at most ``HALF`` for its first emotion; the others are raised in proportion."""
    top = answer.argmax()
    if answer[top] <= HALF:
        return answer
    others = answer.copy()
    others[top] = 0.0
    rest, alike = others.sum(), 1 / (len(answer) - 1)
    parts = (1 - EVEN) * others / rest + EVEN * alike if rest > TOLERANCE else np.full_like(answer, alike)
    others = (1 - HALF) * parts
    others[top] = HALF
    return others


def _moved(answer: Rows, signals: Rows, neutral: int | None) -> Rows:
    """The nearest answer, on the ways to the signals, that keeps the rules."""
    nearest: Rows = signals[0]
    distance = np.inf
    for signal in signals:
        shares = _turning_shares(answer, signal, signals, neutral)
        ways = answer + shares[:, None] * (signal - answer)
        index = int(_keeps_rules(ways, signals, neutral).argmax())  # the last way is the signal, which keeps the rules
        length = float(np.abs(ways[index] - answer).sum())
        # Of equally near ones the one with more of the first labels, whatever the order of the signals.
        is_tied = abs(length - distance) <= TOLERANCE
        if length < distance - TOLERANCE or (is_tied and ways[index].tolist() > nearest.tolist()):
            nearest, distance = ways[index], min(length, distance)
    return nearest


def _turning_shares(answer: Rows, signal: Rows, signals: Rows, neutral: int | None) -> Rows:
    """Shares of the way to a signal, rising to 1, at which there is enough neutral, or another emotion leads."""
    step = signal - answer
    gaps, slopes = answer[:, None] - answer[None, :], step[None, :] - step[:, None]
    crossings = (gaps + TOLERANCE)[slopes > TOLERANCE] / slopes[slopes > TOLERANCE]
    enough = 0.0
    if neutral is not None and step[neutral] > 0:
        enough = max((signals[:, neutral].min() - answer[neutral]) / step[neutral], 0.0)
    shares = np.append(crossings, [0.0, enough])
    return np.append(np.sort(shares[(shares >= enough) & (shares < 1)]), 1.0)


def _keeps_rules(answers: Rows, signals: Rows, neutral: int | None) -> NDArray[np.bool_]:
    """Whether each answer ``(answers, labels)`` keeps rules 2 and 3 for the signals ``(signals, labels)``."""
    close: NDArray[np.bool_] = np.any(_is_close(signals), axis=0)
    keeps: NDArray[np.bool_] = close[answers.argmax(axis=1)]
    if neutral is not None:
        keeps = keeps & (answers[:, neutral] >= signals[:, neutral].min() - TOLERANCE)
    return keeps


def _is_close(signals: Rows) -> NDArray[np.bool_]:
    """Whether each emotion is first or close to first in each signal, ``(signals, labels)``."""
    close: NDArray[np.bool_] = signals >= CLOSE * signals.max(axis=1, keepdims=True) - TOLERANCE
    return close
