"""The reel of moviepy: every sample once, pictures at their times, files closed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from media_fixtures import Pictures, Sound, every, tone, write_media
from media_flashes import analysis_of, beeps_of, flashes_of, pictures_of, write_flashes

from multimodal.data.media.playback import Clip, read_audio_frames
from multimodal.data.media.writer import MovieWriter
from multimodal.errors import MediaError
from multimodal.video.clips import cut_clips
from multimodal.video.reel import PartSound, ReelPart, write_reel

UTTERANCES = [(2.0, 4.0, "happiness", 0.9), (8.0, 10.0, "anger", 0.8), (14.0, 16.0, "fear", 0.7)]


def parts_of(path: Path, *intervals: tuple[float, float]) -> list[ReelPart]:
    lengths = [end - start for start, end in intervals]
    return [ReelPart(Clip(path, *each), sum(lengths[:number])) for number, each in enumerate(intervals)]


@pytest.mark.slow
def test_uneven_pictures_and_cuts_between_them_stay_in_step(tmp_path: Path) -> None:
    times = [k * 33 + (k * 7919) % 23 for k in range(540)]  # 10 to 55 ms apart
    flashes = [times[70], times[263], times[266 + 15], times[450]]
    clip = write_flashes(tmp_path / "clip.mkv", 18.0, flashes, times_ms=times, sound=("aac", "fltp", 44100, 2))
    cuts = cut_clips(analysis_of(clip, UTTERANCES), tmp_path / "out", reel=True, padding_seconds=0.313)
    due = [
        cut.at_seconds + flash / 1000 - cut.start_seconds
        for cut in cuts
        for flash in flashes
        if cut.start_seconds <= flash / 1000 < cut.end_seconds
    ]
    assert len(due) == 4
    assert flashes_of(tmp_path / "out" / "reel.mp4") == pytest.approx(due, abs=0.001)
    assert beeps_of(tmp_path / "out" / "reel.mp4") == pytest.approx(due, abs=0.005)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chunk", [100, 441, 12345])
def test_composed_sound_has_every_sample_once(tmp_path: Path, channels: int, chunk: int) -> None:
    from moviepy import concatenate_audioclips

    noise = np.random.default_rng(3).uniform(-0.8, 0.8, (1, 8000 * 6)).astype(np.float32)
    path = write_media(tmp_path / "noise.wav", Sound({0: noise}, 8000))
    clips = [Clip(path, 0.5, 1.25), Clip(path, 3.0, 4.5)]
    audio = concatenate_audioclips([PartSound(clip, 8000, channels).as_moviepy(0.0) for clip in clips])
    total = round(audio.duration * 8000)
    places = [np.arange(first, min(first + chunk, total)) for first in range(0, total, chunk)]
    composed = np.concatenate([audio.get_frame((each + 0.5) / 8000) for each in places])
    source = np.concatenate([block for clip in clips for block in read_audio_frames(clip, 8000, channels)], axis=1)
    np.testing.assert_allclose(composed[:, :channels].T, source, atol=1e-6)


def test_sound_that_ends_early_is_followed_by_silence(tmp_path: Path) -> None:
    path = write_media(tmp_path / "short.wav", Sound({0: tone(2.0, sample_rate=16000)}, 16000))
    with MovieWriter(tmp_path / "reel.m4a", None, sample_rate=16000) as writer:
        write_reel(writer, parts_of(path, (1.0, 3.0), (0.0, 1.0)), size=None, sound=(16000, 1), fade_seconds=0.03)
        assert writer.sound_seconds == pytest.approx(3.0, abs=1e-4)
    onsets = beeps_of(tmp_path / "reel.m4a")
    assert onsets == pytest.approx([0.0, 2.0], abs=0.03)


def test_pictures_come_from_their_own_part(tmp_path: Path) -> None:
    grays = [30 if time < 4000 else 220 for time in every(40, 8.0)]
    path = write_media(tmp_path / "clip.mkv", Pictures(every(40, 8.0), (96, 64), grays=grays))
    with MovieWriter(tmp_path / "reel.mp4", (96, 64)) as writer:
        write_reel(writer, parts_of(path, (5.0, 6.0), (1.0, 2.0)), size=(96, 64), sound=None, fade_seconds=0.03)
    levels = {round(time, 3): image.mean() for time, image in pictures_of(tmp_path / "reel.mp4")}
    assert [level for time, level in levels.items() if time < 0.99] == pytest.approx([220] * 25, abs=4)
    assert [level for time, level in levels.items() if time > 0.99] == pytest.approx([30] * 25, abs=4)


def test_an_error_ends_the_decoders(tmp_path: Path) -> None:
    path = write_media(tmp_path / "clip.mkv", Pictures(every(40, 8.0), (96, 64)), Sound({0: tone(8.0)}))

    def fail(seconds: float) -> None:
        raise OSError("the disk is full")

    clip = Clip(path, 1.0, 3.0)
    with pytest.raises(OSError, match="full"), MovieWriter(tmp_path / "reel.mp4", (96, 64), 25.0, 16000) as writer:
        part = ReelPart(clip, 0.0, progress=fail)
        write_reel(writer, [part], size=(96, 64), sound=(16000, 1), fade_seconds=0.03)
    assert not [thread for thread in threading.enumerate() if thread.name == "media-decoder"]


def test_sound_without_pictures_is_an_error_for_video(tmp_path: Path) -> None:
    path = write_media(tmp_path / "sound.wav", Sound({0: tone(2.0)}))
    with (
        pytest.raises(MediaError, match="holds no picture that can be decoded"),
        MovieWriter(tmp_path / "reel.mp4", (96, 64)) as writer,
    ):
        write_reel(writer, parts_of(path, (0.0, 1.0)), size=(96, 64), sound=None, fade_seconds=0.0)
