"""Two people in one picture: finds the face of the speaker and checks the sides.

IEMOCAP films both actors of a dialogue at once and puts the two pictures side by side. Its documentation does not say
who is where. The rule used here is the one that public programs for the corpus follow: the letter in the dialogue's
name, ``F`` in ``Ses01F_impro01``, is the actor with the markers of motion capture, and that actor is in the left half.
The rule is checked: people move more while they speak, so each half must move more in the turns of its own actor than
in the other's (``agreement``). Where the whole corpus contradicts the rule, ``check_rule`` raises.

Source: Busso et al. 2008, https://doi.org/10.1007/s10579-008-9076-6, section 3.2 (one marked actor per dialogue).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from multimodal.data.faces.crops import align
from multimodal.data.faces.detection import Detector, Image
from multimodal.data.faces.tracking import FaceTracker, TrackedFace
from multimodal.errors import CorpusError
from multimodal.types import Frame

HALVES = ("left", "right")

LEAD_SECONDS = 0.5
"""A face is searched from this long before a turn: the tracker confirms an uncertain one by a second search."""

MOTION_SIZE = (48, 48)
"""Size to which each half is shrunk before pictures are compared: camera noise averages out, heads remain."""

FEWEST_TURNS = 8
"""A dialogue with fewer turns neither supports nor contradicts the rule."""

DEVIATIONS = 2.5
"""Standard deviations of a fair coin below one half at which the rule is contradicted. Not fewer: the middle between
both actors' turns is computed on the same turns."""

_DIALOGUE = re.compile(r"Ses\d\d(?P<marked>[FM])_\w+")


@dataclass(frozen=True)
class HalfFaces:
    """The clear faces of one half, in order of time.

    Attributes:
        times: ``(faces,)`` float64 seconds: the presentation times of their pictures.
        crops: ``(faces, size, size)`` uint8 gray.
    """

    times: NDArray[np.float64]
    crops: NDArray[np.uint8]


@dataclass(frozen=True)
class SplitScreen:
    """The result of one pass over a dialogue's video.

    Attributes:
        times: ``(pictures,)`` float64 seconds of every sampled picture.
        motion: ``(pictures, 2)`` float64: mean change of gray levels in the left and right half since the picture
            before, 0 … 255; 0 for the first.
        faces: Half to the faces in it, in the given intervals.
        warnings: Lines on damaged parts of the video.
    """

    times: NDArray[np.float64]
    motion: NDArray[np.float64]
    faces: Mapping[str, HalfFaces]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """Agreement of the motion in the picture with the rule on who sits where.

    Attributes:
        dialogue: Name of the dialogue.
        turns: Number of compared turns.
        share: Share of these, 0 … 1, in which the speaker's half moved relatively more; 0.5 by chance or without turns.
    """

    dialogue: str
    turns: int
    share: float

    @property
    def contradicts(self) -> bool:
        """Whether the rule is wrong for this dialogue, beyond chance."""
        return self.turns >= FEWEST_TURNS and self.share + DEVIATIONS * math.sqrt(0.25 / self.turns) < 0.5


def half_by_name(dialogue: str, speaker: str) -> str:
    """The half of the speaker of a turn, from the names.

    Args:
        dialogue: As ``Ses01F_impro01``.
        speaker: ``F`` or ``M``, the letter before the turn's number.

    Returns:
        One of ``HALVES``.

    Raises:
        CorpusError: Invalid name of a dialogue.

    Example:
        >>> half_by_name("Ses01F_impro01", "F"), half_by_name("Ses01F_impro01", "M")
        ('left', 'right')
    """
    match = _DIALOGUE.fullmatch(dialogue)
    if match is None or speaker not in ("F", "M"):
        raise CorpusError(dialogue, "is not a name such as Ses01F_impro01", "unpack the corpus again")
    return HALVES[0] if match["marked"] == speaker else HALVES[1]


def other(half: str) -> str:
    """The other half.

    Args:
        half: ``left`` or ``right``.

    Example:
        >>> other("left")
        'right'
    """
    return HALVES[1 - HALVES.index(half)]


def crop_half(image: Image, half: str) -> Image:
    """Crops one half of a picture.

    Args:
        image: ``(height, width, 3)`` uint8.
        half: One of ``HALVES``.

    Returns:
        ``(height, width // 2, 3)``; the middle column of an odd width belongs to neither.

    Example:
        >>> crop_half(np.arange(12, dtype=np.uint8).reshape(1, 4, 3), "right")[0, :, 0].tolist()
        [6, 9]
    """
    side = image.shape[1] // 2
    return np.ascontiguousarray(image[:, :side] if half == HALVES[0] else image[:, image.shape[1] - side :])


def read_split_screen(
    video: str | PathLike[str],
    intervals: Mapping[str, Sequence[tuple[float, float]]],
    detector: Detector | None = None,
    *,
    frames_per_second: float = 5.0,
    size: int = 48,
) -> SplitScreen:
    """Reads a dialogue's video once: the motion of both halves, and the faces of the speakers.

    Args:
        video: Both actors side by side.
        intervals: Half to the intervals ``(start, end)`` in seconds in which its face is searched.
        detector: Finds the faces; not needed without intervals.
        frames_per_second: Sampling rate of the video.
        size: Side of the crops in pixels.

    Returns:
        Motion and faces with the presentation times of the pictures.

    Raises:
        MultimodalError: As ``multimodal.data.media.frames.read_frames``.

    Example:
        >>> screen = read_split_screen("Ses01F_impro01.avi", {})                      # doctest: +SKIP
        >>> screen.motion.shape                                                       # doctest: +SKIP
        (1520, 2)
    """
    from multimodal.data.media.frames import read_frames

    trackers = {half: _HalfTracker(rows, detector, half, size) for half, rows in intervals.items() if rows}
    motion, times = _Motion(), list[float]()
    with read_frames(video, frames_per_second=frames_per_second) as reader:
        for frame in reader:
            times.append(frame.time_seconds)
            motion.add(frame.image)
            for tracker in trackers.values():
                tracker.add(frame)
    faces = {half: trackers[half].faces() if half in trackers else _no_faces(size) for half in HALVES}
    return SplitScreen(np.array(times), np.array(motion.rows).reshape(-1, 2), faces, tuple(reader.warnings))


