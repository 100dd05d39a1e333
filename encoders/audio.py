"""The audio encoder: recurrent networks from an utterance's MFCCs and prosody to emotions, and a state per step.

Two networks: ``AudioRecurrentEncoder``, the one of Yoon et al. 2018, kept for comparison, and ``ConvBiGRU``, ours. Both
read the features that ``voice_features`` computes for an utterance, after ``encode_speaker`` has removed what all
utterances of the speaker have in common: voices and microphones differ more than emotions.

Source: Yoon, Byun and Jung 2018 (arXiv 1810.04635), section 3.1; Mirsamadi et al. 2017 (attention pooling, ICASSP).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from multimodal.encoders.background import Background, RecordingBackground, VoiceSums
from multimodal.encoders.framing import padding_mask
from multimodal.encoders.prosody import PROSODY_FIELDS
from multimodal.encoders.voice_features import BATCH, VoiceFeatures, general_features
from multimodal.encoders.whisper_states import STATE_SIZE


class AudioOutput(NamedTuple):
    """What an audio network returns.

    Attributes:
        logits: ``(batch, labels)`` float32; softmax gives probabilities before calibration.
        embedding: ``(batch, features)`` float32 of the whole utterance.
        states: ``(batch, steps, features)`` float32, 12.5 steps a second (``ConvBiGRU``) or 100; 0 after the end.
        state_lengths: ``(batch,)`` steps of each utterance.
        member_logits: ``(members, batch, labels)`` float32: the logits of each head, for training.
    """

    logits: Tensor
    embedding: Tensor
    states: Tensor
    state_lengths: Tensor
    member_logits: Tensor


class Mix(NamedTuple):
    """How utterances of a batch are mixed in training: ``share`` of each, ``(batch, 1)``, the rest of its partner."""

    share: Tensor
    partner: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Mixes the rows of ``(batch, features)`` (Zhang et al. 2018, mixup; Verma et al. 2019, of hidden states).

        Args:
            values: ``(batch, features)``.

        Returns:
            ``(batch, features)``.
        """
        return self.share * values + (1 - self.share) * values[self.partner]


def _recur(layer: nn.GRU, states: Tensor, lengths: Tensor) -> Tensor:
    """Runs a GRU over ``(batch, steps, features)`` unaffected by padding; 0 after each end."""
    if not layer.bidirectional:
        # Padding comes after an end and cannot reach the states before it; on a CPU the gradient of packed steps takes
        # time quadratic in their number.
        outputs: Tensor = layer(states)[0]
        return outputs * padding_mask(lengths, states.shape[1])[:, :, None]
    packed = pack_padded_sequence(states, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=states.shape[1])[0]


