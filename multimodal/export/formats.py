"""Exports for the tools of the field: subtitles, annotation tools, tables.

A format is one module of this room, which defines an ``ExportFormat``, and one line of ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import ConfigError, OutputError
from multimodal.export.elan import ELAN
from multimodal.export.export_format import ExportFormat
from multimodal.export.jsonl import JSON_LINES
from multimodal.export.parquet import PARQUET
from multimodal.export.praat import PRAAT
from multimodal.export.srt import SRT
from multimodal.export.webvtt import WEBVTT
from multimodal.formatting import join_names

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

FORMATS: Mapping[str, ExportFormat] = {
    each.name: each
    for each in (
        WEBVTT,  # players, browsers
        SRT,  # players, video editors
        ELAN,
        PRAAT,
        PARQUET,  # pandas, R, DuckDB
        JSON_LINES,  # programs that read a line at a time
    )
}
"""Name to format, in the order in which help texts list them."""

EXPORT_HELP = f"Further formats to write, separated by commas: {', '.join(FORMATS)} (default: none)."
"""Help text of ``--export``."""


def check_formats(text: str) -> tuple[str, ...]:
    """Parses the value of ``--export``.

    Args:
        text: Names of ``FORMATS``, separated by commas, in upper or lower case.

    Returns:
        The names without duplicates, in the order given.

    Raises:
        ConfigError: A name is unknown, or no name is given.

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
    """Lists the formats that cannot hold an analysis: those that need times, for text without times.

    Args:
        analysis: The analysis of any input.
        formats: Names of ``FORMATS``.

    Returns:
        The names that ``export`` refuses.
    """
    return () if analysis.has_times else tuple(name for name in formats if FORMATS[name].needs_times)


def export(analysis: Analysis, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Writes an analysis in other tools' formats, each file whole or not at all.

    Args:
        analysis: The analysis of any input.
        folder: Folder of its result; created if missing.
        formats: Names of ``FORMATS``, as ``check_formats`` returns them.

    Returns:
        Paths of the files, in order.

    Raises:
        OutputError: A file cannot be written; or the text has no times and a format needs them. In the second case the
            other formats are written first.
    """
    names = tuple(formats)
    refused = inapplicable(analysis, names)
    paths = []
    for name in (name for name in names if name not in refused):
        for file, write in FORMATS[name].files.items():
            write(analysis, folder / file)
            paths.append(folder / file)
    if refused:
        fact = f"is words without times, which {', '.join(refused)} cannot hold"
        remedy = join_names([each.name for each in FORMATS.values() if not each.needs_times], "or")
        raise OutputError(analysis.media.path, fact, f"export {remedy}")
    return paths
