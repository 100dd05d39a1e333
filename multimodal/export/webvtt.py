"""WebVTT subtitles for players and browsers: emotion in its color, usability in brackets, words in a voice tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.data.transcripts.text import printable
from multimodal.export.cues import Cue, find_cues
from multimodal.export.export_format import ExportFormat
from multimodal.files import atomic_write, path_text
from multimodal.formatting import subtitle_time
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import UNCERTAIN

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis


def write_emotion_vtt(analysis: Analysis, path: Path) -> None:
    """Writes WebVTT: the emotion as text and as a class with its color, the words in a voice tag.

    The usability label stands in brackets after the emotion, unless it is neutral or not probable enough.

    Args:
        analysis: An analysis with times.
        path: The file to write.

    Raises:
        OutputError: The file cannot be written.

    Source:
        W3C, WebVTT: The Web Video Text Tracks Format, Candidate Recommendation, 2019, section 4.
    """
    with atomic_write(path) as temporary:
        blocks = [*_head(analysis), *map(_cue_block, find_cues(analysis))]
        temporary.write_bytes(("\n\n".join(blocks) + "\n").encode("utf-8"))


FORMAT = ExportFormat("vtt", {"emotions.vtt": write_emotion_vtt}, needs_times=True)


def _head(analysis: Analysis) -> Iterator[str]:
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


def _cue_block(cue: Cue) -> str:
    lines = [f"{subtitle_time(cue.start_milliseconds / 1000)} --> {subtitle_time(cue.end_milliseconds / 1000)}"]
    labels = [f"[{cue.usability_text}]"] if cue.usability_text else []
    if cue.estimate_text and cue.emotion is not None:
        sign = SIGNS.get(cue.emotion, "")
        labels.insert(0, f"<c.{_class(cue.emotion)}>{_escaped(f'{sign} {cue.estimate_text}'.strip())}</c>")
    lines += [" ".join(labels)] if labels else []
    if cue.words:
        lines.append(f"<v {_escaped(cue.speaker)}>{_escaped(cue.words)}</v>" if cue.speaker else _escaped(cue.words))
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
