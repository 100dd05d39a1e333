"""The audio stage of the training loop: features of each clip and its augmented copies, in balanced batches.

Waveforms are augmented before training: the first version of a clip is the clip itself, the others are drawn once. In a
batch, a version is drawn for each clip, its features are normalized per speaker (by all clips of the speaker or by a
random subset, since a recording may have few utterances), and parts of the features are masked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.augmentation.audio import AudioAugmentation, augment_waveform, mask_features
from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.audio import AUDIO_NETWORKS
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.background import Background, VoiceInputs
from multimodal.encoders.voice.features import VoiceFeatures, voice_features
from multimodal.encoders.voice.layers import Mix
from multimodal.encoders.voice.moments import VoiceSums, joined_moments
from multimodal.encoders.voice.whisper_states import SpeechEncoder
from multimodal.errors import ConfigError
from multimodal.evaluate.audio import predict_recordings
from multimodal.evaluate.voice_recordings import BALANCED
from multimodal.train.loop import LoopSettings
from multimodal.train.voice.recordings import RecordingShares, SimulatedRecordings


@dataclass(frozen=True)
class ClipTable:
    """Clips with targets and features.

    Attributes:
        clips: The clips.
        targets: ``(clips,)`` int64 index into the labels of the network.
        versions: Features of each clip, per version; the first is the clip as recorded.
    """

    clips: tuple[VoiceClip, ...]
    targets: NDArray[np.int64]
    versions: tuple[tuple[VoiceFeatures, ...], ...]

    def subset(self, indices: NDArray[np.int64]) -> ClipTable:
        """The clips at these indices, in their order.

        Args:
            indices: ``(n,)`` indices.

        Returns:
            A smaller table.
        """
        versions = tuple(tuple(version[index] for index in indices) for version in self.versions)
        return ClipTable(tuple(self.clips[index] for index in indices), self.targets[indices], versions)


class Batch(NamedTuple):
    """The clips of one step: the network's inputs, and targets as ``(batch, labels)`` shares."""

    inputs: VoiceInputs
    targets: Tensor
    mix: Mix


def target_labels(corpus: str) -> tuple[str, ...]:
    """The labels of a network: the seven for ``fused``, or those of a corpus.

    Args:
        corpus: ``fused`` or the name of a speech corpus.

    Example:
        >>> target_labels("ravdess")[:2]
        ('neutral', 'calm')
    """
    return FUSED_LABELS if corpus == "fused" else VOICE_CORPORA[corpus].labels


def groups_of(corpus: str) -> tuple[str | None, ...]:
    """The fused label of each label of the network; None for one without a counterpart.

    Args:
        corpus: ``fused`` or the name of a speech corpus.

    Example:
        >>> groups_of("ravdess")[:2]
        ('neutral', 'neutral')
    """
    return FUSED_LABELS if corpus == "fused" else VOICE_CORPORA[corpus].groups


def target_of(clip: VoiceClip, corpus: str) -> int | None:
    """The target of a clip: its index among the labels of the network; None if there is no such label.

    A clip of another corpus gets the first label with the same fused label: EmoDB's neutral becomes RAVDESS's neutral,
    never its calm.

    Args:
        clip: A clip.
        corpus: ``fused`` or the name of a speech corpus.

    Example:
        >>> from pathlib import Path
        >>> target_of(VOICE_CORPORA["emodb"].clip(Path("03a01Nc.wav"), "03", "neutral"), "ravdess")
        0
    """
    if clip.corpus == corpus:
        return target_labels(corpus).index(clip.native_label)
    groups = groups_of(corpus)
    return groups.index(clip.label) if clip.label in groups and clip.label is not None else None


