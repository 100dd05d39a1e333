"""What the template of a study's page shows; its scripts fill the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from multimodal.analysis.bootstrap import RESAMPLES
from multimodal.analysis.usability import COLUMN, LEAST, TROUBLE
from multimodal.formatting import clock_time
from multimodal.report.footer import PARTS, affect_source, model_row, program_row
from multimodal.study.outliers import MIN_INPUTS, MIN_UTTERANCES, THRESHOLD
from multimodal.study.recordings import BINS, InputView
from multimodal.study.tables import SHARES, StudyTables, hours

TABLES = {
    "results.csv": "one row per input, for spreadsheets",
    "results.parquet": "the same, unchanged, for programs",
    "utterances.parquet": "one row per utterance of all inputs",
    "summary.csv": "means with intervals by task, question and participant",
}
"""Tables that a batch writes for a study, and their content."""

MAX_OPEN_FAILURES = 5
"""Up to this number the list of failures is open."""


def sections(study: StudyTables, views: Sequence[InputView]) -> dict[str, Any]:
    """Computes what ``study.html.jinja`` shows.

    Args:
        study: Read from a batch's tables.
        views: Of each input, in the same order.

    Returns:
        Variables of the template; plain values.
    """
    failures = _failures(study, views)
    sources = dict.fromkeys(view.affect for view in views if view.affect)
    return {
        "name": study.name,
        "leaders": _leaders(study),
        "trouble": _trouble(study),
        "least_usability": LEAST,
        "by_participant": "participant" in study.groupings,
        "groupings": study.groupings,
        "tiles": _tiles(study),
        "failures": failures,
        "failures_open": len(failures) <= MAX_OPEN_FAILURES,
        "tables": [(name, content) for name, content in TABLES.items() if (study.out / name).is_file()],
        "affect_source": " ".join(sources) or affect_source(None),
        "models": _models(views),
        "bins": BINS,
        "resamples": RESAMPLES,
        "threshold": THRESHOLD,
        "min_inputs": MIN_INPUTS,
        "min_utterances": MIN_UTTERANCES,
    }


def _leaders(study: StudyTables) -> list[dict[str, Any]]:
    """The two emotions with the largest mean share of the whole study, with their intervals."""
    values = study.summary[0]["values"]
    shares = sorted(((label, *values[label]) for label in SHARES if values[label][0]), key=lambda share: -share[1])
    return [{"label": label, "mean": mean, "low": low, "high": high} for label, mean, low, high in shares[:2]]


def _trouble(study: StudyTables) -> list[dict[str, Any]]:
    """The shares of utterances with frustration and confusion in the whole study; empty without usability labels."""
    values = study.summary[0]["values"]
    shares = [(label, *values[f"{COLUMN}{label}"]) for label in TROUBLE]
    return [
        {"label": label, "mean": mean, "low": low, "high": high}
        for label, mean, low, high in shares
        if mean is not None
    ]


def _tiles(study: StudyTables) -> list[dict[str, str]]:
    """The numbers of the whole study; the scripts update them with the filters."""
    done = [row for row in study.rows if row["status"] == "done"]
    tiles = [("inputs", "inputs", str(len(study.rows))), ("done", "done", str(len(done)))]
    tiles.append(("failed", "failed", str(len(study.rows) - len(done))))
    if "participant" in study.groupings:
        tiles.append(("participants", "participants", str(study.summary[0]["participants"])))
    tiles.append(("duration", "duration", clock_time(3600 * hours(done))))
    tiles.append(("empty", "without an estimate", str(sum(row[SHARES[0]] is None for row in done))))
    return [{"name": name, "label": label, "value": value} for name, label, value in tiles]


def _failures(study: StudyTables, views: Sequence[InputView]) -> list[tuple[int, str]]:
    """Index and reason of each input that failed or lacks a result or page."""
    return [
        (index, view.problem or row["error"] or "no reason given")
        for index, (row, view) in enumerate(zip(study.rows, views, strict=True))
        if view.problem or row["status"] != "done"
    ]


def _models(views: Sequence[InputView]) -> list[dict[str, Any]]:
    """Models with the number of inputs that each analyzed, in the order of their parts, and the program."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for view in views:
        counts.update((part, *facts) for part, facts in view.models.items())
    order = list(PARTS)
    keys = sorted(counts, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key))
    return [*(model_row(*key, inputs=counts[key]) for key in keys), program_row()]
