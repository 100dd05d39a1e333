"""The fusion stage of the training loop: new utterances in every epoch, with modalities dropped at random."""

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

from multimodal.data.corpora.crema_d_votes import JointVotes
from multimodal.data.corpora.synthetic import SynthesisConfig, SyntheticUtterance, synthesize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import ConfigError
from multimodal.evaluate.fusion import SUBSETS
from multimodal.evaluate.synthetic.features import EncodedPools
from multimodal.fusion.alignment import FusionBatch, FusionInputs, collate
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape
from multimodal.fusion.prediction import predict
from multimodal.train.loop import LoopSettings
from multimodal.types import MODALITIES


@dataclass(frozen=True)
class FusionTrainingConfig:
    """How the head is trained, beside the settings of the loop.

    Attributes:
        utterances: Utterances per epoch.
        validation_utterances: Utterances of the validation after each epoch, from other people, pictures and texts;
            also the number for calibration and for evaluation.
        absent_share: Share of utterances that a modality is dropped from; two stay.
        label_smoothing: Share of each target that is spread over all labels.
        audio_noise: Standard deviation of the noise added to the audio states, relative to that of the states: one
            draw per utterance and one per step. It counters overfitting to a few hundred speakers' clips.

    Raises:
        ConfigError: A value is invalid.
    """

    utterances: int = 12_800
    validation_utterances: int = 4_000
    absent_share: float = 0.3
    label_smoothing: float = 0.0
    audio_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.utterances < 1 or self.validation_utterances < 1:
            raise ConfigError("training", "asks for no utterances", "give at least 1")
        for key in ("absent_share", "label_smoothing"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigError(f"training.{key}", f"is {getattr(self, key):g}", "give a share from 0 to below 1")
        if not 0 <= self.audio_noise < math.inf:
            raise ConfigError("training.audio_noise", f"is {self.audio_noise:g}", "give a number from 0")


class Batch(NamedTuple):
    """The utterances of one step and their labels ``(batch,)``."""

    inputs: FusionBatch
    targets: Tensor


class FusionTask:
    """The fusion stage for ``multimodal.train.loop.fit``.

    Args:
        shape: Shape of the head.
        pools: What training utterances are drawn from.
        held_out: What validation utterances are drawn from.
        synthesis: How utterances are drawn.
        training: How the head is trained.
        settings: Settings of the loop.
        accelerator: Gives the device.
        votes: What people hear, see and judge; needed for ``synthesis.judged_share``.
    """

    metric = "macro_f1"

    def __init__(
        self,
        shape: FusionShape,
        pools: EncodedPools,
        held_out: EncodedPools,
        synthesis: SynthesisConfig,
        training: FusionTrainingConfig,
        settings: LoopSettings,
        accelerator: Accelerator,
        votes: JointVotes | None = None,
    ) -> None:
        self.votes = votes
        self.pools, self.synthesis, self.training = pools, synthesis, training
        self.settings, self.accelerator = settings, accelerator
        self.shape = shape
        self.spread = np.concatenate([clip.states for clip in pools.voices[0]]).std(axis=0) * training.audio_noise
        self.network: nn.Module = DualRecurrentFusion(shape)
        count = training.validation_utterances
        self.held_out = list(synthesize(held_out.pools, count, synthesis, settings.seed, votes))
        self.held_out_inputs = [held_out.utterance(recipe)[0] for recipe in self.held_out]

    def steps(self) -> int:
        """Whole batches of an epoch's utterances."""
        return max(self.training.utterances // self.settings.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """An epoch's batches of utterances of similar length; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        draws = np.random.default_rng(seed)
        size = self.settings.batch_size
        recipes = list(synthesize(self.pools.pools, self.steps() * size, self.synthesis, seed, self.votes))
        recipes.sort(key=lambda recipe: len(recipe.frame_times) + draws.random())
        for number in draws.permutation(self.steps()):
            batch_recipes = recipes[number * size : (number + 1) * size]
            subsets = [_draw_subset(self.training.absent_share, draws) for _ in batch_recipes]
            share = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
            yield self._batch(batch_recipes[share], subsets[share], draws)

    def _batch(
        self, recipes: Sequence[SyntheticUtterance], subsets: Sequence[Sequence[str]], draws: np.random.Generator
    ) -> Batch:
        complete = [self._add_noise(self.pools.utterance(recipe)[0], draws) for recipe in recipes]
        inputs = [each.only(subset) for each, subset in zip(complete, subsets, strict=True)]
        targets = torch.tensor([recipe.label for recipe in recipes])
        device = self.accelerator.device
        return Batch(collate(inputs, self.shape.sizes, self.shape.labels).to(device), targets.to(device))

    def _add_noise(self, inputs: FusionInputs, draws: np.random.Generator) -> FusionInputs:
        if inputs.audio is None or not self.training.audio_noise:
            return inputs
        steps, features = inputs.audio.shape
        noise = draws.standard_normal((1, features)) + draws.standard_normal((steps, features))
        return replace(inputs, audio=(inputs.audio + self.spread * noise).astype(np.float32))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        logits = network(batch.inputs).logits
        return functional.cross_entropy(logits, batch.targets, label_smoothing=self.training.label_smoothing)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Macro-F1 and negative log-likelihood on held-out utterances, as means over subsets of several modalities.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        from multimodal.evaluate.metrics import classification_figures

        labels = np.array([recipe.label for recipe in self.held_out])
        rows = []
        for subset in SUBSETS[len(MODALITIES) :]:  # one modality alone is its own answer
            predictions = predict(network, self.shape, [inputs.only(subset) for inputs in self.held_out_inputs])
            rows.append(classification_figures(predictions.probabilities, labels, FUSED_LABELS))
        return {
            "macro_f1": float(np.mean([figures["macro_f1"] for figures in rows])),
            "nll": float(np.mean([figures["nll"] for figures in rows])),
            "macro_f1_all_modalities": rows[-1]["macro_f1"],
        }


def _draw_subset(absent_share: float, draws: np.random.Generator) -> tuple[str, ...]:
    """At least two modalities: one alone is its own answer."""
    absent = str(draws.choice(MODALITIES)) if draws.random() < absent_share else None
    return tuple(name for name in MODALITIES if name != absent)
