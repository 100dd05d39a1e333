"""What hides or spoils a face before a camera: covered features, shadow, motion, low light, few pixels, JPEG.

Each effect takes ``(batch, 1, height, width)`` gray levels 0 … 255, changes a random share of the batch, and returns
the same shape. The answer of people stays the target: a network that sees less must become less sure.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

FEATURES = (
    # left, right, top, bottom as shares of the picture; each edge moves by up to MOVEMENT
    (0.10, 0.90, 0.62, 1.05),  # mouth and chin: a mask
    (0.25, 0.75, 0.66, 0.90),  # mouth: a hand
    (0.08, 0.92, 0.22, 0.45),  # eyes: sunglasses
    (-0.05, 1.05, -0.05, 0.20),  # forehead: a hat
    (-0.05, 0.42, -0.05, 1.05),  # one side: a hand, hair, the edge of the picture
    (0.58, 1.05, -0.05, 1.05),  # the other
)
"""Places of features in an aligned crop (eyes at about a third of the height, mouth at about three quarters)."""

MOVEMENT = 0.08
LONGEST_MOTION = 7
"""Pixels; odd."""

FEWEST_PIXELS, MOST_PIXELS = 16, 24
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the 64 frequencies at quality 50. Source: ITU-T T.81 (JPEG), table K.1."""


