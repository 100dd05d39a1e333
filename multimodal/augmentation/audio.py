"""What happens to training voices: the ways in which an interview differs from acted speech in a studio.

Everything works on a whole batch at once, on whatever device the batch is, from one generator, so that an epoch can
be repeated exactly. What each change does to the sound stands in ``audio_effects``; here the amounts are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from multimodal.augmentation.audio_effects import (
    babble,
    band_limit,
    change_speed,
    change_tempo,
    clip,
    colored_noise,
    compand,
    mix,
    peaks,
    punch_holes,
    quantize,
    repeated,
    reverberate,
    room_responses,
    shortened,
    silence_after,
)
from multimodal.errors import ConfigError

NOISE_SLOPES = (0.0, 1.0, 2.0)
"""White, pink and brown, in equal parts."""
RANGES: dict[str, tuple[float, float]] = {
    "speed": (0.5, 2.0),
    "tempo": (0.5, 2.0),
    "pitch_semitones": (-12.0, 12.0),
    "babble_db": (-40.0, 120.0),
    "echo_seconds": (0.01, 5.0),
    "echo_ratio_db": (-40.0, 120.0),
    "noise_db": (-40.0, 120.0),
    "bass_cut_hz": (1.0, 100_000.0),
    "treble_cut_hz": (1.0, 100_000.0),
    "holes_db": (-120.0, 20.0),
    "clipping_level": (0.01, 1.0),
    "gain_db": (-80.0, 80.0),
    "quantization_bits": (2.0, 24.0),
    "compand_bits": (2.0, 16.0),
    "time_mask": (0.0, 1.0),
    "feature_mask": (0.0, 1.0),
}
"""What the two ends ``lowest_…`` and ``highest_…`` of each amount may be."""
MOST_MASKS = 100
"""Stripes per clip and direction beyond which a number is a mistake."""


@dataclass(frozen=True)
class AudioAugmentation:
    """How often and how strongly voices are changed.

    A share is that of the clips that get this change. Each draws its own amount, evenly from the lowest to the
    highest. The order is that of the world: the voice, people near it, the room, noise, the microphone, the codec.

    Attributes:
        changed_share: Share of the clips that are changed at all; the other shares are of these.
        speed_share: Clips played faster or slower as a tape, pitch and pace together.
        lowest_speed: Slowest, as a factor of the pace.
        highest_speed: Fastest.
        tempo_share: Clips spoken faster or slower at the same pitch.
        lowest_tempo: Slowest, as a factor of the pace.
        highest_tempo: Fastest.
        pitch_share: Clips spoken higher or lower at the same pace, as by a smaller or larger speaker.
        lowest_pitch_semitones: Farthest down.
        highest_pitch_semitones: Farthest up.
        babble_share: Clips with other clips of the batch talking behind them.
        lowest_babble_db: Loudest babble, as the power of the voice over it.
        highest_babble_db: Faintest.
        echo_share: Clips in a room.
        lowest_echo_seconds: Shortest time in which the echo falls by 60 dB.
        highest_echo_seconds: Longest.
        lowest_echo_ratio_db: Farthest from the microphone, as the energy of direct sound over that of all echo.
        highest_echo_ratio_db: Nearest.
        noise_share: Clips with white, pink or brown noise.
        lowest_noise_db: Loudest noise, as the power of the voice over it.
        highest_noise_db: Faintest.
        telephone_share: Clips limited to the band of the telephone.
        telephone_low_hz: Its lower edge.
        telephone_high_hz: Its upper edge.
        bass_cut_share: Clips without the lowest sounds, as small microphones record.
        lowest_bass_cut_hz: Lowest edge, where 3 dB are lost.
        highest_bass_cut_hz: Highest.
        treble_cut_share: Clips without the highest sounds.
        lowest_treble_cut_hz: Lowest edge, where 3 dB are lost.
        highest_treble_cut_hz: Highest.
        holes_share: Clips with holes in their spectrum, as codecs at low rates make them.
        lowest_holes_db: Fewest holes: what is weaker than this, against its band of 1 kHz, is dropped.
        highest_holes_db: Most.
        clipping_share: Clips with their peaks cut off.
        lowest_clipping_level: Least that is left, as a share of the largest sample.
        highest_clipping_level: Most.
        gain_share: Clips made louder or softer; none is made louder than full scale by any change.
        lowest_gain_db: Softest.
        highest_gain_db: Loudest.
        quantization_share: Clips rounded to few levels, even up to their own peak.
        lowest_quantization_bits: Fewest bits per sample.
        highest_quantization_bits: Most.
        compand_share: Clips rounded by the mu-law of telephones.
        lowest_compand_bits: Fewest bits per sample; the telephone has 8.
        highest_compand_bits: Most.
        time_mask_share: Clips in whose features stretches of time are covered.
        time_masks: Stretches in each of them.
        lowest_time_mask: Shortest stretch, as a share of the clip's own frames.
        highest_time_mask: Longest.
        feature_mask_share: Clips in which neighboring features are covered all through.
        feature_masks: Groups of neighbors in each of them.
        lowest_feature_mask: Smallest group, as a share of all features.
        highest_feature_mask: Largest.

    Raises:
        ConfigError: A value out of its range, or a lowest above its highest.

    Example:
        >>> AudioAugmentation(echo_share=0.5).echo_share
        0.5
        >>> AudioAugmentation(echo_share=2.0)
        Traceback (most recent call last):
        multimodal.errors.ConfigError: echo_share: is 2; give a number from 0 to 1
    """

    changed_share: float = 0.8
    speed_share: float = 0.3
    lowest_speed: float = 0.9
    highest_speed: float = 1.1
    tempo_share: float = 0.1
    lowest_tempo: float = 0.9
    highest_tempo: float = 1.1
    pitch_share: float = 0.1
    lowest_pitch_semitones: float = -1.5
    highest_pitch_semitones: float = 1.5
    babble_share: float = 0.1
    lowest_babble_db: float = 8.0
    highest_babble_db: float = 25.0
    echo_share: float = 0.3
    lowest_echo_seconds: float = 0.15
    highest_echo_seconds: float = 0.7
    lowest_echo_ratio_db: float = -2.0
    highest_echo_ratio_db: float = 15.0
    noise_share: float = 0.3
    lowest_noise_db: float = 5.0
    highest_noise_db: float = 35.0
    telephone_share: float = 0.05
    telephone_low_hz: float = 300.0
    telephone_high_hz: float = 3400.0
    bass_cut_share: float = 0.15
    lowest_bass_cut_hz: float = 80.0
    highest_bass_cut_hz: float = 300.0
    treble_cut_share: float = 0.15
    lowest_treble_cut_hz: float = 2500.0
    highest_treble_cut_hz: float = 7000.0
    holes_share: float = 0.15
    lowest_holes_db: float = -12.0
    highest_holes_db: float = -3.0
    clipping_share: float = 0.1
    lowest_clipping_level: float = 0.3
    highest_clipping_level: float = 0.9
    gain_share: float = 0.33
    lowest_gain_db: float = -15.0
    highest_gain_db: float = 6.0
    quantization_share: float = 0.05
    lowest_quantization_bits: float = 7.0
    highest_quantization_bits: float = 11.0
    compand_share: float = 0.1
    lowest_compand_bits: float = 6.0
    highest_compand_bits: float = 8.0
    time_mask_share: float = 0.33
    time_masks: int = 2
    lowest_time_mask: float = 0.02
    highest_time_mask: float = 0.12
    feature_mask_share: float = 0.33
    feature_masks: int = 1
    lowest_feature_mask: float = 0.03
    highest_feature_mask: float = 0.15

    def __post_init__(self) -> None:
        for key in (name for name in self.__dataclass_fields__ if name.endswith("_share")):
            self._check(key, 0.0, 1.0)
        for key, (least, most) in RANGES.items():
            self._check(f"highest_{key}", least, most)
            self._check(f"lowest_{key}", least, getattr(self, f"highest_{key}"))
        least, most = RANGES["treble_cut_hz"]
        self._check("telephone_high_hz", least, most)
        self._check("telephone_low_hz", least, self.telephone_high_hz)
        self._check("time_masks", 0, MOST_MASKS)
        self._check("feature_masks", 0, MOST_MASKS)

    def _check(self, key: str, least: float, most: float) -> None:
        value = getattr(self, key)
        if not least <= value <= most:  # false for a value that is not a number, too
            raise ConfigError(key, f"is {value:g}", f"give a number from {least:g} to {most:g}")


def augment_waveforms(
    samples: Tensor, lengths: Tensor, settings: AudioAugmentation, generator: Generator, sample_rate: int = 16000
) -> tuple[Tensor, Tensor]:
    """Changes each clip at random: its pace and pitch, people and echo around it, noise, microphone, codec.

    How far a batch is padded changes nothing. The other clips reach one only as babble.

    Args:
        samples: ``(batch, n)`` floating point -1 … 1, padded with anything.
        lengths: ``(batch,)`` samples per clip, at least 1.
        settings: How often and how strongly.
        generator: On the device of ``samples``.
        sample_rate: In Hz.

    Returns:
        Samples ``(batch, longest new length)`` float32, 0 after each clip's end, -1 … 1 unless a clip went beyond
        that before; and the new lengths ``(batch,)``.

    Example:
        >>> clips, lengths = torch.zeros(2, 16000), torch.tensor([16000, 9000])
        >>> plain = AudioAugmentation(speed_share=0.0, tempo_share=0.0)
        >>> changed, lengths = augment_waveforms(clips, lengths, plain, torch.Generator().manual_seed(0))
        >>> changed.shape, lengths
        (torch.Size([2, 16000]), tensor([16000,  9000]))
    """
    samples = silence_after(samples[:, : int(lengths.max())].float(), lengths)
    ceiling = peaks(samples).clamp(min=1)
    draws = _Draws(len(samples), settings.changed_share, generator)
    samples, lengths = _speak(samples, lengths, settings, draws)
    samples = _surround(samples, lengths, settings, draws, sample_rate)
    samples = _record(samples, lengths, settings, draws, sample_rate)
    loudest = peaks(samples)
    samples = torch.where(loudest > ceiling, samples * (ceiling / loudest.clamp(min=1)), samples)
    return _encode(samples, lengths, settings, draws), lengths


class _Draws:
    """Draws which clips are changed and how much; all shapes depend on the number of clips alone."""

    def __init__(self, clips: int, changed_share: float, generator: Generator) -> None:
        self.clips = clips
        self.generator = generator
        self.touched = self.uniform(clips, 0, 1) < changed_share

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """Even draws from low … high, ``(count,)``."""
        return torch.rand(count, generator=self.generator, device=self.generator.device) * (high - low) + low

    def happens(self, share: float) -> Tensor:
        """True for a share of the clips that are changed at all, ``(clips,)``."""
        return (self.uniform(self.clips, 0, 1) < share) & self.touched

    def change(
        self,
        samples: Tensor,
        lengths: Tensor,
        happens: Tensor,
        effect: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Replaces clips by ``effect(samples, lengths, chosen)`` of them, ``chosen`` being their numbers."""
        chosen = happens.nonzero().squeeze(1)
        if not len(chosen):  # an empty batch is more than some transforms take
            return samples
        changed = effect(samples[chosen], lengths[chosen], chosen)
        return samples.index_copy(0, chosen, silence_after(changed, lengths[chosen]))

    def factors(self, share: float, low: float, high: float) -> Tensor:
        """A factor per clip, 1 where the change does not happen, ``(clips,)``."""
        return torch.where(self.happens(share), self.uniform(self.clips, low, high), 1.0)


