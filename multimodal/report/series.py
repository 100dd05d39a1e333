"""The series of the timeline as plain numbers: runs of one emotion per modality, means, step lines."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.result import Analysis
from multimodal.types import MODALITIES, Probabilities, UtteranceEstimate, top_label

ALL = "all"
"""The row of the fused estimates."""

MOST_RUNS = 3000
"""Runs of a row, of 1.2 s in an hour; the 18,000 face estimates of an hour are averaged into these."""

MOST_COLUMNS = 150
"""Columns of probabilities, so that each is some pixels wide."""

WIDTHS = (5, 10, 15, 30, 60, 120, 300, 600, 1800)
"""Seconds that utterances of a long recording are averaged over."""

JOIN_SECONDS = 1.0
"""A line of valence continues across a shorter pause; a longer pause is a separate segment."""


@dataclass(frozen=True)
class Run:
    """A part of a row with one label.

    Attributes:
        start_seconds: Start.
        end_seconds: End.
        label: Top label of its mean; None if the modality is absent.
        probability: Of the label, 0 … 1.
    """

    start_seconds: float
    end_seconds: float
    label: str | None
    probability: float = 0.0


def time_span(analysis: Analysis) -> tuple[float, float]:
    """Start and end of the time axis in seconds: the part that was read, and utterances that reach beyond it.

    Args:
        analysis: The analysis of any input.

    Returns:
        Start and end.
    """
    ends = [estimate.utterance.end_seconds for estimate in analysis.estimates]
    return analysis.media.read_start_seconds, max([analysis.media.read_end_seconds, *ends])


def modality_rows(analysis: Analysis) -> dict[str, list[Run]]:
    """Computes the runs of the fused estimates and of each modality that was read.

    Args:
        analysis: Of a recording.

    Returns:
        Runs by ``all`` and modality, without modalities that were not read or that the recording does not have.
    """
    estimates = analysis.estimates
    rows = {ALL: _utterance_runs(estimates, "fused")} if any(each.fused for each in estimates) else {}
    for modality in MODALITIES:
        if analysis.models.get(modality) is None and not any(each.get(modality) for each in estimates):
            continue
        by_frame = modality == "face" and analysis.frame_times
        rows[modality] = face_runs(analysis) if by_frame else _utterance_runs(estimates, modality)
    return rows


def _utterance_runs(estimates: Sequence[UtteranceEstimate], modality: str) -> list[Run]:
    runs = []
    for each in estimates:
        estimate, times = each.get(modality), (each.utterance.start_seconds, each.utterance.end_seconds)
        if estimate is None:
            runs.append(Run(*times, None))
        else:
            label = each.emotion if modality == "fused" and each.emotion else top_label(estimate.probabilities)
            runs.append(Run(*times, label, max(estimate.probabilities.values())))
    return runs


def face_runs(analysis: Analysis, most: int = MOST_RUNS) -> list[Run]:
    """Averages the face estimates of the frames: at most ``most`` pieces, equal neighbors joined.

    Args:
        analysis: With frame times.
        most: Maximum number of pieces.

    Returns:
        Runs without gaps from the first frame on; each has the mean of its scored frames, or None if fewer than half
        are scored.
    """
    times = np.array(analysis.frame_times)
    start, end = time_span(analysis)
    steps = np.diff(times)
    usual = float(np.median(steps)) if len(steps) else end - start
    width = max(usual, (end - start) / most)
    pieces: dict[int, list[Probabilities | None]] = {}
    for time, probabilities in zip(analysis.frame_times, _frame_probabilities(analysis), strict=True):
        pieces.setdefault(int((time - times[0]) / width + 1e-6), []).append(probabilities)
    runs = []
    for piece, frames in pieces.items():
        first = float(times[0]) + piece * width
        runs.append(_mean_run(first, min(first + width, end), frames))
    return _joined(runs, 2 * usual)


def _frame_probabilities(analysis: Analysis) -> list[Probabilities | None]:
    """Per sampled frame the probabilities of the face that its utterance uses; of overlapping ones, the latest."""
    scored: dict[tuple[float, int | None], Probabilities] = {
        (face.time_seconds, face.face_id): face.probabilities for face in analysis.faces if face.probabilities
    }
    estimates, times, at = analysis.estimates, analysis.frame_times, 0
    if not estimates:
        return [None] * len(times)
    owners: list[int] = []
    for time in times:
        while at + 1 < len(estimates) and estimates[at + 1].utterance.start_seconds <= time:
            at += 1
        # In a pause too short for a separate segment, the face of the previous utterance still counts.
        owners.append(at)
    for index, estimate in enumerate(estimates):
        utterance = estimate.utterance
        first, end = (bisect.bisect_left(times, time) for time in (utterance.start_seconds, utterance.end_seconds))
        owners[first:end] = [index] * (end - first)
    return [scored.get((time, estimates[owner].face_id)) for time, owner in zip(times, owners, strict=True)]


def _mean_run(start: float, end: float, frames: Sequence[Probabilities | None]) -> Run:
    scored = [each for each in frames if each is not None]
    if 2 * len(scored) < len(frames) or not scored:  # absent for most of it: a glimpse must not fill the whole run
        return Run(start, end, None)
    mean = {label: sum(each[label] for each in scored) / len(scored) for label in scored[0]}
    return Run(start, end, top_label(mean), mean[top_label(mean)])


def _joined(runs: Sequence[Run], gap: float) -> list[Run]:
    """Joins neighbors with the same label and, to a tenth, the same probability; closes small gaps."""
    joined: list[Run] = []
    for run in runs:
        last = joined[-1] if joined else None
        near = last is not None and run.start_seconds - last.end_seconds <= gap
        if (
            last is not None
            and near
            and (last.label, round(last.probability, 1)) == (run.label, round(run.probability, 1))
        ):
            lengths = last.end_seconds - last.start_seconds, run.end_seconds - run.start_seconds
            mean = np.average([last.probability, run.probability], weights=lengths) if sum(lengths) else run.probability
            joined[-1] = Run(last.start_seconds, run.end_seconds, run.label, float(mean))
        elif last is not None and near:
            joined[-1] = Run(last.start_seconds, run.start_seconds, last.label, last.probability)
            joined.append(run)
        else:
            joined.append(run)
    return joined


def coarse_seconds(seconds: float, count: int) -> int | None:
    """Chooses the length over which the utterances of a long recording are averaged.

    Args:
        seconds: Length of the recording.
        count: Number of utterances.

    Returns:
        Seconds; None if there are few enough utterances to draw each.

    Example:
        >>> coarse_seconds(3600.0, 900), coarse_seconds(60.0, 15)
        (30, None)
    """
    if count <= MOST_COLUMNS:
        return None
    return next((width for width in WIDTHS if seconds / width <= MOST_COLUMNS), WIDTHS[-1])


def mean_over(
    edges: Sequence[tuple[float, float]], values: NDArray[np.float64], width: float
) -> tuple[list[tuple[float, float]], NDArray[np.float64]]:
    """Means over segments of equal length, each utterance weighted by its time in the segment.

    Args:
        edges: Start and end of each utterance in seconds.
        values: ``(utterances, measures)``.
        width: Of a segment in seconds.

    Returns:
        Start and end of each segment with a value, and its means, ``(segments, measures)``.

    Example:
        >>> mean_over([(0.0, 2.0), (2.0, 10.0)], np.array([[1.0], [0.0]]), 8.0)
        ([(0.0, 8.0), (8.0, 16.0)], array([[0.25],
               [0.  ]]))
    """
    sums: dict[int, NDArray[np.float64]] = {}
    weights: dict[int, float] = {}
    for (start, end), row in zip(edges, values, strict=True):
        for piece in range(int(start // width), int(end // width) + 1):
            inside = min(end, (piece + 1) * width) - max(start, piece * width)
            if inside > 0:
                sums[piece] = sums.get(piece, 0.0) + inside * row
                weights[piece] = weights.get(piece, 0.0) + inside
    pieces = sorted(sums)
    means = np.array([sums[piece] / weights[piece] for piece in pieces]).reshape(-1, values.shape[1])
    return [(piece * width, (piece + 1) * width) for piece in pieces], means


def steps(estimates: Sequence[UtteranceEstimate]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Valence and arousal as step lines, broken where there are no values.

    Args:
        estimates: In order of time.

    Returns:
        ``(points,)`` seconds and ``(points, 2)`` values, with NaN at the breaks.
    """
    estimated = [each for each in estimates if each.valence is not None and each.arousal is not None]
    edges = [(each.utterance.start_seconds, each.utterance.end_seconds) for each in estimated]
    return as_steps(edges, np.array([[each.valence, each.arousal] for each in estimated], np.float64))


def as_steps(
    edges: Sequence[tuple[float, float]], values: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values that each hold for a time as a step line.

    Args:
        edges: Start and end of each in seconds, in order.
        values: ``(segments, measures)``.

    Returns:
        ``(points,)`` seconds and ``(points, measures)``, with NaN where a pause is longer than ``JOIN_SECONDS``.

    Example:
        >>> times, values = as_steps([(0.0, 2.0), (2.5, 4.0)], np.array([[0.5], [-0.5]]))
        >>> times.tolist(), values[:, 0].tolist()
        ([0.0, 2.0, 2.5, 2.5, 4.0], [0.5, 0.5, 0.5, -0.5, -0.5])
    """
    times: list[float] = []
    points: list[NDArray[np.float64]] = []
    for (start, end), row in zip(edges, values, strict=True):
        if times:
            broken = start - times[-1] > JOIN_SECONDS
            times.append(times[-1] if broken else start)
            points.append(np.full_like(row, np.nan) if broken else points[-1])
        times += [start, end]
        points += [row, row]
    return np.array(times, np.float32), np.array(points, np.float32).reshape(-1, values.shape[1] if points else 2)
