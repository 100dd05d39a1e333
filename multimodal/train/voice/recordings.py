"""Simulated recordings: what else the speaker of a training clip says, from which its features are normalized.

A corpus of acted speech has all emotions of a speaker in equal parts; an interview may be annoyed throughout, or calm
but for a minute. So each drawn clip gets a recording of its speaker with a mixture of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Generator, Tensor

from multimodal.errors import ConfigError
from multimodal.evaluate.voice_recordings import NEUTRAL_SHARE


@dataclass(frozen=True)
class RecordingShares:
    """How often each kind of recording is simulated; the shares add up to 1.

    The kinds are those of ``multimodal.evaluate.voice_recordings.CONDITIONS``.

    Attributes:
        balanced: Clips of all labels.
        one_emotion: Clips of the same label.
        mostly_neutral: Among neutral clips.
        alone: The clip by itself.

    Raises:
        ConfigError: A share is below 0, or their sum is not 1.
    """

    balanced: float = 0.3
    one_emotion: float = 0.3
    mostly_neutral: float = 0.2
    alone: float = 0.2

    def __post_init__(self) -> None:
        shares = [getattr(self, each.name) for each in fields(self)]
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            fact = f"are {', '.join(f'{share:g}' for share in shares)}"
            raise ConfigError("sampling.recordings", fact, "give shares from 0 that add up to 1")


class SimulatedRecordings:
    """Draws recordings.

    Args:
        speakers: Speaker of each clip.
        targets: Label of each clip.
        neutral: The neutral labels.
        shares: How often each kind is drawn.

    Attributes:
        by_speaker: Speaker to the indices of the clips.
    """

    def __init__(
        self, speakers: Sequence[str], targets: Sequence[int], neutral: Sequence[int], shares: RecordingShares
    ) -> None:
        self.shares = shares
        groups: dict[str, list[int]] = {}
        for index, speaker in enumerate(speakers):
            groups.setdefault(speaker, []).append(index)
        self.by_speaker = {speaker: torch.tensor(indices) for speaker, indices in groups.items()}
        self._speakers, self._targets = list(speakers), torch.tensor(list(targets))
        self._is_neutral = torch.isin(self._targets, torch.tensor(list(neutral), dtype=torch.int64))

    def draw(self, index: int, draws: Generator) -> Tensor:
        """Draws the recording of a clip: how long it is, and what the speaker says in it.

        Args:
            index: The clip.
            draws: On the CPU.

        Returns:
            Indices of clips of the same speaker, the clip among them.
        """
        kind, length = torch.rand(2, generator=draws).tolist()
        speaker = self.by_speaker[self._speakers[index]]
        others = speaker[torch.randperm(len(speaker), generator=draws)]
        others = others[others != index]
        own = torch.tensor([index])
        shares = self.shares
        if kind < shares.alone:
            return own
        if kind < shares.alone + shares.one_emotion:
            others = others[self._targets[others] == self._targets[index]]
            return torch.cat([own, others[: round(length * len(others))]])
        if kind < shares.alone + shares.one_emotion + shares.mostly_neutral:
            is_neutral = self._is_neutral[others]
            neutral, rest = others[is_neutral], others[~is_neutral]
            neutral = neutral[: round(length * len(neutral))]
            rest = rest[: round(len(neutral) * (1 - NEUTRAL_SHARE) / NEUTRAL_SHARE)]
            return torch.cat([own, neutral, rest[int(not self._is_neutral[index]) :]])
        return torch.cat([own, others[: round(length * len(others))]])
