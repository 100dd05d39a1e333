"""Loading a saved analysis: the round trip, and one-line errors for damaged or foreign files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis_fixtures import make_analysis

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import Analysis
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.types import (
    MODALITIES,
    USABILITY_LABELS,
    FaceBaseline,
    ModalityEstimate,
    Utterance,
    UtteranceEstimate,
    top_label,
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Analysis, Path]:
    analysis = make_analysis(tmp_path / "talk.mp4")
    analysis.save(tmp_path / "talk")
    return analysis, tmp_path / "talk"


def test_what_was_saved_comes_back(saved: tuple[Analysis, Path]) -> None:
    analysis, folder = saved
    again = read_analysis(folder)
    assert again.to_dict() == analysis.to_dict() == json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    assert read_analysis(folder / "analysis.json").to_dict() == again.to_dict()
    pd.testing.assert_frame_equal(again.utterances, analysis.utterances, atol=1e-4)
    pd.testing.assert_frame_equal(again.frames, analysis.frames, atol=1e-4)
    assert len(again.frame_times) == 300 and len(again.faces) == len(analysis.faces)


def test_saving_it_again_writes_the_same(saved: tuple[Analysis, Path], tmp_path: Path) -> None:
    _, folder = saved
    read_analysis(folder).save(tmp_path / "again")
    for name in ("analysis.json", "utterances.csv", "frames.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_segment_and_words_without_times_come_back(saved: tuple[Analysis, Path], tmp_path: Path) -> None:
    analysis, _ = saved
    part = replace(analysis, media=replace(analysis.media, segment=(4.0, 20.0)))
    part.save(tmp_path / "part")
    assert read_analysis(tmp_path / "part").media.segment == (4.0, 20.0)
    (tmp_path / "part" / "frames.csv").unlink()
    words = read_analysis(tmp_path / "part")
    assert words.faces == () and words.frame_times == () and words.summary == part.summary


def damaged(folder: Path, change: dict[str, Any]) -> Path:
    file = folder / "analysis.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | change), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"schema": "other"}, "is not an analysis of this program"),
        ({"schema_version": 9}, "is of version 9, this program reads 1 to 4"),
        ({"utterances": [{"start_seconds": 3}]}, "cannot be read (utterances 0 end_seconds: Field required)"),
        ({"utterances": 7}, "cannot be read (utterances: Input should be a valid list)"),
        ({"media": {"path": None}}, "cannot be read ("),
        ({"emotions": None}, "cannot be read ("),
    ],
)
def test_what_is_no_analysis_is_refused(saved: tuple[Analysis, Path], change: dict[str, Any], fact: str) -> None:
    with pytest.raises(AnalysisError) as caught:
        read_analysis(damaged(saved[1], change))
    assert fact in str(caught.value) and "analysis.json" in str(caught.value)


def test_a_cut_file_and_no_number_are_refused(saved: tuple[Analysis, Path]) -> None:
    file = saved[1] / "analysis.json"
    whole = file.read_text(encoding="utf-8")
    for content in (whole[: len(whole) // 2], whole.replace('"duration_seconds": 60', '"duration_seconds": NaN'), "[]"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(AnalysisError):
            read_analysis(saved[1])
    file.write_text(whole, encoding="utf-8")
    with (saved[1] / "frames.csv").open("a", encoding="utf-8") as frames:
        frames.write("60.0,zero,1\n")
    with pytest.raises(AnalysisError):
        read_analysis(saved[1])


def test_a_folder_without_one_is_named(tmp_path: Path) -> None:
    for nothing in (tmp_path, tmp_path / "gone", tmp_path / "gone" / "analysis.json"):
        with pytest.raises(InputMissingError, match="holds no analysis"):
            read_analysis(nothing)


def test_a_recording_in_place_of_its_result_is_named_as_such(tmp_path: Path) -> None:
    recording = tmp_path / "talk.mp4"
    recording.write_bytes(b"\x00\x00\x00\x20ftypisom\xf8")
    with pytest.raises(AnalysisError, match=r"talk\.mp4: is not an analysis of this program; name a folder that infer"):
        read_analysis(recording)
    (tmp_path / "analysis.json").write_bytes(recording.read_bytes())
    with pytest.raises(AnalysisError, match=r"analysis\.json: cannot be read .*; analyze the recording again"):
        read_analysis(tmp_path)


BAD: dict[str, tuple[object, ...]] = {
    "media path": (None, 7, ["a"], "\ud800"),
    "media sha256": (None, True, "\ud800"),
    "media width": ('1"><script>', -1, 1.5, True, 10**400),
    "media duration_seconds": (None, "60", -1, 1e300, 10**400),
    "media has_video": (None, "yes", 1),
    "models": (None, 7, {"face": 7}, {"face": False}, {"face": {"name": 7}}, {"face": {"sha256": "ab"}}),
    "emotions": (7, [7], [["a"]]),
    "valence_arousal": (7, "norms", {}, {"source": []}),
    "utterances 0 end_seconds": ("4", 1e300, -1, None),
    "utterances 0 speaker": (7, ["a"]),
    "utterances 0 text": (7, {}),
    "utterances 0 valence": ("0.5", 1e300, []),
    "utterances 0 face_id": ("0", 0.5, 10**400),
    "utterances 0 confidence": ("0.5", 1.5, -0.5),
    "utterances 0 estimates fused": (7, {}, {"anger": 2}, {"anger": "1"}),
    "summary": (None, 7, {}),
    "summary modality": (None, "text", "__class__", 7),
    "summary shares": (None, 7, {"anger": 1.0}),
    "summary shares_by_modality face": (7, {"anger": "1"}),
    "summary mean_arousal": ("0", 1e300),
    "coverage": (None, {}, {"face": 1.0}),
    "coverage text": (None, "1", 1.5),
    "warnings": (None, 7),
}
"""Where in an analysis, and what may not stand there."""


@pytest.mark.parametrize("where", BAD)
def test_values_that_cannot_be_are_refused_in_one_line(where: str, saved: tuple[Analysis, Path]) -> None:
    file = saved[1] / "analysis.json"
    whole = file.read_text(encoding="utf-8")
    for value in BAD[where]:
        content = inner = json.loads(whole)
        *steps, last = where.split()
        for step in steps:
            inner = inner[int(step) if step.isdigit() else step]
        inner[last] = value
        file.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(AnalysisError, match="cannot be read") as caught:
            read_analysis(saved[1])
        assert "\n" not in str(caught.value)


def test_frames_that_cannot_be_are_refused(saved: tuple[Analysis, Path]) -> None:
    file = saved[1] / "frames.csv"
    head, first, *rest = file.read_text(encoding="utf-8").splitlines()
    cells = first.split(",")
    for place, value in ((0, "nan"), (0, "-1"), (0, "1e300"), (1, "1e3"), (1, "-1"), (2, "inf"), (7, "2")):
        row = ",".join([*cells[:place], value, *cells[place + 1 :]])
        file.write_text("\n".join([head, row, *rest]), encoding="utf-8")
        with pytest.raises(AnalysisError, match="cannot be read"):
            read_analysis(saved[1])
    file.write_text("\n".join([head, *reversed([first, *rest])]), encoding="utf-8")
    with pytest.raises(AnalysisError, match="not in order of time"):
        read_analysis(saved[1])


def test_an_answer_from_nothing_is_refused(saved: tuple[Analysis, Path]) -> None:
    file = saved[1] / "analysis.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["utterances"][0]["estimates"] |= {"face": None, "audio": None, "text": None}
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(
        AnalysisError, match=r"read \(utterances 0 estimates: a fused estimate needs the estimate of a modality\)"
    ):
        read_analysis(saved[1])


def test_nesting_without_end_is_refused(saved: tuple[Analysis, Path]) -> None:
    (saved[1] / "analysis.json").write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_analysis(saved[1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_what_would_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "analysis.json")
    with pytest.raises(AnalysisError, match="no ordinary file"):
        read_analysis(tmp_path)
    (tmp_path / "analysis.json").unlink()
    (tmp_path / "analysis.json").symlink_to("/dev/zero")
    with pytest.raises(AnalysisError, match="no ordinary file"):
        read_analysis(tmp_path)


def test_an_error_stays_short_whatever_stands_in_the_file(saved: tuple[Analysis, Path]) -> None:
    with pytest.raises(AnalysisError) as caught:
        read_analysis(damaged(saved[1], {"emotions": [["long"] * 9999]}))
    assert len(str(caught.value)) < len(str(saved[1])) + 300


def as_version_3(content: dict[str, Any]) -> dict[str, Any]:
    """What the third version of the program wrote: no usability labels."""
    later = ("usability", "usability_label", "usability_probability", "translated")
    utterances = [{key: value for key, value in each.items() if key not in later} for each in content["utterances"]]
    return {**content, "schema_version": 3, "utterances": utterances}


def as_version_2(content: dict[str, Any]) -> dict[str, Any]:
    """What the second version of the program wrote: shares of the top labels, of which uncertain was one."""
    content = as_version_3(content)
    summary = dict(content["summary"])
    summary |= {"shares": dict.fromkeys(content["emotions"], 0.0) | {"fear": 0.75}, "uncertain": 0.25}
    summary |= {"dominant": "fear", "shares_by_modality": {name: {"neutral": 1.0} for name in MODALITIES}}
    return {**content, "schema_version": 2, "summary": summary}


def as_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """What the first version of the program wrote for the same analysis."""
    utterances = []
    content = as_version_3(content)
    for entry in content["utterances"]:
        former = {name: value for name, value in entry.items() if name != "estimates"}
        places = {"face": "face", "audio": "audio", "text": "words", "fused": "fused"}
        utterances.append(former | {place: entry["estimates"][name] for name, place in places.items()})
    summary = as_version_2(content)["summary"]
    summary |= {"signal": summary.pop("modality"), "shares_by_signal": summary.pop("shares_by_modality")}
    summary["judged_seconds"] = summary.pop("estimated_seconds")
    former = {name: value for name, value in content.items() if name != "segment"}
    segment = {"stretch": content["segment"]} if "segment" in content else {}
    return {**former, **segment, "schema_version": 1, "utterances": utterances, "summary": summary}


def same_to_the_digits_of_the_file(actual: Any, expected: Any) -> bool:
    """Shares of probabilities with four digits differ by up to half a digit for each of eight labels."""
    if isinstance(expected, dict):
        return actual.keys() == expected.keys() and all(
            same_to_the_digits_of_the_file(actual[key], value) for key, value in expected.items()
        )
    return bool(actual == pytest.approx(expected, abs=4e-4)) if isinstance(expected, float) else actual == expected


@pytest.mark.parametrize("segment", [None, (4.0, 20.0)])
@pytest.mark.parametrize("version", [as_version_1, as_version_2, as_version_3])
def test_earlier_versions_are_read_with_the_shares_of_this_one(
    saved: tuple[Analysis, Path], segment: tuple[float, float] | None, version: Any
) -> None:
    analysis, folder = saved
    analysis = replace(analysis, media=replace(analysis.media, segment=segment))
    former = version(analysis.to_dict())
    assert ("estimates" in former["utterances"][0]) == (version is not as_version_1)
    (folder / "analysis.json").write_text(json.dumps(former), encoding="utf-8")
    unlabeled = replace(analysis, estimates=tuple(replace(each, usability=None) for each in analysis.estimates))
    again, expected = read_analysis(folder).to_dict(), unlabeled.to_dict()
    assert same_to_the_digits_of_the_file(again.pop("summary"), expected.pop("summary"))
    assert again == expected and again["schema_version"] == 4
    without_frames = read_analysis(folder, frames=False)
    assert without_frames.summary == read_analysis(folder).summary and without_frames.frame_times == ()


def test_an_earlier_version_without_frames_has_the_shares_of_its_utterances(saved: tuple[Analysis, Path]) -> None:
    analysis, folder = saved
    (folder / "frames.csv").unlink()
    (folder / "analysis.json").write_text(json.dumps(as_version_2(analysis.to_dict())), encoding="utf-8")
    summary = read_analysis(folder).summary
    rows = [
        ((each.utterance.end_seconds - each.utterance.start_seconds), each.estimates["face"].probabilities)
        for each in analysis.estimates
        if "face" in each.estimates
    ]
    seconds = sum(length for length, _ in rows)
    by_hand = {label: sum(length * row[label] for length, row in rows) / seconds for label in rows[0][1]}
    assert summary["shares_by_modality"]["face"] == pytest.approx(by_hand, abs=4e-4)


def test_an_emotion_that_leads_by_less_than_the_digits_of_the_file_still_leads(tmp_path: Path) -> None:
    # Fear leads, but in four digits it is equal to happiness, which comes first in the order of labels.
    rest = {"neutral": 0.3, "surprise": 0.0, "sadness": 0.0, "anger": 0.0, "disgust": 0.0}
    tie = ModalityEstimate({**rest, "happiness": 0.35 - 1e-9, "fear": 0.35 + 1e-9})
    estimate = UtteranceEstimate(Utterance(0.0, 2.0), {"text": tie}, fused=tie)
    analysis = replace(make_analysis(tmp_path / "talk.mp4"), estimates=(estimate,), frame_times=(), faces=())
    analysis.save(tmp_path / "talk")
    again = read_analysis(tmp_path / "talk")
    assert [each.emotion for each in (*analysis.estimates, *again.estimates)] == ["fear", "fear"]
    assert top_label(again.summary["shares"]) == again.summary["dominant"] == "fear"
    assert again.to_dict() == analysis.to_dict()
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "utterances.csv").read_bytes() == (tmp_path / "talk" / "utterances.csv").read_bytes()


def test_usability_labels_are_read_back(saved: tuple[Analysis, Path]) -> None:
    analysis, folder = saved
    again = read_analysis(folder)
    labels = [each.usability_label for each in analysis.estimates]
    assert [each.usability_label for each in again.estimates] == labels and set(labels) > {"frustration", None}
    for each, other in zip(analysis.estimates, again.estimates, strict=True):
        assert other.usability == (each.usability and pytest.approx(each.usability, abs=1e-4))
    content = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    content["utterances"][0]["translated"] = True
    (folder / "analysis.json").write_text(json.dumps(content), encoding="utf-8")
    assert [each.translated for each in read_analysis(folder).estimates[:2]] == [True, False]


@pytest.mark.parametrize("usability", [{"frustration": 1.0}, {"boredom": 1.0}, dict.fromkeys(USABILITY_LABELS, 0.5)])
def test_other_usability_labels_are_refused(saved: tuple[Analysis, Path], usability: dict[str, float]) -> None:
    content = json.loads((saved[1] / "analysis.json").read_text(encoding="utf-8"))
    content["utterances"][0]["usability"] = usability
    (saved[1] / "analysis.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(AnalysisError, match="cannot be read"):
        read_analysis(saved[1])


@pytest.mark.parametrize(
    "baseline", [FaceBaseline("auto", 3.0, 9.4, used=True), FaceBaseline("given", 1.0, 2.0), FaceBaseline("none")]
)
def test_a_baseline_comes_back(tmp_path: Path, baseline: FaceBaseline) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4")
    assert "baseline" not in analysis.to_dict()
    replace(analysis, baseline=baseline).save(tmp_path / "talk")
    assert read_analysis(tmp_path / "talk").baseline == baseline


def test_movement_is_saved(tmp_path: Path) -> None:
    analysis = make_analysis(tmp_path / "talk.mp4")
    moving = replace(analysis, faces=tuple(replace(face, mouth_motion=0.25) for face in analysis.faces))
    moving.save(tmp_path / "talk")
    again = read_analysis(tmp_path / "talk")
    assert {face.mouth_motion for face in again.faces} == {0.25}
    text = (tmp_path / "talk" / "frames.csv").read_text(encoding="utf-8").replace(",mouth_motion", "", 1)
    lines = [line.rsplit(",", 1)[0] if number else line for number, line in enumerate(text.splitlines())]
    (tmp_path / "talk" / "frames.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert {face.mouth_motion for face in read_analysis(tmp_path / "talk").faces} == {None}
