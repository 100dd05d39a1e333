"""Out-of-fold audio encodings: a network that was not trained on a speaker encodes that speaker.

The shipped audio encoder is right far more often on clips it was trained on than on others. A fusion head trained
on the former would trust every voice too much. The folds of the audio training contain, for each speaker, a network
that was trained without them. Its probabilities are used as they are. Its states are in a space of its own, so a linear
map to the space of the shipped encoder is fitted on the speakers that both were trained on, and applied to the speakers
of the fold. The variance that the map does not explain is added as noise, so that mapped states vary as true ones do.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voices import split_by_speaker
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.voice.features import VoiceFeatures
from multimodal.encoders.voice.moments import has_states
from multimodal.errors import ConfigError
from multimodal.evaluate.synthetic.features import AudioEncoderFn
from multimodal.models.weights import Weights
from multimodal.train.audio import AudioConfig
from multimodal.train.loop import load_tensors

_FORMER_NAMES = {
    "teaching": "sampling",
    "disguises": "augmented_copies",
    "disguised_share": "augmented_share",
    "quantisation_share": "quantization_share",
    "lowest_quantisation_bits": "lowest_quantization_bits",
    "highest_quantisation_bits": "highest_quantization_bits",
}
"""Settings in cards published earlier, which stay as they are, and their present names."""


@dataclass(frozen=True)
class StateMap:
    """A linear map from the states of one network to those of another.

    Attributes:
        weight: ``(features + 1, features)``; the last row is the intercept.
        spread: ``(features,)`` standard deviation of the residuals.
    """

    weight: Tensor
    spread: Tensor

    def __call__(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """Maps ``(steps, features)``; the noise is the same at all steps of an utterance."""
        ones = torch.ones(len(states), 1)
        noise = self.spread * torch.randn(self.spread.shape, generator=generator)
        return torch.cat([states, ones], dim=1) @ self.weight + noise


def fit_state_map(states: Sequence[Tensor], others: Sequence[Tensor]) -> StateMap:
    """Fits a map by least squares.

    Args:
        states: ``(steps, features)`` per utterance.
        others: The states of another network at the same steps.

    Returns:
        The map from ``states`` to ``others``.

    Example:
        >>> states = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
        >>> state_map = fit_state_map([states], [2 * states + 1])
        >>> state_map.weight.round(decimals=3).abs().tolist()
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 1.0]]
    """
    inputs, outputs = torch.cat(list(states)).double(), torch.cat(list(others)).double()
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    # A little ridge regularization: a state that is constant must not make the normal equations singular.
    square = inputs.T @ inputs
    square += 1e-6 * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    weight = torch.linalg.solve(square, inputs.T @ outputs)
    spread = (outputs - inputs @ weight).std(dim=0, correction=0)
    return StateMap(weight.float(), spread.float())


def check_same_training(weights: Weights, config: AudioConfig) -> None:
    """Refuses folds of another training than that of the encoder.

    Settings are compared under their present names. A setting that only the card or only this version has is a
    difference: the folds cannot then be of the same training.

    Args:
        weights: The audio encoder; its card states its configuration. Without a configuration nothing is compared.
        config: The configuration of the folds.

    Raises:
        ConfigError: A setting differs; the message names the first ones.
    """
    trained = weights.card.get("training", {}).get("config")
    if trained is None:
        return
    card, folds = _flat(_with_present_names(trained)), _flat(asdict(config))
    differences = [key for key in {**card, **folds} if card.get(key, ABSENT) != folds.get(key, ABSENT)]
    if differences:
        rows = [f"{key} {folds.get(key, ABSENT)} instead of {card.get(key, ABSENT)}" for key in differences]
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        fact = f"is not the configuration that {weights.name} was trained with ({', '.join(rows[:3])}{more})"
        remedy = "name that configuration, or give the weights of this training with --model"
        raise ConfigError("audio_config", fact, remedy)


ABSENT = "absent"


def _with_present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _FORMER_NAMES.get(key, key): _with_present_names(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
    }


def _flat(settings: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    """Dotted key to value."""
    rows: dict[str, Any] = {}
    for key, value in settings.items():
        rows |= _flat(value, f"{table}{key}.") if isinstance(value, Mapping) else {table + key: value}
    return rows


def fold_of_speakers(clips: Sequence[VoiceClip], folds: int, seed: int) -> dict[str, int]:
    """Speaker to the fold of the audio training that excluded the speaker.

    Args:
        clips: Training clips.
        folds: Number of folds.
        seed: Random seed of the audio training.

    Returns:
        Speaker to fold.
    """
    parts = split_by_speaker(clips, folds, seed)
    return {clips[index].speaker: number for number, part in enumerate(parts) for index in part.test}


def out_of_fold_encoder(
    weights: Weights, config: AudioConfig, run: Path, clips: Sequence[VoiceClip], features: Sequence[VoiceFeatures]
) -> dict[str, AudioEncoderFn]:
    """Provides an encoder per speaker that was not trained on that speaker.

    Args:
        weights: The shipped audio encoder.
        config: The configuration of its training.
        run: The run folder of that training, with its folds.
        clips: All clips of the training.
        features: The features of each clip.

    Returns:
        Speaker to a function like ``encode_speaker``: calibrated probabilities in the encoder's labels, and states in
        the shipped encoder's space.

    Raises:
        ConfigError: The configuration is not that of the encoder.
        WeightsError: A fold is missing, or has another network.
    """
    check_same_training(weights, config)
    spec = weights.spec.with_speech() if has_states(features) else weights.spec
    fold_of = fold_of_speakers(clips, config.folds, config.loop.seed)
    networks = [_fold_network(weights.network, run / f"fold-{number}") for number in range(config.folds)]
    by_speaker: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        by_speaker.setdefault(clip.speaker, []).append(index)
    of_shipped = {
        name: encode_speaker(weights.network, [features[i] for i in indices])[1] for name, indices in by_speaker.items()
    }
    encoders: dict[int, AudioEncoderFn] = {}
    for number, network in enumerate(networks):
        pairs: list[tuple[Tensor, Tensor]] = []
        for name, indices in by_speaker.items():
            if fold_of[name] != number:
                states = encode_speaker(network, [features[i] for i in indices])[1]
                pairs += zip(states, of_shipped[name], strict=True)
        state_map = fit_state_map(*zip(*pairs, strict=True))
        encoders[number] = _mapped_encoder(network, state_map, spec.temperature, number)
    return {name: encoders[fold] for name, fold in fold_of.items()}


def _fold_network(like: nn.Module, folder: Path) -> nn.Module:
    network = copy.deepcopy(like).cpu()
    load_tensors(folder / "best.safetensors", network)
    return network.eval().requires_grad_(False)


def _mapped_encoder(network: nn.Module, state_map: StateMap, temperature: float, seed: int) -> AudioEncoderFn:
    def encode(features: Sequence[VoiceFeatures]) -> tuple[Tensor, list[Tensor]]:
        rows, states = encode_speaker(network, features, temperature)
        generator = torch.Generator().manual_seed(seed)
        return rows, [state_map(steps, generator) for steps in states]

    return encode
