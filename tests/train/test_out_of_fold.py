"""The map between two networks' states: least squares as numpy has it, and noise where it explains nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal.errors import ConfigError
from multimodal.models.weights import Weights, load_weights
from multimodal.train.audio import AudioConfig
from multimodal.train.out_of_fold import check_same_training, fit_state_map


def states(seed: int, features: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(steps, features, generator=generator) for steps in (40, 25, 60)]


def test_map_is_numpys_least_squares() -> None:
    own, others = states(0), states(1, features=4)
    found = fit_state_map(own, others)
    inputs = np.concatenate([torch.cat(own).numpy(), np.ones((125, 1))], axis=1)
    reference, *_ = np.linalg.lstsq(inputs, torch.cat(others).double().numpy(), rcond=None)
    assert found.weight.numpy() == pytest.approx(reference, abs=1e-4)
    left = torch.cat(others).double().numpy() - inputs @ reference
    assert found.spread.numpy() == pytest.approx(left.std(axis=0), abs=1e-4)


def test_mapped_states_vary_as_true_ones_do() -> None:
    own = states(0)
    others = [each @ torch.ones(6, 6) + 3 * torch.randn(1, 6) for each in own for _ in range(1)]
    found = fit_state_map(own * 40, others * 40)
    generator = torch.Generator().manual_seed(0)
    mapped = torch.stack([found(torch.zeros(5, 6), generator) for _ in range(2_000)])
    assert torch.allclose(mapped.std(dim=0)[0], found.spread, rtol=0.1)
    assert torch.equal(mapped[:, 0], mapped[:, 4])  # a voice's quirks stay over an utterance


def test_folds_of_another_training_are_refused() -> None:
    weights = load_weights("default", "audio")
    from multimodal.train.config import fill

    trained = fill(AudioConfig, dict(weights.card["training"]["config"]), "card")
    check_same_training(weights, trained)
    other = Weights("other", "", weights.spec, {"training": {"config": {"folds": 3}}}, weights.network)
    with pytest.raises(ConfigError, match="not the configuration that other was trained with"):
        check_same_training(other, trained)
