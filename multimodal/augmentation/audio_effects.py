"""Changes of the sound of one clip: pace, pitch, noise, rooms, bands.

librosa stretches time and shifts pitch; torchaudio adds noise, convolves and filters. Own code makes what neither
library has: colored noise and the impulse response of a room. ``audio`` draws the amounts.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torchaudio.functional as audio_functional
from torch import Generator, Tensor

from multimodal.errors import DependencyError

FRAME, HOP = 512, 128
"""Samples of the phase vocoder: 32 ms frames resolve the harmonics of a voice of 100 Hz at 16 kHz; librosa's default
of 2048 smears syllables."""
LOWEST_NOISE_HZ = 20.0
"""Colored noise is flat below the lowest audible frequency; brown noise would otherwise be all rumble."""
BUTTERWORTH_Q = (0.541196, 1.306563)
"""Quality of the two second-order sections of a Butterworth filter of order 4: ``1 / (2 cos(π/8))`` and
``1 / (2 cos(3π/8))``."""
SILENCE = 1e-12
"""Powers below it (-120 dB of full scale) are silence and are not divided by."""


def check_librosa() -> None:
    """Checks that librosa can be imported.

    Raises:
        DependencyError: librosa is not installed.

    Example:
        >>> check_librosa()
    """
    try:
        import librosa  # noqa: F401
    except ImportError:
        remedy = "pip install 'multimodal-emotion[train]', or set both to 0"
        fact = "is not installed, and augmentation with time_stretch_share or pitch_shift_share needs it"
        raise DependencyError("librosa", fact, remedy) from None


def stretch_time(samples: Tensor, factor: float) -> Tensor:
    """Plays a clip faster or slower at the same pitch (librosa's phase vocoder).

    Args:
        samples: ``(n,)``; fewer than ``FRAME`` are returned unchanged.
        factor: Above 1 is faster.

    Returns:
        ``(n / factor,)`` float32, rounded.

    Raises:
        DependencyError: librosa is not installed.

    Example:
        >>> stretch_time(torch.zeros(16000), 1.25).shape                    # doctest: +SKIP
        torch.Size([12800])
    """
    check_librosa()
    from librosa.effects import time_stretch

    if len(samples) < FRAME:
        return samples
    stretched = time_stretch(samples.numpy(), rate=factor, n_fft=FRAME, hop_length=HOP)
    return torch.from_numpy(np.asarray(stretched, np.float32))


def shift_pitch(samples: Tensor, semitones: float, sample_rate: int) -> Tensor:
    """Raises or lowers a clip at the same pace, as if the speaker were smaller or larger (librosa).

    Args:
        samples: ``(n,)``; fewer than ``FRAME`` are returned unchanged.
        semitones: Above 0 is higher.
        sample_rate: In Hz.

    Returns:
        ``(n,)`` float32.

    Raises:
        DependencyError: librosa is not installed.

    Example:
        >>> shift_pitch(torch.zeros(16000), -1.5, 16000).shape              # doctest: +SKIP
        torch.Size([16000])
    """
    check_librosa()
    from librosa.effects import pitch_shift

    if len(samples) < FRAME:
        return samples
    shifted = pitch_shift(samples.numpy(), sr=sample_rate, n_steps=semitones, n_fft=FRAME, hop_length=HOP)
    return torch.from_numpy(np.asarray(shifted, np.float32))


def colored_noise(count: int, slope: float, sample_rate: int, generator: Generator) -> Tensor:
    """Draws Gaussian noise with a power that falls with frequency.

    Args:
        count: Samples.
        slope: Power goes with ``1 / frequency ** slope``: 0 is white, 1 pink, 2 brown (-6 dB an octave).
        sample_rate: In Hz.
        generator: On the CPU.

    Returns:
        ``(count,)`` float32 of power about 1; 0 for fewer than 2 samples.

    Example:
        >>> noise = colored_noise(16000, 0.0, 16000, torch.Generator().manual_seed(0))
        >>> round(float(noise.square().mean()), 1)
        1.0
    """
    spectrum = torch.fft.rfft(torch.randn(count, generator=generator), norm="ortho")
    frequency = torch.linspace(0, sample_rate / 2, len(spectrum)).clamp(min=LOWEST_NOISE_HZ)
    level = frequency ** (-slope / 2)
    level[0] = 0  # no offset
    level = level / level.square().mean().clamp(min=SILENCE).sqrt()
    noise: Tensor = torch.fft.irfft(spectrum * level, n=count, norm="ortho")
    return noise


def add_noise(samples: Tensor, noise: Tensor, ratio_db: float) -> Tensor:
    """Adds noise at a signal-to-noise ratio over the whole clip, pauses included.

    Args:
        samples: ``(n,)``.
        noise: ``(n,)`` of any level.
        ratio_db: Power of the clip over that of the noise, in dB.

    Returns:
        ``(n,)``; a silent clip stays silent.

    Example:
        >>> noisy = add_noise(torch.ones(2), torch.tensor([5.0, -5.0]), 20.0)
        >>> [round(value, 3) for value in noisy.tolist()]
        [1.1, 0.9]
    """
    if _power(samples) < SILENCE or _power(noise) < SILENCE:
        return samples
    noisy: Tensor = audio_functional.add_noise(samples, noise, torch.tensor(ratio_db))
    return noisy


def room_response(decay_seconds: float, direct_db: float, sample_rate: int, generator: Generator) -> Tensor:
    """Draws the impulse response of a room: the direct sound, then noise that decays exponentially.

    Args:
        decay_seconds: RT60, the time in which the echo falls by 60 dB; the response is as long.
        direct_db: Energy of the direct sound over that of all echo, in dB.
        sample_rate: In Hz.
        generator: On the CPU.

    Returns:
        ``(decay_seconds * sample_rate,)`` float32; the first sample is 1, so nothing is delayed.

    Example:
        >>> room = room_response(0.3, 10.0, 16000, torch.Generator().manual_seed(0))
        >>> room[0].item(), round(room[1:].square().sum().item(), 4)
        (1.0, 0.1)

    Source:
        Polack 1988: late reverberation as Gaussian noise under an exponential.
    """
    seconds = torch.arange(1, max(round(decay_seconds * sample_rate), 2)) / sample_rate
    echo = torch.randn(len(seconds), generator=generator) * torch.exp(-math.log(1000) / decay_seconds * seconds)
    energy = echo.square().sum().clamp(min=SILENCE)
    return torch.cat([torch.ones(1), echo * (10 ** (-direct_db / 10) / energy).sqrt()])


def reverberate(samples: Tensor, response: Tensor) -> Tensor:
    """Plays a clip in a room, as loud as before; the echo after its end is cut.

    Args:
        samples: ``(n,)``.
        response: ``(m,)``, see ``room_response``.

    Returns:
        ``(n,)``.

    Example:
        >>> reverberate(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])).tolist()[0] > 0.7
        True
    """
    echoed = audio_functional.fftconvolve(samples, response)[: len(samples)]
    power = _power(echoed)
    return echoed * math.sqrt(_power(samples) / power) if power >= SILENCE else samples


def limit_band(samples: Tensor, low_hz: float, high_hz: float, sample_rate: int) -> Tensor:
    """Removes what lies below and above a band with Butterworth filters of order 4.

    Args:
        samples: ``(n,)``.
        low_hz: Where the lower edge has lost 3 dB; 0 for no lower edge.
        high_hz: The same of the upper edge; from half the sample rate on there is none.
        sample_rate: In Hz.

    Returns:
        ``(n,)``.

    Example:
        >>> hum = torch.sin(torch.arange(16000) * (2 * torch.pi * 50 / 16000))
        >>> bool(limit_band(hum, 300.0, 3400.0, 16000)[4000:].abs().max() < 0.01)
        True
    """
    for quality in BUTTERWORTH_Q:
        if low_hz > 0:
            samples = audio_functional.highpass_biquad(samples, sample_rate, low_hz, quality)
        if high_hz < sample_rate / 2:
            samples = audio_functional.lowpass_biquad(samples, sample_rate, high_hz, quality)
    return samples


def _power(samples: Tensor) -> float:
    return float(samples.square().mean()) if len(samples) else 0.0
