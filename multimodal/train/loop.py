"""The training loop of all stages, to be read from top to bottom.

A stage provides a ``Task``: a network, batches, a loss and a validation. The loop adds the rest: warm-up and cosine
schedule, an exponential moving average of the weights, early stopping, a checkpoint per epoch from which a stopped run
continues to the same numbers, and a log. Accelerate handles devices, precision and several GPUs.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from rich.progress import track
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from multimodal.errors import ConfigError, WeightsError
from multimodal.files import atomic_write


@dataclass(frozen=True)
class LoopSettings:
    """The settings of the loop, the same for every stage.

    Attributes:
        epochs: Passes over the corpus.
        batch_size: Examples per step, over all devices together.
        optimizer: ``sgd`` (Nesterov, momentum 0.9) or ``adamw``.
        learning_rate: Highest learning rate, after the warm-up.
        weight_decay: Applied to weights of two or more dimensions; not to biases and normalization.
        warmup_epochs: Epochs in which the learning rate rises from 0; it then falls to 0 along a cosine.
        ema_decay: Decay per step of the moving average of the weights.
        patience: Epochs without improvement after which training stops; 0 for no early stopping.
        keep: ``best`` keeps the epoch with the best validation. ``last`` keeps the last epoch, for runs that are
            evaluated on the held-out part (selecting on it would be optimistic) or that hold nothing out.
        precision: ``no`` (float32) or ``bf16``.
        seed: Random seed.

    Raises:
        ConfigError: A value is invalid.
    """

    epochs: int
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    warmup_epochs: float = 1.0
    ema_decay: float = 0.998
    patience: int = 0
    keep: str = "best"
    precision: str = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        allowed = {"optimizer": ("sgd", "adamw"), "precision": ("no", "bf16"), "keep": ("best", "last")}
        for key, choices in allowed.items():
            if getattr(self, key) not in choices:
                raise ConfigError(f"loop.{key}", f"is {getattr(self, key)!r}", f"choose one of {', '.join(choices)}")
        for key in ("epochs", "batch_size"):
            if getattr(self, key) < 1:
                raise ConfigError(f"loop.{key}", f"is {getattr(self, key)}", "give at least 1")


class Task(Protocol):
    """What a stage provides to the loop."""

    network: nn.Module
    metric: str

    def steps(self) -> int:
        """Number of steps per epoch, the same in every epoch."""

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Any]:
        """The batches of an epoch, on the device; the generator alone determines their order.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        """The scalar to minimize.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on held-out data, including ``metric`` (higher is better); empty if nothing is held out.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """


@dataclass
class TrainingState:
    """The state of a run that a checkpoint stores beside the tensors."""

    epoch: int = 0
    step: int = 0
    best: float = -math.inf
    best_epoch: int = -1
    rows: list[dict[str, float]] = field(default_factory=list)


def fit(task: Task, settings: LoopSettings, folder: Path, accelerator: Accelerator, quiet: bool = False) -> Path:
    """Trains a network, or continues a run that was stopped.

    Args:
        task: The stage; its network gets the averaged weights of the epoch that is kept.
        settings: Settings of the loop.
        folder: Output folder for ``last.safetensors`` (the checkpoint), ``best.safetensors`` (averaged weights of the
            epoch that is kept) and ``log.csv`` (one row per epoch).
        accelerator: Gives devices and precision.
        quiet: Whether to hide the progress bar.

    Returns:
        The path of ``best.safetensors``.

    Raises:
        ConfigError: The folder contains a run with other settings, the loss is not finite, or no validation selects an
            epoch.
        OutputError: The folder cannot be written.
    """
    network, optimizer = accelerator.prepare(task.network, _optimizer(task.network, settings))
    average = copy.deepcopy(accelerator.unwrap_model(network)).eval().requires_grad_(False)
    progress = _resume(folder / "last.safetensors", settings, accelerator.unwrap_model(network), average, optimizer)
    for epoch in range(progress.epoch, settings.epochs):
        if settings.patience and epoch - progress.best_epoch > settings.patience and progress.best_epoch >= 0:
            break
        started = time.perf_counter()
        loss = _train_epoch(task, network, average, optimizer, settings, progress, accelerator, quiet)
        # The figures of one process for all, so that all stop at the same epoch.
        (figures,) = broadcast_object_list([task.validate(average)])
        if settings.keep == "best" and task.metric not in figures:
            raise ConfigError("loop.keep", "is 'best', but no data is held out for it", 'write keep = "last"')
        score = figures.get(task.metric, 0.0)
        if not (math.isfinite(loss) and math.isfinite(score)):
            fact = f"is {settings.learning_rate}, and the loss is not finite in epoch {epoch}"
            raise ConfigError("loop.learning_rate", fact, "lower it and use a new folder")
        progress.epoch = epoch + 1
        row = {"epoch": epoch, "loss": loss, **figures, "seconds": time.perf_counter() - started}
        progress.rows.append({key: round(value, 5) for key, value in row.items()})
        improved = settings.keep == "last" or score > progress.best
        if improved:
            progress.best, progress.best_epoch = score, epoch
        if accelerator.is_main_process:
            if improved:
                save_tensors(folder / "best.safetensors", average.state_dict(), {"epoch": str(epoch)})
            _write_log(folder / "log.csv", progress.rows)
            _save(
                folder / "last.safetensors", settings, accelerator.unwrap_model(network), average, optimizer, progress
            )
        accelerator.wait_for_everyone()
    load_tensors(folder / "best.safetensors", task.network)
    return folder / "best.safetensors"


