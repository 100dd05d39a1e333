"""Transcripts: who said what, and when, from a file; and back into subtitles.

SRT, WebVTT, plain text, tables (CSV, TSV) and JSON of the whisper tools are read, each told by its content.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from multimodal.data.media.container import open_file
from multimodal.data.transcripts.captions import read_cues
from multimodal.data.transcripts.speakers import is_named
from multimodal.data.transcripts.text import (
    MAXIMUM_UTTERANCES,
    Cue,
    Reading,
    decode_text,
    excerpt,
    plain_name,
    plain_text,
    strip_tags,
    unescape,
)
from multimodal.errors import TranscriptError
from multimodal.files import atomic_write
from multimodal.types import Utterance

SUFFIXES = (".vtt", ".srt", ".json", ".tsv", ".csv", ".txt")
"""Of files that are read as transcripts, those that say most first."""

MAXIMUM_BYTES = 64 * 1024**2
"""Twenty hours of whisper.cpp's fullest JSON, which is the most wordy; a thousand hours of subtitles."""

LATEST_SECONDS = 1000 * 3600.0
"""Later times are no recording's: a date, or milliseconds that call themselves seconds."""

TOLERANCE_SECONDS = 0.5
"""An utterance that ends by no more than this after the recording is cut without a word: speech recognizers round."""

