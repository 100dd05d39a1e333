"""An analysis as tiers, the way annotation tools see a recording: rows of spans on one clock, in milliseconds.

Per speaker there is a tier of the words and, span for span with it, tiers of the answer, of how sure it is, and of what
each signal says alone; per face a tier of what it showed, frame by frame, with equal neighbors merged. Spans of one
tier never overlap: where somebody's utterances do, they are dealt out to further tiers, ``words@Ada (2)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multimodal.analysis.result import Analysis
from multimodal.data.transcripts.text import plain_name, printable
from multimodal.types import MODALITIES, MODALITY_NAMES, UtteranceEstimate, top_label

KINDS = ("words", "emotion", "confidence", "face")
"""What a tier holds; ``words`` and ``face`` have times of their own, the others those of the words."""


_CHILDREN = (
    ("emotion", "emotion", "fused"),
    ("confidence", "confidence", "fused"),
    *((f"emotion-{MODALITY_NAMES[modality]}", "emotion", modality) for modality in MODALITIES),
)
"""Name, kind and part of the tiers that hang on the words."""


@dataclass(frozen=True)
class Span:
    """A stretch with a value.

    Attributes:
        start_milliseconds: On the recording's clock.
        end_milliseconds: At least one after the start.
        value: One line of text; empty where nothing is known.
        index: Of the utterance among the estimates; of a face's tier the number of the span.
    """

    start_milliseconds: int
    end_milliseconds: int
    value: str
    index: int


@dataclass(frozen=True)
class Tier:
    """A row of spans in order of time, none overlapping another.

    Attributes:
        name: Unique in the analysis.
        kind: One of ``KINDS``.
        spans: In order of time.
        part: Whose estimate it is: a signal, ``fused``, or None for words.
        speaker: Who is heard, where known.
        parent: Name of the tier of words that it belongs to; None for a tier with times of its own.
    """

    name: str
    kind: str
    spans: tuple[Span, ...]
    part: str | None = None
    speaker: str | None = None
    parent: str | None = None


def milliseconds(start_seconds: float, end_seconds: float) -> tuple[int, int]:
    """Times as tools of the field hold them; what has no length lasts one millisecond, since none can hold nothing.

    Args:
        start_seconds: On the recording's clock.
        end_seconds: Likewise.

    Returns:
        Start and end, the end after the start.

    Example:
        >>> milliseconds(1.0004, 2.5), milliseconds(3.0, 3.0)
        ((1000, 2500), (3000, 3001))
    """
    start = round(start_seconds * 1000)
    return start, max(round(end_seconds * 1000), start + 1)


def find_tiers(analysis: Analysis) -> list[Tier]:
    """Lays an analysis out in tiers.

    Args:
        analysis: With times.

    Returns:
        Per speaker, in order of appearance, ``words@NAME``, ``emotion@NAME``, ``confidence@NAME``,
        ``emotion-face@NAME``, ``emotion-voice@NAME`` and ``emotion-words@NAME``, without ``@NAME`` where nobody is
        named; then ``face 0``, ``face 1`` … Tiers of words are there for each speaker, at least one; others only where
        something is in them.
    """
    taken: set[str] = set()
    tiers: list[Tier] = []
    for speaker, indices in _lanes(analysis.estimates) or [(None, [])]:
        tiers += _spoken_tiers(analysis, speaker, indices, _free_ending(speaker, taken))
    return tiers + _face_tiers(analysis)


def end_milliseconds(analysis: Analysis, tiers: Sequence[Tier]) -> int:
    """Where the recording ends, or the last span where that is later."""
    ends = [span.end_milliseconds for tier in tiers for span in tier.spans]
    return max([round(analysis.media.read_end_seconds * 1000), 1, *ends])


def _lanes(estimates: Sequence[UtteranceEstimate]) -> list[tuple[str | None, list[int]]]:
    """Indices of the utterances of each speaker, dealt out so that none of a lane overlap."""
    lanes: dict[str | None, list[list[int]]] = {}
    ends: dict[tuple[str | None, int], int] = {}
    for index, start, end in _ordered(estimates):
        speaker = plain_name(printable(estimates[index].utterance.speaker))
        own = lanes.setdefault(speaker, [])
        number = next((n for n in range(len(own)) if ends[speaker, n] <= start), len(own))
        if number == len(own):
            own.append([])
        own[number].append(index)
        ends[speaker, number] = end
    return [(speaker, lane) for speaker, own in lanes.items() for lane in own]


def _ordered(estimates: Sequence[UtteranceEstimate]) -> list[tuple[int, int, int]]:
    times = (milliseconds(each.utterance.start_seconds, each.utterance.end_seconds) for each in estimates)
    return sorted(((index, *pair) for index, pair in enumerate(times)), key=lambda entry: entry[1:])


def _free_ending(speaker: str | None, taken: set[str]) -> str:
    ending = wanted = f"@{speaker}" if speaker else ""
    number = 1
    while ending in taken:
        number += 1
        ending = f"{wanted} ({number})"
    taken.add(ending)
    return ending


def _spoken_tiers(analysis: Analysis, speaker: str | None, indices: list[int], ending: str) -> list[Tier]:
    parent = f"words{ending}"
    words = [(index, printable(analysis.estimates[index].utterance.text)) for index in indices]
    tiers = [Tier(parent, "words", _spans(analysis, words), None, speaker)]
    for name, kind, part in _CHILDREN:
        said = [(index, _value(analysis.estimates[index], kind, part)) for index in indices]
        known = [(index, value) for index, value in said if value is not None]
        if known:
            tiers.append(Tier(f"{name}{ending}", kind, _spans(analysis, known), part, speaker, parent))
    return tiers


def _spans(analysis: Analysis, values: Sequence[tuple[int, str]]) -> tuple[Span, ...]:
    spoken = [(index, analysis.estimates[index].utterance, value) for index, value in values]
    return tuple(Span(*milliseconds(u.start_seconds, u.end_seconds), value, index) for index, u, value in spoken)


def _value(estimate: UtteranceEstimate, kind: str, part: str) -> str | None:
    said = estimate.get(part)
    if said is None:
        return None
    if kind == "confidence":
        return f"{said.confidence:.2f}"
    return printable(estimate.emotion if part == "fused" else top_label(said.probabilities))


def _face_tiers(analysis: Analysis) -> list[Tier]:
    runs: dict[int, list[Span]] = {}
    for face_id, start, end, label in _shown(analysis):
        own = runs.setdefault(face_id, [])
        if own and own[-1].value == label and own[-1].end_milliseconds >= start:
            own[-1] = Span(own[-1].start_milliseconds, end, label, own[-1].index)
        else:
            own.append(Span(start, end, label, len(own)))
    return [Tier(f"face {face_id}", "face", tuple(runs[face_id]), "face") for face_id in sorted(runs)]


def _shown(analysis: Analysis) -> Iterator[tuple[int, int, int, str]]:
    """Every scored face of every frame, with the stretch that the frame stands for."""
    lengths = dict(analysis.frame_slices())
    for seen in sorted(analysis.faces, key=lambda face: face.time_seconds):
        if seen.probabilities is not None and seen.time_seconds in lengths:
            start, end = milliseconds(seen.time_seconds, seen.time_seconds + lengths[seen.time_seconds])
            yield seen.face_id, start, end, printable(top_label(seen.probabilities))
