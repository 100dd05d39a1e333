"""Reads transcripts and writes subtitles.

SRT, WebVTT, plain text, tables (CSV, TSV) and JSON of the whisper tools are read; the content decides on the format.
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
    CueList,
    decode_text,
    excerpt,
    plain_name,
    plain_text,
    strip_tags,
    unescape,
)
from multimodal.errors import TranscriptError
from multimodal.files import atomic_write
from multimodal.formatting import subtitle_time
from multimodal.types import Utterance

SUFFIXES = (".vtt", ".srt", ".json", ".tsv", ".csv", ".txt")
"""Suffixes of transcripts, the most informative formats first."""

MAXIMUM_BYTES = 64 * 1024**2
"""Maximum file size: twenty hours of whisper.cpp's most detailed JSON, or a thousand hours of subtitles."""

LATEST_SECONDS = 1000 * 3600.0
"""Maximum time. Later ones are dates, or milliseconds labeled as seconds."""

TOLERANCE_SECONDS = 0.5
"""An utterance that ends at most this long after the recording is cut without a warning: recognizers round."""

CHARACTERS_PER_SECOND = 15.0
"""Speaking rate; gives the length of the last utterance if neither it nor the recording has an end."""


@dataclass(frozen=True)
class Transcript:
    """The utterances of a transcript.

    Attributes:
        utterances: Utterances with text, in order of time; in the order of the file if it has no times.
        timed: Whether the file has times. Without them all utterances are at 0.0 to 0.0 and cannot be located in a
            recording.
        language: Language as the file names it (``en``, ``english``); None if it does not.
        warnings: One line per correction: clipped, ignored, sorted or guessed content.
    """

    utterances: tuple[Utterance, ...]
    timed: bool
    language: str | None = None
    warnings: tuple[str, ...] = ()


def read_transcript(
    path: str | PathLike[str], *, speakers: Sequence[str] = (), duration_seconds: float | None = None
) -> Transcript:
    r"""Reads a transcript in any supported format.

    Args:
        path: SRT, WebVTT, plain text, CSV, TSV or JSON; the content decides, not the name.
        speakers: Names of the speakers to keep, case-insensitive; empty for all, including unnamed ones.
        duration_seconds: End of the recording, if there is one: later utterances are ignored and longer ones cut, both
            with a warning.

    Returns:
        The utterances. Their text has no tags or entities; lines are joined with a space.

    Raises:
        InputMissingError: The file is not found.
        InputUnreadableError: The path is a folder, or the file is empty or not readable.
        TranscriptError: The file is too large or not text; a line is invalid, ends before it starts, or has an invalid
            time; no utterance is within the recording; or a speaker is not found.

    Example:
        >>> _ = Path("talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\nthere.\n")
        >>> read_transcript("talk.srt").utterances
        (Utterance(start_seconds=1.0, end_seconds=2.5, speaker=None, text='Hello there.'),)
    """
    text, decoding = decode_text(path, _read_bytes(path))
    cue_list = read_cues(path, text)
    cues = [replace(cue, text=words) for cue in cue_list.cues if (words := plain_text(cue.text))]
    if len(cues) > MAXIMUM_UTTERANCES:
        raise TranscriptError(path, f"has more than {MAXIMUM_UTTERANCES} utterances", "split it")
    warnings = [*decoding, *cue_list.warnings, *([] if cues else ["the transcript has no words"])]
    timed = any(cue.start_seconds is not None for cue in cues) or (not cues and cue_list.kind in ("SRT", "WebVTT"))
    if timed:
        cues = _sorted_by_time(path, cue_list, cues, duration_seconds, warnings)
    cues = _of_speakers(path, cues, speakers, warnings)
    return Transcript(tuple(map(_utterance, cues)), timed, cue_list.language, tuple(warnings))


