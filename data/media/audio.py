"""Reads the sound of a local media file as mono blocks with their true presentation times.

``probe``, ``read_frames`` and ``read_audio`` read from the start and never seek. They hold a few pictures or one block
at a time, however long the recording is.
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
from numpy.typing import NDArray

from multimodal.data.media.container import (
    Damage,
    MediaStreams,
    decode_packets,
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
"""Sound whose time differs by more than this from the counted samples starts a new block at its own time. Less is
jitter: containers round to a millisecond, and live recorders are off by up to a packet of 20 ms."""


class AudioReader:
    """Mono sound of one file in blocks; can be iterated over several times.

    Blocks follow the presentation times: after missing sound, the next block starts later and is never shifted. A block
    is shorter than ``block_seconds`` only before a gap and at the end. Channels are averaged.

    Args:
        path: A file with sound.
        sample_rate: Sample rate of the blocks in samples per second.
        block_seconds: Length of a block in seconds.
        info: Result of ``probe``, if available; with a ``segment``, only sound within it is read.

    Attributes:
        warnings: Plain lines about damage and ignored streams; complete at the end of an iteration.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The path is a folder, the file is empty, or reading is not permitted.
        MediaError: The file is not media or has no sound; while iterating, if no sound can be decoded.
        ConfigError: A sample rate or block length is not above 0.

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
            streams = find_streams(container, self.path)
            stream = _audio_of(streams, self.path)
            self.warnings.extend(streams.notes)
            damage, end = Damage("sound", truncated=is_truncated(self.path)), stated_end(container, streams)
            builder = _BlockBuilder(self.sample_rate, self.block_samples)
            try:
                for frame in decode_audio(container, streams, stream, damage):
                    blocks = builder.add(frame, _frame_start(frame, streams, stream, builder, damage), damage)
                    yield from _cut_to_segment(blocks, self.segment)
                    if self.segment is not None and (builder.end_seconds or 0) >= self.segment[1]:
                        end, damage.truncated = None, False  # the rest is not read, so it is not missing
                        break
                yield from _cut_to_segment(builder.finish(), self.segment)
            finally:
                self.warnings.extend(damage.lines(end))
            if builder.end_seconds is None:
                raise MediaError(self.path, "holds no sound that can be decoded", "copy it again or convert it to wav")


def read_audio(
    path: str | PathLike[str],
    *,
    sample_rate: int = 16000,
    block_seconds: float = 1.0,
    info: MediaInfo | None = None,
) -> AudioReader:
    """Reads the sound of a file as mono blocks.

    Args:
        path: A file with sound.
        sample_rate: Sample rate of the blocks in samples per second.
        block_seconds: Length of a block in seconds.
        info: Result of ``probe``, if available; with a ``segment``, only sound within it is read.

    Returns:
        An iterable of blocks in order of time that do not overlap; its ``warnings`` describe damage.

    Raises:
        MultimodalError: As for ``AudioReader``.

    Example:
        >>> sum(len(block.samples) for block in read_audio("interview.mp4")) / 16000   # doctest: +SKIP
        20.0
    """
    return AudioReader(path, sample_rate=sample_rate, block_seconds=block_seconds, info=info)


def _cut_to_segment(blocks: Iterator[AudioBlock], segment: tuple[float, float] | None) -> Iterator[AudioBlock]:
    """Cuts blocks to a segment and drops those outside it."""
    for block in blocks:
        if segment is None:
            yield block
            continue
        first, end = (round((edge - block.start_seconds) * block.sample_rate) for edge in segment)
        samples = block.samples[max(first, 0) : max(end, 0)]
        if len(samples):
            start = block.start_seconds + max(first, 0) / block.sample_rate
            yield AudioBlock(start, samples, block.sample_rate)


def _no_sound(path: str | PathLike[str]) -> MediaError:
    return MediaError(path, "holds no sound", "choose a recording with sound, or omit the voice")


def _audio_of(streams: MediaStreams, path: str | PathLike[str]) -> AudioStream:
    if streams.audio is None:
        raise _no_sound(path)
    return streams.audio


def decode_audio(
    container: InputContainer, streams: MediaStreams, stream: AudioStream, damage: Damage
) -> Iterator[AudioFrame]:
    """Decodes the sound of one stream and skips damaged packets.

    Args:
        container: An open container.
        streams: Its streams.
        stream: The stream to read.
        damage: Records damaged packets.

    Returns:
        Iterator over blocks of sound.
    """
    return decode_packets(read_packets(container, streams, stream, damage), stream.decode, damage)


def _frame_start(
    frame: AudioFrame, streams: MediaStreams, stream: AudioStream, builder: _BlockBuilder, damage: Damage
) -> Fraction:
    if frame.pts is not None:
        return streams.seconds(frame.pts, stream)
    damage.untimed += 1
    return builder.end_seconds or Fraction(0)


def to_mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Averages the channels of decoded sound.

    Args:
        frame: Decoded sound of any sample format and number of channels.

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


class _BlockBuilder:
    """Resamples runs of continuous sound and cuts them into blocks with their times."""

    def __init__(self, sample_rate: int, block_samples: int) -> None:
        self.end_seconds: Fraction | None = None  # end of the sound added so far
        self._sample_rate = sample_rate
        self._block_samples = block_samples
        self._start_seconds = Fraction(0)  # of the current run
        self._source_rate = 0
        self._source_samples = 0  # of the current run so far, before resampling
        self._emitted = 0  # of the current run, samples in blocks
        self._pending: list[NDArray[np.float32]] = []
        self._resampler: av.AudioResampler | None = None

    def add(self, frame: AudioFrame, start: Fraction, damage: Damage) -> Iterator[AudioBlock]:
        """Adds decoded sound that starts at a time and yields the blocks that are complete."""
        samples = to_mono(frame)
        expected = self.end_seconds
        continues = expected is not None and abs(start - expected) <= GAP_SECONDS
        earliest = start if continues else max(Fraction(0), expected or Fraction(0))
        if start < earliest:  # sound before 0, or repeated sound
            surplus = min(len(samples), round((earliest - start) * frame.sample_rate))
            damage.disordered += expected is not None
            samples, start = samples[surplus:], earliest
        if not len(samples):
            return
        if not continues or frame.sample_rate != self._source_rate:
            yield from self.finish()
            self._begin(start if expected is None or not continues else expected, frame.sample_rate)
        self._source_samples += len(samples)
        self.end_seconds = self._start_seconds + Fraction(self._source_samples, self._source_rate)
        self._pending += self._resample(samples)
        yield from self._blocks()

    def finish(self) -> Iterator[AudioBlock]:
        """Yields the rest of the current run."""
        if self._resampler is not None:
            self._pending += [_samples(frame) for frame in self._resampler.resample(None)]
            self._resampler = None
        yield from self._blocks(rest=True)

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

    def _blocks(self, rest: bool = False) -> Iterator[AudioBlock]:
        """Yields the complete blocks, and with ``rest`` a last shorter one."""
        while (size := sum(map(len, self._pending))) >= self._block_samples or (size and rest):
            samples = np.concatenate(self._pending)
            block, remainder = samples[: self._block_samples], samples[self._block_samples :]
            start = float(self._start_seconds + Fraction(self._emitted, self._sample_rate))
            self._pending = [remainder] if len(remainder) else []
            self._emitted += len(block)
            yield AudioBlock(start, np.clip(block, -1, 1), self._sample_rate)


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray()[0], dtype=np.float32)
