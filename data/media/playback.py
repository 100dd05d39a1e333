"""Reads the part of a recording that is to be shown again: every picture of it, and its sound as it was.

``media`` reads what is judged, sampled and in mono; this reads what is watched. Both streams are on the recording's own
clock. A part that begins late is found by the picture before it that stands alone, not by reading on from the start.
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
"""A picture that stays longer is given again every ``STEP_SECONDS``: what is drawn on it may change meanwhile."""

STEP_SECONDS = 0.2

AT_ONCE = 0.005
"""Seconds; a picture that comes so soon after a part's beginning is its first, whatever was on the screen before."""

LONGEST_PAUSE = 6 * 3600.0
"""Seconds. Times that leap further are damage: what follows is left out, and no silence is written for days."""

SEEK_FROM = 2.0
"""Seconds; a part that begins before is reached faster by reading on."""

STEPS_BACK = (0.0, 10.0, 60.0)
"""Seconds before the beginning to look for a picture that stands alone, in turn; behind them the whole is read."""

SEEKABLE_SOUND = frozenset({"mov", "matroska", "mpegts", "asf", "flv", "ogg", "wav"})
"""Containers whose sound has a time of its own wherever one begins to read. Others guess the time by the bytes."""

WARM_UP_SECONDS = 0.5
"""Of sound decoded before a part, so that its first samples do not depend on what the decoder had not heard."""


@dataclass(frozen=True)
class Clip:
    """A part of a recording, on the recording's clock.

    Attributes:
        path: The recording.
        start_seconds: Where the part begins.
        end_seconds: Where it ends.
    """

    path: str | PathLike[str]
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_seconds - self.start_seconds


def output_size(info: MediaInfo, longest: int = 1280, least: int = 2) -> tuple[int, int]:
    """Chooses the size of the pictures to write.

    Args:
        info: Facts of the recording.
        longest: Of the longer side in pixels; larger pictures are scaled down.
        least: Of the width in pixels; narrower pictures are enlarged, as far as ``longest`` allows.

    Returns:
        Width and height in pixels, both even, as H.264 wants them.

    Example:
        >>> from pathlib import Path
        >>> output_size(MediaInfo(Path("a.mp4"), "ab" * 32, 9.0, 1081, 1919, 25.0, True, False))
        (722, 1280)
    """
    width, height = info.width or 2, info.height or 2
    scale = min(longest / max(width, height), max(1.0, least / width))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def read_pictures(part: Clip, size: tuple[int, int], lead: bool = False) -> Generator[tuple[float, Image]]:
    """Reads every picture of a part.

    The picture that is on the screen when the part begins is given at its beginning.

    Args:
        part: What to read.
        size: Width and height of the pictures to give.
        lead: Whether a first picture that comes late is given at the part's beginning too.

    Yields:
        Presentation time in seconds of the recording, strictly increasing, and ``(height, width, 3)`` RGB, upright. A
        picture that stays on the screen for long is given several times; do not write into it.

    Raises:
        MultimodalError: As ``read_frames``.

    Example:
        >>> part = Clip("interview.mp4", 12.0, 16.0)
        >>> sum(1 for _ in read_pictures(part, (640, 360)))                         # doctest: +SKIP
        100
    """
    held: tuple[float, Image] | None = None  # what is on the screen, and since when
    for seconds, image in _true_pictures(part, size, lead):
        if held is not None:
            yield from _again(*held, until=seconds)
        if image is None:
            return
        held = seconds, image
        yield held


