"""IEMOCAP, with one command: features, then the networks of Yoon et al. 2018 and ours on every fold, then a table.

For each protocol, source of words and network, a training per fold; each turn is judged by the one training that did
not have it. ``results.json`` holds every figure of every fold, ``results.txt`` the table. The weights of ours are kept
per fold, with a card that names the session that it may be judged on.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from rich.progress import Progress

from multimodal.commands import choose_device
from multimodal.config import read_config
from multimodal.data.emotions import IEMOCAP_LABEL_SETS
from multimodal.data.iemocap import IemocapTurn, read_iemocap
from multimodal.data.iemocap_protocols import PROTOCOLS, TurnFold, affect_of, folds, label_names, labelled
from multimodal.encoders.audio import summary_size
from multimodal.encoders.mfcc import MfccSettings
from multimodal.errors import ConfigError
from multimodal.files import whole_file
from multimodal.iemocap_batches import RECIPES, Collator, NetworkSettings, Sizes, TurnTable, network_of, shape_of
from multimodal.iemocap_faces import face_size
from multimodal.iemocap_features import WORD_SOURCES, FeatureMaker, TurnCorpus, TurnSettings, make_corpus
from multimodal.iemocap_results import PAPER_REMARK, gathered, results_table, save_fold_weights
from multimodal.iemocap_task import TurnTask, affect_figures, judge, turn_figures
from multimodal.loop import LoopSettings, fit
from multimodal.train_face import training_revision
from multimodal.weights import Weights, load_weights

LONGEST_WAIT = timedelta(hours=12)
"""How long one process waits for the others' features; the usual ten minutes are less than a session's faces take."""


@dataclass(frozen=True)
class IemocapConfig:
    """Everything that decides a run on IEMOCAP, as the TOML file gives it.

    Attributes:
        loop: How each network is trained.
        networks: Sizes, and how ours learns.
        features: How turns are read.
        compared: Which of ``RECIPES``.
        classes: 4 (5,531 turns), 5 or 6.
        protocol: One of ``PROTOCOLS``, or ``both``.
        words: One of ``WORD_SOURCES``, or ``both``.
        fold: The number of the one fold to train, from 1; 0 for all. Runs of single folds may share a run folder: the
            last one finds the others' figures there and puts them into the table.
        check_counts: Whether the corpus must have its published sizes.

    Raises:
        ConfigError: A value that cannot be.
    """

    loop: LoopSettings
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    features: TurnSettings = field(default_factory=TurnSettings)
    compared: Sequence[str] = tuple(RECIPES)
    classes: int = 4
    protocol: str = PROTOCOLS[0]
    words: str = WORD_SOURCES[0]
    fold: int = 0
    check_counts: bool = True

    def __post_init__(self) -> None:
        choices: Mapping[str, Sequence[Any]] = {
            "classes": tuple(IEMOCAP_LABEL_SETS),
            "protocol": (*PROTOCOLS, "both"),
            "words": (*WORD_SOURCES, "both"),
            "fold": range(6),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(map(str, allowed))}")
        unknown = [name for name in self.compared if name not in RECIPES]
        if unknown or not self.compared:
            fact = f"names {unknown[0]!r}" if unknown else "names no network"
            raise ConfigError("compared", fact, f"choose from {', '.join(RECIPES)}")

    @property
    def protocols(self) -> tuple[str, ...]:
        """Those to run."""
        return PROTOCOLS if self.protocol == "both" else (self.protocol,)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of words to run with."""
        return WORD_SOURCES if self.words == "both" else (self.words,)


