"""Figures of a classifier, computed by scikit-learn and torchmetrics.

The truth is a label per row, or a distribution per row where several people labeled it and did not agree. With
distributions, a prediction is right to the share of people who gave its top label.

Accuracy is the share of correct predictions; balanced accuracy (unweighted average recall) the mean recall of the
classes; macro-F1 the mean F1 of the classes; Cohen's kappa the agreement beyond chance; expected calibration error the
mean distance between confidence and accuracy over 15 equal bins, weighted by their size (Guo et al. 2017, arXiv
1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn import metrics as sk
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]
Targets = Labels | Floats
"""True classes ``(n,)``, or shares of people's votes ``(n, classes)``."""

BINS = 15


def classification_figures(probabilities: Floats, labels: Labels, names: Sequence[str]) -> dict[str, Any]:
    """Computes all figures of a classifier.

    Args:
        probabilities: ``(n, classes)``, rows summing to 1.
        labels: ``(n,)`` true classes.
        names: The classes in order.

    Returns:
        ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``kappa`` (-1 … 1), ``roc_auc`` and ``pr_auc`` (means over
        the classes that occur), ``ece``, ``nll``, ``n``, ``labels``, ``confusion`` (rows: true, columns: predicted),
        and ``per_class`` with ``precision``, ``recall``, ``f1`` and ``n`` each. Shares are 0 … 1.

    Raises:
        ValueError: The shapes do not match, or there are no predictions.

    Example:
        >>> figures = classification_figures(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), ["calm", "angry"])
        >>> figures["accuracy"], figures["confusion"]
        (0.5, [[1, 0], [1, 0]])
    """
    if probabilities.shape != (len(labels), len(names)) or not len(labels):
        raise ValueError(
            f"need (n, {len(names)}) probabilities and n labels, got {probabilities.shape}, {labels.shape}"
        )
    predictions, classes = probabilities.argmax(axis=1), range(len(names))
    columns = sk.precision_recall_fscore_support(labels, predictions, labels=classes, zero_division=0)
    rows = [dict(zip(("precision", "recall", "f1", "n"), map(float, row), strict=True)) for row in np.array(columns).T]
    occurring = [index for index in classes if 0 < (labels == index).sum() < len(labels)]
    return {
        "accuracy": float(sk.accuracy_score(labels, predictions)),
        "balanced_accuracy": float(np.mean([row["recall"] for row in rows if row["n"]])),
        "macro_f1": float(np.mean([row["f1"] for row in rows])),
        "kappa": float(sk.cohen_kappa_score(labels, predictions, labels=classes)) if len(occurring) > 1 else 0.0,
        "roc_auc": _mean(sk.roc_auc_score(labels == index, probabilities[:, index]) for index in occurring),
        "pr_auc": _mean(sk.average_precision_score(labels == index, probabilities[:, index]) for index in occurring),
        "ece": expected_calibration_error(probabilities, labels),
        "nll": float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean()),
        "n": len(labels),
        "labels": list(names),
        "confusion": sk.confusion_matrix(labels, predictions, labels=classes).tolist(),
        "per_class": dict(zip(names, rows, strict=True)),
    }


