"""Evidence over time: flicker and talk are ignored, lasting changes keep their date, gaps and faces are separate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.data.emotions import FACE_LABELS
from multimodal.fusion.change_points import expression_changes
from multimodal.fusion.face_evidence import (
    ABSENT_SECONDS,
    USUAL,
    EvidenceSettings,
    scored_tracks,
    smooth_faces,
    smooth_rows,
)
from multimodal.types import FaceObservation, top_label

Floats = np.ndarray[Any, np.dtype[np.float64]]
RATE = 5.0


def row(label: str, probability: float = 0.8) -> dict[str, float]:
    rest = (1 - probability) / (len(FACE_LABELS) - 1)
    return {each: probability if each == label else rest for each in FACE_LABELS}


def face(
    index: int, label: str | None, probability: float = 0.8, *, face_id: int = 0, later: float = 0, motion: float = 0
) -> FaceObservation:
    probabilities = None if label is None else row(label, probability)
    quality = "clear" if label else "blurred"
    time = index / RATE + later
    return FaceObservation(time, face_id, (0, 0, 9, 9), 1.0, quality, probabilities, mouth_motion=motion)


def leads(faces: tuple[FaceObservation, ...]) -> list[str | None]:
    return [top_label(each.probabilities) if each.probabilities else None for each in faces]


def test_flicker_is_ignored() -> None:
    shown = ["neutral"] * 6 + ["surprise"] + ["neutral"] * 5 + ["happiness"] + ["neutral"] * 6
    smoothed = smooth_faces([face(index, label) for index, label in enumerate(shown)])
    assert set(leads(smoothed)) == {"neutral"}


@pytest.mark.parametrize("frames", [4, 6, 20])
def test_an_expression_of_most_of_a_second_stays(frames: int) -> None:
    shown = ["neutral"] * 15 + ["happiness"] * frames + ["neutral"] * 15
    smoothed = smooth_faces([face(index, label, 0.9) for index, label in enumerate(shown)])
    assert leads(smoothed) == shown


def test_a_change_keeps_its_date() -> None:
    shown = ["neutral"] * 12 + ["happiness"] * 12
    single = [face(index, label) for index, label in enumerate(shown)]
    smoothed = smooth_faces(single)
    assert leads(smoothed) == shown
    before, after = (expression_changes(each)[0].time_seconds for each in (single, smoothed))
    assert after == pytest.approx(before, abs=1e-9)


def test_a_moving_mouth_counts_less() -> None:
    """Half of the frames look surprised, all while the mouth is in movement; the others are at rest."""
    shown = ["neutral", "neutral", "neutral", "surprise", "surprise", "surprise", "surprise"] * 5
    still = [face(index, label) for index, label in enumerate(shown)]
    moving = [face(index, label, motion=1.0 if label == "surprise" else 0.0) for index, label in enumerate(shown)]
    counts = [
        sum(each.probabilities["surprise"] for each in smooth_faces(faces) if each.probabilities) / len(faces)
        for faces in (still, moving)
    ]
    assert counts[1] < counts[0] - 0.1
    assert set(leads(smooth_faces(moving))) == {"neutral"}


def test_a_confidence_does_not_grow_with_length() -> None:
    """Evidence adds up to certainty of the state, but not of the answer: a doubtful face stays doubtful."""
    for frames in (1, 10, 300):
        for each in smooth_faces([face(index, "sadness", 0.5) for index in range(frames)]):
            assert each.probabilities is not None and each.probabilities["sadness"] == pytest.approx(0.5, abs=0.02)


def test_faces_and_absences_are_separate() -> None:
    first = [face(index, "neutral") for index in range(5)]
    second = [face(index, "anger", face_id=1) for index in range(5)]
    later = [face(index, "happiness", later=1.0 + ABSENT_SECONDS) for index in range(5)]
    faces = sorted([*first, *second, *later], key=lambda each: each.time_seconds)
    tracks = scored_tracks(faces)
    assert [len(track) for track in tracks] == [5, 5, 5]
    smoothed = smooth_faces(faces)
    for each, alone in zip(smoothed, faces, strict=True):
        assert each.probabilities is not None and alone.probabilities is not None
        assert each.probabilities == pytest.approx(alone.probabilities, abs=1e-3)


def test_unscored_faces_are_unchanged() -> None:
    faces = [face(0, "neutral"), face(1, None), face(2, "neutral")]
    smoothed = smooth_faces(faces)
    assert smoothed[1] == faces[1] and len(smoothed) == 3
    assert smooth_faces([]) == ()


def test_a_rate_of_frames_does_not_change_the_answer() -> None:
    """The same second of surprise in ten seconds of neutral, seen 5 or 25 times a second."""
    for rate in (5, 25):
        times = np.arange(10 * rate) / rate
        inside = (times >= 4) & (times < 5.5)
        rows = np.array([list(row("surprise" if each else "neutral").values()) for each in inside])
        lead = smooth_rows(times, rows, np.zeros(len(times))).argmax(axis=1)
        assert np.abs((lead == FACE_LABELS.index("surprise")).sum() / rate - 1.5) <= 0.21, rate


@settings(database=None, derandomize=True, max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000), st.floats(0, 3))
def test_rows_stay_probabilities(frames: int, seed: int, motion: float) -> None:
    draws = np.random.default_rng(seed)
    rows = draws.dirichlet(np.full(8, 0.2), frames)
    times = np.cumsum(draws.uniform(1e-3, 2, frames))
    smoothed = smooth_rows(times, rows, np.full(frames, motion), USUAL)
    assert smoothed.shape == rows.shape and np.isfinite(smoothed).all() and (smoothed >= 0).all()
    assert smoothed.sum(axis=1) == pytest.approx(np.ones(frames))
    assert smoothed.min() >= 0.99 * rows.min() - 1e-6 and smoothed.max() <= rows.max() + 1e-5


def test_certain_rows_do_not_break() -> None:
    rows = np.eye(8)[[0, 1, 0, 1, 2]]
    smoothed = smooth_rows(np.arange(5) / 5, rows, np.zeros(5), EvidenceSettings(evidence=50.0))
    assert np.isfinite(smoothed).all() and smoothed.sum(axis=1) == pytest.approx(np.ones(5))
