"""The contract that travels with weights: how a network is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelSpec:
    """The contract between training and inference; inference keeps no constants of its own.

    Attributes:
        part: ``face``, ``audio``, ``text`` or ``fusion``.
        architecture: Key of the part's networks.
        labels: What the outputs mean, in order.
        temperature: Divides the logits; found on held-out data.
        face_size: Height and width of the face crops in pixels.
        flip: Whether probabilities are averaged with those of the mirrored crop.
        frames_per_second: The sampling rate that results were tuned for.
        groups: The fused label that each label counts towards, where ``labels`` are a corpus's own; else empty.
        mfcc: The voice's features, under the names of ``multimodal.encoders.mfcc.MfccSettings``.
        native_labels: The training corpus's own labels, in order, where the network answers these too.
        text: Shape of the transformer, under the names of ``transformers.BertConfig``.
        tokenizer: Name of the tokenizer's file, beside the weights.
        tokenizer_sha256: Of that file.
        window_tokens: How many tokens are read at once.
        thresholds: From which score on a label is given where several may hold: for ``groups`` (``labels``) and for
            ``native`` (``native_labels``).
        fusion: Shape of the fusion head, under the names of ``multimodal.fusion.dual_recurrent.FusionShape``.
        encoders: For the fusion head, signal to the sha256 of the encoder whose states it was trained on; with another
            encoder its answers mean nothing.
        temperatures: For the fusion head, instead of ``temperature``: signals present, as ``face+text``, to what
            divides the logits then.
        uncertain_below: Confidence below which the answer is called uncertain.
        uncertain_coverage: Share of held-out utterances whose confidence was at least that.
    """

    part: str
    architecture: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    face_size: int | None = None
    flip: bool = False
    frames_per_second: float | None = None
    groups: tuple[str | None, ...] = ()
    mfcc: Mapping[str, Any] = field(default_factory=dict)
    native_labels: tuple[str, ...] = ()
    text: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    tokenizer_sha256: str | None = None
    window_tokens: int | None = None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fusion: Mapping[str, Any] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    uncertain_below: float | None = None
    uncertain_coverage: float | None = None
