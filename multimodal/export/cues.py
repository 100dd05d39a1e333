"""The cues of subtitles: when, who speaks, the answer and the words.

Times are those of the recording's clock, so a player shows cues over the recording. An utterance without words and
without an answer gets no cue; one without length lasts a millisecond, the shortest cue of WebVTT. Cues of people who
speak at once overlap, as WebVTT and SRT allow; cues are ordered by their start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from multimodal.analysis.usability import certain_usability
from multimodal.data.transcripts.text import plain_name, printable
from multimodal.export.tiers import milliseconds
from multimodal.formatting import probability_percent
from multimodal.types import UNCERTAIN, UtteranceEstimate

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis


@dataclass(frozen=True)
class Cue:
    """A subtitle.

    Attributes:
        start_milliseconds: Start on the recording's clock.
        end_milliseconds: End, at least one after the start.
        speaker: Name of the speaker on one line; None where unknown.
        emotion: The emotion; None without an estimate.
        words: The words on one line; may be empty.
        estimate_text: The emotion with its confidence, as ``estimate_text`` words it; may be empty.
        usability_text: The usability label with its probability, as ``usability_text`` words it; may be empty.
    """

    start_milliseconds: int
    end_milliseconds: int
    speaker: str | None
    emotion: str | None
    words: str
    estimate_text: str
    usability_text: str = ""


def estimate_text(estimate: UtteranceEstimate) -> str:
    """Writes the estimate of an utterance in a few letters.

    Args:
        estimate: The estimate of one utterance.

    Returns:
        The emotion with its confidence, such as ``happiness 97%``; ``uncertain`` alone, since its confidence belongs to
        an emotion that is not named; an empty string without an estimate.

    Example:
        >>> from multimodal.types import Utterance
        >>> estimate_text(UtteranceEstimate(Utterance(0.0, 1.0)))
        ''
    """
    if estimate.fused is None or estimate.emotion is None:
        return ""
    sure = "" if estimate.uncertain else f" {probability_percent(estimate.fused.confidence)}"
    return printable(f"{estimate.emotion}{sure}")


def usability_text(estimate: UtteranceEstimate) -> str:
    """Writes the usability label of an utterance in a few letters.

    Args:
        estimate: The estimate of one utterance.

    Returns:
        The label with its probability, such as ``frustration 81%``; an empty string for ``neutral``, for a label that
        is not probable enough, and without one.

    Example:
        >>> from multimodal.types import Utterance
        >>> usability_text(UtteranceEstimate(Utterance(0.0, 1.0)))
        ''
    """
    label, probability = certain_usability(estimate), estimate.usability_probability
    if label in (None, UNCERTAIN, "neutral") or probability is None:
        return ""
    return f"{label} {probability_percent(probability)}"


def find_cues(analysis: Analysis) -> list[Cue]:
    """Lists the cues of an analysis.

    Args:
        analysis: An analysis with times.

    Returns:
        Cues in order of start and end.
    """
    cues = []
    for estimate in analysis.estimates:
        utterance = estimate.utterance
        words, label_text = printable(utterance.text), estimate_text(estimate)
        if words or label_text:
            times = milliseconds(utterance.start_seconds, utterance.end_seconds)
            speaker, usability = plain_name(printable(utterance.speaker)), usability_text(estimate)
            cues.append(Cue(*times, speaker, estimate.emotion, words, label_text, usability))
    return sorted(cues, key=lambda cue: (cue.start_milliseconds, cue.end_milliseconds))
