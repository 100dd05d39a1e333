"""Pitch compared with known values and librosa, and prosody of sounds with known figures."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from voice_signals import RATE, Signal, Track, glide, noise, reference_signals, sine, syllables, vowel

from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.pitch import quantiles
from multimodal.encoders.voice.prosody import PROSODY_FIELDS, pitch, prosody, prosody_contours

WINDOW, HOP, TRANSFORM = 400, 160, 512
OCTAVE = 12.0
SPEECH = syllables(1.0)


def fields(samples: Signal | Tensor, rate: int = RATE) -> dict[str, float]:
    sound = torch.as_tensor(samples)
    values = prosody(sound.unsqueeze(0), torch.tensor([len(sound)]), rate)
    assert values.shape == (1, len(PROSODY_FIELDS)) and values.dtype == torch.float32 and values.isfinite().all()
    return dict(zip(PROSODY_FIELDS, values[0].tolist(), strict=True))


def pitch_of(samples: Signal | Tensor, rate: int = RATE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hertz and voicing of each frame of one clip."""
    sound = torch.as_tensor(samples)
    hertz, voicing = pitch(sound.unsqueeze(0), torch.tensor([len(sound)]), rate)
    return hertz[0].numpy(), voicing[0].numpy()


def true_pitch(track: Track, frames: int, rate: int = RATE) -> Track:
    """The pitch in the middle of each frame."""
    return np.asarray(track[(np.arange(frames) * 0.010 * rate + 0.0125 * rate).astype(int)])


def semitones(hertz: NDArray[np.floating], reference: NDArray[np.floating]) -> Track:
    return np.asarray(12 * np.log2(np.maximum(hertz, 1) / reference), dtype=np.float64)


@pytest.mark.parametrize("name", list(reference_signals()))
def test_pitch_is_the_one_the_sound_was_made_with(name: str) -> None:
    samples, track = reference_signals()[name]
    hertz, voicing = pitch_of(samples)
    inner = slice(3, -3)  # the outermost pitch frames reach beyond the clip
    error = np.abs(semitones(hertz, true_pitch(track, len(hertz))))[inner]
    assert (hertz[inner] > 0).all() and voicing[inner].min() > 0.9
    # The chirp climbs 48 semitones a second, so 6 ms between the middles of window and lag are 0.3.
    assert error.max() < 0.5 and np.median(error) < (0.35 if name == "chirp" else 0.1)


@pytest.fixture(scope="module")
def librosa() -> ModuleType:
    """Imported for the slow tests alone: its first calls compile."""
    import librosa

    return librosa


def librosa_pitch(librosa: ModuleType, samples: Signal, method: str) -> Track:
    """Hertz of each frame, 0 where ``pyin`` hears no voice; frames of 64 ms around the middles of ours."""
    length = 1024
    padded = np.pad(samples, (length - WINDOW) // 2)
    options: dict[str, Any] = {"fmin": 60, "fmax": 500, "sr": RATE, "frame_length": length, "hop_length": HOP}
    actual = getattr(librosa, method)(padded, center=False, **options)
    return np.nan_to_num(actual[0] if method == "pyin" else actual)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(reference_signals()))
@pytest.mark.parametrize("method", ["yin", "pyin"])
def test_pitch_is_librosas(name: str, method: str, librosa: ModuleType) -> None:
    samples = reference_signals()[name][0]
    hertz, _ = pitch_of(samples)
    theirs = librosa_pitch(librosa, samples, method)
    assert hertz.shape == theirs.shape
    both = (hertz > 0) & (theirs > 0)
    assert both.mean() > 0.8
    apart = np.abs(semitones(hertz[both], theirs[both]))
    # librosa's own two differ by as much: their frames are 64 ms long.
    assert np.median(apart) < 0.4 and (apart > 1).mean() < 0.1


