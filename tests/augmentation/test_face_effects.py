"""Face effects: repeatable, in range, for the chosen share, and each compared with OpenCV, numpy or its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from multimodal.augmentation import face_effects
from multimodal.augmentation.face import FaceAugmentation, augment, weaken

SIZE = 48
Effect = Callable[[Tensor, float, Generator], Tensor]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
EFFECTS: list[Effect] = [
    face_effects.cover_features,
    face_effects.shade_side,
    face_effects.move,
    face_effects.darken,
    face_effects.reduce,
    face_effects.compress,
]


def seeded(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def noise_pictures(n: int, size: int = SIZE) -> Tensor:
    return torch.randint(0, 256, (n, 1, size, size), generator=seeded()).float()


def smooth_picture() -> Floats:
    """Soft blobs, 40 … 215."""
    rng = np.random.default_rng(4)
    return cv2.resize(rng.uniform(40, 215, (8, 8)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(40, 215)


def repeated(picture: Floats, n: int) -> Tensor:
    return torch.from_numpy(np.repeat(picture[None, None], n, axis=0)).float()


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("size", [24, 36, 48, 50])
def test_effect_keeps_shape_and_is_repeatable(effect: Effect, size: int) -> None:
    images = noise_pictures(6, size)
    copy, state = images.clone(), torch.get_rng_state()
    first, again, other = (effect(images, 1.0, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == images.shape and torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(images, copy) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("effect", EFFECTS)
def test_effect_changes_its_share_of_the_batch(effect: Effect) -> None:
    images = noise_pictures(400)
    changed = (effect(images, 0.3, seeded(5)) != images).flatten(1).any(1)
    assert 75 < int(changed.sum()) < 165  # 120 ± 5 deviations of 9
    assert torch.equal(effect(images, 0.0, seeded()), images)


share = st.floats(0, 1)


@settings(database=None, derandomize=True, max_examples=60)
@given(
    st.builds(
        FaceAugmentation,
        shear=share,
        feature_share=share,
        shadow_share=share,
        dark_share=share,
        motion_share=share,
        jpeg_share=share,
        low_resolution_share=share,
    ),
    st.sampled_from([0, 255, None]),
    st.sampled_from([20, 36, 48]),
    st.integers(0, 1000),
)
def test_gray_levels_stay_in_range(amounts: FaceAugmentation, level: int | None, size: int, seed: int) -> None:
    images = noise_pictures(4)[:, 0] if level is None else torch.full((4, SIZE, SIZE), level, dtype=torch.uint8)
    result = augment(images, size, amounts, seeded(seed))
    assert result.shape == (4, size, size) and bool(result.isfinite().all())
    assert float(result.min()) >= 0 and float(result.max()) <= 255


def test_jpeg_agrees_with_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = smooth_picture().round()
    for quality in (10, 25, 50, 60):
        monkeypatch.setattr(
            face_effects, "_between", lambda n, low, high, generator, q=quality: torch.full((n, 1, 1, 1), float(q))
        )
        actual = face_effects.compress(repeated(picture, 1), 1.0, seeded())[0, 0].numpy()
        _, coded = cv2.imencode(".jpg", picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        expected = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(float)
        difference = np.abs(actual - expected)
        # OpenCV computes in whole numbers, so a frequency half way between two steps may go the other way.
        assert difference.mean() < 0.5 and np.quantile(difference, 0.9) < 1.5
        assert np.abs(expected - picture).max() > 3


def test_motion_along_the_rows_is_a_mean_over_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([0.0, 2.0])  # angle, half of the length
    monkeypatch.setattr(face_effects, "_between", lambda n, *_: torch.full((n, 1, 1, 1), next(draws)))
    picture = smooth_picture()
    actual = face_effects.move(repeated(picture, 1), 1.0, seeded())[0, 0].numpy()
    kernel = np.array([[0.5, 1, 1, 1, 0.5]]) / 4
    expected = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(actual - expected).max() < 30 and np.abs(picture - expected).max() > 5


def test_motion_keeps_plain_pictures_and_blurs_in_one_direction_only() -> None:
    plain = torch.full((20, 1, SIZE, SIZE), 77.0)
    assert torch.allclose(face_effects.move(plain, 1.0, seeded()), plain, atol=1e-3)
    spot = torch.zeros(200, 1, SIZE, SIZE)
    spot[:, :, 24, 24] = 255
    for picture in face_effects.move(spot, 1.0, seeded())[:, 0].numpy():
        assert picture.sum() == pytest.approx(255, rel=1e-4)
        y, x = np.nonzero(picture > 1)
        spread = np.linalg.eigvalsh(np.cov(np.stack([x, y]), aweights=picture[y, x]))
        assert spread[1] > 0.45 and spread[1] > 1.4 * spread[0] and max(np.ptp(x), np.ptp(y)) <= 6


def test_low_light_leaves_whole_levels_below_two_fifths() -> None:
    pictures = face_effects.darken(torch.full((200, 1, SIZE, SIZE), 200.0), 1.0, seeded())
    assert torch.equal(pictures, pictures.round())
    means, deviations = pictures.mean((1, 2, 3)), pictures.std((1, 2, 3))
    assert 9.5 < float(means.min()) < 15 and 70 < float(means.max()) < 80.5  # 200 times 0.05 … 0.4
    assert 0.9 < float(deviations.min()) < 1.2 and 2.8 < float(deviations.max()) < 3.2


def test_shadow_darkens_one_side_to_its_factor() -> None:
    pictures = face_effects.shade_side(torch.full((300, 1, SIZE, SIZE), 200.0), 1.0, seeded()) / 200
    darkest = pictures.flatten(1).amin(1)
    assert float(pictures.max()) <= 1 and 0.14 < float(darkest.min()) < 0.2 and float(darkest.max()) < 0.85
    assert float(pictures.flatten(1).amax(1).median()) > 0.97
    # Along every row and column light only falls or only rises.
    for steps in (pictures.diff(dim=2), pictures.diff(dim=3)):
        assert bool(((steps >= -1e-6).all(dim=3).all(dim=2) | (steps <= 1e-6).all(dim=3).all(dim=2)).all())


def test_few_pixels_hold_no_finer_detail() -> None:
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    checkers = repeated(128 + 100.0 * ((x + y) % 2 * 2 - 1), 1)
    coarse = repeated(128 + 100 * np.sin(2 * np.pi * x / SIZE), 1)
    for seed in range(20):
        assert float(face_effects.reduce(checkers, 1.0, seeded(seed)).std()) < 10
        assert float((face_effects.reduce(coarse, 1.0, seeded(seed)) - coarse).abs().max()) < 25


def test_one_feature_is_covered_and_the_rest_stays() -> None:
    picture = smooth_picture()
    result = face_effects.cover_features(repeated(picture, 600), 1.0, seeded())[:, 0].numpy()
    covered = np.abs(result - picture) > 1e-3
    shares = covered.mean(axis=(1, 2))
    assert shares.min() > 0.03 and shares.max() < 0.56
    often = covered.mean(axis=0)
    mouth, eyes, forehead, sides, nose = often[36, 24], often[16, 24], often[2, 24], often[26, [4, 43]], often[26, 24]
    assert mouth > 0.2 and eyes > 0.1 and forehead > 0.1 and (sides > 0.1).all() and nose < 0.05


def test_weakened_settings_are_scaled_one_by_one() -> None:
    half = weaken(FaceAugmentation(rotation_degrees=30, jpeg_share=0.4), 0.5)
    assert (half.rotation_degrees, half.jpeg_share, half.zoom, half.dark_share) == (15, 0.2, 0.09, 0)
    assert weaken(half, 1.0) == half
