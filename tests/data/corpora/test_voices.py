"""Speech corpora: file names by hand, published layouts and variants, counts, manifests."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_layouts import (
    banglaser_names,
    crema_d_names,
    emodb_names,
    noise,
    ravdess_names,
    savee_names,
    tess_names,
    write_clips,
    write_text,
    write_wav,
)

from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.corpora.voice.corpus import ClipName, Counts
from multimodal.data.corpora.voice.emodb import PUBLISHED as EMODB_CLIPS
from multimodal.data.corpora.voices import VOICE_CORPORA, read_voices
from multimodal.errors import CorpusError

steady = settings(database=None, derandomize=True)

NAMED = [name for name, corpus in VOICE_CORPORA.items() if corpus.read_name is not None]
"""Corpora whose file names say everything."""


def read_name(corpus: str, path: str | Path) -> ClipName | None:
    reader = VOICE_CORPORA[corpus].read_name
    assert reader is not None
    return reader(Path(path))


def published(corpus: str, speaker: str = "", actual: Counts | None = None) -> dict[str, int]:
    counts = VOICE_CORPORA[corpus].speaker_counts
    assert counts is not None
    return dict(counts(speaker, {"neutral": 1} if actual is None else actual))


BY_HAND = [
    # corpus, path, speaker, native label, fused label, sex
    ("ravdess", "Actor_01/03-01-01-01-01-01-01.wav", "ravdess-01", "neutral", "neutral", "male"),
    ("ravdess", "03-01-02-02-01-01-24.wav", "ravdess-24", "calm", "neutral", "female"),
    ("ravdess", "03-01-03-01-02-01-02.FLAC", "ravdess-02", "happy", "happiness", "female"),
    ("ravdess", "03-01-06-01-02-01-02.wav", "ravdess-02", "fearful", "fear", "female"),
    ("ravdess", "01-01-08-01-02-01-13.mp4", "ravdess-13", "surprised", "surprise", "male"),
    ("emodb", "wav/03a01Fa.wav", "emodb-03", "happiness", "happiness", "male"),
    ("emodb", "16b10Lb.wav", "emodb-16", "boredom", None, "female"),
    ("emodb", "08a05Wc.wav", "emodb-08", "anger", "anger", "female"),
    ("emodb", "12b02Ab.wav", "emodb-12", "fear", "fear", "male"),
    ("emodb", "14b02Eb.wav", "emodb-14", "disgust", "disgust", "female"),
    ("banglaser", "03-01-01-01-02-03-01.wav", "banglaser-01", "happy", "happiness", "male"),
    ("banglaser", "01-01-04-02-03-01-15.wav", "banglaser-15", "surprise", "surprise", "male"),
    ("banglaser", "03-01-05-01-03-03-34.wav", "banglaser-34", "neutral", "neutral", "female"),
    ("banglaser", "03-01-03-02-03-03-08.wav", "banglaser-08", "angry", "anger", "female"),
    ("tess", "OAF_angry/OAF_back_angry.wav", "tess-OAF", "angry", "anger", "female"),
    ("tess", "YAF_pleasant_surprised/YAF_back_ps.wav", "tess-YAF", "pleasant surprise", "surprise", "female"),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", "tess-OAF", "neutral", "neutral", "female"),
    ("crema_d", "AudioWAV/1001_DFA_ANG_XX.wav", "crema_d-1001", "anger", "anger", None),
    ("crema_d", "AudioWAV/1040_ITH_SAD_X.wav", "crema_d-1040", "sad", "sadness", None),
    ("crema_d", "AudioWAV/1091_IEO_HAP_HI.wav", "crema_d-1091", "happy", "happiness", None),
    ("savee", "DC_a01.wav", "savee-DC", "anger", "anger", "male"),
    ("savee", "AudioData/JK/sa15.wav", "savee-JK", "sadness", "sadness", "male"),
    ("savee", "AudioData/KL/su01.wav", "savee-KL", "surprise", "surprise", "male"),
    ("savee", "JE_n30.wav", "savee-JE", "neutral", "neutral", "male"),
]

OTHERS = [
    ("ravdess", "03-01-09-01-01-01-01.wav", "no ninth emotion"),
    ("ravdess", "03-01-01-01-01-01-25.wav", "no actor 25"),
    ("ravdess", "03-01-01-01-03-03-01.wav", "BanglaSER's third sentence"),
    ("ravdess", "03-01-01-01-01-01.wav", "a field too few"),
    ("ravdess", "copy of 03-01-01-01-01-01-01.wav", "something before"),
    ("banglaser", "03-01-06-01-01-01-01.wav", "RAVDESS's fearful"),
    ("emodb", "07a01Fa.wav", "no speaker 07"),
    ("emodb", "03a01Xa.wav", "no such letter"),
    ("tess", "UAF_back_angry.wav", "no such actress"),
    ("tess", "OAF_back_calm.wav", "no such emotion"),
    ("crema_d", "1092_DFA_ANG_XX.wav", "no actor 1092"),
    ("savee", "a01.wav", "nobody"),
    ("savee", "DC_b01.wav", "no such letter"),
]


def one_clip(corpus: str, folder: Path, name: str) -> VoiceClip:
    write_wav(folder / name, noise(1))
    (clip,) = read_voices(corpus, folder, check_counts=False)
    return clip


@pytest.mark.parametrize(("corpus", "path", "speaker", "native", "label", "sex"), BY_HAND)
def test_names_by_hand(
    tmp_path: Path, corpus: str, path: str, speaker: str, native: str, label: str | None, sex: str | None
) -> None:
    clip = one_clip(corpus, tmp_path, path)
    assert clip == VoiceClip(tmp_path / path, corpus, speaker, native, label, sex)


@pytest.mark.parametrize(("corpus", "name", "reason"), OTHERS, ids=[reason for _, _, reason in OTHERS])
def test_other_names_are_none_of_the_corpus(corpus: str, name: str, reason: str) -> None:
    assert read_name(corpus, name) is None


@steady
@given(st.sampled_from(NAMED), st.text(max_size=30))
def test_any_name_has_an_answer(corpus: str, name: str) -> None:
    parsed = read_name(corpus, f"x{name}.wav")
    assert parsed is None or parsed.code.isalnum()
    assert VOICE_CORPORA[corpus].is_excluded(Path(name)) in (True, False)


@steady
@given(st.tuples(*[st.integers(0, top) for top in (3, 2, 9, 3, 3, 3, 26)]))
def test_ravdess_names_are_either_speech_or_passed_over_or_none(fields: tuple[int, ...]) -> None:
    path = Path("-".join(f"{field:02}" for field in fields) + ".wav")
    modality, channel, emotion, strength, sentence, take, actor = fields
    pairs = all(1 <= field <= 2 for field in (channel, strength, sentence, take))
    valid = 1 <= modality <= 3 and pairs and 1 <= emotion <= 8
    elsewhere = valid and (channel == 2 or modality == 2)
    name = read_name("ravdess", path)
    assert VOICE_CORPORA["ravdess"].is_excluded(path) == elsewhere
    assert (name is not None) == (valid and not elsewhere and 1 <= actor <= 24)
    if name is not None:
        assert (int(name.speaker), int(name.code), name.sex) == (actor, emotion, ("female", "male")[actor % 2])


@pytest.fixture(scope="module")
def two_actors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("ravdess"), ravdess_names([1, 2]))


@pytest.fixture
def ravdess(two_actors: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(two_actors, tmp_path / "ravdess"))


def test_whole_speakers_are_accepted(two_actors: Path) -> None:
    clips = read_voices("ravdess", two_actors)
    assert Counter(clip.speaker for clip in clips) == {"ravdess-01": 60, "ravdess-02": 60}
    expected = {"neutral": 8, "calm": 16, **dict.fromkeys(("happy", "sad", "angry"), 16)}
    counts = Counter(clip.native_label for clip in clips)
    assert counts == {**expected, **dict.fromkeys(("fearful", "disgust", "surprised"), 16)}
    assert Counter(clip.label for clip in clips)["neutral"] == 24
    assert all(clip.path.is_file() and two_actors in clip.path.parents for clip in clips)


@pytest.mark.parametrize(
    ("corpus", "names", "number"),
    [
        ("emodb", [*emodb_names("03", EMODB_CLIPS["03"]), *emodb_names("16", EMODB_CLIPS["16"])], 120),
        ("banglaser", [*banglaser_names([15]), *banglaser_names([18], neutral=False)], 81),
        ("crema_d", [*crema_d_names(1001), *crema_d_names(1002)], 164),
        ("savee", savee_names("DC", folders=False), 120),
        ("savee", [*savee_names("DC", folders=True), *savee_names("KL", folders=True)], 240),
    ],
)
def test_other_layouts_are_accepted_as_published(tmp_path: Path, corpus: str, names: list[str], number: int) -> None:
    clips = read_voices(corpus, write_clips(tmp_path, names))
    assert len(clips) == number
    read_again = read_voices(corpus, tmp_path / "wav" if corpus == "emodb" else tmp_path)
    assert read_again == clips


def test_savee_folder_of_one_speaker_may_be_named(tmp_path: Path) -> None:
    write_clips(tmp_path, savee_names("JK", folders=True))
    assert {clip.speaker for clip in read_voices("savee", tmp_path / "AudioData" / "JK")} == {"savee-JK"}


def test_tess_speaks_two_hundred_words(tmp_path: Path) -> None:
    write_clips(tmp_path, [*tess_names("OAF", 2), *tess_names("YAF", 2)])
    clips = read_voices("tess", tmp_path, check_counts=False)
    assert Counter((clip.speaker, clip.native_label) for clip in clips) == {
        (f"tess-{actress}", label): 2 for actress in ("OAF", "YAF") for label in VOICE_CORPORA["tess"].labels
    }
    with pytest.raises(CorpusError, match="28 clips of 2 speakers; 2,800 were published for these"):
        read_voices("tess", tmp_path)


def test_crema_d_knows_sexes_from_its_table(tmp_path: Path) -> None:
    write_clips(
        tmp_path, ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_DFA_ANG_XX.wav", "AudioWAV/1003_DFA_ANG_XX.wav"]
    )
    table = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Asian,Not Hispanic\n"
    write_text(tmp_path / "VideoDemographics.csv", table)
    for folder in (tmp_path, tmp_path / "AudioWAV"):
        assert [clip.sex for clip in read_voices("crema_d", folder, check_counts=False)] == ["male", "female", None]


def made_up(corpus: str, counts: dict[str, dict[str, int]]) -> list[VoiceClip]:
    return [
        VOICE_CORPORA[corpus].clip(Path(f"{speaker}{label}{number}.wav"), speaker, label)
        for speaker, labels in counts.items()
        for label, clips in labels.items()
        for number in range(clips)
    ]


def test_whole_crema_d_has_its_total() -> None:
    design = {str(actor): published("crema_d") for actor in range(1001, 1092)}
    for actor in range(1001, 1021):
        design[str(actor)]["fear"] -= 1
    VOICE_CORPORA["crema_d"].check_counts(Path("crema"), made_up("crema_d", design))
    design["1091"]["sad"] -= 1
    with pytest.raises(CorpusError, match="7,441 clips of 91 speakers; 7,442 were published"):
        VOICE_CORPORA["crema_d"].check_counts(Path("crema"), made_up("crema_d", design))


def test_one_neutral_clip_of_banglaser_may_be_missing() -> None:
    design = {f"{speaker:02}": published("banglaser") for speaker in range(1, 29)}
    design["19"]["neutral"] = 8
    design["11"]["neutral"] = 0
    VOICE_CORPORA["banglaser"].check_counts(Path("bangla"), made_up("banglaser", design))
    design["20"]["happy"] = 8
    with pytest.raises(
        CorpusError, match=r"1,249 clips of 28 speakers; 1,251 were published for these.*-19.*-20 in happy"
    ):
        VOICE_CORPORA["banglaser"].check_counts(Path("bangla"), made_up("banglaser", design))


def test_a_missing_clip_is_an_error_with_both_numbers(ravdess: Path) -> None:
    (ravdess / "Actor_02" / "03-01-02-01-01-01-02.wav").unlink()
    with pytest.raises(CorpusError, match=r"119 clips of 2 speakers; 120 were published for these.*ravdess-02 in calm"):
        read_voices("ravdess", ravdess)
    assert len(read_voices("ravdess", ravdess, check_counts=False)) == 119


def test_order_does_not_depend_on_the_layout(two_actors: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in two_actors.rglob("*.wav"):
        shutil.copy(path, flat / f"{path.stem}.WAV")
    nested, moved = read_voices("ravdess", two_actors), read_voices("ravdess", flat)
    assert [clip.path.stem for clip in nested] == [clip.path.stem for clip in moved]
    assert [clip.speaker for clip in nested] == sorted(clip.speaker for clip in nested)


def test_what_computers_leave_behind_is_passed_over(ravdess: Path) -> None:
    before = read_voices("ravdess", ravdess)
    write_text(ravdess / "Actor_01" / "._03-01-01-01-01-01-01.wav", "\0")
    write_text(ravdess / ".Trash" / "03-01-01-01-01-01-03.wav", "\0")
    write_text(ravdess / "__MACOSX" / "Actor_01" / "03-01-01-01-01-01-03.wav", "\0")
    write_text(ravdess / "README.txt", "hello")
    assert read_voices("ravdess", ravdess) == before


def test_a_hidden_folder_above_does_not_matter(two_actors: Path, tmp_path: Path) -> None:
    hidden = shutil.copytree(two_actors, tmp_path / ".cache" / "ravdess")
    assert len(read_voices("ravdess", hidden)) == 120


def test_linked_folders_are_followed_once(two_actors: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "Actors").symlink_to(two_actors, target_is_directory=True)
    (linked / "Again").symlink_to(linked, target_is_directory=True)
    assert len(read_voices("ravdess", linked)) == 120


def test_songs_and_silent_videos_are_passed_over(ravdess: Path) -> None:
    before = read_voices("ravdess", ravdess)
    write_clips(ravdess, ravdess_names([1], channel="02"))
    write_clips(ravdess / "Video", [*ravdess_names([1], modality="02"), *ravdess_names([1], modality="01")])
    write_wav(ravdess / "Taken from video" / "01-01-01-01-01-01-01.wav", noise(1, 0.5))
    assert read_voices("ravdess", ravdess) == before


def test_sound_of_videos_is_read_where_there_is_no_other(tmp_path: Path) -> None:
    write_clips(tmp_path, itertools.chain(ravdess_names([7], modality="01"), ravdess_names([7], modality="02")))
    clips = read_voices("ravdess", tmp_path)
    assert len(clips) == 60 and {clip.path.name[:2] for clip in clips} == {"01"}


def test_songs_alone_are_no_speech(tmp_path: Path) -> None:
    write_clips(tmp_path, ravdess_names([1], channel="02"))
    with pytest.raises(CorpusError, match=r"no speech clip .*\(44 songs or silent videos, 0 others\)"):
        read_voices("ravdess", tmp_path)


def test_copies_are_read_once(ravdess: Path) -> None:
    before = read_voices("ravdess", ravdess)
    shutil.copytree(ravdess, ravdess / "audio_speech_actors_01-24")
    assert read_voices("ravdess", ravdess) == before
    shutil.copy(before[0].path, before[0].path.with_suffix(".mp3"))
    assert read_voices("ravdess", ravdess) == before


def test_copies_that_differ_are_refused(ravdess: Path) -> None:
    write_wav(ravdess / "new" / "03-01-01-01-01-01-01.wav", noise(1, 0.5))
    with pytest.raises(
        CorpusError, match=r"two different files of one clip: Actor_01/.* and new/03-01-01-01-01-01-01.wav"
    ):
        read_voices("ravdess", ravdess)


def test_unknown_names_are_listed_or_passed_over(ravdess: Path) -> None:
    before = read_voices("ravdess", ravdess)
    write_clips(ravdess, [f"notes/memo{number}.wav" for number in range(7)])
    with pytest.raises(CorpusError, match=r"7 files not named like .*: notes/memo0.wav, .* and 2 more") as error:
        read_voices("ravdess", ravdess)
    assert "check_counts=False" in str(error.value) and "\n" not in str(error.value)
    assert read_voices("ravdess", ravdess, check_counts=False) == before


@pytest.mark.parametrize(("other", "names"), [("ravdess", banglaser_names([1])), ("banglaser", ravdess_names([1]))])
def test_a_corpus_read_as_its_likeness_is_refused(tmp_path: Path, other: str, names: list[str]) -> None:
    with pytest.raises(CorpusError):
        read_voices(other, write_clips(tmp_path, names))


def test_wrong_places_have_an_answer(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="unknown speech corpus; choose one of ravdess, emodb, banglaser, tess"):
        read_voices("timit", tmp_path)
    with pytest.raises(CorpusError, match="is not a folder"):
        read_voices("emodb", tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"contains no speech clip named like 03a01Fa\.wav; name the folder"):
        read_voices("emodb", tmp_path)
    write_clips(tmp_path, ["a.wav"])
    with pytest.raises(CorpusError, match=r"no speech clip .*\(0 songs or silent videos, 1 others\)"):
        read_voices("emodb", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "1 of 1 clips are empty files, such as 03a01Fa.wav"),
        ("version https://git-lfs.github.com/spec/v1\n", "lfs pull"),
    ],
)
def test_files_without_sound_are_refused(tmp_path: Path, content: str, message: str) -> None:
    write_text(tmp_path / "03a01Fa.wav", content)
    with pytest.raises(CorpusError, match=message):
        read_voices("emodb", tmp_path, check_counts=False)
