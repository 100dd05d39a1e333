"""Praat's TextGrid, in its long form: the same tiers as for ELAN, each over the whole recording; ELAN reads it too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.export.export_format import ExportFormat
from multimodal.export.tiers import Span, Tier, end_milliseconds, find_tiers
from multimodal.files import atomic_write

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis


def write_textgrid(analysis: Analysis, path: Path) -> None:
    """Writes a TextGrid of interval tiers.

    Intervals between utterances have an empty text. The file is UTF-8 without a byte order mark, Praat's default.

    Args:
        analysis: An analysis with times.
        path: The file to write.

    Raises:
        OutputError: The file cannot be written.

    Source:
        Boersma and Weenink, Praat manual, "TextGrid file formats",
        https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html.
    """
    tiers = find_tiers(analysis)
    lines = _lines(tiers, end_milliseconds(analysis, tiers))
    with atomic_write(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))


FORMAT = ExportFormat("textgrid", {"emotions.TextGrid": write_textgrid}, needs_times=True)


def fill_gaps(spans: tuple[Span, ...], end: int) -> Iterator[tuple[int, int, str]]:
    """Fills the gaps between spans.

    Args:
        spans: Spans in order, not overlapping.
        end: End of the recording in milliseconds.

    Yields:
        Start, end and value, from 0 to the end without a gap; values of gaps are empty.

    Example:
        >>> list(fill_gaps((Span(5, 7, "a", 0), Span(7, 9, "b", 1)), 10))
        [(0, 5, ''), (5, 7, 'a'), (7, 9, 'b'), (9, 10, '')]
    """
    at = 0
    for span in spans:
        if span.start_milliseconds > at:
            yield at, span.start_milliseconds, ""
        yield span.start_milliseconds, span.end_milliseconds, span.value
        at = span.end_milliseconds
    if at < end:
        yield at, end, ""


def _lines(tiers: list[Tier], end: int) -> Iterator[str]:
    yield from ('File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0.000", f"xmax = {_seconds(end)}")
    yield from ("tiers? <exists>", f"size = {len(tiers)}", "item []:")
    for number, tier in enumerate(tiers, start=1):
        intervals = list(fill_gaps(tier.spans, end))
        yield f"    item [{number}]:"
        yield '        class = "IntervalTier"'
        yield f"        name = {_quoted(tier.name)}"
        yield "        xmin = 0.000"
        yield f"        xmax = {_seconds(end)}"
        yield f"        intervals: size = {len(intervals)}"
        for place, (start, stop, value) in enumerate(intervals, start=1):
            yield f"        intervals [{place}]:"
            yield f"            xmin = {_seconds(start)}"
            yield f"            xmax = {_seconds(stop)}"
            yield f"            text = {_quoted(value)}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
