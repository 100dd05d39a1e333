"""Hostile and invalid transcripts: one clear line or the right text, in linear time, without interpretation.

A pattern that backtracked would take hours over these megabytes, not be a little slow.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transcript_fixtures import write_transcript

from multimodal.data.transcripts import captions as transcript_formats
from multimodal.data.transcripts import files as transcripts
from multimodal.data.transcripts import tables as transcript_tables
from multimodal.data.transcripts import whisper_json as transcript_json
from multimodal.data.transcripts.files import MAXIMUM_BYTES, read_transcript
from multimodal.errors import InputMissingError, InputUnreadableError, MultimodalError, TranscriptError

MEGA = 1_000_000
TIMES = "1\n00:00:01,000 --> 00:00:02,000\n"
LONG = "ab " * (10 * MEGA // 3)
HEADS = {"a.txt": "", "a.srt": TIMES, "a.vtt": f"WEBVTT\n\n{TIMES}", "a.tsv": "start\tend\ttext\n1\t2\t"}


def short(value: object) -> str:
    """Name of a case: the megabytes themselves would stand in every report."""
    return str(value)[:20]


def refusal(path: Path) -> str:
    """The one line with which a file is refused, without its folder."""
    with pytest.raises(TranscriptError) as caught:
        read_transcript(path)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    return line.removeprefix(f"{path.parent}{os.sep}")


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits on how much is read, but smaller, for the sake of time."""
    small = {"MAXIMUM_UTTERANCES": 2000, "MAXIMUM_LINES": 10_000, "MAXIMUM_VALUES": 50_000}
    for module in (transcript_formats, transcript_json, transcript_tables, transcripts):
        for name in small.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, small[name])


@pytest.mark.parametrize("name", HEADS)
def test_line_of_ten_megabytes(tmp_path: Path, name: str) -> None:
    (utterance,) = read_transcript(write_transcript(tmp_path, HEADS[name] + LONG, name)).utterances
    assert utterance.text == LONG.strip()


def test_line_of_ten_megabytes_in_json_and_csv(tmp_path: Path) -> None:
    (utterance,) = read_transcript(write_transcript(tmp_path, f'[{{"text": "{LONG}"}}]', "a.json")).utterances
    assert utterance.text == LONG.strip()
    line = refusal(write_transcript(tmp_path, f"start,end,text\n1,2,a\n1,2,{LONG}", "a.csv"))
    assert line.startswith("a.csv: line 3 starts a row that cannot be read (field larger than field limit (131072))")


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt", "a.tsv"])
@pytest.mark.parametrize(
    "tags",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<!--#exec cmd=ls-->",
        "{{7*7}} ${7*7} $(id) `id` %s",
        "=cmd|' /C calc'!A0",
        "[bold red]x[/]",
    ],
    ids=short,
)
def test_scripts_are_words(tmp_path: Path, name: str, tags: str) -> None:
    (utterance,) = read_transcript(write_transcript(tmp_path, HEADS[name] + tags, name)).utterances
    assert utterance.text == tags and utterance.speaker is None


def test_script_in_a_name_is_a_name(tmp_path: Path) -> None:
    text = HEADS["a.vtt"] + "<v &lt;script&gt;alert(1)&lt;/script&gt;>Hi"
    (utterance,) = read_transcript(write_transcript(tmp_path, text, "a.vtt")).utterances
    assert (utterance.speaker, utterance.text) == ("<script>alert(1)</script>", "Hi")


