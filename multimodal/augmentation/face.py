"""Face augmentation: simulates the differences between faces in videos and clean pictures.

Everything works on a whole batch at once, on the device of the batch, from one generator, so that an epoch can be
repeated exactly. What cameras and things before the face do is in ``face_effects``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from multimodal.augmentation import face_effects


@dataclass(frozen=True)
class FaceAugmentation:
    """Strength of each change. Each draws its own amount, uniformly up to the bound.

    Attributes:
        rotation_degrees: Largest rotation to either side.
        zoom: Largest relative change of size, as a factor 1 + zoom or its inverse.
        shift: Largest shift in each direction, as a share of the picture.
        gamma: Largest change of the tone curve, as an exponent 1 + gamma or its inverse.
        shade: Largest slope of added light across the picture, in gray levels from edge to edge.
        noise: Largest deviation of added noise, in gray levels.
        blur_share: Share of pictures that are blurred by a 3x3 average, to a random degree.
        erase_share: Share of pictures with a covered rectangle.
        erase_area: Largest area of that rectangle, as a share of the picture.
        shear: Largest slant to either side, as a share of the height.
        feature_share: Share of faces with mouth, eyes, forehead or a side covered: masks, glasses, hats, hands.
        shadow_share: Share of pictures of which one side of a line is in shadow.
        dark_share: Share of pictures in low light: few gray levels and the noise of the sensor.
        motion_share: Share of pictures blurred along a line of 3 to 7 pixels.
        jpeg_share: Share of pictures compressed as JPEG, quality 10 to 60.
        low_resolution_share: Share of pictures reduced to 16 to 24 pixels and enlarged again.
    """

    rotation_degrees: float = 15.0
    zoom: float = 0.18
    shift: float = 0.08
    gamma: float = 0.5
    shade: float = 60.0
    noise: float = 10.0
    blur_share: float = 0.25
    erase_share: float = 0.3
    erase_area: float = 0.15
    shear: float = 0.0
    feature_share: float = 0.0
    shadow_share: float = 0.0
    dark_share: float = 0.0
    motion_share: float = 0.0
    jpeg_share: float = 0.0
    low_resolution_share: float = 0.0


def weaken(settings: FaceAugmentation, factor: float) -> FaceAugmentation:
    """The same changes, each with ``factor`` of its strength or share.

    Args:
        settings: Strength of each change.
        factor: 0 for none, 1 for the same.

    Returns:
        Other settings.

    Example:
        >>> weaken(FaceAugmentation(zoom=0.2), 0.5).zoom
        0.1
    """
    return FaceAugmentation(**{name: value * factor for name, value in asdict(settings).items()})


def augment(images: Tensor, size: int, settings: FaceAugmentation, generator: Generator) -> Tensor:
    """Mirrors, rotates, shifts, relights, blurs and covers each face at random, then records it with a bad camera.

    Args:
        images: ``(batch, height, width)`` gray levels 0 … 255.
        size: Height and width of the result in pixels.
        settings: Strength of each change.
        generator: Random generator on the device of ``images``.

    Returns:
        ``(batch, size, size)`` float32 gray levels 0 … 255.

    Example:
        >>> faces = torch.full((4, 48, 48), 100, dtype=torch.uint8)
        >>> augment(faces, 36, FaceAugmentation(), torch.Generator().manual_seed(0)).shape
        torch.Size([4, 36, 36])
    """
    pixels = images.float().unsqueeze(1)
    # Features are covered while the face is upright, where they are known to be. An effect that is off draws nothing,
    # so that older configurations repeat their numbers.
    if settings.feature_share:
        pixels = face_effects.cover_features(pixels, settings.feature_share, generator)
    pixels = _place(pixels, size, settings, generator)
    pixels = _light(pixels, settings, generator)
    if settings.shadow_share:
        pixels = face_effects.shade_side(pixels, settings.shadow_share, generator)
    pixels = _soften(pixels, settings, generator)
    pixels = _cover(pixels, settings, generator)
    for effect, share in (
        (face_effects.move, settings.motion_share),
        (face_effects.darken, settings.dark_share),
        (face_effects.reduce, settings.low_resolution_share),
        (face_effects.compress, settings.jpeg_share),
    ):
        if share:
            pixels = effect(pixels, share, generator)
    return pixels.clamp(0, 255).squeeze(1)


def _uniform(images: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Uniform draws from -1 … 1, ``(batch, *shape)``."""
    return torch.rand(len(images), *shape, generator=generator, device=images.device) * 2 - 1


def _happens(images: Tensor, share: float, generator: Generator) -> Tensor:
    """True for a ``share`` of the batch, ``(batch, 1, 1, 1)``."""
    return torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < share


def _place(images: Tensor, size: int, settings: FaceAugmentation, generator: Generator) -> Tensor:
    angle = _uniform(images, generator) * math.radians(settings.rotation_degrees)
    scale = torch.exp(_uniform(images, generator) * math.log1p(settings.zoom))
    mirror = torch.where(_uniform(images, generator) < 0, -1.0, 1.0)
    # Coordinates run from -1 to 1, hence twice the share.
    shift = _uniform(images, generator, 2) * 2 * settings.shift
    slant = _uniform(images, generator) * settings.shear if settings.shear else torch.zeros_like(angle)
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    top = torch.stack([cosine * mirror, cosine * mirror * slant - sine, shift[:, 0]], dim=1)
    bottom = torch.stack([sine * mirror, sine * mirror * slant + cosine, shift[:, 1]], dim=1)
    grid = functional.affine_grid(torch.stack([top, bottom], dim=1), [len(images), 1, size, size], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _light(images: Tensor, settings: FaceAugmentation, generator: Generator) -> Tensor:
    exponent = torch.exp(_uniform(images, generator, 1, 1, 1) * math.log1p(settings.gamma))
    lit = 255 * (images.clamp(0, 255) / 255) ** exponent
    ramp = torch.linspace(-0.5, 0.5, images.shape[-1], device=images.device)
    slope = _uniform(images, generator, 2, 1, 1) * settings.shade
    return lit + slope[:, :1] * ramp[None, None, None, :] + slope[:, 1:] * ramp[None, None, :, None]


def _soften(images: Tensor, settings: FaceAugmentation, generator: Generator) -> Tensor:
    softer = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    degree = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
    images = torch.where(_happens(images, settings.blur_share, generator), images.lerp(softer, degree), images)
    level = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) * settings.noise
    return images + level * torch.randn(images.shape, generator=generator, device=images.device)


def _cover(images: Tensor, settings: FaceAugmentation, generator: Generator) -> Tensor:
    area = (_uniform(images, generator, 1, 1, 1) + 1) / 2 * settings.erase_area
    aspect = torch.exp(_uniform(images, generator, 1, 1, 1) * math.log(2))
    half_width, half_height = (area * aspect).sqrt() / 2, (area / aspect).sqrt() / 2
    center = (_uniform(images, generator, 2, 1, 1) + 1) / 2
    position = torch.linspace(0, 1, images.shape[-1], device=images.device)
    inside_x = (position[None, None, None, :] - center[:, :1]).abs() < half_width
    inside_y = (position[None, None, :, None] - center[:, 1:]).abs() < half_height
    covered = inside_x & inside_y & _happens(images, settings.erase_share, generator)
    # The picture's own mean, which standardization maps to about zero: covered, not colored.
    return torch.where(covered, images.mean(dim=(2, 3), keepdim=True), images)
