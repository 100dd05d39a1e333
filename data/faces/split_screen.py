"""Two people in one picture: the face of the one who speaks, and whether they sit where we think they do.

IEMOCAP films both actors of a dialogue at once and puts the two pictures side by side. Its documentation does not say
who is where. The rule used here is the one that public programs for the corpus follow: the letter in the dialogue's
name, ``F`` in ``Ses01F_impro01``, is the actor with the markers of motion capture, and that actor is in the left half.
The rule is not taken on trust: people move more while they speak, so each half must move more in the turns of its own
actor than in the other's (``agreement``). Where the data say otherwise over the whole corpus, ``check_rule`` raises.

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
"""A face is looked for this long before a turn: the tracker believes a doubtful one only when it finds it again."""

MOTION_SIZE = (48, 48)
"""Each half is shrunk to this before neighbors are compared: the noise of the camera averages out, heads remain."""

FEWEST_TURNS = 8
"""With fewer, a dialogue says nothing about the rule."""

DEVIATIONS = 2.5
"""Standard deviations of a tossed coin below one half from which on the rule is contradicted. Not fewer: the middle
between both actors' turns is found on the same turns."""

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
    """What one pass over a dialogue's video gives.

    Attributes:
        times: ``(pictures,)`` float64 seconds of every sampled picture.
        motion: ``(pictures, 2)`` float64: mean change of gray levels in the left and right half since the picture
            before, 0 … 255; 0 for the first.
        faces: Half to the faces in it, at the times that were asked for.
        warnings: Plain lines on what was damaged.
    """

    times: NDArray[np.float64]
    motion: NDArray[np.float64]
    faces: Mapping[str, HalfFaces]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """How far what moves agrees with where the speakers are thought to sit.

    Attributes:
        dialogue: Its name.
        turns: How many were compared.
        share: Of these, 0 … 1, in which the speaker's own half moved relatively more; 0.5 by chance, or with no turn.
    """

    dialogue: str
    turns: int
    share: float

    @property
    def contradicts(self) -> bool:
        """Whether the rule is wrong here, beyond what chance does."""
        return self.turns >= FEWEST_TURNS and self.share + DEVIATIONS * math.sqrt(0.25 / self.turns) < 0.5


def half_by_name(dialogue: str, speaker: str) -> str:
    """In which half the speaker of a turn sits, by the names alone.

    Args:
        dialogue: As ``Ses01F_impro01``.
        speaker: ``F`` or ``M``, the letter before the turn's number.

    Returns:
        One of ``HALVES``.

    Raises:
        CorpusError: The name is not a dialogue's.

    Example:
        >>> half_by_name("Ses01F_impro01", "F"), half_by_name("Ses01F_impro01", "M")
        ('left', 'right')
    """
    match = _DIALOGUE.fullmatch(dialogue)
    if match is None or speaker not in ("F", "M"):
        raise CorpusError(dialogue, "is no dialogue's name as Ses01F_impro01", "unpack the corpus again")
    return HALVES[0] if match["marked"] == speaker else HALVES[1]


def other(half: str) -> str:
    """The half beside it.

    Example:
        >>> other("left")
        'right'
    """
    return HALVES[1 - HALVES.index(half)]


