"""Interpolates face boxes between the sampled pictures and draws them."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.types import FaceObservation, top_label
from multimodal.video.drawing import Image, chip, color_of, estimate_text, outline, paste

Box = tuple[float, float, float, float]

LONGEST_STEPS = 2.5
"""Sampling steps over which a box is interpolated: a face may be missed in one picture."""

LONGEST_SECONDS = 1.0
"""Maximum in seconds, for low sampling rates: people do not move in a straight line for longer."""

MOST = 100
"""Maximum number of faces drawn in one picture; the largest are drawn."""

UNSCORED = "#d0d2d6"
ID_COLOR, MAIN_COLOR = "#202327", "#ffffff"
"""Colors behind the number of a face, and of the face that the answer is based on."""


@dataclass(frozen=True)
class FaceBox:
    """A face at one time.

    Attributes:
        face_id: Id of the face.
        box: ``(x, y, width, height)`` in pixels of the original upright picture.
        observation: The observation nearest in time, with the probabilities.
    """

    face_id: int
    box: Box
    observation: FaceObservation


class FaceTracks:
    """The faces of a recording, each followed from one sampled picture to the next.

    Args:
        faces: Observations in order of time.
        frame_times: Presentation times of the sampled pictures in seconds, in order.

    Example:
        >>> faces = [FaceObservation(time, 0, (100 * time, 0, 10, 10), 1.0) for time in (0.0, 0.5)]
        >>> FaceTracks(faces, (0.0, 0.5)).at(0.25)[0].box
        (25.0, 0.0, 10.0, 10.0)
    """

    def __init__(self, faces: Sequence[FaceObservation], frame_times: Sequence[float]) -> None:
        steps = sorted(after - before for before, after in itertools.pairwise(frame_times))
        usual = steps[len(steps) // 2] if steps else LONGEST_SECONDS
        self._gap = min(LONGEST_STEPS * usual, LONGEST_SECONDS)
        self._hold = min(usual, LONGEST_SECONDS)
        self._tracks: dict[int, list[FaceObservation]] = defaultdict(list)
        self._around: dict[int, set[int]] = defaultdict(set)  # whole second to the faces near it
        for face in faces:
            self._tracks[face.face_id].append(face)
            for second in range(int(face.time_seconds) - 1, int(face.time_seconds) + 2):
                self._around[second].add(face.face_id)
        self._times = {face_id: [face.time_seconds for face in track] for face_id, track in self._tracks.items()}

    def at(self, seconds: float) -> list[FaceBox]:
        """Lists the faces at a time in seconds, in order of their ids.

        Args:
            seconds: Time in the recording.

        Returns:
            The faces.
        """
        boxes = (self._box_at(face_id, seconds) for face_id in sorted(self._around.get(int(seconds), ())))
        return [box for box in boxes if box is not None]

    def _box_at(self, face_id: int, seconds: float) -> FaceBox | None:
        track = self._tracks[face_id]
        # Times are saved to a tenth of a millisecond; the time of a picture may be that much earlier.
        after = bisect.bisect_right(self._times[face_id], seconds + 1e-4)
        if after == 0:
            return None
        last = track[after - 1]
        since = max(0.0, seconds - last.time_seconds)
        if after < len(track) and track[after].time_seconds - last.time_seconds <= self._gap:
            following = track[after]
            share = since / (following.time_seconds - last.time_seconds)
            return FaceBox(face_id, _interpolate(last.box, following.box, share), following if share > 0.5 else last)
        return FaceBox(face_id, last.box, last) if since < self._hold else None


def _interpolate(one: Box, other: Box, share: float) -> Box:
    x, y, width, height = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return x, y, width, height


def draw_faces(image: Image, faces: Sequence[FaceBox], scale: float, letters: int, main: int | None = None) -> None:
    """Draws boxes and labels on a picture in place.

    A face with a score has a solid box in the color of its emotion and a label with number, emotion and probability; a
    face without a score has a gray, dashed box and its quality. The number of the main face is on white.

    Args:
        image: ``(height, width, 3)`` RGB; changed in place.
        faces: The faces to draw.
        scale: Pixels of ``image`` per pixel of the boxes.
        letters: Size of the letters in pixels.
        main: Id of the face that the answer is based on.
    """
    if len(faces) > MOST:
        faces = sorted(faces, key=lambda face: face.box[2] * face.box[3])[-MOST:]
    thickness = max(2, round(letters / 8))  # video stores color at half size, so thinner lines lose their color
    boxes = [_scale_box(face.box, scale, image) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        probabilities = face.observation.probabilities
        color = UNSCORED if probabilities is None else color_of(top_label(probabilities))
        outline(image, box, color, thickness, dashed=probabilities is None)
    labels: list[NDArray[np.int64]] = []
    for face, box in zip(faces, boxes, strict=True):
        label = _label(face, letters, face.face_id == main)
        place = _free_place(box, label.shape[1], label.shape[0], image.shape, labels)
        paste(image, label, int(place[0]), int(place[1]))
        labels.append(place)


def _scale_box(box: Box, scale: float, image: Image) -> Box:
    """Converts a box to the pixels of the picture and cuts it to the picture."""
    left, top = (
        max(0.0, min(value * scale, size - 3.0)) for value, size in zip(box[:2], image.shape[1::-1], strict=True)
    )
    right, bottom = (
        max(low + 2.0, min((start + length) * scale, size - 1.0))
        for low, start, length, size in zip((left, top), box[:2], box[2:], image.shape[1::-1], strict=True)
    )
    return left, top, right - left, bottom - top


def _label(face: FaceBox, letters: int, main: bool) -> NDArray[np.uint8]:
    probabilities, number = face.observation.probabilities, (str(face.face_id), MAIN_COLOR if main else ID_COLOR)
    if probabilities is None:
        return chip((number, (face.observation.quality, UNSCORED)), letters)
    emotion = top_label(probabilities)
    return chip((number, (estimate_text(emotion, probabilities[emotion]), color_of(emotion))), letters)


def _free_place(
    box: Box, width: int, height: int, picture: tuple[int, ...], labels: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Returns left, top, right and bottom of a label: above its box, else below or inside, if possible free."""
    x, y, _, box_height = box
    left = max(0, min(round(x) - 1, picture[1] - width))
    tops = [round(y) - height - 2, round(y + box_height) + 3, round(y) + 3, round(y + box_height) - height - 3]
    inside = [top for top in tops if 0 <= top <= picture[0] - height] or [0]
    places = [np.array([left, top, left + width, top + height]) for top in inside]
    return next((place for place in places if not any(_overlap(place, other) for other in labels)), places[0])


def _overlap(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())
