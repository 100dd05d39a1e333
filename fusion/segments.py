"""Divides a recording into segments and assigns observations and estimates to them. Pure functions."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from multimodal.types import EncodedUtterance, FaceObservation, ModalityEstimate, Utterance, UtteranceEstimate

WINDOW_SECONDS = 4.0
"""Length of a window without speech: about that of a spoken sentence, so that both compare in one table."""

PAUSE_SECONDS = 1.0
"""A shorter silence is a pause within speech and gets no window: five pictures at the usual rate."""

LEAST_SECONDS = 0.5
"""Shortest piece that a silence is cut into: the shortest expression that is found, 0.6 s, less half a frame."""

SEEN = 1 / 3
"""Least part of a window's frames in which its face must be scored: a glimpse at its edge does not answer for it."""


def windows(
    duration_seconds: float, length_seconds: float = WINDOW_SECONDS, start_seconds: float = 0.0
) -> list[Utterance]:
    """Divides a recording without known speech into windows.

    Args:
        duration_seconds: End of the recording, or of the part that is analyzed.
        length_seconds: Length of a window, above 0.
        start_seconds: Start of the part that is analyzed, not after its end.

    Returns:
        Adjacent windows from the start to the end; a remainder shorter than half a window extends the last one.

    Example:
        >>> [(window.start_seconds, window.end_seconds) for window in windows(9.0)]
        [(0.0, 4.0), (4.0, 9.0)]
    """
    count = max(1, math.floor((duration_seconds - start_seconds) / length_seconds + 0.5))
    starts = [start_seconds + index * length_seconds for index in range(count)]
    return [Utterance(start, end) for start, end in zip(starts, [*starts[1:], duration_seconds], strict=True)]


def fill_gaps(
    utterances: Sequence[Utterance],
    duration_seconds: float,
    start_seconds: float = 0.0,
    changes: Sequence[float] = (),
) -> list[Utterance]:
    """Adds windows without speech to the utterances, so that the face is analyzed in silence too.

    Utterances stay unchanged, overlapping ones too. Every silence of at least ``PAUSE_SECONDS`` before, between and
    after them is cut where the picture changes and then divided into ``windows``; shorter ones are left out. Without
    utterances the whole recording is one silence.

    Args:
        utterances: Utterances in any order.
        duration_seconds: End of the recording, or of the part that is analyzed; utterances may reach beyond it.
        start_seconds: Start of the part that is analyzed.
        changes: Seconds at which the picture changes, rising, as from ``change_points.picture_changes``. A change less
            than ``LEAST_SECONDS`` after another or from an end of the silence does not cut it.

    Returns:
        Utterances and windows in order of their start, then of their end. Windows overlap nothing.

    Example:
        >>> spoken = [Utterance(2.0, 5.0, text="Well."), Utterance(5.5, 7.0, text="No.")]
        >>> [(each.start_seconds, each.end_seconds, each.text) for each in fill_gaps(spoken, 13.0, changes=[9.0])]
        [(0.0, 2.0, None), (2.0, 5.0, 'Well.'), (5.5, 7.0, 'No.'), (7.0, 9.0, None), (9.0, 13.0, None)]
    """
    if not utterances:
        return _cut_silence(start_seconds, duration_seconds, changes)
    filled, speech_end = list(utterances), start_seconds
    # An utterance without length does not divide a silence.
    intervals = sorted((start, end) for start, end in map(_interval, utterances) if start < end)
    for start, end in [*intervals, (duration_seconds, duration_seconds)]:
        silent_until = min(start, duration_seconds)
        if silent_until - speech_end >= PAUSE_SECONDS:
            filled += _cut_silence(speech_end, silent_until, changes)
        speech_end = max(speech_end, end)
    return sorted(filled, key=_interval)


def _cut_silence(start_seconds: float, end_seconds: float, changes: Sequence[float]) -> list[Utterance]:
    """Divides a silence into windows that no change of the picture lies in."""
    edges = [start_seconds]
    for change in changes:
        if change - edges[-1] >= LEAST_SECONDS and end_seconds - change >= LEAST_SECONDS:
            edges.append(change)
    pieces = itertools.pairwise([*edges, end_seconds])
    return [window for start, end in pieces for window in windows(end, start_seconds=start)]


def _interval(utterance: Utterance) -> tuple[float, float]:
    return utterance.start_seconds, utterance.end_seconds


def speech_seconds(utterances: Iterable[Utterance], duration_seconds: float) -> float:
    """Time of a recording that is covered by utterances; overlaps count once.

    Args:
        utterances: Utterances in any order.
        duration_seconds: Length of the recording; time beyond it is not counted.

    Returns:
        Seconds, 0 … ``duration_seconds``.

    Example:
        >>> speech_seconds([Utterance(0.0, 3.0), Utterance(2.0, 4.0), Utterance(9.0, 12.0)], 10.0)
        5.0
    """
    pieces, speech_end = [], 0.0
    for start, end in sorted(map(_interval, utterances)):
        end = min(end, duration_seconds)
        pieces.append(max(end - max(start, speech_end), 0.0))
        speech_end = max(speech_end, end)
    return min(math.fsum(pieces), duration_seconds)


