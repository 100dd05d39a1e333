"""A tiny audio network with random weights, recordings with faces and sound, and undecodable streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from face_fixtures import Person, scene
from numpy.typing import NDArray

from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.encoders.audio import ConvBiGRU
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.voice.features import summary_size
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights

SAMPLE_RATE = 16000
FRAME_RATE = 25
VOICE_NAME = "conv_bigru.random-v1"


def save_voice_weights(folder: Path, temperature: float = 1.0) -> Path:
    """Writes a network that has learned nothing, with RAVDESS's eight labels, and returns its folder."""
    labels = VOICE_CORPORA["ravdess"].labels
    groups = VOICE_CORPORA["ravdess"].groups
    spec = ModelSpec("audio", "conv_bigru", labels, temperature, groups=groups, mfcc=asdict(MfccSettings()))
    torch.manual_seed(0)
    network = ConvBiGRU(len(labels), MfccSettings().features, summary_size())
    save_weights(folder, VOICE_NAME, network, spec, {})
    return folder


def buzz(seconds: float, seed: int = 0, level: float = 0.3) -> NDArray[np.float32]:
    """A hum with harmonics that swells four times a second, ``(samples,)``: a voice to measure, though none to find."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * (0.4 + 0.1 * seed) * time) + 15 * seed
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    waves = sum(np.sin(number * phase) / number for number in range(1, 12))
    swell = 0.15 + 0.85 * np.sin(2 * np.pi * 2 * time) ** 2
    return (level * swell * waves / 2).astype(np.float32)


def write_talk(path: Path, sound: NDArray[np.float32], faces: Sequence[tuple[float, float]] = ((0.0, 1e3),)) -> Path:
    """Writes the astronaut in front of clouds, there in the seconds of ``faces``, for as long as the sound lasts."""
    rng = np.random.default_rng(0)
    with_face, empty = (scene(people, (320, 240)).astype(np.int16) for people in ([Person((160, 120), 130)], []))
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=10, options={"crf": "24", "g": "5", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(len(sound) * 10 // SAMPLE_RATE):
            has_face = any(start <= index / 10 < end for start, end in faces)
            picture = np.clip((with_face if has_face else empty) + rng.integers(-4, 5, with_face.shape), 0, 255).astype(
                np.uint8
            )
            container.mux(video.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
            piece = sound[index * SAMPLE_RATE // 10 : (index + 1) * SAMPLE_RATE // 10]
            frame = AudioFrame.from_ndarray(piece[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, index * SAMPLE_RATE // 10
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def blank_stream(path: Path, *kinds: str) -> Path:
    """Puts zeros in the place of all pictures (``video``) or all sound (``audio``) of a file; the index stays."""
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type in kinds and packet.pos is not None and packet.size:
                content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    return path


def write_face_clip(path: Path, seconds: float = 3.0, gone: tuple[float, float] = (1.0, 2.0), seed: int = 0) -> Path:
    """Writes the astronaut in front of clouds, filmed by a noisy camera; nobody is there in the seconds of ``gone``."""
    rng = np.random.default_rng(seed)
    with_face, empty = (scene(people, (320, 240)).astype(np.int16) for people in ([Person((160, 120), 130)], []))
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "20", "g": "1", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(round(seconds * FRAME_RATE)):
            picture = empty if gone[0] <= index / FRAME_RATE < gone[1] else with_face
            noisy = np.clip(picture + rng.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode(None))
    return path
