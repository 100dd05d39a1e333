"""The result and the interface of face detectors, and the steps that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""Order of a detection's landmarks; left and right as seen in the picture."""

LEAST_REDUCTION = 0.85  # no resizing for less: it costs more than the smaller picture saves
LINEAR_UNTIL = 0.6  # shrinking to more than this aliases little; averaging is five times as slow
REGION = 2.2  # side of the region searched around a box, in box sides: half a face further each way
REGION_LEAST = 20  # pixels


@dataclass(frozen=True)
class Detection:
    """One face in one picture.

    Attributes:
        box: ``(x, y, width, height)`` in pixels of the searched picture.
        score: The detector's confidence, 0 … 1.
        landmarks: ``(5, 2)`` float32 x, y in the order of ``LANDMARKS``; None for detectors without landmarks.
    """

    box: Box
    score: float
    landmarks: Floats | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.landmarks is not None and self.landmarks.shape != (5, 2):
            raise ValueError(f"landmarks must be (5, 2), got {self.landmarks.shape}")

    def moved(self, x: float, y: float) -> Detection:
        """Moves the face by ``x`` to the right and ``y`` down.

        Args:
            x: Pixels to the right.
            y: Pixels down.

        Returns:
            The moved face.
        """
        points = None if self.landmarks is None else self.landmarks + np.array((x, y), np.float32)
        return Detection((self.box[0] + x, self.box[1] + y, self.box[2], self.box[3]), self.score, points)

    def scaled(self, factor: float) -> Detection:
        """The same face in a picture ``factor`` times as large.

        Args:
            factor: Ratio of the sizes.

        Returns:
            The scaled face.
        """
        x, y, width, height = (value * factor for value in self.box)
        points = None if self.landmarks is None else self.landmarks * np.float32(factor)
        return Detection((x, y, width, height), self.score, points)


class Detector(Protocol):
    """The interface of every detector.

    Attributes:
        certain_score: Least score at which a single detection is accepted; others need a second detection.
    """

    certain_score: float

    def detect(self, image: Image) -> list[Detection]:
        """Finds every face in a ``(height, width, 3)`` uint8 RGB picture, best first.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.

        Returns:
            The faces.
        """

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Searches near each box only; the face there, or None, in the order of the boxes.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.
            boxes: Boxes in pixels.

        Returns:
            A face or None per box.
        """


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes.

    Args:
        first: ``(x, y, width, height)``.
        second: ``(x, y, width, height)``.

    Returns:
        0 (apart) … 1 (the same box).

    Example:
        >>> overlap((0, 0, 2, 2), (1, 0, 2, 2))
        0.3333333333333333
    """
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    union = first[2] * first[3] + second[2] * second[3] - shared
    return shared / union if union > 0 else 0.0


def search_near(search: Callable[[Image], list[Detection]], image: Image, box: Box) -> Detection | None:
    """Searches an enlarged region around a box.

    Args:
        search: Finds the faces in a picture.
        image: ``(height, width, 3)`` uint8 RGB.
        box: Expected place of a face.

    Returns:
        The face that overlaps the box most, in pixels of ``image``; None if no face does.

    Example:
        >>> search_near(lambda region: [], np.zeros((90, 120, 3), np.uint8), (30, 20, 40, 50)) is None
        True
    """
    half = REGION * max(box[2], box[3]) / 2
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    left, top = max(int(x - half), 0), max(int(y - half), 0)
    region = image[top : max(int(y + half), 0), left : max(int(x + half), 0)]
    if min(region.shape[:2]) < REGION_LEAST:
        return None
    faces = [face.moved(left, top) for face in search(np.ascontiguousarray(region))]
    best = max(faces, key=lambda face: overlap(face.box, box), default=None)
    return best if best is not None and overlap(best.box, box) > 0 else None


def reduced(image: Image, scale: float) -> tuple[Image, float]:
    """Shrinks a picture, unless the gain is small.

    Args:
        image: ``(height, width, 3)`` uint8.
        scale: Target size as a share of the present size; never enlarges.

    Returns:
        The picture, and its exact scale after rounding to whole pixels (1 if unchanged).

    Example:
        >>> small, scale = reduced(np.zeros((90, 120, 3), np.uint8), 0.25)
        >>> small.shape, scale
        ((22, 30, 3), 0.25)
    """
    if scale >= LEAST_REDUCTION:
        return image, 1.0
    height, width = image.shape[:2]
    small = resized(image, max(round(width * scale), 1), max(round(height * scale), 1))
    return small, small.shape[1] / width


def resized(image: Image, width: int, height: int) -> Image:
    """Resizes a picture, by averaging where it shrinks much.

    Args:
        image: ``(height, width, 3)`` uint8.
        width: New width in pixels.
        height: New height in pixels.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    shrinks = width < LINEAR_UNTIL * image.shape[1] or height < LINEAR_UNTIL * image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
