"""The fusion stage: utterances composed of three corpora in, the fusion head's weights out.

The shipped encoders stay as they are. Of each corpus the head must see only what its encoder answers as it will answer
strangers: of the voices those of networks that never heard the speaker (``multimodal.unheard``), of the texts the tenth
of the training part that the text encoder did not learn from; for the faces nothing is needed, since the face encoder
is no better on the pictures that it learned from (0.811 right against 0.808, with ``JITTER``).

People, pictures and texts are parted: some to learn from, some to choose the epoch and calibrate, some to judge.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from multimodal.data.corpora.ferplus import FaceCorpus, read_ferplus
from multimodal.data.corpora.synthetic import SamplePools, SynthesisConfig
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import read_text_corpus
from multimodal.data.corpora.voices import VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS
from multimodal.device import choose_device
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice_features import VoiceFeatures, voice_features
from multimodal.errors import ConfigError
from multimodal.evaluate.fusion import SUBSETS, Head, evaluate_fusion
from multimodal.evaluate.metrics import fit_temperature
from multimodal.evaluate.synthetic_features import (
    Encoded,
    EncodedPools,
    encode_pools,
    encode_voices,
    face_pool,
    mask_audio_with_noise,
    text_pool,
)
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.prediction import predict, softmax, subset_name
from multimodal.models.selection import choose_weights
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights
from multimodal.train.audio import AudioConfig, license_of
from multimodal.train.audio_task import target_of
from multimodal.train.config import read_config
from multimodal.train.fusion_task import FusionTask, FusionTrainingConfig
from multimodal.train.loop import LoopSettings, fit
from multimodal.train.out_of_fold import fold_of_speakers, out_of_fold_encoder
from multimodal.train.provenance import training_revision
from multimodal.types import MODALITIES

UNCERTAIN_BELOW = 0.5
"""An answer whose calibrated confidence is lower is more likely wrong than right, and is called uncertain."""

PARTS = ("train", "calibrate", "judge")


@dataclass(frozen=True)
class FusionConfig:
    """Everything that decides a fusion training, as the TOML file gives it.

    Attributes:
        loop: How to train.
        composing: What utterances are like.
        learning: How many, and which signals are left out.
        hidden: See ``FusionShape``; likewise the next four.
        face_hidden: Features beside the voice.
        bidirectional: Whether both encoders run in both directions.
        pooling: ``last`` or ``attention``.
        dropout: Share dropped in training.
        voice_config: Configuration of the voice's training, beside this file; its folds say who was heard by whom.
        faces_per_label: Most pictures of each emotion in training.
        views: Versions of each picture.
        text_share: Of GoEmotions' training part, what the text encoder was not taught (its ``held_out_share``).
        check_counts: Whether the corpora must have their published sizes.
    """

    loop: LoopSettings
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    learning: FusionTrainingConfig = field(default_factory=FusionTrainingConfig)
    hidden: int = 96
    face_hidden: int = 64
    bidirectional: bool = True
    pooling: str = "attention"
    dropout: float = 0.3
    voice_config: str = "audio.toml"
    faces_per_label: int = 1_200
    views: int = 3
    text_share: float = 0.1
    check_counts: bool = True


@dataclass(frozen=True)
class Sources:
    """Where the corpora are, and the folds of the voice's training.

    Attributes:
        faces: FER+ folder.
        voices: Folder with a folder per corpus of voices.
        texts: GoEmotions folder.
        voice_run: Run folder of ``train audio`` with the configuration that the shipped encoder was trained with.
    """

    faces: Path
    voices: Path
    texts: Path
    voice_run: Path


def train_fusion(
    config_path: Path, sources: Sources, run: Path, *, name: str, device: str, quiet: bool, model: str = "default"
) -> Path:
    """Trains a fusion head over the encoders of a model, and writes its weights and card.

    Args:
        config_path: TOML file, see ``FusionConfig``.
        sources: The corpora.
        run: Folder for checkpoints, the log and the weights; a stopped run goes on from there.
        name: Stem of the weights; empty for ``dual_recurrent.composed-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.
        model: Whose encoders, see ``multimodal.load_model``.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: A key or a value of a configuration that cannot be.
        CorpusError: A corpus is not as published.
        OutputError: The run folder cannot be written.
        WeightsError: An encoder or a fold of the voice's training is not there.
    """
    config = read_config(config_path, FusionConfig)
    voice_config = read_config(config_path.parent / config.voice_config, AudioConfig)
    if voice_config.folds < len(PARTS):
        raise ConfigError("voice_config", f"has {voice_config.folds} folds", "one with at least 3 is needed")
    chosen = choose_device(device)
    accelerator = Accelerator(cpu=chosen == "cpu", mixed_precision=config.loop.precision if chosen != "mps" else "no")
    revision = training_revision(run)
    sources_of = choose_weights(model, MODALITIES)
    encoders = {part: load_weights(sources_of[part], part, str(accelerator.device)) for part in MODALITIES}
    parts = encode_parts(config, voice_config, sources, encoders, run)
    shape = shape_of(config, parts["train"])
    torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
    task = FusionTask(
        shape, parts["train"], parts["calibrate"], config.synthesis, config.learning, config.loop, accelerator
    )
    fit(task, config.loop, run, accelerator, quiet)
    network = task.network.cpu().eval()
    network.load_state_dict({key: value.half().float() for key, value in network.state_dict().items()})
    temperatures, coverage = calibrate(task)
    spec = ModelSpec(
        part="fusion",
        architecture="dual_recurrent",
        labels=FUSED_LABELS,
        fusion=asdict(shape),
        encoders={part: weights.sha256 for part, weights in encoders.items()},
        temperatures=temperatures,
        uncertain_below=UNCERTAIN_BELOW,
        uncertain_coverage=coverage,
    )
    count, seed = config.learning.validation_utterances, config.loop.seed + 1
    head = Head(network, shape, temperatures)
    figures = evaluate_fusion(head, parts["judge"], config.synthesis, count, seed)
    facts = {
        "data": data_facts(config, parts, encoders),
        "license": license_of(list(voice_config.teaching.corpus_weights)),
        "training": how(config, run, revision, encoders),
        "metrics": {"protocol": PROTOCOL, "composed": figures},
        "limits": LIMITS,
    }
    return save_weights(run, name or "dual_recurrent.composed-v1", network, spec, facts)


def shape_of(config: FusionConfig, parts: EncodedPools) -> FusionShape:
    """The head's shape, from the configuration and what the encoders give."""
    return FusionShape(
        labels=len(FUSED_LABELS),
        audio_size=parts.voices[0][0].states.shape[1],
        face_size=parts.faces[0].embeddings.shape[2],
        text_size=parts.texts[0][0].states.shape[1],
        hidden=config.hidden,
        face_hidden=config.face_hidden,
        bidirectional=config.bidirectional,
        pooling=config.pooling,
        dropout=config.dropout,
    )


