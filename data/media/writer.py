"""Writes a video, or sound alone, for any player: H.264 and AAC in an mp4 that plays while it loads.

Pictures keep their presentation times, sound is counted by the sample, and both count from the same 0, so picture and
sound stay in step, however long the file is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from multimodal.data.media.frames import read_ahead
from multimodal.data.media.playback import Clip, Image, Samples, read_audio_frames, read_pictures
from multimodal.errors import MediaError

Draw = Callable[[float, Image], Image]
"""Given the recording's time in seconds and a picture, returns the picture to write, in the writer's size."""

CLOCK = 90_000
"""Ticks per second of the pictures' times: exact for the usual frame rates, at most 1/90 ms off for others."""

QUALITY = {"preset": "veryfast", "crf": "23"}

KEYFRAME_SECONDS = 2
"""Distance of keyframes; a player can jump to keyframes only."""

SOUND_AHEAD = 0.5
"""Seconds by which sound may precede the picture of its time in the file."""

AHEAD = 4
"""Pictures decoded ahead of the drawing."""

BIT_RATES = {1: 96_000, 2: 160_000}
"""Number of channels to bits per second of the sound: speech in AAC without audible loss."""


class MovieWriter:
    """Writes pictures with their times, and sound, to one file; use it in a ``with`` block.

    Args:
        path: The file; it is overwritten, so pass a temporary one.
        size: Width and height of the pictures in pixels, both even; None for sound alone.
        frame_rate: Approximate number of pictures per second.
        sample_rate: Sample rate of the sound in samples per second; None for pictures alone.
        channels: Number of channels of the sound, 1 or 2.

    Raises:
        OSError: The disk is full, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "gray.mp4"
        >>> with MovieWriter(target, (64, 48), 25.0) as writer:
        ...     for index in range(5):
        ...         writer.picture(index / 25, np.full((48, 64, 3), 128, np.uint8))
        >>> with av.open(str(target)) as container:
        ...     sum(1 for _ in container.decode(video=0))
        5
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int] | None,
        frame_rate: float = 25.0,
        sample_rate: int | None = None,
        channels: int = 1,
    ) -> None:
        # A player that loads the file over a network needs the index first; "faststart" moves it there at the end.
        self._container = av.open(str(path), "w", format="mp4", container_options={"movflags": "+faststart"})
        self._video = None if size is None else self._add_video(size, frame_rate)
        self._audio = None if sample_rate is None else self._add_audio(sample_rate, channels)
        self._rate = sample_rate or 1
        self._samples = 0
        self._latest = -1  # ticks of the latest picture
        self._reformatter = VideoReformatter()

    def __enter__(self) -> MovieWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                for stream in (self._video, self._audio):
                    if stream is not None:
                        self._container.mux(stream.encode(None))
        finally:
            self._container.close()

    @property
    def sound_seconds(self) -> float:
        """Seconds of sound written so far."""
        return self._samples / self._rate

    def picture(self, seconds: float, image: Image) -> None:
        """Writes a picture, ``(height, width, 3)`` RGB, shown from a time in seconds on; a late one is dropped.

        Args:
            seconds: Time in the movie.
            image: The picture, uint8.
        """
        ticks = round(seconds * CLOCK)
        if self._video is None or ticks <= self._latest:
            return
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame = self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = ticks, Fraction(1, CLOCK)
        self._latest = ticks
        self._container.mux(self._video.encode(frame))

    def sound(self, samples: Samples) -> None:
        """Appends samples, ``(channels, samples)`` in -1 … 1.

        Args:
            samples: The samples, float32.
        """
        if self._audio is None or not samples.shape[1]:
            return
        layout = "mono" if samples.shape[0] == 1 else "stereo"
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, Fraction(1, self._rate)
        self._samples += samples.shape[1]
        self._container.mux(self._audio.encode(frame))

    def _add_video(self, size: tuple[int, int], frame_rate: float) -> VideoStream:
        rate = Fraction(min(max(frame_rate, 1.0), 240.0)).limit_denominator(1001)
        keyframes = {"g": str(max(1, round(KEYFRAME_SECONDS * rate)))}
        stream = self._container.add_stream("libx264", rate=rate, options={**QUALITY, **keyframes})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK)
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.color_primaries = stream.codec_context.color_trc = 1  # BT.709, as ISO/IEC 23091-2 counts
        return stream

    def _add_audio(self, sample_rate: int, channels: int) -> AudioStream:
        stream = self._container.add_stream("aac", rate=sample_rate, layout="mono" if channels == 1 else "stereo")
        stream.bit_rate = BIT_RATES[channels]
        return stream


def render_clip(
    clip: Clip,
    writer: MovieWriter,
    *,
    size: tuple[int, int] | None,
    sound: tuple[int, int] | None,
    draw: Draw | None = None,
    full_length: bool = False,
    fade_seconds: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Decodes a clip of a recording, draws on its pictures, and writes them with the sound in step.

    Args:
        clip: The clip to write.
        writer: The file to write to.
        size: Width and height in pixels of the pictures that ``draw`` receives; None for sound alone.
        sound: Sample rate in samples per second and number of channels, those of the writer; None without sound.
        draw: Returns the picture to write; None to write pictures unchanged.
        full_length: Whether picture and sound fill the clip, with a first picture at its start and silence at its end.
        fade_seconds: Length of the fade at both ends of the sound, so that cuts do not click.
        progress: Called with the recording's time in seconds.

    Raises:
        MultimodalError: The recording cannot be read.
        OSError: The file cannot be written.

    Example:
        >>> render_clip(Clip("talk.mp4", 3.0, 5.0), writer, size=(640, 360), sound=(48000, 2))  # doctest: +SKIP
    """
    sounds = _read_sound(clip, sound, full_length, fade_seconds) if sound is not None else iter(())
    if size is not None:
        pictures = read_ahead(read_pictures(clip, size, lead=full_length), AHEAD)
        decoded = False
        try:
            for seconds, image in pictures:
                decoded = True
                since = seconds - clip.start_seconds
                _write_sound(writer, sounds, since + SOUND_AHEAD)
                writer.picture(since, image if draw is None else draw(seconds, image))
                if progress is not None:
                    progress(seconds)
        finally:
            pictures.close()
        if not decoded:
            raise MediaError(clip.path, "holds no picture that can be decoded", "copy it again or convert it to mp4")
    for samples in sounds:
        writer.sound(samples)
        if progress is not None and size is None:
            progress(clip.start_seconds + writer.sound_seconds)