@pytest.mark.parametrize(
    "unit",
    [
        *("<", "<v ", "<v.", "<c.", "<i ", "</", "<00:00", "<font ", "{\\", "&", "&#", "&a", "&amp", "[", "[A", "A:"),
        *(
            "<v" + " " * 1000,
            " ",
            "\t",
            ".",
            ":",
            "0:",
            "00:00:",
            "-->",
            "00:00:01,000 ",
            "-",
            "- ",
            "A ",
            '"',
            ",",
            "9",
        ),
    ],
    ids=short,
)
@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.txt"])
def test_repetition_takes_linear_time(tmp_path: Path, name: str, unit: str) -> None:
    repeated = unit * (MEGA // 5 // len(unit))
    transcript = read_transcript(write_transcript(tmp_path, HEADS[name] + "a\n" + repeated, name))
    assert "".join(each.text or "" for each in transcript.utterances).startswith("a")


@pytest.mark.parametrize(
    "line",
    [
        *(
            "9" * MEGA + ":00:01,000 --> 00:00:02,000",
            "00:00:01,000 --> " + "9" * MEGA,
            "00:00:01," + "0" * MEGA + " --> 1",
        ),
        *(
            "0:" * MEGA + " --> 00:00:02,000",
            "00:00:01,000 --> " + "0:" * MEGA,
            "00:00:01,000 " * MEGA + "--> 00:00:02,000",
        ),
        *(
            "00:00:01,000" + "-->" * MEGA,
            " " * MEGA + "0: --> 1",
            "0" + " " * MEGA + ": --> 1",
            "0:" + " " * MEGA + "-->",
        ),
    ],
    ids=short,
)
def test_repetition_in_a_line_of_times(tmp_path: Path, line: str) -> None:
    path = write_transcript(tmp_path, f"{TIMES}a\n\n2\n{line}\nb", "a.srt")
    assert refusal(path).startswith("a.srt: line 6 must have two times (")


@pytest.mark.parametrize(
    "line",
    [
        *("00:00:01,000 -->", "00:00:01,000 --> soon", "00:00:0x,000 --> 00:00:02,000", "00:00:01:05 --> 00:00:02:10"),
        *("00:00:61,000 --> 00:02:00,000", "00:60:00,000 --> 01:00:00,000", "-00:00:01,000 --> 00:00:02,000"),
        *("00:00:01,000 -> 00:00:01,5 --> x", "NaN --> NaN", "1e308 --> 1e309", "--> 00:00:02,000"),
    ],
    ids=short,
)
def test_malformed_times_name_their_line(tmp_path: Path, line: str) -> None:
    path = write_transcript(tmp_path, f"{TIMES}a\n\n2\n{line}\nb\n", "a.srt")
    assert refusal(path).startswith(f"a.srt: line 6 must have two times ({line[:30]!r}"[:-1])


def test_only_times_malformed(tmp_path: Path) -> None:
    assert "line 2 must have two times" in refusal(
        write_transcript(tmp_path, "1\n00:00:01;0 --> 00:00:02;0\na", "a.srt")
    )


@pytest.mark.parametrize(
    ("stated", "fact"),
    [
        ("NaN", "entry 1 has an invalid time ('nan')"),
        ("Infinity", "entry 1 has an invalid time ('inf')"),
        ("1e999", "entry 1 has an invalid time ('inf')"),
        ("1e308", "entry 1 has the invalid time 1e+308 s"),
        ("-1", "entry 1 has the invalid time -1 s"),
        ("1700000000.5", "entry 1 has the invalid time 1.7e+09 s"),
        ("9" * 4000, "entry 1 has an invalid time ('9999999"),
        ("9" * MEGA, "has a number with too many digits"),
        ("true", "entry 1 has an invalid time ('True')"),
        ('"soon"', "entry 1 has an invalid time ('soon')"),
        ('"nan"', "entry 1 has an invalid time ('nan')"),
        ('"' + "9" * MEGA + '"', "entry 1 has an invalid time ('9999999"),
        ('"1\\n2"', "entry 1 has an invalid time ('1\\n2')"),
    ],
    ids=short,
)
def test_times_that_cannot_be_in_json(tmp_path: Path, stated: str, fact: str) -> None:
    text = f'[{{"start": {stated}, "end": {stated}, "text": "a"}}]'
    assert refusal(write_transcript(tmp_path, text, "a.json")).startswith(f"a.json: {fact}")


@pytest.mark.parametrize(
    "stated",
    ["nan", "inf", "1e999", "1e308", "-1", "9" * 39, "9" * 100_000, "1.2.3", "soon", "١"],
    ids=short,
)
def test_times_that_cannot_be_in_tables(tmp_path: Path, stated: str) -> None:
    for name, delimiter in (("a.csv", ";"), ("a.tsv", "\t")):
        text = delimiter.join(("start", "end", "text")) + f"\n1{delimiter}2{delimiter}a\n"
        line = refusal(write_transcript(tmp_path, text + delimiter.join((stated, stated, "b")), name))
        assert line.startswith((f"{name}: line 3 has an invalid time (", f"{name}: line 3 has the invalid time "))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("[" * 40_000, "is nested too deeply"),
        ('{"segments":' * 40_000, "is nested too deeply"),
        ('[{"text": ' + "[" * 40_000 + "]" * 40_000 + "}]", "is nested too deeply"),
        ("[" + "{}," * 2000 + "{}]", "has more than 2000 utterances"),
        ("[" + "1," * 50_000 + "1]", "has more than 50000 values"),
        ('{"text": 1}\n' * 2001, "has more than 2000 utterances"),
        ('[{"start": 0,\n "text": }]', "line 2 is not valid JSON (Expecting value)"),
        ('{"segments": [{"text": "a"', "line 1 is not valid JSON"),
        ("", "is empty"),
        ("soon", "line 1 is not valid JSON"),
        ("17", "has none of the keys segments, transcription"),
        ('{"a": 1}', "has none of the keys segments, transcription"),
        ('{"segments": {"start": 1}}', "has none of the keys segments, transcription"),
        ("[[1, 2]]", "entry 1 is not an utterance ('[1, 2]')"),
        ('[{"text": "a"}, null]', "entry 2 is not an utterance ('None')"),
        ('[{"start": 1, "text": "a"}, {"text": "b"}]', "entry 2 has no start time, but others do"),
    ],
    ids=short,
)
def test_json_that_is_no_transcript(small_limits: None, tmp_path: Path, text: str, fact: str) -> None:
    path = write_transcript(tmp_path, text, "a.json")
    if not text:
        with pytest.raises(InputUnreadableError, match="is empty"):
            read_transcript(path)
        return
    assert refusal(path).startswith(f"a.json: {fact}")


