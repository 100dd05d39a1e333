"""Reads a clip of a recording for playback: every picture, and the sound in its own channels.

``frames`` and ``audio`` read what is analyzed, sampled and in mono; this module reads pictures and sound for playback.
Both streams are on the recording's own clock. A clip is reached from the keyframe before it, not by reading from the
start of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from multimodal.data.media.audio import GAP_SECONDS, decode_audio, to_mono
from multimodal.data.media.container import Damage, MediaStreams, find_streams, open_container
from multimodal.data.media.frames import PictureMaker, decode_video
from multimodal.types import MediaInfo

Image = NDArray[np.uint8]
Samples = NDArray[np.float32]

PAUSE_SECONDS = 0.5
"""A picture that stays longer is repeated every ``STEP_SECONDS``: what is drawn on it may change."""

STEP_SECONDS = 0.2

FIRST_PICTURE_SECONDS = 0.005
"""Seconds; a picture that comes so soon after the start of a clip is its first picture."""

LONGEST_PAUSE = 6 * 3600.0
"""Seconds. Times that jump further are damage: the rest is dropped, and no silence is written for days."""

SEEK_FROM = 2.0
"""Seconds; an earlier clip is reached faster by reading from the start."""

STEPS_BACK = (0.0, 10.0, 60.0)
"""Seconds before the clip at which a keyframe is looked for, in turn; then the file is read from its start."""

SEEKABLE_SOUND = frozenset({"mov", "matroska", "mpegts", "asf", "flv", "ogg", "wav"})
"""Containers that give sound its own time after a seek. Others estimate the time from the bytes."""

WARM_UP_SECONDS = 0.5
"""Sound decoded before a clip, so that the decoder has its state when the first samples come."""


@dataclass(frozen=True)
class Clip:
    """A part of a recording.

    Attributes:
        path: The recording.
        start_seconds: Start on the recording's clock.
        end_seconds: End on the recording's clock.
    """

    path: str | PathLike[str]
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end_seconds - self.start_seconds


def output_size(info: MediaInfo, longest: int = 1280, least: int = 2) -> tuple[int, int]:
    """Chooses the size of the pictures to write.

    Args:
        info: Facts of the recording.
        longest: Maximum of the longer side in pixels; larger pictures are scaled down.
        least: Minimum of the width in pixels; narrower pictures are enlarged, as far as ``longest`` allows.

    Returns:
        Width and height in pixels, both even, as H.264 requires.

    Example:
        >>> from pathlib import Path
        >>> output_size(MediaInfo(Path("a.mp4"), "ab" * 32, 9.0, 1081, 1919, 25.0, True, False))
        (722, 1280)
    """
    width, height = info.width or 2, info.height or 2
    scale = min(longest / max(width, height), max(1.0, least / width))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def read_pictures(clip: Clip, size: tuple[int, int], lead: bool = False) -> Generator[tuple[float, Image]]:
    """Reads every picture of a clip.

    The picture that is on the screen when the clip starts is yielded at the clip's start.

    Args:
        clip: The clip to read.
        size: Width and height of the pictures in pixels.
        lead: Whether a first picture that comes late is also yielded at the clip's start.

    Yields:
        Presentation time in seconds on the recording's clock, strictly increasing, and ``(height, width, 3)`` RGB,
        upright. A picture that stays on the screen is yielded several times; do not write into it.

    Raises:
        MultimodalError: As for ``read_frames``.

    Example:
        >>> clip = Clip("interview.mp4", 12.0, 16.0)
        >>> sum(1 for _ in read_pictures(clip, (640, 360)))                         # doctest: +SKIP
        100
    """
    current: tuple[float, Image] | None = None  # the picture on the screen, with its time
    for seconds, image in _distinct_pictures(clip, size, lead):
        if current is not None:
            yield from _repeat(*current, until=seconds)
        if image is None:
            return
        current = seconds, image
        yield current


def _distinct_pictures(clip: Clip, size: tuple[int, int], lead: bool) -> Iterator[tuple[float, Image | None]]:
    """Yields each picture once; finally the time at which the last one leaves the screen, and None."""
    before: VideoFrame | None = None  # the latest picture before the clip
    latest: float | None = None
    damage, maker = Damage("picture"), PictureMaker(None, 1)
    for seconds, frame, maker in _decode_from(clip, damage):
        if seconds < clip.start_seconds:
            before = frame
            continue
        if latest is None and seconds > clip.start_seconds + FIRST_PICTURE_SECONDS and (lead or before is not None):
            yield clip.start_seconds, maker.fit(frame if before is None else before, *size)
        if latest is not None and seconds - latest > LONGEST_PAUSE:
            yield latest, None
            return
        latest = seconds
        if seconds >= clip.end_seconds:
            yield clip.end_seconds, None
            return
        yield seconds, maker.fit(frame, *size)
    if latest is None and before is not None:
        yield clip.start_seconds, maker.fit(before, *size)
    yield min(clip.end_seconds, float(damage.reached_seconds)), None


def _repeat(time: float, image: Image, until: float) -> Iterator[tuple[float, Image]]:
    """Repeats a picture that stays on the screen."""
    if until - time > PAUSE_SECONDS:
        for step in range(1, int((until - time) / STEP_SECONDS + 0.5)):
            yield time + step * STEP_SECONDS, image


def _decode_from(clip: Clip, damage: Damage) -> Iterator[tuple[float, VideoFrame, PictureMaker]]:
    """Decodes from the last keyframe before the clip, or from an earlier one if that is not found."""
    tries = STEPS_BACK if clip.start_seconds > SEEK_FROM else ()
    for back in (*tries, None):
        with open_container(clip.path) as container:
            streams = find_streams(container, clip.path)
            if streams.video is None:
                return
            target = None if back is None else clip.start_seconds - back
            if target is not None and not _seek(container, streams, streams.video, target):
                continue
            damage.reached_seconds = Fraction(0)
            pictures = decode_video(container, streams, streams.video, damage)
            first = next(pictures, None)
            if target is not None and (first is None or first[0] > clip.start_seconds):
                continue
            maker = PictureMaker(streams.video.sample_aspect_ratio, 1)
            for seconds, frame in itertools.chain([first] if first else [], pictures):
                yield float(seconds), frame, maker
            return


def _seek(container: InputContainer, streams: MediaStreams, stream: Stream, seconds: float) -> bool:
    """Seeks to a keyframe of a stream at or before a time; says whether that succeeded."""
    if seconds <= 0 or stream.time_base is None:
        return False
    try:
        container.seek(int((Fraction(seconds) + streams.zero_seconds) / stream.time_base), stream=stream)
    except (FFmpegError, OverflowError):
        return False
    return True


def audio_format(path: str | PathLike[str]) -> tuple[int, int] | None:
    """Chooses the format in which the sound of a recording is written.

    Args:
        path: The recording.

    Returns:
        Sample rate in samples per second, 16000 … 48000, and number of channels, 1 or 2; None without sound.
    """
    with open_container(path) as container:
        stream = find_streams(container, path).audio
        if stream is None:
            return None
        rate = stream.codec_context.sample_rate
        return rate if rate in (16000, 22050, 24000, 32000, 44100, 48000) else 48000, min(stream.channels or 1, 2)


def read_audio_frames(clip: Clip, sample_rate: int, channels: int) -> Generator[Samples]:
    """Reads the sound of a clip without gaps, from the clip's start.

    Args:
        clip: The clip to read.
        sample_rate: Sample rate of the result in samples per second.
        channels: Number of channels of the result, 1 or 2.

    Yields:
        ``(channels, samples)`` in -1 … 1; together as long as the clip, or shorter if the sound ends earlier. Missing
        sound is replaced by silence, so the number of samples tells the time.

    Raises:
        MultimodalError: As for ``read_audio``; a recording without sound yields nothing.

    Example:
        >>> clip = Clip("interview.mp4", 12.0, 16.0)
        >>> sum(block.shape[1] for block in read_audio_frames(clip, 48000, 2))            # doctest: +SKIP
        192000
    """
    with open_container(clip.path) as container:
        streams = find_streams(container, clip.path)
        if streams.audio is None:
            return
        damage = Damage("sound")
        if clip.start_seconds > SEEK_FROM and SEEKABLE_SOUND.intersection(container.format.name.split(",")):
            _seek(container, streams, streams.audio, clip.start_seconds - WARM_UP_SECONDS)
        timeline = _SampleTimeline(clip, sample_rate, channels)
        for frame in decode_audio(container, streams, streams.audio, damage):
            if not timeline.expects(_start(frame, streams, streams.audio, timeline)):
                break
            yield from timeline.add(frame)
        yield from timeline.finish()


def _start(frame: AudioFrame, streams: MediaStreams, stream: AudioStream, timeline: _SampleTimeline) -> Fraction:
    return timeline.end_seconds if frame.pts is None else streams.seconds(frame.pts, stream)


class _SampleTimeline:
    """Resamples sound and places each sample at its time."""

    def __init__(self, clip: Clip, sample_rate: int, channels: int) -> None:
        self.end_seconds = Fraction(clip.start_seconds)  # end of the sound added so far
        self._start_seconds = Fraction(clip.start_seconds)
        self._rate = sample_rate
        self._layout = "mono" if channels == 1 else "stereo"
        self._total = round(clip.seconds * sample_rate)
        self._yielded = 0
        self._format: tuple[object, ...] | None = None  # of the current run of continuous sound
        self._resampler: av.AudioResampler | None = None
        self._run_start = Fraction(0)
        self._run_samples = 0  # of the current run so far, before resampling
        self._place = 0  # number of the next sample; below the number yielded if sound repeats
        self._next_start: Fraction | None = None

    def expects(self, start: Fraction) -> bool:
        """Takes the start of the next sound; says whether it belongs to the clip."""
        self._next_start = start
        place = (start - self._start_seconds) * self._rate
        return place < self._total and start - self.end_seconds <= LONGEST_PAUSE

    def add(self, frame: AudioFrame) -> Iterator[Samples]:
        """Adds the next sound and yields the samples that are ready."""
        start = self.end_seconds if self._next_start is None else self._next_start
        audio_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if audio_format != self._format or abs(start - self.end_seconds) > GAP_SECONDS:
            yield from self._finish_run()
            yield from self._begin_run(start, audio_format)
        self._run_samples += frame.samples
        self.end_seconds = self._run_start + Fraction(self._run_samples, frame.sample_rate)
        yield from self._place_blocks(self._resample(frame))

    def finish(self) -> Iterator[Samples]:
        """Yields the remaining samples."""
        yield from self._finish_run()

    def _begin_run(self, start: Fraction, audio_format: tuple[object, ...]) -> Iterator[Samples]:
        self._run_start, self._run_samples, self._format = start, 0, audio_format
        self._place = round((start - self._start_seconds) * self._rate)
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        channels = 1 if self._layout == "mono" else 2
        while self._yielded < min(self._place, self._total):
            silent = min(self._place, self._total, self._yielded + self._rate) - self._yielded
            self._yielded += silent
            yield np.zeros((channels, silent), np.float32)

    def _finish_run(self) -> Iterator[Samples]:
        if self._resampler is not None:
            rest = [_array(frame) for frame in self._resampler.resample(None)]
            self._resampler = None
            yield from self._place_blocks(rest)

    def _resample(self, frame: AudioFrame) -> list[Samples]:
        if self._resampler is None:
            return []
        frame.pts = None  # the samples are counted here
        try:
            return [_array(each) for each in self._resampler.resample(frame)]
        except (FFmpegError, ValueError):  # a channel layout that cannot be mixed
            return self._mix(frame)

    def _mix(self, frame: AudioFrame) -> list[Samples]:
        mean = AudioFrame.from_ndarray(to_mono(frame)[None], format="fltp", layout="mono")
        mean.sample_rate = frame.sample_rate
        resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        return [_array(each) for step in (mean, None) for each in resampler.resample(step)]

    def _place_blocks(self, blocks: list[Samples]) -> Iterator[Samples]:
        for block in blocks:
            new = block[:, max(0, self._yielded - self._place) :]
            self._place += block.shape[1]
            new = new[:, : self._total - self._yielded]
            if new.shape[1]:
                self._yielded += new.shape[1]
                yield new.clip(-1, 1)


def _array(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.float32)