# Telephones cut at 300 Hz: the fundamental itself is gone. An "i" then keeps one strong harmonic, which is a tone.
@pytest.mark.parametrize(("formants", "lowest_hz"), [("a", 0.0), ("i", 0.0), ("u", 0.0), ("a", 300.0), ("u", 300.0)])
@pytest.mark.parametrize("middle", [80.0, 125.0, 210.0, 330.0])
def test_no_octave_is_mistaken(formants: str, middle: float, lowest_hz: float) -> None:
    track = glide(middle * 1.15, middle / 1.15, 0.8)
    clean = vowel(track, formants, lowest_hz=lowest_hz)
    hertz, _ = pitch_of(clean + noise(len(clean), 0.01, seed=int(middle)))  # 20 dB below the voice
    voiced = hertz > 0
    error = semitones(hertz, true_pitch(track, len(hertz)))[voiced]
    assert voiced.mean() > 0.9
    assert (np.abs(error) > 2).mean() < 0.02


def test_a_clip_keeps_its_octave_where_single_frames_do_not() -> None:
    # Every second period is weaker, as in a creaking voice: half the pitch is then a truer period in some frames.
    track = glide(200, 180, 1.0)
    phase = np.cumsum(track) / RATE
    weaker = np.where((phase[6000:10000] % 2) < 1, 1.0, 0.8)
    samples = vowel(track, "a")
    samples[6000:10000] *= weaker.astype(np.float32)
    hertz, _ = pitch_of(samples)
    error = semitones(hertz, true_pitch(track, len(hertz)))[hertz > 0]
    assert (np.abs(np.abs(error) - OCTAVE) < 1).mean() < 0.02


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_other_sample_rates_hear_the_same(rate: int) -> None:
    hertz, _ = pitch_of(vowel(glide(150, 170, 0.5, rate), "a", rate=rate), rate)
    expected = true_pitch(glide(150, 170, 0.5, rate), len(hertz), rate)
    assert len(hertz) == 48
    np.testing.assert_allclose(semitones(hertz, expected)[3:-3], 0, atol=0.3)


@pytest.mark.parametrize("sound", ["silence", "noise", "hum under speech"])
def test_what_is_no_voice_has_no_pitch(sound: str) -> None:
    samples = {
        "silence": np.zeros(16000, np.float32),
        "noise": noise(16000, 0.1),
        "hum under speech": np.concatenate([vowel(glide(150, 150, 0.5)), sine(glide(100, 100, 0.5), 0.0005)]),
    }[sound]
    hertz, voicing = pitch_of(samples)
    later = slice(55, None) if sound == "hum under speech" else slice(None)
    assert (hertz[later] > 0).mean() < 0.02 and (voicing >= 0).all() and (voicing <= 1).all()


def test_field_names_are_distinct_and_some_thirty() -> None:
    assert len(set(PROSODY_FIELDS)) == len(PROSODY_FIELDS) and 16 <= len(PROSODY_FIELDS) <= 35


def test_melody_of_a_glide() -> None:
    seconds, low, high = 2.0, 120.0, 240.0  # an octave in two seconds
    actual = fields(vowel(glide(low, high, seconds)))
    line = 12 * np.log2(glide(low, high, seconds) / 27.5)
    expected = {
        "pitch_mean_semitones": line.mean(),
        "pitch_deviation_semitones": line.std(),
        "pitch_low_semitones": np.quantile(line, 0.05),
        "pitch_median_semitones": np.median(line),
        "pitch_high_semitones": np.quantile(line, 0.95),
        "pitch_range_semitones": np.quantile(line, 0.95) - np.quantile(line, 0.05),
        "pitch_slope_semitones_per_second": 6.0,
        "pitch_change_semitones_per_second": 6.0,
        "pitch_end_semitones": 6.0 * (seconds / 2 - 0.15),
        "pitch_jitter_semitones": 0.0,
    }
    for name, value in expected.items():
        assert actual[name] == pytest.approx(value, abs=0.25), name
    assert actual["voiced_share"] > 0.97 and actual["voiced_run_seconds"] == pytest.approx(2.0, abs=0.1)