def test_nesting_of_a_billion(tmp_path: Path) -> None:
    line = refusal(write_transcript(tmp_path, "[" * 4 * MEGA, "a.json"))
    assert line == "a.json: is nested too deeply; choose another file"
    path = write_transcript(tmp_path, "[", "b.json")
    os.truncate(path, 10**9)
    assert refusal(path).startswith("b.json: is larger than 64 MB")


def test_json_with_fields_of_the_wrong_kind(tmp_path: Path) -> None:
    text = '[{"start": [1], "end": {}, "speaker": ["x"], "text": "a"}, {"text": null}, {"words": 3, "text": "b"}]'
    transcript = read_transcript(write_transcript(tmp_path, text, "a.json"))
    assert [(each.speaker, each.text) for each in transcript.utterances] == [(None, "a"), (None, "b")]


def test_halves_of_characters_and_controls_are_no_text(tmp_path: Path) -> None:
    text = '[{"speaker": "A\\u0000\\ud800\\n B", "text": "x\\ud83d\\u0007 \\u0000y\\u001b[2J\\tz"}]'
    (utterance,) = read_transcript(write_transcript(tmp_path, text, "a.json")).utterances
    assert (utterance.speaker, utterance.text) == ("A\ufffd B", "x\ufffd y[2J z")
    utterance.text.encode()


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ('start,end,text\n1,2,"a\n2,3,b\n' * 2, "line 2 starts a row that cannot be read"),
        ('start,end,text\n1,2,"a\n2,3,b\n', "line 2 starts a row that cannot be read (unexpected end of data)"),
        ("start,end,text\n1,2,a\n,3,b\n", "line 3 has no start time, but others do"),
        ("start,end,text\n" + "," * 50_000, "has more than 50000 cells"),
        ("start,end,text\n" + "1,2,a\n" * 2001, "has more than 2000 utterances"),
        ("once upon a time", "has no text column, its first line is 'once upon a time'"),
        ("a" * MEGA, "has no text column, its first line is 'aaaa"),
        ("start,end\n1,2\n", "has no text column, its first line is 'start,end'"),
    ],
    ids=short,
)
def test_tables_that_are_no_transcripts(small_limits: None, tmp_path: Path, text: str, fact: str) -> None:
    assert refusal(write_transcript(tmp_path, text, "a.csv")).startswith(f"a.csv: {fact}")


