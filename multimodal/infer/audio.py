"""Analyzes the audio of a recording: the voice in each utterance.

The audio is read once from start to end. Only the features of each utterance are kept; they are normalized per speaker
across the recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.media.audio import read_audio
from multimodal.data.speech.utterances import SAMPLE_RATE, read_speech
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures, state_times, voice_features
from multimodal.encoders.voice.whisper_states import SpeechEncoder
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.progress import Progress, counted
from multimodal.types import EncodedUtterance, MediaInfo, ModalityEstimate, Utterance

BATCH = 16
"""Number of utterances per batch of features; it limits the audio in memory to a few minutes."""


@dataclass(frozen=True)
class AudioResult:
    """Audio encodings of one recording.

    Attributes:
        encodings: Every utterance with its encoding, in order of its end.
        warnings: One line for each damaged part and each limit of the result.
        speech_encoder: Name of the speech encoder whose states were read too; None without one.
    """

    encodings: tuple[tuple[Utterance, EncodedUtterance], ...]
    warnings: tuple[str, ...]
    speech_encoder: str | None = None


def analyze_audio(
    media: MediaInfo,
    weights: Weights,
    utterances: Sequence[Utterance] | None = None,
    *,
    speech_encoder: SpeechEncoder | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AudioResult:
    """Encodes the voice in every utterance.

    Args:
        media: Facts of a recording with sound.
        weights: The audio encoder, on ``device``.
        utterances: Who speaks when; None to detect speech.
        speech_encoder: The speech encoder whose states the voice encoder reads too, if it can; None without one.
        device: Where the encoder computes.
        progress: Called with the seconds done.

    Returns:
        The utterances with enough speech, given or detected, and their encodings.

    Raises:
        MediaError: There is no audio stream, or nothing of it can be decoded.
    """
    blocks = read_audio(media.path, sample_rate=SAMPLE_RATE, info=media)
    speech = read_speech(counted(blocks, progress), utterances)
    speech_encoder = speech_encoder if weights.spec.speech else None
    mfcc = Mfcc(MfccSettings(**weights.spec.mfcc)).to(device)
    utterances_read: list[Utterance] = []
    starts: list[float] = []
    features: list[VoiceFeatures] = []
    batch: list[NDArray[np.float32]] = []
    for piece in speech:
        utterances_read.append(piece.utterance)
        starts.append(piece.utterance.start_seconds + piece.offset_seconds)
        batch.append(piece.samples)
        if len(batch) >= BATCH:
            features += voice_features(batch, mfcc, speech_encoder)
            batch.clear()
    features += voice_features(batch, mfcc, speech_encoder)
    spec = weights.spec if speech_encoder is None else weights.spec.with_speech()
    encodings = _encode(utterances_read, starts, features, replace(weights, spec=spec))
    return AudioResult(
        tuple(zip(utterances_read, encodings, strict=True)),
        (*blocks.warnings, *speech.warnings),
        None if speech_encoder is None else speech_encoder.name,
    )


def _encode(
    utterances: Sequence[Utterance], starts: Sequence[float], features: Sequence[VoiceFeatures], weights: Weights
) -> list[EncodedUtterance]:
    """Encodes utterances per speaker (unnamed speakers count as one); their audio starts at ``starts`` seconds."""
    settings = MfccSettings(**weights.spec.mfcc)
    by_speaker: dict[str | None, list[int]] = {}
    for index, utterance in enumerate(utterances):
        by_speaker.setdefault(utterance.speaker, []).append(index)
    encodings: dict[int, EncodedUtterance] = {}
    for indices in by_speaker.values():
        rows, states = encode_speaker(weights.network, [features[index] for index in indices], weights.spec.temperature)
        for index, row, steps in zip(indices, rows.double().tolist(), states, strict=True):
            times = starts[index] + state_times(features[index], len(steps), settings)
            encodings[index] = EncodedUtterance(_estimate(row, weights.spec), steps.numpy(), times)
    return [encodings[index] for index in range(len(utterances))]


def _estimate(row: Sequence[float], spec: ModelSpec) -> ModalityEstimate:
    """Sums the encoder's labels into the fused labels; labels without a fused one are left out."""
    probabilities = dict.fromkeys(FUSED_LABELS, 0.0)
    for group, value in zip(spec.groups or spec.labels, row, strict=True):
        if group is not None:
            probabilities[group] += value
    total = math.fsum(probabilities.values())
    shares = {label: value / total for label, value in probabilities.items()}
    return ModalityEstimate(shares)
