"""Figures of a voice model on a corpus of clips whose speakers it never heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.corpora.voices import VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS, NATIVE_LABELS
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice_features import voice_features
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate.metrics import Floats, classification_figures
from multimodal.models.weights import Weights

LABEL_SETS = ("seven", "native")


def onto_groups(probabilities: Floats, groups: Sequence[str | None]) -> NDArray[np.float64]:
    """Adds up probabilities of labels that mean the same one of the seven.

    Args:
        probabilities: ``(n, labels)``.
        groups: The fused label of each; None for one that is none of the seven, whose share the others get.

    Returns:
        ``(n, 7)``, rows summing to 1.

    Example:
        >>> onto_groups(np.array([[0.2, 0.3, 0.5]]), ("neutral", "neutral", "anger")).round(2).tolist()
        [[0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0]]
    """
    matrix = np.array([[float(group == label) for label in FUSED_LABELS] for group in groups])
    summed = np.asarray(probabilities, np.float64) @ matrix
    rows: NDArray[np.float64] = summed / np.maximum(summed.sum(axis=1, keepdims=True), 1e-12)
    return rows


def voice_figures(probabilities: Floats, targets: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """The figures of ``classification_figures``, with ``uar`` for balanced accuracy, as the field calls it.

    Example:
        >>> voice_figures(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]), ["calm", "angry"])["uar"]
        0.5
    """
    figures = classification_figures(probabilities, targets, labels)
    return {"uar": figures["balanced_accuracy"], **figures}


def evaluate_audio(
    weights: Weights, corpus: str, folder: Path, labels: str = "seven", device: str = "cpu"
) -> dict[str, Any]:
    """Judges a voice model on a corpus.

    A speaker's clips count as one recording: what they have in common is removed before they are judged, as it is in a
    recording, without looking at labels.

    Args:
        weights: The model.
        corpus: Key of ``multimodal.data.corpora.voices.VOICE_CORPORA``.
        folder: Where it was unpacked to.
        labels: ``seven`` (fused; clips that are none of these are left out) or ``native`` (the corpus's own; clips that
            a manifest ascribes to another corpus are left out).
        device: Where the network is.

    Returns:
        ``voice_figures`` with ``parameters``, ``speakers``, and ``uar_alone``: the same when each clip is judged as if
        nothing else of its speaker had been heard.

    Raises:
        ConfigError: ``native`` labels that the model does not answer.
        CorpusError: The folder does not hold the corpus.
    """
    names = _names(weights, corpus, labels)
    found = read_voices(corpus, folder, check_counts=False)
    clips = [clip for clip in found if (clip.corpus == corpus if labels == "native" else clip.label)]
    if not clips:
        raise CorpusError(folder, f"holds no clip of {corpus} to judge", "name the folder that it was unpacked to")
    together, alone = (_by_names(weights, rows, labels) for rows in _answers(weights, clips, device))
    words = [clip.native_label if labels == "native" else clip.label or "" for clip in clips]
    targets = np.array([names.index(word) for word in words])
    figures = voice_figures(together, targets, names)
    figures["uar_alone"] = voice_figures(alone, targets, names)["uar"]
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    figures["speakers"] = len({clip.speaker for clip in clips})
    return figures


def _names(weights: Weights, corpus: str, labels: str) -> tuple[str, ...]:
    if labels == "seven":
        return FUSED_LABELS
    if weights.spec.labels != NATIVE_LABELS[corpus]:
        fact = f"{weights.name} answers {', '.join(weights.spec.labels)}, {corpus} has others"
        raise ConfigError("--labels native", fact, "choose --labels seven")
    return NATIVE_LABELS[corpus]


def _by_names(weights: Weights, rows: Floats, labels: str) -> Floats:
    return rows if labels == "native" else onto_groups(rows, weights.spec.groups or weights.spec.labels)


def _answers(weights: Weights, clips: Sequence[VoiceClip], device: str) -> tuple[Floats, Floats]:
    """Calibrated ``(clips, labels)`` with each speaker's clips together, and with each alone."""
    mfcc = Mfcc(MfccSettings(**weights.spec.mfcc)).to(device)
    features = voice_features(list(load_waveforms(clips)), mfcc)
    temperature = weights.spec.temperature
    together = np.zeros((len(clips), len(weights.spec.labels)))
    for speaker in sorted({clip.speaker for clip in clips}):
        own = [index for index, clip in enumerate(clips) if clip.speaker == speaker]
        together[own] = (
            encode_speaker(weights.network, [features[index] for index in own], temperature)[0].double().numpy()
        )
    alone = torch.cat([encode_speaker(weights.network, [each], temperature)[0] for each in features]).double().numpy()
    return together, alone
