"""Subtitles: read back by webvtt-py, FFmpeg and a browser, and equal to the analysis."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

import av
import pytest
import webvtt
from analysis_fixtures import empty_analysis, hard_analysis, make_analysis, name_of, one_line, times_of
from page_fixtures import OpenPage

from multimodal.analysis.result import Analysis
from multimodal.export.formats import export
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import UNCERTAIN

Row = tuple[int, int, str | None, str, str]


def expected(analysis: Analysis) -> list[Row]:
    """Start, end, speaker, answer and words of each cue there must be."""
    rows: list[Row] = []
    for each in analysis.estimates:
        words, answer = one_line(each.utterance.text), ""
        if each.fused is not None:
            sure = round(max(each.fused.probabilities.values()) * 1000)
            percent = " >99%" if sure >= 995 else f" {round(sure / 10)}%"
            first = max(each.fused.probabilities, key=lambda label: each.fused.probabilities[label])
            answer = UNCERTAIN if each.uncertain else first + percent
        if words or answer:
            sure = each.usability_probability or 0.0
            said = "" if each.usability_label == "neutral" or sure < 0.5 else f"[{each.usability_label} {sure:.0%}]"
            rows.append((*times_of(each.utterance), name_of(each.utterance.speaker), answer, words, said))
    return sorted(rows, key=lambda row: row[:2])


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> tuple[Analysis, Path]:
    folder = tmp_path_factory.mktemp("hard")
    analysis = hard_analysis(folder / "--> <b>.mp4")
    export(analysis, folder, ("vtt", "srt"))
    return analysis, folder


def milliseconds(stamp: Any) -> int:
    return int(stamp.in_milliseconds())


def test_webvtt_is_valid_and_says_what_the_analysis_says(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    read = webvtt.from_string((folder / "emotions.vtt").read_text(encoding="utf-8"), strict=True)
    rows = expected(analysis)
    assert len(read.captions) == len(rows) == 17
    assert [row[5] for row in rows if row[5]][:2] == ["[frustration 80%]", "[confusion 80%]"]
    for caption, (start, end, speaker, answer, words, said) in zip(read.captions, rows, strict=True):
        assert (milliseconds(caption.start_time), milliseconds(caption.end_time)) == (start, end)
        lines = caption.raw_text.split("\n")
        label = answer.split()[0]
        assert lines[0] == f"<c.{label}>{SIGNS[label]} {answer}</c> {said}".strip()
        assert len(lines) == 1 + bool(words)
        if words:
            voice, spoken = re.fullmatch(r"(?:<v ([^>]*)>)?(.*?)(?:</v>)?", lines[1]).groups()
            assert "<" not in spoken and ">" not in spoken
            assert html.unescape(spoken) == words
            assert (html.unescape(voice) if voice else None) == speaker


def test_webvtt_names_models_and_colors(hard: tuple[Analysis, Path]) -> None:
    _, folder = hard
    text = (folder / "emotions.vtt").read_text(encoding="utf-8")
    read = webvtt.from_string(text)
    note = "\n".join(read.header_comments)
    assert "dual_recurrent.test-v1" in note and "not what the person felt" in note and "→ <b>.mp4" in note
    (style,) = read.styles
    for label in ("happiness", UNCERTAIN):
        assert f"::cue(.{label}) {{ background-color: {COLORS[label]}; color: {ink_on(COLORS[label])}; }}" in style.text
    assert text.count("-->") == len(read.captions)


def test_srt_says_what_the_analysis_says(hard: tuple[Analysis, Path]) -> None:
    analysis, folder = hard
    read = webvtt.from_srt(folder / "emotions.srt").captions
    rows = expected(analysis)
    assert len(read) == len(rows)
    for caption, (start, end, speaker, answer, words, said) in zip(read, rows, strict=True):
        assert (milliseconds(caption.start_time), milliseconds(caption.end_time)) == (start, end)
        line = " ".join(filter(None, [f"{speaker}:" if speaker else "", f"[{answer}]", said, words]))
        # SRT has no entities of its own; they stand only in lines that would otherwise be taken for markup.
        assert caption.raw_text == line or html.unescape(caption.raw_text) == line
        assert not re.search(r"</?(?:b|i|u|c|v|font)[ .>]|{\\", caption.raw_text)
    blocks = (folder / "emotions.srt").read_text(encoding="utf-8").strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(number) for number in range(1, len(rows) + 1)]
    assert all(len(block.split("\n")) == 3 for block in blocks)


@pytest.mark.parametrize("name", ["emotions.vtt", "emotions.srt"])
def test_players_see_the_same_cues(hard: tuple[Analysis, Path], name: str) -> None:
    analysis, folder = hard
    with av.open(str(folder / name)) as container:
        packets = [packet for packet in container.demux() if packet.pts is not None and packet.duration]
    actual = [(packet.pts, packet.pts + packet.duration) for packet in packets]
    assert actual == [row[:2] for row in expected(analysis)]


PAGE = """<!doctype html><html lang="en"><title>cues</title><video><track default src="data:text/vtt;base64,{track}">
</video><script>window.cues = () => [...document.querySelector('video').textTracks[0].cues].map(cue => {{
  const tree = cue.getCueAsHTML(), voice = tree.querySelector('[title]'), marks = tree.querySelector('[class]');
  return [Math.round(cue.startTime * 1000), Math.round(cue.endTime * 1000), voice && voice.title, marks.className,
          tree.textContent, tree.querySelectorAll('script, img, i, b').length];
}});</script></html>"""


@pytest.mark.browser
def test_a_browser_shows_the_same_cues(hard: tuple[Analysis, Path], open_page: OpenPage) -> None:
    analysis, folder = hard
    track = base64.b64encode((folder / "emotions.vtt").read_bytes()).decode()
    (folder / "page.html").write_text(PAGE.format(track=track), encoding="utf-8")
    page = open_page(folder / "page.html")
    page.wait_for_function("() => { const t = document.querySelector('track'); return t.readyState === 2; }")
    rows = expected(analysis)
    actual = page.evaluate("window.cues()")
    assert len(actual) == len(rows)
    for (start, end, voice, mark, text, elements), row in zip(actual, rows, strict=True):
        assert (start, end, mark, elements) == (*row[:2], row[3].split()[0], 0)
        assert voice == (row[2] if row[4] else None)
        assert text.split("\n") == [f"{SIGNS[mark]} {row[3]} {row[5]}".strip(), *([row[4]] if row[4] else [])]


def test_nothing_to_say_gives_files_without_cues(tmp_path: Path) -> None:
    export(empty_analysis(tmp_path / "a.mp4"), tmp_path, ("vtt", "srt"))
    assert webvtt.read(tmp_path / "emotions.vtt").captions == []
    assert (tmp_path / "emotions.srt").read_bytes() == b""


def test_an_hour_is_an_hour(tmp_path: Path) -> None:
    export(make_analysis(tmp_path / "a.mp4", 3608.0), tmp_path, ("vtt", "srt"))
    last = webvtt.read(tmp_path / "emotions.vtt").captions[-1], webvtt.from_srt(tmp_path / "emotions.srt").captions[-1]
    assert [(each.start, each.end) for each in last] == [("01:00:04.000", "01:00:08.000")] * 2
