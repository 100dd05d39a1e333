"""The tables of a batch, read back: a row per input, and the groups that its manifest names.

The tables may come from elsewhere: a missing column or one of another type is an error of one line, and a result that
names anything but a folder inside the study is ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from multimodal.analysis.loading import SHARES_VERSION, read_analysis
from multimodal.batch.summary import GROUPINGS, summarize
from multimodal.batch.tables import MEASURES, RESULT_COLUMNS, USABILITY_MEASURES, VERSION_KEY, summary_cells
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.manifest import read_seconds
from multimodal.errors import AnalysisError, InputMissingError, MultimodalError
from multimodal.files import path_text

TABLE = "results.parquet"

SHARES = FUSED_LABELS
"""The measures that are expected shares of an input; they sum to 1."""

SEGMENT = ("start", "end", "speaker")
"""Columns of a manifest that distinguish two inputs of one file."""

GROUPING_ORDER = ("participant", "task", "question")
"""Order of the filters and columns."""

GENERIC_NAMES = ("results", "result", "out", "output")
"""Names of folders that do not identify a study."""

SEPARATOR = re.compile(r"[/\\]")

Cells = Mapping[str, Any]


@dataclass(frozen=True)
class StudyTables:
    """The results of a study.

    Attributes:
        out: The output folder of the batch.
        columns: Of the table, in order: those of the manifest, then those of the batch.
        rows: A mapping per input, in order of the manifest; None for an empty cell.
        column_of: ``path``, ``participant``, ``task``, ``question``, ``start`` … to the column of that meaning, as the
            manifest spells it; without those that it does not have.
    """

    out: Path
    columns: tuple[str, ...]
    rows: tuple[Cells, ...]
    column_of: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the study: its folder, with the parent of a generic one such as ``results``."""
        folder = self.out.absolute()
        return path_text(Path(folder.parent.name, folder.name) if folder.name in GENERIC_NAMES else Path(folder.name))

    @property
    def groupings(self) -> tuple[str, ...]:
        """Those of participant, task and question that the manifest names for any input."""
        return tuple(name for name in GROUPING_ORDER if any(self.value(row, name) for row in self.rows))

    @cached_property
    def summary(self) -> list[dict[str, Any]]:
        """The rows of ``summary.csv``: means with 95 % intervals by a bootstrap over participants.

        They are computed again from the same numbers with the same seed, so they equal those of the file, which has
        its texts changed for spreadsheets.

        Returns:
            Per group ``by``, ``group``, ``inputs``, ``done``, ``failed``, ``participants`` and ``values``: per measure
            ``[mean, low, high]``, each may be None. The first is the whole study.
        """
        plain = [
            {name: row[name] for name in ("status", *MEASURES)}
            | {name: self.value(row, name) for name in self.groupings}
            for row in self.rows
        ]
        _, groups = summarize(plain, MEASURES)
        counts = ("by", "group", "inputs", "done", "failed", "participants")
        return [
            {name: group[name] for name in counts}
            | {"values": {name: [group.get(f"{name}{end}") for end in ("", "_low", "_high")] for name in MEASURES}}
            for group in groups
        ]

    def value(self, row: Cells, name: str) -> str:
        """The manifest's value of an input by meaning, without surrounding blanks; empty if missing.

        Args:
            row: Row of the input.
            name: Meaning of the column, such as ``participant``.

        Returns:
            Content of the cell.
        """
        return str(row.get(self.column_of.get(name, ""), None) or "").strip()

    @property
    def has_usability(self) -> bool:
        """Whether any input has usability labels."""
        return any(row[USABILITY_MEASURES[0]] is not None for row in self.rows)

    def label(self, row: Cells) -> str:
        """The name of an input: its path as in the manifest, with its segment and speaker if it has any.

        Args:
            row: Row of the input.

        Returns:
            A name for people.
        """
        path = self.value(row, "path") or str(row["result"] or "input")
        start, end, speaker = (self.value(row, name) for name in SEGMENT)
        segment = f"{start or '0:00'}–{end or 'end'}" if start or end else ""
        return " ".join(filter(None, (path, segment, speaker)))

    def start_seconds(self, row: Cells) -> float:
        """Start of the part of the recording that was read.

        Args:
            row: Row of the input.

        Returns:
            Seconds; 0 if the whole recording was read.
        """
        try:
            return read_seconds(self.value(row, "start"))
        except ValueError:
            return 0.0

    def folder(self, row: Cells) -> Path | None:
        """The folder of an input's result; None without a result inside the study.

        Args:
            row: Row of the input.

        Returns:
            The path.
        """
        return _result_folder(self.out, row)