def _speak(samples: Tensor, lengths: Tensor, settings: AudioAugmentation, draws: _Draws) -> tuple[Tensor, Tensor]:
    """Pace and pitch: a change of tempo with one of speed against it is one of pitch."""
    speed = draws.factors(settings.speed_share, settings.lowest_speed, settings.highest_speed)
    tempo = draws.factors(settings.tempo_share, settings.lowest_tempo, settings.highest_tempo)
    semitones = (settings.lowest_pitch_semitones, settings.highest_pitch_semitones)
    pitch = draws.factors(settings.pitch_share, *(2 ** (number / 12) for number in semitones))
    wanted = shortened(lengths, speed * tempo)
    vocoded = tempo / pitch
    chosen = (vocoded != 1).nonzero().squeeze(1)
    if len(chosen):
        changed, changed_lengths = change_tempo(samples[chosen], lengths[chosen], vocoded[chosen])
        samples, lengths = _replaced(samples, chosen, changed), lengths.index_copy(0, chosen, changed_lengths)
    factors = speed * pitch
    chosen = (factors != 1).nonzero().squeeze(1)
    if len(chosen):
        changed = change_speed(samples[chosen], lengths[chosen], factors[chosen], wanted[chosen])
        samples = _replaced(samples, chosen, changed)
    return silence_after(samples[:, : int(wanted.max())], wanted), wanted


