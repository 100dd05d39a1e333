"""Features of the clips of an audio training, a file per version, so that a stopped run continues where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from multimodal.augmentation.audio import AudioAugmentation
from multimodal.data.corpora.voices import VoiceClip
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice_features import VoiceFeatures
from multimodal.encoders.whisper_states import SpeechEncoder
from multimodal.train.audio_task import clip_features
from multimodal.train.loop import save_tensors


def cached_versions(
    run: Path,
    clips: Sequence[VoiceClip],
    load: Callable[[], Sequence[NDArray[np.float32]]],
    key: Sequence[Any],
    copies: int,
    augmentation: AudioAugmentation,
    mfcc: Mfcc,
    seed: int,
    speech_encoder: SpeechEncoder | None,
    *,
    save: bool = True,
) -> tuple[tuple[VoiceFeatures, ...], ...]:
    """Features of every clip, as recorded and augmented; computed once, since they take longer than an epoch.

    Args:
        run: Run folder, where each version is stored as soon as it is there.
        clips: The clips.
        load: Gives the sound of each clip; not called where all versions are stored.
        key: What identifies the clips.
        copies: Augmented copies beside the clips themselves.
        augmentation: How the copies are changed.
        mfcc: Gives the settings of the features and the device.
        seed: Random seed of the augmented copies.
        speech_encoder: Gives the speech states; None for features without them.
        save: Whether to store what was computed.

    Returns:
        Features of each clip, per version; the first is the clips as recorded.
    """
    name = None if speech_encoder is None else speech_encoder.name
    waveforms: Sequence[NDArray[np.float32]] = ()
    versions = []
    for number in range(copies + 1):
        settings = [list(key), asdict(mfcc.settings), name, number, asdict(augmentation) if number else None, seed]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        path = run / f"features-{number}.safetensors"
        version = _load(path, digest)
        if version is None:
            waveforms = waveforms or load()
            version = clip_features(clips, waveforms, number, augmentation, mfcc, seed, speech_encoder)
            if save:
                _save(path, digest, version)
        versions.append(version)
    return tuple(versions)


def _save(path: Path, key: str, version: Sequence[VoiceFeatures]) -> None:
    tensors = {
        "frames": torch.cat([each.frames for each in version]),
        "counts": torch.tensor([len(each.frames) for each in version]),
        "summary": torch.stack([each.summary for each in version]),
        "starts": torch.tensor([each.start_seconds for each in version], dtype=torch.float64),
    }
    states = [each.speech_states for each in version if each.speech_states is not None]
    if states:
        tensors |= {"states": torch.cat(states), "steps": torch.tensor([len(each) for each in states])}
    save_tensors(path, tensors, {"key": key})


def _load(path: Path, key: str) -> tuple[VoiceFeatures, ...] | None:
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("key") != key:
            return None
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    frames = tensors["frames"].split(tensors["counts"].tolist())
    states: Sequence[torch.Tensor | None] = [None] * len(frames)
    if "states" in tensors:
        states = tensors["states"].split(tensors["steps"].tolist())
    return tuple(map(VoiceFeatures, frames, tensors["summary"], tensors["starts"].tolist(), states))
