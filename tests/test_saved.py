"""An analysis that was saved is read back as it was; what is damaged or foreign is refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis_fixtures import make_analysis

from multimodal.analysis import Analysis
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.saved import read_analysis


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


def test_a_stretch_and_words_without_times_come_back(saved: tuple[Analysis, Path], tmp_path: Path) -> None:
    analysis, _ = saved
    part = replace(analysis, media=replace(analysis.media, stretch=(4.0, 20.0)))
    part.save(tmp_path / "part")
    assert read_analysis(tmp_path / "part").media.stretch == (4.0, 20.0)
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
        ({"schema_version": 9}, "is of version 9, this program reads 1"),
        ({"utterances": [{"start_seconds": 3}]}, "cannot be read (KeyError"),
        ({"utterances": 7}, "cannot be read (TypeError"),
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
