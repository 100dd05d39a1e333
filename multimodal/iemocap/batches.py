"""The networks that are compared on IEMOCAP, and batches of turns for each of them."""

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
from multimodal.encoders.voice.features import state_times
from multimodal.encoders.voice.prosody import PROSODY_FIELDS
from multimodal.fusion.alignment import FusionInputs, collate, face_on_grid, grid
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.turns import TurnBatch, TurnNetwork, steps_of
from multimodal.iemocap.features import TurnFeatures
from multimodal.types import MODALITIES


@dataclass(frozen=True)
class Recipe:
    """Inputs and structure of one of the compared networks.

    Attributes:
        modalities: Some of ``MODALITIES``.
        pooling: As ``FusionShape``.
        faithful: Whether it is a network of Yoon et al. 2018: frames unchanged, trainable word embeddings, one
            direction, prosody, no estimate of valence, arousal and dominance. Otherwise ours.
        published: Weighted accuracy in the paper's table 2; None without a comparable figure.
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
"""The compared networks, the first three with the paper's figure."""


SUBSETS = tuple(subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size))
"""All combinations of modalities, from one to all."""


def has_modality(features: TurnFeatures, modality: str) -> bool:
    """Whether a turn has a modality.

    Args:
        features: Features of the turn.
        modality: Name of the modality.

    Returns:
        True if the turn has it.
    """
    return {"face": features.faces, "audio": features.audio, "text": features.ids}[modality] is not None


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes of the networks, and the training of ours.

    Attributes:
        hidden: States of each recurrent encoder of the paper's networks (paper: 200).
        our_hidden: States of ours, in each direction.
        channels: Channels of our convolutions over frames.
        face_hidden: Features that a face embedding is mapped to.
        dropout: Share dropped in training.
        absent_share: Probability that a modality of a turn is dropped in training of ours; one always stays.
        affect_weight: Weight of the loss on valence, arousal and dominance.
    """

    hidden: int = 200
    our_hidden: int = 96
    channels: int = 64
    face_hidden: int = 64
    dropout: float = 0.3
    absent_share: float = 0.2
    affect_weight: float = 0.5


@dataclass(frozen=True)
class TurnTable:
    """Turns with features and targets.

    Attributes:
        names: ``Ses01F_impro01_F000`` ….
        seconds: ``(turns,)`` float64 durations.
        targets: ``(turns,)`` int64 class.
        affect: ``(turns, 3)`` float64 valence, arousal and dominance, -1 … 1.
        features: Features of each turn.
    """

    names: tuple[str, ...]
    seconds: NDArray[np.float64]
    targets: NDArray[np.int64]
    affect: NDArray[np.float64]
    features: tuple[TurnFeatures, ...]

    def subset(self, indices: NDArray[np.int64]) -> TurnTable:
        """The turns at some indices, in their order.

        Args:
            indices: Indices of the turns.

        Returns:
            A smaller table.
        """
        names, features = (tuple(rows[index] for index in indices) for rows in (self.names, self.features))
        return TurnTable(names, self.seconds[indices], self.targets[indices], self.affect[indices], features)


class Sizes(NamedTuple):
    """Numbers of features of an audio frame, a summary, a token state and a face embedding."""

    frame: int
    summary: int
    word: int
    face: int


def shape_of(recipe: Recipe, settings: NetworkSettings, sizes: Sizes, labels: int) -> FusionShape:
    """The shape of the head of one of the compared networks.

    Args:
        recipe: The compared network.
        settings: Sizes of the networks.
        sizes: Sizes of the inputs.
        labels: Number of labels.

    Returns:
        The shape.
    """
    faithful = recipe.faithful
    reads = {modality: modality in recipe.modalities for modality in MODALITIES}
    audio, summary = (sizes.frame, len(PROSODY_FIELDS)) if faithful else (settings.channels, sizes.summary)
    return FusionShape(
        labels,
        audio_size=audio * reads["audio"],
        face_size=sizes.face * reads["face"],
        text_size=sizes.word * reads["text"],
        summary_size=summary * reads["audio"],
        hidden=settings.hidden if faithful else settings.our_hidden,
        face_hidden=settings.face_hidden,
        bidirectional=not faithful,
        pooling=recipe.pooling,
        log_probabilities=False,
        dimensions=0 if faithful else len(DIMENSIONS),
        dropout=settings.dropout,
    )


@dataclass(frozen=True)
class Collator:
    """Makes batches of turns for one of the networks.

    Attributes:
        recipe: Recipe of the network.
        sizes: Sizes of its inputs.
        mfcc: Settings of the frames, which give their times.
        tolerance_seconds: Largest distance of a face from a step: half the distance of sampled pictures.
    """

    recipe: Recipe
    sizes: Sizes
    mfcc: MfccSettings
    tolerance_seconds: float

    def batch(
        self,
        table: TurnTable,
        indices: Sequence[int],
        modalities: Sequence[Collection[str]] | None = None,
    ) -> TurnBatch:
        """Makes a batch of some turns.

        Args:
            table: The turns.
            indices: Their indices in the table.
            modalities: The modalities to read of each turn; None for all that the network reads.

        Returns:
            The batch, on the CPU.
        """
        allowed = [self.recipe.modalities] * len(indices) if modalities is None else modalities
        streams = [
            self.streams(table.features[index], table.seconds[index]).only(names)
            for index, names in zip(indices, allowed, strict=True)
        ]
        features = [table.features[index] for index in indices]
        sizes = {"face": self.sizes.face, "audio": 0, "text": 0 if self.recipe.faithful else self.sizes.word}
        aligned = collate(streams, sizes, labels=1)
        frames = [
            _frames(each, row.audio is not None, self.sizes.frame) for each, row in zip(features, streams, strict=True)
        ]
        ids = torch.zeros(aligned.text.shape[:2], dtype=torch.int64)
        for row, each, count in zip(ids, features, aligned.tokens.tolist(), strict=True):
            if each.ids is not None:
                row[:count] = each.ids[:count]
        blank = torch.zeros(self.sizes.summary)
        summary = torch.stack([blank if each.audio is None else each.audio.summary for each in features])
        counts = torch.tensor([len(each) for each in frames])
        return TurnBatch(aligned, pad_sequence(frames, batch_first=True), counts, summary, ids)

    def streams(self, features: TurnFeatures, seconds: float) -> FusionInputs:
        """One turn on its grid: frames for the paper's networks, else steps; without the features of the frames.

        Args:
            features: Features of the turn.
            seconds: Length of the turn.

        Returns:
            The inputs of the fusion head.
        """
        times = self._times(features, seconds)
        reads = self.recipe.modalities
        audio = np.zeros((len(times), 0)) if features.audio is not None and "audio" in reads else None
        face, mask = None, None
        if "face" in reads and features.faces is not None and features.face_times is not None:
            embeddings = features.faces.float().numpy()
            face, mask = face_on_grid(times, features.face_times.numpy(), embeddings, self.tolerance_seconds)
        text = None
        if "text" in reads and features.ids is not None and features.states is not None:
            text = np.zeros((len(features.ids), 0)) if self.recipe.faithful else features.states.float().numpy()
        return FusionInputs(times, audio, face, mask, text)

    def _times(self, features: TurnFeatures, seconds: float) -> NDArray[np.float64]:
        if features.audio is None or "audio" not in self.recipe.modalities:
            return np.asarray(grid(0.0, max(seconds, self.mfcc.hop_seconds)), np.float64)
        frames = len(features.audio.frames)
        return state_times(features.audio, frames if self.recipe.faithful else steps_of(frames), self.mfcc)


def _frames(features: TurnFeatures, present: bool, size: int) -> Tensor:
    return torch.zeros(0, size) if features.audio is None or not present else features.audio.frames.float()


def network_of(recipe: Recipe, shape: FusionShape, sizes: Sizes, vocabulary: Tensor | None = None) -> TurnNetwork:
    """Makes an untrained network.

    Args:
        recipe: Recipe of the network.
        shape: Shape of its head.
        sizes: Sizes of its inputs.
        vocabulary: ``(word pieces, word)`` initial embeddings of the paper's networks.

    Returns:
        The network.
    """
    embeddings = vocabulary if recipe.faithful and "text" in recipe.modalities else None
    return TurnNetwork(shape, sizes.frame, sizes.summary, convolved=not recipe.faithful, vocabulary=embeddings)
