"""Augmentation of voices: repeatable, confined to each clip, and each change against scipy or theory."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sound_fixtures import (
    RATE,
    Floats,
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
from torch import Tensor

from multimodal.augmentation import audio_effects as effects
from multimodal.augmentation.audio import AudioAugmentation, augment_waveforms, mask_features
from multimodal.errors import ConfigError
from multimodal.train.config import fill

FIELDS = [field.name for field in dataclasses.fields(AudioAugmentation)]
SHARES = [name for name in FIELDS if name.endswith("_share") and name != "changed_share"]
SOUND_SHARES = [name for name in SHARES if "mask" not in name]
NONE = AudioAugmentation(**{**dict.fromkeys(SHARES, 0.0), "changed_share": 1.0})


def only(**amounts: float) -> AudioAugmentation:
    return dataclasses.replace(NONE, **amounts)


def everything(**amounts: float) -> AudioAugmentation:
    return only(**{**dict.fromkeys(SHARES, 1.0), **amounts})


def exactly(kind: str, unit: str, amount: float) -> AudioAugmentation:
    return only(**{f"{kind}_share": 1.0, f"lowest_{kind}{unit}": amount, f"highest_{kind}{unit}": amount})


def changed(samples: Tensor, amounts: AudioAugmentation, seed: int = 0) -> Tensor:
    return augment_waveforms(samples, whole(samples), amounts, seeded(seed))[0]


def frequency(samples: Tensor) -> float:
    """Of the strongest tone, in Hz: the peak of a windowed, ten times padded spectrum."""
    windowed = samples.double().numpy() * np.hanning(len(samples))
    return float(np.abs(np.fft.rfft(windowed, 10 * len(samples))).argmax() * RATE / (10 * len(samples)))


# The whole


def test_same_generator_gives_the_same_sound() -> None:
    clips = noise(6, 6000)
    (first, lengths), (again, again_lengths), (other, _) = (
        augment_waveforms(clips, whole(clips), everything(), seeded(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and torch.equal(lengths, again_lengths)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_draws_only_from_the_generator() -> None:
    torch.manual_seed(0)
    before, clips, lengths = torch.get_rng_state(), noise(4, 3000), torch.tensor([3000, 2000, 800, 1])
    kept = clips.clone()
    augment_waveforms(clips, lengths, everything(), seeded())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(clips, kept) and lengths.tolist() == [3000, 2000, 800, 1]


@pytest.mark.parametrize("amounts", [NONE, everything(changed_share=0.0)])
def test_no_shares_change_nothing(amounts: AudioAugmentation) -> None:
    clips = noise(5, 4000) * 40  # beyond full scale, too
    result, lengths = augment_waveforms(clips, whole(clips), amounts, seeded())
    assert torch.equal(result, clips) and torch.equal(lengths, whole(clips))
    features = noise(5, 90).reshape(5, 10, 9)
    assert torch.equal(mask_features(features, torch.full((5,), 10), amounts, seeded()), features)


def test_padding_changes_nothing_at_all() -> None:
    lengths = torch.tensor([9000, 4000, 700, 1])
    clips = effects.silence_after(noise(4, 9000), lengths)
    padded = torch.cat([clips, torch.zeros(4, 5000)], dim=1)
    padded[torch.arange(14000) >= lengths[:, None]] = math.nan
    expected, expected_lengths = augment_waveforms(clips, lengths, everything(), seeded())
    result, new_lengths = augment_waveforms(padded, lengths, everything(), seeded())
    assert torch.equal(result, expected) and torch.equal(new_lengths, expected_lengths)


def test_batch_lengths_do_not_leak() -> None:
    amounts = everything(babble_share=0.0, quantization_share=0.0, compand_share=0.0, holes_share=0.0)
    clips, lengths = noise(3, 30000), torch.tensor([8000, 5000, 3000])
    short, new_lengths = augment_waveforms(clips, lengths, amounts, seeded())
    long, _ = augment_waveforms(clips, torch.tensor([8000, 30000, 3000]), amounts, seeded())
    for clip in (0, 2):
        length = int(new_lengths[clip])
        assert float((short[clip, :length] - long[clip, :length]).abs().max()) < 2e-5


def test_silence_follows_every_end() -> None:
    clips, lengths = noise(8, 9000), torch.tensor([9000, 8000, 5000, 3000, 1000, 300, 20, 1])
    result, new_lengths = augment_waveforms(clips, lengths, everything(), seeded())
    assert result.shape == (8, int(new_lengths.max()))
    for samples, length in zip(result, new_lengths.tolist(), strict=True):
        assert bool((samples[length:] == 0).all())


@pytest.mark.parametrize("share", SOUND_SHARES)
def test_silence_stays_silent(share: str) -> None:
    result = changed(torch.zeros(4, 3000), only(**{share: 1.0}))
    assert bool((result == 0).all())


@pytest.mark.parametrize("share", SOUND_SHARES)
def test_share_of_clips_that_get_each_change(share: str) -> None:
    clips = noise(150, 1200, level=0.2)
    result, lengths = augment_waveforms(clips, whole(clips), only(**{share: 0.3}), seeded())
    width = min(result.shape[1], 1200)
    happened = (result[:, :width] != clips[:, :width]).any(dim=1) | (lengths != 1200)
    assert float(happened.float().mean()) == pytest.approx(0.3, abs=0.15)  # 4 deviations of 0.037


def test_clips_that_are_changed_at_all() -> None:
    result = changed(noise(300, 400), only(gain_share=1.0, bass_cut_share=1.0, changed_share=0.5))
    same = (result == noise(300, 400)).all(dim=1).float().mean()
    assert float(same) == pytest.approx(0.5, abs=0.12)


def test_default_change_rates() -> None:
    assert all(getattr(AudioAugmentation(), share) * AudioAugmentation().changed_share < 1 / 3 for share in SHARES)


def test_one_clip_by_itself_has_nobody_behind_it() -> None:
    clips = noise(1, 900)
    assert torch.equal(changed(clips, only(babble_share=1.0)), clips)


share_values = st.sampled_from([0.0, 0.5, 1.0])


@settings(database=None, derandomize=True)
@given(
    st.fixed_dictionaries(dict.fromkeys(SHARES, share_values)),
    st.lists(st.integers(1, 2500), min_size=1, max_size=4),
    st.sampled_from([0.0, 1e-6, 0.1, 1.0]),
    st.integers(0, 1000),
)
def test_result_is_finite_and_within_full_scale(
    shares: dict[str, float], lengths: list[int], level: float, seed: int
) -> None:
    clips = noise(len(lengths), 2600, level, seed).clamp(-1, 1)
    result, new_lengths = augment_waveforms(clips, torch.tensor(lengths), only(**shares), seeded(seed))
    assert result.dtype == torch.float32 and result.shape == (len(lengths), int(new_lengths.max()))
    assert bool(result.isfinite().all()) and float(result.abs().max()) <= 1 + 1e-6
    for before, after in zip(lengths, new_lengths.tolist(), strict=True):
        assert max(round(before / 1.21) - 1, 1) <= after <= round(before / 0.81) + 1


# Settings


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ({"noise_share": 1.5}, "noise_share: is 1.5; give a number from 0 to 1"),
        ({"changed_share": math.nan}, "changed_share: is nan; give a number from 0 to 1"),
        ({"lowest_noise_db": 50.0}, "lowest_noise_db: is 50; give a number from -40 to 35"),
        ({"highest_speed": 3.0}, "highest_speed: is 3; give a number from 0.5 to 2"),
        ({"lowest_echo_seconds": 0.0}, "lowest_echo_seconds: is 0; give a number from 0.01 to 0.7"),
        ({"telephone_low_hz": 5000.0}, "telephone_low_hz: is 5000; give a number from 1 to 3400"),
        ({"time_masks": -1}, "time_masks: is -1; give a number from 0 to 100"),
    ],
)
def test_impossible_settings_are_refused_by_name(amounts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AudioAugmentation(**amounts)
    assert str(caught.value) == message


def test_every_amount_is_checked() -> None:
    for name in FIELDS:
        with pytest.raises(ConfigError, match=name):
            AudioAugmentation(**{name: math.inf})


def test_settings_are_filled_from_plain_values() -> None:
    filled = fill(AudioAugmentation, {"echo_share": 1, "time_masks": 3}, "voice.toml")
    assert filled == dataclasses.replace(AudioAugmentation(), echo_share=1.0, time_masks=3)


# Noise and people


@pytest.mark.parametrize("ratio_db", [0.0, 12.0, 30.0])
@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_noise_has_the_wanted_ratio_over_each_clips_own_length(kind: str, ratio_db: float) -> None:
    lengths = torch.tensor([8000, 5000, 1500])
    clips = effects.silence_after(noise(3, 8000), lengths) * torch.tensor([[0.1], [1.0], [3.0]])
    result, _ = augment_waveforms(clips, lengths, exactly(kind, "_db", ratio_db), seeded())
    for clip, samples, length in zip(clips, result, lengths.tolist(), strict=True):
        added = (samples - clip)[:length]
        assert decibels(power(clip[:length]) / power(added)) == pytest.approx(ratio_db, abs=0.02)


def test_ratios_are_drawn_evenly_within_their_range() -> None:
    clips = noise(100, 500, level=0.05)
    added = changed(clips, only(noise_share=1.0, lowest_noise_db=5.0, highest_noise_db=25.0)) - clips
    ratios = decibels(power(clips) / power(added))
    assert 4.99 < ratios.min() < 7 and 23 < ratios.max() < 25.01
    assert np.histogram(ratios, 4, (5, 25))[0].min() > 10  # of 25


def test_all_colors_occur_alike() -> None:
    clips = noise(45, 16000, level=0.05)
    added = changed(clips, exactly("noise", "_db", 10.0)) - clips
    colors = np.round([slope_of(samples) for samples in added])
    assert set(colors) == {0, 1, 2} and min((colors == color).sum() for color in (0, 1, 2)) > 6


# Rooms


def test_room_heard_through_a_click() -> None:
    amounts = only(echo_share=1.0, lowest_echo_seconds=0.2, highest_echo_seconds=0.6)
    heard = changed(impulse(40, 12000, 1000), amounts).double().numpy()
    assert np.abs(heard[:, :1000]).max() < 1e-6 and (np.abs(heard[:, 1000]) > 0.1).all()  # nothing comes early
    times = [reverberation_time(clip[1001:]) for clip in heard]
    assert 0.17 < min(times) < 0.28 and 0.5 < max(times) < 0.68
    ratios = decibels(heard[:, 1000] ** 2 / np.square(heard[:, 1001:]).sum(axis=1))
    assert -2.1 < ratios.min() < 0.5 and 12.5 < ratios.max() < 15.1
    assert power(heard) == pytest.approx(0.25 / 12000, rel=1e-3)  # as loud as before


# Bands


def share_of_power(samples: Tensor, low: float, high: float) -> Floats:
    spectrum = np.square(np.abs(np.fft.rfft(samples.double().numpy())))
    hertz = np.fft.rfftfreq(samples.shape[1], 1 / RATE)
    return np.asarray(spectrum[:, (hertz >= low) & (hertz <= high)].sum(axis=1) / spectrum.sum(axis=1))


def test_telephone_keeps_300_to_3400_hz() -> None:
    result = changed(noise(4, 16000), only(telephone_share=1.0))
    hertz = np.linspace(0, 8000, 8001)
    passed = butterworth(hertz, 300, 3400) ** 2
    expected = passed[300:3401].sum() / passed.sum()
    assert share_of_power(result, 300, 3400) == pytest.approx(expected, abs=0.01)
    assert share_of_power(result, 5000, 8000).max() < 2e-3 and share_of_power(result, 0, 150).max() < 1e-4


def test_bass_and_treble_are_cut_where_drawn() -> None:
    clips = noise(60, 8000)
    bass = changed(clips, only(bass_cut_share=1.0, lowest_bass_cut_hz=200.0, highest_bass_cut_hz=900.0))
    removed = (1 - power(bass) / power(clips)) * 8000  # white noise: as many hertz as were taken away
    assert 160 < removed.min() < 330 and 750 < removed.max() < 1000
    treble = changed(clips, only(treble_cut_share=1.0, lowest_treble_cut_hz=2000.0, highest_treble_cut_hz=6000.0))
    left = power(treble) / power(clips) * 8000
    assert 1900 < left.min() < 2500 and 5500 < left.max() < 6200


# Pace and pitch


@pytest.mark.parametrize("factor", [0.9, 0.97, 1.0371, 1.1])
def test_speed_changes_frequency_and_length_by_the_factor(factor: float) -> None:
    result, lengths = augment_waveforms(tone(1000), torch.tensor([RATE]), exactly("speed", "", factor), seeded())
    assert lengths.tolist() == [round(RATE / factor)] and result.shape == (1, round(RATE / factor))
    assert frequency(result[0]) == pytest.approx(1000 * factor, abs=0.2)
    expected = 0.3 * torch.sin(torch.arange(result.shape[1]).double() * (2 * math.pi * 1000 * factor / RATE))
    assert float((result[0] - expected)[200:-200].abs().max()) < 1e-3


def test_no_aliasing() -> None:
    result, _ = augment_waveforms(tone(7800), torch.tensor([RATE]), exactly("speed", "", 1.1), seeded())
    assert decibels(power(result[0, 500:-500]) / power(tone(7800)[0])) < -50


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_tempo_changes_length_and_keeps_the_pitch(factor: float) -> None:
    result, lengths = augment_waveforms(tone(440), torch.tensor([RATE]), exactly("tempo", "", factor), seeded())
    assert lengths.tolist() == [round(RATE / factor)]
    assert frequency(result[0]) == pytest.approx(440, abs=0.5)
    assert decibels(power(result[0, 1000:-1000]) / power(tone(440)[0])) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("semitones", [-1.5, 2.0])
def test_pitch_changes_frequency_and_keeps_the_length(semitones: float) -> None:
    amounts = exactly("pitch", "_semitones", semitones)
    result, lengths = augment_waveforms(tone(440, 15999), torch.tensor([15999]), amounts, seeded())
    assert lengths.tolist() == [15999] and result.shape == (1, 15999)
    assert frequency(result[0]) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    assert decibels(power(result[0, 1000:-1000]) / power(tone(440)[0])) == pytest.approx(0, abs=0.4)


# Codecs and levels


def test_clipping_cuts_at_a_share_of_the_peak() -> None:
    clips = noise(50, 2000)
    result = changed(clips, only(clipping_share=1.0)).double().numpy()
    largest = np.abs(clips.numpy()).max(axis=1)
    levels = np.abs(result).max(axis=1)
    assert ((levels / largest > 0.299) & (levels / largest < 0.901)).all()
    assert np.abs(result - np.clip(clips.numpy(), -levels[:, None], levels[:, None])).max() < 1e-7


def test_gain_is_drawn_in_decibels() -> None:
    clips = noise(200, 300, level=0.05)
    gains = decibels(power(changed(clips, only(gain_share=1.0))) / power(clips))
    assert -15.01 < gains.min() < -13.5 and 5 < gains.max() < 6.01


def test_no_change_makes_a_clip_louder_than_full_scale() -> None:
    result = changed(tone(200, level=0.9), exactly("gain", "_db", 12.0))
    assert float(result.abs().max()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(result, tone(200, level=1.0), atol=1e-4)  # scaled, not cut


@pytest.mark.parametrize("bits", [6.0, 8.0, 10.0])
def test_quantization_has_the_ratio_of_its_bits(bits: float) -> None:
    clip = tone(441.7, level=0.02)
    error = changed(clip, exactly("quantization", "_bits", bits)) - clip
    assert decibels(power(clip) / power(error))[0] == pytest.approx(6.02 * bits + 1.76, abs=0.5)
    assert len(np.unique(np.round((clip + error).numpy() / 0.02 * (2 ** (bits - 1) - 1)))) == 2**bits - 1


@pytest.mark.parametrize("level", [0.9, 0.1, 0.03])
def test_compression_has_the_ratio_of_theory_at_every_level(level: float) -> None:
    # Uniform steps behind a logarithmic curve (Smith 1957): 6.02 bits + 4.77 - 20 log10(ln(1 + 255)) = 38.1 dB
    # at 8 bits, somewhat less as a signal comes down to where the curve is straight.
    clip = noise(1, 16000, level).clamp(-3 * level, 3 * level) / 3
    error = changed(clip, exactly("compand", "_bits", 8.0)) - clip
    small = 1 / (255 * level / 3)
    expected = 6.02 * 8 + 4.77 - decibels(math.log(256) ** 2 * (1 + small**2 + 2 * small * math.sqrt(2 / math.pi)))
    assert decibels(power(clip) / power(error))[0] == pytest.approx(expected, abs=0.4)


# Features


def hidden(features: Tensor, lengths: Tensor, amounts: AudioAugmentation, seed: int = 0) -> NDArray[np.bool_]:
    """What is covered; every covered number has to be its clip's own mean of that feature."""
    result = mask_features(features, lengths, amounts, seeded(seed))
    covered = (result != features).numpy()
    for clip, before, mask, length in zip(result, features, covered, lengths.tolist(), strict=True):
        means = before[:length].double().mean(dim=0).expand_as(before)
        assert np.abs((clip - means).numpy()[mask]).max(initial=0) < 1e-4
    return covered


