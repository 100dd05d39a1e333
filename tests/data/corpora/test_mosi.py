"""MOSI: the published form, its order, folds by video, invalid files, the real training part."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mosi_corpus import write_mosi

from multimodal.data.corpora.mosi import POLARITIES, read_mosi, video_folds
from multimodal.errors import ConfigError, CorpusError

steady = settings(database=None, derandomize=True)


def test_utterances_are_in_the_order_of_speaking_with_their_own_features(tmp_path: Path) -> None:
    folder = write_mosi(tmp_path, videos=3, utterances=12)
    corpus = read_mosi(folder, check_counts=False)
    assert corpus.videos == tuple(f"video{video}" for video in range(3) for _ in range(12))
    assert corpus.numbers.tolist() == [*range(1, 13)] * 3
    assert corpus.audio.shape == (36, 73) and corpus.face.shape == (36, 100)
    with (folder / "words.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    audio = np.loadtxt(folder / "audio.csv", delimiter=",")
    face = np.loadtxt(folder / "face.csv", delimiter=",")
    assert [row["utterance"] for row in rows] != [str(number) for number in corpus.numbers]  # another order in the file
    for index in (0, 9, 35):
        key = corpus.videos[index], str(corpus.numbers[index])
        (place,) = [place for place, row in enumerate(rows) if (row["video"], row["utterance"]) == key]
        assert corpus.texts[index] == rows[place]["words"]
        assert POLARITIES[corpus.targets[index]] == rows[place]["polarity"]
        assert np.allclose(corpus.audio[index], audio[place], rtol=1e-6)
        assert np.allclose(corpus.face[index], face[place], rtol=1e-6)


def test_folder_above_is_accepted(tmp_path: Path) -> None:
    write_mosi(tmp_path / "mosi", videos=2, utterances=2)
    assert len(read_mosi(tmp_path, check_counts=False)) == 4


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Replaces text in a file once."""

    def apply(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return apply


def drop_row(folder: Path) -> None:
    lines = (folder / "face.csv").read_text(encoding="utf-8").splitlines()
    (folder / "face.csv").write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")


def one_number(folder: Path) -> None:
    lines = (folder / "audio.csv").read_text(encoding="utf-8").splitlines()
    (folder / "audio.csv").write_text("\n".join([*lines[:-1], "1.5"]) + "\n", encoding="utf-8")


def not_finite(folder: Path) -> None:
    lines = (folder / "audio.csv").read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    (folder / "audio.csv").write_text(
        "\n".join([lines[0], ",".join(["nan", *cells[1:]]), *lines[2:]]), encoding="utf-8"
    )


def repeat(folder: Path) -> None:
    lines = (folder / "words.csv").read_text(encoding="utf-8").splitlines()
    (folder / "words.csv").write_text("\n".join([*lines[:-1], lines[1]]) + "\n", encoding="utf-8")


DAMAGE = [
    pytest.param(lambda folder: (folder / "face.csv").unlink(), r"contains no face\.csv; name the", id="missing"),
    pytest.param(change("words.csv", "polarity", "label"), "does not start with the columns video", id="header"),
    pytest.param(change("words.csv", ",negative", ",neutral"), "is not a video, a number, words", id="label"),
    pytest.param(change("words.csv", "video1,", "video1,a"), "is not a video, a number, words", id="number"),
    pytest.param(repeat, r"row 8 repeats utterance \d+ of video\d", id="repeated"),
    pytest.param(drop_row, r"face\.csv: has 7 rows for 8 utterances in words\.csv", id="shorter"),
    pytest.param(one_number, r"audio\.csv: row 8 is not 73 numbers", id="columns"),
    pytest.param(not_finite, r"audio\.csv: row 2 holds a value that is not finite", id="not finite"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_invalid_files_are_named(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    folder = write_mosi(tmp_path, videos=2, utterances=4, seed=3)
    assert len(read_mosi(folder, check_counts=False)) == 8
    damage(folder)
    with pytest.raises(CorpusError, match=message):
        read_mosi(folder, check_counts=False)


def test_other_counts_than_published_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="has 8 utterances, 1,447 were published; unpack the corpus again"):
        read_mosi(write_mosi(tmp_path, videos=2, utterances=4))


@steady
@given(st.lists(st.integers(0, 8), min_size=5, max_size=60), st.integers(2, 4), st.integers(0, 9))
def test_folds_share_no_video_and_are_of_similar_size(numbers: list[int], folds: int, seed: int) -> None:
    videos = [f"v{number}" for number in numbers]
    if len(set(videos)) < folds:
        with pytest.raises(ConfigError, match="folds: is"):
            video_folds(videos, folds, seed)
        return
    parts = video_folds(videos, folds, seed)
    assert set(parts.tolist()) == set(range(folds))
    assert all(len({part for part, each in zip(parts, videos, strict=True) if each == name}) == 1 for name in videos)
    largest = max(videos.count(name) for name in videos)
    assert np.bincount(parts).max() - np.bincount(parts).min() <= largest
    assert (video_folds(videos, folds, seed) == parts).all()
    assert (video_folds(videos[::-1], folds, seed)[::-1] == parts).all()


@pytest.mark.corpus
def test_the_real_training_part_has_the_published_counts(shared_folder: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_folder / "datasets" / "mosi.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    corpus = read_mosi(tmp_path)
    assert (len(corpus), len(set(corpus.videos))) == (1_447, 62)
    assert np.bincount(corpus.targets).tolist() == [738, 709]
    assert corpus.face.min() == 0 and (corpus.face.std(axis=0) == 0).sum() == 32  # of 100, some never vary
    for video in set(corpus.videos):
        numbers = corpus.numbers[[name == video for name in corpus.videos]]
        assert numbers.tolist() == list(range(1, len(numbers) + 1))  # no utterance is missing
    folds = video_folds(corpus.videos, 5)
    assert np.bincount(folds).min() > 270
