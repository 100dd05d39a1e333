"""Everything that the page of a study shows and filters, as plain values for its scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from multimodal.analysis.bootstrap import LEVEL, RESAMPLES, SEED
from multimodal.analysis.moments import KINDS
from multimodal.batch.tables import FORMULA, MEASURES, RESULT_COLUMNS
from multimodal.palette import SIGNS
from multimodal.report.html import embedded
from multimodal.study.outliers import FAR, Outlier, describe, find_outliers
from multimodal.study.recordings import BINS, LETTERS, NOTHING, STRIP_LABELS, InputView
from multimodal.study.tables import SHARES, StudyTables

REPORT = "report.html"
"""The page of a study, and of each input in its own folder."""

WORDS_AT_MOST = 3_000_000
"""Bytes of all that was said, up to which it goes into the page to be searched: 500 inputs of 5 minutes have 2 MB."""

MOMENTS_OF_A_KIND = 400
"""Kept of a study; a filter leaves fewer."""


def page_data(study: StudyTables, views: Sequence[InputView]) -> dict[str, Any]:
    """Puts together what the scripts need.

    Args:
        study: Read from a batch's tables.
        views: Of each input, in the same order.

    Returns:
        Plain values; ``assets/study.js`` says what it takes from them. The size grows with the number of inputs and not
        with their length, but for what was said, which is left out where it is too much.
    """
    return {
        "columns": [_column(study, name) for name in study.columns],
        "named": {meaning: study.columns.index(name) for meaning, name in study.named.items()},
        "groupings": list(study.groupings),
        "measures": list(MEASURES),
        "shares": list(SHARES),
        "inputs": [_input(study, row, view) for row, view in zip(study.rows, views, strict=True)],
        "words": _words(views),
        "letters": dict(zip(LETTERS, STRIP_LABELS, strict=False)),
        "signs": dict(SIGNS),
        "nothing": NOTHING,
        "bins": BINS,
        "summary": study.summary,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "level": LEVEL},
        "outliers": [_outlier(outlier) for outlier in find_outliers(study)],
        "far": FAR,
        "moments": _moments(views),
        "formula": list(FORMULA),
    }


def page_link(name: str) -> str:
    """Where the page of an input stands, as seen from that of the study.

    Example:
        >>> page_link("P01 50%?-1a")
        'P01%2050%25%3F-1a/report.html'
    """
    # A first part with a colon in it would be read as a scheme; quote turns colons into %3A.
    return f"{quote(name, safe='')}/{REPORT}"


def _column(study: StudyTables, name: str) -> dict[str, Any]:
    kind = RESULT_COLUMNS.get(name, str)
    return {"name": name, "text": kind is str, "cells": [row[name] for row in study.rows]}


def _input(study: StudyTables, row: Any, view: InputView) -> dict[str, Any]:
    return {
        "label": study.label(row),
        "link": page_link(row["result"]) if row["status"] == "done" and view.problem is None else None,
        "said": {name: study.said(row, name) for name in study.groupings},
        "strip": view.strip,
        "timed": view.timed,
        "shown": list(view.shown),
        "warnings": view.warnings,
        "problem": view.problem,
    }


def _words(views: Sequence[InputView]) -> list[str] | None:
    words = [view.words for view in views]
    return words if len(embedded(words)) <= WORDS_AT_MOST else None


def _outlier(outlier: Outlier) -> dict[str, Any]:
    reasons = [describe(reason) for reason in outlier.reasons]
    return {"input": outlier.index, "score": round(outlier.reasons[0].score, 2), "reasons": reasons}


def _moments(views: Sequence[InputView]) -> list[dict[str, Any]]:
    """The strongest of each kind over all inputs, in order of kind and strength."""
    found = [
        (KINDS.index(moment.kind), -moment.strength, index, moment, quoted, view.timed)
        for index, view in enumerate(views)
        for moment, quoted in zip(view.moments, view.quotes, strict=True)
    ]
    found.sort(key=lambda each: each[:3])
    kept: list[dict[str, Any]] = []
    for kind in range(len(KINDS)):
        for _, _, index, moment, quoted, timed in [each for each in found if each[0] == kind][:MOMENTS_OF_A_KIND]:
            kept.append(
                {
                    "input": index,
                    "kind": moment.kind,
                    "emotion": moment.emotion,
                    "strength": round(moment.strength, 4),
                    "why": moment.why,
                    "start": round(moment.start_seconds, 3) if timed else None,
                    "line": moment.index,
                    "quote": quoted,
                }
            )
    return kept
