"""Optional outputs of an analysis: the report, pictures, the video with overlay, exports."""

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
    """The outputs to write.

    Attributes:
        report: Whether to write the page ``report.html``.
        overlay: Whether to write ``overlay.mp4``, the video with faces, emotions and words drawn on it.
        plot: Whether to write timeline and summary as PNG and SVG.
        formats: Export formats, keys of ``multimodal.export.formats.FORMATS``.
    """

    report: bool = True
    overlay: bool = False
    plot: bool = False
    formats: tuple[str, ...] = ()


def parse_outputs(report: bool, overlay: bool, plot: bool, export: str | None) -> Outputs:
    """Checks the output options before any work is done.

    Args:
        report: Whether to write the page.
        overlay: Whether to write the video with overlay.
        plot: Whether to write pictures.
        export: Comma-separated export formats; None for none.

    Raises:
        ConfigError: An export format is unknown.

    Example:
        >>> parse_outputs(True, False, False, "srt, vtt").formats
        ('srt', 'vtt')
    """
    from multimodal.export.formats import check_formats

    return Outputs(report, overlay, plot, () if export is None else check_formats(export))


def not_applicable(analysis: Analysis, outputs: Outputs) -> tuple[str, ...]:
    """Requested outputs that do not apply to this kind of input; they are skipped without an error.

    Args:
        analysis: The analysis of a recording or of a text.
        outputs: The requested outputs.

    Returns:
        One line for each.
    """
    from multimodal.export.formats import inapplicable

    lines = ["no overlay: the input has no video"] if outputs.overlay and not analysis.media.has_video else []
    if formats := inapplicable(analysis, outputs.formats):
        lines.append(f"no {', '.join(formats)}: the text has no times")
    return tuple(lines)


def stale(folder: Path, new_outputs: Iterable[Path | MultimodalError]) -> tuple[str, ...]:
    """Outputs of an earlier analysis that are still in the folder of a new one.

    Args:
        folder: Folder of the new analysis.
        new_outputs: Outputs of the new analysis.

    Returns:
        One line that names the old files; empty without such files.
    """
    from multimodal.export.formats import FORMATS, load_format
    from multimodal.plots.slides import FILES

    names = (
        "report.html",
        "overlay.mp4",
        *FILES,
        *chain.from_iterable(load_format(name).files for name in FORMATS),
        "clips",
    )
    new = set(new_outputs)
    old = [name for name in names if folder / name not in new and (folder / name).exists()]
    return (f"from an earlier analysis: {', '.join(old)}; write them again or remove them",) if old else ()


def write_outputs(
    analysis: Analysis,
    folder: Path,
    outputs: Outputs,
    media: Path | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[Path | MultimodalError]:
    """Writes the requested outputs one after the other; a failure does not stop the others.

    Args:
        analysis: The analysis of a recording or of a text.
        folder: Folder of the analysis.
        outputs: The requested outputs, without the outputs that ``not_applicable`` names.
        media: Path of the recording; None for the path in the analysis.
        progress: Takes seconds done and seconds in total of the overlay.

    Yields:
        Each file that was written, or the error of one that could not be written.
    """
    for write in _writers(analysis, folder, outputs, media, progress):
        try:
            yield from write()
        except MultimodalError as error:
            yield error


def _writers(
    analysis: Analysis, folder: Path, outputs: Outputs, media: Path | None, progress: ProgressCallback | None
) -> Iterator[Callable[[], list[Path]]]:
    if outputs.formats:
        from multimodal.export.formats import export, inapplicable

        for name in outputs.formats:
            if name not in inapplicable(analysis, outputs.formats):
                yield partial(export, analysis, folder, [name])
    if outputs.plot:
        from multimodal.plots.slides import write_plots

        yield lambda: write_plots(analysis, folder)
    if outputs.overlay and analysis.media.has_video:
        from multimodal.video.overlay import write_overlay

        yield lambda: [write_overlay(analysis, folder, media, progress)]
    if outputs.report:
        from multimodal.report.page import write_report

        yield lambda: [write_report(analysis, folder, media)]