def calibrate(task: FusionTask) -> tuple[dict[str, float], float]:
    """Temperatures per subset of signals on the held-out compositions, and the share of their answers that is sure.

    Returns:
        Subset to temperature; and the share of answers, over all subsets alike, not below ``UNCERTAIN_BELOW``.
    """
    labels = np.array([recipe.label for recipe in task.judged])
    temperatures, sure = {}, []
    for subset in SUBSETS:
        plain = predict(task.network, task.shape, [streams.only(subset) for streams in task.judged_streams])
        temperature = round(fit_temperature(plain.probabilities, labels), 4)
        temperatures[subset_name(subset)] = temperature
        sure.append(float((softmax(plain.logits, temperature).max(axis=1) >= UNCERTAIN_BELOW).mean()))
    return temperatures, round(float(np.mean(sure)), 4)


def encode_parts(
    config: FusionConfig, voice_config: AudioConfig, sources: Sources, encoders: Mapping[str, Weights], run: Path
) -> dict[str, EncodedPools]:
    """Reads and encodes what is learned from, calibrated on and judged on; keys ``PARTS``.

    The speakers of the voice's last fold are judged on, those of the last but one calibrate, the others teach. The
    validation parts of FER+ and GoEmotions are halved, every other picture and text to calibrate and to judge.
    """
    faces = _faces(config, sources.faces)
    texts = _texts(config, sources.texts)
    clips = [
        clip
        for corpus in voice_config.teaching.corpus_weights
        for clip in read_voices(corpus, sources.voices / corpus, check_counts=config.check_counts)
    ]
    voices = _Voices.read(voice_config, clips, encoders["audio"], sources.voice_run, run)
    seed = config.loop.seed
    found = {}
    for number, part in enumerate(PARTS):
        images, shown = face_pool(faces[part], config.faces_per_label, seed)
        chosen, spoken, seconds = voices.of(part)
        written, said = text_pool(texts[part])
        pools = SamplePools(shown, spoken, said, seconds, views=config.views)
        heard = [voices.clean[index] for index in chosen], [voices.buried[index] for index in chosen]
        found[part] = encode_pools(encoders, pools, images, heard, written, seed + number)
    return found


