"""The command infer on real recordings, if present: faces over time, and their emotions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fusion_fixtures import SHIPPED_NOTES, shipped_fusion
from voice_fixtures import write_talk

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.moments import top_moments
from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.data.media.audio import read_audio
from multimodal.infer.model import Model, load_model
from multimodal.infer.options import AnalysisOptions

pytestmark = [pytest.mark.corpus, pytest.mark.slow]


@cache
def analyzed(path: Path) -> Analysis:
    """By the face alone."""
    return load_model("default", "cpu", ["face"]).analyze(path, AnalysisOptions(frames_per_second=5.0))


@cache
def heard_and_read(path: Path) -> Analysis:
    """By voice and words."""
    return load_model("default", "cpu", ["audio", "text"]).analyze(path)


def leading(frames: pd.DataFrame) -> pd.Series:
    """The most probable label of each scored face, by time."""
    return frames[frames["quality"] == "clear"].set_index("time_seconds")[list(FACE_LABELS)].idxmax(axis=1)


def identities(frames: pd.DataFrame, start: float, end: float) -> set[int]:
    return set(frames.loc[frames["time_seconds"].between(start, end, inclusive="left"), "face_id"].dropna())


def test_a_man_appears_neutral_and_then_smiles(shared_folder: Path) -> None:
    analysis = analyzed(shared_folder / "clips" / "noface_face.mov")
    frames = analysis.frames
    assert len(frames) == 32 and identities(frames, 0, 3.9) == set() and identities(frames, 3.9, 7) == {0}
    labels = leading(frames)
    assert labels.index[0] == pytest.approx(4.0, abs=0.1)
    assert set(labels[:4.3]) == {"neutral"}
    smiling = labels[5.0:]
    assert set(smiling) == {"happiness"} and len(smiling) >= 6
    happiness = frames.set_index("time_seconds")["happiness"]
    assert happiness[:4.3].max() < 0.5 < 0.8 < happiness[5.0:].min()
    assert analysis.coverage["face"] == pytest.approx((analysis.media.duration_seconds - 4.012) / 6.4, abs=0.02)
    assert analysis.warnings == SHIPPED_NOTES and analysis.utterances["modalities"].tolist() == ["", "face", "face"]
    shares = analysis.summary["shares_by_modality"]["face"]
    assert max(shares, key=shares.get) == "happiness"


SMILES = {"noface_face.mov": 4.55, "single_face.mp4": 0.58}
"""Seconds at which the corners of the lips begin to rise, read off the single pictures by eye."""


@pytest.mark.parametrize("name", SMILES)
@pytest.mark.parametrize("rate", [3.0, 5.0, 12.0])
def test_the_smile_is_dated_and_a_moment(shared_folder: Path, tmp_path: Path, name: str, rate: float) -> None:
    options = AnalysisOptions(frames_per_second=rate)
    analysis = load_model("default", "cpu", ["face"]).analyze(shared_folder / "clips" / name, options)
    analysis.save(tmp_path)
    for each in (analysis, read_analysis(tmp_path)):
        (change,) = (moment for moment in top_moments(each) if moment.kind == "change")
        assert change.time_seconds == pytest.approx(SMILES[name], abs=0.4)
        assert change.why == "face from neutral to happiness" and change.emotion == "happiness"
        start = each.estimates[change.index].utterance.start_seconds
        assert start == pytest.approx(change.time_seconds, abs=2e-3)
        assert [estimate.emotion for estimate in each.estimates[-2:]] == ["neutral", "happiness"]


def test_a_cartoon_gives_no_invented_emotion(shared_folder: Path) -> None:
    analysis = analyzed(shared_folder / "clips" / "no_face.mp4")
    content = analysis.to_dict()
    assert content["coverage"]["face"] == 0
    assert content["summary"]["shares"] is None and content["summary"]["dominant"] is None
    assert len(content["utterances"]) == 1
    for entry in content["utterances"]:
        assert entry["modalities"] == []
        assert not any(entry["estimates"].values())
        assert all(entry[key] is None for key in ("face_id", "valence", "arousal", "confidence"))
    assert content["warnings"] == ["no face was found"]
    assert len(analysis.frames) >= 19 and analysis.frames.drop(columns="time_seconds").isna().all(axis=None)
    assert analysis.frames["time_seconds"].is_unique


def test_times_fit_the_sound_that_starts_before_the_picture(shared_folder: Path) -> None:
    analysis = analyzed(shared_folder / "clips" / "hamilton.mp4")
    assert analysis.frame_times[0] == analysis.frames["time_seconds"][0] == pytest.approx(0.844, abs=5e-4)
    assert analysis.utterances["start_seconds"][0] == 0  # the sound's start, not the picture's
    assert analysis.utterances["end_seconds"].iloc[-1] == pytest.approx(analysis.media.duration_seconds, abs=1e-3)
    assert analysis.media.has_audio and analysis.coverage["face"] < 1 - 0.844 / analysis.media.duration_seconds


def test_nobody_goes_through_a_cut(shared_folder: Path) -> None:
    frames = analyzed(shared_folder / "clips" / "hamilton.mp4").frames
    shots = [(0.0, 1.6), (1.6, 3.6), (3.6, 8.0), (8.0, 11.0)]
    seen = [identities(frames, *shot) for shot in shots]
    assert [len(shot) for shot in seen] == [2, 1, 1, 4]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_people_beside_each_other_keep_their_identities(shared_folder: Path) -> None:
    frames = analyzed(shared_folder / "clips" / "hamilton.mp4").frames
    audience = frames[frames["time_seconds"].between(8.2, 9.8)]
    assert (audience.groupby("time_seconds")["face_id"].nunique() == 4).all()
    assert audience["face_id"].nunique() == 4 and audience["time_seconds"].nunique() == 8
    for _, person in audience.groupby("face_id"):
        # Who sits still stays within half a face of where they were 0.2 s before.
        middle = person["x"] + person["width"] / 2
        assert middle.diff().abs().max() < person["width"].mean() / 2


def test_one_man_is_one_person(shared_folder: Path) -> None:
    analysis = analyzed(shared_folder / "clips" / "single_face.mp4")
    assert set(analysis.frames["face_id"]) == {0} and len(analysis.frames) == 12
    assert analysis.coverage["face"] > 0.95 and set(analysis.utterances["face_id"]) == {0}


def test_words_and_voice_of_an_excerpt(shared_folder: Path) -> None:
    analysis = heard_and_read(shared_folder / "clips" / "hamilton.mp4")
    assert analysis.models["speech_to_text"] == {"name": "whisper-base"}
    content = analysis.to_dict()["utterances"]
    assert [entry["modalities"] for entry in content] == [["audio", "text"]] * len(content) and len(content) >= 3
    assert content[0]["start_seconds"] < 0.3 and content[-1]["end_seconds"] > 9.0
    assert "harder" in content[0]["text"] and "charter" in " ".join(entry["text"] for entry in content)
    assert analysis.coverage["text"] > 0.9 and analysis.coverage["audio"] > 0.9


def test_a_read_sentence(shared_folder: Path) -> None:
    analysis = heard_and_read(shared_folder / "clips" / "speech" / "spk1_snt1.wav")
    (entry,) = analysis.to_dict()["utterances"]
    assert entry["text"] == "The child almost hurt the small dog." and entry["modalities"] == ["audio", "text"]
    # Its sound rises above the room from 0.3 to 2.5 s.
    assert 0 <= entry["start_seconds"] < 0.4 and 2.2 < entry["end_seconds"] < 2.9


def test_music_is_no_speech(shared_folder: Path) -> None:
    analysis = heard_and_read(shared_folder / "clips" / "no_face.mp4")
    assert analysis.coverage["audio"] == analysis.coverage["text"] == 0
    assert "no speech was found in the sound" in analysis.warnings
    assert all(entry["modalities"] == [] for entry in analysis.to_dict()["utterances"])


# --- all signals together -----------------------------------------------------------------------------------------

KINDS = {
    "hamilton.mp4": {"face+audio+text"},
    "speech/spk1_snt1.wav": {"audio+text"},
    "noface_face.mov": {"", "face"},  # nobody speaks, and nobody is there at first
    "no_face.mp4": {""},  # a cartoon with music
    "answer.txt": {"text"},
    "wall.mp4": {"audio+text"},  # somebody speaks who is not in the picture
}


@pytest.fixture(scope="module")
def everything() -> Model:
    return load_model("default", "cpu")


@pytest.mark.parametrize("name", KINDS)
def test_input_kinds(everything: Model, shared_folder: Path, tmp_path: Path, name: str) -> None:
    path = shared_folder / "clips" / name
    if name == "answer.txt":
        path = tmp_path / name
        path.write_text("I could not find the button and that made me really angry.\nIn the end it worked, great!\n")
    elif name == "wall.mp4":
        blocks = read_audio(shared_folder / "clips" / "speech" / "spk1_snt1.wav")
        path = write_talk(tmp_path / name, np.concatenate([block.samples for block in blocks]), faces=())
    analysis = everything.analyze(path)
    table, content = analysis.utterances, analysis.to_dict()
    assert set(table["modalities"]) == KINDS[name]
    there = table["modalities"] != ""
    for column in ("fused_neutral", "emotion", "valence", "arousal", "confidence"):
        assert (table[column].notna() == there).all()
    fused = table.loc[there, [f"fused_{label}" for label in FUSED_LABELS]].astype(float)
    assert fused.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    assert content["models"]["fusion"] == (shipped_fusion() if there.any() else None)
    assert (content["summary"]["modality"] == "fused") == bool(there.any())
    if name == "answer.txt" and content["summary"]["uncertain"] == 0:
        assert table["emotion"].tolist() == ["anger", "happiness"]