def test_a_rough_voice_has_more_jitter_and_fewer_harmonics() -> None:
    random = np.random.default_rng(5)
    steps = np.repeat(random.normal(0, 0.02, 200), 160)[:16000]
    smooth, rough = fields(vowel(glide(150, 150, 1.0))), fields(vowel(150 * (1 + steps)))
    assert rough["pitch_jitter_semitones"] > 3 * smooth["pitch_jitter_semitones"] + 0.02
    assert smooth["harmonics_to_noise_db"] > rough["harmonics_to_noise_db"] + 3


@pytest.mark.parametrize("ratio_db", [5.0, 10.0, 15.0])
def test_harmonics_to_noise_is_the_ratio_mixed(ratio_db: float) -> None:
    voice = vowel(glide(150, 150, 2.0))
    breath = noise(len(voice), float(voice.std()) * 10 ** (-ratio_db / 20))
    actual = fields(voice + breath)
    # What is aperiodic is the share of noise in the power of both; noise also repeats a little by chance.
    assert actual["harmonics_to_noise_db"] == pytest.approx(ratio_db, abs=2.0)


def test_energy_of_a_rising_tone() -> None:
    seconds, level, rise = 2.0, 0.05, 8.0  # decibels in all
    growing = level * 10 ** (np.linspace(0, rise, round(seconds * RATE)) / 20)
    actual = fields((sine(glide(200, 200, seconds), 1.0) * growing).astype(np.float32))
    mean = 20 * np.log10(level / np.sqrt(2)) + rise / 2
    assert actual["energy_mean_db"] == pytest.approx(mean, abs=0.1)
    assert actual["energy_slope_db_per_second"] == pytest.approx(rise / seconds, abs=0.05)
    assert actual["energy_range_db"] == pytest.approx(0.9 * rise, abs=0.15)
    assert actual["energy_deviation_db"] == pytest.approx(rise / np.sqrt(12), abs=0.05)
    assert actual["energy_end_db"] == pytest.approx(rise / seconds * 0.85, abs=0.1)
    assert actual["pause_share"] == 0 and actual["duration_log_seconds"] == pytest.approx(np.log(1.98), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(reference_signals()))
def test_loudness_is_librosas(name: str, librosa: ModuleType) -> None:
    samples = reference_signals()[name][0]
    energy = prosody_contours(torch.as_tensor(samples).unsqueeze(0), torch.tensor([len(samples)]), RATE)[0, :, 2]
    centered = samples - samples.mean()
    theirs = librosa.feature.rms(y=centered, frame_length=WINDOW, hop_length=HOP, center=False)[0]
    np.testing.assert_allclose(energy, librosa.amplitude_to_db(theirs, ref=1.0, amin=1e-5, top_db=None), atol=1e-3)
    mean = fields(samples)["energy_mean_db"]
    assert mean == pytest.approx(float(np.mean(20 * np.log10(theirs))), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(reference_signals()))
def test_centroid_is_librosas(name: str, librosa: ModuleType) -> None:
    samples = reference_signals()[name][0]
    actual = fields(samples)
    cut = librosa.util.frame(samples - samples.mean(), frame_length=WINDOW, hop_length=HOP)
    window = librosa.filters.get_window("hann", WINDOW)
    amplitude = np.abs(np.fft.rfft(cut * window[:, None], n=TRANSFORM, axis=0))
    hertz = np.fft.rfftfreq(TRANSFORM, 1 / RATE)
    inside = (hertz >= 50) & (hertz <= 5000)  # what spectral_centroid_octaves counts
    octaves = np.log2(librosa.feature.spectral_centroid(S=amplitude[inside], freq=hertz[inside])[0])
    assert actual["spectral_centroid_octaves"] == pytest.approx(octaves.mean(), abs=0.01)
    assert actual["spectral_centroid_deviation_octaves"] == pytest.approx(octaves.std(), abs=0.01)


