"""Parquet tables for pandas, R and DuckDB: the columns of the CSV files, typed, with their units.

Text, names and paths are kept as they are, except halves of UTF-16 pairs, which become U+FFFD. Text without times has
empty times.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.export.export_format import ExportFormat, utf8_text
from multimodal.files import atomic_write, path_text

if TYPE_CHECKING:
    import pandas as pd

    from multimodal.analysis.result import Analysis

UTTERANCE_SCHEMA = "multimodal-emotion/utterances"
FRAME_SCHEMA = "multimodal-emotion/frames"

TIMES = ("start_seconds", "end_seconds")
TEXTS = ("speaker", "text", "modalities", "emotion", "usability", "quality")
UNITS: Mapping[str, str] = {
    **dict.fromkeys((*TIMES, "time_seconds"), "seconds on the recording's clock"),
    **dict.fromkeys(("x", "y", "width", "height"), "pixels of the upright picture"),
    **dict.fromkeys(("valence", "arousal"), "-1 to 1"),
    "mouth_motion": "deviations of the gray levels",
}
"""Column to its unit; other numbers, apart from ``face_id``, are probabilities from 0 to 1."""


def write_utterance_table(analysis: Analysis, path: Path) -> None:
    """Writes ``utterances.parquet``: the columns of ``utterances.csv``, typed, with their units.

    Args:
        analysis: The analysis of any input.
        path: The file to write.

    Raises:
        OutputError: The file cannot be written.
    """
    table = _with_utf8_texts(analysis).utterances
    if not analysis.has_times:
        table = table.assign(**dict.fromkeys(TIMES, float("nan")))
    _write(analysis, table, UTTERANCE_SCHEMA, path)


def write_frame_table(analysis: Analysis, path: Path) -> None:
    """Writes ``frames.parquet``: the columns of ``frames.csv``, typed, with their units; no row without a video.

    Args:
        analysis: The analysis of any input.
        path: The file to write.

    Raises:
        OutputError: The file cannot be written.
    """
    _write(analysis, analysis.frames, FRAME_SCHEMA, path)


FORMAT = ExportFormat(
    "parquet",
    {"utterances.parquet": write_utterance_table, "frames.parquet": write_frame_table},
    needs_times=False,
)


def _write(analysis: Analysis, table: pd.DataFrame, schema: str, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = list(table.columns)
    arrays = [pa.array(table[name], type=_type(name), from_pandas=True) for name in columns]
    data = pa.Table.from_arrays(arrays, schema=_schema(columns, _facts(analysis, schema)))
    with atomic_write(path) as temporary, temporary.open("wb") as file:  # a name may be one that pyarrow cannot open
        parquet.write_table(data, file, compression="zstd")


def _type(name: str) -> Any:
    import pyarrow as pa

    if name in TEXTS:
        return pa.string()
    return pa.int64() if name == "face_id" else pa.float64()


def _schema(columns: Sequence[str], facts: Mapping[str, str]) -> Any:
    import pyarrow as pa

    fields = []
    for name in columns:
        number = name not in (*TEXTS, "face_id")
        unit = {"unit": UNITS.get(name, "probability, 0 to 1")} if number else None
        fields.append(pa.field(name, _type(name), metadata=unit))
    return pa.schema(fields, metadata=facts)


def _facts(analysis: Analysis, schema: str) -> dict[str, str]:
    from multimodal.analysis.result import SCHEMA_VERSION

    media = analysis.media
    return {
        "schema": schema,
        "schema_version": str(SCHEMA_VERSION),
        "media_path": path_text(media.path.absolute()),
        "media_sha256": media.sha256,
        "models": json.dumps({part: facts and dict(facts) for part, facts in analysis.models.items()}),
    }


def _with_utf8_texts(analysis: Analysis) -> Analysis:
    """Returns the same analysis with names and text that UTF-8 can hold."""
    estimates = []
    for estimate in analysis.estimates:
        speaker, text = (value and utf8_text(value) for value in (estimate.utterance.speaker, estimate.utterance.text))
        estimates.append(replace(estimate, utterance=replace(estimate.utterance, speaker=speaker, text=text)))
    return replace(analysis, estimates=tuple(estimates))