def test_stretches_of_time_lie_within_each_clips_own_length() -> None:
    lengths = torch.tensor([100, 60, 30, 10, 1] * 60)
    amounts = only(time_mask_share=1.0, time_masks=1, lowest_time_mask=0.1, highest_time_mask=0.4)
    covered = hidden(torch.randn(300, 120, 6, generator=seeded()), lengths, amounts)
    for mask, length in zip(covered, lengths.tolist(), strict=True):
        rows = mask.any(axis=1)
        assert (mask == rows[:, None]).all()  # all features at once
        assert not rows[length:].any()
        assert round(0.1 * length) <= rows.sum() <= round(0.4 * length)
        assert np.abs(np.diff(rows[:length].astype(int))).sum() <= 2  # one stretch
    places = covered[::5, :100].any(axis=2)
    assert places.any(axis=0).all() and places.sum(axis=1).min() < 15 and places.sum(axis=1).max() > 35


def test_groups_of_features_are_covered_all_through() -> None:
    lengths = torch.tensor([50, 20] * 100)
    amounts = only(feature_mask_share=1.0, lowest_feature_mask=0.05, highest_feature_mask=0.2)
    covered = hidden(torch.randn(200, 50, 39, generator=seeded()), lengths, amounts)
    for mask, length in zip(covered, lengths.tolist(), strict=True):
        columns = mask[:length].all(axis=0)
        assert not mask[length:].any() and (mask[:length] == columns).all()
        assert 2 <= columns.sum() <= 8 and np.abs(np.diff(columns.astype(int))).sum() <= 2
    assert covered.any(axis=(0, 1)).all()


