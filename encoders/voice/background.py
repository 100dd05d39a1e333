"""Normalization of voice features: by the recording, by the training corpora, or both side by side.

Voices and microphones differ more than emotions, so features are normalized by what all utterances of a speaker in a
recording have in common. In a recording with one emotion only, the emotion is part of that; so the statistics are
shrunk toward those of the training corpora, and ``RecordingBackground`` gives the features normalized by the corpora
beside those normalized by the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from multimodal.encoders.framing import padding_mask
from multimodal.encoders.statistics import Familiarity
from multimodal.encoders.voice.features import VoiceFeatures
from multimodal.encoders.voice.moments import Moments, RecordingMoments, VoiceSums, has_states
from multimodal.encoders.voice.whisper_states import STATE_SIZE

FRAMES_PER_SECOND = 100.0


class VoiceInputs(NamedTuple):
    """The inputs of an audio network for a batch of utterances.

    Attributes:
        frames: ``(batch, frames, features)`` float32, standardized; 0 after the end of an utterance.
        lengths: ``(batch,)`` frames of each utterance.
        summary: ``(batch, features)`` float32, standardized.
        states: ``(batch, steps, features)`` float32 speech states, standardized; None without a speech encoder.
        state_lengths: ``(batch,)`` steps of each utterance.
    """

    frames: Tensor
    lengths: Tensor
    summary: Tensor
    states: Tensor | None = None
    state_lengths: Tensor | None = None

    def to(self, device: torch.device | str) -> VoiceInputs:
        """The same on a device.

        Args:
            device: A device.
        """
        return VoiceInputs(**{name: value.to(device) for name, value in self.arguments().items()})

    def arguments(self) -> dict[str, Tensor]:
        """What a network is called with: the inputs that are there, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Background(nn.Module):
    """Feature statistics of the training corpora, the prior of a speaker's own statistics.

    The corpora weigh as much as ``utterances`` utterances of the speaker (``RecordingStatistics.shrunk``): a recording
    with one emotion only would otherwise lose it with its mean. With 2 instead of 20, recall on such recordings of
    RAVDESS was 0.45 instead of 0.62, and the same on recordings with every emotion.

    Args:
        frame_size: Features per frame.
        summary_size: Features per utterance.
        utterances: Weight of the corpora.
        frames_per_utterance: Number of frames that weigh as much as one utterance.

    Attributes:
        familiarity: Lowers the confidence for speakers unlike those of the corpora; None to trust all speakers alike.
            It is calibrated after training and stands on the card.
        speech_familiarity: The same where speech states are used.
        reads_states: Whether the network reads speech states.
    """

    reads_states = False

    def __init__(
        self, frame_size: int, summary_size: int, utterances: float = 20.0, frames_per_utterance: float = 200.0
    ) -> None:
        super().__init__()
        self.familiarity: Familiarity | None = None
        self.speech_familiarity: Familiarity | None = None
        self.utterances = utterances
        self.frames = utterances * frames_per_utterance
        self.frame_mean: Tensor
        self.frame_variance: Tensor
        self.summary_mean: Tensor
        self.summary_variance: Tensor
        self.register_buffer("frame_mean", torch.zeros(frame_size))
        self.register_buffer("frame_variance", torch.ones(frame_size))
        self.register_buffer("summary_mean", torch.zeros(summary_size))
        self.register_buffer("summary_variance", torch.ones(summary_size))

    def learn(self, sums: VoiceSums, speakers: Sequence[Tensor]) -> None:
        """Stores the statistics of the training corpora: means over all clips, and the mean variance within speakers.

        Args:
            sums: Sums of the training clips.
            speakers: Indices of the clips of each speaker.
        """
        everything = [torch.arange(len(sums.counts))]
        self.frame_mean.copy_(sums.frames(everything).mean[0])
        self.frame_variance.copy_(sums.frames(speakers).variance.mean(0))
        self.summary_mean.copy_(sums.summaries(everything, by_length=False).mean[0])
        self.summary_variance.copy_(sums.summaries(speakers, by_length=False).variance.mean(0))

    def moments(self, sums: VoiceSums, recordings: Sequence[Tensor]) -> RecordingMoments:
        """Statistics of recordings, shrunk toward the corpora's.

        Args:
            sums: Sums of the utterances.
            recordings: Indices of the utterances of each recording.

        Returns:
            A row per recording.
        """
        frames = sums.frames(recordings).shrunk(self.frame_mean, self.frame_variance, self.frames)
        summaries = sums.summaries(recordings, by_length=False)
        return RecordingMoments(
            frames, summaries.shrunk(self.summary_mean, self.summary_variance, self.utterances), None
        )

    def inputs(self, features: Sequence[VoiceFeatures], moments: RecordingMoments) -> VoiceInputs:
        """Normalizes a batch of utterances.

        Args:
            features: The utterances.
            moments: A row per utterance, or one for all.

        Returns:
            The inputs of the network, on the CPU.
        """
        frames, lengths = _padded([each.frames for each in features])
        mask = padding_mask(lengths, frames.shape[1])[:, :, None]
        summary = torch.stack([each.summary for each in features])
        return VoiceInputs(moments.frames.standardize(frames) * mask, lengths, moments.summary.standardize(summary))

    def temperature_factor(self, features: Sequence[VoiceFeatures]) -> float:
        """How much less sure to be of a speaker unlike those of the corpora.

        Args:
            features: All utterances of the speaker.

        Returns:
            At least 1; what the temperature is multiplied with.
        """
        familiarity = self.speech_familiarity if self.reads_states and has_states(features) else self.familiarity
        if familiarity is None or not features:
            return 1.0
        return familiarity.temperature_factor(torch.stack([each.summary for each in features]).double().mean(0))


