"""Single audio effects, compared with scipy, a published room measure, or theory."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import torch
from sound_fixtures import (
    RATE,
    Floats,
    decibels,
    impulse,
    noise,
    power,
    reverberation_time,
    seeded,
    slope_of,
    tone,
)
from torch import Tensor

from multimodal.augmentation import audio_effects as effects
from multimodal.errors import DependencyError


def frequency(samples: Tensor) -> float:
    """Of the strongest tone, in Hz: the peak of a windowed, ten times padded spectrum."""
    windowed = samples.double().numpy() * np.hanning(len(samples))
    return float(np.abs(np.fft.rfft(windowed, 10 * len(samples))).argmax() * RATE / (10 * len(samples)))


# Pace and pitch


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_time_stretch_changes_length_but_not_pitch_or_level(factor: float) -> None:
    result = effects.stretch_time(tone(440)[0], factor)
    assert len(result) == round(RATE / factor) and result.dtype == torch.float32
    assert frequency(result) == pytest.approx(440, abs=1)
    # Bins of the phase vocoder drift apart in phase and cancel each other a little.
    assert -1 < decibels(power(result[1000:-1000]) / power(tone(440)[0])) < 0.1


@pytest.mark.slow
def test_time_stretch_moves_events_by_the_factor() -> None:
    beep = tone(440)[0] * ((torch.arange(RATE) > 8000) & (torch.arange(RATE) < 10000))
    energy = effects.stretch_time(beep, 1.25).double().square().numpy()
    assert (energy @ np.arange(len(energy))) / energy.sum() == pytest.approx(9000 / 1.25, abs=100)


@pytest.mark.slow
@pytest.mark.parametrize("semitones", [-2.0, 1.5])
def test_pitch_shift_changes_frequency_and_keeps_length(semitones: float) -> None:
    result = effects.shift_pitch(tone(440, 15999)[0], semitones, RATE)
    assert len(result) == 15999 and result.dtype == torch.float32
    assert frequency(result) == pytest.approx(440 * 2 ** (semitones / 12), rel=3e-3)


@pytest.mark.parametrize("count", [1, effects.FRAME - 1])
def test_clip_shorter_than_a_frame_keeps_pace_and_pitch(count: int) -> None:
    clip = noise(1, count)[0]
    assert torch.equal(effects.stretch_time(clip, 1.2), clip)
    assert torch.equal(effects.shift_pitch(clip, 2.0, RATE), clip)


def test_missing_librosa_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    for change in (lambda: effects.stretch_time(tone(440)[0], 1.1), lambda: effects.shift_pitch(tone(440)[0], 1, RATE)):
        with pytest.raises(DependencyError, match=r"^librosa: is not installed, .*\[train\].*set both to 0$") as caught:
            change()
        assert "\n" not in str(caught.value)


# Noise


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_colored_noise_falls_with_its_slope(slope: float) -> None:
    samples = effects.colored_noise(60_000, slope, RATE, seeded())
    assert slope_of(samples) == pytest.approx(slope, abs=0.12)
    assert float(power(samples)) == pytest.approx(1, rel=0.25) and float(samples.mean()) == pytest.approx(0, abs=1e-4)


def test_white_noise_is_normal() -> None:
    samples = effects.colored_noise(60_000, 0.0, RATE, seeded()).double().numpy()
    assert samples.std() == pytest.approx(1, abs=0.02)
    assert scipy.stats.kurtosis(samples) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("ratio_db", [-5.0, 0.0, 30.0])
def test_noise_has_the_ratio(ratio_db: float) -> None:
    clip = noise(1, 5000)[0]
    added = effects.add_noise(clip, noise(1, 5000, level=7, seed=1)[0], ratio_db) - clip
    assert decibels(power(clip) / power(added)) == pytest.approx(ratio_db, abs=0.01)


def test_neither_silence_nor_silent_noise_is_divided_by() -> None:
    clip, silence = noise(1, 50)[0], torch.zeros(50)
    assert torch.equal(effects.add_noise(silence, clip, 0.0), silence)
    assert torch.equal(effects.add_noise(clip, silence, 0.0), clip)


# Rooms


@pytest.mark.parametrize("decay_seconds", [0.2, 0.4, 0.8])
def test_echo_decays_by_60_db_in_its_time(decay_seconds: float) -> None:
    rooms = [effects.room_response(decay_seconds, 0.0, RATE, seeded(seed)) for seed in range(8)]
    measured = [reverberation_time(room[1:].double().numpy()) for room in rooms]
    assert np.mean(measured) == pytest.approx(decay_seconds, rel=0.05)
    assert np.std(measured) < 0.1 * decay_seconds


@pytest.mark.parametrize("direct_db", [-3.0, 0.0, 15.0])
def test_direct_sound_has_its_energy_over_the_echo(direct_db: float) -> None:
    room = effects.room_response(0.3, direct_db, RATE, seeded()).double()
    assert room[0] == 1 and decibels(1 / float(room[1:].square().sum())) == pytest.approx(direct_db, abs=0.01)


def test_reverberation_is_a_convolution_as_loud_as_before() -> None:
    clip, room = noise(1, 5000)[0], effects.room_response(0.3, 0.0, RATE, seeded())
    expected = np.convolve(clip.double().numpy(), room.double().numpy())[:5000]
    expected *= math.sqrt(power(clip) / power(expected))
    assert np.abs(effects.reverberate(clip, room).double().numpy() - expected).max() < 1e-5


def test_nothing_of_the_echo_comes_early() -> None:
    response = effects.reverberate(impulse(1, 12000, 1000)[0], effects.room_response(0.5, 0.0, RATE, seeded()))
    assert float(response[:1000].abs().max()) < 1e-6 < 0.1 < float(response[1000])
    assert torch.equal(effects.reverberate(torch.zeros(90), torch.ones(30)), torch.zeros(90))


# Bands


def expected_band(samples: Tensor, low: float, high: float) -> Floats:
    """The same filters by scipy."""
    result = samples.double().numpy()
    for edge, kind in ((low, "highpass"), (high, "lowpass")):
        if 0 < edge < RATE / 2:
            result = scipy.signal.sosfilt(scipy.signal.butter(4, edge, kind, output="sos", fs=RATE), result)
    return np.asarray(result)


@pytest.mark.parametrize(("low", "high"), [(300.0, 3400.0), (150.0, math.inf), (0.0, 5000.0), (0.0, RATE / 2)])
def test_band_is_that_of_butterworth_filters(low: float, high: float) -> None:
    clip = noise(1, 8000)[0]
    result = effects.limit_band(clip, low, high, RATE).double().numpy()
    assert np.abs(result - expected_band(clip, low, high)).max() < 1e-4 * np.abs(clip.numpy()).max()
