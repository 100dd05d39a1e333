"""Trains the fusion head on synthetic utterances drawn from three corpora.

The encoders stay unchanged. The head must only see predictions that are as good as those for new people. So the clips
are encoded by networks that were not trained on the speaker (``multimodal.train.out_of_fold``), and the texts are the
tenth of the training part that the text encoder held out. The faces need nothing, because the face encoder is no better
on its training pictures (0.811 right against 0.808, with ``JITTER``).

Speakers, pictures and texts are split into parts for training, for calibration (which also selects the epoch), and for
evaluation.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from multimodal.data.corpora.crema_d_votes import LICENSE as VOTES_LICENSE
from multimodal.data.corpora.crema_d_votes import JointVotes, read_votes
from multimodal.data.corpora.ferplus import FaceCorpus, read_ferplus
from multimodal.data.corpora.synthetic import SamplePools, SynthesisConfig
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import read_text_corpus
from multimodal.data.corpora.voice_corpora import license_of
from multimodal.data.corpora.voices import load_waveforms
from multimodal.data.emotions import FUSED_LABELS
from multimodal.device import choose_device
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.features import VoiceFeatures, voice_features
from multimodal.errors import ConfigError
from multimodal.evaluate.fusion import SUBSETS, Head, evaluate_fusion
from multimodal.evaluate.metrics import fit_temperature
from multimodal.evaluate.synthetic.features import (
    NOISE_DB,
    Encoded,
    EncodedPools,
    encode_clips,
    encode_pools,
    face_pool,
    mask_audio_with_noise,
    text_pool,
)
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.prediction import predict, softmax, subset_name
from multimodal.models.selection import choose_weights
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights
from multimodal.train.audio import AudioConfig, clips_key, speech_encoder_of, training_table
from multimodal.train.config import read_config
from multimodal.train.fusion_task import FusionTask, FusionTrainingConfig
from multimodal.train.loop import LoopSettings, fit
from multimodal.train.out_of_fold import check_same_training, fold_of_speakers, out_of_fold_encoder
from multimodal.train.provenance import training_revision
from multimodal.train.voice.features import cached_features, features_key
from multimodal.types import MODALITIES

UNCERTAIN_BELOW = 0.5
"""A prediction with a lower calibrated confidence is more likely wrong than right, and is marked uncertain."""

PARTS = ("train", "calibrate", "evaluate")


@dataclass(frozen=True)
class FusionConfig:
    """The settings of a fusion training, as in the TOML file.

    Attributes:
        loop: Settings of the loop.
        synthesis: How utterances are drawn.
        training: Number of utterances, and the regularization.
        hidden: Size of the recurrent states, see ``FusionShape``.
        face_hidden: Face features beside the audio states.
        bidirectional: Whether both recurrent encoders run in both directions.
        pooling: ``last`` or ``attention``.
        readout: Whether the joined states are classified too, beside the modalities' own probabilities.
        overlaps: Whether the gates read how far the modalities agree.
        dropout: Share dropped in training.
        audio_config: Configuration of the audio training, in the folder of this file; its folds decide which network
            encodes which speaker.
        faces_per_label: Largest number of pictures of each emotion in training.
        views: Versions of each picture.
        text_share: Share of GoEmotions' training part that the text encoder held out (its ``held_out_share``).
        check_counts: Whether the corpora must have their published counts.
    """

    loop: LoopSettings
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    training: FusionTrainingConfig = field(default_factory=FusionTrainingConfig)
    hidden: int = 96
    face_hidden: int = 64
    bidirectional: bool = True
    pooling: str = "attention"
    readout: bool = True
    overlaps: bool = True
    dropout: float = 0.3
    audio_config: str = "audio.toml"
    faces_per_label: int = 1_200
    views: int = 3
    text_share: float = 0.1
    check_counts: bool = True


@dataclass(frozen=True)
class Sources:
    """The folders of the corpora and of the audio training.

    Attributes:
        faces: FER+ folder.
        voices: Folder with one subfolder per speech corpus.
        texts: GoEmotions folder.
        audio_run: Run folder of ``train audio`` in which the audio encoder was trained.
        votes: Folder of CREMA-D's votes; None if ``synthesis.judged_share`` is 0.
    """

    faces: Path
    voices: Path
    texts: Path
    audio_run: Path
    votes: Path | None = None


def train_fusion(
    config_path: Path, sources: Sources, run: Path, *, name: str, device: str, quiet: bool, model: str = "default"
) -> Path:
    """Trains a fusion head for the encoders of a model, and writes its weights and card.

    Args:
        config_path: TOML file, see ``FusionConfig``.
        sources: The corpora.
        run: Folder for checkpoints, the log and the weights; a stopped run continues from there.
        name: Stem of the weights; empty for ``dual_recurrent.synthetic-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.
        model: The model with the encoders, see ``multimodal.load_model``.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: A configuration is invalid, or the audio encoder is of another training than the folds.
        CorpusError: A corpus differs from the published one.
        OutputError: The run folder cannot be written.
        WeightsError: An encoder or a fold of the audio training is not found.
    """
    config = read_config(config_path, FusionConfig)
    votes = _votes(config, sources)
    audio_config = read_config(config_path.parent / config.audio_config, AudioConfig)
    if audio_config.folds < len(PARTS):
        fact = f"is a configuration with {audio_config.folds} folds"
        raise ConfigError("audio_config", fact, f"name one with at least {len(PARTS)} folds")
    device_name = choose_device(device)
    accelerator = Accelerator(
        cpu=device_name == "cpu", mixed_precision=config.loop.precision if device_name != "mps" else "no"
    )
    revision = training_revision(run)
    sources_of = choose_weights(model, MODALITIES)
    encoders = {part: load_weights(sources_of[part], part, str(accelerator.device)) for part in MODALITIES}
    check_same_training(encoders["audio"], audio_config)  # before corpora are read, which takes minutes
    parts = encode_parts(config, audio_config, sources, encoders, run)
    shape = shape_of(config, parts["train"])
    torch.manual_seed(config.loop.seed)  # of the first weights; the loop seeds every epoch
    task = FusionTask(
        shape, parts["train"], parts["calibrate"], config.synthesis, config.training, config.loop, accelerator, votes
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
    count, seed = config.training.validation_utterances, config.loop.seed + 1
    head = Head(network, shape, temperatures)
    figures = evaluate_fusion(head, parts["evaluate"], SynthesisConfig(), count, seed, votes)
    facts = {
        "data": data_facts(config, parts, encoders, votes),
        "license": license_of(list(audio_config.sampling.corpus_weights)),
        "training": how(config, run, revision, encoders),
        "metrics": {"protocol": PROTOCOL, "synthetic": figures},
        "limits": LIMITS,
    }
    return save_weights(run, name or "dual_recurrent.synthetic-v1", network, spec, facts)


def shape_of(config: FusionConfig, pools: EncodedPools) -> FusionShape:
    """The shape of the head, from the configuration and the sizes of the encoders' states.

    Args:
        config: Configuration of the training.
        pools: Encoded samples.

    Returns:
        The shape.
    """
    return FusionShape(
        labels=len(FUSED_LABELS),
        audio_size=pools.voices[0][0].states.shape[1],
        face_size=pools.faces[0].embeddings.shape[2],
        text_size=pools.texts[0][0].states.shape[1],
        hidden=config.hidden,
        face_hidden=config.face_hidden,
        bidirectional=config.bidirectional,
        pooling=config.pooling,
        readout=config.readout,
        overlaps=config.overlaps,
        dropout=config.dropout,
    )


def calibrate(task: FusionTask) -> tuple[dict[str, float], float]:
    """Fits a temperature per subset of modalities on the held-out utterances.

    Args:
        task: Task with the trained network.

    Returns:
        Subset to temperature; and the share of predictions with a confidence of at least ``UNCERTAIN_BELOW``, as the
        mean over subsets.
    """
    labels = np.array([recipe.label for recipe in task.held_out])
    temperatures, coverages = {}, []
    for subset in SUBSETS:
        inputs = [each.only(subset) for each in task.held_out_inputs]
        plain = predict(task.network, task.shape, inputs)
        temperature = 1.0 if len(subset) == 1 else round(fit_temperature(softmax(plain.logits), labels), 4)
        temperatures[subset_name(subset)] = temperature
        answers = predict(task.network, task.shape, inputs, default_temperature=temperature).probabilities
        coverages.append(float((answers.max(axis=1) >= UNCERTAIN_BELOW).mean()))
    return temperatures, round(float(np.mean(coverages)), 4)


def encode_parts(
    config: FusionConfig, audio_config: AudioConfig, sources: Sources, encoders: Mapping[str, Weights], run: Path
) -> dict[str, EncodedPools]:
    """Reads and encodes the corpora; the keys are ``PARTS``.

    The speakers of the last fold of the audio training are for evaluation, those of the fold before for calibration,
    the others for training. The validation parts of FER+ and GoEmotions are halved: every other picture and text is for
    calibration, the others are for evaluation.

    Args:
        config: Configuration of the training.
        audio_config: Configuration of the audio training.
        sources: The corpora.
        encoders: Modality to its weights.
        run: Folder of the run.
    """
    faces = _faces(config, sources.faces)
    texts = _texts(config, sources.texts)
    audio_config = replace(audio_config, check_counts=config.check_counts)
    voices = _EncodedClips.read(audio_config, sources, encoders["audio"], run)
    seed = config.loop.seed
    pools = {}
    for number, part in enumerate(PARTS):
        images, face_labels = face_pool(faces[part], config.faces_per_label, seed)
        indices, clip_labels, seconds = voices.of(part)
        sentences, text_labels = text_pool(texts[part])
        labels = SamplePools(face_labels, clip_labels, text_labels, seconds, views=config.views)
        encoded = [voices.encoded[index] for index in indices], [voices.degraded[index] for index in indices]
        pools[part] = encode_pools(encoders, labels, images, encoded, sentences, seed + number)
    return pools


def _votes(config: FusionConfig, sources: Sources) -> JointVotes | None:
    if sources.votes is None and config.synthesis.judged_share:
        fact = f"is missing, and synthesis.judged_share is {config.synthesis.judged_share:g}"
        raise ConfigError("--votes", fact, "name the folder of CREMA-D's votes, or set judged_share to 0")
    return None if sources.votes is None else read_votes(sources.votes, check_counts=config.check_counts)


def _faces(config: FusionConfig, folder: Path) -> dict[str, FaceCorpus]:
    train, valid = (read_ferplus(folder, part, check_counts=config.check_counts) for part in ("train", "valid"))
    even = np.arange(len(valid.images)) % 2 == 0
    return {"train": train, "calibrate": valid.subset(even), "evaluate": valid.subset(~even)}


def _texts(config: FusionConfig, folder: Path) -> dict[str, TextCorpus]:
    train, dev = (
        read_text_corpus("goemotions", folder, part, check_counts=config.check_counts) for part in ("train", "dev")
    )
    even = np.arange(len(dev)) % 2 == 0
    return {
        "train": train.subset(train.held_out(config.text_share)),
        "calibrate": dev.subset(even),
        "evaluate": dev.subset(~even),
    }


@dataclass(frozen=True)
class _EncodedClips:
    """All clips, encoded by networks that were not trained on their speakers, and the part of each clip."""

    labels: NDArray[np.int64]
    seconds: NDArray[np.float64]
    parts: NDArray[np.int64]
    encoded: Sequence[Encoded]
    degraded: Sequence[Encoded]

    @classmethod
    def read(cls, config: AudioConfig, sources: Sources, weights: Weights, run: Path) -> _EncodedClips:
        device = str(next(weights.network.parameters()).device)
        table = training_table(config, sources.voices, sources.audio_run, device)
        clips, features = table.clips, table.versions[0]
        encoder = speech_encoder_of(config)
        changes = {"noise": list(NOISE_DB), "seed": config.loop.seed}
        key = features_key(clips_key(clips, sources.voices), config.mfcc, encoder, changes)

        def compute() -> list[VoiceFeatures]:
            noisy = mask_audio_with_noise(
                list(load_waveforms(clips, cache=run / "sound.safetensors")), config.loop.seed
            )
            return voice_features(noisy, Mfcc(config.mfcc).to(device), encoder)

        degraded = cached_features(run / "degraded.safetensors", key, compute)
        encoder_of = out_of_fold_encoder(weights, config, sources.audio_run, clips, features)
        fold_of = fold_of_speakers(clips, config.folds, config.loop.seed)
        encoded = [encode_clips(weights, clips, version, encoder_of) for version in (features, degraded)]
        return cls(
            np.array([FUSED_LABELS.index(clip.label) if clip.label else -1 for clip in clips]),
            np.array([len(each.frames) * config.mfcc.hop_seconds for each in features]),
            np.array([_part_of_fold(fold_of[clip.speaker], config.folds) for clip in clips]),
            *encoded,
        )

    def of(self, part: str) -> tuple[list[int], NDArray[np.int64], NDArray[np.float64]]:
        """Indices, labels and durations of the clips of a part."""
        indices = np.flatnonzero((self.parts == PARTS.index(part)) & (self.labels >= 0))
        return indices.tolist(), self.labels[indices], self.seconds[indices]


def _part_of_fold(fold: int, folds: int) -> int:
    """Index into ``PARTS``: the last fold is for evaluation, the one before for calibration, the others train."""
    return max(fold - (folds - len(PARTS)), 0)


def data_facts(
    config: FusionConfig,
    parts: Mapping[str, EncodedPools],
    encoders: Mapping[str, Weights],
    votes: JointVotes | None = None,
) -> dict[str, Any]:
    """The data entry of the card.

    Args:
        config: Configuration of the training.
        parts: Encoded samples of each part.
        encoders: Modality to its weights.
        votes: What people hear, see and judge, if it was used.

    Returns:
        Plain values.
    """
    counts = {
        part: {
            "pictures": len(encoded.pools.faces),
            "clips": len(encoded.pools.voices),
            "texts": len(encoded.pools.texts),
        }
        for part, encoded in parts.items()
    }
    judged = {} if votes is None else {"crema_d_votes": {"license": VOTES_LICENSE, "clips": votes.clips}}
    return {
        "name": "synthetic utterances of random FER+ pictures, clips of acted speech and GoEmotions comments",
        "corpora": licenses(encoders) | judged,
        "parts": counts,
        "encoders": {part: weights.name for part, weights in encoders.items()},
        "synthesis": asdict(config.synthesis),
    }


def licenses(encoders: Mapping[str, Weights]) -> dict[str, dict[str, str]]:
    """Corpus to its license, from the cards of the encoders.

    Args:
        encoders: Part to its weights.

    Returns:
        Name of each corpus to its license.
    """
    entries: dict[str, dict[str, str]] = {}
    for weights in encoders.values():
        data = weights.card["data"]
        corpora = data.get("corpora", {data.get("name"): data})
        entries |= {name: {"license": facts["license"]} for name, facts in corpora.items()}
    return entries


def how(config: FusionConfig, run: Path, revision: str, encoders: Mapping[str, Weights]) -> dict[str, Any]:
    """The training entry of the card.

    Args:
        config: Configuration of the training.
        run: Folder of the run.
        revision: Commit of the training.
        encoders: Modality to its weights.

    Returns:
        Plain values.
    """
    rows = [line.split(",") for line in (run / "log.csv").read_text(encoding="utf-8").splitlines()]
    header, epochs = rows[0], rows[1:]
    scores = [float(row[header.index(FusionTask.metric)]) for row in epochs]
    return {
        "command": "python -m multimodal.train fusion --config CONFIG --faces FERPLUS_FOLDER --voices VOICES_FOLDER "
        "--texts GOEMOTIONS_FOLDER --voice-run VOICE_RUN_FOLDER --votes VOTES_FOLDER --run RUN_FOLDER",
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
    "Synthetic utterances of speakers, pictures and texts that neither the head nor (except for pictures and texts "
    "that selected the encoders' epochs) an encoder was trained on: clips encoded by networks without the speaker, and "
    "every other item of FER+'s validation part and GoEmotions' dev part; the other items and other speakers selected "
    "the epoch and the temperatures. A quarter is neutral, one modality of 15 % has another emotion, faces are at rest "
    "for up to 60 % of the frames and lost in up to 30 %, whatever data.synthesis says about the training. late: the "
    "plain average of the modalities' calibrated heads; single: each of these heads, which is also the answer where a "
    "modality is alone. degraded: macro-F1 with one modality degraded by noise in every utterance. mixtures: other "
    "shares of neutral and of disagreement, see multimodal.evaluate.synthetic.mixtures; confidence is the mean. "
    "Weights in half precision."
)

LIMITS = [
    "The face, the voice and the words of a synthetic utterance are of three people and share nothing but an emotion. "
    "The head learned how reliable each modality is and what to do when one is missing, degraded or contradictory; it "
    "cannot have learned how one person's modalities belong together, and its figures say nothing about real "
    "interviews.",
    "Which emotions meet in voice and face is drawn from votes on actors (CREMA-D); which words meet them is drawn by "
    "chance. Sarcasm is known only as chance.",
    "How often people are neutral, and how often their signals differ, is assumed, not measured.",
    "Confidence is calibrated on synthetic utterances.",
    "The predictions are valid only with the encoders named in spec.encoders.",
]
