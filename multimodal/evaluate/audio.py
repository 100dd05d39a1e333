"""Evaluates an audio model on a speech corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.data.speech.recognition import load_whisper_base
from multimodal.encoders.audio import encode_recordings
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures, voice_features
from multimodal.encoders.voice.whisper_states import SpeechEncoder
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate.confidence import confidence_figures
from multimodal.evaluate.metrics import Floats, classification_figures
from multimodal.evaluate.voice_recordings import CONDITIONS, condition_recordings
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


def recall_of(probabilities: Floats, targets: NDArray[np.int64]) -> float:
    """Unweighted average recall over the labels that occur.

    Args:
        probabilities: ``(n, labels)``.
        targets: ``(n,)`` indices of the labels.

    Example:
        >>> recall_of(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        0.5
    """
    right = probabilities.argmax(axis=1) == targets
    return float(np.mean([right[targets == label].mean() for label in np.unique(targets)]))


def evaluate_audio(
    weights: Weights,
    corpus: str,
    folder: Path,
    labels: str = "seven",
    device: str = "cpu",
    speech_encoder: SpeechEncoder | None = None,
) -> dict[str, Any]:
    """Evaluates an audio model on a speech corpus, in recordings of every kind (``CONDITIONS``).

    Common statistics of a recording are removed, as in inference, without using labels.

    Args:
        weights: The model.
        corpus: Key of ``multimodal.data.corpora.voices.VOICE_CORPORA``.
        folder: The folder that contains the corpus.
        labels: ``seven`` (the fused labels; clips without one are skipped) or ``native`` (the corpus's own labels;
            clips that a manifest assigns to another corpus are skipped).
        device: Device of the network.
        speech_encoder: The speech encoder whose states the model reads too; None to evaluate it without.

    Returns:
        ``audio_figures`` where all clips of a speaker are one recording, with ``parameters``, ``speakers``,
        ``speech_encoder`` (its name, or None), ``uar_by_recording`` and ``confidence``: ``confidence_figures`` of each
        kind of recording.

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
    speech_encoder = speech_encoder if weights.spec.speech else None
    spec = weights.spec if speech_encoder is None else weights.spec.with_speech()
    features = voice_features(list(load_waveforms(clips)), Mfcc(MfccSettings(**spec.mfcc)).to(device), speech_encoder)
    true_labels = [clip.native_label if labels == "native" else clip.label or "" for clip in clips]
    targets = np.array([names.index(label) for label in true_labels])
    threshold = spec.uncertain_below if labels == "seven" else None
    figures: dict[str, Any] = {}
    recalls: dict[str, float] = {}
    confidence: dict[str, Any] = {}
    for condition in CONDITIONS:
        indices, rows = predict_recordings(weights.network, clips, features, condition, spec.temperature)
        if not len(indices):
            continue
        probabilities = _to_labels(weights, rows, labels)
        figures = figures or audio_figures(probabilities, targets[indices], names)
        recalls[condition] = recall_of(probabilities, targets[indices])
        confidence[condition] = confidence_figures(probabilities, targets[indices], threshold)
    figures |= {"uar_by_recording": recalls, "confidence": confidence}
    figures["speech_encoder"] = None if speech_encoder is None else speech_encoder.name
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    figures["speakers"] = len({clip.speaker for clip in clips})
    return figures


def load_speech_encoder(threads: int | None = None) -> SpeechEncoder | None:
    """Loads the speech encoder that the voice encoder reads, on the CPU.

    Args:
        threads: Threads, which change no result; None for the cores that are available.

    Returns:
        The encoder of Whisper base; None if it is not on this machine.
    """
    model = load_whisper_base(threads)
    return None if model is None else SpeechEncoder(model)


def predict_recordings(
    network: nn.Module,
    clips: Sequence[VoiceClip],
    features: Sequence[VoiceFeatures],
    condition: str,
    temperature: float = 1.0,
) -> tuple[NDArray[np.int64], Floats]:
    """Predicts clips in recordings of one kind.

    Args:
        network: An audio network in evaluation mode.
        clips: The clips.
        features: The features of each clip.
        condition: One of ``CONDITIONS``.
        temperature: As of ``encode_speaker``.

    Returns:
        ``(n,)`` indices of the clips, ascending, that are in a recording of this kind, and their probabilities
        ``(n, labels)``.
    """
    recordings = condition_recordings(clips, condition)
    if not recordings:
        return np.zeros(0, np.int64), np.zeros((0, 0))
    rows, _ = encode_recordings(network, features, recordings, temperature)
    indices = np.array(sorted(rows), np.int64)
    return indices, torch.stack([rows[index] for index in indices.tolist()]).double().numpy()


def _label_names(weights: Weights, corpus: str, labels: str) -> tuple[str, ...]:
    if labels == "seven":
        return FUSED_LABELS
    if weights.spec.labels != VOICE_CORPORA[corpus].labels:
        fact = f"{weights.name} predicts {', '.join(weights.spec.labels)}, {corpus} has other labels"
        raise ConfigError("--labels native", fact, "choose --labels seven")
    return VOICE_CORPORA[corpus].labels


def _to_labels(weights: Weights, rows: Floats, labels: str) -> Floats:
    return rows if labels == "native" else sum_to_fused(rows, weights.spec.groups or weights.spec.labels)
