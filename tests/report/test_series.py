"""The series of the report's timeline: complete time and emotions, one row per signal."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import make_analysis, without

from multimodal.report.series import face_runs, mean_over, modality_rows
from multimodal.types import top_label


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
