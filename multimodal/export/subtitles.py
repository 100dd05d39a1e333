"""Subtitles that show the emotion beside the words: WebVTT for browsers, SRT for players.

Times are those of the recording's clock, so a player shows them over the recording. What has neither words nor an
answer gets no cue; what has no length lasts a millisecond, since WebVTT knows no shorter cue. Two people who speak at
once have cues that overlap, as both formats allow; cues stand in order of their start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.analysis.result import Analysis
from multimodal.data.transcripts.files import write_srt
from multimodal.data.transcripts.text import plain_name, printable
from multimodal.export.tiers import milliseconds
from multimodal.files import atomic_write, path_text
from multimodal.formatting import percent
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import UNCERTAIN, Utterance, UtteranceEstimate


@dataclass(frozen=True)
class _Cue:
    start_milliseconds: int
    end_milliseconds: int
    speaker: str | None
    emotion: str | None
    words: str
    answer: str


def answer_text(estimate: UtteranceEstimate) -> str:
    """An answer in a few letters.

    Args:
        estimate: Of one utterance.

    Returns:
        The emotion with its confidence, as ``happiness 97%``; ``uncertain`` alone, since its confidence is that of an
        emotion that is not named; nothing where no signal was there.

    Example:
        >>> answer_text(UtteranceEstimate(Utterance(0.0, 1.0)))
        ''
    """
    if estimate.fused is None or estimate.emotion is None:
        return ""
    sure = "" if estimate.uncertain else f" {percent(estimate.fused.confidence)}"
    return printable(f"{estimate.emotion}{sure}")


def write_emotion_vtt(analysis: Analysis, path: Path) -> None:
    """Writes WebVTT: the emotion as text and as a class with its color, the words in a voice tag.

    Args:
        analysis: With times.
        path: Where the file shall stand.

    Raises:
        OutputError: It cannot be written.

    Source:
        W3C, WebVTT: The Web Video Text Tracks Format, Candidate Recommendation, 2019, section 4.
    """
    with atomic_write(path) as temporary:
        blocks = [*_vtt_head(analysis), *map(_vtt_cue, _cues(analysis))]
        temporary.write_bytes(("\n\n".join(blocks) + "\n").encode("utf-8"))


def write_emotion_srt(analysis: Analysis, path: Path) -> None:
    """Writes SRT: ``Ada: [happiness 97%] words``, plain text only.

    Args:
        analysis: With times.
        path: Where the file shall stand. It is empty where there is nothing to say.

    Raises:
        OutputError: It cannot be written.
    """
    spoken = []
    for cue in _cues(analysis):
        text = " ".join(filter(None, [f"[{cue.answer}]" if cue.answer else "", cue.words]))
        spoken.append(Utterance(cue.start_milliseconds / 1000, cue.end_milliseconds / 1000, cue.speaker, text))
    write_srt(path, spoken)


def _cues(analysis: Analysis) -> list[_Cue]:
    cues = []
    for estimate in analysis.estimates:
        spoken = estimate.utterance
        words, answer = printable(spoken.text), answer_text(estimate)
        if words or answer:
            times = milliseconds(spoken.start_seconds, spoken.end_seconds)
            cues.append(_Cue(*times, plain_name(printable(spoken.speaker)), estimate.emotion, words, answer))
    return sorted(cues, key=lambda cue: (cue.start_milliseconds, cue.end_milliseconds))


# --- WebVTT -------------------------------------------------------------------------------------------------------


def _vtt_head(analysis: Analysis) -> Iterator[str]:
    yield "WEBVTT"
    facts = [f"Perceived expression in {path_text(Path(analysis.media.path.name))}: what onlookers would call it,"]
    facts += ["not what the person felt. The percentage says how sure the answer is."]
    facts += [f"{part}: {models['name']}" for part, models in analysis.models.items() if models is not None]
    yield "NOTE\n" + "\n".join(printable(fact).replace("-->", "→") for fact in facts)
    yield "STYLE\n" + "\n".join(_style(label) for label in (*analysis.emotions, UNCERTAIN) if label in COLORS)


def _style(label: str) -> str:
    color = COLORS[label]
    return f"::cue(.{_class(label)}) {{ background-color: {color}; color: {ink_on(color)}; }}"


def _class(label: str) -> str:
    """A label as the name of a class, which ends at a space, a point or a bracket, and may not make an arrow."""
    return re.sub(r"[^A-Za-z0-9]+", "_", label)


def _vtt_cue(cue: _Cue) -> str:
    lines = [f"{_clock(cue.start_milliseconds)} --> {_clock(cue.end_milliseconds)}"]
    if cue.answer and cue.emotion is not None:
        sign = SIGNS.get(cue.emotion, "")
        lines.append(f"<c.{_class(cue.emotion)}>{_escaped(f'{sign} {cue.answer}'.strip())}</c>")
    if cue.words:
        lines.append(f"<v {_escaped(cue.speaker)}>{_escaped(cue.words)}</v>" if cue.speaker else _escaped(cue.words))
    return "\n".join(lines)


def _clock(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
