"""Reads facts, pictures and sound from a local media file, everything with its true presentation time.

``probe`` gives the facts, ``read_frames`` sampled pictures, ``read_audio`` mono sound in blocks. All read on from the
start and never seek, and hold a few pictures or one block at a time, however long the recording is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from os import PathLike

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from multimodal.data.media.container import (
    Damage,
    MediaStreams,
    find_streams,
    is_truncated,
    open_container,
    read_packets,
    stated_end,
)
from multimodal.data.media.frames import FrameReader, read_frames
from multimodal.data.media.probe import probe
from multimodal.errors import ConfigError, MediaError
from multimodal.types import AudioBlock, MediaInfo

__all__ = ["AudioReader", "FrameReader", "probe", "read_audio", "read_frames"]

GAP_SECONDS = Fraction(20, 1000)
"""Sound whose time is off by more than this from the samples counted starts anew at its own time. Less is jitter:
containers round to a millisecond, and live recorders are off by up to a packet of 20 ms."""


class AudioReader:
    """Mono sound of one file in blocks; iterate over it, as often as wanted.

    Blocks follow the presentation times: where sound is missing, the next block starts later, never shifted. A block
    is shorter than ``block_seconds`` only before a gap and at the end. Channels are averaged.

    Args:
        path: A file with sound.
        sample_rate: Of the blocks, in samples per second.
        block_seconds: Length of a block.
        info: Facts from ``probe``, where they are known already; of its ``stretch`` only sound is given.

    Attributes:
        warnings: Plain lines on what was damaged or passed over; complete when an iteration has ended.

    Raises:
        InputMissingError: There is no such file.
        InputUnreadableError: It is a folder, empty, or may not be read.
        MediaError: It is not media, or holds no sound; while iterating, when nothing could be decoded.
        ConfigError: An option is not above 0.

    Example:
        >>> reader = AudioReader("interview.mp4")                                   # doctest: +SKIP
        >>> next(iter(reader)).samples.shape                                        # doctest: +SKIP
        (16000,)
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        sample_rate: int = 16000,
        block_seconds: float = 1.0,
        info: MediaInfo | None = None,
    ) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.block_samples = round(sample_rate * block_seconds)
        self.segment = None if info is None else info.segment
        self.warnings: list[str] = []
        if sample_rate <= 0 or self.block_samples <= 0:
            raise ConfigError("read_audio", f"got {sample_rate} Hz in blocks of {block_seconds} s", "give more than 0")
        if info is not None and not info.has_audio:
            raise _no_sound(path)
        if info is None:
            with open_container(path) as container:
                _audio_of(find_streams(container, path), path)

    def __iter__(self) -> Generator[AudioBlock]:
        self.warnings.clear()
        with open_container(self.path) as container:
            tracks = find_streams(container, self.path)
            stream = _audio_of(tracks, self.path)
            self.warnings.extend(tracks.notes)
            damage, end = Damage("sound", cut=is_truncated(self.path)), stated_end(container, tracks)
            lane = _Lane(self.sample_rate, self.block_samples)
            try:
                for frame in decode_audio(container, tracks, stream, damage):
                    blocks = lane.take(frame, _frame_start(frame, tracks, stream, lane, damage), damage)
                    yield from _within(blocks, self.segment)
                    if self.segment is not None and (lane.end_seconds or 0) >= self.segment[1]:
                        end, damage.cut = None, False  # what follows is not read, so it is not missed
                        break
                yield from _within(lane.finish(), self.segment)
            finally:
                self.warnings.extend(damage.lines(end))
            if lane.end_seconds is None:
                raise MediaError(self.path, "holds no sound that can be decoded", "copy it again or convert it to wav")


def read_audio(
    path: str | PathLike[str],
    *,
    sample_rate: int = 16000,
    block_seconds: float = 1.0,
    info: MediaInfo | None = None,
) -> AudioReader:
    """Reads the sound of a file as mono blocks; the same as ``AudioReader``, named as a verb.

    Args:
        path: A file with sound.
        sample_rate: Of the blocks, in samples per second.
        block_seconds: Length of a block.
        info: Facts from ``probe``, where they are known already.

    Returns:
        An iterable of blocks in order of time, not overlapping; its ``warnings`` say what was damaged.

    Raises:
        MultimodalError: As ``AudioReader``.

    Example:
        >>> sum(len(block.samples) for block in read_audio("interview.mp4")) / 16000   # doctest: +SKIP
        20.0
    """
    return AudioReader(path, sample_rate=sample_rate, block_seconds=block_seconds, info=info)


def _within(blocks: Iterator[AudioBlock], stretch: tuple[float, float] | None) -> Iterator[AudioBlock]:
    """Cuts blocks down to a stretch; those outside it are left out."""
    for block in blocks:
        if stretch is None:
            yield block
            continue
        first, end = (round((edge - block.start_seconds) * block.sample_rate) for edge in stretch)
        samples = block.samples[max(first, 0) : max(end, 0)]
        if len(samples):
            start = block.start_seconds + max(first, 0) / block.sample_rate
            yield AudioBlock(start, samples, block.sample_rate)


