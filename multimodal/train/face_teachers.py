"""Answers of trained face networks for the training pictures, which a smaller network learns beside the votes.

They are computed once, with the mirrored view, and stored in the run's folder. A teacher's probabilities tell how alike
two expressions are in this picture, which ten votes tell less finely. Source: Hinton et al. 2015, "Distilling the
Knowledge in a Neural Network" (arXiv 1503.02531).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import track
from safetensors import safe_open
from torch import Tensor

from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import predict
from multimodal.errors import ConfigError
from multimodal.models.weights import Weights, load_weights
from multimodal.train.loop import save_tensors

ANSWERS = "teachers.safetensors"
AT_ONCE = 256


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
