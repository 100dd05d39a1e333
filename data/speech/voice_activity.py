"""Voice activity: the probability of speech every 32 ms, from silero-vad's network.

The network is implemented here in torch and processes many chunks at once: 0.002 s of one core per second of audio, an
eighth of the time of the wheel's own TorchScript. The weights are the safetensors file of the ``silero-vad`` wheel,
whose package is not imported (it sets torch's number of threads globally). On 300 clips of acted speech, clean and in
noise, they detect 96.0 % of the loud frames; the TorchScript file (a pickle, in a deprecated format) detects 95.7 %,
the copy in faster-whisper (version 6.0, which needs onnxruntime) 94.8 %.

Source: Silero Team, "Silero VAD", github.com/snakers4/silero-vad (MIT), wheel 6.2.1 to 6.2.3.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from multimodal.data.speech.stream import CHUNK, PIECE, SAMPLE_RATE, Samples
from multimodal.errors import DependencyError
from multimodal.files import published_bytes

WEIGHTS = "data/silero_vad_16k.safetensors"
WEIGHTS_SHA256 = "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"

CONTEXT = 64
"""Samples before a chunk that the network reads with it; the same number after it are its own end, mirrored."""

WINDOW, HOP = 256, 128
"""Samples of the network's Fourier transform: four windows per chunk."""

LOUD_ENOUGH = 0.1
"""Effective level, -20 dB of full scale, to which quieter audio is amplified. Without it the network misses three
quarters of speech that is 40 dB below the usual level."""

LOUDNESS_QUANTILE = 0.8
"""Quantile of a piece's chunk levels: speech fills more than a fifth of 2 s, a slammed door does not."""

MAX_GAIN = 316.0
"""Largest factor, 50 dB. The network takes white, pink and brown noise for speech at no level, so this is safe."""

DECAY = 10 ** (-0.5 * PIECE / SAMPLE_RATE / 20)
"""Factor per piece, 0.5 dB per second, by which the stored level decays: pauses hardly change the gain."""

SILENCE_PROBABILITY = 0.35
RESET_AFTER = 5
"""Pieces, 10 s, in which every probability is below ``SILENCE_PROBABILITY``, after which the network's state is reset.
Without it, ten minutes of noise at -34 dB make it miss an eighth of the speech that follows."""


