"""MFCCs compared with librosa, and invariance to padding, silence and length."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from voice_signals import noise, reference_signals, syllables

from multimodal.encoders.framing import cut_frames, frame_counts, hold_last
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.statistics import RecordingStatistics
from multimodal.errors import ConfigError

DEFAULT = MfccSettings()


def alone(samples: NDArray[np.float32] | Tensor, mfcc: Mfcc | None = None) -> Tensor:
    """The features ``(frames, 39)`` of one clip."""
    sound = torch.as_tensor(samples)
    features, counts = (mfcc or Mfcc())(sound.unsqueeze(0), torch.tensor([len(sound)]))
    assert features.shape[1] == int(counts)
    return features[0]


def padded(sounds: Sequence[Tensor], filling: float) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(sound) for sound in sounds])
    return torch.nn.utils.rnn.pad_sequence(list(sounds), batch_first=True, padding_value=filling), lengths


@pytest.fixture(scope="module")
def librosa_mfcc() -> Callable[[NDArray[np.float32]], Tensor]:
    """librosa's coefficients, deltas and delta-deltas ``(frames, 39)`` with the options of ``MfccSettings``."""
    import librosa

    def compute(samples: NDArray[np.float32]) -> Tensor:
        # librosa cuts frames as long as the transform, so the sound gets zeros on both sides.
        padded = np.pad(samples, (DEFAULT.fft_size - DEFAULT.window) // 2)
        mel = librosa.feature.melspectrogram(
            y=padded, sr=DEFAULT.sample_rate, n_fft=DEFAULT.fft_size, win_length=DEFAULT.window,
            hop_length=DEFAULT.hop, window="hann", center=False, power=2.0, n_mels=DEFAULT.mel_bands,
            fmin=DEFAULT.low_hz, fmax=DEFAULT.high_hz, htk=True, norm=None,
        )  # fmt: skip
        decibels = librosa.power_to_db(mel, ref=1.0, amin=DEFAULT.log_floor, top_db=None)
        natural = decibels * math.log(10) / 10
        static = librosa.feature.mfcc(S=natural, n_mfcc=DEFAULT.coefficients, dct_type=2, norm="ortho", lifter=0)
        slopes = librosa.feature.delta(static, width=DEFAULT.delta_width, order=1, mode="nearest")
        curves = librosa.feature.delta(slopes, width=DEFAULT.delta_width, order=1, mode="nearest")
        return torch.from_numpy(np.concatenate([static, slopes, curves]).T.astype(np.float32))

    return compute


@pytest.mark.slow
@pytest.mark.parametrize("name", list(reference_signals()))
def test_coefficients_and_deltas_are_librosas(name: str, librosa_mfcc: Callable[[NDArray[np.float32]], Tensor]) -> None:
    samples = reference_signals()[name][0]
    features, theirs = alone(samples), librosa_mfcc(samples)
    assert features.shape == theirs.shape == (48, 39)
    # Measured: 2e-4 among values up to 70.
    torch.testing.assert_close(features, theirs, atol=1e-3, rtol=0)


def test_deltas_are_straight_lines_through_five_frames() -> None:
    features = alone(noise(8000, 0.1))
    static, slopes, curves = features.split(13, dim=1)
    times = np.arange(-2, 3)
    for frame in (2, 20, 45):
        fitted = np.polyfit(times, static[frame - 2 : frame + 3].double().numpy(), 1)[0]
        np.testing.assert_allclose(slopes[frame], fitted, atol=1e-4)
    first = slopes[[0, 0, 0, 1, 2]].double().numpy()  # the first frame goes on before the beginning
    np.testing.assert_allclose(curves[0], np.polyfit(times, first, 1)[0], atol=1e-4)


@pytest.mark.parametrize("filling", [0.0, 0.7, float("nan")])
def test_padding_changes_no_number(filling: float) -> None:
    sounds = [torch.as_tensor(noise(size, 0.1, seed=size)) for size in (16000, 9000, 7321, 560, 559, 400, 399, 1)]
    mfcc = Mfcc()
    features, counts = mfcc(*padded(sounds, filling))
    assert counts.tolist() == [98, 54, 44, 2, 1, 1, 1, 1]
    for row, count, sound in zip(features, counts, sounds, strict=True):
        torch.testing.assert_close(row[:count], alone(sound, mfcc), atol=1e-5, rtol=1e-6)
        assert not row[count:].any()


def test_room_beyond_the_longest_clip_is_no_frames() -> None:
    features, counts = Mfcc()(torch.ones(2, 50_000), torch.tensor([4000, 3000]))
    assert features.shape[1] == int(counts.max()) == 23


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_the_floor_and_moves_nowhere(level: float) -> None:
    # A constant is silence too: the lowest filter begins above it. A clip without samples is a frame of it.
    features = alone(torch.full((4000,), level))
    if level == 0.0:
        expected = np.sqrt(40) * np.log(DEFAULT.log_floor)  # the orthonormal cosine transform of 40 equal numbers
        np.testing.assert_allclose(features[:, 0], expected, rtol=1e-5)
        assert features[:, 1:].abs().max() < 1e-4
    assert features.isfinite().all()
    assert Mfcc()(torch.zeros(1, 0), torch.tensor([0]))[0].shape == (1, 1, 39)


def test_frames_near_loud_ones_are_not_lifted() -> None:
    quiet = torch.as_tensor(noise(8000, 0.0003))
    loud = torch.cat([quiet, torch.as_tensor(noise(8000, 0.9))])
    torch.testing.assert_close(alone(loud)[:44], alone(quiet)[:44], atol=1e-4, rtol=0)


def test_gain_moves_only_the_zeroth_coefficient() -> None:
    sound = torch.as_tensor(noise(8000, 0.05))
    step = alone(sound * 4) - alone(sound)
    np.testing.assert_allclose(step[:, 0], np.sqrt(40) * np.log(16), atol=1e-3)
    assert step[:, 1:].abs().max() < 1e-3


def test_a_minute_is_its_parts() -> None:
    minute = torch.as_tensor(noise(960_000, 0.1))
    features = alone(minute)
    assert features.shape == (5998, 39) and features.isfinite().all()
    # Two frames of difference reach twice two frames around, not further.
    part = alone(minute[16000 * 30 : 16000 * 31])
    torch.testing.assert_close(features[3004:3094], part[4:94], atol=1e-4, rtol=1e-5)


def test_half_precision_around_it_changes_nothing() -> None:
    sound = noise(8000, 0.001)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = alone(sound)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, alone(sound), atol=1e-6, rtol=0)


