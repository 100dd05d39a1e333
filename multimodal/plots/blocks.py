"""Computes the content of a timeline: labeled blocks, lines of valence and arousal, and gaps.

Positions are seconds on the recording's clock; for text without times they are lines, the first from 0 to 1.
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
    """An interval with a label.

    Attributes:
        start: Start in seconds, or in lines from 0 on.
        end: End in the same unit.
        label: An emotion or ``uncertain``.
        confidence: Confidence 0 … 1.
    """

    start: float
    end: float
    label: str
    confidence: float


def estimate_blocks(analysis: Analysis) -> list[Block]:
    """Lists the fused label of every utterance; without a fused estimate, the label of the first signal.

    Args:
        analysis: The analysis of any input.

    Returns:
        Blocks in order of time; utterances without an estimate have none.
    """
    modality = primary_modality(analysis.estimates)
    blocks = []
    for (start, end), estimate in zip(_places(analysis), analysis.estimates, strict=True):
        modality_estimate = estimate.get(modality) if modality else None
        if modality_estimate is not None:
            label = estimate.emotion if modality == "fused" else top_label(modality_estimate.probabilities)
            blocks.append(Block(start, end, printable(label or UNCERTAIN), modality_estimate.confidence))
    return blocks


def modality_blocks(analysis: Analysis, modality: str) -> list[Block]:
    """Lists the labels of one signal: of the face by the frame, equal neighbors merged; else by the utterance.

    Args:
        analysis: The analysis of any input.
        modality: One of ``MODALITIES``.

    Returns:
        Blocks in order of time.
    """
    if modality == "face" and analysis.frame_times:
        return _merge_neighbors(
            Block(time, time + seconds, printable(top_label(probabilities)), max(probabilities.values()))
            for time, seconds, probabilities in analysis.face_estimates()
        )
    estimates = [(place, each.get(modality)) for place, each in zip(_places(analysis), analysis.estimates, strict=True)]
    return [
        Block(*place, printable(top_label(estimate.probabilities)), estimate.confidence)
        for place, estimate in estimates
        if estimate is not None
    ]


def affect_line(analysis: Analysis, name: str) -> tuple[list[float], list[float]]:
    """Returns valence or arousal over time, constant during each utterance, with breaks between them.

    Args:
        analysis: The analysis of any input.
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
    """Returns means of valence or arousal over windows of equal length, weighted by the overlap of each utterance.

    Args:
        analysis: An analysis with times.
        name: ``valence`` or ``arousal``.
        window: Length of a window in seconds.

    Returns:
        Middles of the windows in seconds, and means -1 … 1, NaN for windows without a value.
    """
    start, end = span_of(analysis)
    count = max(math.ceil((end - start) / window - 1e-9), 1)
    sums, weights = [0.0] * count, [0.0] * count
    for estimate in analysis.estimates:
        value, utterance = getattr(estimate, name), estimate.utterance
        if value is None:
            continue
        first, last = (int((time - start) / window) for time in (utterance.start_seconds, utterance.end_seconds))
        for place in range(max(first, 0), min(last, count - 1) + 1):
            begin = start + place * window
            overlap = min(utterance.end_seconds, begin + window) - max(utterance.start_seconds, begin)
            sums[place] += value * max(overlap, 0.0)
            weights[place] += max(overlap, 0.0)
    means = [total / weight if weight else math.nan for total, weight in zip(sums, weights, strict=True)]
    return [start + (place + 0.5) * window for place in range(count)], means


def span_of(analysis: Analysis) -> tuple[float, float]:
    """Returns start and end of the axis: the analyzed part in seconds, or the lines of text without times.

    Args:
        analysis: The analysis of any input.

    Returns:
        Start and end.
    """
    if not analysis.has_times:
        return 0.0, float(max(len(analysis.estimates), 1))
    start = analysis.media.read_start_seconds
    ends = [estimate.utterance.end_seconds for estimate in analysis.estimates]
    return start, max([analysis.media.read_end_seconds, start + 0.1, *ends])


def row_labels(analysis: Analysis) -> list[str]:
    """Lists the labels that occur, in the analysis's order, ``uncertain`` last.

    Args:
        analysis: The analysis of any input.

    Returns:
        Labels from top to bottom.
    """
    labels = {block.label for block in estimate_blocks(analysis)}
    order = dict.fromkeys((*map(printable, analysis.emotions), *sorted(labels - {UNCERTAIN}), UNCERTAIN))
    return [label for label in order if label in labels]


def gaps(blocks: Iterable[Block], start: float, end: float) -> list[tuple[float, float]]:
    """Lists the intervals without a block.

    Args:
        blocks: Blocks in any order; they may overlap.
        start: Start of the axis.
        end: End of the axis.

    Example:
        >>> gaps([Block(1, 2, "anger", 0.9), Block(1.5, 3, "anger", 0.9)], 0, 4)
        [(0, 1), (3, 4)]
    """
    intervals, at = [], start
    for block in sorted(blocks, key=lambda each: each.start):
        if block.start > at:
            intervals.append((at, block.start))
        at = max(at, block.end)
    return intervals + ([(at, end)] if at < end else [])


def without_overlaps(blocks: Iterable[Block]) -> list[Block]:
    """Selects the blocks that overlap no other, so that a name on one is read as its own.

    Args:
        blocks: Blocks in any order.

    Returns:
        Blocks in order of time.

    Example:
        >>> blocks = [Block(0, 2, "fear", 1), Block(1, 3, "anger", 1), Block(3, 4, "fear", 1)]
        >>> [block.start for block in without_overlaps(blocks)]
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


def _merge_neighbors(blocks: Iterable[Block]) -> list[Block]:
    runs: list[Block] = []
    for block in blocks:
        last = runs[-1] if runs else None
        # A thousandth: times that were rounded for a file no longer meet exactly.
        if last is not None and last.label == block.label and block.start - last.end < 1e-3:
            runs[-1] = Block(last.start, block.end, last.label, max(last.confidence, block.confidence))
        else:
            runs.append(block)
    return runs
