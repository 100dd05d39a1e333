"""Sounds of known pitch, made from sines; the reference script and the tests share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 16000
Signal = NDArray[np.float32]
Track = NDArray[np.float64]

FORMANTS = {"a": (730.0, 1090.0, 2440.0), "i": (270.0, 2290.0, 3010.0), "u": (300.0, 870.0, 2240.0)}
"""Hertz, for men (Peterson and Barney 1952)."""


def glide(low: float, high: float, seconds: float, rate: int = RATE) -> Track:
    """Hertz at every sample, from one pitch to the other along a straight line in semitones."""
    return np.asarray(low * (high / low) ** np.linspace(0, 1, round(seconds * rate)), dtype=np.float64)


def sine(hertz: Track, level: float = 0.3, rate: int = RATE) -> Signal:
    return (level * np.sin(2 * np.pi * np.cumsum(hertz) / rate)).astype(np.float32)


def vowel(hertz: Track, name: str = "a", level: float = 0.2, lowest_hz: float = 0.0, rate: int = RATE) -> Signal:
    """Harmonics of a falling source through three resonances 90 Hz wide; ``lowest_hz`` cuts as a telephone does."""
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    result = np.zeros(len(hertz))
    for number in range(1, int(0.45 * rate / hertz.min()) + 1):
        frequency = number * hertz
        weight = np.where((frequency < 0.45 * rate) & (frequency > lowest_hz), 1.0 / number, 0.0)
        for formant in FORMANTS[name]:
            weight = weight / np.hypot(1 - (frequency / formant) ** 2, 90 * frequency / formant**2)
        result += weight * np.sin(number * phase)
    return (level * result / np.sqrt(np.mean(result**2)) / 2).astype(np.float32)


def noise(count: int, level: float, seed: int = 0) -> Signal:
    return (level * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def syllables(seconds: float, per_second: float = 4.0, rate: int = RATE) -> Signal:
    """A vowel that swells and fades, over a little noise."""
    count = round(seconds * rate)
    swell = 0.525 - 0.475 * np.cos(2 * np.pi * per_second * np.arange(count) / rate)
    voice = vowel(glide(180, 130, seconds, rate), "a", rate=rate) * swell
    return (voice + noise(count, 0.0005)).astype(np.float32)


def reference_signals() -> dict[str, tuple[Signal, Track]]:
    """Sounds with the pitch at every sample, half a second each."""
    tracks = {
        "tone": glide(220, 220, 0.5),
        "low": glide(75, 75, 0.5),
        "chirp": glide(100, 400, 0.5),
        "a": glide(130, 90, 0.5),
        "i": glide(180, 260, 0.5),
        "u": glide(300, 240, 0.5),
    }
    sounds = {name: sine(track) if name not in FORMANTS else vowel(track, name) for name, track in tracks.items()}
    sounds["tone"] += noise(8000, 0.003)
    sounds["a"] += noise(8000, 0.002, seed=1)
    return {name: (sounds[name], tracks[name]) for name in tracks}


def pulsing_noise(seconds: float, seed: int = 0, level: float = 0.1) -> Signal:
    """Noise whose loudness comes and goes four times a second."""
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * RATE))
    return (samples * np.sin(np.arange(len(samples)) * 4 * np.pi / RATE) ** 2).astype(np.float32)
