"""Figures of MOSI: scikit-learn as reference, paired intervals over videos, the probe for labels in features."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from multimodal.mosi.features import UtteranceTable
from multimodal.mosi.results import (
    accuracy_and_f1,
    accuracy_by_words,
    confusion_per_video,
    few_video_probe,
    with_intervals,
)


def table_of(targets: np.ndarray, videos: list[str], **vectors: np.ndarray) -> UtteranceTable:
    states = [np.zeros((1, 3), np.float32)] * len(targets)
    return UtteranceTable(tuple(videos), targets, vectors, states)


def test_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    targets, predictions = random.integers(2, size=90), random.integers(2, size=90)
    table = table_of(targets, [f"v{index // 9}" for index in range(90)])
    counts = confusion_per_video(predictions, table)
    assert counts.shape == (10, 2, 2) and counts.sum() == 90
    accuracy, f1 = accuracy_and_f1(counts.sum(axis=0))
    assert accuracy == pytest.approx(accuracy_score(targets, predictions))
    assert f1 == pytest.approx(f1_score(targets, predictions, average="weighted"))
    for video in range(10):
        rows = slice(video * 9, video * 9 + 9)
        expected = accuracy_score(targets[rows], predictions[rows])
        assert accuracy_and_f1(counts[video])[0] == pytest.approx(expected)


def test_intervals_are_over_videos_and_differences_are_paired() -> None:
    """Half of the videos are all right, half all wrong: utterances are many, but their videos decide."""
    good = np.zeros((1, 20, 2, 2))
    good[:, :10, 0, 0], good[:, 10:, 0, 1] = 50, 50
    better = good.copy()
    better[:, 10:, 0, 0], better[:, 10:, 0, 1] = 5, 45
    results = with_intervals({"a": better, "b": good}, [("a", "b"), ("a", "missing")])
    row = results["rows"]["b"]["accuracy"]
    assert row["mean"] == 0.5 and row["seeds"] == [0.5]
    deviation = np.sqrt(0.25 / 20)  # of a mean of 20 coin flips
    assert row["low"] == pytest.approx(0.5 - 1.96 * deviation, abs=0.06)
    assert row["high"] == pytest.approx(0.5 + 1.96 * deviation, abs=0.06)
    (difference,) = results["differences"]
    assert (difference["first"], difference["second"]) == ("a", "b")
    assert difference["accuracy"]["mean"] == pytest.approx(0.05)
    # Unpaired, the interval would be as wide as the rows'.
    assert difference["accuracy"]["low"] > 0 and difference["accuracy"]["high"] < 0.09


def test_seeds_are_averaged() -> None:
    counts = np.zeros((2, 4, 2, 2))
    counts[0, :, 1, 1] = 3
    counts[1, :, 1, 0] = 3
    row = with_intervals({"a": counts}, [])["rows"]["a"]["accuracy"]
    assert (row["mean"], row["low"], row["high"], row["seeds"]) == (0.5, 0.5, 0.5, [1.0, 0.0])


def test_the_probe_finds_a_label_that_the_features_hold() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(2, size=400)
    noise = random.normal(size=(400, 20))
    written = noise + 2 * (2 * targets[:, None] - 1) * (np.arange(20) < 5)
    table = table_of(targets, [f"v{index // 20}" for index in range(400)], face=written, audio=noise)
    accuracy = few_video_probe(table)
    assert accuracy["face"] > 0.9 and 0.4 < accuracy["audio"] < 0.6 and 0.4 < accuracy["text"] < 0.6


def test_accuracy_where_words_are_right_and_wrong_by_hand() -> None:
    targets = np.array([0, 1, 1, 0])
    predictions = {
        "text, single": np.array([[0, 1, 0, 1], [0, 1, 1, 1]]),  # wrong: the third, the fourth twice
        "face, single": np.array([[0, 1, 1, 0], [0, 1, 1, 1]]),
        "audio, single": np.array([[1, 1, 0, 0], [1, 1, 0, 0]]),
    }
    actual = accuracy_by_words(predictions, targets)
    assert actual["face"] == {"words_right": 1.0, "words_wrong": round(2 / 3, 4)}
    assert actual["audio"] == {"words_right": 0.4, "words_wrong": round(2 / 3, 4)}
    sure = accuracy_by_words({**predictions, "text, single": np.tile(targets, (2, 1))}, targets)
    assert set(sure["face"]) == {"words_right"}
