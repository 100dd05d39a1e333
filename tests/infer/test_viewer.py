"""What the program says of real clips beside what a viewer wrote down before, see ``docs/accuracy.md``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from multimodal import Analysis, AnalysisOptions, load_model
from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.consistency import CLOSE
from multimodal.sample import make_sample

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

CLIPS = ("single_face.mp4", "noface_face.mov", "no_face.mp4", "hamilton.mp4")


@cache
def analyze(clip: Path) -> Analysis:
    return load_model("default", "cpu", asr="none").analyze(clip, AnalysisOptions())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample") / "interview.mp4")


def contradictions(analysis: Analysis) -> list[str]:
    """Answers that no signal shows, are less neutral than all signals, or differ from the only signal."""
    lines = []
    for each in analysis.estimates:
        if each.fused is None:
            continue
        rows = []
        for estimate in each.estimates.values():
            total = sum(estimate.probabilities[label] for label in FUSED_LABELS)
            rows.append({label: estimate.probabilities[label] / total for label in FUSED_LABELS})
        answer = each.fused.probabilities
        top = max(answer, key=answer.__getitem__)
        if not any(row[top] >= CLOSE * max(row.values()) - 1e-6 for row in rows):
            lines.append(f"{each.utterance.start_seconds:.1f}: {top} leads in no signal")
        if answer["neutral"] < min(row["neutral"] for row in rows) - 1e-6:
            lines.append(f"{each.utterance.start_seconds:.1f}: less neutral than every signal")
        if len(rows) == 1 and any(abs(answer[label] - rows[0][label]) > 1e-6 for label in answer):
            lines.append(f"{each.utterance.start_seconds:.1f}: not the answer of the only signal")
    return lines


@pytest.mark.parametrize("clip", CLIPS)
def test_no_answer_contradicts_its_signals(shared_folder: Path, clip: str) -> None:
    assert contradictions(analyze(shared_folder / "clips" / clip)) == []


def test_no_answer_contradicts_its_signals_in_the_sample(sample: Path) -> None:
    assert contradictions(analyze(sample)) == []


@pytest.mark.parametrize("clip", ["single_face.mp4", "noface_face.mov"])
def test_shares_are_those_of_a_viewer(shared_folder: Path, clip: str) -> None:
    """A man at rest, then a wide smile: the viewer wrote 27 % neutral, 73 % happy."""
    shares = analyze(shared_folder / "clips" / clip).summary["shares"]
    assert shares["neutral"] == pytest.approx(0.27, abs=0.1)
    assert shares["happiness"] == pytest.approx(0.73, abs=0.1)


def test_a_face_at_rest_is_neutral(shared_folder: Path) -> None:
    """The viewer saw the man at rest from 3.95 s to 4.55 s."""
    analysis = analyze(shared_folder / "clips" / "noface_face.mov")
    rest = [each for each in analysis.estimates if each.utterance.end_seconds < 4.9 and each.fused is not None]
    assert rest and all(each.emotion == "neutral" for each in rest)


def test_nobody_is_seen_and_nobody_speaks(shared_folder: Path) -> None:
    analysis = analyze(shared_folder / "clips" / "no_face.mp4")
    assert analysis.summary["shares"] is None and analysis.coverage == {"face": 0.0, "audio": 0.0, "text": 0.0}
    assert "no face was found" in analysis.warnings


def test_the_sample_is_what_a_viewer_sees(sample: Path) -> None:
    """A smile while she is there, annoyed words while nobody is: the viewer wrote 80 to 85 % happy, 15 % annoyed."""
    shares = analyze(sample).summary["shares"]
    assert shares["happiness"] == pytest.approx(0.8, abs=0.12)
    assert max((label for label in shares if label != "happiness"), key=shares.__getitem__) in ("anger", "neutral")
