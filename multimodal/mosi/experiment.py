"""Trains and evaluates all networks on one fold: single signals, late baselines, the dual recurrent head."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.corpora.mosi import video_folds
from multimodal.evaluate.metrics import apply_temperature, fit_temperature
from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.late import late_average
from multimodal.mosi.config import MosiConfig
from multimodal.mosi.features import LABELS, UtteranceTable, make_inputs, with_modalities
from multimodal.mosi.network import ContextualFusion
from multimodal.mosi.task import Indices, VideoTask, predict_videos
from multimodal.train.loop import fit
from multimodal.types import MODALITIES

if TYPE_CHECKING:
    from accelerate import Accelerator

Floats = NDArray[np.float64]

SINGLE, SINGLE_CONTEXT = "single", "single, context"
AVERAGE, PRODUCT = "late average", "product of experts"
STATES, HEAD, HEAD_CONTEXT = "dual recurrent, states", "dual recurrent", "dual recurrent, context"


@dataclass(frozen=True)
class Recipe:
    """One row of the results.

    Attributes:
        modalities: What it reads, in the order of ``MODALITIES``.
        method: ``single``, ``late average``, ``product of experts``, ``dual recurrent`` (as shipped: it also reads the
            log-probabilities of the single signals) or ``dual recurrent, states`` (as published: it does not); with
            ``, context`` a network has the second GRU over the utterances before.
    """

    modalities: tuple[str, ...]
    method: str

    @property
    def name(self) -> str:
        """Modalities and method, as ``audio+text, dual recurrent``."""
        return f"{'+'.join(self.modalities)}, {self.method}"


SINGLES = tuple(Recipe((name,), SINGLE) for name in MODALITIES)
TEXT_CONTEXT = Recipe(("text",), SINGLE_CONTEXT)
JOINT = tuple(
    Recipe(modalities, method)
    for modalities in (("audio", "text"), MODALITIES)
    for method in (AVERAGE, PRODUCT, STATES, HEAD, HEAD_CONTEXT)
)
RECIPES = (*SINGLES, TEXT_CONTEXT, *JOINT)
"""All rows of the results, in order."""


def product_of_experts(probabilities: Sequence[Floats]) -> Floats:
    """Multiplies calibrated probabilities and scales the products to sum to 1; classes are taken as equally frequent.

    Args:
        probabilities: At least one ``(n, labels)``.

    Returns:
        ``(n, labels)``, rows summing to 1.

    Example:
        >>> product_of_experts([np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]])]).round(2).tolist()
        [[0.8, 0.2]]

    Source: Hinton 2002, "Training products of experts by minimizing contrastive divergence".
    """
    logarithms = np.sum([np.log(rows.clip(min=1e-9)) for rows in probabilities], axis=0)
    powers = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


@dataclass(frozen=True)
class Experiment:
    """Runs one fold after the other.

    Attributes:
        config: Settings of the run.
        table: All utterances.
        accelerator: Gives the device.
        quiet: Whether to hide the progress bars.
    """

    config: MosiConfig
    table: UtteranceTable
    accelerator: Accelerator
    quiet: bool

    def run_fold(self, seed: int, test_fold: int) -> tuple[Indices, dict[str, Floats]]:
        """Trains every network without the test videos and predicts these.

        Args:
            seed: Seed of folds, weights and order.
            test_fold: Fold to predict; the next one selects the epochs, the others train.

        Returns:
            ``(m,)`` indices of the test utterances, and the name of each of ``RECIPES`` to ``(m, labels)``
            probabilities.
        """
        folds = video_folds(self.table.videos, self.config.folds, seed)
        validation_fold = (test_fold + 1) % self.config.folds
        test, validation = np.flatnonzero(folds == test_fold), np.flatnonzero(folds == validation_fold)
        training = np.flatnonzero((folds != test_fold) & (folds != validation_fold))
        fold = _Fold(self, seed, training, validation, make_inputs(self.table, training, self.config.networks.words))
        evidence = {recipe.modalities[0]: fold.single_answers(recipe) for recipe in SINGLES}
        answers = {recipe.name: evidence[recipe.modalities[0]][test] for recipe in SINGLES}
        answers[TEXT_CONTEXT.name] = fold.train(TEXT_CONTEXT, training)[test]
        for recipe in JOINT:
            parts = [evidence[name][test] for name in recipe.modalities]
            if recipe.method == AVERAGE:
                answers[recipe.name] = np.asarray(late_average(parts), np.float64)
            elif recipe.method == PRODUCT:
                answers[recipe.name] = product_of_experts(parts)
            else:
                read = None if recipe.method == STATES else evidence
                answers[recipe.name] = fold.train(recipe, training, read)[test]
        return test, answers


@dataclass(frozen=True)
class _Fold:
    """The trainings of one fold."""

    experiment: Experiment
    seed: int
    training: Indices
    validation: Indices
    inputs: FusionBatch

    def single_answers(self, recipe: Recipe) -> Floats:
        """``(n, labels)`` calibrated answers of one signal.

        Training utterances are answered by classifiers that did not train on their videos, all others by one that
        trained on all training utterances. The validation utterances give the temperature.
        """
        table = self.experiment.table
        answers = self.train(recipe, self.training)
        videos = [table.videos[index] for index in self.training]
        parts = video_folds(videos, self.experiment.config.inner_folds, self.seed)
        for part in range(self.experiment.config.inner_folds):
            left_out = self.training[parts == part]
            answers[left_out] = self.train(recipe, self.training[parts != part])[left_out]
        temperature = fit_temperature(answers[self.validation], table.targets[self.validation])
        return np.asarray(apply_temperature(answers, temperature), np.float64)

    def train(self, recipe: Recipe, training: Indices, evidence: Mapping[str, Floats] | None = None) -> Floats:
        """``(n, labels)`` answers to all utterances of a network that trained on some."""
        experiment = self.experiment
        inputs = with_modalities(self.inputs, recipe.modalities, evidence)
        torch.manual_seed(self.seed)  # of the first weights; the loop seeds every epoch
        network = ContextualFusion(self._shape(recipe, evidence is not None))
        loop = replace(experiment.config.loop, seed=self.seed)
        task = VideoTask(network, inputs, experiment.table, training, self.validation, loop, experiment.accelerator)
        with tempfile.TemporaryDirectory() as folder:
            fit(task, loop, Path(folder), experiment.accelerator, experiment.quiet)
        everyone = np.arange(len(experiment.table))
        return predict_videos(task.network.eval(), inputs, experiment.table, everyone)

    def _shape(self, recipe: Recipe, evidence: bool) -> FusionShape:
        settings = self.experiment.config.networks
        sizes = {name: getattr(self.inputs, name).shape[2] * (name in recipe.modalities) for name in MODALITIES}
        return FusionShape(
            LABELS,
            audio_size=sizes["audio"],
            face_size=sizes["face"],
            text_size=sizes["text"],
            summary_size=settings.context if recipe.method in (SINGLE_CONTEXT, HEAD_CONTEXT) else 0,
            hidden=settings.hidden,
            face_hidden=settings.face_hidden,
            bidirectional=False,
            pooling=settings.pooling,
            log_probabilities=evidence,
            dropout=settings.dropout,
        )
