"""Judges the fusion head on composed utterances: every subset of signals, each beside the late-fusion average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from torch import nn

from multimodal.data.corpora.synthetic import SynthesisConfig, synthesize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.evaluate.metrics import classification_figures
from multimodal.evaluate.synthetic_features import EncodedPools
from multimodal.fusion.alignment import Floats, FusionInputs
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.late import late_average
from multimodal.fusion.prediction import predict, subset_name
from multimodal.types import MODALITIES

SHORT = ("macro_f1", "accuracy", "balanced_accuracy", "ece", "nll", "n")
"""What is said of each subset; of all signals together there is more."""

SyntheticBatch = tuple[list[FusionInputs], list[dict[str, Floats]], Any]


def synthesize_batch(parts: EncodedPools, count: int, settings: SynthesisConfig, seed: int) -> SyntheticBatch:
    """Composes utterances: their streams, each signal's own answers, and the right answers ``(count,)``."""
    recipes = list(synthesize(parts.pools, count, settings, seed))
    pairs = [parts.streams(recipe) for recipe in recipes]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], np.array([recipe.label for recipe in recipes])


@dataclass(frozen=True)
class Head:
    """A fusion head, ready to be judged.

    Attributes:
        network: In evaluation mode.
        shape: Its shape.
        temperatures: Subset of signals to what divides its logits; 1 where it is not named.
    """

    network: nn.Module
    shape: FusionShape
    temperatures: Mapping[str, float]

    def answers(self, streams: Sequence[FusionInputs], subset: Sequence[str]) -> Floats:
        """Calibrated probabilities ``(utterances, 7)``, as if only some of the signals had been there."""
        utterances = [each.only(subset) for each in streams]
        return predict(self.network, self.shape, utterances, self.temperatures).probabilities


def evaluate_fusion(
    head: Head, parts: EncodedPools, settings: SynthesisConfig, count: int, seed: int
) -> dict[str, Any]:
    """Judges a head on composed utterances.

    Args:
        head: The head.
        parts: What to compose of: nothing that the head or an encoder was trained on.
        settings: How utterances are composed.
        count: How many.
        seed: Of the composition.

    Returns:
        Of all three signals the figures of ``classification_figures``; ``subsets``, ``late``: for each subset those of
        ``SHORT``, of the head and of the late-fusion average; ``single``: of each signal's own head; ``degraded``:
        for each signal, when it is buried in noise, macro-F1 of the head (``fused``), of the late average and of the
        head without that signal (``without``); ``risk_coverage`` and ``reliability``, see there.
    """
    streams, answers, labels = synthesize_batch(parts, count, replace(settings, degraded_share=0.0), seed)
    subsets, late = {}, {}
    whole: Floats = np.zeros((0, 0))
    for subset in SUBSETS:
        name = subset_name(subset)
        whole = head.answers(streams, subset)
        subsets[name] = _short(whole, labels)
        late[name] = _short(late_average([_stack(answers, modality) for modality in subset]), labels)
    return {
        **classification_figures(whole, labels, FUSED_LABELS),
        "subsets": subsets,
        "late": late,
        "single": {modality: late[modality] for modality in MODALITIES},
        "corrupted": {
            modality: _degrade(head, _degraded_figures(parts, modality), settings, count, seed, modality)
            for modality in MODALITIES
        },
        "risk_coverage": risk_coverage(whole, labels),
        "reliability": reliability(whole, labels),
    }


def _stack(answers: Sequence[Mapping[str, Floats]], modality: str) -> Floats:
    return np.stack([each[modality] for each in answers])


def _short(probabilities: Floats, labels: Any) -> dict[str, Any]:
    figures = classification_figures(probabilities, labels, FUSED_LABELS)
    return {key: figures[key] for key in SHORT}


def _degrade(
    head: Head, buried: EncodedPools, settings: SynthesisConfig, count: int, seed: int, modality: str
) -> dict[str, float]:
    """What is left when one signal is buried in noise, and nobody says so."""
    streams, answers, labels = synthesize_batch(buried, count, replace(settings, degraded_share=0.0), seed)
    others = tuple(name for name in MODALITIES if name != modality)
    rows = {
        "fused": head.answers(streams, MODALITIES),
        "late": late_average([_stack(answers, name) for name in MODALITIES]),
        "without": head.answers(streams, others),
    }
    return {name: _short(probabilities, labels)["macro_f1"] for name, probabilities in rows.items()}


def _degraded_figures(parts: EncodedPools, modality: str) -> EncodedPools:
    """The same corpora with one of them buried throughout."""
    if modality == "face":
        return replace(parts, faces=(parts.faces[1],) * 2)
    if modality == "audio":
        return replace(parts, voices=(parts.voices[1],) * 2)
    return replace(parts, texts=(parts.texts[1],) * 2)


def risk_coverage(probabilities: Floats, labels: Any, points: int = 21) -> list[tuple[float, float]]:
    """Accuracy among the surest answers, for shares of the answers from a twentieth to all.

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
    """Mean confidence, share of right answers and number of answers, for each bin of confidence that holds any.

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
"""All combinations of signals, from one to all."""
