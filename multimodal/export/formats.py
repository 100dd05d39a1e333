"""Exports for the tools of the field: subtitles, annotation tools, tables.

A format is one module of this room, which defines its ``ExportFormat`` as ``FORMAT``, and one line of ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import ConfigError, OutputError
from multimodal.export.export_format import ExportFormat
from multimodal.formatting import join_names

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

FORMATS: Mapping[str, str] = {
    "vtt": "webvtt",
    "srt": "srt",
    "eaf": "elan",
    "textgrid": "praat",
    "parquet": "parquet",
    "jsonl": "jsonl",
}
"""Name of a format to the module of this room that defines it. Modules are imported when a format is used, so that help
texts, which list the names, appear at once."""

EXPORT_HELP = f"Further formats to write, separated by commas: {', '.join(FORMATS)} (default: none)."
"""Help text of ``--export``."""


def load_format(name: str) -> ExportFormat:
    """Imports the definition of a format.

    Args:
        name: A name of ``FORMATS``.

    Returns:
        The definition.

    Example:
        >>> list(load_format("vtt").files)
        ['emotions.vtt']
    """
    definition: ExportFormat = import_module(f"multimodal.export.{FORMATS[name]}").FORMAT
    return definition


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
        multimodal.errors.ConfigError: --export: invalid value 'docx'; choose from vtt, srt, eaf, ...
    """
    names = tuple(dict.fromkeys(filter(None, (part.strip().lower() for part in text.split(",")))))
    remedy = f"choose from {', '.join(FORMATS)}"
    if not names:
        raise ConfigError("--export", "names no format", remedy)
    for name in names:
        if name not in FORMATS:
            raise ConfigError("--export", f"invalid value {name!r}", remedy)
    return names


def inapplicable(analysis: Analysis, formats: Iterable[str]) -> tuple[str, ...]:
    """Lists the formats that cannot hold an analysis: formats with times, for text without times.

    Args:
        analysis: The analysis of any input.
        formats: Names of ``FORMATS``.

    Returns:
        The names that ``export`` refuses.
    """
    return () if analysis.has_times else tuple(name for name in formats if load_format(name).needs_times)


def export(analysis: Analysis, folder: Path, formats: Iterable[str]) -> list[Path]:
    """Writes an analysis in other tools' formats, each file completely or not at all.

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
        for file, write in load_format(name).files.items():
            write(analysis, folder / file)
            paths.append(folder / file)
    if refused:
        fact = f"is text without times, which {', '.join(refused)} cannot hold"
        remedy = join_names([name for name in FORMATS if not load_format(name).needs_times], "or")
        raise OutputError(analysis.media.path, fact, f"export {remedy}")
    return paths
