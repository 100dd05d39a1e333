"""Utterances of MOSI as inputs of the fusion head, and batches of whole videos."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multimodal.data.corpora.mosi import POLARITIES, MosiCorpus
from multimodal.encoders.text import read_texts
from multimodal.errors import CorpusError, WeightsError
from multimodal.fusion.alignment import LEAST_PROBABILITY, FusionBatch
from multimodal.models.weights import Weights
from multimodal.types import MODALITIES

Floats = NDArray[np.floating[Any]]

LABELS = len(POLARITIES)

LARGEST = 5.0
"""Standardized features are clipped to this magnitude."""


@dataclass(frozen=True)
class UtteranceTable:
    """All utterances with what the networks read of them.

    Attributes:
        videos: ``n`` names of the video; the utterances of a video are neighbors, in the order of speaking.
        targets: ``(n,)`` int64 index in ``POLARITIES``.
        vectors: ``audio`` and ``face`` to ``(n, features)`` float32, as published.
        states: ``n`` arrays ``(tokens, features)`` float32 of the text encoder.
    """

    videos: tuple[str, ...]
    targets: NDArray[np.int64]
    vectors: Mapping[str, Floats]
    states: Sequence[Floats]

    def __len__(self) -> int:
        return len(self.videos)

    def videos_among(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Groups utterances by video.

        Args:
            indices: Rising indices of utterances.

        Returns:
            The indices of each video, in order.
        """
        groups: dict[str, list[int]] = {}
        for index in indices.tolist():
            groups.setdefault(self.videos[index], []).append(index)
        return [np.array(group, np.int64) for group in groups.values()]


def make_table(corpus: MosiCorpus, text: Weights) -> UtteranceTable:
    """Runs the text encoder over a corpus.

    Args:
        corpus: The corpus.
        text: Weights of a text encoder.

    Returns:
        The table, in the order of the corpus.

    Raises:
        CorpusError: An utterance has no word that the encoder can read.
        WeightsError: The weights are not of a text encoder.
    """
    if text.tokenizer is None:
        raise WeightsError(text.name, "has no tokenizer", "choose a text model")
    tokens = text.spec.window_tokens or 128
    predictions = read_texts(text.network, text.tokenizer, corpus.texts, window_tokens=tokens)
    for index, prediction in enumerate(predictions):
        if prediction is None:
            name = f"utterance {corpus.numbers[index]} of {corpus.videos[index]}"
            raise CorpusError("words.csv", f"{name} has no words", "unpack the corpus again")
    states = [prediction.states for prediction in predictions if prediction is not None]
    return UtteranceTable(corpus.videos, corpus.targets, {"audio": corpus.audio, "face": corpus.face}, states)


