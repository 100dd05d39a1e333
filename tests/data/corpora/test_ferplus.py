"""FER+: both layouts, the majority rule and the shares by hand, invalid files, the published counts."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_corpus import striped_corpus, write_pictures, write_tables
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multimodal.data.corpora.ferplus import (
    PUBLISHED,
    FaceCorpus,
    distributions,
    kept_apart,
    majority_labels,
    read_ferplus,
    vote_shares,
)
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import CorpusError

Votes = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
any_votes = arrays(np.int64, st.tuples(st.integers(1, 6), st.just(10)), elements=st.integers(0, 10))
steady = settings(database=None, derandomize=True)

NEUTRAL, HAPPINESS, SADNESS, NONE = 0, 1, 3, -1

BY_HAND = [
    # neutral happiness surprise sadness anger disgust fear contempt unknown NF, the winner, the shares
    pytest.param([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], NEUTRAL, {0: 1}, id="unanimous"),
    pytest.param([4, 1, 1, 1, 1, 1, 1, 0, 0, 0], NEUTRAL, {0: 1}, id="single votes are nothing, so four of four"),
    pytest.param([4, 4, 0, 0, 0, 0, 0, 0, 2, 0], NONE, {0: 0.5, 1: 0.5}, id="tie"),
    pytest.param([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], NONE, {0: 0.5, 1: 0.5}, id="exactly half"),
    pytest.param([5, 3, 2, 0, 0, 0, 0, 0, 0, 0], NONE, {0: 0.5, 1: 0.3, 2: 0.2}, id="exactly half, and first"),
    pytest.param([5, 3, 1, 1, 0, 0, 0, 0, 0, 0], NEUTRAL, {0: 0.625, 1: 0.375}, id="more than half of the rest"),
    pytest.param([0, 2, 0, 6, 0, 0, 0, 0, 1, 1], SADNESS, {1: 0.25, 3: 0.75}, id="another class"),
    pytest.param([0, 6, 0, 0, 0, 0, 0, 0, 4, 0], HAPPINESS, {1: 1}, id="unknown counts in the sum only"),
    pytest.param([2, 2, 0, 0, 0, 0, 0, 0, 6, 0], NONE, {}, id="unknown wins"),
    pytest.param([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], NONE, {}, id="not a face"),
    pytest.param([0, 3, 0, 2, 0, 0, 0, 0, 5, 0], NONE, {1: 0.6, 3: 0.4}, id="half of the votes name an emotion"),
    pytest.param([0, 2, 0, 2, 0, 0, 0, 0, 5, 0], NONE, {}, id="fewer than half do"),
    pytest.param([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], NONE, {}, id="nothing but single votes"),
    pytest.param([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], NONE, {}, id="no vote"),
]


@pytest.mark.parametrize(("votes", "winner", "shares"), BY_HAND)
def test_majority_and_shares_by_hand(votes: list[int], winner: int, shares: dict[int, float]) -> None:
    expected = [shares.get(label, 0.0) for label in range(8)]
    assert majority_labels(np.array([votes])).tolist() == [winner]
    assert distributions(np.array([votes]))[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("votes", "shares"),
    [
        pytest.param([4, 1, 1, 1, 1, 1, 1, 0, 0, 0], {0: 0.4, **dict.fromkeys(range(1, 7), 0.1)}, id="single votes"),
        pytest.param([0, 3, 0, 2, 0, 0, 0, 0, 5, 0], {1: 0.6, 3: 0.4}, id="half of the votes name an emotion"),
        pytest.param([0, 3, 0, 1, 0, 0, 0, 0, 3, 3], {}, id="fewer than half do"),
        pytest.param([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], {}, id="not a face"),
        pytest.param([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], {}, id="no vote"),
    ],
)
def test_shares_of_all_votes_by_hand(votes: list[int], shares: dict[int, float]) -> None:
    assert vote_shares(np.array([votes]))[0].tolist() == pytest.approx([shares.get(label, 0.0) for label in range(8)])


@steady
@given(any_votes)
def test_shares_of_all_votes_sum_to_one_or_nothing(votes: Votes) -> None:
    shares, sums = vote_shares(votes), vote_shares(votes).sum(axis=1)
    assert ((np.abs(sums - 1) < 1e-9) | (sums == 0)).all() and (shares >= 0).all()
    named = votes[:, :8].sum(axis=1)
    assert ((sums > 0) == ((named > 0) & (2 * named >= votes.sum(axis=1)))).all()


def majority_in_words(votes: list[int]) -> int:
    """The published rule once more, without arrays."""
    counts = Counter({label: count for label, count in enumerate(votes) if count != 1})
    for label, count in counts.items():
        if Fraction(count, counts.total() or 1) > Fraction(1, 2):
            return label if label < len(FACE_LABELS) else NONE
    return NONE


@steady
@given(any_votes)
def test_majority_is_the_published_rule(votes: Votes) -> None:
    assert majority_labels(votes).tolist() == [majority_in_words(row) for row in votes.tolist()]


@steady
@given(any_votes)
def test_shares_are_a_distribution_that_agrees_with_the_majority(votes: Votes) -> None:
    shares, winners = distributions(votes), majority_labels(votes)
    assert shares.dtype == np.float32 and shares.min() >= 0
    for row, winner, counts in zip(shares, winners, votes, strict=True):
        assert row.sum() == pytest.approx(1, abs=1e-6) or not row.any()
        assert not row[counts[:8] <= 1].any()
        if winner >= 0:
            assert row.argmax() == winner and row[winner] > 0.5


@steady
@given(any_votes, st.permutations(range(8)))
def test_no_emotion_is_special(votes: Votes, order: list[int]) -> None:
    moved = votes[:, [*order, 8, 9]]
    renamed = [order.index(winner) if winner >= 0 else NONE for winner in majority_labels(votes)]
    assert majority_labels(moved).tolist() == renamed
    assert distributions(moved) == pytest.approx(distributions(votes)[:, order])


@pytest.fixture(scope="module")
def corpora() -> dict[str, FaceCorpus]:
    return {split: striped_corpus(each, seed) for seed, (split, each) in enumerate({"train": 2, "valid": 1}.items())}


@pytest.fixture(params=[write_pictures, write_tables])
def layout(
    request: pytest.FixtureRequest, tmp_path: Path, corpora: dict[str, FaceCorpus]
) -> tuple[Path, dict[str, FaceCorpus]]:
    write: Callable[..., Path] = request.param
    return write(tmp_path / "corpus", corpora), corpora


@pytest.mark.parametrize("split", ["train", "valid"])
def test_each_layout_gives_what_was_written(layout: tuple[Path, dict[str, FaceCorpus]], split: str) -> None:
    folder, changed_at = layout
    corpus, expected = read_ferplus(folder, split, check_counts=False), changed_at[split]
    assert corpus.names == expected.names and len(corpus) == len(expected)
    assert (corpus.images.dtype, corpus.votes.dtype) == (np.uint8, np.int64)
    assert np.array_equal(corpus.images, expected.images)
    assert np.array_equal(corpus.votes, expected.votes)


def test_split_folder_itself_may_be_named(tmp_path: Path, corpora: dict[str, FaceCorpus]) -> None:
    folder = write_pictures(tmp_path, corpora)
    assert read_ferplus(folder / "FER2013Valid", "valid", check_counts=False).names == corpora["valid"].names
    renamed = (folder / "FER2013Train").rename(folder / "mine")
    assert read_ferplus(renamed, "train", check_counts=False).names == corpora["train"].names


def test_folder_of_another_split_is_refused(tmp_path: Path, corpora: dict[str, FaceCorpus]) -> None:
    folder = write_pictures(tmp_path, corpora) / "FER2013Train"
    with pytest.raises(CorpusError, match=re.escape("contains no FER2013Valid/label.csv")):
        read_ferplus(folder, "valid", check_counts=False)


def test_subset_keeps_the_three_together(corpora: dict[str, FaceCorpus]) -> None:
    corpus = corpora["train"]
    part = corpus.subset(majority_labels(corpus.votes) == HAPPINESS)
    assert part.names == (corpus.names[1], corpus.names[9])
    assert np.array_equal(part.images, corpus.images[[1, 9]]) and np.array_equal(part.votes, corpus.votes[[1, 9]])


@pytest.mark.parametrize(
    ("broken", "fact"),
    [
        (["fer.png", "box", *"800000000"], r"label\.csv: line 3 does not contain 10 vote counts"),
        (["fer.png", "box", *"80000000000"], "line 3 does not contain 10 vote counts"),
        (["fer.png", "box", *"80000000x0"], "line 3 does not contain 10 vote counts"),
        (["fer.png", "box", "-1", *"800000000"], "line 3 does not contain 10 vote counts"),
        (["fer.png", "box", "8.5", *"000000000"], "line 3 does not contain 10 vote counts"),
        ([], "line 3 does not contain 10 vote counts"),
        (["absent.png", "box", *"8000000000"], r"absent\.png: is missing or not 48x48"),
        (["small.png", "box", *"8000000000"], r"small\.png: is missing or not 48x48"),
        (["text.png", "box", *"8000000000"], r"text\.png: is missing or not 48x48"),
        (["x" * 200_000], "contains an invalid label file"),
    ],
)
def test_damaged_picture_folder(tmp_path: Path, corpora: dict[str, FaceCorpus], broken: list[str], fact: str) -> None:
    folder = write_pictures(tmp_path, corpora)
    labels = folder / "FER2013Valid" / "label.csv"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join([*lines[:2], ",".join(broken), *lines[2:]]))
    cv2.imwrite(str(labels.with_name("small.png")), np.zeros((47, 48), np.uint8))
    labels.with_name("text.png").write_text("not a picture")
    with pytest.raises(CorpusError, match=fact):
        read_ferplus(folder, "valid", check_counts=False)


def edit(path: Path, change: Callable[[list[list[str]]], None]) -> None:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize(
    ("name", "change", "fact"),
    [
        ("fer2013new.csv", lambda rows: rows.pop(), r"fer2013new\.csv: ends before line 27"),
        ("fer2013.csv", lambda rows: rows.pop(), r"fer2013\.csv: ends before line 27"),
        (
            "fer2013new.csv",
            lambda rows: rows[2].__setitem__(4, ""),
            r"new\.csv: line 3 does not contain 10 vote",
        ),
        (
            "fer2013.csv",
            lambda rows: rows[3].__setitem__(1, "1 2 3"),
            r"fer2013\.csv: line 4 does not contain 2304",
        ),
        ("fer2013.csv", lambda rows: rows[3].__setitem__(1, "256 " * 2304), "line 4 does not contain 2304 gray levels"),
        ("fer2013.csv", lambda rows: rows[3].__setitem__(1, "x " * 2304), "line 4 does not contain 2304 gray levels"),
        ("fer2013.csv", lambda rows: rows[3].__setitem__(1, "1" * 200_000), "contains an invalid label file"),
        ("fer2013.csv", lambda rows: rows[0].__setitem__(1, "pixel"), "line 2 does not contain 2304 gray levels"),
    ],
)
def test_damaged_tables(
    tmp_path: Path, corpora: dict[str, FaceCorpus], name: str, change: Callable[[list[list[str]]], None], fact: str
) -> None:
    folder = write_tables(tmp_path, corpora)
    edit(folder / name, change)
    with pytest.raises(CorpusError, match=fact):
        read_ferplus(folder, "train", check_counts=False)


def test_three_digits_in_every_pixel_are_read(tmp_path: Path, corpora: dict[str, FaceCorpus]) -> None:
    folder = write_tables(tmp_path, corpora)
    edit(folder / "fer2013.csv", lambda rows: rows[1].__setitem__(1, "255   " * 2304))
    assert read_ferplus(folder, "train", check_counts=False).images[0].tolist() == [[255] * 48] * 48


def test_folder_without_the_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"contains no FER2013Train/label\.csv; name the folder"):
        read_ferplus(tmp_path / "nowhere", "train")
    with pytest.raises(CorpusError, match=r"contains no FER2013Train/label\.csv; name the folder"):
        read_ferplus(tmp_path, "train")


def test_absent_split_is_not_another_one(layout: tuple[Path, dict[str, FaceCorpus]]) -> None:
    with pytest.raises(CorpusError, match=r"no picture with a majority in the test split|contains no FER2013Test"):
        read_ferplus(layout[0], "test", check_counts=False)


def test_unknown_split_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no split 'dev'; choose one of train, valid, test"):
        read_ferplus(tmp_path, "dev")


def test_wrong_counts_name_both_numbers(layout: tuple[Path, dict[str, FaceCorpus]]) -> None:
    fact = "has 16 pictures in the train split, 16 with a majority; 28558 and 25045 were published"
    with pytest.raises(CorpusError, match=fact):
        read_ferplus(layout[0], "train")


def test_number_with_a_majority_is_checked_too(
    tmp_path: Path, corpora: dict[str, FaceCorpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path, corpora)
    monkeypatch.setitem(PUBLISHED, "train", (16, 16))
    assert len(read_ferplus(folder, "train")) == 16
    monkeypatch.setitem(PUBLISHED, "train", (16, 15))
    with pytest.raises(CorpusError, match="16 with a majority; 16 and 15 were published"):
        read_ferplus(folder, "train")


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize(("split", "pictures", "clear"), [("train", 28_558, 25_045), ("valid", 3_579, 3_191)])
def test_published_corpus_has_the_published_counts(ferplus_folder: Path, split: str, pictures: int, clear: int) -> None:
    corpus = read_ferplus(ferplus_folder, split)
    assert corpus.images.shape == (pictures, 48, 48) and len(set(corpus.names)) == pictures
    assert int((majority_labels(corpus.votes) >= 0).sum()) == clear
    assert set(corpus.votes.sum(axis=1).tolist()) <= {9, 10}  # ten people; a few pictures lost one
    assert corpus.images.std(axis=(1, 2)).mean() == pytest.approx(55, abs=10)  # pictures, not noise or zeros


# The pictures kept apart


def test_kept_pictures_depend_on_the_pixels_alone() -> None:
    corpus = striped_corpus(60, 0)
    twice = FaceCorpus(corpus.images[::-1].repeat(2, 0), corpus.votes.repeat(2, 0), corpus.names * 2)
    kept = kept_apart(corpus, 0.2)
    assert kept_apart(twice, 0.2).tolist() == kept[::-1].repeat(2).tolist()
    assert 55 < kept.sum() < 140  # 96 ± 5 deviations of 9


@steady
@given(st.floats(0, 1), st.floats(0, 1))
def test_smaller_share_is_part_of_a_larger(one: float, other: float) -> None:
    corpus = striped_corpus(3, 0)
    small, large = (kept_apart(corpus, share) for share in sorted((one, other)))
    assert not (small & ~large).any()
