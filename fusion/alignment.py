"""Inputs of the fusion head for one utterance: three clocks on one grid, with masks for absent modalities.

Pure functions. The grid is that of the audio states, 12.5 a second; without audio, steps of that length run from the
start of the utterance to its end. A face embedding belongs to the steps at the time of its observation; token
states keep the order of the words and have no times.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multimodal.data.emotions import FUSED_LABELS
from multimodal.types import MODALITIES

Floats = NDArray[np.floating[Any]]

STEP_SECONDS = 0.08
"""Length of a step: 12.5 a second, the rate of the shipped voice encoder's states."""

MOST_STEPS = 1_000
"""Utterances longer than 80 s get longer steps, not more: a transcript may contain one that lasts an hour."""

LEAST_PROBABILITY = 1e-3
"""Lower bound of a modality's probabilities in a head's inputs: no modality alone may rule an emotion out."""

SMALLEST = 1e-300
"""Stands for a probability of 0 where its logarithm is stored."""


@dataclass(frozen=True)
class FusionInputs:
    """The inputs of the fusion head for one utterance. An absent modality is None and has no log-probabilities.

    Attributes:
        times: ``(steps,)`` seconds, rising: the middle of each step.
        audio: ``(steps, features)`` float32 states of the audio encoder.
        face: ``(steps, features)`` float32 face embedding of the same time; rows without one are never read.
        face_mask: ``(steps,)`` bool: the steps at which the face was observed.
        text: ``(tokens, features)`` float32 states of the text encoder, in the order of the words.
        log_probabilities: Modality to ``(labels,)`` float64 logarithms of the calibrated probabilities of its own head.

    Raises:
        ValueError: Lengths differ, times do not rise, or an absent modality has log-probabilities.
    """

    times: Floats
    audio: Floats | None = None
    face: Floats | None = None
    face_mask: NDArray[np.bool_] | None = None
    text: Floats | None = None
    log_probabilities: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("audio", "face", "face_mask"):
            rows = getattr(self, name)
            if rows is not None and len(rows) != len(self.times):
                raise ValueError(f"{name} has {len(rows)} rows for {len(self.times)} steps")
        if (self.face is None) != (self.face_mask is None):
            raise ValueError("face and face_mask must be given together")
        if len(self.times) > 1 and not (np.diff(self.times) > 0).all():
            raise ValueError("times must rise")
        absent = [name for name in self.log_probabilities if getattr(self, name) is None]
        if absent:
            raise ValueError(f"log-probabilities of {absent[0]}, which is absent")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The present modalities, in the order of ``MODALITIES``."""
        return tuple(name for name in MODALITIES if getattr(self, name) is not None)

    def only(self, modalities: Collection[str]) -> FusionInputs:
        """The same utterance without the other modalities.

        Args:
            modalities: Modalities to keep.

        Returns:
            The reduced inputs.
        """
        absent: dict[str, Any] = {name: None for name in MODALITIES if name not in modalities}
        if "face" not in modalities:
            absent["face_mask"] = None
        rows = {name: row for name, row in self.log_probabilities.items() if name in modalities}
        return replace(self, **absent, log_probabilities=rows)


def grid(start_seconds: float, end_seconds: float, step_seconds: float = STEP_SECONDS) -> Floats:
    """Divides an interval into equal steps.

    Args:
        start_seconds: Start of the interval.
        end_seconds: Its end, not before the start.
        step_seconds: Approximate length of a step; longer where there would be more than ``MOST_STEPS``.

    Returns:
        ``(steps,)`` float64: the middle of each step; at least one, at most ``MOST_STEPS``.

    Example:
        >>> grid(1.0, 1.4, 0.1).round(2).tolist()
        [1.05, 1.15, 1.25, 1.35]
    """
    count = min(max(round((end_seconds - start_seconds) / step_seconds), 1), MOST_STEPS)
    return start_seconds + (np.arange(count) + 0.5) * (end_seconds - start_seconds) / count


def pool(times: Floats, states: Floats, step_seconds: float = STEP_SECONDS) -> tuple[Floats, Floats]:
    """Averages states that are denser than the grid, so that at most one falls on each step.

    Args:
        times: ``(states,)`` seconds, evenly spaced.
        states: ``(states, features)``.
        step_seconds: Length of a step of the grid.

    Returns:
        ``(steps,)`` times and ``(steps, features)`` states: the mean of as many neighbors as fit into a step.

    Example:
        >>> pooled = pool(np.arange(4) * 0.04, np.array([[1.0], [3.0], [5.0], [7.0]]))
        >>> pooled[0].round(2).tolist(), pooled[1].tolist()
        ([0.02, 0.1], [[2.0], [6.0]])
    """
    if len(times) < 2:
        return times, states
    spacing = (times[-1] - times[0]) / (len(times) - 1)
    group = max(round(step_seconds / spacing), -(-len(times) // MOST_STEPS), 1)
    if group == 1:
        return times, states
    starts = np.arange(0, len(times), group)
    sizes = np.diff([*starts, len(times)])
    return np.add.reduceat(times, starts) / sizes, np.add.reduceat(states, starts) / sizes[:, None]


def nearest(
    times: Floats, observation_times: Floats, tolerance_seconds: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Finds the observation nearest in time to each step.

    Args:
        times: ``(steps,)`` seconds.
        observation_times: ``(observations,)`` seconds, rising.
        tolerance_seconds: Largest distance of an observation from the step: half a sampling interval, so that a frame
            without the face leaves a gap.

    Returns:
        ``(steps,)`` index of the nearest observation, 0 where there is none, and ``(steps,)`` bool: whether it is near
        enough.

    Example:
        >>> nearest(np.array([0.0, 0.1, 0.5]), np.array([0.08, 0.2]), 0.1)[1].tolist()
        [True, True, False]
    """
    if not len(observation_times):
        return np.zeros(len(times), np.int64), np.zeros(len(times), bool)
    right = np.searchsorted(observation_times, times).clip(0, len(observation_times) - 1)
    left = (right - 1).clip(0)
    distances = [np.abs(observation_times[side] - times) for side in (left, right)]
    indices = np.where(distances[0] <= distances[1], left, right)
    # A rounding error must not decide at the very edge.
    return indices, np.minimum(*distances) <= tolerance_seconds + 1e-9


