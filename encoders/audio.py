"""The audio encoder: recurrent networks from an utterance's MFCCs and prosody to emotions, and a state per step.

Two networks: ``AudioRecurrentEncoder``, the one of Yoon et al. 2018, kept for comparison, and ``ConvBiGRU``, ours. Both
read the features that ``voice_features`` computes for an utterance, after ``encode_speaker`` has removed what all
utterances of the speaker have in common: voices and microphones differ more than emotions.

Source: Yoon, Byun and Jung 2018 (arXiv 1810.04635), section 3.1; Mirsamadi et al. 2017 (attention pooling, ICASSP).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal.encoders.framing import padding_mask
from multimodal.encoders.voice.background import Background, RecordingBackground
from multimodal.encoders.voice.features import BATCH, VoiceFeatures, general_features
from multimodal.encoders.voice.layers import AttentionPool, Mix, SpeechBranch, averaged, make_head, run_recurrent
from multimodal.encoders.voice.moments import VoiceSums
from multimodal.encoders.voice.prosody import PROSODY_FIELDS


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


class AudioRecurrentEncoder(nn.Module):
    """The ARE of Yoon et al. 2018: a GRU over MFCC frames; its last state, joined with prosody, is classified.

    Args:
        labels: Number of emotions.
        frame_size: Features per frame.
        summary_size: Features per utterance; the last ones are prosody.
        hidden: States of the GRU (paper: 200).
        dropout: Share of the joined features dropped in training.

    Example:
        >>> from multimodal.encoders.voice.features import summary_size
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
        states = run_recurrent(self.recurrent, frames, lengths)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        embedding = torch.cat([last, summary[:, -len(PROSODY_FIELDS) :]], dim=1)
        embedding = embedding if mix is None else mix.of(embedding)
        logits = self.head(self.dropout(embedding))
        return AudioOutput(logits, embedding, states, lengths, logits.unsqueeze(0))


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
        >>> from multimodal.encoders.voice.features import summary_size
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
                make_head(pooled, (128,), labels, 0.5),
                make_head(summary_size, (128, 128), labels, 0.5),
                make_head(pooled + summary_size, (128,), labels, 0.5),
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
        return run_recurrent(self.recurrent, self.dropout(states.transpose(1, 2)), lengths), lengths

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
        together = averaged(members[1:])  # without the first head
        return AudioOutput(together, embedding, states, steps, members)


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
        >>> from multimodal.encoders.voice.features import summary_size
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
        self.heads.append(make_head(len(self.general), (128, 128), labels, 0.5))
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
        mix: Mix | None = None,
        states: Tensor | None = None,
        state_lengths: Tensor | None = None,
    ) -> AudioOutput:
        """Reads the inputs of ``RecordingBackground``.

        Args:
            frames: ``(batch, frames, 78)``.
            lengths: ``(batch,)`` frames of each utterance.
            summary: ``(batch, summary)``.
            mix: Mixes the batch in training; None otherwise.
            states: ``(batch, steps, 1024)`` of the speech encoder; None without one.
            state_lengths: ``(batch,)`` steps of each utterance.

        Returns:
            Logits, states and embedding.
        """
        output = super().forward(frames, lengths, summary, mix=mix)
        if states is None or state_lengths is None:
            return output
        members = self.speech(states, state_lengths, mix)
        together = torch.logaddexp(output.logits, averaged(members))
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
        output = network(**inputs.arguments())
        logits = output.logits.float().cpu() / torch.tensor([temperatures[number] for number in numbers])[:, None]
        for row, index in enumerate(indices):
            probabilities[index] = torch.softmax(logits[row], dim=0)
            states[index] = output.states[row, : int(output.state_lengths[row])].float().cpu()
    return probabilities, states
