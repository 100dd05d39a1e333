"""The dual recurrent fusion head: one recurrent encoder over the nonverbal stream, one over the verbal stream.

After Yoon, Byun and Jung 2018 (arXiv 1810.04635), MDRE (section 3.3) and MDREA (3.4). With the nonverbal steps
``x_1 … x_T`` (the audio state, the face embedding of the same instant beside it) and the verbal steps ``w_1 … w_N``
(token states):

    o_t = GRU_nonverbal(x_t, o_{t-1})          h_i = GRU_verbal(w_i, h_{i-1})
    MDRE:   y = softmax([o_T; p; h_N] M + b)
    MDREA:  q = [o_T; p] Q      a_i = softmax_i(q · h_i)      z = sum_i a_i h_i      y = softmax([o_T; p; z] M + b)

``p`` is a vector of the whole utterance (the paper's prosody), or nothing. Without the face, with ``p``, and in one
direction this is the paper's network, up to the dense layer with which the paper maps both states before they are
joined. Our optional additions:

- two directions, the face, and learned vectors in place of an absent modality;
- the log-probabilities of the modalities' own heads, each weighted by a gate over all states, so that the head starts
  from their product and learns which modality to trust when:

    y = softmax([...] M + b + sum_m g_m log p_m),   g = 2 sigmoid(G tanh(F [...; log p; present; overlaps]))

  The overlap of two modalities, ``sum_l sqrt(p_l q_l)``, is 1 where they agree and 0 where they exclude each other; the
  gates can then lower all evidence where it conflicts. Without ``[...] M + b`` (``readout``), the answer consists of
  the modalities' own probabilities alone, and the recurrent encoders decide how much each counts;
- a linear map of the joined states onto valence, arousal and dominance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from multimodal.encoders.framing import padding_mask
from multimodal.fusion.alignment import FusionBatch

POOLINGS = ("last", "attention")

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Pairs of modalities whose overlap the gates can read."""


@dataclass(frozen=True)
class FusionShape:
    """The shape of a head, as a card stores it.

    Attributes:
        labels: Number of emotions.
        audio_size: Features of an audio state; 0 without audio.
        face_size: Features of a face embedding; 0 without the face.
        text_size: Features of a token state; 0 without text.
        summary_size: Features of the vector of the whole utterance (``p``); 0 for none.
        hidden: States of each recurrent encoder, per direction (paper: 200).
        face_hidden: Features that a face embedding is mapped to before it joins the audio state; 0 for no mapping.
        bidirectional: Whether both encoders run in both directions.
        pooling: ``last`` (MDRE) or ``attention`` (MDREA).
        log_probabilities: Whether the log-probabilities of the modalities' own heads are added.
        readout: Whether the joined states are classified too; needs ``log_probabilities`` if not.
        overlaps: Whether the gates read how far the modalities agree.
        dimensions: How many of valence, arousal and dominance are estimated; 0 for none.
        dropout: Share of inputs and of joined states dropped in training.

    Raises:
        ValueError: Unknown pooling, or no input stream.
    """

    labels: int
    audio_size: int
    face_size: int
    text_size: int
    summary_size: int = 0
    hidden: int = 96
    face_hidden: int = 64
    bidirectional: bool = True
    pooling: str = "attention"
    log_probabilities: bool = True
    readout: bool = True
    overlaps: bool = False
    dimensions: int = 0
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {POOLINGS}, got {self.pooling!r}")
        if not (self.audio_size or self.face_size or self.text_size):
            raise ValueError("a head needs audio, face or text")
        if not (self.readout or self.log_probabilities):
            raise ValueError("a head needs a readout or log-probabilities")

    @property
    def sizes(self) -> dict[str, int]:
        """Modality to its number of features."""
        return {"face": self.face_size, "audio": self.audio_size, "text": self.text_size}


class FusionOutput(NamedTuple):
    """What a head returns.

    Attributes:
        logits: ``(batch, labels)`` float32; softmax gives probabilities before calibration.
        affect: ``(batch, dimensions)`` float32, on the scale of the training corpus; no column without them.
        gates: ``(batch, 3)`` float32, 0 … 2: weights of face, audio and text; 1 without log-probabilities.
        attention: ``(batch, tokens)`` float32 summing to 1 over an utterance's tokens; 0 without text or attention.
    """

    logits: Tensor
    affect: Tensor
    gates: Tensor
    attention: Tensor