class VoiceNetwork(nn.Module):
    """Fourier magnitudes, four convolutions and a recurrent layer; 0.31 M parameters.

    Example:
        >>> probabilities, state = VoiceNetwork()(torch.zeros(3, CONTEXT + CHUNK), None)
        >>> probabilities.shape, state[0].shape
        (torch.Size([3]), torch.Size([1, 128]))
    """

    def __init__(self) -> None:
        super().__init__()
        bins = WINDOW // 2 + 1
        self.stft_conv = nn.Conv1d(1, 2 * bins, WINDOW, HOP, bias=False)
        self.conv1 = nn.Conv1d(bins, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, chunks: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Processes consecutive chunks.

        Args:
            chunks: ``(chunks, CONTEXT + CHUNK)``, each preceded by the end of the previous one.
            state: State after the last call; None at the start.

        Returns:
            Probabilities of speech, ``(chunks,)``, and the state after them.
        """
        real, imaginary = self.stft_conv(functional.pad(chunks[:, None], (0, CONTEXT), mode="reflect")).chunk(2, dim=1)
        features = (real.square() + imaginary.square()).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = functional.relu(convolution(features))
        states, state = self.lstm(features.squeeze(2), state)
        return torch.sigmoid(self.final_conv(functional.relu(states)[:, :, None]).flatten()), state


@cache
def load_voice_network() -> VoiceNetwork:
    """Loads the published network; later calls return the same object.

    Returns:
        The network in evaluation mode on the CPU; it keeps no state between calls.

    Raises:
        DependencyError: The wheel is not installed or lacks the file.
        WeightsError: The file is not the published one.

    Example:
        >>> sum(weights.numel() for weights in load_voice_network().parameters())
        309633
    """
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        raise DependencyError("silero-vad", "is not installed", "pip install silero-vad==6.2.3")
    weights = load(published_bytes(Path(package.origin).parent / WEIGHTS, WEIGHTS_SHA256).tobytes())
    cell = "lstm_cell."
    state = {f"lstm.{k[len(cell) :]}_l0" if k.startswith(cell) else k: values for k, values in weights.items()}
    network = VoiceNetwork()
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


class VoiceActivity:
    """Speech probabilities of audio in pieces; quiet audio is amplified first.

    Args:
        network: The network; None for the published one.

    Raises:
        DependencyError: The network is not installed.
        WeightsError: The file of the network is not the published one.

    Example:
        >>> VoiceActivity().probabilities(np.zeros(1024, np.float32)).round(1).tolist()
        [0.0, 0.0]
    """

    def __init__(self, network: VoiceNetwork | None = None) -> None:
        self._network = load_voice_network() if network is None else network
        self._gain = Gain()
        self.reset()

    def reset(self) -> None:
        """Resets the network for audio that does not follow on the last piece; the level is kept."""
        self._state: tuple[Tensor, Tensor] | None = None
        self._context = torch.zeros(CONTEXT)
        self._silent_pieces = 0

    @torch.inference_mode()
    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Processes the next piece.

        Args:
            samples: ``(samples,)`` at 16 kHz in -1 … 1 without offset. Chunks start anew in each piece, so only the
                last piece of a run may have an incomplete chunk.

        Returns:
            Probabilities ``(chunks,)`` in 0 … 1, one per chunk of ``CHUNK`` samples, the last one padded.
        """
        if not len(samples):
            return np.zeros(0, np.float32)
        amplified = torch.from_numpy(self._gain.apply(samples))
        audio = torch.cat((self._context, functional.pad(amplified, (0, -len(amplified) % CHUNK))))
        self._context = audio[-CONTEXT:].clone()
        probabilities, self._state = self._network(audio.unfold(0, CONTEXT + CHUNK, CHUNK), self._state)
        self._silent_pieces = 0 if float(probabilities.max()) >= SILENCE_PROBABILITY else self._silent_pieces + 1
        if self._silent_pieces >= RESET_AFTER:
            self._state, self._silent_pieces = None, 0
        return np.asarray(probabilities.numpy(), np.float32)


class Gain:
    """Amplifies quiet audio to the level of ordinary speech, without attenuation and without clipping.

    The gain follows the level of the current piece or, if larger, the slowly decaying level of earlier ones. It adapts
    within seconds.

    Example:
        >>> quiet = 0.001 * np.sin(np.arange(16000, dtype=np.float32))
        >>> round(float(np.abs(Gain().apply(quiet)).max()), 2)
        0.14
    """

    def __init__(self) -> None:
        self._level = 0.0
        self._factor = 0.0

    def apply(self, samples: Samples) -> Samples:
        """Returns the samples, ``(samples,)`` in -1 … 1, amplified if they are quiet.

        Args:
            samples: ``(samples,)`` in -1 … 1.

        Returns:
            The samples.
        """
        whole = samples[: max(len(samples) // CHUNK, 1) * CHUNK]
        levels = np.sqrt(np.square(whole.reshape(-1, min(CHUNK, len(whole)))).mean(axis=1))
        self._level = max(float(np.quantile(levels, LOUDNESS_QUANTILE)), DECAY * self._level)
        peak = float(np.abs(samples).max())
        limits = (MAX_GAIN, LOUD_ENOUGH / max(self._level, 1e-9), 1 / max(peak, 1e-9))
        before, self._factor = self._factor, max(1.0, min(limits))
        factors = np.full(len(samples), self._factor, np.float32)
        if before:  # one chunk of transition between the factors: a step would be audible as a click
            factors[:CHUNK] = np.linspace(before, self._factor, CHUNK, dtype=np.float32)[: len(samples)]
        return np.asarray(np.clip(samples * factors, -1, 1), np.float32)
