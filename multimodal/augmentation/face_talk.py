"""Pictures of a face as the frames of a video: the head sways, the light changes, and the mouth talks."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

LIPS = 0.785
"""Height of the line between the lips in an aligned crop, in shares of its side."""

JAW_HALF_WIDTH, MOUTH_HALF_WIDTH = 0.3, 0.17
MOST_OPEN = 5.0
"""Pixels of 48 between the lips in speech."""


def open_mouth(images: Tensor, gap: Tensor) -> Tensor:
    """Moves the jaw of upright faces down and darkens what opens between the lips.

    Args:
        images: ``(batch, height, width)`` gray levels 0 … 255.
        gap: ``(batch,)`` pixels between the lips, at least 0.

    Returns:
        ``(batch, height, width)`` float32; a gap of 0 leaves a picture unchanged.

    Example:
        >>> faces = torch.full((1, 48, 48), 100, dtype=torch.uint8)
        >>> open_mouth(faces, torch.tensor([6.0]))[0, 40, 24] < 60
        tensor(True)
    """
    height, width = images.shape[-2:]
    pixels = images.float().unsqueeze(1)
    x = ((torch.arange(width) + 0.5) / width)[None, None, :]
    y = (torch.arange(height) + 0.5)[None, :, None]
    line = LIPS * height
    drop = gap[:, None, None] * torch.exp(-(((x - 0.5) / JAW_HALF_WIDTH) ** 4))
    source = torch.where(y > line + drop, y - drop, torch.minimum(y, torch.full_like(y, line)))
    grid = torch.stack([(2 * x - 1).expand_as(source), 2 * source / height - 1], dim=-1)
    moved = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False).squeeze(1)
    opening = drop * (1 - ((x - 0.5) / MOUTH_HALF_WIDTH) ** 2).clamp(min=0).sqrt()
    inside = ((y - line).clamp(min=0) > 0) & (y < line + opening)
    dark = 0.35 * pixels.mean(dim=(2, 3))[:, :, None]
    return torch.where(inside, dark, moved)


def frames_of(images: Tensor, generator: Generator, *, talking: float = 0.7, noise: float = 4.0) -> Tensor:
    """Pictures as consecutive frames of a person who talks.

    Args:
        images: ``(frames, height, width)`` gray levels: the face of each frame, at rest.
        generator: Random generator.
        talking: Share of the frames whose mouth is open to some degree, 0 … ``MOST_OPEN`` pixels.
        noise: Deviation of the noise of each frame in gray levels.

    Returns:
        ``(frames, height, width)`` uint8.

    Example:
        >>> faces = torch.full((4, 48, 48), 100, dtype=torch.uint8)
        >>> frames_of(faces, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 48, 48])
    """
    count = len(images)
    speaks = torch.rand(count, generator=generator) < talking
    gap = torch.where(speaks, MOST_OPEN * torch.rand(count, generator=generator), torch.zeros(count))
    opened = open_mouth(images, gap).unsqueeze(1)
    angle = math.radians(2.0) * torch.randn(count, generator=generator)
    scale = torch.exp(0.02 * torch.randn(count, generator=generator))
    shift = 0.025 * torch.randn(count, 2, generator=generator)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = (torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(opened.shape), align_corners=False)
    placed = functional.grid_sample(opened, grid, padding_mode="border", align_corners=False).squeeze(1)
    contrast = 1 + 0.06 * torch.randn(count, 1, 1, generator=generator)
    lit = placed * contrast + 5 * torch.randn(count, 1, 1, generator=generator)
    return (lit + noise * torch.randn(lit.shape, generator=generator)).clamp(0, 255).round().to(torch.uint8)
