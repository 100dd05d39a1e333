"""What the training loop needs of IEMOCAP's networks: batches, the loss, the figures that choose the epoch."""

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
from multimodal.fusion.turns import TurnBatch, TurnNetwork, concordance
from multimodal.iemocap.batches import Collator, NetworkSettings, TurnTable, modality_mask
from multimodal.iemocap.features import TurnFeatures
from multimodal.train.loop import LoopSettings


class Batch(NamedTuple):
    """One step's turns and what they ought to get: ``(batch,)`` classes, ``(batch, 3)`` scales."""

    turns: TurnBatch
    targets: Tensor
    affect: Tensor


class TurnTask:
    """One network on one fold, for ``multimodal.train.loop.fit``.

    Args:
        network: Untrained.
        collator: Of the same recipe.
        table: Turns to learn from.
        held_out: Turns that choose the epoch.
        settings: Of the networks.
        loop: Of the loop.
        accelerator: Decides on the device.
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
        heard = [each.audio for each in table.features if each.audio is not None]
        if heard:
            frames = torch.cat([voice.frames for voice in heard]).float()
            network.learn_scale(frames, torch.stack([voice.summary for voice in heard]))

    def steps(self) -> int:
        """Whole batches; what is left over comes in another epoch's order."""
        return max(len(self.table.names) // self.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[Batch]:
        """An epoch's batches of turns of similar length; several devices share each batch."""
        own = Generator().manual_seed(int(torch.randint(2**31, (), generator=generator, device=generator.device)))
        size, accelerator = self.loop.batch_size, self.accelerator
        order = torch.randperm(len(self.lengths), generator=own)[: self.steps() * size]
        noise = 1 + 0.2 * torch.rand(len(order), generator=own)
        batches = order[(self.lengths[order] * noise).argsort()].split(size)
        for number in torch.randperm(len(batches), generator=own).tolist():
            whole = batches[number].tolist()
            kept = [self._kept(self.table.features[index], own) for index in whole]
            share = slice(accelerator.process_index, None, accelerator.num_processes)
            yield self._batch(whole[share], kept[share])

    def _kept(self, features: TurnFeatures, own: Generator) -> tuple[str, ...]:
        """The signals of a turn that are read this time; the paper's networks read all of theirs."""
        recipe = self.collator.recipe
        if recipe.faithful:
            return recipe.modalities
        shown = [name for name in recipe.modalities if modality_mask(features, name)]
        draws = torch.rand(len(shown) + 1, generator=own).tolist()
        kept = tuple(name for name, draw in zip(shown, draws[1:], strict=True) if draw >= self.settings.absent_share)
        return kept or tuple(shown[int(draws[0] * len(shown)) :][:1])

    def _batch(self, chosen: Sequence[int], kept: Sequence[Collection[str]]) -> Batch:
        device = self.accelerator.device
        targets = torch.from_numpy(self.table.targets[list(chosen)]).to(device)
        affect = torch.from_numpy(self.table.affect[list(chosen)]).float().to(device)
        return Batch(self.collator.batch(self.table, chosen, kept).to(device), targets, affect)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy; for ours also how far the scales are from concordance."""
        output = network(batch.turns)
        loss = functional.cross_entropy(output.logits, batch.targets)
        if output.affect.shape[1] and len(batch.targets) > 1:
            loss = loss + self.settings.affect_weight * (1 - concordance(output.affect, batch.affect).mean())
        return loss

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Unweighted and weighted accuracy and negative log-likelihood on the turns that choose the epoch."""
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
    """Answers of a network in evaluation mode, turns of like length together.

    Args:
        network: A ``TurnNetwork``.
        collator: Of the same recipe.
        table: The turns.
        modalities: Those to read; None for all.
        temperature: Divides the logits.
        batch_size: Turns read at once.

    Returns:
        ``(turns, labels)`` probabilities, and ``(turns, dimensions)`` scales within -1 … 1.
    """
    device = next(network.parameters()).device
    order = _lengths(table).argsort(stable=True).tolist()
    rows, scales = [], []
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        kept = None if modalities is None else [tuple(modalities)] * len(chosen)
        output = network(collator.batch(table, chosen, kept).to(device))
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
        ``wa``, weighted accuracy: the share of right answers; ``ua``, unweighted: the mean recall of the classes that
        occur; ``macro_f1``; ``n``.

    Example:
        >>> turn_figures(np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 0, 1]))["ua"]
        0.5
    """
    from multimodal.evaluate.metrics import classification_figures

    names = [str(index) for index in range(probabilities.shape[1])]
    found = classification_figures(probabilities, targets, names)
    return {"wa": found["accuracy"], "ua": found["balanced_accuracy"], "macro_f1": found["macro_f1"], "n": found["n"]}


def affect_figures(estimates: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """Concordance of valence, arousal and dominance, ``(turns, 3)`` each; empty where nothing was estimated."""
    if not estimates.shape[1]:
        return {}
    found = concordance(torch.from_numpy(estimates), torch.from_numpy(truth)).tolist()
    return dict(zip(DIMENSIONS, found, strict=True))
