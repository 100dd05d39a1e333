"""Normalizes the audio of a recording for speech processing: one clock, equal pieces, no DC offset, silent gaps.

Pieces are cut by the clock and not by the input blocks, so that the way a file is read never changes a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.errors import ConfigError
from multimodal.types import AudioBlock

Samples = NDArray[np.float32]

SAMPLE_RATE = 16000
"""Samples per second that voice activity, speech-to-text and the audio encoder need."""

CHUNK = 512
"""Samples per chunk, 32 ms: the input of the voice activity network."""

PIECE = 64 * CHUNK
"""Samples per piece, 2.05 s: enough for the network to be efficient and for an estimate of the level."""

LONGEST_FILLED_GAP = SAMPLE_RATE
"""Samples, 1 s. A longer gap in the audio ends a run of pieces: no sentence continues after it."""

JITTER = SAMPLE_RATE // 1000
"""Samples, 1 ms, by which the time of a block may deviate before it counts as a gap."""

OFFSET_SECONDS = 2.0
"""Time constant of the running mean that is subtracted as offset: far below any voice (80 Hz and more)."""

FULL_SCALE = 0.99
"""Level that counts as clipped; conversions between sample formats scale by slightly less than 1."""

CLIPPED_SAMPLES = 3
"""Samples at full scale that make a chunk clipped. Normalized audio has one or two at its peak."""


@dataclass(frozen=True)
class Piece:
    """A piece of normalized audio.

    Attributes:
        start: Position of the first sample, in samples from time 0 of the recording.
        samples: ``(samples,)`` float32 in -1 … 1, mean 0; at most ``PIECE``, fewer only at the end of a run.
        begins: Whether the piece starts a run: a gap of more than ``LONGEST_FILLED_GAP`` or nothing precedes it.
        ends: Whether the piece ends a run; such a piece may be empty.
    """

    start: int
    samples: Samples
    begins: bool
    ends: bool


@dataclass
class AudioQuality:
    """Quality of the audio, measured while reading; complete after the last piece.

    Attributes:
        seconds: Length of the audio without gaps.
        invalid_samples: Number of values that are not finite.
        chunks: Number of chunks of ``CHUNK`` samples.
        clipped_chunks: Number of chunks with at least ``CLIPPED_SAMPLES`` at full scale.
        peak: Largest magnitude after removal of the offset, 0 … 1.
    """

    seconds: float = 0.0
    invalid_samples: int = 0
    chunks: int = 0
    clipped_chunks: int = 0
    peak: float = 0.0

    @property
    def clipped_share(self) -> float:
        """Share of clipped time, 0 … 1."""
        return self.clipped_chunks / max(self.chunks, 1)


def even_pieces(blocks: Iterable[AudioBlock], quality: AudioQuality) -> Generator[Piece]:
    """Cuts audio into equal pieces without DC offset; gaps of up to a second and invalid values become silence.

    The offset is the mean of the first piece, then a running mean of ``OFFSET_SECONDS``. Overlapping audio is dropped.

    Args:
        blocks: Audio in order of time, at ``SAMPLE_RATE``.
        quality: Is updated while reading.

    Yields:
        Pieces in order of time; each run goes from a piece with ``begins`` to one with ``ends``.

    Raises:
        ConfigError: A block has another sample rate.

    Example:
        >>> block = AudioBlock(1.5, np.full(40000, 0.25, np.float32), 16000)
        >>> [(p.start, len(p.samples), p.begins, p.ends) for p in even_pieces([block], AudioQuality())]
        [(24000, 32768, True, False), (56768, 7232, False, True)]
    """
    run: _Run | None = None
    for block in blocks:
        if block.sample_rate != SAMPLE_RATE:
            fact = f"has {block.sample_rate} samples per second, but must have {SAMPLE_RATE}"
            raise ConfigError("audio", fact, f"read it with sample_rate={SAMPLE_RATE}")
        start = round(block.start_seconds * SAMPLE_RATE)
        if run is not None and start - run.end > LONGEST_FILLED_GAP:
            yield run.rest()
            run = None
        if run is None:
            run = _Run(start, quality)
        run.add(block.samples, start)
        yield from run.full()
    if run is not None:
        yield run.rest()


class _Run:
    """Audio without long gaps: collects blocks and returns pieces."""

    def __init__(self, start: int, quality: AudioQuality) -> None:
        self.end = start  # position after the last sample taken
        self._next = self._start = start  # position of the first sample that was not returned yet
        self._quality = quality
        self._waiting: list[Samples] = []  # unknown values are NaN
        self._offset: float | None = None

    def add(self, samples: Samples, start: int) -> None:
        """Takes a block; a gap before it is filled with unknown values."""
        late = start - self.end
        if late > JITTER:
            self._append(np.full(late, np.nan, np.float32))
        chunk = np.array(samples[-late if late < -JITTER else 0 :], np.float32)
        finite = np.isfinite(chunk)
        chunk[~finite] = np.nan
        self._quality.invalid_samples += int(np.count_nonzero(~finite))
        self._quality.seconds += len(chunk) / SAMPLE_RATE
        self._append(chunk)

    def full(self) -> Iterator[Piece]:
        """Yields the pieces that are complete."""
        while self.end - self._next >= PIECE:
            yield self._take(PIECE, ends=False)

    def rest(self) -> Piece:
        """Returns the rest, which may be empty, as the last piece."""
        return self._take(self.end - self._next, ends=True)

    def _append(self, samples: Samples) -> None:
        self._waiting.append(samples)
        self.end += len(samples)

    def _take(self, size: int, ends: bool) -> Piece:
        # Only if needed: a whole recording may be one block.
        joined = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        raw, self._waiting = joined[:size], [joined[size:]]
        start, self._next = self._next, self._next + size
        self._count_clipped(raw)
        samples = self._without_offset(raw)
        self._quality.peak = max(self._quality.peak, float(np.abs(samples).max(initial=0)))
        return Piece(start, samples, begins=start == self._start, ends=ends)

    def _count_clipped(self, raw: Samples) -> None:
        """Counts clipped chunks before the offset is removed: an offset often causes clipping."""
        at_limit = _chunked(np.abs(raw) >= FULL_SCALE, False).sum(axis=1)
        self._quality.chunks += len(at_limit)
        self._quality.clipped_chunks += int(np.count_nonzero(at_limit >= CLIPPED_SAMPLES))

    def _without_offset(self, raw: Samples) -> Samples:
        finite = np.isfinite(raw)
        counts = _chunked(finite, False).sum(axis=1)
        sums = _chunked(np.where(finite, raw, 0), 0).sum(axis=1, dtype=np.float64)
        if self._offset is None and counts.any():
            self._offset = float(sums.sum() / counts.sum())
        path = [self._offset or 0.0]
        for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
            weight = count / (OFFSET_SECONDS * SAMPLE_RATE)
            path.append(path[-1] + weight * (total / max(count, 1) - path[-1]))
        if self._offset is not None:
            self._offset = path[-1]
        # Linear between the ends of chunks: steps in the offset would be audible as clicks.
        line = np.interp(np.arange(len(raw)), np.arange(len(path)) * CHUNK, path)
        return np.where(finite, raw - line, 0).clip(-1, 1).astype(np.float32)


def _chunked(values: NDArray[np.generic], filler: float) -> NDArray[np.generic]:
    """Chunks, ``(chunks, CHUNK)``, the last one padded."""
    return np.pad(values, (0, -len(values) % CHUNK), constant_values=filler).reshape(-1, CHUNK)


class AudioBuffer:
    """The most recent audio, addressed by position in samples from time 0 of the recording.

    Attributes:
        end: Position after the last sample.

    Example:
        >>> buffer = AudioBuffer()
        >>> buffer.add(2, np.array([0.5, 0.25], np.float32))
        >>> buffer.cut(1, 5).tolist(), buffer.extent(0, 9)
        ([0.0, 0.5, 0.25, 0.0], (2, 4))
    """

    def __init__(self) -> None:
        self.end = 0
        self._parts: deque[tuple[int, Samples]] = deque()

    def add(self, start: int, samples: Samples) -> None:
        """Appends audio that starts at or after ``end``.

        Args:
            start: Index of the first sample.
            samples: ``(n,)`` in -1 … 1.
        """
        if len(samples):
            self._parts.append((start, samples))
        self.end = max(self.end, start + len(samples))

    def forget(self, before: int) -> None:
        """Drops audio that ends at or before a position.

        Args:
            before: Index of a sample.
        """
        while self._parts and self._parts[0][0] + len(self._parts[0][1]) <= before:
            self._parts.popleft()

    def cut(self, start: int, end: int) -> Samples:
        """Copies ``(end - start,)`` samples; zeros where there is no audio.

        Args:
            start: Index of the first sample.
            end: Index after the last sample.

        Returns:
            The copy.
        """
        audio = np.zeros(end - start, np.float32)
        for first, samples in self._parts:
            low, high = max(start, first), min(end, first + len(samples))
            if low < high:
                audio[low - start : high - start] = samples[low - first : high - first]
        return audio

    def extent(self, start: int, end: int) -> tuple[int, int] | None:
        """Narrows a range to the part with audio; None if there is none.

        Args:
            start: Index of the first sample.
            end: Index after the last sample.

        Returns:
            Start and end.
        """
        spans = [(max(start, first), min(end, first + len(samples))) for first, samples in self._parts]
        filled = [span for span in spans if span[0] < span[1]]
        return (filled[0][0], filled[-1][1]) if filled else None
