"""The networks that are compared on IEMOCAP, and turns side by side as each of them reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multimodal.data.corpora.iemocap_protocols import DIMENSIONS
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.prosody import PROSODY_FIELDS
from multimodal.encoders.voice_features import state_times
from multimodal.fusion.alignment import FusionInputs, collate, face_on_grid, grid
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.turns import TurnBatch, TurnNetwork, steps_of
from multimodal.iemocap.features import TurnFeatures
from multimodal.types import MODALITIES


@dataclass(frozen=True)
class Recipe:
    """What one of the compared networks reads, and how.

    Attributes:
        modalities: Some of ``MODALITIES``.
        pooling: As ``FusionShape``.
        faithful: Whether it is one of Yoon et al. 2018: frames as they are, word pieces with embeddings of their own,
            one direction, prosody, no estimate of valence, arousal and dominance. Otherwise ours.
        published: Weighted accuracy in the paper's table 2; None where it has none that compares.
    """

    modalities: tuple[str, ...]
    pooling: str = "last"
    faithful: bool = True
    published: float | None = None


RECIPES: Mapping[str, Recipe] = {
    "are": Recipe(("audio",), published=0.546),
    "tre": Recipe(("text",), published=0.635),
    "mdre": Recipe(("audio", "text"), published=0.718),
    "mdrea": Recipe(("audio", "text"), "attention"),
    "ours": Recipe(MODALITIES, "attention", faithful=False),
}
"""The networks that are compared, with what the paper says of the first three."""


SUBSETS = tuple(subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size))
"""All combinations of signals, from one to all."""


def modality_mask(features: TurnFeatures, modality: str) -> bool:
    """Whether a turn has a signal."""
    return {"face": features.faces, "audio": features.audio, "text": features.ids}[modality] is not None


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes of the networks, and how ours learns.

    Attributes:
        hidden: States of each recurrent encoder of the paper's networks (paper: 200).
        own_hidden: Of ours, in each direction.
        channels: Of our convolutions over frames.
        face_hidden: Features of a face beside them.
        dropout: Share dropped in training.
        absent_share: Chance of each signal to be left out of a turn while ours learns; one always stays.
        affect_weight: Of the loss on valence, arousal and dominance.
    """

    hidden: int = 200
    own_hidden: int = 96
    channels: int = 64
    face_hidden: int = 64
    dropout: float = 0.3
    absent_share: float = 0.2
    affect_weight: float = 0.5


@dataclass(frozen=True)
class TurnTable:
    """Turns ready to learn from.

    Attributes:
        names: ``Ses01F_impro01_F000`` ….
        seconds: ``(turns,)`` float64 length of each.
        targets: ``(turns,)`` int64 class.
        affect: ``(turns, 3)`` float64 valence, arousal and dominance, -1 … 1.
        features: Of each.
    """

    names: tuple[str, ...]
    seconds: NDArray[np.float64]
    targets: NDArray[np.int64]
    affect: NDArray[np.float64]
    features: tuple[TurnFeatures, ...]

    def subset(self, chosen: NDArray[np.int64]) -> TurnTable:
        """The turns at some indices, in their order."""
        names, features = (tuple(rows[index] for index in chosen) for rows in (self.names, self.features))
        return TurnTable(names, self.seconds[chosen], self.targets[chosen], self.affect[chosen], features)


class Sizes(NamedTuple):
    """Features of what the networks read: a frame, a summary, a token state, a face."""

    frame: int
    summary: int
    word: int
    face: int


def shape_of(recipe: Recipe, settings: NetworkSettings, sizes: Sizes, labels: int) -> FusionShape:
    """The head of one of the compared networks."""
    faithful = recipe.faithful
    reads = {modality: modality in recipe.modalities for modality in MODALITIES}
    voice, summary = (sizes.frame, len(PROSODY_FIELDS)) if faithful else (settings.channels, sizes.summary)
    return FusionShape(
        labels,
        audio_size=voice * reads["audio"],
        face_size=sizes.face * reads["face"],
        text_size=sizes.word * reads["text"],
        summary_size=summary * reads["audio"],
        hidden=settings.hidden if faithful else settings.own_hidden,
        face_hidden=settings.face_hidden,
        bidirectional=not faithful,
        pooling=recipe.pooling,
        log_probabilities=False,
        dimensions=0 if faithful else len(DIMENSIONS),
        dropout=settings.dropout,
    )