def clip_features(
    clips: Sequence[VoiceClip],
    waveforms: Sequence[NDArray[np.float32]],
    version: int,
    augmentation: AudioAugmentation,
    mfcc: Mfcc,
    seed: int,
    speech_encoder: SpeechEncoder | None = None,
) -> tuple[VoiceFeatures, ...]:
    """Computes the features of clips, as recorded or augmented.

    The clips of a speaker are changed alike, as in one recording: the same room, microphone and shift of the voice.

    Args:
        clips: Clips of any corpora.
        waveforms: Mono sound of each clip, at the sample rate of ``mfcc``.
        version: 0 for the clips as recorded, from 1 on for augmented copies.
        augmentation: How often and how strongly the copies are changed.
        mfcc: Gives the settings of the features and the device.
        seed: Random seed of the augmented copies.
        speech_encoder: Gives the speech states; None for features without them.

    Returns:
        Features in the order of the clips.
    """
    if version == 0:
        return tuple(voice_features(list(waveforms), mfcc, speech_encoder))
    speakers = sorted({clip.speaker for clip in clips})
    copies = []
    for clip, waveform in zip(clips, waveforms, strict=True):
        generator = Generator().manual_seed((seed * 1009 + version) * 100_003 + speakers.index(clip.speaker))
        rate = mfcc.settings.sample_rate
        copies.append(augment_waveform(torch.from_numpy(waveform), augmentation, generator, rate).numpy())
    return tuple(voice_features(copies, mfcc, speech_encoder))


