"""Face tracking: which persons are in the picture, where, and in what quality.

``crops.py`` cuts the crops for the face encoder; its ``align`` and ``quality`` may be imported from here too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.faces.crops import (
    BLURRED_BELOW,
    FACE_TEMPLATE,
    Doubles,
    align,
    box_center,
    crop_matrix,
    quality,
    sharpness,
)
from multimodal.data.faces.detection import Box, Detection, Detector, Image, overlap
from multimodal.types import Frame

__all__ = [
    "BLURRED_BELOW",
    "FACE_TEMPLATE",
    "FaceTracker",
    "TrackedFace",
    "align",
    "assign",
    "crop_matrix",
    "is_shot_boundary",
    "quality",
    "sharpness",
    "thumbnail",
]

SEARCH_EVERY_SECONDS = 0.4  # while nobody is in the picture or a face is lost: the longest delay of a new face
KEEP_LOST_SECONDS = 1.5
SIGHTINGS = 2
SPEED_WEIGHT = 0.5  # weight of the newest motion in the running speed: faces sway, and full weight overshoots
COASTING_SECONDS = 0.6  # how long a lost face is extrapolated

NEAR = 0.8  # largest motion from one picture to the next, in sides of the face, …
NEAR_PER_SECOND = 1.0  # … plus this for every second since it was lost
SIZE_CHANGE = 0.5  # natural logarithm: 1.65 times larger or smaller
COLOR_CHANGE = 30.0  # mean distance in Lab (8 bit) between two views of one person; see tests/data/faces
FORBIDDEN_COST = 1e6  # instead of infinity: a pair costs 3 at most
SAME_OVERLAP = 0.3  # intersection over union beyond which two detections are one face

CUT_CORRELATION = 0.4  # these three: see ``is_shot_boundary``
CUT_CORRELATION_SHIFTED = 0.6
CUT_DIFFERENCE = 12.0
THUMBNAIL = (32, 18)  # columns, rows


@dataclass(frozen=True)
class TrackedFace:
    """One tracked face in one picture.

    Attributes:
        face_id: Number of the person, from 0 in order of appearance.
        detection: Box, score and landmarks in pixels of the frame's image.
        box: ``(x, y, width, height)`` in pixels of the original picture.
        quality: One of ``multimodal.types.QUALITIES``.
    """

    face_id: int
    detection: Detection
    box: Box
    quality: str


@dataclass
class _Track:
    """A tracked person; without an id while it may be a false alarm."""

    detection: Detection
    last_seconds: float
    colors: Doubles
    speed: Doubles
    sightings: int = 0
    face_id: int | None = None

    def expected(self, time_seconds: float) -> Box:
        """Expected box of the face at a time."""
        x, y, width, height = self.detection.box
        motion = self.speed * min(time_seconds - self.last_seconds, COASTING_SECONDS)
        return x + float(motion[0]), y + float(motion[1]), width, height

    def update(self, detection: Detection, colors: Doubles, time_seconds: float) -> None:
        """Adds a detection."""
        motion = (box_center(detection.box) - box_center(self.detection.box)) / (time_seconds - self.last_seconds)
        self.speed = (1 - SPEED_WEIGHT) * self.speed + SPEED_WEIGHT * motion
        self.colors = 0.8 * self.colors + 0.2 * colors
        self.detection, self.last_seconds = detection, time_seconds


class FaceTracker:
    """Tracks faces from one sampled picture to the next.

    The whole picture is searched first, after a cut, once a second, when a tracked face is lost, and every 0.4 s while
    the picture is empty, a face is missing or a face is uncertain; otherwise only the expected places of faces. A face
    is confirmed when its score reaches the detector's ``certain_score`` or a second search of the whole picture finds
    it again. A cut ends all tracks, because the next shot may show other people. A track also ends when its face is
    lost for more than 1.5 s.

    Args:
        detector: Finds the faces.
        detect_every_seconds: Time between two searches of the whole picture while no face is lost.
        keep_lost_seconds: How long a lost face may return as the same person.

    Example:
        >>> from multimodal.data.faces.detectors import load_detector
        >>> FaceTracker(load_detector()).update(Frame(0.0, np.zeros((90, 120, 3), np.uint8)))
        []
    """

    def __init__(
        self,
        detector: Detector,
        detect_every_seconds: float = 1.0,
        keep_lost_seconds: float = KEEP_LOST_SECONDS,
    ) -> None:
        self._detector = detector
        self._detect_every = detect_every_seconds
        self._keep_lost = keep_lost_seconds
        self._tracks: list[_Track] = []
        self._people = 0
        self._time = self._searched = -math.inf
        self._thumbnail: NDArray[np.float32] | None = None

    def update(self, frame: Frame) -> list[TrackedFace]:
        """Tracks faces into the next picture.

        Args:
            frame: The picture, later than the one before.

        Returns:
            The faces in this picture, in order of their ids; ids are unique.

        Raises:
            ValueError: The picture is not later than the one before.
        """
        if frame.time_seconds <= self._time:
            raise ValueError(f"pictures must come in order of time: {frame.time_seconds} after {self._time}")
        self._end_at_cut(frame)
        detections = self._detect(frame)
        self._time = frame.time_seconds
        self._assign(detections, frame)
        self._tracks = [track for track in self._tracks if self._time - track.last_seconds <= self._patience(track)]
        faces = [_tracked(track, frame) for track in self._tracks if track.last_seconds == self._time]
        return sorted((face for face in faces if face is not None), key=lambda face: face.face_id)

    def _patience(self, track: _Track) -> float:
        return 0.0 if track.face_id is None else self._keep_lost

    def _end_at_cut(self, frame: Frame) -> None:
        before, self._thumbnail = self._thumbnail, thumbnail(frame.image)
        if before is not None and is_shot_boundary(before, self._thumbnail):
            self._tracks, self._searched = [], -math.inf

    def _detect(self, frame: Frame) -> list[Detection]:
        """Faces in the picture; searches only the expected places where that suffices."""
        expected = [track.expected(frame.time_seconds) for track in self._tracks]
        present = sum(track.last_seconds == self._time for track in self._tracks)
        settled = [track.last_seconds == self._time and track.face_id is not None for track in self._tracks]
        wait = self._detect_every if settled and all(settled) else SEARCH_EVERY_SECONDS
        if frame.time_seconds - self._searched >= wait - 0.01:  # sampled times are not exact multiples
            return self._search(frame, expected)
        faces = self._follow(frame, expected)
        return faces if len(faces) >= present else _without_overlaps(faces + self._search(frame, []))

    def _search(self, frame: Frame, expected: Sequence[Box]) -> list[Detection]:
        """Searches the whole picture, then the expected places of the missing faces."""
        self._searched = frame.time_seconds
        faces = self._detector.detect(frame.image)
        missing = [box for box in expected if not any(overlap(box, face.box) > SAME_OVERLAP for face in faces)]
        return _without_overlaps(faces + self._follow(frame, missing))

    def _follow(self, frame: Frame, expected: Sequence[Box]) -> list[Detection]:
        faces = [face for face in self._detector.follow(frame.image, expected) if face is not None]
        return _without_overlaps(sorted(faces, key=lambda face: -face.score))

    def _assign(self, detections: Sequence[Detection], frame: Frame) -> None:
        """Assigns each detection to the track that it fits, or starts a new track."""
        colors = [_colors(frame.image, face.box) for face in detections]
        costs = np.full((len(self._tracks), len(detections)), math.inf)
        for row, track in enumerate(self._tracks):
            for column, face in enumerate(detections):
                costs[row, column] = _cost(track, face, colors[column], frame.time_seconds)
        pairs = {column: self._tracks[row] for row, column in assign(costs)}
        for column, face in enumerate(detections):
            if column in pairs:
                pairs[column].update(face, colors[column], frame.time_seconds)
            else:
                pairs[column] = _Track(face, frame.time_seconds, colors[column], np.zeros(2))
                self._tracks.append(pairs[column])
            self._confirm(pairs[column])

    def _confirm(self, track: _Track) -> None:
        """Assigns an id to a face once it is certain, which takes a search: following one place proves little."""
        if self._searched != self._time or track.face_id is not None:
            return
        track.sightings += 1
        if track.sightings >= SIGHTINGS or track.detection.score >= self._detector.certain_score:
            track.face_id = self._people
            self._people += 1


def thumbnail(image: Image) -> NDArray[np.float32]:
    """Shrinks a picture to 32x18, float32, for ``is_shot_boundary``.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.

    Returns:
        ``(18, 32, 3)`` float32.
    """
    return np.asarray(cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)


def is_shot_boundary(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether two sampled pictures belong to different shots.

    They do when they differ by 12 gray levels on average, correlate by less than 0.4, and correlate by less than 0.6
    however they are shifted (by up to a sixth: a panning camera is no cut). Over ten seconds of a stage recording at
    five pictures a second, cuts gave (0.24, 0.54), (0.06, -0.03) and (0.22, 0.33), at one to three up to (0.38, 0.46);
    within shots a fast pan fell to (0.44, 0.82), and only a head that fills half the picture and hurries through it
    looked like a cut: (0.10, 0.38).

    Args:
        before: ``thumbnail`` of one picture.
        after: ``thumbnail`` of the next.

    Returns:
        True for a cut; never for the same picture, brighter or darker.

    Example:
        >>> dark = np.zeros((18, 32, 3), np.float32)
        >>> is_shot_boundary(dark, dark)
        False
    """
    if np.abs(before - after).mean() < CUT_DIFFERENCE:
        return False
    first, second = before - before.mean(), after - after.mean()
    norm = math.sqrt(float((first**2).sum() * (second**2).sum()))
    if norm == 0:  # a flat picture: a fade through black or white
        return True
    if float((first * second).sum()) / norm >= CUT_CORRELATION:
        return False
    middle = np.ascontiguousarray(after[3:-3, 5:-5])
    return float(cv2.matchTemplate(before, middle, cv2.TM_CCOEFF_NORMED).max()) < CUT_CORRELATION_SHIFTED


