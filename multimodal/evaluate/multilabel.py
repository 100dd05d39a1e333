"""Figures of multi-label classification, and the thresholds of the labels.

Thresholds are selected on texts outside the evaluation. Macro-F1 is the mean F1 of the labels, as in the GoEmotions
paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Scores = NDArray[np.floating[Any]]
Targets = NDArray[np.uint8]

GRID = np.round(np.arange(0.02, 0.981, 0.01), 2)
"""Candidate thresholds."""

FEW = 20
"""Number of positive texts at which a label's own threshold and the common threshold have equal weight."""


def multilabel_figures(
    scores: Scores, targets: Targets, names: Sequence[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Computes the figures of scores against targets.

    Args:
        scores: ``(n, labels)``, each 0 … 1.
        targets: ``(n, labels)``: 1 for a positive label.
        names: The labels in order.
        thresholds: Per label, the lowest score of a positive prediction.

    Returns:
        ``macro_f1``, ``micro_f1``, ``pr_auc`` (mean over the labels that occur), and ``per_label`` with ``precision``,
        ``recall``, ``f1`` and ``n`` each. All except ``n`` are 0 … 1.

    Example:
        >>> scores, targets = np.array([[0.9, 0.2], [0.4, 0.7]]), np.array([[1, 1], [0, 1]], np.uint8)
        >>> multilabel_figures(scores, targets, ["joy", "love"], {"joy": 0.5, "love": 0.5})["macro_f1"].__round__(3)
        0.833
    """
    predictions = scores >= np.array([thresholds[name] for name in names])
    columns = sk.precision_recall_fscore_support(targets, predictions, average=None, zero_division=0)
    rows = [dict(zip(("precision", "recall", "f1", "n"), map(float, row), strict=True)) for row in np.array(columns).T]
    return {
        "macro_f1": float(np.mean([row["f1"] for row in rows])),
        "micro_f1": float(sk.f1_score(targets, predictions, average="micro", zero_division=0)),
        "pr_auc": mean_precision(scores, targets),
        "per_label": dict(zip(names, rows, strict=True)),
    }


def mean_precision(scores: Scores, targets: Targets) -> float:
    """Area under the precision-recall curve of ``(n, labels)`` scores and targets, averaged over labels that occur.

    Args:
        scores: ``(n, labels)``, higher where a label is more likely.
        targets: ``(n, labels)`` of 0 and 1.

    Returns:
        0 … 1.
    """
    occurring = np.flatnonzero(targets.any(axis=0))
    return float(np.mean([sk.average_precision_score(targets[:, one], scores[:, one]) for one in occurring]))


def choose_thresholds(scores: Scores, targets: Targets, names: Sequence[str]) -> dict[str, float]:
    """Selects the thresholds with the best F1 on held-out texts, regularized for rare labels.

    The best threshold of a rare label depends on few texts. Each threshold is therefore a weighted mean with the common
    threshold that is best for all labels; the fewer positive texts a label has, the more the common one counts
    (``FEW``).

    Args:
        scores: ``(n, labels)`` of held-out texts.
        targets: ``(n, labels)``.
        names: The labels in order.

    Returns:
        A threshold per label, 0.02 … 0.98.
    """
    curves = np.stack([_f1_curve(column, target) for column, target in zip(scores.T, targets.T, strict=True)])
    common, best = GRID[curves.mean(axis=0).argmax()], GRID[curves.argmax(axis=1)]
    share = targets.sum(axis=0) / (targets.sum(axis=0) + FEW)
    return {
        name: round(float(value), 4) for name, value in zip(names, share * best + (1 - share) * common, strict=True)
    }


def _f1_curve(scores: Scores, targets: Targets) -> NDArray[np.float64]:
    """F1 at every threshold of ``GRID``, averaged with its neighbors so that it does not depend on single texts."""
    predictions = scores[:, None] >= GRID
    hits = (predictions & (targets[:, None] == 1)).sum(axis=0)
    f1 = 2 * hits / np.maximum(predictions.sum(axis=0) + targets.sum(), 1)
    smoothed: NDArray[np.float64] = np.convolve(np.pad(f1, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    return smoothed
