"""Calibration of a face network: temperature, prior, and the doubt of crops that are hard to see."""

from __future__ import annotations

import time
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multimodal.encoders.face import SEResNet, predict
from multimodal.encoders.face_calibration import (
    MEASURES,
    CropDoubt,
    FaceCalibration,
    calibration_from_card,
    classify,
    crop_measures,
    doubt_features,
)
from multimodal.models.faces import face_calibration
from multimodal.models.spec import ModelSpec

LABELS = 8
FEATURES = 5


def faces(count: int = 6) -> Tensor:
    """Smooth blobs with some detail."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 8, 8, generator=draws) * 120 + 60
    fine = torch.randn(count, 1, 48, 48, generator=draws) * 4
    smooth = torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic", align_corners=False)
    return (smooth + fine).clamp(0, 255).squeeze(1).to(torch.uint8)


def measure(images: Tensor, name: str) -> Tensor:
    return crop_measures(images)[:, MEASURES.index(name)]


def rows(count: int = 6, seed: int = 0) -> Tensor:
    return torch.softmax(torch.randn(count, LABELS, generator=torch.Generator().manual_seed(seed)), dim=1)


def doubt(bias: float = 0.0, **weights: float) -> CropDoubt:
    measures = [weights.get(name, 0.0) for name in MEASURES]
    return CropDoubt(0.5, 4.0, bias, measures, [0.0] * 3, [0.0] * FEATURES)


def test_noise_is_measured_in_gray_levels() -> None:
    flat = torch.full((3, 48, 48), 128.0)
    for deviation in (5.0, 20.0):
        noisy = flat + deviation * torch.randn(flat.shape, generator=torch.Generator().manual_seed(1))
        # Immerkær: sigma = sqrt(pi / 2) * mean |residual| / 6
        found = (measure(noisy, "residual").exp() - 0.5) * np.sqrt(np.pi / 2)
        assert found.numpy() == pytest.approx(np.full(3, deviation), rel=0.1)


def test_measures_tell_what_they_are_named_for() -> None:
    plain = faces()
    pixels = plain.float()
    blurred = torch.nn.functional.avg_pool2d(pixels[:, None], 5, stride=1, padding=2, count_include_pad=False)[:, 0]
    assert (measure(blurred, "gradient") < measure(plain, "gradient")).all()
    covered = pixels.clone()
    covered[:, 30:] = 90
    assert (measure(covered, "flat_bottom") > 0.7).all() and (measure(plain, "flat_bottom") < 0.2).all()
    assert torch.equal(measure(covered, "flat_top"), measure(covered, "flat_top"))
    shadow = pixels.clone()
    shadow[:, :, :24] *= 0.25
    assert (measure(shadow, "side_light") > 1).all()
    assert (measure(0.1 * pixels, "contrast") < measure(plain, "contrast") - 1.5).all()
    assert measure(torch.full((1, 48, 48), 255.0), "saturated").item() == 1.0
    mirrored = torch.cat([pixels[:, :, :24], pixels[:, :, :24].flip(-1)], dim=2)
    assert measure(mirrored, "asymmetry").abs().max() < 1e-4


def test_brightness_and_a_mirror_change_little() -> None:
    plain = faces().float()
    for name in ("residual", "noise", "gradient", "flat", "side_light", "asymmetry", "height_light"):
        assert measure(plain.flip(-1), name).numpy() == pytest.approx(measure(plain, name).numpy(), abs=0.05), name
        assert measure(plain - 10, name).numpy() == pytest.approx(measure(plain, name).numpy(), abs=0.05), name


def test_any_crop_has_finite_measures() -> None:
    for images in (torch.zeros(2, 48, 48), torch.full((1, 64, 64), 255.0), 255 * torch.rand(2, 12, 12)):
        assert torch.isfinite(crop_measures(images)).all() and crop_measures(images).shape[1] == len(MEASURES)


def test_measures_are_fast() -> None:
    images = faces(32)
    crop_measures(images)
    starts = []
    for _ in range(10):
        start = time.process_time()
        crop_measures(images)
        starts.append(time.process_time() - start)
    assert min(starts) / len(images) < 0.3e-3


def test_an_earlier_card_has_its_temperature_alone() -> None:
    spec = ModelSpec("face", "se_resnet_pair", ("a", "b"), temperature=1.4)
    assert face_calibration(spec) == FaceCalibration(1.4)
    network, images = SEResNet(LABELS).eval(), faces(3)
    probabilities, embeddings = classify(network, images, FaceCalibration(1.4))
    expected, same = predict(network, images, 1.4)[0], predict(network, images, flip=False)[1]
    without_flip = predict(network, images, 1.4, flip=False)[0]
    assert torch.allclose(probabilities, without_flip, atol=1e-6) and torch.equal(embeddings, same)
    assert torch.allclose(classify(network, images, FaceCalibration(1.4), flip=True)[0], expected, atol=1e-6)


def test_the_prior_is_taken_out_in_part() -> None:
    prior = torch.softmax(torch.arange(LABELS) / 2.0, dim=0)
    given = rows()
    for power in (0.0, 0.25, 1.0):
        expected = given ** (1 / 1.3) / prior**power
        found = FaceCalibration(1.3, prior.tolist(), power).apply(given)
        assert torch.allclose(found, expected / expected.sum(1, keepdim=True), atol=1e-6)


def test_doubt_keeps_the_answer_and_its_bounds() -> None:
    given, images, embeddings = rows(), faces(), torch.randn(6, FEATURES)
    for bias, factor in ((-50.0, 0.5), (50.0, 4.0)):
        found = FaceCalibration(doubt=doubt(bias)).apply(given, images, embeddings)
        expected = torch.softmax(given.log() / factor, dim=1)
        assert torch.allclose(found, expected, atol=1e-5)
        assert torch.equal(found.argmax(1), given.argmax(1))


def test_doubt_reads_each_crop_alone() -> None:
    calibration = FaceCalibration(doubt=doubt(-2.0, noise=1.5))
    given, images, embeddings = rows(), faces(), torch.randn(6, FEATURES)
    together = calibration.apply(given, images, embeddings)
    alone = torch.cat([calibration.apply(given[i : i + 1], images[i : i + 1], embeddings[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-6)
    noisy = (images.float() + 40 * torch.randn(images.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 255)
    unsure = calibration.apply(given, noisy, embeddings)
    assert (unsure.max(1).values < together.max(1).values).all()


@settings(database=None, derandomize=True, max_examples=40)
@given(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 1000))
def test_the_result_is_always_a_distribution(bias: float, weight: float, seed: int) -> None:
    images = torch.randint(0, 256, (3, 48, 48), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    certain = torch.eye(LABELS)[:3]
    found = FaceCalibration(0.7, (1 / LABELS,) * LABELS, 0.5, doubt(bias, noise=weight)).apply(
        certain, images, torch.zeros(3, FEATURES)
    )
    assert torch.isfinite(found).all() and torch.allclose(found.sum(1), torch.ones(3), atol=1e-5)


def test_a_card_makes_the_same_calibration() -> None:
    entries = asdict(doubt(0.5, noise=2.0))
    calibration = calibration_from_card(1.2, {"shares": [0.5] * LABELS, "power": 0.25}, entries)
    assert calibration.doubt == CropDoubt(**entries) and calibration.prior_power == 0.25
    features = doubt_features(crop_measures(faces()), rows(), torch.zeros(6, FEATURES))
    assert features.shape == (6, len(MEASURES) + 3 + FEATURES)
