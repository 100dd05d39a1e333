"""Facts, times and colors against ffprobe and ffmpeg; damage, hostile files and threads on synthesised media."""

from __future__ import annotations

import doctest
import gc
import hashlib
import json
import math
import os
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
from media_fixtures import Pictures, Sound, every, gray_of, tone, write_media

from multimodal.data.media import audio as media_module
from multimodal.data.media import container as container_module
from multimodal.data.media import frames as frames_module
from multimodal.data.media.audio import read_audio, read_frames
from multimodal.data.media.container import Damage, find_streams, open_container
from multimodal.data.media.frames import AHEAD, read_ahead
from multimodal.data.media.probe import probe
from multimodal.errors import ConfigError, InputMissingError, InputUnreadableError, MediaError

FACTS: dict[str, Any] = json.loads((REFERENCE / "media.json").read_text())
EVERY_FRAME = 1000.0  # samples per second: more than any reference clip has pictures
MICROSECOND = 1e-6  # ffprobe prints six decimals


def reference_times(name: str) -> list[float | None]:
    """Frame times as ffprobe sees them, from the start of the earlier stream."""
    facts = FACTS[name]
    zero = min(start for start in (facts["video_start"], facts["audio_start"]) if start is not None)
    return [None if time is None else time - zero for time in facts["times"]]


def times_of(path: Path, frames_per_second: float) -> list[float]:
    return [frame.time_seconds for frame in read_frames(path, frames_per_second=frames_per_second)]


