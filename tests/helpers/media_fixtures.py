"""Writes small media files with PyAV; pictures and sound encode their time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.stream import Disposition
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from multimodal.data.media.audio import read_frames

MILLISECOND = Fraction(1, 1000)
EVERY_FRAME = 1000.0  # samples per second: more than any clip of the tests has pictures


@dataclass(frozen=True)
class Pictures:
    """A picture stream: picture k is plain gray of level ``gray_of(k)`` and shown at ``times_ms[k]``."""

    times_ms: Sequence[int]
    size: tuple[int, int] = (96, 64)
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=lambda: {"bf": "3", "g": "25", "crf": "1"})
    disposition: Disposition = Disposition.default
    noise: bool = False
    grays: Sequence[int] = ()  # of each picture, instead of gray_of


@dataclass(frozen=True)
class Sound:
    """A sound stream: ``(channels, samples)`` in -1 … 1 at each start in milliseconds."""

    pieces: Mapping[int, NDArray[np.float32]]
    sample_rate: int = 16000
    codec: str = "pcm_s16le"
    sample_format: str = "s16"


def gray_of(index: int) -> int:
    """Gray level 0 … 255 of picture ``index``: neighbors are 24 apart, so that none passes for another."""
    return 20 + 24 * (index % 9)


def every(milliseconds: int, seconds: float, start: int = 0) -> list[int]:
    """Gives evenly spaced times."""
    return list(range(start, start + round(seconds * 1000), milliseconds))


def tone(
    seconds: float, frequency: float = 1000.0, sample_rate: int = 16000, level: float = 0.5
) -> NDArray[np.float32]:
    """Gives ``(1, samples)`` of a sine."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)[None]


def silence(seconds: float, sample_rate: int = 16000) -> NDArray[np.float32]:
    """Gives ``(1, samples)`` of nothing."""
    return np.zeros((1, round(seconds * sample_rate)), dtype=np.float32)


def write_media(
    path: Path, *streams: Pictures | Sound, options: Mapping[str, str] | None = None, cover: bool = False
) -> Path:
    """Writes the streams into a container chosen by the suffix and returns the path."""
    with av.open(str(path), "w", container_options=dict(options or {})) as container:
        packets = []
        adders = [_add_pictures if isinstance(stream, Pictures) else _add_sound for stream in streams]
        encoders = [add(container, stream) for add, stream in zip(adders, streams, strict=True)]
        if cover:
            encoders.append(_add_cover(container))
        for encode in encoders:
            packets += encode()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _add_pictures(container, pictures: Pictures):
    stream = container.add_stream(pictures.codec, rate=25, options=dict(pictures.options))
    stream.width, stream.height = pictures.size
    stream.pix_fmt = "yuvj420p" if pictures.codec == "mjpeg" else "yuv420p"
    stream.codec_context.time_base = MILLISECOND
    stream.disposition = pictures.disposition
    random = np.random.default_rng(0)

    def encode():
        packets = []
        for index, time in enumerate(pictures.times_ms):
            level = pictures.grays[index] if pictures.grays else gray_of(index)
            image = np.full((*pictures.size[::-1], 3), level, dtype=np.uint8)
            if pictures.noise:
                image += random.integers(0, 20, image.shape, dtype=np.uint8)
            frame = VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, MILLISECOND
            packets += stream.encode(frame)
        return packets + stream.encode(None)

    return encode


def _add_cover(container):
    encode = _add_pictures(container, Pictures([0], codec="mjpeg", options={}, disposition=Disposition.attached_pic))
    container.streams.video[-1].codec_context.time_base = Fraction(1, 25)
    return encode


def _add_sound(container, sound: Sound):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[next(iter(sound.pieces.values())).shape[0]]
    stream = container.add_stream(sound.codec, rate=sound.sample_rate, layout=layout)
    stream.format = sound.sample_format

    def encode():
        packets = []
        for start, samples in sound.pieces.items():
            # Pieces of 20 ms, as live recorders write them; codecs with a frame size of their own gather them.
            step = sound.sample_rate // 50
            for offset in range(0, samples.shape[1], step):
                frame = _sound_frame(samples[:, offset : offset + step], sound, layout)
                frame.pts = start * sound.sample_rate // 1000 + offset
                frame.time_base = Fraction(1, sound.sample_rate)
                packets += stream.encode(frame)
        return packets + stream.encode(None)

    return encode


def _sound_frame(samples: NDArray[np.float32], sound: Sound, layout: str) -> AudioFrame:
    planar = sound.sample_format.endswith("p")
    array = samples if planar else samples.T.reshape(1, -1)
    if sound.sample_format.startswith("s16"):
        array = np.round(array * 32767).astype(np.int16)
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(array), format=sound.sample_format, layout=layout)
    frame.sample_rate = sound.sample_rate
    return frame


def noisy_clip(path: Path) -> Path:
    """Four seconds of noisy pictures and a tone, index first: 480 kB in which damage can be placed."""
    pictures = Pictures(every(40, 4), noise=True)
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    return write_media(path, pictures, sound, options={"movflags": "faststart"})


def times_of(path: Path, frames_per_second: float) -> list[float]:
    """When the sampled pictures of a file are shown, as the program reads them."""
    return [frame.time_seconds for frame in read_frames(path, frames_per_second=frames_per_second)]


def decoder_threads() -> list[threading.Thread]:
    """Threads of readers that have not ended."""
    return [thread for thread in threading.enumerate() if thread.name == "media-decoder"]
