"""SRT subtitles for players and video editors: plain text with the emotion and the usability label before the words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.data.transcripts.files import write_srt
from multimodal.export.cues import find_cues
from multimodal.export.export_format import ExportFormat
from multimodal.types import Utterance

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis


def write_emotion_srt(analysis: Analysis, path: Path) -> None:
    """Writes SRT: ``Ada: [happiness 97%] [delight 81%] words``, plain text only, no usability label if it is neutral.

    Args:
        analysis: An analysis with times.
        path: The file to write; it is empty where there are no cues.

    Raises:
        OutputError: The file cannot be written.
    """
    utterances = []
    for cue in find_cues(analysis):
        labels = (f"[{label}]" for label in (cue.estimate_text, cue.usability_text) if label)
        text = " ".join(filter(None, [*labels, cue.words]))
        utterances.append(Utterance(cue.start_milliseconds / 1000, cue.end_milliseconds / 1000, cue.speaker, text))
    write_srt(path, utterances)


FORMAT = ExportFormat("srt", {"emotions.srt": write_emotion_srt}, needs_times=True)
