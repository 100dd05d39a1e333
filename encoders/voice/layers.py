"""Layers of the audio networks: recurrence over padded batches, attention pooling, and the branch of speech states.

Source: Mirsamadi et al. 2017 (attention pooling, ICASSP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from multimodal.encoders.framing import padding_mask
from multimodal.encoders.voice.whisper_states import STATE_SIZE


class Mix(NamedTuple):
    """How utterances of a batch are mixed in training: ``share`` of each, ``(batch, 1)``, the rest of its partner."""

    share: Tensor
    partner: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Mixes the rows of ``(batch, features)`` (Zhang et al. 2018, mixup; Verma et al. 2019, of hidden states).

        Args:
            values: ``(batch, features)``.

        Returns:
            ``(batch, features)``.
        """
        return self.share * values + (1 - self.share) * values[self.partner]


def run_recurrent(layer: nn.GRU, states: Tensor, lengths: Tensor) -> Tensor:
    """Runs a GRU unaffected by padding.

    Args:
        layer: Reads the batch first.
        states: ``(batch, steps, features)``.
        lengths: ``(batch,)`` steps of each item.

    Returns:
        ``(batch, steps, hidden)``; 0 after each end.
    """
    if not layer.bidirectional:
        # Padding comes after an end and cannot reach the states before it; on a CPU the gradient of packed steps takes
        # time quadratic in their number.
        outputs: Tensor = layer(states)[0]
        return outputs * padding_mask(lengths, states.shape[1])[:, :, None]
    packed = pack_padded_sequence(states, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=states.shape[1])[0]


class AttentionPool(nn.Module):
    """Weighted mean and deviation over time with learned weights (Mirsamadi et al. 2017)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Maps ``(batch, steps, size)`` to ``(batch, 2 × size)``.

        Args:
            states: ``(batch, steps, size)``.
            mask: ``(batch, steps)`` bool, false in the padding.

        Returns:
            ``(batch, 2 × size)``.
        """
        scores = self.score(torch.tanh(states)).squeeze(-1).masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1).unsqueeze(-1)
        mean = (weights * states).sum(1)
        variance = (weights * (states - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


def make_head(inputs: int, hidden: Sequence[int], labels: int, dropout: float) -> nn.Sequential:
    """A small network that classifies vectors.

    Args:
        inputs: Features.
        hidden: Size of each hidden layer; none for a linear classifier.
        labels: Number of labels.
        dropout: Share dropped after each hidden layer.

    Returns:
        The network.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, labels))


def averaged(members: Tensor) -> Tensor:
    """The log of the averaged probabilities, so that softmax of it is their average.

    Args:
        members: ``(members, batch, labels)`` logits.

    Returns:
        ``(batch, labels)``.

    Example:
        >>> averaged(torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]])).exp().tolist()
        [[0.5, 0.5]]
    """
    return torch.log_softmax(members, dim=-1).logsumexp(dim=0) - math.log(len(members))


@torch.no_grad()
def mean_and_deviation(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean and deviation over the steps of each utterance.

    Args:
        states: ``(batch, steps, features)``, 0 after the end of an utterance.
        lengths: ``(batch,)`` steps of each utterance.

    Returns:
        ``(batch, 2 × features)``.

    Example:
        >>> mean_and_deviation(torch.tensor([[[1.0], [3.0], [0.0]]]), torch.tensor([2])).round().tolist()
        [[2.0, 1.0]]
    """
    count = lengths[:, None].to(states.dtype)
    mean = states.sum(1) / count
    square = torch.einsum("bsf,bsf->bf", states, states) / count
    return torch.cat([mean, ((square - mean.square()).clamp(min=0) + 1e-5).sqrt()], dim=1)


class SpeechBranch(nn.Module):
    """A small network over the states of a speech encoder.

    Three heads are averaged, which make different errors: a linear one and one with a hidden layer over the mean and
    the deviation of the states over the utterance, and one over a recurrent network's attention-pooled states. The
    linear one is best for speakers of known corpora, the others for other corpora.

    Args:
        labels: Number of emotions.
        state_size: Features per step.
        projected: Features per step of the recurrent network's input.
        hidden: States of the GRU in each direction.
        dropout: Share dropped in training.
    """

    def __init__(
        self, labels: int, state_size: int = 2 * STATE_SIZE, projected: int = 64, hidden: int = 48, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * state_size)
        self.projection = nn.Linear(state_size, projected)
        self.recurrent = nn.GRU(projected, hidden, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(
            [
                make_head(2 * state_size, (), labels, dropout),
                make_head(2 * state_size, (128,), labels, dropout),
                make_head(4 * hidden, (64,), labels, dropout),
            ]
        )

    def forward(self, states: Tensor, lengths: Tensor, mix: Mix | None = None) -> Tensor:
        """Reads standardized states.

        Args:
            states: ``(batch, steps, state_size)``, 0 after the end of an utterance.
            lengths: ``(batch,)`` steps of each utterance.
            mix: Mixes the batch in training; None otherwise.

        Returns:
            ``(members, batch, labels)`` logits of each head.
        """
        mask = padding_mask(lengths, states.shape[1])
        pooled = self.norm(mean_and_deviation(states, lengths))
        # Whole features are dropped, at all steps of the batch alike.
        weight = self.projection.weight * self.dropout(torch.ones_like(self.projection.weight[:1]))
        steps = functional.relu(functional.linear(states, weight, self.projection.bias)) * mask[:, :, None]
        recurrent = self.pool(run_recurrent(self.recurrent, steps, lengths), mask)
        if mix is not None:
            pooled, recurrent = mix.of(pooled), mix.of(recurrent)
        parts = (self.dropout(pooled), self.dropout(pooled), self.dropout(recurrent))
        return torch.stack([head(part).float() for head, part in zip(self.heads, parts, strict=True)])
