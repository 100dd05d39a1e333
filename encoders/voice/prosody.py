"""Prosody of a clip of speech in numbers: melody, loudness, voice quality, pace and pauses.

All in torch, batched; a clip has the same values alone and in a padded batch.

Only ``energy_mean_db`` depends on the level of the recording; every other field is unchanged by gain, as long as the
speech stays above ``pitch.SILENCE_DB`` and below clipping. Silence around the speech changes little:
shares, pauses and duration are counted from the first to the last frame of speech.

Source: the choice of fields after Eyben et al. 2016 (eGeMAPS, 10.1109/TAFFC.2015.2457417) and the pitch, voicing and
loudness contours of Yoon et al. 2018 (arXiv 1810.04635); peaks of loudness for syllables after de Jong and Wempe 2009
(10.3758/BRM.41.2.385).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from multimodal.encoders.framing import cut_frames, padding_mask
from multimodal.encoders.voice.pitch import (
    FRAMES_AT_ONCE,
    SILENCE_DB,
    Grid,
    energy_db,
    pitch_of,
    quantiles,
    remove_offset,
)
from multimodal.encoders.voice.pitch import pitch as pitch

SEMITONES_RE_HZ = 27.5
"""Pitch in semitones counts from here, the piano's lowest A, as in eGeMAPS: 100 Hz is 22.35, 200 Hz is 34.35."""

USUAL_SEMITONES = 30.0
"""Pitch of a clip without voice: 155.6 Hz, between men and women; its ``voiced_share`` is 0."""

FRAMES_PER_SECOND = 100.0

PROSODY_FIELDS: tuple[str, ...] = (
    "pitch_mean_semitones",
    "pitch_deviation_semitones",
    "pitch_low_semitones",
    "pitch_median_semitones",
    "pitch_high_semitones",
    "pitch_range_semitones",
    "pitch_slope_semitones_per_second",
    "pitch_change_semitones_per_second",
    "pitch_end_semitones",
    "pitch_jitter_semitones",
    "voiced_share",
    "voiced_run_seconds",
    "voicing_mean",
    "harmonics_to_noise_db",
    "energy_mean_db",
    "energy_deviation_db",
    "energy_range_db",
    "energy_slope_db_per_second",
    "energy_change_db_per_second",
    "energy_end_db",
    "energy_shimmer_db",
    "spectral_centroid_octaves",
    "spectral_centroid_deviation_octaves",
    "spectral_tilt_db",
    "spectral_tilt_deviation_db",
    "spectral_balance_db",
    "spectral_flux",
    "speaking_rate_per_second",
    "pause_share",
    "pause_mean_seconds",
    "pauses_per_second",
    "duration_log_seconds",
)
"""The fields of ``prosody`` in order, with their units; ``prosody`` explains them."""

PAUSE_DEPTH_DB = 25.0
"""A frame this far below the clip's loud ones (their 95th percentile) is a pause, as in de Jong and Wempe 2009 …"""

NOISE_MARGIN_DB = 6.0
"""… or one this little above the clip's floor (the 5th percentile), where noise fills the pauses; but never …"""

LEAST_DEPTH_DB = 12.0
"""… one less than this below the loud ones: even speech has no pauses."""

SHORTEST_PAUSE_FRAMES = 15
"""0.15 s; shorter gaps are the closures of consonants."""

SYLLABLE_DIP_DB = 2.0
"""How far loudness falls on both sides of a syllable, as in de Jong and Wempe 2009."""

END_FRAMES = 30
"""The last 0.3 s of voice or speech; its rise or fall differs between statements, questions and sighs."""


class _Contours(NamedTuple):
    """Features of each frame, ``(batch, frames)``."""

    counts: Tensor  # (batch,) frames
    valid: Tensor  # bool
    hertz: Tensor  # 0 where unvoiced
    voicing: Tensor
    energy: Tensor  # decibels of full scale
    speech: Tensor  # bool: loud enough
    loudest: Tensor  # (batch,) decibels


def _contours(clean: Tensor, lengths: Tensor, grid: Grid) -> _Contours:
    energy, counts = energy_db(clean, lengths, grid)
    valid = padding_mask(counts, energy.shape[1])
    hertz, voicing = pitch_of(clean, energy, valid, grid)
    quietest, loudest = quantiles(energy, valid, (0.05, 0.95))
    # In this order: the lower bound of the threshold first, the upper one last.
    threshold = torch.minimum(
        torch.maximum(quietest + NOISE_MARGIN_DB, loudest - PAUSE_DEPTH_DB), loudest - LEAST_DEPTH_DB
    )
    speech = valid & (energy > threshold.clamp(min=SILENCE_DB).unsqueeze(1))
    return _Contours(counts, valid, hertz, voicing, energy, speech, loudest)


