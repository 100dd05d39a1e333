"""A tiny task for the training loop, and a run that tests kill; subprocesses import it too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from multimodal.train.loop import LoopSettings, fit

SETTINGS = LoopSettings(epochs=4, batch_size=8, learning_rate=0.05, precision="no", ema_decay=0.6, seed=5)
STEPS = 5


class Regression:
    """A tiny task with everything a checkpoint must carry: normalization statistics, dropout, augmentation."""

    metric = "score"

    def __init__(self, at_step: Callable[[int, int], None] = lambda epoch, step: None) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1)
        )
        rng = np.random.default_rng(0)
        self.inputs = torch.from_numpy(rng.normal(size=(STEPS * 8, 3)).astype(np.float32))
        self.outputs = self.inputs @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3
        self.at_step = at_step

    def steps(self) -> int:
        return STEPS

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Any]:
        order = torch.randperm(len(self.inputs), generator=generator)
        for step, batch in enumerate(order.split(8)):
            self.at_step(epoch, step)
            noise = 0.1 * torch.randn(len(batch), 3, generator=generator)
            yield self.inputs[batch] + noise, self.outputs[batch]

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return ((network(batch[0]) - batch[1]) ** 2).mean()

    def validate(self, network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            return {"score": -float(self.loss(network, (self.inputs, self.outputs)))}


def run_until_killed(folder: str) -> None:
    """Trains in a folder until the process ends itself in the third epoch."""

    def kill(*now: int) -> None:
        if now == (2, 3):
            os.kill(os.getpid(), signal.SIGKILL)

    fit(Regression(kill), SETTINGS, Path(folder), Accelerator(cpu=True), quiet=True)