def read_study(out: Path) -> StudyTables:
    """Reads ``results.parquet``.

    Args:
        out: The output folder of a batch.

    Returns:
        Its inputs. Numbers that are not finite count as empty. Shares in a table of an earlier version are replaced by
        those of the analyses.

    Raises:
        InputMissingError: The folder contains no such table.
        AnalysisError: The table cannot be read, or a batch did not write it.

    Example:
        >>> read_study(Path("nowhere"))
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: contains no results.parquet; name an output folder of batch
    """
    from pyarrow import ArrowException, parquet

    file = out / TABLE
    if not file.is_file():
        raise InputMissingError(out, f"contains no {TABLE}", "name an output folder of batch")
    try:
        with file.open("rb") as opened:  # a name may be one that pyarrow cannot open
            table = parquet.read_table(opened)
        _check_columns(file, table.schema.names)
        columns = {name: _values(table.column(name), RESULT_COLUMNS.get(name, str)) for name in table.schema.names}
        # Tables before version 4 have no usability labels.
        columns |= {name: [None] * table.num_rows for name in USABILITY_MEASURES if name not in columns}
    except (ArrowException, OSError, ValueError) as error:
        if isinstance(error, AnalysisError):
            raise
        line = " ".join(str(error).split())
        raise AnalysisError(file, f"cannot be read ({line[:200]})", "run the batch again") from error
    names = tuple(columns)
    rows: tuple[Cells, ...] = tuple(
        dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
    )
    if _version(table.schema) < SHARES_VERSION:
        rows = tuple(_with_current_shares(out, row) for row in rows)
    columns_by_name = {name.lower(): name for name in reversed(names) if name not in RESULT_COLUMNS}
    meanings = [name for name in ("path", *GROUPINGS, *SEGMENT) if name in columns_by_name]
    return StudyTables(out, names, rows, {name: columns_by_name[name] for name in meanings})


def _version(schema: Any) -> int:
    """The version of the analyses that a table was written from; 0 if it is not known."""
    text = (schema.metadata or {}).get(VERSION_KEY, b"")
    return int(text) if text.isdigit() else 0


def _with_current_shares(out: Path, row: Cells) -> Cells:
    """The row with the shares of its analysis: tables of earlier versions count the top labels of the segments."""
    folder = _result_folder(out, row)
    if folder is None:
        return row
    try:
        return {**row, **summary_cells(read_analysis(folder, frames=False).summary)}
    except MultimodalError:  # the page names the error where it shows the input
        return {**row, **summary_cells({"shares": None, "dominant": None})}


def _result_folder(out: Path, row: Cells) -> Path | None:
    name = row["result"]
    if row["status"] != "done" or not name or name in (".", "..") or SEPARATOR.search(name) or "\0" in name:
        return None
    folder = out / name
    # A link may lead anywhere; files written next to an analysis must stay inside the study.
    return folder if folder.resolve().parent == out.resolve() else None


def _check_columns(file: Path, names: Sequence[str]) -> None:
    missing = [name for name in RESULT_COLUMNS if name not in names and name not in USABILITY_MEASURES]
    if missing:
        raise AnalysisError(file, f"column {missing[0]} is missing", "run the batch again")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise AnalysisError(file, f"column {repeated[0]} occurs more than once", "run the batch again")


def _values(column: Any, kind: type) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = column.cast(pa.string() if kind is str else pa.float64()).to_pylist()
    if kind is str:
        return values
    finite = [None if value is None or not math.isfinite(value) else value for value in values]
    return [None if value is None else int(value) for value in finite] if kind is int else finite


def by_group(study: StudyTables, name: str) -> dict[str, list[int]]:
    """Indices of the inputs of each task, question or participant, without inputs that have none.

    Args:
        study: Tables of a batch.
        name: ``task``, ``question`` or ``participant``.

    Returns:
        Group to the indices of its inputs.
    """
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(study.rows):
        if group := study.value(row, name):
            groups.setdefault(group, []).append(index)
    return groups


def hours(rows: Iterable[Cells]) -> float:
    """Hours of analyzed recordings; typed answers have no length.

    Args:
        rows: Rows of the inputs.

    Returns:
        Hours.
    """
    return math.fsum(row["duration_seconds"] or 0.0 for row in rows) / 3600
