"""Lays an analysis out in tiers, as annotation tools do: rows of spans on one clock, in milliseconds.

Each speaker has a tier of words and, span for span with it, tiers of the answer, its confidence, the usability label of
the words and the estimate of each signal; each face has a tier of its emotions by frame, with equal neighbors merged.
Spans of one tier never overlap: overlapping utterances of one speaker go to further tiers, ``words@Ada (2)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from multimodal.analysis.usability import certain_usability
from multimodal.data.transcripts.text import plain_name, printable
from multimodal.types import MODALITIES, MODALITY_NAMES, UtteranceEstimate, top_label

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

KINDS = ("words", "emotion", "confidence", "usability", "face")
"""Content of a tier; ``words`` and ``face`` have their own times, the others share the times of the words."""

_CHILDREN = (
    ("emotion", "emotion", "fused"),
    ("confidence", "confidence", "fused"),
    ("usability", "usability", "text"),
    *((f"emotion-{MODALITY_NAMES[modality]}", "emotion", modality) for modality in MODALITIES),
)
"""Name, kind and estimate of the tiers that depend on the words."""


@dataclass(frozen=True)
class Span:
    """An interval with a value.

    Attributes:
        start_milliseconds: Start on the recording's clock.
        end_milliseconds: End, at least one after the start.
        value: One line of text; may be empty.
        index: Index of the utterance among the estimates; in the tier of a face, number of the span.
    """

    start_milliseconds: int
    end_milliseconds: int
    value: str
    index: int


@dataclass(frozen=True)
class Tier:
    """A row of spans in order of time that do not overlap.

    Attributes:
        name: Name, unique in the analysis.
        kind: One of ``KINDS``.
        spans: Spans in order of time.
        part: Source of the values: a modality, ``fused``, or None for words.
        speaker: Name of the speaker; None where unknown.
        parent: Name of the tier of words that the tier depends on; None for a tier with its own times.
    """

    name: str
    kind: str
    spans: tuple[Span, ...]
    part: str | None = None
    speaker: str | None = None
    parent: str | None = None


def milliseconds(start_seconds: float, end_seconds: float) -> tuple[int, int]:
    """Converts times to whole milliseconds; annotation tools need at least one between start and end.

    Args:
        start_seconds: Start on the recording's clock.
        end_seconds: End on the recording's clock.

    Returns:
        Start and end in milliseconds, the end after the start.

    Example:
        >>> milliseconds(1.0004, 2.5), milliseconds(3.0, 3.0)
        ((1000, 2500), (3000, 3001))
    """
    start = round(start_seconds * 1000)
    return start, max(round(end_seconds * 1000), start + 1)


def find_tiers(analysis: Analysis) -> list[Tier]:
    """Lays an analysis out in tiers.

    Args:
        analysis: An analysis with times.

    Returns:
        For each speaker, in order of appearance, ``words@NAME``, ``emotion@NAME``, ``confidence@NAME``,
        ``usability@NAME``, ``emotion-face@NAME``, ``emotion-voice@NAME`` and ``emotion-words@NAME``, without ``@NAME``
        for an unnamed speaker; then ``face 0``, ``face 1`` … There is at least one tier of words; other tiers are never
        empty.
    """
    endings: set[str] = set()
    tiers: list[Tier] = []
    for speaker, indices in _rows_by_speaker(analysis.estimates) or [(None, [])]:
        tiers += _speaker_tiers(analysis, speaker, indices, _free_ending(speaker, endings))
    return tiers + _face_tiers(analysis)


def end_milliseconds(analysis: Analysis, tiers: Sequence[Tier]) -> int:
    """Returns the end of the recording, or of the last span where that is later.

    Args:
        analysis: The analysis of any input.
        tiers: Tiers of the export.

    Returns:
        Milliseconds from the start of the recording.
    """
    ends = [span.end_milliseconds for tier in tiers for span in tier.spans]
    return max([round(analysis.media.read_end_seconds * 1000), 1, *ends])


def _rows_by_speaker(estimates: Sequence[UtteranceEstimate]) -> list[tuple[str | None, list[int]]]:
    """Returns each speaker with the indices of utterances; a speaker has a row more for each overlap."""
    rows_by_speaker: dict[str | None, list[list[int]]] = {}
    ends: dict[tuple[str | None, int], int] = {}
    for index, start, end in _ordered(estimates):
        speaker = plain_name(printable(estimates[index].utterance.speaker))
        rows = rows_by_speaker.setdefault(speaker, [])
        number = next((n for n in range(len(rows)) if ends[speaker, n] <= start), len(rows))
        if number == len(rows):
            rows.append([])
        rows[number].append(index)
        ends[speaker, number] = end
    return [(speaker, row) for speaker, rows in rows_by_speaker.items() for row in rows]


def _ordered(estimates: Sequence[UtteranceEstimate]) -> list[tuple[int, int, int]]:
    times = (milliseconds(each.utterance.start_seconds, each.utterance.end_seconds) for each in estimates)
    return sorted(((index, *pair) for index, pair in enumerate(times)), key=lambda entry: entry[1:])


def _free_ending(speaker: str | None, endings: set[str]) -> str:
    ending = first = f"@{speaker}" if speaker else ""
    number = 1
    while ending in endings:
        number += 1
        ending = f"{first} ({number})"
    endings.add(ending)
    return ending


def _speaker_tiers(analysis: Analysis, speaker: str | None, indices: list[int], ending: str) -> list[Tier]:
    parent = f"words{ending}"
    words = [(index, printable(analysis.estimates[index].utterance.text)) for index in indices]
    tiers = [Tier(parent, "words", _spans(analysis, words), None, speaker)]
    for name, kind, part in _CHILDREN:
        values = [(index, _value(analysis.estimates[index], kind, part)) for index in indices]
        present = [(index, value) for index, value in values if value is not None]
        if present:
            tiers.append(Tier(f"{name}{ending}", kind, _spans(analysis, present), part, speaker, parent))
    return tiers


def _spans(analysis: Analysis, values: Sequence[tuple[int, str]]) -> tuple[Span, ...]:
    utterances = [(index, analysis.estimates[index].utterance, value) for index, value in values]
    return tuple(Span(*milliseconds(u.start_seconds, u.end_seconds), value, index) for index, u, value in utterances)


def _value(estimate: UtteranceEstimate, kind: str, part: str) -> str | None:
    if kind == "usability":
        return certain_usability(estimate)
    modality_estimate = estimate.get(part)
    if modality_estimate is None:
        return None
    if kind == "confidence":
        return f"{modality_estimate.confidence:.2f}"
    return printable(estimate.emotion if part == "fused" else top_label(modality_estimate.probabilities))


def _face_tiers(analysis: Analysis) -> list[Tier]:
    runs: dict[int, list[Span]] = {}
    for face_id, start, end, label in _face_spans(analysis):
        spans = runs.setdefault(face_id, [])
        if spans and spans[-1].value == label and spans[-1].end_milliseconds >= start:
            spans[-1] = Span(spans[-1].start_milliseconds, end, label, spans[-1].index)
        else:
            spans.append(Span(start, end, label, len(spans)))
    return [Tier(f"face {face_id}", "face", tuple(runs[face_id]), "face") for face_id in sorted(runs)]


def _face_spans(analysis: Analysis) -> Iterator[tuple[int, int, int, str]]:
    """Returns face id, start, end and label of every scored face of every frame."""
    lengths = dict(analysis.frame_slices())
    for face in sorted(analysis.faces, key=lambda face: face.time_seconds):
        if face.probabilities is not None and face.time_seconds in lengths:
            start, end = milliseconds(face.time_seconds, face.time_seconds + lengths[face.time_seconds])
            yield face.face_id, start, end, printable(top_label(face.probabilities))