def crop_half(image: Image, half: str) -> Image:
    """Cuts a picture in two.

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
    wanted: Mapping[str, Sequence[tuple[float, float]]],
    detector: Detector | None = None,
    *,
    frames_per_second: float = 5.0,
    size: int = 48,
) -> SplitScreen:
    """Reads a dialogue's video once: what moves, and the faces of those who speak.

    Args:
        video: Both actors side by side.
        wanted: Half to the stretches ``(start, end)`` in seconds in which its face is looked for; the other time is
            not searched.
        detector: Finds the faces; may be left out when none is wanted.
        frames_per_second: Pictures to look at.
        size: Side of the crops in pixels.

    Returns:
        Motion and faces with the pictures' true times.

    Raises:
        MultimodalError: As ``multimodal.data.media.audio.frames.read_frames``.

    Example:
        >>> seen = read_split_screen("Ses01F_impro01.avi", {})                        # doctest: +SKIP
        >>> seen.motion.shape                                                         # doctest: +SKIP
        (1520, 2)
    """
    from multimodal.data.media.frames import read_frames

    lookers = {half: _Looker(stretches, detector, half, size) for half, stretches in wanted.items() if stretches}
    motion, times = _Motion(), list[float]()
    with read_frames(video, frames_per_second=frames_per_second) as reader:
        for frame in reader:
            times.append(frame.time_seconds)
            motion.add(frame.image)
            for looker in lookers.values():
                looker.add(frame)
    found = {half: lookers[half].found() if half in lookers else _none(size) for half in HALVES}
    return SplitScreen(np.array(times), np.array(motion.rows).reshape(-1, 2), found, tuple(reader.warnings))


class _Motion:
    """Change of each half since the picture before."""

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


class _Looker:
    """Follows the face of one half through the stretches in which it is wanted."""

    def __init__(
        self, stretches: Sequence[tuple[float, float]], detector: Detector | None, half: str, size: int
    ) -> None:
        if detector is None:
            raise ValueError("faces are wanted, and there is no detector")
        self._starts, self._ends = (np.array(column) for column in zip(*stretches, strict=True))
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

    def found(self) -> HalfFaces:
        return HalfFaces(np.array(self._times), np.stack(self._crops)) if self._crops else _none(self._size)


def _area(face: TrackedFace) -> float:
    return face.box[2] * face.box[3]


def _none(size: int) -> HalfFaces:
    return HalfFaces(np.zeros(0), np.zeros((0, size, size), np.uint8))


def agreement(
    dialogue: str,
    times: NDArray[np.float64],
    motion: NDArray[np.float64],
    turns: Sequence[tuple[float, float, str]],
) -> Agreement:
    """Compares who speaks when with which half moves when.

    A turn's motion is the mean over its pictures; each half's is measured from the middle between both actors' turns
    and in its own deviations, since cameras and markers differ. A turn agrees when the speaker's half is then ahead.

    Args:
        dialogue: Its name, for the answer.
        times: ``(pictures,)`` seconds, rising.
        motion: ``(pictures, 2)``, of the left and right half.
        turns: Start and end in seconds, and the half in which the speaker is thought to sit.

    Returns:
        How many turns could be compared, and the share that agrees.

    Example:
        >>> moves = np.array([[9.0, 1.0], [9.0, 1.0], [1.0, 9.0], [1.0, 9.0]])
        >>> agreement("Ses01F_impro01", np.arange(4.0), moves, [(0, 1, "left"), (2, 3, "right")]).share
        1.0
    """
    rows = [(motion[(times >= start) & (times <= end)], half) for start, end, half in turns]
    means = np.array([seen.mean(axis=0) for seen, _ in rows if len(seen)]).reshape(-1, 2)
    sides = np.array([1.0 if half == HALVES[0] else -1.0 for seen, half in rows if len(seen)])
    if not len(means) or len(set(sides)) < 2:  # when one actor alone speaks, nothing can be compared
        return Agreement(dialogue, 0, 0.5)
    middle = (means[sides > 0].mean(axis=0) + means[sides < 0].mean(axis=0)) / 2
    spread = means.std(axis=0)
    ahead = -np.diff((means - middle) / np.where(spread > 0, spread, 1.0), axis=1)[:, 0]
    return Agreement(dialogue, len(sides), float(np.mean(np.where(ahead * sides == 0, 0.5, ahead * sides > 0))))


def check_rule(folder: Path, found: Sequence[Agreement]) -> list[str]:
    """Holds the rule against what was seen in a whole corpus.

    Args:
        folder: The corpus, for the error.
        found: Agreement of each dialogue under the rule of ``half_by_name``.

    Returns:
        A plain line for each dialogue that contradicts the rule, and one on the whole.

    Raises:
        CorpusError: All turns together contradict it.

    Example:
        >>> check_rule(Path("corpus"), [Agreement("Ses01F_impro01", 40, 0.75)])
        ['the speaker sits in the half that the name says: it moved more in 75% of 40 turns']
    """
    turns = sum(each.turns for each in found)
    if not turns:
        return []
    share = sum(each.share * each.turns for each in found) / turns
    if Agreement("all", turns, share).contradicts:
        fact = f"shows the speaker's half move more in only {share:.0%} of {turns:,} turns, so the halves are swapped"
        raise CorpusError(folder, fact, 'write speaker_half = "motion"')
    lines = [
        f"{each.dialogue}: the speaker's half moved more in only {each.share:.0%} of {each.turns} turns; look at it"
        for each in found
        if each.contradicts
    ]
    seen = f"it moved more in {share:.0%} of {turns:,} turns"
    return [*lines, f"the speaker sits in the half that the name says: {seen}"]
