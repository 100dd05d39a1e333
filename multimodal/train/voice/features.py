"""Features of the clips of an audio training, a file per version, so that a stopped run continues where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures
from multimodal.encoders.voice.whisper_states import SpeechEncoder
from multimodal.train.loop import save_tensors


def cached_features(path: Path, key: str, compute: Callable[[], Sequence[VoiceFeatures]]) -> tuple[VoiceFeatures, ...]:
    """Features of clips from a file, or computed and stored there.

    Args:
        path: The file.
        key: Identifies the clips, their changes and the settings of the features.
        compute: Gives the features; not called where the file has them.

    Returns:
        Features of each clip.
    """
    stored = _load(path, key)
    if stored is not None:
        return stored
    features = tuple(compute())
    _save(path, key, features)
    return features


def features_key(
    clips: Sequence[Sequence[str]],
    mfcc: MfccSettings,
    speech_encoder: SpeechEncoder | None,
    changes: Mapping[str, Any] | None = None,
) -> str:
    """Identifies features.

    Args:
        clips: What identifies the clips.
        mfcc: Settings of the features.
        speech_encoder: Gives the speech states; None without them.
        changes: How the clips were changed before; None for the clips as recorded.

    Returns:
        A hash.
    """
    name = None if speech_encoder is None else speech_encoder.name
    content = json.dumps([list(clips), asdict(mfcc), name, changes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


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
