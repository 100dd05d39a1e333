"""Split-screen recordings: halves from file names, the check by motion, and faces at true times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dialogue_video import TURNS, write_video

from multimodal.data.faces.detectors import load_detector
from multimodal.data.faces.split_screen import (
    Agreement,
    agreement,
    check_rule,
    crop_half,
    half_by_name,
    read_split_screen,
)
from multimodal.errors import CorpusError


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("dialogue") / "Ses01F_impro01.avi", TURNS)


@pytest.mark.parametrize(
    ("dialogue", "speaker", "half"),
    [
        ("Ses01F_impro01", "F", "left"),
        ("Ses01F_impro01", "M", "right"),
        ("Ses03M_script02_1", "M", "left"),
        ("Ses03M_script02_1", "F", "right"),
    ],
)
def test_the_actor_in_the_dialogues_name_sits_on_the_left(dialogue: str, speaker: str, half: str) -> None:
    assert half_by_name(dialogue, speaker) == half


@pytest.mark.parametrize(("dialogue", "speaker"), [("interview", "F"), ("Ses01F_impro01", "X")])
def test_a_name_that_says_nothing_is_refused(dialogue: str, speaker: str) -> None:
    with pytest.raises(CorpusError, match="is not a name such as Ses01F_impro01"):
        half_by_name(dialogue, speaker)


def test_halves_of_even_and_odd_pictures() -> None:
    picture = np.repeat(np.arange(5, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert crop_half(picture, "left")[0, :, 0].tolist() == [0, 1]
    assert crop_half(picture, "right")[0, :, 0].tolist() == [3, 4]


def test_faces_of_the_wanted_half_at_the_pictures_true_times(video: Path) -> None:
    expected = {"left": [(0.2, 1.2), (2.6, 3.6)], "right": []}
    observations = read_split_screen(video, expected, load_detector(), frames_per_second=5)
    assert len(observations.times) == len(observations.motion) == 25
    np.testing.assert_allclose(observations.times, np.arange(25) / 5, atol=0.041)
    times = observations.faces["left"].times
    assert set(times.tolist()) <= set(observations.times.tolist())
    inside = times[((times >= 0.2) & (times <= 1.2)) | ((times >= 2.6) & (times <= 3.6))]
    assert len(inside) >= 9  # of ten sampled pictures in the two turns
    assert times.max() <= 3.6 and not ((times > 1.25) & (times < 2.05)).any()
    assert observations.faces["left"].crops.shape == (len(times), 48, 48)
    assert len(observations.faces["right"].times) == 0


def test_both_halves_give_the_face_that_is_in_them(video: Path) -> None:
    """The right head is the left one mirrored: so are the crops."""
    observations = read_split_screen(video, {"left": [(0, 5)], "right": [(0, 5)]}, load_detector(), frames_per_second=2)
    left, right = (observations.faces[half].crops.astype(float).mean(axis=0) for half in ("left", "right"))
    assert np.corrcoef(left.ravel(), right[:, ::-1].ravel())[0, 1] > 0.8
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] < 0.8


def test_motion_tells_who_sits_where(video: Path) -> None:
    observations = read_split_screen(video, {})
    assert agreement("Ses01F_impro01", observations.times, observations.motion, TURNS).share == 1.0
    swapped = [(start, end, "right" if half == "left" else "left") for start, end, half in TURNS]
    assert agreement("Ses01F_impro01", observations.times, observations.motion, swapped).share == 0.0


def test_who_talks_most_does_not_decide() -> None:
    """Nine turns on the left against one on the right, and a left camera that shakes less."""
    times = np.arange(100) / 10
    speaks = times < 9
    motion = np.column_stack((np.where(speaks, 1.2, 1.0), np.where(speaks, 5.0, 9.0)))
    turns = [(float(start), start + 0.9, "left" if start < 9 else "right") for start in range(10)]
    assert agreement("Ses01F_impro01", times, motion, turns).share == 1.0


def test_meaningless_motion() -> None:
    draws = np.random.default_rng(0)
    actual = []
    for _ in range(60):
        times, motion = np.arange(400) / 4, draws.gamma(2, 1, (400, 2))
        turns = [(float(2 * index), 2 * index + 1.5, ("left", "right")[index % 2]) for index in range(50)]
        actual.append(agreement("Ses01F_impro01", times, motion, turns))
    assert 0.45 < np.mean([each.share for each in actual]) < 0.55
    assert sum(each.contradicts for each in actual) <= 3
    check_rule(Path("corpus"), actual)


def test_one_actor_alone_says_nothing() -> None:
    times, motion = np.arange(10.0), np.ones((10, 2))
    assert agreement("Ses01F_impro01", times, motion, [(0, 3, "left"), (4, 6, "left")]).turns == 0
    assert agreement("Ses01F_impro01", times, motion, [(20, 30, "left")]).turns == 0
    assert check_rule(Path("corpus"), []) == []


def test_halves_against_the_rule() -> None:
    against, normal = Agreement("Ses02M_impro03", 40, 0.2), Agreement("Ses01F_impro01", 400, 0.7)
    lines = check_rule(Path("corpus"), [against, normal])
    assert lines[0].startswith("Ses02M_impro03: the speaker's half moved more in only 20% of 40 turns")
    with pytest.raises(
        CorpusError, match='only 20% of 40 turns, so the halves are swapped; write speaker_half = "motion"'
    ):
        check_rule(Path("corpus"), [against])