def train_iemocap(config_path: Path, data: Path, run: Path, *, device: str, quiet: bool) -> Path:
    """Trains and judges the networks on IEMOCAP.

    Args:
        config_path: TOML file, see ``IemocapConfig``.
        data: ``IEMOCAP_full_release``.
        run: Folder for features, checkpoints, logs, weights and figures; a stopped run goes on from there.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bars.

    Returns:
        Path of ``results.json``; ``results_table`` shows it.

    Raises:
        ConfigError: A key or a value of the configuration that cannot be, or the folder holds another run.
        CorpusError: The corpus is not as published, or the actors sit the other way round.
        DependencyError: Recognised words are wanted and speech-to-text is not there.
        OutputError: The run folder cannot be written.
    """
    config = read_config(config_path, IemocapConfig)
    accelerator = _accelerator(config, device)
    everyone = read_iemocap(data, check_counts=config.check_counts)
    turns, targets = labelled(everyone, config.classes)
    _claim(run, [[turn.name, turn.label] for turn in turns], config)
    training_revision(run)
    where = str(accelerator.device)
    encoders = {part: load_weights("default", part, where) for part in ("face", "text")}
    corpus = _corpus(config, encoders, turns, everyone, run, accelerator, quiet)
    bench = _Bench(config, encoders, turns, run, accelerator, quiet)
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
                    bench.run_fold(table, fold, protocol, source)
    return _write_results(config, turns, corpus, run, accelerator)


def _accelerator(config: IemocapConfig, device: str) -> Accelerator:
    chosen = choose_device(device)
    handlers = [
        # Stand-ins of absent signals take no part in a batch where all is there.
        DistributedDataParallelKwargs(find_unused_parameters=True),
        InitProcessGroupKwargs(timeout=LONGEST_WAIT),
    ]
    precision = config.loop.precision if chosen != "mps" else "no"
    return Accelerator(cpu=chosen == "cpu", mixed_precision=precision, kwargs_handlers=handlers)


def _claim(run: Path, turns: list[list[str]], config: IemocapConfig) -> None:
    """Refuses a folder with trainings of other settings or on other turns, which would be taken for these."""
    decides = {
        key: value for key, value in asdict(config).items() if key in ("loop", "networks", "features", "classes")
    }
    key = hashlib.sha256(json.dumps([turns, decides], sort_keys=True).encode()).hexdigest()
    note = run / "made_of.txt"
    known = note.read_text(encoding="utf-8") if note.exists() else key
    if known != key and any(run.glob("*/*/*/*/last.safetensors")):
        raise ConfigError(run, "holds a run with other settings or other turns", "choose another folder or remove it")
    with whole_file(note) as temporary:
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
    """Features of all turns; several processes first make those of a share of the dialogues each."""

    def maker() -> FeatureMaker:
        where = str(accelerator.device)
        return FeatureMaker(
            config.features, encoders["face"], encoders["text"], MfccSettings(), run / "features", where
        )

    if accelerator.num_processes > 1:
        dialogues = sorted({turn.dialogue for turn in turns})
        own = set(dialogues[accelerator.process_index :: accelerator.num_processes])
        share = [turn for turn in turns if turn.dialogue in own]
        if share:
            make_corpus(maker(), share, everyone, config.sources)
        accelerator.wait_for_everyone()
    with Progress(disable=quiet or not accelerator.is_main_process, transient=True) as bar:
        line = bar.add_task("features of turns", total=len(turns))
        return make_corpus(maker(), turns, everyone, config.sources, lambda done, _: bar.update(line, completed=done))


