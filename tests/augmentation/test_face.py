"""Face augmentation: repeatable, bounded, and each effect compared with OpenCV, numpy or its definition."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from face_corpus import NO_AUGMENTATION
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from multimodal.augmentation import face as face_augmentation
from multimodal.augmentation.face import FaceAugmentation, augment

Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
SIZE = 48


def only(**amounts: float) -> FaceAugmentation:
    return dataclasses.replace(NO_AUGMENTATION, **amounts)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_pictures(n: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (n, SIZE, SIZE), dtype=torch.uint8, generator=seeded(seed))


def smooth_picture() -> Floats:
    """Soft blobs, not symmetric in any way, 40 … 215."""
    rng = np.random.default_rng(4)
    return cv2.resize(rng.uniform(40, 215, (6, 6)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(40, 215)


def repeated(picture: Floats, n: int) -> Tensor:
    return torch.from_numpy(np.repeat(picture[None], n, axis=0))


def changed(picture: Floats, n: int = 200, seed: int = 0, **amounts: float) -> Floats:
    return augment(repeated(picture, n), SIZE, only(**amounts), seeded(seed)).double().numpy()


# The whole


@pytest.mark.parametrize("size", [24, 36, 48, 64])
@pytest.mark.parametrize("n", [1, 5])
def test_result_has_the_wanted_size(size: int, n: int) -> None:
    result = augment(noise_pictures(n), size, FaceAugmentation(), seeded())
    assert result.shape == (n, size, size) and result.dtype == torch.float32


def test_same_generator_gives_the_same_pictures() -> None:
    first, again, other = (augment(noise_pictures(4), SIZE, FaceAugmentation(), seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_nothing_but_the_generator_is_drawn_from() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augment(noise_pictures(4), SIZE, FaceAugmentation(), seeded())
    assert torch.equal(before, torch.get_rng_state())


def test_every_picture_of_a_batch_is_changed_differently() -> None:
    result = augment(repeated(smooth_picture(), 16), SIZE, FaceAugmentation(), seeded())
    assert len({picture.numpy().tobytes() for picture in result}) == 16


def test_batch_is_left_as_it_is() -> None:
    images = noise_pictures(4)
    copy = images.clone()
    augment(images, SIZE, FaceAugmentation(), seeded())
    assert torch.equal(images, copy)


amount = st.floats(0, 1)


@settings(database=None, derandomize=True)
@given(
    st.builds(
        FaceAugmentation,
        rotation_degrees=st.floats(0, 180),
        zoom=st.floats(0, 3),
        shift=amount,
        gamma=st.floats(0, 3),
        shade=st.floats(0, 500),
        noise=st.floats(0, 200),
        blur_share=amount,
        erase_share=amount,
        erase_area=amount,
    ),
    st.sampled_from([0, 255, None]),
    st.integers(0, 1000),
)
def test_gray_levels_stay_in_range_whatever_the_settings(
    amounts: FaceAugmentation, level: int | None, seed: int
) -> None:
    images = noise_pictures(3, seed) if level is None else torch.full((3, SIZE, SIZE), level, dtype=torch.uint8)
    result = augment(images, SIZE, amounts, seeded(seed))
    assert bool(result.isfinite().all()) and float(result.min()) >= 0 and float(result.max()) <= 255


# Nothing, and mirroring


def test_no_amounts_leave_a_symmetric_picture_alone() -> None:
    half = noise_pictures(8)[:, :, : SIZE // 2].float()
    images = torch.cat([half, half.flip(-1)], dim=2)
    assert torch.allclose(augment(images, SIZE, NO_AUGMENTATION, seeded()), images, atol=1e-3)


def test_no_amounts_mirror_half_of_the_pictures() -> None:
    picture = smooth_picture()
    result = changed(picture, n=400)
    same = np.abs(result - picture).max(axis=(1, 2)) < 1e-2
    mirrored = np.abs(result - picture[:, ::-1]).max(axis=(1, 2)) < 1e-2
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250  # 200 ± 5 deviations of 10


def test_smaller_size_is_the_picture_scaled() -> None:
    picture = smooth_picture()
    expected = cv2.resize(picture, (36, 36), interpolation=cv2.INTER_LINEAR)
    result = augment(repeated(picture, 20), 36, NO_AUGMENTATION, seeded()).double().numpy()
    for actual in result:
        assert min(np.abs(actual - expected).max(), np.abs(actual - expected[:, ::-1]).max()) < 0.1


# Placing: every draw set to a known value


def placed(monkeypatch: pytest.MonkeyPatch, draw: float, **amounts: float) -> Floats:
    """One smooth picture with every draw from -1 … 1 set to one value; below 0 it is mirrored too."""

    def constant(images: Tensor, generator: torch.Generator, *shape: int) -> Tensor:
        return torch.full((len(images), *shape), draw)

    with monkeypatch.context() as patch:
        patch.setattr(face_augmentation, "_uniform", constant)
        return changed(smooth_picture(), n=1, **amounts)[0]


def warped(scale: float, degrees: float, shift: tuple[float, float] = (0, 0)) -> Floats:
    """The smooth picture by OpenCV: where each pixel of the result is read, turned and scaled about the center."""
    center = (SIZE - 1) / 2
    matrix = cv2.getRotationMatrix2D((center, center), -degrees, scale) + np.array([[0, 0, shift[0]], [0, 0, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(smooth_picture(), matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


def sheared(slant: float) -> Floats:
    """The smooth picture by OpenCV, read farther to the right the lower the pixel."""
    matrix = np.array([[1, slant, -slant * (SIZE - 1) / 2], [0, 1, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(smooth_picture(), matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


@pytest.mark.parametrize("draw", [0.4, 1.0])
@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ({"rotation_degrees": 20.0}, lambda draw: warped(1, 20 * draw)),
        ({"zoom": 0.3}, lambda draw: warped(1.3**draw, 0)),
        ({"shift": 0.1}, lambda draw: warped(1, 0, (0.1 * SIZE * draw, 0.1 * SIZE * draw))),
        ({"rotation_degrees": 30.0, "zoom": 0.2}, lambda draw: warped(1.2**draw, 30 * draw)),
        ({"shear": 0.25}, lambda draw: sheared(0.25 * draw)),
    ],
)
def test_placing_agrees_with_opencv(
    monkeypatch: pytest.MonkeyPatch, draw: float, amounts: dict[str, float], expected: Any
) -> None:
    result, reference = placed(monkeypatch, draw, **amounts), expected(draw)
    assert np.abs(result - reference).max() < 1.5  # OpenCV places to 1/32 pixel
    assert np.abs(reference - smooth_picture()).max() > 10


def test_mirrored_picture_is_the_mirror_image(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.abs(placed(monkeypatch, -1e-9) - smooth_picture()[:, ::-1]).max() < 1e-2


def test_shift_stays_within_its_share_and_reaches_all_sides() -> None:
    spot = np.zeros((SIZE, SIZE))
    spot[22:26, 22:26] = 255
    result = changed(spot, n=500, shift=0.25)
    place = np.arange(SIZE) - (SIZE - 1) / 2
    mass = result.sum(axis=(1, 2))
    moved = np.stack([(result.sum(axis=1) @ place) / mass, (result.sum(axis=2) @ place) / mass]) / SIZE
    assert np.abs(moved).max() < 0.25 + 1e-3
    assert (moved.max(axis=1) > 0.2).all() and (moved.min(axis=1) < -0.2).all()
    assert abs(np.corrcoef(moved)[0, 1]) < 0.2  # the two directions are drawn apart


def test_rotation_stays_within_its_bound() -> None:
    bar = np.zeros((SIZE, SIZE))
    bar[23:25, 8:40] = 255
    moments = [cv2.moments(picture) for picture in changed(bar, n=300, rotation_degrees=20)]
    angles = [math.degrees(math.atan2(2 * m["mu11"], m["mu20"] - m["mu02"]) / 2) for m in moments]
    assert 18 < max(angles) < 20.1 and -20.1 < min(angles) < -18


def test_zoom_goes_as_far_one_way_as_the_other() -> None:
    disc = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(disc, (24, 24), 10, 255, -1)
    areas = changed(disc.astype(np.float64), n=300, zoom=0.5).sum(axis=(1, 2)) / disc.sum()
    assert 1.5**2 * 0.9 < areas.max() < 1.5**2 * 1.02 and 1.5**-2 * 0.98 < areas.min() < 1.5**-2 * 1.1


# Light


def test_gamma_is_a_power_between_its_bounds() -> None:
    result = changed(np.full((SIZE, SIZE), 100.0), gamma=0.5)
    exponents = np.log(result[:, 0, 0] / 255) / math.log(100 / 255)
    assert result.std(axis=(1, 2)).max() < 1e-3
    assert 1.4 < exponents.max() <= 1.5001 and 1 / 1.5001 <= exponents.min() < 0.7


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_gamma_keeps_black_and_white(level: float) -> None:
    assert np.abs(changed(np.full((SIZE, SIZE), level), gamma=0.9) - level).max() < 1e-3


def test_shade_is_a_ramp_within_its_slope() -> None:
    result = changed(np.full((SIZE, SIZE), 128.0), shade=60)
    across, down = (result[:, :, -1] - result[:, :, 0]).mean(axis=1), (result[:, -1] - result[:, 0]).mean(axis=1)
    for slopes in (across, down):
        assert np.abs(slopes).max() < 60.001 and slopes.max() > 50 and slopes.min() < -50
    assert result.mean(axis=(1, 2)) == pytest.approx(128, abs=1e-3)
    assert np.abs(np.diff(result, n=2, axis=1)).max() < 1e-3  # straight
    assert np.abs(np.diff(result, n=2, axis=2)).max() < 1e-3


# Softening, noise


def test_noise_has_deviations_up_to_its_bound() -> None:
    noise = changed(np.full((SIZE, SIZE), 128.0), noise=10) - 128
    deviations = noise.std(axis=(1, 2))
    assert deviations.max() < 10.5 and deviations.min() < 1  # 2304 pixels give the deviation to 1.5 %
    assert deviations.mean() == pytest.approx(5, abs=0.8)
    assert np.abs(noise.mean(axis=(1, 2))).max() < 1.1


def test_blur_goes_part_of_the_way_to_a_3x3_average_in_its_share() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (SIZE, SIZE))
    picture[:, SIZE // 2 :] = picture[:, SIZE // 2 - 1 :: -1]  # symmetric, so that mirroring is not seen
    result = changed(picture, n=400, blur_share=0.5)
    softer = cv2.blur(picture, (3, 3), borderType=cv2.BORDER_REPLICATE)
    way = ((result - picture) * (softer - picture)).sum(axis=(1, 2)) / ((softer - picture) ** 2).sum()
    assert np.abs(result - picture - way[:, None, None] * (softer - picture)).max() < 0.01
    blurred = way > 1e-3
    assert 150 < blurred.sum() < 250
    assert way.max() <= 1.001 and way[blurred].mean() == pytest.approx(0.5, abs=0.1)


# Covering


def covered(share: float, area: float, n: int = 600) -> tuple[Floats, Floats]:
    """What is covered, ``(n, size, size)``, and the pictures: a checkerboard has no pixel at its own mean."""
    board = np.where(np.add.outer(np.arange(SIZE), np.arange(SIZE)) % 2, 200.0, 50.0)
    result = changed(board, n=n, erase_share=share, erase_area=area)
    return (np.abs(result - 125) < 1).astype(np.float64), result


def test_covered_pixels_get_the_mean_and_the_others_stay() -> None:
    mask, result = covered(1.0, 0.2)
    assert 0 < mask.mean() < 0.2
    rest = result[mask == 0]
    assert np.minimum(np.abs(rest - 200), np.abs(rest - 50)).max() < 0.01


def test_covered_part_is_a_rectangle_of_bounded_area_and_shape() -> None:
    mask, _ = covered(1.0, 0.2)
    step, sides = 1 / (SIZE - 1), []  # a side is known to one pixel
    for picture in mask:
        rows, columns = picture.any(axis=1), picture.any(axis=0)
        assert picture.sum() == rows.sum() * columns.sum()  # a filled rectangle
        sides.append((rows.sum() / SIZE, columns.sum() / SIZE))
        assert (sides[-1][0] - step) * (sides[-1][1] - step) < 0.2
    longest = math.sqrt(0.2 * 2)
    assert longest * 0.85 < np.array(sides).max() < longest + step
    assert mask.mean(axis=(1, 2)).max() > 0.15
    assert (mask.mean(axis=0) > 0).mean() > 0.99  # every place can be covered


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_share_of_pictures_that_are_covered(share: float) -> None:
    mask, _ = covered(share, 0.5)
    happened = mask.any(axis=(1, 2)).mean()
    assert happened == pytest.approx(share, abs=0.08)
    assert (happened == 0) == (share == 0)