def _semitones(hertz: Tensor) -> Tensor:
    return 12 * (hertz.clamp(min=1.0) / SEMITONES_RE_HZ).log2()


def _mean(values: Tensor, mask: Tensor, otherwise: float = 0.0) -> Tensor:
    """Mean of the marked values of each item ``(batch,)``."""
    count = mask.sum(1)
    return torch.where(count > 0, (values * mask).sum(1) / count.clamp(min=1), otherwise)


def _deviation(values: Tensor, mask: Tensor) -> Tensor:
    return _mean((values - _mean(values, mask).unsqueeze(1)).square(), mask).sqrt()


def _slope(values: Tensor, mask: Tensor) -> Tensor:
    """Least squares, per second; 0 for less than two marked frames."""
    seconds = (torch.arange(values.shape[1], device=values.device) / FRAMES_PER_SECOND).expand_as(values)
    times = seconds - _mean(seconds, mask).unsqueeze(1)
    spread = (times.square() * mask).sum(1)
    return (times * (values - _mean(values, mask).unsqueeze(1)) * mask).sum(1) / spread.clamp(min=1e-6)


def _change(values: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute change between neighboring marked frames, per second."""
    return _mean(values.diff(dim=1).abs(), mask[:, 1:] & mask[:, :-1]) * FRAMES_PER_SECOND


def _roughness(values: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute distance of a marked frame from the mean of its two marked neighbors."""
    return _mean(values.diff(n=2, dim=1).abs() / 2, mask[:, 2:] & mask[:, 1:-1] & mask[:, :-2])


def _end(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the last ``END_FRAMES`` marked frames less the mean of all."""
    left = mask.sum(1, keepdim=True) - mask.cumsum(1)
    return _mean(values, mask & (left < END_FRAMES)) - _mean(values, mask)


def _pitch_fields(contours: _Contours) -> list[Tensor]:
    voiced = contours.hertz > 0
    tones = _semitones(contours.hertz)
    points = quantiles(tones, voiced, (0.05, 0.5, 0.95))
    low, median, high = torch.where(voiced.any(1), points, USUAL_SEMITONES)
    mean = _mean(tones, voiced, USUAL_SEMITONES)
    movement = [_slope(tones, voiced), _change(tones, voiced), _end(tones, voiced), _roughness(tones, voiced)]
    return [mean, _deviation(tones, voiced), low, median, high, high - low, *movement]


def _voice_fields(contours: _Contours) -> list[Tensor]:
    voiced, speech = contours.hertz > 0, contours.speech
    starts = voiced.sum(1) - (voiced[:, 1:] & voiced[:, :-1]).sum(1)
    run = voiced.sum(1) / starts.clamp(min=1) / FRAMES_PER_SECOND
    repeating = contours.voicing.clamp(0.01, 0.999)  # -20 to 30 dB, what the method can tell
    harmonics = 10 * (repeating / (1 - repeating)).log10()
    return [_mean(voiced.float(), speech), run, _mean(contours.voicing, speech), _mean(harmonics, voiced)]


def _energy_fields(contours: _Contours) -> list[Tensor]:
    energy, speech = contours.energy, contours.speech
    low, high = quantiles(energy, speech, (0.05, 0.95))
    mean = torch.where(speech.any(1), _mean(energy, speech), _mean(energy, contours.valid))
    movement = [_slope(energy, speech), _change(energy, speech), _end(energy, speech)]
    return [mean, _deviation(energy, speech), high - low, *movement, _roughness(energy, contours.hertz > 0)]


def _spectral_frames(frames: Tensor, grid: Grid) -> Tensor:
    """Centroid, tilt, balance and flux of frames ``(batch, frames, window)``, as ``(4, batch, frames)``."""
    size = 1 << (grid.window - 1).bit_length()
    spectrum = torch.fft.rfft(frames * torch.hann_window(grid.window, device=frames.device), n=size)
    hertz = torch.arange(spectrum.shape[2], device=frames.device) * (grid.sample_rate / size)
    inside = (hertz >= 50) & (hertz <= 5000)
    hertz, spectrum = hertz[inside], spectrum[:, :, inside]
    power = spectrum.real.square() + spectrum.imag.square() + 1e-9  # so that silence is flat instead of 0 / 0
    shape = power.sqrt() / power.sqrt().sum(2, keepdim=True)
    first, second = int((hertz < 1000).sum()), int((hertz < 2000).sum())
    tilt = 10 * (power[:, :, :first].sum(2) / power[:, :, first:].sum(2)).log10()
    balance = 10 * (power[:, :, :second].amax(2) / power[:, :, second:].amax(2)).log10()
    flux = functional.pad(shape.diff(dim=1).abs().sum(2) / 2, (1, 0))
    return torch.stack([(shape @ hertz).log2(), tilt, balance, flux])


def _spectral_fields(clean: Tensor, lengths: Tensor, contours: _Contours, grid: Grid) -> list[Tensor]:
    frames, _ = cut_frames(clean, lengths, grid.window, grid.hop)
    step = max(FRAMES_AT_ONCE // max(len(clean), 1), 1)
    # Each part but the first begins one frame early, for the change from the frame before.
    starts = range(0, frames.shape[1], step)
    parts = [_spectral_frames(frames[:, max(start - 1, 0) : start + step], grid) for start in starts]
    centroid, tilt, balance, flux = torch.cat([parts[0], *(part[:, :, 1:] for part in parts[1:])], dim=2)
    speech = contours.speech
    both = functional.pad(speech[:, 1:] & speech[:, :-1], (1, 0))
    spread = [_mean(tilt, speech), _deviation(tilt, speech), _mean(balance, speech), _mean(flux, both)]
    return [_mean(centroid, speech), _deviation(centroid, speech), *spread]


def _close_gaps(mask: Tensor) -> Tensor:
    """Fills gaps shorter than a pause."""
    radius = (SHORTEST_PAUSE_FRAMES - 1) // 2
    padded = functional.pad(mask.float(), (2 * radius, 2 * radius)).unsqueeze(1)
    grown = functional.max_pool1d(padded, 2 * radius + 1, 1)
    return -functional.max_pool1d(-grown, 2 * radius + 1, 1).squeeze(1) > 0


def _syllables(contours: _Contours) -> Tensor:
    """Number ``(batch,)`` of loud peaks with a dip on both sides in the smoothed loudness."""
    floor = (contours.loudest - PAUSE_DEPTH_DB).unsqueeze(1)
    bounded = torch.where(contours.valid, torch.maximum(contours.energy, floor), floor) - floor
    kernel = torch.hann_window(11, periodic=False, device=floor.device)  # 0.1 s, less than a syllable
    reach = 20  # frames: a dip lies within 0.2 s
    padded = functional.pad(bounded, (reach + 5, reach + 5)).unsqueeze(1)
    smooth = functional.conv1d(padded, (kernel / kernel.sum()).view(1, 1, -1))
    middle = smooth[:, 0, reach:-reach]
    before, after = smooth[:, :, : -reach - 1], smooth[:, :, reach + 1 :]
    dips = [-functional.max_pool1d(-side, reach, 1).squeeze(1) for side in (before, after)]
    near = 5  # frames on each side that a peak tops
    tops = functional.max_pool1d(smooth[:, :, reach - near : -(reach - near)], 2 * near + 1, 1).squeeze(1)
    deep = middle - torch.maximum(*dips) >= SYLLABLE_DIP_DB
    peaks = (middle >= tops) & deep & contours.speech
    return (peaks & ~functional.pad(peaks[:, :-1], (1, 0))).sum(1)


def _pace_fields(contours: _Contours) -> list[Tensor]:
    speech = contours.speech
    inside = (speech.cumsum(1) > 0) & (speech.flip(1).cumsum(1).flip(1) > 0)
    pause = inside & ~_close_gaps(speech)
    number = (pause[:, 1:] & ~pause[:, :-1]).sum(1)
    seconds = inside.sum(1).clamp(min=1) / FRAMES_PER_SECOND
    silent = pause.sum(1) / FRAMES_PER_SECOND
    pauses = [silent / seconds, silent / number.clamp(min=1), number / seconds]
    return [_syllables(contours) / seconds, *pauses, seconds.log()]


@torch.no_grad()
def prosody(samples: Tensor, lengths: Tensor, sample_rate: int) -> Tensor:
    """Describes the prosody of clips of speech.

    "Voiced" frames have a pitch; "speech" frames are loud for their clip (``PAUSE_DEPTH_DB`` and the
    constants after it); the "span" goes from the first to the last speech frame. Fields without a frame to measure are
    0, pitches ``USUAL_SEMITONES``.

    - ``pitch_mean``, ``_deviation``, ``_low`` (5 %), ``_median``, ``_high`` (95 %), ``_range`` (95 % less 5 %):
      semitones above 27.5 Hz of the voiced frames; ``pitch_slope``: the straight line through them; ``pitch_change``:
      mean absolute movement; ``pitch_end``: the last 0.3 s of voice less the mean; ``pitch_jitter``: mean distance of a
      frame from the mean of its two neighbors.
    - ``voiced_share``: of the speech frames, 0 … 1; ``voiced_run_seconds``: mean length of unbroken voice;
      ``voicing_mean``: strength 0 … 1 over speech; ``harmonics_to_noise_db``: -20 … 30 over voice.
    - ``energy_mean`` (decibels of full scale), ``_deviation``, ``_range`` (95 % less 5 %), ``_slope``, ``_change``,
      ``_end``: loudness of the speech frames, as for pitch; ``energy_shimmer``: as jitter, over voice.
    - ``spectral_centroid``: log2 of its hertz, by amplitude from 50 to 5000 Hz, mean and deviation; ``spectral_tilt``:
      power of 50-1000 over 1000-5000 Hz, mean and deviation; ``spectral_balance``: strongest bin below 2 kHz over that
      above (Hammarberg's index); ``spectral_flux``: share of the spectrum that moves from frame to frame, 0 … 1; all
      over speech.
    - ``speaking_rate``: loud peaks (about syllables) per second of the span; ``pause_share`` of it, 0 … 1;
      ``pause_mean``; ``pauses_per_second``; ``duration_log_seconds``: natural logarithm of the span.

    Args:
        samples: ``(batch, samples)`` -1 … 1, padded with anything.
        lengths: ``(batch,)`` samples of each clip.
        sample_rate: Samples per second, at least 10 000.

    Returns:
        ``(batch, len(PROSODY_FIELDS))`` float32, always finite.

    Raises:
        ValueError: Shapes do not match, or a length exceeds the samples.

    Example:
        >>> tone = torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000).unsqueeze(0)
        >>> fields = dict(zip(PROSODY_FIELDS, prosody(tone, torch.tensor([16000]), 16000)[0].tolist(), strict=True))
        >>> round(fields["pitch_median_semitones"], 1), round(fields["energy_mean_db"]), fields["pause_share"]
        (36.0, -3, 0.0)
    """
    grid = Grid.at(sample_rate)
    clean = remove_offset(samples, lengths)
    contours = _contours(clean, lengths, grid)
    spectral = _spectral_fields(clean, lengths, contours, grid)
    voice = [*_pitch_fields(contours), *_voice_fields(contours), *_energy_fields(contours)]
    return torch.stack([*voice, *spectral, *_pace_fields(contours)], dim=1)


@torch.no_grad()
def prosody_contours(samples: Tensor, lengths: Tensor, sample_rate: int) -> Tensor:
    """Pitch, voicing and loudness per frame, on the grid of ``Mfcc``.

    Args:
        samples: ``(batch, samples)`` -1 … 1, padded with anything.
        lengths: ``(batch,)`` samples of each clip.
        sample_rate: Samples per second.

    Returns:
        ``(batch, frames, 3)`` float32: semitones above 27.5 Hz (the clip's median where unvoiced), voicing 0 … 1, and
        decibels of full scale; 0 after a clip's end.

    Raises:
        ValueError: Shapes do not match, or a length exceeds the samples.

    Example:
        >>> prosody_contours(torch.zeros(1, 16000), torch.tensor([16000]), 16000)[0, 0].tolist()
        [30.0, 0.0, -100.0]
    """
    contours = _contours(remove_offset(samples, lengths), lengths, Grid.at(sample_rate))
    voiced = contours.hertz > 0
    tones = _semitones(contours.hertz)
    (median,) = torch.where(voiced.any(1), quantiles(tones, voiced, (0.5,)), USUAL_SEMITONES)
    filled = torch.where(voiced, tones, median.unsqueeze(1))
    stacked = torch.stack([filled, contours.voicing, contours.energy], dim=2)
    return stacked.masked_fill(~contours.valid.unsqueeze(2), 0.0)
