"""MOSI with one command: all networks and baselines on every fold and seed, then a table.

Each fold is kept when it is complete; a stopped run continues with the next one. ``results.json`` holds all figures,
``results.txt`` the table. No weights are kept: the features of this corpus cannot be computed from a recording.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from rich.progress import Progress
from safetensors.numpy import load_file

from multimodal.data.corpora.mosi import MosiCorpus, read_mosi
from multimodal.device import choose_device
from multimodal.errors import ConfigError
from multimodal.files import atomic_write
from multimodal.models.weights import load_weights
from multimodal.mosi.config import MosiConfig
from multimodal.mosi.experiment import RECIPES, Experiment
from multimodal.mosi.features import LABELS, UtteranceTable, make_table
from multimodal.mosi.results import (
    CONTRASTS,
    accuracy_by_words,
    confusion_per_video,
    few_video_probe,
    results_table,
    with_intervals,
)
from multimodal.train.config import read_config
from multimodal.train.loop import save_tensors
from multimodal.train.provenance import training_revision


def train_mosi(config_path: Path, data: Path, run: Path, *, device: str, quiet: bool) -> Path:
    """Trains and evaluates all networks on MOSI's training videos.

    Args:
        config_path: TOML file, see ``MosiConfig``.
        data: Folder of ``words.csv``, ``audio.csv`` and ``face.csv``.
        run: Folder for answers and figures; a stopped run continues there.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.

    Returns:
        Path of ``results.json``; ``results_table`` formats it.

    Raises:
        ConfigError: The configuration has an unknown key or an invalid value, or the folder holds another run.
        CorpusError: The corpus is not as published.
        OutputError: The run folder cannot be written.
    """
    config = read_config(config_path, MosiConfig)
    place = choose_device(device)
    corpus = read_mosi(data, check_counts=config.check_counts)
    text = load_weights("default", "text", place)
    _claim(run, corpus, config, text.sha256)
    training_revision(run)
    precision = config.loop.precision if place != "mps" else "no"
    accelerator = Accelerator(cpu=place == "cpu", mixed_precision=precision)
    table = make_table(corpus, text)
    experiment = Experiment(config, table, accelerator, quiet=True)
    jobs = [(seed, fold) for seed in config.seeds for fold in range(config.folds)]
    with Progress(disable=quiet, transient=True) as bar:
        for seed, fold in bar.track(jobs, description="folds"):
            path = _answers_path(run, seed, fold)
            if not path.is_file():
                indices, answers = experiment.run_fold(seed, fold)
                tensors = {name: torch.from_numpy(rows) for name, rows in answers.items()}
                save_tensors(path, {**tensors, "indices": torch.from_numpy(indices)}, {})
    return _write_results(run, config, table, text.sha256)


def _answers_path(run: Path, seed: int, fold: int) -> Path:
    return run / f"seed-{seed}" / f"fold-{fold + 1}.safetensors"


def _claim(run: Path, corpus: MosiCorpus, config: MosiConfig, text_sha256: str) -> None:
    """Refuses a folder with answers of other settings or utterances, which would be mistaken for these."""
    facts = {**asdict(config), "seeds": None, "text": text_sha256, "words": corpus.texts}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for values in (corpus.audio, corpus.face, corpus.targets):
        digest.update(np.ascontiguousarray(values).tobytes())
    note, key = run / "inputs.sha256", digest.hexdigest()
    previous = note.read_text(encoding="utf-8") if note.exists() else key
    if previous != key and any(run.glob("seed-*/*.safetensors")):
        raise ConfigError(
            run, "holds a run with other settings or another corpus", "choose another folder or remove it"
        )
    with atomic_write(note) as temporary:
        temporary.write_text(key, encoding="utf-8")


def _write_results(run: Path, config: MosiConfig, table: UtteranceTable, text_sha256: str) -> Path:
    predictions = {
        recipe.name: np.stack([_predictions(run, config, seed, recipe.name, table) for seed in config.seeds])
        for recipe in RECIPES
    }
    counts = {name: np.stack([confusion_per_video(each, table) for each in rows]) for name, rows in predictions.items()}
    share = float(table.targets.mean())
    results: dict[str, Any] = {
        "corpus": "MOSI, training videos",
        "utterances": len(table),
        "videos": len(set(table.videos)),
        "larger_class": round(max(share, 1 - share), 6),
        "folds": config.folds,
        "seeds": list(config.seeds),
        **with_intervals(counts, CONTRASTS),
        "few_video_probe": few_video_probe(table),
        "accuracy_by_words": accuracy_by_words(predictions, table.targets),
        "text_encoder_sha256": text_sha256,
        "commit": training_revision(run),
        "date": datetime.date.today().isoformat(),
        "config": asdict(config),
    }
    path = run / "results.json"
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with atomic_write(path.with_suffix(".txt")) as temporary:
        temporary.write_text(results_table(path) + "\n", encoding="utf-8")
    return path


def _predictions(run: Path, config: MosiConfig, seed: int, name: str, table: UtteranceTable) -> NDArray[np.int64]:
    """``(n,)`` predicted class of every utterance, by the training that did not use its video."""
    probabilities = np.full((len(table), LABELS), np.nan)
    for fold in range(config.folds):
        answers = load_file(_answers_path(run, seed, fold))
        probabilities[answers["indices"]] = answers[name]
    if np.isnan(probabilities).any():
        raise ConfigError(run, "holds answers that do not cover all utterances", "remove it and run again")
    predictions: NDArray[np.int64] = probabilities.argmax(axis=1)
    return predictions
