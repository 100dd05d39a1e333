"""Test sounds with known properties, and measurements of sound with numpy and scipy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating[Any]]
RATE = 16000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(clips: int, n: int, level: float = 0.05, seed: int = 0) -> Tensor:
    return torch.randn(clips, n, generator=seeded(seed)) * level


def tone(hertz: float, n: int = RATE, level: float = 0.3) -> Tensor:
    return (level * torch.sin(torch.arange(n, dtype=torch.float64) * (2 * math.pi * hertz / RATE))).float()[None]


def impulse(clips: int, n: int, place: int, level: float = 0.5) -> Tensor:
    return torch.zeros(clips, n).index_fill(1, torch.tensor([place]), level)


def decibels(power: Any) -> Any:
    return 10 * np.log10(power)


def power(samples: Tensor | Floats) -> Floats:
    return np.square(np.asarray(samples, np.float64)).mean(axis=-1)


def slope_of(samples: Tensor) -> float:
    """The exponent of the spectrum: a line through the logarithms of Welch's estimate, 60 … 7000 Hz."""
    from scipy.signal import welch

    hertz, density = welch(samples.double().numpy(), RATE, nperseg=4096)
    selection = (hertz > 60) & (hertz < 7000)
    # Even weight per octave: there are more bins the higher one goes.
    return -float(np.polyfit(np.log(hertz[selection]), np.log(density[selection]), 1, w=hertz[selection] ** -0.5)[0])


def reverberation_time(response: Floats) -> float:
    """Schroeder's backward integration, a line from -5 to -35 dB, carried on to -60 dB (ISO 3382, T30)."""
    level = decibels(np.square(response)[::-1].cumsum()[::-1] / np.square(response).sum())
    selection = np.flatnonzero((level < -5) & (level > -35))
    return float(-60 / np.polyfit(selection / RATE, level[selection], 1)[0])
