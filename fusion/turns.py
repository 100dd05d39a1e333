"""Networks over whole turns of a dialogue: the networks of Yoon et al. 2018, and ours on audio frames.

Each is a ``DualRecurrentFusion`` with trainable layers before it:

- for the paper's networks, an embedding per word piece, started from the text encoder's table. The paper starts from
  GloVe, which is not available here and has other word boundaries;
- for ours, two strided convolutions from MFCC frames, 100 a second, to the 12.5 steps of ``alignment``, where they join
  the face of the same time.

Source: Yoon, Byun and Jung 2018 (arXiv 1810.04635).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal.encoders.framing import padding_mask
from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionOutput, FusionShape

LARGEST = 5.0
"""Standardized features are clipped to this magnitude."""

STRIDES = (4, 2)
"""Strides of the convolutions: eight frames of 10 ms to a step of 80 ms."""


class TurnBatch(NamedTuple):
    """A padded batch of turns.

    Attributes:
        streams: Steps, faces, token states and masks; its ``audio`` has no features, ``frames`` holds them.
        frames: ``(batch, frames, features)`` float32 MFCCs as measured, 0 after the end.
        frame_counts: ``(batch,)`` int64; 0 without audio.
        summary: ``(batch, features)`` float32 of the whole turn, as measured.
        ids: ``(batch, tokens)`` int64 word pieces, as many columns as ``streams.text``; 0 after the end.
    """

    streams: FusionBatch
    frames: Tensor
    frame_counts: Tensor
    summary: Tensor
    ids: Tensor

    def to(self, device: torch.device | str) -> TurnBatch:
        """The same on another device.

        Args:
            device: The device.

        Returns:
            The moved batch.
        """
        return TurnBatch(self.streams.to(device), *(tensor.to(device) for tensor in self[1:]))


def steps_of(frames: int) -> int:
    """Number of steps that the convolutions make of some frames.

    Args:
        frames: Number of frames.

    Example:
        >>> [steps_of(frames) for frames in (0, 1, 8, 9, 750)]
        [0, 1, 1, 2, 94]
    """
    for stride in STRIDES:
        frames = -(-frames // stride)
    return frames


class FrameConvolutions(nn.Module):
    """Two strided convolutions over frames; padding never changes a state.

    Args:
        frame_size: Features per frame.
        channels: Features per step.

    Example:
        >>> FrameConvolutions(39, 16)(torch.zeros(2, 20, 39), torch.tensor([20, 3])).shape
        torch.Size([2, 3, 16])
    """

    def __init__(self, frame_size: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        sizes = (frame_size, *[channels] * len(STRIDES))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, outputs, 5, stride=stride, padding=2)
            for inputs, outputs, stride in zip(sizes, sizes[1:], STRIDES, strict=False)
        )
        # Over features, not over the batch: padding and neighbors must not matter.
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in STRIDES)

    def forward(self, frames: Tensor, counts: Tensor) -> Tensor:
        """Maps ``(batch, frames, features)`` to ``(batch, steps, channels)``, 0 after the end.

        Args:
            frames: ``(batch, frames, features)``.
            counts: ``(batch,)`` frames of each turn.

        Returns:
            ``(batch, steps, channels)``.
        """
        if not frames.shape[1]:
            return frames.new_zeros(len(frames), 0, self.channels)
        states = frames * padding_mask(counts, frames.shape[1])[:, :, None]
        for convolution, norm, stride in zip(self.convolutions, self.norms, STRIDES, strict=True):
            counts = (counts + stride - 1) // stride
            states = functional.gelu(norm(convolution(states.transpose(1, 2)).transpose(1, 2)))
            states = states * padding_mask(counts, states.shape[1])[:, :, None]
        return states


class TurnNetwork(nn.Module):
    """A fusion head over turns, with trainable layers before it.

    Args:
        shape: Shape of the head. ``audio_size`` is ``frame_size`` where frames are read unchanged, else the channels of
            the convolutions; ``summary_size`` may be less than ``summary``: then its last features are read.
        frame_size: Features per frame.
        summary: Features of a turn's summary.
        convolved: Whether frames pass the convolutions.
        vocabulary: ``(word pieces, text_size)`` initial values of trainable embeddings; None to read token states.

    Example:
        >>> shape = FusionShape(4, 39, 0, 8, log_probabilities=False)
        >>> network = TurnNetwork(shape, 39, 30, vocabulary=torch.zeros(50, 8))
        >>> network.words.weight.shape
        torch.Size([50, 8])
    """

    def __init__(
        self,
        shape: FusionShape,
        frame_size: int,
        summary: int,
        *,
        convolved: bool = False,
        vocabulary: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.head = DualRecurrentFusion(shape)
        self.convolutions = FrameConvolutions(frame_size, shape.audio_size) if convolved else None
        self.words = None if vocabulary is None else nn.Embedding.from_pretrained(vocabulary.clone(), freeze=False)
        self.frame_mean: Tensor
        self.frame_deviation: Tensor
        self.summary_mean: Tensor
        self.summary_deviation: Tensor
        for name, size in (("frame", frame_size), ("summary", summary)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_deviation", torch.ones(size))

    @torch.no_grad()
    def learn_scale(self, frames: Tensor, summaries: Tensor) -> None:
        """Stores mean and deviation of the training turns' ``(n, features)`` frames and summaries.

        Args:
            frames: ``(n, features)``.
            summaries: ``(turns, features)``.
        """
        for name, values in (("frame", frames), ("summary", summaries)):
            if len(values):
                deviation, mean = torch.std_mean(values.float(), dim=0, correction=0)
                getattr(self, f"{name}_mean").copy_(mean)
                getattr(self, f"{name}_deviation").copy_(deviation.clamp(min=1e-3))

    def forward(self, batch: TurnBatch) -> FusionOutput:
        """Reads a batch.

        Args:
            batch: The turns.

        Returns:
            Logits and affect.
        """
        streams, shape = batch.streams, self.head.shape
        if shape.audio_size:
            streams = streams._replace(audio=self._voice(batch))
        if self.words is not None:
            streams = streams._replace(text=self.words(batch.ids))
        return self.head(streams, self._summary(batch) if shape.summary_size else None)  # type: ignore[no-any-return]

    def _voice(self, batch: TurnBatch) -> Tensor:
        """``(batch, steps, audio_size)``, as many steps as the face has."""
        scaled = ((batch.frames - self.frame_mean) / self.frame_deviation).clamp(-LARGEST, LARGEST)
        voice = scaled if self.convolutions is None else self.convolutions(scaled, batch.frame_counts)
        steps = batch.streams.audio.shape[1]
        return functional.pad(voice, (0, 0, 0, max(steps - voice.shape[1], 0)))[:, :steps]

    def _summary(self, batch: TurnBatch) -> Tensor:
        scaled = ((batch.summary - self.summary_mean) / self.summary_deviation).clamp(-LARGEST, LARGEST)
        present = batch.streams.present[:, 1, None]
        return torch.where(present, scaled[:, -self.head.shape.summary_size :], self.head.summary_absent)
