"""Quality and crops of faces by hand; the effect of detection and cropping on FER+."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from face_fixtures import Person, paste, portrait, refound_crops, scene
from numpy.typing import NDArray

from multimodal.data.corpora.ferplus import majority_labels, read_ferplus
from multimodal.data.faces.detectors import Detection, Detector, load_detector
from multimodal.data.faces.tracking import BLURRED_BELOW, FACE_TEMPLATE, align, quality, sharpness
from multimodal.encoders.face import predict
from multimodal.models.weights import load_weights

PICTURES = 1000  # of the 3,191: the standard error of the difference is about 1 point
LARGEST_LOSS = 0.03


@pytest.mark.slow
@pytest.mark.corpus
def test_faces_found_again_lose_little_accuracy(ferplus_folder: Path) -> None:
    corpus = read_ferplus(ferplus_folder, "valid")
    judged = corpus.subset(majority_labels(corpus.votes) >= 0)
    step = np.arange(len(judged)) % (len(judged) // PICTURES) == 0
    judged = judged.subset(step)
    crops, actual = refound_crops(judged.images, load_detector("mtcnn"))
    assert actual.mean() > 0.85
    labels = majority_labels(judged.votes)[actual]
    assert accuracy(crops[actual], labels) > accuracy(judged.images[actual], labels) - LARGEST_LOSS


def accuracy(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    weights = load_weights()
    spec = weights.spec
    parts = [
        predict(weights.network, part, spec.temperature, spec.flip)[0] for part in torch.from_numpy(images).split(128)
    ]
    return float((torch.cat(parts).argmax(1).numpy() == labels).mean())


Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


EMPTY = np.zeros((270, 480, 3), np.uint8)


# ------------------------------------------------------------------------------------------------------------ quality


def test_a_clear_face_is_clear(mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 110)])
    assert quality(picture, mtcnn.detect(picture)[0]) == "clear"


def test_tiny_is_measured_in_the_original(mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 34)])  # a face of about 21 px
    (face,) = mtcnn.detect(picture)
    assert face.box[2] < 24
    assert quality(picture, face) == "tiny"
    assert quality(picture, face, scale=3.0) != "tiny"


@pytest.mark.parametrize(("sigma", "expected"), [(1.0, "clear"), (12.0, "blurred")])
def test_blur_is_measured_on_the_crop(sigma: float, expected: str, mtcnn: Detector) -> None:
    picture = scene([Person((240, 130), 200)])  # a crop pixel is about 3 px here
    (face,) = mtcnn.detect(picture)
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    assert quality(blurred, face) == expected


def test_sharpness_does_not_depend_on_contrast() -> None:
    crop = cv2.cvtColor(portrait(), cv2.COLOR_RGB2GRAY)[60:180, 165:285]
    crop = np.asarray(cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA), np.uint8)
    assert sharpness((crop // 2 + 60).astype(np.uint8)) == pytest.approx(sharpness(crop), rel=0.15)
    assert sharpness(crop) > 10 * BLURRED_BELOW
    assert sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), 4), np.uint8)) < BLURRED_BELOW


@pytest.mark.parametrize(
    ("left", "expected"), [(-6.0, "clear"), (-9.0, "clear"), (-12.0, "partial"), (-100.0, "partial")]
)
def test_a_fifth_outside_is_partial(left: float, expected: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    assert quality(picture, Detection((left, 20, 50, 50), 1.0)) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "clear"),
        ({2: (0.6, 0.6)}, "clear"),  # half turned
        ({2: (0.70, 0.6)}, "clear"),  # three quarters: 0.03 of the eyes' distance beyond the eye
        ({2: (0.75, 0.6)}, "partial"),  # the nose 0.16 beyond an eye
        ({0: (0.46, 0.385), 1: (0.54, 0.385)}, "partial"),  # the eyes nearly fall together
        ({0: (0.5, 0.385), 1: (0.5, 0.385)}, "partial"),
    ],
)
def test_an_extreme_profile_is_partial(change: dict[int, tuple[float, float]], expected: str) -> None:
    points = FACE_TEMPLATE.astype(np.float32)
    for index, place in change.items():
        points[index] = place
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    assert quality(picture, Detection((30, 20, 60, 80), 1.0, points * 60 + 30)) == expected


# -------------------------------------------------------------------------------------------------------------- crops


def placed(side: float, center: tuple[float, float], degrees: float = 0.0) -> tuple[Image, Detection]:
    """A picture with a bright dot at each landmark of a template face of known side, place and tilt (clockwise)."""
    angle = math.radians(degrees)
    turn = np.array(((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))))
    points = (FACE_TEMPLATE - 0.5) * side @ turn.T + center
    y, x = np.mgrid[0:300, 0:400] + 0.5
    dots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (side / 30) ** 2)) for px, py in points)
    picture = np.repeat(np.minimum(255 * np.asarray(dots), 255).astype(np.uint8)[:, :, None], 3, axis=2)
    return picture, Detection((center[0] - side / 2, center[1] - side / 2, side, side), 1.0, points.astype(np.float32))


def dots_of(crop: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Middles of the bright dots in shares of the crop's side, from top to bottom and left to right."""
    count, _, _, middles = cv2.connectedComponentsWithStats((crop > 60).astype(np.uint8))
    actual = (np.asarray(middles[1:count]) + 0.5) / crop.shape[0]
    return actual[np.lexsort((actual[:, 0], actual[:, 1].round(1)))]


