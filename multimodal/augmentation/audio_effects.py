"""What a voice meets between a mouth and a file: pace, rooms, other people, microphones, codecs.

Each function changes a whole batch on its device, every clip by its own amount, and draws nothing unless it is given
a generator; ``audio_augmentation`` draws the amounts. All results are finite, for silence too. A clip's result does
not depend on the length of the others beyond rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

NOISE_PERIOD = 2**16
"""Samples (4.1 s at 16 kHz) after which drawn noise repeats: a fixed number, so that no length changes a draw."""
LOWEST_NOISE_HZ = 20.0
"""Colored noise is flat below the lowest audible frequency: brown noise would otherwise be all rumble."""
TALKERS = 3
"""Voices in babble: at four and fewer single voices can still be told apart, as at a neighboring table."""
OVERSAMPLING = 4
"""With cubic interpolation: errors below -40 dB at 7 kHz of 8 and below -60 dB at 4 kHz."""
PASSED = 0.95
"""Share of the band that resampling leaves untouched; a steeper edge would ring longer."""
ROLL_OFF_ORDER = 6
"""Of the Butterworth edges: 36 dB per octave, as steep as telephone filters and softer than their standards' masks."""
FRAME, HOP = 512, 128
"""Samples: 32 ms frames, a quarter apart, which resolve the harmonics of a voice of 100 Hz at 16 kHz."""
BAND = 32
"""Bins (1 kHz at 16 kHz) that share a threshold in a codec; a critical band of hearing at 6 kHz is that wide."""
MU = 255.0
"""Compression of the North American and Japanese telephone (ITU-T G.711)."""
LEAST = 1e-12
"""Powers below it (-120 dB of full scale) are silence, and are not divided by."""


