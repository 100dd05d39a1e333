"""The head that corrects a turn by its neighbors, and the turns that it reads together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal.encoders.context import OTHER, SAME, SCALE, UNKNOWN, ContextHead
from multimodal.encoders.text import TextPrediction
from multimodal.encoders.turns import doubt, log_estimates, read_in_context, turn_windows

LABELS, USABILITY, SIZE = 7, 8, 12


def head_of(seed: int = 0, before: int = 2, after: int = 2) -> ContextHead:
    """A head whose last layer is not at its start."""
    torch.manual_seed(seed)
    head = ContextHead(SIZE, LABELS + USABILITY, before, after, hidden=16).eval()
    torch.nn.init.normal_(head.correct.weight)
    return head.requires_grad_(False)


def predictions_of(count: int, seed: int = 0, usability: bool = True) -> list[TextPrediction]:
    random = np.random.default_rng(seed)
    return [
        TextPrediction(
            random.dirichlet(np.ones(LABELS)),
            random.random(LABELS),
            random.random(28),
            random.random((3, SIZE)).astype(np.float32),
            random.random(SIZE).astype(np.float32),
            random.dirichlet(np.ones(USABILITY)) if usability else None,
        )
        for _ in range(count)
    ]


def test_new_head_corrects_nothing() -> None:
    head = ContextHead(SIZE, LABELS + USABILITY)
    predictions = predictions_of(4)
    read = read_in_context(head.eval(), predictions, ["a", "b", "a", None], [True] * 4)
    for before, after in zip(predictions, read, strict=True):
        np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-6)
        assert after.usability is not None and before.usability is not None
        np.testing.assert_allclose(after.usability, before.usability, atol=1e-6)


def test_turn_without_neighbors_is_unchanged() -> None:
    predictions = predictions_of(4)
    alone = read_in_context(head_of(), predictions[:1], ["a"], [True])
    assert alone[0] is predictions[0]
    apart = read_in_context(head_of(), predictions, ["a"] * 4, [False, False, True, False])
    assert apart[0] is predictions[0] and apart[3] is predictions[3]
    assert not np.allclose(apart[1].probabilities, predictions[1].probabilities)
    assert apart[1].states is predictions[1].states and apart[1].scores is predictions[1].scores


def test_corrected_probabilities_are_those_of_the_corrected_logarithms() -> None:
    head, predictions = head_of(), predictions_of(3)
    read = read_in_context(head, predictions, ["a", "b", "a"], [True] * 3)
    embeddings = torch.from_numpy(np.stack([one.embedding for one in predictions]))
    zeros = [torch.zeros(1, 1, size) for size in (SIZE, LABELS + USABILITY)]
    estimates = log_estimates(predictions)
    correction = head(
        torch.cat([zeros[0], embeddings[None], zeros[0]], dim=1),
        torch.cat([zeros[1], estimates[None], zeros[1]], dim=1),
        torch.tensor([[SAME, OTHER, SAME, OTHER, SAME]]),
        torch.tensor([[False, True, True, True, False]]),
    )[0].double()
    shares = [doubt(predictions[1].probabilities), doubt(predictions[1].usability)]
    emotion = torch.softmax(
        torch.from_numpy(predictions[1].probabilities).log() + shares[0] * correction[:LABELS], dim=0
    )
    np.testing.assert_allclose(read[1].probabilities, emotion.numpy(), atol=1e-6)
    label = torch.softmax(torch.from_numpy(predictions[1].usability).log() + shares[1] * correction[LABELS:], dim=0)
    np.testing.assert_allclose(read[1].usability, label.numpy(), atol=1e-6)  # type: ignore[arg-type]


def test_only_neighbors_within_reach_count() -> None:
    head, predictions = head_of(), predictions_of(7)
    speakers: list[str | None] = ["a"] * 7
    whole = read_in_context(head, predictions, speakers, [True] * 7)
    part = read_in_context(head, predictions[1:6], speakers[1:6], [True] * 5)
    np.testing.assert_allclose(whole[3].probabilities, part[2].probabilities, atol=1e-6)
    changed = [*predictions[:6], predictions_of(1, seed=9)[0]]
    other = read_in_context(head, changed, speakers, [True] * 7)
    np.testing.assert_allclose(whole[3].probabilities, other[3].probabilities, atol=1e-12)
    assert not np.allclose(whole[5].probabilities, other[5].probabilities)


def test_speakers_matter_only_as_same_or_other() -> None:
    head, predictions = head_of(), predictions_of(5)
    first = read_in_context(head, predictions, ["a", "b", "a", "b", "a"], [True] * 5)
    renamed = read_in_context(head, predictions, ["x", "y", "x", "y", "x"], [True] * 5)
    alike = read_in_context(head, predictions, ["x"] * 5, [True] * 5)
    np.testing.assert_array_equal(first[2].probabilities, renamed[2].probabilities)
    assert not np.allclose(first[2].probabilities, alike[2].probabilities)
    _, marks, _ = turn_windows(["a", None, "a"], [True] * 3, 1, 1)
    assert marks.tolist() == [[SAME, SAME, UNKNOWN], [UNKNOWN] * 3, [UNKNOWN, SAME, SAME]]


def test_network_without_usability_labels_is_corrected_too() -> None:
    head = ContextHead(SIZE, LABELS, hidden=16).eval()
    torch.nn.init.normal_(head.correct.weight)
    read = read_in_context(head, predictions_of(3, usability=False), ["a"] * 3, [True] * 3)
    assert all(one.usability is None and one.probabilities.sum() == pytest.approx(1) for one in read)


def test_correction_is_bounded() -> None:
    head = head_of()
    torch.nn.init.normal_(head.correct.weight, std=1e3)
    correction = head(
        torch.randn(8, 5, SIZE), torch.randn(8, 5, 15), torch.zeros(8, 5, dtype=torch.long), torch.ones(8, 5).bool()
    )
    assert correction.abs().max() <= SCALE


def test_no_turns_give_no_windows() -> None:
    numbers, marks, mask = turn_windows([], [], 2, 2)
    assert numbers.shape == marks.shape == mask.shape == (0, 5)
    assert read_in_context(head_of(), [], [], []) == []


def test_clear_turns_are_hardly_corrected() -> None:
    even, sure = np.full(4, 0.25), np.array([0.97, 0.01, 0.01, 0.01])
    assert doubt(even) == pytest.approx(1.0) and doubt(sure) < 0.15
    assert doubt(np.array([0.0, 1.0, 0.0, 0.0])) == 0.0
    assert doubt(np.array([0.5, 0.5, 0.0, 0.0])) == pytest.approx(0.5)