def _no_sound(path: str | PathLike[str]) -> MediaError:
    return MediaError(path, "holds no sound", "choose a recording with sound, or leave the voice out")


def _audio_of(tracks: MediaStreams, path: str | PathLike[str]) -> AudioStream:
    if tracks.audio is None:
        raise _no_sound(path)
    return tracks.audio


def decode_audio(
    container: InputContainer, tracks: MediaStreams, stream: AudioStream, damage: Damage
) -> Iterator[AudioFrame]:
    """Decodes the sound of one stream, passing over what is damaged."""
    for packet in read_packets(container, tracks, stream, damage):
        try:
            yield from stream.decode(packet)
        except FFmpegError:
            damage.skip(float(damage.reached_seconds))
    try:
        yield from stream.decode(None)
    except FFmpegError:  # nothing was left in the decoder
        return


def _frame_start(frame: AudioFrame, tracks: MediaStreams, stream: AudioStream, lane: _Lane, damage: Damage) -> Fraction:
    if frame.pts is not None:
        return tracks.seconds(frame.pts, stream)
    damage.untimed += 1
    return lane.end_seconds or Fraction(0)


def to_mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Averages the channels of decoded sound.

    Args:
        frame: Any sample format and number of channels.

    Returns:
        ``(samples,)`` in -1 … 1. The mean of several channels cannot clip, unlike a weighted mix.

    Example:
        >>> stereo = np.array([[16384, -32768], [0, -32768]], dtype=np.int16)
        >>> to_mono(AudioFrame.from_ndarray(stereo, format="s16p", layout="stereo")).tolist()
        [0.25, -1.0]
    """
    array = frame.to_ndarray()
    channels = array if frame.format.is_planar else array.reshape(-1, len(frame.layout.channels)).T
    mean: NDArray[np.float64] = channels.mean(axis=0, dtype=np.float64)
    if array.dtype.kind == "u":  # 8 bits unsigned, silence at 128
        mean = mean / 128 - 1
    elif array.dtype.kind == "i":
        mean = mean / 2.0 ** (8 * array.dtype.itemsize - 1)
    return np.clip(mean, -1, 1).astype(np.float32)


class _Lane:
    """Resamples unbroken stretches of sound and cuts them into blocks that know their time."""

    def __init__(self, sample_rate: int, block_samples: int) -> None:
        self.end_seconds: Fraction | None = None  # where the sound taken so far ends
        self._sample_rate = sample_rate
        self._block_samples = block_samples
        self._start_seconds = Fraction(0)  # of the present stretch
        self._source_rate = 0
        self._source_samples = 0  # of the present stretch so far, before resampling
        self._emitted = 0  # likewise, samples in blocks
        self._pending: list[NDArray[np.float32]] = []
        self._resampler: av.AudioResampler | None = None

    def take(self, frame: AudioFrame, start: Fraction, damage: Damage) -> Iterator[AudioBlock]:
        """Takes decoded sound that starts at a time and yields the blocks it fills."""
        samples = to_mono(frame)
        expected = self.end_seconds
        continues = expected is not None and abs(start - expected) <= GAP_SECONDS
        earliest = start if continues else max(Fraction(0), expected or Fraction(0))
        if start < earliest:  # sound before the clock starts, or a second time over
            cut = min(len(samples), round((earliest - start) * frame.sample_rate))
            damage.disordered += expected is not None
            samples, start = samples[cut:], earliest
        if not len(samples):
            return
        if not continues or frame.sample_rate != self._source_rate:
            yield from self.finish()
            self._begin(start if expected is None or not continues else expected, frame.sample_rate)
        self._source_samples += len(samples)
        self.end_seconds = self._start_seconds + Fraction(self._source_samples, self._source_rate)
        self._pending += self._resample(samples)
        yield from self._cut()

    def finish(self) -> Iterator[AudioBlock]:
        """Yields what is left of the present stretch."""
        if self._resampler is not None:
            self._pending += [_samples(frame) for frame in self._resampler.resample(None)]
            self._resampler = None
        yield from self._cut(whole=False)

    def _begin(self, start: Fraction, source_rate: int) -> None:
        self._start_seconds, self._source_rate = start, source_rate
        self._source_samples = self._emitted = 0
        if source_rate != self._sample_rate:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._sample_rate)

    def _resample(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        if self._resampler is None:
            return [samples]
        frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        return [_samples(resampled) for resampled in self._resampler.resample(frame)]

    def _cut(self, whole: bool = True) -> Iterator[AudioBlock]:
        """Yields the blocks that are full, and with ``whole`` off the rest."""
        while (size := sum(map(len, self._pending))) >= self._block_samples or (size and not whole):
            joined = np.concatenate(self._pending)
            block, rest = joined[: self._block_samples], joined[self._block_samples :]
            start = float(self._start_seconds + Fraction(self._emitted, self._sample_rate))
            self._pending = [rest] if len(rest) else []
            self._emitted += len(block)
            yield AudioBlock(start, np.clip(block, -1, 1), self._sample_rate)


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray()[0], dtype=np.float32)
