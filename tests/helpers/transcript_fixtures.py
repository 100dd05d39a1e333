"""Writes transcript files of any content, and reads utterances as plain rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multimodal.types import Utterance

Row = tuple[float, float, str | None, str | None]
"""Start, end, speaker, text."""

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there,
{\\an8}Ann.

2
00:00:03,000 --> 00:01:04,250 X1:10 X2:20 Y1:1 Y2:9
Fish &amp; chips, <font color="#ff0">R&D</font> &#233;.
"""

VTT = """WEBVTT - an interview
Kind: captions
Language: EN

NOTE 00:00.000 --> 00:09.000 is not
a cue

STYLE
::cue { color: papayawhip }

REGION
id:fred
width:40%

intro
00:01.000 --> 00:02.500 align:start position:10%,line-left
<v.loud.first Ann Lee>Well, <00:01.500><c.yellow>that</c>
goes on</v>

01:00:00.000 --> 01:00:02.000
<v Ann Lee>Yes?</v> <v Bob &amp; Co>A &lt;b&gt; is
no &lrm;tag</v>
(noise)
"""


def write_transcript(folder: Path, content: str | bytes, name: str = "talk.srt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(utterances: Sequence[Utterance]) -> list[Row]:
    return [(each.start_seconds, each.end_seconds, each.speaker, each.text) for each in utterances]
