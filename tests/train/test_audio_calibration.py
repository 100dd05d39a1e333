"""The temperature of the voice follows the distance of the speaker: known temperatures are found, and nothing leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from voice_corpus import clip_of, features_of, random_network

from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.encoders.voice.features import summary_size
from multimodal.evaluate.metrics import correctness, expected_calibration_error, fit_temperature
from multimodal.evaluate.voice_recordings import ALONE, BALANCED, CONDITIONS, MOSTLY_NEUTRAL
from multimodal.train.audio_calibration import (
    VoiceCalibration,
    VoicePredictions,
    calibrated_out_of_sample,
    corpus_centers,
    familiarity_of,
    fit_calibration,
    joined,
    predictions_of,
)
from multimodal.train.audio_task import ClipTable

CORPORA = ("a", "b", "c")
NEAR, FAR = 0.6, 2.4


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def kind(crossed: bool, seed: int, clips: int = 150, speakers: int = 8) -> VoicePredictions:
    """Predictions whose right temperature is ``NEAR``, or ``FAR`` for left-out corpora, which are farther away."""
    chance = np.random.default_rng(seed)
    count = clips * speakers * len(CORPORA)
    logits = chance.normal(0, 3.0, (count, 7))
    truth = softmax(logits / (FAR if crossed else NEAR))
    labels = np.array([chance.choice(7, p=row) for row in truth])
    corpora = np.repeat(CORPORA, clips * speakers)
    numbers = np.tile(np.repeat(np.arange(speakers), clips), len(CORPORA))
    names = np.array([f"{corpus}-{number}" for corpus, number in zip(corpora, numbers, strict=True)])
    distance = {
        name: float(chance.uniform(2.5, 4.0) if crossed else chance.uniform(0.5, 1.2)) for name in sorted(set(names))
    }
    distances = np.array([distance[name] for name in names])
    return VoicePredictions(
        softmax(logits),
        FUSED_LABELS,
        labels,
        labels,
        distances,
        corpora,
        names,
        np.full(count, crossed),
        np.full(count, BALANCED),
    )


@pytest.fixture(scope="module")
def both() -> VoicePredictions:
    return joined([kind(False, 1), kind(True, 2)])


@pytest.fixture(scope="module")
def fitted(both: VoicePredictions) -> VoiceCalibration:
    return fit_calibration(both)


def test_both_temperatures_are_found(fitted: VoiceCalibration) -> None:
    assert fitted.temperatures(np.array([0.8]))[0] == pytest.approx(NEAR, rel=0.1)
    assert fitted.temperatures(np.array([3.2]))[0] == pytest.approx(FAR, rel=0.1)
    assert 1.2 < fitted.middle < 2.5


def test_no_single_temperature_serves_both(both: VoicePredictions, fitted: VoiceCalibration) -> None:
    rows, _ = calibrated_out_of_sample(both)
    single = fit_temperature(both.probabilities, both.labels)
    compromise = both.calibrated(VoiceCalibration(single))
    for crossed in (False, True):
        chosen = both.crossed == crossed
        assert expected_calibration_error(rows[chosen], both.labels[chosen]) < 0.04
        assert expected_calibration_error(compromise[chosen], both.labels[chosen]) > 0.08
    assert fitted.uncertain_below > 0


def test_threshold_is_that_of_left_out_corpora(both: VoicePredictions, fitted: VoiceCalibration) -> None:
    shifted = both.subset(both.crossed)
    rows = shifted.calibrated(fitted)
    confidence, right = rows.max(axis=1), correctness(rows, shifted.labels)
    assert fitted.uncertain_below == pytest.approx(0.5, abs=0.1)  # the synthetic truth is calibrated
    assert right[confidence < fitted.uncertain_below].mean() < 0.5 < right[confidence >= fitted.uncertain_below].mean()


@pytest.mark.parametrize("corpus", CORPORA)
def test_left_out_corpus_is_calibrated_without_its_labels(both: VoicePredictions, corpus: str) -> None:
    rows, thresholds = calibrated_out_of_sample(both)
    own = both.corpora == corpus
    changed = replace(both, labels=np.where(own, (both.labels + 1) % 7, both.labels))
    other_rows, other_thresholds = calibrated_out_of_sample(changed)
    assert np.array_equal(rows[own & both.crossed], other_rows[own & both.crossed])
    assert np.array_equal(thresholds[own & both.crossed], other_thresholds[own & both.crossed])
    assert not np.allclose(rows[~own], other_rows[~own])


def test_known_speakers_are_calibrated_without_their_labels(both: VoicePredictions) -> None:
    rows, _ = calibrated_out_of_sample(both)
    own = both.speakers == "b-3"
    changed = replace(both, labels=np.where(own, (both.labels + 1) % 7, both.labels))
    other_rows, _ = calibrated_out_of_sample(changed)
    assert np.array_equal(rows[own & ~both.crossed], other_rows[own & ~both.crossed])


def test_without_left_out_corpora_there_is_one_temperature() -> None:
    known = kind(False, 3)
    calibration = fit_calibration(known)
    assert (calibration.factor, calibration.middle, calibration.slope) == (1.0, 1.0, 1.0)
    assert calibration.temperature == pytest.approx(fit_temperature(known.probabilities, known.labels), rel=5e-3)


def test_corpora_count_the_same_whatever_their_size() -> None:
    known = kind(False, 4)
    small = (known.corpora == "a") & (np.arange(len(known.labels)) % 10 > 0)
    wrong = replace(known, labels=np.where(known.corpora == "a", (known.labels + 1) % 7, known.labels))
    few, many = fit_calibration(wrong.subset(~small)), fit_calibration(wrong)
    assert few.temperature == pytest.approx(many.temperature, rel=0.1)


def test_clips_without_one_of_the_seven_do_not_count(both: VoicePredictions, fitted: VoiceCalibration) -> None:
    extra = replace(kind(False, 5, clips=10), labels=np.full(10 * 8 * 3, -1))
    assert fit_calibration(joined([both, extra])) == fitted


def table_of(means: dict[str, float]) -> ClipTable:
    """Two clips per speaker, whose summaries are around the speaker's mean."""
    clips = [
        clip_of(speaker.split("-")[0], speaker.split("-")[1], HAPPY[speaker.split("-")[0]], take)
        for speaker in means
        for take in (1, 2)
    ]
    features = [
        replace(features_of(5, 0), summary=torch.full((summary_size(),), mean + offset))
        for mean in means.values()
        for offset in (-1.0, 1.0)
    ]
    return ClipTable(tuple(clips), np.zeros(len(clips), np.int64), (tuple(features),))


