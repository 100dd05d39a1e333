"""Speakers and times of transcripts: safe names, corrected and clipped times, errors with the line number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transcript_fixtures import SRT, VTT, rows, write_transcript

from multimodal.data.transcripts.files import read_transcript
from multimodal.errors import TranscriptError

# --- speakers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Interviewer: Well?\nIt broke.\n\nTwice.",
            [("Interviewer", "Well?"), ("Interviewer", "It broke."), (None, "Twice.")],
        ),
        (
            "Ann Lee: Hi.\nBo: Oh?\nBo: Ah.\nAnn Lee: Ha.",
            [("Ann Lee", "Hi."), ("Bo", "Oh?"), ("Bo", "Ah."), ("Ann Lee", "Ha.")],
        ),
        ("[Ann] Hi.\n[Ann]: Oh.", [("Ann", "Hi."), ("Ann", "Oh.")]),
        ("- Ann: Hi.\n– Ann: Oh.", [("Ann", "Hi."), ("Ann", "Oh.")]),
        ("SPEAKER_00: Hi.\np12: Oh.", [("SPEAKER_00", "Hi."), ("p12", "Oh.")]),
        ("Moderator:\nHi.", [("Moderator", "Hi.")]),
        ("小明：你好\n小明：再见", [("小明", "你好"), ("小明", "再见")]),
        # not safe: none of these is a speaker
        ("Pros: fast\nCons: ugly", [(None, "Pros: fast"), (None, "Cons: ugly")]),
        ("Pros: a\nCons: b\nPros: c\nCons: d", [(None, text) for text in ("Pros: a", "Cons: b", "Pros: c", "Cons: d")]),
        ("Ann: Hi.", [(None, "Ann: Hi.")]),
        ("[Music] la\n[Music] la", [(None, "[Music] la"), (None, "[Music] la")]),
        ("at 10:30 so: yes\nat 10:30 so: yes", [(None, "at 10:30 so: yes")] * 2),
        ("http://a.b is\nhttp://a.b is", [(None, "http://a.b is")] * 2),
        ("Well, I said: no\nWell, I said: no", [(None, "Well, I said: no")] * 2),
        ("Note: x\nNote: y" + "\nz" * 2, [(None, "Note: x"), (None, "Note: y"), (None, "z"), (None, "z")]),
        ("Also: x\nAlso: y" + "\nz" * 7, [(None, "Also: x"), (None, "Also: y"), *[(None, "z")] * 7]),
    ],
)
def test_names_before_the_words(tmp_path: Path, text: str, expected: list[tuple[str | None, str]]) -> None:
    transcript = read_transcript(write_transcript(tmp_path, text, "talk.txt"))
    assert [(each.speaker, each.text) for each in transcript.utterances] == expected


def test_turns_within_a_cue(tmp_path: Path) -> None:
    head = "00:01.0 --> 00:02.0\n"
    text = f"{head}- Hi.\n- Oh?\nWell.\n\n00:03.0 --> 00:04.0\n- Hm - yes.\n\n00:05.0 --> 00:06.0\nP1: A\nP2: B\nC"
    transcript = read_transcript(write_transcript(tmp_path, text))
    assert rows(transcript.utterances) == [
        (1.0, 2.0, None, "Hi."),
        (1.0, 2.0, None, "Oh? Well."),
        (3.0, 4.0, None, "- Hm - yes."),
        (5.0, 6.0, "P1", "A"),
        (5.0, 6.0, "P2", "B C"),
    ]
    assert transcript.warnings == ()  # those who share a cue do not overlap


def test_names_are_left_alone_where_voices_are_tagged(tmp_path: Path) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>P1: one\n\n00:02.000 --> 00:03.000\nP1: two\n"
    transcript = read_transcript(write_transcript(tmp_path, text, "a.vtt"))
    assert rows(transcript.utterances) == [(1.0, 2.0, "Ann", "P1: one"), (2.0, 3.0, None, "P1: two")]


def test_voice_forms(tmp_path: Path) -> None:
    cues = ["<v>nobody</v>", "<v\tAnn  \nLee>name over\nlines", "<V Ann>one</V> <v Ann>two", "<v.a.b Ann>< 3 <x>"]
    text = "WEBVTT\n\n" + "\n\n".join(f"00:0{i}.000 --> 00:0{i}.500\n{cue}" for i, cue in enumerate(cues))
    transcript = read_transcript(write_transcript(tmp_path, text, "a.vtt"))
    assert [(each.speaker, each.text) for each in transcript.utterances] == [
        (None, "nobody"),
        ("Ann Lee", "name over lines"),
        ("Ann", "one two"),
        ("Ann", "< 3 <x>"),
    ]


def test_only_the_wanted_speakers(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, VTT, "talk.vtt")
    for expected in (["ANN lee"], [" ann  Lee ", "bob & co"]):
        transcript = read_transcript(path, speakers=expected)
        assert len(transcript.utterances) == 1 + len(expected)
        assert transcript.warnings == ("utterances without a named speaker are ignored (1)",)
    for expected in (["Carl"], ["Ann Lee", "Carl"]):
        with pytest.raises(TranscriptError, match=r"has no speaker 'Carl'; choose from 'Ann Lee', 'Bob & Co'$"):
            read_transcript(path, speakers=expected)
    with pytest.raises(TranscriptError, match="names no speakers, so 'Ann' is not found"):
        read_transcript(write_transcript(tmp_path, SRT), speakers=["Ann"])


# --- times --------------------------------------------------------------------------------------------------------


def cue(start: str, end: str, text: str = "x") -> str:
    return f"1\n{start} --> {end}\n{text}\n\n"


def test_end_before_start_names_the_line(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, cue("00:01.0", "00:02.0") + cue("00:05.0", "00:02.0"))
    with pytest.raises(
        TranscriptError, match=r"talk.srt: line 6 ends \(2 s\) before it starts \(5 s\); correct its times$"
    ):
        read_transcript(path)
    for name, text, place in (
        ("a.csv", 'start,end,text\n1,2,"x\ny"\n4,3,z', "line 4"),
        ("a.json", '[{"start": 1, "end": 2, "text": "x"}, {"start": 4, "end": 3, "text": "z"}]', "entry 2"),
    ):
        with pytest.raises(TranscriptError, match=rf"{name}: {place} ends \(3 s\) before"):
            read_transcript(write_transcript(tmp_path, text, name))


def test_overlaps_are_kept_and_said_once(tmp_path: Path) -> None:
    text = cue("00:01.0", "00:05.0") + cue("00:02.0", "00:03.0") + cue("00:04.0", "00:06.0") + cue("00:06.0", "00:07.0")
    transcript = read_transcript(write_transcript(tmp_path, text))
    assert [each.start_seconds for each in transcript.utterances] == [1, 2, 4, 6]
    assert transcript.warnings == ("line 6 starts before an earlier one ends; overlapping speech is kept (2 in total)",)


def test_disorder_is_mended_and_said(tmp_path: Path) -> None:
    transcript = read_transcript(
        write_transcript(tmp_path, cue("00:05.0", "00:06.0", "b") + cue("00:01.0", "00:02.0", "a"))
    )
    assert [each.text for each in transcript.utterances] == ["a", "b"]
    assert transcript.warnings == ("line 6 starts before the previous one; utterances were sorted by time",)


def test_past_the_end_of_the_recording(tmp_path: Path) -> None:
    text = cue("00:01.0", "00:02.0") + cue("00:03.0", "00:09.0") + cue("00:04.0", "00:09.0") + cue("00:10.0", "00:11.0")
    transcript = read_transcript(write_transcript(tmp_path, text), duration_seconds=4.0)
    assert [(each.start_seconds, each.end_seconds) for each in transcript.utterances] == [(1, 2), (3, 4)]
    assert transcript.warnings[1:] == (
        "line 10 starts after the end of the recording at 4 s and is ignored (2 in total)",
        "line 6 extends beyond the end of the recording at 4 s and is cut",
    )
    rounded = read_transcript(write_transcript(tmp_path, cue("00:01.0", "00:04.4")), duration_seconds=4.0)
    assert rounded.utterances[0].end_seconds == 4.0 and rounded.warnings == ()
    with pytest.raises(TranscriptError, match=r"has no utterance within the 0\.5 s of the recording: line 2 is at 1 s"):
        read_transcript(write_transcript(tmp_path, text), duration_seconds=0.5)


def test_missing_ends_last_until_the_next(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, "time,text\n0:01,one\n0:04,two\n0:09,thirty characters take 2.00 s.\n", "a.csv")
    expected = [(1, 4), (4, 9)]
    for duration, end in ((20.0, 20.0), (None, 9 + 30 / 15)):
        transcript = read_transcript(path, duration_seconds=duration)
        assert [(u.start_seconds, u.end_seconds) for u in transcript.utterances] == [*expected, (9, pytest.approx(end))]
        assert transcript.warnings == ("missing end times were set to the start of the next utterance",)


def test_whole_seconds_stay_seconds(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, "start,end,text\n0,60,yes and no\n60,120,never\n", "a.csv")
    assert [each.end_seconds for each in read_transcript(path).utterances] == [60, 120]


def test_words_are_joined_at_pauses_speakers_and_sentences(tmp_path: Path) -> None:
    utterances = [
        ("Oh", 0.0, "A"),
        ("no.", 0.5, "A"),
        ("We", 1.0, "A"),
        ("We", 1.5, "B"),
        ("do", 2.0, None),
        ("so", 4.0, "B"),
    ]
    words = [{"word": word, "start": start, "end": start + 0.5, "speaker": name} for word, start, name in utterances]
    words.insert(1, {"word": "dear"})  # as whisperX leaves numerals
    transcript = read_transcript(write_transcript(tmp_path, json.dumps({"word_segments": words}), "a.json"))
    assert rows(transcript.utterances) == [
        (0.0, 1.0, "A", "Oh dear no."),
        (1.0, 1.5, "A", "We"),
        (1.5, 2.5, "B", "We do"),
        (4.0, 4.5, "B", "so"),
    ]


def test_segments_take_missing_fields_from_their_words(tmp_path: Path) -> None:
    words = [{"word": " Oh"}, {"word": " no", "start": 1.0, "end": 1.5}, {"word": " so", "start": 2, "end": 2.5}]
    path = write_transcript(tmp_path, json.dumps({"segments": [{"words": words}]}), "a.json")
    assert rows(read_transcript(path).utterances) == [(1.0, 2.5, None, "Oh no so")]


def test_automatic_captions_are_unrolled(tmp_path: Path) -> None:
    text = (
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "00:00:00.030 --> 00:00:05.720 align:start position:0%\n \nwhat's<00:00:00.719><c> up</c>\n\n"
        "00:00:05.720 --> 00:00:05.730 align:start position:0%\nwhat's up\n \n\n"
        "00:00:05.730 --> 00:00:08.000 align:start position:0%\nwhat's up\nall<00:00:06.000><c> of you</c>\n"
    )
    transcript = read_transcript(write_transcript(tmp_path, text, "a.en.vtt"))
    assert rows(transcript.utterances) == [(0.03, 5.72, None, "what's up"), (5.73, 8.0, None, "all of you")]
    assert transcript.language == "en"


def test_repetition_that_was_said_is_kept(tmp_path: Path) -> None:
    transcript = read_transcript(
        write_transcript(tmp_path, cue("00:01.0", "00:02.0", "No.") + cue("00:02.0", "00:03.0", "No."))
    )
    assert [each.text for each in transcript.utterances] == ["No.", "No."]


def test_text_without_times_is_left_out_and_said(tmp_path: Path) -> None:
    stray = "WEBVTT\n\n00:01.000 --> 00:02.000\none\n\nlost\n\nlost too\n"
    transcript = read_transcript(write_transcript(tmp_path, stray, "a.vtt"))
    assert rows(transcript.utterances) == [(1.0, 2.0, None, "one")]
    assert transcript.warnings == ("text without times is ignored (line 6 and 1 more)",)


def test_arrow_in_the_words_is_no_time(tmp_path: Path) -> None:
    text = cue("00:01.0", "00:02.0", "a --> b\n5 --> 6")
    assert read_transcript(write_transcript(tmp_path, text)).utterances[0].text == "a --> b 5 --> 6"
