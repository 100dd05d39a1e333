"""Facts, times and colors against ffprobe and ffmpeg; streams and threads on synthesized media."""

from __future__ import annotations

import doctest
import gc
import hashlib
import json
import math
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from checkout import REFERENCE
from media_fixtures import EVERY_FRAME, Pictures, Sound, decoder_threads, every, gray_of, times_of, tone, write_media

from multimodal.data.media import audio as media_module
from multimodal.data.media import container as container_module
from multimodal.data.media import frames as frames_module
from multimodal.data.media.audio import read_audio, read_frames
from multimodal.data.media.container import Damage, find_streams, open_container
from multimodal.data.media.frames import AHEAD, read_ahead
from multimodal.data.media.probe import probe
from multimodal.errors import MediaError

FACTS: dict[str, Any] = json.loads((REFERENCE / "media.json").read_text())
MICROSECOND = 1e-6  # ffprobe prints six decimals


def reference_times(name: str) -> list[float | None]:
    """Frame times as ffprobe sees them, from the start of the earlier stream."""
    facts = FACTS[name]
    zero = min(start for start in (facts["video_start"], facts["audio_start"]) if start is not None)
    return [None if time is None else time - zero for time in facts["times"]]


# Against ffprobe and ffmpeg


@pytest.mark.parametrize("name", FACTS)
def test_every_frame_has_the_time_that_ffprobe_gives(name: str) -> None:
    times, expected = times_of(REFERENCE / name, EVERY_FRAME), reference_times(name)
    assert len(times) == len(expected)
    assert all(there is None or abs(here - there) <= MICROSECOND for here, there in zip(times, expected, strict=True))
    assert all(before < after for before, after in pairwise(times))


@pytest.mark.parametrize("rate", [2.0, 5.0, 7.5])
@pytest.mark.parametrize("name", [name for name in FACTS if None not in FACTS[name]["times"]])
def test_the_first_frame_at_or_after_each_instant_is_taken(name: str, rate: float) -> None:
    every_time = [time for time in reference_times(name) if time is not None]
    instants = [step / rate for step in range(math.ceil(every_time[-1] * rate) + 1)]
    first_after = [min((time for time in every_time if time >= at - MICROSECOND), default=None) for at in instants]
    expected = sorted({time for time in first_after if time is not None})
    assert times_of(REFERENCE / name, rate) == pytest.approx(expected, abs=MICROSECOND)


@pytest.mark.parametrize("name", FACTS)
def test_pictures_are_upright_and_colored_as_by_ffmpeg(name: str) -> None:
    facts = FACTS[name]
    image = next(iter(read_frames(REFERENCE / name))).image
    assert [image.shape[1], image.shape[0]] == facts["size"]
    for place, color in facts["colors"].items():
        x, y = map(int, place.split(","))
        assert np.abs(image[y, x].astype(int) - color).max() <= 5, place


@pytest.mark.parametrize("name", FACTS)
def test_probe_gives_the_size_of_the_upright_picture(name: str) -> None:
    info = probe(REFERENCE / name)
    assert [info.width, info.height] == FACTS[name]["size"]
    assert info.has_audio == (FACTS[name]["audio_start"] is not None)
    assert info.sha256 == hashlib.sha256((REFERENCE / name).read_bytes()).hexdigest()


def test_probe_tells_when_each_stream_starts() -> None:
    late_picture, late_sound = probe(REFERENCE / "apart.mkv"), probe(REFERENCE / "apart.mp4")
    assert late_picture.video_start_seconds == pytest.approx(reference_times("apart.mkv")[0])
    assert late_picture.audio_start_seconds == 0
    assert late_sound.video_start_seconds == 0
    assert late_sound.audio_start_seconds == pytest.approx(FACTS["apart.mp4"]["audio_start"])
    assert next(iter(read_audio(REFERENCE / "apart.mp4"))).start_seconds == pytest.approx(
        late_sound.audio_start_seconds
    )


# Sampling


def test_each_time_belongs_to_its_picture(tmp_path: Path) -> None:
    shown = [0, 40, 95, 100, 400, 410, 870, 1200, 1240, 1900]
    path = write_media(tmp_path / "uneven.mkv", Pictures(shown))
    for frame in read_frames(path, frames_per_second=EVERY_FRAME):
        index = shown.index(round(frame.time_seconds * 1000))
        assert abs(float(frame.image.mean()) - gray_of(index)) < 6


