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

    The recording itself is not copied: the page finds it by the path from ``folder`` to it, and lets its reader choose
    the file where that fails.

    Args:
        analysis: From a model, or read back by ``multimodal.analysis.loading.read_analysis``.
        folder: Where ``report.html`` shall stand; made if it is not there.
        media: The recording; None for where it was when it was analyzed.

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
        folder: Where the page will stand.
        media: The recording; None for where it was when it was analyzed.

    Returns:
        HTML; the same for the same analysis and places.
    """
    from multimodal.report import sections as parts
    from multimodal.report.html import asset, render
    from multimodal.report.player import keys_dialog, page_data, player, timeline_place
    from multimodal.report.timeline import timeline

    chart = timeline(analysis)
    stage = player(analysis, folder, media)
    if chart is not None:
        stage += timeline_place(analysis, chart[1])
    watching = f'<section class="stage" aria-label="Recording and timeline">{stage}</section>' if stage else ""
    body = f"""<a class="skip" href="#transcript">Skip to the transcript</a>
<a class="skip" href="#use">Skip behind the transcript</a>
{parts.head(analysis)}
<main>
{parts.summary(analysis)}
<div class="watch{"" if stage else " words-only"}">
{watching}
{parts.transcript(analysis)}
</div>
</main>
{parts.foot(analysis)}
{keys_dialog() if stage else ""}"""
    return render(
        f"{analysis.media.path.name}: perceived expression",
        body,
        styles=[asset("report.css")],
        scripts=[asset("report_timeline.js"), asset("report.js")],
        data=page_data(analysis),
        figures={} if chart is None else {"timeline": chart[0]},
    )
