"""Means over a study, with confidence intervals by a bootstrap over participants.

Inputs of one participant are correlated, so participants are resampled: each counts once, by the mean of their inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.bootstrap import bootstrap

GROUPINGS = ("task", "question", "participant")


def summarize(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """Summarizes a study: all inputs, then by task, question and participant if the manifest has these columns.

    Args:
        rows: Per input its ``status``, the measures (None if missing), and ``participant``, ``task`` and ``question``
            if the manifest has them. An input without a participant counts as one participant.
        measures: Columns to average.

    Returns:
        Columns and rows: ``by`` and ``group``; the numbers of ``inputs``, ``done``, ``failed`` and ``participants``
        (with an input that is done); and per measure its mean, ``…_low`` and ``…_high``.
    """
    groups: dict[tuple[str, str], list[int]] = {("all", ""): list(range(len(rows)))}
    for by in GROUPINGS:
        members: dict[tuple[str, str], list[int]] = {}
        for index, row in enumerate(rows):
            if by in row:
                members.setdefault((by, row[by]), []).append(index)
        groups |= dict(sorted(members.items()))
    values = np.array([[_number(row.get(name)) for name in measures] for row in rows], np.float64)
    columns = ["by", "group", "inputs", "done", "failed", "participants"]
    columns += [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    table = [
        {"by": by, "group": group} | _statistics([rows[index] for index in indices], values[indices], measures)
        for (by, group), indices in groups.items()
    ]
    return columns, table


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _statistics(
    rows: Sequence[Mapping[str, Any]], values: NDArray[np.float64], measures: Sequence[str]
) -> dict[str, Any]:
    """Counts, means and intervals of one group."""
    participants: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        if row["status"] == "done":
            participants.setdefault(row.get("participant") or index, []).append(index)
    done = sum(map(len, participants.values()))
    cells: dict[str, Any] = {"inputs": len(rows), "done": done, "failed": len(rows) - done}
    cells["participants"] = len(participants)
    if not participants:
        return cells
    means = np.stack([_mean(values[indices]) for indices in participants.values()])
    for end, statistics in zip(("", "_low", "_high"), bootstrap(means), strict=True):
        cells |= {
            f"{name}{end}": round(float(value), 4)
            for name, value in zip(measures, statistics, strict=True)
            if np.isfinite(value)
        }
    return cells


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over rows without the missing values; NaN where all are missing."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return mean
