"""The rules of fused answers, over thousands of random answers and signals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from multimodal.fusion.consistency import CLOSE, TOLERANCE, constrain

NEUTRAL = 0


def draw(seed: int, count: int, labels: int = 7) -> tuple[NDArray[np.float64], ...]:
    """Answers, signals from flat to certain, and which are present."""
    draws = np.random.default_rng(seed)
    sharpness = draws.choice([0.05, 0.3, 1.0, 10.0], size=(count, 4, 1))
    rows = draws.gamma(sharpness, size=(count, 4, labels)) + 1e-300
    rows /= rows.sum(axis=2, keepdims=True)
    present = draws.random((count, 3)) < 0.7
    present[np.arange(count), draws.integers(3, size=count)] = True
    return rows[:, 0], rows[:, 1:], present


@given(st.integers(0, 2**32))
def test_rules_hold_for_any_answer(seed: int) -> None:
    answers, signals, present = draw(seed, 50)
    results = constrain(answers, signals, present, NEUTRAL)
    np.testing.assert_allclose(results.sum(axis=1), 1, atol=1e-9)
    assert (results >= -1e-12).all()
    for result, rows, is_present, answer in zip(results, signals, present, answers, strict=True):
        rows = rows[is_present]
        if len(rows) == 1:
            np.testing.assert_array_equal(result, rows[0])
            continue
        assert result[NEUTRAL] >= rows[:, NEUTRAL].min() - 2 * TOLERANCE
        top = result.argmax()
        assert any(row[top] >= CLOSE * row.max() - 2 * TOLERANCE for row in rows)
        supporters = max(sum(row[label] >= CLOSE * row.max() for row in rows) for label in range(7))
        is_conflict = len(rows) == 3 and supporters == 1
        assert result.max() < 0.5 or not is_conflict
        least = rows[:, NEUTRAL].min()
        leader = answer.argmax()
        if answer[NEUTRAL] >= least and any(row[leader] >= CLOSE * row.max() for row in rows) and not is_conflict:
            np.testing.assert_array_equal(result, answer)  # nothing to mend


@given(st.integers(0, 2**32))
def test_neither_order_of_signals_nor_of_utterances_matters(seed: int) -> None:
    answers, signals, present = draw(seed, 20)
    results = constrain(answers, signals, present, NEUTRAL)
    np.testing.assert_allclose(constrain(answers, signals[:, ::-1], present[:, ::-1], NEUTRAL), results, atol=1e-9)
    np.testing.assert_array_equal(constrain(answers[::-1], signals[::-1], present[::-1], NEUTRAL)[::-1], results)


@given(st.integers(0, 2**32))
def test_applying_the_rules_again_changes_nothing(seed: int) -> None:
    answers, signals, present = draw(seed, 20)
    once = constrain(answers, signals, present, NEUTRAL)
    np.testing.assert_allclose(constrain(once, signals, present, NEUTRAL), once, atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "signals", "expected"),
    [
        # Both signals are neutral at 0.6 or more, so the answer is as neutral as the less neutral one.
        ([0.2, 0.8, 0.0], [[0.6, 0.4, 0.0], [0.9, 0.1, 0.0]], [0.6, 0.4, 0.0]),
        # The third emotion leads in no signal, and neutral is missing: 0.4 of the way to the first signal mends both.
        ([0.0, 0.4, 0.6], [[0.5, 0.5, 0.0], [0.2, 0.5, 0.3]], [0.2, 0.44, 0.36]),
        # One emotion agrees with both signals.
        ([0.3, 0.7, 0.0], [[0.3, 0.7, 0.0], [0.2, 0.8, 0.0]], [0.3, 0.7, 0.0]),
    ],
)
def test_hand_computed_cases(answer: list[float], signals: list[list[float]], expected: list[float]) -> None:
    rows = constrain(np.array([answer]), np.array([signals]), np.ones((1, 2), bool), NEUTRAL)
    np.testing.assert_allclose(rows[0], expected, atol=1e-6)


def test_three_signals_with_three_emotions_are_uncertain() -> None:
    signals = [[0.1, 0.8, 0.1, 0.0], [0.1, 0.1, 0.8, 0.0], [0.1, 0.0, 0.1, 0.8]]
    (answer,) = constrain(np.array([[0.1, 0.7, 0.15, 0.05]]), np.array([signals]), np.ones((1, 3), bool), NEUTRAL)
    np.testing.assert_allclose(answer, [0.5 / 3, 0.5, 0.25, 0.25 / 3], atol=1e-5)
    assert answer.max() < 0.5
    agreed = [*signals[:2], [0.1, 0.6, 0.3, 0.0]]  # now two of three show the first emotion
    (answer,) = constrain(np.array([[0.1, 0.7, 0.15, 0.05]]), np.array([agreed]), np.ones((1, 3), bool), NEUTRAL)
    np.testing.assert_allclose(answer, [0.1, 0.7, 0.15, 0.05])


def test_an_emotion_that_yields_stays_first() -> None:
    # What the first emotion loses would lift the second, which leads in no signal, above it.
    signals = np.full((1, 3, 5), 0.01)
    signals[0, [0, 1, 2], [1, 2, 3]] = 0.96
    for second in (1e-3, 1e-7, 0.4):
        answers = np.array([[0.0, 1 - second, 0.0, 0.0, second]])
        (answer,) = constrain(answers, signals, np.ones((1, 3), bool), None)
        assert answer.argmax() == 1 and answer[1] < 0.5
        np.testing.assert_allclose(answer.sum(), 1)


def test_labels_without_neutral() -> None:
    answer = constrain(np.array([[0.9, 0.1]]), np.array([[[0.2, 0.8], [0.3, 0.7]]]), np.ones((1, 2), bool), None)
    np.testing.assert_allclose(answer, [[0.5, 0.5]], atol=1e-6)
    assert answer[0].argmax() == 1


def test_no_signal_changes_nothing() -> None:
    answers = np.array([[0.9, 0.1]])
    np.testing.assert_array_equal(constrain(answers, np.zeros((1, 3, 2)), np.zeros((1, 3), bool), 0), answers)
