"""Late fusion: average and product of the modalities' probabilities, the baselines of every fused result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multimodal.fusion.alignment import LEAST_PROBABILITY, Floats
from multimodal.fusion.consistency import constrain
from multimodal.types import MODALITIES, ModalityEstimate


def late_average(probabilities: Sequence[Floats]) -> Floats:
    """Averages calibrated probabilities of the present modalities with equal weights.

    Args:
        probabilities: At least one ``(..., labels)``, each summing to 1 over the labels.

    Returns:
        ``(..., labels)``, summing to 1.

    Example:
        >>> late_average([np.array([0.8, 0.2]), np.array([0.4, 0.6])]).round(2).tolist()
        [0.6, 0.4]
    """
    mean: Floats = np.mean(np.stack(probabilities), axis=0)
    return mean


def product_of_experts(probabilities: Sequence[Floats]) -> Floats:
    """Multiplies calibrated probabilities of the present modalities, as if their errors were independent.

    Args:
        probabilities: At least one ``(..., labels)``, each summing to 1 over the labels; smaller ones than
            ``LEAST_PROBABILITY`` count as that, so that no modality alone rules an emotion out.

    Returns:
        ``(..., labels)``, summing to 1.

    Example:
        >>> product_of_experts([np.array([0.8, 0.2]), np.array([0.5, 0.5])]).round(2).tolist()
        [0.8, 0.2]

    Source:
        Hinton 2002, "Training products of experts by minimizing contrastive divergence".
    """
    product: Floats = np.prod(np.clip(np.stack(probabilities), LEAST_PROBABILITY, 1.0), axis=0)
    shares: Floats = product / product.sum(axis=-1, keepdims=True)
    return shares


def late_estimate(estimates: Mapping[str, ModalityEstimate | None], labels: Sequence[str]) -> ModalityEstimate | None:
    """The late-fusion estimate of one utterance.

    Args:
        estimates: Modality to its estimate, in its own labels; None or no entry where it is absent.
        labels: Labels of the result; a modality's probabilities over these are scaled to sum to 1.

    Returns:
        The average, under the rules of ``multimodal.fusion.consistency``; None without any modality.

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
    neutral = labels.index("neutral") if "neutral" in labels else None
    average = late_average(rows)[None].astype(np.float64)
    answer = constrain(average, np.array([rows]), np.ones((1, len(rows)), bool), neutral)[0]
    return ModalityEstimate(dict(zip(labels, answer.tolist(), strict=True)))
