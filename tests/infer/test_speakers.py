"""A selected speaker: what others say, and the time in which he says nothing, is not counted for him."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from analysis_fixtures import estimate_of, shows
from hypothesis import given
from hypothesis import strategies as st

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS
from multimodal.data.transcripts.files import Transcript
from multimodal.errors import MediaError
from multimodal.infer.audio import AudioResult
from multimodal.infer.combine import ModalityResults, combine
from multimodal.infer.face import FaceResult
from multimodal.report.sections import sections, transcript
from multimodal.types import EncodedUtterance, FaceObservation, MediaInfo, Utterance

TALK = MediaInfo(Path("talk.mp4"), "ab" * 32, 20.0, 640, 360, 25.0, True, True)
TIMES = tuple(round(step * 0.2, 3) for step in range(100))
SPEC = SimpleNamespace(uncertain_below=None)
PARTS: Any = {part: SimpleNamespace(name=part, sha256="", spec=SPEC) for part in ("face", "audio", "text")}


def faces(face_id: int = 0) -> FaceResult:
    """A face in every frame: happy in the first ten seconds, then sad."""
    labels = ["happiness" if time < 10 else "sadness" for time in TIMES]
    observations = [
        FaceObservation(time, face_id, (0.0, 0.0, 99.0, 99.0), 0.9, "clear", shows(label, 0.9, FACE_LABELS))
        for time, label in zip(TIMES, labels, strict=True)
    ]
    return FaceResult(TIMES, tuple(observations), ())


def analysis_of(utterances: tuple[Utterance, ...], selected: bool, face: int | None = None) -> Analysis:
    encoding = EncodedUtterance(estimate_of("neutral", 0.8), np.zeros((1, 4), np.float32))
    audio = AudioResult(tuple((each, encoding) for each in utterances), ())
    results = ModalityResults(Transcript(utterances, True), None, audio, faces(), (), selected)
    return combine(TALK, results, PARTS, face)


def test_only_utterances_of_the_speaker_are_segments() -> None:
    said = (Utterance(2.0, 5.0, "Ben", "Well."), Utterance(12.0, 14.0, "Ben", "No."))
    analysis = analysis_of(said, selected=True)
    assert [each.utterance for each in analysis.estimates] == list(said)
    assert all(any(each.start_seconds <= time < each.end_seconds for each in said) for time in analysis.frame_times)
    assert {face.time_seconds for face in analysis.faces} == set(analysis.frame_times)
    for modality in ("face", "audio"):
        assert analysis.coverage[modality] == pytest.approx(5 / 20, abs=0.02)
    # Without a selection his face is counted while others speak too.
    everybody = analysis_of(said, selected=False)
    assert len(everybody.estimates) > 2 and everybody.coverage["face"] == pytest.approx(1.0, abs=0.02)


def test_what_a_face_shows_while_others_speak_is_not_in_the_shares() -> None:
    analysis = analysis_of((Utterance(12.0, 14.0, "Ben", "No."),), selected=True)
    shares = analysis.summary["shares_by_modality"]["face"]
    assert shares["sadness"] > 0.85 and shares["happiness"] < 0.05


def test_a_speaker_who_says_nothing_has_no_estimate() -> None:
    analysis = analysis_of((), selected=True)
    assert all(each.fused is None for each in analysis.estimates)
    assert analysis.frame_times == () and analysis.coverage == {"face": 0.0, "audio": 0.0, "text": 0.0}
    # Others may speak and be seen then: nothing was looked for, so nothing is said to be absent.
    assert {row["reason"] for row in transcript(analysis)["utterances"]} == {"sound not analyzed"}
    assert [each["reason"] for each in sections(analysis)["coverage"]["rows"][:2]] == ["not analyzed"] * 2


def test_a_face_that_shows_only_while_others_speak_is_no_wrong_face() -> None:
    said = (Utterance(12.0, 14.0, "Ben", "No."),)
    assert analysis_of(said, selected=True, face=0).face_id == 0
    with pytest.raises(MediaError, match="shows no face 7, only 0"):
        analysis_of(said, selected=True, face=7)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=6))
def test_frames_are_kept_exactly_within_the_utterances(spans: list[tuple[int, int]]) -> None:
    said = tuple(Utterance(float(start), float(start + length), "Ben", "Hm.") for start, length in spans)
    kept = analysis_of(said, selected=True).frame_times
    assert kept == tuple(t for t in TIMES if any(each.start_seconds <= t < each.end_seconds for each in said))