class _Motion:
    """Change of each half since the previous picture."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float]] = []
        self._before: list[NDArray[np.float32]] | None = None

    def add(self, image: Image) -> None:
        now = [_shrunk(crop_half(image, half)) for half in HALVES]
        before = now if self._before is None else self._before
        left, right = (float(np.abs(new - old).mean()) for new, old in zip(now, before, strict=True))
        self.rows.append((left, right))
        self._before = now


def _shrunk(image: Image) -> NDArray[np.float32]:
    gray = cv2.cvtColor(cv2.resize(image, MOTION_SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, np.float32)


class _HalfTracker:
    """Tracks the face of one half through the given intervals."""

    def __init__(
        self, intervals: Sequence[tuple[float, float]], detector: Detector | None, half: str, size: int
    ) -> None:
        if detector is None:
            raise ValueError("intervals need a detector")
        self._starts, self._ends = (np.array(column) for column in zip(*intervals, strict=True))
        self._tracker, self._half, self._size = FaceTracker(detector), half, size
        self._times: list[float] = []
        self._crops: list[Image] = []

    def add(self, frame: Frame) -> None:
        time = frame.time_seconds
        if not ((self._starts - LEAD_SECONDS <= time) & (time <= self._ends)).any():
            return
        image = crop_half(frame.image, self._half)
        faces = [face for face in self._tracker.update(Frame(time, image, frame.scale)) if face.quality == "clear"]
        if faces:
            self._times.append(time)
            self._crops.append(align(image, max(faces, key=_area).detection, self._size))

    def faces(self) -> HalfFaces:
        return HalfFaces(np.array(self._times), np.stack(self._crops)) if self._crops else _no_faces(self._size)


def _area(face: TrackedFace) -> float:
    return face.box[2] * face.box[3]


def _no_faces(size: int) -> HalfFaces:
    return HalfFaces(np.zeros(0), np.zeros((0, size, size), np.uint8))


def agreement(
    dialogue: str,
    times: NDArray[np.float64],
    motion: NDArray[np.float64],
    turns: Sequence[tuple[float, float, str]],
) -> Agreement:
    """Compares the speaker with the half that moves.

    A turn's motion is the mean over its pictures; each half's is measured from the middle between both actors' turns
    and in its own deviations, since cameras and markers differ. A turn agrees when the speaker's half moves more.

    Args:
        dialogue: Name of the dialogue, for the result.
        times: ``(pictures,)`` seconds, rising.
        motion: ``(pictures, 2)``, of the left and right half.
        turns: Start and end in seconds, and the half of the speaker by the rule.

    Returns:
        Number of compared turns, and the share that agrees.

    Example:
        >>> moves = np.array([[9.0, 1.0], [9.0, 1.0], [1.0, 9.0], [1.0, 9.0]])
        >>> agreement("Ses01F_impro01", np.arange(4.0), moves, [(0, 1, "left"), (2, 3, "right")]).share
        1.0
    """
    rows = [(motion[(times >= start) & (times <= end)], half) for start, end, half in turns]
    means = np.array([part.mean(axis=0) for part, _ in rows if len(part)]).reshape(-1, 2)
    sides = np.array([1.0 if half == HALVES[0] else -1.0 for part, half in rows if len(part)])
    if not len(means) or len(set(sides)) < 2:  # with turns of one actor only, nothing can be compared
        return Agreement(dialogue, 0, 0.5)
    middle = (means[sides > 0].mean(axis=0) + means[sides < 0].mean(axis=0)) / 2
    spread = means.std(axis=0)
    ahead = -np.diff((means - middle) / np.where(spread > 0, spread, 1.0), axis=1)[:, 0]
    return Agreement(dialogue, len(sides), float(np.mean(np.where(ahead * sides == 0, 0.5, ahead * sides > 0))))


def check_rule(folder: Path, agreements: Sequence[Agreement]) -> list[str]:
    """Checks the rule on who sits where over a whole corpus.

    Args:
        folder: The corpus, for the error.
        agreements: Agreement of each dialogue under the rule of ``half_by_name``.

    Returns:
        A line for each dialogue that contradicts the rule, and one on the corpus.

    Raises:
        CorpusError: All turns together contradict the rule.

    Example:
        >>> check_rule(Path("corpus"), [Agreement("Ses01F_impro01", 40, 0.75)])
        ['the speaker sits in the half that the name says: it moved more in 75% of 40 turns']
    """
    turns = sum(each.turns for each in agreements)
    if not turns:
        return []
    share = sum(each.share * each.turns for each in agreements) / turns
    if Agreement("all", turns, share).contradicts:
        fact = f"shows the speaker's half move more in only {share:.0%} of {turns:,} turns, so the halves are swapped"
        raise CorpusError(folder, fact, 'write speaker_half = "motion"')
    lines = [
        f"{each.dialogue}: the speaker's half moved more in only {each.share:.0%} of {each.turns} turns; check it"
        for each in agreements
        if each.contradicts
    ]
    return [*lines, f"the speaker sits in the half that the name says: it moved more in {share:.0%} of {turns:,} turns"]
