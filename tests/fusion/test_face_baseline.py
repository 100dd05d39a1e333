"""The resting face: what shifts, what stays, and where there is too little to go by."""

from __future__ import annotations

import pytest

from multimodal.data.emotions import FACE_LABELS
from multimodal.fusion.face_baseline import RESTING, with_baseline
from multimodal.types import FaceBaseline, FaceObservation, top_label

RATE = 5

SAD_REST = {"neutral": 0.36, "sadness": 0.52}
NEUTRAL = {"neutral": 0.86, "sadness": 0.05}
SAD = {"neutral": 0.08, "sadness": 0.85}
GLAD = {"neutral": 0.1, "happiness": 0.85}


def face(index: int, some: dict[str, float], face_id: int = 0, side: float = 9.0) -> FaceObservation:
    others = [label for label in FACE_LABELS if label not in some]
    rest = (1 - sum(some.values())) / len(others)
    row = {label: some.get(label, rest) for label in FACE_LABELS}
    return FaceObservation(index / RATE, face_id, (0, 0, side, side), 1.0, "clear", row, mouth_motion=0.0)


def recording(*parts: tuple[dict[str, float], float], face_id: int = 0, side: float = 9.0) -> list[FaceObservation]:
    shown = [some for some, seconds in parts for _ in range(round(seconds * RATE))]
    return [face(index, some, face_id, side) for index, some in enumerate(shown)]


def leads(faces: tuple[FaceObservation, ...]) -> list[str]:
    return [top_label(each.probabilities) for each in faces if each.probabilities is not None]


def test_usual_resting_face_has_all_labels() -> None:
    assert set(RESTING) == set(FACE_LABELS) and sum(RESTING.values()) == pytest.approx(1.1, abs=0.1)


def test_a_face_that_looks_sad_at_rest_is_neutral_and_sadness_stays() -> None:
    faces = recording((SAD_REST, 8), (GLAD, 3), (SAD_REST, 4), (SAD, 3))
    shifted, baseline = with_baseline(faces, "auto")
    assert baseline == FaceBaseline("auto", 0.0, 8.0, used=True)
    assert leads(tuple(faces))[:40] == ["sadness"] * 40
    assert leads(shifted) == ["neutral"] * 40 + ["happiness"] * 15 + ["neutral"] * 20 + ["sadness"] * 15


def test_a_usual_resting_face_changes_little() -> None:
    faces = recording((NEUTRAL, 10), (GLAD, 4), (SAD, 3))
    shifted, baseline = with_baseline(faces, "auto")
    assert baseline.used and leads(shifted) == leads(tuple(faces))
    for before, after in zip(faces, shifted, strict=True):
        assert before.probabilities is not None and after.probabilities is not None
        assert after.probabilities == pytest.approx(before.probabilities, abs=0.1)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (((SAD_REST, 30),), "one lasting emotion without anything else"),
        (((SAD_REST, 30), (GLAD, 2)), "almost nothing else"),
        (((SAD, 10), (GLAD, 8)), "clearly sad"),
        (((SAD_REST, 4), (GLAD, 2)), "short"),
        (((GLAD, 1), (SAD_REST, 1)) * 8, "no calm stretch"),
        (((NEUTRAL, 0.2),), "a picture"),
    ],
)
def test_auto_is_off(parts: tuple[tuple[dict[str, float], float], ...], why: str) -> None:
    faces = recording(*parts)
    shifted, baseline = with_baseline(faces, "auto")
    assert shifted == tuple(faces), why
    assert baseline == FaceBaseline("auto", used=False)


def test_a_given_stretch_is_believed() -> None:
    faces = recording((SAD, 4), (GLAD, 2))
    shifted, baseline = with_baseline(faces, "given", (1.0, 3.0))
    assert baseline == FaceBaseline("given", 1.0, 3.0, used=True)
    assert leads(shifted) == ["neutral"] * 20 + ["happiness"] * 10


def test_a_stretch_without_the_face_shifts_nothing() -> None:
    faces = recording((SAD, 4))
    shifted, baseline = with_baseline(faces, "given", (10.0, 13.0))
    assert shifted == tuple(faces) and baseline == FaceBaseline("given", 10.0, 13.0)


def test_none_shifts_nothing() -> None:
    faces = recording((SAD_REST, 8), (GLAD, 6))
    assert with_baseline(faces, "none") == (tuple(faces), FaceBaseline("none"))
    assert with_baseline([], "auto") == ((), FaceBaseline("auto"))


def test_each_face_has_its_own_and_the_largest_is_named() -> None:
    small = recording((NEUTRAL, 10), (GLAD, 6), face_id=0)
    large = recording((GLAD, 4), (SAD_REST, 8), (GLAD, 4), face_id=1, side=90.0)
    faces = sorted([*small, *large], key=lambda each: each.time_seconds)
    shifted, baseline = with_baseline(faces, "auto")
    assert baseline == FaceBaseline("auto", 4.0, 12.0, used=True)
    own = tuple(each for each in shifted if each.face_id == 1)
    assert leads(own) == ["happiness"] * 20 + ["neutral"] * 40 + ["happiness"] * 20
    assert len(shifted) == len(faces) and [each.face_id for each in shifted] == [each.face_id for each in faces]


def test_a_mode_must_be_known() -> None:
    with pytest.raises(ValueError, match="mode"):
        FaceBaseline("sometimes")
