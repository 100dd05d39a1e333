"""BERT's network in plain torch, with the tensor names of the published weights.

It computes what ``transformers.BertModel`` computes (a test compares the two) without the import of that library, which
takes three seconds on two cores, longer than all the rest of loading a model.

Source: Devlin et al. 2019 (arXiv 1810.04805), section 3; Vaswani et al. 2017 (arXiv 1706.03762), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

INITIAL_DEVIATION = 0.02
"""Standard deviation of random weights, as published (``initializer_range``)."""


@dataclass(frozen=True)
class BertShape:
    """The shape of the network, under the names of ``transformers.BertConfig``.

    Attributes:
        vocab_size: Number of tokens.
        hidden_size: Features per token.
        num_hidden_layers: Number of layers.
        num_attention_heads: Attention heads per layer, which divide the features.
        intermediate_size: Features inside the feed-forward part of a layer.
        max_position_embeddings: Largest number of tokens read at once.
        type_vocab_size: Kinds of sentences; only the first is used.
        layer_norm_eps: Added to the variance.
        hidden_act: Only ``gelu``.

    Raises:
        ValueError: The heads do not divide the features, or the activation is another one.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} heads do not divide {self.hidden_size} features")
        if self.hidden_act != "gelu":
            raise ValueError(f"hidden_act must be gelu, got {self.hidden_act!r}")


class Bert(nn.Module):
    """A state per token, each computed from all tokens.

    Args:
        shape: See ``BertShape``.
        dropout: Share of states and of attention dropped in training.

    Example:
        >>> network = Bert(BertShape(50, 16, 1, 2, 32, 24)).eval()
        >>> network(torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.bool)).shape
        torch.Size([2, 9, 16])
    """

    def __init__(self, shape: BertShape, dropout: float = 0.1) -> None:
        super().__init__()
        self.embeddings = _Embeddings(shape, dropout)
        layers = nn.ModuleList(_Layer(shape, dropout) for _ in range(shape.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.layers = tuple(layers)
        self.apply(_start)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Reads token numbers ``(batch, tokens)`` where ``mask``, bool of that shape, is true.

        Args:
            ids: ``(batch, tokens)`` int64.
            mask: ``(batch, tokens)`` bool, false in the padding.

        Returns:
            ``(batch, tokens, features)``; values where ``mask`` is false are undefined.
        """
        states: Tensor = self.embeddings(ids)
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :])
        return states


class _Embeddings(nn.Module):
    """Sum of token, position and type embeddings."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocab_size, shape.hidden_size, padding_idx=0)
        self.position_embeddings = nn.Embedding(shape.max_position_embeddings, shape.hidden_size)
        self.token_type_embeddings = nn.Embedding(shape.type_vocab_size, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]]
        states: Tensor = self.dropout(
            self.LayerNorm(self.word_embeddings(ids) + self.token_type_embeddings.weight[0] + places)
        )
        return states


class _Projected(nn.Module):
    """A linear map with a residual connection and normalization."""

    def __init__(self, inputs: int, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, before: Tensor) -> Tensor:
        after: Tensor = self.LayerNorm(self.dropout(self.dense(values)) + before)
        return after


class _SelfAttention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropped = shape.num_attention_heads, dropout
        self.query = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.key = nn.Linear(shape.hidden_size, shape.hidden_size)
        self.value = nn.Linear(shape.hidden_size, shape.hidden_size)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            part(states).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        dropped = self.dropped if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropped)
        return mixed.transpose(1, 2).flatten(2)


class _Layer(nn.Module):
    """Self-attention, then a feed-forward network per token."""

    def __init__(self, shape: BertShape, dropout: float) -> None:
        super().__init__()
        inner = shape.intermediate_size
        attention = {"self": _SelfAttention(shape, dropout), "output": _Projected(shape.hidden_size, shape, dropout)}
        self.attention = nn.ModuleDict(attention)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.hidden_size, inner)})
        self.output = _Projected(inner, shape, dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = self.attention["output"](self.attention["self"](states, mask), states)
        wide = functional.gelu(self.intermediate["dense"](states))
        after: Tensor = self.output(wide, states)
        return after


def _start(part: nn.Module) -> None:
    """Initializes weights as BERT does."""
    if isinstance(part, (nn.Linear, nn.Embedding)):
        nn.init.normal_(part.weight, std=INITIAL_DEVIATION)
    if isinstance(part, nn.Linear):
        nn.init.zeros_(part.bias)
    if isinstance(part, nn.Embedding) and part.padding_idx is not None:
        with torch.no_grad():
            part.weight[part.padding_idx].zero_()
