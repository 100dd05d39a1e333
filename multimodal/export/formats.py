"""Exports for the tools of the field: subtitles, ELAN, Praat, tables.

    vtt       emotions.vtt                            players, browsers
    srt       emotions.srt                            players, editors
    eaf       emotions.eaf                            ELAN
    textgrid  emotions.TextGrid                       Praat, and ELAN
    parquet   utterances.parquet, frames.parquet      pandas, R, DuckDB
    jsonl     utterances.jsonl                        anything that reads a line at a time

The first four have times as their backbone, so they cannot hold words without times, as a typed answer is; the tables
can, with empty times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

FORMATS: Mapping[str, tuple[str, ...]] = {
    "vtt": ("emotions.vtt",),
    "srt": ("emotions.srt",),
    "eaf": ("emotions.eaf",),
    "textgrid": ("emotions.TextGrid",),
    "parquet": ("utterances.parquet", "frames.parquet"),
    "jsonl": ("utterances.jsonl",),
}
"""Format to the files that it writes into the folder of a result."""

TIMED = ("vtt", "srt", "eaf", "textgrid")
"""Formats that hold nothing without a time."""


def check_formats(text: str) -> tuple[str, ...]:
    """Reads what stands behind ``--export``.

    Args:
        text: Names of ``FORMATS`` with commas between, in any case.

    Returns:
        The names, each once, in the order given.

    Raises:
        ConfigError: A name is unknown, or there is none.

    Example:
        >>> check_formats("vtt, EAF,vtt")
        ('vtt', 'eaf')
        >>> check_formats("docx")
        Traceback (most recent call last):
        ...
        multimodal.errors.ConfigError: --export: is 'docx'; choose from vtt, srt, eaf, textgrid, parquet, jsonl
    """
    names = tuple(dict.fromkeys(filter(None, (part.strip().lower() for part in text.split(",")))))
    remedy = f"choose from {', '.join(FORMATS)}"
    if not names:
        raise ConfigError("--export", "names no format", remedy)
    for name in names:
        if name not in FORMATS:
            raise ConfigError("--export", f"is {name!r}", remedy)
    return names


def inapplicable(analysis: Analysis, formats: Iterable[str]) -> tuple[str, ...]:
    """Says which formats cannot hold an analysis: those of times, where it is of words without times.

    Args:
        analysis: Of any input.
        formats: Names of ``FORMATS``.

    Returns:
        Those of the names that ``export`` would refuse.
    """
    return () if analysis.has_times else tuple(name for name in formats if name in TIMED)


def export(analysis: Analysis, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Writes an analysis in other tools' formats, each file whole or not at all.

    Args:
        analysis: Of any input.
        folder: Of its result; made if it is not there.
        formats: Names of ``FORMATS``, as ``check_formats`` gives them.

    Returns:
        The files, in order.

    Raises:
        OutputError: A file cannot be written; or the words have no times and a format needs them, in which case what
            the other formats asked for is written first.
    """
    wanted = tuple(formats)
    refused = inapplicable(analysis, wanted)
    writers = _writers()
    written = []
    for name in (name for name in wanted if name not in refused):
        for file in FORMATS[name]:
            writers[file](analysis, folder / file)
            written.append(folder / file)
    if refused:
        fact = f"is words without times, which {', '.join(refused)} cannot hold"
        raise OutputError(analysis.media.path, fact, "export parquet or jsonl")
    return written


def _writers() -> dict[str, Callable[[Analysis, Path], None]]:
    # Here and not above: an option is checked before anything is loaded.
    from multimodal.export.elan import write_eaf
    from multimodal.export.praat import write_textgrid
    from multimodal.export.subtitles import write_emotion_srt, write_emotion_vtt
    from multimodal.export.tables import write_frame_table, write_lines, write_utterance_table

    return {
        "emotions.vtt": write_emotion_vtt,
        "emotions.srt": write_emotion_srt,
        "emotions.eaf": write_eaf,
        "emotions.TextGrid": write_textgrid,
        "utterances.parquet": write_utterance_table,
        "frames.parquet": write_frame_table,
        "utterances.jsonl": write_lines,
    }
