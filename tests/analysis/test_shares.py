"""Expected shares of time by hand, and their properties over any recording."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import make_analysis, shows, without
from hypothesis import given
from hypothesis import strategies as st

from multimodal.analysis.bootstrap import bootstrap
from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import Analysis
from multimodal.analysis.shares import (
    SegmentProbabilities,
    expected_shares,
    share_intervals,
    uncertain_share,
)
from multimodal.batch.summary import summarize
from multimodal.batch.tables import MEASURES
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.types import (
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Probabilities,
    Utterance,
    UtteranceEstimate,
)

DIGITS = 5e-5
"""Half of the last digit of a saved share."""


@st.composite
def probabilities(draw: st.DrawFn, labels: tuple[str, ...] = FUSED_LABELS) -> Probabilities:
    weights = draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)).filter(lambda each: sum(each)))
    return {label: weight / sum(weights) for label, weight in zip(labels, weights, strict=True)}


@st.composite
def segments(draw: st.DrawFn) -> list[SegmentProbabilities]:
    one = st.builds(SegmentProbabilities, st.floats(0, 100), probabilities(), st.booleans())
    return draw(st.lists(one, min_size=1, max_size=12))


def recording(rows: list[tuple[float, Probabilities]]) -> Analysis:
    """Segments one after the other with these lengths and fused estimates."""
    estimates, start = [], 0.0
    for seconds, row in rows:
        answer = ModalityEstimate(row)
        estimates.append(UtteranceEstimate(Utterance(start, start + seconds), {"text": answer}, fused=answer))
        start += seconds
    media = MediaInfo(Path("talk.wav"), "ab" * 32, start, None, None, None, False, True)
    return Analysis(media, {"text": {"name": "words.test-v1"}}, FUSED_LABELS, (), (), tuple(estimates))


def test_shares_by_hand() -> None:
    rows = [
        SegmentProbabilities(6.0, {"neutral": 0.55, "surprise": 0.45}),
        SegmentProbabilities(2.0, {"neutral": 0.1, "surprise": 0.9}, uncertain=True),
    ]
    assert expected_shares(rows) == pytest.approx({"neutral": 0.4375, "surprise": 0.5625})
    assert uncertain_share(rows) == 0.25
    alike = [replace(each, seconds=0.0) for each in rows]  # lines have no times
    assert expected_shares(alike) == pytest.approx({"neutral": 0.325, "surprise": 0.675})
    assert uncertain_share(alike) == 0.5
    assert expected_shares([]) is None and uncertain_share([]) is None


def test_labels_that_are_not_asked_for_are_left_out_of_each_segment() -> None:
    rows = [SegmentProbabilities(1.0, {"anger": 0.6, "contempt": 0.4}), SegmentProbabilities(1.0, {"fear": 1.0})]
    assert expected_shares(rows, ("anger", "fear", "neutral")) == {"anger": 0.5, "fear": 0.5, "neutral": 0.0}


def test_winners_are_not_counted() -> None:
    """Neutral 55 % and surprise 45 % of the frames, each frame sure, is neither all neutral nor anything else."""
    times = [number / 5 for number in range(100)]
    labels = ["neutral" if number % 20 < 11 else "surprise" for number in range(100)]
    faces = tuple(
        FaceObservation(time, 0, (0.0, 0.0, 90.0, 90.0), 0.9, probabilities=shows(label, 0.93, FACE_LABELS))
        for time, label in zip(times, labels, strict=True)
    )
    mean = ModalityEstimate(
        dict.fromkeys(FACE_LABELS, 0.01) | {"neutral": 0.01 + 0.92 * 0.55, "surprise": 0.01 + 0.92 * 0.45}
    )
    windows = [UtteranceEstimate(Utterance(at, at + 4.0), {"face": mean}, face_id=0) for at in (0.0, 4.0, 8.0, 12.0)]
    last = UtteranceEstimate(Utterance(16.0, 20.0), {"face": mean}, face_id=0)
    media = MediaInfo(Path("talk.mp4"), "ab" * 32, 20.0, 640, 360, 25.0, True, False)
    analysis = Analysis(media, {}, FACE_LABELS, tuple(times), faces, (*windows, last))
    assert analysis.summary["shares"] == pytest.approx(mean.probabilities, abs=DIGITS)
    assert analysis.summary["dominant"] == "neutral" and analysis.summary["estimated_seconds"] == 20.0


@given(segments())
def test_shares_are_shares(rows: list[SegmentProbabilities]) -> None:
    shares, uncertain = expected_shares(rows), uncertain_share(rows)
    assert shares is not None and uncertain is not None
    assert sum(shares.values()) == pytest.approx(1) and all(0 <= share <= 1 + 1e-12 for share in shares.values())
    assert 0 <= uncertain <= 1


@given(segments(), st.randoms())
def test_order_and_cuts_do_not_change_shares(rows: list[SegmentProbabilities], random: object) -> None:
    place = len(rows) // 2
    half = replace(rows[place], seconds=rows[place].seconds / 2)
    cut = [*rows[:place], half, half, *rows[place + 1 :]]
    if any(each.seconds for each in rows):  # lines without times are counted, and a line in two is two
        assert expected_shares(cut) == pytest.approx(expected_shares(rows))
        assert uncertain_share(cut) == pytest.approx(uncertain_share(rows))
    assert expected_shares(rows[::-1]) == pytest.approx(expected_shares(rows))


@given(st.lists(st.tuples(st.floats(0.1, 30), probabilities()), min_size=1, max_size=6), st.floats(0.1, 0.9))
def test_cutting_a_segment_of_a_recording_changes_nothing(rows: list[tuple[float, Probabilities]], at: float) -> None:
    (seconds, row), *others = rows
    whole, cut = recording(rows), recording([(seconds * at, row), (seconds * (1 - at), row), *others])
    for name in ("shares", "shares_by_modality", "uncertain"):
        one, other = cut.summary[name], whole.summary[name]
        if name == "shares_by_modality":
            one, other = one["text"], other["text"]
        assert one == pytest.approx(other, abs=2 * DIGITS)


@given(probabilities(FACE_LABELS), st.integers(1, 60), st.sampled_from([0.04, 0.2, 1.0]), st.integers(0, 10**6))
def test_a_recording_of_one_face_has_its_shares(row: Probabilities, count: int, step: float, seed: int) -> None:
    """However frames and windows lie: if all frames are alike, their probabilities are the shares."""
    random = np.random.default_rng(seed)
    times = sorted({round(float(time), 3) for time in random.uniform(0, count * step, count)})
    faces = tuple(FaceObservation(time, 0, (0.0, 0.0, 90.0, 90.0), 0.9, probabilities=row) for time in times)
    inner = sorted({round(float(edge), 3) for edge in random.uniform(0, count * step, 3)})
    edges = sorted({0.0, *inner, count * step + 0.5})
    estimates = tuple(
        UtteranceEstimate(Utterance(start, end), {"face": ModalityEstimate(row)}, face_id=0)
        for start, end in pairwise(edges)
        if any(start <= time < end for time in times)
    )
    media = MediaInfo(Path("talk.mp4"), "ab" * 32, count * step + 0.5, 640, 360, 25.0, True, False)
    analysis = Analysis(media, {}, FACE_LABELS, tuple(times), faces, estimates)
    assert analysis.summary["modality"] == "face"
    # Of two that round alike, the first one stays first by one more digit.
    assert analysis.summary["shares"] == pytest.approx(row, abs=2 * DIGITS + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_saved_and_reloaded_shares_are_equal(seed: int, tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4", 60.0, seed=seed)
    alone = replace(
        analysis,
        emotions=FACE_LABELS,
        estimates=tuple(
            replace(each, estimates=without(each, "audio", "text"), fused=None, uncertain=False)
            for each in analysis.estimates
        ),
    )
    for number, each in enumerate((analysis, alone)):
        each.save(tmp_path / str(number))
        again = read_analysis(tmp_path / str(number))
        assert again.summary == each.summary
        anew = replace(again, saved_numbers=None).summary  # from the four digits of the file
        assert anew["shares"] == pytest.approx(each.summary["shares"], abs=4e-4)
        assert anew["uncertain"] == each.summary["uncertain"]


@given(st.lists(st.tuples(probabilities(), st.integers(0, 3)), min_size=1, max_size=10), st.randoms())
def test_the_order_of_inputs_in_a_study_does_not_matter(
    inputs: list[tuple[Probabilities, int]], random: np.random.Generator
) -> None:
    rows = [
        {"status": "done", "participant": f"P{who}", "task": ("search", "pay")[who % 2], **row, "uncertain": 0.25 * who}
        for row, who in inputs
    ]
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert summarize(shuffled, MEASURES) == summarize(rows, MEASURES)


def test_the_bootstrap_knows_no_order() -> None:
    values = np.random.default_rng(5).random((40, 3))
    values[3, 1] = np.nan
    for one, other in zip(bootstrap(values), bootstrap(values[::-1]), strict=True):
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize("count", [4, 5])
def test_intervals_need_segments_that_differ(count: int) -> None:
    row, other = shows("anger", 0.7), shows("fear", 0.7)
    alike = [SegmentProbabilities(4.0, row)] * count
    assert share_intervals(alike, FUSED_LABELS) == ({}, None)
    unlike = [*alike[:-1], SegmentProbabilities(4.0, other)]
    intervals, uncertain = share_intervals(unlike, FUSED_LABELS)
    assert set(intervals) == (set(FUSED_LABELS) if count == 5 else set()) and uncertain is None
    doubted = [*alike[:-1], SegmentProbabilities(4.0, row, uncertain=True)]
    assert (share_intervals(doubted, FUSED_LABELS)[1] is not None) == (count == 5)


@given(segments())
def test_intervals_contain_their_share(rows: list[SegmentProbabilities]) -> None:
    shares, uncertain = expected_shares(rows), uncertain_share(rows)
    intervals, of_uncertain = share_intervals(rows, FUSED_LABELS)
    assert shares is not None and uncertain is not None
    for label, (low, high) in intervals.items():
        assert 0 <= low <= shares[label] + 1e-9 and shares[label] - 1e-9 <= high <= 1
    if of_uncertain is not None:
        assert of_uncertain[0] - 1e-9 <= uncertain <= of_uncertain[1] + 1e-9
