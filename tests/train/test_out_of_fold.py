"""The map between two networks' states: compared with numpy's least squares, and noise."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from checkout import ROOT

from multimodal.errors import ConfigError
from multimodal.models.weights import Weights, load_weights
from multimodal.train.audio import AudioConfig
from multimodal.train.config import read_config
from multimodal.train.out_of_fold import check_same_training, fit_state_map


def states(seed: int, features: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(steps, features, generator=generator) for steps in (40, 25, 60)]


def test_map_is_numpys_least_squares() -> None:
    inner, others = states(0), states(1, features=4)
    state_map = fit_state_map(inner, others)
    inputs = np.concatenate([torch.cat(inner).numpy(), np.ones((125, 1))], axis=1)
    reference, *_ = np.linalg.lstsq(inputs, torch.cat(others).double().numpy(), rcond=None)
    assert state_map.weight.numpy() == pytest.approx(reference, abs=1e-4)
    left = torch.cat(others).double().numpy() - inputs @ reference
    assert state_map.spread.numpy() == pytest.approx(left.std(axis=0), abs=1e-4)


def test_mapped_states_vary_as_true_ones_do() -> None:
    inner = states(0)
    others = [each @ torch.ones(6, 6) + 3 * torch.randn(1, 6) for each in inner]
    state_map = fit_state_map(inner * 40, others * 40)
    generator = torch.Generator().manual_seed(0)
    mapped = torch.stack([state_map(torch.zeros(5, 6), generator) for _ in range(2_000)])
    assert torch.allclose(mapped.std(dim=0)[0], state_map.spread, rtol=0.1)
    assert torch.equal(mapped[:, 0], mapped[:, 4])  # one offset for a whole utterance


@pytest.fixture(scope="module")
def shipped() -> Weights:
    return load_weights("default", "audio")


@pytest.fixture(scope="module")
def config() -> AudioConfig:
    return read_config(ROOT / "configs" / "audio.toml", AudioConfig)


def with_card(weights: Weights, settings: Any) -> Weights:
    return replace(weights, name="other", card=json.loads(json.dumps({"training": {"config": settings}})))


def test_the_same_training_is_accepted(shipped: Weights, config: AudioConfig) -> None:
    check_same_training(with_card(shipped, asdict(config)), config)
    check_same_training(replace(shipped, card={}), config)


def test_a_card_with_former_names_is_accepted(shipped: Weights, config: AudioConfig) -> None:
    settings = asdict(config)
    settings["disguises"] = settings.pop("augmented_copies")
    sampling = settings["teaching"] = settings.pop("sampling")
    sampling["disguised_share"] = sampling.pop("augmented_share")
    check_same_training(with_card(shipped, settings), config)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"folds": 3}, "folds 5 instead of 3"),
        ({"disguises": 1}, "augmented_copies 2 instead of 1"),
        ({"sampling": {"corpus_weights": {"ravdess": 1.0}}}, "sampling.corpus_weights.emodb 0.4 instead of absent"),
        ({"spare": 2}, "spare absent instead of 2"),
    ],
)
def test_folds_of_another_training_are_refused(
    shipped: Weights, config: AudioConfig, change: dict[str, Any], fact: str
) -> None:
    other = with_card(shipped, {**asdict(config), **change})
    with pytest.raises(ConfigError, match="is not the configuration that other was trained with") as caught:
        check_same_training(other, config)
    assert fact in str(caught.value) and "\n" not in str(caught.value)
