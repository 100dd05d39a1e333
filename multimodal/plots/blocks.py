"""What a timeline draws: blocks with an answer, lines of valence and arousal, and where there is nothing.

Positions are seconds of the recording's clock; of words without times they are lines, the first from 0 to 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from multimodal.analysis.result import Analysis, primary_modality
from multimodal.data.transcripts.text import printable
from multimodal.types import UNCERTAIN, top_label


@dataclass(frozen=True)
class Block:
    """A stretch with an answer.

    Attributes:
        start: In seconds, or in lines from 0 on.
        end: Likewise.
        label: An emotion or ``uncertain``.
        confidence: 0 … 1.
    """

    start: float
    end: float
    label: str
    confidence: float


def answer_blocks(analysis: Analysis) -> list[Block]:
    """Every utterance's answer from all signals together, or from the first signal there is where nothing joins them.

    Args:
        analysis: Of any input.

    Returns:
        Blocks in order of time; what has no answer has none.
    """
    modality = primary_modality(analysis.estimates)
    blocks = []
    for (start, end), estimate in zip(_places(analysis), analysis.estimates, strict=True):
        said = estimate.get(modality) if modality else None
        if said is not None:
            label = estimate.emotion if modality == "fused" else top_label(said.probabilities)
            blocks.append(Block(start, end, printable(label or UNCERTAIN), said.confidence))
    return blocks


def modality_blocks(analysis: Analysis, modality: str) -> list[Block]:
    """What one signal says alone: a face by the frame, with equal neighbors merged, voice and words by the utterance.

    Args:
        analysis: Of any input.
        modality: One of ``MODALITIES``.

    Returns:
        Blocks in order of time.
    """
    if modality == "face" and analysis.frame_times:
        found = [(time, time + seconds, shown) for time, seconds, shown in analysis.face_answers()]
        return _merged(
            Block(start, end, printable(top_label(shown)), max(shown.values())) for start, end, shown in found
        )
    said = [(place, each.get(modality)) for place, each in zip(_places(analysis), analysis.estimates, strict=True)]
    return [
        Block(*place, printable(top_label(each.probabilities)), each.confidence)
        for place, each in said
        if each is not None
    ]


def affect_line(analysis: Analysis, name: str) -> tuple[list[float], list[float]]:
    """Valence or arousal over time, level during each utterance, broken where nothing is known.

    Args:
        analysis: Of any input.
        name: ``valence`` or ``arousal``.

    Returns:
        Times in seconds (or lines) and values -1 … 1, with NaN at the breaks.
    """
    times: list[float] = []
    values: list[float] = []
    for (start, end), estimate in zip(_places(analysis), analysis.estimates, strict=True):
        value = getattr(estimate, name)
        if value is None:
            continue
        if times and start - times[-1] > 0.05:
            times.append(times[-1])
            values.append(math.nan)
        times += [start, end]
        values += [value, value]
    return times, values


def mean_line(analysis: Analysis, name: str, window: float) -> tuple[list[float], list[float]]:
    """Means of valence or arousal over stretches of equal length, weighted by how long each utterance lies in them.

    Args:
        analysis: With times.
        name: ``valence`` or ``arousal``.
        window: Length of a stretch in seconds.

    Returns:
        Middles of the stretches in seconds, and means, NaN where nothing is known.
    """
    start, end = span_of(analysis)
    count = max(math.ceil((end - start) / window - 1e-9), 1)
    sums, weights = [0.0] * count, [0.0] * count
    for estimate in analysis.estimates:
        value, spoken = getattr(estimate, name), estimate.utterance
        if value is None:
            continue
        first, last = (int((time - start) / window) for time in (spoken.start_seconds, spoken.end_seconds))
        for place in range(max(first, 0), min(last, count - 1) + 1):
            begin = start + place * window
            shared = min(spoken.end_seconds, begin + window) - max(spoken.start_seconds, begin)
            sums[place] += value * max(shared, 0.0)
            weights[place] += max(shared, 0.0)
    means = [total / weight if weight else math.nan for total, weight in zip(sums, weights, strict=True)]
    return [start + (place + 0.5) * window for place in range(count)], means


def span_of(analysis: Analysis) -> tuple[float, float]:
    """From where to where is drawn: the part that was read, in seconds; of words without times the lines."""
    if not analysis.has_times:
        return 0.0, float(max(len(analysis.estimates), 1))
    start = analysis.media.read_start_seconds
    ends = [estimate.utterance.end_seconds for estimate in analysis.estimates]
    return start, max([analysis.media.read_end_seconds, start + 0.1, *ends])


def lane_labels(analysis: Analysis) -> list[str]:
    """The labels that are an answer at any time, in their own order, ``uncertain`` last."""
    there = {block.label for block in answer_blocks(analysis)}
    order = dict.fromkeys((*map(printable, analysis.emotions), *sorted(there - {UNCERTAIN}), UNCERTAIN))
    return [label for label in order if label in there]


def gaps(blocks: Iterable[Block], start: float, end: float) -> list[tuple[float, float]]:
    """Where no block is.

    Args:
        blocks: In any order; they may overlap.
        start: Of what is drawn.
        end: Likewise.

    Example:
        >>> gaps([Block(1, 2, "anger", 0.9), Block(1.5, 3, "anger", 0.9)], 0, 4)
        [(0, 1), (3, 4)]
    """
    found, at = [], start
    for block in sorted(blocks, key=lambda each: each.start):
        if block.start > at:
            found.append((at, block.start))
        at = max(at, block.end)
    return found + ([(at, end)] if at < end else [])


def apart(blocks: Iterable[Block]) -> list[Block]:
    """Those blocks that overlap no other, so that a name on them is read as theirs.

    Args:
        blocks: In any order.

    Returns:
        In order of time.

    Example:
        >>> [block.start for block in apart([Block(0, 2, "fear", 1), Block(1, 3, "anger", 1), Block(3, 4, "fear", 1)])]
        [3]
    """
    ordered, free, at = sorted(blocks, key=lambda each: (each.start, each.end)), [], -math.inf
    for block, after in itertools.zip_longest(ordered, ordered[1:]):
        if block.start >= at - 1e-3 and (after is None or after.start >= block.end - 1e-3):
            free.append(block)
        at = max(at, block.end)
    return free


def _places(analysis: Analysis) -> list[tuple[float, float]]:
    if not analysis.has_times:
        return [(float(line), line + 1.0) for line in range(len(analysis.estimates))]
    return [(each.utterance.start_seconds, each.utterance.end_seconds) for each in analysis.estimates]


def _merged(blocks: Iterable[Block]) -> list[Block]:
    merged: list[Block] = []
    for block in blocks:
        last = merged[-1] if merged else None
        # A thousandth: times that were rounded for a file no longer meet exactly.
        if last is not None and last.label == block.label and block.start - last.end < 1e-3:
            merged[-1] = Block(last.start, block.end, last.label, max(last.confidence, block.confidence))
        else:
            merged.append(block)
    return merged
