"""Additional outputs of infer and report; a failing output does not affect the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis_fixtures import make_analysis, without
from checkout import RunCommand

from multimodal.analysis.result import Analysis
from multimodal.errors import ConfigError, InputMissingError, MultimodalError
from multimodal.outputs import Outputs, not_applicable, parse_outputs, stale, write_outputs
from multimodal.types import Utterance

PICTURES = {"timeline.png", "timeline.svg", "summary.png", "summary.svg"}


@pytest.fixture
def analysis(tmp_path: Path) -> Analysis:
    return make_analysis(tmp_path / "gone.mp4", 20.0)


def names(written: list[Path | MultimodalError]) -> set[str]:
    return {each.name for each in written if isinstance(each, Path)}


def test_by_default_there_is_a_report_alone(analysis: Analysis, tmp_path: Path) -> None:
    assert names(list(write_outputs(analysis, tmp_path / "out", Outputs()))) == {"report.html"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


@pytest.mark.slow
def test_lost_recording_costs_only_the_overlay(analysis: Analysis, tmp_path: Path) -> None:
    outputs = parse_outputs(True, True, True, "vtt,jsonl")
    paths = list(write_outputs(analysis, tmp_path / "out", outputs))
    assert names(paths) == {"report.html", "emotions.vtt", "utterances.jsonl", *PICTURES}
    (error,) = [each for each in paths if isinstance(each, MultimodalError)]
    assert isinstance(error, InputMissingError) and "gone.mp4" in str(error)
    assert {path.name for path in (tmp_path / "out").iterdir()} == names(paths)


def test_a_format_that_cannot_be_written_costs_that_alone(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "out" / "emotions.vtt").mkdir(parents=True)
    paths = list(write_outputs(analysis, tmp_path / "out", Outputs(report=False, formats=("vtt", "srt", "jsonl"))))
    assert names(paths) == {"emotions.srt", "utterances.jsonl"}
    (error,) = [each for each in paths if isinstance(each, MultimodalError)]
    assert "emotions.vtt: cannot be written" in str(error)


def test_what_an_input_has_no_room_for_is_said_and_no_failure(analysis: Analysis, tmp_path: Path) -> None:
    audio_only = replace(analysis, media=replace(analysis.media, has_video=False), faces=(), frame_times=())
    outputs = Outputs(overlay=True, formats=("vtt", "jsonl"))
    assert names(list(write_outputs(audio_only, tmp_path / "audio_only", outputs))) == {
        *("report.html", "emotions.vtt", "utterances.jsonl")
    }
    assert not_applicable(audio_only, outputs) == ("no overlay: the input has no video",)
    assert not_applicable(analysis, outputs) == ()
    typed = replace(
        audio_only,
        media=replace(audio_only.media, has_audio=False, duration_seconds=0.0),
        estimates=tuple(
            replace(each, utterance=Utterance(0, 0, text="a"), estimates=without(each, "face"))
            for each in audio_only.estimates
        ),
    )
    assert names(list(write_outputs(typed, tmp_path / "typed", outputs))) == {"report.html", "utterances.jsonl"}
    assert not_applicable(typed, outputs)[1:] == ("no vtt: the text has no times",)


def test_an_unknown_format_is_told_before_any_work() -> None:
    with pytest.raises(ConfigError, match="docx"):
        parse_outputs(True, False, False, "vtt,docx")


@pytest.mark.slow
def test_report_makes_them_of_what_was_analysed_before(analysis: Analysis, tmp_path: Path, run_cli: RunCommand) -> None:
    analysis.save(tmp_path / "talk")
    done = run_cli("report", "talk", "--plot", "--export", "srt", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    paths = {"talk/report.html", "talk/emotions.srt", *(f"talk/{name}" for name in PICTURES)}
    assert set(done.stdout.splitlines()) == {str(Path(name)) for name in paths}
    failed = run_cli("report", "talk", "--overlay", "--quiet", cwd=tmp_path)
    assert failed.returncode == 1 and failed.stdout == "" and failed.stderr.count("\n") == 1
    assert failed.stderr.startswith(f"error: {tmp_path / 'gone.mp4'}: ")


@pytest.mark.slow
def test_what_an_earlier_analysis_left_is_named(analysis: Analysis, tmp_path: Path) -> None:
    earlier = list(write_outputs(analysis, tmp_path, parse_outputs(True, False, True, "vtt,parquet")))
    assert stale(tmp_path, earlier) == ()
    (tmp_path / "clips").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    paths = list(write_outputs(analysis, tmp_path, parse_outputs(True, False, False, "vtt")))
    (line,) = stale(tmp_path, paths)
    old = [*sorted(PICTURES, key=lambda name: (name[0] == "s", name)), "utterances.parquet", "frames.parquet", "clips"]
    assert line == f"from an earlier analysis: {', '.join(old)}; write them again or remove them"


@pytest.mark.slow
def test_infer_says_it_only_where_the_analysis_is_another(tmp_path: Path, run_cli: RunCommand) -> None:
    words = ("infer", "a.txt", "--modalities", "text")
    (tmp_path / "a.txt").write_text("I am happy.")
    assert run_cli(*words, "--export", "jsonl", cwd=tmp_path).returncode == 0
    assert "earlier" not in run_cli(*words, cwd=tmp_path).stdout
    (tmp_path / "a.txt").write_text("I am so angry.")
    finished = run_cli(*words, "--no-report", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.endswith(
        "  written to results/a\n"
        "  from an earlier analysis: report.html, utterances.jsonl; write them again or remove them\n"
    )