@dataclass(frozen=True)
class Collator:
    """Puts turns into batches for one of the networks.

    Attributes:
        recipe: Which.
        sizes: Of what is read.
        mfcc: Settings of the frames: when each is.
        tolerance_seconds: How far a face may be from an instant: half the distance of sampled pictures.
    """

    recipe: Recipe
    sizes: Sizes
    mfcc: MfccSettings
    tolerance_seconds: float

    def batch(
        self,
        table: TurnTable,
        chosen: Sequence[int],
        kept: Sequence[Collection[str]] | None = None,
    ) -> TurnBatch:
        """Puts some turns side by side.

        Args:
            table: Holds them.
            chosen: Their indices.
            kept: Per turn the signals to read; None for all that the network knows.

        Returns:
            The batch, on the CPU.
        """
        allowed = [self.recipe.modalities] * len(chosen) if kept is None else kept
        streams = [
            self.streams(table.features[index], table.seconds[index]).only(modalities)
            for index, modalities in zip(chosen, allowed, strict=True)
        ]
        features = [table.features[index] for index in chosen]
        sizes = {"face": self.sizes.face, "audio": 0, "text": 0 if self.recipe.faithful else self.sizes.word}
        joined = collate(streams, sizes, labels=1)
        frames = [
            _frames(each, row.audio is not None, self.sizes.frame) for each, row in zip(features, streams, strict=True)
        ]
        ids = torch.zeros(joined.text.shape[:2], dtype=torch.int64)
        for row, each, count in zip(ids, features, joined.tokens.tolist(), strict=True):
            if each.ids is not None:
                row[:count] = each.ids[:count]
        blank = torch.zeros(self.sizes.summary)
        summary = torch.stack([blank if each.audio is None else each.audio.summary for each in features])
        counts = torch.tensor([len(each) for each in frames])
        return TurnBatch(joined, pad_sequence(frames, batch_first=True), counts, summary, ids)

    def streams(self, features: TurnFeatures, seconds: float) -> FusionInputs:
        """One turn on its grid: frames for the paper's networks, else steps; the voice's features are left out."""
        times = self._times(features, seconds)
        reads = self.recipe.modalities
        voice = np.zeros((len(times), 0)) if features.audio is not None and "audio" in reads else None
        face, mask = None, None
        if "face" in reads and features.faces is not None and features.face_times is not None:
            shown = features.faces.float().numpy()
            face, mask = face_on_grid(times, features.face_times.numpy(), shown, self.tolerance_seconds)
        words = None
        if "text" in reads and features.ids is not None and features.states is not None:
            words = np.zeros((len(features.ids), 0)) if self.recipe.faithful else features.states.float().numpy()
        return FusionInputs(times, voice, face, mask, words)

    def _times(self, features: TurnFeatures, seconds: float) -> NDArray[np.float64]:
        if features.audio is None or "audio" not in self.recipe.modalities:
            return np.asarray(grid(0.0, max(seconds, self.mfcc.hop_seconds)), np.float64)
        frames = len(features.audio.frames)
        return state_times(features.audio, frames if self.recipe.faithful else steps_of(frames), self.mfcc)


def _frames(features: TurnFeatures, heard: bool, size: int) -> Tensor:
    return torch.zeros(0, size) if features.audio is None or not heard else features.audio.frames.float()


def network_of(recipe: Recipe, shape: FusionShape, sizes: Sizes, vocabulary: Tensor | None = None) -> TurnNetwork:
    """An untrained network.

    Args:
        recipe: Which.
        shape: Of its head.
        sizes: Of what it reads.
        vocabulary: ``(word pieces, word)`` to start the embeddings of the paper's networks from.

    Returns:
        The network.
    """
    own = vocabulary if recipe.faithful and "text" in recipe.modalities else None
    return TurnNetwork(shape, sizes.frame, sizes.summary, convolved=not recipe.faithful, vocabulary=own)