def _chosen(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Indices of a random ``share`` of the batch."""
    draws = torch.rand(len(images), generator=generator, device=images.device)
    return (draws < share).nonzero().flatten()


def _between(count: int, low: float, high: float, generator: Generator) -> Tensor:
    """Uniform draws, ``(count, 1, 1, 1)``."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=generator, device=generator.device)


def cover_features(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Covers one feature of upright faces with a plain or striped patch, rectangular or oval.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.
    """
    chosen = _chosen(images, share, generator)
    count, (height, width) = len(chosen), images.shape[-2:]
    places = torch.tensor(FEATURES, device=images.device)
    which = torch.randint(len(FEATURES), (count,), generator=generator, device=images.device)
    jitter = torch.rand(count, 4, generator=generator, device=images.device) * 2 - 1
    left, right, top, bottom = (places[which] + MOVEMENT * jitter).T[:, :, None, None, None]
    x = torch.linspace(0, 1, width, device=images.device)[None, None, None, :]
    y = torch.linspace(0, 1, height, device=images.device)[None, None, :, None]
    # Distance from the middle of the patch, 1 at its edges: along the farther axis for a rectangle, around for an oval.
    across = (x - (left + right) / 2).abs() / (right - left) * 2
    down = (y - (top + bottom) / 2).abs() / (bottom - top) * 2
    oval = _between(count, 0, 1, generator) < 0.4
    inside = torch.where(oval, across**2 + down**2, torch.maximum(across, down)) < 1
    level = _between(count, 0, 255, generator)
    stripes = torch.sin(_between(count, 5, 60, generator) * (x + y * (_between(count, 0, 4, generator) - 2)))
    patch = level + stripes * _between(count, 0, 40, generator)
    return images.index_copy(0, chosen, torch.where(inside, patch, images[chosen]))


def shade_side(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Darkens one side of a random line to 0.15 … 0.7 of its light, with a soft edge.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.
    """
    chosen = _chosen(images, share, generator)
    count, (height, width) = len(chosen), images.shape[-2:]
    x = torch.linspace(-1, 1, width, device=images.device)[None, None, None, :]
    y = torch.linspace(-1, 1, height, device=images.device)[None, None, :, None]
    angle = _between(count, 0, 2 * math.pi, generator)
    distance = x * torch.cos(angle) + y * torch.sin(angle) - _between(count, -0.4, 0.4, generator)
    dark = torch.sigmoid(distance / _between(count, 0.03, 0.3, generator))
    light = 1 - dark * (1 - _between(count, 0.15, 0.7, generator))
    return images.index_copy(0, chosen, images[chosen] * light)


def move(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Blurs along a line of 3 … 7 pixels in a random direction.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.
    """
    chosen = _chosen(images, share, generator)
    if not len(chosen):
        return images
    angle = _between(len(chosen), 0, math.pi, generator)
    half = _between(len(chosen), 1.0, LONGEST_MOTION // 2, generator)
    return images.index_copy(0, chosen, blur_along(images[chosen], angle, half))


def blur_along(images: Tensor, angle: Tensor, half: Tensor) -> Tensor:
    """Blurs each picture along its own line.

    Args:
        images: ``(batch, 1, height, width)`` gray levels.
        angle: ``(batch, 1, 1, 1)`` direction of the line in radians, 0 along the rows.
        half: ``(batch, 1, 1, 1)`` half the length of the line in pixels, at most half of ``LONGEST_MOTION``.

    Returns:
        The same shape.
    """
    reach = LONGEST_MOTION // 2
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=torch.float32)
    x, y = offsets[None, None, None, :], offsets[None, None, :, None]
    along = (x * torch.cos(angle) + y * torch.sin(angle)).abs()
    beside = (y * torch.cos(angle) - x * torch.sin(angle)).abs()
    kernels = (half + 0.5 - along).clamp(0, 1) * (1 - beside).clamp(min=0)
    kernels = kernels / kernels.sum(dim=(2, 3), keepdim=True)
    padded = functional.pad(images, (reach,) * 4, mode="replicate").transpose(0, 1)
    return functional.conv2d(padded, kernels, groups=len(images)).transpose(0, 1)


def darken(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Leaves 0.05 … 0.4 of the light, adds the sensor's noise of 1 … 3 levels, and rounds to whole levels.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.
    """
    chosen = _chosen(images, share, generator)
    dim = images[chosen] * _between(len(chosen), 0.05, 0.4, generator)
    noise = torch.randn(dim.shape, generator=generator, device=images.device)
    noisy = dim + noise * _between(len(chosen), 1, 3, generator)
    return images.index_copy(0, chosen, noisy.clamp(0, 255).round())


def reduce(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Reduces to 16 … 24 pixels, one size for the batch, and enlarges to the size before.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.
    """
    chosen = _chosen(images, share, generator)
    draw = torch.randint(FEWEST_PIXELS, MOST_PIXELS + 1, (), generator=generator, device=images.device)
    side = min(int(draw), *images.shape[-2:])
    if not len(chosen):
        return images
    return images.index_copy(0, chosen, shrink(images[chosen], side))


def shrink(images: Tensor, side: int) -> Tensor:
    """Reduces to ``side`` pixels and enlarges to the size before.

    Args:
        images: ``(batch, 1, height, width)`` gray levels.
        side: Height and width in between, in pixels.

    Returns:
        The same shape.
    """
    few = functional.interpolate(images, (side, side), mode="bilinear", align_corners=False, antialias=True)
    size = (images.shape[-2], images.shape[-1])
    return functional.interpolate(few, size, mode="bilinear", align_corners=False)


@functools.cache
def _cosines() -> Tensor:
    """The orthonormal discrete cosine transform of 8 values, ``(8, 8)``."""
    steps = torch.arange(8, dtype=torch.float64)
    rows = torch.cos(math.pi / 8 * steps[:, None] * (steps[None, :] + 0.5)) / 2
    rows[0] /= math.sqrt(2)
    return rows.float()


def compress(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Rounds the frequencies of blocks of 8x8 pixels, as JPEG of quality 10 … 60 does.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        share: Share of the batch that is changed.
        generator: Random generator on the device of ``images``.

    Returns:
        The same shape.

    Source: ITU-T T.81; the scale of a quality is that of the Independent JPEG Group's library.
    """
    chosen = _chosen(images, share, generator)
    if not len(chosen):
        return images
    quality = _between(len(chosen), 10, 60, generator)
    return images.index_copy(0, chosen, jpeg(images[chosen], quality))


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """Rounds the frequencies of blocks of 8x8 pixels by JPEG's table.

    Args:
        images: ``(batch, 1, height, width)`` gray levels 0 … 255.
        quality: ``(batch, 1, 1, 1)``, 1 … 100.

    Returns:
        The same shape.
    """
    count, (height, width) = len(images), images.shape[-2:]
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[..., None, None]
    steps = (torch.tensor(LUMINANCE, dtype=torch.float32, device=images.device) * scale).round().clamp(min=1)
    padded = functional.pad(images.clamp(0, 255), (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = padded.shape[-2] // 8, padded.shape[-1] // 8
    blocks = padded.view(count, 1, rows, 8, columns, 8).transpose(3, 4) - 128
    cosines = _cosines().to(images.device)
    frequencies = cosines @ blocks @ cosines.T
    blocks = cosines.T @ ((frequencies / steps).round() * steps) @ cosines + 128
    whole = blocks.transpose(3, 4).reshape(padded.shape)[..., :height, :width]
    return whole.clamp(0, 255)
