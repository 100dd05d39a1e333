"""Listens to a recording: what each utterance's voice sounds like.

The sound is read once from start to end. Of an utterance that has ended only its features are kept, because a voice is
judged against everything that the same speaker says in the recording.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.media.audio import read_audio
from multimodal.data.speech.utterances import SAMPLE_RATE, read_speech
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice_features import VoiceFeatures, state_times, voice_features
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.progress import Progress, counted
from multimodal.types import EncodedUtterance, MediaInfo, ModalityEstimate, Utterance

BATCH = 16
"""Utterances whose features are computed together: at most some minutes of sound are held at a time."""


@dataclass(frozen=True)
class AudioResult:
    """What was heard of one recording.

    Attributes:
        encodings: Every stretch of speech with what it sounds like, in order of its end.
        warnings: Plain lines on what was damaged, and on what limits the result.
    """

    encodings: tuple[tuple[Utterance, EncodedUtterance], ...]
    warnings: tuple[str, ...]


def analyze_audio(
    media: MediaInfo,
    weights: Weights,
    utterances: Sequence[Utterance] | None = None,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> AudioResult:
    """Judges the voice in every stretch of speech.

    Args:
        media: Facts of a recording with sound.
        weights: The audio encoder, on ``device``.
        utterances: Who speaks when, where that is known; None to find out where somebody speaks.
        device: Where the encoder computes.
        progress: Told the seconds that are done.

    Returns:
        The stretches in which a voice could be judged: of ``utterances``, or found.

    Raises:
        MediaError: There is no sound, or none that can be decoded.
    """
    blocks = read_audio(media.path, sample_rate=SAMPLE_RATE, info=media)
    speech = read_speech(counted(blocks, progress), utterances)
    mfcc = Mfcc(MfccSettings(**weights.spec.mfcc)).to(device)
    found: list[tuple[Utterance, float]] = []
    features: list[VoiceFeatures] = []
    waiting: list[NDArray[np.float32]] = []
    for spoken in speech:
        found.append((spoken.utterance, spoken.utterance.start_seconds + spoken.offset_seconds))
        waiting.append(spoken.samples)
        if len(waiting) >= BATCH:
            features += voice_features(waiting, mfcc)
            waiting.clear()
    features += voice_features(waiting, mfcc)
    return AudioResult(tuple(_judged(found, features, weights)), (*blocks.warnings, *speech.warnings))


def _judged(
    found: Sequence[tuple[Utterance, float]], features: Sequence[VoiceFeatures], weights: Weights
) -> list[tuple[Utterance, EncodedUtterance]]:
    """The voice of each utterance, measured against all of its speaker's; the unnamed count as one speaker.

    Beside each utterance stands when its sound begins, in seconds.
    """
    indices: dict[str | None, list[int]] = {}
    settings = MfccSettings(**weights.spec.mfcc)
    for index, (utterance, _) in enumerate(found):
        indices.setdefault(utterance.speaker, []).append(index)
    judged: dict[int, EncodedUtterance] = {}
    for own in indices.values():
        rows, states = encode_speaker(weights.network, [features[index] for index in own], weights.spec.temperature)
        for index, row, steps in zip(own, rows.double().tolist(), states, strict=True):
            times = found[index][1] + state_times(features[index], len(steps), settings)
            judged[index] = EncodedUtterance(_fused(row, weights.spec), steps.numpy(), times)
    return [(utterance, judged[index]) for index, (utterance, _) in enumerate(found)]


def _fused(row: Sequence[float], spec: ModelSpec) -> ModalityEstimate:
    """Sums the encoder's own labels into the fused ones; those that count towards none are left out."""
    probabilities = dict.fromkeys(FUSED_LABELS, 0.0)
    for group, value in zip(spec.groups or spec.labels, row, strict=True):
        if group is not None:
            probabilities[group] += value
    total = math.fsum(probabilities.values())
    shares = {label: value / total for label, value in probabilities.items()}
    return ModalityEstimate(shares)
