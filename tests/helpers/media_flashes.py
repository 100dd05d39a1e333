"""Clips with simultaneous flashes and beeps, and measurements of their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from analysis_fixtures import MODELS, estimate_of
from media_fixtures import Pictures, Sound, every, silence, tone, write_media
from numpy.typing import NDArray

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.media.probe import probe
from multimodal.types import FaceObservation, MediaInfo, Utterance, UtteranceEstimate

DARK, BRIGHT = 40, 235
FLASH_MS = 80


def write_flashes(
    path: Path,
    seconds: float,
    flashes_ms: Sequence[int],
    *,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    sound: tuple[str, str, int, int] | None = ("aac", "fltp", 48000, 1),
    sound_start_ms: int = 0,
) -> Path:
    """Writes pictures that are bright for 80 ms at the times of the flashes, and a beep of 80 ms with each.

    ``sound`` names codec, sample format, rate and channels. Flashes must be among the pictures' times.
    """
    times = list(every(40, seconds) if times_ms is None else times_ms)
    grays = [BRIGHT if any(0 <= time - flash < FLASH_MS for flash in flashes_ms) else DARK for time in times]
    options = {"bf": "2", "g": "25", "crf": "10"} if codec == "libx264" else {}
    streams: list[Pictures | Sound] = [Pictures(times, size, codec, options, grays=grays)]
    if sound is not None:
        name, form, rate, channels = sound
        samples = beeps(seconds, flashes_ms, rate)[:, sound_start_ms * rate // 1000 :]
        streams.append(Sound({sound_start_ms: np.repeat(samples, channels, axis=0)}, rate, name, form))
    return write_media(path, *streams)


def beeps(seconds: float, starts_ms: Sequence[int], rate: int) -> NDArray[np.float32]:
    samples = silence(seconds, rate)
    for start in starts_ms:
        beep = tone(FLASH_MS / 1000, 1000.0, rate, 0.7)
        first = start * rate // 1000
        samples[:, first : first + beep.shape[1]] = beep[:, : samples.shape[1] - first]
    return samples


def pictures_of(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """Presentation times and RGB pictures, as PyAV decodes them without this project's readers."""
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def flashes_of(path: Path, rows: int = 32) -> list[float]:
    """When a file's pictures, in their first rows, turn bright."""
    bright = [(time, image[:rows, -24:].mean() > 140) for time, image in pictures_of(path)]
    return [time for index, (time, lit) in enumerate(bright) if lit and not (index and bright[index - 1][1])]


def sound_of(path: Path) -> tuple[NDArray[np.float64], int]:
    """``(samples,)`` placed by their presentation times, and the rate."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        frames = [(round(float(frame.time) * rate), frame.to_ndarray()) for frame in container.decode(audio=0)]
        channels = container.streams.audio[0].channels
    mono = [(at, (array.reshape(-1, channels).T if len(array) != channels else array).mean(0)) for at, array in frames]
    samples = np.zeros(max(at + len(piece) for at, piece in mono))
    for at, piece in mono:
        samples[max(at, 0) : at + len(piece)] = piece[max(-at, 0) :]
    return samples, rate


def beeps_of(path: Path) -> list[float]:
    """When a file's sound sets in after at least 150 ms of quiet."""
    samples, rate = sound_of(path)
    loud = np.flatnonzero(np.abs(samples) > 0.15)
    fresh = np.diff(loud, prepend=-rate) > 0.15 * rate
    return [place / rate for place in loud[fresh]]


def analysis_of(
    path: Path,
    utterances: Sequence[tuple[float, float, str, float]],
    faces: Sequence[FaceObservation] = (),
    segment: tuple[float, float] | None = None,
    texts: Sequence[str] = (),
) -> Analysis:
    """An analysis of a file that is there: start, end, emotion and confidence of each utterance."""
    media: MediaInfo = replace(probe(path), segment=segment)
    estimates = []
    for number, (start, end, emotion, sure) in enumerate(utterances):
        text = texts[number] if number < len(texts) else None
        answer = estimate_of(emotion, sure)
        estimates.append(UtteranceEstimate(Utterance(start, end, None, text), {"audio": answer}, fused=answer))
    times = tuple(sorted({face.time_seconds for face in faces}))
    return Analysis(media, MODELS, FUSED_LABELS, times, tuple(faces), tuple(estimates))
