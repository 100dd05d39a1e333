"""Classification metrics compared with hand-computed cases and numpy; calibration with known sharpness."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multimodal.evaluate.metrics import (
    BINS,
    apply_temperature,
    classification_figures,
    concordance,
    correctness,
    cross_calibrate,
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
    kl_divergence,
)

Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
Labels = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Targets = Labels | Floats
steady = settings(database=None, derandomize=True)


@st.composite
def any_probabilities(draw: st.DrawFn) -> Floats:
    shape = draw(st.tuples(st.integers(1, 8), st.integers(2, 5)))
    raw = draw(arrays(np.float64, shape, elements=st.floats(1e-6, 1)))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def one_hot(answers: list[int], classes: int) -> Floats:
    return np.eye(classes)[answers]


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def random_logits(n: int, classes: int, seed: int, scale: float = 1.0) -> tuple[Floats, Labels]:
    """Logits, ``scale`` times as large as they should be, and labels drawn with the right probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    labels = np.array([rng.choice(classes, p=row) for row in softmax(logits)])
    return logits * scale, labels


@pytest.fixture(scope="module")
def by_hand() -> dict[str, Any]:
    """Ten answers, truth a a a a b b b c c c; confusion a: 3 1 0, b: 1 2 0, c: 1 0 2."""
    truth, answers = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 0, 0, 1, 0, 1, 1, 0, 2, 2]
    return classification_figures(one_hot(answers, 3), np.array(truth), ["a", "b", "c"])


def test_confusion_has_truth_in_rows(by_hand: dict[str, Any]) -> None:
    assert by_hand["confusion"] == [[3, 1, 0], [1, 2, 0], [1, 0, 2]]
    assert by_hand["labels"] == ["a", "b", "c"] and by_hand["n"] == 10


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("accuracy", 7 / 10),
        ("balanced_accuracy", (3 / 4 + 2 / 3 + 2 / 3) / 3),
        ("macro_f1", (2 * 3 / (5 + 4) + 2 * 2 / (3 + 3) + 2 * 2 / (2 + 3)) / 3),
        # Chance: answers 5, 3, 2 times; truth 4, 3, 3 times.
        ("kappa", (0.7 - (5 * 4 + 3 * 3 + 2 * 3) / 100) / (1 - (5 * 4 + 3 * 3 + 2 * 3) / 100)),
        ("nll", -3 * math.log(1e-9) / 10),
        ("ece", 0.3),  # always wholly sure, and right seven times of ten
    ],
)
def test_figure_by_hand(by_hand: dict[str, Any], figure: str, expected: float) -> None:
    assert by_hand[figure] == pytest.approx(expected, rel=1e-6)


def test_per_class_by_hand(by_hand: dict[str, Any]) -> None:
    assert list(by_hand["per_class"]) == ["a", "b", "c"]
    assert by_hand["per_class"]["a"] == pytest.approx({"precision": 3 / 5, "recall": 3 / 4, "f1": 2 / 3, "n": 4})
    assert by_hand["per_class"]["c"] == pytest.approx({"precision": 1, "recall": 2 / 3, "f1": 0.8, "n": 3})


def pairs_in_order(scores: Floats, positive: Labels) -> float:
    """ROC area as what it means: the share of pairs in which the positive example scores higher."""
    above = scores[positive == 1][:, None] - scores[positive == 0][None]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def mean_precision(scores: Floats, positive: Labels) -> float:
    """Average precision as what it means: the precision at the rank of each positive example, averaged."""
    ranked = positive[np.argsort(-scores)]
    at = np.flatnonzero(ranked)
    return float(np.mean([(rank + 1) / (index + 1) for rank, index in enumerate(at)]))


@pytest.mark.parametrize(("figure", "area"), [("roc_auc", pairs_in_order), ("pr_auc", mean_precision)])
def test_areas_are_means_over_the_classes(figure: str, area: Callable[[Floats, Labels], float]) -> None:
    logits, labels = random_logits(200, 4, seed=3)
    probabilities = softmax(logits)
    expected = [area(probabilities[:, index], (labels == index).astype(np.int64)) for index in range(4)]
    actual = classification_figures(probabilities, labels, list("abcd"))[figure]
    assert actual == pytest.approx(np.mean(expected))
    assert 0.5 < actual < 1


def test_absent_class_is_left_out_of_means() -> None:
    from sklearn.metrics import roc_auc_score

    logits, labels = random_logits(100, 3, seed=1)
    probabilities = softmax(np.pad(logits, ((0, 0), (0, 1)), constant_values=-50))
    figures = classification_figures(probabilities, labels, list("abcd"))
    assert figures["per_class"]["d"] == {"precision": 0, "recall": 0, "f1": 0, "n": 0}
    rest = classification_figures(softmax(logits), labels, list("abc"))
    assert figures["balanced_accuracy"] == pytest.approx(rest["balanced_accuracy"])
    assert figures["macro_f1"] == pytest.approx(rest["macro_f1"] * 3 / 4)  # over the labels, as its docstring says
    expected = np.mean([roc_auc_score(labels == index, probabilities[:, index]) for index in range(3)])
    assert figures["roc_auc"] == pytest.approx(expected)