def decoder_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "media-decoder"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four seconds of noisy pictures and a tone, index first: 480 kB in which damage can be placed."""
    pictures = Pictures(every(40, 4), noise=True)
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    return write_media(tmp_path / "clip.mp4", pictures, sound, options={"movflags": "faststart"})


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
    clip: Path, monkeypatch: pytest.MonkeyPatch, ticks: tuple[int | None, ...], times: list[float], warning: str | None
) -> None:
    with open_container(clip) as container:
        tracks, damage = find_streams(container, clip), Damage("picture")
        video = tracks.video
        assert video is not None
        scaled = [None if tick is None else round(tick / 1000 / video.time_base) for tick in ticks]
        monkeypatch.setattr(frames_module, "_decode", lambda *arguments: fake_frames(*scaled))
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


# Damage


@pytest.mark.parametrize("rate", [EVERY_FRAME, 5.0])
def test_a_cut_file_gives_what_is_there_and_names_the_second(clip: Path, rate: float) -> None:
    whole = times_of(clip, rate)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 6 // 10])
    reader = read_frames(clip, frames_per_second=rate)
    times = [frame.time_seconds for frame in reader]
    assert times == whole[: len(times)] and 2.0 < times[-1] < 2.6
    assert reader.warnings == ["the file breaks off at 2.4 s of 4.0 s; the rest is missing"]
    sound = read_audio(clip)
    assert 2.2 < sum(len(block.samples) for block in sound) / 16000 < 2.5
    assert sound.warnings == reader.warnings


@pytest.mark.parametrize("suffix", [".mkv", ".flv"])
def test_a_cut_file_of_other_kinds(tmp_path: Path, suffix: str) -> None:
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    path = write_media(tmp_path / f"cut{suffix}", Pictures(every(40, 4), noise=True), sound)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_frames(path)
    assert 1.6 < [frame.time_seconds for frame in reader][-1] < 2.2
    assert len(reader.warnings) == 1 and "breaks off at 2." in reader.warnings[0]


def test_a_cut_wmv_is_noticed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "cut.wmv", Pictures(every(40, 4), codec="wmv2", options={}, noise=True))
    whole = read_frames(path)
    assert [frame.time_seconds for frame in whole][-1] > 3.7 and whole.warnings == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_frames(path)
    assert 1.6 < [frame.time_seconds for frame in reader][-1] < 2.2
    assert len(reader.warnings) == 1 and "breaks off at 2." in reader.warnings[0]


def test_a_cut_wav_is_noticed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "cut.wav", Sound({0: tone(2)}))
    whole = read_audio(path)
    assert len(list(whole)) == 2 and whole.warnings == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_audio(path)
    assert sum(len(block.samples) for block in reader) == pytest.approx(16000, abs=1000)
    assert len(reader.warnings) == 1 and "breaks off at 1.0 s" in reader.warnings[0]


def test_damage_in_the_middle_is_passed_over_and_said(clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    clip.write_bytes(content)
    reader = read_frames(clip, frames_per_second=EVERY_FRAME)
    times = [frame.time_seconds for frame in reader]
    assert 90 <= len(times) < 100 and times[-1] == pytest.approx(3.96)
    assert len(reader.warnings) == 1 and "damaged picture packets skipped between 2." in reader.warnings[0]


def test_hole_in_both_streams_warns(tmp_path: Path) -> None:
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    path = write_media(tmp_path / "hole.mkv", Pictures(every(40, 4), noise=True), sound)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)
    reader = read_frames(path)
    assert [frame.time_seconds for frame in reader][-1] > 3.7
    assert any("nothing can be read from 2.0 s to 2." in line for line in reader.warnings)


def test_nothing_that_can_be_decoded_is_an_error(clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    clip.write_bytes(content)
    assert probe(clip).width == 96  # the header is whole
    with pytest.raises(MediaError, match="no picture that can be decoded"):
        list(read_frames(clip))
    with pytest.raises(MediaError, match="no sound that can be decoded"):
        list(read_audio(clip))
    assert not decoder_threads()


# Errors


def test_files_that_cannot_be_opened(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe")
    cases = {"missing.mp4": InputMissingError, "clip.mp4/x": InputMissingError, ".": InputUnreadableError}
    cases |= {"empty.mp4": InputUnreadableError, "pipe": InputUnreadableError, "x" * 300: InputUnreadableError}
    for name, kind in cases.items():
        for read in (probe, read_frames, read_audio):
            with pytest.raises(kind) as caught:
                read(tmp_path / name)
            assert caught.value.subject == str(tmp_path / name)
            assert "\n" not in str(caught.value)

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputUnreadableError, match="may not be read"):
        probe(clip)


def test_what_is_not_media_gives_one_clear_line(tmp_path: Path, clip: Path) -> None:
    content = clip.read_bytes()
    cases = {
        b"Dear diary, this is only text.\n" * 40: "is not a video or sound file",
        b"x": "is not a video or sound file",
        b"\x89PNG\r\n\x1a\n" + bytes(200): "is not a video or sound file",
        content[:28] + bytes(8) + content[content.index(b"mdat") - 4 :]: "breaks off before its index",
    }
    for number, (head, fact) in enumerate(cases.items()):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(head)
        with pytest.raises(MediaError, match=fact) as caught:
            probe(path)
        assert caught.value.subject == str(path) and "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://localhost:9/a.mp4", "concat:a.mp4|b.mp4", "file:clip.mp4", "pipe:0", "-"])
def test_addresses_are_only_names_of_files(clip: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(clip.parent)
    for read in (probe, read_frames, read_audio):
        with pytest.raises(InputMissingError):
            read(address)
    Path("http:clip.mp4").write_bytes(clip.read_bytes())
    assert probe("http:clip.mp4").duration_seconds == pytest.approx(4)


def playlists(target: Path) -> dict[str, str]:
    """Texts that lead a demuxer to another file."""
    location = "urn:mpeg:dash:schema:mpd:2011"
    return {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "mpd": f'<?xml version="1.0"?><MPD xmlns="{location}" profiles="urn:mpeg:dash:profile:isoff-main:2011" '
        f'type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>{target}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }


@pytest.mark.parametrize("suffix", ["own", "mp4"])
@pytest.mark.parametrize("kind", ["m3u8", "ffconcat", "mpd", "sdp"])
def test_playlists_lead_nowhere(clip: Path, kind: str, suffix: str) -> None:
    path = clip.with_name(f"list.{kind if suffix == 'own' else suffix}")
    path.write_text(playlists(clip)[kind])
    for read in (probe, read_frames, read_audio):
        with pytest.raises(MediaError, match="is not a video or sound file"):
            read(path)


@pytest.mark.parametrize(("kind", "demuxer", "asks"), [("m3u8", "hls", True), ("ffconcat", "concat", False)])
def test_a_demuxer_that_opens_a_second_file_is_refused(
    clip: Path, monkeypatch: pytest.MonkeyPatch, kind: str, demuxer: str, asks: bool
) -> None:
    """The second line of defence, seen by taking the first away: one demuxer asks, the other takes a protocol."""
    path = clip.with_name(f"list.{kind}")
    path.write_text(playlists(Path(clip.name))[kind])
    asked: list[str] = []

    def refuse(url: str, flags: int, options: dict[str, str]) -> None:
        asked.append(url)
        raise PermissionError

    monkeypatch.setattr(container_module, "FORMATS", [*container_module.FORMATS, demuxer])
    monkeypatch.setattr(container_module, "_refuse", refuse)
    with pytest.raises(MediaError):
        probe(path)
    assert [url.endswith("clip.mp4") for url in asked] == [True] * asks


@pytest.mark.parametrize("options", [{"frames_per_second": 0}, {"frames_per_second": math.nan}, {"max_side": 0}])
def test_impossible_options_of_frames(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        read_frames(REFERENCE / "hevc.mp4", **options)


# Threads


def test_leaving_early_ends_the_thread(clip: Path) -> None:
    for frame in read_frames(clip, frames_per_second=EVERY_FRAME):
        assert frame.time_seconds == 0 and len(decoder_threads()) == 1
        break
    assert not decoder_threads()
    with read_frames(clip, frames_per_second=EVERY_FRAME) as reader:
        frames = iter(reader)
        next(frames)
        assert len(decoder_threads()) == 1
    assert not decoder_threads()
    with pytest.raises(KeyError):
        for _ in read_frames(clip):
            raise KeyError
    assert not decoder_threads()


def test_a_reader_can_be_read_again(clip: Path) -> None:
    reader = read_frames(clip)
    assert [frame.time_seconds for frame in reader] == [frame.time_seconds for frame in reader] == times_of(clip, 5.0)
    assert not decoder_threads()


def test_pictures_are_freed_at_once(clip: Path) -> None:
    """Pictures in reference cycles would pile up until the garbage collector runs."""
    gc.collect()
    gc.disable()
    try:
        list(read_frames(clip, frames_per_second=EVERY_FRAME))
        assert sum(isinstance(thing, VideoFrame) for thing in gc.get_objects()) <= 1
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