@pytest.mark.parametrize("kind", ["time_mask", "feature_mask"])
def test_share_of_clips_that_are_covered(kind: str) -> None:
    features = torch.randn(400, 60, 39, generator=seeded())
    covered = hidden(features, torch.full((400,), 60), only(**{f"{kind}_share": 0.3}))
    assert covered.any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.1)


def test_cover_does_not_depend_on_padding_and_leaves_it_alone() -> None:
    lengths = torch.tensor([40, 25, 3])
    features = torch.randn(3, 40, 39, generator=seeded())
    padded = torch.cat([features, torch.zeros(3, 30, 39)], dim=1)
    padded[torch.arange(70) >= lengths[:, None]] = 1e9
    expected = mask_features(features, lengths, everything(), seeded())
    result = mask_features(padded, lengths, everything(), seeded())
    for clip, length in enumerate(lengths.tolist()):
        assert torch.allclose(result[clip, :length], expected[clip, :length], atol=1e-6)
        assert torch.equal(result[clip, length:], padded[clip, length:])


def test_number_of_covers() -> None:
    features = torch.randn(100, 200, 39, generator=seeded())
    amounts = only(time_mask_share=1.0, time_masks=3, lowest_time_mask=0.05, highest_time_mask=0.05)
    rows = hidden(features, torch.full((100,), 200), amounts).any(axis=2)
    starts = (np.diff(rows.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert set(starts) <= {1, 2, 3} and (starts == 3).sum() > 40 and rows.sum(axis=1).max() == 30


@pytest.mark.gpu
def test_everything_stays_on_the_device_of_the_samples() -> None:
    clips, lengths = noise(6, 9000).cuda(), torch.tensor([9000, 5000, 100, 9000, 1, 3]).cuda()
    results = [
        augment_waveforms(clips, lengths, everything(), torch.Generator("cuda").manual_seed(1)) for _ in range(2)
    ]
    assert results[0][0].is_cuda and results[0][1].is_cuda and bool(results[0][0].isfinite().all())
    assert torch.equal(results[0][1], results[1][1]) and torch.allclose(results[0][0], results[1][0], atol=1e-4)
    features = torch.randn(6, 20, 39, device="cuda")
    frames = torch.full((6,), 20, device="cuda")
    assert mask_features(features, frames, everything(), torch.Generator("cuda").manual_seed(1)).is_cuda
