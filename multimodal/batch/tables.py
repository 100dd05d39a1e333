"""The tables of a study: a row per input, all utterances, and means by task, question and participant.

Each analysis is read once. Text cells of the CSV files that a spreadsheet would execute as a formula begin with an
apostrophe; the parquet files contain them unchanged.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.result import ESTIMATE_LABELS, LAST_COLUMNS, SCHEMA_VERSION
from multimodal.analysis.usability import COLUMN, ORDER, usability_shares
from multimodal.batch.summary import GROUPINGS, summarize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.manifest import Manifest, Row
from multimodal.errors import MultimodalError
from multimodal.files import atomic_write, path_text
from multimodal.types import MODALITIES, UNCERTAIN

USABILITY_MEASURES = tuple(f"{COLUMN}{label}" for label in (*ORDER, UNCERTAIN))
"""Columns with the share of utterances of each usability label; together 1."""

MEASURES = (*FUSED_LABELS, UNCERTAIN, "mean_valence", "mean_arousal", "confidence", *USABILITY_MEASURES)
"""Columns that the summary averages: the expected shares of the emotions, which sum to 1, and others."""

VERSION_KEY = b"multimodal_schema_version"
"""Metadata of the parquet files: version of the analyses that their numbers mean the same as."""

RESULT_COLUMNS: Mapping[str, type] = {
    "result": str,
    "status": str,
    "error": str,
    "duration_seconds": float,
    **{f"coverage_{modality}": float for modality in MODALITIES},
    "utterances": int,
    "dominant": str,
    **dict.fromkeys(MEASURES, float),
}
"""Columns of ``results`` after the columns of the manifest."""

UTTERANCE_COLUMNS: Mapping[str, type] = {
    "result": str,
    "start_seconds": float,
    "end_seconds": float,
    "utterance_speaker": str,
    "text": str,
    "modalities": str,
    "face_id": int,
    **{f"{modality}_{label}": float for modality, labels in ESTIMATE_LABELS.items() for label in labels},
    **{name: str if name in ("emotion", "usability") else float for name in LAST_COLUMNS},
}
"""Columns of ``utterances`` after the columns of the manifest."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # the wide ones in Japanese Excel
"""Beginnings of a cell that a spreadsheet may execute."""

BLOCK = 20_000
"""Utterances written at a time: some 10 MB."""

Cells = dict[str, Any]


def write_tables(
    out: Path, manifest: Manifest, names: Sequence[str], errors: dict[int, str], folder: Callable[[str], Path]
) -> None:
    """Writes ``results.parquet``, ``results.csv``, ``utterances.parquet`` and ``summary.csv``.

    Args:
        out: Folder for the tables.
        manifest: The inputs.
        names: Name of the result of each input.
        errors: Index of each input that failed, to the reason; inputs with an unreadable result are added.
        folder: Gives the folder of a result by its name.

    Raises:
        OutputError: A table cannot be written.
    """
    rows = []
    with atomic_write(out / "utterances.parquet") as temporary, _Blocks(temporary, manifest) as blocks:
        for index, (row, name) in enumerate(zip(manifest.rows, names, strict=True)):
            content = None if index in errors else _analysis(folder(name))
            if content is None:
                errors.setdefault(index, f"{row.path}: has a result that cannot be read; run the command again")
            cells = manifest_cells(manifest, row, RESULT_COLUMNS)
            rows.append(cells | _result(name, content, errors.get(index)))
            blocks.add(manifest_cells(manifest, row, UTTERANCE_COLUMNS), name, content)
    with atomic_write(out / "results.parquet") as temporary:
        _write_parquet(temporary, rows, _schema(manifest, RESULT_COLUMNS))
    write_csv(out / "results.csv", _schema(manifest, RESULT_COLUMNS), rows)
    write_csv(
        out / "summary.csv",
        *summarize([_plain(manifest, *pair) for pair in zip(manifest.rows, rows, strict=True)], MEASURES),
    )


def manifest_cells(manifest: Manifest, row: Row, columns: Iterable[str]) -> Cells:
    """The cells of the manifest for an input; the name of a column that is in ``columns`` too gets ``manifest_``.

    Args:
        manifest: The manifest.
        row: The row of the input.
        columns: Columns of the table.

    Returns:
        Column to cell.
    """
    ours = set(columns)
    return {
        _header(name, ours): path_text(Path(row.columns[name])) if name.lower() == "path" else row.columns[name]
        for name in manifest.columns
        if name
    }


def _header(name: str, ours: set[str]) -> str:
    return f"manifest_{name}" if name in ours else name