def _replaced(samples: Tensor, chosen: Tensor, changed: Tensor) -> Tensor:
    """Puts changed clips, which may be longer or shorter, in the place of the chosen ones."""
    width = max(samples.shape[1], changed.shape[1])
    widened = functional.pad(samples, (0, width - samples.shape[1]))
    return widened.index_copy(0, chosen, functional.pad(changed, (0, width - changed.shape[1])))


def _surround(samples: Tensor, lengths: Tensor, settings: AudioAugmentation, draws: _Draws, sample_rate: int) -> Tensor:
    """Other people, the room, and noise of no direction."""
    voices, generator, device = samples, draws.generator, samples.device

    def with_people(part: Tensor, part_lengths: Tensor, chosen: Tensor) -> Tensor:
        ratio_db = draws.uniform(len(part), settings.lowest_babble_db, settings.highest_babble_db)
        return mix(part, part_lengths, babble(voices, lengths, chosen, generator), ratio_db)

    def in_room(part: Tensor, part_lengths: Tensor, _: Tensor) -> Tensor:
        seconds = draws.uniform(len(part), settings.lowest_echo_seconds, settings.highest_echo_seconds)
        ratio_db = draws.uniform(len(part), settings.lowest_echo_ratio_db, settings.highest_echo_ratio_db)
        size = max(round(settings.highest_echo_seconds * sample_rate), 2)
        return reverberate(part, part_lengths, room_responses(seconds, ratio_db, size, sample_rate, generator))

    def with_noise(part: Tensor, part_lengths: Tensor, _: Tensor) -> Tensor:
        slopes = torch.tensor(NOISE_SLOPES, device=device)[draws.uniform(len(part), 0, len(NOISE_SLOPES)).long()]
        ratio_db = draws.uniform(len(part), settings.lowest_noise_db, settings.highest_noise_db)
        noise = repeated(colored_noise(slopes, sample_rate, generator), part.shape[1])
        return mix(part, part_lengths, noise, ratio_db)

    # A clip by itself has nobody to talk behind it.
    people = settings.babble_share if len(samples) > 1 else 0.0
    samples = draws.change(samples, lengths, draws.happens(people), with_people)
    samples = draws.change(samples, lengths, draws.happens(settings.echo_share), in_room)
    return draws.change(samples, lengths, draws.happens(settings.noise_share), with_noise)


