"""Speaker splits: disjoint speakers, each clip tested once, balanced over corpora and sexes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.corpora.voices import split_by_speaker
from multimodal.errors import ConfigError

steady = settings(database=None, derandomize=True)

speakers = st.tuples(
    st.sampled_from(["ravdess", "emodb", "iemocap"]), st.integers(1, 30), st.sampled_from(["male", "female", None])
)


@st.composite
def clip_lists(draw: st.DrawFn) -> list[VoiceClip]:
    """Clips of speakers with one to four each, in any order."""
    people = draw(st.lists(speakers, min_size=2, max_size=25, unique_by=lambda person: person[:2]))
    clips = [
        VOICE_CORPORA[corpus].clip(Path(f"{corpus}{number}{take}.wav"), str(number), "neutral", sex)
        for corpus, number, sex in people
        for take in range(1 + (number * 7) % 4)
    ]
    return draw(st.permutations(clips))


@steady
@given(clip_lists(), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_parts_share_no_speaker(clips: list[VoiceClip], folds: int, seed: int) -> None:
    folds = min(folds, len({clip.speaker for clip in clips}))
    parts = split_by_speaker(clips, folds, seed)
    assert len(parts) == folds
    assert sorted(np.concatenate([part.test for part in parts]).tolist()) == list(range(len(clips)))
    for part in parts:
        assert part.train.dtype == part.test.dtype == np.int64
        assert sorted([*part.train.tolist(), *part.test.tolist()]) == list(range(len(clips)))
        training_speakers = {clips[index].speaker for index in part.train}
        assert training_speakers and not training_speakers & {clips[index].speaker for index in part.test}


def spread(clips: list[VoiceClip], folds: int, seed: int, of_sex: bool) -> dict[object, list[int]]:
    """Speakers of each corpus (and sex) in the test part of each fold."""
    parts = split_by_speaker(clips, folds, seed)
    groups = {(clip.corpus, clip.sex if of_sex else None) for clip in clips}
    tested = [{clips[index] for index in part.test} for part in parts]
    counts = [Counter((corpus, sex if of_sex else None) for corpus, sex, _ in people(part)) for part in tested]
    return {group: [count[group] for count in counts] for group in groups}


def people(clips: set[VoiceClip]) -> set[tuple[str, str | None, str]]:
    return {(clip.corpus, clip.sex, clip.speaker) for clip in clips}


@steady
@given(clip_lists(), st.integers(2, 6), st.integers(0, 9), st.booleans())
def test_corpora_and_sexes_are_shared_evenly(clips: list[VoiceClip], folds: int, seed: int, of_sex: bool) -> None:
    folds = min(folds, len({clip.speaker for clip in clips}))
    for counts in spread(clips, folds, seed, of_sex).values():
        assert max(counts) - min(counts) <= 1


@steady
@given(clip_lists(), st.integers(0, 9), st.randoms(use_true_random=False))
def test_order_of_the_clips_does_not_matter(clips: list[VoiceClip], seed: int, random) -> None:
    moved = random.sample(clips, len(clips))
    first, second = (
        [{part[index].speaker for index in fold.test} for fold in split_by_speaker(part, 2, seed)]
        for part in (clips, moved)
    )
    assert first == second


def many(speakers: int) -> list[VoiceClip]:
    return [
        VOICE_CORPORA["tess"].clip(Path(f"{number}.wav"), f"{number:02}", "sad", "female") for number in range(speakers)
    ]


def test_seed_decides() -> None:
    clips = many(20)
    tested = [split_by_speaker(clips, 4, seed)[0].test.tolist() for seed in (1, 1, 2)]
    assert tested[0] == tested[1] != tested[2]


def test_a_speaker_whose_sex_is_said_once_is_one_speaker() -> None:
    clips = [*many(2), *(VOICE_CORPORA["tess"].clip(Path("x.wav"), f"{number:02}", "sad") for number in range(2))]
    assert [len(part.test) for part in split_by_speaker(clips, 2)] == [2, 2]


@pytest.mark.parametrize(("speakers", "folds"), [(5, 1), (5, 0), (5, 6), (0, 2)])
def test_folds_that_cannot_be(speakers: int, folds: int) -> None:
    with pytest.raises(ConfigError, match=f"folds: is {folds} for {speakers} speakers"):
        split_by_speaker(many(speakers), folds)
