"""The training task of the MOSI networks: batches of whole videos, loss, and the figure that selects the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.fusion.alignment import FusionBatch
from multimodal.mosi.features import UtteranceTable, VideoBatch, select
from multimodal.train.loop import LoopSettings

Indices = NDArray[np.int64]


def make_batch(inputs: FusionBatch, table: UtteranceTable, videos: Sequence[Indices]) -> VideoBatch:
    """Puts whole videos into one batch.

    Args:
        inputs: Inputs of all utterances of the table.
        table: The utterances.
        videos: Indices of the utterances of each video, in the order of speaking.

    Returns:
        The batch, on the CPU.
    """
    indices = np.concatenate(videos)
    lengths = torch.tensor([len(video) for video in videos])
    return VideoBatch(select(inputs, indices), lengths, torch.from_numpy(table.targets[indices]))


class VideoTask:
    """One network on one fold, for ``multimodal.train.loop.fit``.

    Args:
        network: The untrained ``ContextualFusion``.
        inputs: Inputs of all utterances of the table.
        table: The utterances.
        training: Rising indices of the training utterances.
        validation: Rising indices of the utterances that select the epoch.
        loop: Settings of the loop; its batches are of videos.
        accelerator: Gives the device.
    """

    metric = "log_likelihood"

    def __init__(
        self,
        network: nn.Module,
        inputs: FusionBatch,
        table: UtteranceTable,
        training: Indices,
        validation: Indices,
        loop: LoopSettings,
        accelerator: Accelerator,
    ) -> None:
        self.network = network
        self.inputs, self.table, self.loop, self.accelerator = inputs, table, loop, accelerator
        self.videos, self.validation = table.videos_among(training), validation

    def steps(self) -> int:
        """Whole batches; the videos left over belong to another epoch's order."""
        return max(len(self.videos) // self.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[VideoBatch]:
        """An epoch's batches of videos in random order.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        order = torch.randperm(len(self.videos), generator=generator, device=generator.device).tolist()
        size = self.loop.batch_size
        for step in range(self.steps()):
            videos = [self.videos[number] for number in order[step * size : (step + 1) * size]]
            yield make_batch(self.inputs, self.table, videos).to(self.accelerator.device)

    def loss(self, network: nn.Module, batch: VideoBatch) -> Tensor:
        """Cross-entropy over all utterances of the batch.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        return functional.cross_entropy(network(batch.utterances, batch.lengths).logits, batch.targets)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Mean log-likelihood and accuracy on the utterances that select the epoch.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        probabilities = predict_videos(network, self.inputs, self.table, self.validation)
        targets = self.table.targets[self.validation]
        right = probabilities[np.arange(len(targets)), targets]
        accuracy = float((probabilities.argmax(axis=1) == targets).mean())
        return {"log_likelihood": float(np.log(right.clip(min=1e-9)).mean()), "accuracy": accuracy}


@torch.inference_mode()
def predict_videos(
    network: nn.Module, inputs: FusionBatch, table: UtteranceTable, indices: Indices, batch_size: int = 8
) -> NDArray[np.float64]:
    """Runs a network in evaluation mode over whole videos.

    Args:
        network: A ``ContextualFusion``.
        inputs: Inputs of all utterances of the table.
        table: The utterances.
        indices: Rising indices of the utterances of whole videos.
        batch_size: Videos read at once.

    Returns:
        ``(indices, labels)`` probabilities, in the order of the indices.
    """
    device = next(network.parameters()).device
    videos = table.videos_among(indices)
    rows = []
    for start in range(0, len(videos), batch_size):
        batch = make_batch(inputs, table, videos[start : start + batch_size]).to(device)
        rows.append(torch.softmax(network(batch.utterances, batch.lengths).logits.double(), dim=1).cpu())
    return torch.cat(rows).numpy()
