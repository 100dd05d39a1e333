"""Playback clips and their writing: every picture at its time, sound in step, files that any player opens."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from checkout import REFERENCE
from media_fixtures import Pictures, Sound, every, gray_of, tone, write_media
from media_flashes import beeps_of, flashes_of, pictures_of, sound_of, write_flashes

from multimodal.data.media import playback as cuts
from multimodal.data.media.playback import Clip, audio_format, output_size, read_audio_frames, read_pictures
from multimodal.data.media.probe import probe
from multimodal.data.media.writer import MovieWriter, render_clip
from multimodal.errors import MediaError

FACTS: dict[str, dict[str, Any]] = json.loads((REFERENCE / "media.json").read_text())
"""What ffprobe and ffmpeg say of each clip."""

STEP = 0.04
"""Seconds that picture and sound may be apart."""


def render(source: Path, target: Path, start: float = 0.0, end: float | None = None, **options: Any) -> Path:
    info = probe(source)
    part = Clip(source, start, info.duration_seconds if end is None else end)
    size, sound = output_size(info) if info.has_video else None, audio_format(source)
    with MovieWriter(target, size, info.frame_rate or 25.0, *(sound or (None,))) as writer:
        render_clip(part, writer, size=size, sound=sound, **options)
    return target


@pytest.mark.parametrize("name", [name for name in FACTS if None not in FACTS[name]["times"]])
def test_every_picture_keeps_the_time_that_ffprobe_gives(name: str, tmp_path: Path) -> None:
    facts = FACTS[name]
    zero = min(start for start in (facts["video_start"], facts["audio_start"]) if start is not None)
    times = [time for time, _ in pictures_of(render(REFERENCE / name, tmp_path / "a.mp4"))]
    expected = [time - zero for time in facts["times"]]
    nearest = np.abs(np.subtract.outer(times, expected))
    assert nearest.min(axis=0).max() < 1.1e-3  # ffprobe's times may be whole milliseconds
    # Others are only there where a picture stays for more than half a second.
    stays = [(one, other) for one, other in itertools.pairwise([*expected, 1e9]) if other - one > 0.5]
    for time in np.array(times)[nearest.min(axis=1) >= 1.1e-3]:
        assert any(one < time < other for one, other in stays)


@pytest.mark.parametrize("name", FACTS)
def test_pictures_are_upright_even_and_colored_as_by_ffmpeg(name: str, tmp_path: Path) -> None:
    width, height = FACTS[name]["size"]
    image = pictures_of(render(REFERENCE / name, tmp_path / "a.mp4"))[0][1].astype(int)
    assert image.shape[0] % 2 == 0 and image.shape[1] % 2 == 0
    assert abs(image.shape[0] - height) <= 1 and abs(image.shape[1] - width) <= 1
    off = []
    for place, color in FACTS[name]["colors"].items():
        x, y = (min(int(value), size - 2) for value, size in zip(place.split(","), image.shape[1::-1], strict=True))
        off.append(np.abs(image[y, x] - color).max())
    # Lossy, and at half the resolution for colors: a turn, a mirror or another color space would be off by 50.
    assert np.median(off) <= 10 and np.mean(off) <= 16


SOUNDS = {
    "aac in mp4": (".mp4", ("aac", "fltp", 44100, 2)),
    "opus in matroska": (".mkv", ("libopus", "flt", 48000, 2)),
    "mp3 in matroska": (".mkv", ("libmp3lame", "fltp", 44100, 2)),
    "telephone in mov": (".mov", ("pcm_s16le", "s16", 8000, 1)),
    "mp2 in a stream": (".ts", ("mp2", "s16", 32000, 2)),
    "surround": (".mkv", ("aac", "fltp", 48000, 6)),
}
FLASHES = [1000, 2520, 7000, 15240, 29000]


def in_step(path: Path, expected: list[float]) -> None:
    """Flashes and beeps are where they should be, and so together."""
    assert flashes_of(path) == pytest.approx(expected, abs=STEP / 2)
    assert beeps_of(path) == pytest.approx(expected, abs=STEP / 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SOUNDS)
def test_sound_of_any_codec_stays_in_step_over_the_whole(kind: str, tmp_path: Path) -> None:
    suffix, sound = SOUNDS[kind]
    clip = write_flashes(tmp_path / f"clip{suffix}", 30.0, FLASHES, sound=sound)
    out = render(clip, tmp_path / "out.mp4")
    in_step(out, [flash / 1000 for flash in FLASHES])
    assert len(pictures_of(out)) == 750


@pytest.mark.parametrize(("picture_start", "sound_start"), [(0, 640), (640, 0), (0, 3000), (3000, 0)])
def test_streams_that_start_apart_stay_apart(picture_start: int, sound_start: int, tmp_path: Path) -> None:
    flashes, times = [3520, 7000], every(40, 9.0 - picture_start / 1000, picture_start)
    clip = write_flashes(tmp_path / "clip.mkv", 9.0, flashes, times_ms=times, sound_start_ms=sound_start)
    out = render(clip, tmp_path / "out.mp4")
    in_step(out, [3.52, 7.0])
    assert pictures_of(out)[0][0] == pytest.approx(picture_start / 1000, abs=0.002)


def test_a_varying_frame_rate_stays_in_step(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    times = [0, *np.cumsum(random.choice([17, 33, 50, 120, 400], 160)).tolist()]
    flashes = times[20::30]
    clip = write_flashes(tmp_path / "clip.mkv", times[-1] / 1000, flashes, times_ms=times)
    out = render(clip, tmp_path / "out.mp4")
    in_step(out, [flash / 1000 for flash in flashes])
    assert [time for time, _ in pictures_of(out)] == pytest.approx([time / 1000 for time in times], abs=1e-3)


def test_sound_gap_becomes_silence(tmp_path: Path) -> None:
    pieces = {0: tone(1.0), 2500: tone(0.5), 4200: tone(0.5)}
    clip = write_media(tmp_path / "clip.mkv", Pictures(every(40, 5.0)), Sound(pieces))
    assert beeps_of(render(clip, tmp_path / "out.mp4")) == pytest.approx([0.0, 2.5, 4.2], abs=0.005)


def test_a_part_begins_with_the_picture_that_is_on_the_screen(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mp4", Pictures(every(40, 20.0)), Sound({0: tone(20.0)}, 48000, "aac", "fltp"))
    actual = list(read_pictures(Clip(clip, 13.05, 13.3), (96, 64)))
    expected = [(13.05, 326), *((index * 0.04, index) for index in range(327, 333))]
    assert [time for time, _ in actual] == pytest.approx([time for time, _ in expected])
    levels = [image.mean() for _, image in actual]
    assert levels == pytest.approx([gray_of(index) for _, index in expected], abs=3)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mov"])
def test_a_late_part_is_sought_and_exact(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"g": "50", "crf": "1", "bf": "0" if suffix == ".avi" else "3"}
    sound = Sound({0: tone(60.0, sample_rate=32000)}, 32000, "mp2", "s16")
    clip = write_media(tmp_path / f"clip{suffix}", Pictures(every(40, 60.0), options=options), sound)
    decoded = []
    whole = cuts.decode_video

    def watched(*arguments: Any) -> Any:
        for seconds, frame in whole(*arguments):
            decoded.append(float(seconds))
            yield seconds, frame

    monkeypatch.setattr(cuts, "decode_video", watched)
    actual = list(read_pictures(Clip(clip, 50.0, 51.0), (96, 64)))
    offset = probe(clip).video_start_seconds or 0.0  # of 15 ms in .ts
    numbers = [int((time - offset) / 0.04 + 1e-3) for time, _ in actual]
    assert numbers == list(range(1250 - (offset > 0), 1275))  # and from the offset, the picture before is still there
    assert [image.mean() for _, image in actual] == pytest.approx([gray_of(k) for k in numbers], abs=3)
    assert min(decoded) > 30 and len(decoded) < 650


def test_sound_of_a_late_part_is_that_of_the_whole(tmp_path: Path) -> None:
    clip = write_flashes(tmp_path / "clip.mp4", 40.0, [35_000, 36_480], sound=("aac", "fltp", 44100, 1))
    whole = np.concatenate(list(read_audio_frames(Clip(clip, 0.0, 40.0), 44100, 1)), axis=1)
    part = np.concatenate(
        list(read_audio_frames(Clip(clip, 35.02, 37.52), 44100, 1)), axis=1
    )  # in the middle of a beep
    assert part.shape == (1, 110250) and np.abs(part[:, :441]).max() > 0.5
    first = round(35.02 * 44100)
    assert np.abs(part - whole[:, first : first + 110250]).max() < 1e-3


def test_a_picture_that_stays_is_given_again_and_again(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures([0, 40, 80, 2080, 2120]), Sound({0: tone(4.0)}))
    times = [time for time, _ in read_pictures(Clip(clip, 0.0, 4.0), (96, 64))]
    assert set(np.round([0, 0.04, 0.08, 2.08, 2.12], 3)) <= set(np.round(times, 3))
    assert max(np.diff([*times, 4.0])) <= 0.41
    assert times == sorted(times) and times[-1] < 4.0


def test_a_part_that_a_picture_outlasts_shows_it(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures([0, 40, 9000, 9040]), Sound({0: tone(10.0)}))
    actual = list(read_pictures(Clip(clip, 4.0, 6.0), (96, 64)))
    assert actual[0][0] == 4.0 and max(np.diff([time for time, _ in actual])) < 0.3
    assert all(image.mean() == pytest.approx(gray_of(1), abs=3) for _, image in actual)


def test_a_joined_part_fills_its_time_with_picture_and_silence(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures(every(40, 3.0, 1000)), Sound({0: tone(2.0)}))
    out = render(clip, tmp_path / "out.mp4", 0.0, 4.0, full_length=True)
    assert pictures_of(out)[0][0] == 0
    samples, rate = sound_of(out)
    assert len(samples) / rate == pytest.approx(4.0, abs=0.065)  # AAC fills up its last 1024 samples
    assert np.abs(samples[round(2.1 * rate) :]).max() < 0.01


def test_fades_leave_no_click(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures(every(40, 4.0)), Sound({0: tone(4.0, 50.0, level=0.9)}))
    blocks = list(read_audio_frames(Clip(clip, 1.005, 2.005), 16000, 1))
    hard = np.concatenate(blocks, axis=1)[0]
    soft, _ = sound_of(render(clip, tmp_path / "out.mp4", 1.005, 2.005, full_length=True, fade_seconds=0.03))
    assert abs(hard[0]) > 0.85  # cut at the top of a wave
    assert np.abs(np.diff(soft[:16000], prepend=0.0, append=0.0)).max() < 0.03
    assert np.abs(soft[:16]).max() < 0.05
    assert np.abs(soft[4000:12000]).max() == pytest.approx(0.9, abs=0.03)


def test_without_sound_and_without_picture(tmp_path: Path) -> None:
    silent = write_media(tmp_path / "silent.mp4", Pictures(every(40, 1.0)))
    sound_file = write_media(tmp_path / "heard.wav", Sound({0: tone(3.0)}))
    with av.open(str(render(silent, tmp_path / "a.mp4"))) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    with av.open(str(render(sound_file, tmp_path / "b.m4a", 1.0, 2.0))) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
        assert container.duration / av.time_base == pytest.approx(1.0, abs=0.03)


def test_a_cover_picture_is_passed_over(tmp_path: Path) -> None:
    song = write_media(tmp_path / "song.mp3", Sound({0: tone(2.0)}, 16000, "libmp3lame", "s16p"), cover=True)
    with av.open(str(render(song, tmp_path / "a.m4a"))) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_damaged_end_costs_only_what_is_damaged(suffix: str, tmp_path: Path) -> None:
    whole = write_flashes(tmp_path / f"whole{suffix}", 20.0, [1000, 5000], sound=("mp2", "s16", 32000, 1))
    cut = tmp_path / f"cut{suffix}"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    out = render(cut, tmp_path / "out.mp4", 0.0, 20.0)
    in_step(out, [1.0, 5.0])
    assert 8 < pictures_of(out)[-1][0] < 12


def test_pictures_that_cannot_be_decoded_are_one_line(tmp_path: Path) -> None:
    sound = Sound({0: tone(2.0)}, codec="aac", sample_format="fltp")
    content = bytearray(write_media(tmp_path / "clip.mp4", Pictures(every(40, 2.0)), sound).read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[start:end] = bytes(end - start)
    (tmp_path / "broken.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="holds no picture that can be decoded"):
        render(tmp_path / "broken.mp4", tmp_path / "out.mp4")


def test_times_that_leap_by_days_end_the_part(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "clip.mkv", Pictures([0, 40, 80, 10**9]), Sound({0: tone(0.2), 10**9: tone(0.2)}))
    assert [round(time, 2) for time, _ in read_pictures(Clip(clip, 0.0, 1e6), (96, 64))] == [0, 0.04, 0.08]
    assert sum(block.shape[1] for block in read_audio_frames(Clip(clip, 0.0, 1e6), 16000, 1)) == 3200


def test_any_player_can_play_it(tmp_path: Path) -> None:
    clip = write_flashes(tmp_path / "clip.mkv", 5.0, [1000], size=(97, 65), codec="libvpx-vp9")
    out = render(clip, tmp_path / "out.mp4")
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # the index comes first
    with av.open(str(out)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.pix_fmt, audio.codec_context.name) == ("h264", "yuv420p", "aac")
        keys = [packet.pts * video.time_base for packet in container.demux(video) if packet.is_keyframe and packet.size]
    assert max(np.diff([float(key) for key in keys], prepend=0)) <= 2.1


@pytest.mark.parametrize(
    ("size", "longest", "least", "expected"),
    [
        ((1920, 1080), 1280, 2, (1280, 720)),
        ((1080, 1920), 1280, 480, (720, 1280)),
        ((96, 64), 1280, 480, (480, 320)),
        ((20, 4000), 1280, 480, (6, 1280)),
        ((97, 65), 1280, 2, (96, 64)),
    ],
)
def test_sizes_are_even_and_within_their_limits(
    size: tuple[int, int], longest: int, least: int, expected: tuple[int, int], tmp_path: Path
) -> None:
    info = probe(write_media(tmp_path / "clip.mkv", Pictures([0, 40])))
    actual = output_size(type(info)(info.path, "", 1.0, *size, 25.0, True, False), longest, least)
    assert actual == expected
    assert Fraction(actual[0], 2).denominator == Fraction(actual[1], 2).denominator == 1