class AudioRecurrentEncoder(nn.Module):
    """The ARE of Yoon et al. 2018: a GRU over MFCC frames; its last state, joined with prosody, is classified.

    Args:
        labels: Number of emotions.
        frame_size: Features per frame.
        summary_size: Features per utterance; the last ones are prosody.
        hidden: States of the GRU (paper: 200).
        dropout: Share of the joined features dropped in training.

    Example:
        >>> from multimodal.encoders.voice_features import summary_size
        >>> network = AudioRecurrentEncoder(8, 39, summary_size()).eval()
        >>> network(torch.zeros(2, 50, 39), torch.tensor([50, 20]), torch.zeros(2, summary_size())).logits.shape
        torch.Size([2, 8])
    """

    reads_states: ClassVar[bool] = False

    def __init__(
        self, labels: int, frame_size: int, summary_size: int, hidden: int = 200, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.background = Background(frame_size, summary_size)
        self.recurrent = nn.GRU(frame_size, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden + len(PROSODY_FIELDS), labels)
        self.embedding_size = hidden + len(PROSODY_FIELDS)
        self.state_size = hidden

    def forward(self, frames: Tensor, lengths: Tensor, summary: Tensor, mix: Mix | None = None) -> AudioOutput:
        """Reads standardized ``(batch, frames, 39)``, frames of each, and standardized ``(batch, summary)``.

        Args:
            frames: ``(batch, frames, 39)``.
            lengths: ``(batch,)`` frames of each utterance.
            summary: ``(batch, summary)``.
            mix: Mixes the batch in training; None otherwise.

        Returns:
            Logits, states and embedding.
        """
        states = _recur(self.recurrent, frames, lengths)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        embedding = torch.cat([last, summary[:, -len(PROSODY_FIELDS) :]], dim=1)
        embedding = embedding if mix is None else mix.of(embedding)
        logits = self.head(self.dropout(embedding))
        return AudioOutput(logits, embedding, states, lengths, logits.unsqueeze(0))


class AttentionPool(nn.Module):
    """Weighted mean and deviation over time with learned weights (Mirsamadi et al. 2017)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Linear(size, 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Maps ``(batch, steps, size)`` to ``(batch, 2 × size)``.

        Args:
            states: ``(batch, steps, size)``.
            mask: ``(batch, steps)`` bool, false in the padding.

        Returns:
            ``(batch, 2 × size)``.
        """
        scores = self.score(torch.tanh(states)).squeeze(-1).masked_fill(~mask, -torch.inf)
        weights = scores.softmax(dim=1).unsqueeze(-1)
        mean = (weights * states).sum(1)
        variance = (weights * (states - mean[:, None]).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


def _head(inputs: int, hidden: Sequence[int], labels: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout)]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, labels))


def _averaged(members: Tensor) -> Tensor:
    """The log of the averaged probabilities, so that softmax of it is their average."""
    return torch.log_softmax(members, dim=-1).logsumexp(dim=0) - math.log(len(members))


