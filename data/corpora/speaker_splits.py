"""Speaker-independent splits: parts of a set of clips that share no speaker."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.errors import ConfigError


class SpeakerFold(NamedTuple):
    """One fold of a speaker-independent cross-validation.

    Attributes:
        train: ``(n,)`` int64 indices, ascending.
        test: ``(m,)`` int64 indices, ascending, of speakers that are not in ``train``.
    """

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def split_by_speaker(clips: Sequence[VoiceClip], folds: int, seed: int = 0) -> list[SpeakerFold]:
    """Splits clips for speaker-independent cross-validation.

    Each fold tests the speakers that the other folds train on. Speakers are assigned so that the folds differ by at
    most one in the number of speakers of each corpus, and of each sex within a corpus; among equal folds the one with
    the fewest clips is filled next. A corpus with fewer speakers than folds is absent from some tests.

    Args:
        clips: Of one corpus or several.
        folds: Number of parts, at least 2.
        seed: Random seed of the assignment. The order of the clips does not matter.

    Returns:
        The folds; each clip is tested exactly once.

    Raises:
        ConfigError: Fewer than 2 folds, or fewer speakers than folds.

    Example:
        >>> from pathlib import Path
        >>> from multimodal.data.corpora.voice.savee import SAVEE
        >>> clips = [SAVEE.clip(Path(f"{name}.wav"), name, "anger", "male") for name in ("DC", "JE", "KL")]
        >>> [len(fold.test) for fold in split_by_speaker(clips, 3)]
        [1, 1, 1]
    """
    speakers = {clip.speaker for clip in clips}
    if folds < 2 or folds > len(speakers):
        fact = f"is {folds} for {len(speakers)} speakers"
        raise ConfigError("folds", fact, "give at least 2 and at most the number of speakers")
    fold_of = _assign(clips, folds, np.random.default_rng(seed))
    folds_of_clips = np.array([fold_of[clip.speaker] for clip in clips])
    return [
        SpeakerFold(np.flatnonzero(folds_of_clips != fold), np.flatnonzero(folds_of_clips == fold))
        for fold in range(folds)
    ]


def _assign(clips: Sequence[VoiceClip], folds: int, random: np.random.Generator) -> dict[str, int]:
    """Speaker to fold."""
    sizes = Counter(clip.speaker for clip in clips)
    fold_of: dict[str, int] = {}
    of_corpus: dict[str, Counter[int]] = defaultdict(Counter)
    clips_in: Counter[int] = Counter()
    for (corpus, _), members in sorted(_groups(clips).items()):
        of_group: Counter[int] = Counter()
        for speaker in random.permutation(members).tolist():
            order = random.permutation(folds).tolist()
            fold = min(order, key=lambda one: (of_group[one], of_corpus[corpus][one], clips_in[one]))
            fold_of[speaker] = fold
            of_group[fold] += 1
            of_corpus[corpus][fold] += 1
            clips_in[fold] += sizes[speaker]
    return fold_of


def _groups(clips: Sequence[VoiceClip]) -> dict[tuple[str, str], list[str]]:
    """Sorted speakers of each corpus and sex; the sex is known if any clip of the speaker states it."""
    corpus_of = {clip.speaker: clip.corpus for clip in clips}
    sex_of = {clip.speaker: clip.sex for clip in sorted(clips, key=lambda clip: clip.sex or "")}
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for speaker in sorted(corpus_of):
        groups[corpus_of[speaker], sex_of[speaker] or ""].append(speaker)
    return groups