def _train_epoch(
    task: Task,
    network: nn.Module,
    average: nn.Module,
    optimizer: Any,
    settings: LoopSettings,
    progress: TrainingState,
    accelerator: Accelerator,
    quiet: bool,
) -> float:
    """Trains one epoch and returns the mean loss."""
    # Seeded for each epoch: a continued run draws the same numbers as an uninterrupted one.
    seed = settings.seed * 100_003 + progress.epoch
    torch.manual_seed(seed)
    generator = torch.Generator(accelerator.device).manual_seed(seed)
    network.train()
    total = torch.zeros((), device=accelerator.device)
    batches = task.batches(progress.epoch, generator)
    hidden = quiet or not accelerator.is_main_process
    label = f"epoch {progress.epoch + 1}/{settings.epochs}"
    for batch in track(batches, label, total=task.steps(), disable=hidden, transient=True):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, progress.step / task.steps())
        with accelerator.autocast():
            loss = task.loss(network, batch)
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        progress.step += 1
        update_ema(average, accelerator.unwrap_model(network), settings.ema_decay, progress.step)
        total += loss.detach()
    return float(total) / task.steps()


def learning_rate(settings: LoopSettings, epoch: float) -> float:
    """Linear rise over the warm-up, then half a cosine down to 0.

    Args:
        settings: Highest rate, warm-up and number of epochs.
        epoch: Epochs completed, with fraction.

    Returns:
        The rate for the next step.

    Example:
        >>> settings = LoopSettings(epochs=11, learning_rate=1.0, warmup_epochs=1)
        >>> [round(learning_rate(settings, epoch), 2) for epoch in (0.5, 1, 6, 11)]
        [0.5, 1.0, 0.5, 0.0]
    """
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * epoch / settings.warmup_epochs
    share = (epoch - settings.warmup_epochs) / max(settings.epochs - settings.warmup_epochs, 1e-9)
    return settings.learning_rate * (1 + math.cos(math.pi * min(share, 1.0))) / 2


def _optimizer(network: nn.Module, settings: LoopSettings) -> torch.optim.Optimizer:
    decayed = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim >= 2]
    plain = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim < 2]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.learning_rate)
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9, nesterov=True)


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Moves the average toward the network; the first steps count more, because their weights change fast.

    Args:
        average: Averaged tensors, changed in place.
        network: The network.
        decay: Weight of the average, 0 … 1.
        step: Number of the step, from 1.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value.detach(), share)
        else:
            mean.copy_(value)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: dict[str, str]) -> None:
    """Writes tensors and metadata atomically as one safetensors file.

    Args:
        path: The file to write.
        tensors: Name to tensor.
        facts: Metadata of the file.
    """
    with atomic_write(path) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, facts)


def load_tensors(path: Path, network: nn.Module) -> None:
    """Loads the tensors of a safetensors file into a network that has exactly these.

    Args:
        path: A safetensors file.
        network: The network to fill.

    Raises:
        WeightsError: The file does not exist, is damaged, or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError) as error:
        fact = f"does not fit the network ({str(error).splitlines()[0]})"
        raise WeightsError(path, fact, "name another file") from None


def _save(
    path: Path, settings: LoopSettings, network: nn.Module, average: nn.Module, optimizer: Any, progress: TrainingState
) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items() if tensor is not None}
    facts = {"settings": json.dumps(asdict(settings)), "progress": json.dumps(asdict(progress))}
    save_tensors(path, tensors, facts)


def _resume(
    path: Path, settings: LoopSettings, network: nn.Module, average: nn.Module, optimizer: Any
) -> TrainingState:
    """Restores network, average and optimizer from a checkpoint, if it exists, and returns its state."""
    if not path.exists():
        return TrainingState()
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if json.loads(facts["settings"]) != asdict(settings):
        raise ConfigError(path.parent, "contains a run with other settings", "choose another folder or remove it")
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    network.load_state_dict(parts["network"])
    average.load_state_dict(parts["average"])
    state = optimizer.state_dict()
    state["state"] = {}
    for name, tensor in parts["optimizer"].items():
        index, key = name.split(".", 1)
        state["state"].setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(state)
    return TrainingState(**json.loads(facts["progress"]))


def _write_log(path: Path, rows: list[dict[str, float]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
