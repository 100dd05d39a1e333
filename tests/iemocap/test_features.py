"""Features of IEMOCAP turns: sources, cache, recomputation, and missing inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dialogue_video import TURNS, write_video
from iemocap_corpus import SENTENCES, write_iemocap

from multimodal.data.corpora.iemocap import IemocapTurn, read_iemocap
from multimodal.data.faces import detectors, split_screen
from multimodal.data.speech import recognition
from multimodal.data.speech.recognition import Recognition
from multimodal.encoders.mfcc import MfccSettings
from multimodal.errors import ConfigError, CorpusError, DependencyError, MediaError
from multimodal.iemocap import features as iemocap_features
from multimodal.iemocap.face_features import halves_report
from multimodal.iemocap.features import FeatureMaker, TurnCorpus, TurnSettings, make_corpus
from multimodal.models.weights import Weights, load_weights
from multimodal.types import Utterance


@pytest.fixture(scope="module")
def encoders() -> tuple[Weights, Weights]:
    return load_weights("default", "face"), load_weights("default", "text")


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> list[IemocapTurn]:
    """One dialogue of twelve turns."""
    corpus = write_iemocap(tmp_path_factory.mktemp("iemocap"), turns=12, sessions=1)
    return [turn for turn in read_iemocap(corpus.folder, check_counts=False) if turn.dialogue == "Ses01F_impro01"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each costly step ran."""
    counted: dict[str, int] = {}
    for module, name in (
        (iemocap_features, "voice_features"),
        (iemocap_features, "read_texts"),
        (split_screen, "read_split_screen"),
    ):
        monkeypatch.setattr(module, name, _counting(name, getattr(module, name), counted))
    return counted


def _counting(name: str, function: Any, counted: dict[str, int]) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        counted[name] = counted.get(name, 0) + 1
        return function(*arguments, **options)

    return call


def corpus_of(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], cache: Path, words: str = "gold", **settings: Any
) -> TurnCorpus:
    maker = FeatureMaker(TurnSettings(**settings), *encoders, MfccSettings(), cache, "cpu")
    return make_corpus(maker, turns, turns, [words])


def test_voice_and_words_are_read_once_and_then_kept(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], calls: dict[str, int], tmp_path: Path
) -> None:
    first = corpus_of(turns, encoders, tmp_path, face=False).features["gold"]
    spoken = sum(turn.text is not None for turn in turns)
    assert calls == {"voice_features": len(turns), "read_texts": spoken}
    again = corpus_of(turns, encoders, tmp_path, face=False).features["gold"]
    assert calls == {"voice_features": len(turns), "read_texts": spoken}
    for one, two, turn in zip(first, again, turns, strict=True):
        assert one.audio is not None and two.audio is not None
        assert (one.audio.frames == two.audio.frames).all() and one.audio.frames.shape[1] == 39
        assert (one.ids is None) == (turn.text is None)
        if one.ids is not None and one.states is not None and two.states is not None:
            assert (one.states == two.states).all() and one.states.shape == (len(one.ids), 384)
        assert one.faces is None


