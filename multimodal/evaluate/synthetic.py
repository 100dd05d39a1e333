"""Judges a fusion head on utterances composed of corpora that are given: those that nobody learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.data.corpora.ferplus import FaceCorpus, read_ferplus
from multimodal.data.corpora.synthetic import SamplePools, SynthesisConfig
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import part_to_judge, read_text_corpus
from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice_features import voice_features
from multimodal.errors import ConfigError, CorpusError, WeightsError
from multimodal.evaluate.fusion import Head, evaluate_fusion
from multimodal.evaluate.synthetic_features import (
    EncodedPools,
    encode_pools,
    encode_voices,
    face_pool,
    mask_audio_with_noise,
    text_pool,
)
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.infer.fusion import incompatibility
from multimodal.models.weights import Weights

COUNT = 2_000
"""Utterances that are composed: two standard errors of a share are then at most 0.022."""

MOST_PER_LABEL = 400
"""Pictures, and texts, of each emotion that are encoded at the most: more would change little and take minutes."""

VIEWS = 2


def parse_voices(given: Sequence[str]) -> dict[str, Path]:
    """Reads ``NAME=FOLDER`` options.

    Args:
        given: At least one, each of a corpus of ``multimodal.data.corpora.voices.VOICE_CORPORA``.

    Returns:
        Corpus to folder, in the order given.

    Raises:
        ConfigError: None is given, one has another form, or a corpus is unknown or named twice.

    Example:
        >>> parse_voices(["ravdess=data/ravdess"])
        {'ravdess': PosixPath('data/ravdess')}
    """
    found: dict[str, Path] = {}
    for option in given:
        name, sign, folder = option.partition("=")
        if name not in VOICE_CORPORA or not sign or not folder or name in found:
            fact = f"is {option!r}" if name not in found else f"names {name} twice"
            raise ConfigError("--voices", fact, f"give NAME=FOLDER, with a name of {', '.join(VOICE_CORPORA)}")
        found[name] = Path(folder)
    if not found:
        raise ConfigError("--voices", "is missing", "give NAME=FOLDER, such as ravdess=RAVDESS_FOLDER")
    return found


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
    """Judges a head with its encoders.

    Args:
        parts: ``face``, ``audio``, ``text`` and ``fusion``.
        faces: FER+ folder.
        voices: Corpus of voices to its folder; each speaker's clips count as one recording.
        texts: GoEmotions folder or file.
        split: Of FER+; empty for the first of test, valid and train that is there.
        seed: Of the composition.
        count: Utterances to compose.
        device: Where the networks are.

    Returns:
        The figures of ``evaluate_fusion``, ``parameters`` of the head, and ``seed``.

    Raises:
        CorpusError: A corpus is not there, or the three share fewer than two emotions.
        WeightsError: The head is not of these encoders.
    """
    head = parts["fusion"]
    if reason := incompatibility(parts):
        raise WeightsError(head.name, f"cannot be judged, since {reason}", "name a folder with all four parts")
    encoded = read_parts(parts, _faces(faces, split), _clips(voices), _texts(texts), seed, device)
    judged = Head(head.network, FusionShape(**head.spec.fusion), head.spec.temperatures)
    figures = evaluate_fusion(judged, encoded, SynthesisConfig(), count, seed)
    parameters = sum(value.numel() for value in head.network.parameters())
    return {**figures, "parameters": parameters, "seed": seed}


def _faces(folder: Path, split: str) -> FaceCorpus:
    for choice in (split,) if split else ("test", "valid", "train"):
        try:
            return read_ferplus(folder, choice, check_counts=False)
        except CorpusError as error:
            missing = error
    raise missing


def _clips(voices: Mapping[str, Path]) -> list[VoiceClip]:
    found = [clip for corpus, folder in voices.items() for clip in read_voices(corpus, folder, check_counts=False)]
    return [clip for clip in found if clip.label]


def _texts(path: Path) -> TextCorpus:
    return read_text_corpus("goemotions", path, part_to_judge(path), check_counts=False)


def read_parts(
    encoders: Mapping[str, Weights],
    faces: FaceCorpus,
    clips: Sequence[VoiceClip],
    texts: TextCorpus,
    seed: int,
    device: str = "cpu",
) -> EncodedPools:
    """Encodes three corpora by a model's own encoders."""
    images, shown = face_pool(faces, MOST_PER_LABEL, seed)
    written, said = _few(*text_pool(texts), seed)
    waveforms = list(load_waveforms(clips))
    settings = MfccSettings(**encoders["audio"].spec.mfcc)
    mfcc = Mfcc(settings).to(device)
    clean = voice_features(waveforms, mfcc)
    buried = voice_features(mask_audio_with_noise(waveforms, seed), mfcc)
    spoken = np.array([FUSED_LABELS.index(clip.label or "") for clip in clips], np.int64)
    seconds = np.array([len(each.frames) * settings.hop_seconds for each in clean])
    voices = encode_voices(encoders["audio"], clips, clean), encode_voices(encoders["audio"], clips, buried)
    return encode_pools(encoders, SamplePools(shown, spoken, said, seconds, views=VIEWS), images, voices, written, seed)


def _few(texts: Sequence[str], labels: Any, seed: int) -> tuple[list[str], Any]:
    """At most ``MOST_PER_LABEL`` of each emotion, drawn by a seed."""
    random = np.random.default_rng(seed)
    kept = [random.permutation(np.flatnonzero(labels == label))[:MOST_PER_LABEL] for label in range(len(FUSED_LABELS))]
    chosen = np.sort(np.concatenate(kept))
    return [texts[index] for index in chosen], labels[chosen]
