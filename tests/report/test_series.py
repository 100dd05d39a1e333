"""The series of the report's timeline: complete time and emotions, one row per signal."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import estimate_of, make_analysis, shows, without

from multimodal.data.emotions import FACE_LABELS
from multimodal.report.series import face_runs, mean_over, modality_rows
from multimodal.types import FaceObservation, Utterance, UtteranceEstimate, top_label


def test_frames_summed_losslessly() -> None:
    analysis = make_analysis(Path("talk.mp4"), 600.0)
    runs = face_runs(analysis)
    assert len(runs) <= 3001
    assert all(one.end_seconds == pytest.approx(other.start_seconds) for one, other in itertools.pairwise(runs))
    assert (runs[0].start_seconds, runs[-1].end_seconds) == pytest.approx((0.0, 600.0), abs=0.6)
    # Each utterance of the fixture shows one emotion or none; where it is judged, the run in its middle says so.
    for each in analysis.estimates:
        middle = (each.utterance.start_seconds + each.utterance.end_seconds) / 2
        around = [run for run in runs if abs(run.start_seconds + run.end_seconds - 2 * middle) < 2.0]
        labels = {run.label for run in around} - {None}
        assert labels <= ({top_label(each.estimates["face"].probabilities)} if "face" in each.estimates else set())


def test_after_a_short_interjection_the_face_of_the_longer_utterance_is_shown_again() -> None:
    def seen(face_id: int, label: str) -> list[FaceObservation]:
        box, look = (0.0, 0.0, 9.0, 9.0), shows(label, 0.93, FACE_LABELS)
        return [FaceObservation(step / 5, face_id, box, 1.0, "clear", look) for step in range(50)]

    faces = sorted([*seen(0, "happiness"), *seen(1, "anger")], key=lambda face: face.time_seconds)
    estimates = tuple(
        UtteranceEstimate(Utterance(start, end), {"face": estimate_of(label, 0.93, FACE_LABELS)}, face_id=face_id)
        for start, end, label, face_id in ((0.0, 10.0, "happiness", 0), (2.0, 3.0, "anger", 1))
    )
    analysis = dataclasses.replace(
        make_analysis(Path("talk.mp4"), 10.0),
        frame_times=tuple(step / 5 for step in range(50)),
        faces=tuple(faces),
        estimates=estimates,
    )
    runs = [(round(run.start_seconds, 3), round(run.end_seconds, 3), run.label) for run in face_runs(analysis)]
    assert runs == [(0.0, 2.0, "happiness"), (2.0, 3.0, "anger"), (3.0, 10.0, "happiness")]
    assert analysis.summary["shares_by_modality"]["face"]["anger"] == pytest.approx(0.1 * 0.93 + 0.9 * 0.01)


def test_hour_of_faces_is_compact() -> None:
    analysis = make_analysis(Path("talk.mp4"), 3600.0)
    assert len(analysis.frame_times) == 18_000
    runs = face_runs(analysis)
    assert len(runs) <= 3001
    absent = sum(run.end_seconds - run.start_seconds for run in runs if run.label is None)
    lacking = sum(4.0 for each in analysis.estimates if "face" not in each.estimates)
    assert absent == pytest.approx(lacking, rel=0.1)


def test_rows_of_unread_and_empty_signals() -> None:
    analysis = make_analysis(Path("talk.mp4"), 60.0)
    silent = tuple(dataclasses.replace(each, estimates=without(each, "audio", "text")) for each in analysis.estimates)
    models = {**analysis.models, "text": None}
    rows = modality_rows(dataclasses.replace(analysis, estimates=silent, models=models))
    assert list(rows) == ["all", "face", "audio"]
    assert {run.label for run in rows["audio"]} == {None}


def test_means_over_time_keep_the_area() -> None:
    random = np.random.default_rng(5)
    ends = np.cumsum(random.uniform(0.5, 9.0, 200))
    edges = list(zip([0.0, *ends[:-1]], ends, strict=True))
    values = random.random((200, 3))
    pieces, means = mean_over(edges, values, 30)
    lengths = [min(end, ends[-1]) - start for start, end in pieces]
    area = sum((end - start) * row for (start, end), row in zip(edges, values, strict=True))
    assert np.array(lengths) @ means == pytest.approx(area)
