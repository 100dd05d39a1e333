"""Audio encoders: compared with numpy, in padded batches, and with statistics of the whole speaker."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from voice_corpus import features_of as spoken
from voice_signals import pulsing_noise as sound

from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.encoders import audio
from multimodal.encoders.audio import (
    AUDIO_NETWORKS,
    AudioRecurrentEncoder,
    ConvBiGRU,
    ConvBiGRUWhisper,
    encode_speaker,
)
from multimodal.encoders.framing import padding_mask
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures, summary_size, voice_features
from multimodal.encoders.voice.layers import AttentionPool, Mix, mean_and_deviation
from multimodal.encoders.voice.moments import LARGEST
from multimodal.encoders.voice.prosody import PROSODY_FIELDS
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import load_weights, save_weights

Doubles = NDArray[np.float64]
RATE, LABELS, FRAME, SUMMARY = 16000, 8, 39, summary_size()
steady = settings(database=None, derandomize=True)


def network_of(name: str) -> nn.Module:
    """Random weights, and buffers as after a training: nothing is 0 or 1 by chance."""
    torch.manual_seed(3)
    network = AUDIO_NETWORKS[name](LABELS, FRAME, SUMMARY).eval().requires_grad_(False)
    for key, value in network.state_dict().items():
        if key.endswith(("variance", "running_var")):
            value.uniform_(0.5, 2.0)
        elif key.endswith(("mean", "running_mean")):
            value.normal_(0, 0.3)
    return network


@pytest.fixture(scope="module", params=sorted(AUDIO_NETWORKS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    return network_of(request.param)


def sizes(network: nn.Module) -> tuple[int, int]:
    """Features per frame and per utterance; twice as many where two normalizations stand side by side."""
    factor = 2 if isinstance(network, ConvBiGRUWhisper) else 1
    return factor * FRAME, factor * SUMMARY


def frames_per_step(network: nn.Module) -> int:
    return 8 if isinstance(network, ConvBiGRU) else 1


# --- padding ------------------------------------------------------------------------------------------------------


def both_ways(network: nn.Module, lengths: Sequence[int], further: int = 0) -> None:
    """Compares a batch that is padded with nonsense with its items alone."""
    generator = torch.Generator().manual_seed(sum(lengths))
    frame, size = sizes(network)
    items = [torch.randn(length, frame, generator=generator) for length in lengths]
    summary = torch.randn(len(items), size, generator=generator)
    batch = nn.functional.pad(pad_sequence(items, batch_first=True, padding_value=9.0), (0, 0, 0, further), value=-7.0)
    together = network(batch, torch.tensor(lengths), summary)
    for row, item in enumerate(items):
        alone = network(item[None], torch.tensor([len(item)]), summary[row : row + 1])
        steps = int(alone.state_lengths[0])
        assert together.state_lengths[row] == steps == alone.states.shape[1]
        torch.testing.assert_close(together.logits[row], alone.logits[0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(together.embedding[row], alone.embedding[0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(together.member_logits[:, row], alone.member_logits[:, 0], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(together.states[row, :steps], alone.states[0], atol=2e-5, rtol=1e-4)
        assert not together.states[row, steps:].any()


@steady
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6))
def test_padding_changes_nothing(network: nn.Module, lengths: list[int]) -> None:
    both_ways(network, lengths)


def test_one_frame_and_long_padding(network: nn.Module) -> None:
    both_ways(network, [1, 2, 3, 7, 8, 9, 16, 17, 120], further=133)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 9, 100, 123])
def test_states_stand_at_even_steps(network: nn.Module, frames: int) -> None:
    frame, size = sizes(network)
    output = network(torch.zeros(1, frames, frame), torch.tensor([frames]), torch.zeros(1, size))
    per_step = frames_per_step(network)
    assert output.state_lengths.tolist() == [-(-frames // per_step)]
    assert output.states.shape == (1, -(-frames // per_step), network.state_size)
    assert output.embedding.shape == (1, network.embedding_size) and output.logits.shape == (1, LABELS)
    assert output.member_logits.shape[1:] == (1, LABELS)


def test_output_averages_summary_heads(network: nn.Module) -> None:
    frame, size = sizes(network)
    output = network(torch.randn(3, 40, frame), torch.tensor([40, 30, 9]), torch.randn(3, size))
    members = {AudioRecurrentEncoder: 1, ConvBiGRU: 3, ConvBiGRUWhisper: 4}
    assert len(output.member_logits) == members[type(network)]
    answering = output.member_logits[1:] if isinstance(network, ConvBiGRU) else output.member_logits
    expected = answering.softmax(-1).mean(0)
    torch.testing.assert_close(output.logits.softmax(-1), expected)
    assert output.logits.dtype == torch.float32


# --- against numpy ------------------------------------------------------------------------------------------------


def logistic(values: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-values))


def state_of(network: nn.Module) -> dict[str, Doubles]:
    return {name: value.double().numpy() for name, value in network.state_dict().items()}


def recurrence(rows: Doubles, weights: dict[str, Doubles], suffix: str = "") -> Doubles:
    """A gated recurrent unit in words (Cho et al. 2014, with the reset gate behind the product, as cuDNN has it)."""
    w_in, w_state, b_in, b_state = (
        weights[f"recurrent.{kind}_l0{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    size = w_state.shape[1]
    state, states = np.zeros(size), []
    for row in rows[::-1] if suffix else rows:
        reset_in, update_in, new_in = np.split(w_in @ row + b_in, 3)
        reset_state, update_state, new_state = np.split(w_state @ state + b_state, 3)
        update = logistic(update_in + update_state)
        new = np.tanh(new_in + logistic(reset_in + reset_state) * new_state)
        state = (1 - update) * new + update * state
        states.append(state)
    return np.array(states[::-1] if suffix else states)


def test_recurrent_encoder_is_the_one_by_hand() -> None:
    network = network_of("are")
    weights = state_of(network)
    rows, summary = np.random.default_rng(0).normal(size=(23, FRAME)), np.random.default_rng(1).normal(size=SUMMARY)
    states = recurrence(rows, weights)
    embedding = np.concatenate([states[-1], summary[SUMMARY - len(PROSODY_FIELDS) :]])
    logits = weights["head.weight"] @ embedding + weights["head.bias"]
    actual = network(torch.from_numpy(rows)[None].float(), torch.tensor([23]), torch.from_numpy(summary)[None].float())
    assert actual.states[0].numpy() == pytest.approx(states, abs=1e-5)
    assert actual.embedding[0].numpy() == pytest.approx(embedding, abs=1e-5)
    assert actual.logits[0].numpy() == pytest.approx(logits, abs=1e-5)


def convolved(rows: Doubles, weights: dict[str, Doubles], number: int) -> Doubles:
    """Every second place, five frames wide, normalized and without what is below zero; silence beyond both ends."""
    kernel, bias = weights[f"convolutions.{number}.weight"], weights[f"convolutions.{number}.bias"]
    filled = np.concatenate([np.zeros((2, rows.shape[1])), rows, np.zeros((4, rows.shape[1]))])
    raw = np.array([np.einsum("oik,ki->o", kernel, filled[at : at + 5]) + bias for at in range(0, len(rows), 2)])
    return np.maximum(normalized(raw, weights, f"norms.{number}"), 0)


def normalized(rows: Doubles, weights: dict[str, Doubles], name: str) -> Doubles:
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (rows - mean) / np.sqrt(variance + 1e-5) * scale + shift


def headed(row: Doubles, weights: dict[str, Doubles], number: int, hidden: int) -> Doubles:
    """``hidden`` layers of four modules each, then the last."""
    for layer in range(hidden):
        at = f"heads.{number}.{4 * layer}"
        row = weights[f"{at}.weight"] @ row + weights[f"{at}.bias"]
        row = np.maximum(normalized(row, weights, f"heads.{number}.{4 * layer + 1}"), 0)
    at = f"heads.{number}.{4 * hidden}"
    return weights[f"{at}.weight"] @ row + weights[f"{at}.bias"]


@pytest.mark.parametrize("frames", [1, 8, 21])
def test_own_network_is_the_one_by_hand(frames: int) -> None:
    network = network_of("conv_bigru")
    weights = state_of(network)
    rows, summary = np.random.default_rng(0).normal(size=(frames, FRAME)), np.random.default_rng(1).normal(size=SUMMARY)
    steps = convolved(convolved(rows, weights, 0), weights, 1)
    pairs = np.array([steps[at : at + 2].mean(axis=0) for at in range(0, len(steps), 2)])
    states = np.concatenate([recurrence(pairs, weights), recurrence(pairs, weights, "_reverse")], axis=1)
    scores = np.tanh(states) @ weights["pool.score.weight"][0] + weights["pool.score.bias"]
    share = np.exp(scores) / np.exp(scores).sum()
    mean = share @ states
    pooled = np.concatenate([mean, np.sqrt(share @ (states - mean) ** 2 + 1e-5)])
    logits = np.array(
        [
            headed(pooled, weights, 0, 1),
            headed(summary, weights, 1, 2),
            headed(np.concatenate([pooled, summary]), weights, 2, 1),
        ]
    )
    actual = network(
        torch.from_numpy(rows)[None].float(), torch.tensor([frames]), torch.from_numpy(summary)[None].float()
    )
    assert actual.states[0].numpy() == pytest.approx(states, abs=2e-5)
    assert actual.embedding[0].numpy() == pytest.approx(pooled, abs=2e-5)
    assert actual.member_logits[:, 0].numpy() == pytest.approx(logits, abs=5e-5)


def test_attention_passes_over_what_is_masked() -> None:
    torch.manual_seed(0)
    pool, states = AttentionPool(4), torch.randn(1, 5, 4)
    mask = torch.tensor([[True, True, False, True, False]])
    kept = states[:, mask[0]]
    torch.testing.assert_close(pool(states, mask), pool(kept, torch.ones(1, 3, dtype=torch.bool)))


# --- training -----------------------------------------------------------------------------------------------------


def test_mixing_by_hand() -> None:
    mix = Mix(torch.tensor([[1.0], [0.25], [0.5]]), torch.tensor([1, 2, 0]))
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    assert mix.of(values).tolist() == [[1.0, 2.0], [4.5, 6.25], [3.0, 4.5]]


def test_utterances_are_mixed_behind_the_recurrence(network: nn.Module) -> None:
    frame, size = sizes(network)
    frames, lengths, summary = torch.randn(2, 30, frame), torch.tensor([30, 12]), torch.randn(2, size)
    plain = network(frames, lengths, summary)
    nothing = network(frames, lengths, summary, mix=Mix(torch.ones(2, 1), torch.tensor([1, 0])))
    torch.testing.assert_close(nothing.member_logits, plain.member_logits)
    swapped = network(frames, lengths, summary, mix=Mix(torch.zeros(2, 1), torch.tensor([1, 0])))
    torch.testing.assert_close(swapped.member_logits, plain.member_logits.flip(1))
    if isinstance(network, AudioRecurrentEncoder):  # its head is linear, so mixing before it is mixing behind it
        mix = Mix(torch.tensor([[0.3], [0.9]]), torch.tensor([1, 0]))
        torch.testing.assert_close(network(frames, lengths, summary, mix=mix).logits, mix.of(plain.logits))


# --- a speaker ----------------------------------------------------------------------------------------------------


class Listener(nn.Module):
    """Keeps what a network is handed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.background = network, network.background
        self.handed: list[tuple[Doubles, Doubles]] = []

    def forward(self, frames: Tensor, lengths: Tensor, summary: Tensor) -> Any:
        for row, length, own in zip(frames, lengths, summary, strict=True):
            self.handed.append((row[:length].double().numpy(), own.double().numpy()))
        return self.network(frames, lengths, summary)


