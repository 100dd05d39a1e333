"""Changes of sound, each by itself: against scipy, a room's published measure, or theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sound_fixtures import (
    RATE,
    butterworth,
    decibels,
    impulse,
    noise,
    power,
    reverberation_time,
    seeded,
    slope_of,
    tone,
    whole,
)

from multimodal.augmentation import audio_effects as effects


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_colored_noise_falls_with_its_slope(slope: float) -> None:
    for samples in effects.colored_noise(torch.full((3,), slope), RATE, seeded()):
        assert slope_of(samples) == pytest.approx(slope, abs=0.12)


def test_colored_noise_is_normal_and_has_no_seam() -> None:
    from scipy.stats import kurtosis

    white, brown = effects.colored_noise(torch.tensor([0.0, 2.0]), RATE, seeded()).double().numpy()
    assert white.mean() == pytest.approx(0, abs=1e-4) and white.std() == pytest.approx(1, abs=0.02)
    assert kurtosis(white) == pytest.approx(0, abs=0.1)
    assert abs(brown[0] - brown[-1]) < 5 * np.abs(np.diff(brown)).std()
    again = effects.repeated(torch.from_numpy(white)[None], 100_000)[0].numpy()
    assert np.array_equal(again[: len(white)], white) and np.array_equal(again[len(white) :], white[: 100_000 - 2**16])


def test_babble_is_other_clips_and_never_the_clip_itself() -> None:
    hertz = [500.0, 900.0, 1300.0, 1700.0, 2100.0]
    lengths = torch.tensor([8000, 3200, 8000, 1600, 8000])  # whole periods, so that repeating leaves no seam
    clips = effects.silence_after(torch.cat([tone(value, 8000) for value in hertz]), lengths)
    added = effects.babble(clips, lengths, torch.arange(5), seeded()).double().numpy()
    size = np.abs(np.fft.rfft(added))[:, [int(value / 2) for value in hertz]] / 4000  # 2 Hz a bin
    heard = size > 0.1
    assert heard.sum(axis=1).tolist() == [3] * 5 and not heard.diagonal().any()
    # Each is as loud as the others, a sine of power 1, from its first sample to the last (but for where it starts).
    assert np.abs(size[heard] - math.sqrt(2)).max() < 0.05


@pytest.mark.parametrize("echo_seconds", [0.2, 0.4, 0.8])
def test_echo_decays_by_60_db_in_its_time(echo_seconds: float) -> None:
    rooms = effects.room_responses(torch.full((8,), echo_seconds), torch.zeros(8), RATE, RATE, seeded())
    measured = [reverberation_time(room[1:].double().numpy()) for room in rooms]
    assert np.mean(measured) == pytest.approx(echo_seconds, rel=0.03)
    assert np.std(measured) < 0.1 * echo_seconds


def test_echo_is_a_convolution() -> None:
    clips, lengths = noise(3, 5000), torch.tensor([5000, 3000, 900])
    clips = effects.silence_after(clips, lengths)
    rooms = effects.room_responses(torch.full((3,), 0.3), torch.zeros(3), 4000, RATE, seeded())
    result = effects.reverberate(clips, lengths, rooms).double().numpy()
    for clip, room, found, length in zip(clips.double(), rooms.double(), result, lengths.tolist(), strict=True):
        expected = np.convolve(clip[:length].numpy(), room.numpy())[:length]
        expected *= math.sqrt(power(clip[:length]) / power(expected))
        assert np.abs(found[:length] - expected).max() < 1e-5 and not found[length:].any()


@pytest.mark.parametrize(("low", "high"), [(300.0, 3400.0), (150.0, math.inf), (0.0, 5000.0)])
def test_band_is_that_of_butterworth_filters(low: float, high: float) -> None:
    clip = impulse(1, 32000, 16000, level=1.0)
    filtered = effects.band_limit(clip, torch.tensor([low]), torch.tensor([high]), RATE)[0].double().numpy()
    expected = butterworth(np.fft.rfftfreq(32000, 1 / RATE), low, high)
    assert np.abs(np.abs(np.fft.rfft(filtered)) - expected).max() < 2e-3
    assert filtered.argmax() == 16000  # no delay


def test_speed_agrees_with_resampling_by_scipy() -> None:
    from scipy.signal import butter, lfilter, resample

    clip = lfilter(*butter(8, 0.7), noise(1, 9900)[0].double().numpy())
    for up, down in ((10, 11), (10, 9)):
        n = 9900 * up // down  # whole, so that both mean the same factor
        expected = resample(clip, n)
        samples = torch.from_numpy(clip).float()[None]
        result = effects.change_speed(samples, whole(samples), torch.tensor([down / up]), torch.tensor([n]))
        error = power(result[0, 500:-500].numpy() - expected[500:-500]) / power(expected)
        assert decibels(error) < -45


def test_tempo_moves_what_happens_by_the_factor() -> None:
    beep = tone(440) * ((torch.arange(RATE) > 8000) & (torch.arange(RATE) < 10000))
    result, _ = effects.change_tempo(beep, torch.tensor([RATE]), torch.tensor([1.25]))
    energy = result[0].double().square().numpy()
    assert (energy @ np.arange(len(energy))) / energy.sum() == pytest.approx(9000 / 1.25, abs=100)


def test_clips_of_several_tempos_are_changed_as_if_alone() -> None:
    clips, lengths = noise(3, 6000), torch.tensor([6000, 4000, 2500])
    clips, factors = effects.silence_after(clips, lengths), torch.tensor([0.9, 1.1, 1.3])
    together, new_lengths = effects.change_tempo(clips, lengths, factors)
    for place, length in enumerate(lengths.tolist()):
        alone, _ = effects.change_tempo(clips[place : place + 1, :length], lengths[[place]], factors[[place]])
        assert torch.allclose(together[place, : new_lengths[place]], alone[0], atol=1e-3 * 0.05)


def test_holes_take_weak_tones_beside_strong_ones() -> None:
    strong, weak = tone(1200), tone(1700, level=0.3 * 10 ** (-30 / 20))  # both in the band 1000 … 2000 Hz
    for depth_db, kept in ((-10.0, 0.0), (-30.0, 1.0)):
        result = effects.punch_holes(strong + weak, torch.tensor([depth_db]))[0, 1000:-1000]
        for part, expected in ((strong, 1.0), (weak, kept)):
            reference = part[0, 1000:-1000]
            assert float(result @ reference / (reference @ reference)) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("depth_db", "lost"), [(-120.0, 0.0), (-12.0, 0.061), (0.0, 0.632)])
def test_holes_agree_with_a_spectrogram_by_scipy(depth_db: float, lost: float) -> None:
    from scipy.signal import istft, stft

    clip = noise(1, 16384)
    options: dict[str, Any] = {"window": "hann", "nperseg": 512, "noverlap": 256}
    _, _, spectra = stft(clip[0].double().numpy(), **options)
    strength = np.square(np.abs(spectra[:256])).reshape(8, 32, -1)
    dropped = (strength < strength.mean(axis=1, keepdims=True) * 10 ** (depth_db / 10)).reshape(256, -1)
    assert dropped.mean() == pytest.approx(lost, abs=0.03)  # powers are distributed exponentially: 1 - exp(-share)
    spectra[:256][dropped] = 0
    _, expected = istft(spectra, **options)
    result = effects.punch_holes(clip, torch.tensor([depth_db]))[0].double().numpy()
    assert decibels(power(result - expected[:16384]) / power(clip[0])) < -60  # a bin may fall to either side


def test_compression_keeps_zero_and_cuts_at_full_scale() -> None:
    result = effects.compand(torch.tensor([[0.0, -1.0, 1.7]]), torch.tensor([8.0]))
    assert result[0].tolist() == pytest.approx([0, -1, 1], abs=1e-6)