def standardize(values: Floats, training: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scales features by mean and deviation of the training utterances.

    Args:
        values: ``(n, features)``.
        training: Indices of the training utterances.

    Returns:
        ``(n, features)`` float32 within ``LARGEST``; 0 for a feature that does not vary in training.

    Example:
        >>> standardize(np.array([[1.0, 5.0], [3.0, 5.0], [9.0, 5.0]]), np.array([0, 1])).tolist()
        [[-1.0, 0.0], [1.0, 0.0], [5.0, 0.0]]
    """
    mean, deviation = values[training].mean(axis=0), values[training].std(axis=0)
    varies = deviation > 1e-6
    scaled = (values - mean) / np.where(varies, deviation, 1.0) * varies
    result: NDArray[np.float32] = scaled.clip(-LARGEST, LARGEST).astype(np.float32)
    return result


def principal_states(states: Sequence[Floats], training: NDArray[np.int64], size: int) -> tuple[Tensor, Tensor]:
    """Maps token states to their first principal components, which are found on the training utterances.

    1,447 utterances are too few to learn a map from 384 features, and 24 components read the polarity as well.

    Args:
        states: ``n`` arrays ``(tokens, features)``.
        training: Indices of the training utterances.
        size: Number of components, at most that of the features.

    Returns:
        ``(n, longest, size)`` float32, centered and of variance 1 over all components together, 0 after the end; and
        ``(n,)`` int64 numbers of tokens.

    Source: Pearson 1901, "On lines and planes of closest fit to systems of points in space".
    """
    counts = torch.tensor([len(rows) for rows in states])
    tokens = torch.from_numpy(np.concatenate([states[index] for index in training.tolist()])).double()
    mean = tokens.mean(dim=0)
    values, vectors = torch.linalg.eigh((tokens - mean).T @ (tokens - mean) / len(tokens))
    chosen = vectors[:, -size:].flip(1) / values[-size:].mean().clamp(min=1e-9).sqrt()
    # The direction of a component is arbitrary; the largest weight is made positive.
    chosen = chosen * chosen.gather(0, chosen.abs().argmax(dim=0, keepdim=True)).sign()
    everything = (torch.from_numpy(np.concatenate(list(states))).double() - mean) @ chosen
    return pad_sequence(list(everything.float().split(counts.tolist())), batch_first=True), counts


def make_inputs(table: UtteranceTable, training: NDArray[np.int64], words: int) -> FusionBatch:
    """All utterances as one batch with all modalities: one nonverbal step each, and their token states.

    Args:
        table: All utterances.
        training: Indices of the training utterances, which give means, deviations and components.
        words: Principal components of the token states.

    Returns:
        The inputs, without log-probabilities, in the order of the table.
    """
    text, tokens = principal_states(table.states, training, words)
    vectors = {name: torch.from_numpy(standardize(rows, training)) for name, rows in table.vectors.items()}
    count = len(table)
    return FusionBatch(
        audio=vectors["audio"][:, None],
        face=vectors["face"][:, None],
        face_mask=torch.ones(count, 1, dtype=torch.bool),
        steps=torch.ones(count, dtype=torch.int64),
        text=text,
        tokens=tokens,
        log_probabilities=torch.zeros(count, len(MODALITIES), LABELS),
        present=torch.ones(count, len(MODALITIES), dtype=torch.bool),
    )


def with_modalities(
    inputs: FusionBatch, modalities: Collection[str], evidence: Mapping[str, Floats] | None = None
) -> FusionBatch:
    """The inputs without the other modalities, with the probabilities of the single classifiers.

    Args:
        inputs: Utterances with all modalities.
        modalities: Modalities to keep.
        evidence: Modality to ``(n, labels)`` probabilities; None for a network that reads none.

    Returns:
        The inputs of a network of these modalities.
    """
    count = len(inputs.steps)
    present = torch.tensor([name in modalities for name in MODALITIES]).expand(count, -1)
    logarithms = torch.zeros_like(inputs.log_probabilities)
    for place, name in enumerate(MODALITIES):
        if evidence is not None and name in modalities:
            logarithms[:, place] = torch.from_numpy(np.log(evidence[name].clip(min=LEAST_PROBABILITY))).float()
    nonverbal = "audio" in modalities or "face" in modalities
    return FusionBatch(
        audio=inputs.audio if "audio" in modalities else inputs.audio[:, :, :0],
        face=inputs.face if "face" in modalities else inputs.face[:, :, :0],
        face_mask=inputs.face_mask & ("face" in modalities),
        steps=inputs.steps * nonverbal,
        text=inputs.text if "text" in modalities else inputs.text[:, :0],
        tokens=inputs.tokens * ("text" in modalities),
        log_probabilities=logarithms,
        present=present,
    )


def select(inputs: FusionBatch, indices: NDArray[np.int64]) -> FusionBatch:
    """Some utterances, without the padding that only others need.

    Args:
        inputs: Utterances.
        indices: Indices of those to keep.

    Returns:
        The batch, in the order of the indices.
    """
    rows = FusionBatch(*(tensor[torch.from_numpy(indices)] for tensor in inputs))
    return rows._replace(text=rows.text[:, : int(rows.tokens.max())])


class VideoBatch(NamedTuple):
    """Whole videos, their utterances one after the other.

    Attributes:
        utterances: The utterances of all videos.
        lengths: ``(videos,)`` int64 numbers of utterances.
        targets: ``(utterances,)`` int64.
    """

    utterances: FusionBatch
    lengths: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> VideoBatch:
        """The same on another device.

        Args:
            device: The device.

        Returns:
            The moved batch.
        """
        return VideoBatch(self.utterances.to(device), self.lengths.to(device), self.targets.to(device))
