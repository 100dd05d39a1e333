"""A dialogue in the layout of IEMOCAP: two heads side by side, each nodding in its own turns."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from face_fixtures import Person, scene
from numpy.typing import NDArray

SIDE, RATE = 240, 25
TURNS = [(0.2, 1.2, "left"), (1.4, 2.4, "right"), (2.6, 3.6, "left"), (3.8, 4.8, "right")]


def write_video(path: Path, turns: list[tuple[float, float, str]], seconds: float = 5.0) -> Path:
    """A dialogue as MPEG-4 in AVI (as DivX is): two heads side by side, each nodding in its own turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    heads = [scene([Person((120, 120), 120, index == 1)], (SIDE, SIDE), seed=index) for index in (0, 1)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 2 * SIDE, SIDE, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(round(seconds * RATE)):
            frame = VideoFrame.from_ndarray(_picture(heads, turns, number / RATE), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _picture(heads: list[NDArray[np.uint8]], turns: list[tuple[float, float, str]], time: float) -> NDArray[np.uint8]:
    halves = []
    for head, name in zip(heads, ("left", "right"), strict=True):
        speaks = any(start <= time <= end and half == name for start, end, half in turns)
        down = 6 * np.sin(2 * np.pi * 1.3 * time) if speaks else 0.0
        shift = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, down)))
        halves.append(cv2.warpAffine(head, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE))
    return np.ascontiguousarray(np.concatenate(halves, axis=1))
