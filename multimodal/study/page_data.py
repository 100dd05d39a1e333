"""The data of the scripts of a study's page, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from multimodal.analysis.bootstrap import LEVEL, RESAMPLES, SEED
from multimodal.analysis.moments import KINDS
from multimodal.batch.tables import FORMULA, MEASURES, RESULT_COLUMNS, USABILITY_MEASURES
from multimodal.palette import SIGNS, USABILITY_SIGNS
from multimodal.report.html import embedded
from multimodal.study.outliers import Outlier, describe, find_outliers
from multimodal.study.recordings import BINS, LETTERS, NOTHING, STRIP_LABELS, InputView
from multimodal.study.tables import SHARES, StudyTables
from multimodal.types import UNCERTAIN

REPORT = "report.html"
"""The page of a study, and of each input in its own folder."""

MAX_TRANSCRIPT_BYTES = 3_000_000
"""Size of all transcripts up to which the page contains them for its search: 500 inputs of 5 minutes have 2 MB."""

MAX_MOMENTS = 400
"""Moments of each kind that are kept for the filters."""


def page_data(study: StudyTables, views: Sequence[InputView]) -> dict[str, Any]:
    """Collects the data of the scripts.

    Args:
        study: Read from a batch's tables.
        views: Of each input, in the same order.

    Returns:
        Plain values for ``assets/study.js``. Except for the transcripts, which are omitted above
        ``MAX_TRANSCRIPT_BYTES``, the size grows with the number of inputs and not with their length.
    """
    return {
        "columns": [_column(study, name) for name in study.columns],
        "groupings": list(study.groupings),
        "measures": list(MEASURES),
        "shares": list(SHARES),
        "usability": list(USABILITY_MEASURES) if study.has_usability else [],
        "uncertain": UNCERTAIN,
        "inputs": [_input(study, row, view) for row, view in zip(study.rows, views, strict=True)],
        "transcripts": _transcripts(views),
        "letters": dict(zip(LETTERS, STRIP_LABELS, strict=False)),
        "signs": {**SIGNS, **USABILITY_SIGNS},
        "nothing": NOTHING,
        "bins": BINS,
        "summary": study.summary,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL},
        "outliers": [_outlier(outlier) for outlier in find_outliers(study)],
        "moments": _moments(views),
        "formula": list(FORMULA),
    }


def page_link(name: str) -> str:
    """The link from the page of a study to that of an input.

    Args:
        name: Name of the result.

    Example:
        >>> page_link("P01 50%?-1a")
        'P01%2050%25%3F-1a/report.html'
    """
    # A first part with a colon would be read as a scheme; quote turns colons into %3A.
    return f"{quote(name, safe='')}/{REPORT}"


def _column(study: StudyTables, name: str) -> dict[str, Any]:
    kind = RESULT_COLUMNS.get(name, str)
    return {"name": name, "text": kind is str, "cells": [row[name] for row in study.rows]}


def _input(study: StudyTables, row: Any, view: InputView) -> dict[str, Any]:
    return {
        "label": study.label(row),
        "link": page_link(row["result"]) if row["status"] == "done" and view.problem is None else None,
        "groups": {name: study.value(row, name) for name in study.groupings},
        "strip": view.strip,
        "timed": view.timed,
        "emotions": list(view.emotions),
        "words": list(view.usability),
        "warnings": view.warnings,
        "problem": view.problem,
    }


def _transcripts(views: Sequence[InputView]) -> list[str] | None:
    transcripts = [view.transcript for view in views]
    return transcripts if len(embedded(transcripts)) <= MAX_TRANSCRIPT_BYTES else None


def _outlier(outlier: Outlier) -> dict[str, Any]:
    reasons = [describe(reason) for reason in outlier.reasons]
    return {"input": outlier.index, "score": round(outlier.reasons[0].score, 2), "reasons": reasons}


def _moments(views: Sequence[InputView]) -> list[dict[str, Any]]:
    """The strongest of each kind over all inputs, in order of kind and strength."""
    ranked = [
        (KINDS.index(moment.kind), -moment.strength, index, moment, text, view.timed)
        for index, view in enumerate(views)
        for moment, text in zip(view.moments, view.quotes, strict=True)
    ]
    ranked.sort(key=lambda each: each[:3])
    rows: list[dict[str, Any]] = []
    for kind in range(len(KINDS)):
        for _, _, index, moment, text, timed in [each for each in ranked if each[0] == kind][:MAX_MOMENTS]:
            rows.append(
                {
                    "input": index,
                    "kind": moment.kind,
                    "emotion": moment.emotion,
                    "strength": round(moment.strength, 4),
                    "why": moment.why,
                    "start": round(moment.time_seconds, 3) if timed else None,
                    "line": moment.index,
                    "quote": text,
                }
            )
    return rows
