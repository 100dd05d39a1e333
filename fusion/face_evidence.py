"""What a face shows over time: evidence from all frames of a track instead of one answer per frame. Pure functions.

A speaking mouth opens and closes several times a second, and single frames of it look like surprise, happiness or
anger. An expression lasts from half a second to several seconds. So the frames of a track are read as a hidden Markov
model: the states are the expressions, which rarely change; each frame is evidence, tempered since neighbors are no
independent witnesses, and weaker while the mouth moves. The forward-backward algorithm says which expression each frame
belongs to; its probabilities are then the weighted mean of the frames nearby that belong to the same expression, so
that a confidence stays that of a single clear frame instead of growing with the length.

Source: Rabiner 1989, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE 77 (forward-backward).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from multimodal.types import FaceObservation

Floats = NDArray[np.float64]

ABSENT_SECONDS = 1.5
"""A face that is not scored for longer may have changed at any time: what was before says nothing about it."""

LEAST_PROBABILITY = 1e-4
"""Bound of the evidence of one frame."""


@dataclass(frozen=True)
class EvidenceSettings:
    """How frames become evidence; chosen on videos composed from FER+ training pictures.

    Attributes:
        changes_per_second: Rate at which an expression gives way to another.
        evidence: Weight of the log-probabilities of a frame that counts in full.
        independent_seconds: Frames closer together than this share their evidence.
        steady_motion: Movement of the mouth, see ``FaceObservation.mouth_motion``, at which a frame counts half.
        nearby_seconds: Distance in time at which a frame counts e times less in the mean.

    Example:
        >>> EvidenceSettings().independent_seconds
        0.2
    """

    changes_per_second: float = 0.3
    evidence: float = 1.4
    independent_seconds: float = 0.2
    steady_motion: float = 0.4
    nearby_seconds: float = 1.0


USUAL = EvidenceSettings()


def smooth_faces(faces: Sequence[FaceObservation], settings: EvidenceSettings = USUAL) -> tuple[FaceObservation, ...]:
    """Replaces the probabilities of every frame by those from all frames of the same track.

    Args:
        faces: Every face in every sampled frame, in order of time, with the probabilities of single frames.
        settings: How frames become evidence.

    Returns:
        The same faces; those that were scored have other probabilities.

    Example:
        >>> rows = [(0.9, 0.1)] * 5 + [(0.3, 0.7)] + [(0.9, 0.1)] * 5  # a blink
        >>> faces = [
        ...     FaceObservation(index / 5, 0, (0, 0, 9, 9), 1.0, "clear", dict(zip(("neutral", "sadness"), row)))
        ...     for index, row in enumerate(rows)
        ... ]
        >>> [round(face.probabilities["neutral"], 1) for face in smooth_faces(faces)]
        [0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9, 0.9]
    """
    smoothed = list(faces)
    for indices in scored_tracks(faces):
        track = [faces[index] for index in indices]
        labels = list(track[0].probabilities or ())
        rows = smooth_rows(*track_arrays(track, labels), settings)
        for index, row in zip(indices, rows.tolist(), strict=True):
            smoothed[index] = replace(faces[index], probabilities=dict(zip(labels, row, strict=True)))
    return tuple(smoothed)


def scored_tracks(faces: Iterable[FaceObservation]) -> list[list[int]]:
    """Indices of the scored observations of each face, divided where it was out of view.

    Args:
        faces: Observations in order of time.

    Returns:
        Lists of rising indices, in order of their first one.
    """
    tracks: list[list[int]] = []
    last: dict[int, tuple[float, list[int]]] = {}
    for index, face in enumerate(faces):
        if face.probabilities is None:
            continue
        before = last.get(face.face_id)
        if before is None or face.time_seconds - before[0] > ABSENT_SECONDS:
            tracks.append([])
            track = tracks[-1]
        else:
            track = before[1]
        track.append(index)
        last[face.face_id] = face.time_seconds, track
    return tracks


def track_arrays(track: Sequence[FaceObservation], labels: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """Times, probabilities and movement of the mouth of the scored observations of a track.

    Args:
        track: Scored observations of one face, in order of time.
        labels: Order of the columns.

    Returns:
        ``(frames,)`` seconds, ``(frames, labels)`` probabilities, and ``(frames,)`` movement, 0 where it is unknown.
    """
    times = np.array([face.time_seconds for face in track])
    rows = np.array([[face.probabilities[label] for label in labels] for face in track if face.probabilities])
    return times, rows, np.array([face.mouth_motion or 0.0 for face in track])


def smooth_rows(times: Floats, rows: Floats, motion: Floats, settings: EvidenceSettings = USUAL) -> Floats:
    """Probabilities of the frames of one track, from all of its frames.

    Args:
        times: ``(frames,)`` seconds, rising.
        rows: ``(frames, labels)`` probabilities of single frames, each row summing to 1.
        motion: ``(frames,)`` movement of the mouth since the frame before, at least 0.
        settings: How frames become evidence.

    Returns:
        ``(frames, labels)``, each row summing to 1.

    Example:
        >>> smooth_rows(np.array([0.0]), np.array([[0.7, 0.3]]), np.zeros(1)).round(3).tolist()
        [[0.7, 0.3]]
    """
    steps = np.diff(times, prepend=times[0] - settings.independent_seconds)
    weights = 1 / (1 + (_around(motion) / settings.steady_motion) ** 2)
    shared = np.minimum(steps / settings.independent_seconds, 1.0)
    evidence = np.log(np.maximum(rows, LEAST_PROBABILITY)) * (settings.evidence * weights * shared)[:, None]
    states = _posteriors(evidence, 1 - np.exp(-settings.changes_per_second * steps))
    return _means(rows, states, weights * shared, steps, settings.nearby_seconds)


def _around(motion: Floats) -> Floats:
    """Movement since the frame before or until the next one, the larger: an open mouth lies between two movements."""
    larger: Floats = np.maximum(motion, np.append(motion[1:], 0.0))
    return larger


def _posteriors(evidence: Floats, changing: Floats) -> Floats:
    """Forward-backward over ``(frames, states)`` log evidence; a change leads to any other state alike."""
    frames, states = evidence.shape
    likelihoods = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    elsewhere = changing / max(states - 1, 1)
    forward, backward = np.empty_like(evidence), np.ones_like(evidence)
    row = np.full(states, 1 / states)
    for frame in range(frames):
        if frame:
            row = row * (1 - changing[frame] - elsewhere[frame]) + elsewhere[frame]
        row = row * likelihoods[frame]
        row = row / row.sum()
        forward[frame] = row
    for frame in range(frames - 2, -1, -1):
        row = backward[frame + 1] * likelihoods[frame + 1]
        row = row * (1 - changing[frame + 1] - elsewhere[frame + 1]) + elsewhere[frame + 1] * row.sum()
        backward[frame] = row / row.sum()
    product = forward * backward
    posterior: Floats = product / product.sum(axis=1, keepdims=True)
    return posterior


def _means(rows: Floats, states: Floats, weights: Floats, steps: Floats, nearby: float) -> Floats:
    """The mean of nearby frames of each state, mixed by how likely each frame belongs to it.

    The likeliest state of a frame is its leading label: the sequence says so, however close two labels are.
    """
    frames, labels = rows.shape
    # (frames, states, labels) sums of the frames before and after, which fade with their distance.
    weighted = (weights[:, None] * states)[:, :, None] * np.concatenate([rows, np.ones((frames, 1))], axis=1)[:, None]
    sums = weighted.copy()
    fading = np.exp(-steps / nearby)
    before, after = np.zeros_like(weighted[0]), np.zeros_like(weighted[0])
    for frame in range(1, frames):
        before = (before + weighted[frame - 1]) * fading[frame]
        sums[frame] += before
    for frame in range(frames - 2, -1, -1):
        after = (after + weighted[frame + 1]) * fading[frame + 1]
        sums[frame] += after
    means = sums[:, :, :labels] / np.maximum(sums[:, :, labels:], 1e-300)
    mixed: Floats = np.einsum("ts,tsl->tl", states, means)
    place, lead = np.arange(frames), states.argmax(axis=1)
    mixed[place, lead] = np.maximum(mixed[place, lead], mixed.max(axis=1) + 1e-6)
    mixed /= mixed.sum(axis=1, keepdims=True)
    return mixed
