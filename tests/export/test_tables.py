"""Parquet and JSON Lines: read back by pyarrow and pandas, with types and units, and equal to the analysis."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from analysis_fixtures import CONTROLS, MODELS, empty_analysis, hard_analysis, make_analysis, typed_analysis
from pyarrow import json as arrow_json
from pyarrow import parquet

from multimodal.analysis.result import Analysis
from multimodal.export.formats import export


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    folder = tmp_path_factory.mktemp("hard")
    analysis = without_halves(hard_analysis(folder / "a.mp4"))
    analysis.save(folder)
    export(analysis, folder, ("parquet", "jsonl"))
    return analysis, folder


def without_halves(analysis: Analysis) -> Analysis:
    """Halves of pairs of UTF-16 cannot be saved as JSON, so the saved file could not be compared."""
    estimates = []
    for each in analysis.estimates:
        text = (each.utterance.text or "").replace("\ud800", "") or None
        estimates.append(replace(each, utterance=replace(each.utterance, text=text)))
    return replace(analysis, estimates=tuple(estimates))


def test_parquet_holds_the_columns_and_rows_of_the_csv(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    for name, count in (("utterances", len(analysis.estimates)), ("frames", 200)):
        table = parquet.read_table(folder / f"{name}.parquet").to_pandas()
        whole = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""], lineterminator="\n")
        assert list(table.columns) == list(whole.columns) and len(table) == count
        numbers = [column for column in table.columns if pd.api.types.is_numeric_dtype(table[column])]
        pd.testing.assert_frame_equal(table[numbers], whole[numbers], check_dtype=False, atol=6e-5)
    columns = parquet.read_table(folder / "utterances.parquet").to_pydict()
    assert columns["text"] == [each.utterance.text for each in analysis.estimates]
    assert columns["speaker"] == [each.utterance.speaker for each in analysis.estimates]
    assert columns["emotion"] == [each.emotion for each in analysis.estimates]
    assert columns["usability"] == [each.usability_label for each in analysis.estimates]
    assert columns["modalities"] == ["+".join(each.modalities) for each in analysis.estimates]


def test_columns_have_types_and_units(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    utterances, frames = (parquet.read_schema(folder / f"{name}.parquet") for name in ("utterances", "frames"))
    texts = {"speaker", "text", "modalities", "emotion", "usability", "quality"}
    for schema, name in ((utterances, "utterances"), (frames, "frames")):
        for field in schema:
            expected = pa.string() if field.name in texts else pa.int64() if field.name == "face_id" else pa.float64()
            assert field.type == expected, field.name
            assert ((field.metadata or {}).get(b"unit") is not None) == (expected == pa.float64()), field.name
        facts = {key.decode(): value.decode() for key, value in schema.metadata.items()}
        assert facts["schema"] == f"multimodal-emotion/{name}" and facts["schema_version"] == "4"
        assert facts["media_sha256"] == "ab" * 32 and facts["media_path"] == str(analysis.media.path)
        assert json.loads(facts["models"]) == MODELS
    assert utterances.field("start_seconds").metadata[b"unit"] == b"seconds on the recording's clock"
    assert utterances.field("fused_anger").metadata[b"unit"] == b"probability, 0 to 1"
    assert frames.field("width").metadata[b"unit"] == b"pixels of the upright picture"


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "utterances.jsonl").read_bytes().decode("utf-8")
    # splitlines also splits at U+0085 and U+2028, as some readers do; the file must stand that.
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_holds_an_utterance_of_the_saved_analysis(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    saved = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    actual = lines_of(folder)
    assert len(actual) == len(analysis.estimates)
    for index, (line, entry) in enumerate(zip(actual, saved["utterances"], strict=True)):
        assert line.pop("schema") == "multimodal-emotion/utterance" and line.pop("schema_version") == 4
        assert line.pop("index") == index
        assert line.pop("models") == saved["models"]
        media = line.pop("media")
        assert media == {key: saved["media"][key] for key in ("path", "sha256", "duration_seconds")}
        assert line == entry


def test_other_readers_of_lines_agree(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    texts = [each.utterance.text for each in analysis.estimates]
    by_arrow = arrow_json.read_json(folder / "utterances.jsonl")
    assert by_arrow.column("text").to_pylist() == texts
    by_pandas = pd.read_json(folder / "utterances.jsonl", lines=True)
    assert [text if isinstance(text, str) else None for text in by_pandas["text"]] == texts


def test_typed_words_have_no_times(tmp_path: Path) -> None:
    export(typed_analysis(tmp_path / "answer.txt"), tmp_path, ("parquet", "jsonl"))
    table = parquet.read_table(tmp_path / "utterances.parquet")
    for column in ("start_seconds", "end_seconds"):
        assert table.column(column).null_count == 3
    assert table.column("text").to_pylist() == ["It was great!", CONTROLS.replace("\ud800", "\ufffd"), "-->"]
    assert parquet.read_table(tmp_path / "frames.parquet").num_rows == 0
    actual = lines_of(tmp_path)
    assert [(line["start_seconds"], line["end_seconds"], line["emotion"]) for line in actual] == [
        (None, None, "happiness"),
        (None, None, "anger"),
        (None, None, "anger"),
    ]


def test_nothing_found_keeps_its_rows(tmp_path: Path) -> None:
    export(empty_analysis(tmp_path / "a.mp4"), tmp_path, ("parquet", "jsonl"))
    frames = parquet.read_table(tmp_path / "frames.parquet")
    assert frames.num_rows == 22 and frames.column("face_id").null_count == 22
    assert parquet.read_table(tmp_path / "utterances.parquet").column("emotion").to_pylist() == [None]
    (line,) = lines_of(tmp_path)
    assert line["emotion"] is None and line["end_seconds"] == 4.25
    export(replace(empty_analysis(tmp_path / "a.mp4"), estimates=()), tmp_path, ("parquet", "jsonl"))
    assert parquet.read_table(tmp_path / "utterances.parquet").num_rows == 0
    assert (tmp_path / "utterances.jsonl").read_bytes() == b""


@pytest.mark.slow
def test_an_hour_is_whole(tmp_path: Path) -> None:
    export(make_analysis(tmp_path / "a.mp4", 3600.0), tmp_path, ("parquet", "jsonl"))
    assert parquet.read_metadata(tmp_path / "utterances.parquet").num_rows == len(lines_of(tmp_path)) == 900
    assert parquet.read_metadata(tmp_path / "frames.parquet").num_rows == 18_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's own")
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"bad\xff\xfe")
    export(make_analysis(tmp_path / "a.mp4", 20.0), folder, ("parquet",))
    assert pd.read_parquet((folder / "utterances.parquet").open("rb")).shape[0] == 5
