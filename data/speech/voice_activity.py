"""Voice activity: how likely somebody speaks, every 32 ms, by silero-vad's network.

The network is written out here in torch and reads many chunks at once: 0.002 s of one core per second of sound, an
eighth of what the wheel's own TorchScript takes. The weights are the safetensors file of the ``silero-vad`` wheel, read
beside its package, which itself is not imported (it sets torch's number of threads for everybody). On 300 clips of
acted speech and in noise they did as well as the TorchScript file (a pickle, in a format that torch is giving up), and
better than the copy that comes with faster-whisper (version 6.0, which needs onnxruntime): 96.0, 95.7 and 94.8 % of the
loud frames were found.

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
"""Samples before a chunk that the network sees with it; as many behind it are its own end, mirrored."""

WINDOW, HOP = 256, 128
"""Samples of the network's Fourier transform: four windows to a chunk."""

LOUD_ENOUGH = 0.1
"""Effective level, -20 dB of full scale, that quieter sound is raised to. Of speech 40 dB below the usual level the
network alone misses three quarters."""

LOUDNESS_QUANTILE = 0.8
"""Of a piece's chunks: speech fills more than a fifth of 2 s, a slammed door does not."""

MOST_RAISED = 316.0
"""Largest factor, 50 dB. White, pink and brown noise is no speech to the network at any level, so it may be raised."""

FADING = 10 ** (-0.5 * PIECE / SAMPLE_RATE / 20)
"""Factor per piece, 0.5 dB per second, by which the remembered loudness fades: pauses hardly change the gain."""

SURELY_SILENT = 0.35
FORGET_AFTER = 5
"""Pieces without any probability of ``SURELY_SILENT``, 10 s, after which the network starts afresh. Ten minutes of
noise at -34 dB otherwise make it miss an eighth of the speech that follows."""


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
        """Reads chunks that follow each other.

        Args:
            chunks: ``(chunks, CONTEXT + CHUNK)``, each with the end of the one before.
            state: What the last call gave; None at the start.

        Returns:
            ``(chunks,)`` probabilities of speech, and the state after them.
        """
        real, imaginary = self.stft_conv(functional.pad(chunks[:, None], (0, CONTEXT), mode="reflect")).chunk(2, dim=1)
        features = (real.square() + imaginary.square()).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = functional.relu(convolution(features))
        states, state = self.lstm(features.squeeze(2), state)
        return torch.sigmoid(self.final_conv(functional.relu(states)[:, :, None]).flatten()), state


@cache
def load_voice_network() -> VoiceNetwork:
    """Loads the published network, once for all.

    Returns:
        The network in evaluation mode on the CPU; it keeps no state of its own.

    Raises:
        DependencyError: The wheel is not installed, or does not hold the file.
        WeightsError: The file is not the published one.

    Example:
        >>> sum(weights.numel() for weights in load_voice_network().parameters())
        309633
    """
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        raise DependencyError("silero-vad", "is not installed", "run `pip install silero-vad==6.2.3`")
    weights = load(published_bytes(Path(found.origin).parent / WEIGHTS, WEIGHTS_SHA256).tobytes())
    cell = "lstm_cell."
    named = {f"lstm.{k[len(cell) :]}_l0" if k.startswith(cell) else k: values for k, values in weights.items()}
    network = VoiceNetwork()
    network.load_state_dict(named)
    return network.eval().requires_grad_(False)


class VoiceActivity:
    """Probabilities of speech for sound that comes in pieces; quiet sound is raised first.

    Args:
        network: Which network; None for the published one.

    Raises:
        DependencyError: The network is not installed.
        WeightsError: Its file is not the published one.

    Example:
        >>> VoiceActivity().probabilities(np.zeros(1024, np.float32)).round(1).tolist()
        [0.0, 0.0]
    """

    def __init__(self, network: VoiceNetwork | None = None) -> None:
        self._network = load_voice_network() if network is None else network
        self._gain = Gain()
        self.reset()

    def reset(self) -> None:
        """Forgets what was said: what comes next does not follow on it. How loud the sound is, is remembered."""
        self._state: tuple[Tensor, Tensor] | None = None
        self._context = torch.zeros(CONTEXT)
        self._silent_pieces = 0

    @torch.inference_mode()
    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Reads the next piece.

        Args:
            samples: ``(samples,)`` at 16 kHz in -1 … 1 without offset; any number of them, but chunks are counted
                from the start of each piece, so only the last of a stretch may be other than whole chunks.

        Returns:
            ``(chunks,)`` in 0 … 1, one per started chunk of ``CHUNK`` samples.
        """
        if not len(samples):
            return np.zeros(0, np.float32)
        raised = torch.from_numpy(self._gain.raised(samples))
        sound = torch.cat((self._context, functional.pad(raised, (0, -len(raised) % CHUNK))))
        self._context = sound[-CONTEXT:].clone()
        found, self._state = self._network(sound.unfold(0, CONTEXT + CHUNK, CHUNK), self._state)
        self._silent_pieces = 0 if float(found.max()) >= SURELY_SILENT else self._silent_pieces + 1
        if self._silent_pieces >= FORGET_AFTER:
            self._state, self._silent_pieces = None, 0
        return np.asarray(found.numpy(), np.float32)


class Gain:
    """Raises quiet sound to the level of ordinary speech; never lowers, and never raises into clipping.

    The loudness it goes by is that of the present piece or, where that is more, what was heard before, slowly fading.
    So it takes seconds, not the whole recording, to know how loud people speak.

    Example:
        >>> quiet = 0.001 * np.sin(np.arange(16000, dtype=np.float32))
        >>> round(float(np.abs(Gain().raised(quiet)).max()), 2)
        0.14
    """

    def __init__(self) -> None:
        self._loudness = 0.0
        self._factor = 0.0

    def raised(self, samples: Samples) -> Samples:
        """Gives ``(samples,)`` in -1 … 1, louder where they were quiet."""
        whole = samples[: max(len(samples) // CHUNK, 1) * CHUNK]
        levels = np.sqrt(np.square(whole.reshape(-1, min(CHUNK, len(whole)))).mean(axis=1))
        self._loudness = max(float(np.quantile(levels, LOUDNESS_QUANTILE)), FADING * self._loudness)
        peak = float(np.abs(samples).max())
        limits = (MOST_RAISED, LOUD_ENOUGH / max(self._loudness, 1e-9), 1 / max(peak, 1e-9))
        before, self._factor = self._factor, max(1.0, min(limits))
        factors = np.full(len(samples), self._factor, np.float32)
        if before:  # one chunk to pass from one factor to the next: a step would click
            factors[:CHUNK] = np.linspace(before, self._factor, CHUNK, dtype=np.float32)[: len(samples)]
        return np.asarray(np.clip(samples * factors, -1, 1), np.float32)
