"""Tables for other programs: typed Parquet, and JSON Lines.

Both keep words, names and paths as they are; only halves of UTF-16 pairs, which no UTF-8 can hold, become U+FFFD.
Words without times have empty times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.analysis.result import SCHEMA_VERSION, Analysis
from multimodal.files import atomic_write, path_text

if TYPE_CHECKING:
    import pandas as pd

UTTERANCE_SCHEMA = "multimodal-emotion/utterances"
FRAME_SCHEMA = "multimodal-emotion/frames"
LINE_SCHEMA = "multimodal-emotion/utterance"

TIMES = ("start_seconds", "end_seconds")
TEXTS = ("speaker", "text", "modalities", "emotion", "quality")
UNITS: Mapping[str, str] = {
    **dict.fromkeys((*TIMES, "time_seconds"), "seconds on the recording's clock"),
    **dict.fromkeys(("x", "y", "width", "height"), "pixels of the upright picture"),
    **dict.fromkeys(("valence", "arousal"), "-1 to 1"),
}
"""Column to its unit; other numbers, apart from ``face_id``, are probabilities from 0 to 1."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x7f\x85\u2028\u2029"})
"""What some readers take for the end of a line; JSON may hold them only as they are or escaped, with one meaning."""


def write_utterance_table(analysis: Analysis, path: Path) -> None:
    """Writes ``utterances.parquet``: the columns of ``utterances.csv``, typed, with their units.

    Args:
        analysis: Of any input.
        path: Where the file shall stand.

    Raises:
        OutputError: It cannot be written.
    """
    table = _whole_texts(analysis).utterances
    if not analysis.has_times:
        table = table.assign(**dict.fromkeys(TIMES, float("nan")))
    _write(analysis, table, UTTERANCE_SCHEMA, path)


def write_frame_table(analysis: Analysis, path: Path) -> None:
    """Writes ``frames.parquet``: the columns of ``frames.csv``, typed, with units; no row without a video.

    Args:
        analysis: Of any input.
        path: Where the file shall stand.

    Raises:
        OutputError: It cannot be written.
    """
    _write(analysis, analysis.frames, FRAME_SCHEMA, path)


def write_lines(analysis: Analysis, path: Path) -> None:
    """Writes ``utterances.jsonl``: an object a line, as in ``analysis.json``, with the recording and the models.

    Args:
        analysis: Of any input.
        path: Where the file shall stand. It is empty where there are no utterances.

    Raises:
        OutputError: It cannot be written.

    Source:
        https://jsonlines.org, UTF-8, a value a line.
    """
    whole = analysis.to_dict()
    media = {key: whole["media"][key] for key in ("path", "sha256", "duration_seconds")}
    head = {"schema": LINE_SCHEMA, "schema_version": SCHEMA_VERSION, "media": media, "models": whole["models"]}
    empty = {} if analysis.has_times else dict.fromkeys(TIMES)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for index, entry in enumerate(whole["utterances"]):
            line = json.dumps({**head, "index": index, **entry, **empty}, ensure_ascii=False, allow_nan=False)
            file.write(_whole(line).translate(_LINE_ENDS) + "\n")


def _write(analysis: Analysis, table: pd.DataFrame, schema: str, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = list(table.columns)
    arrays = [pa.array(table[name], type=_type(name), from_pandas=True) for name in columns]
    made = pa.Table.from_arrays(arrays, schema=_schema(columns, _facts(analysis, schema)))
    with atomic_write(path) as temporary, temporary.open("wb") as file:  # a name may be one that pyarrow cannot open
        parquet.write_table(made, file, compression="zstd")


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
    media = analysis.media
    return {
        "schema": schema,
        "schema_version": str(SCHEMA_VERSION),
        "media_path": path_text(media.path.absolute()),
        "media_sha256": media.sha256,
        "models": json.dumps({part: facts and dict(facts) for part, facts in analysis.models.items()}),
    }


def _whole_texts(analysis: Analysis) -> Analysis:
    """The same analysis with names and words that UTF-8 can hold."""
    estimates = []
    for estimate in analysis.estimates:
        speaker, text = (value and _whole(value) for value in (estimate.utterance.speaker, estimate.utterance.text))
        estimates.append(replace(estimate, utterance=replace(estimate.utterance, speaker=speaker, text=text)))
    return replace(analysis, estimates=tuple(estimates))


def _whole(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)
