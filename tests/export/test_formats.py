"""Formats are chosen by name, files are whole or not at all, and what a format cannot hold is said in a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pympi
import pytest
import webvtt
from analysis_fixtures import (
    HOSTILE,
    empty_analysis,
    foreign_analysis,
    hard_analysis,
    make_analysis,
    one_line,
    said,
    typed_analysis,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid

from multimodal.errors import ConfigError, OutputError
from multimodal.export import FORMATS, TIMED, check_formats, export, unfit
from multimodal.types import Utterance, UtteranceEstimate

ALL = [file for files in FORMATS.values() for file in files]


def test_formats_are_named_in_any_case_and_once() -> None:
    assert check_formats(" VTT,srt ,, eaf,TextGrid,parquet,jsonl,vtt,") == tuple(FORMATS)
    with pytest.raises(ConfigError, match="--export: is 'exe'; choose from vtt, srt, eaf, textgrid, parquet, jsonl"):
        check_formats("vtt,exe")
    for nothing in ("", " , "):
        with pytest.raises(ConfigError, match="names no format"):
            check_formats(nothing)


@pytest.mark.parametrize("make", [hard_analysis, empty_analysis, foreign_analysis])
def test_every_format_is_written_and_nothing_else(tmp_path: Path, make: object) -> None:
    assert callable(make)
    written = export(make(tmp_path / "a b.mp4"), tmp_path / "made" / "here", tuple(FORMATS))
    assert [path.name for path in written] == ALL
    assert sorted(path.name for path in (tmp_path / "made" / "here").iterdir()) == sorted(ALL)


def test_only_what_was_asked_for_is_written(tmp_path: Path) -> None:
    assert export(make_analysis(tmp_path / "a.mp4"), tmp_path, ("srt",)) == [tmp_path / "emotions.srt"]
    assert export(make_analysis(tmp_path / "a.mp4"), tmp_path / "none", ()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["emotions.srt"]


def test_words_without_times_go_into_tables_only(tmp_path: Path) -> None:
    analysis = typed_analysis(tmp_path / "answer.txt")
    assert unfit(analysis, FORMATS) == TIMED and unfit(make_analysis(tmp_path / "a.mp4"), FORMATS) == ()
    with pytest.raises(OutputError) as caught:
        export(analysis, tmp_path / "out", ("vtt", "parquet", "textgrid", "jsonl"))
    line = "answer.txt: is words without times, which vtt, textgrid cannot hold; export parquet or jsonl"
    assert str(caught.value).endswith(line) and "\n" not in str(caught.value)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["frames.parquet", "utterances.jsonl", "utterances.parquet"]
    assert len(export(analysis, tmp_path / "out", ("parquet", "jsonl"))) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, name: str) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 8.0)
    for file in FORMATS[name]:
        (tmp_path / "out" / file).mkdir(parents=True)
        (tmp_path / "out" / file / "mine").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export(analysis, tmp_path / "out", (name,))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FORMATS[name])


@pytest.mark.parametrize("name", FORMATS)
def test_what_stood_there_stays_where_writing_fails(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 8.0)
    before = [path.read_bytes() for path in export(analysis, tmp_path, (name,))]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        export(make_analysis(tmp_path / "a.mp4", 12.0), tmp_path, (name,))
    assert [(tmp_path / file).read_bytes() for file in FORMATS[name]] == before
    assert len(list(tmp_path.iterdir())) == len(before)


def test_labels_that_are_not_ours_come_through(tmp_path: Path) -> None:
    export(foreign_analysis(tmp_path / "a.mp4"), tmp_path, tuple(FORMATS))
    wanted = ["<script>&", "excitement", 'two "words"']
    elan = pympi.Eaf(str(tmp_path / "emotions.eaf"))
    assert [value for _, _, value, _ in elan.get_ref_annotation_data_for_tier("emotion")] == wanted
    captions = webvtt.from_string((tmp_path / "emotions.vtt").read_text(encoding="utf-8"), strict=True).captions
    assert [caption.raw_text.split("\n")[0] for caption in captions] == [
        "<c._script_>&lt;script&gt;&amp; 80%</c>",
        "<c.excitement>excitement 80%</c>",
        '<c.two_words_>two "words" 80%</c>',
    ]
    grid = textgrid.openTextgrid(str(tmp_path / "emotions.TextGrid"), includeEmptyIntervals=False)
    assert [entry.label for entry in grid.getTier("emotion").entries] == wanted


moments = st.floats(0, 30).map(lambda seconds: round(seconds, 3))
spoken = st.builds(
    lambda start, lasts, speaker, text: UtteranceEstimate(
        Utterance(start, start + lasts, speaker, text), text=said("fear", 0.6), fused=said("fear", 0.6)
    ),
    moments,
    st.sampled_from([0.0, 0.0004, 0.5, 7.25]),
    st.none() | st.sampled_from(["Ada", "Ada (2)", ""]) | st.text(max_size=5),
    st.none() | st.text(max_size=12) | st.sampled_from(HOSTILE),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(estimates=st.lists(spoken, max_size=6))
def test_whatever_is_said_the_files_can_be_read(tmp_path: Path, estimates: list[UtteranceEstimate]) -> None:
    analysis = replace(make_analysis(tmp_path / "a.mp4", 40.0), estimates=tuple(estimates), faces=())
    export(analysis, tmp_path, tuple(FORMATS))
    words = sorted(line for each in estimates if (line := one_line(each.utterance.text)))
    elan = pympi.Eaf(str(tmp_path / "emotions.eaf"))
    tiers = elan.get_tier_ids_for_linguistic_type("words")
    read = [value for tier in tiers for _, _, value in elan.get_annotation_data_for_tier(tier)]
    assert sorted(filter(None, read)) == words and len(read) == len(estimates)
    grid = pympi.TextGrid(str(tmp_path / "emotions.TextGrid"))
    heard = [tier for tier in grid.get_tiers() if tier.name in tiers]
    assert [tier.name for tier in heard] == list(tiers)
    assert sorted(text for tier in heard for *_, text in tier.get_intervals() if text) == words
    assert len(webvtt.from_string((tmp_path / "emotions.vtt").read_bytes().decode(), strict=True)) == len(estimates)
    assert len((tmp_path / "utterances.jsonl").read_bytes().splitlines()) == len(estimates)