def _mean(values: Any) -> float | None:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def expected_calibration_error(probabilities: Floats, targets: Targets) -> float:
    """Mean distance between confidence and accuracy, 0 (calibrated) … 1.

    Args:
        probabilities: ``(n, classes)``.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.

    Returns:
        The error over ``BINS`` equal bins.

    Example:
        >>> round(expected_calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1])), 6)
        0.0
        >>> round(expected_calibration_error(np.array([[0.75, 0.25]]), np.array([[0.7, 0.3]])), 6)
        0.05
    """
    # Torchmetrics takes all values for logits if rounding has put one above 1.
    clipped = probabilities.clip(0, 1).astype(np.float32)
    if targets.ndim == 1:
        scores, truth = torch.from_numpy(clipped), torch.from_numpy(targets)
        return float(multiclass_calibration_error(scores, truth, num_classes=scores.shape[1], n_bins=BINS))
    confidence = clipped.max(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correctness(probabilities, targets), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def correctness(probabilities: Floats, targets: Targets) -> NDArray[np.float64]:
    """How right the top label of each row is: 1 or 0 against a label, against votes the share of people who gave it.

    Args:
        probabilities: ``(n, classes)``.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.

    Returns:
        ``(n,)`` 0 … 1.

    Example:
        >>> correctness(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0])).tolist()
        [1.0, 0.0]
        >>> correctness(np.array([[0.8, 0.2]]), np.array([[0.6, 0.4]])).tolist()
        [0.6]
    """
    top = probabilities.argmax(axis=1)
    if targets.ndim == 1:
        return np.asarray(top == targets, np.float64)
    return np.asarray(targets[np.arange(len(top)), top], np.float64)


def cross_entropy(probabilities: Floats, targets: Targets, weights: Floats | None = None) -> float:
    """Mean negative logarithm of the probability of the truth, in nats.

    Args:
        probabilities: ``(n, classes)``.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.
        weights: ``(n,)`` how much each row counts; None for the same.

    Returns:
        At least 0; with votes at least their entropy.

    Example:
        >>> round(cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])), 4)
        0.6931
    """
    logs = np.log(np.maximum(probabilities, 1e-12))
    rows = logs[np.arange(len(targets)), targets] if targets.ndim == 1 else (targets * logs).sum(axis=1)
    return float(-np.average(rows, weights=weights))


def apply_temperature(probabilities: Floats, temperature: float | Floats) -> Floats:
    """Divides the logits behind probabilities by a temperature.

    Args:
        probabilities: ``(n, classes)``.
        temperature: Above 1 lowers the confidence, below 1 raises it; one number, or ``(n, 1)``.

    Returns:
        ``(n, classes)``, rows summing to 1; the largest stays the largest.

    Example:
        >>> apply_temperature(np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
        [[0.941, 0.059]]
    """
    logs = np.log(np.maximum(probabilities, 1e-12)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def fit_temperature(probabilities: Floats, targets: Targets, weights: Floats | None = None) -> float:
    """Fits the temperature with the highest likelihood on held-out data (Guo et al. 2017).

    Args:
        probabilities: ``(n, classes)`` before calibration.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.
        weights: ``(n,)`` how much each row counts; None for the same.

    Returns:
        Between 0.2 and 5.

    Example:
        >>> round(fit_temperature(np.array([[0.9, 0.1]]), np.array([[0.75, 0.25]])), 2)  # log(9) / log(3)
        2.0
    """

    def loss(temperature: float) -> float:
        return cross_entropy(apply_temperature(probabilities, temperature), targets, weights)

    return minimize_temperature(loss)


def minimize_temperature(loss: Callable[[float], float]) -> float:
    """Finds the temperature with the smallest loss.

    Args:
        loss: Temperature to loss, with a single minimum.

    Returns:
        Between 0.2 and 5.
    """
    minimum = minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=(np.log(0.2), np.log(5)), method="bounded")
    return float(np.exp(minimum.x))


def cross_calibrate(probabilities: Floats, targets: Targets) -> Floats:
    """Calibrates each half with the temperature of the other half, so that calibration errors are out of sample.

    Args:
        probabilities: ``(n, classes)`` before calibration.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.

    Returns:
        ``(n, classes)``.
    """
    result = np.empty_like(probabilities)
    for part in (0, 1):
        temperature = fit_temperature(probabilities[1 - part :: 2], targets[1 - part :: 2])
        result[part::2] = apply_temperature(probabilities[part::2], temperature)
    return result


def kl_divergence(shares: Floats, probabilities: Floats) -> float:
    """Mean Kullback-Leibler divergence of the probabilities from the shares of the votes, in nats; 0 if equal.

    Args:
        shares: ``(n, classes)`` shares of the votes, rows summing to 1.
        probabilities: ``(n, classes)``.

    Returns:
        Mean over rows, at least 0.

    Example:
        >>> kl_divergence(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]))
        0.0
    """
    ratios = np.log(np.maximum(shares, 1e-12)) - np.log(np.maximum(probabilities, 1e-12))
    return float(np.where(shares > 0, shares * ratios, 0.0).sum(axis=1).mean())


def concordance(estimates: Tensor, truth: Tensor) -> Tensor:
    """Concordance correlation coefficient: agreement of two series in value, not only in direction.

    ``2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))²)`` with variances divided by n.

    Args:
        estimates: ``(n, dimensions)``.
        truth: ``(n, dimensions)``.

    Returns:
        ``(dimensions,)``, -1 … 1; 0 where either does not vary.

    Example:
        >>> x, y = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[2.0], [3.0], [4.0], [5.0]])
        >>> round(concordance(x, y).item(), 3)
        0.714

    Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 255-268.
    """
    first, second = estimates - estimates.mean(0), truth - truth.mean(0)
    distance = (estimates.mean(0) - truth.mean(0)).square()
    spread = first.square().mean(0) + second.square().mean(0) + distance
    return 2 * (first * second).mean(0) / spread.clamp(min=1e-8)
