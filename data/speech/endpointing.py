"""Finds where speech begins and ends in its probabilities, one chunk of 32 ms after the other.

Speech begins at one threshold and ends where it stays below a lower one for a pause. What runs on for too long is cut
where speech is least likely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.data.speech.stream import CHUNK, SAMPLE_RATE

SPEECH, NO_SPEECH = 0.5, 0.35
"""Probabilities that begin speech and, when below, end it; silero's own. The gap between keeps it from fluttering."""

PAUSE = SAMPLE_RATE // 2 // CHUNK + 1
"""Chunks, 0.51 s, without speech that end an utterance: pauses within a sentence are mostly shorter."""

SHORT = LONG_PAUSE = SAMPLE_RATE // CHUNK
"""Chunks, 1 s. After so little speech the pause has to be this long: "Well … I liked it" is one utterance."""

MIN_SPEECH_CHUNKS = 6
"""Chunks, 0.19 s, that have to be speech for a stretch to count: music reaches 0.5 in single ones."""

LONGEST = round(14.75 * SAMPLE_RATE) // CHUNK
"""Chunks of speech in one span: with a margin of 0.25 s an utterance lasts 15 s at most."""

CUT_AFTER, CUT_BEFORE_END = 5 * SAMPLE_RATE // CHUNK, PAUSE
"""Chunks that are left before and behind the place where a long span is cut: 5 s and 0.5 s."""

CUT_WINDOW = 5
"""Chunks, 0.16 s, whose mean probability says how good a place for a cut is: as long as a short breath."""


@dataclass(frozen=True)
class Span:
    """Speech without a pause.

    Attributes:
        start: First chunk.
        end: The chunk behind the last.
        joined: Whether it was cut at ``end`` and goes on at once in the next span.
    """

    start: int
    end: int
    joined: bool = False


class Endpointer:
    """Turns probabilities of speech, taken one by one, into spans of speech; keeps those of the span under way only.

    Example:
        >>> pauses = Endpointer()
        >>> probabilities = [0.1] * 5 + [0.9] * 50 + [0.1] * 20
        >>> [span for probability in probabilities for span in pauses.take(probability)]
        [Span(start=5, end=55, joined=False)]
    """

    def __init__(self) -> None:
        self._position = 0  # chunks taken
        self._start = self._end = 0  # of the span under way
        self._under_way: list[float] = []  # probabilities from its start on

    @property
    def earliest(self) -> int:
        """The first chunk that a span to come may hold."""
        return self._start if self._under_way else self._position

    def take(self, probability: float) -> Iterator[Span]:
        """Takes the next chunk and yields the span that it ends, if it does.

        Args:
            probability: Of speech in that chunk, 0 … 1.
        """
        index, self._position = self._position, self._position + 1
        if not self._under_way:
            if probability < SPEECH:
                return
            self._start = index
        self._under_way.append(probability)
        if probability >= NO_SPEECH:
            if index + 1 - self._start > LONGEST:
                yield from self._cut()
            self._end = index + 1
        elif index + 1 - self._end >= (LONG_PAUSE if self._end - self._start <= SHORT else PAUSE):
            yield from self.finish()

    def finish(self) -> Iterator[Span]:
        """Ends the span under way and yields it, unless there is too little speech in it."""
        if _is_speech(self._under_way):
            yield Span(self._start, self._end)
        self._under_way = []

    def _cut(self) -> Iterator[Span]:
        """Cuts where speech is least likely, at the later of equals."""
        calm = np.convolve(self._under_way, np.full(CUT_WINDOW, 1 / CUT_WINDOW), "same")
        last = len(calm) - CUT_BEFORE_END
        size = last - int(np.argmin(calm[CUT_AFTER : last + 1][::-1]))
        if _is_speech(self._under_way[:size]):
            yield Span(self._start, self._start + size, joined=True)
        self._start, self._under_way = self._start + size, self._under_way[size:]


def _is_speech(probabilities: Sequence[float]) -> bool:
    return sum(probability >= SPEECH for probability in probabilities) >= MIN_SPEECH_CHUNKS