def neutral(text: str) -> str:
    r"""Makes a cell that a spreadsheet shows and does not execute.

    Args:
        text: Content of a cell.

    Example:
        >>> neutral("=HYPERLINK(1)"), neutral("-3"), neutral("calm")
        ("'=HYPERLINK(1)", "'-3", 'calm')
    """
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a table that Excel opens correctly: with a byte order mark, quoted texts, and without formulas.

    Args:
        path: The file to write.
        columns: Names of the columns.
        rows: Column to value, a row each.
    """
    names = list(columns)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow([neutral(name) for name in names])
        for row in rows:
            writer.writerow([_cell(row.get(name)) for name in names])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return neutral(value) if isinstance(value, str) else value


def _analysis(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            return None
        # Earlier versions have no usability labels, and before version 3 shares were counts of the top labels.
        is_earlier = content.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION
        return read_analysis(folder, frames=False).to_dict() if is_earlier else content
    except (OSError, ValueError, MultimodalError):
        return None


def _result(name: str, content: Mapping[str, Any] | None, error: str | None) -> Cells:
    if content is None:
        return {"result": None, "status": "failed", "error": error}
    media, summary, utterances = content["media"], content["summary"], content["utterances"]
    segment = content.get("segment", {"start_seconds": 0.0, "end_seconds": media["duration_seconds"]})
    return {
        "result": name,
        "status": "done",
        "error": None,
        "duration_seconds": round(segment["end_seconds"] - segment["start_seconds"], 3),
        **{f"coverage_{modality}": content["coverage"].get(modality) for modality in MODALITIES},
        "utterances": len(utterances),
        **summary_cells(summary),
        "mean_valence": summary["mean_valence"],
        "mean_arousal": summary["mean_arousal"],
        "confidence": _confidence(utterances),
        **usability_shares(utterances),
    }


def summary_cells(summary: Mapping[str, Any]) -> Cells:
    """The cells of an input that come from the shares of its summary.

    Args:
        summary: As ``Analysis.summary``.

    Returns:
        ``dominant``, the expected share of each fused label, and ``uncertain``.
    """
    shares = summary["shares"] or {}
    return {
        "dominant": summary["dominant"],
        **{label: shares.get(label) for label in FUSED_LABELS},
        UNCERTAIN: summary.get("uncertain"),
    }


def _confidence(utterances: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean over utterances, weighted by their length as valence is."""
    weighted = [
        (each["confidence"], max(each["end_seconds"] - each["start_seconds"], 1e-9))
        for each in utterances
        if each["confidence"] is not None
    ]
    total = math.fsum(length for _, length in weighted)
    return round(math.fsum(value * length for value, length in weighted) / total, 4) if weighted else None


def _plain(manifest: Manifest, row: Row, cells: Cells) -> Cells:
    """A row of results with the groupings of the manifest under their plain names, for the summary."""
    values = {name.lower(): row.columns[name].strip() for name in manifest.columns if name}
    measures = {name: cells.get(name) for name in ("status", *MEASURES)}
    return measures | {name: values[name] for name in GROUPINGS if name in values}


def _utterance(name: str, entry: Mapping[str, Any]) -> Cells:
    row = {key: entry.get(key) for key in UTTERANCE_COLUMNS if not isinstance(entry.get(key), dict)}
    row |= {"result": name, "utterance_speaker": entry["speaker"], "modalities": "+".join(entry["modalities"])}
    row["usability"] = entry.get("usability_label")
    for modality in ESTIMATE_LABELS:
        probabilities = entry["estimates"][modality] or {}
        row |= {f"{modality}_{label}": value for label, value in probabilities.items()}
    return row


def _schema(manifest: Manifest, columns: Mapping[str, type]) -> dict[str, type]:
    ours = set(columns)
    return {_header(name, ours): str for name in manifest.columns if name} | dict(columns)


def _arrow(schema: Mapping[str, type]) -> Any:
    import pyarrow as pa

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    version = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
    return pa.schema([(name, kinds[kind]) for name, kind in schema.items()], metadata=version)


def _write_parquet(path: Path, rows: list[Cells], schema: Mapping[str, type]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("wb") as file:  # a name may be one that pyarrow cannot open
        parquet.write_table(pa.Table.from_pylist(rows, schema=_arrow(schema)), file)


class _Blocks:
    """Writes utterances in blocks, so that memory does not grow with the study."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        from pyarrow import parquet

        self.schema = _arrow(_schema(manifest, UTTERANCE_COLUMNS))
        self.file = path.open("wb")  # a name may be one that pyarrow cannot open
        self.writer = parquet.ParquetWriter(self.file, self.schema)
        self.rows: list[Cells] = []

    def __enter__(self) -> _Blocks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._write()
        finally:
            self.writer.close()
            self.file.close()

    def add(self, cells: Cells, name: str, content: Mapping[str, Any] | None) -> None:
        """Adds the utterances of one input, each with the cells of its manifest row."""
        self.rows += [cells | _utterance(name, entry) for entry in (content or {"utterances": []})["utterances"]]
        if len(self.rows) >= BLOCK:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa

        self.writer.write_table(pa.Table.from_pylist(self.rows, schema=self.schema))
        self.rows = []
