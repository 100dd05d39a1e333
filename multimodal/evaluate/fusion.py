"""Evaluates the fusion head on synthetic utterances: every subset of modalities, compared with late fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from torch import nn

from multimodal.data.corpora.crema_d_votes import JointVotes
from multimodal.data.corpora.synthetic import SynthesisConfig, synthesize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.evaluate.metrics import classification_figures
from multimodal.evaluate.synthetic.features import EncodedPools
from multimodal.evaluate.synthetic.mixtures import evaluate_mixtures
from multimodal.fusion.alignment import Floats, FusionInputs
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.late import late_average
from multimodal.fusion.prediction import predict, subset_name
from multimodal.types import MODALITIES

SHORT = ("macro_f1", "accuracy", "balanced_accuracy", "ece", "nll", "n")
"""The figures of each subset of modalities; all modalities together have more."""

SyntheticBatch = tuple[list[FusionInputs], list[dict[str, Floats]], Any]


def synthesize_batch(pools: EncodedPools, count: int, settings: SynthesisConfig, seed: int) -> SyntheticBatch:
    """Draws utterances: their inputs, the probabilities of each modality, and the labels ``(count,)``.

    Args:
        pools: Encoded samples to draw from.
        count: Number of utterances.
        settings: How utterances are drawn.
        seed: Random seed.

    Returns:
        The utterances.
    """
    recipes = list(synthesize(pools.pools, count, settings, seed))
    pairs = [pools.utterance(recipe) for recipe in recipes]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], np.array([recipe.label for recipe in recipes])


@dataclass(frozen=True)
class Head:
    """A fusion head to evaluate.

    Attributes:
        network: In evaluation mode.
        shape: Shape of the network.
        temperatures: Subset of modalities to the temperature of its logits; 1 for other subsets.
    """

    network: nn.Module
    shape: FusionShape
    temperatures: Mapping[str, float]

    def predict(self, inputs: Sequence[FusionInputs], subset: Sequence[str]) -> Floats:
        """Calibrated probabilities ``(utterances, 7)`` from a subset of the modalities.

        Args:
            inputs: Inputs of the utterances.
            subset: Modalities to use.

        Returns:
            ``(utterances, 7)`` float64, each row summing to 1.
        """
        utterances = [each.only(subset) for each in inputs]
        return predict(self.network, self.shape, utterances, self.temperatures).probabilities


def evaluate_fusion(
    head: Head,
    pools: EncodedPools,
    settings: SynthesisConfig,
    count: int,
    seed: int,
    votes: JointVotes | None = None,
) -> dict[str, Any]:
    """Evaluates a head on synthetic utterances.

    Args:
        head: The head.
        pools: What to draw from; neither the head nor an encoder may have been trained on it.
        settings: How utterances are drawn.
        count: Number of utterances.
        seed: Random seed.
        votes: What people hear, see and judge; adds a mixture.

    Returns:
        The figures of ``classification_figures`` for all three modalities; ``subsets`` and ``late``: those of ``SHORT``
        for each subset, of the head and of the late-fusion average; ``single``: of each modality's own head;
        ``degraded``: for each modality, when it is degraded by noise and not flagged, macro-F1 of the head (``fused``),
        of the late average (``late``) and of the head without that modality (``without``); ``mixtures``, see
        ``multimodal.evaluate.synthetic.mixtures``; ``risk_coverage`` and ``reliability``, see these functions.
    """
    plain = replace(settings, degraded_share=0.0, judged_share=0.0, conflicting_share=0.0)
    inputs, single, labels = synthesize_batch(pools, count, plain, seed)
    subsets, late = {}, {}
    probabilities: Floats = np.zeros((0, 0))
    for subset in SUBSETS:  # the last one is all modalities
        name = subset_name(subset)
        probabilities = head.predict(inputs, subset)
        subsets[name] = _short_figures(probabilities, labels)
        late[name] = _short_figures(late_average([_stack(single, modality) for modality in subset]), labels)
    return {
        **classification_figures(probabilities, labels, FUSED_LABELS),
        "subsets": subsets,
        "late": late,
        "single": {modality: late[modality] for modality in MODALITIES},
        "degraded": {
            modality: _degraded_figures(head, _degrade(pools, modality), plain, count, seed, modality)
            for modality in MODALITIES
        },
        "mixtures": evaluate_mixtures(lambda each: head.predict(each, MODALITIES), pools, count, seed, votes),
        "risk_coverage": risk_coverage(probabilities, labels),
        "reliability": reliability(probabilities, labels),
    }


def _stack(rows: Sequence[Mapping[str, Floats]], modality: str) -> Floats:
    return np.stack([row[modality] for row in rows])


def _short_figures(probabilities: Floats, labels: Any) -> dict[str, Any]:
    figures = classification_figures(probabilities, labels, FUSED_LABELS)
    return {key: figures[key] for key in SHORT}


def _degraded_figures(
    head: Head, degraded: EncodedPools, settings: SynthesisConfig, count: int, seed: int, modality: str
) -> dict[str, float]:
    """Macro-F1 when one modality is degraded and not flagged as such."""
    inputs, single, labels = synthesize_batch(degraded, count, settings, seed)
    others = tuple(name for name in MODALITIES if name != modality)
    rows = {
        "fused": head.predict(inputs, MODALITIES),
        "late": late_average([_stack(single, name) for name in MODALITIES]),
        "without": head.predict(inputs, others),
    }
    return {name: _short_figures(probabilities, labels)["macro_f1"] for name, probabilities in rows.items()}


def _degrade(pools: EncodedPools, modality: str) -> EncodedPools:
    """The same pools with every sample of one modality degraded."""
    if modality == "face":
        return replace(pools, faces=(pools.faces[1],) * 2)
    if modality == "audio":
        return replace(pools, voices=(pools.voices[1],) * 2)
    return replace(pools, texts=(pools.texts[1],) * 2)


def risk_coverage(probabilities: Floats, labels: Any, points: int = 21) -> list[tuple[float, float]]:
    """Accuracy of the most confident predictions, for shares of the predictions from a twentieth to all.

    Args:
        probabilities: ``(n, labels)``.
        labels: ``(n,)`` indices of the true labels.
        points: Number of shares.

    Example:
        >>> rows = np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> risk_coverage(rows, np.array([0, 1]), points=3)
        [(0.5, 1.0), (1.0, 0.5)]
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = np.cumsum(probabilities.argmax(axis=1)[order] == labels[order]) / np.arange(1, len(labels) + 1)
    shares = np.linspace(0, 1, points)[1:]
    return [(round(float(share), 4), float(right[max(round(share * len(labels)), 1) - 1])) for share in shares]


def reliability(probabilities: Floats, labels: Any, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean confidence, accuracy and number of predictions in each bin of confidence that is not empty.

    Args:
        probabilities: ``(n, labels)``.
        labels: ``(n,)`` indices of the true labels.
        bins: Number of bins of equal width.

    Example:
        >>> reliability(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
        [(0.75, 0.75, 4)]
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[places == place].mean()), float(right[places == place].mean()), int((places == place).sum()))
        for place in range(bins)
        if (places == place).any()
    ]


SUBSETS = tuple(subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size))
"""All combinations of modalities, from one to all."""