def find_transcript(media_path: str | PathLike[str]) -> Path | None:
    """Finds the transcript next to a recording: the same name with another suffix.

    Args:
        media_path: The recording.

    Returns:
        The transcript, the first in the order of ``SUFFIXES``; None if there is none.

    Example:
        >>> _ = Path("walk.vtt").write_text("WEBVTT")
        >>> find_transcript("walk.mp4").name
        'walk.vtt'
    """
    media = Path(media_path)
    for suffix in itertools.chain.from_iterable((suffix, suffix.upper()) for suffix in SUFFIXES):
        candidate = media.with_name(media.stem + suffix)
        try:
            if candidate.is_file() and not (media.exists() and candidate.samefile(media)):
                return candidate
        except OSError:  # the name is too long with this suffix
            continue
    return None


def _read_bytes(path: str | PathLike[str]) -> bytes:
    with open_file(path) as file:
        data = file.read(MAXIMUM_BYTES + 1)
    if len(data) > MAXIMUM_BYTES:
        fact = f"is larger than {MAXIMUM_BYTES // 1024**2} MB"
        raise TranscriptError(path, fact, "choose a transcript or split it")
    return data


def _utterance(cue: Cue) -> Utterance:
    return Utterance(cue.start_seconds or 0.0, cue.end_seconds or 0.0, cue.speaker, cue.text)


# --- times --------------------------------------------------------------------------------------------------------


def _sorted_by_time(
    path: str | PathLike[str], cue_list: CueList, cues: list[Cue], duration: float | None, warnings: list[str]
) -> list[Cue]:
    """Checks the times of cues, sorts them and cuts them to the recording."""
    for cue in cues:
        _check_times(path, cue_list.place(cue), cue)
    early = [after for before, after in itertools.pairwise(cues) if _start(after) < _start(before)]
    _warn(warnings, cue_list, early, "starts before the previous one; utterances were sorted by time")
    ordered = _with_ends(sorted(cues, key=_start), duration, warnings)
    _warn(warnings, cue_list, _overlapping(ordered), "starts before an earlier one ends; overlapping speech is kept")
    return ordered if duration is None else _within(path, cue_list, ordered, duration, warnings)


def _start(cue: Cue) -> float:
    return cue.start_seconds or 0.0


def _end(cue: Cue) -> float:
    return cue.end_seconds or 0.0


def _warn(warnings: list[str], cue_list: CueList, cues: Sequence[Cue], fact: str) -> None:
    """Adds one line for all cues with the same problem; it names the first."""
    if cues:
        warnings.append(f"{cue_list.place(cues[0])} {fact}" + (f" ({len(cues)} in total)" if len(cues) > 1 else ""))


def _check_times(path: str | PathLike[str], place: str, cue: Cue) -> None:
    start, end = cue.start_seconds, cue.end_seconds
    if start is None:
        raise TranscriptError(path, f"{place} has no start time, but others do", "add it or remove all times")
    if end is not None and end < start:
        raise TranscriptError(path, f"{place} ends ({end:g} s) before it starts ({start:g} s)", "correct its times")
    for time in (start, end or 0.0):
        if not 0 <= time <= LATEST_SECONDS:
            remedy = "correct it, or name the column start_ms if it is in milliseconds"
            raise TranscriptError(path, f"{place} has the invalid time {time:g} s", remedy)


def _with_ends(cues: list[Cue], duration: float | None, warnings: list[str]) -> list[Cue]:
    """Sets missing ends to the next start; the last one to the end of the recording or by the speaking rate."""
    if all(cue.end_seconds is not None for cue in cues):
        return cues
    warnings.append("missing end times were set to the start of the next utterance")
    last = _start(cues[-1])
    end = last + len(cues[-1].text) / CHARACTERS_PER_SECOND if duration is None else max(last, duration)
    ends = [*(_start(cue) for cue in cues[1:]), end]
    return [
        cue if cue.end_seconds is not None else replace(cue, end_seconds=following)
        for cue, following in zip(cues, ends, strict=True)
    ]


def _overlapping(cues: Sequence[Cue]) -> list[Cue]:
    """Cues that start before the end of an earlier one, except several voices in one caption."""
    overlapping = []
    latest: Cue | None = None
    for cue in cues:
        if latest and _start(cue) < _end(latest) and cue.number != latest.number:
            overlapping.append(cue)
        if latest is None or _end(cue) > _end(latest):
            latest = cue
    return overlapping


