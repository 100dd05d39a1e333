"""IEMOCAP: turns with labels, words and audio, special cases of the release, and the published counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from voice_layouts import CODES, write_full_evaluations, write_small_iemocap, write_text

from multimodal.data.corpora.iemocap import (
    PUBLISHED_FOUR,
    PUBLISHED_LABELS,
    PUBLISHED_SESSIONS,
    read_iemocap,
    read_transcription,
)
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA
from multimodal.data.corpora.voices import read_voices
from multimodal.errors import CorpusError


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_small_iemocap(tmp_path)


def test_turns_are_read_with_all_that_belongs_to_them(release: Path) -> None:
    turns = read_iemocap(release, check_counts=False)
    assert len(turns) == 2 * 2 * len(CODES)
    first = turns[0]
    assert (first.name, first.session, first.dialogue) == ("Ses01F_impro01_F000", 1, "Ses01F_impro01")
    assert (first.speaker, first.sex, first.label) == ("iemocap-01F", "female", "anger")
    assert (first.start_seconds, first.end_seconds) == (0.2901, 1.2357)
    assert (first.valence, first.arousal, first.dominance) == (2.5, 3.0, 0.5)
    assert first.text == "Words of Ses01F_impro01_F000."
    assert first.wav == release / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert first.video == release / "Session1/dialog/avi/DivX/Ses01F_impro01.avi"
    last = turns[-1]
    assert (last.name, last.dialogue) == ("Ses05M_script01_1b_F010", "Ses05M_script01_1b")
    assert (last.speaker, last.label, last.text) == ("iemocap-05F", "no agreement", "Words without times.")


def test_the_letter_before_the_number_is_the_speaker(release: Path) -> None:
    turns = read_iemocap(release, check_counts=False)
    assert {turn.speaker for turn in turns} == {"iemocap-01F", "iemocap-01M", "iemocap-05F", "iemocap-05M"}
    assert all((turn.speaker[-1] == "F") == (turn.sex == "female") for turn in turns)


@pytest.mark.parametrize("below", ["..", ".", "Session5"])
def test_the_release_or_one_session_may_be_named(release: Path, below: str) -> None:
    sessions = {turn.session for turn in read_iemocap(release / below, check_counts=False)}
    assert sessions == ({5} if below == "Session5" else {1, 5})


def test_turns_are_clips_of_voices(release: Path) -> None:
    clips = read_voices("iemocap", release, check_counts=False)
    assert Counter(clip.native_label for clip in clips) == dict.fromkeys(VOICE_CORPORA["iemocap"].labels, 4)
    assert Counter(clip.label for clip in clips) == {
        "happiness": 8, "anger": 4, "sadness": 4, "neutral": 4, "fear": 4, "surprise": 4, "disgust": 4, None: 12,
    }  # fmt: skip
    clips[0].path.unlink()
    assert len(read_voices("iemocap", release, check_counts=False)) == len(clips) - 1


def test_asides_and_missing_times(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "Ses01F_impro01.txt",
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me: hello.\n"
        "M: [LAUGHTER]\nF: No.\n\n"
        "Ses01F_impro01_M001: Without times.\n"
        "Ses01F_impro01_F002 [10-11]:\n"
        "Ses01F_impro01_F000 [008.2357-009.0]: Again.\n",
    )
    assert read_transcription(path) == {
        "Ses01F_impro01_F000": "Excuse me: hello. Again.",
        "Ses01F_impro01_M001": "Without times.",
        "Ses01F_impro01_F002": "",
    }


def test_old_bytes_in_words_do_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "Ses01F_impro01.txt"
    path.write_bytes(b"Ses01F_impro01_F000 [0-1]: It\x92s me.\r\n")
    assert read_transcription(path)["Ses01F_impro01_F000"].endswith("s me.")


def test_published_numbers_agree_with_each_other() -> None:
    assert sum(PUBLISHED_SESSIONS.values()) == sum(PUBLISHED_LABELS.values()) == 10_039
    assert tuple(PUBLISHED_LABELS) == VOICE_CORPORA["iemocap"].labels
    columns = [sum(column) for column in zip(*PUBLISHED_FOUR.values(), strict=True)]
    happy = PUBLISHED_LABELS["happiness"] + PUBLISHED_LABELS["excitement"]
    assert columns == [PUBLISHED_LABELS["anger"], happy, PUBLISHED_LABELS["sadness"], PUBLISHED_LABELS["neutral"]]
    assert sum(columns) == 5531


def test_whole_release_passes_its_counts_and_then_lacks_sound(tmp_path: Path) -> None:
    release = write_full_evaluations(tmp_path)
    assert len(read_iemocap(release, check_counts=False)) == 10_039
    with pytest.raises(CorpusError, match=r"sound for 0 of 10,039 turns; sentences/wav lacks .* and 10034 more"):
        read_iemocap(release)
    with pytest.raises(CorpusError, match="sound for 0 of 1,811 turns"):
        read_iemocap(release / "Session2")


def test_a_shortfall_names_both_numbers_and_the_missing_file(tmp_path: Path) -> None:
    release = write_full_evaluations(tmp_path)
    path = release / "Session3" / "dialog" / "EmoEvaluation" / "Ses03F_impro01.txt"
    lines = path.read_text().splitlines(keepends=True)
    lines.remove(next(line for line in lines if "\tsad\t" in line))
    path.write_text("".join(lines))
    write_text(release / "Session3" / "dialog" / "transcriptions" / "Ses03F_impro02.txt", "")
    with pytest.raises(CorpusError) as error:
        read_iemocap(release)
    message = str(error.value)
    assert "2,135 turns for Session3, 2,136 were published" in message
    assert "304 turns for sadness in Session3, 305 were published" in message
    assert "1,083 turns for sadness, 1,084 were published" in message
    assert message.endswith("; unpack the corpus again, with Session3/dialog/EmoEvaluation/Ses03F_impro02.txt")


@pytest.mark.parametrize("line", ["[1 - 2]\tSes01F_impro01_F000\tjoy\t[1, 2, 3]", "[1 - 2]\tSes01F_impro01_F000", "[1"])
def test_a_line_that_cannot_be_is_named(release: Path, line: str) -> None:
    path = release / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    write_text(path, f"% header\n{line}\n")
    with pytest.raises(CorpusError, match=r"Ses01F_impro01\.txt: line 2 is not"):
        read_iemocap(release, check_counts=False)


def test_wrong_places_have_an_answer(release: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no folder Session1 to Session5; name the folder IEMOCAP_full_release"):
        read_iemocap(tmp_path / "elsewhere")
    (release / "Session3").mkdir()
    with pytest.raises(CorpusError, match="Session3: contains no dialog/EmoEvaluation"):
        read_iemocap(release)
