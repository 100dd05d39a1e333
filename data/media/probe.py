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
        Facts of the file. Times count from the start of the earlier stream; width and height are those of the upright
        picture with square pixels. If the container states no duration, the whole file is read.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The path is a folder, the file is empty, or reading is not permitted.
        MediaError: The file is not media, or has neither video nor audio.

    Example:
        >>> probe("interview.mp4").duration_seconds                                 # doctest: +SKIP
        20.0
    """
    with open_container(path) as container:
        streams = find_streams(container, path)
        rate, end = _rate_and_end(container, streams, path)
        width, height = _upright_size(container, streams) if streams.video else (None, None)
        return MediaInfo(
            path=Path(path),
            sha256=_sha256(path),
            duration_seconds=max(0.0, float(end)),
            width=width,
            height=height,
            frame_rate=None if rate is None else float(rate),
            has_video=streams.video is not None,
            has_audio=streams.audio is not None,
            video_start_seconds=streams.start_seconds(streams.video),
            audio_start_seconds=streams.start_seconds(streams.audio),
        )


def _sha256(path: str | PathLike[str]) -> str:
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _upright_size(container: InputContainer, streams: MediaStreams) -> tuple[int, int]:
    video = streams.video
    if video is None:
        raise ValueError("the file holds no picture")
    _, frame = next(decode_video(container, streams, video, Damage("picture")), (None, None))
    if frame is None:  # no picture can be decoded, so the header is the only source
        return display_size(video.width, video.height, video.sample_aspect_ratio)
    width, height = display_size(frame.width, frame.height, video.sample_aspect_ratio)
    return (height, width) if orientation(frame)[0] else (width, height)


def _rate_and_end(
    container: InputContainer, streams: MediaStreams, path: str | PathLike[str]
) -> tuple[Fraction | None, Fraction]:
    """Returns the mean frame rate and the end of the later stream in seconds."""
    ends = [_stream_end(stream, streams) for stream in (streams.video, streams.audio) if stream is not None]
    stated_ends = [end for end in ends if end is not None]
    stated = stated_end(container, streams)
    rate = streams.video.average_rate if streams.video else None
    if STATED_DURATION.intersection(container.format.name.split(",")):
        if len(stated_ends) == len(ends):
            return rate, max(stated_ends)
        if stated is not None:
            return rate, stated
    return _measured_rate_and_end(path)


def _stream_end(stream: VideoStream | AudioStream, streams: MediaStreams) -> Fraction | None:
    if stream.duration is None:
        return None
    return streams.seconds((stream.start_time or 0) + stream.duration, stream)


def _measured_rate_and_end(path: str | PathLike[str]) -> tuple[Fraction | None, Fraction]:
    """Reads all packets: live recordings and bare mp3 state no reliable duration."""
    with open_container(path) as container:
        streams, damage = find_streams(container, path), Damage("picture")
        stream = streams.video or streams.audio
        if stream is None:
            return None, Fraction(0)
        times = [packet.pts for packet in read_packets(container, streams, stream, damage) if packet.pts is not None]
        if streams.video is None or len(times) < 2 or streams.video.time_base is None:
            return None if streams.video is None else streams.video.average_rate, damage.reached_seconds
        span = (max(times) - min(times)) * streams.video.time_base
        return (len(times) - 1) / span, damage.reached_seconds
