"""Changes of a face: steps and flicker made by hand, properties of any face, and FER+ pictures with known changes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from multimodal.data.emotions import FACE_LABELS
from multimodal.fusion.change_points import (
    CLEAR,
    DISTINCT,
    LEAST_SECONDS,
    change_points,
    expression_changes,
    picture_changes,
)
from multimodal.types import FaceObservation, Probabilities

NEUTRAL, HAPPINESS, SURPRISE, SADNESS = range(4)
Rows = NDArray[np.float64]


def rows_of(labels: list[int], sure: float = 0.9) -> Rows:
    """Probabilities led by one of eight labels each."""
    rows = np.full((len(labels), 8), (1 - sure) / 7)
    rows[np.arange(len(labels)), labels] = sure
    return rows


def found(labels: list[int], rate: float = 5.0, sure: float = 0.9) -> list[int]:
    return change_points(np.arange(len(labels)) / rate, rows_of(labels, sure))


def faces_of(times: list[float], rows: Rows, face_id: int = 0, side: float = 90.0) -> list[FaceObservation]:
    looks: list[Probabilities] = [dict(zip(FACE_LABELS, map(float, row), strict=True)) for row in rows]
    box = (0.0, 0.0, side, side)
    return [FaceObservation(when, face_id, box, 0.9, "clear", look) for when, look in zip(times, looks, strict=True)]


def in_order(*faces: list[FaceObservation]) -> list[FaceObservation]:
    return sorted(itertools.chain(*faces), key=lambda face: (face.time_seconds, face.face_id))


@pytest.mark.parametrize("rate", [1, 2, 5, 10, 15, 29.97])
def test_a_step_is_found_at_every_rate(rate: float) -> None:
    for seconds in (5, 12):
        place = round(seconds * rate)
        labels = [NEUTRAL] * place + [HAPPINESS] * round(8 * rate)
        assert found(labels, rate) == [place]
        assert found(labels, rate, 0.6) == [place]  # of a face that no one is sure of


def test_the_shortest_expressions() -> None:
    assert found([NEUTRAL] * 3 + [HAPPINESS] * 9) == [3]  # 0.6 s before a smile of 1.8 s, as in a real clip
    assert found([NEUTRAL] * 20 + [HAPPINESS] * 5 + [NEUTRAL] * 20) == [20, 25]  # a smile of 1 s
    assert found([NEUTRAL] * 20 + [SURPRISE] * 2 + [NEUTRAL] * 20) == []  # a word of 0.4 s
    assert found([NEUTRAL] * 5) == found([NEUTRAL]) == found([NEUTRAL] * 2 + [HAPPINESS] * 2) == []


def test_a_slow_smile_has_one_change() -> None:
    rows = rows_of([NEUTRAL] * 40)
    grown = np.clip((np.arange(40) - 20) / 5, 0, 1)[:, None]  # within a second
    rows = (1 - grown) * rows + grown * rows_of([HAPPINESS] * 40)
    (place,) = change_points(np.arange(40) / 5, rows)
    assert 21 <= place <= 24


def test_more_of_the_same_expression_is_no_change() -> None:
    rows = np.concatenate([rows_of([NEUTRAL] * 20, 0.95), rows_of([NEUTRAL] * 20, 0.5)])
    assert change_points(np.arange(40) / 5, rows) == []
    # From one unclear look to another there is nothing to name.
    unclear = np.full((40, 8), 0.125)
    unclear[:20, NEUTRAL] += 0.1
    unclear[20:, FACE_LABELS.index("fear")] += 0.1
    assert change_points(np.arange(40) / 5, unclear / unclear.sum(axis=1, keepdims=True)) == []


def test_talking_flickers_and_is_no_change() -> None:
    rng = np.random.default_rng(3)
    for rate in (5, 15, 30):
        for _ in range(20):
            labels = np.full(60 * rate, NEUTRAL)
            for start in np.arange(0, 59, 1.3) + rng.uniform(0, 0.9, 46):  # another look for 0.1 to 0.3 s
                length = rng.uniform(0.1, 0.3)
                labels[int(start * rate) : int((start + length) * rate)] = rng.integers(1, 8)
            assert found(labels.tolist(), rate) == []
    assert found([NEUTRAL, SURPRISE] * 100) == found([NEUTRAL, NEUTRAL, SURPRISE, SURPRISE] * 50) == []


def test_the_answer_does_not_hang_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    lengths = rng.integers(8, 60, 40)
    labels = [label for place, length in enumerate(lengths) for label in [place % 4] * length]
    rows = 0.7 * rows_of(labels) + 0.3 * rng.dirichlet(np.ones(8), len(labels))
    expected = np.cumsum(lengths)[:-1].tolist()
    for block in (90, 256, 1000, 100_000):
        monkeypatch.setattr("multimodal.fusion.change_points.BLOCK_FRAMES", block)
        assert change_points(np.arange(len(labels)) / 5, rows) == expected


def test_an_hour_takes_seconds() -> None:
    rng = np.random.default_rng(7)
    rows = 0.7 * rows_of([NEUTRAL] * 18_000) + 0.3 * rng.dirichlet(np.ones(8), 18_000)  # nothing to prune: the worst
    begun = time.process_time()
    assert change_points(np.arange(18_000) / 5, rows) == []
    assert time.process_time() - begun < 5


PIECES = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 30)), min_size=1, max_size=12)


@given(PIECES, st.integers(0, 2**32 - 1), st.sampled_from([1.0, 5.0, 12.5, 30.0]))
@settings(deadline=None)
def test_any_face(pieces: list[tuple[int, int]], seed: int, rate: float) -> None:
    labels = [label for label, length in pieces for _ in range(length)]
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0, 0.8)
    rows = (1 - weight) * rows_of(labels) + weight * rng.dirichlet(np.full(8, 0.3), len(labels))
    times = np.cumsum(rng.uniform(0.7, 1.3, len(labels))) / rate
    places = change_points(times, rows)
    edges = [0, *places, len(rows)]
    assert edges == sorted(set(edges))
    if not places:
        return
    step = float(np.median(np.diff(times)))
    assert min(np.diff(edges)) >= max(2, round(LEAST_SECONDS / step))
    means = [rows[start:end].mean(axis=0) for start, end in itertools.pairwise(edges)]
    for before, after in itertools.pairwise(means):
        assert before.argmax() != after.argmax() and min(before.max(), after.max()) >= CLEAR
        assert np.abs(before - after).sum() / 2 >= DISTINCT
    # Neither the clock nor the order of the labels matters.
    assert change_points(times + 3600.0, rows) == places
    assert change_points(times, rows[:, rng.permutation(8)]) == places


# --- observations -------------------------------------------------------------------------------------------------


def test_a_change_is_dated_midway_and_bounded() -> None:
    times = [number / 5 for number in range(60)]
    rows = rows_of([NEUTRAL] * 20 + [HAPPINESS] * 20 + [SADNESS] * 20)
    first, second = expression_changes(faces_of(times, rows, face_id=4))
    assert (first.face_id, first.start_seconds) == (4, 0.0)
    assert first.time_seconds == second.start_seconds == pytest.approx(3.9)
    assert first.end_seconds == second.time_seconds == pytest.approx(7.9)
    assert second.end_seconds == pytest.approx(12.0)
    assert first.before == pytest.approx(dict(zip(FACE_LABELS, rows[0], strict=True)))
    assert first.after == second.before == pytest.approx(dict(zip(FACE_LABELS, rows[30], strict=True)))


def test_a_face_that_looked_away_is_dated_where_it_is_back() -> None:
    times = [number / 5 for number in (*range(20), *range(45, 65))]
    (change,) = expression_changes(faces_of(times, rows_of([NEUTRAL] * 20 + [HAPPINESS] * 20)))
    assert change.time_seconds == pytest.approx(9.0 - 0.2)  # seen again at 9.0


def test_frames_that_were_not_scored_do_not_count() -> None:
    times = [number / 5 for number in range(40)]
    faces = faces_of(times, rows_of([NEUTRAL] * 20 + [HAPPINESS] * 20))
    blurred = [FaceObservation(face.time_seconds, 0, face.box, 0.9, "blurred") for face in faces]
    assert expression_changes(blurred) == [] and picture_changes(blurred, times) == []
    holes = [blurred[place] if place % 3 == 1 else face for place, face in enumerate(faces)]
    (change,) = expression_changes(holes)
    assert change.time_seconds == pytest.approx(3.9, abs=0.11)


def test_each_face_has_its_own_changes() -> None:
    times = [number / 5 for number in range(50)]
    left = faces_of(times, rows_of([NEUTRAL] * 20 + [HAPPINESS] * 30), 0)
    right = faces_of(times, rows_of([SADNESS] * 35 + [NEUTRAL] * 15), 1, side=50.0)
    both = in_order(left, right)
    assert [(change.face_id, round(change.time_seconds, 2)) for change in expression_changes(both)] == [
        *((0, 3.9), (1, 6.9)),
    ]
    assert picture_changes(both, times) == pytest.approx([3.9])  # the larger face is the main one
    assert [change.face_id for change in expression_changes(both, 1)] == [1]
    assert picture_changes(both, times, 1) == pytest.approx([6.9])


def test_cuts_appearances_and_absences_change_the_picture() -> None:
    times = [number / 5 for number in range(100)]
    calm = rows_of([NEUTRAL] * 100)
    late = faces_of(times[20:50], calm[20:50], 0)  # from 4 s to 10 s
    other = faces_of(times[50:75], calm[50:75], 1)  # a cut to somebody else, until 15 s
    assert picture_changes(in_order(late, other), times) == pytest.approx([3.9, 9.9, 14.9])
    # Neither the first nor the last picture of a recording is a change.
    assert picture_changes(faces_of(times, calm), times) == []
    # A face that is blurred for a second was not away, one that is away for 2 s was.
    for gap, changes in ((range(40, 45), []), (range(40, 50), [7.9, 9.9])):
        seen = [place for place in range(100) if place not in gap]
        faces = faces_of([times[place] for place in seen], calm[seen])
        assert picture_changes(faces, times) == pytest.approx(changes)
    # Who comes and goes behind the main face changes nothing.
    passing = faces_of(times[40:60], calm[40:60], 7, side=30.0)
    assert picture_changes(in_order(faces_of(times, calm), passing), times) == []
    assert picture_changes([], times) == picture_changes([], []) == []


@pytest.mark.parametrize("step", [2.0, 5.0])
def test_a_face_in_every_one_of_rare_frames_was_never_away(step: float) -> None:
    times = [number * step for number in range(20)]
    calm = rows_of([NEUTRAL] * 20)
    assert picture_changes(faces_of(times, calm), times) == []
    seen = [place for place in range(20) if place not in (8, 9)]
    faces = faces_of([times[place] for place in seen], calm[seen])
    assert picture_changes(faces, times) == pytest.approx([7.5 * step, 9.5 * step])


@given(PIECES, PIECES, st.floats(0, 5000))
@settings(deadline=None)
def test_changes_move_with_the_clock(
    pieces: list[tuple[int, int]], others: list[tuple[int, int]], shift: float
) -> None:
    parts = [[label for label, length in each for _ in range(length)] for each in (pieces, others)]
    times = [number / 5 for number in range(max(map(len, parts)))]
    faces = [faces_of(times[: len(part)], rows_of(part), number) for number, part in enumerate(parts)]
    moved = [
        faces_of([when + shift for when in times[: len(part)]], rows_of(part), number)
        for number, part in enumerate(parts)
    ]
    at_first = picture_changes(in_order(*faces), times)
    later = picture_changes(in_order(*moved), [when + shift for when in times])
    assert later == pytest.approx([change + shift for change in at_first], abs=1e-6)
    assert at_first == sorted(set(at_first))
    assert all(times[0] < change < times[-1] for change in at_first)
