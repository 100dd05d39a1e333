"""Reads the inputs of a study from a table with one row per input, or from a folder.

A table is CSV, TSV or what Excel makes of either: with a byte order mark, semicolons, decimal commas. Every wrong row
is found before any is used.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from multimodal.data.transcripts.files import SUFFIXES
from multimodal.errors import ConfigError, InputMissingError, InputUnreadableError

COLUMNS = ("path", "participant", "task", "question", "transcript", "speaker", "start", "end")
"""Columns that the program reads; other columns are carried along."""

TABLES = (".csv", ".tsv")
"""Suffixes of a manifest."""

RECORDINGS = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp"),
    *(".wav", ".mp3", ".m4a", ".ogg", ".oga", ".opus", ".flac", ".aac", ".aif", ".aiff", ".wma", ".amr"),
)
"""Suffixes of recordings in a folder."""

TEXTS = (".txt", ".vtt", ".srt")
"""Suffixes of texts in a folder; tables and JSON files there may be anything else."""

RESULT = {"analysis.json", "frames.csv"}
"""Files of every folder of results."""

CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
"""h:mm:ss or m:ss."""


@dataclass(frozen=True)
class Row:
    """One input of a study.

    Attributes:
        line: Line in the manifest, from 1; in a folder the position in the order of names.
        path: The input, absolute.
        name: Path relative to the manifest, with forward slashes, so that it is the same wherever the study lies.
        transcript: Transcript, absolute; None for no transcript or the file next to the input.
        speaker: The speaker to analyze; None for all speakers.
        start_seconds: Start of the segment to analyze; None for the start of the input.
        end_seconds: End of the segment; None for the end of the input.
        columns: All cells of the row by column name, as written.
    """

    line: int
    path: Path
    name: str
    transcript: Path | None = None
    speaker: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, ...]:
        """The values that distinguish this input from the others."""
        transcript = "" if self.transcript is None else str(self.transcript)
        return (self.name, transcript, self.speaker or "", str(self.start_seconds), str(self.end_seconds))


@dataclass(frozen=True)
class Manifest:
    """The inputs of a study.

    Attributes:
        columns: Header of the table, as written; ``path`` alone for a folder.
        rows: The inputs, in order.
        errors: One error per invalid row, in order; if there are any, ``rows`` must not be used.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    errors: tuple[ConfigError, ...] = ()


def read_seconds(text: str) -> float:
    """Reads a time.

    Args:
        text: Seconds, m:ss or h:mm:ss; decimals after a point or a comma.

    Returns:
        Seconds, at least 0.

    Raises:
        ValueError: The text is not a time.

    Example:
        >>> [read_seconds(text) for text in ("75", "75,5", "1:15", "0:01:15.5")]
        [75.0, 75.5, 75.0, 75.5]
    """
    plain = text.strip().replace(",", ".")
    if clock := CLOCK.fullmatch(plain):
        hours, minutes, seconds = int(clock[1] or 0), int(clock[2]), float(clock[3])
        if seconds >= 60 or (clock[1] is not None and minutes >= 60):
            raise ValueError(f"{text!r} is not a time")
        return 3600 * hours + 60 * minutes + seconds
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", plain) or not math.isfinite(float(plain)):
        raise ValueError(f"{text!r} is not a time")
    return float(plain)


def read_manifest(path: Path) -> Manifest:
    """Reads the table of a study.

    Args:
        path: CSV or TSV file with a header that has at least ``path``; paths are relative to its folder.

    Returns:
        The inputs, or the errors of all invalid rows.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The file cannot be read.
        ConfigError: The file is not a table with a column ``path``.
    """
    lines = list(_numbered(path))
    if not lines:
        raise ConfigError(path, "is empty", "write a header with a column path, and one row per input")
    (_, header), *body = lines
    columns = tuple(cell.strip() for cell in header)
    _check_header(path, columns)
    rows: dict[tuple[str, ...], Row] = {}
    errors = []
    for line, cells in body:
        if not any(cell.strip() for cell in cells):
            continue
        row, problems = _row(path, line, columns, cells)
        if row.identity in rows and not problems:
            problems.append(f"repeats line {rows[row.identity].line}")
        rows.setdefault(row.identity, row)
        if problems:
            errors.append(ConfigError(f"{path}, line {line}", ", and ".join(problems), "correct that line"))
    if not rows:
        raise ConfigError(path, "contains no input", "add one row per input")
    return Manifest(columns, tuple(rows.values()), tuple(errors))


