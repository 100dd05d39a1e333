"""Films the dialogues of ``iemocap_corpus`` as the release does: two heads side by side, whose looks bear a class."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from face_fixtures import Person, scene
from iemocap_corpus import WrittenCorpus
from numpy.typing import NDArray

from multimodal.data.corpora.iemocap import IemocapTurn, read_iemocap

SIDE, RATE = 160, 25

Image = NDArray[np.uint8]


def film(corpus: WrittenCorpus, swapped: bool = False) -> None:
    """Writes a video per dialogue; ``swapped`` seats the actors the other way round than the names say."""
    heads = [looks(seed) for seed in (0, 1)]
    turns = read_iemocap(corpus.folder, check_counts=False)
    for video in sorted({turn.video for turn in turns}):
        own = [turn for turn in turns if turn.video == video]
        _write(video, own, corpus.faces, heads[::-1] if swapped else heads, swapped)


def looks(seed: int) -> list[Image]:
    """One head as each of the four classes: plain, showing teeth, mouth open, frowning."""
    plain, teeth, opened, frown = (scene([Person((80, 80), 90)], (SIDE, SIDE), seed=seed) for _ in range(4))
    cv2.ellipse(teeth, (80, 103), (14, 7), 0, 0, 180, (250, 250, 250), -1)
    cv2.ellipse(opened, (80, 108), (12, 9), 0, 0, 360, (30, 10, 10), -1)
    for ends in (((62, 60), (76, 66)), ((98, 60), (84, 66))):
        cv2.line(frown, *ends, (20, 10, 10), 4)
    return [plain, teeth, opened, frown]


def _write(
    video: Path, turns: list[IemocapTurn], faces: dict[str, int], heads: list[list[Image]], swapped: bool
) -> None:
    seconds = max(turn.end_seconds for turn in turns) + 0.2
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 2 * SIDE, SIDE, "yuv420p"
        stream.bit_rate = 3_000_000
        for number in range(round(seconds * RATE)):
            time = number / RATE
            speaking = [turn for turn in turns if turn.start_seconds <= time <= turn.end_seconds]
            left = [turn for turn in speaking if (turn.speaker[-1] == turn.dialogue[5]) != swapped]
            right = [turn for turn in speaking if turn not in left]
            halves = [_half(head, own, faces, time) for head, own in zip(heads, (left, right), strict=True)]
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(np.concatenate(halves, axis=1)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _half(head: list[Image], own: list[IemocapTurn], faces: dict[str, int], time: float) -> Image:
    """Plain and still while the other speaks; nodding, with the look of the turn, in a turn of its own."""
    label = faces.get(own[0].name, 0) if own else 0
    down = 4 * np.sin(2 * np.pi * 1.3 * time) if own else 0.0
    shift = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, down)))
    return np.asarray(cv2.warpAffine(head[label], shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