def _within(
    path: str | PathLike[str], cue_list: CueList, cues: Sequence[Cue], duration: float, warnings: list[str]
) -> list[Cue]:
    inside = [cue for cue in cues if _start(cue) < duration]
    if cues and not inside:
        first = f"{cue_list.place(cues[0])} is at {_start(cues[0]):g} s"
        fact = f"has no utterance within the {duration:g} s of the recording: {first}"
        raise TranscriptError(path, fact, "choose the transcript of this recording")
    end = f"the end of the recording at {duration:g} s"
    _warn(warnings, cue_list, cues[len(inside) :], f"starts after {end} and is ignored")
    over = [cue for cue in inside if _end(cue) > duration + TOLERANCE_SECONDS]
    _warn(warnings, cue_list, over, f"extends beyond {end} and is cut")
    return [replace(cue, end_seconds=min(_end(cue), duration)) for cue in inside]


# --- speakers -----------------------------------------------------------------------------------------------------


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", plain_name(name) or "").casefold()


def _of_speakers(path: str | PathLike[str], cues: list[Cue], names: Sequence[str], warnings: list[str]) -> list[Cue]:
    """The cues of the given speakers; all cues without names."""
    if not names or not cues:
        return cues
    speakers = {_key(cue.speaker): cue.speaker for cue in cues if cue.speaker}
    for name in names:
        if _key(name) not in speakers:
            raise _speaker_not_found(path, name, list(speakers.values()))
    keys = set(map(_key, names))
    unnamed = sum(cue.speaker is None for cue in cues)
    if unnamed:
        warnings.append(f"utterances without a named speaker are ignored ({unnamed})")
    return [cue for cue in cues if cue.speaker and _key(cue.speaker) in keys]


def _speaker_not_found(path: str | PathLike[str], name: str, speakers: Sequence[str]) -> TranscriptError:
    if not speakers:
        return TranscriptError(path, f"names no speakers, so {excerpt(name)} is not found", "remove --speaker")
    choices = ", ".join(map(excerpt, speakers[:10])) + (f" and {len(speakers) - 10} more" if len(speakers) > 10 else "")
    return TranscriptError(path, f"has no speaker {excerpt(name)}", f"choose from {choices}")


# --- writing ------------------------------------------------------------------------------------------------------


def write_srt(path: str | PathLike[str], utterances: Iterable[Utterance]) -> None:
    r"""Writes subtitles as SRT, completely or not at all.

    The speaker precedes the text, ``Name: text``. SRT has no entities; they are written only if the text could be read
    as a tag, an entity or a line of times. Utterances without text are skipped.

    Args:
        path: The file to write.
        utterances: Utterances in the order to write; times are rounded to milliseconds.

    Raises:
        OutputError: The file cannot be written.

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
        times = f"{subtitle_time(utterance.start_seconds, ',')} --> {subtitle_time(utterance.end_seconds, ',')}"
        blocks.append(f"{number}\n{times}\n{line}\n")
    _write(Path(path), "\n".join(blocks))


def write_vtt(path: str | PathLike[str], utterances: Iterable[Utterance]) -> None:
    r"""Writes subtitles as WebVTT, completely or not at all.

    Speakers are written as voice tags. Reading the file back gives the same utterances, apart from rounded times and
    joined lines. Utterances without text are skipped.

    Args:
        path: The file to write.
        utterances: Utterances in the order to write; times are rounded to milliseconds.

    Raises:
        OutputError: The file cannot be written.

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
        times = f"{subtitle_time(utterance.start_seconds, '.')} --> {subtitle_time(utterance.end_seconds, '.')}"
        blocks.append(f"{times}\n{line}\n")
    _write(Path(path), "\n".join(blocks))


def _with_words(utterances: Iterable[Utterance]) -> Iterator[tuple[Utterance, str | None, str]]:
    for utterance in utterances:
        words = plain_text(utterance.text or "")
        if words:
            yield utterance, plain_name(utterance.speaker), words


def _escaped(text: str) -> str:
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("{\\", "&#123;\\")  # style overrides of SubStation Alpha occur in both formats


def _vtt_nameless(words: str) -> str:
    """Escapes the mark after a text that looks like a speaker name."""
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
