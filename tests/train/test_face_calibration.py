"""Calibration of a face network: fitted to votes of every other picture, for clean and for disturbed pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from face_corpus import striped_corpus, tiny_network
from torch import Tensor, nn

from multimodal.augmentation.face_conditions import CONDITIONS, UNSEEN
from multimodal.data.corpora.ferplus import FaceCorpus, vote_shares
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face_calibration import MEASURES, FaceCalibration
from multimodal.evaluate.metrics import fit_temperature
from multimodal.models.faces import classify_faces, face_calibration
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.train import face_calibration as subject
from multimodal.train.face_calibration import DISTURBANCES, Answers, calibrate, calibrated, choose, fit_doubt

Rows = np.ndarray[Any, np.dtype[Any]]
Calibrate = Callable[[Rows, Rows], tuple[ModelSpec, dict[str, Any]]]

FEATURES = 3


def voted(sharpness: float, count: int = 2000, seed: int = 0) -> tuple[Rows, Rows]:
    """Probabilities ``(count, 8)`` that are ``sharpness`` times too sure, and the votes of ten people each."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 1.5, (count, 8))
    truth, rows = (torch.softmax(torch.from_numpy(values), 1).numpy() for values in (logits, logits * sharpness))
    return rows.astype(np.float32), np.array([[*chance.multinomial(10, row / row.sum()), 0, 0] for row in truth])


def answers(rows: Rows, level: float = 0.0) -> Answers:
    """Answers for crops of which every measure has one value."""
    measures = torch.full((len(rows), len(MEASURES)), level)
    return Answers(torch.from_numpy(rows).float(), torch.zeros(len(rows), FEATURES), measures)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Calibrate:
    """Calibrates a network with these predictions, also of degraded pictures, for pictures with these votes."""

    def with_rows(rows: Rows, votes: Rows) -> tuple[ModelSpec, dict[str, Any]]:
        def face_answers(network: nn.Module, images: Tensor, flip: bool) -> Answers:
            return answers(rows if len(images) == len(rows) else rows[::2])

        monkeypatch.setattr(subject, "face_answers", face_answers)
        monkeypatch.setattr(subject, "condition_figures", lambda *args, **names: {})
        corpus = FaceCorpus(np.zeros((len(votes), 48, 48), np.uint8), votes, ("",) * len(votes))
        spec, figures = calibrate(nn.Identity(), ModelSpec("face", "tiny", FACE_LABELS), corpus)
        return spec, dict(figures)

    return with_rows


@pytest.mark.parametrize("sharpness", [0.6, 1.0, 2.0])
def test_temperature_fits_the_votes(run: Calibrate, sharpness: float) -> None:
    spec, figures = run(*voted(sharpness))
    assert spec.temperature == pytest.approx(sharpness, rel=0.05)
    assert figures["confidence"]["votes"]["ece"] < 0.04 and figures["confidence"]["votes"]["n"] > 990
    assert spec.uncertain_below == pytest.approx(0.5, abs=0.08)  # where half of the people agree
    majorities = vote_shares(voted(sharpness)[1]).argmax(axis=1)
    assert fit_temperature(voted(sharpness)[0], majorities) < 0.75 * sharpness


def test_reported_pictures_do_not_calibrate(run: Calibrate) -> None:
    rows, votes = voted(1.5)
    changed = votes.copy()
    changed[1::2, :8] = np.roll(votes[1::2, :8], 1, axis=1)
    (spec, figures), (same_spec, other_figures) = run(rows, votes), run(rows, changed)
    assert spec == same_spec
    assert other_figures["confidence"]["votes"]["ece"] > figures["confidence"]["votes"]["ece"] + 0.1


def test_pictures_of_nothing_do_not_calibrate(run: Calibrate) -> None:
    rows, votes = voted(1.5)
    nothing = np.zeros((100, 10), np.int64)
    nothing[:, 9] = 10
    # Only usable pictures are predicted, so the stand-in answers for 2,000 of 2,100.
    assert run(rows, np.concatenate([nothing, votes]))[0] == run(rows, votes)[0]


def test_few_pictures_give_the_temperature_alone(run: Calibrate) -> None:
    spec, figures = run(*voted(2.0, count=300))
    assert spec.temperature == pytest.approx(2.0, rel=0.2)
    assert spec.label_prior == {} and spec.crop_doubt == {} and "conditions" not in figures


