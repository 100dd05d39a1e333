"""Pitch of speech on the 10 ms grid of the MFCC frames: YIN in torch, batched, in two passes.

YIN takes the first deep dip of a normalized difference function, here computed through the Fourier transform. Sometimes
that is an octave off, so frames far from the clip's usual pitch are searched again near it.

Source: de Cheveigné and Kawahara 2002 (10.1121/1.1458024); bounds from a first pass after Hirst 2011 (ICPhS, 767-770).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from multimodal.encoders.framing import check_batch, cut_frames, padding_mask

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Range of the search: from a man's creaky voice to a shout or a child."""

DIP = 0.15
"""Aperiodicity below which YIN takes the first dip; 0.1 to 0.15 in the paper."""

VOICED = 0.30
"""Aperiodicity below which a frame is voiced: the share of its power that does not repeat."""

AROUND_USUAL = (0.6, 1.7)
"""Bounds of the second pass in multiples of the lower and the upper quartile; an octave lies outside of both."""

LARGEST_STEP = 2.0**0.5
"""Factor from one frame to the next beyond which two voiced frames do not support each other: half an octave."""

SILENCE_DB = -75.0
"""Decibels of full scale below which nothing is voiced."""

LOUDEST_TO_VOICED_DB = 40.0
"""A frame this much quieter than the loud ones of its clip is not voiced: a hum in the background."""

LEAST_POWER = 1e-10
"""Mean square that stands for digital silence, -100 dB: the rounding of 16-bit samples has -101 dB."""

FRAMES_AT_ONCE = 1024
"""Frames processed at once: 3 MB per array, which fits a processor's cache and keeps memory constant."""


class Grid(NamedTuple):
    """Sizes in samples at one sample rate; frames are those of ``MfccSettings``, 25 ms each 10 ms."""

    sample_rate: int
    window: int
    hop: int
    shortest_lag: int
    longest_lag: int

    @classmethod
    def at(cls, sample_rate: int) -> Grid:
        """The grid of a sample rate.

        Args:
            sample_rate: In Hz.

        Example:
            >>> Grid.at(16000)
            Grid(sample_rate=16000, window=400, hop=160, shortest_lag=32, longest_lag=267)
        """
        lags = math.floor(sample_rate / HIGHEST_HZ), math.ceil(sample_rate / LOWEST_HZ)
        return cls(sample_rate, round(0.025 * sample_rate), round(0.010 * sample_rate), *lags)


