"""States of Whisper's encoder for the voice encoder: what a network that was trained for words hears in an utterance.

Whisper reads 30 s at once, but its encoder takes shorter input, and then its time follows the length: an utterance is
encoded by itself, without padding, in about 1 % of its length on one core (padded, as for words, in 0.9 s). The states
of an utterance so depend on nothing but its sound: neither on the words, nor on the utterances around it.

Source: Radford et al. 2022 (arXiv 2212.04356).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

WHISPER_BASE = "whisper-base"
STATE_SIZE = 512
"""Features of a state of Whisper base."""

MEL_HOP = 160
"""Samples per mel frame, at 16 kHz; a state covers two frames."""
STATES_PER_STEP = 4
"""States that are averaged: 12.5 steps a second, as the states of ``ConvBiGRU``."""
LONGEST_SECONDS = 28.0
"""Longer sound is encoded in pieces of this length."""
SHORTEST_SAMPLES = 1600
"""Shorter sound is padded with silence."""


class SpeechEncoder:
    """The encoder of a loaded Whisper base.

    Args:
        model: A ``faster_whisper.WhisperModel`` of Whisper base.
        name: Name of the model in results.
    """

    def __init__(self, model: Any, name: str = WHISPER_BASE) -> None:
        self.model = model
        self.name = name

    def encode(self, samples: NDArray[np.float32]) -> Tensor:
        """Encodes the sound of one utterance.

        Args:
            samples: ``(samples,)`` mono at 16 kHz, -1 … 1.

        Returns:
            ``(steps, 512)`` float16, a row per 80 ms from the first sample; the last may cover less. The number of
            threads does not change it.
        """
        longest = round(LONGEST_SECONDS * 100) * MEL_HOP
        pieces = [samples[start : start + longest] for start in range(0, max(len(samples), 1), longest)]
        return torch.cat([pooled(self._states(piece)) for piece in pieces])

    def _states(self, samples: NDArray[np.float32]) -> Tensor:
        """``(states, 512)`` float32, 50 a second."""
        if len(samples) < SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, SHORTEST_SAMPLES - len(samples)))
        mel = self.model.feature_extractor(samples)[:, : len(samples) // MEL_HOP]
        return torch.from_numpy(np.array(self.model.encode(mel), dtype=np.float32)[0])


def pooled(states: Tensor) -> Tensor:
    """Averages each ``STATES_PER_STEP`` neighbours; the last group may be smaller.

    Args:
        states: ``(states, features)``.

    Returns:
        ``(steps, features)`` float16.

    Example:
        >>> pooled(torch.arange(6.0)[:, None]).flatten().tolist()
        [1.5, 4.5]
    """
    rows = functional.avg_pool1d(states.T[None], STATES_PER_STEP, ceil_mode=True)[0].T
    return rows.contiguous().half()