class ConvBiGRU(nn.Module):
    """Two strided convolutions, a bidirectional GRU and attention pooling, and a small network over the summary.

    The probabilities of two heads are averaged, one over the summary and one over both; they make different errors. A
    third head, over the sequence alone, is weaker (recall 0.53 against 0.61 and 0.64 on RAVDESS) and trains the
    recurrent part.

    Args:
        labels: Number of emotions.
        frame_size: Features per frame.
        summary_size: Features per utterance.
        channels: Of the convolutions.
        hidden: States of the GRU in each direction.
        dropout: Share dropped in training between the layers; the heads drop half.

    Example:
        >>> from multimodal.encoders.voice_features import summary_size
        >>> network = ConvBiGRU(8, 39, summary_size()).eval()
        >>> output = network(torch.zeros(2, 50, 39), torch.tensor([50, 20]), torch.zeros(2, summary_size()))
        >>> output.states.shape, output.state_lengths.tolist()
        (torch.Size([2, 7, 128]), [7, 3])
    """

    reads_states: ClassVar[bool] = False

    def __init__(
        self,
        labels: int,
        frame_size: int,
        summary_size: int,
        channels: int = 96,
        hidden: int = 64,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        self.background = Background(frame_size, summary_size)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, channels, 5, stride=2, padding=2) for inputs in (frame_size, channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(2))
        self.recurrent = nn.GRU(channels, hidden, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.input_dropout = nn.Dropout(0.2)
        pooled = 4 * hidden
        self.heads = nn.ModuleList(
            [
                _head(pooled, (128,), labels, 0.5),
                _head(summary_size, (128, 128), labels, 0.5),
                _head(pooled + summary_size, (128,), labels, 0.5),
            ]
        )
        self.embedding_size = pooled
        self.state_size = 2 * hidden

    def encode(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """States ``(batch, steps, 2 × hidden)``, eight frames to a step, and the steps of each utterance.

        Args:
            frames: ``(batch, frames, 39)``, standardized.
            lengths: ``(batch,)`` frames of each utterance.

        Returns:
            States and lengths.
        """
        states = frames.transpose(1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            # Zeros after the end, as in a shorter batch.
            states = states * padding_mask(lengths, states.shape[2])[:, None]
            states = functional.relu(norm(convolution(states)))
            lengths = (lengths + 1) // 2
        states = states * padding_mask(lengths, states.shape[2])[:, None]
        # The last pair may be incomplete: the mean is over its valid steps.
        valid = functional.avg_pool1d(padding_mask(lengths, states.shape[2])[:, None].float(), 2, ceil_mode=True)
        states = functional.avg_pool1d(states, 2, ceil_mode=True) / valid.clamp(min=0.5)
        lengths = (lengths + 1) // 2
        return _recur(self.recurrent, self.dropout(states.transpose(1, 2)), lengths), lengths

    def classify(self, embedding: Tensor, summary: Tensor) -> Tensor:
        """``(members, batch, labels)`` from pooled states ``(batch, 4 × hidden)`` and the summary.

        Args:
            embedding: ``(batch, 4 × hidden)``.
            summary: ``(batch, summary)``.

        Returns:
            Logits.
        """
        joined = torch.cat([embedding, summary], dim=1)
        inputs = (embedding, self.input_dropout(summary), self.input_dropout(joined))
        return torch.stack([head(part).float() for head, part in zip(self.heads, inputs, strict=True)])

    def forward(self, frames: Tensor, lengths: Tensor, summary: Tensor, mix: Mix | None = None) -> AudioOutput:
        """Reads standardized ``(batch, frames, 39)``, frames of each, and standardized ``(batch, summary)``.

        Args:
            frames: ``(batch, frames, 39)``.
            lengths: ``(batch,)`` frames of each utterance.
            summary: ``(batch, summary)``.
            mix: Mixes the batch in training; None otherwise.

        Returns:
            Logits, states and embedding.
        """
        states, steps = self.encode(frames, lengths)
        embedding = self.pool(states, padding_mask(steps, states.shape[1]))
        if mix is not None:
            embedding, summary = mix.of(embedding), mix.of(summary)
        members = self.classify(self.dropout(embedding), summary)
        together = _averaged(members[1:])  # without the first head
        return AudioOutput(together, embedding, states, steps, members)


@torch.no_grad()
def mean_and_deviation(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean and deviation over the steps of each utterance.

    Args:
        states: ``(batch, steps, features)``, 0 after the end of an utterance.
        lengths: ``(batch,)`` steps of each utterance.

    Returns:
        ``(batch, 2 × features)``.

    Example:
        >>> mean_and_deviation(torch.tensor([[[1.0], [3.0], [0.0]]]), torch.tensor([2])).round().tolist()
        [[2.0, 1.0]]
    """
    count = lengths[:, None].to(states.dtype)
    mean = states.sum(1) / count
    square = torch.einsum("bsf,bsf->bf", states, states) / count
    return torch.cat([mean, ((square - mean.square()).clamp(min=0) + 1e-5).sqrt()], dim=1)


class SpeechBranch(nn.Module):
    """A small network over the states of a speech encoder.

    Three heads are averaged, which make different errors: a linear one and one with a hidden layer over the mean and
    the deviation of the states over the utterance, and one over a recurrent network's attention-pooled states. The
    linear one is best for speakers of known corpora, the others for other corpora.

    Args:
        labels: Number of emotions.
        state_size: Features per step.
        projected: Features per step of the recurrent network's input.
        hidden: States of the GRU in each direction.
        dropout: Share dropped in training.
    """

    def __init__(
        self, labels: int, state_size: int = 2 * STATE_SIZE, projected: int = 64, hidden: int = 48, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * state_size)
        self.projection = nn.Linear(state_size, projected)
        self.recurrent = nn.GRU(projected, hidden, batch_first=True, bidirectional=True)
        self.pool = AttentionPool(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleList(
            [
                _head(2 * state_size, (), labels, dropout),
                _head(2 * state_size, (128,), labels, dropout),
                _head(4 * hidden, (64,), labels, dropout),
            ]
        )

    def forward(self, states: Tensor, lengths: Tensor, mix: Mix | None = None) -> Tensor:
        """Reads standardized states.

        Args:
            states: ``(batch, steps, state_size)``, 0 after the end of an utterance.
            lengths: ``(batch,)`` steps of each utterance.
            mix: Mixes the batch in training; None otherwise.

        Returns:
            ``(members, batch, labels)`` logits of each head.
        """
        mask = padding_mask(lengths, states.shape[1])
        pooled = self.norm(mean_and_deviation(states, lengths))
        # Whole features are dropped, at all steps of the batch alike.
        weight = self.projection.weight * self.dropout(torch.ones_like(self.projection.weight[:1]))
        steps = functional.relu(functional.linear(states, weight, self.projection.bias)) * mask[:, :, None]
        recurrent = self.pool(_recur(self.recurrent, steps, lengths), mask)
        if mix is not None:
            pooled, recurrent = mix.of(pooled), mix.of(recurrent)
        parts = (self.dropout(pooled), self.dropout(pooled), self.dropout(recurrent))
        return torch.stack([head(part).float() for head, part in zip(self.heads, parts, strict=True)])


class ConvBiGRUWhisper(ConvBiGRU):
    """``ConvBiGRU`` beside a network over the states of Whisper's encoder, where these are given.

    Both read features normalized by the recording and by the corpora, side by side. States and embedding are those of
    ``ConvBiGRU``, with a speech encoder and without. It has one more head, over the ``general_features`` of the summary
    alone, which is better on corpora that were not in training. The probabilities of the two networks are averaged.

    Args:
        labels: Number of emotions.
        frame_size: Features per frame.
        summary_size: Features per utterance.

    Example:
        >>> from multimodal.encoders.voice_features import summary_size
        >>> network = ConvBiGRUWhisper(8, 39, summary_size()).eval()
        >>> frames, summary = torch.zeros(2, 50, 78), torch.zeros(2, 2 * summary_size())
        >>> lengths, steps = torch.tensor([50, 20]), torch.tensor([7, 3])
        >>> network(frames, lengths, summary, states=torch.zeros(2, 7, 1024), state_lengths=steps).logits.shape
        torch.Size([2, 8])
    """

    reads_states: ClassVar[bool] = True

    def __init__(self, labels: int, frame_size: int, summary_size: int) -> None:
        super().__init__(labels, 2 * frame_size, 2 * summary_size)
        self.background = RecordingBackground(frame_size, summary_size)
        chosen = general_features(summary_size)
        self.general: Tensor
        self.register_buffer("general", torch.cat([chosen, summary_size + chosen]), persistent=False)
        self.heads.append(_head(len(self.general), (128, 128), labels, 0.5))
        self.speech = SpeechBranch(labels)

    def classify(self, embedding: Tensor, summary: Tensor) -> Tensor:
        """``(members, batch, labels)`` from pooled states ``(batch, 4 × hidden)`` and the summary.

        Args:
            embedding: ``(batch, 4 × hidden)``.
            summary: ``(batch, summary)``.

        Returns:
            Logits.
        """
        joined = torch.cat([embedding, summary], dim=1)
        inputs = (embedding, *(self.input_dropout(each) for each in (summary, joined, summary[:, self.general])))
        return torch.stack([head(part).float() for head, part in zip(self.heads, inputs, strict=True)])

    def forward(
        self,
        frames: Tensor,
        lengths: Tensor,
        summary: Tensor,
        states: Tensor | None = None,
        state_lengths: Tensor | None = None,
        mix: Mix | None = None,
    ) -> AudioOutput:
        """Reads the inputs of ``RecordingBackground``.

        Args:
            frames: ``(batch, frames, 78)``.
            lengths: ``(batch,)`` frames of each utterance.
            summary: ``(batch, summary)``.
            states: ``(batch, steps, 1024)`` of the speech encoder; None without one.
            state_lengths: ``(batch,)`` steps of each utterance.
            mix: Mixes the batch in training; None otherwise.

        Returns:
            Logits, states and embedding.
        """
        output = super().forward(frames, lengths, summary, mix=mix)
        if states is None or state_lengths is None:
            return output
        members = self.speech(states, state_lengths, mix)
        together = torch.logaddexp(output.logits, _averaged(members))
        return output._replace(logits=together, member_logits=torch.cat([output.member_logits, members]))


AUDIO_NETWORKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "are": AudioRecurrentEncoder,
    "conv_bigru": ConvBiGRU,
    "conv_bigru_whisper": ConvBiGRUWhisper,
}
"""Architecture name to a network for numbers of labels, features per frame and features per utterance."""


def reads_states(architecture: str) -> bool:
    """Whether an audio network reads states of a speech encoder.

    Args:
        architecture: Key of ``AUDIO_NETWORKS``.

    Example:
        >>> reads_states("conv_bigru_whisper"), reads_states("conv_bigru")
        (True, False)
    """
    network: Any = AUDIO_NETWORKS[architecture]
    return bool(network.reads_states)


@torch.inference_mode()
def encode_speaker(
    network: nn.Module, features: Sequence[VoiceFeatures], temperature: float = 1.0
) -> tuple[Tensor, list[Tensor]]:
    """Estimates the emotions of all utterances of one speaker in one recording.

    Features are first normalized by what the utterances have in common, voice and microphone; with few utterances the
    statistics of the corpora prevail (``Background``).

    Args:
        network: One of ``AUDIO_NETWORKS``, in evaluation mode.
        features: Features of every utterance of the speaker; their order does not matter. Speech states are used where
            all have them and the network reads them.
        temperature: Divides the logits; fitted on held-out speakers. It rises for a speaker unlike those of the corpora
            where the network's ``Background`` has a ``familiarity``.

    Returns:
        ``(utterances, labels)`` probabilities float32, and per utterance its states ``(steps, features)`` float32;
        both on the CPU.
    """
    if not features:
        return torch.zeros(0, 0), []
    everything = range(len(features))
    rows, states = encode_recordings(network, features, [(everything, everything)], temperature)
    return torch.stack([rows[index] for index in everything]), [states[index] for index in everything]


@torch.inference_mode()
def encode_recordings(
    network: nn.Module,
    features: Sequence[VoiceFeatures],
    recordings: Sequence[tuple[Sequence[int], Collection[int]]],
    temperature: float = 1.0,
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Estimates the emotions of utterances in several recordings, each of one speaker.

    Args:
        network: One of ``AUDIO_NETWORKS``, in evaluation mode.
        features: Features of utterances.
        recordings: The utterances of each recording, and those among them to estimate; each in one recording at most.
        temperature: As of ``encode_speaker``.

    Returns:
        Utterance to its probabilities ``(labels,)`` and to its states ``(steps, features)``; float32 on the CPU.
    """
    device = next(network.parameters()).device
    background: Background = network.background  # type: ignore[assignment]
    moments = background.moments(VoiceSums(features), [torch.tensor(list(members)) for members, _ in recordings])
    temperatures = [
        temperature * background.temperature_factor([features[index] for index in members]) for members, _ in recordings
    ]
    pairs = [(index, number) for number, (_, wanted) in enumerate(recordings) for index in wanted]
    pairs.sort(key=lambda pair: (len(features[pair[0]].frames), pair))
    probabilities: dict[int, Tensor] = {}
    states: dict[int, Tensor] = {}
    for start in range(0, len(pairs), BATCH):
        indices, numbers = zip(*pairs[start : start + BATCH], strict=True)
        own = moments.rows(torch.tensor(numbers))
        inputs = background.inputs([features[index] for index in indices], own).to(device)
        output = network(*(value for value in inputs if value is not None))
        logits = output.logits.float().cpu() / torch.tensor([temperatures[number] for number in numbers])[:, None]
        for row, index in enumerate(indices):
            probabilities[index] = torch.softmax(logits[row], dim=0)
            states[index] = output.states[row, : int(output.state_lengths[row])].float().cpu()
    return probabilities, states
