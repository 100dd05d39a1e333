"""Readers of text corpora: rows, label mappings, and invalid files."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voice_layouts import write_small_iemocap

from multimodal.data import emotions
from multimodal.data.corpora.goemotions import PUBLISHED, read_goemotions
from multimodal.data.corpora.iemocap import IEMOCAP
from multimodal.data.corpora.text_corpus import TextCorpus, corpus_text, grouping
from multimodal.data.corpora.texts import TEXT_CORPORA, read_text_corpus
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED
from multimodal.errors import CorpusError

EKMAN = json.loads(
    """{"anger": ["anger", "annoyance", "disapproval"], "disgust": ["disgust"], "fear": ["fear", "nervousness"],
    "joy": ["joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride",
            "admiration", "desire", "caring"],
    "sadness": ["sadness", "disappointment", "embarrassment", "grief", "remorse"],
    "surprise": ["surprise", "realization", "confusion", "curiosity"]}"""
)
"""The publishers' ``ekman_mapping.json``."""


def group_names(corpus: TextCorpus) -> list[list[str]]:
    return [[FUSED_LABELS[index] for index in np.flatnonzero(row)] for row in corpus.groups]


def goemotions(folder: Path, content: str, part: str = "dev") -> TextCorpus:
    (folder / f"{part}.tsv").write_bytes(content.encode("utf-8"))
    return read_goemotions(folder, part, check_counts=False)


# --- tables -------------------------------------------------------------------------------------------------------


def test_goemotions_groups_are_the_published_ones() -> None:
    expected = {native: "happiness" if group == "joy" else group for group, many in EKMAN.items() for native in many}
    assert {**expected, "neutral": "neutral"} == dict(GOEMOTIONS_TO_FUSED)


@pytest.mark.parametrize("corpus", ["GOEMOTIONS", "MELD", "ISEAR", "DAILYDIALOG"])
def test_every_label_has_a_line_in_its_table(corpus: str) -> None:
    labels, table = getattr(emotions, f"{corpus}_LABELS"), getattr(emotions, f"{corpus}_TO_FUSED")
    assert set(labels) == set(table) and len(set(labels)) == len(labels)
    assert {group for group in table.values() if group is not None} <= set(FUSED_LABELS)


def test_grouping_has_one_group_per_label() -> None:
    matrix = grouping(GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED)
    assert matrix.shape == (28, 7) and matrix.sum(axis=1).tolist() == [1] * 28
    assert matrix.sum(axis=0).tolist() == [1, 12, 4, 5, 3, 1, 2]  # counted in the paper's figure 2


# --- GoEmotions ---------------------------------------------------------------------------------------------------


def test_goemotions_lines_become_texts_targets_and_sources(tmp_path: Path) -> None:
    corpus = goemotions(tmp_path, 'A "quoted\u2028text"\t4,27\tid1\nSad, really\t25\tid2\n')
    assert corpus.texts == ('A "quoted\u2028text"', "Sad, really") and corpus.sources == ("id1", "id2")
    assert [np.flatnonzero(row).tolist() for row in corpus.targets] == [[4, 27], [25]]
    assert group_names(corpus) == [["neutral", "happiness"], ["sadness"]]


