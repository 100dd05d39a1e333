"""Faces under fixed bad conditions, to measure how far an answer and its confidence hold.

The effects of training (``face_effects``) draw their strength; here each condition has one strength, and only places,
directions and noise differ from picture to picture, the same at every call. A crop is gray: a colored light changes
all its gray levels by one factor, which standardization removes, so that there is no such condition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Generator, Tensor
from torch.nn import functional

from multimodal.augmentation import face_effects

SEED = 0

Condition = Callable[[Tensor, Generator], Tensor]
"""Changes ``(batch, 1, height, width)`` gray levels 0 … 255."""


def _noise(deviation: float) -> Condition:
    def change(images: Tensor, generator: Generator) -> Tensor:
        return images + deviation * torch.randn(images.shape, generator=generator)

    return change


def _motion(images: Tensor, generator: Generator) -> Tensor:
    angle = math.pi * torch.rand(len(images), 1, 1, 1, generator=generator)
    return face_effects.blur_along(images, angle, torch.full_like(angle, 3.0))


def _jpeg(images: Tensor, generator: Generator) -> Tensor:
    return face_effects.jpeg(images, torch.full((len(images), 1, 1, 1), 15.0))


def _low_light(images: Tensor, generator: Generator) -> Tensor:
    return (0.12 * images + 2 * torch.randn(images.shape, generator=generator)).clamp(0, 255).round()


def _half_shadow(images: Tensor, generator: Generator) -> Tensor:
    """One side, by turns the left and the right, has a quarter of the light; the edge is a tenth of the face wide."""
    across = torch.linspace(-1, 1, images.shape[-1])[None, None, None, :]
    side = torch.where(torch.arange(len(images)) % 2 == 0, 1.0, -1.0)[:, None, None, None]
    return images * (1 - 0.75 * torch.sigmoid(side * across / 0.05))


def _pixels(side: int) -> Condition:
    def change(images: Tensor, generator: Generator) -> Tensor:
        return face_effects.shrink(images, side)

    return change


def _covered(left: float, right: float, top: float, bottom: float, level: tuple[float, float]) -> Condition:
    """A plain patch; its gray level is drawn between two bounds."""

    def change(images: Tensor, generator: Generator) -> Tensor:
        height, width = images.shape[-2:]
        x = (torch.arange(width) + 0.5)[None, None, None, :] / width
        y = (torch.arange(height) + 0.5)[None, None, :, None] / height
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        draw = torch.rand(len(images), 1, 1, 1, generator=generator)
        return torch.where(inside, level[0] + (level[1] - level[0]) * draw, images)

    return change


def _hand(images: Tensor, generator: Generator) -> Tensor:
    """A hand over the left or the right side: an oval of the skin's brightness with darker fingers."""
    height, width = images.shape[-2:]
    x = (torch.arange(width) + 0.5)[None, None, None, :] / width
    y = (torch.arange(height) + 0.5)[None, None, :, None] / height
    left = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    middle = torch.where(left, 0.18, 0.82)
    inside = ((x - middle) / 0.27) ** 2 + ((y - 0.68) / 0.42) ** 2 < 1
    skin = images.mean(dim=(2, 3), keepdim=True) + 10
    return torch.where(inside, skin - 25 * (torch.sin(2 * math.pi * y / 0.16) > 0.7), images)


def _cut_off(images: Tensor, generator: Generator) -> Tensor:
    """The face lies a fifth of the crop too far to one of four sides; beyond the picture its border is repeated."""
    direction = torch.randint(4, (len(images),), generator=generator)
    moves = torch.tensor(((0.4, 0.0), (-0.4, 0.0), (0.0, 0.4), (0.0, -0.4)))[direction]
    matrix = torch.eye(2, 3).repeat(len(images), 1, 1)
    matrix[:, :, 2] = moves
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _defocus(images: Tensor, generator: Generator) -> Tensor:
    """A disk of 5 pixels, as a lens out of focus draws a point."""
    offsets = torch.arange(-2, 3, dtype=torch.float32)
    disk = (offsets[None, :] ** 2 + offsets[:, None] ** 2 < 6.5).float()
    padded = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(padded, (disk / disk.sum())[None, None])


def _overexposed(images: Tensor, generator: Generator) -> Tensor:
    return (2.2 * images + 40).clamp(0, 255)


def _turned(images: Tensor, generator: Generator) -> Tensor:
    """Turned by 35 degrees to either side."""
    sign = torch.where(torch.arange(len(images)) % 2 == 0, 1.0, -1.0)
    angle = math.radians(35) * sign
    zeros = torch.zeros_like(angle)
    rows = [torch.stack([torch.cos(angle), -torch.sin(angle), zeros], 1)]
    rows.append(torch.stack([torch.sin(angle), torch.cos(angle), zeros], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _dead_pixels(images: Tensor, generator: Generator) -> Tensor:
    """A tenth of the pixels black or white."""
    draw = torch.rand(images.shape, generator=generator)
    return torch.where(draw < 0.05, 0.0, torch.where(draw > 0.95, 255.0, images))


CONDITIONS: MappingProxyType[str, Condition] = MappingProxyType(
    {
        "clean": lambda images, generator: images,
        "noise 20": _noise(20.0),
        "noise 40": _noise(40.0),
        "motion blur": _motion,
        "JPEG 15": _jpeg,
        "low light": _low_light,
        "half shadow": _half_shadow,
        "16 pixels": _pixels(16),
        "24 pixels": _pixels(24),
        "mouth covered": _covered(0.1, 0.9, 0.62, 1.0, (30, 225)),
        "eyes covered": _covered(0.08, 0.92, 0.25, 0.46, (5, 40)),
        "hat": _covered(0.0, 1.0, 0.0, 0.2, (10, 200)),
        "hand": _hand,
        "cut off": _cut_off,
    }
)
"""Name of each condition; noise in gray levels of 255."""

UNSEEN: MappingProxyType[str, Condition] = MappingProxyType(
    {"defocus": _defocus, "overexposed": _overexposed, "turned": _turned, "dead pixels": _dead_pixels}
)
"""Conditions that nothing was chosen on, to see whether confidence falls with accuracy there too."""


def under_condition(images: Tensor, name: str, seed: int = SEED) -> Tensor:
    """Pictures under one condition, the same at every call.

    Args:
        images: ``(n, height, width)`` gray levels 0 … 255.
        name: Key of ``CONDITIONS`` or ``UNSEEN``.
        seed: Seed of places, directions and noise.

    Returns:
        ``(n, height, width)`` uint8, whole gray levels as a camera gives them.

    Raises:
        KeyError: There is no such condition.

    Example:
        >>> faces = torch.full((2, 48, 48), 100, dtype=torch.uint8)
        >>> under_condition(faces, "low light").float().mean().round()
        tensor(12.)
    """
    change = CONDITIONS[name] if name in CONDITIONS else UNSEEN[name]
    changed = change(images.float().unsqueeze(1), torch.Generator().manual_seed(seed))
    return changed.squeeze(1).clamp(0, 255).round().to(torch.uint8)
