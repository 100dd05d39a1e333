"""What a result of a batch depends on, as its receipt sums it up."""

from __future__ import annotations

import pytest

from multimodal.batch.analyzer import model_versions
from multimodal.batch.tasks import BatchOptions
from multimodal.infer.options import AnalysisOptions


def versions(asr: str | None = None, modalities: tuple[str, ...] | None = None) -> dict[str, str]:
    return model_versions(BatchOptions(analysis=AnalysisOptions(modalities=modalities), asr=asr))


def test_versions_know_whether_the_voice_reads_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []
    for is_there in (True, False):
        monkeypatch.setattr("multimodal.data.speech.recognition.has_whisper_base", lambda is_there=is_there: is_there)
        answers.append(versions())
    assert [each["speech_encoder"] for each in answers] == ["whisper-base", "none"]
    assert "speech_encoder" not in versions(asr="none")
    assert "speech_encoder" not in versions(modalities=("face", "text"))
