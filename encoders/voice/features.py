"""Inputs of the audio encoder for an utterance: MFCC frames and a summary with prosody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.prosody import PROSODY_FIELDS, prosody
from multimodal.encoders.voice.whisper_states import SpeechEncoder

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


SILENCE_DB = 35.0
"""Sound at the ends this far below the utterance's loudest 10 ms is silence and is removed."""


MARGIN_SECONDS = 0.1
"""Length of the silence that stays on either side."""


BATCH = 32


@dataclass(frozen=True)
class VoiceFeatures:
    """Features of an utterance, stored until all utterances of its speaker are available.

    Attributes:
        frames: ``(frames, 39)`` float16: MFCCs, deltas, delta-deltas, a row per 10 ms.
        summary: ``(summary,)`` float32: ``summarize`` of the frames, then prosody.
        start_seconds: Start of the first frame from the utterance's first sample, because silence was removed.
        speech_states: ``(steps, 512)`` float16 states of a speech encoder, a row per 80 ms; None without one.
    """

    frames: Tensor
    summary: Tensor
    start_seconds: float = 0.0
    speech_states: Tensor | None = None


def trim_silence(samples: Tensor, sample_rate: int) -> Tensor:
    """Removes silence at both ends, except for a short margin.

    Args:
        samples: ``(samples,)`` mono.
        sample_rate: Samples per second.

    Returns:
        The part in between, at least 10 ms if the input is that long.

    Example:
        >>> sound = torch.cat([torch.zeros(16000), torch.ones(16000), torch.zeros(16000)])
        >>> len(trim_silence(sound, 16000)) / 16000
        1.2
    """
    return samples[slice(*_sounding(samples, sample_rate))]


def _sounding(samples: Tensor, sample_rate: int) -> tuple[int, int]:
    """The first sample that ``trim_silence`` keeps, and the one after the last."""
    step = sample_rate // 100
    count = len(samples) // step
    if count == 0:
        return 0, len(samples)
    power = samples[: count * step].reshape(count, step).square().mean(1)
    loud = (power >= power.max() * 10 ** (-SILENCE_DB / 10)).nonzero().flatten()
    margin = round(MARGIN_SECONDS * 100)
    first, last = max(int(loud[0]) - margin, 0), min(int(loud[-1]) + 1 + margin, count)
    return first * step, last * step


def summarize(frames: Tensor, coefficients: int) -> Tensor:
    """Describes the distribution of MFCCs and their deltas over an utterance.

    Args:
        frames: ``(frames, 39)``, the coefficients first, then their deltas.
        coefficients: Number of coefficients (13).

    Returns:
        ``(14 × coefficients,)`` float32: mean, deviation and ``QUANTILES`` of each coefficient and each delta.

    Example:
        >>> summarize(torch.zeros(5, 39), 13).shape
        torch.Size([182])
    """
    values = frames[:, : 2 * coefficients].float()
    deviation, mean = torch.std_mean(values, dim=0, correction=0)
    points = torch.quantile(values, torch.tensor(QUANTILES, device=values.device), dim=0)
    return torch.cat([mean, deviation, points.flatten()])


def summary_size(coefficients: int = 13) -> int:
    """Length of ``VoiceFeatures.summary``.

    Args:
        coefficients: Number of cepstral coefficients.

    Example:
        >>> summary_size() == 182 + len(PROSODY_FIELDS)
        True
    """
    return 2 * coefficients * (2 + len(QUANTILES)) + len(PROSODY_FIELDS)


def general_features(size: int) -> Tensor:
    """Features of a summary that tell little of the microphone: deviations of coefficients and deltas, and prosody.

    Args:
        size: ``summary_size``.

    Returns:
        ``(features,)`` int64 indices.

    Example:
        >>> len(general_features(summary_size())) == 26 + len(PROSODY_FIELDS)
        True
    """
    coefficients = (size - len(PROSODY_FIELDS)) // (2 + len(QUANTILES))
    return torch.cat([torch.arange(coefficients, 2 * coefficients), torch.arange(size - len(PROSODY_FIELDS), size)])


@torch.inference_mode()
def voice_features(
    samples: Sequence[NDArray[np.float32]], mfcc: Mfcc, speech_encoder: SpeechEncoder | None = None
) -> list[VoiceFeatures]:
    """Computes the inputs of the audio networks.

    Args:
        samples: Mono sound of each utterance, at the rate of ``mfcc``'s settings.
        mfcc: The settings of the weights, on the device to compute on.
        speech_encoder: Gives the speech states; None for features without them.

    Returns:
        Features in the same order, on the CPU.
    """
    settings = mfcc.settings
    device = mfcc.window.device
    whole = [torch.as_tensor(sound, device=device) for sound in samples]
    places = [_sounding(sound, settings.sample_rate) for sound in whole]
    sounds = [sound[slice(*place)] for sound, place in zip(whole, places, strict=True)]
    features: list[VoiceFeatures | None] = [None] * len(sounds)
    order = sorted(range(len(sounds)), key=lambda index: len(sounds[index]))
    for start in range(0, len(order), BATCH):
        indices = order[start : start + BATCH]
        lengths = torch.tensor([len(sounds[index]) for index in indices], device=device)
        batch = pad_sequence([sounds[index] for index in indices], batch_first=True)
        frames, counts = mfcc(batch, lengths)
        fields = prosody(batch, lengths, settings.sample_rate)
        for row, index in enumerate(indices):
            part = frames[row, : int(counts[row])]
            summary = torch.cat([summarize(part, settings.coefficients), fields[row]])
            begin = places[index][0] / settings.sample_rate
            states = None if speech_encoder is None else speech_encoder.encode(sounds[index].float().cpu().numpy())
            features[index] = VoiceFeatures(part.half().cpu(), summary.float().cpu(), begin, states)
    return [each for each in features if each is not None]


def state_times(features: VoiceFeatures, states: int, settings: MfccSettings) -> NDArray[np.float64]:
    """Times of an utterance's states: the middle of the frames that each covers.

    Args:
        features: Features of the utterance.
        states: Number of states. Each covers the same number of frames, a power of two; the last covers the rest.
        settings: Settings of the frames.

    Returns:
        ``(states,)`` seconds from the utterance's first sample, rising.

    Example:
        >>> features = VoiceFeatures(torch.zeros(16, 39), torch.zeros(summary_size()), start_seconds=0.5)
        >>> state_times(features, 2, MfccSettings()).round(4).tolist()
        [0.5475, 0.6275]
    """
    frames = len(features.frames)
    group = 2 ** math.ceil(math.log2(frames / states)) if states else 1
    starts = np.arange(states) * group
    middles = (starts + np.minimum(starts + group, frames)) / 2
    # A frame's middle lies half a window after its start, not half a hop.
    first = features.start_seconds + (settings.window_seconds - settings.hop_seconds) / 2
    times: NDArray[np.float64] = first + middles * settings.hop_seconds
    return times