def _faces(config: FusionConfig, folder: Path) -> dict[str, FaceCorpus]:
    train, valid = (read_ferplus(folder, part, check_counts=config.check_counts) for part in ("train", "valid"))
    even = np.arange(len(valid.images)) % 2 == 0
    return {"train": train, "calibrate": valid.subset(even), "judge": valid.subset(~even)}


def _texts(config: FusionConfig, folder: Path) -> dict[str, TextCorpus]:
    train, dev = (
        read_text_corpus("goemotions", folder, part, check_counts=config.check_counts) for part in ("train", "dev")
    )
    even = np.arange(len(dev)) % 2 == 0
    return {
        "train": train.subset(train.held_out(config.text_share)),
        "calibrate": dev.subset(even),
        "judge": dev.subset(~even),
    }


@dataclass(frozen=True)
class _Voices:
    """All clips, encoded by networks that never heard them, and the part that each belongs to."""

    labels: NDArray[np.int64]
    seconds: NDArray[np.float64]
    parts: NDArray[np.int64]
    clean: Sequence[Encoded]
    buried: Sequence[Encoded]

    @classmethod
    def read(
        cls, config: AudioConfig, clips: Sequence[VoiceClip], weights: Weights, voice_run: Path, run: Path
    ) -> _Voices:
        waveforms = list(load_waveforms(clips, cache=run / "sound.safetensors"))
        mfcc = Mfcc(config.mfcc).to(next(weights.network.parameters()).device)
        buried = voice_features(mask_audio_with_noise(waveforms, config.loop.seed), mfcc)
        clean = voice_features(waveforms, mfcc)
        taught, features_of_taught = _taught(config, clips, clean)
        heard_by = out_of_fold_encoder(weights, config, voice_run, taught, features_of_taught)
        fold_of = fold_of_speakers(taught, config.folds, config.loop.seed)
        known = [index for index, clip in enumerate(clips) if clip.speaker in fold_of]
        kept = [clips[index] for index in known]
        encoded = [
            encode_voices(weights, kept, [features[index] for index in known], heard_by) for features in (clean, buried)
        ]
        return cls(
            np.array([FUSED_LABELS.index(clip.label) if clip.label else -1 for clip in kept]),
            np.array([len(clean[index].frames) * config.mfcc.hop_seconds for index in known]),
            np.array([_part_of_fold(fold_of[clip.speaker], config.folds) for clip in kept]),
            *encoded,
        )

    def of(self, part: str) -> tuple[list[int], NDArray[np.int64], NDArray[np.float64]]:
        """Indices, labels and lengths of a part's clips."""
        chosen = np.flatnonzero((self.parts == PARTS.index(part)) & (self.labels >= 0))
        return chosen.tolist(), self.labels[chosen], self.seconds[chosen]