def _record(samples: Tensor, lengths: Tensor, settings: AudioAugmentation, draws: _Draws, sample_rate: int) -> Tensor:
    """The microphone's band, a codec on the way, and the level of the recording."""
    low_hz, high_hz = _band(settings, draws)

    def in_band(part: Tensor, _: Tensor, chosen: Tensor) -> Tensor:
        return band_limit(part, low_hz[chosen], high_hz[chosen], sample_rate)

    def with_holes(part: Tensor, _: Tensor, __: Tensor) -> Tensor:
        return punch_holes(part, draws.uniform(len(part), settings.lowest_holes_db, settings.highest_holes_db))

    def clipped(part: Tensor, _: Tensor, __: Tensor) -> Tensor:
        return clip(part, draws.uniform(len(part), settings.lowest_clipping_level, settings.highest_clipping_level))

    def amplified(part: Tensor, _: Tensor, __: Tensor) -> Tensor:
        gain_db = draws.uniform(len(part), settings.lowest_gain_db, settings.highest_gain_db)
        return part * 10 ** (gain_db[:, None] / 20)

    samples = draws.change(samples, lengths, (low_hz > 0) | high_hz.isfinite(), in_band)
    samples = draws.change(samples, lengths, draws.happens(settings.holes_share), with_holes)
    samples = draws.change(samples, lengths, draws.happens(settings.clipping_share), clipped)
    return draws.change(samples, lengths, draws.happens(settings.gain_share), amplified)