def assign(costs: Doubles) -> list[tuple[int, int]]:
    """Pairs rows with columns at the least total cost, as many as possible.

    Args:
        costs: ``(rows, columns)``, finite costs at least 0 and far below ``FORBIDDEN_COST``; infinity forbids a pair.

    Returns:
        ``(row, column)`` pairs in order of rows; no row and no column twice.

    Example:
        >>> assign(np.array([[1.0, 2.0], [1.5, math.inf]]))  # the greedy (0, 0) would leave row 1 alone
        [(0, 1), (1, 0)]

    Source: ``scipy.optimize.linear_sum_assignment``; D. F. Crouse, "On implementing 2D rectangular assignment
    algorithms", IEEE Transactions on Aerospace and Electronic Systems 52, 2016.
    """
    if min(costs.shape) <= 1:  # one face in the picture, as in most interviews, leaves no more than a smallest cost
        return [divmod(int(costs.argmin()), costs.shape[1])] if costs.size and np.isfinite(costs.min()) else []
    # Imported here: scipy.optimize takes 0.4 s and 30 MB, and pictures with one face never need it.
    from scipy.optimize import linear_sum_assignment

    # The solver pairs every row; a forbidden pair costs more than all others together and is dropped afterwards.
    rows, columns = linear_sum_assignment(np.where(np.isinf(costs), FORBIDDEN_COST, costs))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if np.isfinite(costs[row, column])]