def _taught(
    config: AudioConfig, clips: Sequence[VoiceClip], features: Sequence[VoiceFeatures]
) -> tuple[list[VoiceClip], list[VoiceFeatures]]:
    """The clips that the voice's training used: those with a right answer."""
    kept = [index for index, clip in enumerate(clips) if target_of(clip, config.labels) is not None]
    return [clips[index] for index in kept], [features[index] for index in kept]


def _part_of_fold(fold: int, folds: int) -> int:
    """0 learns, 1 calibrates, 2 judges."""
    return max(fold - (folds - len(PARTS)), 0)


def data_facts(
    config: FusionConfig, parts: Mapping[str, EncodedPools], encoders: Mapping[str, Weights]
) -> dict[str, Any]:
    """What the card says of the data."""
    counts = {
        part: {
            "pictures": len(of.pools.faces),
            "clips": len(of.pools.voices),
            "texts": len(of.pools.texts),
        }
        for part, of in parts.items()
    }
    return {
        "name": "utterances composed by chance of FER+ pictures, clips of acted speech and GoEmotions comments",
        "corpora": licenses(encoders),
        "parts": counts,
        "encoders": {part: weights.name for part, weights in encoders.items()},
        "composing": asdict(config.synthesis),
    }


def licenses(encoders: Mapping[str, Weights]) -> dict[str, dict[str, str]]:
    """Corpus to its license, as the encoders' own cards have it."""
    found: dict[str, dict[str, str]] = {}
    for weights in encoders.values():
        data = weights.card["data"]
        own = data.get("corpora", {data.get("name"): data})
        found |= {name: {"license": facts["license"]} for name, facts in own.items()}
    return found


def how(config: FusionConfig, run: Path, revision: str, encoders: Mapping[str, Weights]) -> dict[str, Any]:
    """What the card says of the training."""
    rows = [line.split(",") for line in (run / "log.csv").read_text(encoding="utf-8").splitlines()]
    header, epochs = rows[0], rows[1:]
    scores = [float(row[header.index(FusionTask.metric)]) for row in epochs]
    return {
        "command": "python -m multimodal.train fusion --config CONFIG --faces FERPLUS_FOLDER --voices VOICES_FOLDER "
        "--texts GOEMOTIONS_FOLDER --voice-run VOICE_RUN_FOLDER --run RUN_FOLDER",
        "config": asdict(config),
        "seed": config.loop.seed,
        "commit": revision,
        "date": datetime.date.today().isoformat(),
        "epochs_run": len(epochs),
        "best_epoch": int(np.argmax(scores)),
        "hours": round(sum(float(row[header.index("seconds")]) for row in epochs) / 3600, 3),
        "torch": torch.__version__,
    }


PROTOCOL = (
    "Composed utterances of speakers, pictures and texts that neither the head nor (but for pictures and texts that "
    "chose the encoders' epochs) an encoder learned from: the voice by networks that never heard the speaker, FER+'s "
    "validation part and GoEmotions' dev part, every other item; the other half and other speakers chose the epoch and "
    "the temperatures. Emotions, disagreement, frames at rest and without a face as in data.composing. late: the "
    "plain average of the signals' calibrated heads; single: each of these heads. corrupted: macro-F1 with one signal "
    "buried in noise in every utterance. Weights in half precision."
)

LIMITS = [
    "Composed of strangers: the face, the voice and the words of an utterance are three people's, and share an emotion "
    "and nothing else. The head learned how far to trust each signal and what to do when one is missing, bad or at "
    "odds; it cannot have learned how one person's signals belong together, and its figures say nothing about real "
    "interviews.",
    "Every signal bears the emotion alike by construction. In life the words often carry one thing and the face "
    "another; sarcasm is such a case, and the head has seen it as chance only.",
    "A quarter of the composed utterances are neutral; in interviews most are. Expect too much emotion rather than too "
    "little.",
    "Confidence is calibrated on composed utterances; on interviews it is too high.",
    "Only with the encoders named in spec.encoders do its answers mean anything.",
]
