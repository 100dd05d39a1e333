"""What the fusion head reads of one utterance: three clocks on one grid, with masks for what is absent.

Pure functions. The grid is that of the voice's states, 12.5 a second; where no voice was heard, steps of that length
run from the start of the utterance to its end. A face stands at the steps whose instant it was seen at; token states
keep the order of the words and have no clock.
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
"""Utterances longer than 80 s get longer steps instead of more: a transcript may state one that lasts an hour."""

LEAST_PROBABILITY = 1e-3
"""A signal's own probabilities below this count as this: no signal alone may rule an emotion out."""


@dataclass(frozen=True)
class FusionInputs:
    """One utterance as the fusion head reads it. An absent modality is None and has no log-probabilities.

    Attributes:
        times: ``(steps,)`` seconds, rising: the middle of each step.
        audio: ``(steps, features)`` float32 states of the audio encoder.
        face: ``(steps, features)`` float32 face embedding of the same instant; rows without one are never read.
        face_mask: ``(steps,)`` bool: at which steps the face was seen.
        text: ``(tokens, features)`` float32 states of the text encoder, in the order of the words.
        log_probabilities: Signal to ``(labels,)`` logarithms of the calibrated probabilities of its own head.

    Raises:
        ValueError: Lengths that differ, times that run backwards, or evidence for a signal that is not there.
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
            raise ValueError("face and face_mask come together")
        if len(self.times) > 1 and not (np.diff(self.times) > 0).all():
            raise ValueError("times must rise")
        foreign = [name for name in self.log_probabilities if getattr(self, name) is None]
        if foreign:
            raise ValueError(f"evidence for {foreign[0]}, which is not there")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The signals that are there, in the order of ``MODALITIES``."""
        return tuple(name for name in MODALITIES if getattr(self, name) is not None)

    def only(self, modalities: Collection[str]) -> FusionInputs:
        """The same utterance as if the other signals had not been there."""
        absent: dict[str, Any] = {name: None for name in MODALITIES if name not in modalities}
        if "face" not in modalities:
            absent["face_mask"] = None
        kept = {name: rows for name, rows in self.log_probabilities.items() if name in modalities}
        return replace(self, **absent, log_probabilities=kept)


def grid(start_seconds: float, end_seconds: float, step_seconds: float = STEP_SECONDS) -> Floats:
    """Middles of equal steps over a stretch.

    Args:
        start_seconds: First moment.
        end_seconds: End, not before the start.
        step_seconds: Wanted length; the steps are fitted to the stretch, and longer where there would be too many.

    Returns:
        ``(steps,)`` float64 inside the stretch; at least one step, at most ``MOST_STEPS``.

    Example:
        >>> grid(1.0, 1.4, 0.1).round(2).tolist()
        [1.05, 1.15, 1.25, 1.35]
    """
    count = min(max(round((end_seconds - start_seconds) / step_seconds), 1), MOST_STEPS)
    return start_seconds + (np.arange(count) + 0.5) * (end_seconds - start_seconds) / count


