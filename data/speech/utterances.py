"""Cuts the audio of a recording into utterances: by its transcript if there is one, otherwise at pauses.

Results for difficult audio:

==========================================  ===========================================================================
silence, noise, tones, clicks, music         no utterance, and a warning that no speech was found (singing may pass)
no audio, or less than 0.5 s of it           no utterance, and a warning
very quiet speech                            amplified for detection only, by up to 50 dB; a warning below -55 dB of
                                             full scale; not detected below about -80 dB
clipped audio                                used unchanged; a warning from 1 % of the time on
DC offset                                    removed, by a running mean of 2 s
telephone audio (8 kHz)                      resampled while reading
one dead channel of two                      the mean of both is half as loud, which does not matter here
a gap in the audio                           silence if at most 1 s or within a transcript's utterance, otherwise the
                                             end of the utterance
invalid values                               silence, and a warning
==========================================  ===========================================================================
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from multimodal.data.speech.endpointing import Endpointer, Span
from multimodal.data.speech.stream import CHUNK, SAMPLE_RATE, AudioBuffer, AudioQuality, Piece, even_pieces
from multimodal.data.speech.voice_activity import VoiceActivity
from multimodal.types import AudioBlock, Utterance

__all__ = ["SAMPLE_RATE", "SpeechReader", "SpokenUtterance", "read_speech"]

SHORTEST_SECONDS = 0.5
"""Length of an utterance that is cut at pauses; ``endpointing`` sets the maximum."""

BEFORE, AFTER = round(0.15 * SAMPLE_RATE), round(0.1 * SAMPLE_RATE)
"""Samples kept before and after speech. On 120 acted clips the start was detected at most 0.16 s late in 95 of 100, and
the end 0.1 s late."""

LEAST_TRANSCRIBED_SECONDS = 0.25
"""Audio that a transcript's utterance must have: a short syllable. Pitch and pace need at least that."""

MOST_TRANSCRIBED_SECONDS = 60.0
"""Audio that is kept of a transcript's utterance. A plain text file may be one utterance of an hour."""

SILENT = 1e-4
"""Peak, -80 dB: three steps of a 16-bit recording. Audio below it counts as silence."""

TOO_QUIET_DECIBELS = -55.0
"""Effective level of speech, in dB of full scale, below which there is a warning. RAVDESS is recorded far below full
scale, and still 97 of 100 of its clips are louder."""

CLIPPED_SHARE = 0.01
"""Smallest share of clipped time that gives a warning."""


@dataclass(frozen=True)
class SpokenUtterance:
    """An utterance with its audio.

    Attributes:
        utterance: Times on the recording's clock; speaker and text only from a transcript.
        samples: ``(samples,)`` float32 in -1 … 1, mono, 16 kHz, without offset, from start to end; gaps in the audio
            are silence. If a transcript's utterance exceeds the audio, only the part with audio.
        offset_seconds: Time from the start of the utterance to the first sample; 0 unless the audio starts later.
    """

    utterance: Utterance
    samples: NDArray[np.float32] = field(repr=False, compare=False)
    offset_seconds: float = 0.0


class SpeechReader:
    """An iterable over the utterances of a recording; it can be repeated if the blocks can.

    Without a transcript, utterances are 0.5 to 15 s long and do not overlap. Memory does not grow with the recording:
    at most the last 60 s of audio are kept.

    Args:
        blocks: Audio in order of time at 16 kHz, as from ``read_audio``.
        utterances: Utterances of a transcript, in any order, overlapping or not; each is cut as it is, up to its first
            60 s. One with less than 0.25 s of audio, or only silence, is skipped. None to detect speech by voice
            activity; an empty transcript has no utterances.

    Attributes:
        warnings: One line per problem of the audio; complete after an iteration.

    Raises:
        ConfigError: While iterating: the blocks have another sample rate.
        DependencyError: While iterating: voice activity is needed but not installed.
        MultimodalError: While iterating: reading the blocks fails.

    Example:
        >>> silence = AudioBlock(0.0, np.zeros(32000, np.float32), 16000)
        >>> reader = SpeechReader([silence])
        >>> list(reader), reader.warnings
        ([], ['no speech was found: the sound is silent'])
    """

    def __init__(self, blocks: Iterable[AudioBlock], utterances: Sequence[Utterance] | None = None) -> None:
        self.blocks = blocks
        self.utterances = None if utterances is None else tuple(utterances)
        self.warnings: list[str] = []

    def __iter__(self) -> Generator[SpokenUtterance]:
        self.warnings.clear()
        quality, counts = AudioQuality(), _Counts()
        pieces = even_pieces(self.blocks, quality)
        if self.utterances is None:
            utterances = _SpeechDetector().utterances(pieces)
        else:
            utterances = _cut_transcript(pieces, self.utterances, counts)
        for utterance in utterances:
            counts.add(utterance.samples)
            yield utterance
        if self.utterances is None and not counts.samples:
            self.warnings.append(_no_speech_warning(quality))
        self.warnings += counts.warnings(len(self.utterances or ())) + _quality_warnings(quality)


