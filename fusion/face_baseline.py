"""A person's resting face: what single frames show beyond it counts as expression. Pure functions.

Some faces look sad or angry at rest. Where a stretch of a recording shows the person at rest, the emotions that its
frames show more than usual resting faces do are lowered in all frames, by a part of the excess; nothing is raised but
what gains by that. Unless the user names the stretch, it is used only where it can be told from a lasting emotion: it
must not be confidently an emotion, and the face must show something else for a while.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from multimodal.fusion.face_evidence import LEAST_PROBABILITY, smooth_faces, track_arrays
from multimodal.types import FaceBaseline, FaceObservation

Floats = NDArray[np.float64]

NEUTRAL = "neutral"

LEAST_SECONDS = 3.0
"""Shortest stretch that shows how a face looks at rest."""

LEAST_SHARE = 0.1
"""Least part of a face's scored time that it must take."""

LEAST_TRACK_SECONDS = 10.0
"""A face that is seen for less time offers no comparison."""

OTHER_SHARE = 0.15
"""Least part of the scored frames that show a third expression, where the stretch itself shows an emotion: else the
emotion may be what the person feels throughout, and where neutral comes in between, rest looks neutral."""

CLEARLY_EMOTIONAL = 0.62
"""Mean probability of an emotion from which a steady face is no resting face."""

AUTO_PART, GIVEN_PART = 0.4, 0.7
"""Part of the excess that is taken away: of a stretch that was found, and of one that the user named."""

STEADY_MOTION = 0.25
"""Movement of the mouth at which a frame counts half as rest."""

RESTING: Mapping[str, float] = {
    "neutral": 0.75,
    "happiness": 0.025,
    "surprise": 0.021,
    "sadness": 0.20,
    "anger": 0.042,
    "disgust": 0.009,
    "fear": 0.009,
    "contempt": 0.030,
}
"""What three of four resting faces stay below, and the median of neutral: of 900 neutral FER+ training pictures."""


@dataclass(frozen=True)
class _Stretch:
    start_seconds: float
    end_seconds: float
    excess: dict[str, float]


def with_baseline(
    faces: Sequence[FaceObservation], mode: str, stretch: tuple[float, float] | None = None
) -> tuple[tuple[FaceObservation, ...], FaceBaseline]:
    """Judges the frames of each face against the same face at rest.

    Args:
        faces: Every face in every sampled frame, in order of time, with the probabilities of single frames.
        mode: One of ``BASELINES``.
        stretch: Start and end in seconds, for the mode ``given``.

    Returns:
        The same faces, and the baseline of the face that takes the largest area over all frames.

    Example:
        >>> with_baseline([], "auto")[1].used
        False
    """
    if mode == "none":
        return tuple(faces), FaceBaseline(mode)
    smoothed = smooth_faces(faces) if mode == "auto" else tuple(faces)
    shifted = list(faces)
    found: dict[int, _Stretch] = {}
    scored = [index for index, face in enumerate(faces) if face.probabilities is not None]
    for face_id, group in itertools.groupby(sorted(scored, key=lambda i: faces[i].face_id), lambda i: faces[i].face_id):
        indices = list(group)
        own = [faces[index] for index in indices]
        if stretch is not None:
            rest = _given_stretch(own, *stretch)
        else:
            rest = _find_stretch(own, [smoothed[index] for index in indices])
        if rest is None:
            continue
        found[face_id] = rest
        part = AUTO_PART if mode == "auto" else GIVEN_PART
        for index in indices:
            shifted[index] = _shifted(faces[index], rest.excess, part)
    areas: dict[int, float] = {}
    for face in (faces[index] for index in scored):
        areas[face.face_id] = areas.get(face.face_id, 0.0) + face.box[2] * face.box[3]
    for face_id in sorted(areas, key=lambda each: -areas[each]):
        if face_id in found:
            chosen = found[face_id]
            return tuple(shifted), FaceBaseline(mode, chosen.start_seconds, chosen.end_seconds, used=True)
    start, end = stretch or (None, None)
    return tuple(shifted), FaceBaseline(mode, start, end)


def _given_stretch(faces: Sequence[FaceObservation], start: float, end: float) -> _Stretch | None:
    inside = [face for face in faces if start <= face.time_seconds < end]
    return _Stretch(start, end, _excess(inside)) if inside else None


def _find_stretch(faces: Sequence[FaceObservation], smoothed: Sequence[FaceObservation]) -> _Stretch | None:
    """The longest calm stretch of one face with a steady answer; None where there is too little to go by."""
    labels = list(faces[0].probabilities or ())
    times, rows, motion = track_arrays(smoothed, labels)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if NEUTRAL not in labels or step * len(times) < LEAST_TRACK_SECONDS:
        return None
    lead, neutral = rows.argmax(axis=1), labels.index(NEUTRAL)
    calm = 1 / (1 + (motion / STEADY_MOTION) ** 2)
    gaps = np.flatnonzero((np.diff(lead) != 0) | (np.diff(times) > max(1.5, 2 * step))) + 1
    best: tuple[float, int, int] | None = None
    for first, end in itertools.pairwise([0, *gaps.tolist(), len(times)]):
        seconds = (end - first) * step
        mean = rows[first:end].mean(axis=0)
        emotional = lead[first] != neutral and mean[lead[first]] >= CLEARLY_EMOTIONAL
        if seconds < LEAST_SECONDS or end - first < LEAST_SHARE * len(times) or emotional:
            continue
        others = float(np.mean((lead != lead[first]) & (lead != neutral)))
        if lead[first] != neutral and others < OTHER_SHARE:
            continue
        # A stretch is the better the calmer and the more neutral it is.
        score = float((calm[first:end] * (0.2 + rows[first:end, neutral])).sum())
        if best is None or score > best[0]:
            best = score, first, end
    if best is None:
        return None
    _, first, end = best
    return _Stretch(float(times[first]), float(times[end - 1]) + step, _excess(faces[first:end]))


def _excess(faces: Sequence[FaceObservation]) -> dict[str, float]:
    """How much more of each emotion a face shows at rest than usual, in logarithms, at least 0."""
    labels = list(faces[0].probabilities or ())
    rows = np.array([[face.probabilities[label] for label in labels] for face in faces if face.probabilities])
    means = np.log(np.maximum(rows, LEAST_PROBABILITY)).mean(axis=0)
    usual = np.log([RESTING.get(label, 1.0) for label in labels])
    # Relative to neutral: a frame that says little of everything shows no emotion in excess.
    neutral = labels.index(NEUTRAL) if NEUTRAL in labels else int(means.argmax())
    excess = (means - means[neutral]) - (usual - usual[neutral])
    return {
        label: max(float(value), 0.0) if label != NEUTRAL else 0.0 for label, value in zip(labels, excess, strict=True)
    }


def _shifted(face: FaceObservation, excess: Mapping[str, float], part: float) -> FaceObservation:
    if face.probabilities is None:
        return face
    labels = list(face.probabilities)
    row = np.array([face.probabilities[label] for label in labels])
    row = row * np.exp([-part * excess.get(label, 0.0) for label in labels])
    return replace(face, probabilities=dict(zip(labels, (row / row.sum()).tolist(), strict=True)))