@dataclass(frozen=True)
class _Bench:
    """Where networks are trained one after the other."""

    config: IemocapConfig
    encoders: Mapping[str, Weights]
    turns: Sequence[IemocapTurn]
    run: Path
    accelerator: Accelerator
    quiet: bool

    def run_fold(self, table: TurnTable, fold: TurnFold, protocol: str, source: str) -> None:
        """Trains and judges every network on one fold; those without words once, not per source."""
        for name in self.config.compared:
            words = source if "text" in RECIPES[name].signals else "none"
            folder = self.run / protocol / words / name / fold.name
            if not (folder / "figures.json").is_file():
                self._network(table, fold, name, folder, {"protocol": protocol, "words": words, "network": name})

    def _network(self, table: TurnTable, fold: TurnFold, name: str, folder: Path, facts: Mapping[str, str]) -> None:
        config, recipe = self.config, RECIPES[name]
        sizes = sizes_of(self.encoders)
        shape = shape_of(recipe, config.networks, sizes, len(label_names(config.classes)))
        torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
        network = network_of(recipe, shape, sizes, word_table(self.encoders["text"]))
        collator = Collator(recipe, sizes, MfccSettings(), 0.5 / config.features.frames_per_second)
        training, held_out, judged = (table.subset(part) for part in (fold.train, fold.validation, fold.test))
        task = TurnTask(network, collator, training, held_out, config.networks, config.loop, self.accelerator)
        fit(task, config.loop, folder, self.accelerator, self.quiet)
        trained = task.network.eval()
        probabilities, affect = judge(trained, collator, judged)
        figures = {
            **facts,
            "fold": fold.name,
            **turn_figures(probabilities, judged.targets),
            "ccc": affect_figures(affect, judged.affect),
            "turns": {"train": len(fold.train), "validation": len(fold.validation), "test": len(fold.test)},
            "parameters": sum(value.numel() for value in trained.parameters()),
        }
        if self.accelerator.is_main_process:
            if not recipe.faithful and facts["protocol"] == PROTOCOLS[0]:
                sessions = {part: self._sessions(getattr(fold, part)) for part in ("train", "validation", "test")}
                before = judge(trained, collator, held_out)[0]
                save_fold_weights(self.run, trained, shape, self._facts(figures, sessions), before, held_out.targets)
            with whole_file(folder / "figures.json") as temporary:
                temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        self.accelerator.wait_for_everyone()

    def _sessions(self, chosen: np.ndarray[Any, np.dtype[np.int64]]) -> list[int]:
        return sorted({self.turns[index].session for index in chosen})

    def _facts(self, figures: Mapping[str, Any], sessions: Mapping[str, list[int]]) -> dict[str, Any]:
        config = self.config
        return {
            "labels": label_names(config.classes),
            "classes": config.classes,
            "encoders": {part: weights.sha256 for part, weights in self.encoders.items()},
            "frames_per_second": config.features.frames_per_second,
            "figures": dict(figures),
            "sessions": dict(sessions),
            "config": asdict(config),
            "commit": training_revision(self.run),
        }


def sizes_of(encoders: Mapping[str, Weights]) -> Sizes:
    """What the networks read of turns, given the encoders of face and text."""
    mfcc = MfccSettings()
    word = word_table(encoders["text"]).shape[1]
    return Sizes(mfcc.features, summary_size(mfcc.coefficients), word, face_size(encoders["face"]))


def word_table(text: Weights) -> torch.Tensor:
    """``(word pieces, features)`` float32: what the text encoder's transformer begins with."""
    return text.network.get_parameter("transformer.embeddings.word_embeddings.weight").detach().float().cpu()


def _write_results(
    config: IemocapConfig, turns: Sequence[IemocapTurn], corpus: TurnCorpus, run: Path, accelerator: Accelerator
) -> Path:
    path = run / "results.json"
    results = {
        "corpus": "IEMOCAP",
        "classes": list(label_names(config.classes)),
        "turns": len(turns),
        "sessions": sorted({turn.session for turn in turns}),
        "rows": gathered(run),
        "remark": PAPER_REMARK,
        "split_screen": [asdict(each) for each in corpus.agreements],
        "warnings": list(corpus.warnings),
        "seed": config.loop.seed,
        "commit": training_revision(run),
        "date": datetime.date.today().isoformat(),
    }
    if accelerator.is_main_process:
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with whole_file(path.with_suffix(".txt")) as temporary:
            temporary.write_text(results_table(path) + "\n", encoding="utf-8")
    accelerator.wait_for_everyone()
    return path
