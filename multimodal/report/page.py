"""The HTML page of one recording."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

PAGE = "report.html"


def write_report(analysis: Analysis, folder: str | PathLike[str], media: str | PathLike[str] | None = None) -> Path:
    """Writes the page of one recording.

    The recording itself is not copied: the page links to it relative to ``folder``, and readers can choose the file
    if the link is broken.

    Args:
        analysis: From a model, or from ``multimodal.analysis.loading.read_analysis``.
        folder: Folder of ``report.html``; created if missing.
        media: The recording; None for its path when it was analyzed.

    Returns:
        The page.

    Raises:
        OutputError: The folder cannot be written, or the disk is full.

    Example:
        >>> from multimodal.types import MediaInfo
        >>> nothing = MediaInfo(Path("talk.wav"), "ab" * 32, 0.0, None, None, None, False, False)
        >>> from multimodal.analysis.result import Analysis
        >>> write_report(Analysis(nothing, {}, ("neutral",), (), (), ()), "results").as_posix()
        'results/report.html'
    """
    from multimodal.report.html import write_page

    target = Path(folder)
    return write_page(target / PAGE, report_page(analysis, target, None if media is None else Path(media)))


def report_page(analysis: Analysis, folder: Path, media: Path | None = None) -> str:
    """The page as text.

    Args:
        analysis: Of one recording, or of typed answers.
        folder: Folder of the page.
        media: The recording; None for its path when it was analyzed.

    Returns:
        HTML; the same for the same analysis and paths.
    """
    from multimodal.report.html import asset, render
    from multimodal.report.player import KEYS, page_data, player, timeline_place
    from multimodal.report.sections import sections
    from multimodal.report.timeline import timeline

    chart = timeline(analysis)
    values = sections(analysis) | {
        "player": player(analysis, folder, media),
        "timeline": None if chart is None else timeline_place(analysis, chart[1]),
        "key_actions": KEYS,
    }
    return render(
        "report.html.jinja",
        f"{analysis.media.path.name}: perceived expression",
        values,
        styles=[asset("report.css")],
        scripts=[asset("report_timeline.js"), asset("report.js")],
        data=page_data(analysis),
        figures={} if chart is None else {"timeline": chart[0]},
    )
