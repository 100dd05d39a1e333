"""The corpus of usability talk: the files of the package, and files that cannot be read."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from multimodal.data.corpora.texts import read_text_corpus
from multimodal.data.corpora.usability import (
    DIALOGUE_COLUMNS,
    KINDS,
    SENTENCE_COLUMNS,
    UsabilityCorpus,
    read_dialogues,
    read_usability,
    shipped_corpus,
)
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.errors import CorpusError
from multimodal.types import USABILITY_LABELS

PARTS = ("train", "dev", "test")
ROW = {
    "text": "it did it again",
    "emotions": "annoyance,confusion",
    "group": "anger",
    "usability": "frustration",
    "kind": "frustration",
    "topic": "tax form",
    "author": "w1-a",
    "level": "native",
    "second_emotions": "",
    "second_usability": "",
}
TURN = {"dialogue": "d1", "turn": "1", "speaker": "P", **ROW}


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def write(folder: Path, rows: list[dict[str, str]], columns: tuple[str, ...], name: str = "train.tsv") -> Path:
    lines = ["\t".join(columns), *("\t".join(row[column] for column in columns) for row in rows)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_parts_of_the_package_share_no_author_and_no_sentence() -> None:
    parts = {part: read_usability(part=part) for part in PARTS}
    assert sum(map(len, parts.values())) >= 3000 and len(parts["test"]) >= 600
    for first, second in itertools.combinations(PARTS, 2):
        assert not set(parts[first].sources) & set(parts[second].sources)
        said = [{words(text) for text in parts[part].texts if len(text.split()) > 3} for part in (first, second)]
        assert not said[0] & said[1]
    for part in parts.values():
        assert len({words(text) for text in part.texts}) == len(part)
    for part in ("train", "test"):
        assert set(parts[part].kinds) == set(KINDS)
        assert set(parts[part].usability.tolist()) == set(range(len(USABILITY_LABELS)))


def test_second_volume_shares_no_author_and_no_sentence_with_the_parts() -> None:
    second = read_usability(part="second")
    assert len(second) >= 4000 and set(second.kinds) == set(KINDS)
    for part in PARTS:
        other = read_usability(part=part)
        assert not set(second.sources) & set(other.sources)
        assert not {words(text) for text in second.texts} & {words(text) for text in other.texts}


def test_dialogues_of_the_package_belong_to_the_authors_of_their_part() -> None:
    for part in PARTS:
        dialogues = read_dialogues(part=part)
        assert len(dialogues) >= 20 and len({dialogue.name for dialogue in dialogues}) == len(dialogues)
        authors = {source for dialogue in dialogues for source in dialogue.turns.sources}
        assert authors <= set(read_usability(part=part).sources)
        for dialogue in dialogues:
            assert 5 <= len(dialogue.turns) == len(dialogue.speakers) and "P" in dialogue.speakers


def test_a_row_is_read_with_all_its_labels(tmp_path: Path) -> None:
    wish = {**ROW, "text": "they could put it up here", "emotions": "desire", "group": "neutral"}
    write(
        tmp_path, [ROW, {**wish, "usability": "suggestion", "kind": "suggestion", "author": "w2-b"}], SENTENCE_COLUMNS
    )
    corpus = read_text_corpus("usability", tmp_path)
    assert isinstance(corpus, UsabilityCorpus)
    assert corpus.texts == ("it did it again", "they could put it up here") and corpus.sources == ("w1-a", "w2-b")
    assert [FUSED_LABELS[index] for index in corpus.main] == ["anger", "neutral"]
    assert [USABILITY_LABELS[index] for index in corpus.usability] == ["frustration", "suggestion"]
    named = [[GOEMOTIONS_LABELS[index] for index in np.flatnonzero(row)] for row in corpus.targets]
    assert named == [["annoyance", "confusion"], ["desire"]]
    second = corpus.subset(np.array([False, True]))
    assert isinstance(second, UsabilityCorpus) and second.kinds == ("suggestion",) and second.main.tolist() == [0]


def test_dialogues_are_read_turn_by_turn(tmp_path: Path) -> None:
    asked = {**TURN, "turn": "2", "speaker": "M", "emotions": "curiosity", "group": "neutral", "usability": "question"}
    rows = [TURN, asked, {**TURN, "dialogue": "d2"}]
    write(tmp_path, rows, DIALOGUE_COLUMNS, "train_dialogues.tsv")
    first, second = read_dialogues(tmp_path)
    assert (first.name, first.speakers, len(second.turns)) == ("d1", ("P", "M"), 1)
    assert first.turns.main.tolist() == [FUSED_LABELS.index("anger"), FUSED_LABELS.index("neutral")]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"emotions": "rage"}, "line 3 has the unknown emotion 'rage'"),
        ({"group": "sadness"}, "line 3 has the group 'sadness'; that of annoyance is anger"),
        ({"usability": "anger"}, "line 3 has the unknown usability label 'anger'"),
        ({"kind": "rant"}, "line 3 has the unknown kind 'rant'"),
        ({"text": "two\tcolumns"}, "line 3 has 11 columns instead of 10"),
    ],
)
def test_invalid_sentences_are_named(tmp_path: Path, change: dict[str, str], fact: str) -> None:
    write(tmp_path, [ROW, {**ROW, **change}], SENTENCE_COLUMNS)
    with pytest.raises(CorpusError, match=fact):
        read_usability(tmp_path)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"turn": "3"}, "line 3: turn '3' of dialogue 'd1' is out of order"),
        ({"turn": "2", "speaker": "X"}, "line 3 has"),
    ],
)
def test_invalid_dialogues_are_named(tmp_path: Path, change: dict[str, str], fact: str) -> None:
    write(tmp_path, [TURN, {**TURN, **change}], DIALOGUE_COLUMNS, "dev_dialogues.tsv")
    with pytest.raises(CorpusError, match=fact):
        read_dialogues(tmp_path, "dev")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("text\tlabel\nhello\t3\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="has other columns"):
        read_usability(tmp_path)
    write(tmp_path, [], SENTENCE_COLUMNS)
    with pytest.raises(CorpusError, match="contains no text"):
        read_usability(tmp_path)
    with pytest.raises(CorpusError, match="goemotions: is not part of the package"):
        read_text_corpus("goemotions", None)


def test_corpus_has_a_card_that_says_how_it_was_made() -> None:
    card = (shipped_corpus() / "README.md").read_text(encoding="utf-8")
    for phrase in ("written by language models", "not recorded speech", "CC0", "blind"):
        assert phrase in card
    for part in PARTS:
        assert f"{len(read_usability(part=part)):,}" in card and str(len(read_dialogues(part=part))) in card