def _write_sound(writer: MovieWriter, sounds: Iterator[Samples], until: float) -> None:
    while writer.sound_seconds < until and (samples := next(sounds, None)) is not None:
        writer.sound(samples)


def _read_sound(clip: Clip, sound: tuple[int, int], full_length: bool, fade_seconds: float) -> Iterator[Samples]:
    """Reads the sound of a clip, fades both ends, and with ``full_length`` adds silence up to the clip's end."""
    sample_rate, channels = sound
    total, place = round(clip.seconds * sample_rate), 0
    fade = max(1, round(min(fade_seconds, clip.seconds / 2) * sample_rate))
    for samples in read_audio_frames(clip, sample_rate, channels):
        yield samples * _gain(place, samples.shape[1], total, fade) if fade_seconds else samples
        place += samples.shape[1]
    while full_length and place < total:
        missing = min(sample_rate, total - place)
        yield np.zeros((channels, missing), np.float32)
        place += missing


def _gain(place: int, count: int, total: int, fade: int) -> NDArray[np.float32]:
    """Returns the gain 0 … 1 of samples from a place on: rising at the start, falling at the end.

    Example:
        >>> _gain(0, 6, 6, 2).tolist()
        [0.0, 0.5, 1.0, 1.0, 1.0, 0.5]
    """
    places = np.arange(place, place + count, dtype=np.float32)
    return np.minimum(np.minimum(places, total - places) / np.float32(fade), np.float32(1))
