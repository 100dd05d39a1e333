"""The text encoder: a transformer from words to emotions, an embedding and a state per token.

``TextEncoder`` is a transformer with heads on the mean of the token states: which of the seven shared emotions fits
best, which of them are present, which of the corpus's own labels hold, and, where it was trained for these, which
usability label fits best; one more head corrects a turn by its neighbors (``encoders.context``). The transformer is
BERT's network (the shipped weights started as all-MiniLM-L6-v2) or any type that ``transformers`` knows. Inference and
evaluation call ``read_texts``: any number of texts of any length.

Source: Devlin et al. 2019 (arXiv 1810.04805), Wang et al. 2020 (MiniLM, arXiv 2002.10957), Reimers and Gurevych 2019
(mean pooling, arXiv 1908.10084).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from multimodal.encoders.bert import Bert, BertShape
from multimodal.encoders.context import ContextHead
from multimodal.encoders.framing import padding_mask
from multimodal.encoders.tokenization import encode, token_marks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MINILM_L6: Mapping[str, Any] = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}
"""The shape of all-MiniLM-L6-v2, under the names of ``transformers.BertConfig``."""

SIZES = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
"""What a shape must state; the library's own defaults would make a network of another size."""

OVERLAP = 0.25
"""Share of a window that the next one repeats, so that every word is read with its context."""


class TextOutput(NamedTuple):
    """What a text network returns.

    Attributes:
        logits: ``(batch, native labels)`` float32; a sigmoid each gives scores.
        group_logits: ``(batch, labels)`` float32; softmax gives probabilities of the one that fits best.
        presence_logits: ``(batch, labels)`` float32; a sigmoid each gives scores of being present, beside others.
        embedding: ``(batch, features)`` float32: the mean of the states.
        states: ``(batch, tokens, features)`` float32.
        mask: ``(batch, tokens)`` bool: false for padding.
        usability_logits: ``(batch, usability labels)`` float32; softmax gives probabilities. None without that head.
    """

    logits: Tensor
    group_logits: Tensor
    presence_logits: Tensor
    embedding: Tensor
    states: Tensor
    mask: Tensor
    usability_logits: Tensor | None = None


