"""What is made of an analysis beside its tables: the report, pictures, the video with overlay, exports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import MultimodalError

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.progress import ProgressCallback


@dataclass(frozen=True)
class Outputs:
    """What is wanted.

    Attributes:
        report: The page ``report.html``.
        overlay: The video again with faces, answers and words drawn in, ``overlay.mp4``.
        plot: Timeline and summary as PNG and SVG.
        formats: Of ``multimodal.export.formats.FORMATS``.
    """

    report: bool = True
    overlay: bool = False
    plot: bool = False
    formats: tuple[str, ...] = ()


def parse_outputs(report: bool, overlay: bool, plot: bool, export: str | None) -> Outputs:
    """Makes sure of what a user wants before any work is done.

    Args:
        report: Whether there shall be a page.
        overlay: Whether the video shall be drawn again.
        plot: Whether there shall be pictures.
        export: Formats between commas; None for none.

    Raises:
        ConfigError: A format that there is not.

    Example:
        >>> parse_outputs(True, False, False, "srt, vtt").formats
        ('srt', 'vtt')
    """
    from multimodal.export.formats import check_formats

    return Outputs(report, overlay, plot, () if export is None else check_formats(export))


def not_applicable(analysis: Analysis, extras: Outputs) -> tuple[str, ...]:
    """What is wanted and cannot be made of this input, by its nature; asked for a whole pile, that is no failure.

    Args:
        analysis: Of a recording, or of words alone.
        extras: What is wanted.

    Returns:
        A plain line for each.
    """
    from multimodal.export.formats import inapplicable

    lines = ["no overlay: there is no picture"] if extras.overlay and not analysis.media.has_video else []
    if formats := inapplicable(analysis, extras.formats):
        lines.append(f"no {', '.join(formats)}: these words have no times")
    return tuple(lines)


def stale(folder: Path, made: Iterable[Path | MultimodalError]) -> tuple[str, ...]:
    """What was made of an earlier analysis and still stands beside a new one, which it does not show.

    Args:
        folder: Of the new analysis.
        made: What was made of it.

    Returns:
        A plain line, or nothing.
    """
    from multimodal.export.formats import FORMATS
    from multimodal.plots.slides import FILES

    own = ("report.html", "overlay.mp4", *FILES, *chain.from_iterable(FORMATS.values()), "clips")
    fresh = set(made)
    old = [name for name in own if folder / name not in fresh and (folder / name).exists()]
    return (f"of an earlier analysis: {', '.join(old)}; make them again or remove them",) if old else ()


def write_outputs(
    analysis: Analysis,
    folder: Path,
    extras: Outputs,
    media: Path | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[Path | MultimodalError]:
    """Makes what is wanted, one after the other; one that fails does not keep the others from being made.

    Args:
        analysis: Of a recording, or of words alone.
        folder: Where it was saved.
        extras: What is wanted; what ``not_applicable`` names is passed over.
        media: Where the recording lies now; None for where the analysis says.
        progress: Called with seconds done and seconds in all of the overlay.

    Yields:
        Each file that was written, or the error that kept one from being written.
    """
    for work in _writers(analysis, folder, extras, media, progress):
        try:
            yield from work()
        except MultimodalError as error:
            yield error


def _writers(
    analysis: Analysis, folder: Path, extras: Outputs, media: Path | None, progress: ProgressCallback | None
) -> Iterator[Callable[[], list[Path]]]:
    if extras.formats:
        from multimodal.export.formats import export, inapplicable

        for name in extras.formats:
            if name not in inapplicable(analysis, extras.formats):
                yield partial(export, analysis, folder, [name])
    if extras.plot:
        from multimodal.plots.slides import write_plots

        yield lambda: write_plots(analysis, folder)
    if extras.overlay and analysis.media.has_video:
        from multimodal.video.overlay import write_overlay

        yield lambda: [write_overlay(analysis, folder, media, progress)]
    if extras.report:
        from multimodal.report.page import write_report

        yield lambda: [write_report(analysis, folder, media)]
