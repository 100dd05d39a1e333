"""Evens out the sound of a recording before anybody listens: one clock, equal pieces, no offset, gaps as silence.

Pieces are cut by the clock and not by the blocks they come from, so that how a file was read never changes a result.
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
"""Samples per second of everything that listens: the voice's networks are made for it."""

CHUNK = 512
"""Samples judged at a time, 32 ms: what the voice activity network reads."""

PIECE = 64 * CHUNK
"""Samples of a piece, 2.05 s: enough for the network to be efficient, and to know how loud the sound is."""

LONGEST_FILLED_GAP = SAMPLE_RATE
"""Samples, 1 s. A longer gap in the sound ends a stretch: nobody's sentence goes on behind it."""

JITTER = SAMPLE_RATE // 1000
"""Samples, 1 ms, by which a block's time may be off before that counts as a gap."""

OFFSET_SECONDS = 2.0
"""Time constant of the running mean that is taken off as offset: far below any voice (80 Hz and more)."""

FULL_SCALE = 0.99
"""Level that counts as clipped; conversions between sample formats scale by a little less than 1."""

CLIPPED_SAMPLES = 3
"""Samples at full scale that make a chunk clipped. The peak of sound scaled to fit is one or two."""


@dataclass(frozen=True)
class Piece:
    """A stretch of even sound.

    Attributes:
        start: Place of the first sample, in samples from the recording's time 0.
        samples: ``(samples,)`` float32 in -1 … 1, mean 0; at most ``PIECE`` of them, fewer only at an end.
        begins: Whether the sound before it is unknown for more than ``LONGEST_FILLED_GAP``.
        ends: Whether the sound after it is; such a piece may be empty.
    """

    start: int
    samples: Samples
    begins: bool
    ends: bool


@dataclass
class SoundFacts:
    """What was noticed while reading; complete when the pieces have ended.

    Attributes:
        seconds: Of sound read, without its gaps.
        broken_samples: Values that were no finite numbers.
        chunks: Of ``CHUNK`` samples.
        clipped_chunks: Those with at least ``CLIPPED_SAMPLES`` at full scale.
        peak: Largest magnitude after the offset was removed, 0 … 1.
    """

    seconds: float = 0.0
    broken_samples: int = 0
    chunks: int = 0
    clipped_chunks: int = 0
    peak: float = 0.0

    @property
    def clipped_share(self) -> float:
        """Share of the time in which the sound is clipped, 0 … 1."""
        return self.clipped_chunks / max(self.chunks, 1)


def even_pieces(blocks: Iterable[AudioBlock], facts: SoundFacts) -> Generator[Piece]:
    """Cuts sound into equal pieces without offset; gaps of up to a second, and broken values, become silence.

    The offset is the mean of the first piece and from there a running mean of ``OFFSET_SECONDS``. Sound that comes
    a second time over is dropped.

    Args:
        blocks: In order of time, of ``SAMPLE_RATE``.
        facts: Takes note of what is met.

    Yields:
        Pieces in order of time, each stretch from the first with ``begins`` to the last with ``ends``.

    Raises:
        ConfigError: A block has another sample rate.

    Example:
        >>> block = AudioBlock(1.5, np.full(40000, 0.25, np.float32), 16000)
        >>> [(p.start, len(p.samples), p.begins, p.ends) for p in even_pieces([block], SoundFacts())]
        [(24000, 32768, True, False), (56768, 7232, False, True)]
    """
    stretch: _Stretch | None = None
    for block in blocks:
        if block.sample_rate != SAMPLE_RATE:
            fact = f"has {block.sample_rate} samples per second, not {SAMPLE_RATE}"
            raise ConfigError("sound", fact, f"read it with sample_rate={SAMPLE_RATE}")
        start = round(block.start_seconds * SAMPLE_RATE)
        if stretch is not None and start - stretch.end > LONGEST_FILLED_GAP:
            yield stretch.rest()
            stretch = None
        if stretch is None:
            stretch = _Stretch(start, facts)
        stretch.add(block.samples, start)
        yield from stretch.full()
    if stretch is not None:
        yield stretch.rest()


