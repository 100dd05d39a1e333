"""Pictures with known faces: FER-style crops pasted into larger pictures, and a moving portrait.

The portrait is scikit-image's ``astronaut`` (NASA, public domain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.faces.detectors import Detection, Detector
from multimodal.data.faces.tracking import align

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
    """Puts a square gray face into a larger picture, its border carried on outwards and fading into a soft background.

    Args:
        face: ``(n, n)`` uint8 gray, as in FER2013.
        canvas: Width and height of the picture in pixels.
        position: x, y of the face's top left corner in the picture, pixels; fractions are respected.
        side: Side of the pasted square in pixels.
        rng: Source of the background.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    width, height = canvas
    # pixel centers: the face's (-0.5, -0.5) lands on position - 0.5
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
    """Soft gray clouds, ``(height, width)``, 40 … 215."""
    coarse = rng.uniform(40, 215, (6, 8))
    return np.asarray(np.clip(cv2.resize(coarse, canvas, interpolation=cv2.INTER_CUBIC), 40, 215))


def pasted_place(rng: np.random.Generator, canvas: tuple[int, int] = (400, 300)) -> tuple[float, tuple[float, float]]:
    """A random side, 120 … 200 px, and a position that leaves a third of it free on each side where there is room."""
    side = float(rng.uniform(120, 200))
    free = [min(side / 3, (length - side) / 2) for length in canvas]
    x, y = (float(rng.uniform(space, length - side - space)) for space, length in zip(free, canvas, strict=True))
    return side, (x, y)


def refound_crops(
    images: Sequence[Image] | Image, detector: Detector, seed: int = 0, size: int = 48
) -> tuple[Image, Image]:
    """Pastes each face into a picture of its own, finds it again and crops it.

    Args:
        images: Square gray faces, uint8.
        detector: Finds them.
        seed: Of places and backgrounds.
        size: Side of the crops.

    Returns:
        Crops ``(n, size, size)`` uint8 (zeros where nothing was found), and found ``(n,)`` bool.
    """
    crops = np.zeros((len(images), size, size), np.uint8)
    actual = np.zeros(len(images), bool)
    rng = np.random.default_rng(seed)
    for index, face in enumerate(images):
        side, place = pasted_place(rng)
        picture = paste(face, (400, 300), place, side, rng)
        best = best_match(detector.detect(picture), side, place)
        if best is not None:
            crops[index], actual[index] = align(picture, best, size), True
    return crops, actual


def best_match(detections: Sequence[Detection], side: float, place: tuple[float, float]) -> Detection | None:
    """The best detection whose center lies in the middle half of the pasted square."""
    for face in detections:
        x, y, width, height = face.box
        center = ((x + width / 2 - place[0]) / side, (y + height / 2 - place[1]) / side)
        if all(0.25 < share < 0.75 for share in center):
            return face
    return None


@dataclass(frozen=True)
class Person:
    """Somebody in a scene: where the portrait's head lies and how it differs from the original.

    Attributes:
        center: x, y of the middle of the head, pixels.
        width: Of the head's cut-out (1.6 times the face), pixels.
        mirrored: Looks the other way.
        tint: Factors on red, green and blue.
    """

    center: tuple[float, float]
    width: float = 100.0
    mirrored: bool = False
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


def portrait() -> Image:
    """The whole portrait, ``(512, 512, 3)`` uint8 RGB."""
    from skimage.data import astronaut

    return np.asarray(astronaut(), np.uint8)


def scene(people: Sequence[Person], canvas: tuple[int, int] = (480, 270), seed: int = 0) -> Image:
    """A picture of soft clouds with the given people, later ones in front; ``(height, width, 3)`` uint8 RGB."""
    picture = np.repeat(background(canvas, np.random.default_rng(seed))[:, :, None], 3, axis=2)
    x, y, width, height = FACE_BOX
    head = portrait()[y : y + height, x : x + width].astype(np.float64)
    columns, rows = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    oval = np.clip(4 * (1.05 - np.hypot(columns, rows)), 0, 1)
    for person in people:
        factor = person.width / width
        left, top = (middle - side * factor / 2 for middle, side in zip(person.center, (width, height), strict=True))
        matrix = np.array(((factor, 0, left + factor / 2 - 0.5), (0, factor, top + factor / 2 - 0.5)))
        looks = np.clip(head[:, ::-1] if person.mirrored else head, 0, 255) * person.tint
        weight = cv2.warpAffine(oval, matrix, canvas)[:, :, None]
        picture = picture * (1 - weight) + weight * cv2.warpAffine(np.clip(looks, 0, 255), matrix, canvas)
    return np.asarray(np.rint(np.clip(picture, 0, 255)), np.uint8)


def faceless_pictures() -> dict[str, Image]:
    """Pictures without anybody, ``(270, 480, 3)`` uint8 RGB, by name."""
    rng = np.random.default_rng(5)
    ramp = np.tile(np.linspace(0, 255, 480), (270, 1))
    clouds = background((480, 270), rng)
    gray = {"black": 0 * ramp, "ramp": ramp, "clouds": clouds, "noise": rng.uniform(0, 255, ramp.shape)}
    pictures = {name: np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2) for name, values in gray.items()}
    pictures["blocks"] = cv2.resize(
        rng.integers(0, 256, (9, 16, 3), np.uint8), (480, 270), interpolation=cv2.INTER_NEAREST
    )
    return pictures | {"cartoon": cartoon()}


def cartoon() -> Image:
    """A title with flat colors, letters, wheels and a sun with two dots for eyes and a line for a mouth."""
    picture = np.full((270, 480, 3), (120, 190, 240), np.uint8)
    cv2.rectangle(picture, (0, 200), (480, 270), (70, 160, 70), -1)
    cv2.circle(picture, (110, 90), 60, (255, 220, 60), -1)
    for x in (90, 130):
        cv2.circle(picture, (x, 80), 7, (30, 30, 30), -1)
    cv2.line(picture, (85, 115), (135, 115), (30, 30, 30), 4)
    cv2.putText(picture, "THE SHOW", (210, 120), cv2.FONT_HERSHEY_DUPLEX, 1.6, (200, 30, 40), 4)
    for x in (250, 380):
        cv2.circle(picture, (x, 215), 28, (40, 40, 40), -1)
        cv2.circle(picture, (x, 215), 12, (200, 200, 200), -1)
    return picture


def reference_pictures() -> dict[str, Image]:
    """The pictures on which tests/reference_scripts/make_mtcnn_reference.py ran somebody else's program."""
    pair = [Person((130, 120), 120), Person((340, 150), 90, mirrored=True, tint=(1.0, 0.8, 0.7))]
    crowd = [Person((60 + 90 * index, 130 + 12 * (-1) ** index), 62 + 6 * index, index % 2 == 1) for index in range(5)]
    return {"portrait": portrait(), "pair": scene(pair), "crowd": scene(crowd), "edge": scene([Person((30, 120), 120)])}
