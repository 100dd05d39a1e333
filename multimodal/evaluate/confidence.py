"""How far the confidence of predictions can be trusted, and below which confidence an answer is called uncertain."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.evaluate.metrics import Floats, Targets, correctness, cross_entropy, expected_calibration_error


def risk_coverage(probabilities: Floats, targets: Targets, points: int = 20) -> list[tuple[float, float]]:
    """Accuracy of the most confident predictions, for shares of the predictions from a twentieth to all.

    Args:
        probabilities: ``(n, classes)``.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.
        points: Number of shares.

    Returns:
        Pairs of coverage and accuracy, both 0 … 1.

    Example:
        >>> risk_coverage(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), points=2)
        [(0.5, 1.0), (1.0, 0.5)]

    Source: El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification", JMLR 11.
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = np.cumsum(correctness(probabilities, targets)[order]) / np.arange(1, len(order) + 1)
    shares = np.arange(1, points + 1) / points
    return [(round(float(share), 4), float(right[max(round(share * len(order)), 1) - 1])) for share in shares]


def confidence_figures(probabilities: Floats, targets: Targets, uncertain_below: float | None = None) -> dict[str, Any]:
    """How far the confidence of predictions can be trusted.

    Args:
        probabilities: ``(n, classes)``.
        targets: ``(n,)`` labels, or ``(n, classes)`` shares of people's votes.
        uncertain_below: Confidence below which a prediction is called uncertain; None for no such rule.

    Returns:
        ``n``, ``accuracy``, ``accuracy_half`` (of the more confident half), ``confidence`` (mean), ``ece``, ``nll``,
        ``risk_coverage`` (see there); with a threshold also ``uncertain_share``, ``accuracy_certain`` and
        ``accuracy_uncertain`` (None where there are no such predictions).

    Example:
        >>> figures = confidence_figures(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), 0.7)
        >>> [figures[key] for key in ("accuracy", "accuracy_half", "uncertain_share", "accuracy_uncertain")]
        [0.5, 1.0, 0.5, 0.0]
    """
    curve = risk_coverage(probabilities, targets)
    confidence, right = probabilities.max(axis=1), correctness(probabilities, targets)
    figures: dict[str, Any] = {
        "n": len(targets),
        "accuracy": float(right.mean()),
        "accuracy_half": dict(curve)[0.5],
        "confidence": float(confidence.mean()),
        "ece": expected_calibration_error(probabilities, targets),
        "nll": cross_entropy(probabilities, targets),
        "risk_coverage": curve,
    }
    if uncertain_below is not None:
        certain = confidence >= uncertain_below
        figures["uncertain_share"] = float(1 - certain.mean())
        figures["accuracy_certain"] = float(right[certain].mean()) if certain.any() else None
        figures["accuracy_uncertain"] = float(right[~certain].mean()) if not certain.all() else None
    return figures


def uncertainty_threshold(*samples: tuple[Floats, Targets]) -> float:
    """The confidence below which the top label is more likely wrong than right.

    It is where isotonic regression of correctness on confidence crosses one half: no other threshold has fewer wrong
    predictions above it and right ones below it.

    Args:
        samples: One or more corpora, each counting the same: calibrated probabilities, ``(n, classes)``, and the truth,
            ``(n,)`` labels or ``(n, classes)`` shares of people's votes.

    Returns:
        0 where the top label is likely right at every confidence, 1 where it is likely wrong at every confidence.

    Example:
        >>> rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.55, 0.45]])
        >>> round(uncertainty_threshold((rows, np.array([0, 0, 1, 1]))), 3)
        0.7

    Source: Robertson, Wright and Dykstra 1988, "Order Restricted Statistical Inference" (isotonic regression).
    """
    confidence = np.concatenate([rows.max(axis=1) for rows, _ in samples])
    surplus = np.concatenate([(1 - 2 * correctness(rows, truth)) / len(rows) for rows, truth in samples])
    values, positions = np.unique(confidence, return_inverse=True)
    gains = np.concatenate([[0.0], np.cumsum(np.bincount(positions, weights=surplus))])
    best = int(gains.argmax())  # the first, so that a draw calls less uncertain
    if best in (0, len(values)):
        return float(best > 0)
    return float((values[best - 1] + values[best]) / 2)