def silence_after(samples: Tensor, lengths: Tensor) -> Tensor:
    """Sets what lies beyond each clip's end to 0.

    Args:
        samples: ``(batch, n)``.
        lengths: ``(batch,)`` in samples.

    Returns:
        ``(batch, n)``.

    Example:
        >>> silence_after(torch.ones(2, 3), torch.tensor([1, 3])).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    beyond = torch.arange(samples.shape[1], device=samples.device) >= lengths[:, None]
    return samples.masked_fill(beyond, 0.0)


def mean_power(samples: Tensor, lengths: Tensor) -> Tensor:
    """Mean square over each clip's own length; samples after it have to be 0.

    Args:
        samples: ``(batch, n)``, -1 … 1.
        lengths: ``(batch,)`` in samples.

    Returns:
        ``(batch, 1)``, not negative.

    Example:
        >>> mean_power(torch.tensor([[0.5, -0.5, 0.0]]), torch.tensor([2])).item()
        0.25
    """
    return samples.square().sum(dim=1, keepdim=True) / lengths.clamp(min=1)[:, None]


def change_speed(samples: Tensor, lengths: Tensor, factors: Tensor, new_lengths: Tensor) -> Tensor:
    """Plays clips faster or slower, as a tape: pace and pitch change together.

    Band-limited: four times as many samples by Fourier transform, cubic interpolation between those. What would fold
    back at the new rate is left out.

    Args:
        samples: ``(batch, n)``, 0 after each clip's length.
        lengths: ``(batch,)`` in samples.
        factors: ``(batch,)``, above 1 is faster and higher.
        new_lengths: ``(batch,)`` samples to make of each clip, usually ``lengths / factors``.

    Returns:
        ``(batch, longest new length)``.

    Example:
        >>> tone = torch.sin(torch.arange(1000) * 0.1)[None]
        >>> faster = change_speed(tone, torch.tensor([1000]), torch.tensor([1.25]), torch.tensor([800]))
        >>> bool((faster[0, 100:700] - torch.sin(torch.arange(800) * 0.125)[100:700]).abs().max() < 1e-3)
        True
    """
    size = _fast_size(samples.shape[1] + FRAME)
    relative = torch.arange(size // 2 + 1, device=samples.device) / (size / 2) * factors.clamp(min=1)[:, None]
    edge = ((relative - PASSED) / (1 - PASSED)).clamp(0, 1)
    spectrum = torch.fft.rfft(samples, n=size) * torch.cos(edge * (math.pi / 2)).square()
    dense = torch.fft.irfft(spectrum, n=size * OVERSAMPLING) * OVERSAMPLING
    # Double precision: after a minute, float32 would place samples to a sixteenth only.
    position = torch.arange(int(new_lengths.max()), device=samples.device) * (factors.double() * OVERSAMPLING)[:, None]
    last = (lengths * OVERSAMPLING)[:, None]
    return silence_after(_interpolate(dense, torch.minimum(position, last)), new_lengths)


def _interpolate(samples: Tensor, position: Tensor) -> Tensor:
    """Cubic interpolation (Lagrange) of ``(batch, n)`` at ``(batch, m)`` positions in samples."""
    index = position.long()
    part = (position - index).to(samples.dtype)
    # Before the first sample there is nothing, and a clip starts on it.
    last, here, next_, far = (samples.gather(1, (index + place).clamp(min=0)) for place in (-1, 0, 1, 2))
    third = (far - last) / 6 + (here - next_) / 2
    second = (last + next_) / 2 - here
    first = next_ - here / 2 - last / 3 - far / 6
    return ((third * part + second) * part + first) * part + here


def change_tempo(samples: Tensor, lengths: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Speaks clips faster or slower at the same pitch, by a phase vocoder.

    Args:
        samples: ``(batch, n)``, 0 after each clip's length.
        lengths: ``(batch,)`` in samples.
        factors: ``(batch,)``, above 1 is faster.

    Returns:
        Samples ``(batch, longest new length)`` and the new lengths ``(batch,)``, ``lengths / factors`` rounded.

    Example:
        >>> slower, lengths = change_tempo(torch.zeros(1, 900), torch.tensor([900]), torch.tensor([0.9]))
        >>> slower.shape, lengths
        (torch.Size([1, 1000]), tensor([1000]))

    Source:
        Flanagan and Golden 1966, "Phase Vocoder". As hops are equal on both sides, a frame's turn is used as it is.
    """
    new_lengths = shortened(lengths, factors)
    spectra = _frames(samples, HOP)
    loudness, phase = _power(spectra).sqrt(), spectra.angle()
    last = spectra.shape[2] - 2
    # Frames on to half a window past the end, so that the last samples are made of as many as the others.
    place = torch.arange((int(new_lengths.max()) + FRAME // 2) // HOP + 1, device=samples.device) * factors[:, None]
    index = place.long().clamp(max=last)
    part = (place - index).clamp(max=1)[:, None]
    rows = index[:, None].expand(-1, spectra.shape[1], -1)
    turns = torch.cumsum(phase.gather(2, rows + 1) - phase.gather(2, rows), dim=2)
    loudness = loudness.gather(2, rows).lerp(loudness.gather(2, rows + 1), part)
    spectra = torch.polar(loudness, phase[:, :, :1] + functional.pad(turns, (1, -1)))
    changed = silence_after(_from_frames(spectra, HOP, int(new_lengths.max())), new_lengths)
    # Bins that drift apart in phase cancel each other a little, hence up to 1 dB to give back.
    return _as_loud(changed, new_lengths, mean_power(samples, lengths)), new_lengths


def shortened(lengths: Tensor, factors: Tensor) -> Tensor:
    """The lengths of clips that are played ``factors`` times as fast: rounded, at least one sample.

    Args:
        lengths: ``(batch,)`` in samples.
        factors: ``(batch,)``, above 0.

    Returns:
        ``(batch,)`` int64.

    Example:
        >>> shortened(torch.tensor([100, 1]), torch.tensor([1.1, 1.1])).tolist()
        [91, 1]
    """
    return (lengths.double() / factors.double()).round().long().clamp(min=1)


def colored_noise(slopes: Tensor, sample_rate: int, generator: Generator) -> Tensor:
    """Gaussian noise whose power falls with frequency to a given power.

    Args:
        slopes: ``(batch,)``: power goes with ``1 / frequency ** slope``; 0 is white, 1 pink, 2 brown (-6 dB an octave).
        sample_rate: In Hz.
        generator: On the device of ``slopes``.

    Returns:
        ``(batch, NOISE_PERIOD)`` float32 with mean 0 and power about 1, without a seam when it is repeated.

    Example:
        >>> noise = colored_noise(torch.tensor([0.0, 2.0]), 16000, torch.Generator().manual_seed(0))
        >>> [round(float(row.square().mean()), 1) for row in noise]
        [1.0, 1.0]
    """
    bins = NOISE_PERIOD // 2 + 1
    drawn = torch.randn(len(slopes), bins, 2, generator=generator, device=slopes.device)
    frequency = torch.linspace(0, sample_rate / 2, bins, device=slopes.device)
    level = frequency.clamp(min=LOWEST_NOISE_HZ) ** (-slopes[:, None] / 2)
    level[:, 0] = 0
    level = level / level.square().mean(dim=1, keepdim=True).sqrt()
    spectrum = torch.view_as_complex(drawn) * level
    noise: Tensor = torch.fft.irfft(spectrum, n=NOISE_PERIOD) * math.sqrt(NOISE_PERIOD / 2)
    return noise


def repeated(noise: Tensor, n: int) -> Tensor:
    """Repeats noise until it is long enough.

    Args:
        noise: ``(batch, period)``.
        n: Samples wanted.

    Returns:
        ``(batch, n)``.

    Example:
        >>> repeated(torch.tensor([[1, 2]]), 5).tolist()
        [[1, 2, 1, 2, 1]]
    """
    return noise.repeat(1, -(-n // noise.shape[1]))[:, :n]


def babble(samples: Tensor, lengths: Tensor, chosen: Tensor, generator: Generator) -> Tensor:
    """Other people talking: for each chosen clip, a few other clips of the batch, equally loud, from anywhere in them.

    Args:
        samples: ``(batch, n)`` with at least two clips, 0 after each clip's length.
        lengths: ``(batch,)`` in samples.
        chosen: ``(k,)`` numbers of the clips that get babble; they never hear themselves.
        generator: On the device of ``samples``.

    Returns:
        ``(k, n)``; a voice that ends starts again.

    Example:
        >>> two = torch.tensor([[0.3, 0.3], [0.5, 0.5]])
        >>> babble(two, torch.tensor([2, 2]), torch.tensor([0]), torch.Generator()).tolist()
        [[1.0, 1.0]]
    """
    device, shape = samples.device, (len(chosen), min(TALKERS, len(samples) - 1))
    away = torch.rand(len(chosen), len(samples) - 1, generator=generator, device=device).argsort(dim=1)[:, : shape[1]]
    talkers = (chosen[:, None] + 1 + away) % len(samples)
    length = lengths.clamp(min=1)[talkers]
    start = (torch.rand(shape, generator=generator, device=device) * length).long()
    loudness = mean_power(samples, lengths).clamp(min=LEAST).sqrt()
    result = torch.zeros(len(chosen), samples.shape[1], device=device)
    place = torch.arange(samples.shape[1], device=device)
    for voice, first, end in zip(talkers.T, start.T, length.T, strict=True):
        spoken = (samples / loudness)[voice].gather(1, (place + first[:, None]) % end[:, None])
        result += spoken
    return result


def mix(samples: Tensor, lengths: Tensor, noise: Tensor, ratio_db: Tensor) -> Tensor:
    """Adds noise at a signal-to-noise ratio, both measured as mean power over the clip's length, pauses included.

    Args:
        samples: ``(batch, n)``, 0 after each clip's length.
        lengths: ``(batch,)`` in samples.
        noise: ``(batch, n)`` of any level.
        ratio_db: ``(batch,)`` power of the clip over that of the noise, in dB.

    Returns:
        ``(batch, n)``; a silent clip stays silent.

    Example:
        >>> mix(torch.ones(1, 2), torch.tensor([2]), torch.tensor([[5.0, -5.0]]), torch.tensor([20.0])).tolist()
        [[1.100000023841858, 0.8999999761581421]]
    """
    wanted = mean_power(samples, lengths) * 10 ** (-ratio_db[:, None] / 10)
    return samples + _as_loud(silence_after(noise, lengths), lengths, wanted)


def room_responses(echo_seconds: Tensor, ratio_db: Tensor, size: int, sample_rate: int, generator: Generator) -> Tensor:
    """Impulse responses of rooms: the direct sound at once, then noise that decays exponentially.

    Args:
        echo_seconds: ``(batch,)`` RT60, the time in which the echo falls by 60 dB.
        ratio_db: ``(batch,)`` energy of the direct sound over that of all echo, in dB.
        size: Samples per response.
        sample_rate: In Hz.
        generator: On the device of ``echo_seconds``.

    Returns:
        ``(batch, size)``; the first sample is 1, so nothing is shifted.

    Example:
        >>> rooms = room_responses(torch.tensor([0.3]), torch.tensor([10.0]), 4800, 16000, torch.Generator())
        >>> rooms[0, 0].item(), round(rooms[0, 1:].square().sum().item(), 4)
        (1.0, 0.1)

    Source:
        Polack 1988: late reverberation as Gaussian noise under an exponential.
    """
    seconds = torch.arange(1, size, device=echo_seconds.device) / sample_rate
    decay = torch.exp(-math.log(1000) * seconds / echo_seconds[:, None])  # 60 dB is a factor of 1000
    echo = torch.randn(len(echo_seconds), size - 1, generator=generator, device=echo_seconds.device) * decay
    energy = echo.square().sum(dim=1, keepdim=True).clamp(min=LEAST)
    return functional.pad(echo * (10 ** (-ratio_db[:, None] / 10) / energy).sqrt(), (1, 0), value=1.0)


def reverberate(samples: Tensor, lengths: Tensor, responses: Tensor) -> Tensor:
    """Plays clips in rooms, as loud as before; what would sound on after the end is cut.

    Args:
        samples: ``(batch, n)``, 0 after each clip's length.
        lengths: ``(batch,)`` in samples.
        responses: ``(batch, m)``, see ``room_responses``.

    Returns:
        ``(batch, n)``.

    Example:
        >>> reverberate(torch.tensor([[1.0, 0.0]]), torch.tensor([2]), torch.tensor([[1.0, 0.0]])).round().tolist()
        [[1.0, 0.0]]
    """
    size = _fast_size(samples.shape[1] + responses.shape[1])
    spectrum = torch.fft.rfft(samples, n=size) * torch.fft.rfft(responses, n=size)
    echoed = silence_after(torch.fft.irfft(spectrum, n=size)[:, : samples.shape[1]], lengths)
    return _as_loud(echoed, lengths, mean_power(samples, lengths))


def band_limit(samples: Tensor, low_hz: Tensor, high_hz: Tensor, sample_rate: int) -> Tensor:
    """Takes away what lies below and above a band, without delay: Butterworth loudness, phase 0.

    Args:
        samples: ``(batch, n)``.
        low_hz: ``(batch,)`` where the lower edge has lost 3 dB; 0 for no lower edge.
        high_hz: ``(batch,)`` the same of the upper edge; infinite for no upper edge.
        sample_rate: In Hz.

    Returns:
        ``(batch, n)``.

    Example:
        >>> hum = torch.sin(torch.arange(16000) * (2 * torch.pi * 50 / 16000))[None]
        >>> filtered = band_limit(hum, torch.tensor([300.0]), torch.tensor([3400.0]), 16000)
        >>> bool(filtered[0, 4000:12000].abs().max() < 0.01)
        True
    """
    size = _fast_size(samples.shape[1] + sample_rate // 10)  # room for the filter's own decay, some 10 ms at 100 Hz
    frequency = torch.fft.rfftfreq(size, 1 / sample_rate, device=samples.device).clamp(min=1e-3)
    below = (low_hz[:, None] / frequency) ** (2 * ROLL_OFF_ORDER)
    above = (frequency / high_hz[:, None]) ** (2 * ROLL_OFF_ORDER)
    loudness = torch.rsqrt((1 + below) * (1 + above))
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(samples, n=size) * loudness, n=size)
    return filtered[:, : samples.shape[1]]


def punch_holes(samples: Tensor, depth_db: Tensor) -> Tensor:
    """Zeroes what a codec at a low rate would not send: parts of the spectrum far weaker than their surroundings.

    Args:
        samples: ``(batch, n)``.
        depth_db: ``(batch,)``: bins weaker than this, against the mean power of their band of 1 kHz, are dropped.
            In white noise -12 dB drops 6 % of the bins, 0 dB 63 %.

    Returns:
        ``(batch, n)``.

    Example:
        >>> punch_holes(torch.zeros(1, 700), torch.tensor([-6.0])).shape
        torch.Size([1, 700])
    """
    spectra = _frames(samples, FRAME // 2)
    power = _power(spectra)
    bands = power[:, :-1].unflatten(1, (-1, BAND))
    threshold = bands.mean(dim=2, keepdim=True) * 10 ** (depth_db[:, None, None, None] / 10)
    kept = (bands >= threshold).flatten(1, 2)
    # The bin at half the sample rate belongs to no band and stays.
    return _from_frames(spectra * functional.pad(kept, (0, 0, 0, 1), value=True), FRAME // 2, samples.shape[1])


def clip(samples: Tensor, levels: Tensor) -> Tensor:
    """Cuts peaks off, as an overdriven recording does.

    Args:
        samples: ``(batch, n)``.
        levels: ``(batch,)`` what is left of each clip's largest sample, 0 … 1.

    Returns:
        ``(batch, n)``.

    Example:
        >>> clip(torch.tensor([[0.2, -0.5]]), torch.tensor([0.5])).tolist()
        [[0.20000000298023224, -0.25]]
    """
    bound = peaks(samples) * levels[:, None]
    return torch.maximum(torch.minimum(samples, bound), -bound)


def peaks(samples: Tensor) -> Tensor:
    """The largest absolute sample of each clip.

    Args:
        samples: ``(batch, n)``.

    Returns:
        ``(batch, 1)``, not negative.

    Example:
        >>> peaks(torch.tensor([[0.25, -0.5]])).item()
        0.5
    """
    return samples.abs().amax(dim=1, keepdim=True)


def quantize(samples: Tensor, bits: Tensor) -> Tensor:
    """Rounds samples to few levels, evenly spaced up to each clip's own peak; 0 stays 0.

    Args:
        samples: ``(batch, n)``.
        bits: ``(batch,)``, at least 2; fractions are levels in between.

    Returns:
        ``(batch, n)``.

    Example:
        >>> quantize(torch.tensor([[0.6, 0.2, -0.4]]), torch.tensor([2.0])).tolist()
        [[0.6000000238418579, 0.0, -0.6000000238418579]]
    """
    steps = (2 ** (bits - 1) - 1).round()[:, None]
    size = peaks(samples).clamp(min=LEAST) / steps
    return (samples / size).round() * size


def compand(samples: Tensor, bits: Tensor) -> Tensor:
    """Rounds samples as a telephone does: finely near 0 and coarsely at full scale (mu-law).

    Args:
        samples: ``(batch, n)``; beyond -1 … 1 they are cut.
        bits: ``(batch,)``, at least 2; the telephone has 8.

    Returns:
        ``(batch, n)``, -1 … 1; 0 stays 0.

    Example:
        >>> compand(torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([8.0])).tolist()
        [[1.0, 0.0, -1.0]]

    Source:
        ITU-T G.711, with its curve instead of the straight pieces that approximate it.
    """
    steps = (2 ** (bits - 1) - 1).round()[:, None]
    size = samples.abs().clamp(max=1)
    code = (torch.log1p(MU * size) / math.log1p(MU) * steps).round() / steps
    return (torch.expm1(code * math.log1p(MU)) / MU).clamp(max=1) * samples.sign()


def _as_loud(samples: Tensor, lengths: Tensor, wanted: Tensor) -> Tensor:
    """Scales clips to a mean power ``(batch, 1)``; silence stays silent."""
    return samples * (wanted / mean_power(samples, lengths).clamp(min=LEAST)).sqrt()


def _fast_size(least: int) -> int:
    """The smallest product of a power of two and 1, 3, 5, 9 or 15 that is large enough: quick to transform."""
    return min(odd << max(math.ceil(math.log2(least / odd)), 1) for odd in (1, 3, 5, 9, 15))


def _frames(samples: Tensor, hop: int) -> Tensor:
    """Spectra ``(batch, bins, frames)`` of Hann windows around every ``hop``-th sample, and a silent one at the end."""
    window = torch.hann_window(FRAME, device=samples.device)
    padded = functional.pad(samples, (0, FRAME))
    return torch.stft(padded, FRAME, hop, window=window, pad_mode="constant", return_complex=True)


def _from_frames(spectra: Tensor, hop: int, n: int) -> Tensor:
    """The samples ``(batch, n)`` that fit such spectra best."""
    window = torch.hann_window(FRAME, device=spectra.device)
    return torch.istft(spectra, FRAME, hop, window=window, length=n)


def _power(spectra: Tensor) -> Tensor:
    return spectra.real.square() + spectra.imag.square()
