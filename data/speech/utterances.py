"""Cuts the sound of a recording into utterances: by its transcript where there is one, else at pauses.

What comes out for difficult sound:

==========================================  ===========================================================================
silence, noise, tones, clicks, music         no utterance, and a warning that no speech was found (singing may pass)
no sound, or less than 0.5 s of it           no utterance, and a warning that says so
very quiet speech                            raised for the detector only, by up to 50 dB; below -55 dB of full scale a
                                             warning; below about -80 dB it is not found
clipped sound                                used as it is; a warning where 1 % of the time is clipped
an offset                                    removed, by a running mean of 2 s
telephone sound (8 kHz)                      resampled on reading and used like any other
one dead channel of two                      the mean of both is half as loud, which changes nothing here
a gap in the sound                           silence where it is at most 1 s or lies within a transcript's utterance,
                                             else an end of whatever was being said
values that are no numbers                   silence, and a warning
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
from multimodal.data.speech.stream import CHUNK, SAMPLE_RATE, AudioBuffer, Piece, SoundFacts, even_pieces
from multimodal.data.speech.voice_activity import VoiceActivity
from multimodal.types import AudioBlock, Utterance

__all__ = ["SAMPLE_RATE", "SpeechReader", "SpokenUtterance", "read_speech"]

SHORTEST_SECONDS = 0.5
"""Of an utterance that is cut at pauses; the longest is set in ``pauses``."""

BEFORE, AFTER = round(0.15 * SAMPLE_RATE), round(0.1 * SAMPLE_RATE)
"""Samples kept before and after speech. On 120 acted clips it was noticed at most 0.16 s late in 95 of 100, and lost
0.1 s after it had ended."""

LEAST_TRANSCRIBED_SECONDS = 0.25
"""Sound that a transcript's utterance must have: a short syllable. Pitch and pace of less say nothing."""

MOST_TRANSCRIBED_SECONDS = 60.0
"""Sound that is kept of a transcript's utterance. A plain text file may be one utterance of an hour."""

SILENT = 1e-4
"""Peak, -80 dB: three steps of a 16-bit recording. Nothing louder is no sound at all."""

TOO_QUIET_DECIBELS = -55.0
"""Effective level of speech, in dB of full scale, below which a warning says so. RAVDESS is recorded far from full
scale, and still 97 of 100 of its clips are louder."""

CLIPPED_SHARE = 0.01
"""Share of the time clipped from which on a warning says so."""


@dataclass(frozen=True)
class SpokenUtterance:
    """An utterance with its sound.

    Attributes:
        utterance: When, and from a transcript who and what; times on the recording's clock.
        samples: ``(samples,)`` float32 in -1 … 1, mono, 16 kHz, without offset, of exactly that stretch; gaps in the
            sound are silence. A transcript's utterance may reach beyond the sound: then what there is of it.
        offset_seconds: How far into the utterance the samples begin; 0 unless the sound begins later than it.
    """

    utterance: Utterance
    samples: NDArray[np.float32] = field(repr=False, compare=False)
    offset_seconds: float = 0.0


