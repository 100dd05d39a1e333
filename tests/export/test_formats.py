"""Export formats: selection by name, atomic files, and one line for inapplicable formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import av
import pympi
import pytest
import webvtt
from analysis_fixtures import (
    HOSTILE,
    empty_analysis,
    estimate_of,
    foreign_analysis,
    hard_analysis,
    make_analysis,
    one_line,
    typed_analysis,
)
from checkout import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid
from pyarrow import parquet

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import Analysis
from multimodal.errors import ConfigError, OutputError
from multimodal.export import formats
from multimodal.export.formats import EXPORT_HELP, FORMATS, check_formats, export, inapplicable, load_format
from multimodal.formatting import join_names
from multimodal.infer.model import load_model
from multimodal.plots.slides import FILES, write_plots
from multimodal.types import Utterance, UtteranceEstimate

EXPORT_ROOM = Path(formats.__file__).parent
ALL = [file for name in FORMATS for file in load_format(name).files]
NAMES = ", ".join(FORMATS)
CHOSEN = ("vtt", "srt", "eaf", "textgrid", "parquet", "jsonl")
"""Names of formats, in an order of their own."""


def pairs(names: list[str], files: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The formats of a row of the documentation: one with all its files, or several with one file each."""
    yield from [(names[0], tuple(files))] if len(names) == 1 else [(n, (f,)) for n, f in zip(names, files, strict=True)]


def test_help_and_names_come_from_the_table() -> None:
    assert f"separated by commas: {NAMES} (default: none)." in EXPORT_HELP
    assert len(set(ALL)) == len(ALL)
    assert [load_format(name).name for name in FORMATS] == list(FORMATS)
    definitions = [path.stem for path in EXPORT_ROOM.glob("*.py") if "\nFORMAT = " in path.read_text(encoding="utf-8")]
    assert sorted(definitions) == sorted(FORMATS.values())


def test_usage_has_a_row_for_each_format() -> None:
    text = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    section = text.partition("\n## Exports\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (`.+?) \|", section, re.MULTILINE)
    quoted = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]
    documented = {name: file for names, files in quoted for name, file in pairs(names, files)}
    assert documented == {name: tuple(load_format(name).files) for name in FORMATS}


def test_formats_are_named_in_any_case_and_once() -> None:
    assert check_formats(" VTT,srt ,, eaf,TextGrid,parquet,jsonl,vtt,") == CHOSEN
    with pytest.raises(ConfigError, match=f"--export: invalid value 'exe'; choose from {NAMES}$"):
        check_formats("vtt,exe")
    for nothing in ("", " , "):
        with pytest.raises(ConfigError, match="names no format"):
            check_formats(nothing)


@pytest.mark.parametrize("make", [hard_analysis, empty_analysis, foreign_analysis])
def test_every_format_is_written_and_nothing_else(tmp_path: Path, make: object) -> None:
    assert callable(make)
    paths = export(make(tmp_path / "a b.mp4"), tmp_path / "made" / "here", tuple(FORMATS))
    assert [path.name for path in paths] == ALL
    assert sorted(path.name for path in (tmp_path / "made" / "here").iterdir()) == sorted(ALL)


def test_only_what_was_asked_for_is_written(tmp_path: Path) -> None:
    assert export(make_analysis(tmp_path / "a.mp4"), tmp_path, ("srt",)) == [tmp_path / "emotions.srt"]
    assert export(make_analysis(tmp_path / "a.mp4"), tmp_path / "none", ()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["emotions.srt"]


def test_words_without_times_go_into_tables_only(tmp_path: Path) -> None:
    analysis = typed_analysis(tmp_path / "answer.txt")
    assert inapplicable(analysis, CHOSEN) == ("vtt", "srt", "eaf", "textgrid")
    assert inapplicable(make_analysis(tmp_path / "a.mp4"), FORMATS) == ()
    with pytest.raises(OutputError) as caught:
        export(analysis, tmp_path / "out", ("vtt", "parquet", "textgrid", "jsonl"))
    others = join_names([name for name in FORMATS if not load_format(name).needs_times], "or")
    line = f"answer.txt: is text without times, which vtt, textgrid cannot hold; export {others}"
    assert str(caught.value).endswith(line) and "\n" not in str(caught.value)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["frames.parquet", "utterances.jsonl", "utterances.parquet"]
    assert len(export(analysis, tmp_path / "out", ("parquet", "jsonl"))) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, name: str) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 8.0)
    for file in load_format(name).files:
        (tmp_path / "out" / file).mkdir(parents=True)
        (tmp_path / "out" / file / "mine").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        export(analysis, tmp_path / "out", (name,))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(load_format(name).files)


