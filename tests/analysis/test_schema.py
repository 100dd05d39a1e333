"""The published JSON Schema matches the types, and saved analyses conform to it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from analysis_fixtures import empty_analysis, foreign_analysis, make_analysis
from checkout import ROOT

from multimodal.analysis.result import SCHEMA, SCHEMA_VERSION
from multimodal.analysis.schema import json_schema, validate


def published() -> dict[str, Any]:
    return dict(json.loads(files("multimodal").joinpath("schemas/analysis.schema.json").read_text(encoding="utf-8")))


def test_published_schema_is_that_of_the_types() -> None:
    # After a change: python -c "import json; from multimodal.analysis.schema import json_schema as s;
    # print(json.dumps(s(), indent=2, ensure_ascii=False))" > multimodal/schemas/analysis.schema.json
    assert published() == json_schema()
    assert published() == json.loads((ROOT / "docs" / "analysis.schema.json").read_text(encoding="utf-8"))


def test_schema_names_this_version() -> None:
    properties = published()["properties"]
    assert (properties["schema"]["const"], properties["schema_version"]["const"]) == (SCHEMA, SCHEMA_VERSION)


@pytest.mark.parametrize("make", [make_analysis, empty_analysis, foreign_analysis])
def test_saved_analyses_conform(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "talk.mp4").save(tmp_path / "talk")
    content = json.loads((tmp_path / "talk" / "analysis.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(published()).validate(content)
    assert validate(content).schema_version == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"media": None}, ["media"]),
        ({"emotions": [7]}, ["emotions", 0]),
        ({"coverage": {"face": 2, "audio": 0, "text": 0}}, ["coverage", "face"]),
        ({"schema_version": 1}, ["schema_version"]),
    ],
)
def test_schema_refuses_what_reading_refuses(change: dict[str, Any], place: list[Any], tmp_path: Path) -> None:
    content = make_analysis(tmp_path / "talk.mp4").to_dict() | change
    errors = [list(error.absolute_path) for error in jsonschema.Draft202012Validator(published()).iter_errors(content)]
    assert place in errors
