"""A table of your own clips: ``path,label,speaker`` and optionally ``corpus`` and ``sex``."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from multimodal.data.corpora.voice.clip import SEXES, VoiceClip
from multimodal.data.corpora.voice.corpus import VoiceCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError

REQUIRED = ("path", "label", "speaker")
Row = tuple[int, Mapping[str, str]]


class _RowError(ValueError):
    """The fault of one row, and the cell at fault."""

    def __init__(self, fact: str, value: str) -> None:
        self.fact, self.value = fact, value
        super().__init__(fact)


def manifest_corpus(corpora: Sequence[VoiceCorpus]) -> VoiceCorpus:
    """Makes the corpus that reads tables of clips.

    Args:
        corpora: Corpora that a row may name.

    Returns:
        A corpus with the key ``manifest`` and the seven fused labels.

    Example:
        >>> manifest_corpus([]).labels[0]
        'neutral'
    """

    def read(path: Path, check_counts: bool) -> list[VoiceClip]:
        return read_manifest(path, [*corpora, manifest])

    manifest = VoiceCorpus(
        name="manifest",
        codes={},
        to_fused={label: label for label in FUSED_LABELS},
        license="see its publisher",
        source="a table of your own",
        read=read,
    )
    return manifest


def read_manifest(path: Path, corpora: Sequence[VoiceCorpus]) -> list[VoiceClip]:
    r"""Reads a table of clips.

    Columns are identified by their names, in any order; other columns are ignored. ``path`` is relative to the table.
    ``label`` is one of the seven fused labels, or one of the native labels or codes of the corpus that the row names.
    ``speaker`` is required, because splits must not share a speaker. A speaker of a known corpus is the same person as
    in the corpus itself (``01`` with ``ravdess`` is ``ravdess-01``).

    Args:
        path: The CSV file in UTF-8, or a folder with ``manifest.csv``.
        corpora: Corpora that a row may name; the last one is that of rows that name none.

    Returns:
        The clips in the order of the rows.

    Raises:
        CorpusError: The table does not exist, lacks a column, or has invalid rows; the message names all of them.

    Example:
        >>> table = Path("manifest.csv")
        >>> _ = Path("a.wav").write_bytes(b"")
        >>> _ = table.write_text("path,label,speaker\na.wav,anger,Ada\n", encoding="utf-8")
        >>> [(clip.speaker, clip.label) for clip in read_manifest(table, [manifest_corpus([])])]
        [('manifest-Ada', 'anger')]
    """
    table = path / "manifest.csv" if path.is_dir() else path
    by_name = {corpus.name: corpus for corpus in corpora}
    clips: list[VoiceClip] = []
    faults: dict[str, list[tuple[int, str]]] = defaultdict(list)
    lines: dict[Path, int] = {}
    for line, row in _rows(table):
        try:
            clip = _clip(table.parent, row, by_name)
            if lines.setdefault(clip.path, line) != line:
                raise _RowError("a path that an earlier row has", row["path"])
            clips.append(clip)
        except _RowError as error:
            faults[error.fact].append((line, error.value))
    if faults:
        facts = "; ".join(_fact(fact, rows) for fact, rows in faults.items())
        raise CorpusError(table, facts, "correct these rows")
    if not clips:
        raise CorpusError(table, "has no rows", f"write one row per clip below {','.join(REQUIRED)}")
    return clips


def _rows(table: Path) -> Iterator[Row]:
    """Line numbers and cells by column name; empty lines are skipped."""
    if not table.is_file():
        raise CorpusError(table, "does not exist", f"name a CSV file with the columns {','.join(REQUIRED)}")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns = [column.strip().lower() for column in next(reader, [])]
            _check_columns(table, columns)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    except (csv.Error, UnicodeDecodeError) as error:
        raise CorpusError(table, f"is not a CSV file in UTF-8 ({error})", "save it as CSV in UTF-8") from None


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        fact = f"has no column {', '.join(missing)} (its first line is {','.join(columns)!r})"
        raise CorpusError(table, fact, f"start it with {','.join(REQUIRED)}, separated by commas")


def _clip(folder: Path, row: Mapping[str, str], corpora: Mapping[str, VoiceCorpus]) -> VoiceClip:
    empty = [name for name in REQUIRED if not row.get(name)]
    if empty:
        raise _RowError(f"no {' and no '.join(empty)}", "")
    name = row.get("corpus") or "manifest"
    if name not in corpora:
        raise _RowError(f"a corpus other than {', '.join(corpora)}", name)
    sex = row.get("sex", "").lower() or None
    if sex not in (None, *SEXES):
        raise _RowError(f"a sex other than {', '.join(SEXES)} or nothing", sex or "")
    path = folder / row["path"]
    if not path.is_file():
        raise _RowError("a path to a file that does not exist", row["path"])
    return corpora[name].clip(path, row["speaker"].removeprefix(f"{name}-"), _label(corpora[name], row["label"]), sex)


def _label(corpus: VoiceCorpus, text: str) -> str:
    label = corpus.codes.get(text, text.lower())
    if label in corpus.labels:
        return label
    owner = "the seven" if corpus.labels == FUSED_LABELS else f"{corpus.name}'s"
    raise _RowError(f"a label other than {owner} {', '.join(corpus.labels)}", text)


def _fact(fact: str, rows: Sequence[tuple[int, str]]) -> str:
    lines = [line for line, _ in rows]
    example = f" ({rows[0][1]!r})" if rows[0][1] else ""
    return f"line{'s' if len(lines) > 1 else ''} {line_ranges(lines)}: {fact}{example}"


def line_ranges(lines: Sequence[int]) -> str:
    """Abbreviates line numbers.

    Args:
        lines: Ascending numbers.

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
    return ", ".join("-".join(map(str, bounds)) for bounds in ranges)
