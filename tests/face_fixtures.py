"""Pictures with known faces for the tests: FER-style crops pasted into larger pictures, and a portrait moved about.

The portrait is scikit-image's ``astronaut`` (NASA, public domain).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.detectors import Detection, Detector
from multimodal.data.faces import align

Image = NDArray[np.uint8]

FACE_BOX = (150, 30, 142, 170)
"""x, y, width, height around head and hair in the portrait."""


def paste(
    face: Image,
    canvas: tuple[int, int],
    position: tuple[float, float],
    side: float,
    rng: np.random.Generator,
) -> Image:
    """Puts a square grey face into a larger picture, its border carried on outwards and fading into a soft background.

    Args:
        face: ``(n, n)`` uint8 grey, as in FER2013.
        canvas: Width and height of the picture in pixels.
        position: x, y of the face's top left corner in the picture, pixels; fractions are honoured.
        side: Side of the pasted square in pixels.
        rng: Source of the background.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    width, height = canvas
    # pixel centres: the face's (-0.5, -0.5) lands on position - 0.5
    factor = side / face.shape[0]
    offset = [p + 0.5 * factor - 0.5 for p in position]
    matrix = np.array([[factor, 0, offset[0]], [0, factor, offset[1]]])
    grown = cv2.warpAffine(face, matrix, canvas, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    beyond_x = np.maximum(np.maximum(position[0] - x, x - position[0] - side), 0)[None]
    beyond_y = np.maximum(np.maximum(position[1] - y, y - position[1] - side), 0)[:, None]
    weight = np.clip(1 - np.hypot(beyond_x, beyond_y) / (0.3 * side), 0, 1)
    blended = weight * grown + (1 - weight) * background(canvas, rng)
    return np.repeat(np.rint(blended).astype(np.uint8)[:, :, None], 3, axis=2)


def background(canvas: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Soft grey clouds, ``(height, width)``, 40 … 215."""
    coarse = rng.uniform(40, 215, (6, 8))
    return np.asarray(np.clip(cv2.resize(coarse, canvas, interpolation=cv2.INTER_CUBIC), 40, 215))


def pasted_place(rng: np.random.Generator, canvas: tuple[int, int] = (400, 300)) -> tuple[float, tuple[float, float]]:
    """A random side, 120 … 200 px, and a position that leaves a third of it free on each side where there is room."""
    side = float(rng.uniform(120, 200))
    free = [min(side / 3, (length - side) / 2) for length in canvas]
    x, y = (float(rng.uniform(space, length - side - space)) for space, length in zip(free, canvas, strict=True))
    return side, (x, y)


def refound_crops(images: Sequence[Image] | Image, detector: Detector, seed: int = 0, size: int = 48) -> tuple[Image, Image]:
    """Pastes each face into a picture of its own, finds it again and crops it.

    Args:
        images: Square grey faces, uint8.
        detector: Finds them.
        seed: Of places and backgrounds.
        size: Side of the crops.

    Returns:
        Crops ``(n, size, size)`` uint8 (zeros where nothing was found), and found ``(n,)`` bool.
    """
    crops = np.zeros((len(images), size, size), np.uint8)
    found = np.zeros(len(images), bool)
    rng = np.random.default_rng(seed)
    for index, face in enumerate(images):
        side, place = pasted_place(rng)
        picture = paste(face, (400, 300), place, side, rng)
        best = found_again(detector.detect(picture), side, place)
        if best is not None:
            crops[index], found[index] = align(picture, best, size), True
    return crops, found


def found_again(detections: Sequence[Detection], side: float, place: tuple[float, float]) -> Detection | None:
    """The best detection whose centre lies in the middle half of the pasted square."""
    for face in detections:
        x, y, width, height = face.box
        centre = ((x + width / 2 - place[0]) / side, (y + height / 2 - place[1]) / side)
        if all(0.25 < share < 0.75 for share in centre):
            return face
    return None
