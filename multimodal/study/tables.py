"""What a batch wrote of a study, read back: a row per input, and the groups that its manifest names.

The tables come from outside: a column that is missing or of another kind is refused in one line, and a result that
names anything but a folder inside the study is not followed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from multimodal.batch.summary import GROUPINGS, summarize
from multimodal.batch.tables import MEASURES, RESULT_COLUMNS
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.manifest import read_seconds
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.files import path_text
from multimodal.types import UNCERTAIN

TABLE = "results.parquet"

SHARES = (*FUSED_LABELS, UNCERTAIN)
"""The measures that are shares of an input; together they are 1."""

STRETCH = ("start", "end", "speaker")
"""Columns of a manifest that tell two inputs of one file apart."""

SHOWN_GROUPINGS = ("participant", "task", "question")
"""In the order in which filters and columns stand."""

PLAIN_NAMES = ("results", "result", "out", "output")
"""Names of folders that do not tell one study from another."""

SEPARATOR = re.compile(r"[/\\]")

Cells = Mapping[str, Any]


@dataclass(frozen=True)
class StudyTables:
    """The results of a study.

    Attributes:
        out: The folder that a batch wrote.
        columns: Of the table, in order: what the manifest says, then what the batch says.
        rows: A mapping per input, in order of the manifest; None where a cell is empty.
        named: ``path``, ``participant``, ``task``, ``question``, ``start`` … to the column of that meaning as the
            manifest writes it; what it does not have is not there.
    """

    out: Path
    columns: tuple[str, ...]
    rows: tuple[Cells, ...]
    named: Mapping[str, str]

    @property
    def name(self) -> str:
        """How the study is called: its folder, with the one above where that says nothing, as ``results``."""
        folder = self.out.absolute()
        return path_text(Path(folder.parent.name, folder.name) if folder.name in PLAIN_NAMES else Path(folder.name))

    @property
    def groupings(self) -> tuple[str, ...]:
        """Which of task, question and participant the manifest names for any input."""
        return tuple(name for name in SHOWN_GROUPINGS if any(self.said(row, name) for row in self.rows))

    @cached_property
    def summary(self) -> list[dict[str, Any]]:
        """The rows of ``summary.csv``: means with 95 % intervals by a bootstrap over participants.

        They are drawn anew from the same numbers with the same seed, so they are those of the file, in which texts are
        changed for spreadsheets.

        Returns:
            Per group ``by``, ``group``, ``inputs``, ``done``, ``failed``, ``participants`` and ``values``: per measure
            ``[mean, low, high]``, None where there is none. The first is all of the study.
        """
        plain = [
            {name: row[name] for name in ("status", *MEASURES)}
            | {name: self.said(row, name) for name in self.groupings}
            for row in self.rows
        ]
        _, groups = summarize(plain, MEASURES)
        counts = ("by", "group", "inputs", "done", "failed", "participants")
        return [
            {name: group[name] for name in counts}
            | {"values": {name: [group.get(f"{name}{end}") for end in ("", "_low", "_high")] for name in MEASURES}}
            for group in groups
        ]

    def said(self, row: Cells, name: str) -> str:
        """What the manifest says of an input under a name, without blanks around it; empty where it says nothing."""
        return str(row.get(self.named.get(name, ""), None) or "").strip()

    def label(self, row: Cells) -> str:
        """How an input is called: its path as in the manifest, with the stretch or speaker that makes it another."""
        path = self.said(row, "path") or str(row["result"] or "input")
        shown = {name: self.said(row, name) for name in STRETCH}
        stretch = f"{shown['start'] or '0:00'}–{shown['end'] or 'end'}" if shown["start"] or shown["end"] else ""
        return " ".join(filter(None, (path, stretch, shown["speaker"])))

    def start_seconds(self, row: Cells) -> float:
        """Where the part of the recording that was read begins."""
        try:
            return read_seconds(self.said(row, "start"))
        except ValueError:
            return 0.0

    def folder(self, row: Cells) -> Path | None:
        """Where the result of an input stands; None where there is none inside the study."""
        name = row["result"]
        if row["status"] != "done" or not name or name in (".", "..") or SEPARATOR.search(name) or "\0" in name:
            return None
        folder = self.out / name
        # A link may lead anywhere; what is written beside an analysis must stay inside the study.
        return folder if folder.resolve().parent == self.out.resolve() else None


def read_study(out: Path) -> StudyTables:
    """Reads ``results.parquet``.

    Args:
        out: The folder that a batch wrote.

    Returns:
        Its inputs. Numbers that are not finite count as empty.

    Raises:
        InputMissingError: There is no such table.
        AnalysisError: It cannot be read, or is not what a batch writes.

    Example:
        >>> read_study(Path("nowhere"))
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: holds no results.parquet; name a folder that batch has written
    """
    from pyarrow import ArrowException, parquet

    file = out / TABLE
    if not file.is_file():
        raise InputMissingError(out, f"holds no {TABLE}", "name a folder that batch has written")
    try:
        with file.open("rb") as opened:  # a name may be one that pyarrow cannot open
            table = parquet.read_table(opened)
        _check_columns(file, table.schema.names)
        columns = {name: _values(table.column(name), RESULT_COLUMNS.get(name, str)) for name in table.schema.names}
    except (ArrowException, OSError, ValueError) as error:
        if isinstance(error, AnalysisError):
            raise
        line = " ".join(str(error).split())
        raise AnalysisError(file, f"cannot be read ({line[:200]})", "run the batch again") from error
    names = tuple(columns)
    rows = tuple(dict(zip(names, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    own = {name.lower(): name for name in reversed(names) if name not in RESULT_COLUMNS}
    return StudyTables(out, names, rows, {name: own[name] for name in ("path", *GROUPINGS, *STRETCH) if name in own})


def _check_columns(file: Path, names: Sequence[str]) -> None:
    lacking = [name for name in RESULT_COLUMNS if name not in names]
    if lacking:
        raise AnalysisError(file, f"lacks the column {lacking[0]}", "run the batch again")
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise AnalysisError(file, f"has the column {double[0]} more than once", "run the batch again")


def _values(column: Any, kind: type) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = column.cast(pa.string() if kind is str else pa.float64()).to_pylist()
    if kind is str:
        return values
    finite = [None if value is None or not math.isfinite(value) else value for value in values]
    return [None if value is None else int(value) for value in finite] if kind is int else finite


def by_group(study: StudyTables, name: str) -> dict[str, list[int]]:
    """Places of the inputs of each task, question or participant; those without one are left out."""
    found: dict[str, list[int]] = {}
    for index, row in enumerate(study.rows):
        if group := study.said(row, name):
            found.setdefault(group, []).append(index)
    return found


def hours(rows: Iterable[Cells]) -> float:
    """Hours of recordings that were judged; typed answers have no length."""
    return math.fsum(row["duration_seconds"] or 0.0 for row in rows) / 3600
