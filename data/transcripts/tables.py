"""Reads transcripts in tables (CSV, TSV), and the named fields that tables and JSON share.

Names of fields are case-insensitive and have the usual synonyms; ``start_ms`` or ``Start (ms)`` states the unit.
"""

from __future__ import annotations

import csv
import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike

from multimodal.data.transcripts.text import MAXIMUM_UTTERANCES, Cue, CueList, clock_seconds, excerpt, plain_name
from multimodal.errors import TranscriptError

MAXIMUM_VALUES = 5_000_000
"""Maximum number of cells of a table or values of a JSON file: 40 hours of whisper.cpp's most detailed output. Each
takes about 100 bytes."""

SLOWEST_SPEECH = 0.04
"""Characters per second below which whole numbers are milliseconds: as seconds, one letter would take 25 of them.
People speak about 15; openai-whisper's TSV, whisper.cpp's CSV and others have milliseconds without saying so."""

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "start": ("start", "start_time", "starttime", "begin", "begin_time", "from", "onset", "in", "timestamp", "time"),
    "end": ("end", "end_time", "endtime", "stop", "stop_time", "to", "finish", "out"),
    "duration": ("duration", "dur", "length"),
    "speaker": (
        *("speaker", "speaker_name", "speaker_label", "speaker_id", "name", "participant", "who", "role", "voice"),
    ),
    "text": (
        *("text", "transcript", "transcription", "utterance", "sentence", "caption", "subtitle", "content", "speech"),
        *("words", "message", "answer", "response", "comment", "quote"),
    ),
}
_ROLES = {name: (role, rank) for role, names in _SYNONYMS.items() for rank, name in enumerate(names)}
_DIVISORS = dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1000)
_DIVISORS |= dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1)

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:[.,][0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[0-9]{1,15}")
Fields = dict[str, tuple[object, int | None]]
"""Role to the stated value and its divisor to seconds; the divisor is None if no unit is stated."""


@functools.lru_cache(maxsize=1024)
def field_role(name: str) -> tuple[str, int, int | None] | None:
    """The role of a column or key with a given name.

    Args:
        name: Name in any case and spelling.

    Returns:
        The role (start, end, duration, speaker, text), the rank of the name among its synonyms, and the divisor to
        seconds, None if the name states no unit; None for an unknown name.

    Example:
        >>> field_role("Start (ms)"), field_role("endTime"), field_role("confidence")
        (('start', 0, 1000), ('end', 1, None), None)
    """
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    words = [word for word in words if word]
    divisor = _DIVISORS.get(words[-1]) if len(words) > 1 else None
    role = _ROLES.get("_".join(words[:-1] if divisor else words))
    return None if role is None else (*role, divisor)


def by_role(names: Iterable[str]) -> dict[str, tuple[int, int | None]]:
    """The index and divisor of the best name for each role.

    Args:
        names: Names of the columns.

    Example:
        >>> by_role(["id", "name", "Speaker", "text"])
        {'speaker': (2, None), 'text': (3, None)}
    """
    best: dict[str, tuple[int, int, int | None]] = {}
    for index, name in enumerate(names):
        field = field_role(name) if len(name) <= 64 else None
        if field and (field[0] not in best or field[1] < best[field[0]][0]):
            best[field[0]] = (field[1], index, field[2])
    return {role: (index, divisor) for role, (_, index, divisor) in best.items()}


# --- times --------------------------------------------------------------------------------------------------------


def cues_of(path: str | PathLike[str], unit: str, rows: Iterable[tuple[int, Fields]], warnings: list[str]) -> list[Cue]:
    """Converts rows to cues.

    Args:
        path: Path of the file, for errors.
        unit: Unit of the row numbers: line or entry.
        rows: Number and fields of each row.
        warnings: Receives a line if whole numbers were read as milliseconds.

    Returns:
        One cue per row.

    Raises:
        TranscriptError: A time is invalid, or there are too many rows.

    Example:
        >>> cues_of("a.csv", "line", [(2, {"start": ("0:01,5", None), "text": ("Hi", None)})], [])
        [Cue(number=2, start_seconds=1.5, end_seconds=None, speaker=None, text='Hi')]
    """
    cues: list[Cue] = []
    all_whole = True
    for number, fields in rows:
        if len(cues) == MAXIMUM_UTTERANCES:
            raise TranscriptError(path, f"has more than {MAXIMUM_UTTERANCES} utterances", "split it")
        place = f"{unit} {number}"
        start, whole_start = _seconds(path, place, fields.get("start"))
        end, whole_end = _seconds(path, place, fields.get("end"))
        duration, whole_duration = _seconds(path, place, fields.get("duration"))
        if end is None and start is not None and duration is not None:
            end = start + duration
        all_whole = all_whole and whole_start and whole_end and whole_duration
        cues.append(Cue(number, start, end, plain_name(_string(fields.get("speaker"))), _string(fields.get("text"))))
    if all_whole and _is_too_slow(cues):
        warnings.append("times are whole numbers without a unit and were read as milliseconds")
        return [_thousandth(cue) for cue in cues]
    return cues


def _string(field: tuple[object, int | None] | None) -> str:
    value = field[0] if field else ""
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _seconds(
    path: str | PathLike[str], place: str, field: tuple[object, int | None] | None
) -> tuple[float | None, bool]:
    """The seconds of a stated time, None without one, and whether it may be in milliseconds."""
    value, divisor = field or (None, None)
    token = value.strip() if isinstance(value, str) else value
    if token is None or token == "":
        return None, True
    clock = clock_seconds(token) if isinstance(token, str) else None
    if clock is not None:
        return clock, False
    number = number_of(token)
    if number is None:
        fact = f"{place} has an invalid time ({excerpt(str(token)[:100])})"
        raise TranscriptError(path, fact, "use seconds or h:mm:ss.mmm, or milliseconds in a column named start_ms")
    whole = isinstance(token, int) or (isinstance(token, str) and _WHOLE.fullmatch(token) is not None)
    return number / (divisor or 1), whole and divisor is None


def number_of(token: object) -> float | None:
    """A stated number; None if it is not a number or not finite.

    Args:
        token: A cell or a JSON value.

    Example:
        >>> number_of("1,5"), number_of(2), number_of("nan"), number_of(True)
        (1.5, 2.0, None, None)
    """
    if isinstance(token, str):
        number = float(token.replace(",", ".")) if _NUMBER.fullmatch(token) else math.nan
    elif isinstance(token, bool) or not isinstance(token, (int, float)):
        number = math.nan
    else:  # an integer in JSON may have more digits than a float
        number = float(token) if abs(token) < 10**15 or isinstance(token, float) else math.nan
    return number if math.isfinite(number) else None


def _is_too_slow(cues: Sequence[Cue]) -> bool:
    starts = [cue.start_seconds for cue in cues if cue.start_seconds is not None]
    speech_seconds = sum(cue.end_seconds - (cue.start_seconds or 0) for cue in cues if cue.end_seconds is not None)
    seconds = speech_seconds if speech_seconds > 0 else max(starts, default=0) - min(starts, default=0)
    return seconds > 0 and sum(len(cue.text) for cue in cues) < SLOWEST_SPEECH * seconds


def _thousandth(cue: Cue) -> Cue:
    start, end = cue.start_seconds, cue.end_seconds
    return replace(
        cue,
        start_seconds=None if start is None else start / 1000,
        end_seconds=None if end is None else end / 1000,
    )


# --- tables -------------------------------------------------------------------------------------------------------


def read_table(path: str | PathLike[str], text: str, *, by_suffix: bool) -> CueList | None:
    r"""Reads a table with cells separated by commas, semicolons, tabs or bars.

    The first line names the columns. Without such a line, columns are start, end and text, or start, end, speaker and
    text if every line has four. Cells beyond the last column belong to it if it is the text.

    Args:
        path: Path of the file, for errors.
        text: Content of the file.
        by_suffix: Whether the file name says that it is a table; otherwise it must look like one with times.

    Returns:
        One cue per line; None if the file is not a table and not named like one.

    Raises:
        TranscriptError: The file is named like a table but is not one, or a line is invalid.

    Example:
        >>> read_table("a.csv", "Start (ms);Sprecher;Text\n1500;Ann;Ja; gut", by_suffix=True).cues
        [Cue(number=2, start_seconds=1.5, end_seconds=None, speaker=None, text='Ja; gut')]
    """
    first = next((line for line in text.split("\n") if line.strip()), "")
    for delimiter in "\t,;|":
        names = _cells_of(first, delimiter)
        roles = by_role(names)
        if "text" in roles and (by_suffix or ("start" in roles and len(names) > 1)):
            return _table(path, text, delimiter, has_names=True)
    for delimiter in "\t,;|" if by_suffix else "\t":
        cells = _cells_of(first, delimiter)
        if len(cells) > 2 and all(map(_is_time, cells[:2])):
            return _table(path, text, delimiter, has_names=False)
    if by_suffix and first:
        fact = f"has no text column, its first line is {excerpt(first)}"
        raise TranscriptError(path, fact, "name the columns start, end, speaker, text")
    return None


def _cells_of(line: str, delimiter: str) -> list[str]:
    if len(line) > 4096:  # a line of names is never that long
        return []
    return next(csv.reader([line], delimiter=delimiter), [])


def _is_time(cell: str) -> bool:
    return clock_seconds(cell.strip()) is not None or _NUMBER.fullmatch(cell.strip()) is not None


def _table(path: str | PathLike[str], text: str, delimiter: str, *, has_names: bool) -> CueList:
    if text.count(delimiter) > MAXIMUM_VALUES:
        raise TranscriptError(path, f"has more than {MAXIMUM_VALUES} cells", "split it")
    filled = ((number, cells) for number, cells in _rows(path, text, delimiter) if any(map(str.strip, cells)))
    rows = list(itertools.islice(filled, MAXIMUM_UTTERANCES + 2))  # the names, and one more than allowed
    if has_names:
        names = rows.pop(0)[1]
    else:
        names = ["start", "end", "speaker", "text"]
        if any(len(cells) != len(names) for _, cells in rows):
            names.remove("speaker")
    warnings: list[str] = []
    roles = by_role(names)
    fields = ((number, _fields(cells, roles, len(names), delimiter)) for number, cells in rows)
    return CueList("table", cues_of(path, "line", fields, warnings), None, tuple(warnings))


def _rows(path: str | PathLike[str], text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows with the number of their first line."""
    lines = text.split("\n")
    if delimiter == "\t":  # the whisper tools do not quote here, spreadsheets quote whole cells
        yield from ((number, [*map(_unquote, line.split("\t"))]) for number, line in enumerate(lines, start=1))
        return
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        fact = f"line {number} starts a row that cannot be read ({error})"
        raise TranscriptError(path, fact, "close its quotation marks or split it") from None


def _unquote(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _fields(cells: list[str], roles: Mapping[str, tuple[int, int | None]], width: int, delimiter: str) -> Fields:
    if len(cells) > width and roles["text"][0] == width - 1:
        cells = [*cells[: width - 1], delimiter.join(cells[width - 1 :])]
    return {role: (cells[index], divisor) for role, (index, divisor) in roles.items() if index < len(cells)}
