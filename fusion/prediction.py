"""Runs a fusion head over any number of utterances: the one way for inference, training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.alignment import FusionInputs, collate
from multimodal.fusion.consistency import constrain
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.types import MODALITIES

BATCH = 32
"""Most utterances in a batch."""

ROWS = 16_384
"""Most steps, or tokens, in a batch with its padding: 25 MB of states. A longer utterance forms its own batch."""


@dataclass(frozen=True)
class FusionPrediction:
    """Answers of a fusion head, one row per utterance.

    Attributes:
        logits: ``(utterances, labels)`` float64, before calibration and without the rules of ``consistency``.
        probabilities: ``(utterances, labels)`` float64; calibrated and consistent with the modalities, each row sums
            to 1.
        affect: ``(utterances, dimensions)`` float64, -1 … 1: valence, arousal and dominance as far as the head gives
            them.
    """

    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    affect: NDArray[np.float64]


@torch.inference_mode()
def predict(
    network: nn.Module,
    shape: FusionShape,
    utterances: Sequence[FusionInputs],
    temperatures: Mapping[str, float] = MappingProxyType({}),
    default_temperature: float = 1.0,
    labels: Sequence[str] = FUSED_LABELS,
) -> FusionPrediction:
    """Runs a fusion head, with utterances of similar length in one batch; batching does not change an answer.

    Answers of a head that reads the modalities' probabilities keep the rules of ``multimodal.fusion.consistency``.

    Args:
        network: The head, in evaluation mode; it computes where its parameters are.
        shape: The shape of the head.
        utterances: The inputs, in any number and order.
        temperatures: Modalities that are present, as ``face+text``, to what divides the logits then.
        default_temperature: What divides the logits for other combinations.
        labels: Labels of the head, in order.

    Returns:
        The answers, in the order of ``utterances``.

    Example:
        >>> from multimodal.fusion.dual_recurrent import DualRecurrentFusion
        >>> shape = FusionShape(2, audio_size=0, face_size=0, text_size=4)
        >>> utterance = FusionInputs(np.zeros(0), text=np.ones((3, 4)), log_probabilities={"text": np.log([0.8, 0.2])})
        >>> network = DualRecurrentFusion(shape).eval()
        >>> predict(network, shape, [utterance], labels=("anger", "fear")).probabilities.round(2).tolist()
        [[0.8, 0.2]]
    """
    device = next(network.parameters()).device
    logits = np.zeros((len(utterances), shape.labels))
    affect = np.zeros((len(utterances), shape.dimensions))
    for rows in _batches([_length(each) for each in utterances]):
        output = network(collate([utterances[row] for row in rows], shape.sizes, shape.labels).to(device))
        logits[rows] = output.logits.double().cpu().numpy()
        affect[rows] = output.affect.double().clamp(-1.0, 1.0).cpu().numpy()
    divisors = [temperature_for(each.modalities, temperatures, default_temperature) for each in utterances]
    probabilities = softmax(logits, np.array(divisors).reshape(-1, 1))
    if shape.log_probabilities and utterances:
        neutral = labels.index("neutral") if "neutral" in labels else None
        probabilities = constrain(probabilities, *_signals(utterances, shape.labels), neutral)
    return FusionPrediction(logits, probabilities, affect)


def _signals(utterances: Sequence[FusionInputs], labels: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities of the modalities ``(utterances, 3, labels)``, and which are present ``(utterances, 3)``."""
    rows = np.zeros((len(utterances), len(MODALITIES), labels))
    present = np.zeros(rows.shape[:2], bool)
    for index, utterance in enumerate(utterances):
        for name, values in utterance.log_probabilities.items():
            powers = np.exp(np.asarray(values, np.float64))
            rows[index, MODALITIES.index(name)] = powers / powers.sum()
            present[index, MODALITIES.index(name)] = True
    return rows, present


def temperature_for(modalities: Sequence[str], temperatures: Mapping[str, float], default: float = 1.0) -> float:
    """Chooses the temperature for the modalities that are present.

    Args:
        modalities: Those present, in any order.
        temperatures: Combination of modalities, as ``subset_name`` names it, to its temperature.
        default: The temperature of other combinations.

    Returns:
        What divides the logits.

    Example:
        >>> temperature_for(["text", "face"], {"face+text": 1.2}, 1.5), temperature_for(["text"], {}, 1.5)
        (1.2, 1.5)
    """
    return temperatures.get(subset_name([name for name in MODALITIES if name in modalities]), default)


def subset_name(modalities: Sequence[str]) -> str:
    """Names a combination of modalities, as in model cards and tables.

    Args:
        modalities: Names of modalities.

    Example:
        >>> subset_name(("face", "text"))
        'face+text'
    """
    return "+".join(modalities)


def softmax(logits: NDArray[np.float64], temperature: Any = 1.0) -> NDArray[np.float64]:
    """Turns logits into probabilities.

    Args:
        logits: ``(utterances, labels)``.
        temperature: Divides the logits: a number, or ``(utterances, 1)``.

    Returns:
        ``(utterances, labels)``; each row sums to 1.

    Example:
        >>> softmax(np.log([[0.9, 0.1]]), 2.0).round(2).tolist()
        [[0.75, 0.25]]
    """
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    rows: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return rows


def _length(utterance: FusionInputs) -> int:
    """Rows of the longer stream."""
    return max(len(utterance.times), 0 if utterance.text is None else len(utterance.text))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of utterances of similar length, at most ``BATCH`` utterances and ``ROWS`` rows at a time."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == BATCH or (len(batch) + 1) * lengths[index] > ROWS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
