"""What the page of a study shows of each input's analysis: emotions over time, moments, models, transcript."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from multimodal.analysis.moments import KINDS, Moment, find_moments
from multimodal.analysis.result import Analysis, primary_modality
from multimodal.analysis.usability import usability_counts
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.report.footer import affect_source
from multimodal.types import UNCERTAIN, UtteranceEstimate, top_label

BINS = 60
"""Steps of an input's strip: at 12 pixels each they fill 720."""

STRIP_LABELS = tuple(dict.fromkeys((*FUSED_LABELS, *FACE_LABELS, UNCERTAIN)))
"""Labels of the letters of a strip, in the order of ``LETTERS``."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOTHING = "-"
"""The letter of a step without an estimate."""

MOMENTS_EACH = 2
"""Moments of each kind that are kept per input."""

MAX_QUOTE = 140
"""Characters of a quote."""


@dataclass(frozen=True)
class InputView:
    """What is shown of one analysis.

    Attributes:
        strip: ``BINS`` letters, or without times one per utterance; empty without any estimate.
        timed: Whether the utterances have times.
        emotions: Labels of its utterances.
        usability: Usability labels of its utterances, in the order of ``analysis.usability.ORDER``.
        moments: The strongest of each kind.
        quotes: The text of each moment.
        transcript: The text of all utterances.
        models: Per part ``(name, sha256)``.
        affect: The source of valence and arousal as a sentence; None if it has neither.
        warnings: Number of warnings.
        problem: Why the analysis or its page is missing; None if neither is.
    """

    strip: str = ""
    timed: bool = True
    emotions: tuple[str, ...] = ()
    usability: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    quotes: tuple[str, ...] = ()
    transcript: str = ""
    models: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    affect: str | None = None
    warnings: int = 0
    problem: str | None = None


def view_of(analysis: Analysis) -> InputView:
    """Selects what the page of a study shows of an analysis.

    Args:
        analysis: With or without its frames.

    Returns:
        The view; except for the transcript, its size does not grow with the recording.
    """
    estimates, media = analysis.estimates, analysis.media
    labels = list(_timed_labels(estimates))
    length = media.read_end_seconds - media.read_start_seconds
    moments = _strongest_each(analysis)
    return InputView(
        strip=strip_of(labels, media.read_start_seconds, length),
        timed=length > 0,
        emotions=tuple(dict.fromkeys(label for _, _, label in labels)),
        usability=tuple(each.label for each in usability_counts(estimates)),
        moments=moments,
        quotes=tuple(_shorten(estimates[moment.index].utterance.text or "") for moment in moments),
        transcript=" ".join(filter(None, (estimate.utterance.text for estimate in estimates))),
        models={part: _model_name(facts) for part, facts in analysis.models.items() if facts},
        affect=affect_source(analysis.valence_arousal) if analysis.valence_arousal else None,
        warnings=len(analysis.warnings),
    )


def strip_of(labels: Sequence[tuple[float, float, str]], start: float, length: float) -> str:
    """The emotions of an input over time, in steps.

    Args:
        labels: ``(start_seconds, end_seconds, label)`` of each utterance with an estimate.
        start: Start in seconds of the part that was read.
        length: Length of that part in seconds; 0 without times.

    Returns:
        Per step the letter of the label that lasts longest in it, or ``NOTHING``; without times a letter per
        utterance, spread over the steps if there are more utterances than steps.

    Example:
        >>> strip_of([(10.0, 12.0, "neutral"), (12.0, 13.0, "anger")], start=10.0, length=6.0)
        'aaaaaaaaaaaaaaaaaaaaeeeeeeeeee------------------------------'
        >>> strip_of([(0.0, 0.0, "anger"), (0.0, 0.0, "uncertain")], start=0.0, length=0.0)
        'ei'
    """
    letters = [(begin, end, letter_of(label)) for begin, end, label in labels]
    if length <= 0 and len(letters) > BINS:  # more than can be drawn: spread evenly
        start, length = 0.0, float(len(letters))
        letters = [(place, place + 1.0, letter) for place, (_, _, letter) in enumerate(letters)]
    if length <= 0 or not letters:
        return "".join(letter for _, _, letter in letters)
    step = length / BINS
    label_seconds: list[dict[str, float]] = [{} for _ in range(BINS)]
    for begin, end, letter in letters:
        begin, end = max(begin - start, 0.0), min(end - start, length)
        for number in range(int(begin / step), min(int(end / step) + 1, BINS)):
            shared = min(end, (number + 1) * step) - max(begin, number * step)
            label_seconds[number][letter] = label_seconds[number].get(letter, 0.0) + shared
    return "".join(_longest(seconds, step) for seconds in label_seconds)


def letter_of(label: str) -> str:
    """The letter of an emotion in a strip.

    Args:
        label: An emotion or ``uncertain``.

    Example:
        >>> letter_of("neutral"), letter_of("uncertain")
        ('a', 'i')
    """
    return LETTERS[STRIP_LABELS.index(label)]


def _longest(seconds: Mapping[str, float], step: float) -> str:
    """The letter that lasts longest, or ``NOTHING`` if the time without an estimate is longer."""
    letter = max(seconds, key=seconds.__getitem__, default=NOTHING)
    empty = step - sum(seconds.values())
    return letter if letter != NOTHING and seconds[letter] >= empty - 1e-9 and seconds[letter] > 0 else NOTHING


def _timed_labels(estimates: Sequence[UtteranceEstimate]) -> Iterator[tuple[float, float, str]]:
    """Each label with its times: fused, or of the modality that the summary is of."""
    modality = primary_modality(estimates)
    for estimate in estimates:
        each = estimate.get(modality) if modality else None
        if each is None:
            continue
        label = UNCERTAIN if modality == "fused" and estimate.uncertain else top_label(each.probabilities)
        if label in STRIP_LABELS:
            yield estimate.utterance.start_seconds, estimate.utterance.end_seconds, label


def _strongest_each(analysis: Analysis) -> tuple[Moment, ...]:
    """Without frames, which are read only for some inputs: the page must not depend on that."""
    moments = find_moments(replace(analysis, frame_times=(), faces=()))
    ranked = sorted(moments, key=lambda moment: (-moment.strength, moment.start_seconds))
    strongest = [[moment for moment in ranked if moment.kind == kind][:MOMENTS_EACH] for kind in KINDS]
    return tuple(moment for group in strongest for moment in group)


def _shorten(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_QUOTE else plain[: MAX_QUOTE - 1].rstrip() + "…"


def _model_name(facts: Mapping[str, Any]) -> tuple[str, str]:
    return str(facts.get("name", "unknown")), str(facts.get("sha256", ""))