def test_goemotions_locations(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "dev.tsv"
    file.write_bytes(b"\xef\xbb\xbfFine.\t27\tx\r\n")
    for path in (tmp_path, tmp_path / "data", file):
        assert read_goemotions(path, "dev", check_counts=False).texts == ("Fine.",)
    with pytest.raises(CorpusError, match=r"contains no train\.tsv; name the folder that contains it, or the file"):
        read_goemotions(tmp_path, "train")


@pytest.mark.parametrize(
    "line", ["text only", "text\t3", "text\t\tid", "text\t28\tid", "text\t1,x\tid", "a\t1\tb\tc", ""]
)
def test_goemotions_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(CorpusError, match=r"dev\.tsv: line 2 is not a text, label numbers below 28 and an id; unpack"):
        goemotions(tmp_path, f"good\t1\tid\n{line}\nlast\t2\tid\n")


def test_goemotions_with_other_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emotions.txt").write_text("\n".join(GOEMOTIONS_LABELS) + "\n")
    goemotions(tmp_path, "good\t1\tid\n")
    (tmp_path / "emotions.txt").write_text("\n".join(reversed(GOEMOTIONS_LABELS)) + "\n")
    with pytest.raises(CorpusError, match=r"emotions\.txt: is not the published list of 28 labels"):
        goemotions(tmp_path, "good\t1\tid\n")


def test_goemotions_shortfall_names_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_text("good\t1\tid\n")
    with pytest.raises(CorpusError, match="the dev part has 1 comments; 5426 were published"):
        read_goemotions(tmp_path, "dev")


@pytest.mark.slow
@pytest.mark.corpus
def test_goemotions_as_published(shared_folder: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_folder / "datasets" / "goemotions.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = [path.parent for path in tmp_path.rglob("train.tsv")]
    for part in ("train", "dev"):
        corpus = read_goemotions(folder, part)
        assert len(corpus) == PUBLISHED[part] and len(set(corpus.sources)) == len(corpus)
        assert (corpus.targets.sum(axis=1) >= 1).all() and (corpus.groups.sum(axis=1) >= 1).all()
        share = (corpus.targets.sum(axis=1) == 1).mean()
        assert share == pytest.approx(0.83, abs=0.01)  # one label each, in the paper's table 1


# --- the others ---------------------------------------------------------------------------------------------------


def test_meld(tmp_path: Path) -> None:
    rows = [["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"]]
    rows += [["1", "I don\x92t know, \x93maybe\x94", "Joey", "joy", "positive", "0", "0"]]
    rows += [
        ["2", "Oh, no!", "Ross", "Disgust", "negative", "0", "1"],
        ["3", "Hi", "Ross", "neutral", "neutral", "7", "0"],
    ]
    with (tmp_path / "dev_sent_emo.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    corpus = read_text_corpus("meld", tmp_path, "dev", check_counts=False)
    assert corpus.texts == ("I don’t know, “maybe”", "Oh, no!", "Hi")
    assert group_names(corpus) == [["happiness"], ["disgust"], ["neutral"]]
    assert corpus.sources == ("dev 0", "dev 0", "dev 7")
    with pytest.raises(CorpusError, match="has 3 utterances; 1109 were published"):
        read_text_corpus("meld", tmp_path, "dev")


def test_isear_parts_share_no_person(tmp_path: Path) -> None:
    lines = ["ID|EMOT|SIT|Field1"]
    for person in range(300):
        lines += [
            f'{person}|1|"When I won á\nagain."|joy',
            f"{person}|6|I lied.|shame",
            f"{person}|4|[ No response.]|sadness",
        ]
    (tmp_path / "isear.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    parts = {part: read_text_corpus("isear", tmp_path, part, check_counts=False) for part in ("train", "dev", "test")}
    people = [set(corpus.sources) for corpus in parts.values()]
    assert len(set.union(*people)) == 300 == sum(map(len, people)) and min(map(len, people)) > 10
    assert set(parts["train"].texts) == {"When I won again.", "I lied."}
    assert group_names(parts["dev"])[:2] == [["happiness"], []]  # shame has no counterpart


def test_isear_with_numbers_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("ID,EMOT,SIT\n" + "".join(f"{who},2,A bear.\n" for who in range(50)))
    assert group_names(read_text_corpus("isear", tmp_path / "mine.csv", check_counts=False))[0] == ["fear"]


def test_dailydialog(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "dialogues_validation.txt").write_text("Hi . __eou__ Go away ! __eou__\nBoo ! __eou__\nLost __eou__\n")
    (folder / "dialogues_emotion_validation.txt").write_text("0 1 \n6\n0 0\n")
    corpus = read_text_corpus("dailydialog", tmp_path, "dev", check_counts=False)
    assert corpus.texts == ("Hi .", "Go away !", "Boo !")  # the third dialogue has one emotion too many
    assert group_names(corpus) == [["neutral"], ["anger"], ["surprise"]]
    assert corpus.sources == ("dev 0", "dev 0", "dev 1")
    (folder / "dialogues_emotion_validation.txt").write_text("0 1\n")
    with pytest.raises(CorpusError, match="has 3 dialogues; 1 of them have as many emotions as utterances"):
        read_text_corpus("dailydialog", tmp_path, "dev", check_counts=False)


def test_iemocap_words_need_no_sound(tmp_path: Path) -> None:
    release = write_small_iemocap(tmp_path)
    for wav in release.rglob("*.wav"):
        wav.unlink()
    corpus = read_text_corpus("iemocap", tmp_path, "test", check_counts=False)
    assert corpus.texts[0] == "Words of Ses05F_impro01_F000." and corpus.labels == IEMOCAP.labels
    assert set(corpus.sources) == {"Ses05F_impro01", "Ses05M_script01_1b"} and group_names(corpus)[0] == ["anger"]
    assert len(read_text_corpus("iemocap", release, "train", check_counts=False)) == len(corpus)  # session 1 alone
    with pytest.raises(CorpusError, match="labeled turns; 2170 were published; unpack"):
        read_text_corpus("iemocap", release, "test")
    with pytest.raises(CorpusError, match="contains no text"):
        read_text_corpus("iemocap", release, "dev", check_counts=False)


def test_plain_csv_takes_labels_of_the_seven_and_of_goemotions(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('text;label;source\n"Slow; again";annoyance|sadness;anna\nNice;Happiness;ben\n')
    corpus = read_text_corpus("csv", tmp_path)
    assert corpus.texts == ("Slow; again", "Nice") and corpus.sources == ("anna", "ben")
    assert set(corpus.labels) == {"annoyance", "sadness", "happiness"}
    assert group_names(corpus) == [["sadness", "anger"], ["happiness"]]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("text,label\nNice,jolly\n", "text 1 has the unknown label 'jolly'; use one of anger, annoyance,"),
        ("text,emotion\nNice,joy\n", "has no column 'label'; give a table with a first line that names text, label"),
        ("text,label\n", "contains no text"),
        ("", "has no column 'text'"),
    ],
)
def test_plain_csv_that_cannot_be_read(tmp_path: Path, content: str, fact: str) -> None:
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(CorpusError, match=fact):
        read_text_corpus("csv", tmp_path / "mine.csv")


def test_files_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("text,label\nCafé,joy\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.csv: is not UTF-8 \(byte 14\)"):
        read_text_corpus("csv", tmp_path / "latin.csv")
    with pytest.raises(CorpusError, match=r"nowhere\.csv: cannot be read \(No such file or directory\)"):
        corpus_text(tmp_path / "nowhere.csv")


def test_unknown_corpus_and_part_name_the_choices(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=f"'friends': unknown text corpus; choose one of {', '.join(TEXT_CORPORA)}"):
        read_text_corpus("friends", tmp_path)
    for corpus in TEXT_CORPORA:
        with pytest.raises(CorpusError, match="no part 'valid'; choose one of train, dev, test"):
            read_text_corpus(corpus, tmp_path, "valid")


# --- what every corpus can do -------------------------------------------------------------------------------------


def corpus_of(sources: list[str]) -> TextCorpus:
    targets = np.eye(7, dtype=np.uint8)[np.arange(len(sources)) % 7]
    return TextCorpus(
        "csv", tuple(sources), targets, FUSED_LABELS, {label: label for label in FUSED_LABELS}, tuple(sources)
    )


@given(st.lists(st.text(max_size=8), min_size=1, max_size=60), st.floats(0, 1))
def test_held_out_texts_keep_their_source_together(sources: list[str], share: float) -> None:
    apart = corpus_of(sources).held_out(share)
    for source in set(sources):
        assert len({bool(one) for one, own in zip(apart, sources, strict=True) if own == source}) == 1
    backwards = corpus_of(sources[::-1]).held_out(share)
    assert backwards[::-1].tolist() == apart.tolist()


def test_held_out_share_is_met() -> None:
    apart = corpus_of([str(number) for number in range(5000)]).held_out(0.1)
    assert apart.mean() == pytest.approx(0.1, abs=0.015)
    assert not corpus_of(["a"]).held_out(0.0).any() and corpus_of(["a"]).held_out(1.0).all()


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="2 texts, 2 sources and targets"):
        TextCorpus("csv", ("a", "b"), np.zeros((3, 7), np.uint8), FUSED_LABELS, {}, ("a", "b"))
