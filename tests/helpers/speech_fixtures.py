"""Synthesizes speech-like and other sounds without a recording or program.

``babble`` is vowels that glide into each other, five syllables a second, with a hiss between them: the sum of a
voice's harmonics, each as loud as three resonances of the mouth make it (Peterson and Barney 1952, men's means).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.data.speech.recognition import Recognition
from multimodal.types import AudioBlock, Utterance

RATE = 16000
RESONANCES = np.array(  # Hz, of the vowels in heed, head, hod, hawed, who'd
    [(270, 2290, 3010), (530, 1840, 2480), (730, 1090, 2440), (570, 840, 2410), (300, 870, 2240)], float
)
WIDTHS, LEVELS = (60, 90, 130), (1, 0.6, 0.3)
SYLLABLE_SECONDS = 0.2

Samples = NDArray[np.float32]


def babble(seconds: float, pitch_hz: float = 120.0, seed: int = 0, level: float = 0.4) -> Samples:
    """Gives ``(samples,)`` of something that a voice detector takes for speech, without a pause, of that peak."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    syllables = np.arange(0, seconds + 2 * SYLLABLE_SECONDS, SYLLABLE_SECONDS)
    vowels = RESONANCES[rng.integers(len(RESONANCES), size=len(syllables))]
    resonances = [np.interp(time, syllables, vowels[:, index]) for index in range(3)]
    pitch = pitch_hz * (1 + 0.15 * np.interp(time, syllables, rng.uniform(-1, 1, len(syllables))))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = np.zeros(len(time))
    for harmonic in range(1, int(4000 / pitch_hz)):
        parts = zip(resonances, WIDTHS, LEVELS, strict=True)
        loudness = sum(much / (1 + ((harmonic * pitch - at) / width) ** 2) for at, width, much in parts)
        voice += loudness * np.sin(harmonic * phase)
    swell = np.sin(np.pi * time / SYLLABLE_SECONDS) ** 2
    hiss = np.diff(rng.standard_normal(len(time) + 1)) * (1 - swell) ** 4
    sound = (0.15 + 0.85 * swell) * voice / np.abs(voice).max() + 0.05 * hiss
    return (level * sound / np.abs(sound).max()).astype(np.float32)


def silence(seconds: float) -> Samples:
    """Gives ``(samples,)`` of nothing."""
    return np.zeros(round(seconds * RATE), np.float32)


def joined(*parts: Samples) -> Samples:
    """Gives the parts one after the other."""
    return np.concatenate(parts).astype(np.float32)


def blocks_of(samples: Samples, start_seconds: float = 0.0, size: int = RATE) -> Iterator[AudioBlock]:
    """Gives blocks of ``size`` samples that follow each other."""
    for first in range(0, len(samples), size):
        yield AudioBlock(start_seconds + first / RATE, samples[first : first + size], RATE)


def not_speech(seconds: float) -> dict[str, Samples]:
    """Gives sounds by name that no voice detector should take for speech, each with a peak of 0.9."""
    rng = np.random.default_rng(1)
    time = np.arange(round(seconds * RATE)) / RATE
    white = rng.standard_normal(len(time))
    spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(np.arange(len(time) // 2 + 1), 20))
    clicks = np.zeros(len(time))
    clicks[rng.integers(0, len(time), 5 * round(seconds))] = rng.uniform(-1, 1, 5 * round(seconds))
    sounds = {
        "white noise": white,
        "pink noise": np.fft.irfft(spectrum, len(time)),
        "sine of 220 Hz": np.sin(2 * np.pi * 220 * time),
        "sine of 1 kHz": np.sin(2 * np.pi * 1000 * time),
        "hum of 50 Hz": sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 20)),
        "chirp": np.sin(2 * np.pi * np.cumsum(100 * 2 ** (time / 2 % 6)) / RATE),
        "siren": np.sin(2 * np.pi * np.cumsum(700 + 300 * np.sin(np.pi * time)) / RATE),
        "clicks": clicks,
        "noise in the rhythm of syllables": white * np.sin(4 * np.pi * time) ** 2,
        "plucked chords": chords(time, rng),
    }
    return {name: (0.9 * sound / np.abs(sound).max()).astype(np.float32) for name, sound in sounds.items()}


def chords(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Gives three notes of a major scale struck anew every half second, each with six harmonics that fade."""
    sound = np.zeros(len(time))
    for start in range(0, len(time), RATE // 2):
        since = time[start:] - time[start]
        for step in rng.choice([0, 2, 4, 5, 7, 9, 11, 12], 3, replace=False):
            note = 220 * 2 ** (step / 12)
            harmonics = sum(np.sin(2 * np.pi * note * k * since) / k**2 for k in range(1, 7))
            sound[start:] += harmonics * np.exp(-4 * since)
    return sound


@dataclass
class StandIn:
    """Speech-to-text with a fixed answer, which it gives after reading the sound to its end."""

    said: tuple[Utterance, ...] = (Utterance(1.0, 2.5, None, "I am happy."), Utterance(6.0, 7.0, None, "It is fine."))
    language: str = "en"
    name: str = "whisper-none"
    probability: float = 0.99
    stated: str | None = None
    heard_seconds: float = 0.0
    loaded: int = 0

    def transcribe(
        self,
        blocks: Iterable[AudioBlock],
        progress: Callable[[float], None] | None = None,
        language: str | None = None,
    ) -> Recognition:
        self.stated = language
        for block in blocks:
            self.heard_seconds += len(block.samples) / block.sample_rate
            if progress is not None:
                progress(block.start_seconds + 1)
        return Recognition(
            self.said, ((),) * len(self.said), language or self.language, self.probability, ("it mumbles",)
        )
