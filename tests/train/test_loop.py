"""The training loop compared with numpy (optimizer, schedule, average); stopped, killed and resumed."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from checkout import subprocess_environment, with_helpers
from regression_task import SETTINGS, STEPS, Regression
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from multimodal.errors import ConfigError, OutputError
from multimodal.train import loop
from multimodal.train.loop import LoopSettings, fit, learning_rate

Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]


class Scripted(Regression):
    """Validates to the scores it is told, and keeps the averaged weights it was shown."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores, self.shown = scores, list[dict[str, Tensor]]()

    def validate(self, network: nn.Module) -> dict[str, float]:
        self.shown.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"score": self.scores[len(self.shown) - 1]}


def log_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a run has left behind but the time it took, exactly."""
    with safe_open(folder / "last.safetensors", framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
    rows, logged = progress.pop("rows"), log_rows(folder)
    for row in [*rows, *logged]:
        row.pop("seconds")
    tensors = {
        f"{stem} {name}": tensor.numpy().tobytes()
        for stem in ("last", "best")
        for name, tensor in load_file(folder / f"{stem}.safetensors").items()
    }
    return {"progress": progress, "rows": rows, "logged": logged, **tensors}


def stop_at(epoch: int, step: int) -> Callable[[int, int], None]:
    def stop(*now: int) -> None:
        if now == (epoch, step):
            raise KeyboardInterrupt

    return stop


# Going on


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("epoch", "step"), [(0, 2), (1, 0), (2, 3), (3, 4)])
def test_stopped_run_goes_on_to_the_same_bits(
    tmp_path: Path, accelerator: Accelerator, optimizer: str, epoch: int, step: int
) -> None:
    settings = replace(SETTINGS, optimizer=optimizer)
    undisturbed = Regression()
    fit(undisturbed, settings, tmp_path / "undisturbed", accelerator, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(stop_at(epoch, step)), settings, tmp_path / "stopped", accelerator, quiet=True)
    torch.manual_seed(99)  # whatever was drawn in between
    continued = Regression()
    best = fit(continued, settings, tmp_path / "stopped", accelerator, quiet=True)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "undisturbed")
    assert best == tmp_path / "stopped" / "best.safetensors"
    for name, value in undisturbed.network.state_dict().items():
        assert torch.equal(value, continued.network.state_dict()[name]), name


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums over another number of threads are rounded in another order, so bits compare only at the same number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_bits(tmp_path: Path, accelerator: Accelerator, one_thread: None) -> None:
    code = f"import regression_task; regression_task.run_until_killed({str(tmp_path / 'killed')!r})"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=subprocess_environment(with_helpers(), OMP_NUM_THREADS="1"),
        capture_output=True,
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    assert len(log_rows(tmp_path / "killed")) == 2
    fit(Regression(), SETTINGS, tmp_path / "killed", accelerator, quiet=True)
    fit(Regression(), SETTINGS, tmp_path / "undisturbed", accelerator, quiet=True)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "undisturbed")


def test_finished_run_trains_no_more(tmp_path: Path, accelerator: Accelerator) -> None:
    fit(Regression(), SETTINGS, tmp_path, accelerator, quiet=True)
    before = outcome(tmp_path)
    fit(Regression(stop_at(0, 0)), SETTINGS, tmp_path, accelerator, quiet=True)  # would stop at once if it trained
    assert outcome(tmp_path) == before


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.04}, {"seed": 6}, {"epochs": 5}, {"optimizer": "adamw"}, {"keep": "last"}]
)
def test_run_with_other_settings_is_refused(tmp_path: Path, accelerator: Accelerator, change: dict[str, Any]) -> None:
    fit(Regression(), SETTINGS, tmp_path, accelerator, quiet=True)
    before = outcome(tmp_path)
    with pytest.raises(ConfigError, match="contains a run with other settings"):
        fit(Regression(), replace(SETTINGS, **change), tmp_path, accelerator, quiet=True)
    assert outcome(tmp_path) == before


def test_seed_decides_what_is_drawn(tmp_path: Path, accelerator: Accelerator) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        fit(Regression(), replace(SETTINGS, seed=seed), tmp_path / name, accelerator, quiet=True)
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    assert outcome(tmp_path / "a")["rows"] != outcome(tmp_path / "c")["rows"]


# Against numpy: one linear layer, one batch a step, so that the gradient stands on one line


class Line(Regression):
    """A linear layer from fixed weights; no draws."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(3, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[0.5, 0.1, -0.3]]))
            self.network.bias.fill_(0.2)

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Any]:
        yield from zip(self.inputs.split(8), self.outputs.split(8), strict=True)


