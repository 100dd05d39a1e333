"""The voice stage: labeled clips in, voice weights out, judged on speakers that were not heard in training.

First as many trainings as there are folds, each judged on the speakers it left out; then the same training on
everybody, whose weights are kept. Its figures are those of the folds: the last training has nobody left to be judged
on.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from safetensors import safe_open

from multimodal.augmentation.audio import AudioAugmentation
from multimodal.data.corpora.voices import VoiceClip, load_waveforms, read_voices, split_by_speaker
from multimodal.data.emotions import FUSED_LABELS, NATIVE_LABELS
from multimodal.device import choose_device
from multimodal.encoders.audio import AUDIO_NETWORKS
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice_features import VoiceFeatures
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate.audio import sum_to_fused, voice_figures
from multimodal.evaluate.metrics import cross_calibrate, fit_temperature
from multimodal.files import atomic_write
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights
from multimodal.train.audio_task import (
    AudioTask,
    SamplingConfig,
    VoiceTable,
    evaluate_clips,
    groups_of,
    target_labels,
    target_of,
    voice_table,
)
from multimodal.train.config import read_config
from multimodal.train.loop import LoopSettings, fit, save_tensors
from multimodal.train.provenance import training_revision


@dataclass(frozen=True)
class AudioConfig:
    """Everything that decides a voice training, as the TOML file gives it.

    Attributes:
        loop: How to train; ``keep`` must be ``last``, since the speakers left out are there to judge.
        teaching: How clips are drawn and changed.
        augmentation: How clips are disguised.
        mfcc: The features.
        architecture: One of ``AUDIO_NETWORKS``.
        labels: What is taught: ``fused`` (seven) or a corpus's own labels.
        folds: Into how many groups of speakers the corpora are split to judge; 0 for not at all (no calibration then).
        disguises: Augmented versions of each clip beside the clip itself.
        cross_corpus: Whether also to train without each corpus in turn and to judge on it.
        check_counts: Whether the corpora must have their published sizes.
    """

    loop: LoopSettings
    teaching: SamplingConfig
    augmentation: AudioAugmentation = field(default_factory=AudioAugmentation)
    mfcc: MfccSettings = field(default_factory=MfccSettings)
    architecture: str = "conv_bigru"
    labels: str = "ravdess"
    folds: int = 5
    disguises: int = 3
    cross_corpus: bool = False
    check_counts: bool = True

    def __post_init__(self) -> None:
        choices = {"architecture": tuple(AUDIO_NETWORKS), "labels": ("fused", *NATIVE_LABELS)}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(allowed)}")
        if self.loop.keep != "last":
            raise ConfigError("loop.keep", f"is {self.loop.keep!r}", 'write keep = "last"')
        if self.folds < 0 or self.folds == 1 or self.disguises < 0:
            fact = f"are {self.folds} and {self.disguises}"
            raise ConfigError("folds, disguises", fact, "give 0 or at least 2 folds, and at least 0 disguises")
        unknown = [name for name in self.teaching.corpus_weights if name not in NATIVE_LABELS]
        if unknown or not self.teaching.corpus_weights:
            fact = f"names {unknown[0]!r}" if unknown else "names no corpus"
            raise ConfigError("teaching.corpus_weights", fact, f"choose from {', '.join(NATIVE_LABELS)}")


def train_audio(config_path: Path, data: Path, run: Path, *, name: str, device: str, quiet: bool) -> Path:
    """Trains a voice network and writes its weights and card.

    Args:
        config_path: TOML file, see ``AudioConfig``.
        data: Folder with a folder per corpus, named as in the configuration.
        run: Folder for features, checkpoints, logs and the weights; a stopped run goes on from there.
        name: Stem of the weights; empty for ``<architecture>.<corpora>-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: A key or a value of the configuration that cannot be, or the folder holds another run.
        CorpusError: A corpus is not as published, or is not the one that the configuration names.
        OutputError: The run folder cannot be written.
    """
    config = read_config(config_path, AudioConfig)
    chosen = choose_device(device)
    accelerator = Accelerator(cpu=chosen == "cpu", mixed_precision=config.loop.precision if chosen != "mps" else "no")
    revision = training_revision(run)
    table = _read_table(config, data, run, accelerator)
    answers = _answers_by_fold(config, table, run, accelerator, quiet) if config.folds else None
    crossed = _cross_corpus(config, table, run, accelerator, quiet) if config.cross_corpus else {}
    task = _task(config, table, None, accelerator)
    fit(task, config.loop, run / "all", accelerator, quiet)
    temperature = 1.0 if answers is None else round(fit_temperature(answers, table.targets), 4)
    spec = ModelSpec(
        part="audio",
        architecture=config.architecture,
        labels=target_labels(config.labels),
        temperature=temperature,
        groups=groups_of(config.labels),
        mfcc=asdict(config.mfcc),
    )
    parameters = sum(value.numel() for value in task.network.parameters())
    figures = {} if answers is None else _figures(config, table, answers, parameters)
    facts = {
        "data": _data_facts(table, config),
        "license": license_of(list(config.teaching.corpus_weights)),
        "training": _how(config, run, revision),
        "metrics": {"protocol": PROTOCOL, **figures, **({"cross_corpus": crossed} if crossed else {})},
        "limits": LIMITS,
    }
    stem = name or f"{config.architecture}.{'_'.join(config.teaching.corpus_weights)}-v1"
    return save_weights(run, stem, task.network.cpu().eval(), spec, facts)


def _read_table(config: AudioConfig, data: Path, run: Path, accelerator: Accelerator) -> VoiceTable:
    """Clips with their features; these are kept in the run folder, since they take longer than an epoch."""
    clips = [clip for corpus in config.teaching.corpus_weights for clip in _read_corpus(config, corpus, data / corpus)]
    if config.folds:
        split_by_speaker(clips, config.folds)  # refuses too many folds now and not after an hour
    _claim(run, [clips_key(clips, data), asdict(config)])
    made_of = (
        clips_key(clips, data),
        asdict(config.mfcc),
        asdict(config.augmentation),
        config.disguises,
        config.labels,
    )
    key = hashlib.sha256(json.dumps([*made_of, config.loop.seed], sort_keys=True).encode()).hexdigest()
    kept = run / "features.safetensors"
    found = _load_features(kept, key)
    if found is not None:
        return _with_targets(clips, config.labels, found)
    mfcc = Mfcc(config.mfcc).to(accelerator.device)
    waveforms = list(load_waveforms(clips, cache=run / "sound.safetensors"))
    table = voice_table(clips, waveforms, config.labels, config.disguises, config.augmentation, mfcc, config.loop.seed)
    if accelerator.is_main_process:
        _save_features(kept, key, table)
    return table


def _read_corpus(config: AudioConfig, corpus: str, folder: Path) -> list[VoiceClip]:
    clips = read_voices(corpus, folder, check_counts=config.check_counts)
    others = sorted({clip.corpus for clip in clips if clip.corpus not in config.teaching.corpus_weights})
    if others:  # of a manifest, whose rows may be of any corpus
        raise CorpusError(folder, f"holds clips of {others[0]}", "give it a weight in teaching.corpus_weights")
    return clips


def _claim(run: Path, made_of: list[Any]) -> None:
    """Refuses a folder with trainings of other settings or on other clips, which would be taken for these."""
    note, key = run / "made_of.txt", hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    known = note.read_text(encoding="utf-8") if note.exists() else key
    if known != key and any(run.glob("*/last.safetensors")):
        raise ConfigError(run, "holds a run with other settings or other clips", "choose another folder or remove it")
    with atomic_write(note) as temporary:
        temporary.write_text(key, encoding="utf-8")


def clips_key(clips: Sequence[VoiceClip], data: Path) -> list[list[str]]:
    """What a list of clips consists of, apart from where the corpora stand.

    Example:
        >>> clips_key([VOICE_CORPORA["emodb"].clip(Path("data/emodb/03a01Nc.wav"), "03", "neutral")], Path("data"))
        [['emodb/03a01Nc.wav', 'emodb-03', 'neutral']]
    """
    names = [clip.path.relative_to(data) if clip.path.is_relative_to(data) else clip.path for clip in clips]
    return [[name.as_posix(), clip.speaker, clip.native_label] for name, clip in zip(names, clips, strict=True)]


def _save_features(path: Path, key: str, table: VoiceTable) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for number, version in enumerate(table.versions):
        tensors[f"{number}.frames"] = torch.cat([each.frames for each in version])
        tensors[f"{number}.counts"] = torch.tensor([len(each.frames) for each in version])
        tensors[f"{number}.summary"] = torch.stack([each.summary for each in version])
    save_tensors(path, tensors, {"key": key, "versions": str(len(table.versions))})


def _load_features(path: Path, key: str) -> list[tuple[VoiceFeatures, ...]] | None:
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
        if facts.get("key") != key:
            return None
        versions = []
        for number in range(int(facts["versions"])):
            counts = file.get_tensor(f"{number}.counts").tolist()
            frames = file.get_tensor(f"{number}.frames").split(counts)
            versions.append(tuple(map(VoiceFeatures, frames, file.get_tensor(f"{number}.summary"))))
        return versions


def _with_targets(clips: Sequence[VoiceClip], labels: str, versions: list[tuple[VoiceFeatures, ...]]) -> VoiceTable:
    answers = [(clip, target_of(clip, labels)) for clip in clips]
    taught = [(clip, answer) for clip, answer in answers if answer is not None]
    targets = np.array([answer for _, answer in taught], dtype=np.int64)
    return VoiceTable(tuple(clip for clip, _ in taught), targets, tuple(versions))


def _task(config: AudioConfig, table: VoiceTable, held_out: VoiceTable | None, accelerator: Accelerator) -> AudioTask:
    torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
    labels = len(target_labels(config.labels))
    return AudioTask(
        config.architecture, labels, table, held_out, config.teaching, config.augmentation, config.loop, accelerator
    )


def _answers_by_fold(
    config: AudioConfig, table: VoiceTable, run: Path, accelerator: Accelerator, quiet: bool
) -> NDArray[np.float32]:
    """Probabilities ``(clips, labels)`` of every clip by the training that did not hear its speaker."""
    answers = np.zeros((len(table.clips), len(target_labels(config.labels))), np.float32)
    for number, fold in enumerate(split_by_speaker(table.clips, config.folds, config.loop.seed)):
        held_out = table.subset(fold.test)
        task = _task(config, table.subset(fold.train), held_out, accelerator)
        fit(task, config.loop, run / f"fold-{number}", accelerator, quiet)
        answers[fold.test] = evaluate_clips(task.network.cpu().eval(), held_out).numpy()
    return answers


def _cross_corpus(
    config: AudioConfig, table: VoiceTable, run: Path, accelerator: Accelerator, quiet: bool
) -> dict[str, Any]:
    """Per corpus, the figures of a training that heard only the others, over the seven."""
    corpora = np.array([clip.corpus for clip in table.clips])
    found: dict[str, Any] = {}
    for corpus in config.teaching.corpus_weights:
        if len(config.teaching.corpus_weights) < 2:
            break
        held_out = table.subset(np.flatnonzero(corpora == corpus))
        task = _task(config, table.subset(np.flatnonzero(corpora != corpus)), held_out, accelerator)
        fit(task, config.loop, run / f"without-{corpus}", accelerator, quiet)
        found[corpus] = _seven(
            evaluate_clips(task.network.cpu().eval(), held_out).numpy(), held_out.clips, config.labels
        )
    return found


def _seven(answers: NDArray[np.float32], clips: Sequence[VoiceClip], labels: str) -> dict[str, Any]:
    """Figures over the seven, of those clips that are one of them."""
    counted = np.array([clip.label is not None for clip in clips])
    targets = np.array([FUSED_LABELS.index(clip.label) for clip in clips if clip.label], np.int64)
    return voice_figures(sum_to_fused(answers[counted], groups_of(labels)), targets, FUSED_LABELS)


def _figures(config: AudioConfig, table: VoiceTable, answers: NDArray[np.float32], parameters: int) -> dict[str, Any]:
    """Per corpus: its own labels where these are taught, and the seven; calibrated by other clips than those judged."""
    calibrated = cross_calibrate(answers, table.targets)
    corpora = np.array([clip.corpus for clip in table.clips])
    found: dict[str, Any] = {}
    for corpus in config.teaching.corpus_weights:
        own = corpora == corpus
        entry: dict[str, Any] = {"speakers": len({clip.speaker for clip in table.clips if clip.corpus == corpus})}
        if corpus == config.labels:
            entry["native"] = voice_figures(calibrated[own], table.targets[own], target_labels(corpus))
        entry["seven"] = _seven(calibrated[own], [clip for clip in table.clips if clip.corpus == corpus], config.labels)
        found[corpus] = entry
    return {"parameters": parameters, "leave_speakers_out": found}


def _data_facts(table: VoiceTable, config: AudioConfig) -> dict[str, Any]:
    clips = {
        corpus: {
            "clips": sum(clip.corpus == corpus for clip in table.clips),
            "speakers": sorted({clip.speaker for clip in table.clips if clip.corpus == corpus}),
            "license": LICENSES.get(corpus, "see its publisher"),
        }
        for corpus in config.teaching.corpus_weights
    }
    return {"corpora": clips, "parts": "all speakers named here were heard in training; figures are of the folds"}


def _how(config: AudioConfig, run: Path, revision: str) -> Mapping[str, Any]:
    logs = sorted(run.glob("*/log.csv"))
    rows = [line.split(",") for log in logs for line in log.read_text(encoding="utf-8").splitlines()[1:]]
    return {
        "command": "python -m multimodal.train audio --config CONFIG --data CORPORA_FOLDER --run RUN_FOLDER",
        "config": asdict(config),
        "seed": config.loop.seed,
        "commit": revision,
        "date": datetime.date.today().isoformat(),
        "trainings": len(logs),
        "hours": round(sum(float(row[-1]) for row in rows) / 3600, 2),
        "torch": torch.__version__,
    }


PROTOCOL = (
    "Leave-speakers-out: every clip is judged by a training that heard none of its speaker; the last epoch is kept, "
    "none is chosen; which heads answer was chosen on these folds. A speaker's clips count as one recording, whose "
    "common statistics are removed without looking at labels. uar is the unweighted average recall over the labels "
    "that occur; ece and nll are cross-fitted. The shipped weights are of the same training on all speakers, and were "
    "not judged on them."
)

LICENSES = {
    "ravdess": "CC BY-NC-SA 4.0",
    "emodb": "CC0 in its current release",
    "banglaser": "CC BY 4.0",
    "tess": "CC BY-NC-ND 4.0",
    "crema_d": "ODbL 1.0",
    "savee": "research use, by its license agreement",
    "iemocap": "research use, by its license agreement",
}


def license_of(corpora: Sequence[str]) -> str:
    """What may be done with weights trained on some corpora, in plain words.

    Example:
        >>> license_of(["emodb", "banglaser"])
        'as the corpora: emodb CC0 in its current release; banglaser CC BY 4.0'
    """
    others = "; ".join(f"{name} {LICENSES.get(name, 'see its publisher')}" for name in corpora if name != "ravdess")
    if "ravdess" not in corpora:
        return f"as the corpora: {others}"
    return (
        "CC BY-NC-SA 4.0, because RAVDESS is: non-commercial use, with attribution, shared alike; "
        "for commercial use train without RAVDESS" + (f". The other corpora: {others}" if others else "")
    )


LIMITS = [
    "Perceived expression as actors gave it on request, not what a person felt.",
    "Acted, read sentences in studios, in English, German and Bengali; interviews are spontaneous and mostly mild. See "
    "cross_corpus for how much is lost on unknown recordings alone.",
    "Calibrated on acted speech: in an interview, its confidence is too high.",
    "What is common to a speaker's recording is removed: someone angry throughout may be heard as neutral.",
    "How errors differ with age, dialect or illness of the voice was not measured.",
]
