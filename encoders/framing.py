"""Frames of padded batches of sound: their number, and masks of the padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def frame_counts(lengths: Tensor, window: int, hop: int) -> Tensor:
    """Number of frames of clips: as many whole windows as fit, and one for a clip shorter than a window.

    Args:
        lengths: ``(batch,)`` whole numbers of samples.
        window: Samples in a frame.
        hop: Samples from one frame to the next.

    Returns:
        ``(batch,)`` whole numbers from 1.

    Example:
        >>> frame_counts(torch.tensor([0, 399, 400, 559, 560]), window=400, hop=160).tolist()
        [1, 1, 1, 1, 2]
    """
    return 1 + torch.div(lengths - window, hop, rounding_mode="floor").clamp(min=0)


def padding_mask(lengths: Tensor, steps: int) -> Tensor:
    """Marks the steps of a padded batch that belong to its items.

    Args:
        lengths: ``(batch,)`` steps of each item, on the device of the result.
        steps: Steps of the padded batch.

    Returns:
        ``(batch, steps)`` bool: true before an item's end, false in the padding.

    Example:
        >>> padding_mask(torch.tensor([1, 3]), 3).tolist()
        [[True, False, False], [True, True, True]]
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def check_batch(samples: Tensor, lengths: Tensor) -> int:
    """Checks that lengths match the samples.

    Args:
        samples: ``(batch, samples)``.
        lengths: ``(batch,)`` samples of each clip.

    Returns:
        The greatest length.

    Raises:
        ValueError: Wrong shapes, no clip, or a length that exceeds the samples.

    Example:
        >>> check_batch(torch.zeros(2, 800), torch.tensor([500, 700]))
        700
    """
    if samples.ndim != 2 or not len(samples) or lengths.shape != samples.shape[:1]:
        shapes = f"{tuple(samples.shape)} and {tuple(lengths.shape)}"
        raise ValueError(f"samples must be (batch, samples) and lengths (batch,), of one clip or more, not {shapes}")
    longest = int(lengths.max())
    if longest > samples.shape[1]:
        raise ValueError(f"a length of {longest} is beyond the {samples.shape[1]} samples given")
    return longest


def cut_frames(samples: Tensor, lengths: Tensor, window: int, hop: int) -> tuple[Tensor, Tensor]:
    """Cuts clips into overlapping frames; padding becomes silence.

    Args:
        samples: ``(batch, samples)`` padded with anything.
        lengths: ``(batch,)`` samples of each clip.
        window: Samples in a frame.
        hop: Samples from one frame to the next.

    Returns:
        ``(batch, frames, window)`` float32, a view where possible, and the frame counts ``(batch,)``.

    Raises:
        ValueError: As ``check_batch``.

    Example:
        >>> frames, counts = cut_frames(torch.ones(2, 800), torch.tensor([800, 100]), window=400, hop=160)
        >>> frames.shape, counts.tolist(), float(frames[1].sum())
        (torch.Size([2, 3, 400]), [3, 1], 100.0)
    """
    longest = check_batch(samples, lengths)
    lengths = lengths.to(samples.device)
    counts = frame_counts(lengths, window, hop)
    silent = samples[:, :longest].float().masked_fill(~padding_mask(lengths, longest), 0.0)
    filled = nn.functional.pad(silent, (0, max(window - longest, 0)))
    return filled.unfold(1, window, hop), counts


def hold_last(features: Tensor, counts: Tensor) -> Tensor:
    """Repeats each item's last frame to the end of the batch.

    Args:
        features: ``(batch, frames, features)``.
        counts: ``(batch,)`` frames of each item, at least 1.

    Returns:
        ``(batch, frames, features)``.

    Example:
        >>> hold_last(torch.tensor([[[1.0], [2.0], [9.0]]]), torch.tensor([2])).flatten().tolist()
        [1.0, 2.0, 2.0]
    """
    steps = torch.arange(features.shape[1], device=features.device)
    index = torch.minimum(steps, counts.unsqueeze(1) - 1)
    return features.gather(1, index.unsqueeze(2).expand(-1, -1, features.shape[2]))
