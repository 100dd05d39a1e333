"""Face detectors behind one small interface: MTCNN (default), YuNet, Haar.

Each searches a whole picture (``detect``) or only near the last places of faces (``follow``), at a fraction of the
cost. Boxes are ``(x, y, width, height)`` in pixels of the picture given, and may reach beyond its edges.

Source: W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023;
P. Viola, M. Jones, "Robust Real-Time Face Detection", IJCV 57, 2004; MTCNN's in ``mtcnn.py``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from multimodal.data.faces.detection import (
    LANDMARKS,
    Box,
    Detection,
    Detector,
    Floats,
    Image,
    overlap,
    reduced,
    search_near,
)
from multimodal.data.faces.mtcnn import MTCNN
from multimodal.errors import ConfigError, DependencyError, OutputError
from multimodal.files import published_bytes

__all__ = [
    "DETECTORS",
    "LANDMARKS",
    "MTCNN",
    "Box",
    "Detection",
    "Detector",
    "Haar",
    "Image",
    "YuNet",
    "fetch_yunet",
    "load_detector",
    "overlap",
    "yunet_cache",
]

DETECTORS = ("mtcnn", "yunet", "haar")

YUNET_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
YUNET_BYTES = 229_738
YUNET_FILE = "face_detection_yunet_2026may.onnx"
YUNET_URLS = (  # GitHub's address for files in large-file storage, then the mirror that OpenCV keeps
    f"https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_detection_yunet/{YUNET_FILE}",
    f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{YUNET_FILE}",
)

YUNET_LONGER_SIDE = 640  # searched at this size: 15 ms, and a 20 px face at 1280x720 still measures its least, 10 px
YUNET_THRESHOLD = 0.6
YUNET_REGION_SIDE = 96  # a region of 2.2 faces gives the face 44 px here


class YuNet:
    """The anchor-free detector of OpenCV's model zoo, through ``cv2.FaceDetectorYN``.

    Args:
        model_file: The published ONNX file.

    Raises:
        DependencyError: File not found.
        WeightsError: The file is not the published one.

    Example:
        >>> YuNet("missing.onnx")
        Traceback (most recent call last):
            ...
        multimodal.errors.DependencyError: missing.onnx: not found; run `multimodal fetch yunet`

    Source: Wu et al. 2023; file of github.com/opencv/opencv_zoo (MIT).
    """

    certain_score = 0.85  # frontal faces in real clips scored 0.85 to 0.94, blurred ones in the audience less

    def __init__(self, model_file: str | os.PathLike[str]) -> None:
        path = Path(model_file)
        if not path.is_file():
            raise DependencyError(path, "not found", "run `multimodal fetch yunet`")
        content = published_bytes(path, YUNET_SHA256)
        nothing = np.zeros(0, np.uint8)
        self._network = cv2.FaceDetectorYN.create("onnx", content, nothing, (320, 320), YUNET_THRESHOLD, 0.3, 500)

    def detect(self, image: Image) -> list[Detection]:
        """Finds faces in a whole RGB picture, searched at no more than 640 px a side, best first.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.

        Returns:
            The faces.
        """
        return self._search(image, YUNET_LONGER_SIDE)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Searches a region of 2.2 box sides around each box.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.
            boxes: Boxes in pixels.

        Returns:
            A face or None per box.
        """
        return [search_near(lambda region: self._search(region, YUNET_REGION_SIDE), image, box) for box in boxes]

    def _search(self, image: Image, longer_side: int) -> list[Detection]:
        small, scale = reduced(image, longer_side / max(image.shape[:2]))
        self._network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        faces = [_yunet_detection(np.asarray(row, np.float32)).scaled(1 / scale) for row in rows]
        return sorted(faces, key=lambda face: -face.score)


def _yunet_detection(row: Floats) -> Detection:
    """From x, y, width, height, five points, score; its first eye is the person's right eye, left in the picture."""
    x, y, width, height = (float(value) for value in row[:4])
    return Detection((x, y, width, height), min(float(row[14]), 1.0), row[4:14].reshape(5, 2))


HAAR_SCORE = 0.8  # a cascade gives no probability; 0.85 of its finds are faces, and this asks for a second sighting
HAAR_SHORTER_SIDE = 360  # larger pictures are searched at this size: the time grows with the area


class Haar:
    """The boosted cascade of Viola and Jones as a baseline: no landmarks, one constant score.

    Raises:
        DependencyError: OpenCV 5, which has no cascades, or the cascade's file is missing.

    Example:
        >>> Haar().detect(np.zeros((90, 120, 3), np.uint8))
        []

    Source: Viola and Jones 2004; ``haarcascade_frontalface_default.xml`` of OpenCV 4.
    """

    certain_score = 1.0  # never: its score is a constant

    def __init__(self) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise DependencyError("haar", "is not part of OpenCV 5", "choose --detector mtcnn or yunet")
        cascade = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        if not cascade.is_file():
            raise DependencyError(cascade, "not found", "install opencv-python-headless<5")
        self._cascade = cv2.CascadeClassifier(str(cascade))

    def detect(self, image: Image) -> list[Detection]:
        """Finds upright frontal faces in a whole RGB picture.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.

        Returns:
            The faces.
        """
        small, scale = reduced(image, HAAR_SHORTER_SIDE / min(image.shape[:2]))
        gray = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        boxes = self._cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
        return [
            Detection((float(x), float(y), float(w), float(h)), HAAR_SCORE).scaled(1 / scale) for x, y, w, h in boxes
        ]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Detection | None]:
        """Searches a region of 2.2 box sides around each box.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.
            boxes: Boxes in pixels.

        Returns:
            A face or None per box.
        """
        return [search_near(self.detect, image, box) for box in boxes]


def load_detector(name: str = "mtcnn", model_file: str | os.PathLike[str] | None = None) -> Detector:
    """Makes a detector by name.

    Args:
        name: ``mtcnn``, ``yunet`` or ``haar``.
        model_file: YuNet's file; None for the one that ``fetch_yunet`` downloads.

    Returns:
        The detector.

    Raises:
        ConfigError: Unknown name, or a file for a detector that reads none.
        DependencyError: A package or a file of the detector is missing.
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
    """Path of YuNet's file: under ``$XDG_CACHE_HOME``, or ``~/.cache`` where that is not set."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "multimodal-emotion" / "face_detection_yunet.onnx"


def fetch_yunet(url: str | None = None) -> Path:
    """Downloads YuNet's file into the cache, unless it exists, and checks its hash.

    Args:
        url: Address of the file; None for the two places where OpenCV publishes it.

    Returns:
        The file in the cache.

    Raises:
        DependencyError: The download failed, or its hash is wrong.
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
            content = _download(address)
        except (OSError, ValueError) as error:
            failures.append(f"{address} ({error})")
            continue
        _write(target, content)
        return target
    remedy = "check the connection, or give the file with --detector"
    raise DependencyError("yunet", "could not be downloaded from " + " or ".join(failures), remedy)


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        content: bytes = answer.read(YUNET_BYTES + 1)
    if hashlib.sha256(content).hexdigest() != YUNET_SHA256:
        raise ValueError("its sha256 is wrong")
    return content


def _write(target: Path, content: bytes) -> None:
    """Writes a temporary file and renames it, so that incomplete files are never read."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as temporary:
            temporary.write(content)
        Path(temporary.name).replace(target)
    except OSError as error:
        raise OutputError(target, f"cannot be written ({error})", "set XDG_CACHE_HOME to a folder of yours") from error