def test_spectral_tilt_compares_two_bands() -> None:
    low, high = sine(glide(500, 500, 1.0), 0.2), sine(glide(3000, 3000, 1.0), 0.02)
    actual = fields(low + high)
    assert actual["spectral_tilt_db"] == pytest.approx(20, abs=0.3)
    assert actual["spectral_balance_db"] == pytest.approx(20, abs=1.0)
    assert actual["spectral_flux"] < 0.01 < fields(noise(16000, 0.1))["spectral_flux"]


@pytest.mark.parametrize("per_second", [2.0, 3.0, 4.0, 5.0, 6.0])
def test_speaking_rate_counts_syllables(per_second: float) -> None:
    assert fields(syllables(2.0, per_second))["speaking_rate_per_second"] == pytest.approx(per_second, rel=0.1)


def test_a_held_vowel_is_no_row_of_syllables() -> None:
    assert fields(vowel(glide(150, 140, 2.0)))["speaking_rate_per_second"] == 0


@pytest.mark.parametrize("background", [0.0, 0.002])
def test_pauses_lie_between_the_words(background: float) -> None:
    word, gap = vowel(glide(160, 150, 0.5)), np.zeros(round(0.3 * RATE), np.float32)
    closure = np.zeros(round(0.08 * RATE), np.float32)  # of a consonant: no pause
    samples = np.concatenate([gap, gap, word, gap, word, closure, word, gap, word, gap])
    actual = fields(samples + noise(len(samples), background))
    seconds = 4 * 0.5 + 2 * 0.3 + 0.08
    # A frame is 25 ms long and hears a word that it only touches.
    assert actual["pause_mean_seconds"] == pytest.approx(0.3, abs=0.03)
    assert actual["pauses_per_second"] == pytest.approx(2 / seconds, rel=0.03)
    assert actual["pause_share"] == pytest.approx(0.6 / seconds, abs=0.03)
    assert np.exp(actual["duration_log_seconds"]) == pytest.approx(seconds, abs=0.03)


@given(gain_db=st.floats(-20, 6))  # at -30 the fading ends of syllables sink below SILENCE_DB
def test_only_one_field_knows_the_level(gain_db: float) -> None:
    samples = SPEECH
    before, after = fields(samples), fields((samples * 10 ** (gain_db / 20)).astype(np.float32))
    assert after.pop("energy_mean_db") - before.pop("energy_mean_db") == pytest.approx(gain_db, abs=0.01)
    assert after == pytest.approx(before, abs=0.02, rel=0.01)


def test_a_constant_offset_changes_nothing() -> None:
    samples = SPEECH
    assert fields(samples + np.float32(0.2)) == pytest.approx(fields(samples), abs=0.02, rel=0.01)


def test_a_quiet_room_around_the_speech_changes_little() -> None:
    silence = np.zeros(8000, np.float32)
    words = np.concatenate([SPEECH, silence, SPEECH])
    around = np.concatenate([silence, words, silence])
    room = noise(len(around), 0.0005, seed=3)
    before, after = fields(words + room[8000:-8000]), fields(around + room)
    # Percentiles of loudness shift a little with the share of silence, and with them what counts as speech.
    assert after == pytest.approx(before, abs=0.5, rel=0.05)


@pytest.mark.parametrize("filling", [0.0, 0.7, float("nan")])
def test_padding_changes_no_number(filling: float) -> None:
    voices = [SPEECH, vowel(glide(210, 140, 0.7), "i"), noise(5000, 0.1), np.zeros(3000, np.float32)]
    sounds = [torch.as_tensor(sound) for sound in [*voices, voices[0][:399], voices[0][:1]]]
    lengths = torch.tensor([len(sound) for sound in sounds])
    batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True, padding_value=filling)
    together, contours = prosody(batch, lengths, RATE), prosody_contours(batch, lengths, RATE)
    for index, sound in enumerate(sounds):
        alone = sound.unsqueeze(0), torch.tensor([len(sound)])
        torch.testing.assert_close(together[index], prosody(*alone, RATE)[0], atol=1e-4, rtol=1e-5)
        single = prosody_contours(*alone, RATE)[0]
        torch.testing.assert_close(contours[index, : len(single)], single, atol=1e-4, rtol=1e-5)
        assert not contours[index, len(single) :].any()


