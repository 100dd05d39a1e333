"""Segments: windows, pauses, the face of a segment, and averages; by hand, with numpy, and for any input."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.fusion.segments import (
    LEAST_SECONDS,
    PAUSE_SECONDS,
    WINDOW_SECONDS,
    estimate_segments,
    face_estimate,
    fill_gaps,
    main_face,
    mean_estimate,
    observations_in,
    speech_seconds,
    windows,
)
from multimodal.types import (
    USABILITY_LABELS,
    EncodedUtterance,
    FaceObservation,
    ModalityEstimate,
    Probabilities,
    Utterance,
    UtteranceEstimate,
)

CALM: Probabilities = {"neutral": 0.75, "happiness": 0.25}
GLAD: Probabilities = {"neutral": 0.25, "happiness": 0.75}


def face(
    time: float, face_id: int, side: float, probabilities: Probabilities | None = CALM, height: float | None = None
) -> FaceObservation:
    quality = "clear" if probabilities else "blurred"
    return FaceObservation(time, face_id, (5.0, 7.0, side, height or side), 0.9, quality, probabilities)


@given(st.floats(0, 1e3), st.floats(0.5, 100))
def test_windows_cover_the_recording_without_gap_or_overlap(duration: float, length: float) -> None:
    actual = windows(duration, length)
    assert (actual[0].start_seconds, actual[-1].end_seconds) == (0.0, duration)
    assert [window.end_seconds for window in actual[:-1]] == [window.start_seconds for window in actual[1:]]
    lengths = [window.end_seconds - window.start_seconds for window in actual]
    assert lengths[:-1] == pytest.approx([length] * (len(actual) - 1))
    assert lengths[-1] <= length * 1.5 + 1e-6
    assert len(actual) == 1 or lengths[-1] >= length / 2 - 1e-6
    assert all(window.speaker is None and window.text is None for window in actual)


@pytest.mark.parametrize(
    ("duration", "ends"),
    [(0.0, [0.0]), (3.0, [3.0]), (5.9, [5.9]), (6.0, [4.0, 6.0]), (8.0, [4.0, 8.0]), (13.9, [4.0, 8.0, 13.9])],
)
def test_a_short_rest_joins_the_window_before(duration: float, ends: list[float]) -> None:
    assert WINDOW_SECONDS == 4.0
    assert [window.end_seconds for window in windows(duration)] == ends


@given(st.lists(st.floats(0, 20), max_size=30), st.floats(0.1, 20))
def test_each_observation_lies_in_exactly_one_window(times: list[float], duration: float) -> None:
    faces = [face(time, 0, 10) for time in sorted(times)]
    parts = [observations_in(window, faces) for window in windows(duration)]
    assert sorted(o.time_seconds for part in parts for o in part) == sorted(time for time in times if time < duration)


def test_an_utterance_holds_its_start_and_not_its_end() -> None:
    faces = [face(time, 0, 10) for time in (0.9, 1.0, 1.5, 2.0)]
    assert observations_in(Utterance(1.0, 2.0), faces) == faces[1:3]


def times(utterances: Sequence[Utterance]) -> list[tuple[float, float]]:
    return [(utterance.start_seconds, utterance.end_seconds) for utterance in utterances]


def test_silences_are_windows_and_pauses_are_nobodys() -> None:
    utterances = [
        Utterance(12.0, 14.5, "Ben"),
        Utterance(1.0, 4.0, "Ada"),
        Utterance(4.5, 5.25, text="Mm."),
        Utterance(3, 6),
    ]
    filled = fill_gaps(utterances, 15.25)
    # Silent are 0 to 1, 6 to 12 (a window of 4 s and a rest of half a window) and, too short, 14.5 to 15.25.
    assert times(filled) == [(0, 1), (1, 4), (3, 6), (4.5, 5.25), (6, 10), (10, 12), (12, 14.5)]
    assert [filled[index] for index in (1, 2, 3, 6)] == [utterances[1], utterances[3], utterances[2], utterances[0]]
    assert all(filled[index] == Utterance(*times(filled)[index]) for index in (0, 4, 5))


def test_without_speech_there_are_windows_alone() -> None:
    assert fill_gaps([], 13.9) == windows(13.9) and fill_gaps([], 0.3) == windows(0.3)


def test_utterances_may_lie_nowhere_or_beyond_the_end() -> None:
    nowhere = [Utterance(0.0, 0.0, text="a"), Utterance(0.0, 0.0, text="b")]
    assert fill_gaps(nowhere, 0.0) == nowhere
    assert times(fill_gaps(nowhere, 3.0)) == [(0, 0), (0, 0), (0, 3)]
    assert times(fill_gaps([Utterance(8.0, 12.5)], 10.0)) == [(0, 4), (4, 8), (8, 12.5)]


def test_silences_are_cut_where_the_picture_changes() -> None:
    utterances = [Utterance(5.0, 8.0, text="Well.")]
    # In the utterance nothing is cut, and 0.3 s are no piece: after 0.2, 8.3 and 12.2, and before 15.0.
    changes = [0.2, 2.0, 6.0, 8.3, 12.0, 12.2, 14.8]
    assert times(fill_gaps(utterances, 15.0, 0.0, changes)) == [(0, 2), (2, 5), (5, 8), (8, 12), (12, 15)]
    assert times(fill_gaps([], 10.0, 0.0, [1.0])) == [(0, 1), (1, 5), (5, 10)]
    assert times(fill_gaps([], 6.4, 0.0, [3.9, 4.5])) == [(0, 3.9), (3.9, 4.5), (4.5, 6.4)]
    assert times(fill_gaps([], 20.0, 10.0, [3.0, 11.0, 25.0])) == [(10, 11), (11, 15), (15, 20)]


SPOKEN = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 20)).map(lambda pair: Utterance(pair[0], sum(pair), "Ada", "Well.")),
    max_size=12,
)


def silent_spans(utterances: Sequence[Utterance], duration: float) -> list[tuple[float, float]]:
    """Spans between neighboring edges that no utterance covers, joined: found by testing every middle."""
    edges = sorted({0.0, duration, *(edge for pair in times(utterances) for edge in pair if edge < duration)})
    silent: list[tuple[float, float]] = []
    for start, end in itertools.pairwise(edges):
        if any(first <= start and end <= last for first, last in times(utterances)):
            continue
        # An utterance without length, or one that ends where another starts, parts no silence.
        joins = bool(silent) and silent[-1][1] == start
        silent = [*silent[:-1], (silent[-1][0], end)] if joins else [*silent, (start, end)]
    return silent


@given(SPOKEN, st.floats(0, 120))
def test_every_long_silence_is_covered_once_and_nothing_else(utterances: list[Utterance], duration: float) -> None:
    filled = fill_gaps(utterances, duration)
    said, silent = ([each for each in filled if (each.text is not None) == spoken] for spoken in (True, False))
    assert times(filled) == sorted(times(filled))
    assert sorted(times(said)) == sorted(times(utterances)) and set(said) == set(utterances)
    assert all(each == Utterance(each.start_seconds, each.end_seconds) for each in silent)
    if not utterances:
        return
    lengths = [window.end_seconds - window.start_seconds for window in silent]
    assert all(PAUSE_SECONDS - 1e-9 <= length <= 1.5 * WINDOW_SECONDS + 1e-9 for length in lengths)
    edges = [edge for window in silent for edge in times([window])[0]]
    apart = [span for span in silent_spans(utterances, duration) if _length(span) >= PAUSE_SECONDS]
    # Inside a silence each window ends where the next begins; what is left are the silences' own edges.
    assert _without_pairs(edges) == [edge for span in apart for edge in span]
    assert fill_gaps(filled, duration) == filled


@given(SPOKEN, st.floats(0.01, 120), st.lists(st.floats(0, 130), max_size=30).map(sorted), st.floats(0, 50))
def test_windows_follow_the_changes(
    utterances: list[Utterance], duration: float, changes: list[float], start: float
) -> None:
    end = start + duration
    utterances = [Utterance(each.start_seconds + start, each.end_seconds + start, text="Well.") for each in utterances]
    changes = [change + start for change in changes]
    filled = fill_gaps(utterances, end, start, changes)
    plain = fill_gaps(utterances, end, start)
    assert times(filled) == sorted(times(filled))
    assert [each for each in filled if each.text] == [each for each in plain if each.text]
    silent, plainly = ([each for each in row if not each.text] for row in (filled, plain))
    # The same silences are covered, each once.
    edges, expected = ([edge for window in row for edge in times([window])[0]] for row in (silent, plainly))
    assert _without_pairs(edges) == _without_pairs(expected)
    lengths = [window.end_seconds - window.start_seconds for window in silent]
    shortest = min(LEAST_SECONDS, duration) if not utterances else LEAST_SECONDS
    assert all(shortest - 1e-9 <= length <= 1.5 * WINDOW_SECONDS + 1e-9 for length in lengths)
    # No change lies within a window, except near to its edges.
    for window in silent:
        first, last = window.start_seconds + LEAST_SECONDS + 1e-9, window.end_seconds - LEAST_SECONDS - 1e-9
        assert not any(first < change < last for change in changes)


@given(SPOKEN, st.floats(0.01, 120), st.lists(st.floats(0, 130), max_size=30).map(sorted), st.integers(1, 5000))
def test_windows_move_with_the_clock(
    utterances: list[Utterance], duration: float, changes: list[float], shift: int
) -> None:
    # In sixty-fourths of a second, which add up exactly.
    coarse = [round(change * 64) / 64 for change in changes]
    rows = [Utterance(*(round(edge * 64) / 64 for edge in pair), text="Well.") for pair in times(utterances)]
    duration = round(duration * 64) / 64
    at_first = fill_gaps(rows, duration, 0.0, coarse)
    moved = [Utterance(*(edge + shift for edge in pair), text="Well.") for pair in times(rows)]
    later = fill_gaps(moved, duration + shift, float(shift), [change + shift for change in coarse])
    assert times(later) == [(start + shift, end + shift) for start, end in times(at_first)]


def _without_pairs(edges: Sequence[float]) -> list[float]:
    left: list[float] = []
    for edge in edges:
        if left and left[-1] == edge:
            left.pop()
        else:
            left.append(edge)
    return left


def _length(span: tuple[float, float]) -> float:
    return span[1] - span[0]


@given(SPOKEN, st.floats(0, 120))
def test_speech_and_silence_make_up_the_recording(utterances: list[Utterance], duration: float) -> None:
    silence = sum(map(_length, silent_spans(utterances, duration)))
    assert speech_seconds(utterances, duration) == pytest.approx(duration - silence, abs=1e-6)


def test_main_face_has_the_largest_summed_area_of_scored_frames() -> None:
    small_but_long = [face(index / 5, 3, 20) for index in range(6)]  # 6 * 20 * 20 = 2400
    large_but_brief = [face(0.0, 1, 40), face(0.2, 1, 25)]  # 1600 + 625 = 2225
    assert main_face(small_but_long + large_but_brief) == 3
    assert main_face([*small_but_long, *large_but_brief, face(0.4, 1, 14)]) == 1  # 2421
    # What could not be scored counts for nothing, however large.
    assert main_face([*small_but_long, *large_but_brief, face(0.4, 1, 300, None)]) == 3
    assert main_face([face(0.0, 7, 10, height=50), face(0.0, 2, 20)]) == 7  # 500 and 400


def test_main_face_ties() -> None:
    assert main_face([face(0.0, 5, 10), face(0.0, 4, 10)]) == 4
    assert main_face([face(0.0, 5, 10, None)]) is None


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=40))
def test_mean_is_that_of_numpy(rows: list[list[float]]) -> None:
    probabilities = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    labels = ("neutral", "anger", "fear")
    estimate = mean_estimate([dict(zip(labels, map(float, row), strict=True)) for row in probabilities])
    assert tuple(estimate.probabilities) == labels
    assert list(estimate.probabilities.values()) == pytest.approx(np.mean(probabilities, axis=0), abs=1e-12)
    assert estimate.confidence == pytest.approx(np.mean(probabilities, axis=0).max(), abs=1e-12)


def test_estimate_averages_one_face_alone() -> None:
    faces = [face(0.0, 0, 10, CALM), face(0.0, 1, 90, GLAD), face(0.2, 0, 10, None), face(0.4, 0, 90, GLAD)]
    estimate = face_estimate(faces, 0)
    assert estimate is not None  # the size of a face does not weigh: (0.75 + 0.25) / 2
    assert estimate.probabilities == {"neutral": 0.5, "happiness": 0.5} and estimate.confidence == 0.5


def test_nobody_and_a_face_never_scored_have_no_estimate() -> None:
    faces = [face(0.0, 0, 10, None), face(0.0, 1, 10)]
    assert face_estimate(faces, None) is None
    assert face_estimate(faces, 0) is None
    assert face_estimate(faces, 2) is None


def test_a_glimpse_does_not_answer_for_a_window() -> None:
    # Six frames from 10.8 s to 12.0 s; the face comes into view in the last one, or in the last two.
    frames = [10.8, 11.0, 11.2, 11.4, 11.6, 11.8]
    window = Utterance(10.8, 12.0)
    for seen, modalities in ((1, ()), (2, ("face",))):
        faces = [face(time, 0, 90, GLAD) for time in frames[-seen:]]
        (estimate,) = estimate_segments([window], faces, frame_times=frames)
        assert estimate.modalities == modalities and estimate.face_id == (0 if modalities else None)
    faces = [face(frames[-1], 0, 90, GLAD)]
    assert estimate_segments([window], faces)[0].modalities == ("face",)  # nobody says how many frames there are
    said = Utterance(10.8, 12.0, text="Well.")  # what is said is judged with every face that is seen
    assert estimate_segments([said], faces, frame_times=frames)[0].modalities == ("face",)


def test_the_usability_label_of_the_words_stays_with_the_utterance() -> None:
    usability = {label: 0.65 if label == "confusion" else 0.05 for label in USABILITY_LABELS}
    spoken, silent = Utterance(0.0, 2.0, text="Where is it?"), Utterance(2.0, 6.0)
    read = EncodedUtterance(ModalityEstimate(CALM), np.zeros((1, 4), np.float32), usability=usability)
    with_words, without = estimate_segments([spoken, silent], text={spoken: read})
    assert with_words.usability == usability
    assert (with_words.usability_label, with_words.usability_probability) == ("confusion", 0.65)
    assert (without.usability, without.usability_label, without.usability_probability) == (None, None, None)


def test_usability_labels_are_the_eight() -> None:
    with pytest.raises(ValueError, match="USABILITY_LABELS, got boredom"):
        UtteranceEstimate(Utterance(0.0, 1.0), usability={"boredom": 1.0})
    with pytest.raises(ValueError, match="sum to 1"):
        UtteranceEstimate(Utterance(0.0, 1.0), usability=dict.fromkeys(USABILITY_LABELS, 0.5))
