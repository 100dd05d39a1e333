"""Trains the face encoder on FER+ votes, with one of the four label schemes of Barsoum et al. 2016.

The whole corpus and the augmentation are on the device. Source of the schemes: arXiv 1608.01041, section 3.

Trained networks can be teachers: their answers for the training pictures are computed once, with the mirrored view,
and stored in the run's folder. A teacher's probabilities tell how alike two expressions are in this picture, which ten
votes tell less finely. Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531).
"""

from __future__ import annotations

import copy
import csv
import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.progress import track
from safetensors import safe_open
from torch import Generator, Tensor, nn

from multimodal.augmentation.face import FaceAugmentation, augment, weaken
from multimodal.data.corpora.ferplus import (
    SIZE,
    FaceCorpus,
    distributions,
    kept_apart,
    majority_labels,
    read_ferplus,
)
from multimodal.data.emotions import FACE_LABELS
from multimodal.device import choose_device
from multimodal.encoders.face import FACE_NETWORKS, predict
from multimodal.errors import ConfigError
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights
from multimodal.train.config import read_config
from multimodal.train.face_calibration import FACTS, PROTOCOL, calibrate
from multimodal.train.loop import LoopSettings, fit, load_tensors, save_tensors
from multimodal.train.provenance import origin_of, training_revision

SCHEMES = ("majority", "multi_label", "probabilistic", "cross_entropy")
ANSWERS = "teachers.safetensors"
AT_ONCE = 256

MULTI_LABEL_SHARE = 0.3
"""Share of the votes above which an emotion is a target in the multi-label scheme (paper: 30 %)."""


