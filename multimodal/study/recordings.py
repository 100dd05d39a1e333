"""What the page of a study shows of each input's own analysis: its emotions over time, moments, models, words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multimodal.analysis.moments import KINDS, Moment, find_moments
from multimodal.analysis.result import Analysis, primary_modality
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.report.footer import about_affect
from multimodal.types import UNCERTAIN, UtteranceEstimate, top_label

BINS = 60
"""Steps of an input's strip: at 12 pixels each they fill 720."""

STRIP_LABELS = tuple(dict.fromkeys((*FUSED_LABELS, *FACE_LABELS, UNCERTAIN)))
"""What a letter of a strip may mean; the letter is ``LETTERS`` at the same place."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOTHING = "-"
"""The letter of a step in which nothing was judged."""

MOMENTS_EACH = 2
"""Of each kind, kept of an input."""

QUOTE = 140
"""Letters quoted of an utterance at most."""


@dataclass(frozen=True)
class InputView:
    """What is shown of one analysis.

    Attributes:
        strip: ``BINS`` letters, or fewer, one per utterance, of words without times; empty where nothing was judged.
        timed: Whether the utterances have times.
        shown: Emotions that are the answer of any utterance.
        moments: The strongest of each kind.
        quotes: What was said in each of them.
        words: All that was said.
        models: Per part ``(name, sha256)``.
        affect: Where valence and arousal come from, as HTML; None where there are none.
        warnings: How many.
        problem: Why the analysis, or its page, is not there; None where it is.
    """

    strip: str = ""
    timed: bool = True
    shown: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    quotes: tuple[str, ...] = ()
    words: str = ""
    models: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    affect: str | None = None
    warnings: int = 0
    problem: str | None = None


def view_of(analysis: Analysis) -> InputView:
    """Takes from an analysis what the page of a study shows of it.

    Args:
        analysis: With or without its frames.

    Returns:
        The view; its size does not grow with the recording, but for the words.
    """
    estimates, media = analysis.estimates, analysis.media
    answers = list(_answers(estimates))
    length = media.read_end_seconds - media.read_start_seconds
    moments = _strongest_each(estimates)
    return InputView(
        strip=strip_of(answers, media.read_start_seconds, length),
        timed=length > 0,
        shown=tuple(dict.fromkeys(label for _, _, label in answers)),
        moments=moments,
        quotes=tuple(_short(estimates[moment.index].utterance.text or "") for moment in moments),
        words=" ".join(filter(None, (estimate.utterance.text for estimate in estimates))),
        models={part: _named(facts) for part, facts in analysis.models.items() if facts},
        affect=about_affect(analysis.valence_arousal) if analysis.valence_arousal else None,
        warnings=len(analysis.warnings),
    )


def strip_of(answers: Sequence[tuple[float, float, str]], start: float, length: float) -> str:
    """The emotions of an input over its time, in steps.

    Args:
        answers: ``(start_seconds, end_seconds, label)`` of each utterance that was judged.
        start: Where the part that was read begins, in seconds.
        length: Of that part in seconds; 0 for words without times.

    Returns:
        Per step the letter of the answer that lasts longest in it, ``NOTHING`` where that is none; without times a
        letter per utterance, as long as there are no more than steps.

    Example:
        >>> strip_of([(10.0, 12.0, "neutral"), (12.0, 13.0, "anger")], start=10.0, length=6.0)
        'aaaaaaaaaaaaaaaaaaaaeeeeeeeeee------------------------------'
        >>> strip_of([(0.0, 0.0, "anger"), (0.0, 0.0, "uncertain")], start=0.0, length=0.0)
        'ei'
    """
    letters = [(begin, end, letter_of(label)) for begin, end, label in answers]
    if length <= 0 and len(letters) > BINS:  # more than can be drawn: spread out evenly
        start, length = 0.0, float(len(letters))
        letters = [(place, place + 1.0, letter) for place, (_, _, letter) in enumerate(letters)]
    if length <= 0 or not letters:
        return "".join(letter for _, _, letter in letters)
    step = length / BINS
    lasting: list[dict[str, float]] = [{} for _ in range(BINS)]
    for begin, end, letter in letters:
        begin, end = max(begin - start, 0.0), min(end - start, length)
        for number in range(int(begin / step), min(int(end / step) + 1, BINS)):
            shared = min(end, (number + 1) * step) - max(begin, number * step)
            lasting[number][letter] = lasting[number].get(letter, 0.0) + shared
    return "".join(_longest(found, step) for found in lasting)


def letter_of(label: str) -> str:
    """The letter of an emotion in a strip.

    Example:
        >>> letter_of("neutral"), letter_of("uncertain")
        ('a', 'i')
    """
    return LETTERS[STRIP_LABELS.index(label)]


def _longest(found: Mapping[str, float], step: float) -> str:
    """The letter that lasts longest; none where longer than any of them nothing was judged."""
    letter = max(found, key=found.__getitem__, default=NOTHING)
    nothing = step - sum(found.values())
    return letter if letter != NOTHING and found[letter] >= nothing - 1e-9 and found[letter] > 0 else NOTHING


def _answers(estimates: Sequence[UtteranceEstimate]) -> Iterator[tuple[float, float, str]]:
    """Each answer with its times: of all signals together, or of the one that the summary is of."""
    modality = primary_modality(estimates)
    for estimate in estimates:
        said = estimate.get(modality) if modality else None
        if said is None:
            continue
        label = UNCERTAIN if modality == "fused" and estimate.uncertain else top_label(said.probabilities)
        if label in STRIP_LABELS:
            yield estimate.utterance.start_seconds, estimate.utterance.end_seconds, label


def _strongest_each(estimates: Sequence[UtteranceEstimate]) -> tuple[Moment, ...]:
    found = sorted(find_moments(estimates), key=lambda moment: (-moment.strength, moment.start_seconds))
    kept = [[moment for moment in found if moment.kind == kind][:MOMENTS_EACH] for kind in KINDS]
    return tuple(moment for group in kept for moment in group)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= QUOTE else plain[: QUOTE - 1].rstrip() + "…"


def _named(facts: Mapping[str, Any]) -> tuple[str, str]:
    return str(facts.get("name", "unknown")), str(facts.get("sha256", ""))