def test_contours_lie_on_the_grid_of_the_coefficients() -> None:
    samples = torch.as_tensor(np.concatenate([vowel(glide(150, 150, 0.5)), noise(8000, 0.05)])).unsqueeze(0)
    lengths = torch.tensor([samples.shape[1]])
    contours = prosody_contours(samples, lengths, RATE)
    assert contours.shape == (1, Mfcc()(samples, lengths)[0].shape[1], 3)
    tones, voicing, energy = contours[0].T
    usual = 12 * np.log2(150 / 27.5)
    np.testing.assert_allclose(tones[3:45], usual, atol=0.1)
    np.testing.assert_allclose(tones[55:], usual, atol=0.1)  # where unvoiced, the clip's median
    assert voicing[3:45].min() > 0.9 > 0.7 > voicing[55:].max()
    np.testing.assert_allclose(energy[55:], 20 * np.log10(0.05), atol=1.5)


@given(
    length=st.integers(0, 6000),
    level=st.sampled_from([0.0, 1e-12, 1e-5, 0.1, 1.0, 100.0]),
    kind=st.sampled_from(["noise", "clicks", "steps", "square"]),
    seed=st.integers(0, 1000),
)
def test_any_sound_gives_finite_numbers(length: int, level: float, kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    samples = {
        "noise": random.standard_normal(length),
        "clicks": (random.random(length) < 0.001) * 1.0,
        "steps": np.repeat(random.standard_normal(7), 1000)[:length],
        "square": np.sign(np.sin(np.arange(length) / 20)),
    }[kind]
    actual = fields((level * samples).astype(np.float32))
    shares = [actual[name] for name in ("voiced_share", "pause_share", "voicing_mean", "spectral_flux")]
    assert min(shares) >= 0 and max(shares) <= 1 + 1e-6


def test_silence_says_so() -> None:
    actual = fields(np.zeros(16000, np.float32))
    assert actual["energy_mean_db"] == pytest.approx(-100) and actual["pitch_mean_semitones"] == 30
    assert actual["voiced_share"] == actual["speaking_rate_per_second"] == actual["pitch_range_semitones"] == 0


def test_a_minute_is_no_matter() -> None:
    second = torch.as_tensor(SPEECH)
    actual = fields(second.repeat(60))
    assert actual["speaking_rate_per_second"] == pytest.approx(4, rel=0.05)
    assert np.exp(actual["duration_log_seconds"]) == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize(("samples", "lengths"), [((800,), [800]), ((2, 800), [800]), ((1, 800), [801]), ((0, 8), [])])
def test_shapes_that_do_not_fit_are_refused(samples: tuple[int, ...], lengths: list[int]) -> None:
    for function in (prosody, prosody_contours, pitch):
        with pytest.raises(ValueError, match=r"samples must be|is beyond"):
            function(torch.zeros(samples), torch.tensor(lengths), RATE)


@given(values=st.lists(st.floats(-100, 100, width=32), max_size=12), share=st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    row = torch.tensor([[*values, 55.0, -99.0]])
    mask = torch.tensor([[True] * len(values) + [False, False]])
    (actual,) = quantiles(row, mask, (share,))
    expected = np.quantile(values, share) if values else 0.0
    assert actual.item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.gpu
def test_both_devices_give_the_same() -> None:
    sounds = [torch.as_tensor(SPEECH), torch.as_tensor(vowel(glide(210, 140, 0.7), "i"))]
    lengths = torch.tensor([len(sound) for sound in sounds])
    batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
    there = prosody(batch.cuda(), lengths.cuda(), RATE)
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), prosody(batch, lengths, RATE), atol=0.02, rtol=0.01)
