"""Finds when the picture changes for good: a face turns to another expression, comes into view, or leaves.

Probabilities of one face flicker: lips that speak look like surprise, a blink like sadness. A penalized segmentation
(PELT, Killick et al. 2012, with a Gaussian kernel, Arlot et al. 2019; package ``ruptures``) ignores flicker and finds
lasting steps. Its constants were chosen on sequences of FER+ validation pictures with known changes; the test
``tests/fusion/test_change_points_faces.py`` composes such sequences and prints what is found and how it is dated.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.fusion.segments import main_face, observations_in
from multimodal.types import FaceObservation, Probabilities, Utterance

LEAST_SECONDS = 0.6
"""Shortest expression: three pictures at the usual rate. A syllable opens the lips for 0.1 to 0.3 s."""

LEAST_FRAMES = 2
"""Fewest pictures of an expression, at rates at which one picture stands for more than ``LEAST_SECONDS``."""

PENALTY_SECONDS = 0.6
"""Cost of a change, times the pictures per second: a clear step in the middle of 1.2 s just pays for itself."""

LEAST_PENALTY = 2.0
"""Cost of a change below three pictures per second: a step pays for itself with two pictures on either side."""

KERNEL_WIDTH = 4.0
"""The kernel of two pictures is exp(-KERNEL_WIDTH * squared distance): 0.0003 for two expressions without doubt, 0.7
for 0.8 and 0.6 of the same expression against a second one."""

CLEAR = 0.3
"""Mean probability that the leading emotion must have before and after a change."""

DISTINCT = 0.3
"""Smallest total variation distance, 0 … 1, between the means before and after a change."""

BLOCK_FRAMES = 1000
"""Pictures segmented together. The cost grows with their square: an hour at 30 a second takes 3 s, not 60."""

ABSENT_SECONDS = 1.5
"""A face that is not scored for longer, in frames between, was out of view; the tracker loses one after that time."""

AROUND_SECONDS = 2.0
"""Time before or after a change in which its face must be the main one: half a window."""


@dataclass(frozen=True)
class ExpressionChange:
    """A lasting change of one face's expression.

    Attributes:
        face_id: The face.
        time_seconds: Midway between the last frame of the old expression and the first frame of the new one.
        start_seconds: Start of the old expression.
        end_seconds: End of the new expression.
        before: Mean probabilities of the old expression.
        after: Mean probabilities of the new expression; another label leads.
    """

    face_id: int
    time_seconds: float
    start_seconds: float
    end_seconds: float
    before: Probabilities
    after: Probabilities


def change_points(times: NDArray[np.float64], probabilities: NDArray[np.float64]) -> list[int]:
    """Finds the frames at which one face's expression changes for good.

    Args:
        times: ``(frames,)`` seconds of the frames in which the face was scored, rising, at any rate; frames may lack.
        probabilities: ``(frames, labels)``, each row summing to 1.

    Returns:
        Index of the first frame of each new expression, rising. Neighboring expressions differ in their leading label.

    Example:
        >>> rows = np.array([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10)
        >>> change_points(np.arange(20) / 5, rows)
        [10]

    Source: https://github.com/deepcharles/ruptures (segmentation).
    """
    rate = 1 / _median_step(times)
    least = max(LEAST_FRAMES, round(LEAST_SECONDS * rate))
    found = _segmentation(probabilities, least, max(PENALTY_SECONDS * rate, LEAST_PENALTY))
    return _distinct(probabilities, found)


def _median_step(times: NDArray[np.float64]) -> float:
    """Median distance of neighbors, at least a millisecond; 1 s where there are no two frames."""
    return max(float(np.median(np.diff(times))), 1e-3) if len(times) > 1 else 1.0


def _segmentation(rows: NDArray[np.float64], least: int, penalty: float) -> list[int]:
    """First index of every piece but the first; long recordings in overlapping blocks."""
    import ruptures  # here and not above: it takes a moment, and sound and text do without

    found: list[int] = []
    start = 0
    while len(rows) - start >= 2 * least:
        block = rows[start : start + BLOCK_FRAMES]
        search = ruptures.KernelCPD(kernel="rbf", min_size=least, params={"gamma": KERNEL_WIDTH}).fit(block)
        ends = [start + int(end) for end in search.predict(pen=penalty)[:-1]]
        if start + BLOCK_FRAMES >= len(rows):
            return [*found, *ends]
        # What lies in the second half is decided in the next block. It starts at the last change that is kept, or far
        # before the next one, so that none is too near to an end of both blocks.
        kept = [end for end in ends if end - start <= BLOCK_FRAMES // 2]
        found += kept
        start = kept[-1] if kept else (ends or [start + BLOCK_FRAMES * 3 // 4])[0] - BLOCK_FRAMES // 4
    return found


def _distinct(rows: NDArray[np.float64], found: Sequence[int]) -> list[int]:
    """Leaves out the least distinct change, again and again, until each leads clearly from one label to another."""
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    edges = [0, *found, len(rows)]
    while len(edges) > 2:
        means = np.diff(sums[edges], axis=0) / np.diff(edges)[:, None]
        lead, clear = means.argmax(axis=1), means.max(axis=1) >= CLEAR
        distances = np.abs(np.diff(means, axis=0)).sum(axis=1) / 2
        distances[(lead[1:] == lead[:-1]) | ~(clear[1:] & clear[:-1])] = 0.0
        weakest = int(distances.argmin())
        if distances[weakest] >= DISTINCT:
            break
        del edges[weakest + 1]
    return edges[1:-1]


def expression_changes(faces: Sequence[FaceObservation], face_id: int | None = None) -> list[ExpressionChange]:
    """Finds the lasting changes of expression of every face.

    Args:
        faces: Every face in every sampled frame, in order of time.
        face_id: The only face to use; None for all.

    Returns:
        The changes in order of time, then of the face.

    Example:
        >>> calm, glad = {"neutral": 0.9, "happiness": 0.1}, {"neutral": 0.2, "happiness": 0.8}
        >>> faces = [FaceObservation(n / 5, 0, (0, 0, 9, 9), 1.0, "clear", calm if n < 8 else glad) for n in range(20)]
        >>> [round(change.time_seconds, 3) for change in expression_changes(faces)]
        [1.5]
    """
    changes = [
        change
        for each, observations in _by_face(faces).items()
        if face_id in (None, each)
        for change in _changes_of(each, observations)
    ]
    return sorted(changes, key=lambda change: (change.time_seconds, change.face_id))


def _by_face(faces: Sequence[FaceObservation]) -> dict[int, list[FaceObservation]]:
    """The scored observations of each face."""
    scored: dict[int, list[FaceObservation]] = {}
    for face in faces:
        if face.probabilities is not None:
            scored.setdefault(face.face_id, []).append(face)
    return scored


def _changes_of(face_id: int, observations: Sequence[FaceObservation]) -> list[ExpressionChange]:
    labels = list(observations[0].probabilities or ())
    times = np.array([each.time_seconds for each in observations])
    rows = np.array([[each.probabilities[label] for label in labels] for each in observations if each.probabilities])
    edges = [0, *change_points(times, rows), len(rows)]
    step = _median_step(times)
    # A face that was out of view may have changed at any time; then the change is dated where it is seen again.
    inner = [float(times[edge] - min(times[edge] - times[edge - 1], 2 * step) / 2) for edge in edges[1:-1]]
    seconds = [float(times[0]), *inner, float(times[-1]) + step]
    means = [
        dict(zip(labels, rows[first:last].mean(axis=0).tolist(), strict=True))
        for first, last in itertools.pairwise(edges)
    ]
    return [
        ExpressionChange(face_id, seconds[place + 1], seconds[place], seconds[place + 2], *means[place : place + 2])
        for place in range(len(inner))
    ]


def picture_changes(
    faces: Sequence[FaceObservation], frame_times: Sequence[float], face_id: int | None = None
) -> list[float]:
    """Finds when the main face turns to another expression, comes into view, or leaves.

    Args:
        faces: Every face in every sampled frame, in order of time.
        frame_times: Seconds of every sampled frame, in order.
        face_id: The only face to use; None for the main face at that time, by ``segments.main_face``.

    Returns:
        Seconds, rising, each midway between two frames. A cut to another face is one of them.

    Example:
        >>> look = {"neutral": 0.9, "happiness": 0.1}
        >>> times = [n / 5 for n in range(20)]
        >>> faces = [FaceObservation(time, int(time > 2), (0, 0, 9, 9), 1.0, "clear", look) for time in times]
        >>> [round(time, 3) for time in picture_changes(faces, times)]
        [2.1]
    """
    scored = [each for each in faces if each.probabilities is not None and face_id in (None, each.face_id)]

    def is_main(face: int, start: float, end: float) -> bool:
        return main_face(observations_in(Utterance(max(start, 0.0), max(end, 0.0)), scored)) == face

    changes = [
        change.time_seconds
        for change in expression_changes(scored)
        if is_main(change.face_id, change.time_seconds - AROUND_SECONDS, change.time_seconds + AROUND_SECONDS)
    ]
    for face, observations in _by_face(scored).items():
        for first, last in _spans([each.time_seconds for each in observations], frame_times):
            appears, leaves = bisect.bisect_left(frame_times, first), bisect.bisect_right(frame_times, last)
            if appears > 0 and is_main(face, first, first + AROUND_SECONDS):
                changes.append((frame_times[appears - 1] + frame_times[appears]) / 2)
            if leaves < len(frame_times) and is_main(face, last - AROUND_SECONDS, last + 1e-6):
                changes.append((frame_times[leaves - 1] + frame_times[leaves]) / 2)
    return sorted(set(changes))


def _spans(times: Sequence[float], frame_times: Sequence[float]) -> list[tuple[float, float]]:
    """First and last time of every span in which the face is never out of view."""
    gaps = [
        place
        for place in range(1, len(times))
        if times[place] - times[place - 1] > ABSENT_SECONDS
        and _is_frame_between(frame_times, *times[place - 1 : place + 1])
    ]
    edges = [0, *gaps, len(times)]
    return [(times[first], times[end - 1]) for first, end in itertools.pairwise(edges)]


def _is_frame_between(frame_times: Sequence[float], before: float, after: float) -> bool:
    """Whether a frame lies between two others: where frames are rare, neighbors are far apart and nothing is missed."""
    return bisect.bisect_right(frame_times, before) < bisect.bisect_left(frame_times, after)
