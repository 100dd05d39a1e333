"""The training task of the IEMOCAP networks: batches, loss, and the figures that select the epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.data.corpora.iemocap_protocols import DIMENSIONS
from multimodal.evaluate.metrics import concordance
from multimodal.fusion.turns import TurnBatch, TurnNetwork
from multimodal.iemocap.batches import Collator, NetworkSettings, TurnTable, has_modality
from multimodal.iemocap.features import TurnFeatures
from multimodal.train.loop import LoopSettings


class Batch(NamedTuple):
    """One step's turns and targets: ``(batch,)`` classes, ``(batch, 3)`` valence, arousal and dominance."""

    turns: TurnBatch
    targets: Tensor
    affect: Tensor


class TurnTask:
    """One network on one fold, for ``multimodal.train.loop.fit``.

    Args:
        network: The untrained network.
        collator: Collator of the same recipe.
        table: Training turns.
        held_out: Turns that select the epoch.
        settings: Settings of the networks.
        loop: Settings of the loop.
        accelerator: Gives the device.
    """

    metric = "ua"

    def __init__(
        self,
        network: TurnNetwork,
        collator: Collator,
        table: TurnTable,
        held_out: TurnTable,
        settings: NetworkSettings,
        loop: LoopSettings,
        accelerator: Accelerator,
    ) -> None:
        self.network: nn.Module = network
        self.collator, self.table, self.held_out = collator, table, held_out
        self.settings, self.loop, self.accelerator = settings, loop, accelerator
        self.lengths = _lengths(table)
        audio = [each.audio for each in table.features if each.audio is not None]
        if audio:
            frames = torch.cat([each.frames for each in audio]).float()
            network.learn_scale(frames, torch.stack([each.summary for each in audio]))

    def steps(self) -> int:
        """Whole batches; the turns left over belong to another epoch's order."""
        return max(len(self.table.names) // self.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """An epoch's batches of turns of similar length; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        draws = Generator().manual_seed(seed)
        size, accelerator = self.loop.batch_size, self.accelerator
        order = torch.randperm(len(self.lengths), generator=draws)[: self.steps() * size]
        noise = 1 + 0.2 * torch.rand(len(order), generator=draws)
        batches = order[(self.lengths[order] * noise).argsort()].split(size)
        for number in torch.randperm(len(batches), generator=draws).tolist():
            whole = batches[number].tolist()
            modalities = [self._draw_modalities(self.table.features[index], draws) for index in whole]
            share = slice(accelerator.process_index, None, accelerator.num_processes)
            yield self._batch(whole[share], modalities[share])

    def _draw_modalities(self, features: TurnFeatures, draws: Generator) -> tuple[str, ...]:
        """Draws the modalities of a turn for this step; the networks of the paper use all their modalities."""
        recipe = self.collator.recipe
        if recipe.faithful:
            return recipe.modalities
        present = [name for name in recipe.modalities if has_modality(features, name)]
        chances = torch.rand(len(present) + 1, generator=draws).tolist()
        pairs = zip(present, chances[1:], strict=True)
        names = tuple(name for name, chance in pairs if chance >= self.settings.absent_share)
        return names or tuple(present[int(chances[0] * len(present)) :][:1])

    def _batch(self, indices: Sequence[int], modalities: Sequence[Collection[str]]) -> Batch:
        device = self.accelerator.device
        targets = torch.from_numpy(self.table.targets[list(indices)]).to(device)
        affect = torch.from_numpy(self.table.affect[list(indices)]).float().to(device)
        return Batch(self.collator.batch(self.table, indices, modalities).to(device), targets, affect)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy; for our network plus one minus the concordance of valence, arousal and dominance.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        output = network(batch.turns)
        loss = functional.cross_entropy(output.logits, batch.targets)
        if output.affect.shape[1] and len(batch.targets) > 1:
            loss = loss + self.settings.affect_weight * (1 - concordance(output.affect, batch.affect).mean())
        return loss

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Unweighted and weighted accuracy and negative log-likelihood on the held-out turns.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        probabilities, _ = predict_turns(network, self.collator, self.held_out)
        figures = turn_figures(probabilities, self.held_out.targets)
        right = probabilities[np.arange(len(probabilities)), self.held_out.targets]
        return {"ua": figures["ua"], "wa": figures["wa"], "nll": float(-np.log(right.clip(min=1e-9)).mean())}


def _lengths(table: TurnTable) -> Tensor:
    frames = [0 if each.audio is None else len(each.audio.frames) for each in table.features]
    return torch.tensor(frames, dtype=torch.float32) + 1


@torch.inference_mode()
def predict_turns(
    network: nn.Module,
    collator: Collator,
    table: TurnTable,
    modalities: Collection[str] | None = None,
    *,
    temperature: float = 1.0,
    batch_size: int = 128,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Runs a network in evaluation mode, turns of similar length together.

    Args:
        network: A ``TurnNetwork``.
        collator: Collator of the same recipe.
        table: The turns.
        modalities: Modalities to read; None for all.
        temperature: Divides the logits.
        batch_size: Turns read at once.

    Returns:
        ``(turns, labels)`` probabilities, and ``(turns, dimensions)`` scales within -1 … 1.
    """
    device = next(network.parameters()).device
    order = _lengths(table).argsort(stable=True).tolist()
    rows, scales = [], []
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        names = None if modalities is None else [tuple(modalities)] * len(indices)
        output = network(collator.batch(table, indices, names).to(device))
        rows.append(torch.softmax(output.logits.cpu().double() / temperature, dim=1))
        scales.append(output.affect.cpu().double().clamp(-1, 1))
    back = torch.tensor(order).argsort()
    return torch.cat(rows)[back].numpy(), torch.cat(scales)[back].numpy()


def turn_figures(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, Any]:
    """The three figures that are reported for IEMOCAP.

    Args:
        probabilities: ``(turns, labels)``.
        targets: ``(turns,)``.

    Returns:
        ``wa``, weighted accuracy: the share of correct turns; ``ua``, unweighted: the mean recall of the classes that
        occur; ``macro_f1``; ``n``.

    Example:
        >>> turn_figures(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 0, 1]))["ua"]
        0.5
    """
    from multimodal.evaluate.metrics import classification_figures

    names = [str(index) for index in range(probabilities.shape[1])]
    figures = classification_figures(probabilities, targets, names)
    renamed = {"wa": "accuracy", "ua": "balanced_accuracy", "macro_f1": "macro_f1", "n": "n"}
    return {name: figures[key] for name, key in renamed.items()}


def affect_figures(estimates: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """Concordance of valence, arousal and dominance, ``(turns, 3)`` each; empty where nothing was estimated.

    Args:
        estimates: ``(turns, 3)``.
        truth: ``(turns, 3)``.

    Returns:
        Name of the dimension to its concordance, -1 … 1.
    """
    if not estimates.shape[1]:
        return {}
    values = concordance(torch.from_numpy(estimates), torch.from_numpy(truth)).tolist()
    return dict(zip(DIMENSIONS, values, strict=True))
