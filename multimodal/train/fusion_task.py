"""What the training loop needs of the fusion stage: fresh compositions for every epoch, signals dropped at random."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.data.corpora.synthetic import SynthesisConfig, SyntheticUtterance, synthesize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import ConfigError
from multimodal.evaluate.fusion import SUBSETS
from multimodal.evaluate.synthetic_features import EncodedPools
from multimodal.fusion.alignment import FusionBatch, FusionInputs, collate
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape
from multimodal.fusion.prediction import predict
from multimodal.train.loop import LoopSettings
from multimodal.types import MODALITIES


@dataclass(frozen=True)
class FusionTrainingConfig:
    """How the head learns, beside the loop's settings.

    Attributes:
        utterances: Compositions of one epoch.
        validation_utterances: Compositions after each epoch, of other people, pictures and texts; and those that
            calibrate and judge in the end.
        absent_share: Chance of each signal to be left out of an utterance; at least one stays.
        label_smoothing: Share of each target spread over all labels.
        voice_noise: Deviation of the noise on the voice's states, over that of the states: once for the utterance and
            once for each step. A few hundred speakers' clips are soon known by heart.

    Raises:
        ConfigError: A value that cannot be.
    """

    utterances: int = 12_800
    validation_utterances: int = 4_000
    absent_share: float = 0.3
    label_smoothing: float = 0.0
    voice_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.utterances < 1 or self.validation_utterances < 1:
            raise ConfigError("learning", "composes no utterances", "give at least 1")
        for key in ("absent_share", "label_smoothing"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"learning.{key}", f"is {getattr(self, key):g}", "give a share from 0 to below 1")
        if not 0 <= self.voice_noise < math.inf:
            raise ConfigError("learning.voice_noise", f"is {self.voice_noise:g}", "give a number from 0")


class Batch(NamedTuple):
    """One step's utterances and the right answers ``(batch,)``."""

    streams: FusionBatch
    targets: Tensor


class FusionTask:
    """The fusion stage for ``multimodal.train.loop.fit``.

    Args:
        shape: Of the head.
        parts: What to compose of in training.
        held_out: What to compose of after each epoch.
        composing: How.
        learning: Likewise.
        settings: Of the loop.
        accelerator: Decides on the device.
    """

    metric = "macro_f1"

    def __init__(
        self,
        shape: FusionShape,
        parts: EncodedPools,
        held_out: EncodedPools,
        synthesis: SynthesisConfig,
        learning: FusionTrainingConfig,
        settings: LoopSettings,
        accelerator: Accelerator,
    ) -> None:
        self.parts, self.synthesis, self.learning = parts, synthesis, learning
        self.settings, self.accelerator = settings, accelerator
        self.shape = shape
        self.spread = np.concatenate([voice.states for voice in parts.voices[0]]).std(axis=0) * learning.voice_noise
        self.network: nn.Module = DualRecurrentFusion(shape)
        count = learning.validation_utterances
        self.judged = list(synthesize(held_out.pools, count, synthesis, settings.seed))
        self.judged_streams = [held_out.streams(recipe)[0] for recipe in self.judged]

    def steps(self) -> int:
        """Whole batches of an epoch's compositions."""
        return max(self.learning.utterances // self.settings.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """An epoch's batches of utterances of similar length; several devices share each batch."""
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        draws = np.random.default_rng(seed)
        size = self.settings.batch_size
        recipes = list(synthesize(self.parts.pools, self.steps() * size, self.synthesis, seed))
        recipes.sort(key=lambda recipe: len(recipe.frame_times) + draws.random())
        for number in draws.permutation(self.steps()):
            chosen = recipes[number * size : (number + 1) * size]
            kept = [_kept(self.learning.absent_share, draws) for _ in chosen]
            share = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
            yield self._batch(chosen[share], kept[share], draws)

    def _batch(
        self, recipes: Sequence[SyntheticUtterance], kept: Sequence[Sequence[str]], draws: np.random.Generator
    ) -> Batch:
        whole = [self._noisy(self.parts.streams(recipe)[0], draws) for recipe in recipes]
        streams = [each.only(modalities) for each, modalities in zip(whole, kept, strict=True)]
        targets = torch.tensor([recipe.label for recipe in recipes])
        device = self.accelerator.device
        return Batch(collate(streams, self.shape.sizes, self.shape.labels).to(device), targets.to(device))

    def _noisy(self, streams: FusionInputs, draws: np.random.Generator) -> FusionInputs:
        if streams.audio is None or not self.learning.voice_noise:
            return streams
        steps, features = streams.audio.shape
        noise = draws.standard_normal((1, features)) + draws.standard_normal((steps, features))
        return replace(streams, audio=(streams.audio + self.spread * noise).astype(np.float32))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy."""
        logits = network(batch.streams).logits
        return functional.cross_entropy(logits, batch.targets, label_smoothing=self.learning.label_smoothing)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Macro-F1 and negative log-likelihood, means over all subsets of signals, on held-out compositions."""
        from multimodal.evaluate.metrics import classification_figures

        labels = np.array([recipe.label for recipe in self.judged])
        found = []
        for subset in SUBSETS:
            answers = predict(network, self.shape, [streams.only(subset) for streams in self.judged_streams])
            found.append(classification_figures(answers.probabilities, labels, FUSED_LABELS))
        full = found[-1]
        return {
            "macro_f1": float(np.mean([figures["macro_f1"] for figures in found])),
            "nll": float(np.mean([figures["nll"] for figures in found])),
            "macro_f1_all_signals": full["macro_f1"],
        }


def _kept(absent_share: float, draws: np.random.Generator) -> tuple[str, ...]:
    kept = tuple(name for name in MODALITIES if draws.random() >= absent_share)
    return kept or (str(draws.choice(MODALITIES)),)
