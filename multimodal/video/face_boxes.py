"""Where the faces are at any moment, also between the pictures that were judged, and how their boxes are drawn."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.types import FaceObservation, top_label
from multimodal.video.drawing import Image, answer_text, chip, color_of, lay, outline

Box = tuple[float, float, float, float]

LONGEST_STEPS = 2.5
"""Steps between judged pictures over which a face is taken to have moved straight on: one in which it was missed."""

LONGEST_SECONDS = 1.0
"""The same in seconds, where few pictures were judged: nobody moves straight on for longer."""

MOST = 100
"""Faces drawn in one picture, the largest; of more, nothing else would be seen."""

UNSCORED = "#d0d2d6"
ID_COLOR, MAIN_COLOR = "#202327", "#ffffff"
"""Of the number of a face, and of the one that is read for the answer."""


@dataclass(frozen=True)
class FaceBox:
    """A face at one moment.

    Attributes:
        face_id: Whose.
        box: ``(x, y, width, height)`` in pixels of the original upright picture.
        seen: The observation next to the moment, which says what the face shows.
    """

    face_id: int
    box: Box
    seen: FaceObservation


class FaceTracks:
    """The faces of a recording, each followed from one judged picture to the next.

    Args:
        faces: In order of time.
        frame_times: Presentation times of the judged pictures in seconds, in order.

    Example:
        >>> seen = [FaceObservation(time, 0, (100 * time, 0, 10, 10), 1.0) for time in (0.0, 0.5)]
        >>> FaceTracks(seen, (0.0, 0.5)).at(0.25)[0].box
        (25.0, 0.0, 10.0, 10.0)
    """

    def __init__(self, faces: Sequence[FaceObservation], frame_times: Sequence[float]) -> None:
        steps = sorted(after - before for before, after in itertools.pairwise(frame_times))
        usual = steps[len(steps) // 2] if steps else LONGEST_SECONDS
        self._gap = min(LONGEST_STEPS * usual, LONGEST_SECONDS)
        self._hold = min(usual, LONGEST_SECONDS)
        self._tracks: dict[int, list[FaceObservation]] = defaultdict(list)
        self._around: dict[int, set[int]] = defaultdict(set)  # per whole second, who is seen near it
        for seen in faces:
            self._tracks[seen.face_id].append(seen)
            for second in range(int(seen.time_seconds) - 1, int(seen.time_seconds) + 2):
                self._around[second].add(seen.face_id)
        self._times = {face_id: [seen.time_seconds for seen in track] for face_id, track in self._tracks.items()}

    def at(self, seconds: float) -> list[FaceBox]:
        """Says which faces are to be seen at a moment, in order of their ids."""
        found = (self._place(face_id, seconds) for face_id in sorted(self._around.get(int(seconds), ())))
        return [face for face in found if face is not None]

    def _place(self, face_id: int, seconds: float) -> FaceBox | None:
        track = self._tracks[face_id]
        # Times are saved to a tenth of a millisecond; a picture's own time may be that little earlier.
        after = bisect.bisect_right(self._times[face_id], seconds + 1e-4)
        if after == 0:
            return None
        last = track[after - 1]
        since = max(0.0, seconds - last.time_seconds)
        if after < len(track) and track[after].time_seconds - last.time_seconds <= self._gap:
            following = track[after]
            share = since / (following.time_seconds - last.time_seconds)
            return FaceBox(face_id, _between(last.box, following.box, share), following if share > 0.5 else last)
        return FaceBox(face_id, last.box, last) if since < self._hold else None


def _between(one: Box, other: Box, share: float) -> Box:
    x, y, width, height = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return x, y, width, height


def draw_faces(image: Image, faces: Sequence[FaceBox], scale: float, letters: int, main: int | None = None) -> None:
    """Draws boxes and labels on a picture, which is written into.

    A scored face has a whole box in the color of what it shows and a label with number, emotion and probability; one
    that was not scored a gray, dashed box and its quality. The number of the face that is read for the answer is white.

    Args:
        image: ``(height, width, 3)`` RGB.
        faces: What to draw.
        scale: Pixels of ``image`` per pixel of the boxes.
        letters: Size of the letters in pixels.
        main: Number of the face that is read for the answer.
    """
    if len(faces) > MOST:
        faces = sorted(faces, key=lambda face: face.box[2] * face.box[3])[-MOST:]
    thickness = max(2, round(letters / 8))  # in video, the color of thinner lines is lost: it is stored at half size
    boxes = [_scaled(face.box, scale, image) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        scored = face.seen.probabilities
        color = UNSCORED if scored is None else color_of(top_label(scored))
        outline(image, box, color, thickness, dashed=scored is None)
    taken: list[NDArray[np.int64]] = []
    for face, box in zip(faces, boxes, strict=True):
        label = _label(face, letters, face.face_id == main)
        place = _free_place(box, label.shape[1], label.shape[0], image.shape, taken)
        lay(image, label, int(place[0]), int(place[1]))
        taken.append(place)


def _scaled(box: Box, scale: float, image: Image) -> Box:
    """A box in the picture's own pixels, cut to what is to be seen of it."""
    left, top = (
        max(0.0, min(value * scale, size - 3.0)) for value, size in zip(box[:2], image.shape[1::-1], strict=True)
    )
    right, bottom = (
        max(low + 2.0, min((start + length) * scale, size - 1.0))
        for low, start, length, size in zip((left, top), box[:2], box[2:], image.shape[1::-1], strict=True)
    )
    return left, top, right - left, bottom - top


def _label(face: FaceBox, letters: int, main: bool) -> NDArray[np.uint8]:
    scored, number = face.seen.probabilities, (str(face.face_id), MAIN_COLOR if main else ID_COLOR)
    if scored is None:
        return chip((number, (face.seen.quality, UNSCORED)), letters)
    emotion = top_label(scored)
    said = answer_text(emotion, scored[emotion])
    return chip((number, (said, color_of(emotion))), letters)


def _free_place(
    box: Box, width: int, height: int, picture: tuple[int, ...], taken: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Left, top, right and bottom of a label: above its box, else below or in it, where no other label is."""
    x, y, _, box_height = box
    left = max(0, min(round(x) - 1, picture[1] - width))
    tops = [round(y) - height - 2, round(y + box_height) + 3, round(y) + 3, round(y + box_height) - height - 3]
    inside = [top for top in tops if 0 <= top <= picture[0] - height] or [0]
    places = [np.array([left, top, left + width, top + height]) for top in inside]
    return next((place for place in places if not any(_overlap(place, other) for other in taken)), places[0])


def _overlap(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())
