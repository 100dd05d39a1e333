"""A small fusion head with random weights for given encoders, and results of the shipped encoders alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape
from multimodal.models.selection import DEFAULTS
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights

HEAD_NAME = "dual_recurrent.random-v1"

NO_HEAD = "using late fusion (average): no trained fusion head available"
SHIPPED_NOTES = () if "fusion" in DEFAULTS else (NO_HEAD,)
"""Warnings of every answer from the shipped parts."""

SIZES = {"face": "embedding_size", "audio": "state_size", "text": "embedding_size"}
"""Signal to the attribute of its network that says how many features its states have."""


def shipped_fusion() -> dict[str, str]:
    """What ``models`` says of the shipped parts' joint answer."""
    if "fusion" not in DEFAULTS:
        return {"name": "late average"}
    head = load_weights("default", "fusion")
    return {"name": head.name, "sha256": head.sha256}


def small_shape(sizes: Mapping[str, int], labels: int = len(FUSED_LABELS), **shape: Any) -> FusionShape:
    """The shape of a small head."""
    names = {"face": "face_size", "audio": "audio_size", "text": "text_size"}
    fields = {field: sizes.get(signal, 0) for signal, field in names.items()}
    return FusionShape(labels, **fields, hidden=6, face_hidden=4, **shape)


def save_head(
    folder: Path, encoders: Mapping[str, Weights], *, name: str = HEAD_NAME, dimensions: int = 0, **spec: Any
) -> Path:
    """Writes a head that has learned nothing, for these encoders, and returns its folder."""
    sizes = {signal: int(getattr(loaded.network, SIZES[signal])) for signal, loaded in encoders.items()}
    shape = small_shape(sizes, dimensions=dimensions)
    torch.manual_seed(0)
    network = DualRecurrentFusion(shape)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    hashes = {signal: loaded.sha256 for signal, loaded in encoders.items()}
    options = {"fusion": asdict(shape), "encoders": hashes, **spec}
    save_weights(folder, name, network, ModelSpec("fusion", "dual_recurrent", FUSED_LABELS, **options), {})
    return folder


def with_head(folder: Path, *signals: str) -> Path:
    """Adds a head for the encoders in a folder, and for the shipped ones of the other signals."""
    trained = {signal: load_weights(str(folder), signal) for signal in signals}
    others = {signal: load_weights("default", signal) for signal in SIZES if signal not in trained}
    return save_head(folder, others | trained)