def test_a_killed_run_goes_on_where_it_was(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], calls: dict[str, int], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    counting = iemocap_features.voice_features

    def killed(*arguments: Any) -> Any:
        if calls.get("voice_features", 0) == 5:
            raise KeyboardInterrupt
        return counting(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(iemocap_features, "voice_features", killed)
        with pytest.raises(KeyboardInterrupt):
            corpus_of(turns, encoders, tmp_path, face=False)
    assert not list(tmp_path.rglob(".*"))
    corpus_of(turns, encoders, tmp_path, face=False)
    assert calls["voice_features"] == len(turns)


def test_what_changes_is_made_again_and_only_that(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], calls: dict[str, int], tmp_path: Path
) -> None:
    corpus_of(turns, encoders, tmp_path, face=False)
    before = dict(calls)
    said = [replace(turn, text="Something else.") if turn is turns[0] else turn for turn in turns]
    corpus_of(said, encoders, tmp_path, face=False)
    assert calls == {**before, "read_texts": before["read_texts"] + 1}
    damaged = next((tmp_path / "audio").glob(f"{turns[0].name}-*"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    corpus_of(turns, encoders, tmp_path, face=False)
    assert calls["voice_features"] == before["voice_features"] + 1


def test_what_was_not_said_is_not_read(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path
) -> None:
    laughing = next(turn for turn in turns if turn.text is not None and "[LAUGHTER]" in turn.text)
    bare = replace(laughing, text=(laughing.text or "").replace("[LAUGHTER] ", ""))
    only = replace(laughing, text="[LAUGHTER]")
    actual = [corpus_of([turn], encoders, tmp_path, face=False).features["gold"][0] for turn in (laughing, bare, only)]
    assert actual[0].ids is not None and actual[1].ids is not None
    assert actual[0].ids.tolist() == actual[1].ids.tolist() and actual[2].ids is None


def test_recognized_words_take_the_place_of_gold_ones(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    class Recognizer:
        def transcribe(self, blocks: Any) -> Recognition:
            heard.append(sum(len(block.samples) for block in blocks))
            said = Utterance(0.0, 0.4, None, SENTENCES[1][0] if len(heard) > 1 else "")
            return Recognition((said,), ((),), "en", 1.0, ())

    monkeypatch.setattr(recognition, "load_recognizer", lambda name, device: Recognizer())
    for _ in range(2):
        actual = corpus_of(turns[:3], encoders, tmp_path, "recognized", face=False).features["recognized"]
    assert heard == [6400] * 3
    assert actual[0].ids is None and actual[1].ids is not None and actual[2].ids is not None
    monkeypatch.setattr(recognition, "load_recognizer", lambda name, device: None)
    with pytest.raises(DependencyError, match=r"speech-to-text: is not on this machine.*offline"):
        corpus_of(turns[3:4], encoders, tmp_path, "recognized", face=False)


def dialogue_on_video(turns: list[IemocapTurn], folder: Path, swapped: bool = False) -> list[IemocapTurn]:
    """The first four turns, at the times of the test video's; F, M, F, M."""
    seats = [(start, end, {"left": "right", "right": "left"}[half] if swapped else half) for start, end, half in TURNS]
    video = write_video(folder / "Ses01F_impro01.avi", seats)
    placed = [turn for turn in turns if "X" not in turn.name][:4]
    return [
        replace(turn, start_seconds=start, end_seconds=end, video=video)
        for turn, (start, end, _) in zip(placed, TURNS, strict=True)
    ]


@pytest.mark.slow
def test_the_speakers_face_is_found_scored_and_kept(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], calls: dict[str, int], tmp_path: Path
) -> None:
    own = dialogue_on_video(turns, tmp_path)
    corpus = corpus_of(own, encoders, tmp_path / "cache")
    for features, turn in zip(corpus.features["gold"], own, strict=True):
        assert features.faces is not None and features.face_times is not None
        assert 4 <= len(features.faces) <= 6
        assert features.face_times.min() >= 0 and features.face_times.max() <= turn.end_seconds - turn.start_seconds
    # The right head is the left one mirrored, and the encoder averages both views: alike, but not the same picture.
    left, right = (features.faces for features in corpus.features["gold"][:2])
    assert left is not None and right is not None
    assert np.corrcoef(left.float().mean(0), right.float().mean(0))[0, 1] > 0.5
    assert [(each.dialogue, each.turns, each.share) for each in corpus.agreements] == [("Ses01F_impro01", 4, 1.0)]
    assert corpus.warnings == ("the speaker sits in the half that the name says: it moved more in 100% of 4 turns",)
    again = corpus_of(own, encoders, tmp_path / "cache")
    assert calls["read_split_screen"] == 1 and again.agreements == corpus.agreements


@pytest.mark.slow
def test_motion_can_decide_who_sits_where(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = dialogue_on_video(turns, tmp_path, swapped=True)
    requests: list[Any] = []
    real = split_screen.read_split_screen
    monkeypatch.setattr(
        split_screen, "read_split_screen", lambda video, wanted, *more, **options: (
            requests.append(wanted) or real(video, wanted, *more, **options)
        )
    )  # fmt: skip
    corpus_of(own, encoders, tmp_path / "cache", speaker_half="motion")
    women = [place[:2] for place in TURNS[::2]]  # left by the name; here they nod on the right
    assert requests[0] == {} and requests[1]["right"] == women
    assert corpus_of(own, encoders, tmp_path / "cache").agreements[0].share == 0.0


def test_the_rule_can_be_held_against_the_videos(tmp_path: Path) -> None:
    folder = write_iemocap(tmp_path, turns=12, sessions=1).folder
    for video in folder.rglob("*.avi"):
        video.unlink()
    assert halves_report(folder) == ""
    places = [(0.25 + 0.5 * index, 0.65 + 0.5 * index, ("left", "right")[index % 2]) for index in range(9)]
    video = write_video(folder / "Session1/dialog/avi/DivX/Ses01F_impro01.avi", places)
    line = halves_report(folder, frames_per_second=12.5)
    assert line.startswith(f"{video.stem}  ") and float(line.split()[1]) > 0.8 and "contradicts" not in line


def test_missing_and_damaged_videos(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path
) -> None:
    gone = [replace(turn, video=tmp_path / "gone.avi") for turn in turns]
    corpus = corpus_of(gone, encoders, tmp_path)
    assert all(features.faces is None for features in corpus.features["gold"])
    assert corpus.warnings == ("1 of 1 dialogues have no video, so their faces are absent: gone.avi",)
    with pytest.raises(CorpusError, match=r"has videos of 0 of 1 dialogues; it lacks gone\.avi"):
        corpus_of(gone, encoders, tmp_path, need_video=True)
    assert "Ses01F_impro01.avi: is empty" in corpus_of(turns, encoders, tmp_path).warnings[0]
    (tmp_path / "torn.avi").write_bytes(b"RIFF and nothing")
    torn = [replace(turn, video=tmp_path / "torn.avi") for turn in turns]
    assert "torn.avi" in corpus_of(torn, encoders, tmp_path).warnings[0]
    with pytest.raises(MediaError, match=r"torn\.avi"):
        corpus_of(torn, encoders, tmp_path, need_video=True)


def test_a_turn_may_lack_everything(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path
) -> None:
    bare = replace(turns[0], wav=None, text=None, video=tmp_path / "gone.avi")
    (features,) = corpus_of([bare], encoders, tmp_path).features["gold"]
    assert features == iemocap_features.TurnFeatures()


@pytest.mark.parametrize("settings", [{"speaker_half": "left"}, {"frames_per_second": 0.0}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TurnSettings(**settings)


def test_the_detector_is_not_loaded_where_no_face_is_wanted(
    turns: list[IemocapTurn], encoders: tuple[Weights, Weights], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detectors, "load_detector", lambda *_: pytest.fail("loaded"))
    corpus_of(turns[:1], encoders, tmp_path, face=False)
