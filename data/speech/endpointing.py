"""Endpointing: where speech starts and ends, from speech probabilities in chunks of 32 ms.

Speech starts at one threshold and ends when the probability stays below a lower one for the length of a pause. A span
that is too long is cut where speech is least likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.data.speech.stream import CHUNK, SAMPLE_RATE

ONSET, OFFSET = 0.5, 0.35
"""Probability that starts speech, and the one below which speech ends; silero's defaults. The gap prevents flutter."""

MIN_PAUSE_CHUNKS = SAMPLE_RATE // 2 // CHUNK + 1
"""Chunks without speech, 0.51 s, that end an utterance: pauses within a sentence are mostly shorter."""

SHORT_SPEECH_CHUNKS = LONG_PAUSE_CHUNKS = SAMPLE_RATE // CHUNK
"""Chunks, 1 s. After so little speech the pause must be this long: "Well … I liked it" is one utterance."""

MIN_SPEECH_CHUNKS = 6
"""Chunks of speech, 0.19 s, that a span must contain: music reaches 0.5 in single chunks."""

MAX_SPEECH_CHUNKS = round(14.75 * SAMPLE_RATE) // CHUNK
"""Chunks of speech in one span: with a margin of 0.25 s an utterance lasts at most 15 s."""

CUT_AFTER, CUT_BEFORE_END = 5 * SAMPLE_RATE // CHUNK, MIN_PAUSE_CHUNKS
"""Chunks before and after the cut of a long span: at least 5 s and 0.5 s."""

CUT_WINDOW = 5
"""Chunks, 0.16 s, over which the probability is averaged to find the cut: as long as a short breath."""


@dataclass(frozen=True)
class Span:
    """Speech without a pause.

    Attributes:
        start: Index of the first chunk.
        end: Index after the last chunk.
        continues: Whether the span was cut at ``end`` and the next one follows at once.
    """

    start: int
    end: int
    continues: bool = False


class Endpointer:
    """Turns speech probabilities into spans of speech, one chunk at a time; keeps only those of the current span.

    Example:
        >>> endpointer = Endpointer()
        >>> probabilities = [0.1] * 5 + [0.9] * 50 + [0.1] * 20
        >>> [span for probability in probabilities for span in endpointer.take(probability)]
        [Span(start=5, end=55, continues=False)]
    """

    def __init__(self) -> None:
        self._position = 0  # number of chunks taken
        self._start = self._end = 0  # of the current span
        self._probabilities: list[float] = []  # of the current span

    @property
    def earliest(self) -> int:
        """Index of the first chunk that a later span may contain."""
        return self._start if self._probabilities else self._position

    def take(self, probability: float) -> Iterator[Span]:
        """Takes the next chunk and yields the span that it ends, if any.

        Args:
            probability: Probability of speech in the chunk, 0 … 1.
        """
        index, self._position = self._position, self._position + 1
        if not self._probabilities:
            if probability < ONSET:
                return
            self._start = index
        self._probabilities.append(probability)
        if probability >= OFFSET:
            if index + 1 - self._start > MAX_SPEECH_CHUNKS:
                yield from self._cut()
            self._end = index + 1
        elif index + 1 - self._end >= self._pause_chunks():
            yield from self.finish()

    def finish(self) -> Iterator[Span]:
        """Ends the current span and yields it, unless it contains too little speech."""
        if _is_speech(self._probabilities):
            yield Span(self._start, self._end)
        self._probabilities = []

    def _pause_chunks(self) -> int:
        """Length of the pause that ends the current span."""
        return LONG_PAUSE_CHUNKS if self._end - self._start <= SHORT_SPEECH_CHUNKS else MIN_PAUSE_CHUNKS

    def _cut(self) -> Iterator[Span]:
        """Cuts where speech is least likely, at the latest of equal places."""
        smooth = np.convolve(self._probabilities, np.full(CUT_WINDOW, 1 / CUT_WINDOW), "same")
        last = len(smooth) - CUT_BEFORE_END
        size = last - int(np.argmin(smooth[CUT_AFTER : last + 1][::-1]))
        if _is_speech(self._probabilities[:size]):
            yield Span(self._start, self._start + size, continues=True)
        self._start, self._probabilities = self._start + size, self._probabilities[size:]


def _is_speech(probabilities: Sequence[float]) -> bool:
    return sum(probability >= ONSET for probability in probabilities) >= MIN_SPEECH_CHUNKS
