"""Networks over whole turns of a dialogue: those of Yoon et al. 2018, and ours that learns from the voice's frames.

All are a ``DualRecurrentFusion`` with something trainable before it:

- for the paper's networks, an embedding per word piece. They start from the text encoder's own table: the paper starts
  from GloVe, which is not at hand here, and which would bring other word boundaries;
- for ours, two strided convolutions that bring MFCC frames, 100 a second, to the 12.5 steps of ``streams``, where the
  face of the same instant stands beside them.

Source: Yoon, Byun and Jung 2018 (arXiv 1810.04635).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionOutput, FusionShape

LARGEST = 5.0
"""Standardized features beyond this are taken for this."""

STRIDES = (4, 2)
"""Of the convolutions: eight frames of 10 ms to a step of 80 ms."""


class TurnBatch(NamedTuple):
    """Turns side by side.

    Attributes:
        streams: Steps, faces, token states and what is there; its ``voice`` has no features, the frames stand here.
        frames: ``(batch, frames, features)`` float32 MFCCs as measured, 0 after the end.
        frame_counts: ``(batch,)`` int64; 0 where no voice is there.
        summary: ``(batch, features)`` float32 of the whole turn, as measured.
        ids: ``(batch, tokens)`` int64 word pieces, as many columns as ``streams.text``; 0 after the end.
    """

    streams: FusionBatch
    frames: Tensor
    frame_counts: Tensor
    summary: Tensor
    ids: Tensor

    def to(self, device: torch.device | str) -> TurnBatch:
        """The same on another device."""
        return TurnBatch(self.streams.to(device), *(tensor.to(device) for tensor in self[1:]))


def within(counts: Tensor, size: int) -> Tensor:
    """``(batch, size)`` bool: true up to each count.

    Example:
        >>> within(torch.tensor([1, 0]), 2).tolist()
        [[True, False], [False, False]]
    """
    return torch.arange(size, device=counts.device)[None] < counts[:, None]


def steps_of(frames: int) -> int:
    """How many steps the convolutions make of some frames.

    Example:
        >>> [steps_of(frames) for frames in (0, 1, 8, 9, 750)]
        [0, 1, 1, 2, 94]
    """
    for stride in STRIDES:
        frames = -(-frames // stride)
    return frames


class FrameConvolutions(nn.Module):
    """Two strided convolutions over frames; what lies after an utterance's end never changes its states.

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
        """Maps ``(batch, frames, features)`` to ``(batch, steps, channels)``, 0 after the end."""
        if not frames.shape[1]:
            return frames.new_zeros(len(frames), 0, self.channels)
        states = frames * within(counts, frames.shape[1])[:, :, None]
        for convolution, norm, stride in zip(self.convolutions, self.norms, STRIDES, strict=True):
            counts = (counts + stride - 1) // stride
            states = functional.gelu(norm(convolution(states.transpose(1, 2)).transpose(1, 2)))
            states = states * within(counts, states.shape[1])[:, :, None]
        return states


class TurnNetwork(nn.Module):
    """A head over turns, with what is trained before it.

    Args:
        shape: Of the head. ``audio_size`` is ``frame_size`` where frames are read as they are, else the channels of
            the convolutions; ``summary_size`` may be less than ``summary``: then the last of these are read.
        frame_size: Features per frame.
        summary: Features of a turn's summary.
        convolved: Whether frames go through the convolutions.
        vocabulary: ``(word pieces, text_size)`` to start trainable embeddings from; None to read token states.

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
        """Takes over mean and deviation of the training turns' ``(n, features)`` frames and summaries."""
        for name, values in (("frame", frames), ("summary", summaries)):
            if len(values):
                deviation, mean = torch.std_mean(values.float(), dim=0, correction=0)
                getattr(self, f"{name}_mean").copy_(mean)
                getattr(self, f"{name}_deviation").copy_(deviation.clamp(min=1e-3))

    def forward(self, batch: TurnBatch) -> FusionOutput:
        """Reads a batch."""
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
        heard = batch.streams.present[:, 1, None]
        return torch.where(heard, scaled[:, -self.head.shape.summary_size :], self.head.summary_absent)


def concordance(estimates: Tensor, truth: Tensor) -> Tensor:
    """How far two series agree in value, not only in direction.

    ``2 cov(x, y) / (var(x) + var(y) + (mean(x) - mean(y))²)`` with variances divided by n.

    Args:
        estimates: ``(n, dimensions)``.
        truth: Likewise.

    Returns:
        ``(dimensions,)``, -1 … 1; 0 where either does not vary.

    Example:
        >>> x, y = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[2.0], [3.0], [4.0], [5.0]])
        >>> round(concordance(x, y).item(), 3)
        0.714

    Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 255-268.
    """
    first, second = estimates - estimates.mean(0), truth - truth.mean(0)
    apart = (estimates.mean(0) - truth.mean(0)).square()
    spread = first.square().mean(0) + second.square().mean(0) + apart
    return 2 * (first * second).mean(0) / spread.clamp(min=1e-8)
