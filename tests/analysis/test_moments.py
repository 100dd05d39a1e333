"""Key moments: cases by hand, and properties of any analysis."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from analysis_fixtures import estimate_of, make_analysis

from multimodal.analysis.moments import KINDS, Moment, find_moments, modality_valence, top_moments
from multimodal.data.emotions import FACE_LABELS
from multimodal.types import ModalityEstimate, Utterance, UtteranceEstimate


def utterance_estimate(
    start: float, end: float, label: str, sure: float = 0.8, **signals: ModalityEstimate
) -> UtteranceEstimate:
    return UtteranceEstimate(Utterance(start, end), signals, fused=estimate_of(label, sure))


def of_kind(kind: str, estimates: list[UtteranceEstimate]) -> list[Moment]:
    return [moment for moment in find_moments(estimates) if moment.kind == kind]


def test_a_run_of_one_emotion_has_one_peak_where_it_is_surest() -> None:
    run = [
        utterance_estimate(0, 4, "anger", 0.6),
        utterance_estimate(4, 8, "anger", 0.9),
        utterance_estimate(8, 12, "neutral", 0.99),
        utterance_estimate(12, 16, "anger"),
    ]
    peaks = of_kind("peak", run)
    assert [(peak.index, peak.strength) for peak in peaks] == [(1, 0.9), (3, 0.8)]
    assert peaks[0] == Moment("peak", 1, 4.0, 8.0, "anger", 0.9, "anger at 90%")


def test_uncertain_is_neither_peak_nor_change() -> None:
    unsure = UtteranceEstimate(Utterance(0, 4), fused=estimate_of("anger", 0.3), uncertain=True)
    assert find_moments([unsure, utterance_estimate(4, 8, "neutral"), UtteranceEstimate(Utterance(8, 12))]) == []


def test_a_change_is_as_strong_as_the_answers_are_apart() -> None:
    changes = of_kind("change", [utterance_estimate(0, 10, "neutral", 1.0), utterance_estimate(10.5, 20, "fear", 0.6)])
    # Total variation: half of |1 - 0.4/6| + |0 - 0.6| + 5 * |0 - 0.4/6|, which is 14/15.
    assert len(changes) == 1 and changes[0].strength == pytest.approx(14 / 15)
    assert (changes[0].start_seconds, changes[0].end_seconds) == (7.5, 13.5)
    assert changes[0].why == "from neutral to fear" and changes[0].emotion == "fear"
    assert of_kind("change", [utterance_estimate(0, 10, "neutral"), utterance_estimate(12.5, 20, "fear")]) == []


def test_signals_disagree_on_valence() -> None:
    words, face = estimate_of("happiness", 1.0), estimate_of("fear", 1.0, FACE_LABELS)
    actual = of_kind("disagreement", [utterance_estimate(0, 4, "happiness", face=face, text=words)])
    assert actual[0].why == "words (happiness >99%) positive, face (fear >99%) negative"
    assert actual[0].strength == pytest.approx(1.0)
    assert (
        of_kind(
            "disagreement",
            [utterance_estimate(0, 4, "happiness", face=estimate_of("neutral", 1.0, FACE_LABELS), text=words)],
        )
        == []
    )
    assert of_kind("disagreement", [utterance_estimate(0, 4, "happiness", text=words)]) == []


def test_valence_of_a_face_leaves_contempt_out() -> None:
    assert modality_valence({"contempt": 1.0}) == 0.0
    assert modality_valence({"happiness": 0.5, "contempt": 0.5}) == pytest.approx(0.81)


def test_the_strongest_are_of_each_kind_and_do_not_repeat() -> None:
    estimates = make_analysis(Path("talk.mp4"), 600.0).estimates
    selection = top_moments(estimates, 9)
    assert len(selection) == 9 and {moment.kind for moment in selection} == set(KINDS)
    assert len({moment.index for moment in selection}) == 9
    assert [moment.strength for moment in selection] == sorted((moment.strength for moment in selection), reverse=True)
    assert all(0 < moment.strength <= 1 and moment.start_seconds < moment.end_seconds for moment in selection)
    spans = sorted((moment.start_seconds, moment.end_seconds) for moment in selection)
    for (_, end), (start, next_end) in itertools.pairwise(spans):
        assert end - start <= 0.5 * (next_end - start) + 1e-9 or start >= end
    assert top_moments(estimates, 0) == [] and len(top_moments(estimates, 10_000)) <= len(find_moments(estimates))


def test_words_without_times_have_moments_too() -> None:
    typed = [
        UtteranceEstimate(Utterance(0, 0), {"text": estimate_of(label, 0.9)}, fused=estimate_of(label, 0.9))
        for label in ("anger", "happiness")
    ]
    assert {moment.index for moment in top_moments(typed)} == {0, 1}


def test_what_is_not_quite_certain_does_not_look_it() -> None:
    words, face = estimate_of("happiness", 0.997), estimate_of("fear", 0.998, FACE_LABELS)
    (peak,) = of_kind("peak", [utterance_estimate(0, 4, "happiness", 0.996)])
    assert peak.why == "happiness at >99%"
    (actual,) = of_kind("disagreement", [utterance_estimate(0, 4, "happiness", face=face, text=words)])
    assert actual.why == "words (happiness >99%) positive, face (fear >99%) negative"
