"""Puts what was seen at instants onto the stretches that are judged. Pure functions; nothing is filled in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from multimodal.types import FaceObservation, ModalityEstimate, Utterance

WINDOW_SECONDS = 4.0
"""Length of a stretch where nobody speaks: about that of a spoken sentence, so that both can stand in one table."""


def windows(duration_seconds: float, length_seconds: float = WINDOW_SECONDS) -> list[Utterance]:
    """Cuts a recording without known speech into stretches.

    Args:
        duration_seconds: Length of the recording, at least 0.
        length_seconds: Length of a stretch, above 0.

    Returns:
        Stretches that follow each other from 0 to the end; a rest shorter than half a stretch joins the one before.

    Example:
        >>> [(window.start_seconds, window.end_seconds) for window in windows(9.0)]
        [(0.0, 4.0), (4.0, 9.0)]
    """
    count = max(1, math.floor(duration_seconds / length_seconds + 0.5))
    starts = [index * length_seconds for index in range(count)]
    return [Utterance(start, end) for start, end in zip(starts, [*starts[1:], duration_seconds], strict=True)]


def within(observations: Sequence[FaceObservation], utterance: Utterance) -> list[FaceObservation]:
    """Observations from the start of an utterance up to, not including, its end, in their order."""
    start, end = utterance.start_seconds, utterance.end_seconds
    return [seen for seen in observations if start <= seen.time_seconds < end]


def main_face(observations: Sequence[FaceObservation]) -> int | None:
    """Chooses whose face an utterance is judged by: the one with the largest area summed over the frames it is seen in.

    A large face seen briefly and a small one seen long are weighed by the same sum; faces that could not be scored
    count for nothing.

    Args:
        observations: Of one utterance.

    Returns:
        A ``face_id``, the lowest of equals; None when no face was scored.

    Example:
        >>> main_face([])
    """
    areas: dict[int, float] = defaultdict(float)
    for seen in observations:
        if seen.probabilities is not None:
            areas[seen.face_id] += seen.box[2] * seen.box[3]
    return min(areas, key=lambda face_id: (-areas[face_id], face_id)) if areas else None


def face_estimate(observations: Sequence[FaceObservation], face_id: int | None) -> ModalityEstimate | None:
    """Averages what one face showed.

    Args:
        observations: Of one utterance.
        face_id: Whose; None for nobody's.

    Returns:
        The mean of the face's probabilities; None when it was never scored.
    """
    scored = [seen.probabilities for seen in observations if seen.face_id == face_id and seen.probabilities is not None]
    return mean_estimate(scored) if scored else None


def mean_estimate(estimates: Sequence[Mapping[str, float]]) -> ModalityEstimate:
    """Averages probabilities over one vocabulary.

    Args:
        estimates: At least one; all with the same labels.

    Returns:
        The mean, and its largest value as confidence.

    Example:
        >>> mean_estimate([{"neutral": 1.0, "anger": 0.0}, {"neutral": 0.5, "anger": 0.5}]).confidence
        0.75
    """
    mean = {label: math.fsum(estimate[label] for estimate in estimates) / len(estimates) for label in estimates[0]}
    return ModalityEstimate(mean, max(mean.values()))