def _band(settings: AudioAugmentation, draws: _Draws) -> tuple[Tensor, Tensor]:
    """Edges in Hz, ``(clips,)`` each: 0 and infinity for none, the narrower where two kinds meet."""
    bass = draws.uniform(draws.clips, settings.lowest_bass_cut_hz, settings.highest_bass_cut_hz)
    treble = draws.uniform(draws.clips, settings.lowest_treble_cut_hz, settings.highest_treble_cut_hz)
    telephone = draws.happens(settings.telephone_share)
    low_hz = torch.where(draws.happens(settings.bass_cut_share), bass, 0.0)
    high_hz = torch.where(draws.happens(settings.treble_cut_share), treble, math.inf)
    low_hz = torch.where(telephone, low_hz.clamp(min=settings.telephone_low_hz), low_hz)
    return low_hz, torch.where(telephone, high_hz.clamp(max=settings.telephone_high_hz), high_hz)


def _encode(samples: Tensor, lengths: Tensor, settings: AudioAugmentation, draws: _Draws) -> Tensor:
    """Rounding to few levels, even or by the telephone's curve."""

    def rounded(part: Tensor, _: Tensor, __: Tensor) -> Tensor:
        low, high = settings.lowest_quantization_bits, settings.highest_quantization_bits
        return quantize(part, draws.uniform(len(part), low, high))

    def companded(part: Tensor, _: Tensor, __: Tensor) -> Tensor:
        return compand(part, draws.uniform(len(part), settings.lowest_compand_bits, settings.highest_compand_bits))

    samples = draws.change(samples, lengths, draws.happens(settings.quantization_share), rounded)
    return draws.change(samples, lengths, draws.happens(settings.compand_share), companded)


def mask_features(features: Tensor, lengths: Tensor, settings: AudioAugmentation, generator: Generator) -> Tensor:
    """Covers stretches of time and groups of neighboring features with the clip's own means.

    Means, not zeros: before normalization a zero would be an outlier, and it would tell where the cover is.

    Args:
        features: ``(batch, frames, features)``.
        lengths: ``(batch,)`` frames per clip, at least 1.
        settings: How often and how much.
        generator: On the device of ``features``.

    Returns:
        ``(batch, frames, features)``; frames after a clip's end are left as they are.

    Example:
        >>> ramp = torch.arange(10.0)[None, :, None]
        >>> half = AudioAugmentation(time_mask_share=1, time_masks=1, lowest_time_mask=0.5, highest_time_mask=0.5)
        >>> covered = mask_features(ramp, torch.tensor([10]), half, torch.Generator().manual_seed(0))
        >>> int((covered == 4.5).sum()) >= 5
        True

    Source:
        Park et al. 2019, "SpecAugment" (arXiv 1904.08779), without the warping of time.
    """
    draws = _Draws(len(features), settings.changed_share, generator)
    own = (torch.arange(features.shape[1], device=features.device) < lengths[:, None])[:, :, None]
    means = features.masked_fill(~own, 0).sum(dim=1, keepdim=True) / lengths.clamp(min=1)[:, None, None]
    widths = (settings.lowest_time_mask, settings.highest_time_mask)
    time = _stripes(lengths, features.shape[1], settings.time_mask_share, settings.time_masks, widths, draws)
    all_features = torch.full_like(lengths, features.shape[2])
    widths = (settings.lowest_feature_mask, settings.highest_feature_mask)
    share, masks = settings.feature_mask_share, settings.feature_masks
    groups = _stripes(all_features, features.shape[2], share, masks, widths, draws)
    return torch.where((time[:, :, None] | groups[:, None, :]) & own, means, features)


def _stripes(
    extents: Tensor, size: int, share: float, count: int, widths: tuple[float, float], draws: _Draws
) -> Tensor:
    """True inside ``count`` stripes, each a share of its clip's extent wide and wholly within it, ``(clips, size)``."""
    happens = draws.happens(share)
    place = torch.arange(size, device=extents.device)
    inside = torch.zeros(len(extents), size, dtype=torch.bool, device=extents.device)
    for _ in range(count):
        width = (draws.uniform(len(extents), *widths) * extents).round()
        start = (draws.uniform(len(extents), 0, 1) * (extents - width + 1)).floor()
        inside |= (place >= start[:, None]) & (place < (start + width)[:, None])
    return inside & happens[:, None]