def _cost(track: _Track, face: Detection, colors: Doubles, time_seconds: float) -> float:
    """Cost of assigning a detection to a track, 0 … 3 (place, size, colors each up to 1); infinite beyond a limit."""
    expected = track.expected(time_seconds)
    reach = NEAR + NEAR_PER_SECOND * (time_seconds - track.last_seconds)
    place = math.hypot(*(box_center(expected) - box_center(face.box))) / (
        reach * (_side(expected) + _side(face.box)) / 2
    )
    size = abs(math.log(_side(face.box) / _side(expected))) / SIZE_CHANGE
    color = float(np.abs(track.colors - colors).mean()) / COLOR_CHANGE
    return place + size + color if max(place, size, color) <= 1 else math.inf


def _without_overlaps(detections: Sequence[Detection]) -> list[Detection]:
    """Drops each detection that overlaps an earlier one."""
    faces: list[Detection] = []
    for face in detections:
        if all(overlap(face.box, other.box) <= SAME_OVERLAP for other in faces):
            faces.append(face)
    return faces


def _colors(image: Image, box: Box) -> Doubles:
    """Appearance of a face independent of its size: Lab colors (8 bit) of a 4x4 grid over its box."""
    x, y, width, height = box
    columns = slice(max(int(x), 0), max(int(x + width), int(x) + 1, 1))
    part = image[max(int(y), 0) : max(int(y + height), int(y) + 1, 1), columns]
    if not part.size:
        return np.zeros((4, 4, 3))
    grid = np.asarray(cv2.resize(part, (4, 4), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(grid, cv2.COLOR_RGB2LAB), np.float64)


def _tracked(track: _Track, frame: Frame) -> TrackedFace | None:
    if track.face_id is None:
        return None
    face = track.detection
    return TrackedFace(track.face_id, face, face.scaled(frame.scale).box, quality(frame.image, face, frame.scale))


def _side(box: Box) -> float:
    return math.sqrt(max(box[2] * box[3], 1.0))