def trained_by_hand(task: Line, settings: LoopSettings) -> tuple[Floats, Floats]:
    """Weights and their moving average, ``(4,)`` each with the bias last, after all epochs."""
    w = np.array([0.5, 0.1, -0.3, 0.2])
    decay = settings.weight_decay * np.array([1, 1, 1, 0])  # not on the bias
    average, first, second = w.copy(), np.zeros(4), np.zeros(4)
    x = np.column_stack([task.inputs.numpy().astype(float), np.ones(len(task.inputs))])
    y = task.outputs.numpy()[:, 0].astype(float)
    for step in range(settings.epochs * STEPS):
        epoch, rows = step / STEPS, slice(step % STEPS * 8, step % STEPS * 8 + 8)
        if epoch < settings.warmup_epochs:
            rate = settings.learning_rate * epoch / settings.warmup_epochs
        else:
            share = (epoch - settings.warmup_epochs) / (settings.epochs - settings.warmup_epochs)
            rate = settings.learning_rate * (0.5 + 0.5 * math.cos(math.pi * share))
        gradient = 2 * x[rows].T @ (x[rows] @ w - y[rows]) / 8
        if settings.optimizer == "sgd":  # Nesterov, momentum 0.9
            gradient = gradient + decay * w
            first = 0.9 * first + gradient
            w = w - rate * (gradient + 0.9 * first)
        else:  # Loshchilov and Hutter 2017
            w = w - rate * decay * w
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            corrected = second / (1 - 0.999 ** (step + 1))
            w = w - rate * first / (1 - 0.9 ** (step + 1)) / (np.sqrt(corrected) + 1e-8)
        keep = min(settings.ema_decay, (2 + step) / (11 + step))
        average = keep * average + (1 - keep) * w
    return w, average


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("change", [{}, {"warmup_epochs": 0.0}, {"weight_decay": 0.3}, {"ema_decay": 0.9}])
def test_weights_and_average_are_those_by_hand(
    tmp_path: Path, accelerator: Accelerator, optimizer: str, change: dict[str, Any]
) -> None:
    settings = replace(SETTINGS, optimizer=optimizer, **change)
    task = Line()
    fit(task, settings, tmp_path, accelerator, quiet=True)
    tensors = load_file(tmp_path / "last.safetensors")
    weights, average = trained_by_hand(task, settings)
    for part, expected in (("network", weights), ("average", average)):
        actual = torch.cat([tensors[f"{part}.weight"][0], tensors[f"{part}.bias"]]).numpy()
        assert actual == pytest.approx(expected, abs=2e-5), part
    assert not np.allclose(weights, average, atol=1e-3)


def test_buffers_are_averaged_and_counters_copied(tmp_path: Path, accelerator: Accelerator) -> None:
    fit(Regression(), SETTINGS, tmp_path, accelerator, quiet=True)
    tensors = load_file(tmp_path / "last.safetensors")
    assert tensors["average.1.num_batches_tracked"] == tensors["network.1.num_batches_tracked"] == 4 * STEPS
    assert not torch.equal(tensors["average.1.running_mean"], tensors["network.1.running_mean"])


# Schedule and stopping


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0), (1, 0.1), (2, 0.2), (4, 0.1 + 0.1 * math.sqrt(0.5)), (6, 0.1), (10, 0), (11, 0)]
)
def test_learning_rate_by_hand(epoch: float, rate: float) -> None:
    assert learning_rate(LoopSettings(epochs=10, learning_rate=0.2, warmup_epochs=2), epoch) == pytest.approx(rate)


def test_cosine_is_torchs() -> None:
    settings = LoopSettings(epochs=12, learning_rate=0.3, warmup_epochs=0)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
    for epoch in range(12):
        assert learning_rate(settings, epoch) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("patience", "scores", "epochs", "best"),
    [
        (0, [3, 2, 1, 0, 0, 0], 6, 0),
        (1, [1, 2, 2, 9, 9, 9], 3, 1),
        (2, [1, 2, 0, 3, 1, 1], 6, 3),
        (2, [1, 2, 0, 1, 9, 9], 4, 1),
        (3, [-5, -6, -7, -8, 9, 9], 4, 0),
    ],
)
def test_best_epoch_is_kept_and_patience_ends(
    tmp_path: Path, accelerator: Accelerator, patience: int, scores: list[float], epochs: int, best: int
) -> None:
    task = Scripted(scores)
    fit(task, replace(SETTINGS, epochs=6, patience=patience), tmp_path, accelerator, quiet=True)
    assert [float(row["score"]) for row in log_rows(tmp_path)] == scores[:epochs]
    assert [int(row["epoch"]) for row in log_rows(tmp_path)] == list(range(epochs))
    remaining = load_file(tmp_path / "best.safetensors")
    for name, value in task.shown[best].items():
        assert torch.equal(remaining[name], value) and torch.equal(task.network.state_dict()[name], value), name
    assert not torch.equal(remaining["0.weight"], task.shown[best + 1 if best + 1 < epochs else best - 1]["0.weight"])