HAPPY = {"ravdess": "happy", "emodb": "happiness"}
TRAINING = {"ravdess-1": 0.0, "ravdess-2": 4.0, "emodb-1": 20.0, "emodb-2": 22.0}


def test_distances_are_those_of_the_nearest_corpus() -> None:
    training, held_out = table_of(TRAINING), table_of({"ravdess-3": 6.0, "ravdess-4": 19.0})
    centers, variance = corpus_centers(training)
    size = summary_size()
    assert centers.tolist() == [[2.0] * size, [21.0] * size] and variance.tolist() == [(4 + 1) / 2] * size
    groups = ("happiness",) * 8
    predictions = predictions_of(random_network(8), held_out, training, groups, crossed=True, speech=False)
    assert predictions.crossed.all() and set(predictions.conditions) == set(CONDITIONS) - {MOSTLY_NEUTRAL}
    together, alone = (predictions.subset(predictions.conditions == name) for name in (BALANCED, ALONE))
    assert together.distances.tolist() == pytest.approx([16 / 2.5] * 2 + [4 / 2.5] * 2)
    assert alone.distances.tolist() == pytest.approx([9 / 2.5, 25 / 2.5, 9 / 2.5, 1 / 2.5])
    assert together.speakers.tolist() == ["ravdess-3"] * 2 + ["ravdess-4"] * 2
    assert sum_to_fused(predictions.probabilities, groups)[0, 1] == pytest.approx(1)


def test_familiarity_of_the_card_gives_the_same_temperature() -> None:
    training, calibration = table_of(TRAINING), VoiceCalibration(0.7, 3.0, 2.0, 5.0, 0.4)
    familiarity = familiarity_of(calibration, training)
    assert familiarity is not None
    mean = torch.full((summary_size(),), 18.5)
    assert familiarity.distance(mean) == pytest.approx(2.5)
    assert 0.7 * familiarity.temperature_factor(mean) == pytest.approx(calibration.temperatures(np.array([2.5]))[0])
    assert familiarity_of(VoiceCalibration(0.7), training) is None