def face_on_grid(
    times: Floats, observation_times: Floats, embeddings: Floats, tolerance_seconds: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Puts the embeddings of one face onto a grid.

    Args:
        times: ``(steps,)`` seconds of the grid.
        observation_times: ``(observations,)`` seconds, in any order.
        embeddings: ``(observations, features)``.
        tolerance_seconds: See ``nearest``.

    Returns:
        ``(steps, features)``, zero where the face was not observed, and the mask.

    Example:
        >>> face_on_grid(np.array([0.0, 1.0]), np.array([1.02]), np.ones((1, 2)), 0.1)[0].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    order = np.argsort(observation_times, kind="stable")
    indices, mask = nearest(times, observation_times[order], tolerance_seconds)
    rows = np.zeros((len(times), embeddings.shape[1]), embeddings.dtype)
    rows[mask] = embeddings[order[indices[mask]]]
    return rows, mask


def log_probabilities(probabilities: Mapping[str, float], labels: Sequence[str]) -> Floats:
    """Logarithms of a modality's probabilities, as inputs of the fusion head.

    Args:
        probabilities: Probabilities of the modality, in its own labels.
        labels: The labels of the result; their probabilities are scaled to sum to 1.

    Returns:
        ``(labels,)`` float64 logarithms; of ``SMALLEST`` instead of 0.

    Example:
        >>> np.exp(log_probabilities({"anger": 0.4, "fear": 0.4, "contempt": 0.2}, ("anger", "fear"))).round(2).tolist()
        [0.5, 0.5]
    """
    values = np.array([probabilities[label] for label in labels], np.float64)
    total = values.sum()
    shares = values / total if total > 0 else np.full(len(values), 1 / len(values))
    logarithms: Floats = np.log(shares.clip(min=SMALLEST))
    return logarithms


def tolerance_seconds(frame_times: Floats) -> float:
    """Largest distance in time at which a sampled frame represents a step of the grid.

    Args:
        frame_times: ``(frames,)`` seconds of all sampled frames, rising.

    Returns:
        Half the median distance of neighbors; half a step of the grid for fewer than two frames.

    Example:
        >>> tolerance_seconds(np.array([0.0, 0.2, 0.4, 1.0]))
        0.1
    """
    return float(np.median(np.diff(frame_times))) / 2 if len(frame_times) > 1 else STEP_SECONDS / 2


def build_inputs(
    start_seconds: float,
    end_seconds: float,
    probabilities: Mapping[str, Mapping[str, float]],
    *,
    audio: tuple[Floats, Floats] | None = None,
    face: tuple[Floats, Floats] | None = None,
    tolerance_seconds: float = STEP_SECONDS / 2,
    text: Floats | None = None,
    labels: Sequence[str] = FUSED_LABELS,
) -> FusionInputs:
    """Puts the states of one utterance onto one grid.

    A modality is present if ``probabilities`` names it; otherwise its states are not read. The grid is that of the
    audio states, pooled where they are denser; without audio it runs from start to end. A face that was scored at no
    time of the grid (silence at the ends is not in the audio states) is still present: its log-probabilities count, and
    its mask is false throughout.

    Args:
        start_seconds: Start of the utterance.
        end_seconds: Its end.
        probabilities: Present modality to the calibrated probabilities of its own head, in its own labels.
        audio: ``(states,)`` rising seconds and ``(states, features)`` of the audio encoder; required if present.
        face: ``(observations,)`` seconds, in any order, and ``(observations, features)`` embeddings of the utterance's
            face; required if present, may be empty.
        tolerance_seconds: See ``tolerance_seconds``.
        text: ``(tokens, features)`` of the text encoder, in the order of the words; required if present.
        labels: Labels of the log-probabilities.

    Returns:
        The inputs of the head.

    Raises:
        ValueError: A present modality has no states.

    Example:
        >>> estimates = {"audio": {"anger": 0.8, "fear": 0.2}, "face": {"anger": 0.3, "fear": 0.6, "contempt": 0.1}}
        >>> audio = np.array([0.1, 0.2]), np.ones((2, 3))
        >>> face = np.array([0.19]), np.ones((1, 4))
        >>> inputs = build_inputs(0.0, 0.5, estimates, audio=audio, face=face, labels=("anger", "fear"))
        >>> inputs.modalities, inputs.face_mask.tolist()
        (('face', 'audio'), [False, True])
    """
    states = {"face": face, "audio": audio, "text": text}
    missing = [name for name in probabilities if states[name] is None]
    if missing:
        raise ValueError(f"{missing[0]} has probabilities and no states")
    times, audio_rows = grid(start_seconds, end_seconds), None
    if audio is not None and "audio" in probabilities:
        times, audio_rows = pool(*audio)
    face_rows, mask = None, None
    if face is not None and "face" in probabilities:
        face_rows, mask = face_on_grid(times, *face, tolerance_seconds)
    rows = {name: log_probabilities(probabilities[name], labels) for name in MODALITIES if name in probabilities}
    return FusionInputs(times, audio_rows, face_rows, mask, text if "text" in probabilities else None, rows)


class FusionBatch(NamedTuple):
    """A padded batch of utterances; padding and absent modalities are 0 and never read.

    Attributes:
        audio: ``(batch, steps, features)`` float32.
        face: ``(batch, steps, features)`` float32.
        face_mask: ``(batch, steps)`` bool.
        steps: ``(batch,)`` int64: steps of the nonverbal stream; 0 without audio and face.
        text: ``(batch, tokens, features)`` float32.
        tokens: ``(batch,)`` int64; 0 without text.
        log_probabilities: ``(batch, 3, labels)`` float32, in the order of ``MODALITIES``.
        present: ``(batch, 3)`` bool, in the same order.
    """

    audio: Tensor
    face: Tensor
    face_mask: Tensor
    steps: Tensor
    text: Tensor
    tokens: Tensor
    log_probabilities: Tensor
    present: Tensor

    def to(self, device: torch.device | str) -> FusionBatch:
        """The same on another device.

        Args:
            device: The device.

        Returns:
            The moved batch.
        """
        return FusionBatch(*(tensor.to(device) for tensor in self))


def collate(utterances: Sequence[FusionInputs], sizes: Mapping[str, int], labels: int) -> FusionBatch:
    """Puts utterances into one batch.

    Args:
        utterances: At least one.
        sizes: Modality to its number of features.
        labels: Number of labels of the log-probabilities.

    Returns:
        The batch, on the CPU.

    Example:
        >>> inputs = FusionInputs(np.zeros(0), text=np.ones((3, 4)), log_probabilities={"text": np.zeros(2)})
        >>> batch = collate([inputs], {"face": 5, "audio": 6, "text": 4}, labels=2)
        >>> batch.steps.tolist(), batch.tokens.tolist(), batch.present.tolist()
        ([0], [3], [[False, False, True]])
    """
    nonverbal = [len(each.times) if each.audio is not None or each.face is not None else 0 for each in utterances]
    audio = [_rows(each.audio, count, sizes["audio"]) for each, count in zip(utterances, nonverbal, strict=True)]
    faces = [_rows(each.face, count, sizes["face"]) for each, count in zip(utterances, nonverbal, strict=True)]
    masks = [
        torch.zeros(count, dtype=torch.bool) if each.face_mask is None else torch.from_numpy(each.face_mask)
        for each, count in zip(utterances, nonverbal, strict=True)
    ]
    text = [_rows(each.text, 0, sizes["text"]) for each in utterances]
    logarithms = torch.zeros(len(utterances), len(MODALITIES), labels)
    lowest = float(np.log(LEAST_PROBABILITY))
    for row, each in zip(logarithms, utterances, strict=True):
        for name, values in each.log_probabilities.items():
            row[MODALITIES.index(name)] = torch.as_tensor(values, dtype=torch.float32).clamp(min=lowest)
    return FusionBatch(
        audio=pad_sequence(audio, batch_first=True),
        face=pad_sequence(faces, batch_first=True),
        face_mask=pad_sequence(masks, batch_first=True),
        steps=torch.tensor(nonverbal),
        text=pad_sequence(text, batch_first=True),
        tokens=torch.tensor([len(rows) for rows in text]),
        log_probabilities=logarithms,
        present=torch.tensor([[name in each.modalities for name in MODALITIES] for each in utterances]),
    )


def _rows(states: Floats | None, count: int, size: int) -> Tensor:
    """States as a tensor; ``(count, size)`` zeros for an absent modality."""
    return torch.zeros(count, size) if states is None else torch.as_tensor(states, dtype=torch.float32)