def observations_in(utterance: Utterance, observations: Sequence[FaceObservation]) -> list[FaceObservation]:
    """Observations from the start of an utterance up to, not including, its end.

    Args:
        utterance: The utterance or window.
        observations: Observations in order of time.

    Returns:
        Those inside, in order.
    """
    # Binary search: a recording of two hours has 36,000 observations and thousands of utterances.
    bounds = (
        bisect.bisect_left(observations, time, key=lambda each: each.time_seconds)
        for time in (utterance.start_seconds, utterance.end_seconds)
    )
    return list(observations[slice(*bounds)])


def main_face(observations: Sequence[FaceObservation]) -> int | None:
    """Selects the face of an utterance: the one with the largest area summed over its frames.

    Faces that were not scored do not count.

    Args:
        observations: Observations of one utterance.

    Returns:
        A ``face_id``, the lowest of equals; None if no face was scored.

    Example:
        >>> main_face([])
    """
    areas: dict[int, float] = defaultdict(float)
    for face in observations:
        if face.probabilities is not None:
            areas[face.face_id] += face.box[2] * face.box[3]
    return min(areas, key=lambda face_id: (-areas[face_id], face_id)) if areas else None


def face_estimate(observations: Sequence[FaceObservation], face_id: int | None) -> ModalityEstimate | None:
    """Averages the probabilities of one face.

    Args:
        observations: Observations of one utterance.
        face_id: Id of the face; None for no face.

    Returns:
        The mean of the face's probabilities; None if it was never scored.
    """
    rows = [each.probabilities for each in observations if each.face_id == face_id and each.probabilities is not None]
    return mean_estimate(rows) if rows else None


def estimate_segments(
    utterances: Iterable[Utterance],
    faces: Sequence[FaceObservation] = (),
    audio: Mapping[Utterance, EncodedUtterance] = MappingProxyType({}),
    text: Mapping[Utterance, EncodedUtterance] = MappingProxyType({}),
    face_id: int | None = None,
    frame_times: Sequence[float] = (),
) -> tuple[UtteranceEstimate, ...]:
    """Combines the estimates of all modalities per segment.

    Args:
        utterances: The segments, in order.
        faces: Every face in every sampled frame, in order of time.
        audio: Utterance to the result of the audio encoder, where it has speech.
        text: Utterance to the result of the text encoder, where it has words.
        face_id: The only face to use; None to select one per segment, by ``main_face``.
        frame_times: Seconds of every sampled frame, in order. A segment without speech whose face is scored in less
            than ``SEEN`` of its frames has no estimate; without frame times that is not asked.

    Returns:
        An estimate per segment, with the modalities that it has.

    Example:
        >>> estimate_segments([Utterance(0.0, 2.0)])[0].modalities
        ()
    """
    observations = [each for each in faces if face_id in (None, each.face_id)]
    estimates = []
    for utterance in utterances:
        inside = observations_in(utterance, observations)
        if utterance.text is None and utterance not in audio and _is_glimpse(utterance, inside, frame_times):
            inside = []
        estimates.append(_estimate(utterance, inside, audio.get(utterance), text.get(utterance)))
    return tuple(estimates)


def _is_glimpse(utterance: Utterance, observations: list[FaceObservation], frame_times: Sequence[float]) -> bool:
    """Whether the face is scored in hardly any frame of a window."""
    first, end = (bisect.bisect_left(frame_times, time) for time in _interval(utterance))
    face_id = main_face(observations)
    scored = sum(each.face_id == face_id and each.probabilities is not None for each in observations)
    return scored < SEEN * (end - first)


def _estimate(
    utterance: Utterance,
    observations: Sequence[FaceObservation],
    audio: EncodedUtterance | None,
    text: EncodedUtterance | None,
) -> UtteranceEstimate:
    face_id = main_face(observations)
    encodings = {name: encoded for name, encoded in (("audio", audio), ("text", text)) if encoded is not None}
    face = face_estimate(observations, face_id)
    estimates = {} if face is None else {"face": face}
    estimates |= {name: encoded.estimate for name, encoded in encodings.items()}
    usability = None if text is None else text.usability
    return UtteranceEstimate(utterance, estimates, face_id=face_id, encodings=encodings, usability=usability)


def mean_estimate(estimates: Sequence[Mapping[str, float]]) -> ModalityEstimate:
    """Averages probabilities over the same labels.

    Args:
        estimates: At least one; all with the same labels.

    Returns:
        The mean.

    Example:
        >>> mean_estimate([{"neutral": 1.0, "anger": 0.0}, {"neutral": 0.5, "anger": 0.5}]).confidence
        0.75
    """
    mean = {label: math.fsum(estimate[label] for estimate in estimates) / len(estimates) for label in estimates[0]}
    return ModalityEstimate(mean)