def test_single_class_has_no_auc_or_kappa() -> None:
    figures = classification_figures(np.array([[0.8, 0.2], [0.7, 0.3]]), np.array([0, 0]), ["a", "b"])
    assert (figures["roc_auc"], figures["pr_auc"], figures["kappa"], figures["accuracy"]) == (None, None, 0, 1)


@pytest.mark.parametrize(("shape", "n"), [((3, 2), 3), ((2, 3), 3), ((0, 3), 0)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, int], n: int) -> None:
    with pytest.raises(ValueError, match=r"need \(n, 3\) probabilities"):
        classification_figures(np.full(shape, 0.5), np.zeros(n, np.int64), list("abc"))


def plain_calibration_error(probabilities: Floats, labels: Labels) -> float:
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, BINS + 1)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_calibration_error_is_the_formula(scale: float) -> None:
    logits, labels = random_logits(500, 5, seed=2, scale=scale)
    expected = plain_calibration_error(softmax(logits), labels)
    assert expected_calibration_error(softmax(logits), labels) == pytest.approx(expected, abs=1e-5)


def test_calibration_error_survives_rounding_above_one() -> None:
    probabilities = np.array([[1 + 1e-7, 0.0], [0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])
    labels = np.array([0, 0, 0, 0])
    expected = plain_calibration_error(probabilities.clip(0, 1), labels)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected, abs=1e-6)


@steady
@given(any_probabilities(), st.floats(0.2, 5))
def test_sharpening_keeps_the_answer(probabilities: Floats, temperature: float) -> None:
    result = apply_temperature(probabilities, temperature)
    ordered = np.sort(probabilities, axis=1)
    assume(bool((ordered[:, -1] - ordered[:, -2] > 1e-6).all()))
    assert np.array_equal(result.argmax(axis=1), probabilities.argmax(axis=1))
    assert result.sum(axis=1) == pytest.approx(1) and result.min() >= 0


@steady
@given(any_probabilities(), st.floats(1.0, 5))
def test_higher_temperature_is_less_sure(probabilities: Floats, temperature: float) -> None:
    assert (apply_temperature(probabilities, temperature).max(axis=1) <= probabilities.max(axis=1) + 1e-9).all()
    assert apply_temperature(probabilities, 1.0) == pytest.approx(probabilities)


@pytest.mark.parametrize("temperature", [0.5, 1.7, 4.0])
def test_sharpening_is_softmax_of_the_divided_logits(temperature: float) -> None:
    logits, _ = random_logits(50, 4, seed=5)
    assert apply_temperature(softmax(logits), temperature) == pytest.approx(softmax(logits / temperature))


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_temperature_undoes_a_known_factor(scale: float) -> None:
    logits, labels = random_logits(6000, 6, seed=7, scale=scale)
    temperature = fit_temperature(softmax(logits), labels)
    assert temperature == pytest.approx(scale, rel=0.06)  # the labels are a sample


def test_temperature_is_the_best_of_a_fine_grid() -> None:
    logits, labels = random_logits(400, 4, seed=8, scale=2.0)

    def loss(temperature: float) -> float:
        return float(-np.log(softmax(logits / temperature)[np.arange(400), labels]).mean())

    grid = np.geomspace(0.2, 5, 2000)
    best = grid[np.argmin([loss(value) for value in grid])]
    assert fit_temperature(softmax(logits), labels) == pytest.approx(best, rel=0.005)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.2), (False, 5.0)])
def test_temperature_stays_in_its_bounds(right: bool, bound: float) -> None:
    probabilities = np.tile([0.9, 0.1], (20, 1))
    labels = np.full(20, 0 if right else 1)
    assert fit_temperature(probabilities, labels) == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize("own", [0, 1])
def test_no_half_is_calibrated_with_its_own_labels(own: int) -> None:
    logits, labels = random_logits(300, 4, seed=9, scale=3.0)
    probabilities = softmax(logits)
    changed = labels.copy()
    changed[own::2] = (changed[own::2] + 1) % 4
    before, after = cross_calibrate(probabilities, labels), cross_calibrate(probabilities, changed)
    assert np.array_equal(before[own::2], after[own::2])
    assert not np.allclose(before[1 - own :: 2], after[1 - own :: 2])
    expected = apply_temperature(
        probabilities[own::2], fit_temperature(probabilities[1 - own :: 2], labels[1 - own :: 2])
    )
    assert before[own::2] == pytest.approx(expected)


