"""Talking faces: figures by hand, and on videos composed from FER+ pictures that no final figure is about."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from face_corpus import striped_corpus, tiny_network

from multimodal.augmentation.face_conditions import CONDITIONS, UNSEEN
from multimodal.augmentation.face_talk import frames_of
from multimodal.data.corpora.ferplus import (
    KEPT_SHARE,
    FaceCorpus,
    kept_apart,
    majority_labels,
    read_ferplus,
)
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face_calibration import FaceCalibration
from multimodal.evaluate.face import condition_figures, evaluate_face, recall_intervals
from multimodal.evaluate.face_talk import (
    OFTEN,
    RATE,
    TalkingVideo,
    compose_videos,
    evaluate_talking,
    talking_figures,
)
from multimodal.fusion.face_baseline import with_baseline
from multimodal.fusion.face_evidence import smooth_faces
from multimodal.infer.model import load_model
from multimodal.models.faces import classify_faces
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import FaceObservation, top_label

NEUTRAL, HAPPY, SURPRISED = 0, 1, 2


def video(shown: list[int], said: list[int], change: float | None = None) -> TalkingVideo:
    rows = 0.05 + 0.6 * np.eye(8)[said]
    times = np.arange(len(shown)) / RATE
    return TalkingVideo(times, np.array(shown), rows / rows.sum(1, keepdims=True), np.zeros(len(shown)), change)


def test_figures_by_hand() -> None:
    flickering = video([NEUTRAL] * 11, [0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0])
    figures = talking_figures([flickering], None)
    assert figures["right"] == pytest.approx(9 / 11) and figures["neutral_emotional"] == pytest.approx(2 / 11)
    assert figures["changes_per_second"] == pytest.approx(4 / 2.0) and "found" not in figures
    steady = talking_figures([flickering])
    assert steady["right"] == 1 and steady["changes_per_second"] == 0
    turning = video([NEUTRAL] * 20 + [HAPPY] * 20, [0] * 20 + [1] * 20, 3.9)
    for settings in ({}, {"settings": None}):
        found = talking_figures([turning], **settings)
        assert found["found"] == 1 and found["false_per_minute"] == 0
        assert found["changes_per_second"] == pytest.approx(1 / 7.8)
    late = video([NEUTRAL] * 20 + [HAPPY] * 20, [0] * 26 + [1] * 14, 3.9)
    assert talking_figures([late], None)["found"] == 0 and talking_figures([late], None)["false_per_minute"] > 0


def tiny_weights() -> Weights:
    torch.manual_seed(0)
    return Weights("tiny", "0" * 64, ModelSpec("face", "tiny", FACE_LABELS, face_size=48), {}, tiny_network(8).eval())


def test_videos_are_repeatable_and_steady_where_they_say() -> None:
    corpus = striped_corpus(4, seed=0)
    first, again = (compose_videos(tiny_weights(), corpus, 2, changing=False, seed=3) for _ in range(2))
    assert len(first) == 2 * len(OFTEN)
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.rows, other.rows) and np.array_equal(one.motion, other.motion)
        assert one.change_seconds is None and len(set(one.labels.tolist())) == 1
        assert one.rows.sum(axis=1) == pytest.approx(np.ones(len(one.times)), abs=1e-6)
    # A network without training reads no picture as its label for sure: then there is no change to find.
    assert compose_videos(tiny_weights(), corpus, 2, changing=True) == []


def test_condition_figures() -> None:
    corpus = striped_corpus(3, seed=0)
    figures = condition_figures(tiny_weights().network, corpus, FaceCalibration(), uncertain_below=0.9)
    assert list(figures) == [*CONDITIONS, *UNSEEN]
    for row in figures.values():
        assert row["overconfidence"] == pytest.approx(row["confidence"] - row["agreement"])
        assert 0 <= row["accuracy"] <= 1 and row["uncertain"] == 1.0
    plain = evaluate_face(tiny_weights(), corpus, conditions=True)
    assert plain["conditions"]["clean"]["accuracy"] == pytest.approx(plain["accuracy"])
    assert plain["conditions"]["clean"]["confidence"] == pytest.approx(plain["confidence"]["votes"]["confidence"])
    assert "conditions" not in evaluate_face(tiny_weights(), corpus)


def test_intervals_of_the_recall() -> None:
    """Wilson's interval by its formula."""
    figures = {"labels": ["a", "b", "c"], "confusion": [[4, 0, 12], [0, 0, 0], [1, 0, 99]]}
    intervals = recall_intervals(figures)
    assert set(intervals) == {"a", "c"}
    z, n, p = 1.959964, 16, 0.25
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert intervals["a"] == pytest.approx(
        ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)), abs=1e-3
    )
    assert intervals["c"][0] < 0.99 < intervals["c"][1]


