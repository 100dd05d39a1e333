"""Puts what was seen at instants onto the stretches that are judged. Pure functions; nothing is filled in."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from multimodal.types import EncodedUtterance, FaceObservation, ModalityEstimate, Utterance, UtteranceEstimate

WINDOW_SECONDS = 4.0
"""Length of a stretch where nobody speaks: about that of a spoken sentence, so that both can stand in one table."""

PAUSE_SECONDS = 1.0
"""A silence shorter than this is a pause within talk and no stretch of its own: five pictures at the usual rate."""


def windows(
    duration_seconds: float, length_seconds: float = WINDOW_SECONDS, start_seconds: float = 0.0
) -> list[Utterance]:
    """Cuts a recording without known speech into stretches.

    Args:
        duration_seconds: Where the recording, or what is read of it, ends.
        length_seconds: Length of a stretch, above 0.
        start_seconds: Where what is read begins, not behind the end.

    Returns:
        Stretches that follow each other from the start to the end; a rest shorter than half a stretch joins the one
        before.

    Example:
        >>> [(window.start_seconds, window.end_seconds) for window in windows(9.0)]
        [(0.0, 4.0), (4.0, 9.0)]
    """
    count = max(1, math.floor((duration_seconds - start_seconds) / length_seconds + 0.5))
    starts = [start_seconds + index * length_seconds for index in range(count)]
    return [Utterance(start, end) for start, end in zip(starts, [*starts[1:], duration_seconds], strict=True)]


def fill_gaps(utterances: Sequence[Utterance], duration_seconds: float, start_seconds: float = 0.0) -> list[Utterance]:
    """Adds stretches where nobody speaks to the utterances, so that what the face shows in silence is not lost.

    The rule: an utterance stays as it is, overlapping ones too. Every silence of at least ``PAUSE_SECONDS`` before,
    between and after them is cut into ``windows``. A shorter one belongs to nobody. Without any utterance the whole
    recording is cut into windows.

    Args:
        utterances: Who speaks when, in any order.
        duration_seconds: Where the recording, or what is read of it, ends; utterances may reach beyond it.
        start_seconds: Where what is read begins.

    Returns:
        Utterances and windows in order of their start, then of their end. No window overlaps anything.

    Example:
        >>> filled = fill_gaps([Utterance(2.0, 5.0, text="Well."), Utterance(5.5, 7.0, text="No.")], 16.0)
        >>> [(each.start_seconds, each.end_seconds, each.text) for each in filled]
        [(0.0, 2.0, None), (2.0, 5.0, 'Well.'), (5.5, 7.0, 'No.'), (7.0, 11.0, None), (11.0, 16.0, None)]
    """
    if not utterances:
        return windows(duration_seconds, start_seconds=start_seconds)
    filled, spoken_until = list(utterances), start_seconds
    # What has no length lies nowhere and parts no silence.
    spoken = sorted((start, end) for start, end in map(_place, utterances) if start < end)
    for start, end in [*spoken, (duration_seconds, duration_seconds)]:
        silent_until = min(start, duration_seconds)
        if silent_until - spoken_until >= PAUSE_SECONDS:
            edges = [spoken_until + window.start_seconds for window in windows(silent_until - spoken_until)]
            filled += [Utterance(*edge) for edge in itertools.pairwise([*edges, silent_until])]
        spoken_until = max(spoken_until, end)
    return sorted(filled, key=_place)


def _place(utterance: Utterance) -> tuple[float, float]:
    return utterance.start_seconds, utterance.end_seconds


def spoken_seconds(utterances: Iterable[Utterance], duration_seconds: float) -> float:
    """Length of the part of a recording that lies in utterances; where several overlap it counts once.

    Args:
        utterances: In any order.
        duration_seconds: Length of the recording; what reaches beyond it is not counted.

    Returns:
        Seconds, 0 … ``duration_seconds``.

    Example:
        >>> spoken_seconds([Utterance(0.0, 3.0), Utterance(2.0, 4.0), Utterance(9.0, 12.0)], 10.0)
        5.0
    """
    pieces, spoken_until = [], 0.0
    for start, end in sorted(map(_place, utterances)):
        end = min(end, duration_seconds)
        pieces.append(max(end - max(start, spoken_until), 0.0))
        spoken_until = max(spoken_until, end)
    return min(math.fsum(pieces), duration_seconds)


def within(observations: Sequence[FaceObservation], utterance: Utterance) -> list[FaceObservation]:
    """Of observations in order of time those from the start of an utterance up to, not including, its end."""
    # Searched by halving: a recording of two hours has 36,000 observations and thousands of utterances.
    bounds = (
        bisect.bisect_left(observations, time, key=lambda seen: seen.time_seconds)
        for time in (utterance.start_seconds, utterance.end_seconds)
    )
    return list(observations[slice(*bounds)])


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


def join(
    utterances: Iterable[Utterance],
    faces: Sequence[FaceObservation] = (),
    audio: Mapping[Utterance, EncodedUtterance] = MappingProxyType({}),
    text: Mapping[Utterance, EncodedUtterance] = MappingProxyType({}),
    face_id: int | None = None,
) -> tuple[UtteranceEstimate, ...]:
    """Puts all that is known of each stretch beside each other.

    Args:
        utterances: The stretches, in order.
        faces: Every face in every sampled frame, in order of time.
        audio: Utterance to what the audio encoder gives, where there is speech.
        text: Utterance to what the text encoder gives, where there are words.
        face_id: Whose face counts; None to choose one for each stretch, by ``main_face``.

    Returns:
        An estimate per stretch; a signal that was not there is None.

    Example:
        >>> join([Utterance(0.0, 2.0)])[0].modalities
        ()
    """
    own = [seen for seen in faces if face_id in (None, seen.face_id)]
    return tuple(
        _joined(utterance, within(own, utterance), audio.get(utterance), text.get(utterance))
        for utterance in utterances
    )


def _joined(
    utterance: Utterance,
    shown: Sequence[FaceObservation],
    audio: EncodedUtterance | None,
    text: EncodedUtterance | None,
) -> UtteranceEstimate:
    face_id = main_face(shown)
    encodings = {name: encoded for name, encoded in (("audio", audio), ("text", text)) if encoded is not None}
    face = face_estimate(shown, face_id)
    estimates = {} if face is None else {"face": face}
    estimates |= {name: encoded.estimate for name, encoded in encodings.items()}
    return UtteranceEstimate(utterance, estimates, face_id=face_id, encodings=encodings)


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
    return ModalityEstimate(mean)
