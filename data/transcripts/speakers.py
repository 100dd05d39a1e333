"""Detects speakers that a transcript states only as a name before the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from multimodal.data.transcripts.text import Cue, plain_name

_NAME_BEFORE = re.compile(r"(?:\[([^\[\]\n]{1,40})\]:?|([^\W\d_][^:：\n\[\]]{0,39})(?::(?=\s|$)|：))\s?")
_NOT_IN_A_NAME = re.compile(r'[!?,;"“”<>/=]')
_ROLE = re.compile(
    r"(?:(?:speaker|spk|interviewer|interviewee|participant|respondent|moderator|facilitator|researcher|host|guest"
    r"|user|customer|client|agent)[ _#-]?[0-9]{0,4}|p[0-9]{1,3})",
    re.IGNORECASE,
)
_NOT_NAMES = frozenset(
    [
        "applause",
        "cheering",
        "cough",
        "coughs",
        "coughing",
        "crosstalk",
        "cries",
        "crying",
        "example",
        "hint",
        "inaudible",
        "laugh",
        "laughs",
        "laughing",
        "laughter",
        "music",
        "nb",
        "noise",
        "note",
        "pause",
        "pros",
        "cons",
        "ps",
        "silence",
        "sigh",
        "sighs",
        "sighing",
        "sobbing",
        "todo",
        "unintelligible",
        "warning",
    ]
)
_DASH = re.compile(r"[-‐–—](?=\s|\w|\[)\s?")


def is_named(text: str) -> bool:
    """Whether a text starts like ``Name: text`` or ``[Name] text``.

    Args:
        text: A line.

    Example:
        >>> is_named("Ann Lee: yes"), is_named("[Ann] yes"), is_named("at 10:30"), is_named("so: this is it")
        (True, True, False, False)
    """
    return _name_before(text) is not None


def with_speakers(cues: Sequence[Cue], *, carry_on: bool = False) -> list[Cue]:
    r"""Turns names before the text into speakers, if that is safe.

    A line may start with ``Name:`` or ``[Name]``, optionally after a dash. A name has at most four words and 40
    characters and starts with an uppercase or uncased letter. It is a speaker if it is a role or code (Interviewer,
    Speaker 1, SPEAKER_00, P7), or if it precedes at least two lines and such names precede at least a quarter of all
    cues. So neither ``Note: ...`` nor a list of ``Pros: ...``, ``Cons: ...`` gives speakers. Two lines of a cue that
    start with dashes belong to two people.

    Args:
        cues: The cues of one file, without speakers.
        carry_on: Whether a line without a name belongs to the speaker of the line directly above.

    Returns:
        The cues; one with several speakers becomes several with the same times.

    Example:
        >>> cues = [Cue(1, None, None, None, "Interviewer: Well?"), Cue(2, None, None, None, "Note: it is late.")]
        >>> [(cue.speaker, cue.text) for cue in with_speakers(cues)]
        [('Interviewer', 'Well?'), (None, 'Note: it is late.')]
    """
    names = _safe_names(cues)
    result: list[Cue] = []
    speaker, last = None, 0
    for cue in cues:
        speaker = speaker if carry_on and cue.number == last + 1 else None
        last = cue.number
        for name, lines in _turns(cue.text.split("\n"), names):
            speaker = name or speaker
            if any(lines):
                result.append(replace(cue, speaker=speaker, text="\n".join(lines)))
            if not carry_on:
                speaker = None
    return result


def _safe_names(cues: Sequence[Cue]) -> frozenset[str]:
    matches = (_name_before(line) for cue in cues for line in cue.text.split("\n"))
    counts = Counter(match[0].casefold() for match in matches if match is not None)
    recurring = {name for name, count in counts.items() if count > 1}
    if sum(counts[name] for name in recurring) * 4 < len(cues):
        recurring = set()
    return frozenset(recurring | set(filter(_ROLE.fullmatch, counts)))


def _name_before(line: str) -> tuple[str, str] | None:
    """The name at the start of a line, and the rest of the line."""
    line = line.lstrip()
    dash = _DASH.match(line)
    match = _NAME_BEFORE.match(line, dash.end() if dash else 0)
    name = plain_name(match[1] or match[2]) if match else None
    if match is None or name is None or not name[0].isalpha() or name.casefold() in _NOT_NAMES:
        return None
    if _ROLE.fullmatch(name) is None and (name[0].islower() or len(name.split()) > 4 or _NOT_IN_A_NAME.search(name)):
        return None
    return name, line[match.end() :]


def _turns(lines: list[str], names: frozenset[str]) -> Iterator[tuple[str | None, list[str]]]:
    dialogue = sum(_DASH.match(line.lstrip()) is not None for line in lines) > 1
    name: str | None = None
    turn: list[str] = []
    for line in lines:
        match = _name_before(line)
        name_match = match if match is not None and match[0].casefold() in names else None
        dash = _DASH.match(line.lstrip()) if dialogue else None
        if name_match or dash:
            yield name, turn
            name, turn = (name_match[0], []) if name_match else (None, [])
        turn.append(name_match[1] if name_match else line.lstrip()[dash.end() :] if dash else line)
    yield name, turn
