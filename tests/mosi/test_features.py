"""Inputs of the MOSI networks: scales and components from training utterances alone, absent modalities, batches."""

from __future__ import annotations

import numpy as np
import torch

from multimodal.mosi.features import (
    LABELS,
    UtteranceTable,
    make_inputs,
    principal_states,
    select,
    standardize,
    with_modalities,
)
from multimodal.mosi.task import make_batch


def some_table(videos: int = 3, utterances: int = 5, seed: int = 0) -> UtteranceTable:
    random = np.random.default_rng(seed)
    count = videos * utterances
    return UtteranceTable(
        tuple(f"v{index // utterances}" for index in range(count)),
        random.integers(LABELS, size=count),
        {"audio": random.normal(size=(count, 7)), "face": random.normal(size=(count, 6))},
        [random.normal(size=(int(random.integers(1, 9)), 10)).astype(np.float32) for _ in range(count)],
    )


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    table = some_table()
    training = np.arange(10)
    padded, counts = principal_states(table.states, training, 4)
    tokens = np.concatenate([table.states[index] for index in training]).astype(np.float64)
    _, values, rows = np.linalg.svd(tokens - tokens.mean(axis=0), full_matrices=False)
    scale = np.sqrt((values[:4] ** 2 / len(tokens)).mean())
    assert counts.tolist() == [len(states) for states in table.states]
    for index in (0, 14):
        expected = (table.states[index] - tokens.mean(axis=0)) @ rows[:4].T / scale
        actual = padded[index, : counts[index]].numpy()
        assert np.allclose(np.abs(actual), np.abs(expected), atol=1e-4)  # the direction of a component is arbitrary
        assert not padded[index, counts[index] :].any()


def test_scales_and_components_follow_training_utterances_alone() -> None:
    table, training = some_table(), np.arange(10)
    inputs = make_inputs(table, training, 4)
    vectors = {name: rows.copy() for name, rows in table.vectors.items()}
    states = list(table.states)
    for rows in vectors.values():
        rows[12] += 100
    states[12] = states[12] * 50
    changed = make_inputs(UtteranceTable(table.videos, table.targets, vectors, states), training, 4)
    others = torch.arange(len(table)) != 12
    for before, after in zip(inputs, changed, strict=True):
        assert torch.equal(before[others], after[others])
    assert torch.allclose(inputs.audio[:10, 0].mean(dim=0), torch.zeros(7), atol=0.2)  # 0 up to the clipping
    assert standardize(table.vectors["audio"], training)[training].std(axis=0).max() < 1.01


def test_absent_modalities_leave_nothing_behind() -> None:
    table = some_table()
    inputs = make_inputs(table, np.arange(10), 4)
    evidence = {"audio": np.full((15, 2), 0.5), "text": np.tile([0.9, 0.1], (15, 1))}
    pair = with_modalities(inputs, ("audio", "text"), evidence)
    assert pair.face.shape[2] == 0 and not pair.face_mask.any()
    assert pair.present.tolist() == [[False, True, True]] * 15
    assert torch.allclose(pair.log_probabilities[:, 2].exp(), torch.tensor([0.9, 0.1]))
    assert not pair.log_probabilities[:, 0].any()
    words = with_modalities(inputs, ("text",))
    assert words.audio.shape[2] == 0 and not words.steps.any() and not words.log_probabilities.any()
    voice = with_modalities(inputs, ("audio",))
    assert voice.text.shape[1] == 0 and not voice.tokens.any() and voice.steps.all()


def test_a_batch_holds_whole_videos_without_needless_padding() -> None:
    table = some_table()
    inputs = make_inputs(table, np.arange(10), 4)
    videos = table.videos_among(np.arange(5, 15))
    assert [video.tolist() for video in videos] == [[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    batch = make_batch(inputs, table, videos[::-1])
    order = [*range(10, 15), *range(5, 10)]
    assert batch.lengths.tolist() == [5, 5] and batch.targets.tolist() == table.targets[order].tolist()
    longest = max(len(table.states[index]) for index in order)
    assert batch.utterances.text.shape == (10, longest, 4)
    assert torch.equal(batch.utterances.audio, inputs.audio[order])
    assert select(inputs, np.array([3])).tokens.tolist() == [len(table.states[3])]
