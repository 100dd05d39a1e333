"""Normalization of voice features: by the recording, by the corpora, both side by side, weighed by what was heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from voice_corpus import features_of

from multimodal.encoders.statistics import Familiarity
from multimodal.encoders.voice.background import Background, RecordingBackground
from multimodal.encoders.voice.features import VoiceFeatures, summary_size
from multimodal.encoders.voice.moments import LARGEST, Moments, VoiceSums, has_states, joined_moments

EVERYTHING = [torch.arange(3)]


def spoken(frames: int, seed: int, shift: float = 0.0) -> VoiceFeatures:
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(-(-frames // 8), 512, generator=generator) + shift
    return replace(features_of(frames, seed, shift), speech_states=states.half())


FEATURES = [spoken(10, 0), spoken(200, 1), spoken(40, 2)]


def test_moments_are_numpys() -> None:
    sums = VoiceSums(FEATURES)
    frames = np.concatenate([each.frames.double().numpy() for each in FEATURES])
    actual = sums.frames(EVERYTHING)
    assert actual.weight.tolist() == [250.0]
    assert actual.mean[0].numpy() == pytest.approx(frames.mean(axis=0))
    assert actual.variance[0].numpy() == pytest.approx(frames.var(axis=0))
    summaries = np.stack([each.summary.double().numpy() for each in FEATURES])
    plain, by_length = (sums.summaries(EVERYTHING, by_length=each) for each in (False, True))
    assert plain.weight.tolist() == [3.0] and by_length.weight.tolist() == [250.0]
    assert plain.mean[0].numpy() == pytest.approx(summaries.mean(axis=0))
    weights = np.array([10, 200, 40])
    assert by_length.mean[0].numpy() == pytest.approx(np.average(summaries, axis=0, weights=weights))
    states = sums.states(EVERYTHING)
    rows = np.concatenate([each.speech_states.double().numpy() for each in FEATURES if each.speech_states is not None])
    assert states is not None and states.weight.tolist() == [8.0 * len(rows)]
    assert states.mean[0].numpy() == pytest.approx(rows.mean(axis=0))


def test_estimates_are_shrunk_by_weight() -> None:
    own = Moments(torch.tensor([10.0]), torch.tensor([[5.0, 2.0]]).double(), torch.tensor([[0.0, 1.0]]).double())
    actual = own.shrunk(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 9.0]), 30.0)  # 10 frames against 30
    assert actual.mean.tolist() == [[2.0, 2.0]] and actual.variance.tolist() == [[3.0, 7.0]]
    assert own.shrunk(torch.zeros(2), torch.ones(2), 0.0).mean.tolist() == [[5.0, 2.0]]


def test_odd_values_are_held_within_bounds() -> None:
    common = Moments(torch.ones(1), torch.tensor([[1.0]]).double(), torch.tensor([[4.0]]).double())
    actual = common.standardize(torch.tensor([[3.0], [100.0], [-100.0]]))
    assert actual.flatten().tolist() == [1.0, LARGEST, -LARGEST] and actual.dtype == torch.float32


def test_background_is_what_it_learnt() -> None:
    background = Background(39, summary_size())
    background.learn(VoiceSums(FEATURES), [torch.tensor([0, 1]), torch.tensor([2])])
    frames = [each.frames.double().numpy() for each in FEATURES]
    assert background.frame_mean.numpy() == pytest.approx(np.concatenate(frames).mean(axis=0), abs=1e-5)
    within = (np.concatenate(frames[:2]).var(axis=0) + frames[2].var(axis=0)) / 2
    assert background.frame_variance.numpy() == pytest.approx(within, abs=1e-5)
    assert set(background.state_dict()) == {"frame_mean", "frame_variance", "summary_mean", "summary_variance"}


@pytest.fixture
def learned() -> RecordingBackground:
    background = RecordingBackground(39, summary_size(), seconds=30.0)
    background.learn(VoiceSums(FEATURES), [torch.tensor([0, 1]), torch.tensor([2])])
    return background


def test_both_normalizations_stand_side_by_side(learned: RecordingBackground) -> None:
    inputs = learned.inputs(FEATURES, learned.moments(VoiceSums(FEATURES), EVERYTHING))
    assert inputs.frames.shape == (3, 200, 78) and inputs.summary.shape == (3, 2 * summary_size())
    assert inputs.states is not None and inputs.states.shape == (3, 25, 1024)
    assert not inputs.frames[0, 10:].any() and not inputs.states[0, 2:].any()
    absolute = (FEATURES[1].summary - learned.summary_mean) / learned.summary_total_variance.sqrt()
    torch.testing.assert_close(inputs.summary[1, summary_size() :], absolute.clamp(-LARGEST, LARGEST))


def test_a_shift_of_the_recording_stays_in_the_absolute_half(learned: RecordingBackground) -> None:
    learned.seconds = 0.0

    def summaries(shift: float) -> torch.Tensor:
        features = [replace(each, summary=each.summary + shift) for each in FEATURES]
        return learned.inputs(features, learned.moments(VoiceSums(features), EVERYTHING)).summary

    size = summary_size()
    plain, shifted = summaries(0.0), summaries(0.5)
    torch.testing.assert_close(shifted[:, :size], plain[:, :size], atol=1e-3, rtol=1e-3)
    assert float((shifted[:, size:] - plain[:, size:]).mean()) > 0.2


def test_a_short_word_tells_less_of_a_voice_than_a_long_answer(learned: RecordingBackground) -> None:
    short, long = spoken(100, 5, shift=2.0), spoken(1500, 6, shift=2.0)
    moments = [learned.moments(VoiceSums([each]), [torch.tensor([0])]) for each in (short, long)]
    for name in ("frames", "summary", "states"):
        mean = getattr(learned, {"frames": "frame", "summary": "summary", "states": "state"}[name] + "_mean").double()
        distances = [float((getattr(each, name).mean[0] - mean).abs().mean()) for each in moments]
        assert distances[0] < distances[1], name


def test_states_are_used_where_all_have_them(learned: RecordingBackground) -> None:
    mixed = [FEATURES[0], replace(FEATURES[1], speech_states=None)]
    assert has_states(FEATURES) and not has_states(mixed) and not has_states([])
    assert learned.inputs(mixed, learned.moments(VoiceSums(mixed), [torch.arange(2)])).states is None


def test_moments_are_joined_in_order(learned: RecordingBackground) -> None:
    sums = VoiceSums(FEATURES)
    parts = [learned.moments(sums, [torch.tensor([index])]) for index in (2, 0)]
    together = learned.moments(sums, [torch.tensor([2]), torch.tensor([0])])
    torch.testing.assert_close(joined_moments(parts).frames.mean, together.frames.mean)
    assert joined_moments([part._replace(states=None) for part in parts]).states is None


def test_familiarity_is_that_of_what_is_heard() -> None:
    def familiarity(factor: float) -> Familiarity:
        size = summary_size()
        return Familiarity(((0.0,) * size,), (1.0,) * size, middle=1e-3, slope=9.0, factor=factor)

    background = RecordingBackground(39, summary_size())
    background.familiarity, background.speech_familiarity = familiarity(2.0), familiarity(3.0)
    assert background.temperature_factor(FEATURES) == pytest.approx(3.0, abs=1e-3)
    plain = [replace(each, speech_states=None) for each in FEATURES]
    assert background.temperature_factor(plain) == pytest.approx(2.0, abs=1e-3)
    assert background.temperature_factor([]) == 1.0