class _Stretch:
    """Sound without long gaps: gathers blocks and gives pieces of it."""

    def __init__(self, start: int, facts: SoundFacts) -> None:
        self.end = start  # place behind the last sample taken
        self._next = self._start = start  # place of the first sample not given yet
        self._facts = facts
        self._waiting: list[Samples] = []  # unknown values are NaN here
        self._offset: float | None = None

    def add(self, samples: Samples, start: int) -> None:
        """Takes a block; a gap before it is filled up with unknown values."""
        late = start - self.end
        if late > JITTER:
            self._append(np.full(late, np.nan, np.float32))
        known = np.array(samples[-late if late < -JITTER else 0 :], np.float32)
        finite = np.isfinite(known)
        known[~finite] = np.nan
        self._facts.broken_samples += int(np.count_nonzero(~finite))
        self._facts.seconds += len(known) / SAMPLE_RATE
        self._append(known)

    def full(self) -> Iterator[Piece]:
        """Gives the pieces that are full."""
        while self.end - self._next >= PIECE:
            yield self._take(PIECE, ends=False)

    def rest(self) -> Piece:
        """Gives what is left, perhaps nothing, as the last piece."""
        return self._take(self.end - self._next, ends=True)

    def _append(self, samples: Samples) -> None:
        self._waiting.append(samples)
        self.end += len(samples)

    def _take(self, size: int, ends: bool) -> Piece:
        # Only where needed: a whole recording may come as one block.
        joined = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
        raw, self._waiting = joined[:size], [joined[size:]]
        start, self._next = self._next, self._next + size
        self._count_clipped(raw)
        samples = self._without_offset(raw)
        self._facts.peak = max(self._facts.peak, float(np.abs(samples).max(initial=0)))
        return Piece(start, samples, begins=start == self._start, ends=ends)

    def _count_clipped(self, raw: Samples) -> None:
        """Before the offset goes: an offset is where clipping often comes from."""
        at_limit = _chunked(np.abs(raw) >= FULL_SCALE, False).sum(axis=1)
        self._facts.chunks += len(at_limit)
        self._facts.clipped_chunks += int(np.count_nonzero(at_limit >= CLIPPED_SAMPLES))

    def _without_offset(self, raw: Samples) -> Samples:
        known = np.isfinite(raw)
        counts = _chunked(known, False).sum(axis=1)
        sums = _chunked(np.where(known, raw, 0), 0).sum(axis=1, dtype=np.float64)
        if self._offset is None and counts.any():
            self._offset = float(sums.sum() / counts.sum())
        path = [self._offset or 0.0]
        for total, count in zip(sums.tolist(), counts.tolist(), strict=True):
            weight = count / (OFFSET_SECONDS * SAMPLE_RATE)
            path.append(path[-1] + weight * (total / max(count, 1) - path[-1]))
        if self._offset is not None:
            self._offset = path[-1]
        # A line between the chunks' ends: steps in what is taken off would be heard as clicks.
        line = np.interp(np.arange(len(raw)), np.arange(len(path)) * CHUNK, path)
        return np.where(known, raw - line, 0).clip(-1, 1).astype(np.float32)


def _chunked(values: NDArray[np.generic], filler: float) -> NDArray[np.generic]:
    """Whole chunks ``(chunks, CHUNK)``, the last one filled up."""
    return np.pad(values, (0, -len(values) % CHUNK), constant_values=filler).reshape(-1, CHUNK)


class AudioBuffer:
    """The latest sound, found by its place in samples from the recording's time 0.

    Attributes:
        end: Place behind the last sample.

    Example:
        >>> track = AudioBuffer()
        >>> track.add(2, np.array([0.5, 0.25], np.float32))
        >>> track.cut(1, 5).tolist(), track.heard(0, 9)
        ([0.0, 0.5, 0.25, 0.0], (2, 4))
    """

    def __init__(self) -> None:
        self.end = 0
        self._parts: deque[tuple[int, Samples]] = deque()

    def add(self, start: int, samples: Samples) -> None:
        """Appends sound that starts at or after the end of what there is."""
        if len(samples):
            self._parts.append((start, samples))
        self.end = max(self.end, start + len(samples))

    def forget(self, before: int) -> None:
        """Drops what ends at or before a place."""
        while self._parts and self._parts[0][0] + len(self._parts[0][1]) <= before:
            self._parts.popleft()

    def cut(self, start: int, end: int) -> Samples:
        """Copies ``(end - start,)`` samples out, zeros where there are none."""
        sound = np.zeros(end - start, np.float32)
        for first, samples in self._parts:
            low, high = max(start, first), min(end, first + len(samples))
            if low < high:
                sound[low - start : high - start] = samples[low - first : high - first]
        return sound

    def heard(self, start: int, end: int) -> tuple[int, int] | None:
        """Narrows a stretch down to where there is sound; None where there is none."""
        spans = [(max(start, first), min(end, first + len(samples))) for first, samples in self._parts]
        known = [span for span in spans if span[0] < span[1]]
        return (known[0][0], known[-1][1]) if known else None