class SpeechReader:
    """The utterances in a recording's sound; iterate over it, as often as the blocks can be iterated over.

    Without a transcript they are 0.5 to 15 s long and do not overlap. Memory stays flat over hours: at most the last
    60 s of sound are kept.

    Args:
        blocks: Sound in order of time at 16 kHz, such as ``read_audio`` gives.
        utterances: A transcript's, which then are cut as they are, in any order, overlapping or not: whole up to 60 s,
            then their first 60 s. One with less than 0.25 s of sound, or only silence, is left out. None to find speech
            by voice activity; an empty transcript has no utterances.

    Attributes:
        warnings: Plain lines on what was not found or is wrong with the sound; complete when an iteration has ended.

    Raises:
        ConfigError: While iterating: the blocks have another sample rate.
        DependencyError: While iterating: voice activity is needed and not installed.
        MultimodalError: While iterating: whatever reading the blocks raises.

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
        facts, notes = SoundFacts(), _Notes()
        pieces = even_pieces(self.blocks, facts)
        if self.utterances is None:
            spoken = _Listener().utterances(pieces)
        else:
            spoken = _transcribed(pieces, self.utterances, notes)
        for found in spoken:
            notes.count(found.samples)
            yield found
        if self.utterances is None and not notes.samples:
            self.warnings.append(_nothing_found(facts))
        self.warnings += notes.lines(len(self.utterances or ())) + _faults(facts)


def read_speech(blocks: Iterable[AudioBlock], utterances: Sequence[Utterance] | None = None) -> SpeechReader:
    """Cuts sound into utterances; the same as ``SpeechReader``, named as a verb.

    Args:
        blocks: Sound in order of time at 16 kHz, such as ``read_audio`` gives.
        utterances: A transcript's; None to find speech by voice activity.

    Returns:
        An iterable of utterances in the order in which their sound ends; its ``warnings`` say what is wrong with it.

    Raises:
        MultimodalError: While iterating, as ``SpeechReader``.

    Example:
        >>> sound = [AudioBlock(10.0, np.full(16000, 0.1, np.float32), 16000)]
        >>> sound[0].samples[::2] = -0.1
        >>> (answer,) = read_speech(sound, [Utterance(10.25, 10.75, "Participant", "Yes.")])
        >>> answer.utterance.text, len(answer.samples)
        ('Yes.', 8000)
    """
    return SpeechReader(blocks, utterances)


# --- without a transcript --------------------------------------------------------------------------------------------


class _Listener:
    """Listens to pieces of sound and cuts out what is said."""

    def __init__(self) -> None:
        self._activity = VoiceActivity()
        self._track = AudioBuffer()
        self._pauses = Endpointer()
        self._origin = 0  # place of the present stretch
        self._free = 0  # place from which on nothing was given out

    def utterances(self, pieces: Iterable[Piece]) -> Generator[SpokenUtterance]:
        for piece in pieces:
            if piece.begins:
                self._activity.reset()
                self._pauses, self._origin, self._free = Endpointer(), piece.start, piece.start
            self._track.add(piece.start, piece.samples)
            for probability in self._activity.probabilities(piece.samples).tolist():
                yield from self._cut_out(self._pauses.take(probability))
            if piece.ends:
                yield from self._cut_out(self._pauses.finish())
            self._track.forget(self._origin + self._pauses.earliest * CHUNK - round(SHORTEST_SECONDS * SAMPLE_RATE))

    def _cut_out(self, spans: Iterable[Span]) -> Iterator[SpokenUtterance]:
        for span in spans:
            start, end = self._with_margins(span)
            if end - start >= SHORTEST_SECONDS * SAMPLE_RATE:
                self._free = end
                yield SpokenUtterance(Utterance(start / SAMPLE_RATE, end / SAMPLE_RATE), self._track.cut(start, end))

    def _with_margins(self, span: Span) -> tuple[int, int]:
        """Places of a span with its margins, widened to the shortest utterance where the sound allows."""
        start = max(self._origin + span.start * CHUNK - BEFORE, self._free)
        end = min(self._origin + span.end * CHUNK + (0 if span.joined else AFTER), self._track.end)
        shortest = round(SHORTEST_SECONDS * SAMPLE_RATE)
        if end - start < shortest:
            start = max(start - (shortest - (end - start)) // 2, self._free)
            end = min(start + shortest, self._track.end)
            start = max(end - shortest, self._free)
        return start, end


# --- with a transcript -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Wanted:
    """A transcript's utterance and the places of the sound that is kept of it."""

    utterance: Utterance
    start: int
    end: int

    @staticmethod
    def of(utterance: Utterance) -> _Wanted:
        end_seconds = min(utterance.end_seconds, utterance.start_seconds + MOST_TRANSCRIBED_SECONDS)
        return _Wanted(utterance, round(utterance.start_seconds * SAMPLE_RATE), round(end_seconds * SAMPLE_RATE))


