"""The dual recurrent head with a second GRU over the utterances before.

An utterance t is described by ``d_t``: its vectors of voice and face, the mean of its token states, and the
log-probabilities of the single signals where the head reads them. The second GRU runs over a video in the order of
speaking:

    c_t = GRU_context(tanh(D d_t), c_{t-1})

The head reads ``c_{t-1}`` as the vector of the whole utterance, ``p`` in ``multimodal.fusion.dual_recurrent``: what
came before, and nothing that comes later. The first utterance of a video has a learned vector in its place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal.encoders.framing import padding_mask
from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionOutput, FusionShape, RecurrentEncoder


class ContextualFusion(nn.Module):
    """A fusion head over whole videos, with or without the utterances before.

    Args:
        shape: Shape of the head. ``summary_size`` is the number of states of the second GRU; 0 for no second GRU.

    Example:
        >>> from multimodal.fusion.alignment import FusionInputs, collate
        >>> import numpy as np
        >>> network = ContextualFusion(FusionShape(2, 0, 0, text_size=4, summary_size=3)).eval()
        >>> said = [FusionInputs(np.zeros(0), text=np.ones((3, 4))) for _ in range(5)]
        >>> batch = collate(said, network.head.shape.sizes, labels=2)
        >>> network(batch, torch.tensor([2, 3])).logits.shape
        torch.Size([5, 2])
    """

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.head = DualRecurrentFusion(shape)
        size = shape.summary_size
        if size:
            described = sum(shape.sizes.values()) + (3 * shape.labels if shape.log_probabilities else 0)
            self.description = nn.Sequential(
                nn.Dropout(shape.dropout), nn.Linear(described, size), nn.Tanh(), nn.Dropout(shape.dropout)
            )
            self.context = RecurrentEncoder(size, size, bidirectional=False)

    def forward(self, batch: FusionBatch, lengths: Tensor) -> FusionOutput:
        """Reads whole videos.

        Args:
            batch: The utterances of the videos, one video after the other, each in the order of speaking.
            lengths: ``(videos,)`` int64 numbers of utterances, in that order.

        Returns:
            The head's output for each utterance.
        """
        summary = self._before(batch, lengths) if self.head.shape.summary_size else None
        output: FusionOutput = self.head(batch, summary)
        return output

    def _before(self, batch: FusionBatch, lengths: Tensor) -> Tensor:
        """``(utterances, states)``: the second GRU's state before each utterance."""
        descriptions = self.description(self._describe(batch))
        mask = padding_mask(lengths, int(lengths.max()))
        grid = descriptions.new_zeros(*mask.shape, descriptions.shape[1])
        grid[mask] = descriptions
        states = self.context(grid, lengths)[0]
        first = self.context.absent.expand(len(lengths), 1, -1)
        return torch.cat([first, states[:, :-1]], dim=1)[mask]

    def _describe(self, batch: FusionBatch) -> Tensor:
        """``(utterances, features)``: each modality's mean, 0 where absent, and the log-probabilities."""
        parts: list[Tensor] = []
        shape = self.head.shape
        for states, counts, size in (
            (batch.face, batch.steps, shape.face_size),
            (batch.audio, batch.steps, shape.audio_size),
            (batch.text, batch.tokens, shape.text_size),
        ):
            if size:
                parts.append(states.sum(1) / counts[:, None].clamp(min=1))
        if shape.log_probabilities:
            parts.append(batch.log_probabilities.flatten(1))
        return torch.cat(parts, dim=1)
