"""Risk and coverage, and the threshold of ``uncertain``, compared with other computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from multimodal.evaluate.confidence import confidence_figures, risk_coverage, uncertainty_threshold
from multimodal.evaluate.metrics import correctness, cross_entropy, expected_calibration_error

Rows = NDArray[np.float64]


def rows_of(confidence: list[float]) -> Rows:
    """Two classes; the first is the top label."""
    return np.array([[value, 1 - value] for value in confidence])


confidences = st.lists(st.integers(51, 99).map(lambda value: value / 100), min_size=1, max_size=30)


@given(confidences, st.data())
@settings(max_examples=300, deadline=None)
def test_no_other_threshold_errs_less(confidence: list[float], data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(confidence), max_size=len(confidence))))
    rows = rows_of(confidence)
    values = np.array(confidence)

    def errors(threshold: float) -> int:
        return int(((values >= threshold) & (labels == 1)).sum() + ((values < threshold) & (labels == 0)).sum())

    actual = uncertainty_threshold((rows, labels))
    assert errors(actual) == min(errors(threshold) for threshold in [0.0, 1.0, *(values + 1e-6)])


def test_threshold_is_where_isotonic_regression_crosses_one_half() -> None:
    from sklearn.isotonic import IsotonicRegression

    chance = np.random.default_rng(4)
    confidence = chance.uniform(0.5, 1.0, 3000)
    labels = (chance.random(3000) > (confidence - 0.4) / 0.6).astype(np.int64)  # right half of the time at 0.7
    threshold = uncertainty_threshold((rows_of(confidence.tolist()), labels))
    regression = IsotonicRegression(out_of_bounds="clip").fit(confidence, labels == 0)
    assert regression.predict([threshold - 0.005])[0] <= 0.5 <= regression.predict([threshold + 0.005])[0]
    assert threshold == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize(("label", "expected"), [(0, 0.0), (1, 1.0)])
def test_threshold_where_everything_is_right_or_wrong(label: int, expected: float) -> None:
    assert uncertainty_threshold((rows_of([0.6, 0.8, 0.9]), np.full(3, label))) == expected


def test_threshold_of_votes_is_that_of_the_voters() -> None:
    rows = rows_of([0.6, 0.7, 0.8])
    votes = np.array([[0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    assert uncertainty_threshold((rows, votes)) == pytest.approx(0.75)


def test_corpora_count_the_same_for_the_threshold() -> None:
    small = (rows_of([0.6, 0.9]), np.array([1, 0]))
    large = (rows_of([0.6, 0.9] * 500), np.array([0, 0] * 500))
    assert uncertainty_threshold(large) == 0.0
    assert uncertainty_threshold(small, large) == 0.0  # a draw calls less uncertain
    assert uncertainty_threshold(small, small, large) == pytest.approx(0.75)


def test_curve_by_hand() -> None:
    rows, labels = rows_of([0.6, 0.9, 0.8, 0.7]), np.array([1, 0, 0, 1])
    assert risk_coverage(rows, labels, points=4) == [(0.25, 1.0), (0.5, 1.0), (0.75, 2 / 3), (1.0, 0.5)]


@given(confidences, st.data())
@settings(max_examples=100, deadline=None)
def test_curve_ends_at_the_accuracy(confidence: list[float], data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(confidence), max_size=len(confidence))))
    curve = risk_coverage(rows_of(confidence), labels)
    assert [share for share, _ in curve] == pytest.approx(np.arange(1, 21) / 20)
    assert curve[-1][1] == pytest.approx((labels == 0).mean()) and all(0 <= right <= 1 for _, right in curve)


def test_figures_are_those_of_the_metrics() -> None:
    chance = np.random.default_rng(5)
    rows = chance.dirichlet(np.ones(4), 200)
    votes = chance.multinomial(10, [0.25] * 4, 200) / 10
    figures = confidence_figures(rows, votes, 0.5)
    certain, right = rows.max(axis=1) >= 0.5, correctness(rows, votes)
    expected = {
        "n": 200,
        "accuracy": right.mean(),
        "accuracy_half": right[np.argsort(-rows.max(axis=1))[:100]].mean(),
        "confidence": rows.max(axis=1).mean(),
        "ece": expected_calibration_error(rows, votes),
        "nll": cross_entropy(rows, votes),
        "uncertain_share": (~certain).mean(),
        "accuracy_certain": right[certain].mean(),
        "accuracy_uncertain": right[~certain].mean(),
    }
    assert {key: value for key, value in figures.items() if key != "risk_coverage"} == pytest.approx(expected)


def test_no_rule_no_figures_of_it() -> None:
    rows, labels = rows_of([0.6, 0.9]), np.array([0, 0])
    assert "uncertain_share" not in confidence_figures(rows, labels)
    ruled = confidence_figures(rows, labels, 0.0)
    assert (ruled["uncertain_share"], ruled["accuracy_certain"], ruled["accuracy_uncertain"]) == (0.0, 1.0, None)
