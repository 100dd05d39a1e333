"""Hears speakers of the training corpora as if they had never been heard, in the terms of the shipped voice encoder.

A fusion head that learned from voices which the encoder itself had learned by heart would trust every voice too much:
the shipped encoder is right for 0.83 of the clips it was trained on and for 0.65 of others. The folds of the voice's
own training hold, for each speaker, a network that never heard them. Its answers can be used as they are; its states
cannot, since every training finds terms of its own. So a linear map from its states to those of the shipped encoder is
fitted on the speakers that both have heard, and used on those that it has not. What the map cannot explain is added as
noise, so that mapped states vary as true ones do.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voices import split_by_speaker
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.voice_features import VoiceFeatures
from multimodal.errors import ConfigError
from multimodal.evaluate.synthetic_features import AudioEncoderFn
from multimodal.models.weights import Weights
from multimodal.train.audio import AudioConfig
from multimodal.train.loop import load_tensors


@dataclass(frozen=True)
class StateMap:
    """From one network's states to another's.

    Attributes:
        weight: ``(features + 1, features)``; the last row is the constant.
        spread: ``(features,)`` deviation of what is left unexplained.
    """

    weight: Tensor
    spread: Tensor

    def __call__(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """Maps ``(steps, features)``; the noise is the same at all steps of an utterance, as a voice's quirks are."""
        ones = torch.ones(len(states), 1)
        noise = self.spread * torch.randn(self.spread.shape, generator=generator)
        return torch.cat([states, ones], dim=1) @ self.weight + noise


def fit_state_map(states: Sequence[Tensor], others: Sequence[Tensor]) -> StateMap:
    """Fits a map by least squares.

    Args:
        states: ``(steps, features)`` per utterance.
        others: The same steps as another network has them.

    Returns:
        The map from ``states`` to ``others``.

    Example:
        >>> states = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
        >>> found = fit_state_map([states], [2 * states + 1])
        >>> found.weight.round(decimals=3).abs().tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    """
    inputs, outputs = torch.cat(list(states)).double(), torch.cat(list(others)).double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    # The normal equations with a whisper of damping: a state that never moves must not make them singular.
    square = inputs.T @ inputs
    square += 1e-6 * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    weight = torch.linalg.solve(square, inputs.T @ outputs)
    spread = (outputs - inputs @ weight).std(dim=0, correction=0)
    return StateMap(weight.float(), spread.float())


def check_same_training(weights: Weights, config: AudioConfig) -> None:
    """Raises ConfigError unless the folds are of the training that the encoder's card names."""
    trained = weights.card.get("training", {}).get("config")
    if trained is not None and trained != asdict(config):
        fact = f"is not the configuration that {weights.name} was trained with"
        raise ConfigError("voice_config", fact, "name that one, or give the weights of this training with --model")


def fold_of_speakers(clips: Sequence[VoiceClip], folds: int, seed: int) -> dict[str, int]:
    """Speaker to the fold of the voice's training that left them out."""
    parts = split_by_speaker(clips, folds, seed)
    return {clips[index].speaker: number for number, part in enumerate(parts) for index in part.test}


def out_of_fold_encoder(
    weights: Weights, config: AudioConfig, run: Path, clips: Sequence[VoiceClip], features: Sequence[VoiceFeatures]
) -> dict[str, AudioEncoderFn]:
    """For each speaker something that hears them without ever having heard them in training.

    Args:
        weights: The shipped voice encoder.
        config: Of its training.
        run: The run folder of that training, with its folds.
        clips: All clips that were trained on.
        features: Of each.

    Returns:
        Speaker to a function like ``encode_speaker``: calibrated probabilities in the encoder's labels, and states in
        the shipped encoder's space.

    Raises:
        ConfigError: The configuration is another one.
        WeightsError: A fold is not there, or is another network's.
    """
    check_same_training(weights, config)
    fold_of = fold_of_speakers(clips, config.folds, config.loop.seed)
    networks = [_fold_network(weights.network, run / f"fold-{number}") for number in range(config.folds)]
    by_speaker: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        by_speaker.setdefault(clip.speaker, []).append(index)
    of_shipped = {
        name: encode_speaker(weights.network, [features[i] for i in own])[1] for name, own in by_speaker.items()
    }
    hearings: dict[int, AudioEncoderFn] = {}
    for number, network in enumerate(networks):
        pairs: list[tuple[Tensor, Tensor]] = []
        for name, own in by_speaker.items():
            if fold_of[name] != number:
                states = encode_speaker(network, [features[i] for i in own])[1]
                pairs += zip(states, of_shipped[name], strict=True)
        mapped = fit_state_map(*zip(*pairs, strict=True))
        hearings[number] = _hearing(network, mapped, weights.spec.temperature, number)
    return {name: hearings[fold] for name, fold in fold_of.items()}


def _fold_network(like: nn.Module, folder: Path) -> nn.Module:
    network = copy.deepcopy(like).cpu()
    load_tensors(folder / "best.safetensors", network)
    return network.eval().requires_grad_(False)


def _hearing(network: nn.Module, mapped: StateMap, temperature: float, seed: int) -> AudioEncoderFn:
    def hearing(features: Sequence[VoiceFeatures]) -> tuple[Tensor, list[Tensor]]:
        rows, states = encode_speaker(network, features, temperature)
        generator = torch.Generator().manual_seed(seed)
        return rows, [mapped(steps, generator) for steps in states]

    return hearing