def quantiles(values: Tensor, mask: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Quantiles of the marked values of each item, interpolated linearly as ``numpy.quantile`` does.

    Args:
        values: ``(batch, frames)``.
        mask: ``(batch, frames)`` true where a value counts.
        shares: The quantiles, 0 … 1.

    Returns:
        ``(shares, batch)``; 0 for an item without marked values.

    Example:
        >>> quantiles(torch.tensor([[3.0, 9.0, 1.0]]), torch.tensor([[True, False, True]]), (0.5, 1.0)).tolist()
        [[2.0], [3.0]]
    """
    ordered = values.masked_fill(~mask, torch.inf).sort(1).values
    places = torch.tensor(shares, device=values.device) * (mask.sum(1, keepdim=True) - 1).clamp(min=0)
    below = places.floor()
    low, high = (ordered.gather(1, place.long()) for place in (below, places.ceil()))
    result = torch.lerp(low, high, places - below)
    return torch.where(mask.any(1, keepdim=True), result, 0.0).T


def remove_offset(samples: Tensor, lengths: Tensor) -> Tensor:
    """Subtracts each clip's mean and sets the padding to 0.

    Args:
        samples: ``(batch, samples)`` padded with anything.
        lengths: ``(batch,)`` samples of each clip.

    Returns:
        ``(batch, samples)`` float32, 0 after a clip's end.

    Raises:
        ValueError: Shapes do not match, or a length exceeds the samples.

    Example:
        >>> remove_offset(torch.tensor([[1.0, 3.0, 7.0]]), torch.tensor([2])).tolist()
        [[-1.0, 1.0, 0.0]]
    """
    check_batch(samples, lengths)
    mask = padding_mask(lengths.to(samples.device), samples.shape[1])
    clean = samples.float().masked_fill(~mask, 0.0)
    mean = clean.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    return (clean - mean).masked_fill(~mask, 0.0)


def energy_db(samples: Tensor, lengths: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Loudness of each frame.

    Args:
        samples: ``(batch, samples)`` as ``remove_offset`` gives them.
        lengths: ``(batch,)`` samples of each clip.
        grid: The frames.

    Returns:
        ``(batch, frames)`` decibels of full scale (0 for a square wave of 1), -100 for digital silence; and the frames
        of each clip ``(batch,)``. Values after a clip's end are undefined.

    Raises:
        ValueError: Shapes do not match, or a length exceeds the samples.
    """
    frames, counts = cut_frames(samples, lengths, grid.window, grid.hop)
    power = torch.cat([part.square().mean(2) for part in frames.split(FRAMES_AT_ONCE, dim=1)], dim=1)
    return 10 * power.clamp(min=LEAST_POWER).log10(), counts


def pitch(samples: Tensor, lengths: Tensor, sample_rate: int) -> tuple[Tensor, Tensor]:
    """Estimates the pitch of clips of speech.

    Args:
        samples: ``(batch, samples)`` -1 … 1, padded with anything.
        lengths: ``(batch,)`` samples of each clip.
        sample_rate: Samples per second.

    Returns:
        Hertz ``(batch, frames)``, 60 … 500, 0 where unvoiced and after a clip's end; and the periodicity of the sound,
        the same shape, 0 (noise, silence) … 1 (a perfect period), for unvoiced frames too. The frames are those of
        ``Mfcc``.

    Raises:
        ValueError: Shapes do not match, or a length exceeds the samples.

    Example:
        >>> tone = torch.sin(2 * torch.pi * 200 * torch.arange(8000) / 16000).unsqueeze(0)
        >>> hertz, voicing = pitch(tone, torch.tensor([8000]), 16000)
        >>> round(float(hertz[0, 24])), bool(voicing[0, 24] > 0.99)
        (200, True)
    """
    grid = Grid.at(sample_rate)
    clean = remove_offset(samples, lengths)
    energy, counts = energy_db(clean, lengths, grid)
    return pitch_of(clean, energy, padding_mask(counts, energy.shape[1]), grid)


@torch.no_grad()
def pitch_of(samples: Tensor, energy: Tensor, valid: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """As ``pitch``, for clips without offset and with known loudness.

    Args:
        samples: ``(batch, samples)`` as ``remove_offset`` gives them.
        energy: ``(batch, frames)`` decibels as ``energy_db`` gives them.
        valid: ``(batch, frames)`` false after a clip's end.
        grid: The frames.

    Returns:
        Hertz and voicing as ``pitch`` gives them.
    """
    (loudest,) = quantiles(energy, valid, (0.95,))
    audible = valid & (energy > (loudest - LOUDEST_TO_VOICED_DB).clamp(min=SILENCE_DB).unsqueeze(1))
    with torch.autocast(samples.device.type, enabled=False):
        lags, depths = _two_passes(_pitch_frames(samples, energy.shape[1], grid), audible, grid)
    voiced = _supported(torch.where(audible & (depths < VOICED), grid.sample_rate / lags, 0.0))
    return voiced, (1 - depths).masked_fill(~audible, 0.0)


def _pitch_frames(samples: Tensor, count: int, grid: Grid) -> Tensor:
    """Frames ``(batch, frames, window + longest lag + 2)`` around the same middles as the MFCC frames, a view."""
    size = grid.window + grid.longest_lag + 2
    margin = (size - grid.window) // 2
    needed = (count - 1) * grid.hop + size
    padded = functional.pad(samples, (margin, max(needed - margin - samples.shape[1], 0)))
    return padded[:, :needed].unfold(1, size, grid.hop)


def _two_passes(frames: Tensor, audible: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Lags and depths ``(batch, frames)``: over the whole range, then near the usual pitch for frames far from it."""
    widest = torch.ones(len(frames), device=frames.device)
    shortest, longest = grid.shortest_lag * widest, grid.longest_lag * widest
    lags, depths = _search(frames, audible, shortest, longest, grid)
    lower, upper = quantiles(lags, audible & (depths < VOICED), (0.25, 0.75))
    # A long lag is a low pitch, so the bounds are swapped.
    shortest = torch.maximum(shortest, lower / AROUND_USUAL[1])
    longest = torch.minimum(longest, upper / AROUND_USUAL[0])
    far = audible & (depths < VOICED) & ((lags < shortest.unsqueeze(1) - 1) | (lags > longest.unsqueeze(1) + 1))
    nearer, shallower = _search(frames, far, shortest, longest, grid)
    return torch.where(far, nearer, lags), torch.where(far, shallower, depths)


def _search(frames: Tensor, where: Tensor, shortest: Tensor, longest: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The dips of the marked frames between lags per item ``(batch,)``; lag 1 and depth 1 elsewhere."""
    lags, depths = torch.ones(2, *where.shape, device=frames.device)
    places = where.nonzero()
    for start in range(0, len(places), FRAMES_AT_ONCE):
        item, step = places[start : start + FRAMES_AT_ONCE].T
        curve = _aperiodicity(frames[item, step], grid)
        lags[item, step], depths[item, step] = _first_dip(curve, shortest[item], longest[item])
    return lags, depths


def _transform_size(samples: int) -> int:
    """The least power of two, or three quarters of one, that holds so many samples."""
    power = 1 << (samples - 1).bit_length()
    return power * 3 // 4 if samples <= power * 3 // 4 else power


def _aperiodicity(frames: Tensor, grid: Grid) -> Tensor:
    """YIN's cumulative mean normalized difference ``(frames, longest lag + 2)``, by lag from 0."""
    # No lag reaches round the end of the transform; a size without large prime factors is five times faster.
    lags, size = grid.longest_lag + 2, _transform_size(frames.shape[1])
    spectrum = torch.fft.rfft(frames, n=size)
    head = torch.fft.rfft(frames[:, : grid.window], n=size)
    products = torch.fft.irfft(spectrum * head.conj(), n=size)[:, :lags]
    squares = functional.pad(frames.square().cumsum(1), (1, 0))
    powers = squares[:, grid.window : grid.window + lags] - squares[:, :lags]
    # Rounding may leave less than nothing, and silence 0 / 0: a floor of -100 dB makes it aperiodic.
    least = LEAST_POWER * grid.window
    difference = (powers + powers[:, :1] - 2 * products).clamp(min=0)[:, 1:] + least
    steps = torch.arange(1, lags, device=frames.device)
    return functional.pad(difference * steps / difference.cumsum(1), (1, 0), value=1.0)


def _first_dip(curve: Tensor, shortest: Tensor, longest: Tensor) -> tuple[Tensor, Tensor]:
    """Lag (with fraction, by a parabola) and depth of the first deep dip between two lags, else of the deepest."""
    before, inner, after = curve[:, :-2], curve[:, 1:-1], curve[:, 2:]
    lags = torch.arange(1, curve.shape[1] - 1, device=curve.device)
    allowed = (lags >= shortest.unsqueeze(1)) & (lags <= longest.unsqueeze(1))
    dips = allowed & (inner < DIP) & (inner <= before) & (inner < after)
    first = dips.to(torch.uint8).argmax(1)
    deepest = inner.masked_fill(~allowed, torch.inf).argmin(1)
    index = torch.where(dips.any(1), first, deepest).unsqueeze(1)
    left, middle, right = (side.gather(1, index).squeeze(1) for side in (before, inner, after))
    bend = left + right - 2 * middle
    shift = torch.where(bend > 0, (left - right) / (2 * bend), 0.0).clamp(-0.5, 0.5)
    return index.squeeze(1) + 1 + shift, (middle - (left - right) * shift / 4).clamp(0.0, 1.0)


def _supported(hertz: Tensor) -> Tensor:
    """Keeps voiced frames with a voiced neighbor of similar pitch; an isolated one is chance."""
    padded = functional.pad(hertz, (1, 1))
    middle = padded[:, 1:-1]
    near = [(side < middle * LARGEST_STEP) & (side * LARGEST_STEP > middle) for side in (padded[:, :-2], padded[:, 2:])]
    return torch.where(near[0] | near[1], hertz, 0.0)