@pytest.mark.parametrize("name", FORMATS)
def test_what_stood_there_stays_where_writing_fails(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = make_analysis(tmp_path / "a.mp4", 8.0)
    before = [path.read_bytes() for path in export(analysis, tmp_path, (name,))]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        export(make_analysis(tmp_path / "a.mp4", 12.0), tmp_path, (name,))
    assert [(tmp_path / file).read_bytes() for file in load_format(name).files] == before
    assert len(list(tmp_path.iterdir())) == len(before)


def test_labels_that_are_not_ours_come_through(tmp_path: Path) -> None:
    export(foreign_analysis(tmp_path / "a.mp4"), tmp_path, tuple(FORMATS))
    expected = ["<script>&", "excitement", 'two "words"']
    elan = pympi.Eaf(str(tmp_path / "emotions.eaf"))
    assert [value for _, _, value, _ in elan.get_ref_annotation_data_for_tier("emotion")] == expected
    captions = webvtt.from_string((tmp_path / "emotions.vtt").read_text(encoding="utf-8"), strict=True).captions
    assert [caption.raw_text.split("\n")[0] for caption in captions] == [
        "<c._script_>&lt;script&gt;&amp; 80%</c>",
        "<c.excitement>excitement 80%</c>",
        '<c.two_words_>two "words" 80%</c>',
    ]
    grid = textgrid.openTextgrid(str(tmp_path / "emotions.TextGrid"), includeEmptyIntervals=False)
    assert [entry.label for entry in grid.getTier("emotion").entries] == expected


moments = st.floats(0, 30).map(lambda seconds: round(seconds, 3))
spoken = st.builds(
    lambda start, lasts, speaker, text: UtteranceEstimate(
        Utterance(start, start + lasts, speaker, text),
        {"text": estimate_of("fear", 0.6)},
        fused=estimate_of("fear", 0.6),
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
    tiers_of_words = [tier for tier in grid.get_tiers() if tier.name in tiers]
    assert [tier.name for tier in tiers_of_words] == list(tiers)
    assert sorted(text for tier in tiers_of_words for *_, text in tier.get_intervals() if text) == words
    assert len(webvtt.from_string((tmp_path / "emotions.vtt").read_bytes().decode(), strict=True)) == len(estimates)
    assert len((tmp_path / "utterances.jsonl").read_bytes().splitlines()) == len(estimates)


# --- real recordings ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def result(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    """A cartoon for four seconds, then a man, judged by the face; saved, and read back from the disk."""
    folder = tmp_path_factory.mktemp("results") / "noface_face"
    load_model("default", "cpu", ["face"]).analyze(shared_folder / "clips" / "noface_face.mov").save(folder)
    analysis = read_analysis(folder)
    export(analysis, folder, tuple(FORMATS))
    write_plots(analysis, folder)
    return analysis, folder


def presentation_times(path: Path) -> list[float]:
    """Of every picture, by FFmpeg, on the clock that starts with the earlier stream."""
    with av.open(str(path)) as container:
        start = min(
            stream.start_time * stream.time_base for stream in container.streams if stream.start_time is not None
        )
        return [float(frame.pts * frame.time_base - start) for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.corpus
def test_cues_lie_where_the_man_is_seen(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    rest, smile = webvtt.read(folder / "emotions.vtt").captions
    assert "neutral" in rest.text and smile.text.startswith("▲ happiness ")
    assert rest.start_time.in_milliseconds() == pytest.approx(3_945, abs=200)  # a viewer's times
    assert smile.start_time.in_milliseconds() == pytest.approx(4_550, abs=200)
    assert smile.end_time.in_milliseconds() == round(analysis.media.duration_seconds * 1000)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_face_tier_follows_the_pictures_of_the_file(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    read = pympi.Eaf(str(folder / "emotions.eaf"))
    spans = sorted(read.get_annotation_data_for_tier("face 0"))
    assert spans[0][2] == "neutral" and spans[-1][2] == "happiness"
    times = presentation_times(analysis.media.path)
    assert all(min(abs(time - start / 1000) for time in times) < 1e-3 for start, *_ in spans)
    assert spans[-1][1] <= round(analysis.media.duration_seconds * 1000) + 1
    media = read.media_descriptors[0]
    assert (folder / media["RELATIVE_MEDIA_URL"]).samefile(analysis.media.path)
    assert media["MIME_TYPE"] == "video/quicktime"


@pytest.mark.slow
@pytest.mark.corpus
def test_tables_and_pictures_are_there(result: tuple[Analysis, Path]) -> None:
    analysis, folder = result
    assert parquet.read_metadata(folder / "frames.parquet").num_rows == len(analysis.frames) == 32
    assert all((folder / name).stat().st_size > 10_000 for name in FILES)
    assert "happiness" in (ElementTree.parse(folder / "summary.svg").getroot()[0].text or "")
