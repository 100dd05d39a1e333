"""The recording again with what was found in it: boxes round faces, and below the answer, the words, the time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.analysis.recording import find_recording, refuse_overwrite
from multimodal.errors import MediaError
from multimodal.files import atomic_write

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.data.media.playback import Image
    from multimodal.progress import ProgressCallback
    from multimodal.types import MediaInfo

NAME = "overlay.mp4"

LONGEST_SIDE = 1280
"""Pixels; larger pictures are scaled down."""

LEAST_WIDTH = 480
"""Pixels; narrower pictures are enlarged, so that there is room for words."""

BEYOND_SECONDS = 60.0
"""A recording is shown to its real end, which may lie behind the one that its header states."""


def write_overlay(
    analysis: Analysis, folder: Path, media: Path | None = None, progress: ProgressCallback | None = None
) -> Path:
    """Writes ``overlay.mp4``: the part that was analyzed, with everything drawn on it, its sound kept and in step.

    Between judged pictures boxes move on straight. A face that was not scored is gray and dashed. Times are those of
    the recording, also where only a stretch of it was analyzed. Every picture is shown at its own time; a picture that
    stays for long is repeated, so that words and cursor go on.

    Args:
        analysis: Made here, or read back.
        folder: Where to write.
        media: Where the recording lies; None for where it lay when it was analyzed.
        progress: Called with seconds done and seconds in all.

    Returns:
        The file.

    Raises:
        InputMissingError: The recording is not there.
        MediaError: It is another one, cannot be read, or has no picture.
        OutputError: The file cannot be written; nothing is left behind.

    Example:
        >>> write_overlay(read_analysis("results/interview"), Path("results/interview"))   # doctest: +SKIP
        PosixPath('results/interview/overlay.mp4')
    """
    if not analysis.media.has_video:
        raise MediaError(analysis.media.path, "has no picture to draw on", "choose a video, or leave the overlay out")
    info, target = find_recording(analysis, media), folder / NAME
    refuse_overwrite(info.path, target)
    from multimodal.data.media.playback import Clip, audio_format, output_size
    from multimodal.data.media.writer import MovieWriter, render_clip

    size, sound = output_size(info, LONGEST_SIDE, LEAST_WIDTH), audio_format(info.path)
    overlay = Overlay(analysis, info, size)
    start, end = info.read_start_seconds, info.read_end_seconds
    part = Clip(info.path, start, end if info.segment is not None else end + BEYOND_SECONDS)
    rate, channels = sound or (None, 1)

    def tell(seconds: float) -> None:
        if progress is not None:
            progress(min(max(seconds - start, 0.0), end - start), end - start)

    with (
        atomic_write(target) as temporary,
        MovieWriter(temporary, (size[0], size[1] + overlay.height), info.frame_rate or 25.0, rate, channels) as writer,
    ):
        render_clip(part, writer, size=size, sound=sound, draw=overlay.draw, progress=tell)
    return target


class Overlay:
    """Draws what was found in a recording on its pictures.

    Args:
        analysis: What was found.
        info: Facts of the recording.
        size: Width and height of the pictures in pixels.

    Attributes:
        height: Pixels by which a picture grows.
    """

    def __init__(self, analysis: Analysis, info: MediaInfo, size: tuple[int, int]) -> None:
        from multimodal.video.face_boxes import FaceTracks
        from multimodal.video.info_panel import InfoPanel

        self._tracks = FaceTracks(analysis.faces, analysis.frame_times)
        self._estimates = analysis.estimates
        self._panel = InfoPanel(analysis.estimates, info.read_start_seconds, info.read_end_seconds, size[0])
        self._scale = size[0] / (info.width or size[0])
        self.height = self._panel.height

    def draw(self, seconds: float, image: Image) -> Image:
        """Draws on a copy of a picture.

        Args:
            seconds: The recording's time.
            image: ``(height, width, 3)`` RGB of the size given.

        Returns:
            ``(height + self.height, width, 3)`` RGB.
        """
        import numpy as np

        from multimodal.video.face_boxes import draw_faces

        index = self._panel.current(seconds)
        main = None if index is None else self._estimates[index].face_id
        drawn = np.concatenate([image, self._panel.at(seconds)])
        picture = drawn[: image.shape[0]]
        draw_faces(picture, self._tracks.at(seconds), self._scale, self._panel.letters, main)
        return drawn