def _true_pictures(part: Clip, size: tuple[int, int], lead: bool) -> Iterator[tuple[float, Image | None]]:
    """Gives each picture once; at last the time at which the last one leaves the screen, and None."""
    before: VideoFrame | None = None  # the latest one that comes before the part
    latest: float | None = None
    damage, maker = Damage("picture"), PictureMaker(None, 1)
    for seconds, frame, maker in _decode_from(part, damage):
        if seconds < part.start_seconds:
            before = frame
            continue
        if latest is None and seconds > part.start_seconds + AT_ONCE and (lead or before is not None):
            yield part.start_seconds, maker.fitted(frame if before is None else before, *size)
        if latest is not None and seconds - latest > LONGEST_PAUSE:
            yield latest, None
            return
        latest = seconds
        if seconds >= part.end_seconds:
            yield part.end_seconds, None
            return
        yield seconds, maker.fitted(frame, *size)
    if latest is None and before is not None:
        yield part.start_seconds, maker.fitted(before, *size)
    yield min(part.end_seconds, float(damage.reached_seconds)), None


def _again(time: float, image: Image, until: float) -> Iterator[tuple[float, Image]]:
    """Gives a picture again and again where it stays for long."""
    if until - time > PAUSE_SECONDS:
        for step in range(1, int((until - time) / STEP_SECONDS + 0.5)):
            yield time + step * STEP_SECONDS, image


def _decode_from(part: Clip, damage: Damage) -> Iterator[tuple[float, VideoFrame, PictureMaker]]:
    """Decodes on from the last picture that stands alone before the part, or an earlier one where that is not found."""
    tries = STEPS_BACK if part.start_seconds > SEEK_FROM else ()
    for back in (*tries, None):
        with open_container(part.path) as container:
            tracks = find_streams(container, part.path)
            if tracks.video is None:
                return
            target = None if back is None else part.start_seconds - back
            if target is not None and not _seek(container, tracks, tracks.video, target):
                continue
            damage.reached_seconds = Fraction(0)  # each try anew
            timed = decode_video(container, tracks, tracks.video, damage)
            first = next(timed, None)
            if target is not None and (first is None or first[0] > part.start_seconds):
                continue
            maker = PictureMaker(tracks.video.sample_aspect_ratio, 1)
            for seconds, frame in itertools.chain([first] if first else [], timed):
                yield float(seconds), frame, maker
            return


def _seek(container: InputContainer, tracks: MediaStreams, stream: Stream, seconds: float) -> bool:
    """Moves to a place from which a stream can be decoded, at or before a time; says whether that went well."""
    if seconds <= 0 or stream.time_base is None:
        return False
    try:
        container.seek(int((Fraction(seconds) + tracks.zero_seconds) / stream.time_base), stream=stream)
    except (FFmpegError, OverflowError):
        return False
    return True


def audio_format(path: str | PathLike[str]) -> tuple[int, int] | None:
    """Says how the sound of a recording is best written again.

    Args:
        path: The recording.

    Returns:
        Samples per second, 16000 … 48000, and channels, 1 or 2; None without sound.
    """
    with open_container(path) as container:
        stream = find_streams(container, path).audio
        if stream is None:
            return None
        rate = stream.codec_context.sample_rate
        return rate if rate in (16000, 22050, 24000, 32000, 44100, 48000) else 48000, min(stream.channels or 1, 2)


def read_audio_frames(part: Clip, sample_rate: int, channels: int) -> Generator[Samples]:
    """Reads the sound of a part without gaps, from its beginning on.

    Args:
        part: What to read.
        sample_rate: To give, in samples per second.
        channels: To give, 1 or 2.

    Yields:
        ``(channels, samples)`` in -1 … 1; all together as long as the part, or shorter where the sound ends before.
        Silence stands where sound is missing, so that the number of samples given tells the time.

    Raises:
        MultimodalError: As ``read_audio``; a recording without sound gives nothing.

    Example:
        >>> part = Clip("interview.mp4", 12.0, 16.0)
        >>> sum(block.shape[1] for block in read_audio_frames(part, 48000, 2))            # doctest: +SKIP
        192000
    """
    with open_container(part.path) as container:
        tracks = find_streams(container, part.path)
        if tracks.audio is None:
            return
        damage = Damage("sound")
        if part.start_seconds > SEEK_FROM and SEEKABLE_SOUND.intersection(container.format.name.split(",")):
            _seek(container, tracks, tracks.audio, part.start_seconds - WARM_UP_SECONDS)
        line = _Line(part, sample_rate, channels)
        for frame in decode_audio(container, tracks, tracks.audio, damage):
            if not line.goes_on(_start(frame, tracks, tracks.audio, line)):
                break
            yield from line.take(frame)
        yield from line.finish()


