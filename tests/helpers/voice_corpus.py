"""Tiny speech corpora with separable emotions, in the layouts of RAVDESS and EmoDB; random networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from voice_layouts import RATE, emodb_names, ravdess_names, write_wav

from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, read_voices
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.audio import AUDIO_NETWORKS
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures, summary_size
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights

ACTORS, EMODB_SPEAKERS = (1, 2, 3, 4), ("03", "08", "10", "09")
RANDOM = "conv_bigru.random-v1"

CONFIG = """
labels = "ravdess"
folds = 2
augmented_copies = 1
cross_corpus = true
check_counts = false
[loop]
epochs = 2
batch_size = 16
optimizer = "adamw"
learning_rate = 2e-3
warmup_epochs = 0.5
ema_decay = 0.5
keep = "last"
precision = "no"
seed = 3
[sampling.corpus_weights]
ravdess = 1.0
emodb = 0.4
"""


def voice(label: str | None, seed: int, seconds: float = 0.3) -> NDArray[np.int16]:
    """``(samples, 1)``: a hum whose pitch and pulse are the emotion's, with a speaker's noise."""
    number = len(FUSED_LABELS) if label is None else FUSED_LABELS.index(label)
    times = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * harmonic * 90 * 1.25**number * times) / harmonic for harmonic in (1, 2, 3))
    pulse = 1 + 0.9 * np.sin(2 * np.pi * (3 + 2 * number) * times)
    noise = np.random.default_rng(seed).normal(0, 0.05, len(times))
    return np.asarray(3000 * (tone * pulse + noise)).round().astype(np.int16)[:, None]


def write_voices(folder: Path) -> Path:
    """``ravdess/`` with 8 clips of four actors each, ``emodb/`` with 7 of four speakers (boredom is one of them)."""
    names = [f"ravdess/{name}" for name in ravdess_names(ACTORS) if name.split("-")[3:6] == ["01", "01", "01"]]
    names += [f"emodb/{name}" for speaker in EMODB_SPEAKERS for name in emodb_names(speaker, (1,) * 7)]
    for seed, name in enumerate(names):
        write_wav(folder / name, voice(None, seed))
    for corpus in ("ravdess", "emodb"):  # now that it is known who says what
        for clip in read_voices(corpus, folder / corpus, check_counts=False):
            write_wav(clip.path, voice(clip.label, seed=int(clip.speaker[-2:])))
    return folder


def clip_of(corpus: str, speaker: str, label: str, take: int = 0) -> VoiceClip:
    """A clip without a file."""
    return VOICE_CORPORA[corpus].clip(Path(f"{corpus}/{speaker}_{label}_{take}.wav"), speaker, label)


def features_of(frames: int, seed: int, shift: float = 0.0) -> VoiceFeatures:
    """Features of an utterance, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(frames, MfccSettings().features, generator=generator) + shift
    return VoiceFeatures(rows.half(), torch.randn(summary_size(), generator=generator) + shift)


def random_network(labels: int, architecture: str = "conv_bigru", seed: int = 0) -> nn.Module:
    """A network that was never trained and whose answers differ nevertheless."""
    torch.manual_seed(seed)
    network = AUDIO_NETWORKS[architecture](labels, MfccSettings().features, summary_size()).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3.0)
    return network.requires_grad_(False)


def write_random_weights(
    folder: Path,
    corpus: str = "ravdess",
    temperature: float = 2.0,
    architecture: str = "conv_bigru",
    speech: Mapping[str, Any] | None = None,
) -> Path:
    """Weights of a random network that answers a corpus's labels; returns the safetensors file."""
    labels, groups = VOICE_CORPORA[corpus].labels, VOICE_CORPORA[corpus].groups
    spec = ModelSpec("audio", architecture, labels, temperature, groups=groups, mfcc=asdict(MfccSettings()))
    network = random_network(len(labels), architecture)
    return save_weights(folder, f"{architecture}.random-v1", network, replace(spec, speech=speech or {}), {})
