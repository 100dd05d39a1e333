"""Audio augmentation: repeatable, with the configured shares and amounts."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sound_fixtures import decibels, impulse, noise, power, reverberation_time, seeded, slope_of, tone
from torch import Tensor

from multimodal.augmentation.audio import AudioAugmentation, augment_waveform, mask_features
from multimodal.errors import ConfigError, DependencyError
from multimodal.train.config import fill

FIELDS = [field.name for field in dataclasses.fields(AudioAugmentation)]
SHARES = [name for name in FIELDS if name.endswith("_share") and name != "changed_share"]
MASK_SHARES = [name for name in SHARES if "mask" in name]
LIBROSA_SHARES = ["time_stretch_share", "pitch_shift_share"]
OWN_SHARES = [name for name in SHARES if name not in (*MASK_SHARES, *LIBROSA_SHARES)]
SOUND_SHARES = [*OWN_SHARES, *(pytest.param(name, marks=pytest.mark.slow) for name in LIBROSA_SHARES)]
NONE = AudioAugmentation(**{**dict.fromkeys(SHARES, 0.0), "changed_share": 1.0})


def only(**amounts: float) -> AudioAugmentation:
    return dataclasses.replace(NONE, **amounts)


def everything(**amounts: float) -> AudioAugmentation:
    """All changes but those that need librosa, whose first call takes seconds."""
    return only(**{**dict.fromkeys((*OWN_SHARES, *MASK_SHARES), 1.0), **amounts})


def changed(clips: Tensor, amounts: AudioAugmentation, seed: int = 0) -> list[Tensor]:
    """Each clip after the one before it, from one generator."""
    generator = seeded(seed)
    return [augment_waveform(clip, amounts, generator) for clip in clips]


# The whole


def test_same_generator_gives_the_same_sound() -> None:
    first, again, other = (torch.stack(changed(noise(6, 6000), everything(), seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_only_the_generator_is_used_and_the_input_is_unchanged() -> None:
    torch.manual_seed(0)
    before, clip, features = torch.get_rng_state(), noise(1, 3000)[0], noise(40, 39)
    copies = clip.clone(), features.clone()
    augment_waveform(clip, everything(), seeded())
    mask_features(features[None], torch.tensor([40]), everything(), seeded())
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(clip, copies[0]) and torch.equal(features, copies[1])


@pytest.mark.parametrize("amounts", [NONE, everything(changed_share=0.0)])
def test_no_shares_change_nothing(amounts: AudioAugmentation) -> None:
    clip = noise(1, 4000)[0] * 40  # beyond full scale, too
    assert torch.equal(augment_waveform(clip, amounts, seeded()), clip)
    features = clip.reshape(1, 100, 40)
    assert torch.equal(mask_features(features, torch.tensor([100]), amounts, seeded()), features)


@pytest.mark.parametrize("share", SOUND_SHARES)
def test_silence_stays_silent(share: str) -> None:
    for result in changed(torch.zeros(4, 3000), only(**{share: 1.0})):
        assert not result.any()


@pytest.mark.parametrize("share", SOUND_SHARES)
def test_share_of_clips_that_get_each_change(share: str) -> None:
    clips = noise(150, 1200, level=0.2)
    pairs = zip(changed(clips, only(**{share: 0.3})), clips, strict=True)
    happened = [len(after) != len(before) or not torch.equal(after, before) for after, before in pairs]
    assert np.mean(happened) == pytest.approx(0.3, abs=0.15)  # 4 deviations of 0.037


def test_clips_that_are_changed_at_all() -> None:
    clips = noise(300, 400)
    pairs = zip(changed(clips, only(low_cut_share=1.0, changed_share=0.5)), clips, strict=True)
    assert np.mean([torch.equal(after, before) for after, before in pairs]) == pytest.approx(0.5, abs=0.12)


@given(
    shares=st.fixed_dictionaries(dict.fromkeys(OWN_SHARES, st.sampled_from([0.0, 0.5, 1.0]))),
    length=st.integers(0, 2500),
    level=st.sampled_from([0.0, 1e-6, 0.1, 1.0]),
    seed=st.integers(0, 1000),
)
def test_result_is_finite_and_within_full_scale(shares: dict[str, float], length: int, level: float, seed: int) -> None:
    clip = noise(1, length, level, seed)[0].clamp(-1, 1)
    result = augment_waveform(clip, only(**shares), seeded(seed))
    assert result.dtype == torch.float32 and result.shape == (length,)
    assert bool(result.isfinite().all()) and (not length or float(result.abs().max()) <= 1 + 1e-6)


def test_no_change_makes_a_clip_louder_than_full_scale() -> None:
    clip = tone(200, level=0.9)[0]
    loud = augment_waveform(clip, only(noise_share=1.0, lowest_noise_db=-20.0, highest_noise_db=-20.0), seeded())
    assert float(loud.abs().max()) == pytest.approx(1, abs=1e-5)
    assert decibels(power(loud)) > -20  # scaled, not silenced


# Settings


@pytest.mark.parametrize(
    ("amounts", "message"),
    [
        ({"noise_share": 1.5}, "noise_share: is 1.5; give a number from 0 to 1"),
        ({"changed_share": math.nan}, "changed_share: is nan; give a number from 0 to 1"),
        ({"lowest_noise_db": 50.0}, "lowest_noise_db: is 50; give a number from -40 to 35"),
        ({"highest_time_stretch": 3.0}, "highest_time_stretch: is 3; give a number from 0.5 to 2"),
        ({"lowest_decay_seconds": 0.0}, "lowest_decay_seconds: is 0; give a number from 0.01 to 0.7"),
        ({"longest_time_mask": 1.5}, "longest_time_mask: is 1.5; give a number from 0 to 1"),
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
    filled = fill(AudioAugmentation, {"noise_share": 1, "time_masks": 3}, "voice.toml")
    assert filled == dataclasses.replace(AudioAugmentation(), noise_share=1.0, time_masks=3)


@pytest.mark.parametrize("share", LIBROSA_SHARES)
def test_librosa_is_asked_for_only_where_it_is_needed(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    for enough in (everything(), everything(**{share: 1.0, "changed_share": 0.0})):
        enough.check_libraries()
        changed(noise(2, 3000), enough)
    needed = only(**{share: 0.01})
    with pytest.raises(DependencyError, match="librosa: is not installed"):
        needed.check_libraries()
    with pytest.raises(DependencyError, match="librosa: is not installed"):
        changed(noise(1, 3000), only(**{share: 1.0}))


# Amounts


def test_noise_ratios_are_drawn_evenly_within_their_range() -> None:
    clips = noise(100, 500, level=0.05)
    amounts = only(noise_share=1.0, lowest_noise_db=5.0, highest_noise_db=25.0)
    added = torch.stack(changed(clips, amounts)) - clips
    ratios = decibels(power(clips) / power(added))
    assert 4.99 < ratios.min() < 7 and 23 < ratios.max() < 25.01
    assert np.histogram(ratios, 4, (5, 25))[0].min() > 10  # of 25


def test_all_colors_occur_alike() -> None:
    clips = noise(45, 16000, level=0.05)
    added = torch.stack(changed(clips, only(noise_share=1.0, lowest_noise_db=10.0, highest_noise_db=10.0))) - clips
    colors = np.round([slope_of(samples) for samples in added])
    assert set(colors) == {0, 1, 2} and min((colors == color).sum() for color in (0, 1, 2)) > 6


def test_rooms_have_the_drawn_decay_and_distance() -> None:
    amounts = only(reverberation_share=1.0, lowest_decay_seconds=0.2, highest_decay_seconds=0.6)
    response = torch.stack(changed(impulse(40, 12000, 1000), amounts)).double().numpy()
    times = [reverberation_time(clip[1001:]) for clip in response]
    assert 0.17 < min(times) < 0.28 and 0.5 < max(times) < 0.68
    ratios = decibels(response[:, 1000] ** 2 / np.square(response[:, 1001:]).sum(axis=1))
    assert -2.1 < ratios.min() < 0.5 and 12.5 < ratios.max() < 15.1


def test_edges_of_the_band_are_where_drawn() -> None:
    clips = noise(60, 8000)
    low = torch.stack(changed(clips, only(low_cut_share=1.0, lowest_low_cut_hz=200.0, highest_low_cut_hz=900.0)))
    removed = (1 - power(low) / power(clips)) * 8000  # white noise: as many hertz as were taken away
    assert 160 < removed.min() < 330 and 750 < removed.max() < 1000
    high = torch.stack(changed(clips, only(high_cut_share=1.0, lowest_high_cut_hz=2000.0, highest_high_cut_hz=6000.0)))
    left = power(high) / power(clips) * 8000
    assert 1900 < left.min() < 2500 and 5500 < left.max() < 6300


@pytest.mark.slow
def test_time_stretch_and_pitch_shift_stay_within_their_range() -> None:
    amounts = only(time_stretch_share=1.0, lowest_time_stretch=0.8, highest_time_stretch=1.25)
    lengths = [len(result) for result in changed(noise(60, 8000), amounts)]
    assert 6390 < min(lengths) < 6700 and 9500 < max(lengths) < 10010
    amounts = only(pitch_shift_share=1.0, lowest_pitch_shift_semitones=-4.0, highest_pitch_shift_semitones=4.0)
    spectra = [torch.fft.rfft(result).abs() for result in changed(tone(440).repeat(40, 1), amounts)]
    semitones = [12 * math.log2(int(spectrum.argmax()) / 440) for spectrum in spectra]
    assert -4.1 < min(semitones) < -3 and 3 < max(semitones) < 4.1


# Features


def covered(frames: int, amounts: AudioAugmentation, clips: int = 200) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """``(clips, frames, 39)``: what is masked in copies of a clip."""
    features = torch.randn(frames, 39, generator=seeded(1))
    results = mask_features(features.repeat(clips, 1, 1), torch.full((clips,), frames), amounts, seeded())
    for result in results:
        assert torch.equal(result[result != 0], features[result != 0])
    return np.stack([(result == 0).numpy() for result in results])


@pytest.mark.parametrize("frames", [1, 10, 120])
def test_segments_of_time_are_masked_in_all_features(frames: int) -> None:
    masks = covered(frames, only(time_mask_share=1.0, time_masks=1, longest_time_mask=0.4))
    rows = masks.any(axis=2)
    assert (masks == rows[:, :, None]).all() and rows.sum(axis=1).max() <= round(0.4 * frames)
    assert (np.abs(np.diff(rows.astype(int), axis=1)).sum(axis=1) <= 2).all()  # one stretch
    if frames == 120:
        assert rows.any(axis=0)[1:-1].all() and rows.sum(axis=1).max() > 40 and rows.sum(axis=1).min() < 5


def test_groups_of_features_are_masked_throughout() -> None:
    masks = covered(50, only(feature_mask_share=1.0, widest_feature_mask=0.2))
    columns = masks.any(axis=1)
    assert (masks == columns[:, None]).all() and columns.sum(axis=1).max() in (7, 8)
    assert (np.abs(np.diff(columns.astype(int), axis=1)).sum(axis=1) <= 2).all()
    assert columns.any(axis=0)[1:-1].all()


@pytest.mark.parametrize(
    ("kind", "widest"), [("time_mask", "longest_time_mask"), ("feature_mask", "widest_feature_mask")]
)
def test_share_of_clips_that_are_masked(kind: str, widest: str) -> None:
    masks = covered(60, only(**{f"{kind}_share": 0.3, f"{kind}s": 3, widest: 0.5}), clips=400)
    assert masks.any(axis=(1, 2)).mean() == pytest.approx(0.3, abs=0.1)


def test_number_of_masks() -> None:
    rows = covered(400, only(time_mask_share=1.0, time_masks=3, longest_time_mask=0.05)).any(axis=2)
    starts = (np.diff(rows.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert starts.max() == 3 and (starts == 3).mean() > 0.4 and rows.sum(axis=1).max() <= 60
