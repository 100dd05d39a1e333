"""Samples pictures from a local video file, upright and with their true presentation times.

A background thread decodes a few pictures ahead of the consumer. The times of
the packets tell which pictures will be sampled, so the decoder skips other pictures that no picture refers to.
"""

from __future__ import annotations

import math
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from os import PathLike
from types import TracebackType
from typing import TypeVar

import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from multimodal.data.media.container import (
    Damage,
    MediaStreams,
    decode_packets,
    display_size,
    find_streams,
    is_truncated,
    open_container,
    orientation,
    read_packets,
    stated_end,
)
from multimodal.errors import ConfigError, MediaError
from multimodal.types import Frame, MediaInfo

Item = TypeVar("Item")

AHEAD = 8
"""Pictures decoded ahead of the consumer: 22 MB of 1280x720."""

LOOKAHEAD = 32
"""Packets read before one is decoded. At most 16 pictures that follow it in the file come before it in time
(H.264, A.3)."""

MOST_THREADS = 16
"""Threads of one decoder; FFmpeg advises against more. Fewer if OpenCV is limited to fewer, as in batch workers."""

GRID_SLACK = 1e-6
"""Share of a sampling step by which a picture may come early and still count: rounding, 0.2 microseconds at 5 Hz."""


class FrameReader:
    """Sampled pictures of one video file; can be iterated over several times.

    Each iteration reads the file again in its own thread, which ends with the iteration.

    Args:
        path: The video file.
        frames_per_second: Sampling rate: the first picture at or after each instant k / frames_per_second, none twice.
        max_side: Longer side of the pictures in pixels; larger ones are scaled down.
        info: Result of ``probe``, if available; with a ``segment``, only pictures within it are read.

    Attributes:
        warnings: Plain lines about damage and ignored streams; complete at the end of an iteration.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The path is a folder, the file is empty, or reading is not permitted.
        MediaError: The file is not media or has no video; while iterating, if no picture can be decoded.
        ConfigError: A rate or size is not above 0.

    Example:
        >>> with FrameReader("interview.mp4", frames_per_second=2) as reader:       # doctest: +SKIP
        ...     times = [frame.time_seconds for frame in reader]
        >>> times[:3]                                                               # doctest: +SKIP
        [0.0, 0.5005, 1.001]
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        frames_per_second: float = 5.0,
        max_side: int = 1280,
        info: MediaInfo | None = None,
    ) -> None:
        for name, value in (("frames_per_second", frames_per_second), ("max_side", max_side)):
            if not 0 < value < math.inf:
                raise ConfigError(name, f"is {value}", "give a number above 0")
        self.path = path
        self.frames_per_second = frames_per_second
        self.max_side = max_side
        self.segment = (0.0, math.inf) if info is None or info.segment is None else info.segment
        self.warnings: list[str] = []
        self._iteration: weakref.ref[Generator[Frame]] | None = None
        has_video = info.has_video if info is not None else _has_video(path)
        if not has_video:
            raise MediaError(path, "holds no picture", "choose a video, or read its sound alone")

    def __iter__(self) -> Generator[Frame]:
        iteration = read_ahead(self._frames(), AHEAD)
        # A weak reference: when a loop over it is left, the iteration and its thread must end.
        self._iteration = weakref.ref(iteration)
        return iteration

    def close(self) -> None:
        """Ends the latest iteration and its thread, if still running."""
        iteration = self._iteration() if self._iteration is not None else None
        if iteration is not None:
            iteration.close()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _frames(self) -> Generator[Frame]:
        """Decodes, samples and converts; runs in the background thread."""
        self.warnings.clear()
        with open_container(self.path) as container:
            streams = find_streams(container, self.path)
            if streams.video is None:
                raise MediaError(self.path, "holds no picture", "choose a video, or read its sound alone")
            damage, end = Damage("picture", truncated=is_truncated(self.path)), stated_end(container, streams)
            self.warnings.extend(streams.notes)
            try:
                pictures = decode_video(container, streams, streams.video, damage, self.frames_per_second)
                picture = PictureMaker(streams.video.sample_aspect_ratio, self.max_side)
                decoded = False
                for seconds, frame in sample(pictures, self.frames_per_second):
                    decoded = True
                    if seconds < self.segment[0]:
                        continue
                    if seconds >= self.segment[1]:
                        end, damage.truncated = None, False  # the rest is not read, so it is not missing
                        break
                    yield picture.make(seconds, frame)
            finally:
                self.warnings.extend(damage.lines(end))
            if not decoded:
                raise MediaError(
                    self.path, "holds no picture that can be decoded", "copy it again or convert it to mp4"
                )


def read_frames(
    path: str | PathLike[str],
    *,
    frames_per_second: float = 5.0,
    max_side: int = 1280,
    info: MediaInfo | None = None,
) -> FrameReader:
    """Reads sampled pictures of a video file.

    Args:
        path: The video file.
        frames_per_second: Sampling rate in pictures per second.
        max_side: Longer side of the pictures in pixels; larger ones are scaled down.
        info: Result of ``probe``, if available; with a ``segment``, only pictures within it are read.

    Returns:
        An iterable of pictures with strictly increasing times; its ``warnings`` describe damage.

    Raises:
        MultimodalError: As for ``FrameReader``.

    Example:
        >>> for frame in read_frames("interview.mp4"):                              # doctest: +SKIP
        ...     print(frame.time_seconds, frame.image.shape)
    """
    return FrameReader(path, frames_per_second=frames_per_second, max_side=max_side, info=info)


def _has_video(path: str | PathLike[str]) -> bool:
    with open_container(path) as container:
        return find_streams(container, path).video is not None


def decode_video(
    container: InputContainer,
    streams: MediaStreams,
    stream: VideoStream,
    damage: Damage,
    frames_per_second: float | None = None,
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Decodes the pictures of one stream.

    Args:
        container: The open file.
        streams: Its streams and clock.
        stream: The video stream.
        damage: Records what is lost.
        frames_per_second: If given, pictures that are not sampled at this rate may be missing.

    Yields:
        Time in seconds on the common clock, strictly increasing and not below 0, and the picture as stored.
    """
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(cv2.getNumThreads(), MOST_THREADS)
    packets = read_packets(container, streams, stream, damage)
    has_times = container.format.name != "avi"  # which only knows the order of decoding
    sparse = frames_per_second is not None and (stream.average_rate or math.inf) >= 2 * frames_per_second
    if frames_per_second is not None and sparse and has_times:
        packets = _skip_unsampled(packets, streams, stream, frames_per_second)
    latest = Fraction(-1)
    for frame in decode_packets(packets, stream.decode, damage):
        seconds = _frame_seconds(frame, streams, stream, latest, damage, has_times)
        if seconds > latest:
            latest = seconds
            if seconds >= 0:
                yield seconds, frame
        elif latest >= 0:
            damage.disordered += 1