@dataclass(frozen=True)
class SamplingConfig:
    """How clips are drawn, beside the settings of the loop.

    Attributes:
        corpus_weights: Per corpus, the relative frequency of each of its labels; above 0.
        augmented_share: Share of the clips drawn as an augmented copy.
        recordings: How the recording is simulated that a clip is normalized by.
        summary_noise: Standard deviation of the noise on standardized summaries.
        label_smoothing: Share of each target that is spread over all labels.
        mixup: Both parameters of the Beta distribution of mixup; 0 for no mixup.

    Raises:
        ConfigError: A value is invalid.
    """

    corpus_weights: dict[str, float]
    augmented_share: float = 0.5
    recordings: RecordingShares = field(default_factory=RecordingShares)
    summary_noise: float = 0.3
    label_smoothing: float = 0.1
    mixup: float = 0.4

    def __post_init__(self) -> None:
        for key in ("augmented_share", "label_smoothing"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"sampling.{key}", f"is {getattr(self, key):g}", "give a share from 0 to 1")
        for key in ("summary_noise", "mixup"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ConfigError(f"sampling.{key}", f"is {getattr(self, key):g}", "give a number from 0")
        for corpus, weight in self.corpus_weights.items():
            if not isinstance(weight, int | float) or not 0 < weight < math.inf:
                raise ConfigError(f"sampling.corpus_weights.{corpus}", f"is {weight!r}", "give a number above 0")


class AudioTask:
    """The voice stage for ``multimodal.train.loop.fit``.

    Args:
        architecture: Key of ``AUDIO_NETWORKS``.
        labels: Number of labels.
        neutral: The neutral ones among them.
        table: Training clips.
        held_out: Clips of other speakers, evaluated after each epoch for the log; None for no validation.
        sampling: How clips are drawn.
        augmentation: How often and how much ``mask_features`` masks.
        settings: Settings of the loop.
        accelerator: Gives the device.
    """

    metric = "uar"

    def __init__(
        self,
        architecture: str,
        labels: int,
        neutral: Sequence[int],
        table: ClipTable,
        held_out: ClipTable | None,
        sampling: SamplingConfig,
        augmentation: AudioAugmentation,
        settings: LoopSettings,
        accelerator: Accelerator,
    ) -> None:
        self.table, self.held_out, self.sampling = table, held_out, sampling
        self.augmentation, self.settings, self.accelerator = augmentation, settings, accelerator
        self.labels = labels
        frame_size = table.versions[0][0].frames.shape[1]
        self.network = AUDIO_NETWORKS[architecture](labels, frame_size, len(table.versions[0][0].summary))
        self.sums = [VoiceSums(version) for version in table.versions]
        self.recordings = SimulatedRecordings(
            [clip.speaker for clip in table.clips], table.targets.tolist(), neutral, sampling.recordings
        )
        self.background: Background = self.network.background  # type: ignore[assignment]
        self.background.learn(self.sums[0], list(self.recordings.by_speaker.values()))
        self.draw_weights = _draw_weights(table, sampling.corpus_weights)

    def steps(self) -> int:
        """Whole batches in the corpus; clips are drawn by weight, so an epoch is not a pass over all clips."""
        return max(len(self.table.clips) // self.settings.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """An epoch's batches of clips of similar length; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        draws = Generator().manual_seed(int(torch.randint(2**31, (), generator=generator, device=generator.device)))
        size = self.settings.batch_size
        sample = torch.multinomial(self.draw_weights, self.steps() * size, replacement=True, generator=draws)
        lengths = self.sums[0].counts[sample] * (1 + 0.2 * torch.rand(len(sample), generator=draws))
        batches = sample[lengths.argsort()].split(size)
        for number in torch.randperm(len(batches), generator=draws).tolist():
            share = batches[number][self.accelerator.process_index :: self.accelerator.num_processes]
            yield self._batch(share, draws)

    def _batch(self, indices: Tensor, draws: Generator) -> Batch:
        sampling, device = self.sampling, self.accelerator.device
        versions = [self._draw_version(draws) for _ in indices]
        recordings = [self.recordings.draw(index, draws) for index in indices.tolist()]
        order = sorted(range(len(indices)), key=lambda row: versions[row])  # clips of a version share their sums
        indices = indices[order]
        versions, recordings = [versions[row] for row in order], [recordings[row] for row in order]
        moments = [
            self.background.moments(self.sums[version], [recordings[row] for row in rows])
            for version, rows in _runs(versions)
        ]
        features = [self.table.versions[version][index] for version, index in zip(versions, indices, strict=True)]
        inputs = self.background.inputs(features, joined_moments(moments))
        summary = inputs.summary + sampling.summary_noise * torch.randn(inputs.summary.shape, generator=draws)
        frames = mask_features(inputs.frames, inputs.lengths, self.augmentation, draws)
        mix = _draw_mix(len(indices), sampling.mixup, draws, device)
        soft_targets = functional.one_hot(torch.from_numpy(self.table.targets[indices.numpy()]), self.labels).float()
        soft_targets = soft_targets * (1 - sampling.label_smoothing) + sampling.label_smoothing / self.labels
        inputs = inputs._replace(frames=frames, summary=summary).to(device)
        return Batch(inputs, mix.of(soft_targets.to(device)), mix)

    def _draw_version(self, draws: Generator) -> int:
        if len(self.table.versions) == 1 or float(torch.rand((), generator=draws)) >= self.sampling.augmented_share:
            return 0
        return int(torch.randint(1, len(self.table.versions), (), generator=draws))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean over clips of the cross-entropy, summed over heads: each head is trained independently.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        output = network(**batch.inputs.arguments(), mix=batch.mix)
        logs = torch.log_softmax(output.member_logits.float(), dim=-1)
        return -(batch.targets * logs).sum(-1).mean(-1).sum()

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Unweighted average recall and negative log-likelihood on the held-out speakers.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        if self.held_out is None:
            return {}
        features = self.held_out.versions[0]
        probabilities = torch.from_numpy(predict_recordings(network, self.held_out.clips, features, BALANCED)[1])
        targets = torch.from_numpy(self.held_out.targets)
        right = (probabilities.argmax(1) == targets).float()
        recalls = [right[targets == label].mean() for label in targets.unique()]
        likelihood = probabilities.gather(1, targets[:, None]).clamp(min=1e-9).log().mean()
        return {"uar": float(torch.stack(recalls).mean()), "nll": -float(likelihood)}


def _runs(versions: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Each version of a sorted list with its rows."""
    return [(version, [row for row, own in enumerate(versions) if own == version]) for version in sorted(set(versions))]


def _draw_weights(table: ClipTable, weights: dict[str, float]) -> Tensor:
    """Weight of each clip in the draw: by corpus weight per label, and equal for the speakers of a label."""
    labels = [(clip.corpus, int(target)) for clip, target in zip(table.clips, table.targets, strict=True)]
    keys = [(*label, clip.speaker) for label, clip in zip(labels, table.clips, strict=True)]
    clips, speakers = Counter(keys), Counter(key[:2] for key in set(keys))
    return torch.tensor([weights[key[0]] / (speakers[key[:2]] * clips[key]) for key in keys], dtype=torch.float64)


def _draw_mix(count: int, mixup: float, draws: Generator, device: torch.device) -> Mix:
    """Shares from Beta(mixup, mixup), and the partner of each clip."""
    partner = torch.randperm(count, generator=draws)
    if mixup <= 0:
        return Mix(torch.ones(count, 1, device=device), partner.to(device))
    # Torch's beta distribution takes no generator, so numpy draws with a seed from it.
    shares = np.random.default_rng(int(torch.randint(2**31, (), generator=draws))).beta(mixup, mixup, (count, 1))
    return Mix(torch.from_numpy(shares).float().to(device), partner.to(device))
