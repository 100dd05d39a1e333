"""The report of one recording: its page as parsed, and the command."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import types
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from analysis_fixtures import answers, estimate_of, incomplete_analysis, make_analysis, without
from checkout import ROOT, subprocess_environment
from media_fixtures import Pictures, write_media
from media_flashes import analysis_of
from page_fixtures import Parsed, digests

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import OutputError
from multimodal.formatting import clock_time
from multimodal.report import command as report
from multimodal.report.page import PAGE, report_page, write_report
from multimodal.report.player import media_address
from multimodal.types import FaceBaseline, MediaInfo, Utterance, UtteranceEstimate


def page_of(analysis: Analysis, folder: Path = Path("results")) -> Parsed:
    return Parsed(report_page(analysis, folder))


# --- the page -----------------------------------------------------------------------------------------------------


def test_hostile_texts_and_names_are_unchanged(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "<b>\"talk\" & 'more'.mp4", 60.0)
    parsed = page_of(analysis, tmp_path)
    estimates = [
        text for attributes, text in parsed.all("p", class_="said") if "muted" not in (attributes["class"] or "")
    ]
    assert estimates == [each.utterance.text for each in analysis.estimates if each.utterance.text]
    assert all(
        attributes["dir"] == "auto"
        for attributes, _ in parsed.all("p", class_="said")
        if "muted" not in (attributes["class"] or "")
    )
    assert "Grace <i>" in {text for _, text in parsed.all("span", class_="who")}
    assert parsed.all("h1")[0][1] == "<b>\"talk\" & 'more'.mp4"
    assert len(digests(parsed)) == 4  # Bokeh, the shell's, the timeline's, the report's
    assert analysis.warnings[0] in [text for _, text in parsed.all("li")]


def test_transcript_agrees_with_analysis() -> None:
    analysis = make_analysis(Path("talk.mp4"), 120.0)
    rows = page_of(analysis).all("li", class_="utterance")
    assert len(rows) == len(analysis.estimates)
    for (_, text), each in zip(rows, analysis.estimates, strict=True):
        assert clock_time(each.utterance.start_seconds) in text
        assert each.emotion is not None and each.emotion in text and (f"most likely {each.emotion}" not in text)
        for name, signal in (("face", each.get("face")), ("voice", each.get("audio")), ("words", each.get("text"))):
            assert (
                (f"{name} {max(signal.probabilities, key=signal.probabilities.__getitem__)}" in text)
                if signal
                else True
            )
        if "face" not in each.estimates:
            assert "no estimate from face" in text


def test_notices_models_and_valence_source(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4", 60.0)
    ((_, foot),) = page_of(analysis, tmp_path).all("footer")
    text = " ".join(foot.split())
    for notice in (
        *("perceived expression, not inner state", "decision about a person", "Russell", "not legal advice"),
        *("Article 5(1)(f), since 2 February 2025", "own colleagues, applicants and students as test participants"),
        *("Article 50(3), since 2 August 2026", "Annex III 1(c)", "2 December 2027", "no conformity assessment"),
        "--modalities text",
    ):
        assert notice in text
    for facts in analysis.models.values():
        assert facts is not None
        assert facts["name"] in foot and facts["sha256"][:12] in foot


def test_the_same_analysis_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(make_analysis(tmp_path / "talk.mp4", 120.0), tmp_path / "results").read_bytes()
    assert write_report(make_analysis(tmp_path / "talk.mp4", 120.0), tmp_path / "results").read_bytes() == first


def test_page_of_saved_results_states_the_same_probabilities(tmp_path: Path) -> None:
    sure = estimate_of("happiness", 0.99998)
    utterance = UtteranceEstimate(Utterance(1.0, 4.0, "Ada", "Yes"), {"text": sure}, fused=sure)
    analysis = dataclasses.replace(make_analysis(tmp_path / "talk.mp4", 8.0), estimates=(utterance,))
    analysis.save(tmp_path / "saved")
    pages = [page_of(each).all("li", class_="utterance") for each in (analysis, read_analysis(tmp_path / "saved"))]
    assert pages[0] == pages[1] and "words happiness >99%" in pages[0][0][1]


@pytest.mark.slow
def test_an_hour_stays_under_five_megabytes(tmp_path: Path) -> None:
    assert write_report(make_analysis(tmp_path / "talk.mp4", 3600.0), tmp_path).stat().st_size < 5_000_000


def test_typed_answers_have_no_player_and_timeline() -> None:
    parsed = page_of(answers("anger", "neutral"))
    assert not parsed.all("video") and not parsed.all("audio") and not parsed.all("div", class_="chart")
    assert len(digests(parsed)) == 3
    assert [text for _, text in parsed.all("h2")][:4] == [
        *("Share of lines", "Coverage, share of lines", "Key lines", "Answers")
    ]


def test_no_estimate_and_no_shares(tmp_path: Path) -> None:
    media = MediaInfo(tmp_path / "title.mp4", "ab" * 32, 4.0, 96, 64, 25.0, True, False)
    empty = Analysis(media, {"face": None}, FUSED_LABELS, (), (), (UtteranceEstimate(Utterance(0.0, 4.0)),))
    parsed = page_of(empty, tmp_path)
    assert "No emotion could be estimated" in parsed.all("header")[0][1]
    assert not parsed.all("section", class_="shares")
    assert "no sound" in parsed.all("section", class_="coverage")[0][1]


def test_segment_has_times_of_recording(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4", 60.0)
    part = dataclasses.replace(analysis.media, duration_seconds=3600.0, segment=(20.0, 60.0))
    estimates = tuple(each for each in analysis.estimates if each.utterance.start_seconds >= 20)
    times = tuple(time for time in analysis.frame_times if time >= 20)
    parsed = page_of(dataclasses.replace(analysis, media=part, estimates=estimates, frame_times=times), tmp_path)
    assert (parsed.data["start"], parsed.data["end"]) == (20.0, 60.0)
    assert "0:20 to 1:00 of 1:00:00" in parsed.all("header")[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_missing_the_page_holds_together(seed: int, tmp_path: Path) -> None:
    analysis = incomplete_analysis(seed)
    parsed = page_of(analysis, tmp_path)  # every element is closed where it should be
    assert len(parsed.all("li", class_="utterance")) == len(parsed.data["utterances"]) == len(analysis.estimates)
    judged = [each for each in analysis.estimates if each.fused is not None]
    assert bool(parsed.all("section", class_="shares")) == (analysis.summary["shares"] is not None)
    assert sum(shares is not None for _, _, _, shares, *_ in parsed.data["utterances"]) == len(judged)


# --- the recording ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a b.mp4", "50% #1?.mp4", "c:d.mp4", "é\n中.mp4", "<\"'&>.mp4", "%41.mp4", os.fsdecode(b"\xff.mp4")]
)
def test_the_address_of_the_recording_leads_to_it(tmp_path: Path, name: str) -> None:
    place = tmp_path / "study #1" / name
    folder = tmp_path / "results" / "50%"
    address = media_address(place, folder)
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert address.isascii()
    assert os.path.normpath(folder / os.fsdecode(unquote_to_bytes(parts.path))) == str(place)


def test_a_recording_on_another_drive_has_a_file_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", nowhere)
    assert media_address(tmp_path / "a b.mp4", tmp_path / "r") == (tmp_path / "a b.mp4").as_uri()


def test_missing_recording_can_be_chosen(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4", 20.0)
    without_file = page_of(analysis, tmp_path)
    assert "src" not in without_file.all("video")[0][0]
    assert "hidden" not in without_file.all("div", id="no-media")[0][0]
    (tmp_path / "talk.mp4").write_bytes(b"video")
    with_file = page_of(analysis, tmp_path / "results" / "talk")
    assert with_file.all("video")[0][0]["src"] == "../../talk.mp4"
    assert "hidden" in with_file.all("div", id="no-media")[0][0]


def test_page_contains_no_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").write_bytes(b"video")
    assert str(tmp_path) not in report_page(make_analysis(tmp_path / "talk.mp4", 20.0), tmp_path / "results")


# --- the command --------------------------------------------------------------------------------------------------


def save_analysis(folder: Path, seconds: float = 20.0) -> Path:
    make_analysis(folder / "talk.mp4", seconds).save(folder)
    return folder


@pytest.mark.slow
def test_command_writes_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = save_analysis(tmp_path / "one"), save_analysis(tmp_path / "other")
    assert report.main([str(one), str(other / "analysis.json")]) == 0
    assert capsys.readouterr().out.split() == [str(one / PAGE), str(other / PAGE)]
    assert Parsed((one / PAGE).read_text(encoding="utf-8")).all("h1")[0][1] == "talk.mp4"
    assert report.main([str(one), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_failure_does_not_affect_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = save_analysis(tmp_path / "good")
    assert report.main([str(tmp_path / "nowhere"), str(good)]) == 1
    out, err = capsys.readouterr()
    assert out.split() == [str(good / PAGE)]
    assert err == f"error: {tmp_path / 'nowhere'}: holds no analysis; name a folder that infer has written\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["one", "two", "--media", "talk.mp4"], 2),
        (["one", "--media", "gone.mp4"], 1),
        (["one", "--loud"], 2),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(words) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1


@pytest.mark.slow
def test_a_folder_of_results_gets_a_page_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [save_analysis(tmp_path / "results" / name) for name in ("one", "two")]
    assert report.main([str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out.split() == [str(folder / PAGE) for folder in folders]


def test_foreign_label_is_harmless(tmp_path: Path) -> None:
    label = '"><script>alert(1)</script>'
    estimate = UtteranceEstimate(Utterance(0.0, 4.0, None, "Well."), fused=estimate_of(label, 1.0, (label, "neutral")))
    media = dataclasses.replace(make_analysis(tmp_path / "talk.mp4", 4.0).media)
    parsed = page_of(Analysis(media, {}, (label, "neutral"), (), (), (estimate,)), tmp_path)
    assert len(digests(parsed)) == 4
    assert label in parsed.all("span", class_="answer")[0][1]


def test_transcript_without_recording(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.vtt", 60.0)
    media = dataclasses.replace(analysis.media, has_video=False, has_audio=False, width=None, height=None)
    estimates = tuple(
        dataclasses.replace(each, estimates=without(each, "face", "audio"), face_id=None) for each in analysis.estimates
    )
    models = {**analysis.models, "face": None, "audio": None}
    changes = {"media": media, "estimates": estimates, "models": models, "faces": (), "frame_times": ()}
    parsed = page_of(dataclasses.replace(analysis, **changes), tmp_path)
    assert parsed.all("div", class_="chart") and not parsed.all("video") and not parsed.all("audio")


def test_media_names_the_recording_where_it_has_moved(tmp_path: Path) -> None:
    talk, folder = write_media(tmp_path / "talk.mp4", Pictures([0, 40])), tmp_path / "results"
    analysis_of(talk, [(0.0, 0.08, "anger", 0.8)]).save(folder)
    talk.rename(tmp_path / "moved.mp4")
    words = [str(folder), "--media", str(tmp_path / "moved.mp4"), "--export", "eaf,jsonl", "--quiet"]
    assert report.main(words) == 0
    for file in ("emotions.eaf", "utterances.jsonl"):
        text = (folder / file).read_text(encoding="utf-8")
        assert str(tmp_path / "moved.mp4") in text and "talk.mp4" not in text
    parsed = Parsed((folder / PAGE).read_text(encoding="utf-8"))
    assert parsed.all("video")[0][0]["src"] == "../moved.mp4"


def test_media_of_another_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, other = save_analysis(tmp_path / "results"), write_media(tmp_path / "other.mp4", Pictures([0, 40]))
    assert report.main([str(folder), "--media", str(other)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "other.mp4: is not the recording that was analyzed" in err and err.count("\n") == 1
    assert not (folder / PAGE).exists()


def test_overlong_path_is_missing_recording(tmp_path: Path) -> None:
    parsed = page_of(make_analysis(tmp_path / ("long" * 999), 20.0), tmp_path)
    assert "src" not in parsed.all("video")[0][0]


def test_a_folder_that_batch_has_written_is_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.parquet").write_bytes(b"")
    study = types.ModuleType("multimodal.study.page")
    study.write_study = lambda folder, show, tell: folder / "study.html"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "multimodal.study.page", study)
    assert report.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'study.html'}\n"
    assert report.main([str(tmp_path), "--media", __file__]) == 2


def test_unwritable_page_leaves_previous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_analysis(tmp_path)
    place = write_report(make_analysis(tmp_path / "talk.mp4", 20.0), folder)
    before = place.read_bytes()

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError):
        write_report(make_analysis(tmp_path / "talk.mp4", 24.0), folder)
    assert place.read_bytes() == before


def test_help_needs_nothing_heavy() -> None:
    code = "import sys, multimodal.report; print({'numpy', 'bokeh', 'torch', 'pandas', 'av'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=subprocess_environment(""), capture_output=True, encoding="utf-8"
    )
    assert run.stdout == "set()\n", run.stderr


@pytest.mark.parametrize(
    ("baseline", "line"),
    [
        (FaceBaseline("auto", 3.0, 9.4, used=True), "Baseline: 0:03–0:09 (auto)"),
        (FaceBaseline("given", 63.0, 69.0, used=True), "Baseline: 1:03–1:09 (given)"),
        (FaceBaseline("auto"), "Baseline: none (auto)"),
        (FaceBaseline("none"), "Baseline: none<"),
        (None, None),
    ],
)
def test_the_footer_names_the_baseline(tmp_path: Path, baseline: FaceBaseline | None, line: str | None) -> None:
    analysis = dataclasses.replace(make_analysis(tmp_path / "talk.mp4"), baseline=baseline)
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert ("<p>Baseline" in page) == (line is not None) and (line or "") in page