def pool(times: Floats, states: Floats, step_seconds: float = STEP_SECONDS) -> tuple[Floats, Floats]:
    """Averages states that come faster than the grid, so that no more than one falls on a step.

    Args:
        times: ``(states,)`` seconds, evenly spaced.
        states: ``(states, features)``.
        step_seconds: Length of a step of the grid.

    Returns:
        ``(steps,)`` and ``(steps, features)``: each the mean of as many neighbors as fit into a step.

    Example:
        >>> pooled = pool(np.arange(4) * 0.04, np.array([[1.0], [3.0], [5.0], [7.0]]))
        >>> pooled[0].round(2).tolist(), pooled[1].tolist()
        ([0.02, 0.1], [[2.0], [6.0]])
    """
    if len(times) < 2:
        return times, states
    spacing = (times[-1] - times[0]) / (len(times) - 1)
    together = max(round(step_seconds / spacing), -(-len(times) // MOST_STEPS), 1)
    if together == 1:
        return times, states
    starts = np.arange(0, len(times), together)
    sizes = np.diff([*starts, len(times)])
    return np.add.reduceat(times, starts) / sizes, np.add.reduceat(states, starts) / sizes[:, None]


def nearest(times: Floats, seen: Floats, within_seconds: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each step the observation nearest in time, if one is near enough.

    Args:
        times: ``(steps,)`` seconds.
        seen: ``(observations,)`` seconds, rising.
        within_seconds: How far an observation may be from the step: half a sampling interval, so that a frame in which
            the face was not found leaves a hole.

    Returns:
        ``(steps,)`` index of the nearest observation, 0 where there is none, and ``(steps,)`` bool: whether it counts.

    Example:
        >>> nearest(np.array([0.0, 0.1, 0.5]), np.array([0.08, 0.2]), 0.1)[1].tolist()
        [True, True, False]
    """
    if not len(seen):
        return np.zeros(len(times), np.int64), np.zeros(len(times), bool)
    right = np.searchsorted(seen, times).clip(0, len(seen) - 1)
    left = (right - 1).clip(0)
    found = np.where(np.abs(seen[left] - times) <= np.abs(seen[right] - times), left, right)
    # A rounding error must not decide at the very edge.
    return found, np.abs(seen[found] - times) <= within_seconds + 1e-9


def face_on_grid(
    times: Floats, seen: Floats, embeddings: Floats, within_seconds: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Puts the embeddings of one face onto a grid.

    Args:
        times: ``(steps,)`` seconds of the grid.
        seen: ``(observations,)`` seconds, in any order.
        embeddings: ``(observations, features)``.
        within_seconds: See ``nearest``.

    Returns:
        ``(steps, features)``, zero where no face was seen, and the mask.

    Example:
        >>> face_on_grid(np.array([0.0, 1.0]), np.array([1.02]), np.ones((1, 2)), 0.1)[0].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    order = np.argsort(seen, kind="stable")
    found, mask = nearest(times, seen[order], within_seconds)
    shown = np.zeros((len(times), embeddings.shape[1]), embeddings.dtype)
    shown[mask] = embeddings[order[found[mask]]]
    return shown, mask


def log_probabilities(probabilities: Mapping[str, float], labels: Sequence[str]) -> Floats:
    """What a signal's own head says, as the fusion head reads it.

    Args:
        probabilities: Of the signal, in labels of its own.
        labels: Those to keep; their probabilities are scaled to sum to 1.

    Returns:
        ``(labels,)`` float32 logarithms, none below that of ``LEAST_PROBABILITY``.

    Example:
        >>> np.exp(log_probabilities({"anger": 0.4, "fear": 0.4, "contempt": 0.2}, ("anger", "fear"))).round(2).tolist()
        [0.5, 0.5]
    """
    kept = np.array([probabilities[label] for label in labels], np.float64)
    total = kept.sum()
    shares = kept / total if total > 0 else np.full(len(kept), 1 / len(kept))
    logarithms: Floats = np.log(shares.clip(min=LEAST_PROBABILITY)).astype(np.float32)
    return logarithms


def tolerance_seconds(frame_times: Floats) -> float:
    """How far from an instant a frame may lie that stands for it.

    Args:
        frame_times: ``(frames,)`` seconds of all sampled frames, rising.

    Returns:
        Half the median distance of neighbors; half a step of the grid where there are not two frames.

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
    """Puts what is known of one utterance onto one grid.

    A signal is there if ``probabilities`` names it, and otherwise its states are not read. The grid is that of the
    voice, pooled where it is faster; without a voice it runs from start to end. A face that was judged, but at no
    instant of the grid (silence at the ends is not in the voice's), is still there: it counts by its evidence, and its
    mask is false throughout.

    Args:
        start_seconds: Start of the utterance.
        end_seconds: Its end.
        probabilities: Signal that is there to the calibrated probabilities of its own head, in labels of its own.
        audio: ``(states,)`` rising seconds and ``(states, features)`` of the audio encoder; needed with a voice.
        face: ``(observations,)`` seconds, in any order, and ``(observations, features)`` embeddings of the utterance's
            own face; needed with a face, also ``(0, features)``.
        tolerance_seconds: See ``tolerance_seconds``.
        text: ``(tokens, features)`` of the text encoder, in the order of the words; needed with words.
        labels: Of the evidence.

    Returns:
        What the head reads.

    Raises:
        ValueError: A signal without states.

    Example:
        >>> said = {"audio": {"anger": 0.8, "fear": 0.2}, "face": {"anger": 0.3, "fear": 0.6, "contempt": 0.1}}
        >>> heard = np.array([0.1, 0.2]), np.ones((2, 3))
        >>> seen = np.array([0.19]), np.ones((1, 4))
        >>> streams = build_inputs(0.0, 0.5, said, audio=heard, face=seen, labels=("anger", "fear"))
        >>> streams.modalities, streams.face_mask.tolist()
        (('face', 'audio'), [False, True])
    """
    given = {"face": face, "audio": audio, "text": text}
    states = {name: given[name] for name in probabilities}
    lacking = [name for name, found in states.items() if found is None]
    if lacking:
        raise ValueError(f"{lacking[0]} has probabilities and no states")
    times, heard = grid(start_seconds, end_seconds), None
    if audio is not None and "audio" in states:
        times, heard = pool(*audio)
    seen, mask = face_on_grid(times, *face, tolerance_seconds) if face and "face" in states else (None, None)
    known = {name: log_probabilities(probabilities[name], labels) for name in MODALITIES if name in states}
    return FusionInputs(times, heard, seen, mask, text if "text" in states else None, known)


class FusionBatch(NamedTuple):
    """Utterances side by side; what lies beyond an utterance's end, or is absent, is 0 and never read.

    Attributes:
        audio: ``(batch, steps, features)`` float32.
        face: ``(batch, steps, features)`` float32.
        face_mask: ``(batch, steps)`` bool.
        steps: ``(batch,)`` int64: steps of the nonverbal stream; 0 where neither voice nor face is there.
        text: ``(batch, tokens, features)`` float32.
        tokens: ``(batch,)`` int64; 0 where there are no words.
        log_probabilities: ``(batch, 3, labels)`` float32, in the order of ``MODALITIES``.
        present: ``(batch, 3)`` bool, likewise.
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
        """The same on another device."""
        return FusionBatch(*(tensor.to(device) for tensor in self))


def collate(utterances: Sequence[FusionInputs], sizes: Mapping[str, int], labels: int) -> FusionBatch:
    """Puts utterances into one batch.

    Args:
        utterances: At least one.
        sizes: Signal to the number of its features.
        labels: Length of each signal's evidence.

    Returns:
        The batch, on the CPU.

    Example:
        >>> said = FusionInputs(np.zeros(0), text=np.ones((3, 4)), log_probabilities={"text": np.zeros(2)})
        >>> batch = collate([said], {"face": 5, "audio": 6, "text": 4}, labels=2)
        >>> batch.steps.tolist(), batch.tokens.tolist(), batch.present.tolist()
        ([0], [3], [[False, False, True]])
    """
    nonverbal = [len(each.times) if each.audio is not None or each.face is not None else 0 for each in utterances]
    voices = [_rows(each.audio, count, sizes["audio"]) for each, count in zip(utterances, nonverbal, strict=True)]
    faces = [_rows(each.face, count, sizes["face"]) for each, count in zip(utterances, nonverbal, strict=True)]
    masks = [
        torch.zeros(count, dtype=torch.bool) if each.face_mask is None else torch.from_numpy(each.face_mask)
        for each, count in zip(utterances, nonverbal, strict=True)
    ]
    words = [_rows(each.text, 0, sizes["text"]) for each in utterances]
    heard = torch.zeros(len(utterances), len(MODALITIES), labels)
    for row, each in zip(heard, utterances, strict=True):
        for name, values in each.log_probabilities.items():
            row[MODALITIES.index(name)] = torch.as_tensor(values, dtype=torch.float32)
    return FusionBatch(
        audio=pad_sequence(voices, batch_first=True),
        face=pad_sequence(faces, batch_first=True),
        face_mask=pad_sequence(masks, batch_first=True),
        steps=torch.tensor(nonverbal),
        text=pad_sequence(words, batch_first=True),
        tokens=torch.tensor([len(rows) for rows in words]),
        log_probabilities=heard,
        present=torch.tensor([[name in each.modalities for name in MODALITIES] for each in utterances]),
    )


def _rows(states: Floats | None, count: int, size: int) -> Tensor:
    """``(count, size)`` of zeros where the signal is absent."""
    return torch.zeros(count, size) if states is None else torch.as_tensor(states, dtype=torch.float32)
