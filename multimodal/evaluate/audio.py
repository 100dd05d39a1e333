"""Evaluates an audio model on a speech corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice_features import voice_features
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate.confidence import confidence_figures
from multimodal.evaluate.metrics import Floats, classification_figures
from multimodal.models.weights import Weights

LABEL_SETS = ("seven", "native")


def audio_figures(probabilities: Floats, targets: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """The figures of ``classification_figures`` and ``uar``, the field's name for balanced accuracy.

    Args:
        probabilities: ``(n, labels)``, calibrated.
        targets: ``(n,)`` indices of the labels.
        labels: Names of the labels.

    Example:
        >>> audio_figures(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), ["calm", "angry"])["uar"]
        0.5
    """
    figures = classification_figures(probabilities, targets, labels)
    return {"uar": figures["balanced_accuracy"], **figures}


def evaluate_audio(
    weights: Weights, corpus: str, folder: Path, labels: str = "seven", device: str = "cpu"
) -> dict[str, Any]:
    """Evaluates an audio model on a speech corpus.

    The clips of one speaker count as one recording: their common statistics are removed, as in inference, without
    using labels.

    Args:
        weights: The model.
        corpus: Key of ``multimodal.data.corpora.voices.VOICE_CORPORA``.
        folder: The folder that contains the corpus.
        labels: ``seven`` (the fused labels; clips without one are skipped) or ``native`` (the corpus's own labels;
            clips that a manifest assigns to another corpus are skipped).
        device: Device of the network.

    Returns:
        ``audio_figures`` with ``parameters``, ``speakers``, and ``uar_alone``: the recall when each clip is classified
        without the other clips of its speaker; ``confidence``: ``confidence_figures`` of both (``speakers``,
        ``clips alone``).

    Raises:
        ConfigError: The model does not predict the ``native`` labels.
        CorpusError: The folder does not contain the corpus.
    """
    names = _label_names(weights, corpus, labels)
    every_clip = read_voices(corpus, folder, check_counts=False)
    clips = [clip for clip in every_clip if (clip.corpus == corpus if labels == "native" else clip.label)]
    if not clips:
        fact = f"contains no clip of {corpus} with one of the {labels} labels"
        raise CorpusError(folder, fact, "name the folder that contains the corpus")
    together, alone = (_to_labels(weights, rows, labels) for rows in _predict(weights, clips, device))
    true_labels = [clip.native_label if labels == "native" else clip.label or "" for clip in clips]
    targets = np.array([names.index(label) for label in true_labels])
    figures = audio_figures(together, targets, names)
    figures["uar_alone"] = audio_figures(alone, targets, names)["uar"]
    threshold = weights.spec.uncertain_below if labels == "seven" else None
    figures["confidence"] = {
        "speakers": confidence_figures(together, targets, threshold),
        "clips alone": confidence_figures(alone, targets, threshold),
    }
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    figures["speakers"] = len({clip.speaker for clip in clips})
    return figures


def _label_names(weights: Weights, corpus: str, labels: str) -> tuple[str, ...]:
    if labels == "seven":
        return FUSED_LABELS
    if weights.spec.labels != VOICE_CORPORA[corpus].labels:
        fact = f"{weights.name} predicts {', '.join(weights.spec.labels)}, {corpus} has other labels"
        raise ConfigError("--labels native", fact, "choose --labels seven")
    return VOICE_CORPORA[corpus].labels


def _to_labels(weights: Weights, rows: Floats, labels: str) -> Floats:
    return rows if labels == "native" else sum_to_fused(rows, weights.spec.groups or weights.spec.labels)


def _predict(weights: Weights, clips: Sequence[VoiceClip], device: str) -> tuple[Floats, Floats]:
    """Calibrated probabilities ``(clips, labels)``: each speaker's clips as one recording, and each clip alone."""
    mfcc = Mfcc(MfccSettings(**weights.spec.mfcc)).to(device)
    features = voice_features(list(load_waveforms(clips)), mfcc)
    temperature = weights.spec.temperature
    together = np.zeros((len(clips), len(weights.spec.labels)))
    for speaker in sorted({clip.speaker for clip in clips}):
        indices = [index for index, clip in enumerate(clips) if clip.speaker == speaker]
        rows, _ = encode_speaker(weights.network, [features[index] for index in indices], temperature)
        together[indices] = rows.double().numpy()
    alone = torch.cat([encode_speaker(weights.network, [each], temperature)[0] for each in features]).double().numpy()
    return together, alone