def _numbered(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of cells, each with the number of its first line."""
    text, first = _text(path), 1
    if text[:4].lower() == "sep=":  # a first line that Excel writes
        head, _, text = text.partition("\n")
        delimiter, first = head[4:5], 2
    else:
        delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            yield before + first, cells
            before = reader.line_num
    except csv.Error as error:
        raise ConfigError(f"{path}, line {before + first}", f"is not a table row ({error})", "correct it") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputMissingError(path, "does not exist", "check the path") from None
    except OSError as error:
        raise InputUnreadableError(path, f"cannot be read ({error.strerror})", "check its permissions") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # Excel's "Unicode text"
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # Excel's plain "CSV" in western Europe
        return data.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The separator that is most frequent in the header outside quotes."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", header)
    return max("\t;,", key=bare.count)


def _check_header(path: Path, columns: Sequence[str]) -> None:
    lowered = [name.lower() for name in columns]
    if "path" not in lowered:
        names = ", ".join(columns[:6])
        raise ConfigError(f"{path}, line 1", f"has no column path, but {names}", "name the column of files path")
    double = sorted({name for name in lowered if name and lowered.count(name) > 1})
    if double:
        raise ConfigError(f"{path}, line 1", f"has {double[0]} more than once", "rename one of the columns")


def _row(path: Path, line: int, columns: Sequence[str], cells: Sequence[str]) -> tuple[Row, list[str]]:
    """One row, as far as it can be read, and its errors."""
    problems = []
    if any(cell.strip() for cell in cells[len(columns) :]):
        problems.append(f"has {len(cells)} cells for {len(columns)} columns")
    by_column = {name: cell for name, cell in zip(columns, [*cells, *[""] * len(columns)], strict=False) if name}
    fields = {name.lower(): cell.strip() for name, cell in by_column.items() if name.lower() in COLUMNS}
    folder = path.absolute().parent
    if not fields["path"] or "\0" in "".join(fields.values()):
        problems.append("has no path" if not fields["path"] else "contains a null character")
        fields = {**fields, "path": f"line {line}", "transcript": ""}
    start, end = (_time(fields.get(name, ""), name, problems) for name in ("start", "end"))
    if start is not None and end is not None and start >= end:
        problems.append(f"has the end {fields['end']}, not after the start {fields['start']}")
    file = folder / fields["path"]
    transcript = folder / fields["transcript"] if fields.get("transcript") else None
    return Row(
        line, file, _name(file, folder), transcript, fields.get("speaker") or None, start, end, by_column
    ), problems


def _time(text: str, name: str, problems: list[str]) -> float | None:
    try:
        return read_seconds(text) if text else None
    except ValueError:
        problems.append(f"has the {name} {text!r}, which is neither seconds nor h:mm:ss")
        return None


def _name(file: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive
        return Path(os.path.normpath(file)).as_posix()


def read_folder(folder: Path, without: Path | None = None) -> Manifest:
    """Lists every recording and written answer in a folder and its subfolders, in the order of their names.

    Args:
        folder: Where to search. Hidden files, transcripts next to recordings, other kinds of files, and the content of
            folders of results (such as an overlay or subtitles) are no inputs.
        without: A subfolder to skip: the folder of the results.

    Returns:
        The inputs.

    Raises:
        ConfigError: The folder contains no input.

    Example:
        >>> import pathlib, tempfile
        >>> study = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("b.txt", "a.mp4", "a.vtt", "notes.docx"):
        ...     (study / name).touch()
        >>> [row.name for row in read_folder(study).rows]
        ['a.mp4', 'b.txt']
    """
    base = folder.absolute()
    files = sorted(_walk(base, None if without is None else without.absolute()))
    recorded = {(file.parent, file.stem) for file in files if file.suffix.lower() in RECORDINGS}
    inputs = [file for file in files if file.suffix.lower() not in SUFFIXES or (file.parent, file.stem) not in recorded]
    if not inputs:
        raise ConfigError(folder, "contains no recording and no written answer", "name another folder, or a manifest")
    names = [_name(file, base) for file in inputs]
    rows = [
        Row(number, file, name, columns={"path": name})
        for number, (file, name) in enumerate(zip(inputs, names, strict=True), 1)
    ]
    return Manifest(("path",), tuple(rows))


def _walk(folder: Path, without: Path | None) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        if set(files) >= RESULT:
            folders.clear()
            continue
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (without is None or Path(root, name) != without)
        )
        # A folder named talk.mp4 is searched; only files can be inputs.
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in (*RECORDINGS, *TEXTS):
                yield Path(root, name)