def test_doubt_follows_what_cannot_be_seen() -> None:
    """Crops of a high measure get random answers, just as sure: there the confidence must fall to the votes."""
    rows, votes = voted(1.0)
    shares = vote_shares(votes)
    wrong = np.random.default_rng(1).permutation(rows)
    clean, disturbed = answers(rows), answers(wrong, level=1.0)
    calibration = FaceCalibration(1.0)
    found = FaceCalibration(1.0, doubt=fit_doubt(calibration, clean, [disturbed], shares))
    seen, unseen = calibrated(found, clean), calibrated(found, disturbed)
    agreement = shares[np.arange(len(shares)), unseen.argmax(axis=1)].mean()
    assert unseen.max(axis=1).mean() < rows.max(axis=1).mean() - 0.1
    assert abs(unseen.max(axis=1).mean() - agreement) < 0.08
    assert seen.max(axis=1).mean() == pytest.approx(rows.max(axis=1).mean(), abs=0.03)
    assert (unseen.argmax(axis=1) == wrong.argmax(axis=1)).all()


def test_the_prior_is_taken_out_where_rare_labels_gain() -> None:
    """A network that leans to the frequent label beyond what the votes say loses nothing by leaning less."""
    chance = np.random.default_rng(0)
    prior = np.array([0.5, 0.2, 0.1, 0.08, 0.06, 0.03, 0.02, 0.01])
    labels = chance.choice(8, 4000, p=prior)
    logits = chance.normal(0, 1, (4000, 8))
    logits[np.arange(4000), labels] += 3
    rows = torch.softmax(torch.from_numpy(logits + 0.9 * np.log(prior) + 0.6 * np.log(prior)), 1).numpy()
    shares = 0.1 / 8 + 0.9 * np.eye(8)[labels]
    disturbed = [answers(rows.astype(np.float32))]
    found = choose(answers(rows.astype(np.float32)), disturbed, shares, labels)
    assert found.prior_power > 0.2 and found.prior == pytest.approx(shares.mean(axis=0), abs=1e-3)
    plain = choose(answers(rows.astype(np.float32)), [], shares, labels)
    assert plain.prior_power == 0 and plain.doubt is None

    def recall(calibration: FaceCalibration) -> float:
        top = calibrated(calibration, disturbed[0]).argmax(axis=1)
        return float(np.mean([(top[labels == label] == label).mean() for label in range(8)]))

    assert recall(found) > recall(plain) + 0.02


def test_disturbances_are_one_kind_each() -> None:
    neutral = FaceCorpus(np.zeros((1, 48, 48), np.uint8), np.zeros((1, 10), np.int64), ("",)).images
    for name, kind in DISTURBANCES.items():
        strengths = [value for value in vars(kind).values() if value]
        assert 1 <= len(strengths) <= 3, name
        assert subject._disturb(torch.from_numpy(neutral), kind).shape == (1, 48, 48)


@pytest.mark.slow
def test_the_card_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What calibration measured is what inference computes from the card, after a round trip through the files."""
    monkeypatch.setattr(subject, "LEAST_PICTURES", 40)
    corpus = striped_corpus(12, seed=0)
    network = tiny_network(8).eval()
    spec = ModelSpec("face", "tiny", FACE_LABELS, face_size=48)
    spec, figures = calibrate(network, spec, corpus)
    assert set(spec.crop_doubt) == {"smallest", "largest", "bias", "measures", "answer", "embedding"}
    conditions = figures["conditions"]
    assert isinstance(conditions, dict) and set(conditions) == {*CONDITIONS, *UNSEEN}
    images = torch.from_numpy(corpus.images)
    direct = calibrated(face_calibration(spec), subject.face_answers(network, images, spec.flip))
    loaded = face_calibration(ModelSpec(**{**spec.__dict__, **json.loads(json.dumps({"crop_doubt": spec.crop_doubt}))}))
    weights = Weights("tiny", "0" * 64, spec, {}, network)
    again = classify_faces(weights, images)[0].numpy()
    assert again == pytest.approx(direct, abs=1e-6) and loaded == face_calibration(spec)
