"""Inputs of the audio network: mel-frequency cepstral coefficients with their deltas, 39 values each 10 ms.

Every value depends only on its own clip and a few frames around it: there is no center padding, the floor of the
logarithm is fixed (the usual clamp to 80 dB below a clip's maximum would make quiet frames depend on loud ones), and
the deltas at a clip's end repeat the clip's own last frame. So a clip has the same values alone and in any batch.

Source: Davis and Mermelstein 1980 (10.1109/TASSP.1980.1163420); Chan, Golub and LeVeque 1983 for the running variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchaudio import functional as audio_functional

from multimodal.encoders.framing import cut_frames, hold_last, padding_mask
from multimodal.errors import ConfigError

FRAMES_AT_ONCE = 8192
"""Largest number of frames with spectra in memory at once (17 MB), independent of the length and number of clips."""


@dataclass(frozen=True)
class MfccSettings:
    """All settings of the coefficients; plain values, so that a model's card can store them.

    librosa 0.11 gives the same coefficients in three steps (the tests compare with it):

    - ``librosa.feature.melspectrogram(y=…, sr=sample_rate, n_fft=fft_size, win_length=window, hop_length=hop,
      window="hann", center=False, power=2.0, n_mels=mel_bands, fmin=low_hz, fmax=high_hz, htk=True, norm=None)`` of the
      samples with ``(fft_size - window) // 2`` zeros put on both sides, because librosa cuts frames of the transform's
      size and we of the window's;
    - ``librosa.power_to_db(…, ref=1.0, amin=log_floor, top_db=None) * ln(10) / 10``;
    - ``librosa.feature.mfcc(S=…, n_mfcc=coefficients, dct_type=2, norm="ortho", lifter=0)``;

    and the same deltas with ``librosa.feature.delta(…, width=delta_width, order=1, mode="nearest")``, once and twice.

    Attributes:
        sample_rate: Required samples per second of the waveforms.
        coefficients: Number of cepstral coefficients, including the zeroth, which is loudness.
        window_seconds: Length of a frame, weighted by a periodic Hann window.
        hop_seconds: From one frame to the next.
        fft_size: Samples of a frame after zero padding; at least the window.
        mel_bands: Triangular filters, equally wide on the HTK mel scale, each of height 1.
        low_hz: Lower end of the first filter.
        high_hz: Upper end of the last filter; below 8 kHz, where resamplers and codecs roll off.
        log_floor: Least power in a filter before the natural logarithm.
        delta_width: Frames that a slope is fitted to; odd, at least 3.

    Raises:
        ConfigError: Invalid value.

    Example:
        >>> MfccSettings().features, MfccSettings().window, MfccSettings().hop
        (39, 400, 160)
    """

    sample_rate: int = 16000
    coefficients: int = 13
    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    fft_size: int = 512
    mel_bands: int = 40
    low_hz: float = 20.0
    high_hz: float = 7600.0
    # White noise of variance v has the power 150 v per bin under this window (the sum of its squares), and a filter
    # adds up 2 to 14 bins: 1e-6 is noise at about -86 dB of full scale, between 16-bit rounding (-101) and a quiet
    # room.
    log_floor: float = 1e-6
    delta_width: int = 5

    def __post_init__(self) -> None:
        half = self.sample_rate / 2
        checks = (
            (self.sample_rate > 0, "sample_rate", "choose a positive number"),
            (self.hop > 0 and 0 < self.window <= self.fft_size, "window_seconds", "choose a window within fft_size"),
            (1 <= self.coefficients <= self.mel_bands, "coefficients", "choose 1 to mel_bands"),
            (0 <= self.low_hz < self.high_hz <= half, "high_hz", "choose above low_hz, to half the sample rate"),
            (self.log_floor > 0, "log_floor", "choose a positive power"),
            (self.delta_width >= 3 and self.delta_width % 2 == 1, "delta_width", "choose an odd number from 3"),
        )
        for good, name, remedy in checks:
            if not good:
                raise ConfigError(f"mfcc.{name}", f"cannot be {getattr(self, name)}", remedy)

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return round(self.window_seconds * self.sample_rate)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_seconds * self.sample_rate)

    @property
    def features(self) -> int:
        """Numbers per frame: coefficients, their slopes, and the slopes of those."""
        return 3 * self.coefficients


class Mfcc(nn.Module):
    """Computes coefficients with deltas from padded waveforms; it has no trained weights.

    Its tables are buffers that move with the module and are not saved: the settings on the card rebuild them.

    Args:
        settings: Settings of the coefficients.

    Example:
        >>> features, counts = Mfcc()(torch.zeros(2, 16000), torch.tensor([16000, 8000]))
        >>> features.shape, counts.tolist()
        (torch.Size([2, 98, 39]), [98, 48])
    """

    window: Tensor
    filters: Tensor
    cosines: Tensor

    def __init__(self, settings: MfccSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or MfccSettings()
        bins, ends = settings.fft_size // 2 + 1, (settings.low_hz, settings.high_hz)
        filters = audio_functional.melscale_fbanks(
            bins, *ends, settings.mel_bands, settings.sample_rate, norm=None, mel_scale="htk"
        )
        cosines = audio_functional.create_dct(settings.coefficients, settings.mel_bands, norm="ortho")
        self.register_buffer("window", torch.hann_window(settings.window), persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("cosines", cosines, persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the coefficients of waveforms of any lengths.

        Args:
            samples: ``(batch, samples)`` -1 … 1 at the settings' rate, padded with anything.
            lengths: ``(batch,)`` samples of each clip.

        Returns:
            ``(batch, frames, 3 * coefficients)`` float32: coefficients (of natural logarithms), their deltas per frame,
            and the deltas of those, 0 after a clip's end; and frames of each clip ``(batch,)``, which are
            ``1 + (length - window) // hop``, at least 1 (a clip shorter than a window is padded with silence).

        Raises:
            ValueError: Shapes do not match, or a length exceeds the samples.
        """
        # Half precision would round the power of quiet frames away, so a surrounding autocast does not apply.
        with torch.autocast(samples.device.type, enabled=False):
            frames, counts = cut_frames(samples, lengths, self.settings.window, self.settings.hop)
            step = max(FRAMES_AT_ONCE // len(samples), 1)
            static = torch.cat([self._coefficients(part) for part in frames.split(step, dim=1)], dim=1)
            slopes = self._deltas(static, counts)
            features = torch.cat([static, slopes, self._deltas(slopes, counts)], dim=2)
        return features.masked_fill(~padding_mask(counts, features.shape[1]).unsqueeze(2), 0.0), counts

    def _coefficients(self, frames: Tensor) -> Tensor:
        """Cepstral coefficients ``(batch, frames, coefficients)`` of frames ``(batch, frames, window)``."""
        spectrum = torch.fft.rfft(frames * self.window, n=self.settings.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()
        bands: Tensor = power @ self.filters
        cepstrum: Tensor = bands.clamp(min=self.settings.log_floor).log() @ self.cosines
        return cepstrum

    def _deltas(self, features: Tensor, counts: Tensor) -> Tensor:
        """Slopes per frame; the first and last frame of each clip are repeated."""
        padded = hold_last(features, counts).transpose(1, 2)
        slopes: Tensor = audio_functional.compute_deltas(padded, self.settings.delta_width, mode="replicate")
        return slopes.transpose(1, 2)
