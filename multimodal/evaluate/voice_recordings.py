"""The recordings that voices are judged in: what else a speaker says decides what a voice is normalized by.

A voice is never judged against itself alone, so every figure states what the recording holds besides the clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from multimodal.data.corpora.voice.clip import VoiceClip

BALANCED, ONE_EMOTION, MOSTLY_NEUTRAL, ALONE = CONDITIONS = ("balanced", "one emotion", "mostly neutral", "clip alone")
"""All clips of a speaker; those with one label; each clip among neutral ones; each clip by itself."""

NEUTRAL_SHARE = 0.7
"""Share of the clips that are neutral in a mostly neutral recording."""


class JudgedRecording(NamedTuple):
    """One recording of one speaker.

    Attributes:
        members: Indices of the clips in it.
        judged: The indices among these whose estimates count.
    """

    members: tuple[int, ...]
    judged: frozenset[int]


def condition_recordings(clips: Sequence[VoiceClip], condition: str) -> list[JudgedRecording]:
    """Arranges clips to recordings; each clip is judged once.

    Labels decide which clips stand together, but no network gets to know them.

    Args:
        clips: Clips of any speakers.
        condition: One of ``CONDITIONS``.

    Returns:
        Recordings in order of the speakers. Speakers without a neutral clip have no mostly neutral recording.

    Example:
        >>> from pathlib import Path
        >>> labels = ["neutral", "anger", "anger", "fear"]
        >>> clips = [VoiceClip(Path(f"{i}.wav"), "emodb", "a", label, label) for i, label in enumerate(labels)]
        >>> [recording.members for recording in condition_recordings(clips, "one emotion")]
        [(1, 2), (3,), (0,)]
    """
    by_speaker: dict[str, list[int]] = {}
    for index, clip in enumerate(clips):
        by_speaker.setdefault(clip.speaker, []).append(index)
    recordings: list[JudgedRecording] = []
    for _, indices in sorted(by_speaker.items()):
        if condition == BALANCED:
            recordings.append(_whole(indices))
        elif condition == ONE_EMOTION:
            labels = [clips[index].label or clips[index].native_label for index in indices]
            groups = {label: [i for i, own in zip(indices, labels, strict=True) if own == label] for label in labels}
            recordings += [_whole(group) for _, group in sorted(groups.items())]
        elif condition == MOSTLY_NEUTRAL:
            recordings += _mostly_neutral(clips, indices)
        elif condition == ALONE:
            recordings += [_whole([index]) for index in indices]
        else:
            raise ValueError(f"condition must be one of {CONDITIONS}, got {condition!r}")
    return recordings


def _whole(indices: Sequence[int]) -> JudgedRecording:
    return JudgedRecording(tuple(indices), frozenset(indices))


def _mostly_neutral(clips: Sequence[VoiceClip], indices: Sequence[int]) -> list[JudgedRecording]:
    """Each recording holds all neutral clips and a few others; the neutral ones are judged in the first."""
    neutral = [index for index in indices if clips[index].label == "neutral"]
    others = [index for index in indices if clips[index].label != "neutral"]
    if not neutral:
        return []
    others = np.random.default_rng(0).permutation(others).tolist()
    size = max(round(len(neutral) * (1 - NEUTRAL_SHARE) / NEUTRAL_SHARE), 1)
    groups = [others[start : start + size] for start in range(0, len(others), size)] or [[]]
    return [
        JudgedRecording((*neutral, *group), frozenset([*group, *(neutral if number == 0 else ())]))
        for number, group in enumerate(groups)
    ]
