"""Evaluates a fusion head on synthetic utterances drawn from corpora that no network was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.data.corpora.ferplus import FaceCorpus, read_ferplus
from multimodal.data.corpora.synthetic import SamplePools, SynthesisConfig
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import evaluation_split, read_text_corpus
from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import voice_features
from multimodal.errors import ConfigError, CorpusError, WeightsError
from multimodal.evaluate.audio import load_speech_encoder
from multimodal.evaluate.fusion import Head, evaluate_fusion
from multimodal.evaluate.synthetic.features import (
    EncodedPools,
    encode_clips,
    encode_pools,
    face_pool,
    mask_audio_with_noise,
    text_pool,
)
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.infer.fusion import incompatibility
from multimodal.models.weights import Weights

COUNT = 2_000
"""Number of utterances: two standard errors of a share are then at most 0.022."""

MAX_PER_LABEL = 400
"""Largest number of pictures, and of texts, of each emotion that are encoded: more take minutes and change little."""

VIEWS = 2
"""Versions of each picture."""


def parse_voices(options: Sequence[str]) -> dict[str, Path]:
    """Reads ``NAME=FOLDER`` options.

    Args:
        options: At least one, each of a corpus of ``multimodal.data.corpora.voices.VOICE_CORPORA``.

    Returns:
        Corpus to folder, in the order given.

    Raises:
        ConfigError: No option is given, one has another form, or a corpus is unknown or named twice.

    Example:
        >>> parse_voices(["ravdess=data/ravdess"])
        {'ravdess': PosixPath('data/ravdess')}
    """
    folders: dict[str, Path] = {}
    for option in options:
        name, sign, folder = option.partition("=")
        if name not in VOICE_CORPORA or not sign or not folder or name in folders:
            fact = f"is {option!r}" if name not in folders else f"names {name} twice"
            raise ConfigError("--voices", fact, f"give NAME=FOLDER, with a name of {', '.join(VOICE_CORPORA)}")
        folders[name] = Path(folder)
    if not folders:
        raise ConfigError("--voices", "is missing", "give NAME=FOLDER, such as ravdess=RAVDESS_FOLDER")
    return folders


def evaluate_synthetic(
    parts: Mapping[str, Weights],
    faces: Path,
    voices: Mapping[str, Path],
    texts: Path,
    *,
    split: str = "",
    seed: int = 0,
    count: int = COUNT,
    device: str = "cpu",
) -> dict[str, Any]:
    """Evaluates a head with its encoders.

    Args:
        parts: Weights of ``face``, ``audio``, ``text`` and ``fusion``.
        faces: FER+ folder.
        voices: Speech corpus to its folder; each speaker's clips count as one recording.
        texts: GoEmotions folder or file.
        split: Split of FER+; empty for the first of test, valid and train that exists.
        seed: Random seed of the utterances.
        count: Number of utterances.
        device: Device of the networks.

    Returns:
        The figures of ``evaluate_fusion``, ``parameters`` of the head, and ``seed``.

    Raises:
        CorpusError: A corpus is not found, or the three share fewer than two emotions.
        WeightsError: The head belongs to other encoders.
    """
    head = parts["fusion"]
    if reason := incompatibility(parts):
        raise WeightsError(head.name, f"cannot be evaluated, because {reason}", "name a folder with all four parts")
    pools = encode_corpora(parts, _read_faces(faces, split), _read_clips(voices), _read_texts(texts), seed, device)
    shape = FusionShape(**head.spec.fusion)
    figures = evaluate_fusion(Head(head.network, shape, head.spec.temperatures), pools, SynthesisConfig(), count, seed)
    parameters = sum(value.numel() for value in head.network.parameters())
    return {**figures, "parameters": parameters, "seed": seed}


def _read_faces(folder: Path, split: str) -> FaceCorpus:
    for choice in (split,) if split else ("test", "valid", "train"):
        try:
            return read_ferplus(folder, choice, check_counts=False)
        except CorpusError as error:
            missing = error
    raise missing


def _read_clips(voices: Mapping[str, Path]) -> list[VoiceClip]:
    clips = [clip for corpus, folder in voices.items() for clip in read_voices(corpus, folder, check_counts=False)]
    return [clip for clip in clips if clip.label]


def _read_texts(path: Path) -> TextCorpus:
    return read_text_corpus("goemotions", path, evaluation_split(path), check_counts=False)


def encode_corpora(
    encoders: Mapping[str, Weights],
    faces: FaceCorpus,
    clips: Sequence[VoiceClip],
    texts: TextCorpus,
    seed: int,
    device: str = "cpu",
) -> EncodedPools:
    """Encodes three corpora with the encoders of a model.

    Args:
        encoders: ``face``, ``audio`` and ``text``.
        faces: Pictures.
        clips: Voice clips with a fused label.
        texts: Texts.
        seed: Random seed of the choice, the views and the noise.
        device: Device of the features.

    Returns:
        The pools to draw utterances from.
    """
    images, face_labels = face_pool(faces, MAX_PER_LABEL, seed)
    sentences, text_labels = _draw_texts(*text_pool(texts), seed)
    waveforms = list(load_waveforms(clips))
    settings = MfccSettings(**encoders["audio"].spec.mfcc)
    mfcc = Mfcc(settings).to(device)
    encoder = load_speech_encoder() if encoders["audio"].spec.speech else None
    features = voice_features(waveforms, mfcc, encoder)
    degraded = voice_features(mask_audio_with_noise(waveforms, seed), mfcc, encoder)
    clip_labels = np.array([FUSED_LABELS.index(clip.label or "") for clip in clips], np.int64)
    seconds = np.array([len(each.frames) * settings.hop_seconds for each in features])
    voices = encode_clips(encoders["audio"], clips, features), encode_clips(encoders["audio"], clips, degraded)
    pools = SamplePools(face_labels, clip_labels, text_labels, seconds, views=VIEWS)
    return encode_pools(encoders, pools, images, voices, sentences, seed)


def _draw_texts(texts: Sequence[str], labels: Any, seed: int) -> tuple[list[str], Any]:
    """At most ``MAX_PER_LABEL`` texts of each emotion."""
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.flatnonzero(labels == label))[:MAX_PER_LABEL] for label in range(len(FUSED_LABELS))]
    sample = np.sort(np.concatenate(rows))
    return [texts[index] for index in sample], labels[sample]