class RecurrentEncoder(nn.Module):
    """A GRU over any number of steps; a learned state replaces an absent stream.

    Args:
        inputs: Features per step.
        hidden: States per direction.
        bidirectional: Whether to read in both directions.

    Example:
        >>> encoder = RecurrentEncoder(3, 4, bidirectional=True)
        >>> states, last = encoder(torch.zeros(2, 5, 3), torch.tensor([5, 0]))
        >>> states.shape, last.shape
        (torch.Size([2, 5, 8]), torch.Size([2, 8]))
    """

    def __init__(self, inputs: int, hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.recurrent = nn.GRU(inputs, hidden, batch_first=True, bidirectional=bidirectional)
        self.size = hidden * (2 if bidirectional else 1)
        self.absent = nn.Parameter(torch.zeros(self.size))

    def forward(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Reads ``(batch, steps, inputs)`` up to ``lengths``.

        Args:
            steps: ``(batch, steps, inputs)``.
            lengths: ``(batch,)`` steps of each item.

        Returns:
            States ``(batch, steps, size)``, 0 after the end, and the last state of each direction ``(batch, size)``.
        """
        present = lengths > 0
        if steps.shape[1] == 0 or not bool(present.any()):
            empty = steps.new_zeros(len(steps), steps.shape[1], self.size)
            return empty, self.absent.expand(len(steps), -1)
        states, last = (
            self._bidirectional(steps, lengths) if self.recurrent.bidirectional else self._forward(steps, lengths)
        )
        return states * present[:, None, None], torch.where(present[:, None], last, self.absent)

    def _bidirectional(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(steps, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        output, last = self.recurrent(packed)
        states = pad_packed_sequence(output, batch_first=True, total_length=steps.shape[1])[0]
        return states, torch.cat(list(last), dim=1)

    def _forward(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Runs without packing: padding comes after an utterance's end and cannot reach the states before it.

        On a CPU the gradient of packed steps takes time quadratic in their number: 31 s against 0.9 s for 64 utterances
        of up to 750 steps.
        """
        states = self.recurrent(steps)[0]
        mask = padding_mask(lengths, steps.shape[1])
        final = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.size)
        return states.masked_fill(~mask[:, :, None], 0.0), states.gather(1, final)[:, 0]


class DualRecurrentFusion(nn.Module):
    """Combines three modalities into one estimate per utterance; any of them may be absent.

    Args:
        shape: See ``FusionShape``.

    Example:
        >>> from multimodal.fusion.alignment import FusionInputs, collate
        >>> import numpy as np
        >>> network = DualRecurrentFusion(FusionShape(7, audio_size=6, face_size=5, text_size=4)).eval()
        >>> said = FusionInputs(np.zeros(0), text=np.ones((3, 4)), log_probabilities={"text": np.zeros(7)})
        >>> network(collate([said], {"face": 5, "audio": 6, "text": 4}, labels=7)).logits.shape
        torch.Size([1, 7])
    """

    def __init__(self, shape: FusionShape) -> None:
        super().__init__()
        self.shape = shape
        face_inputs = (shape.face_hidden or shape.face_size) if shape.face_size else 0
        self.face_map = (
            nn.Linear(shape.face_size, face_inputs) if shape.face_hidden and shape.face_size else nn.Identity()
        )
        self.voice_absent = nn.Parameter(torch.zeros(shape.audio_size))
        self.face_absent = nn.Parameter(torch.zeros(face_inputs))
        nonverbal_inputs = shape.audio_size + face_inputs
        joined = shape.summary_size
        if nonverbal_inputs:
            self.nonverbal = RecurrentEncoder(nonverbal_inputs, shape.hidden, shape.bidirectional)
            joined += self.nonverbal.size
        if shape.text_size:
            self.verbal = RecurrentEncoder(shape.text_size, shape.hidden, shape.bidirectional)
            joined += self.verbal.size
        if self.attends:
            self.query = nn.Linear(joined - self.verbal.size, self.verbal.size)
        self.summary_absent = nn.Parameter(torch.zeros(shape.summary_size))
        self.dropout = nn.Dropout(shape.dropout)
        self.readout = nn.Linear(joined, shape.labels) if shape.readout else None
        self.affect = nn.Linear(joined, shape.dimensions) if shape.dimensions else None
        if shape.log_probabilities:
            self.evidence_absent = nn.Parameter(torch.zeros(3, shape.labels))
            gate_inputs = joined + 3 * shape.labels + 3 + (len(PAIRS) if shape.overlaps else 0)
            last = nn.Linear(32, 3)
            self.gates = nn.Sequential(nn.Linear(gate_inputs, 32), nn.Tanh(), last)
            self._start_from_product(last)

    @property
    def attends(self) -> bool:
        """Whether the nonverbal state attends over the verbal states; both streams must exist."""
        shape = self.shape
        return shape.pooling == "attention" and bool(shape.text_size) and bool(shape.audio_size or shape.face_size)

    def _start_from_product(self, last: nn.Linear) -> None:
        """Makes the untrained head return the product of the modalities' own probabilities."""
        for layer in (self.readout, last):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, batch: FusionBatch, summary: Tensor | None = None) -> FusionOutput:
        """Reads a batch, and the vectors of whole utterances ``(batch, summary)`` where the shape has them.

        Args:
            batch: The utterances.
            summary: ``(batch, summary)``; None without.

        Returns:
            Logits, affect and gates.
        """
        joined, attention = self._join(batch, summary)
        joined = self.dropout(joined)
        logits = joined.new_zeros(len(joined), self.shape.labels) if self.readout is None else self.readout(joined)
        gates = logits.new_ones(len(logits), 3)
        if self.shape.log_probabilities:
            present = batch.present[:, :, None]
            evidence = torch.where(present, batch.log_probabilities, self.evidence_absent)
            evidence_inputs = torch.where(present, batch.log_probabilities, 0.0).flatten(1)
            gate_inputs = [joined, evidence_inputs / 3, batch.present.float()]
            gate_inputs += [_overlaps(batch)] if self.shape.overlaps else []
            gates = 2 * torch.sigmoid(self.gates(torch.cat(gate_inputs, dim=1)))
            logits = logits + (torch.where(present, gates[:, :, None], 1.0) * evidence).sum(1)
        affect = logits.new_zeros(len(logits), 0) if self.affect is None else self.affect(joined)
        return FusionOutput(logits.float(), affect.float(), gates.float(), attention)

    def _join(self, batch: FusionBatch, summary: Tensor | None) -> tuple[Tensor, Tensor]:
        """The joined vector ``(batch, joined)``, and the attention over tokens."""
        parts: list[Tensor] = []
        attention = batch.text.new_zeros(len(batch.tokens), batch.text.shape[1])
        if self.shape.audio_size or self.shape.face_size:
            parts.append(self.nonverbal(self.dropout(self._nonverbal_steps(batch)), batch.steps)[1])
        if self.shape.summary_size:
            parts.append(self.summary_absent.expand(len(batch.tokens), -1) if summary is None else summary)
        if self.shape.text_size:
            states, verbal = self.verbal(self.dropout(batch.text), batch.tokens)
            if self.attends:
                verbal, attention = self._attend(torch.cat(parts, dim=1), states, verbal, batch.tokens)
            parts.append(verbal)
        return torch.cat(parts, dim=1), attention

    def _nonverbal_steps(self, batch: FusionBatch) -> Tensor:
        """``(batch, steps, audio + face)``: at each step the present inputs, else the learned vectors."""
        parts: list[Tensor] = []
        if self.shape.audio_size:
            present = batch.present[:, 1, None, None]
            parts.append(torch.where(present, batch.audio, self.voice_absent))
        if self.shape.face_size:
            mask = batch.face_mask[:, :, None]
            parts.append(torch.where(mask, self.face_map(batch.face), self.face_absent))
        return torch.cat(parts, dim=2)

    def _attend(self, nonverbal: Tensor, states: Tensor, last: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The verbal states weighted by their fit to the nonverbal state; ``last`` without text."""
        scores = torch.einsum("bd,bnd->bn", self.query(nonverbal), states)
        mask = padding_mask(tokens, states.shape[1])
        present = tokens[:, None] > 0
        # A row without text would be all -inf; its softmax and its gradient would be NaN.
        weights = scores.masked_fill(~mask & present, -torch.inf).softmax(dim=1) * (mask & present)
        return torch.where(present, torch.einsum("bn,bnd->bd", weights, states), last), weights


def _overlaps(batch: FusionBatch) -> Tensor:
    """``(batch, pairs)``: Bhattacharyya coefficient of each pair of modalities, 0 … 1; 0 if one is absent."""
    roots = (batch.log_probabilities / 2).softmax(dim=2)  # proportional to the square roots
    roots = roots / roots.norm(dim=2, keepdim=True) * batch.present[:, :, None]
    return torch.stack([(roots[:, one] * roots[:, other]).sum(1) for one, other in PAIRS], dim=1)