def _start(frame: AudioFrame, tracks: MediaStreams, stream: AudioStream, line: _Line) -> Fraction:
    return line.end_seconds if frame.pts is None else tracks.seconds(frame.pts, stream)


class _Line:
    """Lines sound up, resampled, so that the place of a sample is its time."""

    def __init__(self, part: Clip, sample_rate: int, channels: int) -> None:
        self.end_seconds = Fraction(part.start_seconds)  # where the sound taken so far ends
        self._start_seconds = Fraction(part.start_seconds)
        self._rate = sample_rate
        self._layout = "mono" if channels == 1 else "stereo"
        self._total = round(part.seconds * sample_rate)
        self._given = 0
        self._form: tuple[object, ...] | None = None  # of the unbroken run of sound at hand
        self._resampler: av.AudioResampler | None = None
        self._run_start = Fraction(0)
        self._run_samples = 0  # of the run so far, before resampling
        self._place = 0  # of the run's next sample; below the number given where it comes a second time over
        self._starts: Fraction | None = None

    def goes_on(self, start: Fraction) -> bool:
        """Notes when the next sound starts; says whether it belongs to the part."""
        self._starts = start
        place = (start - self._start_seconds) * self._rate
        return place < self._total and start - self.end_seconds <= LONGEST_PAUSE

    def take(self, frame: AudioFrame) -> Iterator[Samples]:
        """Takes the next sound, and gives what can be given."""
        start = self.end_seconds if self._starts is None else self._starts
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form or abs(start - self.end_seconds) > GAP_SECONDS:
            yield from self._finish_run()
            yield from self._begin_run(start, form)
        self._run_samples += frame.samples
        self.end_seconds = self._run_start + Fraction(self._run_samples, frame.sample_rate)
        yield from self._lay(self._resampled(frame))

    def finish(self) -> Iterator[Samples]:
        """Gives what is left."""
        yield from self._finish_run()

    def _begin_run(self, start: Fraction, form: tuple[object, ...]) -> Iterator[Samples]:
        self._run_start, self._run_samples, self._form = start, 0, form
        self._place = round((start - self._start_seconds) * self._rate)
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        channels = 1 if self._layout == "mono" else 2
        while self._given < min(self._place, self._total):
            silent = min(self._place, self._total, self._given + self._rate) - self._given
            self._given += silent
            yield np.zeros((channels, silent), np.float32)

    def _finish_run(self) -> Iterator[Samples]:
        if self._resampler is not None:
            rest = [_array(frame) for frame in self._resampler.resample(None)]
            self._resampler = None
            yield from self._lay(rest)

    def _resampled(self, frame: AudioFrame) -> list[Samples]:
        if self._resampler is None:
            return []
        frame.pts = None  # time is kept here, by counting
        try:
            return [_array(each) for each in self._resampler.resample(frame)]
        except (FFmpegError, ValueError):  # channels that nobody knows how to mix
            return self._mixed(frame)

    def _mixed(self, frame: AudioFrame) -> list[Samples]:
        mean = AudioFrame.from_ndarray(to_mono(frame)[None], format="fltp", layout="mono")
        mean.sample_rate = frame.sample_rate
        resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
        return [_array(each) for step in (mean, None) for each in resampler.resample(step)]

    def _lay(self, blocks: list[Samples]) -> Iterator[Samples]:
        for block in blocks:
            new = block[:, max(0, self._given - self._place) :]
            self._place += block.shape[1]
            new = new[:, : self._total - self._given]
            if new.shape[1]:
                self._given += new.shape[1]
                yield new.clip(-1, 1)


def _array(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.float32)