@pytest.mark.parametrize("size", [48, 64])
@pytest.mark.parametrize("side", [60.0, 120.0, 210.0])
def test_landmarks_come_to_lie_where_the_template_says(side: float, size: int) -> None:
    picture, face = placed(side, (183.3, 141.7))
    crop = align(picture, face, size)
    assert crop.shape == (size, size) and crop.dtype == np.uint8
    assert dots_of(crop) == pytest.approx(FACE_TEMPLATE, abs=0.35 / 48)


@pytest.mark.parametrize(("degrees", "left"), [(15.0, 15.0), (-18.0, -18.0), (35.0, 20.0), (-60.0, -20.0)])
def test_tilt_beyond_twenty_degrees_is_turned_back(degrees: float, left: float) -> None:
    picture, face = placed(120.0, (200.0, 150.0), degrees)
    turned = dots_of(align(picture, face))
    eyes = turned[np.argsort(turned[:, 1])[:2]]
    eyes = eyes[np.argsort(eyes[:, 0])]
    assert math.degrees(math.atan2(*(eyes[1] - eyes[0])[::-1])) == pytest.approx(left, abs=2.0)


def test_shrinking_averages_instead_of_picking() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[::2, ::2] = picture[1::2, 1::2] = 255  # a board of single pixels: 127.5 on average
    crop = align(picture, Detection((15, 15, 360, 360), 1.0))
    assert np.abs(crop.astype(float) - 127.5).max() < 12


def test_the_border_is_carried_on_beyond_the_picture() -> None:
    picture = np.full((100, 100, 3), 40, np.uint8)
    picture[:, :10] = 200
    crop = align(picture, Detection((-48, 20, 48, 48), 1.0))
    assert (crop == 200).all()


def test_without_landmarks_the_crop_is_the_square_around_the_box() -> None:
    rng = np.random.default_rng(1)
    picture = np.repeat(rng.integers(0, 256, (200, 200, 1), np.uint8), 3, axis=2)
    assert np.array_equal(align(picture, Detection((30, 40, 48, 48), 1.0)), picture[40:88, 30:78, 0])
    assert np.array_equal(align(picture, Detection((40, 40, 28, 48), 1.0)), picture[40:88, 30:78, 0])


def test_landmarks_that_fall_together_are_not_used() -> None:
    picture = np.repeat(np.random.default_rng(1).integers(0, 256, (200, 200, 1), np.uint8), 3, axis=2)
    points = np.full((5, 2), 60, np.float32)
    assert np.array_equal(align(picture, Detection((30, 40, 48, 48), 1.0, points)), picture[40:88, 30:78, 0])


def test_a_crop_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        align(EMPTY, Detection((0, 0, 10, 10), 1.0), 0)


def test_pasted_faces_are_framed_again(mtcnn: Detector) -> None:
    (box,) = load_detector("haar").detect(portrait())  # FER2013's own framing comes from such a detector
    face = align(portrait(), box)
    crops, actual = refound_crops([face, face, np.full((48, 48), 90, np.uint8)], mtcnn, seed=3)
    assert actual.tolist() == [True, True, False]
    assert not crops[2].any()
    for crop in crops[:2]:
        assert np.corrcoef(crop.ravel(), face.ravel())[0, 1] > 0.8


def test_paste_puts_the_face_where_it_says() -> None:
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    face = np.asarray(cv2.GaussianBlur(face, (0, 0), 1.5), np.uint8)
    picture = paste(face, (400, 300), (101, 52), 144, np.random.default_rng(0))
    assert picture.shape == (300, 400, 3)
    again = align(picture, Detection((101, 52, 144, 144), 1.0))
    assert np.abs(again.astype(float) - face).mean() < 2