@pytest.fixture(scope="module")
def chosen_part(ferplus_folder: Path) -> FaceCorpus:
    corpus = read_ferplus(ferplus_folder, "valid")
    return corpus.subset(~kept_apart(corpus, KEPT_SHARE))


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_model("default", "cpu", ["face"]).parts["face"]


@pytest.mark.corpus
@pytest.mark.slow
def test_talk_is_no_expression(weights: Weights, chosen_part: FaceCorpus) -> None:
    figures: dict[str, Any] = evaluate_talking(weights, chosen_part, count=8)
    print(figures)
    single, steady = figures["one expression"]["single frames"], figures["one expression"]["over time"]
    assert steady["changes_per_second"] <= 0.1 < single["changes_per_second"]
    assert steady["right"] >= single["right"]
    assert steady["neutral_emotional"] <= single["neutral_emotional"] + 0.02
    changed = figures["one change"]["over time"]
    assert changed["found"] >= 0.85 and changed["false_per_minute"] <= 0.5


@pytest.mark.corpus
@pytest.mark.slow
def test_a_person_whose_rest_looks_sad(weights: Weights, chosen_part: FaceCorpus) -> None:
    """Neutral pictures that are read as sadness, with happy ones between: the rest becomes neutral, joy stays."""
    labels = majority_labels(chosen_part.votes)
    calm = np.flatnonzero(labels == NEUTRAL)[:400]
    rows = classify_faces(weights, torch.from_numpy(chosen_part.images[calm]))[0].numpy()
    sadness = FACE_LABELS.index("sadness")
    misread = calm[(rows.argmax(axis=1) == sadness) & (rows[:, sadness] < 0.55)][:6]
    glad = np.flatnonzero(labels == HAPPY)[: len(misread)]
    generator = torch.Generator().manual_seed(0)
    before, after, joy = [], [], []
    for rest, smile in zip(misread, glad, strict=True):
        shown = np.array([rest] * 25 + [smile] * 15 + [rest] * 20)
        crops = frames_of(torch.from_numpy(chosen_part.images[shown]), generator, talking=0.3)
        probabilities = classify_faces(weights, crops)[0].double().numpy()
        faces = [
            FaceObservation(index / RATE, 0, (0, 0, 9, 9), 1.0, "clear", dict(zip(FACE_LABELS, row, strict=True)))
            for index, row in enumerate(probabilities.tolist())
        ]
        for mode, result in (("none", before), ("auto", after)):
            lead = [top_label(each.probabilities or {}) for each in smooth_faces(with_baseline(faces, mode)[0])]
            result.append(np.mean([label == "neutral" for label in (*lead[:25], *lead[40:])]))
        joy.append(np.mean([label == "happiness" for label in lead[25:40]]))
    print(len(misread), np.mean(before), np.mean(after), np.mean(joy))
    assert len(misread) >= 3 and np.mean(after) > np.mean(before) + 0.25 and np.mean(joy) > 0.6


@pytest.mark.corpus
@pytest.mark.slow
def test_real_faces_change_when_people_do(shared_folder: Path) -> None:
    model = load_model("default", "cpu", ["face"])
    analysis = model.analyze(shared_folder / "clips" / "hamilton.mp4")  # a man who talks on a stage, and his audience
    switches, seconds = 0, 0.0
    for face_id in sorted({face.face_id for face in analysis.faces}):
        track = [face for face in analysis.faces if face.face_id == face_id and face.probabilities]
        if len(track) >= 3:
            lead = [top_label(face.probabilities or {}) for face in track]
            switches += sum(one != other for one, other in itertools.pairwise(lead))
            seconds += track[-1].time_seconds - track[0].time_seconds
    assert seconds > 5 and switches / seconds <= 0.5
    smile = model.analyze(shared_folder / "clips" / "noface_face.mov")
    lead = [(face.time_seconds, top_label(face.probabilities)) for face in smile.faces if face.probabilities]
    turns = [later[0] for earlier, later in itertools.pairwise(lead) if earlier[1] != later[1]]
    assert turns == [pytest.approx(4.6, abs=0.4)]
    assert all(face.mouth_motion is None or face.mouth_motion >= 0 for face in smile.faces)
