"""Running a fusion head: independence of the batch, temperatures per modality, absent modalities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from fusion_fixtures import small_shape
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_fixtures import SIZES, Scene, scenes, shares

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.fusion.consistency import constrain
from multimodal.fusion.dual_recurrent import DualRecurrentFusion
from multimodal.fusion.prediction import BATCH, ROWS, _batches, predict, softmax, temperature_for
from multimodal.types import MODALITIES

SHAPE = small_shape(SIZES, dimensions=3)
SUBSETS = [[name for bit, name in enumerate(MODALITIES) if number >> bit & 1] for number in range(1, 8)]


@pytest.fixture(scope="module")
def network() -> DualRecurrentFusion:
    torch.manual_seed(0)
    head = DualRecurrentFusion(SHAPE).eval()
    with torch.no_grad():
        for weight in head.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return head


def full_scene(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    labels = {"face": FACE_LABELS, "audio": FUSED_LABELS, "text": FUSED_LABELS}
    probabilities = {name: shares(labels[name], rng) for name in MODALITIES}
    times = np.arange(10) * 0.08 + 0.1
    states = {name: rng.standard_normal((10, size)).astype(np.float32) for name, size in SIZES.items()}
    return Scene(0.0, 1.0, 0.1, probabilities, (times, states["audio"]), (times, states["face"]), states["text"])


@settings(max_examples=settings.default.max_examples // 10)  # 0.8 s each: up to 40 utterances, alone and together
@given(st.lists(scenes(), min_size=2, max_size=40))
def test_batching_changes_no_answer(network: DualRecurrentFusion, several: list[Scene]) -> None:
    utterances = [scene.streams() for scene in several]
    together, reversed_ = (predict(network, SHAPE, each) for each in (utterances, utterances[::-1]))
    for index, utterance in enumerate(utterances):
        alone = predict(network, SHAPE, [utterance])
        for name in ("logits", "probabilities", "affect"):
            np.testing.assert_allclose(getattr(alone, name)[0], getattr(together, name)[index], atol=1e-5)
    np.testing.assert_allclose(reversed_.logits[::-1], together.logits, atol=1e-5)
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert np.abs(together.affect).max() <= 1


@given(st.lists(st.one_of(st.integers(0, 30), st.integers(0, 10**6)), max_size=100))
def test_batches_hold_each_utterance_once_within_memory(lengths: list[int]) -> None:
    batches = list(_batches(lengths))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= BATCH
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= ROWS


def test_without_utterances_there_are_no_rows(network: DualRecurrentFusion) -> None:
    answers = predict(network, SHAPE, [])
    assert answers.logits.shape == answers.probabilities.shape == (0, 7) and answers.affect.shape == (0, 3)


def test_answers_are_those_of_the_network(network: DualRecurrentFusion) -> None:
    from multimodal.fusion.alignment import collate

    utterances = [full_scene(seed).streams() for seed in range(3)]
    with torch.inference_mode():
        output = network(collate(utterances, SHAPE.sizes, SHAPE.labels))
    answers = predict(network, SHAPE, utterances)
    np.testing.assert_allclose(answers.logits, output.logits.numpy(), atol=1e-6)
    signals = np.stack([np.exp([each.log_probabilities[name] for name in MODALITIES]) for each in utterances])
    expected = constrain(softmax(output.logits.double().numpy()), signals, np.ones((3, 3), bool), 0)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(answers.affect, output.affect.clamp(-1, 1).numpy(), atol=1e-6)


def test_each_combination_of_modalities_has_its_own_answer(network: DualRecurrentFusion) -> None:
    whole = full_scene(1).streams()
    answers = predict(network, SHAPE, [whole.only(subset) for subset in SUBSETS])
    assert len({tuple(row.round(4)) for row in answers.logits}) == 7


@given(scenes(), st.sampled_from(MODALITIES))
def test_one_modality_alone_is_its_own_answer(network: DualRecurrentFusion, scene: Scene, modality: str) -> None:
    if modality not in scene.said:
        return
    answer = predict(network, SHAPE, [scene.streams().only([modality])]).probabilities[0]
    own = np.array([scene.said[modality][label] for label in FUSED_LABELS])
    np.testing.assert_allclose(answer, own / own.sum(), atol=1e-9)


@given(scenes())
def test_no_answer_is_less_neutral_or_led_by_another_emotion_than_its_signals(
    network: DualRecurrentFusion, scene: Scene
) -> None:
    utterance = scene.streams()
    if not utterance.modalities:
        return
    answer = predict(network, SHAPE, [utterance]).probabilities[0]
    signals = np.exp([utterance.log_probabilities[name] for name in utterance.modalities])
    assert answer[0] >= signals[:, 0].min() - 1e-9
    top = int(answer.argmax())
    assert any(row[top] >= 0.8 * row.max() - 1e-6 for row in signals)


@pytest.mark.parametrize(("subset", "divisor"), [(("face", "text"), 4.0), (("audio", "text"), 2.0)])
def test_the_temperature_is_that_of_the_modalities_present(
    network: DualRecurrentFusion, subset: Sequence[str], divisor: float
) -> None:
    temperatures = {"face+text": 4.0, "face": 1e6}
    utterance = full_scene(2).streams().only(subset)
    answers = predict(network, SHAPE, [utterance], temperatures, 2.0)
    signals = np.exp([[utterance.log_probabilities[name] for name in utterance.modalities]])
    expected = constrain(softmax(answers.logits, divisor), signals, np.ones((1, len(subset)), bool), 0)
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-12)
    assert temperature_for(subset[::-1], temperatures, 2.0) == divisor