def _frame_seconds(
    frame: VideoFrame, streams: MediaStreams, stream: VideoStream, latest: Fraction, damage: Damage, has_times: bool
) -> Fraction:
    if frame.pts is not None and has_times:
        return streams.seconds(frame.pts, stream)
    damage.untimed += has_times
    # Decoding times are in order too; they lag by the pictures that wait for reordering.
    if frame.dts is not None:
        return streams.seconds(frame.dts, stream)
    return max(latest, Fraction(0)) + 1 / (stream.average_rate or Fraction(25))


def _instant(seconds: Fraction, frames_per_second: float) -> int:
    """Numbers the last sampling instant at or before a time."""
    return math.floor(float(seconds) * frames_per_second + GRID_SLACK)


def sample(
    pictures: Iterator[tuple[Fraction, VideoFrame]], frames_per_second: float
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Yields the first picture at or after each instant k / frames_per_second, none twice.

    Args:
        pictures: Times in seconds and pictures, in order.
        frames_per_second: Sampling rate.

    Returns:
        Iterator over times and pictures.
    """
    previous = -1
    for seconds, frame in pictures:
        instant = _instant(seconds, frames_per_second)
        if instant > previous:
            yield seconds, frame
        previous = instant


def _skip_unsampled(
    packets: Iterator[Packet[Stream]], streams: MediaStreams, stream: VideoStream, frames_per_second: float
) -> Iterator[Packet[Stream]]:
    """Lets the decoder skip pictures that are neither sampled nor referred to; the samples stay exactly the same."""
    context = stream.codec_context
    earliest: dict[int, int] = {}  # per sampling instant, the first presentation time that follows it

    def is_sampled(packet: Packet[Stream]) -> bool:
        return packet.pts is None or earliest.get(instant_of(packet.pts), packet.pts) == packet.pts

    def instant_of(ticks: int) -> int:
        return _instant(streams.seconds(ticks, stream), frames_per_second)

    for packet in _look_ahead(packets, lambda packet: _note_earliest(packet, instant_of, earliest)):
        sampled = is_sampled(packet)
        # Where each picture stands alone (MJPEG, ProRes), the packet need not reach the decoder at all.
        if sampled or not context.codec.intra_only:
            context.skip_frame = "DEFAULT" if sampled else "NONREF"
            yield packet
    context.skip_frame = "DEFAULT"


def _look_ahead(packets: Iterator[Packet[Stream]], note: Callable[[Packet[Stream]], None]) -> Iterator[Packet[Stream]]:
    waiting: deque[Packet[Stream]] = deque()
    for packet in packets:
        note(packet)
        waiting.append(packet)
        if len(waiting) > LOOKAHEAD:
            yield waiting.popleft()
    yield from waiting


def _note_earliest(packet: Packet[Stream], instant_of: Callable[[int], int], earliest: dict[int, int]) -> None:
    if packet.pts is None:
        return
    instant = instant_of(packet.pts)
    earliest[instant] = min(packet.pts, earliest.get(instant, packet.pts))
    if len(earliest) > 4 * LOOKAHEAD:  # more instants than packets are waiting: the lowest are past
        del earliest[min(earliest)]


class PictureMaker:
    """Converts stored pictures to upright RGB with square pixels; scales them in the same step."""

    def __init__(self, aspect: Fraction | None, max_side: int) -> None:
        self._aspect = aspect
        self._max_side = max_side
        self._reformatter = VideoReformatter()
        self._orientations: dict[int, tuple[bool, bool, bool]] = {}  # per rotation in degrees

    def make(self, seconds: Fraction, frame: VideoFrame) -> Frame:
        """Converts one picture; it is scaled down to the maximum side.

        Args:
            seconds: Time of the picture.
            frame: A decoded picture.

        Returns:
            The frame.
        """
        width, height = display_size(frame.width, frame.height, self._aspect)
        scale = max(1.0, max(width, height) / self._max_side)
        image = self._rgb(frame, max(1, round(width / scale)), max(1, round(height / scale)))
        return Frame(float(seconds), self._upright(image, self._orientation(frame)), scale)

    def fit(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """Converts one picture to ``(height, width, 3)``; another aspect ratio gets black bars.

        Args:
            frame: A decoded picture.
            width: Width in pixels.
            height: Height in pixels.

        Returns:
            RGB, uint8.
        """
        turn = self._orientation(frame)
        stored = display_size(frame.width, frame.height, self._aspect)
        across, down = stored[::-1] if turn[0] else stored
        scale = min(width / across, height / down)
        inner = max(1, round(across * scale)), max(1, round(down * scale))
        if abs(inner[0] - width) <= 2 and abs(inner[1] - height) <= 2:  # rounding to an even size, not another shape
            inner = width, height
        image = self._upright(self._rgb(frame, *(inner[::-1] if turn[0] else inner)), turn)
        if inner == (width, height):
            return image
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        letterbox = np.zeros((height, width, 3), np.uint8)
        letterbox[top : top + inner[1], left : left + inner[0]] = image
        return letterbox

    def _orientation(self, frame: VideoFrame) -> tuple[bool, bool, bool]:
        # Reading the side data of a picture in PyAV 18 creates a reference cycle: megabytes wait for the garbage
        # collector. So it is read once, and again only when the rotation changes.
        if frame.rotation not in self._orientations:
            self._orientations[frame.rotation] = orientation(frame)
        return self._orientations[frame.rotation]

    @staticmethod
    def _upright(image: NDArray[np.uint8], turn: tuple[bool, bool, bool]) -> NDArray[np.uint8]:
        transpose, mirror_columns, mirror_rows = turn
        image = image.swapaxes(0, 1) if transpose else image
        return np.ascontiguousarray(image[:: -1 if mirror_rows else 1, :: -1 if mirror_columns else 1])

    def _rgb(self, frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        smaller = width < frame.width or height < frame.height
        interpolation = Interpolation.AREA if smaller else Interpolation.BILINEAR

        def convert(color_space: Colorspace | None) -> VideoFrame:
            # Without the full range, the picture would keep the 16 … 235 of its source.
            return self._reformatter.reformat(
                frame, width, height, "rgb24", color_space, None, interpolation, None, ColorRange.JPEG
            )

        try:
            converted = convert(None)
        except FFmpegError:  # a color space unknown to the scaler; the default is BT.601
            converted = convert(Colorspace.DEFAULT)
        return np.asarray(converted.to_ndarray(), dtype=np.uint8)


def read_ahead(source: Generator[Item], size: int) -> Generator[Item]:
    """Runs a generator in a background thread, a few items ahead.

    Args:
        source: The generator; its exceptions are raised in the consumer.
        size: Number of items that may wait.

    Yields:
        The items in order. The thread ends when this generator is exhausted, closed or dropped.

    Example:
        >>> list(read_ahead((number * number for number in range(4)), size=2))
        [0, 1, 4, 9]
    """
    waiting: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(size)
    stop = threading.Event()
    thread = threading.Thread(target=_feed, args=(source, waiting, stop), name="media-decoder", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) != (None, None):
            item, error = entry
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error
    finally:
        stop.set()
        while not waiting.empty():  # so that a thread waiting to put can go on
            waiting.get_nowait()
        if thread is not threading.current_thread():  # a garbage collection in the thread itself may end up here
            thread.join()


def _feed(
    source: Generator[Item], waiting: queue.Queue[tuple[Item | None, BaseException | None]], stop: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        for item in source:
            waiting.put((item, None))
            if stop.is_set():
                break
        source.close()
    except BaseException as caught:  # any error is raised in the consumer
        error = caught
    if not stop.is_set():
        waiting.put((None, error))
