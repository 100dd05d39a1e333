"""Facts about a media file: streams, size, rate, duration."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from os import PathLike
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from multimodal.data.media.container import (
    STATED_DURATION,
    Damage,
    MediaStreams,
    display_size,
    find_streams,
    open_container,
    open_file,
    orientation,
    read_packets,
    stated_end,
)
from multimodal.data.media.frames import decode_video
from multimodal.types import MediaInfo


def probe(path: str | PathLike[str]) -> MediaInfo:
    """Reads the facts of a media file.

    Args:
        path: A local file.

    Returns:
        Its facts. Times count from the start of the earlier of its picture and sound; width and height are those of
        the upright picture with square pixels. Where the container states no duration, the file is read through.

    Raises:
        InputMissingError: There is no such file.
        InputUnreadableError: It is a folder, empty, or may not be read.
        MediaError: It is not media, or holds neither picture nor sound.

    Example:
        >>> probe("interview.mp4").duration_seconds                                 # doctest: +SKIP
        20.0
    """
    with open_container(path) as container:
        tracks = find_streams(container, path)
        rate, end = _rate_and_end(container, tracks, path)
        width, height = _upright_size(container, tracks) if tracks.video else (None, None)
        return MediaInfo(
            path=Path(path),
            sha256=_sha256(path),
            duration_seconds=max(0.0, float(end)),
            width=width,
            height=height,
            frame_rate=None if rate is None else float(rate),
            has_video=tracks.video is not None,
            has_audio=tracks.audio is not None,
            video_start_seconds=tracks.start_seconds(tracks.video),
            audio_start_seconds=tracks.start_seconds(tracks.audio),
        )


def _sha256(path: str | PathLike[str]) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _upright_size(container: InputContainer, tracks: MediaStreams) -> tuple[int, int]:
    video = tracks.video
    if video is None:
        raise ValueError("the file holds no picture")
    _, frame = next(decode_video(container, tracks, video, Damage("picture")), (None, None))
    if frame is None:  # not one picture can be decoded; what the header says is all there is
        return display_size(video.width, video.height, video.sample_aspect_ratio)
    width, height = display_size(frame.width, frame.height, video.sample_aspect_ratio)
    return (height, width) if orientation(frame)[0] else (width, height)


def _rate_and_end(
    container: InputContainer, tracks: MediaStreams, path: str | PathLike[str]
) -> tuple[Fraction | None, Fraction]:
    """Gives the mean frame rate and the end of the later stream in seconds."""
    ends = [_stream_end(stream, tracks) for stream in (tracks.video, tracks.audio) if stream is not None]
    known = [end for end in ends if end is not None]
    stated = stated_end(container, tracks)
    rate = tracks.video.average_rate if tracks.video else None
    if STATED_DURATION.intersection(container.format.name.split(",")):
        if len(known) == len(ends):
            return rate, max(known)
        if stated is not None:
            return rate, stated
    return _measured_rate_and_end(path)


def _stream_end(stream: VideoStream | AudioStream, tracks: MediaStreams) -> Fraction | None:
    if stream.duration is None:
        return None
    return tracks.seconds((stream.start_time or 0) + stream.duration, stream)


def _measured_rate_and_end(path: str | PathLike[str]) -> tuple[Fraction | None, Fraction]:
    """Reads the packets through to the end: live recordings and bare mp3 state no duration that can be trusted."""
    with open_container(path) as container:
        tracks, damage = find_streams(container, path), Damage("picture")
        stream = tracks.video or tracks.audio
        if stream is None:
            return None, Fraction(0)
        times = [packet.pts for packet in read_packets(container, tracks, stream, damage) if packet.pts is not None]
        if tracks.video is None or len(times) < 2 or tracks.video.time_base is None:
            return None if tracks.video is None else tracks.video.average_rate, damage.reached_seconds
        span = (max(times) - min(times)) * tracks.video.time_base
        return (len(times) - 1) / span, damage.reached_seconds
