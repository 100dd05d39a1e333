"""Speech to text with the published base model on real speech."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from multimodal.data.media import read_audio
from multimodal.data.recognition import Recogniser, load_recogniser

pytestmark = pytest.mark.corpus

TYPING_ERRORS = {"tue": "two", "wore": "war", "sheep": "sheet", "other": "yellow", "pat": "pad"}
"""In the printed words: the sentences are of IEEE's list (1969, "Harvard sentences"), which has these words."""


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    loaded = load_recogniser()
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


def test_the_errors_are_counted_right() -> None:
    assert word_errors(["a", "b", "c"], ["a", "x", "c", "d"]) == 2
    assert word_errors([], ["a"]) == 1


def test_read_sentences(recogniser: Recogniser, shared_folder: Path) -> None:
    folder = shared_folder / "clips" / "speech"
    with (folder / "transcripts.tsv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    errors = words = 0
    for name, text in rows:
        result = recogniser.transcribe(read_audio(folder / f"{Path(name).stem}.wav"))
        assert result.language == "en"
        heard = " ".join(utterance.text or "" for utterance in result.utterances)
        right = [TYPING_ERRORS.get(word, word) for word in words_of(text)]
        errors, words = errors + word_errors(right, words_of(heard)), words + len(right)
    # 0.034 was measured, 0.12 against the words as printed.
    assert words > 50
    assert errors / words <= 0.10


def test_words_stand_where_they_are_said(recogniser: Recogniser, shared_folder: Path) -> None:
    result = recogniser.transcribe(read_audio(shared_folder / "clips" / "hamilton.mp4"))
    words = [word for run in result.words for word in run]
    starts = [word.start_seconds for word in words]
    assert starts == sorted(starts)
    # By ear and envelope: the line that begins with "by being a self-starter" starts between 3 and 3.6 s.
    (starter,) = [word for word in words if "starter" in word.text]
    assert 3.4 < starter.start_seconds < 5.0
    assert 9.0 < words[-1].end_seconds <= 10.1


def test_music_is_not_words(recogniser: Recogniser, shared_folder: Path) -> None:
    assert recogniser.transcribe(read_audio(shared_folder / "clips" / "no_face.mp4")).utterances == ()