def test_answers_are_shares_and_states_are_complete(network: nn.Module) -> None:
    rows, states = encode_speaker(network, [spoken(length, length) for length in (50, 3, 120)])
    assert rows.shape == (3, LABELS) and rows.dtype == torch.float32
    torch.testing.assert_close(rows.sum(1), torch.ones(3))
    per_step = frames_per_step(network)
    assert [tuple(each.shape) for each in states] == [
        (-(-length // per_step), network.state_size) for length in (50, 3, 120)
    ]


def test_order_and_batches_do_not_matter(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    features = [spoken(length, length) for length in (50, 3, 120, 51, 7, 64)]
    rows, states = encode_speaker(network, features)
    assert (rows[0] - rows[1]).abs().max() > 1e-3
    turned = [4, 0, 5, 2, 1, 3]
    for size in (1, 4, 32):
        monkeypatch.setattr(audio, "BATCH", size)
        actual, found_states = encode_speaker(network, [features[index] for index in turned])
        torch.testing.assert_close(actual, rows[turned], atol=2e-5, rtol=1e-4)
        for index, each in zip(turned, found_states, strict=True):
            torch.testing.assert_close(each, states[index], atol=2e-5, rtol=1e-4)


def test_nothing_said_gives_nothing(network: nn.Module) -> None:
    rows, states = encode_speaker(network, [])
    assert len(rows) == 0 and states == []
    assert voice_features([], Mfcc()) == []


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_temperature_divides_the_logits(network: nn.Module, temperature: float) -> None:
    features = [spoken(30, 0), spoken(40, 1)]
    plain = encode_speaker(network, features)[0].double().numpy()
    powers = plain ** (1 / temperature)
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert encode_speaker(network, features, temperature)[0].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.fixture(params=["are", "conv_bigru"])
def normalizing(request: pytest.FixtureRequest) -> nn.Module:
    """A network that reads features normalized by the recording alone."""
    return network_of(request.param)


@pytest.mark.parametrize("utterances", [1, 2, 30])
def test_speaker_statistics_are_removed(normalizing: nn.Module, utterances: int) -> None:
    """The corpora weigh 20 utterances, or 4,000 frames; the rest of the estimate is the speaker's own."""
    listener = Listener(normalizing)
    features = [spoken(10 + number, number, shift=2.0) for number in range(utterances)]
    encode_speaker(listener, features)
    own_frames = np.concatenate([each.frames.double().numpy() for each in features])
    own_summaries = np.array([each.summary.double().numpy() for each in features])
    state = state_of(normalizing)
    share_frames, share_summaries = len(own_frames) / (len(own_frames) + 4_000), utterances / (utterances + 20)
    for heard, said in zip(listener.handed, features, strict=True):
        for part, values, own, share, kind in (
            (heard[0], said.frames, own_frames, share_frames, "frame"),
            (heard[1], said.summary, own_summaries, share_summaries, "summary"),
        ):
            mean = share * own.mean(axis=0) + (1 - share) * state[f"background.{kind}_mean"]
            variance = share * own.var(axis=0) + (1 - share) * state[f"background.{kind}_variance"]
            expected = np.clip((values.double().numpy() - mean) / np.sqrt(variance), -LARGEST, LARGEST)
            assert part == pytest.approx(expected, abs=1e-4), kind


def test_more_of_one_speaker_weakens_what_the_recording_adds(normalizing: nn.Module) -> None:
    """A shift of all features, as by another microphone, is explained the better the more was heard."""
    left = []
    for utterances in (1, 4, 16, 128):
        handed = []
        for shift in (0.0, 1.5):
            listener = Listener(normalizing)
            encode_speaker(listener, [spoken(400, number, shift) for number in range(utterances)])
            handed.append(np.concatenate([frames for frames, _ in listener.handed]).mean())
        left.append(float(handed[1] - handed[0]))
    assert left == sorted(left, reverse=True) and left[0] > 1.0 and left[-1] < 0.15


def test_recording_adds_nothing_where_the_corpora_weigh_nothing(normalizing: nn.Module) -> None:
    free = copy.deepcopy(normalizing)
    free.background.frames = free.background.utterances = 0.0
    plain = encode_speaker(free, [spoken(60, number) for number in range(4)])[0]
    shifted = encode_speaker(free, [spoken(60, number, shift=3.0) for number in range(4)])[0]
    torch.testing.assert_close(shifted, plain, atol=5e-3, rtol=0)  # half precision is coarser further from zero


# --- speech states ------------------------------------------------------------------------------------------------


def with_states(frames: int, seed: int) -> VoiceFeatures:
    generator = torch.Generator().manual_seed(seed)
    return replace(spoken(frames, seed), speech_states=torch.randn(-(-frames // 8), 512, generator=generator).half())


def test_states_change_the_answer_and_not_what_fusion_reads() -> None:
    network = network_of("conv_bigru_whisper")
    features = [with_states(length, length) for length in (50, 3, 120)]
    rows, states = encode_speaker(network, features)
    plain_rows, plain_states = encode_speaker(network, [replace(each, speech_states=None) for each in features])
    assert float((rows - plain_rows).abs().max()) > 1e-3
    for each, plain in zip(states, plain_states, strict=True):
        assert torch.equal(each, plain)


def test_both_branches_count_the_same() -> None:
    network = network_of("conv_bigru_whisper")
    frame, size = sizes(network)
    frames, lengths, summary = torch.randn(2, 30, frame), torch.tensor([30, 12]), torch.randn(2, size)
    states, steps = torch.randn(2, 4, 1024), torch.tensor([4, 2])
    output = network(frames, lengths, summary, states=states, state_lengths=steps)
    shares = output.member_logits.softmax(-1)
    torch.testing.assert_close(output.logits.softmax(-1), (shares[1:4].mean(0) + shares[4:].mean(0)) / 2)


def test_padding_of_states_changes_nothing() -> None:
    branch = network_of("conv_bigru_whisper").speech
    states = torch.randn(2, 9, 1024) * padding_mask(torch.tensor([9, 4]), 9)[:, :, None]
    together = branch(states, torch.tensor([9, 4]))
    torch.testing.assert_close(together[:, 1:], branch(states[1:, :4], torch.tensor([4])), atol=2e-5, rtol=1e-4)


def test_mean_and_deviation_are_numpys() -> None:
    states = torch.randn(1, 7, 5)
    values = states[0].double().numpy()
    expected = np.concatenate([values.mean(axis=0), np.sqrt(values.var(axis=0) + 1e-5)])
    assert mean_and_deviation(states, torch.tensor([7]))[0].numpy() == pytest.approx(expected, abs=1e-5)


def test_networks_that_read_no_states_are_not_disturbed_by_them(normalizing: nn.Module) -> None:
    features = [with_states(length, length) for length in (50, 20)]
    plain = encode_speaker(normalizing, [replace(each, speech_states=None) for each in features])[0]
    assert torch.equal(encode_speaker(normalizing, features)[0], plain)


# --- features -----------------------------------------------------------------------------------------------------


def test_whatever_is_heard_the_answer_is_finite(network: nn.Module) -> None:
    loud = np.sign(np.sin(np.arange(RATE) / 5)).astype(np.float32)
    sounds = [
        np.zeros(RATE, np.float32),
        np.zeros(1, np.float32),
        np.full(300, 0.3, np.float32),
        loud,
        1e-7 * loud,
        sound(0.6),
    ]
    features = voice_features(sounds, Mfcc())
    for each in features:
        assert each.frames.isfinite().all() and each.summary.isfinite().all()
    for selection in (features, *([each] for each in features)):
        rows, states = encode_speaker(network, selection)
        assert rows.isfinite().all() and all(state.isfinite().all() for state in states)


# --- weights ------------------------------------------------------------------------------------------------------


def spec_of(network: nn.Module) -> ModelSpec:
    name = next(name for name, kind in AUDIO_NETWORKS.items() if kind is type(network))
    labels = VOICE_CORPORA["ravdess"].labels
    groups = ("neutral", "neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
    return ModelSpec("audio", name, labels, 1.5, groups=groups, mfcc=asdict(MfccSettings()))


def test_card_reports_the_parameters(network: nn.Module, tmp_path: Path) -> None:
    spec = spec_of(network)
    path = save_weights(tmp_path, f"{spec.architecture}.random-v1", network, spec, {})
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["parameters"] == sum(value.numel() for value in network.parameters())
    if isinstance(network, AudioRecurrentEncoder):
        assert card["parameters"] == 3 * 200 * (FRAME + 200 + 2) + (200 + len(PROSODY_FIELDS) + 1) * LABELS
    assert path.stat().st_size <= 4_000_000
    assert card["spec"]["mfcc"] == asdict(MfccSettings())


def test_other_features_make_another_network(tmp_path: Path) -> None:
    settings = MfccSettings(coefficients=10)
    network = AUDIO_NETWORKS["are"](2, settings.features, summary_size(10)).eval()
    spec = ModelSpec("audio", "are", ("calm", "angry"), mfcc=asdict(settings))
    loaded = load_weights(str(save_weights(tmp_path, "are.random-v1", network, spec, {})), "audio")
    features = voice_features([sound(0.5)], Mfcc(MfccSettings(**loaded.spec.mfcc)))
    assert features[0].frames.shape[1] == 30 and encode_speaker(loaded.network, features)[0].shape == (1, 2)
