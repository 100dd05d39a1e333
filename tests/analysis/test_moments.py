"""Key moments: cases by hand, and properties of any analysis."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from analysis_fixtures import estimate_of, make_analysis, shows

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.moments import KINDS, Moment, find_moments, modality_valence, top_moments
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.types import (
    USABILITY_LABELS,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Utterance,
    UtteranceEstimate,
)


def utterance_estimate(
    start: float, end: float, label: str, sure: float = 0.8, **signals: ModalityEstimate
) -> UtteranceEstimate:
    return UtteranceEstimate(Utterance(start, end), signals, fused=estimate_of(label, sure))


def recording(estimates: Sequence[UtteranceEstimate], faces: Sequence[FaceObservation] = ()) -> Analysis:
    media = MediaInfo(Path("talk.mp4"), "ab" * 32, 60.0, 640, 360, 25.0, True, True)
    times = tuple(dict.fromkeys(face.time_seconds for face in faces))
    return Analysis(media, {}, FUSED_LABELS, times, tuple(faces), tuple(estimates))


def of_kind(kind: str, estimates: Sequence[UtteranceEstimate], faces: Sequence[FaceObservation] = ()) -> list[Moment]:
    return [moment for moment in find_moments(recording(estimates, faces)) if moment.kind == kind]


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
    assert (
        find_moments(recording([unsure, utterance_estimate(4, 8, "neutral"), UtteranceEstimate(Utterance(8, 12))]))
        == []
    )


def test_a_change_is_as_strong_as_the_answers_are_apart() -> None:
    changes = of_kind("change", [utterance_estimate(0, 10, "neutral", 1.0), utterance_estimate(10.5, 20, "fear", 0.6)])
    # Total variation: half of |1 - 0.4/6| + |0 - 0.6| + 5 * |0 - 0.4/6|, which is 14/15.
    assert len(changes) == 1 and changes[0].strength == pytest.approx(14 / 15)
    assert (changes[0].start_seconds, changes[0].end_seconds) == (7.5, 13.5)
    assert changes[0].why == "from neutral to fear" and changes[0].emotion == "fear"
    assert changes[0].change_seconds == changes[0].time_seconds == 10.5
    assert of_kind("change", [utterance_estimate(0, 10, "neutral"), utterance_estimate(12.5, 20, "fear")]) == []


@pytest.mark.parametrize(("speakers", "count"), [(("Ada", "Bob"), 0), (("Ada", "Ada"), 1), ((None, "Ada"), 1)])
def test_two_people_do_not_make_a_change(speakers: tuple[str | None, str], count: int) -> None:
    estimates = [
        dataclasses.replace(each, utterance=dataclasses.replace(each.utterance, speaker=speaker))
        for each, speaker in zip(
            (utterance_estimate(0, 4, "happiness"), utterance_estimate(4, 8, "anger")), speakers, strict=True
        )
    ]
    assert len(of_kind("change", estimates)) == count


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
    analysis = recording(make_analysis(Path("talk.mp4"), 600.0).estimates)
    selection = top_moments(analysis, 9)
    assert len(selection) == 9 and {moment.kind for moment in selection} == set(KINDS)
    assert len({moment.index for moment in selection}) == 9
    assert [moment.strength for moment in selection] == sorted((moment.strength for moment in selection), reverse=True)
    assert all(0 < moment.strength <= 1 and moment.start_seconds < moment.end_seconds for moment in selection)
    spans = sorted((moment.start_seconds, moment.end_seconds) for moment in selection)
    for (_, end), (start, next_end) in itertools.pairwise(spans):
        assert end - start <= 0.5 * (next_end - start) + 1e-9 or start >= end
    assert top_moments(analysis, 0) == [] and len(top_moments(analysis, 10_000)) <= len(find_moments(analysis))


def test_a_short_turn_is_named_by_its_start_not_by_the_way_back() -> None:
    talk = [
        utterance_estimate(0, 7, "happiness", 0.94),
        utterance_estimate(8.1, 10.8, "anger", 0.64),
        utterance_estimate(10.8, 12, "happiness", 0.99),
        utterance_estimate(12, 16, "happiness", 0.97),
    ]
    away, back = of_kind("change", talk)
    assert back.strength > away.strength  # the way back is the stronger change, and overlaps
    selection = [(moment.kind, moment.time_seconds) for moment in top_moments(recording(talk))]
    assert ("change", 8.1) in selection and ("change", 10.8) not in selection


def test_words_without_times_have_moments_too() -> None:
    typed = [
        UtteranceEstimate(Utterance(0, 0), {"text": estimate_of(label, 0.9)}, fused=estimate_of(label, 0.9))
        for label in ("anger", "happiness")
    ]
    assert {moment.index for moment in top_moments(recording(typed))} == {0, 1}


def test_what_is_not_quite_certain_does_not_look_it() -> None:
    words, face = estimate_of("happiness", 0.997), estimate_of("fear", 0.998, FACE_LABELS)
    (peak,) = of_kind("peak", [utterance_estimate(0, 4, "happiness", 0.996)])
    assert peak.why == "happiness at >99%"
    (actual,) = of_kind("disagreement", [utterance_estimate(0, 4, "happiness", face=face, text=words)])
    assert actual.why == "words (happiness >99%) positive, face (fear >99%) negative"


# --- changes of the face --------------------------------------------------------------------------------------------


def look(label: str, start: float, end: float, face_id: int = 0, sure: float = 0.9) -> list[FaceObservation]:
    """A face with one expression, five times a second."""
    times = [number / 5 for number in range(round(start * 5), round(end * 5))]
    probabilities = estimate_of(label, sure, FACE_LABELS).probabilities
    return [FaceObservation(time, face_id, (0.0, 0.0, 90.0, 90.0), 0.9, "clear", probabilities) for time in times]


def shown(start: float, end: float, label: str, face_id: int = 0, uncertain: bool = False) -> UtteranceEstimate:
    """A window with a face alone."""
    face = {"face": estimate_of(label, 0.9, FACE_LABELS)}
    return UtteranceEstimate(Utterance(start, end), face, estimate_of(label, 0.9), uncertain, face_id=face_id)


def test_a_face_that_changes_within_an_utterance_is_dated_by_its_frames() -> None:
    said = UtteranceEstimate(
        Utterance(0.0, 12.0, text="Well, in the end it worked."),
        {"face": estimate_of("sadness", 0.8, FACE_LABELS), "text": estimate_of("neutral", 0.8)},
        fused=estimate_of("sadness", 0.6),
        face_id=0,
    )
    faces = look("sadness", 0, 9.6) + look("happiness", 9.6, 12)
    (change,) = of_kind("change", [said], faces)
    assert change.time_seconds == pytest.approx(9.5)  # midway between the frames at 9.4 and 9.6
    assert (change.index, change.emotion, change.why) == (0, "happiness", "face from sadness to happiness")
    assert (change.start_seconds, change.end_seconds) == pytest.approx((6.5, 12.0))
    assert change.strength == pytest.approx(0.9 - 0.1 / 7)
    # The peak is the whole utterance, of which the change is the part worth watching.
    assert top_moments(recording([said], faces)) == [change]


def test_windows_that_follow_the_face_have_one_change() -> None:
    faces = look("neutral", 0, 4.6) + look("happiness", 4.6, 8)
    windows = [shown(0.0, 4.5, "neutral"), shown(4.5, 8.0, "happiness")]
    (change,) = of_kind("change", windows, faces)
    assert change.time_seconds == pytest.approx(4.5) and change.index == 1
    (undated,) = of_kind("change", windows)  # without frames the windows themselves say it
    assert undated.time_seconds == pytest.approx(4.5) and undated.index == 1


def test_an_answer_that_follows_the_face_is_no_second_change() -> None:
    words = {"text": estimate_of("neutral", 0.5)}
    before = UtteranceEstimate(Utterance(0.0, 5.0), words, estimate_of("neutral", 0.8), face_id=0)
    after = UtteranceEstimate(Utterance(5.3, 9.0), words, estimate_of("happiness", 0.8), face_id=0)
    faces = look("neutral", 0, 4.2) + look("happiness", 4.2, 9)
    assert [change.time_seconds for change in of_kind("change", [before, after], faces)] == pytest.approx([4.1])
    # A change to something that the face does not show is another one.
    other = UtteranceEstimate(Utterance(5.3, 9.0), words, estimate_of("anger", 0.8), face_id=0)
    changes = of_kind("change", [before, other], faces)
    assert [change.why for change in changes] == ["face from neutral to happiness", "from neutral to anger"]


def test_a_face_that_wavers_has_no_change() -> None:
    wavering = [
        face for place in range(20) for face in look(("neutral", "surprise")[place % 2], place / 5, (place + 1) / 5)
    ]
    windows = [shown(0.0, 1.9, "neutral"), shown(1.9, 4.0, "surprise")]
    assert of_kind("change", windows, wavering) == []
    # An uncertain answer of the face alone has no name to change from or to, however clear its frames seem.
    faces = look("neutral", 0, 2) + look("surprise", 2, 4)
    assert len(of_kind("change", windows, faces)) == 1
    assert of_kind("change", [windows[0], shown(1.9, 4.0, "surprise", uncertain=True)], faces) == []
    assert of_kind("change", [shown(0.0, 1.9, "neutral", uncertain=True), windows[1]], faces) == []


def test_a_face_in_the_background_has_no_moments() -> None:
    faces = sorted(
        [*look("neutral", 0, 8), *look("neutral", 0, 4, 1), *look("fear", 4, 8, 1)],
        key=lambda face: (face.time_seconds, face.face_id),
    )
    assert of_kind("change", [shown(0.0, 8.0, "neutral")], faces) == []
    assert len(of_kind("change", [shown(0.0, 8.0, "neutral", face_id=1)], faces)) == 1


def test_a_saved_analysis_has_the_same_moments(tmp_path: Path) -> None:
    # Times that the tables round, down for the utterances and up for the frames.
    faces = [
        FaceObservation(face.time_seconds / 1.0003, *dataclasses.astuple(face)[1:-1])
        for face in look("neutral", 0, 4.6) + look("happiness", 4.6, 8)
    ]
    analysis = recording([shown(0.0, 4.49866, "neutral"), shown(4.49866, 8.0, "happiness")], faces)
    analysis.save(tmp_path)
    for fresh, loaded in zip(find_moments(analysis), find_moments(read_analysis(tmp_path)), strict=True):
        assert (loaded.kind, loaded.index, loaded.emotion, loaded.why) == (
            *(fresh.kind, fresh.index, fresh.emotion, fresh.why),
        )
        assert loaded.time_seconds == pytest.approx(fresh.time_seconds, abs=1e-3)
        assert loaded.strength == pytest.approx(fresh.strength, abs=1e-3)


def said(start: float, label: str, sure: float, speaker: str | None = None) -> UtteranceEstimate:
    usability = shows(label, sure, USABILITY_LABELS)
    return UtteranceEstimate(
        Utterance(start, start + 3, speaker, "so"), fused=estimate_of("neutral", 0.9), usability=usability
    )


def test_a_run_of_frustrated_words_is_one_problem_where_it_is_surest() -> None:
    talk = [
        said(0, "frustration", 0.6),
        UtteranceEstimate(Utterance(3, 7), fused=estimate_of("neutral", 0.9)),  # nobody speaks
        said(7, "frustration", 0.81),
        said(10, "confusion", 0.7),
        said(13, "frustration", 0.45),  # too uncertain
        said(16, "complaint", 0.9),
        said(19, "confusion", 0.5),
    ]
    problems = of_kind("problem", talk)
    assert problems[0] == Moment("problem", 2, 7.0, 10.0, "frustration", 0.81, "frustration in words at 81%")
    assert [(each.index, each.emotion, each.strength) for each in problems] == [
        (2, "frustration", 0.81),
        (3, "confusion", 0.7),
        (6, "confusion", 0.5),
    ]


def test_a_problem_is_listed_beside_a_change_and_instead_of_a_peak() -> None:
    angry = dataclasses.replace(said(4, "frustration", 0.8), fused=estimate_of("anger", 0.9))
    talk = [said(0, "neutral", 0.9), angry, said(8, "neutral", 0.9)]
    assert {moment.kind for moment in find_moments(recording(talk))} == {"problem", "change", "peak"}
    kinds = [(moment.kind, moment.emotion) for moment in top_moments(recording(talk))]
    assert ("problem", "frustration") in kinds and ("change", "anger") in kinds and ("peak", "anger") not in kinds
    assert top_moments(recording(talk), 1)[0].kind == "problem"
