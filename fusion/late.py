"""Late fusion: the plain average of the signals' own answers, with which every fused result is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multimodal.fusion.alignment import Floats
from multimodal.types import MODALITIES, ModalityEstimate


def late_average(answers: Sequence[Floats]) -> Floats:
    """Averages calibrated probabilities of the signals that are there, each counting alike.

    Args:
        answers: At least one ``(..., labels)``, each summing to 1 over the labels.

    Returns:
        ``(..., labels)``, summing to 1.

    Example:
        >>> late_average([np.array([0.8, 0.2]), np.array([0.4, 0.6])]).round(2).tolist()
        [0.6, 0.4]
    """
    mean: Floats = np.mean(np.stack(answers), axis=0)
    return mean


def late_estimate(estimates: Mapping[str, ModalityEstimate | None], labels: Sequence[str]) -> ModalityEstimate | None:
    """The late-fusion answer for one utterance.

    Args:
        estimates: Signal to what it says, in labels of its own; None or unnamed where it was not there.
        labels: Of the answer; probabilities of a signal's other labels are shared out over these.

    Returns:
        The average, with its largest value as confidence; None without any signal.

    Example:
        >>> face = ModalityEstimate({"anger": 0.5, "fear": 0.25, "contempt": 0.25})
        >>> late_estimate({"face": face}, ("anger", "fear")).probabilities["anger"].__round__(3)
        0.667
    """
    rows = []
    for name in MODALITIES:
        estimate = estimates.get(name)
        if estimate is not None:
            row = np.array([estimate.probabilities[label] for label in labels], np.float64)
            rows.append(row / row.sum() if row.sum() > 0 else np.full(len(row), 1 / len(row)))
    if not rows:
        return None
    mean = dict(zip(labels, late_average(rows).tolist(), strict=True))
    return ModalityEstimate(mean)
