"""Detects the format of a transcript by its content, and reads SRT, WebVTT and plain text.

Captions and tables have a reader of their own because the available libraries (webvtt-py 0.6, pysubs2 1.8, srt 3.5)
accept ``00:05 --> 00:02`` and ``00:07.0xx`` as times without an error, give no line numbers, and keep one voice of a
cue in which two speak. ``csv`` and ``json`` of the standard library are used where they suffice.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from multimodal.data.transcripts.speakers import with_speakers
from multimodal.data.transcripts.tables import read_table
from multimodal.data.transcripts.text import (
    CLOCK,
    MAXIMUM_UTTERANCES,
    Cue,
    CueList,
    clock_seconds,
    excerpt,
    has_time_tags,
    plain_text,
    strip_tags,
    unescape,
    voices,
)
from multimodal.data.transcripts.whisper_json import looks_like_json, read_json
from multimodal.errors import TranscriptError

MAXIMUM_LINES = 1_000_000
"""Maximum number of lines: a hundred hours of subtitles have about half a million."""

_TIMING = re.compile(rf"^[ \t]*{CLOCK}[ \t]*-->[ \t]*{CLOCK}", re.MULTILINE)
_TIMING_ATTEMPT = re.compile(r"^[ \t]*[0-9]{1,9}[ \t]*:[^\n]*-->", re.MULTILINE)
_CONSOLE = re.compile(rf"\[({CLOCK})[ \t]*-->[ \t]*({CLOCK})\](.*)")
"""Lines that whisper prints while it runs, which people save as text."""

_HEADER = re.compile(r"WEBVTT(?=[ \t\n]|\Z)")
_LANGUAGE = re.compile(r"Language:[ \t]*([A-Za-z-]{2,35})[ \t]*")
_KINDS = {".srt": "SRT", ".vtt": "WebVTT", ".json": "JSON", ".csv": "table", ".tsv": "table"}


@dataclass
class _Caption:
    number: int
    start_seconds: float
    end_seconds: float
    lines: list[str]


_Line = tuple[int, str]


def read_cues(path: str | PathLike[str], text: str) -> CueList:
    """Reads a transcript in any format; the name decides only if the content is ambiguous.

    Args:
        path: Path of the file, for its suffix and for errors.
        text: Content of the file.

    Returns:
        The cues in the order of the file; times are not checked.

    Raises:
        TranscriptError: A line is invalid, or there are too many.

    Example:
        >>> read_cues("answer.srt", "I gave up.").kind
        'plain text'
    """
    suffix = Path(path).suffix.lower()
    cue_list = _by_content(path, text, suffix)
    expected = _KINDS.get(suffix, cue_list.kind)
    if cue_list.kind == expected:
        return cue_list
    note = f"the name ends in {suffix}, but the content was read as {cue_list.kind}"
    return replace(cue_list, warnings=(note, *cue_list.warnings))


def _by_content(path: str | PathLike[str], text: str, suffix: str) -> CueList:
    begin = text.lstrip()
    is_webvtt = _HEADER.match(begin) is not None
    if not is_webvtt and (looks_like_json(begin) or (suffix == ".json" and begin[:1] in ("[", "{"))):
        return read_json(path, text)
    if text.count("\n") > MAXIMUM_LINES:
        raise TranscriptError(path, f"has more than {MAXIMUM_LINES} lines", "split it")
    # In a file named as captions, an attempt at times must be refused with its line number.
    timing = _TIMING_ATTEMPT if suffix in (".srt", ".vtt") else _TIMING
    if is_webvtt or timing.search(text):
        return read_captions(path, text, is_webvtt=is_webvtt)
    table = read_table(path, text, by_suffix=suffix in (".csv", ".tsv"))
    if table is None and suffix == ".json":
        return read_json(path, text)  # reports where it is not JSON
    return table or read_plain(text)


def read_plain(text: str) -> CueList:
    r"""Reads plain text: one utterance per line, without times.

    Lines that whisper prints, ``[00:00.000 --> 00:04.000]  text``, keep their times.

    Args:
        text: Content of the file.

    Returns:
        One cue per non-empty line; names before the text become speakers by the rule of ``with_speakers``.

    Example:
        >>> [(cue.speaker, cue.text) for cue in read_plain("P1: It broke.\n\nTwice.").cues]
        [('P1', 'It broke.'), (None, 'Twice.')]
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if lines and _CONSOLE.fullmatch(lines[0][1]):
        return CueList("plain text", with_speakers(list(_console_cues(lines))))
    cues = [Cue(number, None, None, None, line) for number, line in lines]
    return CueList("plain text", with_speakers(cues, carry_on=True))


def _console_cues(lines: list[_Line]) -> Iterator[Cue]:
    current: Cue | None = None
    for number, line in lines:
        match = _CONSOLE.fullmatch(line)
        if match is None:
            current = replace(current, text=f"{current.text}\n{line}") if current else None
            continue
        if current:
            yield current
        current = Cue(number, clock_seconds(match[1]), clock_seconds(match[2]), None, match[3].strip())
    if current:
        yield current


