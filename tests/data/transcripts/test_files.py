"""Transcripts in every format: compared with hand-made cases and ffmpeg's readers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import pytest
from transcript_fixtures import SRT, VTT, Row, rows, write_transcript

from multimodal.data.transcripts.files import SUFFIXES, find_transcript, read_transcript

SRT_ROWS = [(1.0, 2.5, None, "Hello there, Ann."), (3.0, 64.25, None, "Fish & chips, R&D é.")]

VTT_ROWS = [
    (1.0, 2.5, "Ann Lee", "Well, that goes on"),
    (3600.0, 3602.0, "Ann Lee", "Yes?"),
    (3600.0, 3602.0, "Bob & Co", "A <b> is no \u200etag"),
    (3600.0, 3602.0, None, "(noise)"),
]

ROWS: list[Row] = [(1.0, 2.5, "Ann", "Yes."), (3.0, 4.0, "Bob", "No, never.")]
"""What each of the forms below says."""

FORMS = {
    "segments.json": json.dumps(
        {
            "text": " Yes. No, never.",
            "language": "en",
            "segments": [
                {"id": 0, "seek": 0, "start": 1.0, "end": 2.5, "text": " Yes.", "avg_logprob": float("nan")},
                {"id": 1, "seek": 0, "start": 3.0, "end": 4.0, "text": " No, never.", "tokens": [1, 2], "words": None},
            ],
        }
    ),
    "faster.json": json.dumps(
        [
            {"start": 1.0, "end": 2.5, "text": " Yes.", "words": [{"word": " Yes.", "start": 1.0, "end": 2.5}]},
            {"start": 3.0, "end": 4.0, "text": " No, never.", "words": None},
        ]
    ),
    "whisperx.json": json.dumps(
        {
            "segments": [
                {"start": 1.0, "end": 2.5, "text": "Yes.", "words": [{"word": "Yes."}], "speaker": "Ann"},
                {"start": 3.0, "end": 4.0, "text": "No, never.", "speaker": "Bob"},
            ],
            "word_segments": [{"word": "Yes.", "start": 1.0, "end": 2.5, "score": 0.9, "speaker": "Ann"}],
        }
    ),
    "whisper.cpp.json": json.dumps(
        {
            "result": {"language": "en"},
            "transcription": [
                {
                    "timestamps": {"from": "00:00:01,000", "to": "00:00:02,500"},
                    "offsets": {"from": 1000, "to": 2500},
                    "text": " Yes.",
                    "speaker": "Ann",
                },
                {
                    "timestamps": {"from": "00:00:03,000", "to": "00:00:04,000"},
                    "offsets": {"from": 3000, "to": 4000},
                    "text": " No, never.",
                    "speaker": "Bob",
                },
            ],
        }
    ),
    "chunks.json": '{"text": "", "chunks": [{"timestamp": [1.0, 2.5], "text": " Yes."}, '
    '{"timestamp": [3.0, 4.0], "text": " No, never."}]}',
    "words.json": json.dumps(
        {
            "language": "english",
            "words": [
                {"word": "Yes.", "start": 1.0, "end": 2.5},
                {"word": "No,", "start": 3.0, "end": 3.3},
                {"word": "never.", "start": 3.4, "end": 4.0},
            ],
        }
    ),
    "objects.json": '[{"Speaker": "Ann", "startTime": "00:01", "endTime": "2.5", "Utterance": "Yes."},'
    ' {"Speaker": "Bob", "startTime": "00:03", "endTime": "4", "Utterance": "No, never."}]',
    "assembly.json": '{"utterances": [{"speaker": "Ann", "start": 1000, "end": 2500, "text": "Yes."},'
    ' {"speaker": "Bob", "start": 3000, "end": 4000, "text": "No, never."}]}',
    "lines.json": '{"start_ms": 1000, "end_ms": 2500, "speaker": "Ann", "text": "Yes."}\n'
    '{"start_ms": 3000, "end_ms": 4000, "speaker": "Bob", "text": "No, never."}\n',
    "commas.csv": 'start,end,speaker,text\n1.0,2.5,Ann,Yes.\n\n3,4.0,Bob,"No, never."\n',
    "unquoted.csv": "Start Time,End Time,Name,Transcript\n0:00:01,0:00:02.5,Ann,Yes.\n0:03,0:04,Bob,No, never.\n",
    "semicolons.csv": 'Text;Sprecher;SPEAKER;END;START\nYes.;x;Ann;2,5;1,0\n"No,\nnever.";x;Bob;4,0;3,0\n',
    "lasting.csv": "begin (s)|duration (s)|who|words\n1|1.5|Ann|Yes.\n3|1|Bob|No, never.\n",
    "stated.tsv": "speaker\tStart (ms)\tend_ms\ttext\nAnn\t1000\t2500\tYes.\nBob\t3000\t4000\tNo, never.\n",
    "whisper.tsv": "start\tend\ttext\n1000\t2500\tYes.\n3000\t4000\tNo, never.\n",
    "whisper.cpp.csv": 'start,end,text\n1000,2500," Yes."\n3000,4000," No, never."\n',
    "audacity.txt": "1.000000\t2.500000\tYes.\n3.000000\t4.000000\tNo, never.\n",
    "headless.csv": '1.0,2.5,Ann,Yes.\n3.0,4.0,Bob,"No, never."\n',
    "console.txt": "[00:01.000 --> 00:02.500]  Yes.\n[00:03.000 --> 00:04.000]  No,\nnever.\n",
    "zoom.vtt": "WEBVTT\n\n1\n00:01.000 --> 00:02.500\nAnn: Yes.\n\n2\n00:03.000 --> 00:04.000\nBob: No, never.\n"
    "\n3\n00:05.000 --> 00:06.000\nBob: \n\n4\n00:07.000 --> 00:08.000\nAnn:\n",
    "tight.srt": "1\n0:0:1,000-->0:0:2,5\nYes.\n2\n0:0:3,000-->0:0:4,0\nNo, never.",
    "no numbers.srt": "00:01.0 --> 00:02.5\nYes.\n\n00:03.0 --> 00:04.0\nNo,\n\nnever.\n\n",
}
NAMELESS = [
    name for name in FORMS if re.match(r"segm|fast|chunk|words|whisper\.tsv|whisper\.cpp\.csv|auda|cons|tig|no n", name)
]


def test_srt(tmp_path: Path) -> None:
    transcript = read_transcript(write_transcript(tmp_path, SRT))
    assert rows(transcript.utterances) == SRT_ROWS
    assert transcript.timed and transcript.language is None and transcript.warnings == ()


def test_webvtt(tmp_path: Path) -> None:
    transcript = read_transcript(write_transcript(tmp_path, VTT, "talk.vtt"))
    assert rows(transcript.utterances) == VTT_ROWS
    assert transcript.timed and transcript.language == "en" and transcript.warnings == ()


@pytest.mark.parametrize(("name", "text"), [("a.srt", SRT), ("a.vtt", VTT.replace("NOTE 00:00.000 -->", "NOTE"))])
def test_ffmpeg_reads_the_same_times(tmp_path: Path, name: str, text: str) -> None:
    path = write_transcript(tmp_path, text, name)
    ours = {(each.start_seconds, each.end_seconds) for each in read_transcript(path).utterances}
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
        theirs = {(float(p.pts * p.time_base), float((p.pts + p.duration) * p.time_base)) for p in packets}
    assert ours == theirs


@pytest.mark.parametrize("name", FORMS)
def test_each_form_says_the_same(tmp_path: Path, name: str) -> None:
    transcript = read_transcript(write_transcript(tmp_path, FORMS[name], name))
    assert rows(transcript.utterances) == [
        (start, end, None if name in NAMELESS else speaker, text) for start, end, speaker, text in ROWS
    ]
    assert transcript.timed
    guessed = name in ("assembly.json", "whisper.tsv", "whisper.cpp.csv")
    assert [("milliseconds" in line) for line in transcript.warnings] == [True] * guessed


KINDS = {".json": "JSON", ".csv": "table", ".tsv": "table", ".vtt": "WebVTT", ".srt": "SRT"}


@pytest.mark.parametrize("lie", ["talk.srt", "talk.json", "talk.txt", "talk"])
@pytest.mark.parametrize("name", sorted(FORMS.keys() - {"headless.csv", "console.txt", "audacity.txt"}))
def test_content_decides_where_the_name_lies(tmp_path: Path, name: str, lie: str) -> None:
    honest = read_transcript(write_transcript(tmp_path, FORMS[name], name))
    transcript = read_transcript(write_transcript(tmp_path, FORMS[name], lie))
    assert transcript.utterances == honest.utterances
    kind, suffix = KINDS[Path(name).suffix], Path(lie).suffix
    said = [f"the name ends in {suffix}, but the content was read as {kind}"] if KINDS.get(suffix, kind) != kind else []
    assert list(transcript.warnings) == [*said, *honest.warnings]


@pytest.mark.parametrize(("name", "kind"), [("console.txt", "plain text"), ("audacity.txt", "table")])
def test_text_that_calls_itself_srt(tmp_path: Path, name: str, kind: str) -> None:
    transcript = read_transcript(write_transcript(tmp_path, FORMS[name], "talk.srt"))
    assert transcript.utterances == read_transcript(write_transcript(tmp_path, FORMS[name], name)).utterances
    assert transcript.warnings == (f"the name ends in .srt, but the content was read as {kind}",)


def test_webvtt_behind_empty_lines(tmp_path: Path) -> None:
    transcript = read_transcript(write_transcript(tmp_path, " \n\n\t\n" + VTT, "talk.vtt"))
    assert rows(transcript.utterances) == VTT_ROWS and transcript.warnings == ()


def test_webvtt_without_its_first_line(tmp_path: Path) -> None:
    transcript = read_transcript(write_transcript(tmp_path, SRT.replace(",", "."), "talk.vtt"))
    assert len(transcript.utterances) == 2
    assert transcript.warnings == ("the name ends in .vtt, but the content was read as SRT",)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, ending: str) -> None:
    text = SRT.replace("\n", ending).replace("&#233;", "é")
    transcript = read_transcript(write_transcript(tmp_path, text.encode(encoding)))
    assert rows(transcript.utterances) == SRT_ROWS
    fallback = encoding in ("cp1252", "latin-1")
    assert transcript.warnings == (("the transcript is not UTF-8 and was read as Windows-1252",) if fallback else ())


def test_utf16_with_either_mark_and_other_scripts(tmp_path: Path) -> None:
    for mark, encoding in (("\ufeff", "utf-16-be"), ("\ufeff", "utf-16-le")):
        path = write_transcript(tmp_path, (mark + "আমি খুশি 😀").encode(encoding), "answer.txt")
        assert read_transcript(path).utterances[0].text == "আমি খুশি 😀"


def test_characters_that_only_windows_or_only_latin_has(tmp_path: Path) -> None:
    assert read_transcript(write_transcript(tmp_path, b"it\x92s \x80 5", "a.txt")).utterances[0].text == "it’s € 5"
    transcript = read_transcript(write_transcript(tmp_path, b"caf\xe9 \x81", "a.txt"))
    assert transcript.utterances[0].text == "café \x81" and "Latin-1" in transcript.warnings[0]


def test_utf8_that_breaks_off_stays_utf8(tmp_path: Path) -> None:
    transcript = read_transcript(write_transcript(tmp_path, "আমি খুশি é".encode()[:-1], "a.txt"))
    assert transcript.utterances[0].text == "আমি খুশি \ufffd"
    assert transcript.warnings == ("invalid characters were replaced (1)",)


def test_typed_answer_has_no_times(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, "It was fine.\n\n  I <b>think</b> & hope: yes.  \n", "answer.txt")
    transcript = read_transcript(path, duration_seconds=5)
    assert rows(transcript.utterances) == [
        (0.0, 0.0, None, "It was fine."),
        (0.0, 0.0, None, "I <b>think</b> & hope: yes."),
    ]
    assert not transcript.timed and transcript.warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "participant,answer\nP1,Good.\nP2,Bad.\n", [("P1", "Good."), ("P2", "Bad.")]),
        ("a.csv", "Answer\nGood.\n", [(None, "Good.")]),
        ("a.json", '["Good.", "Bad."]', [(None, "Good."), (None, "Bad.")]),
        ("a.json", '{"text": " Good.\\nBad."}', [(None, "Good."), (None, "Bad.")]),
        ("a.json", '[{"speaker": 0, "text": "Good."}, {"speaker": 1, "text": ""}]', [("0", "Good.")]),
    ],
)
def test_other_forms_without_times(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str | None, str]]
) -> None:
    transcript = read_transcript(write_transcript(tmp_path, text, name))
    assert [(each.speaker, each.text) for each in transcript.utterances] == expected
    assert not transcript.timed and {each.end_seconds for each in transcript.utterances} == {0.0}


@pytest.mark.parametrize(
    "text", ["WEBVTT\n", "WEBVTT", '{"text": "", "segments": []}', "[]", " \n", "start,end,text\n"]
)
def test_silence_is_no_error(tmp_path: Path, text: str) -> None:
    name = "a.json" if text[0] in "[{" else "a.txt"
    transcript = read_transcript(write_transcript(tmp_path, text, name), speakers=["Ann"], duration_seconds=3)
    assert transcript.utterances == () and transcript.warnings == ("the transcript has no words",)


# --- beside the recording -----------------------------------------------------------------------------------------


def test_transcript_beside_the_recording(tmp_path: Path) -> None:
    video = write_transcript(tmp_path, "x", "a.talk.mp4")
    write_transcript(tmp_path, "x", "a.vtt")
    (tmp_path / "a.talk.vtt").mkdir()
    assert find_transcript(video) is None
    for suffix in reversed(SUFFIXES):
        beside = (
            write_transcript(tmp_path, "x", "a.talk" + (".SRT" if suffix == ".srt" else suffix))
            if suffix != ".vtt"
            else None
        )
        assert beside is None or find_transcript(video) == beside
    assert find_transcript(tmp_path / "a.talk.txt") == tmp_path / "a.talk.SRT"
    assert find_transcript(tmp_path / "a.vtt") is None  # not itself
    assert find_transcript(tmp_path / "nowhere" / "b.mp4") is None
    assert find_transcript(tmp_path / ("n" * 300 + ".mp4")) is None
