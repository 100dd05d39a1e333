"""Simulated recordings: every kind holds what its name says, of all lengths, and the clip itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from multimodal.errors import ConfigError
from multimodal.train.voice.recordings import RecordingShares, SimulatedRecordings

SPEAKERS = ["a"] * 40 + ["b"] * 3
TARGETS = [0] * 14 + [1] * 13 + [2] * 13 + [1, 2, 2]


def drawn(index: int, shares: RecordingShares, times: int = 300) -> list[list[int]]:
    recordings = SimulatedRecordings(SPEAKERS, TARGETS, [0], shares)
    draws = torch.Generator().manual_seed(index)
    return [recordings.draw(index, draws).tolist() for _ in range(times)]


def only(kind: str) -> RecordingShares:
    return RecordingShares(**{name: float(name == kind) for name in RecordingShares.__dataclass_fields__})


@pytest.mark.parametrize("kind", list(RecordingShares.__dataclass_fields__))
@pytest.mark.parametrize("index", [0, 20, 41])
def test_a_recording_holds_its_clip_once_and_one_speaker(kind: str, index: int) -> None:
    for members in drawn(index, only(kind)):
        assert members.count(index) == 1 and len(set(members)) == len(members)
        assert {SPEAKERS[member] for member in members} == {SPEAKERS[index]}


def test_balanced_recordings_are_of_all_lengths() -> None:
    sizes = Counter(len(members) for members in drawn(20, only("balanced"), 2000))
    assert set(sizes) == set(range(1, 41)) and np.mean(list(sizes.elements())) == pytest.approx(20.5, abs=1)


def test_one_emotion_is_one_emotion() -> None:
    recordings = drawn(20, only("one_emotion"))
    assert {TARGETS[member] for members in recordings for member in members} == {1}
    assert {len(members) for members in recordings} == set(range(1, 14))


@pytest.mark.parametrize("index", [0, 20])
def test_mostly_neutral_recordings_are(index: int) -> None:
    recordings = drawn(index, only("mostly_neutral"))
    long = [members for members in recordings if len(members) >= 10]
    assert long
    for members in long:
        assert np.mean([TARGETS[member] == 0 for member in members]) == pytest.approx(0.7, abs=0.08)


def test_alone_is_alone() -> None:
    assert all(members == [20] for members in drawn(20, only("alone")))


def test_kinds_come_as_often_as_the_shares_say() -> None:
    alone = np.mean([len(members) == 1 for members in drawn(20, RecordingShares(0.0, 0.0, 0.0, 1.0))])
    mixed = np.mean([len(members) == 1 for members in drawn(20, RecordingShares(0.6, 0.0, 0.0, 0.4), 3000)])
    assert alone == 1.0 and mixed == pytest.approx(0.4 + 0.6 / 78, abs=0.03)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5, 0.5), (1.2, -0.2, 0.0, 0.0)])
def test_shares_that_cannot_be(shares: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.recordings: are .*; give shares from 0 that add up to 1"):
        RecordingShares(*shares)
