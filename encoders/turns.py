"""Reads the turns of a recording in context: the estimate of each turn, corrected by its neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multimodal.encoders.context import OTHER, SAME, UNKNOWN, ContextHead
from multimodal.encoders.text import TextPrediction

FLOOR = 1e-6
"""Smallest probability whose logarithm is read."""

Windows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]


def turn_windows(speakers: Sequence[str | None], linked: Sequence[bool], before: int, after: int) -> Windows:
    """The neighbors of each turn.

    Args:
        speakers: Speaker of each of ``n`` turns; None where unknown.
        linked: Whether each turn continues the conversation of the one before; of the first it is not read.
        before: Number of turns before a turn.
        after: Number of turns after it.

    Returns:
        ``(n, before + 1 + after)`` each: number of the turn (its own where there is none), mark of its speaker, and
        whether it is there.

    Example:
        >>> numbers, marks, mask = turn_windows(["a", "b", "a"], [False, True, False], 1, 1)
        >>> numbers.tolist(), mask.tolist()
        ([[0, 0, 1], [0, 1, 1], [2, 2, 2]], [[False, True, True], [True, True, False], [False, True, False]])
        >>> marks[1].tolist()
        [1, 0, 0]
    """
    count = len(speakers)
    chains = np.cumsum([0, *(not link for link in linked[1:])])[:count]
    wanted = np.arange(count)[:, None] + np.arange(-before, after + 1)[None, :]
    inside = np.clip(wanted, 0, max(count - 1, 0))
    mask = (wanted == inside) & (chains[inside] == chains[:, None])
    numbers = np.where(mask, inside, np.arange(count)[:, None])
    marks = np.array(
        [[_mark(speakers[one], speakers[row]) for one in numbers[row]] for row in range(count)], np.int64
    ).reshape(numbers.shape)
    return numbers, marks, mask


def _mark(neighbor: str | None, speaker: str | None) -> int:
    if neighbor is None or speaker is None:
        return UNKNOWN
    return SAME if neighbor == speaker else OTHER


def log_estimates(predictions: Sequence[TextPrediction]) -> Tensor:
    """Logarithms of the probabilities of the emotions and of the usability labels, side by side.

    Args:
        predictions: ``n`` predictions.

    Returns:
        ``(n, labels + usability labels)`` float32.
    """
    rows = [
        np.concatenate([one.probabilities, *([] if one.usability is None else [one.usability])]) for one in predictions
    ]
    return torch.from_numpy(np.log(np.maximum(np.stack(rows), FLOOR))).float()


@torch.inference_mode()
def read_in_context(
    head: ContextHead,
    predictions: Sequence[TextPrediction],
    speakers: Sequence[str | None],
    linked: Sequence[bool],
) -> list[TextPrediction]:
    """Corrects the estimates of turns by their neighbors, each as much as it is unclear by itself.

    Args:
        head: The context head, in evaluation mode.
        predictions: The estimate of each turn alone, in the order of the conversation.
        speakers: Speaker of each turn; None where unknown.
        linked: Whether each turn continues the conversation of the one before.

    Returns:
        The predictions with other probabilities of emotions and usability labels; a turn without neighbors, scores,
        states and embeddings are unchanged.
    """
    if len(predictions) < 2:
        return list(predictions)
    numbers, marks, mask = turn_windows(speakers, linked, head.before, head.after)
    device = next(head.parameters()).device
    embeddings = torch.from_numpy(np.stack([one.embedding for one in predictions]))
    estimates = log_estimates(predictions)
    parts = (embeddings[numbers], estimates[numbers], torch.from_numpy(marks), torch.from_numpy(mask))
    corrections = head(*(part.to(device) for part in parts)).double().cpu().numpy()
    labels = len(predictions[0].probabilities)
    return [
        prediction
        if not (mask[row].sum() > 1)
        else replace(
            prediction,
            probabilities=_corrected(prediction.probabilities, corrections[row, :labels]),
            usability=None
            if prediction.usability is None
            else _corrected(prediction.usability, corrections[row, labels:]),
        )
        for row, prediction in enumerate(predictions)
    ]


def doubt(probabilities: NDArray[np.float64]) -> float:
    """How unclear an estimate is: its entropy, relative to that of equal probabilities.

    Args:
        probabilities: ``(labels,)``, at least two, summing to 1.

    Returns:
        0 … 1.

    Example:
        >>> doubt(np.array([0.5, 0.5])), doubt(np.array([1.0, 0.0]))
        (1.0, 0.0)
    """
    present = probabilities[probabilities > 0]
    return max(0.0, float(-(present * np.log(present)).sum() / np.log(len(probabilities))))


def _corrected(probabilities: NDArray[np.float64], correction: NDArray[np.float64]) -> NDArray[np.float64]:
    logits = np.log(np.maximum(probabilities, FLOOR)) + doubt(probabilities) * correction
    exponentials = np.exp(logits - logits.max())
    corrected: NDArray[np.float64] = exponentials / exponentials.sum()
    return corrected