def _transcribed(pieces: Iterable[Piece], utterances: Sequence[Utterance], notes: _Notes) -> Generator[SpokenUtterance]:
    """Cuts out the utterances of a transcript while the sound goes by."""
    waiting = deque(sorted(utterances, key=lambda utterance: utterance.start_seconds))
    under_way: list[_Wanted] = []
    track = AudioBuffer()
    for piece in pieces:
        track.add(piece.start, piece.samples)
        while waiting and waiting[0].start_seconds * SAMPLE_RATE < track.end:
            under_way.append(_Wanted.of(waiting.popleft()))
        yield from _cut_wanted(track, [wanted for wanted in under_way if wanted.end <= track.end], notes)
        under_way = [wanted for wanted in under_way if wanted.end > track.end]
        track.forget(min((wanted.start for wanted in under_way), default=track.end))
    yield from _cut_wanted(track, under_way, notes)
    notes.soundless += [utterance.start_seconds for utterance in waiting]


def _cut_wanted(track: AudioBuffer, ended: Sequence[_Wanted], notes: _Notes) -> Iterator[SpokenUtterance]:
    for wanted in sorted(ended, key=lambda wanted: wanted.end):
        start, end = track.heard(wanted.start, wanted.end) or (0, 0)
        samples = track.cut(start, end)
        if end - start < LEAST_TRANSCRIBED_SECONDS * SAMPLE_RATE or max(samples.max(), -samples.min()) < SILENT:
            notes.soundless.append(wanted.utterance.start_seconds)
            continue
        notes.shortened += wanted.utterance.end_seconds - wanted.utterance.start_seconds > MOST_TRANSCRIBED_SECONDS
        yield SpokenUtterance(wanted.utterance, samples, (start - wanted.start) / SAMPLE_RATE)


# --- warnings --------------------------------------------------------------------------------------------------------


@dataclass
class _Notes:
    """What was noticed about the utterances.

    Attributes:
        samples: Given out.
        energy: Sum of their squares.
        soundless: Starts, in seconds, of a transcript's utterances without sound.
        shortened: How many of a transcript's utterances were too long to be kept whole.
    """

    samples: int = 0
    energy: float = 0.0
    soundless: list[float] = field(default_factory=list)
    shortened: int = 0

    def count(self, samples: NDArray[np.float32]) -> None:
        self.samples += len(samples)
        self.energy += float(np.dot(samples, samples))

    def lines(self, utterances: int) -> list[str]:
        found = []
        if self.soundless:
            found.append(
                f"{len(self.soundless)} of the transcript's {utterances} utterances have no sound to judge "
                f"(the first at {min(self.soundless):.1f} s): their voice is left out"
            )
        if self.shortened:
            found.append(
                f"{self.shortened} of the transcript's {utterances} utterances are longer than "
                f"{MOST_TRANSCRIBED_SECONDS:.0f} s: only so much of their voice is heard"
            )
        level = _decibels(math.sqrt(self.energy / max(self.samples, 1)))
        if self.samples and level < TOO_QUIET_DECIBELS:
            found.append(f"the speech is very quiet ({level:.0f} dB of full scale): what the voice shows is less sure")
        return found


def _nothing_found(facts: SoundFacts) -> str:
    if not facts.seconds:
        return "no speech was found: there is no sound"
    if facts.seconds < SHORTEST_SECONDS:
        return f"no speech was found: the sound lasts {facts.seconds:.2f} s, and {SHORTEST_SECONDS} s are needed"
    if facts.peak < SILENT:
        return "no speech was found: the sound is silent"
    if _decibels(facts.peak) < TOO_QUIET_DECIBELS:
        return f"no speech was found: the sound is very quiet (at most {_decibels(facts.peak):.0f} dB of full scale)"
    return "no speech was found in the sound"


def _faults(facts: SoundFacts) -> list[str]:
    found = []
    if facts.clipped_share >= CLIPPED_SHARE:
        found.append(f"the sound is clipped in {facts.clipped_share:.0%} of its time: it was recorded too loud")
    if facts.broken_samples:
        found.append(f"the sound holds values that are no numbers, taken as silence: {facts.broken_samples}")
    return found


def _decibels(level: float) -> float:
    return 20 * math.log10(max(level, 1e-9))