def read_captions(path: str | PathLike[str], text: str, *, is_webvtt: bool) -> CueList:
    r"""Reads SRT or WebVTT.

    Voice tags name the speakers; in a file without them, names before the text do by the rule of ``with_speakers``. A
    cue with several voices becomes several cues with the same times. Notes, styles, regions and settings are ignored.
    Automatic captions, which time single words and repeat each line below the next, are unrolled.

    Args:
        path: Path of the file, for errors.
        text: Content of the file.
        is_webvtt: Whether the file starts with the line ``WEBVTT``.

    Returns:
        The cues in the order of the file, their text without tags and entities.

    Raises:
        TranscriptError: A line that must have two times does not.

    Example:
        >>> text = "WEBVTT\n\n00:01.000 --> 00:02.500 align:start\n<v Ann>Fish &amp; <i>chips</i>"
        >>> read_captions("a.vtt", text, is_webvtt=True).cues
        [Cue(number=3, start_seconds=1.0, end_seconds=2.5, speaker='Ann', text='Fish & chips')]
    """
    if text.count("<v") + text.count("<V") > MAXIMUM_UTTERANCES:
        raise TranscriptError(path, f"has more than {MAXIMUM_UTTERANCES} voices", "split it")
    strays: list[int] = []
    blocks = list(_blocks(text, str if is_webvtt else str.strip))
    language = _without_header(blocks) if is_webvtt else None
    captions = _captions(path, _without_notes(blocks) if is_webvtt else iter(blocks), is_webvtt, strays)
    if has_time_tags(text):
        captions = _unrolled(captions)
    cues = [cue for caption in captions for cue in _voice_cues(caption)]
    if not any(cue.speaker for cue in cues):
        cues = with_speakers(cues)
    notes = (f"text without times is ignored ({_places(strays)})",) if strays else ()
    cues = [replace(cue, text=unescape(cue.text)) for cue in cues]
    return CueList("WebVTT" if is_webvtt else "SRT", cues, language, notes)


def _places(numbers: list[int]) -> str:
    return f"line {numbers[0]}" + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")


def _blocks(text: str, filled: Callable[[str], object]) -> Iterator[list[_Line]]:
    """Numbered lines, grouped by empty ones. In WebVTT a line with a space is not empty; YouTube relies on it."""
    block: list[_Line] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if filled(line):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _without_header(blocks: list[list[_Line]]) -> str | None:
    """Removes the header from the first block, which may include the first cue; returns its language."""
    while not blocks[0][0][1].strip():  # lines of only spaces before the header
        del blocks[0]
    lines = blocks[0]
    end = next((index for index in range(len(lines)) if _is_timing(lines, index)), len(lines))
    matches = (_LANGUAGE.fullmatch(line) for _, line in lines[:end])
    blocks[0] = lines[end:]
    return next((match[1].lower() for match in matches if match), None)


def _without_notes(blocks: list[list[_Line]]) -> Iterator[list[_Line]]:
    return (block for block in blocks if not (block and re.match(r"(?:NOTE|STYLE|REGION)(?=[ \t]|\Z)", block[0][1])))


def _is_timing(block: list[_Line], index: int) -> bool:
    """Whether a line is meant as times, valid or not; an arrow within spoken text does not count."""
    line = block[index][1]
    if "-->" not in line:
        return False
    return _TIMING_ATTEMPT.match(line) is not None or (index == 1 and block[0][1].strip().isdecimal())


def _captions(
    path: str | PathLike[str], blocks: Iterator[list[_Line]], is_webvtt: bool, strays: list[int]
) -> Iterator[_Caption]:
    """The captions. In SRT a text may contain empty lines; in WebVTT text without times is no caption."""
    current: _Caption | None = None
    for block in blocks:
        timings = [index for index in range(len(block)) if _is_timing(block, index)]
        lead = _without_index(block[: timings[0]] if timings else block, bool(timings), is_webvtt)
        if current and not is_webvtt:
            current.lines += [line for _, line in lead]
        elif lead:
            strays.append(lead[0][0])
        for begin, end in itertools.pairwise([*timings, len(block)]):
            if current:
                yield current
            lines = _without_index(block[begin + 1 : end], end < len(block), False)
            current = _Caption(*_times(path, *block[begin]), [line for _, line in lines])
    if current:
        yield current


def _without_index(lines: list[_Line], before_timing: bool, is_webvtt: bool) -> list[_Line]:
    """Drops the number, in WebVTT any identifier, before the times of a cue."""
    if before_timing and lines and (is_webvtt or lines[-1][1].strip().isdecimal()):
        return lines[:-1]
    return lines


def _times(path: str | PathLike[str], number: int, line: str) -> tuple[int, float, float]:
    left, _, right = line.partition("-->")
    words = right.split(None, 1)  # settings may follow
    start, end = clock_seconds(left.strip()), clock_seconds(words[0]) if words else None
    if start is None or end is None:
        fact = f"line {number} must have two times ({excerpt(line.strip())})"
        raise TranscriptError(path, fact, "write them as 00:00:01.000 --> 00:00:02.500")
    return number, start, end


def _voice_cues(caption: _Caption) -> Iterator[Cue]:
    """The cues of a caption: one per turn of its voices."""
    turns: list[tuple[str | None, list[str]]] = []
    for speaker, part in voices("\n".join(caption.lines)):
        words = strip_tags(part)
        if not words.strip():
            continue
        if not turns or turns[-1][0] != speaker:
            turns.append((speaker, []))
        turns[-1][1].append(words)
    for speaker, parts in turns:
        yield Cue(caption.number, caption.start_seconds, caption.end_seconds, speaker, "\n".join(parts))


def _unrolled(captions: Iterator[_Caption]) -> Iterator[_Caption]:
    """Drops first lines of a caption that repeat the end of the previous one, as in automatic captions."""
    previous: list[str] = []
    for caption in captions:
        caption.lines = [line for line in caption.lines if plain_text(strip_tags(line))]
        lines = [plain_text(strip_tags(line)) for line in caption.lines]
        repeats = next((size for size in (3, 2, 1) if len(lines) >= size and previous[-size:] == lines[:size]), 0)
        previous = lines
        if lines[repeats:]:
            caption.lines = caption.lines[repeats:]
            yield caption
