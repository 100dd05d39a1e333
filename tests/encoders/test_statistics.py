"""Distance of a speaker from the corpora, and what it does to the temperature of the voice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.encoders.audio import ConvBiGRU, encode_speaker
from multimodal.encoders.statistics import LARGEST_DISTANCE, Familiarity, unfamiliar_share
from multimodal.encoders.voice.features import VoiceFeatures

SHIFT = Familiarity(centers=((1.0, -2.0), (-500.0, 800.0)), variance=(4.0, 0.25), middle=2.0, slope=3.0, factor=2.5)


def test_distance_by_hand() -> None:
    # ((3 - 1)² / 4 + (-1 + 2)² / 0.25) / 2
    assert SHIFT.distance(torch.tensor([3.0, -1.0])) == pytest.approx((1 + 4) / 2)
    assert SHIFT.distance(torch.tensor([1.0, -2.0])) == 0.0


def test_nearest_corpus_counts() -> None:
    assert SHIFT.distance(torch.tensor([-498.0, 800.5])) == pytest.approx((1 + 1) / 2)


def test_one_outlier_does_not_decide() -> None:
    assert SHIFT.distance(torch.tensor([1.0, 1e6])) == pytest.approx(LARGEST_DISTANCE / 2)


@pytest.mark.parametrize(("distance", "expected"), [(0.0, 1.0), (2.0, 2.5**0.5), (4.0, 2.5 ** (8 / 9)), (25.0, 2.5)])
def test_factor_rises_from_1_to_the_whole(distance: float, expected: float) -> None:
    mean = torch.tensor([1.0 + (4 * distance) ** 0.5, -2.0 + (0.25 * distance) ** 0.5])
    assert SHIFT.temperature_factor(mean) == pytest.approx(expected, rel=2e-3)


@given(st.floats(0, 30), st.floats(0, 30))
@settings(max_examples=300, deadline=None)
def test_farther_is_never_surer(first: float, second: float) -> None:
    near, far = sorted((first, second))
    factors = [SHIFT.temperature_factor(torch.tensor([1.0 + 2 * step, -2.0 + 0.5 * step])) for step in (near, far)]
    assert 1.0 <= factors[0] <= factors[1] + 1e-9 <= 2.5 + 1e-8


@pytest.fixture(scope="module")
def network() -> ConvBiGRU:
    torch.manual_seed(0)
    return ConvBiGRU(8, 39, 6).eval()


@pytest.fixture(scope="module")
def speaker() -> list[VoiceFeatures]:
    generator = torch.Generator().manual_seed(1)
    return [VoiceFeatures(torch.randn(40 + 8 * n, 39, generator=generator), torch.ones(6) * n) for n in range(4)]


def test_unfamiliar_speaker_has_a_higher_temperature(network: ConvBiGRU, speaker: list[VoiceFeatures]) -> None:
    # The mean of the summaries is 1.5, at a distance of 2.25 from 0.
    network.background.familiarity = Familiarity(((0.0,) * 6,), (1.0,) * 6, middle=2.25, slope=4.0, factor=9.0)
    try:
        rows, states = encode_speaker(network, speaker, 0.5)
    finally:
        network.background.familiarity = None
    expected, same_states = encode_speaker(network, speaker, 0.5 * 3.0)
    torch.testing.assert_close(rows, expected)
    assert all(torch.equal(one, other) for one, other in zip(states, same_states, strict=True))
    sharp = encode_speaker(network, speaker, 0.5)[0]
    assert (sharp.max(dim=1).values > rows.max(dim=1).values).all() and torch.equal(sharp.argmax(1), rows.argmax(1))


def test_familiar_speaker_keeps_the_temperature(network: ConvBiGRU, speaker: list[VoiceFeatures]) -> None:
    network.background.familiarity = Familiarity(
        ((9.0,) * 6, (1.5,) * 6), (1.0,) * 6, middle=2.0, slope=4.0, factor=9.0
    )
    try:
        rows, _ = encode_speaker(network, speaker, 0.5)
        assert encode_speaker(network, [], 0.5)[0].shape == (0, 0)
    finally:
        network.background.familiarity = None
    torch.testing.assert_close(rows, encode_speaker(network, speaker, 0.5)[0])


def test_constant_feature_has_a_finite_distance() -> None:
    constant = replace(SHIFT, variance=(0.0, 0.25))
    assert np.isfinite(constant.distance(torch.tensor([1.1, -2.0])))


@given(st.floats(0, 25), st.floats(0.1, 25), st.floats(0.1, 500))
@settings(max_examples=300, deadline=None)
def test_share_is_the_logistic_function_however_steep(distance: float, middle: float, slope: float) -> None:
    actual = unfamiliar_share(distance, middle, slope)
    assert 0 <= actual <= 1 and (actual >= 0.5) == (max(distance, 1e-6) >= middle)
    if slope < 20 and distance > 0.01:
        assert actual == pytest.approx(1 / (1 + (middle / distance) ** slope), abs=1e-9)
