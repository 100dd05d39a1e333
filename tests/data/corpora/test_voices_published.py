"""The readers on the real RAVDESS, EmoDB and BanglaSER in the shared folder."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from multimodal.data.corpora.voices import (
    VOICE_CORPORA,
    VoiceClip,
    load_waveform,
    load_waveforms,
    read_voices,
    split_by_speaker,
)

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

CORPORA = ("ravdess", "emodb", "banglaser")


@pytest.fixture(scope="module")
def folders(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("voices")
    for corpus in CORPORA:
        with tarfile.open(shared_folder / "datasets" / f"{corpus}.tar") as archive:
            archive.extractall(root / corpus, filter="data")
    return {corpus: root / corpus for corpus in CORPORA}


@pytest.fixture(scope="module")
def clips(folders: dict[str, Path]) -> dict[str, list[VoiceClip]]:
    return {corpus: read_voices(corpus, folder) for corpus, folder in folders.items()}


EXPECTED = {
    "ravdess": (1200, 20, [80, 160, 160, 160, 160, 160, 160, 160]),
    "emodb": (535, 10, [127, 81, 46, 69, 71, 62, 79]),
    "banglaser": (1205, 28, [252, 252, 252, 252, 197]),
}


@pytest.mark.parametrize("corpus", CORPORA)
def test_counts_are_those_of_the_shared_folder(clips: dict[str, list[VoiceClip]], corpus: str) -> None:
    actual, (number, speakers, labels) = clips[corpus], EXPECTED[corpus]
    counts = Counter(clip.native_label for clip in actual)
    assert (len(actual), len({clip.speaker for clip in actual})) == (number, speakers)
    assert [counts[label] for label in VOICE_CORPORA[corpus].labels] == labels
    assert sum(clip.label is None for clip in actual) == (81 if corpus == "emodb" else 0)
    assert {clip.sex for clip in actual} == {"female", "male"}


def test_sexes_are_even(clips: dict[str, list[VoiceClip]]) -> None:
    speakers = {(corpus, clip.sex, clip.speaker) for corpus, actual in clips.items() for clip in actual}
    counts = Counter((corpus, sex) for corpus, sex, _ in speakers)
    assert [counts[corpus, "female"] for corpus in CORPORA] == [counts[corpus, "male"] for corpus in CORPORA]


def test_three_clips_of_speaker_15_begin_otherwise(clips: dict[str, list[VoiceClip]]) -> None:
    others = [clip for clip in clips["banglaser"] if clip.path.name.startswith("01-")]
    assert [(clip.speaker, clip.native_label) for clip in others] == [("banglaser-15", "surprise")] * 3


def test_sound_is_what_libsndfile_reads(clips: dict[str, list[VoiceClip]], tmp_path: Path) -> None:
    selection = [clip for actual in clips.values() for clip in actual[7::100]]
    packed = load_waveforms(selection, tmp_path / "voices.safetensors")
    again = load_waveforms(selection, tmp_path / "voices.safetensors")
    assert packed.warnings == ()
    for clip, first, second in zip(selection, packed, again, strict=True):
        expected, rate = soundfile.read(clip.path, dtype="float32")
        assert rate == 16000
        for samples in (load_waveform(clip.path), first, second):
            assert np.array_equal(samples, expected)


def test_copies_within_banglaser_are_of_one_speaker_and_emotion(clips: dict[str, list[VoiceClip]]) -> None:
    """So they cannot lead from training into a test of other speakers, and are left as they are."""
    seen: dict[bytes, set[tuple[str, str]]] = {}
    for clip in clips["banglaser"]:
        seen.setdefault(clip.path.read_bytes(), set()).add((clip.speaker, clip.native_label))
    assert len(seen) == 1203 and all(len(owners) == 1 for owners in seen.values())


def test_folds_over_all_corpora(clips: dict[str, list[VoiceClip]]) -> None:
    everything = [clip for actual in clips.values() for clip in actual]
    for fold in split_by_speaker(everything, 5, seed=0):
        tested = [everything[index] for index in fold.test]
        speakers = Counter(corpus for corpus, _ in {(clip.corpus, clip.speaker) for clip in tested})
        assert (speakers["ravdess"], speakers["emodb"]) == (4, 2) and speakers["banglaser"] in (5, 6)
        assert {clip.label for clip in tested} >= {clip.label for clip in everything}
        assert abs(len(tested) / len(everything) - 1 / 5) < 0.02
