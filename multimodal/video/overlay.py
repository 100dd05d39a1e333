"""Writes the recording with boxes around faces, and below it the answer, the words and the timeline."""

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
"""Pixels; narrower pictures are enlarged, to make room for words."""

BEYOND_SECONDS = 60.0
"""Seconds beyond the stated end within which the real end of a recording is looked for."""


def write_overlay(
    analysis: Analysis, folder: Path, media: Path | None = None, progress: ProgressCallback | None = None
) -> Path:
    """Writes ``overlay.mp4``: the analyzed part with faces, emotions and words drawn on it, and its sound in step.

    Boxes move linearly between sampled pictures. A face without a score has a gray, dashed box. Times are those of the
    recording, even if only a segment was analyzed. Every picture is shown at its own time; a picture that stays is
    repeated, so that words and cursor move.

    Args:
        analysis: A new or a loaded analysis.
        folder: Folder to write to.
        media: Path of the recording; None for the path in the analysis.
        progress: Called with the seconds done and the total in seconds.

    Returns:
        Path of the video.

    Raises:
        InputMissingError: The recording does not exist.
        MediaError: The file is another recording, cannot be read, or has no video.
        OutputError: The video cannot be written; no partial file remains.

    Example:
        >>> write_overlay(read_analysis("results/interview"), Path("results/interview"))   # doctest: +SKIP
        PosixPath('results/interview/overlay.mp4')
    """
    if not analysis.media.has_video:
        raise MediaError(analysis.media.path, "has no video to draw on", "choose a video, or omit the overlay")
    info, target = find_recording(analysis, media), folder / NAME
    refuse_overwrite(info.path, target)
    from multimodal.data.media.playback import Clip, audio_format, output_size
    from multimodal.data.media.writer import MovieWriter, render_clip

    size, sound = output_size(info, LONGEST_SIDE, LEAST_WIDTH), audio_format(info.path)
    overlay = Overlay(analysis, info, size)
    start, end = info.read_start_seconds, info.read_end_seconds
    clip = Clip(info.path, start, end if info.segment is not None else end + BEYOND_SECONDS)
    rate, channels = sound or (None, 1)

    def report_progress(seconds: float) -> None:
        if progress is not None:
            progress(min(max(seconds - start, 0.0), end - start), end - start)

    with (
        atomic_write(target) as temporary,
        MovieWriter(temporary, (size[0], size[1] + overlay.height), info.frame_rate or 25.0, rate, channels) as writer,
    ):
        render_clip(clip, writer, size=size, sound=sound, draw=overlay.draw, progress=report_progress)
    return target


class Overlay:
    """Draws an analysis on the pictures of its recording.

    Args:
        analysis: The analysis of the recording.
        info: Facts of the recording.
        size: Width and height of the pictures in pixels.

    Attributes:
        height: Height of the panel below the picture in pixels.
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
            seconds: Time on the recording's clock.
            image: ``(height, width, 3)`` RGB in the size of the overlay.

        Returns:
            ``(height + self.height, width, 3)`` RGB.
        """
        import numpy as np

        from multimodal.video.face_boxes import draw_faces

        index = self._panel.current(seconds)
        main = None if index is None else self._estimates[index].face_id
        page = np.concatenate([image, self._panel.at(seconds)])
        draw_faces(page[: image.shape[0]], self._tracks.at(seconds), self._scale, self._panel.letters, main)
        return page
