"""Features of an utterance: trimmed silence, statistics compared with numpy, independence of the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_signals import pulsing_noise as sound

from multimodal.encoders.audio import ConvBiGRU
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice import features as module
from multimodal.encoders.voice.features import (
    VoiceFeatures,
    state_times,
    summarize,
    summary_size,
    trim_silence,
    voice_features,
)
from multimodal.encoders.voice.prosody import PROSODY_FIELDS

RATE = 16000
SUMMARY = summary_size()
steady = settings(database=None, derandomize=True)


@steady
@given(before=st.integers(0, 60), after=st.integers(0, 60), loud=st.integers(1, 40), gain=st.floats(1e-3, 1.0))
def test_silence_at_the_ends_is_left_out(before: int, after: int, loud: int, gain: float) -> None:
    """In hundredths of a second; what is 40 dB down counts as silent, what is 30 dB down within does not."""
    levels = np.concatenate([np.full(before, 0.01), np.full(loud, 1.0), np.full(after, 0.01)])
    if loud > 2:
        levels[before] = 10 ** (-30 / 20)
    samples = torch.from_numpy(np.repeat(levels, 160) * np.tile([1, -1], len(levels) * 80)).float() * gain
    first, last = max(before - 10, 0), min(before + loud + 10, len(levels))
    assert torch.equal(trim_silence(samples, RATE), samples[first * 160 : last * 160])


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 32000])
def test_silence_and_scraps_are_not_cut_away(samples: int) -> None:
    kept = trim_silence(torch.zeros(samples), RATE)
    assert len(kept) == (samples if samples < 160 else samples // 160 * 160)


def test_trimming_knows_other_rates() -> None:
    samples = torch.zeros(8000)
    samples[4000:4080] = 0.5
    assert torch.equal(trim_silence(samples, 8000), samples[4000 - 800 : 4080 + 800])


@pytest.mark.parametrize("frames", [1, 2, 5, 100])
@pytest.mark.parametrize("coefficients", [4, 13])
def test_summary_is_numpys(frames: int, coefficients: int) -> None:
    rows = np.random.default_rng(frames).normal(3, 2, (frames, 3 * coefficients)).astype(np.float32)
    actual = summarize(torch.from_numpy(rows), coefficients).numpy()
    kept = rows[:, : 2 * coefficients].astype(np.float64)
    quantiles = np.quantile(kept, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    expected = np.concatenate([kept.mean(axis=0), kept.std(axis=0), quantiles.ravel()])
    assert actual.shape == (14 * coefficients,) and actual == pytest.approx(expected, abs=1e-5)
    assert len(actual) + len(PROSODY_FIELDS) == summary_size(coefficients)


def test_features_do_not_depend_on_the_other_utterances(monkeypatch: pytest.MonkeyPatch) -> None:
    mfcc = Mfcc()
    sounds = [sound(seconds, seed) for seed, seconds in enumerate((0.9, 0.02, 1.7, 0.4, 1.2))]
    monkeypatch.setattr(module, "BATCH", 3)
    together = voice_features(sounds, mfcc)
    for samples, actual in zip(sounds, together, strict=True):
        (alone,) = voice_features([samples], mfcc)
        assert actual.frames.dtype == torch.float16 and actual.summary.dtype == torch.float32
        torch.testing.assert_close(actual.frames.float(), alone.frames.float(), atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(actual.summary, alone.summary, atol=2e-3, rtol=2e-3)


def test_features_are_of_the_trimmed_sound_and_end_in_prosody() -> None:
    mfcc, samples = Mfcc(), np.concatenate([np.zeros(16000, np.float32), sound(1.0), np.zeros(16000, np.float32)])
    (actual,) = voice_features([samples], mfcc)
    kept = trim_silence(torch.from_numpy(samples), RATE)
    assert len(kept) < 1.25 * RATE
    frames, counts = mfcc(kept[None], torch.tensor([len(kept)]))
    torch.testing.assert_close(actual.frames, frames[0].half())
    torch.testing.assert_close(actual.summary[: -len(PROSODY_FIELDS)], summarize(frames[0], 13))
    spoken_so = module.prosody(kept[None], torch.tensor([len(kept)]), RATE)[0]
    torch.testing.assert_close(actual.summary[-len(PROSODY_FIELDS) :], spoken_so)
    assert int(counts[0]) == len(actual.frames)


@pytest.mark.parametrize(("before", "begin"), [(0.0, 0.0), (0.05, 0.0), (1.0, 0.9), (2.5, 2.4)])
def test_features_begin_where_the_silence_ends(before: float, begin: float) -> None:
    # The loudness of ``sound`` rises from nothing, so its first 10 ms or two still count as silence.
    samples = np.concatenate([np.zeros(round(before * RATE), np.float32), sound(1.0), np.zeros(RATE, np.float32)])
    (actual,) = voice_features([samples], Mfcc())
    assert actual.start_seconds == pytest.approx(begin, abs=0.021)
    assert actual.start_seconds + 0.01 * len(actual.frames) <= before + 1.0 + 0.1
    assert VoiceFeatures(actual.frames, actual.summary).start_seconds == 0.0  # as features kept by an earlier version


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 23, 80, 81, 1000])
def test_each_state_is_in_the_middle_of_what_it_reads(frames: int) -> None:
    features = VoiceFeatures(torch.zeros(frames, 39), torch.zeros(SUMMARY), 0.5)
    _, (count,) = ConvBiGRU(8, 39, SUMMARY).eval().encode(torch.zeros(1, frames, 39), torch.tensor([frames]))
    times = state_times(features, int(count), MfccSettings())
    # Frame i is heard from 10 i to 10 i + 25 ms; the network reads eight to a state, the last ones what is left.
    frame_middles = 0.5 + 0.01 * np.arange(frames) + 0.0125
    middles = [frame_middles[8 * state : 8 * state + 8].mean() for state in range(int(count))]
    assert len(times) == len(middles) and (np.diff(times) > 0).all()
    assert times == pytest.approx(middles, abs=1e-9)
