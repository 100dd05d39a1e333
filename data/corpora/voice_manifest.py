"""A plain table of anybody's own clips: ``path,label,speaker`` and, if wanted, ``corpus`` and ``sex``."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from multimodal.data.corpora.voice_clip import SEXES, VoiceClip
from multimodal.data.emotions import FUSED_LABELS, NATIVE_LABELS, VOICE_CODES
from multimodal.errors import CorpusError

NEEDED = ("path", "label", "speaker")
Row = tuple[int, Mapping[str, str]]


class _RowError(ValueError):
    """What is wrong with one row, and what stands there."""

    def __init__(self, fact: str, value: str) -> None:
        self.fact, self.value = fact, value
        super().__init__(fact)


def read_manifest(path: Path) -> list[VoiceClip]:
    r"""Reads a table of clips.

    Columns are found by their names, in any order; others are passed over. ``path`` is relative to the table.
    ``label`` is one of the seven fused ones; where a row's ``corpus`` names a known corpus, it is one of that corpus's
    native labels or codes. ``speaker`` is needed: without it nothing can be judged on speakers never heard. A speaker
    of a corpus is the same one as in the corpus itself (``01`` with ``ravdess`` is ``ravdess-01``).

    Args:
        path: The CSV file in UTF-8, or a folder with ``manifest.csv``.

    Returns:
        The clips in the order of the rows.

    Raises:
        CorpusError: There is no such table, a column is missing, or rows are wrong; all of them are named.

    Example:
        >>> table = Path("manifest.csv")
        >>> _ = Path("a.wav").write_bytes(b"")
        >>> _ = table.write_text("path,label,speaker\na.wav,anger,Ada\n", encoding="utf-8")
        >>> [(clip.speaker, clip.label) for clip in read_manifest(table)]
        [('manifest-Ada', 'anger')]
    """
    table = path / "manifest.csv" if path.is_dir() else path
    clips: list[VoiceClip] = []
    wrong: dict[str, list[tuple[int, str]]] = defaultdict(list)
    seen: dict[Path, int] = {}
    for line, row in _rows(table):
        try:
            clip = _clip(table.parent, row)
            if seen.setdefault(clip.path, line) != line:
                raise _RowError("a path that an earlier row has", row["path"])
            clips.append(clip)
        except _RowError as error:
            wrong[error.fact].append((line, error.value))
    if wrong:
        facts = "; ".join(_fact(fact, rows) for fact, rows in wrong.items())
        raise CorpusError(table, facts, "correct these rows")
    if not clips:
        raise CorpusError(table, "has no rows", f"write one per clip under {','.join(NEEDED)}")
    return clips


def _rows(table: Path) -> Iterator[Row]:
    """Line numbers and what stands under the column names; empty lines are passed over."""
    if not table.is_file():
        raise CorpusError(table, "is not there", f"name a CSV file with the columns {','.join(NEEDED)}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns = [column.strip().lower() for column in next(reader, [])]
            _check_columns(table, columns)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorpusError(table, f"is no CSV in UTF-8 ({error})", "save it as such") from None


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        fact = f"has no column {', '.join(missing)} (its first line is {','.join(columns)!r})"
        raise CorpusError(table, fact, f"begin it with {','.join(NEEDED)}, with commas between")


def _clip(folder: Path, row: Mapping[str, str]) -> VoiceClip:
    empty = [name for name in NEEDED if not row.get(name)]
    if empty:
        raise _RowError(f"no {' and no '.join(empty)}", "")
    corpus = row.get("corpus") or "manifest"
    if corpus not in NATIVE_LABELS:
        raise _RowError(f"a corpus other than {', '.join(NATIVE_LABELS)}", corpus)
    sex = row.get("sex", "").lower() or None
    if sex not in (None, *SEXES):
        raise _RowError(f"a sex other than {', '.join(SEXES)} or nothing", sex or "")
    path = folder / row["path"]
    if not path.is_file():
        raise _RowError("a path where no file is", row["path"])
    speaker = row["speaker"].removeprefix(f"{corpus}-")
    return VoiceClip.of(corpus, path, speaker, _native_label(corpus, row["label"]), sex)


def _native_label(corpus: str, text: str) -> str:
    label = VOICE_CODES.get(corpus, {}).get(text, text.lower())
    if label in NATIVE_LABELS[corpus]:
        return label
    whose = "the seven" if NATIVE_LABELS[corpus] == FUSED_LABELS else f"{corpus}'s"
    raise _RowError(f"a label other than {whose} {', '.join(NATIVE_LABELS[corpus])}", text)


def _fact(fact: str, rows: Sequence[tuple[int, str]]) -> str:
    lines = [line for line, _ in rows]
    example = f" ({rows[0][1]!r})" if rows[0][1] else ""
    return f"line{'s' if len(lines) > 1 else ''} {line_ranges(lines)}: {fact}{example}"


def line_ranges(lines: Sequence[int]) -> str:
    """Line numbers in few words.

    Args:
        lines: Ascending.

    Returns:
        Numbers and ranges.

    Example:
        >>> line_ranges([2, 3, 4, 9])
        '2-4, 9'
    """
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], line]
        else:
            ranges.append([line])
    return ", ".join("-".join(map(str, found)) for found in ranges)
