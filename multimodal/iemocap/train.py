"""IEMOCAP with one command: features, then the networks of Yoon et al. 2018 and ours on every fold, then a table.

Each protocol, source of words and network is trained once per fold; each turn is evaluated by the one training that did
not include it. ``results.json`` holds every figure of every fold, ``results.txt`` the table. The weights of ours are
saved per fold, with a card that names the test session.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from rich.progress import Progress

from multimodal.data.corpora.iemocap import IemocapTurn, read_iemocap
from multimodal.data.corpora.iemocap_protocols import affect_of, folds, label_names, with_labels
from multimodal.device import choose_device
from multimodal.encoders.mfcc import MfccSettings
from multimodal.errors import ConfigError
from multimodal.files import atomic_write
from multimodal.iemocap.batches import TurnTable
from multimodal.iemocap.config import IemocapConfig
from multimodal.iemocap.experiment import Experiment
from multimodal.iemocap.features import FeatureMaker, TurnCorpus, make_corpus
from multimodal.iemocap.results import PAPER_REMARK, collect_results, results_table
from multimodal.models.weights import Weights, load_weights
from multimodal.train.config import read_config
from multimodal.train.provenance import training_revision

LONGEST_WAIT = timedelta(hours=12)
"""Longest wait of one process for the features of the others; the default of ten minutes is too short for faces."""


def train_iemocap(config_path: Path, data: Path, run: Path, *, device: str, quiet: bool) -> Path:
    """Trains and evaluates the networks on IEMOCAP.

    Args:
        config_path: TOML file, see ``IemocapConfig``.
        data: ``IEMOCAP_full_release``.
        run: Folder for features, checkpoints, logs, weights and figures; a stopped run resumes there.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bars.

    Returns:
        Path of ``results.json``; ``results_table`` formats it.

    Raises:
        ConfigError: The configuration has an unknown key or an invalid value, or the folder holds another run.
        CorpusError: The corpus is not as published, or the actors' seats are swapped.
        DependencyError: Recognized words need speech-to-text, which is not installed.
        OutputError: The run folder cannot be written.
    """
    config = read_config(config_path, IemocapConfig)
    accelerator = _accelerator(config, device)
    everyone = read_iemocap(data, check_counts=config.check_counts)
    turns, targets = with_labels(everyone, config.classes)
    _claim(run, [[turn.name, turn.label] for turn in turns], config)
    training_revision(run)
    encoders = {part: load_weights("default", part, str(accelerator.device)) for part in ("face", "text")}
    corpus = _corpus(config, encoders, turns, everyone, run, accelerator, quiet)
    experiment = Experiment(config, encoders, turns, run, accelerator, quiet)
    for protocol in config.protocols:
        parts = folds(turns, protocol, config.loop.seed)
        if config.fold > len(parts):
            raise ConfigError("fold", f"is {config.fold}, and {protocol} has {len(parts)}", "choose one of these")
        for source in config.sources:
            seconds = np.array([turn.end_seconds - turn.start_seconds for turn in turns])
            names = tuple(turn.name for turn in turns)
            table = TurnTable(names, seconds, targets, affect_of(turns), corpus.features[source])
            for place, fold in enumerate(parts, start=1):
                if config.fold in (0, place):
                    experiment.run_fold(table, fold, protocol, source)
    return _write_results(config, turns, corpus, run, accelerator)


def _accelerator(config: IemocapConfig, device: str) -> Accelerator:
    place = choose_device(device)
    handlers = [
        # Learned vectors of absent modalities are unused in a batch that has all.
        DistributedDataParallelKwargs(find_unused_parameters=True),
        InitProcessGroupKwargs(timeout=LONGEST_WAIT),
    ]
    precision = config.loop.precision if place != "mps" else "no"
    return Accelerator(cpu=place == "cpu", mixed_precision=precision, kwargs_handlers=handlers)


def _claim(run: Path, turns: list[list[str]], config: IemocapConfig) -> None:
    """Refuses a folder with trainings of other settings or turns, which would be mistaken for these."""
    settings = {
        key: value for key, value in asdict(config).items() if key in ("loop", "networks", "features", "classes")
    }
    key = hashlib.sha256(json.dumps([turns, settings], sort_keys=True).encode()).hexdigest()
    note = run / "inputs.sha256"
    previous_key = note.read_text(encoding="utf-8") if note.exists() else key
    if previous_key != key and any(run.glob("*/*/*/*/last.safetensors")):
        raise ConfigError(run, "holds a run with other settings or other turns", "choose another folder or remove it")
    with atomic_write(note) as temporary:
        temporary.write_text(key, encoding="utf-8")


def _corpus(
    config: IemocapConfig,
    encoders: Mapping[str, Weights],
    turns: Sequence[IemocapTurn],
    everyone: Sequence[IemocapTurn],
    run: Path,
    accelerator: Accelerator,
    quiet: bool,
) -> TurnCorpus:
    """Features of all turns; several processes first compute a share of the dialogues each."""

    def maker() -> FeatureMaker:
        device, cache = str(accelerator.device), run / "features"
        return FeatureMaker(config.features, encoders["face"], encoders["text"], MfccSettings(), cache, device)

    if accelerator.num_processes > 1:
        dialogues = sorted({turn.dialogue for turn in turns})
        part = set(dialogues[accelerator.process_index :: accelerator.num_processes])
        share = [turn for turn in turns if turn.dialogue in part]
        if share:
            make_corpus(maker(), share, everyone, config.sources)
        accelerator.wait_for_everyone()
    with Progress(disable=quiet or not accelerator.is_main_process, transient=True) as bar:
        line = bar.add_task("features of turns", total=len(turns))
        return make_corpus(maker(), turns, everyone, config.sources, lambda done, _: bar.update(line, completed=done))


def _write_results(
    config: IemocapConfig, turns: Sequence[IemocapTurn], corpus: TurnCorpus, run: Path, accelerator: Accelerator
) -> Path:
    path = run / "results.json"
    results = {
        "corpus": "IEMOCAP",
        "classes": list(label_names(config.classes)),
        "turns": len(turns),
        "sessions": sorted({turn.session for turn in turns}),
        "rows": collect_results(run, config.classes),
        "remark": PAPER_REMARK,
        "split_screen": [asdict(each) for each in corpus.agreements],
        "warnings": list(corpus.warnings),
        "seed": config.loop.seed,
        "commit": training_revision(run),
        "date": datetime.date.today().isoformat(),
    }
    if accelerator.is_main_process:
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with atomic_write(path.with_suffix(".txt")) as temporary:
            temporary.write_text(results_table(path) + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()
    return path