def test_decoder_skips_unsampled_frames() -> None:
    counts = {}
    for rate in (None, 2.0):
        with open_container(REFERENCE / "constant.mp4") as container:
            tracks = find_streams(container, "constant.mp4")
            assert tracks.video is not None
            decoded = frames_module.decode_video(container, tracks, tracks.video, Damage("picture"), rate)
            counts[rate] = sum(1 for _ in decoded)
    assert counts[None] == 50
    assert 4 <= counts[2.0] <= 35  # of three B-frames in a row x264 makes two that nothing refers to


def test_large_pictures_are_scaled_down_and_say_by_how_much(tmp_path: Path) -> None:
    path = write_media(tmp_path / "wide.mp4", Pictures([0, 40], size=(640, 272)))
    frame = next(iter(read_frames(path, max_side=320)))
    assert (frame.image.shape, frame.scale) == ((136, 320, 3), 2.0)
    assert next(iter(read_frames(path))).scale == 1.0
    turned = next(iter(read_frames(REFERENCE / "turned_90.mp4", max_side=48)))
    assert (turned.image.shape, turned.scale) == ((48, 32, 3), 2.0)


def fake_frames(*ticks: int | None) -> Iterator[SimpleNamespace]:
    return iter([SimpleNamespace(pts=tick, dts=None) for tick in ticks])


@pytest.mark.parametrize(
    ("ticks", "times", "warning"),
    [
        ((0, 80, 40, 80, 120), [0, 0.08, 0.12], "ran backwards or repeated: 2"),
        ((0, None, 80), [0, 0.04, 0.08], "without a time of their own, which was estimated: 1"),
        ((-40, 0, 40), [0, 0.04], None),
    ],
)
def test_disordered_and_missing_times(
    noisy_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    ticks: tuple[int | None, ...],
    times: list[float],
    warning: str | None,
) -> None:
    with open_container(noisy_clip) as container:
        tracks, damage = find_streams(container, noisy_clip), Damage("picture")
        video = tracks.video
        assert video is not None
        scaled = [None if tick is None else round(tick / 1000 / video.time_base) for tick in ticks]
        monkeypatch.setattr(frames_module, "decode_packets", lambda *arguments: fake_frames(*scaled))
        decoded = frames_module.decode_video(container, tracks, video, damage)
        assert [float(seconds) for seconds, _ in decoded] == pytest.approx(times)
    assert [line for line in damage.lines(None) if warning and warning in line] == damage.lines(None)


# Streams


def test_a_file_without_sound_or_without_pictures(tmp_path: Path) -> None:
    silent, blind = REFERENCE / "hevc.mp4", write_media(tmp_path / "note.wav", Sound({0: tone(1)}))
    for info in (None, probe(silent)):
        with pytest.raises(MediaError, match="holds no sound"):
            read_audio(silent, info=info)
    for info in (None, probe(blind)):
        with pytest.raises(MediaError, match="holds no picture"):
            read_frames(blind, info=info)
    assert (probe(blind).width, probe(blind).frame_rate, probe(blind).video_start_seconds) == (None, None, None)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp3", "libmp3lame"), (".mp4", "aac")])
def test_a_cover_picture_is_no_video(tmp_path: Path, suffix: str, codec: str) -> None:
    sound = Sound({0: tone(1, sample_rate=44100)}, 44100, codec=codec, sample_format="fltp")
    path = write_media(tmp_path / f"song{suffix}", sound, cover=True)
    with open_container(path) as container:
        assert len(container.streams.video) == 1
    assert not probe(path).has_video
    with pytest.raises(MediaError, match="holds no picture"):
        read_frames(path)


def test_of_two_picture_streams_the_larger_is_read_and_said(tmp_path: Path) -> None:
    path = write_media(tmp_path / "two.mkv", Pictures(every(40, 1)), Pictures(every(100, 1), size=(192, 128)))
    reader = read_frames(path)
    assert {frame.image.shape for frame in reader} == {(128, 192, 3)}
    assert reader.warnings == ["it holds 2 picture streams; the main one is read"]
    assert probe(path).width == 192


def test_live_recording_without_duration(tmp_path: Path) -> None:
    path = write_media(tmp_path / "live.mkv", Pictures(every(50, 2)), options={"live": "1"})
    with open_container(path) as container:
        assert container.duration is None
    info = probe(path)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.06)
    assert info.frame_rate == pytest.approx(20)