class TextEncoder(nn.Module):
    """A transformer with linear heads on the mean of its token states.

    Args:
        labels: Number of emotions that all modalities share.
        native_labels: Number of labels of the training corpus.
        shape: Keys of ``transformers.BertConfig``: ``vocab_size``, ``max_position_embeddings``, sizes. With the key
            ``model_type``: the ``config.json`` of any type of transformer, see ``Backbone``.
        dropout: Share of states dropped in training, in BERT's layers and before the heads. Other types drop in their
            layers what their own configuration says.
        usability_labels: Number of usability labels; 0 for a network without them.
        context: Sizes of the context head, under the names of ``ContextHead``; None for a network without it.

    Raises:
        ValueError: The shape lacks a size, or describes no network.

    Example:
        >>> shape = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        ...          "intermediate_size": 32, "max_position_embeddings": 24}
        >>> network = TextEncoder(7, 28, shape).eval()
        >>> output = network(torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.bool))
        >>> output.logits.shape, output.group_logits.shape, output.states.shape
        (torch.Size([2, 28]), torch.Size([2, 7]), torch.Size([2, 9, 16]))
    """

    def __init__(
        self,
        labels: int,
        native_labels: int,
        shape: Mapping[str, Any],
        dropout: float = 0.1,
        usability_labels: int = 0,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.shape = dict(shape)
        self.transformer, self.embedding_size = _transformer(shape, dropout)
        self.dropout = nn.Dropout(dropout)
        self.native_head = nn.Linear(self.embedding_size, native_labels)
        self.group_head = nn.Linear(self.embedding_size, labels)
        self.presence_head = nn.Linear(self.embedding_size, labels)
        self.usability_head = nn.Linear(self.embedding_size, usability_labels) if usability_labels else None
        self.context = (
            None if context is None else ContextHead(self.embedding_size, labels + usability_labels, **context)
        )

    def forward(self, ids: Tensor, mask: Tensor) -> TextOutput:
        """Reads token numbers ``(batch, tokens)`` int64 where ``mask``, bool of that shape, is true.

        Args:
            ids: ``(batch, tokens)`` int64.
            mask: ``(batch, tokens)`` bool, false in the padding.

        Returns:
            Logits, states and embedding.
        """
        states = self.transformer(ids, mask).float()
        weights = mask.unsqueeze(-1).float()
        embedding = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        inputs = self.dropout(embedding)
        native, group, presence = (
            head(inputs).float() for head in (self.native_head, self.group_head, self.presence_head)
        )
        usability = None if self.usability_head is None else self.usability_head(inputs).float()
        return TextOutput(native, group, presence, embedding, states, mask, usability)


def _transformer(shape: Mapping[str, Any], dropout: float) -> tuple[nn.Module, int]:
    """The network over tokens, with random weights, and the features of its states."""
    if "model_type" in shape:
        # Imported here: the shipped weights must not wait for transformers.
        from multimodal.encoders.backbone import Backbone

        backbone = Backbone(shape)
        return backbone, backbone.hidden_size
    missing = [key for key in SIZES if key not in shape]
    if missing:
        raise ValueError(f"the shape lacks {missing[0]}")
    config = BertShape(**shape)
    return Bert(config, dropout), config.hidden_size


@dataclass(frozen=True)
class TextPrediction:
    """What the network estimates from one text.

    Attributes:
        probabilities: ``(labels,)`` float64, calibrated, summing to 1: the one emotion that fits best.
        scores: ``(labels,)`` float64, each 0 … 1: whether an emotion is present; several may be.
        native_scores: ``(native labels,)`` float64, each 0 … 1: the same for the training corpus's own labels.
        states: ``(tokens, features)`` float32: a state per token, in order, without the marks of start and end.
        embedding: ``(features,)`` float32.
        usability: ``(usability labels,)`` float64, calibrated, summing to 1; None for a network without them.
    """

    probabilities: NDArray[np.float64]
    scores: NDArray[np.float64]
    native_scores: NDArray[np.float64]
    states: NDArray[np.float32]
    embedding: NDArray[np.float32]
    usability: NDArray[np.float64] | None = None


class _Window(NamedTuple):
    """Tokens of one text in one pass of the network, and the part of them that the window contributes."""

    text: int
    ids: list[int]
    first: int
    last: int


def windows(ids: Sequence[int], size: int) -> Iterator[tuple[int, int, int, int]]:
    """Cuts a long sequence into overlapping windows; each element belongs to exactly one of them.

    Args:
        ids: The sequence; only its length matters.
        size: The most elements of a window, at least 2.

    Yields:
        ``start, end, first, last``: the window, and the part that it contributes.

    Example:
        >>> list(windows(range(10), 6))
        [(0, 6, 0, 5), (4, 10, 5, 10)]
    """
    step = max(size - max(int(size * OVERLAP), 1), 1)
    starts = [0]
    while starts[-1] + size < len(ids):
        # The last window reaches back, so that it is as long as the others.
        starts.append(min(starts[-1] + step, len(ids) - size))
    ends = [min(start + size, len(ids)) for start in starts]
    borders = [0, *((end + start) // 2 for end, start in zip(ends, starts[1:], strict=False)), len(ids)]
    yield from zip(starts, ends, borders, borders[1:], strict=False)


@torch.inference_mode()
def read_texts(
    network: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    temperature: float = 1.0,
    usability_temperature: float = 1.0,
    window_tokens: int = 128,
    batch_size: int = 32,
) -> list[TextPrediction | None]:
    """Estimates emotions from texts of any length.

    A text longer than a window is read in overlapping windows; its estimate is the mean of theirs, weighted by the
    tokens that each contributes. Texts are batched with others of their length, which changes no result.

    Args:
        network: A ``TextEncoder`` in evaluation mode.
        tokenizer: The one that the network was trained with.
        texts: Any texts; those without a word (empty, dots, a script that the tokenizer does not know) give None.
        temperature: Divides the logits of the probabilities; fitted on held-out texts.
        usability_temperature: The same for the usability labels.
        window_tokens: Tokens of a window, with the marks of start and end.
        batch_size: Windows read at once.

    Returns:
        A prediction per text, in order; None for a text without words.
    """
    marks = token_marks(tokenizer)
    pieces: list[_Window] = []
    for number, ids in enumerate(encode(tokenizer, texts)):
        for lower, upper, first, last in windows(ids, marks.room(window_tokens)) if ids else ():
            offset = len(marks.start) - lower
            pieces.append(_Window(number, marks.around(ids[lower:upper]), first + offset, last + offset))
    order = sorted(range(len(pieces)), key=lambda index: len(pieces[index].ids))
    parts: dict[int, list[tuple[int, TextPrediction, int]]] = {}
    for lower in range(0, len(order), batch_size):
        batch = order[lower : lower + batch_size]
        rows = [pieces[index] for index in batch]
        predictions = _read(network, rows, marks.padding, temperature, usability_temperature)
        for index, prediction in zip(batch, predictions, strict=True):
            window = pieces[index]
            parts.setdefault(window.text, []).append((index, prediction, window.last - window.first))
    return [
        _merge(sorted(parts[number], key=lambda part: part[0])) if number in parts else None
        for number in range(len(texts))
    ]


def pad(sequences: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Puts sequences of numbers into one tensor.

    Args:
        sequences: Token numbers, of any lengths.
        padding: The number that fills the rest.

    Returns:
        ``(batch, longest)`` int64, and a bool mask of that shape, false where filled.

    Example:
        >>> ids, mask = pad([[5, 6], [7]], padding=0)
        >>> ids.tolist(), mask.tolist()
        ([[5, 6], [7, 0]], [[True, True], [True, False]])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    ids = torch.full((len(sequences), int(lengths.max())), padding)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return ids, padding_mask(lengths, ids.shape[1])


def _read(
    network: nn.Module, batch: Sequence[_Window], padding: int, temperature: float, usability_temperature: float
) -> list[TextPrediction]:
    device = next(network.parameters()).device
    ids, mask = pad([window.ids for window in batch], padding)
    output = network(ids.to(device), mask.to(device))
    # In double precision, so that probabilities sum to 1 as closely as anyone may check.
    probabilities = torch.softmax(output.group_logits.double() / temperature, dim=1).cpu().numpy()
    scores, native = (each.double().sigmoid().cpu().numpy() for each in (output.presence_logits, output.logits))
    states, embeddings = output.states.cpu().numpy(), output.embedding.cpu().numpy()
    usability: Sequence[NDArray[np.float64] | None] = [None] * len(batch)
    if output.usability_logits is not None:
        usability = list(torch.softmax(output.usability_logits.double() / usability_temperature, dim=1).cpu().numpy())
    return [
        TextPrediction(
            probabilities[row],
            scores[row],
            native[row],
            states[row, window.first : window.last],
            embeddings[row],
            usability[row],
        )
        for row, window in enumerate(batch)
    ]


def _merge(parts: Sequence[tuple[int, TextPrediction, int]]) -> TextPrediction:
    """Merges the predictions of a text's windows into one."""
    predictions, weights = [prediction for _, prediction, _ in parts], [tokens for *_, tokens in parts]
    if len(predictions) == 1:
        return predictions[0]
    return TextPrediction(
        np.average([prediction.probabilities for prediction in predictions], axis=0, weights=weights),
        np.average([prediction.scores for prediction in predictions], axis=0, weights=weights),
        np.average([prediction.native_scores for prediction in predictions], axis=0, weights=weights),
        np.concatenate([prediction.states for prediction in predictions]),
        np.average([prediction.embedding for prediction in predictions], axis=0, weights=weights).astype(np.float32),
        mean_usability(predictions, np.asarray(weights, np.float64)),
    )


def mean_usability(predictions: Sequence[TextPrediction], weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The weighted mean of the usability labels of some predictions.

    Args:
        predictions: Predictions of one network.
        weights: ``(predictions,)``, at least one above 0.

    Returns:
        ``(usability labels,)``; None for a network without them.
    """
    rows = [prediction.usability for prediction in predictions if prediction.usability is not None]
    return np.average(rows, axis=0, weights=weights) if rows else None
