"""Audio reading: sound at its time, with its pitch and level, in any container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.audio.frame import AudioFrame
from media_fixtures import Pictures, Sound, every, silence, tone, write_media
from numpy.typing import NDArray

from multimodal.data.media import audio as media
from multimodal.data.media.audio import read_audio, to_mono
from multimodal.errors import ConfigError
from multimodal.types import AudioBlock

FIVE_MILLISECONDS = 0.005


def timeline(blocks: list[AudioBlock], seconds: float) -> NDArray[np.float32]:
    """Lays the blocks out where their start times say."""
    rate = blocks[0].sample_rate
    sound = np.zeros(round(seconds * rate) + rate, dtype=np.float32)
    for block in blocks:
        start = round(block.start_seconds * rate)
        sound[start : start + len(block.samples)] = block.samples
    return sound


def loud_stretch(sound: NDArray[np.float32], rate: int) -> tuple[float, float]:
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    return float(loud[0] / rate), float(loud[-1] / rate)


def pitch(sound: NDArray[np.float32], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * rate / len(sound))


CODECS = [
    (".wav", "pcm_s16le", "s16", 16000),
    (".wav", "pcm_s16le", "s16", 44100),
    (".mkv", "pcm_s16le", "s16", 8000),
    (".flac", "flac", "s16", 48000),
    (".mp3", "libmp3lame", "fltp", 44100),
    (".m4a", "aac", "fltp", 44100),
    (".ogg", "libopus", "s16", 48000),
    (".webm", "libopus", "s16", 48000),
]


@pytest.mark.parametrize(("suffix", "codec", "sample_format", "rate"), CODECS)
def test_a_tone_is_found_at_its_time(tmp_path: Path, suffix: str, codec: str, sample_format: str, rate: int) -> None:
    samples = np.concatenate([silence(0.7, rate), tone(0.6, 1000, rate), silence(1.0, rate)], axis=1)
    path = write_media(tmp_path / f"tone{suffix}", Sound({0: samples}, rate, codec, sample_format))
    blocks = list(read_audio(path))
    sound = timeline(blocks, 2.5)
    start, end = loud_stretch(sound, 16000)
    assert start == pytest.approx(0.7, abs=FIVE_MILLISECONDS)
    assert end == pytest.approx(1.3, abs=FIVE_MILLISECONDS)
    middle = sound[round(0.75 * 16000) : round(1.25 * 16000)]
    assert pitch(middle, 16000) == pytest.approx(1000, abs=3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_blocks_are_whole_and_follow_each_other(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.wav", Sound({0: tone(2.25, sample_rate=44100)}, 44100))
    blocks = list(read_audio(path, block_seconds=0.5))
    assert [len(block.samples) for block in blocks] == [8000] * 4 + [4000]
    assert [block.start_seconds for block in blocks] == [0, 0.5, 1.0, 1.5, 2.0]
    assert {block.samples.dtype for block in blocks} == {np.dtype(np.float32)}


def test_a_gap_never_shifts_what_follows(tmp_path: Path) -> None:
    late = np.concatenate([silence(0.2), tone(0.3)], axis=1)
    path = write_media(tmp_path / "gap.mkv", Sound({0: tone(0.5), 1500: late}))
    blocks = list(read_audio(path))
    assert [block.start_seconds for block in blocks] == pytest.approx([0, 1.5], abs=0.001)
    loud = np.flatnonzero(np.abs(timeline(blocks, 2.5)[16000:]) > 0.1)
    assert 1 + loud[0] / 16000 == pytest.approx(1.7, abs=FIVE_MILLISECONDS)


@pytest.mark.parametrize(("picture_start", "sound_start"), [(0, 480), (640, 0), (300, 800)])
@pytest.mark.parametrize("suffix", [".mkv", ".mov"])
def test_sound_and_pictures_that_start_apart(tmp_path: Path, suffix: str, picture_start: int, sound_start: int) -> None:
    samples = np.concatenate([silence(0.4), tone(0.4)], axis=1)
    pictures = Pictures(every(40, 1, picture_start))
    path = write_media(tmp_path / f"apart{suffix}", pictures, Sound({sound_start: samples}))
    offset = sound_start / 1000 - min(picture_start, sound_start) / 1000
    blocks = list(read_audio(path))
    assert blocks[0].start_seconds == pytest.approx(offset, abs=0.001)
    assert loud_stretch(timeline(blocks, 2), 16000)[0] == pytest.approx(offset + 0.4, abs=FIVE_MILLISECONDS)


def test_channels_are_averaged_without_clipping(tmp_path: Path) -> None:
    loud, quiet = tone(0.5, level=0.9), np.zeros((1, 8000), dtype=np.float32)
    for channels, level in ((2, 0.9), (1, 0.45)):
        pair = np.concatenate([loud, loud if channels == 2 else quiet])
        path = write_media(tmp_path / f"{channels}.wav", Sound({0: pair}))
        (block,) = read_audio(path)
        assert float(np.abs(block.samples).max()) == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize(
    ("sample_format", "values", "expected"),
    [
        ("u8", np.array([[0, 128, 192, 64]], dtype=np.uint8), [-0.5, 0.0]),
        ("s16", np.array([[-32768, 0, 16384, 16384]], dtype=np.int16), [-0.5, 0.5]),
        ("s32p", np.array([[2**30, 0], [2**30, -(2**31)]], dtype=np.int32), [0.5, -0.5]),
        ("fltp", np.array([[2.0, -0.25], [2.0, 0.25]], dtype=np.float32), [1.0, 0.0]),
    ],
)
def test_every_sample_format_becomes_the_mean(sample_format: str, values: NDArray[Any], expected: list[float]) -> None:
    frame = AudioFrame.from_ndarray(values, format=sample_format, layout="stereo")
    assert to_mono(frame).tolist() == pytest.approx(expected)


def frames_at(*starts: int) -> list[AudioFrame]:
    """Half a second of one level each, 0.1, 0.2, …, at the given samples."""
    frames = []
    for number, start in enumerate(starts, start=1):
        frame = AudioFrame.from_ndarray(np.full((1, 8000), number / 10, dtype=np.float32), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("starts", "expected", "disordered"),
    [
        ((0, 8000, 16000), [(0, 0.1), (0.5, 0.2), (1.0, 0.3)], 0),
        ((0, 8160, 16000), [(0, 0.1), (0.5, 0.2), (1.0, 0.3)], 0),  # 10 ms of jitter
        ((0, 4000, 12000), [(0, 0.1), (0.5, 0.2), (0.75, 0.3)], 1),  # half of the second comes again
        ((0, 0, 8000), [(0, 0.1), (0.5, 0.3)], 1),
        ((0, 16000, 24000), [(0, 0.1), (1.0, 0.2), (1.5, 0.3)], 0),
        ((-4000, 4000, 12000), [(0, 0.1), (0.25, 0.2), (0.75, 0.3)], 0),
    ],
)
def test_times_that_overlap_leap_or_tremble(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    starts: tuple[int, ...],
    expected: list[tuple[float, float]],
    disordered: int,
) -> None:
    path = write_media(tmp_path / "plain.wav", Sound({0: tone(0.1)}))
    monkeypatch.setattr(media, "decode_audio", lambda *arguments: iter(frames_at(*starts)))
    reader = read_audio(path)
    sound = timeline(list(reader), 2)
    for start, level in expected:
        assert sound[round(start * 16000) + 200] == pytest.approx(level)
        assert start == 0 or sound[round(start * 16000) - 200] != pytest.approx(level)
    assert [line.rsplit(": ", 1)[1] for line in reader.warnings] == [str(disordered)] * bool(disordered)


@pytest.mark.parametrize("options", [{"sample_rate": 0}, {"block_seconds": 0}, {"block_seconds": -1}])
def test_impossible_options_of_sound(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_media(tmp_path / "plain.wav", Sound({0: tone(0.1)}))
    with pytest.raises(ConfigError):
        read_audio(path, **options)
