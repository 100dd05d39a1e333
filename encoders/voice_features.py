"""What the audio encoder reads of an utterance: MFCC frames and a summary of prosody."""

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
from multimodal.encoders.prosody import PROSODY_FIELDS, prosody

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


SILENCE_DB = 35.0
"""Sound this far below the utterance's loudest 10 ms is silence where it stands at the ends, and is left out."""


MARGIN_SECONDS = 0.1
"""What is kept of that silence on either side."""


BATCH = 32


@dataclass(frozen=True)
class VoiceFeatures:
    """What is kept of an utterance until all of its speaker's have been heard.

    Attributes:
        frames: ``(frames, 39)`` float16: MFCCs, deltas, delta-deltas, a row per 10 ms.
        summary: ``(summary,)`` float32: ``summarize`` of the frames, then prosody.
        start_seconds: Where the first frame begins, counted from the utterance's first sample: silence was left out.
    """

    frames: Tensor
    summary: Tensor
    start_seconds: float = 0.0


def trim_silence(samples: Tensor, sample_rate: int) -> Tensor:
    """Leaves out silence at both ends, but for a short margin.

    Args:
        samples: ``(samples,)`` mono sound.
        sample_rate: Samples per second.

    Returns:
        The stretch in between, at least one window of 10 ms long where the input is.

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
    """Describes how MFCCs and their deltas are distributed over an utterance.

    Args:
        frames: ``(frames, 39)``, the coefficients first, then their deltas.
        coefficients: How many of them there are (13).

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

    Example:
        >>> summary_size() == 182 + len(PROSODY_FIELDS)
        True
    """
    return 2 * coefficients * (2 + len(QUANTILES)) + len(PROSODY_FIELDS)


@torch.inference_mode()
def voice_features(samples: Sequence[NDArray[np.float32]], mfcc: Mfcc) -> list[VoiceFeatures]:
    """Computes what the networks need of utterances.

    Args:
        samples: Mono sound of each, at the rate of ``mfcc``'s settings.
        mfcc: Its settings travel with the weights; it decides on the device.

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
        chosen = order[start : start + BATCH]
        lengths = torch.tensor([len(sounds[index]) for index in chosen], device=device)
        batch = pad_sequence([sounds[index] for index in chosen], batch_first=True)
        frames, counts = mfcc(batch, lengths)
        spoken = prosody(batch, lengths, settings.sample_rate)
        for row, index in enumerate(chosen):
            own = frames[row, : int(counts[row])]
            summary = torch.cat([summarize(own, settings.coefficients), spoken[row]])
            begin = places[index][0] / settings.sample_rate
            features[index] = VoiceFeatures(own.half().cpu(), summary.float().cpu(), begin)
    return [each for each in features if each is not None]


def state_times(features: VoiceFeatures, states: int, settings: MfccSettings) -> NDArray[np.float64]:
    """When each state of an utterance is: the middle of the frames that it stands for.

    Args:
        features: Of the utterance.
        states: How many the network gave. Each is of as many frames, a power of two, and the last of what is left.
        settings: Of the frames.

    Returns:
        ``(states,)`` seconds from the utterance's first sample, rising.

    Example:
        >>> heard = VoiceFeatures(torch.zeros(16, 39), torch.zeros(summary_size()), start_seconds=0.5)
        >>> state_times(heard, 2, MfccSettings()).round(4).tolist()
        [0.5475, 0.6275]
    """
    frames = len(features.frames)
    together = 2 ** math.ceil(math.log2(frames / states)) if states else 1
    starts = np.arange(states) * together
    middles = (starts + np.minimum(starts + together, frames)) / 2
    # A frame's middle lies half a window after its start, not half a hop.
    first = features.start_seconds + (settings.window_seconds - settings.hop_seconds) / 2
    times: NDArray[np.float64] = first + middles * settings.hop_seconds
    return times
