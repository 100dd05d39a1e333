"""What neighboring turns say about a turn: a correction of its estimate from the embeddings of turns around it.

"Again." or "There it is." can be understood only from the turns before and after. ``ContextHead`` attends over the
turns around one turn and returns what to add to the logarithms of its probabilities. Its last layer starts at zero, and
a turn without neighbors is never corrected, so an estimate without context stays what it is.

Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2; Poria et al. 2017 (context of utterances,
https://aclanthology.org/P17-1081).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAME, OTHER, UNKNOWN = 0, 1, 2
"""Whether a neighbor has the speaker of the turn."""

SCALE = 4.0
"""Largest correction of a logarithm, so that neighbors cannot silence a clear turn."""


class ContextHead(nn.Module):
    """Attention from a turn to its neighbors, then a correction per label.

    Args:
        embedding_size: Features of the pooled embedding of a turn.
        outputs: Number of labels whose logarithms are corrected.
        before: Number of turns before the turn.
        after: Number of turns after it.
        hidden: Features inside the head.
        dropout: Share of the inputs and of the features dropped in training.

    Example:
        >>> head = ContextHead(16, 15)
        >>> correction = head(torch.ones(2, 5, 16), torch.zeros(2, 5, 15), torch.zeros(2, 5, dtype=torch.long),
        ...                   torch.ones(2, 5, dtype=torch.bool))
        >>> correction.shape, float(correction.detach().abs().max())
        (torch.Size([2, 15]), 0.0)
    """

    def __init__(
        self, embedding_size: int, outputs: int, before: int = 2, after: int = 2, hidden: int = 64, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.dropout = nn.Dropout(dropout)
        self.turn = nn.Linear(embedding_size, hidden)
        self.estimate = nn.Linear(outputs, hidden)
        self.place = nn.Embedding(before + 1 + after, hidden)
        self.speaker = nn.Embedding(3, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.mix = nn.Linear(2 * hidden, hidden)
        self.correct = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    @property
    def width(self) -> int:
        """Turns that are read together."""
        return self.before + 1 + self.after

    def forward(self, embeddings: Tensor, estimates: Tensor, speakers: Tensor, mask: Tensor) -> Tensor:
        """Corrects the turn in the middle.

        Args:
            embeddings: ``(batch, turns, features)`` float32, ``before + 1 + after`` turns.
            estimates: ``(batch, turns, outputs)`` float32 logarithms of the probabilities of each turn alone.
            speakers: ``(batch, turns)`` int64: ``SAME``, ``OTHER`` or ``UNKNOWN``.
            mask: ``(batch, turns)`` bool, false where there is no turn; true for the middle.

        Returns:
            ``(batch, outputs)`` to add to the logarithms, each within ± ``SCALE``; zeros without neighbors.
        """
        places = self.place(torch.arange(self.width, device=embeddings.device)) + self.speaker(speakers)
        inputs = self.turn(self.dropout(embeddings)) + self.estimate(estimates.clamp(min=-6.0))
        states = self.norm(self.dropout(nn.functional.gelu(inputs + places)))
        middle = states[:, self.before]
        neighbors = mask.clone()
        neighbors[:, self.before] = False
        scores = (self.key(states) @ self.query(middle).unsqueeze(-1)).squeeze(-1) / states.shape[-1] ** 0.5
        # The turn itself takes part only where it has no neighbor, so that a row of attention always has a sum.
        alone = ~neighbors.any(dim=1)
        open_places = neighbors.clone()
        open_places[:, self.before] = alone
        weights = scores.masked_fill(~open_places, -torch.inf).softmax(dim=1)
        around = (weights.unsqueeze(-1) * self.value(states)).sum(dim=1)
        mixed = self.dropout(nn.functional.gelu(self.mix(torch.cat([middle, around], dim=1))))
        correction: Tensor = SCALE * torch.tanh(self.correct(mixed) / SCALE)
        return correction.masked_fill(alone.unsqueeze(1), 0.0)
