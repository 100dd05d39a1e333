"""The page of a whole study: what a batch's inputs showed, by task, question and participant, and what to watch.

It stands beside the tables of the batch as ``report.html`` and leads to a page of each input's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from multimodal.analysis.loading import read_analysis
from multimodal.errors import MultimodalError
from multimodal.palette import COLORS
from multimodal.report.html import asset, render, write_page
from multimodal.study.page_data import REPORT, page_data
from multimodal.study.recordings import InputView, view_of
from multimodal.study.sections import body
from multimodal.study.tables import StudyTables, read_study

SCRIPTS = ("study_numbers.js", "study_charts.js", "study.js")

Show = Callable[[str], None]


def write_study(out: Path, show: Show | None = None, tell: Show | None = None) -> Path:
    """Writes the page of a study, and that of each input where it is missing or older than the input's analysis.

    Args:
        out: The folder that a batch wrote.
        show: Gets a line on how far it is after each input, and an empty one at the end.
        tell: Gets a line for each input whose analysis cannot be read, or whose page cannot be written.

    Returns:
        The page, ``report.html`` in ``out``.

    Raises:
        InputMissingError: The folder holds no tables of a batch.
        AnalysisError: The table of results is damaged or another one.
        OutputError: The page cannot be written. An input whose own analysis cannot be read, or whose page cannot be
            written, is marked in the page instead.

    Example:
        >>> write_study(Path("nowhere"))
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: holds no results.parquet; name a folder that batch has written
    """
    study = read_study(out)
    views = []
    for number, row in enumerate(study.rows, start=1):
        views.append(_view(study, row))
        if show is not None:
            show(f"{number} of {len(study.rows)} inputs")
    if show is not None:
        show("")
    for view in views:
        if view.problem and tell is not None:
            tell(view.problem)
    page = render(
        f"Study: {study.name}",
        body(study, views),
        styles=[_colors(), asset("study.css")],
        scripts=[asset(name) for name in SCRIPTS],
        data=page_data(study, views),
    )
    return write_page(out / REPORT, page)


def _colors() -> str:
    """Surfaces in the color of an emotion, with letters on them."""
    return "\n".join(f".{label}{{background:var(--{label});color:var(--on-{label})}}" for label in COLORS)


def _view(study: StudyTables, row: Any) -> InputView:
    """What is shown of an input; a fault in one of them must not cost the others."""
    if row["status"] != "done":
        return InputView()
    folder = study.folder(row)
    if folder is None:
        return InputView(problem=f"{row['result']}: is no folder of this study; run the batch again")
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
        except MultimodalError as error:  # what was read is shown all the same
            return replace(view, problem=str(error))
    return view


def _is_stale(folder: Path) -> bool:
    """Whether an input's page is missing or older than its analysis."""
    try:
        return (folder / REPORT).stat().st_mtime_ns < (folder / "analysis.json").stat().st_mtime_ns
    except OSError:  # one of them is not there; reading will say which
        return True
