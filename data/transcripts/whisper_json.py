"""Reads transcripts in JSON, as the whisper tools write it or as a plain list of utterances."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike

from multimodal.data.transcripts.tables import MAXIMUM_VALUES, Fields, by_role, cues_of, number_of
from multimodal.data.transcripts.text import CueList, excerpt
from multimodal.errors import TranscriptError

SENTENCE_PAUSE_SECONDS = 1.0
"""A longer pause between single words starts a new utterance."""

_LISTS = ("segments", "transcription", "utterances", "speakers", "chunks", "cues")
"""Keys of the utterances in the whisper tools; without them, ``words`` or ``word_segments``."""

_JSON_BEGINS = re.compile(r'\{\s*"|\[\s*[{"]')
_LANGUAGE = re.compile(r"[A-Za-z_-]{2,35}")
_ENDS_SENTENCE = (".", "?", "!", "…", "。", "？", "！", "।")


def looks_like_json(text: str) -> bool:
    """Whether a text without leading space starts like JSON.

    Args:
        text: Any text.

    Example:
        >>> looks_like_json('{"text": ""}'), looks_like_json("[Ann] Hello")
        (True, False)
    """
    return _JSON_BEGINS.match(text) is not None


def read_json(path: str | PathLike[str], text: str) -> CueList:
    """Reads JSON of openai-whisper, faster-whisper, whisperX, whisper.cpp and similar tools, or a plain list.

    Utterances are in ``segments``, ``transcription``, ``utterances``, ``speakers``, ``chunks`` or ``cues``, or they are
    the document itself, also with one object per line. If there are only single words, they are split into utterances
    at the end of a sentence, at a change of speaker, and at a pause of more than a second.

    Args:
        path: Path of the file, for errors.
        text: Content of the file.

    Returns:
        One cue per entry.

    Raises:
        TranscriptError: The file is not valid JSON, nested too deeply, too large, or has no utterances.

    Example:
        >>> read_json("a.json", '{"transcription": [{"offsets": {"from": 0, "to": 1500}, "text": " Hi"}]}').cues
        [Cue(number=1, start_seconds=0.0, end_seconds=1.5, speaker=None, text=' Hi')]
    """
    document = _document(path, text)
    warnings: list[str] = []
    cues = cues_of(path, "entry", _entries(path, document), warnings)
    return CueList("JSON", cues, _language(document), tuple(warnings), unit="entry")


def _document(path: str | PathLike[str], text: str) -> object:
    if sum(map(text.count, ",[{")) > MAXIMUM_VALUES or text.count("\n") > MAXIMUM_VALUES:
        raise TranscriptError(path, f"has more than {MAXIMUM_VALUES} values", "split it")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        objects = _object_per_line(text) if error.msg == "Extra data" else None
        if objects is not None:
            return objects
        raise TranscriptError(path, f"line {error.lineno} is not valid JSON ({error.msg})", "export it again") from None
    except RecursionError:
        raise TranscriptError(path, "is nested too deeply", "choose another file") from None
    except ValueError:  # Python refuses integers of more than 4300 digits, which take quadratic time
        raise TranscriptError(path, "has a number with too many digits", "choose another file") from None


def _object_per_line(text: str) -> list[object] | None:
    objects = []
    try:
        for line in text.split("\n"):
            if line.strip():
                objects.append(json.loads(line))
    except (ValueError, RecursionError):
        return None
    return objects


def _language(document: object) -> str | None:
    if not isinstance(document, dict):
        return None
    result = document.get("result")
    stated = document.get("language") or (result.get("language") if isinstance(result, dict) else None)
    return stated.lower() if isinstance(stated, str) and _LANGUAGE.fullmatch(stated) else None


def _entries(path: str | PathLike[str], document: object) -> Iterator[tuple[int, Fields]]:
    if isinstance(document, dict):
        lists = [value for value in map(document.get, _LISTS) if isinstance(value, list)]
        words = [value for value in map(document.get, ("words", "word_segments")) if isinstance(value, list)]
        text = document.get("text")
        if not any(lists) and isinstance(text, str) and not any(words):
            return enumerate(({"text": (line, None)} for line in text.split("\n")), start=1)
        document = next(filter(None, (*lists, *words)), lists[0] if lists else None)
    if not isinstance(document, list):
        raise TranscriptError(
            path, f"has none of the keys {', '.join(_LISTS)}", "use a list of start, end, speaker, text"
        )
    if document and all(isinstance(entry, dict) and "word" in entry and "text" not in entry for entry in document):
        return _sentences(document)
    return ((number, _fields(path, number, entry)) for number, entry in enumerate(document, start=1))


def _fields(path: str | PathLike[str], number: int, entry: object) -> Fields:
    if isinstance(entry, str):
        return {"text": (entry, None)}
    if not isinstance(entry, dict):
        fact = f"entry {number} is not an utterance ({excerpt(str(entry)[:100])})"
        raise TranscriptError(path, fact, "use objects with start, end, speaker, text")
    scalars = {key: value for key, value in entry.items() if isinstance(value, (str, int, float))}
    keys = list(scalars)
    fields: Fields = {role: (scalars[keys[i]], divisor) for role, (i, divisor) in by_role(keys).items()}
    return fields | _span(entry.get("words"), fields) | _times_of(entry)


def _times_of(entry: Mapping[str, object]) -> Fields:
    """Times in a field of their own: milliseconds in whisper.cpp, a pair in transformers."""
    for key, divisor in (("offsets", 1000), ("timestamps", None)):
        pair = entry.get(key)
        if isinstance(pair, dict):
            return {"start": (pair.get("from"), divisor), "end": (pair.get("to"), divisor)}
    pair = entry.get("timestamp")
    if isinstance(pair, list) and len(pair) == 2:
        return {"start": (pair[0], None), "end": (pair[1], None)}
    return {}


def _span(words: object, present: Fields) -> Fields:
    """Text and times of an utterance from its words, unless the utterance states them."""
    if not isinstance(words, list) or ("start" in present and "text" in present):
        return {}
    timed = [word for word in words if isinstance(word, dict)]
    starts = [word["start"] for word in timed if word.get("start") is not None]
    ends = [word["end"] for word in timed if word.get("end") is not None]
    fields: Fields = {"text": (_join([str(word.get("word", "")) for word in timed]), None)}
    if starts and ends:
        fields |= {"start": (starts[0], None), "end": (ends[-1], None)}
    return {role: value for role, value in fields.items() if role not in present}


def _join(words: Sequence[str]) -> str:
    """Joins words; whisper includes the space before a word, other programs do not."""
    return ("" if any(word.startswith(" ") for word in words) else " ").join(words)


def _sentences(words: Sequence[Mapping[str, object]]) -> Iterator[tuple[int, Fields]]:
    begin = 0
    for index in range(1, len(words) + 1):
        if index == len(words) or _is_break(words[index - 1], words[index]):
            yield begin + 1, {**_span(words[begin:index], {}), "speaker": (words[begin].get("speaker"), None)}
            begin = index


def _is_break(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    if str(before.get("word", "")).rstrip().endswith(_ENDS_SENTENCE):
        return True
    speakers = before.get("speaker"), after.get("speaker")
    if None not in speakers and speakers[0] != speakers[1]:
        return True
    end, start = number_of(before.get("end")), number_of(after.get("start"))
    return end is not None and start is not None and start - end > SENTENCE_PAUSE_SECONDS
