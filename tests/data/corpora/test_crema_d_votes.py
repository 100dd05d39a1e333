"""CREMA-D's votes: a hand-made table, damaged tables, and the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multimodal.data.corpora.crema_d_votes import read_votes
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError

HEADER = '"","A","D","F","H","N","S","fileName"'
CLIPS = [
    '"100001",0,0,0,0,9,1,"1001_IEO_HAP_LO"',  # heard as neutral
    '"200001",0,0,0,8,2,0,"1001_IEO_HAP_LO"',  # seen as happiness
    '"300001",0,0,0,6,4,0,"1001_IEO_HAP_LO"',
    '"100002",5,5,0,0,0,0,"1002_DFA_ANG_XX"',  # heard as anger or disgust by equal numbers
    '"200002",9,1,0,0,0,0,"1002_DFA_ANG_XX"',
    '"300002",10,0,0,0,0,0,"1002_DFA_ANG_XX"',
]


def write(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    (folder / "tabulatedVotes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def test_a_table_computed_by_hand(tmp_path: Path) -> None:
    votes = read_votes(write(tmp_path, CLIPS), check_counts=False)
    neutral, happiness, anger, disgust = (
        FUSED_LABELS.index(label) for label in ("neutral", "happiness", "anger", "disgust")
    )
    expected = np.zeros((7, 7, 7))
    expected[neutral, happiness, happiness], expected[neutral, happiness, neutral] = 0.3, 0.2
    expected[anger, anger, anger] = expected[disgust, anger, anger] = 0.25
    np.testing.assert_allclose(votes.shares, expected)
    assert votes.clips == 2 and votes.agreement == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("rows", "header", "fact"),
    [
        ([*CLIPS[:5], CLIPS[5].replace("10,", "x,")], HEADER, "line 7 is not a row of votes"),
        ([*CLIPS[:5], CLIPS[5].replace("10,", "0,")], HEADER, "line 7 has no votes"),
        ([*CLIPS[:5], CLIPS[5].replace("10,", f"{'9' * 5000},")], HEADER, "line 7 is not a row of votes"),
        ([*CLIPS[:5], CLIPS[5].replace("ANG", "../x")], HEADER, "line 7 is not a row of votes"),
        ([CLIPS[0]], HEADER, "no clip with votes on voice, face and both"),
        (CLIPS, HEADER.replace('"A",', '"Q",'), "line 2 is not a row of votes"),
        ([], HEADER, "no clip with votes"),
    ],
)
def test_damaged_tables(tmp_path: Path, rows: list[str], header: str, fact: str) -> None:
    with pytest.raises(CorpusError, match=fact):
        read_votes(write(tmp_path, rows, header), check_counts=False)


def test_missing_table_and_missing_clips(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"contains no tabulatedVotes\.csv"):
        read_votes(tmp_path)
    with pytest.raises(CorpusError, match="2 clips; 7442 were published"):
        read_votes(write(tmp_path, CLIPS))


@pytest.mark.corpus
def test_published_table(shared_folder: Path, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared_folder / "datasets" / "crema_d_votes.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    votes = read_votes(tmp_path)
    assert votes.shares.sum() == pytest.approx(1) and votes.agreement == pytest.approx(0.5, abs=0.02)
    happiness = FUSED_LABELS.index("happiness")
    joint = votes.shares[:, :, happiness] / votes.shares[:, :, happiness].sum()
    # Happiness is seen and hardly heard.
    assert joint[:, happiness].sum() > 0.9 and joint[0].sum() > 0.45
