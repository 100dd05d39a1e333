"""Means over a study, with confidence intervals by a bootstrap over participants.

Answers of one person are alike, so people are drawn, not answers: each counts once, by the mean of their inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.bootstrap import bootstrap

GROUPINGS = ("task", "question", "participant")


def summarize(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Sums a study up: all of it, then by task, by question and by participant, as far as the manifest names them.

    Args:
        rows: Per input ``status``, the measures (None where there is none), and of ``participant``, ``task`` and
            ``question`` what the manifest has. An input without a participant counts as a participant of its own.
        measures: What is averaged.

    Returns:
        Columns and rows: ``by`` and ``group``; how many ``inputs``, ``done``, ``failed`` and ``participants`` (of those
        that are done); and per measure its mean, ``…_low`` and ``…_high``.
    """
    groups: dict[tuple[str, str], list[int]] = {("all", ""): list(range(len(rows)))}
    for by in GROUPINGS:
        found: dict[tuple[str, str], list[int]] = {}
        for index, row in enumerate(rows):
            if by in row:
                found.setdefault((by, row[by]), []).append(index)
        groups |= dict(sorted(found.items()))
    values = np.array([[_number(row.get(name)) for name in measures] for row in rows], np.float64)
    columns = ["by", "group", "inputs", "done", "failed", "participants"]
    columns += [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    table = []
    for (by, group), indices in groups.items():
        table.append(
            {"by": by, "group": group} | _summed([rows[index] for index in indices], values[indices], measures)
        )
    return columns, table


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _summed(rows: Sequence[Mapping[str, Any]], values: NDArray[np.float64], measures: Sequence[str]) -> dict[str, Any]:
    people: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        if row["status"] == "done":
            people.setdefault(row.get("participant") or index, []).append(index)
    done = sum(map(len, people.values()))
    cells: dict[str, Any] = {"inputs": len(rows), "done": done, "failed": len(rows) - done, "participants": len(people)}
    if not people:
        return cells
    per_person = np.stack([_mean(values[indices]) for indices in people.values()])
    for end, found in zip(("", "_low", "_high"), bootstrap(per_person), strict=True):
        cells |= {
            f"{name}{end}": round(float(value), 4)
            for name, value in zip(measures, found, strict=True)
            if np.isfinite(value)
        }
    return cells


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean
