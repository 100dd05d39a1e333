"""Crops framed as in FER2013, and the quality of each face.

All coordinates are continuous: the pixel at column 0 covers 0 … 1. Boxes are ``(x, y, width, height)``.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.faces.detection import Box, Detection, Image

Doubles = NDArray[np.float64]

# Median places of the landmarks in FER2013's training crops, in shares of the crop's side: MTCNN on 3,000 of them,
# pasted into larger pictures (0.91 found), mirror images averaged. On 1,000 validation images, crops found again differ
# from the originals by 2.0 pixels of 48 in place and 13 % in size (median, robust spread), because FER2013's own
# framing varies; YuNet's landmarks give 2.3 and 17 %. tests/reference_scripts/make_face_template.py prints these.
FACE_TEMPLATE = np.array(((0.312, 0.385), (0.688, 0.385), (0.5, 0.598), (0.343, 0.783), (0.657, 0.783)))
FITTED = (0, 1, 3, 4)  # eyes and mouth corners: the nose slides sideways when a head turns
# Heads in FER2013 are tilted by 9 degrees (standard deviation). Turning each upright moved the crops' corners 7.3
# pixels of 48 away from the originals on average, turning none 5.6, turning back only what exceeds 20 degrees 5.6.
UPRIGHT_DEGREES = 20.0
FINEST = 12  # samples per crop pixel and axis at the most: a face of 576 px is still averaged in full

TINY_SIDE = 24.0  # original pixels: half a crop's 48, so three quarters of its pixels would be invented
OUTSIDE_SHARE = 0.2  # of the box's area beyond the picture's edge: chin or forehead or an eye is gone
NOSE_BEYOND = 0.1  # of the eyes' distance; in a real clip 0.14 to 0.43 in profiles, 0.04 in three quarters
PROFILE_SPAN = 0.35  # eyes' distance over that from eyes to mouth; 0.94 in the template, 0.35 turned by 68 degrees
BLURRED_BELOW = 0.012  # see ``sharpness``: what a Gaussian blur of 2 to 2.5 crop pixels leaves of FER2013's images


def align(image: Image, detection: Detection, size: int = 48) -> Image:
    """Crops a face as FER2013 frames faces: eyes and mouth at the same places.

    FER2013 keeps the natural tilt of heads, so only tilts beyond 20 degrees are corrected. Without landmarks the crop
    is the square around the box: Haar's boxes frame faces as FER2013 does (median ratio of the sides 1.01, shift below
    0.01 of the side). Beyond the picture its border is repeated.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.
        detection: The face in this image.
        size: Side of the crop in pixels.

    Returns:
        ``(size, size)`` uint8 gray, 0 … 255; averaged over pixels where the face shrinks.

    Raises:
        ValueError: The size is not positive.

    Example:
        >>> align(np.full((90, 120, 3), 7, np.uint8), Detection((40, 20, 50, 60), 1.0)).shape
        (48, 48)

    Source: I. Goodfellow et al., "Challenges in Representation Learning", ICONIP 2013 (FER2013).
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    matrix = crop_matrix(detection) * size
    shrinking = 1 / math.hypot(matrix[0, 0], matrix[0, 1])
    fine = min(max(math.ceil(shrinking), 1), FINEST)
    matrix *= fine
    matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # from continuous coordinates to OpenCV's pixel centers
    side = size * fine
    crop = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def crop_matrix(detection: Detection) -> Doubles:
    """Maps points of the picture into the crop.

    Args:
        detection: The face.

    Returns:
        ``(2, 3)`` float64: maps picture x, y, 1 to shares of the crop's side, 0 … 1 inside.

    Example:
        >>> eyes_and_mouth = Detection((0, 0, 1, 1), 1.0, (100 * FACE_TEMPLATE + 7).astype(np.float32))
        >>> (crop_matrix(eyes_and_mouth) @ (57, 57, 1)).round(3).tolist()  # the middle of the crop
        [0.5, 0.5]
    """
    if detection.landmarks is not None:
        points = detection.landmarks.astype(np.float64)[list(FITTED)]
        if np.ptp(points, axis=0).max() >= 1:  # points that fall together say nothing about size
            return _fitted_matrix(points, FACE_TEMPLATE[list(FITTED)], _excess_tilt(detection.landmarks))
    side = max(*detection.box[2:], 1.0)
    left, top = box_center(detection.box) - side / 2
    return np.array(((1 / side, 0, -left / side), (0, 1 / side, -top / side)))


def _fitted_matrix(points: Doubles, template: Doubles, angle: float) -> Doubles:
    """Rotates by ``-angle`` (radians), scales the points to the template's spread, and aligns the centers."""
    center, target = points.mean(axis=0), template.mean(axis=0)
    scale = math.sqrt(((template - target) ** 2).sum() / ((points - center) ** 2).sum())
    turn = np.array(((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle)))) * scale
    return np.column_stack((turn, target - turn @ center))


def _excess_tilt(landmarks: NDArray[np.float32]) -> float:
    """Radians of a head's tilt beyond that of FER2013's faces; clockwise in the picture is positive."""
    (left, right), mouth = landmarks[:2].astype(np.float64), landmarks[3:].astype(np.float64)
    along = right - left + mouth[1] - mouth[0]  # eyes and mouth together: steadier than the eyes alone
    tilt = math.atan2(along[1], along[0])
    return math.copysign(max(abs(tilt) - math.radians(UPRIGHT_DEGREES), 0.0), tilt)


def quality(image: Image, detection: Detection, scale: float = 1.0) -> str:
    """Rates whether a face is clear enough to be scored.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.
        detection: The face in this image.
        scale: Pixels of the original picture per pixel of ``image``.

    Returns:
        ``tiny`` (shorter side under 24 original pixels), ``partial`` (a fifth of the box outside the picture, or an
        extreme profile), ``blurred``, else ``clear``.

    Example:
        >>> quality(np.zeros((90, 120, 3), np.uint8), Detection((40, 20, 20, 22), 1.0))
        'tiny'
    """
    if min(detection.box[2:]) * scale < TINY_SIDE:
        return "tiny"
    if _outside(image, detection.box) > OUTSIDE_SHARE or _in_profile(detection):
        return "partial"
    return "blurred" if sharpness(align(image, detection)) < BLURRED_BELOW else "clear"


def sharpness(crop: Image) -> float:
    """Ratio of the variance of the Laplacian to that of the pixels in the middle of a crop: detail per contrast.

    Args:
        crop: ``(48, 48)`` uint8 gray.

    Returns:
        0 (flat) … about 3. Medians over 1,193 FER2013 images: 1.0 as they are, 0.10, 0.018, 0.010 and 0.007 after a
        Gaussian blur of 1, 2, 2.5 and 3 pixels. The limit of 0.012 marks none as they are, 1 % at 1.5 and 80 % at 3.

    Example:
        >>> sharpness(np.zeros((48, 48), np.uint8))
        0.0

    Source: J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    border = crop.shape[0] // 8  # hair and background, which may be sharp behind a blurred face
    middle = crop[border:-border, border:-border].astype(np.float32)
    detail = cv2.Laplacian(middle, cv2.CV_32F)[1:-1, 1:-1]
    return float(detail.var()) / (float(middle.var()) + 25)  # 25: the noise of a flat picture is no detail


MOUTH = (0.62, 0.95, 0.22, 0.78)
"""Top, bottom, left and right of the mouth in an aligned crop, in shares of its side."""

UPPER_FACE = (0.15, 0.55, 0.15, 0.85)
"""Eyes, brows and the bridge of the nose, which move little in speech."""


def mouth_motion(before: Image, after: Image) -> float:
    """How much more the mouth changes from one crop to the next than the upper face does.

    What changes both alike (noise, light, a crop that is placed a little differently) cancels.

    Args:
        before: ``(size, size)`` uint8 gray, aligned crop of a face.
        after: The next crop of the same face, of the same size.

    Returns:
        Mean difference of the mouth less that of the upper face, in deviations of the gray levels; at least 0.

    Example:
        >>> mouth_motion(np.zeros((48, 48), np.uint8), np.zeros((48, 48), np.uint8))
        0.0
    """
    first, second = (cv2.blur(crop, (3, 3)).astype(np.float32) for crop in (before, after))
    scale = max((float(first.std()) + float(second.std())) / 2, 4.0)
    change = np.abs((first - first.mean()) - (second - second.mean())) / scale
    return max(_mean_in(change, MOUTH) - _mean_in(change, UPPER_FACE), 0.0)


def _mean_in(change: NDArray[np.float32], place: tuple[float, float, float, float]) -> float:
    top, bottom, left, right = (round(share * len(change)) for share in place)
    return float(change[top:bottom, left:right].mean())


def _outside(image: Image, box: Box) -> float:
    """Share of the box's area beyond the picture."""
    x, y, width, height = box
    inside_x = min(x + width, float(image.shape[1])) - max(x, 0.0)
    inside_y = min(y + height, float(image.shape[0])) - max(y, 0.0)
    return 1 - max(inside_x, 0.0) * max(inside_y, 0.0) / max(width * height, 1e-9)


def _in_profile(detection: Detection) -> bool:
    """Whether the nose lies well beyond an eye, or the eyes nearly fall together."""
    if detection.landmarks is None:
        return False
    left, right, nose, *mouth = detection.landmarks.astype(np.float64)
    span = right - left
    length = float(np.hypot(*span))
    if length < PROFILE_SPAN * math.hypot(*((mouth[0] + mouth[1] - left - right) / 2)) or length == 0:
        return True
    along = float((nose - left) @ span) / length**2
    return bool(abs(along - 0.5) > 0.5 + NOSE_BEYOND)


def box_center(box: Box) -> Doubles:
    """Middle of a box: x, y.

    Args:
        box: x, y, width, height in pixels.

    Returns:
        ``(2,)`` float64.
    """
    return np.array((box[0] + box[2] / 2, box[1] + box[3] / 2))