def test_tables_are_rebuilt_and_not_saved() -> None:
    assert Mfcc().state_dict() == {}
    other = MfccSettings(coefficients=20, mel_bands=26, fft_size=1024)
    again = MfccSettings(**json.loads(json.dumps(asdict(other))))
    assert again == other and alone(noise(4000, 0.1), Mfcc(again)).shape == (23, 60)


@pytest.mark.parametrize(
    ("name", "value"),
    [("sample_rate", 0), ("coefficients", 0), ("coefficients", 41), ("window_seconds", 0.04), ("hop_seconds", 0.0),
     ("high_hz", 8001.0), ("high_hz", 20.0), ("low_hz", -1.0), ("log_floor", 0.0), ("delta_width", 4),
     ("delta_width", 1)],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=r"mfcc\.\w+: cannot be .*; choose"):
        MfccSettings(**{name: value})


@pytest.mark.parametrize(
    ("samples", "lengths"),
    [((800,), [800]), ((2, 800), [800]), ((1, 800), [801]), ((0, 800), []), ((1, 1, 800), [800])],
)
def test_shapes_that_do_not_fit_are_refused(samples: tuple[int, ...], lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"samples must be|is beyond"):
        Mfcc()(torch.zeros(samples), torch.tensor(lengths))


@given(length=st.integers(0, 2000), window=st.integers(1, 500), hop=st.integers(1, 300))
def test_frames_are_the_whole_windows_that_fit(length: int, window: int, hop: int) -> None:
    starts = [start for start in range(0, 2000, hop) if start + window <= length]
    count = int(frame_counts(torch.tensor([length]), window, hop))
    assert count == max(1, len(starts))
    assert cut_frames(torch.zeros(1, length), torch.tensor([length]), window, hop)[0].shape[1] == count


