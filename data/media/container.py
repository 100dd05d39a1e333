"""Opens one local media file safely and finds its streams, its clock and its damage; the other media modules use it.

Python opens the file and hands it to the demuxer as a plain stream of bytes. The demuxer must be one of ``FORMATS``,
none of which is a playlist; a request for a second file or an address is refused. A playlist, a concat script or an
external reference in an untrusted file therefore has no effect.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from io import BufferedReader
from os import PathLike
from pathlib import Path
from typing import NoReturn, TypeVar, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.buffer import Buffer
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from multimodal.errors import InputMissingError, InputUnreadableError, MediaError

Item = TypeVar("Item")

FORMATS = (
    *("mov", "mp4", "3gp", "matroska", "webm", "avi", "mpegts", "mpeg", "asf", "flv"),
    *("ogg", "wav", "w64", "mp3", "aac", "flac", "aiff", "caf", "amr", "ac3", "au"),
)
"""Demuxers that read one file and nothing else (names as in ``ffmpeg -demuxers``)."""

STATED_DURATION = frozenset({"mov", "matroska", "avi", "asf", "flv", "wav"})
"""Containers that state their duration; for the others it is measured by reading the file."""

SHORTFALL_SECONDS = Fraction(1, 2)
"""A file that ends this much before its stated end is truncated: rounding and padding stay below 0.1 s."""

READ_FAILURES = 64
"""Read errors in a row after which the rest counts as lost. A demuxer gives one for each missing sample."""

HEADER_BYTES = 1 << 16
"""The length of the file is stated within this many bytes from its start, if at all."""

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
"""First bytes of a wmv, and of the object with its length (Advanced Systems Format, 3.1 and 3.2). The demuxer gives no
duration for a file of another length, so a truncated file is recognized here."""

MAX_SAMPLE_ASPECT = 4
"""A larger ratio of pixel width and height is taken for a writing error; a DVD has at most 64:45."""


@contextmanager
def open_container(path: str | PathLike[str]) -> Iterator[InputContainer]:
    """Opens a local file for demuxing.

    Args:
        path: The file; URLs and protocol prefixes have no meaning.

    Yields:
        The container with its streams; closed when the block ends.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The path is a folder, the file is empty, or reading is not permitted.
        MediaError: The file is not of a supported media format.

    Example:
        >>> with open_container("no such.mp4"):
        ...     pass
        Traceback (most recent call last):
        multimodal.errors.InputMissingError: no such.mp4: does not exist; check the path
    """
    with open_file(path) as file:
        # Most demuxers would open a second file through io_open, the concat demuxer by a protocol. The list of
        # protocols has to name something; none is called "none".
        options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}
        try:
            container = av.open(file, "r", container_options=options, metadata_errors="replace", io_open=_refuse)
        except (FFmpegError, OSError, ValueError) as error:
            raise _not_media(path, file) from error
        with container:
            yield container


def open_file(path: str | PathLike[str]) -> BufferedReader:
    """Opens an ordinary, non-empty file for reading, with the errors of ``open_container``.

    Args:
        path: The file.

    Returns:
        The open file.

    Raises:
        InputMissingError: The file does not exist.
        InputUnreadableError: The file is empty, a folder, no ordinary file, or unreadable.
    """
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputUnreadableError(path, "is a folder", "name a file in it")
        # A named pipe would block for ever, a device never ends.
        if not stat.S_ISREG(status.st_mode):
            raise InputUnreadableError(path, "is not an ordinary file", "copy the recording into a file")
        if status.st_size == 0:
            raise InputUnreadableError(path, "is empty", "copy or record it again")
        return Path(path).open("rb")
    except InputUnreadableError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise InputMissingError(path, "does not exist", "check the path") from None
    except PermissionError:
        raise InputUnreadableError(path, "may not be read", "change its permissions") from None
    except (OSError, ValueError) as error:  # a name that is too long, or with a null byte, or a failing disk
        fact = getattr(error, "strerror", None) or str(error)
        raise InputUnreadableError(path, f"cannot be opened ({fact})", "check the path and the disk") from error


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a media file asked for a second file")


def _not_media(path: str | PathLike[str], file: BufferedReader) -> MediaError:
    file.seek(0)
    head = file.read(12)
    if head[4:8] in (b"ftyp", b"mdat", b"wide"):  # an mp4 or mov whose index, written last, never came
        return MediaError(path, "is truncated (its index is missing)", "copy it again, or repair the recording")
    return MediaError(path, "is not a video or sound file of a known kind", "convert it to mp4 or wav")


@dataclass(frozen=True)
class MediaStreams:
    """The video and audio stream of a file that are read, and the clock of both.

    Attributes:
        video: The video stream; None without one.
        audio: The audio stream; None without one.
        zero_seconds: Time on the container's own clock that counts as 0.
        notes: Plain lines about streams that are ignored.
    """

    video: VideoStream | None
    audio: AudioStream | None
    zero_seconds: Fraction
    notes: tuple[str, ...] = ()

    def seconds(self, ticks: int, stream: Stream) -> Fraction:
        """Converts a time stamp of a stream to seconds on the common clock.

        Args:
            ticks: Time in units of the stream.
            stream: The stream.

        Returns:
            Seconds.
        """
        return ticks * (stream.time_base or Fraction(1)) - self.zero_seconds

    def start_seconds(self, stream: Stream | None) -> float | None:
        """Returns the start of a stream in seconds on the common clock; None without the stream.

        Args:
            stream: The stream, or None.

        Returns:
            Seconds.
        """
        if stream is None:
            return None
        return 0.0 if stream.start_time is None else float(self.seconds(stream.start_time, stream))


def find_streams(container: InputContainer, path: str | PathLike[str]) -> MediaStreams:
    """Selects one video and one audio stream.

    Args:
        container: An open container.
        path: Its path, for errors.

    Returns:
        The streams.

    Raises:
        MediaError: The file has neither video nor audio.
    """
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    sounds = list(container.streams.audio)
    # Streams of an unknown codec have no context, which the types of PyAV do not say.
    videos = [stream for stream in pictures if getattr(stream, "codec_context", None) and stream.width]
    audios = [stream for stream in sounds if getattr(stream, "codec_context", None)]
    if not videos and not audios:
        fact = "has a codec that cannot be decoded" if pictures or sounds else "holds neither picture nor sound"
        raise MediaError(path, fact, "convert it to mp4 with H.264 and AAC, or choose another file")
    video = max(videos, key=_rank_video, default=None)
    audio = max(audios, key=lambda stream: bool(stream.disposition & Disposition.default), default=None)
    notes = [_note_on_ignored("picture", pictures, videos), _note_on_ignored("sound", sounds, audios)]
    return MediaStreams(video, audio, _zero_seconds(container, video, audio), tuple(note for note in notes if note))


def _rank_video(stream: VideoStream) -> tuple[bool, int]:
    return bool(stream.disposition & Disposition.default), stream.width * stream.height


def _note_on_ignored(kind: str, streams: list[VideoStream] | list[AudioStream], usable: object) -> str:
    if streams and not usable:
        return f"its {kind} stream has a codec that cannot be decoded and is left out"
    return f"it holds {len(streams)} {kind} streams; the main one is read" if len(streams) > 1 else ""


def _zero_seconds(container: InputContainer, video: VideoStream | None, audio: AudioStream | None) -> Fraction:
    starts = [
        stream.start_time * stream.time_base
        for stream in (video, audio)
        if stream is not None and stream.start_time is not None and stream.time_base is not None
    ]
    return min(starts) if starts else Fraction(container.start_time or 0, av.time_base)


def stated_end(container: InputContainer, streams: MediaStreams) -> Fraction | None:
    """Returns the end in seconds that the container states; None if it states none that is reliable.

    Args:
        container: An open container.
        streams: Its streams.

    Returns:
        Seconds.
    """
    if container.duration is None or not STATED_DURATION.intersection(container.format.name.split(",")):
        return None
    return Fraction((container.start_time or 0) + container.duration, av.time_base) - streams.zero_seconds


def is_truncated(path: str | PathLike[str]) -> bool:
    """Returns whether a file that states its own length (avi, wav, asf, wmv) is shorter than stated.

    Args:
        path: The file.

    Returns:
        True if bytes are missing.
    """
    with open_file(path) as file:
        stated = _stated_bytes(file.read(HEADER_BYTES))
        return stated is not None and stated > Path(path).stat().st_size + 1


def _stated_bytes(head: bytes) -> int | None:
    """Reads the length of the file from its header; None if it states none, as with live recorders."""
    if head[:4] == b"RIFF":
        stated = 8 + int.from_bytes(head[4:8], "little")
        return stated if stated < 0x7FFF_FF00 else None  # the size is left at 0 or at its maximum
    if head[:16] == ASF_HEADER and (start := head.find(ASF_FILE_PROPERTIES)) >= 0:
        live = head[start + 88 : start + 89]  # the lowest bit of the flags: what is stated is not valid
        return None if live and live[0] & 1 else int.from_bytes(head[start + 40 : start + 48], "little")
    return None


@dataclass
class Damage:
    """Damage found while one stream is read, and plain lines about it.

    Attributes:
        kind: ``picture`` or ``sound``.
        skipped: Number of packets that could not be read or decoded.
        first_seconds: Time of the first of them.
        last_seconds: Time of the last of them.
        reached_seconds: End of the last packet that was read.
        gap: Start and end in seconds of the first interval without picture and sound.
        truncated: Whether the file is shorter than its header states, by an unknown number of seconds.
        disordered: Number of pictures or pieces of sound with a time that runs backward or repeats.
        untimed: Number of pictures or pieces of sound without a time of their own.
    """

    kind: str
    skipped: int = 0
    first_seconds: float = 0.0
    last_seconds: float = 0.0
    reached_seconds: Fraction = field(default_factory=Fraction)
    gap: tuple[Fraction, Fraction] | None = None
    truncated: bool = False
    disordered: int = 0
    untimed: int = 0

    def skip(self, seconds: float) -> None:
        """Counts one lost packet.

        Args:
            seconds: Time of the packet.
        """
        self.first_seconds = seconds if self.skipped == 0 else min(self.first_seconds, seconds)
        self.last_seconds = max(self.last_seconds, seconds)
        self.skipped += 1

    def lines(self, end: Fraction | None) -> list[str]:
        """Describes the damage, given the end in seconds that the file states.

        Args:
            end: Stated end in seconds; None if unknown.

        Returns:
            One line per kind of damage.
        """
        lines = []
        ends_early = end is not None and end - self.reached_seconds > SHORTFALL_SECONDS
        if ends_early and end is not None:
            reached = float(self.reached_seconds)
            lines.append(f"the file breaks off at {reached:.1f} s of {float(end):.1f} s; the rest is missing")
        elif self.truncated:
            lines.append(f"the file breaks off at {float(self.reached_seconds):.1f} s; its header announces more")
        if self.gap is not None:
            lines.append(f"nothing can be read from {float(self.gap[0]):.1f} s to {float(self.gap[1]):.1f} s")
        # Lost packets beyond the end of a truncated file are the same damage.
        beyond_end = self.first_seconds > self.reached_seconds - SHORTFALL_SECONDS
        if self.skipped and not ((ends_early or self.truncated) and beyond_end):
            between = f"between {self.first_seconds:.1f} s and {self.last_seconds:.1f} s"
            lines.append(f"damaged {self.kind} packets skipped {between}: {self.skipped}")
        if self.disordered:
            lines.append(f"{self.kind} frames left out because their time ran backwards or repeated: {self.disordered}")
        if self.untimed:
            lines.append(f"{self.kind} frames without a time of their own, which was estimated: {self.untimed}")
        return lines


def read_packets(
    container: InputContainer, streams: MediaStreams, stream: Stream, damage: Damage
) -> Iterator[Packet[Stream]]:
    """Reads to the end of the file and yields the intact packets of one stream.

    Args:
        container: An open container.
        streams: Its streams.
        stream: The stream to read.
        damage: Records damaged packets.

    Returns:
        Iterator over packets, in the order of the file.
    """
    failures = 0
    while failures < READ_FAILURES:
        try:
            # All streams are read, so that the end can be compared with the stated end.
            for packet in container.demux():
                failures = 0
                if _note_packet(packet, streams, stream, damage):
                    yield packet
            return
        except IndexError:  # PyAV 18 raises it at the end if damage looked like another stream
            return
        except FFmpegError:  # a new demux() continues behind the damage
            failures += 1
            damage.skip(float(damage.reached_seconds))


def _note_packet(packet: Packet[Stream], streams: MediaStreams, stream: Stream, damage: Damage) -> bool:
    ticks = packet.pts if packet.pts is not None else packet.dts
    if ticks is not None and not packet.is_corrupt:
        start = streams.seconds(ticks, packet.stream)
        # Pictures alone may pause, on a screen where nothing moves; pictures and sound together do not.
        both = streams.video is not None and streams.audio is not None
        if both and damage.gap is None and start - damage.reached_seconds > SHORTFALL_SECONDS:
            damage.gap = damage.reached_seconds, start
        end = streams.seconds(ticks + (packet.duration or 0), packet.stream)
        damage.reached_seconds = max(damage.reached_seconds, end)
    # The demuxer ends with an empty packet for each stream; the decoder is flushed elsewhere.
    if packet.stream_index != stream.index or packet.size == 0:
        return False
    if packet.is_corrupt:
        damage.skip(float(damage.reached_seconds))
    return not packet.is_corrupt


def decode_packets(
    packets: Iterable[Packet[Stream]], decode: Callable[[Packet[Stream] | None], Iterable[Item]], damage: Damage
) -> Iterator[Item]:
    """Decodes the packets of one stream and skips damaged ones.

    Args:
        packets: Packets in the order of the file.
        decode: The stream's ``decode``.
        damage: Records what is lost.

    Yields:
        Pictures or pieces of sound.
    """
    for packet in packets:
        try:
            yield from decode(packet)
        except FFmpegError:
            damage.skip(float(damage.reached_seconds))
    try:
        yield from decode(None)
    except FFmpegError:  # nothing was left in the decoder
        return


def display_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Returns width and height with square pixels, at the same height, before any rotation.

    Args:
        width: Width in stored pixels.
        height: Height in stored pixels.
        aspect: Width of a stored pixel over its height.

    Returns:
        Width and height in pixels.
    """
    if not aspect or not Fraction(1, MAX_SAMPLE_ASPECT) <= aspect <= MAX_SAMPLE_ASPECT:
        return width, height
    return max(1, round(width * aspect)), height


def orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Reads how to turn a stored picture upright: transpose, then mirror columns, then mirror rows.

    Args:
        frame: A decoded picture.

    Returns:
        Whether each of the three applies.

    Source:
        The display matrix of ISO/IEC 14496-12, 6.2.2: x' = a x + c y, y' = b x + d y.
    """
    side_data = cast(Mapping[str, Buffer], frame.side_data)  # the types of PyAV name but one of its keys
    if "DISPLAYMATRIX" not in side_data:
        return False, False, False
    matrix = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), dtype=np.int32)
    a, b, c, d = (int(matrix[index]) for index in (0, 1, 3, 4))
    if abs(a) >= abs(b):
        return False, a < 0, d < 0
    return True, c < 0, b < 0
