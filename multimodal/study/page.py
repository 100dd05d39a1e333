"""The page of a whole study: emotions by task, question and participant, outliers and key moments.

It is ``report.html`` next to the tables of the batch, and links to the page of each input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.usability import COLUMN
from multimodal.errors import MultimodalError
from multimodal.palette import COLORS, USABILITY_COLORS
from multimodal.report.html import asset, render, write_page
from multimodal.study.page_data import REPORT, page_data
from multimodal.study.recordings import InputView, view_of
from multimodal.study.sections import sections
from multimodal.study.tables import StudyTables, read_study
from multimodal.types import UNCERTAIN

SCRIPTS = ("study_numbers.js", "study_charts.js", "study.js")

Print = Callable[[str], None]


def write_study(out: Path, on_progress: Print | None = None, on_problem: Print | None = None) -> Path:
    """Writes the page of a study, and the pages of inputs that are missing or older than their analysis.

    Args:
        out: The output folder of a batch.
        on_progress: Called with a line after each input, and with an empty one at the end.
        on_problem: Called with a line for each input with an unreadable analysis or a page that cannot be written.

    Returns:
        The page, ``report.html`` in ``out``.

    Raises:
        InputMissingError: The folder contains no tables of a batch.
        AnalysisError: The table of results is damaged or invalid.
        OutputError: The page cannot be written. An input with an unreadable analysis or an unwritable page
            is marked in the page instead.

    Example:
        >>> write_study(Path("nowhere"))
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: contains no results.parquet; name an output folder of batch
    """
    study = read_study(out)
    views = []
    for number, row in enumerate(study.rows, start=1):
        views.append(_view(study, row))
        if on_progress is not None:
            on_progress(f"{number} of {len(study.rows)} inputs")
    if on_progress is not None:
        on_progress("")
    for view in views:
        if view.problem and on_problem is not None:
            on_problem(view.problem)
    page = render(
        "study.html.jinja",
        f"Study: {study.name}",
        sections(study, views),
        styles=[_colors(), asset("study.css")],
        scripts=[asset(name) for name in SCRIPTS],
        data=page_data(study, views),
    )
    return write_page(out / REPORT, page)


def _colors() -> str:
    """Classes for surfaces in the color of an emotion, and for bars in that of a usability label."""
    emotions = [f".{label}{{background:var(--{label});color:var(--on-{label})}}" for label in COLORS]
    bars = [f".bar.{COLUMN}{label}{{background:var(--u-{label})}}" for label in USABILITY_COLORS]
    return "\n".join([*emotions, *bars, f".bar.{COLUMN}{UNCERTAIN}{{background:var(--{UNCERTAIN})}}"])


def _view(study: StudyTables, row: Any) -> InputView:
    """The view of an input; an error in one must not affect the others."""
    if row["status"] != "done":
        return InputView()
    folder = study.folder(row)
    if folder is None:
        return InputView(problem=f"{row['result']}: not a folder of this study; run the batch again")
    try:
        return _read(folder)
    except MultimodalError as error:
        return InputView(problem=str(error))
    except Exception as error:
        return InputView(problem=f"{folder.name}: unexpected {type(error).__name__}: {error}; analyze it again")


def _read(folder: Path) -> InputView:
    from multimodal.report.page import write_report

    stale = _is_stale(folder)
    analysis = read_analysis(folder, frames=stale)
    view = view_of(analysis)
    if stale:
        try:
            write_report(analysis, folder)
        except MultimodalError as error:  # the analysis was read and is still shown
            return replace(view, problem=str(error))
    return view


def _is_stale(folder: Path) -> bool:
    """Whether the page of an input is missing or older than its analysis."""
    try:
        return (folder / REPORT).stat().st_mtime_ns < (folder / "analysis.json").stat().st_mtime_ns
    except OSError:  # one of them is missing; reading it raises the error
        return True