@dataclass(frozen=True)
class FaceConfig:
    """The settings of a face training, as in the TOML file.

    Attributes:
        loop: Settings of the loop.
        augmentation: How faces are changed.
        architecture: One of ``FACE_NETWORKS``.
        scheme: How votes become targets, one of ``SCHEMES``.
        balance: 0 weights pictures equally, 1 weights emotions equally; values between are powers of the frequency.
        small_size: Height and width of training pictures in the first epochs, in pixels.
        small_share: Share of the epochs that train on small pictures, which are faster.
        full_size: Height and width in the remaining epochs.
        self_distillation: Share of each target that is the prediction of the network that the run starts from, for the
            picture without augmentation; the rest is the votes. It reduces the noise of ten votes.
        teachers: Names of trained face weights whose mean probabilities, for the picture without augmentation and its
            mirror image, are part of each target.
        teacher_share: Share of each target that is the teachers'; the rest is the votes.
        mixup: Share of the pictures that are blended with another of the batch, and their targets alike.
        gentle_share: Share of the epochs, at the end, that are augmented half as strongly.
        kept_share: Share of the validation part that is used for no choice, by the hash of the picture.
        check_counts: Whether the corpus must have the published number of pictures.

    Raises:
        ConfigError: A value is invalid.
    """

    loop: LoopSettings
    augmentation: FaceAugmentation = field(default_factory=FaceAugmentation)
    architecture: str = "se_resnet_pair"
    scheme: str = "cross_entropy"
    balance: float = 0.0
    small_size: int = 48
    small_share: float = 0.0
    full_size: int = 48
    self_distillation: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_share: float = 0.5
    mixup: float = 0.0
    gentle_share: float = 0.0
    kept_share: float = 0.0
    check_counts: bool = True

    def __post_init__(self) -> None:
        for key, choices in {"scheme": SCHEMES, "architecture": tuple(FACE_NETWORKS)}.items():
            if getattr(self, key) not in choices:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(choices)}")
        for key in ("teacher_share", "mixup", "gentle_share", "kept_share"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(key, f"is {getattr(self, key)}", "give a share from 0 to 1")
        if self.scheme == "multi_label" and (self.teachers or self.mixup):
            raise ConfigError("scheme", "is 'multi_label', which has no shares to mix", "leave teachers and mixup out")


class FaceTask:
    """The face stage of the training loop."""

    metric = "accuracy"

    def __init__(self, config: FaceConfig, training: FaceCorpus, validation: FaceCorpus, accelerator: Accelerator):
        device = accelerator.device
        self.config = config
        self.accelerator = accelerator
        self.network = FACE_NETWORKS[config.architecture](len(FACE_LABELS)).to(memory_format=torch.channels_last)
        usable = training.subset(_usable(training, config.scheme))
        self.images = torch.from_numpy(usable.images).to(device)
        self.targets = torch.from_numpy(_targets(usable, config.scheme)).to(device)
        self.weights = _class_weights(self.targets, config.balance)
        labeled = validation.subset(majority_labels(validation.votes) >= 0)
        self.validation_images = torch.from_numpy(labeled.images).to(device)
        self.validation_labels = torch.from_numpy(majority_labels(labeled.votes)).to(device)

    def start_from(self, path: Path) -> None:
        """Loads the tensors of a trained network, and mixes its predictions into the targets.

        Source: Furlanello et al. 2018, "Born-Again Neural Networks" (arXiv 1805.04770).

        Args:
            path: Tensors of the trained network (safetensors).
        """
        load_tensors(path, self.network)
        share = self.config.self_distillation
        if share:
            teacher = copy.deepcopy(self.network).to(self.images.device).eval()
            with self.accelerator.autocast():
                predictions = torch.cat([predict(teacher, images)[0] for images in self.images.split(512)])
            self.learn_from(predictions.clone(), share)

    def learn_from(self, answers: Tensor, share: float) -> None:
        """Mixes probabilities for the training pictures into the targets.

        Args:
            answers: ``(n, 8)`` probabilities in the order of ``images``.
            share: Their share of each target.
        """
        self.targets = (1 - share) * self.targets + share * answers

    def steps(self) -> int:
        """Whole batches in the corpus; the remainder differs from epoch to epoch."""
        return max(len(self.images) // self.config.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented pictures ``(batch, size, size)`` and targets ``(batch, 8)``; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        small = epoch < self.config.small_share * self.config.loop.epochs
        gentle = epoch >= (1 - self.config.gentle_share) * self.config.loop.epochs
        augmentation = weaken(self.config.augmentation, 0.5) if gentle else self.config.augmentation
        size = self.config.small_size if small else self.config.full_size
        order = torch.randperm(len(self.images), generator=generator, device=self.images.device)
        for step in range(self.steps()):
            batch = order[step * self.config.loop.batch_size :][: self.config.loop.batch_size]
            batch = batch[self.accelerator.process_index :: self.accelerator.num_processes]
            targets = self.targets[batch]
            if self.config.scheme == "probabilistic":
                sample = torch.multinomial(targets, 1, generator=generator)
                targets = torch.zeros_like(targets).scatter_(1, sample, 1.0)
            images = augment(self.images[batch], size, augmentation, generator)
            yield mix(images, targets, self.config.mixup, generator) if self.config.mixup else (images, targets)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean over pictures of the scheme's loss, summed over members: each member is trained independently.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        images, targets = batch
        logs = torch.log_softmax(network(images).member_logits.float(), dim=-1)
        if self.config.scheme == "multi_label":
            # Only the target with the highest probability counts: any of them is correct (paper, equation 3).
            losses = -logs.masked_fill(targets == 0, -torch.inf).amax(dim=-1)
        else:
            losses = -(targets * logs).sum(dim=-1)
        # Normalized, so that a picture with two targets counts no more than one with one.
        importance = (targets @ self.weights) / targets.sum(dim=-1)
        return (losses * importance).mean(dim=-1).sum()

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy against the majority, mean recall over the emotions, and negative log-likelihood.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        # In float32: bf16 makes ties of epochs that differ.
        parts = [predict(network, images, flip=False)[0] for images in self.validation_images.split(512)]
        probabilities, labels = torch.cat(parts), self.validation_labels
        right = (probabilities.argmax(1) == labels).float()
        recalls = [right[labels == label].mean() for label in labels.unique()]
        likelihood = probabilities.gather(1, labels[:, None]).clamp(min=1e-9).log().mean()
        return {
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(torch.stack(recalls).mean()),
            "nll": -float(likelihood),
        }


def mix(images: Tensor, targets: Tensor, share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Blends some pictures with others of the batch, which keep the smaller half.

    Args:
        images: ``(batch, height, width)`` gray levels.
        targets: ``(batch, labels)``.
        share: Share of the batch that is blended.
        generator: Random generator on the device.

    Returns:
        Pictures and targets of the same shapes.

    Source: Zhang et al. 2017, "mixup: Beyond Empirical Risk Minimization" (arXiv 1710.09412).
    """
    count, device = len(images), images.device
    chosen = torch.rand(count, 1, generator=generator, device=device) < share
    weight = 1 - chosen * torch.rand(count, 1, generator=generator, device=device) / 2
    others = torch.randperm(count, generator=generator, device=device)
    blended = weight[:, :, None] * images + (1 - weight[:, :, None]) * images[others]
    return blended, weight * targets + (1 - weight) * targets[others]


def _usable(corpus: FaceCorpus, scheme: str) -> NDArray[np.bool_]:
    if scheme == "majority":
        has_majority: NDArray[np.bool_] = majority_labels(corpus.votes) >= 0
        return has_majority
    has_emotion: NDArray[np.bool_] = distributions(corpus.votes).sum(axis=1) > 0
    return has_emotion


def _targets(corpus: FaceCorpus, scheme: str) -> NDArray[np.float32]:
    """``(n, 8)``: shares of the votes, or ones for the targets."""
    shares = distributions(corpus.votes)
    if scheme == "majority":
        rows: NDArray[np.float32] = np.eye(len(FACE_LABELS), dtype=np.float32)[majority_labels(corpus.votes)]
        return rows
    if scheme == "multi_label":
        right = (shares >= shares.max(axis=1, keepdims=True)) | (shares > MULTI_LABEL_SHARE)
        return np.asarray(right, np.float32)
    return shares


def _class_weights(targets: Tensor, balance: float) -> Tensor:
    """A factor per emotion, ``(8,)``, with a mean of 1 over the corpus."""
    share = (targets / targets.sum(dim=1, keepdim=True)).mean(0)
    weights = share.clamp(min=1e-6) ** -balance
    return weights / (weights * share).sum()


def read_corpora(config: FaceConfig, folder: Path) -> tuple[FaceCorpus, FaceCorpus]:
    """The training and the validation part of FER+ in ``folder``.

    Args:
        config: Configuration of the training.
        folder: Folder of FER+.

    Returns:
        Both parts.
    """
    training = read_ferplus(folder, "train", check_counts=config.check_counts)
    return training, read_ferplus(folder, "valid", check_counts=config.check_counts)


def load_teachers(names: Sequence[str], device: str) -> list[Weights]:
    """Loads the networks that teach.

    Args:
        names: Names of face weights, or paths of their files.
        device: ``cpu``, ``cuda`` or ``mps``.

    Returns:
        The teachers in this order.

    Raises:
        ConfigError: A teacher has other labels.
        WeightsError: Weights are unknown or damaged.
    """
    teachers = [load_weights(name, "face", device) for name in names]
    for teacher in teachers:
        if teacher.spec.labels != FACE_LABELS:
            raise ConfigError(
                "teachers", f"{teacher.name} has other labels", f"choose one for {', '.join(FACE_LABELS)}"
            )
    return teachers


def teacher_answers(teachers: Sequence[Weights], images: Tensor, folder: Path, quiet: bool = True) -> Tensor:
    """The teachers' mean probabilities for each picture, from the folder if they were computed before.

    Args:
        teachers: Networks for the same labels; each has its own temperature.
        images: ``(n, height, width)`` uint8 gray levels, on the teachers' device.
        folder: Folder of the run.
        quiet: Whether to hide the progress bar.

    Returns:
        ``(n, labels)`` float32 probabilities on the device of ``images``.

    Raises:
        ConfigError: The folder contains answers of other teachers or for other pictures.
    """
    facts = {
        "teachers": json.dumps([teacher.sha256 for teacher in teachers]),
        "images": hashlib.sha256(images.cpu().numpy().tobytes()).hexdigest(),
    }
    path = folder / ANSWERS
    if path.exists():
        with safe_open(path, framework="pt") as file:
            if file.metadata() != facts:
                fact = f"contains {ANSWERS} of other teachers or pictures"
                raise ConfigError(folder, fact, "choose another folder or remove it")
            stored: Tensor = file.get_tensor("probabilities")
        return stored.to(images.device)
    parts = []
    for batch in track(images.split(AT_ONCE), "teachers", disable=quiet, transient=True):
        answers = [predict(each.network, batch, each.spec.temperature, flip=True)[0] for each in teachers]
        parts.append(torch.stack(answers).mean(0))
    probabilities = torch.cat(parts).clone()  # no longer a tensor of inference mode
    save_tensors(path, {"probabilities": probabilities}, facts)
    return probabilities


def train_face(
    config_path: Path, data: Path, run: Path, *, name: str, device: str, quiet: bool, start: Path | None = None
) -> Path:
    """Trains a face network and writes its weights and card.

    Args:
        config_path: TOML file, see ``FaceConfig``.
        data: Folder of FER+.
        run: Folder for checkpoints, the log and the weights.
        name: Stem of the weights; empty for ``<architecture>.ferplus-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.
        start: The ``best.safetensors`` of another run of the same architecture to start from.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: The configuration is invalid.
        CorpusError: The corpus differs from the published FER+.
        OutputError: The run folder cannot be written.
        WeightsError: The weights of a teacher are unknown or damaged.
    """
    config = read_config(config_path, FaceConfig)
    device_name = choose_device(device)
    precision = config.loop.precision if device_name != "mps" else "no"
    accelerator = Accelerator(cpu=device_name == "cpu", mixed_precision=precision)
    teachers = load_teachers(config.teachers, device_name)
    training, validation = read_corpora(config, data)
    apart = kept_apart(validation, config.kept_share)
    validation = validation.subset(~apart)
    torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
    task = FaceTask(config, training, validation, accelerator)
    if start is not None:
        task.start_from(start)
    revision = training_revision(run)
    if teachers:
        task.learn_from(teacher_answers(teachers, task.images, run, quiet), config.teacher_share)
    fit(task, config.loop, run, accelerator, quiet)
    origin: dict[str, object] = {"commit": revision}
    if start is not None:
        origin["start"] = origin_of(start)
    if teachers:
        origin["teachers"] = [{"name": teacher.name, "sha256": teacher.sha256} for teacher in teachers]
    if apart.any():
        origin["kept_apart"] = f"{apart.sum()} of {len(apart)} validation pictures, by hash, used for no choice"
    return write_weights(config, task.network.cpu().eval(), validation, run, name, origin)


def write_weights(
    config: FaceConfig, network: nn.Module, validation: FaceCorpus, run: Path, name: str, origin: Mapping[str, object]
) -> Path:
    """Calibrates and evaluates a trained network on the validation part, and writes weights and card.

    Args:
        config: Configuration of the training.
        network: The trained network.
        validation: Validation part of FER+.
        run: Folder of the run.
        name: Name of the weights.
        origin: Origin for the card.

    Returns:
        Path of the weights.
    """
    network.load_state_dict({key: value.half().float() for key, value in network.state_dict().items()})
    spec = ModelSpec(
        part="face",
        architecture=config.architecture,
        labels=FACE_LABELS,
        face_size=SIZE,
        flip=False,
        frames_per_second=5.0,
    )
    spec, figures = calibrate(network, spec, validation)
    facts = {**FACTS, "training": _how(config, run, origin), "metrics": {"protocol": PROTOCOL, **figures}}
    return save_weights(run, name or f"{config.architecture}.ferplus-v1", network, spec, facts)


def _how(config: FaceConfig, run: Path, origin: Mapping[str, object]) -> dict[str, object]:
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = rows[-1] if config.loop.keep == "last" else max(rows, key=lambda row: float(row[FaceTask.metric]))
    return {
        "command": "python -m multimodal.train face --config CONFIG --data FERPLUS_FOLDER --run RUN_FOLDER"
        + (" --start FIRST_RUN/best.safetensors" if "start" in origin else ""),
        "config": asdict(config),
        "seed": config.loop.seed,
        **origin,
        "date": datetime.date.today().isoformat(),
        "epochs_run": len(rows),
        "best_epoch": int(best["epoch"]),
        "hours": round(sum(float(row["seconds"]) for row in rows) / 3600, 2),
        "torch": torch.__version__,
    }