@pytest.mark.parametrize(
    ("name", "text", "fact"),
    [
        ("a.txt", "\n" * 10_001, "has more than 10000 lines"),
        ("a.txt", "a\n" * 2001, "has more than 2000 utterances"),
        ("a.vtt", HEADS["a.vtt"] + "<v A>a" * 2001, "has more than 2000 voices"),
        ("a.srt", TIMES + "- a\n" * 2001, "has more than 2000 utterances"),
    ],
    ids=short,
)
def test_more_than_anybody_says(small_limits: None, tmp_path: Path, name: str, text: str, fact: str) -> None:
    assert refusal(write_transcript(tmp_path, text, name)).startswith(f"{name}: {fact}; split it")


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, TIMES + "a", "a.srt")
    os.truncate(path, 1024**4)  # a hole of a terabyte
    assert refusal(path).startswith(f"a.srt: is larger than {MAXIMUM_BYTES // 1024**2} MB")


@pytest.mark.parametrize("name", ["a.srt", "a.vtt", "a.json", "a.csv", "a.txt"])
def test_binary_files(tmp_path: Path, name: str) -> None:
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0"
    archive = b"PK\x03\x04" + random.Random(0).randbytes(100_000)
    utf32, odd = (TIMES + "a").encode("utf-32"), b"\xff\xfe" + random.Random(1).randbytes(9_999)
    for content in (picture, archive, b"\0" * MEGA, random.Random(2).randbytes(MEGA), utf32, odd, b"\x7fELF\x02\xff"):
        assert refusal(write_transcript(tmp_path, content, name)).startswith(
            f"{name}: is not text (control bytes at line "
        )


def test_nul_bytes_name_their_line(tmp_path: Path) -> None:
    path = write_transcript(tmp_path, (TIMES + "fine\n\n" + TIMES + "not\0fine").encode(), "a.srt")
    assert refusal(path) == "a.srt: is not text (control bytes at line 7); choose a transcript"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match="does not exist; check the path"):
        read_transcript(tmp_path / "missing.srt")
    with pytest.raises(InputMissingError):
        read_transcript(write_transcript(tmp_path, "a", "a.txt") / "a.srt")
    with pytest.raises(InputUnreadableError, match="is a folder; name a file in it"):
        read_transcript(tmp_path)
    with pytest.raises(InputUnreadableError, match="is empty"):
        read_transcript(write_transcript(tmp_path, "", "empty.srt"))
    os.mkfifo(tmp_path / "pipe.srt")
    with pytest.raises(InputUnreadableError, match="is not an ordinary file"):
        read_transcript(tmp_path / "pipe.srt")
    with pytest.raises(InputUnreadableError, match="cannot be opened"):
        read_transcript(str(tmp_path / "a\0b.srt"))


@pytest.fixture
def forbidden_file() -> Iterator[Path]:
    """A file that may not be read, in a folder that may; root becomes nobody meanwhile."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    path = write_transcript(folder, "a", "a.txt")
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield path
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_file_that_may_not_be_read(forbidden_file: Path) -> None:
    with pytest.raises(InputUnreadableError, match=r"a\.txt: may not be read; change its permissions"):
        read_transcript(forbidden_file)


FRAGMENTS = [
    *(
        "WEBVTT",
        "\n",
        "\n\n",
        "\r",
        "NOTE",
        "STYLE",
        "1",
        "00:01.000 --> 00:02.000",
        "00:00:01,5",
        "-->",
        "<v A>",
        "</v>",
    ),
    *("&lt;", "{\\an8}", "start,end,text", "start\ttext", ",", "\t", ";", '"', "[", "]", "{", "}", ":", "Ann: ", "- "),
    *('{"segments": [', '{"start": 1, "text": "a"}', "null", "NaN", "1e308", "[00:01.0 --> 00:02.0] a", "\ufeff", " "),
]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), max_size=30).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    ),
    name=st.sampled_from(["a.srt", "a.vtt", "a.txt", "a.json", "a.csv", "a.tsv", "a"]),
    duration=st.none() | st.floats(0, 10),
)
def test_anything_is_read_or_refused_in_one_line(
    tmp_path: Path, content: bytes, name: str, duration: float | None
) -> None:
    try:
        transcript = read_transcript(write_transcript(tmp_path, content, name), duration_seconds=duration)
    except MultimodalError as error:
        assert "\n" not in str(error).replace(str(tmp_path), "")
        return
    starts = [each.start_seconds for each in transcript.utterances]
    assert starts == sorted(starts)
    assert all(each.text and each.text == each.text.strip() and "\n" not in each.text for each in transcript.utterances)
    assert all("\n" not in line for line in transcript.warnings)