def test_crossfitting_calibrates() -> None:
    logits, labels = random_logits(4000, 5, seed=10, scale=3.0)
    before = expected_calibration_error(softmax(logits), labels)
    after = expected_calibration_error(cross_calibrate(softmax(logits), labels), labels)
    assert before > 0.15 and after < 0.03


@pytest.mark.parametrize(
    ("shares", "answers", "expected"),
    [
        ([[0.5, 0.5]], [[0.9, 0.1]], 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)),
        ([[1.0, 0.0]], [[0.25, 0.75]], math.log(4)),
        ([[1.0, 0.0], [0.3, 0.7]], [[0.5, 0.5], [0.3, 0.7]], math.log(2) / 2),
        ([[0.5, 0.5]], [[1.0, 0.0]], 0.5 * math.log(0.5) + 0.5 * (math.log(0.5) - math.log(1e-12))),
    ],
)
def test_divergence_by_hand(shares: list[list[float]], answers: list[list[float]], expected: float) -> None:
    assert kl_divergence(np.array(shares), np.array(answers)) == pytest.approx(expected)


@steady
@given(any_probabilities(), st.randoms(use_true_random=False))
def test_divergence_is_never_negative_and_zero_for_agreement(shares: Floats, rng: Any) -> None:
    others = shares[:, rng.sample(range(shares.shape[1]), shares.shape[1])]
    assert kl_divergence(shares, others) >= -1e-9
    assert kl_divergence(shares, shares) == 0


def test_concordance_divides_by_the_number_of_turns() -> None:
    draws = np.random.default_rng(0)
    first = draws.normal(size=(50, 2))
    second = 0.7 * first + draws.normal(size=(50, 2)) + 0.3
    expected = [
        2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        for x, y in zip(first.T, second.T, strict=True)
    ]
    actual = concordance(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_allclose(actual.numpy(), expected)
    series = torch.arange(1.0, 5.0)[:, None]
    assert concordance(series, series + 1).item() == pytest.approx(5 / 7)
    assert concordance(torch.ones(4, 1), torch.ones(4, 1)).item() == 0


# --- votes ---------------------------------------------------------------------------------------------------------


def votes_of(probabilities: Floats, people: int, seed: int) -> Floats:
    """Shares of the votes of people who vote by these probabilities."""
    chance = np.random.default_rng(seed)
    return np.array([chance.multinomial(people, row / row.sum()) for row in probabilities]) / people


@pytest.mark.parametrize("figure", [correctness, cross_entropy, expected_calibration_error])
def test_a_label_is_a_unanimous_vote(figure: Callable[[Floats, Targets], Any]) -> None:
    logits, labels = random_logits(300, 5, seed=11)
    probabilities = softmax(logits)
    assert figure(probabilities, np.eye(5)[labels]) == pytest.approx(figure(probabilities, labels), abs=1e-5)


def test_calibration_error_of_votes_is_the_formula() -> None:
    logits, _ = random_logits(800, 4, seed=12, scale=2.0)
    probabilities, votes = softmax(logits), votes_of(softmax(logits), 10, seed=1)
    confidence, agreement = probabilities.max(axis=1), votes[np.arange(800), probabilities.argmax(axis=1)]
    expected = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, BINS + 1)):
        inside = (confidence > low) & (confidence <= high)
        expected += abs((agreement - confidence)[inside].sum()) / 800
    assert expected_calibration_error(probabilities, votes) == pytest.approx(expected, abs=1e-6)
    assert expected < 0.03  # the voters vote by the probabilities


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_temperature_of_votes_undoes_a_known_factor(scale: float) -> None:
    logits, _ = random_logits(3000, 6, seed=13)
    votes = votes_of(softmax(logits), 10, seed=2)
    assert fit_temperature(softmax(logits * scale), votes) == pytest.approx(scale, rel=0.05)


def test_majorities_overstate_what_people_agree_on() -> None:
    logits, _ = random_logits(3000, 6, seed=14)
    votes = votes_of(softmax(logits), 10, seed=3)
    assert fit_temperature(softmax(logits), votes.argmax(axis=1)) < 0.8 < fit_temperature(softmax(logits), votes)


def test_weights_count_rows_several_times() -> None:
    logits, labels = random_logits(200, 4, seed=15, scale=2.0)
    probabilities, counts = softmax(logits), np.random.default_rng(4).integers(0, 4, 200)
    repeated = fit_temperature(probabilities.repeat(counts, axis=0), labels.repeat(counts))
    assert fit_temperature(probabilities, labels, counts.astype(float)) == pytest.approx(repeated, rel=1e-4)


def test_temperature_per_row() -> None:
    logits, _ = random_logits(50, 4, seed=16)
    temperatures = np.linspace(0.5, 3, 50)[:, None]
    assert apply_temperature(softmax(logits), temperatures) == pytest.approx(softmax(logits / temperatures))
