"""Figures where several labels may hold at once, and the thresholds from which a label is said to hold.

Thresholds are chosen on texts that are not judged. Macro-F1 is the mean over labels of F1, as in the GoEmotions paper.
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
"""Thresholds that are tried."""

FEW = 20
"""With so many right texts, a label's own best threshold and that of all labels together count alike."""


def multilabel_figures(
    scores: Scores, targets: Targets, names: Sequence[str], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Judges scores against targets.

    Args:
        scores: ``(n, labels)``, each 0 … 1.
        targets: ``(n, labels)``: 1 where the label holds.
        names: The labels in order.
        thresholds: Per label, from which score on it is given.

    Returns:
        ``macro_f1``, ``micro_f1``, ``pr_auc`` (mean over the labels that occur), and ``per_label`` with ``precision``,
        ``recall``, ``f1`` and ``n`` each. All are 0 … 1 but ``n``.

    Example:
        >>> scores, targets = np.array([[0.9, 0.2], [0.4, 0.7]]), np.array([[1, 1], [0, 1]], np.uint8)
        >>> multilabel_figures(scores, targets, ["joy", "love"], {"joy": 0.5, "love": 0.5})["macro_f1"].__round__(3)
        0.833
    """
    answers = scores >= np.array([thresholds[name] for name in names])
    columns = sk.precision_recall_fscore_support(targets, answers, average=None, zero_division=0)
    rows = [dict(zip(("precision", "recall", "f1", "n"), map(float, row), strict=True)) for row in np.array(columns).T]
    return {
        "macro_f1": float(np.mean([row["f1"] for row in rows])),
        "micro_f1": float(sk.f1_score(targets, answers, average="micro", zero_division=0)),
        "pr_auc": mean_precision(scores, targets),
        "per_label": dict(zip(names, rows, strict=True)),
    }


def mean_precision(scores: Scores, targets: Targets) -> float:
    """Area under the curve of precision over recall, ``(n, labels)`` each, as a mean over the labels that occur."""
    occurring = np.flatnonzero(targets.any(axis=0))
    return float(np.mean([sk.average_precision_score(targets[:, one], scores[:, one]) for one in occurring]))


def choose_thresholds(scores: Scores, targets: Targets, names: Sequence[str]) -> dict[str, float]:
    """Thresholds with the best F1 on held-out texts, steadied where a label is rare.

    A rare label's best threshold is an accident of a few texts. So each is drawn towards the threshold that serves
    all labels best together, the more the fewer right texts it has (``FEW``).

    Args:
        scores: ``(n, labels)`` of held-out texts.
        targets: ``(n, labels)``.
        names: The labels in order.

    Returns:
        A threshold per label, 0.02 … 0.98.
    """
    curves = np.stack([_f1_curve(column, target) for column, target in zip(scores.T, targets.T, strict=True)])
    together, own = GRID[curves.mean(axis=0).argmax()], GRID[curves.argmax(axis=1)]
    share = targets.sum(axis=0) / (targets.sum(axis=0) + FEW)
    return {
        name: round(float(value), 4) for name, value in zip(names, share * own + (1 - share) * together, strict=True)
    }


def _f1_curve(scores: Scores, targets: Targets) -> NDArray[np.float64]:
    """F1 at every threshold of ``GRID``, averaged with its neighbors, so that one text does not decide."""
    answers = scores[:, None] >= GRID
    hits = (answers & (targets[:, None] == 1)).sum(axis=0)
    f1 = 2 * hits / np.maximum(answers.sum(axis=0) + targets.sum(), 1)
    smoothed: NDArray[np.float64] = np.convolve(np.pad(f1, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    return smoothed
