"""Written subtitles: the round trip, and reading by ffmpeg."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transcript_fixtures import Row, rows

from multimodal.data.transcripts.files import read_transcript, write_srt, write_vtt
from multimodal.data.transcripts.text import plain_name, plain_text
from multimodal.errors import OutputError
from multimodal.types import Utterance

TRAPS = [
    *("<i>", "</i>", "<v Ann>", "</v>", "<00:01.000>", "<c.a>", "<br>", "<script>", "{\\an8}", "{", "}"),
    *("&amp;", "&lt;", "&", "&#58;", "<", ">", "-->", "00:00:01,000 --> 00:00:02,000", "00:01.000 --> 00:02.000"),
    *(
        "Ann: ",
        "P1: ",
        "[Bob] ",
        "[P1]: ",
        "- P1: ",
        "- ",
        "-",
        "小明：",
        ":",
        "7",
        "NOTE",
        "STYLE",
        "WEBVTT",
        "\n",
        "\n\n",
    ),
    *("\r\n", "\u2028", "\x85", "\xa0", "\ufeff", "\x00", "\x1b[2J", "\ud800", "é", "আমি", "😀", " ", "word"),
]
texts = st.lists(st.sampled_from(TRAPS) | st.text(max_size=8), max_size=6).map("".join)
names = st.none() | st.sampled_from(["Ann", "Interviewer", "P1", "Bob & <Co>", "a > b", "x: y", ""]) | texts
times = st.tuples(st.floats(0, 1e5), st.floats(0, 100))


@st.composite
def conversations(draw: st.DrawFn) -> list[Utterance]:
    starts = sorted(draw(st.lists(times, max_size=5)), key=lambda pair: round(pair[0], 3))
    return [Utterance(start, start + lasts, draw(names), draw(texts)) for start, lasts in starts]


def expected_rows(utterances: list[Utterance]) -> list[Row]:
    """What a file of milliseconds and single lines can hold of them."""
    return [
        (round(u.start_seconds * 1000) / 1000, round(u.end_seconds * 1000) / 1000, plain_name(u.speaker), text)
        for u in utterances
        if (text := plain_text(u.text or ""))
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(utterances=conversations())
def test_webvtt_comes_back_as_written(tmp_path: Path, utterances: list[Utterance]) -> None:
    write_vtt(tmp_path / "a.vtt", utterances)
    assert rows(read_transcript(tmp_path / "a.vtt").utterances) == expected_rows(utterances)


def letters(speaker: str | None, text: str | None) -> str:
    """Name and words without what SRT uses to tell them apart."""
    return re.sub(r"[-\s\[\]:：‐–—]", "", f"{speaker or ''}{text}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(utterances=conversations())
def test_srt_comes_back_as_written_but_for_who_spoke(tmp_path: Path, utterances: list[Utterance]) -> None:
    spoken = [replace(each, text=f"{each.text}.") for each in utterances]  # a name alone would be nobody's words
    write_srt(tmp_path / "a.srt", spoken)
    if not spoken:
        assert (tmp_path / "a.srt").read_bytes() == b""
        return
    actual = rows(read_transcript(tmp_path / "a.srt").utterances)
    assert [(start, end, letters(*rest)) for start, end, *rest in actual] == [
        (start, end, letters(*rest)) for start, end, *rest in expected_rows(spoken)
    ]


def test_srt_keeps_recurring_names_and_roles(tmp_path: Path) -> None:
    utterances = [Utterance(i, i + 1, name, f"line {i}.") for i, name in enumerate(["Ann", "Bob", "Ann", "Bob", "P3"])]
    write_srt(tmp_path / "a.srt", utterances)
    assert list(read_transcript(tmp_path / "a.srt").utterances) == utterances


@pytest.mark.parametrize("write", [write_srt, write_vtt])
def test_ffmpeg_reads_what_we_write(tmp_path: Path, write: object) -> None:
    utterances = [Utterance(0.0005, 1.9996, "Ann", "1 < 2\n& so on"), Utterance(3599.9999, 360000.5, None, "é -->")]
    path = tmp_path / ("a.srt" if write is write_srt else "a.vtt")
    assert callable(write)
    write(path, utterances)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.pts is not None]
    assert [(p.pts, p.pts + p.duration) for p in packets] == [(0, 2000), (3_600_000, 360_000_500)]
    words = [html.unescape(bytes(packet).decode()) for packet in packets]
    assert words == ["Ann: 1 < 2 & so on" if write is write_srt else "<v Ann>1 < 2 & so on", "é -->"]


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.vtt"
    target.write_text("before")

    def failing() -> list[Utterance]:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_vtt(target, failing())
    assert target.read_text() == "before" and list(tmp_path.iterdir()) == [target]
    with pytest.raises(OutputError):
        write_srt(target / "b.srt", [])
