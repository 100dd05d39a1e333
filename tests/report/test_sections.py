"""What the page says where a signal is absent: that nobody speaks only where voice activity was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analysis_fixtures import MODELS, estimate_of

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.report.sections import sections, transcript
from multimodal.types import MediaInfo, Utterance, UtteranceEstimate

TALK = MediaInfo(Path("talk.mp4"), "ab" * 32, 12.0, 640, 360, 25.0, True, True)
FACE = {"face": estimate_of("happiness", 0.8, FACE_LABELS)}
VOICE = {"audio": estimate_of("neutral", 0.8)}
ONLY_FACE: Mapping[str, Any] = {**MODELS, "audio": None, "text": None}


def analysis_of(models: Mapping[str, Any], text: str | None, media: MediaInfo = TALK, **more: Any) -> Analysis:
    """A window in which only a face shows, and an utterance."""
    answer = estimate_of("happiness", 0.8)
    estimates = (
        UtteranceEstimate(Utterance(0.0, 4.0), FACE, answer),
        UtteranceEstimate(Utterance(4.0, 8.0, None, text), {**FACE, **more}, answer),
    )
    return Analysis(media, models, FUSED_LABELS, (), (), estimates, (), None)


@pytest.mark.parametrize(
    ("analysis", "reason"),
    [
        (analysis_of({**MODELS, "text": None}, None, **VOICE), "no speech detected"),
        (analysis_of(MODELS, "Well.", **VOICE), "nothing in the transcript"),
        (analysis_of({**MODELS, "speech_to_text": {"name": "w"}}, "Well.", **VOICE), "no words recognized"),
        (analysis_of({**MODELS, "speech_to_text": {"name": "w"}}, None), "no speech detected"),
        (analysis_of({**ONLY_FACE, "speech_to_text": {"name": "w"}}, None), "no words recognized"),
        (analysis_of(ONLY_FACE, None), "sound not analyzed"),
        (analysis_of(ONLY_FACE, None, replace(TALK, has_audio=False)), "no sound"),
        (analysis_of(ONLY_FACE, "Well."), "nothing in the transcript"),
    ],
)
def test_a_segment_without_words_says_why(analysis: Analysis, reason: str) -> None:
    assert transcript(analysis)["utterances"][0]["reason"] == reason


def test_a_voice_without_words_lacks_a_transcript() -> None:
    row = transcript(analysis_of({**MODELS, "text": None}, None, **VOICE))["utterances"][1]
    assert row["text"] is None and row["reason"] == "no transcript"
    assert row["details"][-1] == "no estimate from words"
    unheard = analysis_of({**MODELS, "speech_to_text": {"name": "w"}}, None, **VOICE)
    assert transcript(unheard)["utterances"][1]["reason"] == "no words recognized"


def test_a_typed_answer_lacks_no_face() -> None:
    typed = replace(TALK, duration_seconds=0.0, has_video=False, has_audio=False)
    words = {"text": estimate_of("happiness", 0.8)}
    read = UtteranceEstimate(Utterance(0.0, 0.0, None, "Nice."), words, words["text"])
    unread = UtteranceEstimate(Utterance(0.0, 0.0, None, "Schön."))
    rows = transcript(Analysis(typed, MODELS, FUSED_LABELS, (), (), (read, unread), (), None))["utterances"]
    assert rows[0]["details"] == ["words happiness 80%"]
    assert rows[1]["details"] == ["no estimate from words"]


@pytest.mark.parametrize(
    ("analysis", "face", "voice", "words"),
    [
        (analysis_of(ONLY_FACE, None), "no clear face", "not analyzed", "no transcript"),
        (analysis_of(ONLY_FACE, "Gut."), "no clear face", "not analyzed", "not analyzed"),
        (analysis_of(ONLY_FACE, None, replace(TALK, has_audio=False)), "no clear face", "no sound", "no transcript"),
        (analysis_of({**MODELS, "face": None}, None), "not analyzed", "no speech detected", "no transcript"),
        (analysis_of({**MODELS, "text": None}, "Hm."), "no clear face", "too short or too quiet", "not analyzed"),
        (
            analysis_of(MODELS, None, replace(TALK, has_video=False)),
            "no picture",
            "no speech detected",
            "no transcript",
        ),
        (
            analysis_of({**MODELS, "speech_to_text": {"name": "w"}}, None),
            *("no clear face", "no speech detected", "no words recognized"),
        ),
    ],
)
def test_a_signal_without_estimates_says_why(analysis: Analysis, face: str, voice: str, words: str) -> None:
    rows = {row["modality"]: row["reason"] for row in sections(analysis)["coverage"]["rows"]}
    assert rows == {"face": face, "audio": voice, "text": words}