def test_last_epoch_is_kept_whatever_its_figures(tmp_path: Path, accelerator: Accelerator) -> None:
    """And patience, which is about the best, ends nothing."""
    task = Scripted([9, 8, 7, 6, 5, 4])
    fit(task, replace(SETTINGS, epochs=6, patience=1, keep="last"), tmp_path, accelerator, quiet=True)
    assert [float(row["score"]) for row in log_rows(tmp_path)] == task.scores
    remaining = load_file(tmp_path / "best.safetensors")
    for name, value in task.shown[-1].items():
        assert torch.equal(remaining[name], value) and torch.equal(task.network.state_dict()[name], value), name


class Unjudged(Regression):
    """Holds nothing out."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {}


def test_nothing_held_out_keeps_the_last_epoch(tmp_path: Path, accelerator: Accelerator) -> None:
    settings = replace(SETTINGS, keep="last")
    fit(Unjudged(), settings, tmp_path / "whole", accelerator, quiet=True)
    assert [set(row) for row in log_rows(tmp_path / "whole")] == [{"epoch", "loss", "seconds"}] * 4
    with pytest.raises(KeyboardInterrupt):
        fit(Unjudged(stop_at(2, 3)), settings, tmp_path / "stopped", accelerator, quiet=True)
    fit(Unjudged(), settings, tmp_path / "stopped", accelerator, quiet=True)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "whole")
    judged = Regression()  # judging changes nothing
    fit(judged, settings, tmp_path / "judged", accelerator, quiet=True)
    for name, value in load_file(tmp_path / "whole" / "best.safetensors").items():
        assert torch.equal(judged.network.state_dict()[name], value), name


def test_nothing_held_out_leaves_no_best_epoch(tmp_path: Path, accelerator: Accelerator) -> None:
    with pytest.raises(ConfigError, match=r"keep: is 'best', but no data is held out .*; write keep = \"last\""):
        fit(Unjudged(), SETTINGS, tmp_path, accelerator, quiet=True)


# What can go wrong


class Exploding(Regression):
    """The loss leaves all bounds in the second epoch."""

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Any]:
        for inputs, outputs in super().batches(epoch, generator):
            yield inputs, outputs * (math.inf if epoch == 1 else 1.0)


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("task", [Exploding, lambda: Scripted([0.0, math.nan, 0.0, 0.0])])
def test_loss_or_figure_without_bounds_ends_the_run(
    tmp_path: Path, accelerator: Accelerator, task: Callable[[], Regression], keep: str
) -> None:
    with pytest.raises(ConfigError, match=r"^loop.learning_rate: .*not finite in epoch 1; lower it"):
        fit(task(), replace(SETTINGS, keep=keep), tmp_path, accelerator, quiet=True)
    assert len(log_rows(tmp_path)) == 1
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / "last.safetensors").values())


def test_checkpoints_are_safetensors(tmp_path: Path, accelerator: Accelerator) -> None:
    fit(Regression(), SETTINGS, tmp_path, accelerator, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors", "log.csv"]
    assert set(load_file(tmp_path / "best.safetensors")) == set(Regression().network.state_dict())
    with safe_open(tmp_path / "last.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["settings"]) == asdict(SETTINGS)


def test_checkpoint_half_written_leaves_the_last_whole_one(
    tmp_path: Path, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(stop_at(2, 0)), SETTINGS, tmp_path, accelerator, quiet=True)
    before = outcome(tmp_path)

    def half(tensors: dict[str, Tensor], path: Path, facts: dict[str, str]) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        fit(Regression(), SETTINGS, tmp_path, accelerator, quiet=True)
    assert outcome(tmp_path) | {"logged": None} == before | {"logged": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors", "log.csv"]


def test_folder_that_cannot_be_made(tmp_path: Path, accelerator: Accelerator) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        fit(Regression(), SETTINGS, tmp_path / "file" / "run", accelerator, quiet=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimizer": "adam"}, "optimizer: is 'adam'; choose one of sgd, adamw"),
        ({"precision": "fp16"}, "precision: is 'fp16'; choose one of no, bf16"),
        ({"keep": "first"}, "keep: is 'first'; choose one of best, last"),
        ({"epochs": 0}, "loop.epochs: is 0; give at least 1"),
        ({"batch_size": 0}, "loop.batch_size: is 0; give at least 1"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(SETTINGS, **change)