# Threads


def test_leaving_early_ends_the_thread(noisy_clip: Path) -> None:
    for frame in read_frames(noisy_clip, frames_per_second=EVERY_FRAME):
        assert frame.time_seconds == 0 and len(decoder_threads()) == 1
        break
    assert not decoder_threads()
    with read_frames(noisy_clip, frames_per_second=EVERY_FRAME) as reader:
        frames = iter(reader)
        next(frames)
        assert len(decoder_threads()) == 1
    assert not decoder_threads()
    with pytest.raises(KeyError):
        for _ in read_frames(noisy_clip):
            raise KeyError
    assert not decoder_threads()


def test_a_reader_can_be_read_again(noisy_clip: Path) -> None:
    reader = read_frames(noisy_clip)
    first, second = ([frame.time_seconds for frame in reader] for _ in range(2))
    assert first == second == times_of(noisy_clip, 5.0)
    assert not decoder_threads()


@pytest.mark.slow
def test_pictures_are_freed_at_once(noisy_clip: Path) -> None:
    """Pictures in reference cycles would pile up until the garbage collector runs."""
    gc.collect()
    gc.disable()
    try:
        list(read_frames(noisy_clip, frames_per_second=EVERY_FRAME))
        # By type: another library's dead weak proxies raise when they are asked for their class.
        assert sum(issubclass(type(thing), VideoFrame) for thing in gc.get_objects()) <= 1
    finally:
        gc.enable()


def test_errors_cross_to_the_consumer_after_what_came_before() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("lost")

    items = read_ahead(source(), size=2)
    assert next(items) == 1
    with pytest.raises(LookupError, match="lost"):
        next(items)
    assert not decoder_threads()


def test_decoding_runs_ahead_but_not_away() -> None:
    made: list[int] = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in range(10 * AHEAD):
            made.append(number)
            if len(made) == AHEAD + 2:
                full.set()
            yield number

    items = read_ahead(source(), AHEAD)
    assert next(items) == 0
    assert full.wait(timeout=60)  # ran ahead while nobody asked: one taken, the queue full, one in hand
    for number in items:
        assert len(made) <= number + AHEAD + 2


@pytest.mark.parametrize("module", [container_module, frames_module, media_module])
def test_examples(module: Any) -> None:
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted > 0 and result.failed == 0


# --- real recordings ----------------------------------------------------------------------------------------------


@pytest.mark.corpus
def test_pictures_that_start_after_the_sound(shared_folder: Path) -> None:
    path = shared_folder / "clips" / "hamilton.mp4"
    info = probe(path)
    reader = read_frames(path, info=info)
    times = [frame.time_seconds for frame in reader]
    assert info.video_start_seconds == times[0] == pytest.approx(0.844, abs=5e-4)  # 0.852 s less 0.008 s
    assert info.audio_start_seconds == 0 and next(iter(read_audio(path, info=info))).start_seconds == 0
    assert times[1] == pytest.approx(1.0108, abs=5e-4) and len(times) == 46
    assert np.diff(times[1:]) == pytest.approx(0.2, abs=0.034)
    assert reader.warnings == []


@pytest.mark.slow
@pytest.mark.corpus
def test_variable_frame_rate_hevc(shared_folder: Path) -> None:
    path = shared_folder / "clips" / "noface_face.mov"
    info = probe(path)
    assert (info.width, info.height) == (960, 540)
    assert info.frame_rate == pytest.approx(26.5, abs=0.01)
    frames = list(read_frames(path, info=info, max_side=480))
    assert {(*frame.image.shape, frame.scale) for frame in frames} == {(270, 480, 3, 2.0)}
    assert all(0 <= frame.time_seconds % 0.2 < 0.13 for frame in frames) and len(frames) == 32


@pytest.mark.corpus
def test_speech_keeps_its_length_and_level(shared_folder: Path) -> None:
    for path in sorted((shared_folder / "clips" / "speech").glob("*.wav")):
        info = probe(path)
        samples = np.concatenate([block.samples for block in read_audio(path, info=info)])
        assert len(samples) == pytest.approx(info.duration_seconds * 16000, abs=1)
        assert 0.01 < float(np.abs(samples).max()) <= 1
