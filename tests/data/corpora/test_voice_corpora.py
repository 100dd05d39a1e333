"""Properties of every speech corpus, and the published numbers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from voice_layouts import (
    banglaser_names,
    crema_d_names,
    emodb_names,
    noise,
    ravdess_names,
    savee_names,
    tess_names,
    write_wav,
)

from multimodal.data.corpora.iemocap import IEMOCAP_LABEL_SETS, IEMOCAP_LABELS
from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voice.emodb import PUBLISHED as EMODB_CLIPS
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA, license_of
from multimodal.data.corpora.voices import read_voices
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError

NAMES = {
    "ravdess": list(ravdess_names([7])),
    "emodb": list(emodb_names("16", EMODB_CLIPS["16"])),
    "banglaser": list(banglaser_names([15])),
    "tess": list(tess_names("OAF", 200)),
    "crema_d": list(crema_d_names(1001)),
    "savee": list(savee_names("DC", folders=False)),
}
"""The file names of one complete speaker, as the release spells them."""

every_corpus = pytest.mark.parametrize("corpus", VOICE_CORPORA)
every_named_corpus = pytest.mark.parametrize("corpus", NAMES)


@every_corpus
def test_mapping_covers_every_code(corpus: str) -> None:
    entry = VOICE_CORPORA[corpus]
    assert entry.name == corpus
    assert len(set(entry.labels)) == len(entry.labels) == len(entry.groups)
    assert set(entry.groups) <= {*FUSED_LABELS, None} and set(entry.groups) - {None}
    if entry.codes:
        assert tuple(entry.codes.values()) == entry.labels


@every_corpus
def test_license_and_source_are_stated(corpus: str) -> None:
    entry = VOICE_CORPORA[corpus]
    assert entry.license and entry.source
    assert (entry.weights_license or entry.license) in license_of([corpus])


@every_corpus
def test_either_names_or_a_reader(corpus: str) -> None:
    entry = VOICE_CORPORA[corpus]
    assert (entry.read_name is None) != (entry.read is None)
    assert bool(entry.example) == (entry.read_name is not None)
    assert (entry.read_name is not None) == (corpus in NAMES)


@every_named_corpus
def test_example_is_a_name_of_the_corpus_alone(corpus: str) -> None:
    example = Path(VOICE_CORPORA[corpus].example)
    readers = [name for name in NAMES if (read := VOICE_CORPORA[name].read_name) is not None and read(example)]
    if corpus in ("ravdess", "banglaser"):  # the same fields
        assert corpus in readers and set(readers) <= {"ravdess", "banglaser"}
    else:
        assert readers == [corpus]


def clips_of(corpus: str) -> list[VoiceClip]:
    """The clips of one complete speaker, without files."""
    entry = VOICE_CORPORA[corpus]
    assert entry.read_name is not None
    names = [(Path(path), entry.read_name(Path(path))) for path in NAMES[corpus]]
    return [entry.clip(path, name.speaker, entry.codes[name.code], name.sex) for path, name in names if name]


@every_named_corpus
def test_every_published_name_is_read_as_a_clip_of_its_own(corpus: str) -> None:
    read_name = VOICE_CORPORA[corpus].read_name
    assert read_name is not None
    names = [name for path in NAMES[corpus] if (name := read_name(Path(path))) is not None]
    assert len(names) == len({(name.speaker, name.code, name.take) for name in names}) == len(NAMES[corpus])
    assert {name.code for name in names} <= set(VOICE_CORPORA[corpus].codes)


@every_named_corpus
def test_a_complete_speaker_has_the_published_counts(corpus: str) -> None:
    entry, clips = VOICE_CORPORA[corpus], clips_of(corpus)
    counts = Counter(clip.native_label for clip in clips)
    assert entry.speaker_counts is not None
    published = entry.speaker_counts(clips[0].speaker.removeprefix(f"{corpus}-"), counts)
    assert tuple(published) == entry.labels
    assert {label: count for label, count in published.items() if count} == counts
    entry.check_counts(Path(corpus), clips)


@every_named_corpus
def test_too_many_missing_clips_are_an_error_with_both_numbers(corpus: str) -> None:
    entry, clips = VOICE_CORPORA[corpus], clips_of(corpus)
    fewer = clips[: len(clips) - entry.tolerance]
    entry.check_counts(Path(corpus), fewer)
    with pytest.raises(CorpusError, match=rf"{len(fewer) - 1:,} clips of 1 speakers; {len(clips):,} were published"):
        entry.check_counts(Path(corpus), fewer[:-1])


@every_named_corpus
def test_a_file_is_read_by_its_name(corpus: str, tmp_path: Path) -> None:
    write_wav(tmp_path / NAMES[corpus][0], noise(1))
    (clip,) = read_voices(corpus, tmp_path, check_counts=False)
    (expected, *_) = clips_of(corpus)
    assert (clip.corpus, clip.speaker, clip.native_label, clip.label, clip.sex) == (
        (corpus, expected.speaker, expected.native_label, expected.label, expected.sex)
    )


def test_labels_without_a_counterpart_are_the_known_ones() -> None:
    unmapped = {(name, label) for name, corpus in VOICE_CORPORA.items() for label in corpus.labels
                if corpus.to_fused[label] is None}  # fmt: skip
    assert unmapped == {("emodb", "boredom"), *(("iemocap", name) for name in ("frustration", "other", "no agreement"))}
    assert VOICE_CORPORA["ravdess"].labels == (
        *("neutral", "calm", "happy", "sad"),
        *("angry", "fearful", "disgust", "surprised"),
    )


def test_counts_add_up_to_the_published_totals() -> None:
    speakers = {"ravdess": 24, "tess": 2, "savee": 4, "crema_d": 91}
    totals = {corpus: number * len(NAMES[corpus]) for corpus, number in speakers.items()}
    assert totals == {"ravdess": 1440, "tess": 2800, "savee": 480, "crema_d": 7442 + 20}
    assert 27 * len(list(banglaser_names([1]))) + 7 * len(list(banglaser_names([1], neutral=False))) == 1467
    columns = [sum(column) for column in zip(*EMODB_CLIPS.values(), strict=True)]
    assert columns == [127, 81, 46, 69, 71, 62, 79] and sum(columns) == 535


def test_iemocap_sets_have_their_number_of_classes() -> None:
    assert {number: len(set(table.values())) for number, table in IEMOCAP_LABEL_SETS.items()} == {4: 4, 5: 5, 6: 6}
    assert all(set(table) <= set(VOICE_CORPORA["iemocap"].labels) for table in IEMOCAP_LABEL_SETS.values())
    assert set(IEMOCAP_LABELS) == set(IEMOCAP_LABEL_SETS[4].values())


@pytest.mark.parametrize(
    ("corpora", "text"),
    [
        (["emodb", "banglaser"], "as the corpora: emodb CC0 in its current release; banglaser CC BY 4.0"),
        (["ravdess"], "for commercial use train without RAVDESS"),
        (["tess", "ravdess"], "train without RAVDESS. The other corpora: tess CC BY-NC-ND 4.0"),
    ],
)
def test_license_of_weights_names_every_corpus(corpora: list[str], text: str) -> None:
    assert license_of(corpora).endswith(text)
