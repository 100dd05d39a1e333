"""Protocols on IEMOCAP: disjoint training and test turns, and each turn tested once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from iemocap_corpus import write_iemocap
from voice_layouts import write_full_evaluations

from multimodal.data.corpora.iemocap import IEMOCAP_LABELS, PUBLISHED_FOUR, IemocapTurn, read_iemocap
from multimodal.data.corpora.iemocap_protocols import PROTOCOLS, affect_of, folds, label_names, rescale, with_labels
from multimodal.errors import CorpusError


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> list[IemocapTurn]:
    corpus = write_iemocap(tmp_path_factory.mktemp("iemocap"), turns=8)
    return with_labels(read_iemocap(corpus.folder, check_counts=False), 4)[0]


def test_sessions_are_apart_in_all_three_parts(turns: list[IemocapTurn]) -> None:
    actual = folds(turns, "leave_one_session_out")
    assert [fold.name for fold in actual] == [f"session-{number}" for number in range(1, 6)]
    for fold in actual:
        parts = [[turns[index] for index in part] for part in (fold.train, fold.validation, fold.test)]
        for what in ("session", "dialogue", "speaker"):
            sets = [{getattr(turn, what) for turn in part} for part in parts]
            assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2]), what
        assert [len({turn.session for turn in part}) for part in parts] == [3, 1, 1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_turn_is_judged_once_and_never_learnt_from_there(turns: list[IemocapTurn], protocol: str) -> None:
    actual = folds(turns, protocol, seed=4)
    assert len(actual) == 5
    assert sorted(np.concatenate([fold.test for fold in actual]).tolist()) == list(range(len(turns)))
    for fold in actual:
        everything = np.concatenate([fold.train, fold.validation, fold.test])
        assert sorted(everything.tolist()) == list(range(len(turns)))


def test_random_folds_follow_their_seed_and_share_speakers(turns: list[IemocapTurn]) -> None:
    first, again, other = (folds(turns, "random_folds", seed) for seed in (0, 0, 1))
    assert all((one.test == two.test).all() for one, two in zip(first, again, strict=True))
    assert any(
        len(one.test) != len(two.test) or (one.test != two.test).any() for one, two in zip(first, other, strict=True)
    )
    shared = {turns[index].speaker for index in first[0].train} & {turns[index].speaker for index in first[0].test}
    assert shared  # which is why the paper's figures say nothing about strangers
    assert len(first[0].validation) == round(0.05 * len(turns))


def test_too_little_is_named(turns: list[IemocapTurn]) -> None:
    two = [turn for turn in turns if turn.session < 3]
    with pytest.raises(CorpusError, match="2 sessions with such labels"):
        folds(two, "leave_one_session_out")
    with pytest.raises(CorpusError, match="has 3 such turns"):
        folds(turns[:3], "random_folds")
    with pytest.raises(ValueError, match="protocol must be one of"):
        folds(turns, "leave_one_out")


@pytest.mark.parametrize(("classes", "count"), [(4, 5531), (5, 7380), (6, 7380)])
def test_label_sets_of_the_whole_release(tmp_path: Path, classes: int, count: int) -> None:
    everyone = read_iemocap(write_full_evaluations(tmp_path), check_counts=False)
    selection, targets = with_labels(everyone, classes)
    assert len(selection) == len(targets) == count
    assert len(label_names(classes)) == classes
    if classes == 4:
        assert label_names(4) == IEMOCAP_LABELS
        sessions = np.array([turn.session for turn in selection])
        for session, numbers in PUBLISHED_FOUR.items():
            assert np.bincount(targets[sessions == session]).tolist() == list(numbers)


def test_scales_are_brought_onto_one_and_clipped(turns: list[IemocapTurn]) -> None:
    assert rescale(np.array([1, 2, 3, 4, 5, 0.5, 5.5])).tolist() == [-1, -0.5, 0, 0.5, 1, -1, 1]
    values = affect_of(turns)
    assert values.shape == (len(turns), 3)
    assert values.min() >= -1 and values.max() == 1  # the corpus holds valences of 5.5
    assert affect_of([]).shape == (0, 3)