CHARACTERS_PER_SECOND = 15.0
"""How fast people speak; says how long the last utterance lasts where neither it nor the recording states an end."""


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        utterances: In order of time, each with words; in the order of the file where it states no times.
        timed: Whether the file states times. Without them every utterance lies at 0.0 to 0.0, which means nowhere:
            only the order holds, and nothing can be cut from a recording by it.
        language: As the file names it (``en``, ``english``); None where it does not.
        warnings: Plain lines on what was cut, left out, put in order or guessed.
    """

    utterances: tuple[Utterance, ...]
    timed: bool
    language: str | None = None
    warnings: tuple[str, ...] = ()


def read_transcript(
    path: str | PathLike[str], *, speakers: Sequence[str] = (), duration_seconds: float | None = None
) -> Transcript:
    r"""Reads a transcript of any of the known forms.

    Args:
        path: SRT, WebVTT, plain text, CSV, TSV or JSON; the content decides, not the name.
        speakers: Whom to keep, in any case; everybody, also the unnamed, when empty.
        duration_seconds: End of the recording, where there is one: later utterances are left out, and what reaches
            beyond it is cut, both with a warning.

    Returns:
        The utterances. Their text is that of the file without tags and entities, lines joined with a space.

    Raises:
        InputMissingError: There is no such file.
        InputUnreadableError: It is a folder, empty, or may not be read.
        TranscriptError: It is too large or no text; a line of it cannot be understood, ends before it starts, or
            states a time that cannot be; nothing of it lies within the recording; or a speaker is not in it.

    Example:
        >>> _ = Path("talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\nthere.\n")
        >>> read_transcript("talk.srt").utterances
        (Utterance(start_seconds=1.0, end_seconds=2.5, speaker=None, text='Hello there.'),)
    """
    text, decoding = decode_text(path, _read_bytes(path))
    reading = read_cues(path, text)
    cues = [replace(cue, text=words) for cue in reading.cues if (words := plain_text(cue.text))]
    if len(cues) > MAXIMUM_UTTERANCES:
        raise TranscriptError(path, f"holds more than {MAXIMUM_UTTERANCES} utterances", "split it")
    warnings = [*decoding, *reading.warnings, *([] if cues else ["it holds no words"])]
    timed = any(cue.start_seconds is not None for cue in cues) or (not cues and reading.kind in ("SRT", "WebVTT"))
    if timed:
        cues = _placed(path, reading, cues, duration_seconds, warnings)
    cues = _spoken_by(path, cues, speakers, warnings)
    return Transcript(tuple(map(_utterance, cues)), timed, reading.language, tuple(warnings))


def find_transcript(media_path: str | PathLike[str]) -> Path | None:
    """Looks for a transcript beside a recording: the same name up to the suffix.

    Args:
        media_path: The recording.

    Returns:
        The file; of several the first in the order of ``SUFFIXES``. None where there is none but the recording.

    Example:
        >>> _ = Path("walk.vtt").write_text("WEBVTT")
        >>> find_transcript("walk.mp4").name
        'walk.vtt'
    """
    media = Path(media_path)
    for suffix in itertools.chain.from_iterable((suffix, suffix.upper()) for suffix in SUFFIXES):
        beside = media.with_name(media.stem + suffix)
        try:
            if beside.is_file() and not (media.exists() and beside.samefile(media)):
                return beside
        except OSError:  # a name that is too long with this suffix
            continue
    return None


def _read_bytes(path: str | PathLike[str]) -> bytes:
    with open_file(path) as file:
        data = file.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        fact = f"is larger than {MAXIMUM_BYTES // 1024**2} MB, which no transcript is"
        raise TranscriptError(path, fact, "choose a transcript, or split it")
    return data


def _utterance(cue: Cue) -> Utterance:
    return Utterance(cue.start_seconds or 0.0, cue.end_seconds or 0.0, cue.speaker, cue.text)


# --- times --------------------------------------------------------------------------------------------------------


def _placed(
    path: str | PathLike[str], reading: Reading, cues: list[Cue], duration: float | None, warnings: list[str]
) -> list[Cue]:
    """Checks the times of cues, puts them in order and cuts them to the recording."""
    for cue in cues:
        _check_times(path, reading.place(cue), cue)
    early = [after for before, after in itertools.pairwise(cues) if _start(after) < _start(before)]
    _warn(warnings, reading, early, "starts before the one above it; all were put in order of time")
    ordered = _with_ends(sorted(cues, key=_start), duration, warnings)
    _warn(warnings, reading, _overlapping(ordered), "starts before an earlier one ends; overlapping speech is kept")
    return ordered if duration is None else _within(path, reading, ordered, duration, warnings)


def _start(cue: Cue) -> float:
    return cue.start_seconds or 0.0


def _end(cue: Cue) -> float:
    return cue.end_seconds or 0.0


def _warn(warnings: list[str], reading: Reading, cues: Sequence[Cue], fact: str) -> None:
    """One line for all of a kind, naming the first."""
    if cues:
        warnings.append(f"{reading.place(cues[0])} {fact}" + (f" ({len(cues)} such)" if len(cues) > 1 else ""))


def _check_times(path: str | PathLike[str], place: str, cue: Cue) -> None:
    start, end = cue.start_seconds, cue.end_seconds
    if start is None:
        raise TranscriptError(path, f"{place} has no start, others have", "add it, or leave all times out")
    if end is not None and end < start:
        raise TranscriptError(path, f"{place} ends ({end:g} s) before it starts ({start:g} s)", "mend its times")
    for time in (start, end or 0.0):
        if not 0 <= time <= LATEST_SECONDS:
            remedy = "mend it; milliseconds belong in a column named start_ms"
            raise TranscriptError(path, f"{place} states {time:g} s, which is no time of a recording", remedy)


def _with_ends(cues: list[Cue], duration: float | None, warnings: list[str]) -> list[Cue]:
    """Where no end is stated, an utterance lasts until the next begins, the last to the end or as long as it takes."""
    if all(cue.end_seconds is not None for cue in cues):
        return cues
    warnings.append("where it states no end, an utterance was taken to last until the next")
    last = _start(cues[-1])
    end = last + len(cues[-1].text) / CHARACTERS_PER_SECOND if duration is None else max(last, duration)
    ends = [*(_start(cue) for cue in cues[1:]), end]
    return [
        cue if cue.end_seconds is not None else replace(cue, end_seconds=following)
        for cue, following in zip(cues, ends, strict=True)
    ]


def _overlapping(cues: Sequence[Cue]) -> list[Cue]:
    """Cues that start before an earlier one has ended, unless several voices share the times of one."""
    found = []
    latest: Cue | None = None
    for cue in cues:
        if latest and _start(cue) < _end(latest) and cue.number != latest.number:
            found.append(cue)
        if latest is None or _end(cue) > _end(latest):
            latest = cue
    return found


def _within(
    path: str | PathLike[str], reading: Reading, cues: Sequence[Cue], duration: float, warnings: list[str]
) -> list[Cue]:
    kept = [cue for cue in cues if _start(cue) < duration]
    if cues and not kept:
        first = f"{reading.place(cues[0])} is at {_start(cues[0]):g} s"
        fact = f"has nothing within the {duration:g} s of the recording: {first}"
        raise TranscriptError(path, fact, "choose the transcript of this recording")
    end = f"the end of the recording at {duration:g} s"
    _warn(warnings, reading, cues[len(kept) :], f"starts after {end} and is left out")
    over = [cue for cue in kept if _end(cue) > duration + TOLERANCE_SECONDS]
    _warn(warnings, reading, over, f"reaches beyond {end} and is cut")
    return [replace(cue, end_seconds=min(_end(cue), duration)) for cue in kept]


# --- speakers -----------------------------------------------------------------------------------------------------


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", plain_name(name) or "").casefold()


def _spoken_by(path: str | PathLike[str], cues: list[Cue], wanted: Sequence[str], warnings: list[str]) -> list[Cue]:
    """Keeps the cues of the wanted speakers."""
    if not wanted or not cues:
        return cues
    there = {_key(cue.speaker): cue.speaker for cue in cues if cue.speaker}
    for name in wanted:
        if _key(name) not in there:
            raise _no_such_speaker(path, name, list(there.values()))
    keys = set(map(_key, wanted))
    unnamed = sum(cue.speaker is None for cue in cues)
    if unnamed:
        warnings.append(f"utterances without a named speaker are left out ({unnamed})")
    return [cue for cue in cues if cue.speaker and _key(cue.speaker) in keys]


def _no_such_speaker(path: str | PathLike[str], name: str, there: Sequence[str]) -> TranscriptError:
    if not there:
        return TranscriptError(path, f"names no speakers, so not {excerpt(name)}", "leave --speaker out")
    listed = ", ".join(map(excerpt, there[:10])) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    return TranscriptError(path, f"has no speaker {excerpt(name)}", f"choose from {listed}")


# --- writing ------------------------------------------------------------------------------------------------------


def write_srt(path: str | PathLike[str], utterances: Iterable[Utterance]) -> None:
    r"""Writes subtitles as SRT, whole or not at all.

    The speaker stands before the words, ``Name: words``. SRT has no entities of its own; they are written only where
    the words would otherwise be taken for a tag, an entity or a line of times. Utterances without words are left out.

    Args:
        path: Where the file shall stand.
        utterances: In the order to be written; times are rounded to a millisecond.

    Raises:
        OutputError: It cannot be written.

    Example:
        >>> write_srt("out.srt", [Utterance(1.0, 2.5, "Ann", "1 < 2 & so on")])
        >>> print(Path("out.srt").read_text().strip())
        1
        00:00:01,000 --> 00:00:02,500
        Ann: 1 < 2 & so on
    """
    blocks = []
    for number, (utterance, speaker, words) in enumerate(_with_words(utterances), start=1):
        line = _srt_escaped(f"{speaker}: {words}" if speaker else words)
        times = f"{_clock(utterance.start_seconds, ',')} --> {_clock(utterance.end_seconds, ',')}"
        blocks.append(f"{number}\n{times}\n{line}\n")
    _write(Path(path), "\n".join(blocks))


def write_vtt(path: str | PathLike[str], utterances: Iterable[Utterance]) -> None:
    r"""Writes subtitles as WebVTT, whole or not at all.

    Speakers stand in voice tags. Reading it back gives the same utterances, apart from the rounding of times and
    the joining of lines. Utterances without words are left out.

    Args:
        path: Where the file shall stand.
        utterances: In the order to be written; times are rounded to a millisecond.

    Raises:
        OutputError: It cannot be written.

    Example:
        >>> write_vtt("out.vtt", [Utterance(1.0, 2.5, "Ann", "1 < 2 & so on")])
        >>> print(Path("out.vtt").read_text().strip())
        WEBVTT
        <BLANKLINE>
        00:00:01.000 --> 00:00:02.500
        <v Ann>1 &lt; 2 &amp; so on
    """
    blocks = ["WEBVTT\n"]
    for utterance, speaker, words in _with_words(utterances):
        line = f"<v {_escaped(speaker)}>{_escaped(words)}" if speaker else _vtt_nameless(words)
        times = f"{_clock(utterance.start_seconds, '.')} --> {_clock(utterance.end_seconds, '.')}"
        blocks.append(f"{times}\n{line}\n")
    _write(Path(path), "\n".join(blocks))


def _with_words(utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, str | None, str]]:
    for utterance in utterances:
        words = plain_text(utterance.text or "")
        if words:
            yield utterance, plain_name(utterance.speaker), words


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _escaped(text: str) -> str:
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("{\\", "&#123;\\")  # such overrides of SubStation Alpha stray into either form


def _vtt_nameless(words: str) -> str:
    """Escapes the mark of what looks like a name before the words, lest it be read as the speaker's."""
    if not is_named(words):
        return _escaped(words)
    mark = next(index for index, character in enumerate(words) if character in "[:：")
    return f"{_escaped(words[:mark])}&#{ord(words[mark])};{_escaped(words[mark + 1 :])}"


def _srt_escaped(line: str) -> str:
    if "-->" not in line and unescape(strip_tags(line)) == line:
        return line
    return _escaped(line)


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