class RecordingBackground(Background):
    """Both normalizations side by side, and a weight of the corpora in seconds of speech.

    Frames normalized by the corpora are centered on the utterance's own mean besides, which tells the microphone more
    than the emotion (recall of a corpus that was not in training 0.30 instead of 0.24, of RAVDESS 0.49 instead of
    0.43); the absolute level stands in the summary.

    Args:
        frame_size: Features per frame.
        summary_size: Features per utterance.
        seconds: Weight of the corpora. An utterance counts by its length: a short "no" tells less of a voice than a
            long answer.
    """

    reads_states = True

    def __init__(self, frame_size: int, summary_size: int, seconds: float = 60.0) -> None:
        super().__init__(frame_size, summary_size)
        self.seconds = seconds
        sizes = {"frame": frame_size, "summary": summary_size, "state": STATE_SIZE}
        self.state_mean: Tensor
        self.state_variance: Tensor
        self.register_buffer("state_mean", torch.zeros(STATE_SIZE))
        self.register_buffer("state_variance", torch.ones(STATE_SIZE))
        for name, size in sizes.items():
            self.register_buffer(f"{name}_total_variance", torch.ones(size))

    def learn(self, sums: VoiceSums, speakers: Sequence[Tensor]) -> None:
        """Stores the statistics of the training corpora, and the variance over all of their clips.

        Args:
            sums: Sums of the training clips.
            speakers: Indices of the clips of each speaker.
        """
        everything = [torch.arange(len(sums.counts))]
        pairs = {"frame": (sums.frames(everything), sums.frames(speakers))}
        pairs["summary"] = (sums.summaries(everything, True), sums.summaries(speakers, True))
        states, within = sums.states(everything), sums.states(speakers)
        if states is not None and within is not None:
            pairs["state"] = (states, within)
        for name, (total, each) in pairs.items():
            getattr(self, f"{name}_mean").copy_(total.mean[0])
            getattr(self, f"{name}_variance").copy_(each.variance.mean(0))
            getattr(self, f"{name}_total_variance").copy_(total.variance[0])

    def moments(self, sums: VoiceSums, recordings: Sequence[Tensor]) -> RecordingMoments:
        """Statistics of recordings, shrunk toward the corpora's by the seconds heard.

        Args:
            sums: Sums of the utterances.
            recordings: Indices of the utterances of each recording.

        Returns:
            A row per recording.
        """
        prior = self.seconds * FRAMES_PER_SECOND
        states = sums.states(recordings)
        return RecordingMoments(
            sums.frames(recordings).shrunk(self.frame_mean, self.frame_variance, prior),
            sums.summaries(recordings, by_length=True).shrunk(self.summary_mean, self.summary_variance, prior),
            None if states is None else states.shrunk(self.state_mean, self.state_variance, prior),
        )

    def inputs(self, features: Sequence[VoiceFeatures], moments: RecordingMoments) -> VoiceInputs:
        """Normalizes a batch of utterances by their recordings, and by the corpora.

        Args:
            features: The utterances.
            moments: A row per utterance, or one for all.

        Returns:
            The inputs of the network, on the CPU, the features normalized by the recording first.
        """
        frames, lengths = _padded([each.frames for each in features])
        mask = padding_mask(lengths, frames.shape[1])[:, :, None]
        by_recording, by_corpora = (self._both(frames, moments.frames, "frame") * mask).chunk(2, dim=-1)
        own_mean = by_corpora.sum(1) / lengths[:, None]
        frames = torch.cat([by_recording, (by_corpora - own_mean[:, None]) * mask], dim=-1)
        summary = self._both(torch.stack([each.summary for each in features]), moments.summary, "summary")
        if moments.states is None:
            return VoiceInputs(frames, lengths, summary)
        states, steps = _padded([each.speech_states for each in features if each.speech_states is not None])
        states = self._both(states, moments.states, "state") * padding_mask(steps, states.shape[1])[:, :, None]
        return VoiceInputs(frames, lengths, summary, states, steps)

    def _both(self, values: Tensor, moments: Moments, name: str) -> Tensor:
        mean, variance = (getattr(self, f"{name}_{kind}").cpu()[None] for kind in ("mean", "total_variance"))
        absolute = Moments(torch.ones(1), mean, variance)
        return torch.cat([moments.standardize(values), absolute.standardize(values)], dim=-1)


def _padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(each) for each in rows])
    return pad_sequence(list(rows), batch_first=True).float(), lengths