def read_speech(blocks: Iterable[AudioBlock], utterances: Sequence[Utterance] | None = None) -> SpeechReader:
    """Cuts audio into utterances; the function form of ``SpeechReader``.

    Args:
        blocks: Audio in order of time at 16 kHz, as from ``read_audio``.
        utterances: Utterances of a transcript; None to detect speech by voice activity.

    Returns:
        An iterable of utterances in the order in which their audio ends; its ``warnings`` name problems of the audio.

    Raises:
        MultimodalError: While iterating, see ``SpeechReader``.

    Example:
        >>> block = AudioBlock(10.0, np.full(16000, 0.1, np.float32), 16000)
        >>> block.samples[::2] = -0.1
        >>> (answer,) = read_speech([block], [Utterance(10.25, 10.75, "Participant", "Yes.")])
        >>> answer.utterance.text, len(answer.samples)
        ('Yes.', 8000)
    """
    return SpeechReader(blocks, utterances)


# --- without a transcript --------------------------------------------------------------------------------------------


class _SpeechDetector:
    """Detects speech in pieces of audio and cuts out its utterances."""

    def __init__(self) -> None:
        self._activity = VoiceActivity()
        self._buffer = AudioBuffer()
        self._endpointer = Endpointer()
        self._origin = 0  # position of the current run of pieces
        self._free = 0  # position after the last utterance

    def utterances(self, pieces: Iterable[Piece]) -> Generator[SpokenUtterance]:
        for piece in pieces:
            if piece.begins:
                self._activity.reset()
                self._endpointer, self._origin, self._free = Endpointer(), piece.start, piece.start
            self._buffer.add(piece.start, piece.samples)
            for probability in self._activity.probabilities(piece.samples).tolist():
                yield from self._cut_out(self._endpointer.take(probability))
            if piece.ends:
                yield from self._cut_out(self._endpointer.finish())
            self._buffer.forget(
                self._origin + self._endpointer.earliest * CHUNK - round(SHORTEST_SECONDS * SAMPLE_RATE)
            )

    def _cut_out(self, spans: Iterable[Span]) -> Iterator[SpokenUtterance]:
        for span in spans:
            start, end = self._with_margins(span)
            if end - start >= SHORTEST_SECONDS * SAMPLE_RATE:
                self._free = end
                yield SpokenUtterance(Utterance(start / SAMPLE_RATE, end / SAMPLE_RATE), self._buffer.cut(start, end))

    def _with_margins(self, span: Span) -> tuple[int, int]:
        """Start and end of a span with its margins, widened to the shortest utterance if there is enough audio."""
        start = max(self._origin + span.start * CHUNK - BEFORE, self._free)
        end = min(self._origin + span.end * CHUNK + (0 if span.continues else AFTER), self._buffer.end)
        shortest = round(SHORTEST_SECONDS * SAMPLE_RATE)
        if end - start < shortest:
            start = max(start - (shortest - (end - start)) // 2, self._free)
            end = min(start + shortest, self._buffer.end)
            start = max(end - shortest, self._free)
        return start, end


# --- with a transcript -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Range:
    """A transcript's utterance and the positions of its audio, in samples."""

    utterance: Utterance
    start: int
    end: int

    @staticmethod
    def of(utterance: Utterance) -> _Range:
        end_seconds = min(utterance.end_seconds, utterance.start_seconds + MOST_TRANSCRIBED_SECONDS)
        return _Range(utterance, round(utterance.start_seconds * SAMPLE_RATE), round(end_seconds * SAMPLE_RATE))


def _cut_transcript(
    pieces: Iterable[Piece], utterances: Sequence[Utterance], counts: _Counts
) -> Generator[SpokenUtterance]:
    """Cuts out the utterances of a transcript while reading the audio once."""
    waiting = deque(sorted(utterances, key=lambda utterance: utterance.start_seconds))
    current: list[_Range] = []
    buffer = AudioBuffer()
    for piece in pieces:
        buffer.add(piece.start, piece.samples)
        while waiting and waiting[0].start_seconds * SAMPLE_RATE < buffer.end:
            current.append(_Range.of(waiting.popleft()))
        yield from _cut_ranges(buffer, [span for span in current if span.end <= buffer.end], counts)
        current = [span for span in current if span.end > buffer.end]
        buffer.forget(min((span.start for span in current), default=buffer.end))
    yield from _cut_ranges(buffer, current, counts)
    counts.silent_starts += [utterance.start_seconds for utterance in waiting]


def _cut_ranges(buffer: AudioBuffer, ranges: Sequence[_Range], counts: _Counts) -> Iterator[SpokenUtterance]:
    for span in sorted(ranges, key=lambda span: span.end):
        start, end = buffer.extent(span.start, span.end) or (0, 0)
        samples = buffer.cut(start, end)
        if end - start < LEAST_TRANSCRIBED_SECONDS * SAMPLE_RATE or max(samples.max(), -samples.min()) < SILENT:
            counts.silent_starts.append(span.utterance.start_seconds)
            continue
        counts.shortened += span.utterance.end_seconds - span.utterance.start_seconds > MOST_TRANSCRIBED_SECONDS
        yield SpokenUtterance(span.utterance, samples, (start - span.start) / SAMPLE_RATE)


# --- warnings --------------------------------------------------------------------------------------------------------


@dataclass
class _Counts:
    """Statistics of the utterances, for the warnings.

    Attributes:
        samples: Number of samples in all utterances.
        energy: Sum of their squares.
        silent_starts: Starts, in seconds, of a transcript's utterances without audio.
        shortened: Number of a transcript's utterances that were cut to the longest allowed.
    """

    samples: int = 0
    energy: float = 0.0
    silent_starts: list[float] = field(default_factory=list)
    shortened: int = 0

    def add(self, samples: NDArray[np.float32]) -> None:
        self.samples += len(samples)
        self.energy += float(np.dot(samples, samples))

    def warnings(self, utterances: int) -> list[str]:
        lines = []
        if self.silent_starts:
            lines.append(
                f"{len(self.silent_starts)} of the transcript's {utterances} utterances have no audio "
                f"(first at {min(self.silent_starts):.1f} s): their voice is ignored"
            )
        if self.shortened:
            lines.append(
                f"{self.shortened} of the transcript's {utterances} utterances are longer than "
                f"{MOST_TRANSCRIBED_SECONDS:.0f} s: only the start of their voice is used"
            )
        level = _decibels(math.sqrt(self.energy / max(self.samples, 1)))
        if self.samples and level < TOO_QUIET_DECIBELS:
            lines.append(f"the speech is very quiet ({level:.0f} dB of full scale): voice results are less reliable")
        return lines


def _no_speech_warning(quality: AudioQuality) -> str:
    if not quality.seconds:
        return "no speech was found: there is no sound"
    if quality.seconds < SHORTEST_SECONDS:
        return f"no speech was found: the sound lasts {quality.seconds:.2f} s, but must last {SHORTEST_SECONDS} s"
    if quality.peak < SILENT:
        return "no speech was found: the sound is silent"
    if _decibels(quality.peak) < TOO_QUIET_DECIBELS:
        return f"no speech was found: the sound is very quiet (peak {_decibels(quality.peak):.0f} dB of full scale)"
    return "no speech was found in the sound"


def _quality_warnings(quality: AudioQuality) -> list[str]:
    lines = []
    if quality.clipped_share >= CLIPPED_SHARE:
        lines.append(f"the sound is clipped in {quality.clipped_share:.0%} of its time: it was recorded too loud")
    if quality.invalid_samples:
        lines.append(f"the sound has invalid values, replaced by silence: {quality.invalid_samples}")
    return lines


def _decibels(level: float) -> float:
    return 20 * math.log10(max(level, 1e-9))
