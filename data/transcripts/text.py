"""Text of transcripts in any format: decoding, times, markup.

Every pattern takes linear time: no two neighboring parts can match the same character, and the content of brackets ends
at the next bracket.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike

from multimodal.errors import TranscriptError

MAXIMUM_UTTERANCES = 200_000
"""Maximum number of utterances: a hundred hours of speech have about half as many."""

CLOCK = r"(?:[0-9]{1,9}:)?[0-9]{1,9}:[0-9]{1,2}(?:[.,][0-9]{1,9})?"
"""A time in subtitles: optional hours, minutes, seconds, and an optional fraction after a point or comma."""

_CLOCK_PARTS = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?")
_TIME_TAG = re.compile(rf"<{CLOCK}>")
_BREAK_TAG = re.compile(r"<br[ \t]*/?>", re.IGNORECASE)
_FORMAT_TAG = re.compile(r"</?(?:b|i|u|s|c|v|em|strong|font|span|ruby|rt|lang)(?:[.\s][^<>]*)?>", re.IGNORECASE)
_STYLE_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_VOICE_TAG = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s([^<>]*))?>|</v>", re.IGNORECASE)

_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROLS: dict[int, str | None] = dict.fromkeys((*range(32), 127))
_CONTROLS |= {ord(space): " " for space in "\t\v\f"} | {ord(end): "\n" for end in "\r\n"}
_BINARY = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]")


@dataclass(frozen=True, slots=True)
class Cue:
    r"""One utterance as the file states it, unchecked.

    Attributes:
        number: Line of the file, or entry of its list, from 1.
        start_seconds: Start; None if not stated.
        end_seconds: End; None if not stated.
        speaker: Name of the speaker; None if unknown.
        text: The text, lines separated by ``\n``.
    """

    number: int
    start_seconds: float | None
    end_seconds: float | None
    speaker: str | None
    text: str


@dataclass(frozen=True)
class CueList:
    """The content of one file.

    Attributes:
        kind: Format as which the file was read: ``SRT``, ``WebVTT``, ``JSON``, ``table`` or ``plain text``.
        cues: The cues in the order of the file.
        language: Language as the file names it; None if it does not.
        warnings: One line per ignored or guessed content.
        unit: Unit of ``Cue.number``: ``line`` or ``entry``.
    """

    kind: str
    cues: list[Cue]
    language: str | None = None
    warnings: tuple[str, ...] = ()
    unit: str = "line"

    def place(self, cue: Cue) -> str:
        """The position of a cue in the file, for messages.

        Args:
            cue: A cue of the list.

        Returns:
            Such as ``line 7``.
        """
        return f"{self.unit} {cue.number}"


def decode_text(path: str | PathLike[str], data: bytes) -> tuple[str, list[str]]:
    r"""Decodes the bytes of a transcript.

    UTF-8 and UTF-16 are recognized with or without a byte order mark; anything else is read as Windows-1252, or as
    Latin-1 if Windows-1252 lacks a character. UTF-8 with a few invalid characters remains UTF-8.

    Args:
        path: Path of the file, for the error.
        data: Content of the file.

    Returns:
        The text with ``\n`` line ends, and warnings.

    Raises:
        TranscriptError: The file is not text: it has NUL or other control bytes.

    Example:
        >>> decode_text("talk.srt", "caf\u00e9\r\nbar".encode("utf-16"))
        ('café\nbar', [])
    """
    text, warnings = _decode(data)
    if text is None or "\0" in text:
        line = data.count(b"\n", 0, max(data.find(b"\0"), 0)) + 1
        raise TranscriptError(path, f"is not text (control bytes at line {line})", "choose a transcript")
    return text.replace("\r\n", "\n").replace("\r", "\n"), warnings


def _decode(data: bytes) -> tuple[str | None, list[str]]:
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked or b"\0" in data:
        text, warnings = _decode_leniently(data, "utf-16" if marked else _utf16_without_mark(data))
        # One in 32 pairs of random bytes is not a character, so binary data is recognized.
        return (None, []) if text.count("\ufffd") > 1 + len(text) // 100 else (text, warnings)
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    repaired, warnings = _decode_leniently(data, "utf-8-sig")
    # In UTF-8 most characters beyond ASCII are valid; in another encoding hardly any are.
    if repaired.count("\ufffd") * 2 < len(repaired) - len(repaired.encode("ascii", "ignore")):
        return repaired, warnings
    if _BINARY.search(data):
        return None, []
    try:
        return data.decode("cp1252"), ["the transcript is not UTF-8 and was read as Windows-1252"]
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["the transcript is not UTF-8 and was read as Latin-1"]


def _decode_leniently(data: bytes, encoding: str) -> tuple[str, list[str]]:
    text = data.decode(encoding, "replace")
    invalid = text.count("\ufffd")
    return text, [f"invalid characters were replaced ({invalid})"] if invalid else []


def _utf16_without_mark(data: bytes) -> str:
    """Western letters in UTF-16 have a zero in every pair of bytes, always on the same side."""
    first, second = data[0::2].count(0), data[1::2].count(0)
    if max(first, second) * 4 < len(data) or min(first, second):
        return "latin-1"  # keeps the zeros, so that they are detected later
    return "utf-16-be" if first else "utf-16-le"


def clock_seconds(token: str) -> float | None:
    """Reads a time such as ``1:02:03,456``, ``02:03.456`` or ``02:03``.

    Args:
        token: The time, without surrounding spaces.

    Returns:
        Seconds; None if the token is not such a time, has more than 59 seconds, or hours and more than 59 minutes.

    Example:
        >>> clock_seconds("00:01:02,5"), clock_seconds("75:10"), clock_seconds("1:75:10")
        (62.5, 4510.0, None)
    """
    match = _CLOCK_PARTS.fullmatch(token)
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups(default="")
    if int(seconds) > 59 or (hours and int(minutes) > 59):
        return None
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    parts: int = 10 ** len(fraction)
    return int(f"{whole}{fraction}") / parts


def excerpt(text: str) -> str:
    """The beginning of a text, quoted, for a message.

    Args:
        text: Any text.

    Example:
        >>> excerpt("x" * 1000)
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'"
    """
    return repr(text if len(text) <= 40 else text[:40] + "…")


def plain_text(text: str) -> str:
    r"""Joins the lines of a text with a space; drops control codes and replaces halves of UTF-16 pairs.

    Args:
        text: Any text.

    Example:
        >>> plain_text("  Well,\n\n I \x1b think so. ")
        'Well, I  think so.'
    """
    whole = _SURROGATE.sub("\ufffd", text).translate(_CONTROLS)
    return " ".join(filter(None, map(str.strip, whole.split("\n"))))


def plain_name(name: str | None) -> str | None:
    """A speaker's name on one line with single spaces; None if nothing remains.

    Args:
        name: A name, or None.

    Example:
        >>> plain_name(" Ann  Lee "), plain_name(" ")
        ('Ann Lee', None)
    """
    return " ".join(plain_text(name or "").split()) or None


def has_time_tags(text: str) -> bool:
    """Whether single words have times, as in automatic captions: ``Hello <00:01.500>there``.

    Args:
        text: Any text.

    Example:
        >>> has_time_tags("Hello <00:01.500>there"), has_time_tags("<b>Hello</b>")
        (True, False)
    """
    return _TIME_TAG.search(text) is not None


def strip_tags(text: str) -> str:
    r"""Drops formatting: ``<i>``, ``<c.yellow>``, ``<font ...>``, ``{\an8}``, and the times within a line.

    Tags that neither SRT nor WebVTT defines are part of the text.

    Args:
        text: Any text.

    Example:
        >>> strip_tags(r"{\an8}<i>Well</i>, <00:01.500><c>click</c> <script>here")
        'Well, click <script>here'
    """
    without_times = _TIME_TAG.sub("", _STYLE_OVERRIDE.sub("", text))
    return _FORMAT_TAG.sub("", _BREAK_TAG.sub("\n", without_times))


def unescape(text: str) -> str:
    """Replaces entities by their characters; an entity without semicolon is unchanged.

    Args:
        text: Any text.

    Example:
        >>> unescape("R&D &lt;b&gt; &amp;amp; &#233;")
        'R&D <b> &amp; é'
    """
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)


def voices(text: str) -> Iterator[tuple[str | None, str]]:
    """Splits the text of one cue at its voice tags.

    A voice lasts until its end tag, the next voice, or the end of the cue.

    Args:
        text: Text with tags.

    Yields:
        The speaker, None outside any voice, and the text with its other tags.

    Example:
        >>> list(voices("<v Ann>Yes?</v> <v.loud Bob &amp; Co>No."))
        [(None, ''), ('Ann', 'Yes?'), (None, ' '), ('Bob & Co', 'No.')]
    """
    speaker, start = None, 0
    for match in _VOICE_TAG.finditer(text):
        yield speaker, text[start : match.start()]
        speaker, start = plain_name(unescape(match[1] or "")), match.end()
    yield speaker, text[start:]


_NO_CHARACTERS = dict.fromkeys((0xFFFE, 0xFFFF))
"""Code points that are not characters in Unicode and invalid in XML."""


def printable(text: str | None) -> str:
    r"""A text on one line, without characters that are invalid in XML.

    Args:
        text: Any text.

    Example:
        >>> printable("one\ntwo \x0b\ufffe three")
        'one two   three'
    """
    return plain_text(text or "").translate(_NO_CHARACTERS)