def test_the_last_frame_is_held() -> None:
    features = torch.arange(8.0).reshape(2, 4, 1)
    assert hold_last(features, torch.tensor([4, 1])).flatten().tolist() == [0, 1, 2, 3, 4, 4, 4, 4]


@pytest.mark.gpu
def test_both_devices_give_the_same() -> None:
    sounds, lengths = padded([torch.as_tensor(syllables(1.0)), torch.as_tensor(noise(5000, 0.01))], 0.5)
    here, counts = Mfcc()(sounds, lengths)
    there, counts_there = Mfcc().cuda()(sounds.cuda(), lengths.cuda())
    assert there.is_cuda and counts_there.tolist() == counts.tolist()
    torch.testing.assert_close(there.cpu(), here, atol=2e-3, rtol=1e-4)


class TestRecordingStatistics:
    @given(
        seed=st.integers(0, 2**32 - 1),
        sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
        offset=st.sampled_from([0.0, -70.0, 3000.0]),
    )
    def test_any_split_gives_numpys_figures(self, seed: int, sizes: list[int], offset: float) -> None:
        random = np.random.default_rng(seed)
        parts = [(offset + random.standard_normal((size, 3))).astype(np.float32) for size in [*sizes, 2]]
        heard, halves = RecordingStatistics.empty(3), [RecordingStatistics.empty(3), RecordingStatistics.empty(3)]
        for index, part in enumerate(parts):
            heard = heard.updated(torch.as_tensor(part))
            halves[index % 2] = halves[index % 2].updated(torch.as_tensor(part))
        together = np.concatenate(parts).astype(np.float64)
        for result in (heard, halves[0].merged(halves[1]), halves[1].merged(halves[0])):
            assert result.count == len(together)
            np.testing.assert_allclose(result.mean, together.mean(0), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(result.variance, together.var(0), rtol=1e-9)

    def test_padding_does_not_count(self) -> None:
        features, lengths = torch.full((2, 4, 1), float("nan")), torch.tensor([3, 1])
        features[0, :3, 0], features[1, 0, 0] = torch.tensor([1.0, 2.0, 3.0]), 6.0
        heard = RecordingStatistics.empty(1).updated(features, lengths)
        assert (heard.count, heard.mean.item(), heard.variance.item()) == (4.0, 3.0, 3.5)
        normal = heard.normalize(features, lengths)
        np.testing.assert_allclose(normal[0, :, 0], [-2 / 3.5**0.5, -1 / 3.5**0.5, 0, 0], atol=1e-6)
        assert normal[1, 0, 0] > 0 and not normal[1, 1:].any()

    def test_normalized_features_have_mean_0_and_deviation_1(self) -> None:
        features = alone(noise(16000, 0.1))
        normal = RecordingStatistics.empty(39).updated(features).normalize(features)
        np.testing.assert_allclose(normal.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(normal.std(0, correction=0), 1, atol=1e-4)

    def test_a_recording_begins_at_the_prior_and_leaves_it(self) -> None:
        usual = RecordingStatistics(1e6, torch.tensor([10.0]), torch.tensor([4.0]))
        nothing = RecordingStatistics.empty(1)
        assert nothing.normalize(torch.tensor([[12.0]]), prior=usual, prior_weight=300).item() == 1.0
        # By hand: 100 frames against 300 count a quarter: mean 0.25 * 2 + 0.75 * 10, variance 0.25 * 8 + 0.75 * 4.
        some = RecordingStatistics(100.0, torch.tensor([2.0]), torch.tensor([8.0])).shrunk(usual, 300.0)
        assert (some.count, some.mean.item(), some.variance.item()) == (100.0, 8.0, 5.0)
        long = RecordingStatistics(1e7, torch.tensor([2.0]), torch.tensor([8.0])).shrunk(usual, 300.0)
        assert long.mean.item() == pytest.approx(2.0, abs=1e-3)

    def test_nothing_heard_and_nothing_known_changes_nothing(self) -> None:
        features = torch.tensor([[3.0, 4.0]])
        assert torch.equal(RecordingStatistics.empty(2).normalize(features), features)
        assert RecordingStatistics.empty(2).updated(torch.zeros(0, 2)).count == 0

    def test_constant_features_stay_finite(self) -> None:
        features = torch.full((5, 2), 7.0)
        assert not RecordingStatistics.empty(2).updated(features).normalize(features).any()
