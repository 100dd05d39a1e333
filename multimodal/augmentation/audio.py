"""Audio augmentation: simulates the differences between interviews and acted speech in a studio.

Here the amounts are drawn, a clip at a time and from one generator, so that a training can be repeated exactly;
``audio_effects`` changes the sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from multimodal.augmentation.audio_effects import (
    add_noise,
    check_librosa,
    colored_noise,
    limit_band,
    reverberate,
    room_response,
    shift_pitch,
    stretch_time,
)
from multimodal.errors import ConfigError

NOISE_SLOPES = (0.0, 1.0, 2.0)
"""White, pink and brown, in equal parts."""
RANGES: dict[str, tuple[float, float]] = {
    "time_stretch": (0.5, 2.0),
    "pitch_shift_semitones": (-12.0, 12.0),
    "decay_seconds": (0.01, 5.0),
    "direct_db": (-40.0, 120.0),
    "noise_db": (-40.0, 120.0),
    "low_cut_hz": (1.0, 100_000.0),
    "high_cut_hz": (1.0, 100_000.0),
}
"""Limits of both ends, ``lowest_…`` and ``highest_…``, of each amount."""
MOST_MASKS = 100
"""More masks per clip and direction are a mistake."""


@dataclass(frozen=True)
class AudioAugmentation:
    """How often and how strongly voices are changed.

    A share is the share of the clips that get a change. The amount is drawn evenly from the lowest to the highest.
    The order is that of a recording: the voice, the room, noise, the microphone. The two shares that need librosa are
    0 unless they are given, since inference and other trainings do without it. What each kind brings is in
    ``docs/log.md``.

    Attributes:
        changed_share: Share of the clips that are changed at all; the other shares are of these.
        time_stretch_share: Clips spoken faster or slower at the same pitch; above 0 needs librosa.
        lowest_time_stretch: Slowest, as a factor of the pace.
        highest_time_stretch: Fastest.
        pitch_shift_share: Clips spoken higher or lower at the same pace; above 0 needs librosa.
        lowest_pitch_shift_semitones: Farthest down.
        highest_pitch_shift_semitones: Farthest up.
        reverberation_share: Clips in a room.
        lowest_decay_seconds: Shortest time in which the echo falls by 60 dB.
        highest_decay_seconds: Longest.
        lowest_direct_db: Farthest from the microphone, as the energy of direct sound over that of all echo.
        highest_direct_db: Nearest.
        noise_share: Clips with white, pink or brown noise.
        lowest_noise_db: Loudest noise, as the power of the voice over it.
        highest_noise_db: Faintest.
        low_cut_share: Clips without the lowest sounds, as small microphones and telephones record.
        lowest_low_cut_hz: Lowest edge, where 3 dB are lost.
        highest_low_cut_hz: Highest.
        high_cut_share: Clips without the highest sounds.
        lowest_high_cut_hz: Lowest edge, where 3 dB are lost.
        highest_high_cut_hz: Highest.
        time_mask_share: Clips with masked spans of time in their features.
        time_masks: Spans in each of them.
        longest_time_mask: Longest span, as a share of the clip's frames.
        feature_mask_share: Clips with masked neighboring features.
        feature_masks: Groups of neighbors in each of them.
        widest_feature_mask: Largest group, as a share of all features.

    Raises:
        ConfigError: A value is out of its range, or a lowest is above its highest.

    Example:
        >>> AudioAugmentation(noise_share=0.5).noise_share
        0.5
        >>> AudioAugmentation(noise_share=2.0)
        Traceback (most recent call last):
        multimodal.errors.ConfigError: noise_share: is 2; give a number from 0 to 1
    """

    changed_share: float = 0.8
    time_stretch_share: float = 0.0
    lowest_time_stretch: float = 0.85
    highest_time_stretch: float = 1.18
    pitch_shift_share: float = 0.0
    lowest_pitch_shift_semitones: float = -2.0
    highest_pitch_shift_semitones: float = 2.0
    reverberation_share: float = 0.2
    lowest_decay_seconds: float = 0.15
    highest_decay_seconds: float = 0.7
    lowest_direct_db: float = -2.0
    highest_direct_db: float = 15.0
    noise_share: float = 0.2
    lowest_noise_db: float = 5.0
    highest_noise_db: float = 35.0
    low_cut_share: float = 0.2
    lowest_low_cut_hz: float = 80.0
    highest_low_cut_hz: float = 300.0
    high_cut_share: float = 0.2
    lowest_high_cut_hz: float = 2500.0
    highest_high_cut_hz: float = 7000.0
    time_mask_share: float = 0.33
    time_masks: int = 2
    longest_time_mask: float = 0.12
    feature_mask_share: float = 0.33
    feature_masks: int = 1
    widest_feature_mask: float = 0.15

    def __post_init__(self) -> None:
        for key in (name for name in self.__dataclass_fields__ if name.endswith(("_share", "_mask"))):
            self._check(key, 0.0, 1.0)
        for key, (least, most) in RANGES.items():
            self._check(f"highest_{key}", least, most)
            self._check(f"lowest_{key}", least, getattr(self, f"highest_{key}"))
        self._check("time_masks", 0, MOST_MASKS)
        self._check("feature_masks", 0, MOST_MASKS)

    def _check(self, key: str, least: float, most: float) -> None:
        value = getattr(self, key)
        if not least <= value <= most:  # false for NaN too
            raise ConfigError(key, f"is {value:g}", f"give a number from {least:g} to {most:g}")

    def check_libraries(self) -> None:
        """Checks that the libraries that the shares need are installed, before hours of work and not after.

        Raises:
            DependencyError: Time stretch or pitch shift is on and librosa is not installed.
        """
        if self.changed_share and (self.time_stretch_share or self.pitch_shift_share):
            check_librosa()


def augment_waveform(
    samples: Tensor, settings: AudioAugmentation, generator: Generator, sample_rate: int = 16000
) -> Tensor:
    """Changes a clip at random: its pace and pitch, the room, noise, the microphone.

    Args:
        samples: ``(n,)`` floating point -1 … 1, on the CPU.
        settings: How often and how strongly.
        generator: On the CPU.
        sample_rate: In Hz.

    Returns:
        ``(m,)`` float32, -1 … 1 unless the clip went beyond that before.

    Raises:
        DependencyError: Time stretch or pitch shift is on and librosa is not installed.

    Example:
        >>> clip = torch.zeros(16000)
        >>> augment_waveform(clip, AudioAugmentation(), torch.Generator().manual_seed(0)).shape
        torch.Size([16000])
    """

    def uniform(low: float, high: float) -> float:
        return float(torch.rand((), generator=generator)) * (high - low) + low

    def happens(share: float) -> bool:
        return uniform(0.0, 1.0) < share

    samples = samples.float()
    if not happens(settings.changed_share) or not len(samples):
        return samples
    ceiling = max(_peak(samples), 1.0)
    if happens(settings.pitch_shift_share):
        semitones = uniform(settings.lowest_pitch_shift_semitones, settings.highest_pitch_shift_semitones)
        samples = shift_pitch(samples, semitones, sample_rate)
    if happens(settings.time_stretch_share):
        samples = stretch_time(samples, uniform(settings.lowest_time_stretch, settings.highest_time_stretch))
    if happens(settings.reverberation_share):
        decay_seconds = uniform(settings.lowest_decay_seconds, settings.highest_decay_seconds)
        direct_db = uniform(settings.lowest_direct_db, settings.highest_direct_db)
        samples = reverberate(samples, room_response(decay_seconds, direct_db, sample_rate, generator))
    if happens(settings.noise_share):
        slope = NOISE_SLOPES[int(torch.randint(len(NOISE_SLOPES), (), generator=generator))]
        noise = colored_noise(len(samples), slope, sample_rate, generator)
        samples = add_noise(samples, noise, uniform(settings.lowest_noise_db, settings.highest_noise_db))
    low_hz = uniform(settings.lowest_low_cut_hz, settings.highest_low_cut_hz)
    high_hz = uniform(settings.lowest_high_cut_hz, settings.highest_high_cut_hz)
    low_hz = low_hz if happens(settings.low_cut_share) else 0.0
    high_hz = high_hz if happens(settings.high_cut_share) else sample_rate / 2
    samples = limit_band(samples, low_hz, high_hz, sample_rate)
    return samples * (ceiling / max(_peak(samples), ceiling))


def _peak(samples: Tensor) -> float:
    return float(samples.abs().amax())


def mask_features(features: Tensor, lengths: Tensor, settings: AudioAugmentation, generator: Generator) -> Tensor:
    """Masks spans of time and groups of neighboring features of clips with 0, the mean of standardized features.

    Args:
        features: ``(batch, frames, features)`` standardized, on the CPU.
        lengths: ``(batch,)`` frames of each clip.
        settings: How often and how much.
        generator: On the CPU.

    Returns:
        ``(batch, frames, features)``.

    Example:
        >>> always = AudioAugmentation(changed_share=1, time_mask_share=1, longest_time_mask=0.5)
        >>> generator = torch.Generator().manual_seed(0)
        >>> masked = mask_features(torch.ones(1, 100, 39), torch.tensor([100]), always, generator)
        >>> 0 < int((masked == 0).all(dim=2).sum()) <= 100
        True

    Source:
        Park et al. 2019, "SpecAugment" (arXiv 1904.08779), without the warping of time.
    """
    clips, frames, size = features.shape
    changed, in_time, in_features = torch.rand(3, clips, generator=generator)
    is_changed = changed < settings.changed_share
    kinds = (
        (in_time < settings.time_mask_share, settings.time_masks, settings.longest_time_mask, lengths, frames),
        (
            in_features < settings.feature_mask_share,
            settings.feature_masks,
            settings.widest_feature_mask,
            torch.full_like(lengths, size),
            size,
        ),
    )
    keep = torch.ones(clips, frames, size, dtype=torch.bool)
    for axis, (happens, masks, widest, sizes, positions) in enumerate(kinds):
        for _ in range(masks):
            width, place = torch.rand(2, clips, generator=generator)
            width = width * (widest * sizes).round()  # as torchaudio: an even width, then an even place
            first = (place * (sizes - width)).floor()
            last = first + width.floor()
            place_of = torch.arange(positions)[None]
            hidden = (place_of >= first[:, None]) & (place_of < last[:, None]) & (happens & is_changed)[:, None]
            keep &= ~(hidden[:, :, None] if axis == 0 else hidden[:, None, :])
    return features * keep
