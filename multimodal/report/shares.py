"""The numbers at the head of a report: expected shares of time with their intervals, and the headline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multimodal.analysis.result import Analysis
from multimodal.analysis.shares import MIN_SEGMENTS, SegmentProbabilities, expected_shares, share_intervals
from multimodal.formatting import duration_text
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, top_label

ADJECTIVES: Mapping[str, str] = {
    "happiness": "happy",
    "surprise": "surprised",
    "sadness": "sad",
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "contempt": "contemptuous",
}
"""Label to the word of the headline; other labels, such as neutral, stand for themselves."""

NAMED = 0.15
"""Share from which the headline names an emotion, and says that answers are uncertain."""

MOSTLY = 0.6
"""Share from which the only named emotion is called the one of most of the time."""

STANDS_OUT = 0.3
"""Share below which even the largest says little: seven emotions alike have a seventh each."""

FINE, COARSE = 5, 10
"""Steps in percent that the headline rounds to."""

NARROW = 0.2
"""Longest 95 % interval, from end to end, of a share that is rounded to the fine step."""


@dataclass(frozen=True)
class Share:
    """Share of the analyzed time with one label.

    Attributes:
        label: An emotion, or ``uncertain``.
        share: 0 … 1.
        low: Lower end of the 95 % interval, 0 … 1; None with too few segments, or if all are alike.
        high: Upper end.
    """

    label: str
    share: float
    low: float | None = None
    high: float | None = None


def shares_of(analysis: Analysis) -> list[Share]:
    """Computes the expected share of the analyzed time of each emotion, with its interval.

    Args:
        analysis: Of a recording, or of typed answers, which count alike.

    Returns:
        Every emotion of the summary, the largest share first; empty without any estimate.

    Source:
        Politis and Romano 1992, "A circular block-resampling procedure for stationary data".
    """
    summary = analysis.summary
    if summary["shares"] is None:
        return []
    segments = analysis.segment_probabilities(summary["modality"])
    intervals, _ = share_intervals(segments, list(summary["shares"]))
    shares = sorted(summary["shares"].items(), key=lambda pair: -pair[1])
    return [_share(label, share, intervals.get(label)) for label, share in shares]


def uncertain_of(analysis: Analysis) -> Share | None:
    """The fraction of the analyzed time whose answer is uncertain, with its interval; no part of the shares.

    Args:
        analysis: The analysis of any input.

    Returns:
        The share of ``uncertain``; None if no answer is uncertain.
    """
    summary = analysis.summary
    if not summary["uncertain"]:
        return None
    segments = analysis.segment_probabilities(summary["modality"])
    return _share(UNCERTAIN, summary["uncertain"], share_intervals(segments, list(summary["shares"]))[1])


def _share(label: str, share: float, interval: tuple[float, float] | None) -> Share:
    if interval is None:
        return Share(label, share)
    return Share(label, share, min(interval[0], share), max(interval[1], share))  # the share was rounded for the file


@dataclass(frozen=True)
class SpeakerShare:
    """The leading emotion while one person speaks.

    Attributes:
        speaker: Name.
        seconds: Analyzed speech; number of lines where there are no times.
        label: The emotion with the largest share.
        share: Expected share of that emotion, 0 … 1.
    """

    speaker: str
    seconds: float
    label: str
    share: float


def by_speaker(analysis: Analysis) -> list[SpeakerShare]:
    """Finds the leading emotion of each speaker, from the expected shares of the fused estimates.

    Args:
        analysis: With fused estimates.

    Returns:
        Speakers, the one who speaks most first; empty if fewer than two are known by name.
    """
    timed = bool(analysis.media.duration_seconds)
    segments_of: dict[str, list[SegmentProbabilities]] = {}
    for each in analysis.estimates:
        if each.fused is not None and each.utterance.speaker:
            seconds = each.utterance.end_seconds - each.utterance.start_seconds if timed else 1.0
            segment = SegmentProbabilities(seconds, each.fused.probabilities, each.uncertain)
            segments_of.setdefault(each.utterance.speaker, []).append(segment)
    if len(segments_of) < 2:
        return []
    seconds_of = {name: math.fsum(each.seconds for each in segments) for name, segments in segments_of.items()}
    speakers = []
    for name in sorted(seconds_of, key=lambda name: -seconds_of[name]):
        shares = expected_shares(segments_of[name])
        if shares and seconds_of[name] > 0:
            speakers.append(SpeakerShare(name, seconds_of[name], top_label(shares), shares[top_label(shares)]))
    return speakers


# --- the headline -------------------------------------------------------------------------------------------------


def headline(analysis: Analysis) -> str:
    """The result in a sentence that claims no more than the numbers do: rounded shares of the emotions that stand out.

    Args:
        analysis: The analysis of any input.

    Returns:
        One sentence, such as "About 60% happy, 40% neutral in the analyzed 42 s."; never 100 %.
    """
    shares = shares_of(analysis)
    if not shares:
        return "No emotion could be estimated."
    segments = analysis.segment_probabilities(analysis.summary["modality"])
    extent, uncertain = _extent(analysis, segments), analysis.summary["uncertain"] or 0.0
    leaders = [each for each in shares if each.share >= NAMED] or shares[:1]
    step = _step(leaders, segments)
    clear = shares[0].share >= STANDS_OUT
    if all(each.uncertain for each in segments):
        rest = f"at best {_named(leaders, step)}" if clear else "no emotion stands out"
        every = "Every estimate" if len(segments) > 1 else "The only estimate"
        return f"{every} in {extent} is uncertain; {rest}."
    rest = f"; {_uncertain_part(analysis, segments, uncertain)}" if uncertain >= NAMED else ""
    if not clear:
        return f"No emotion stands out in {extent}: at most {_named(shares[:1], step)}{rest}."
    if len(leaders) == 1 and leaders[0].share >= MOSTLY:
        return f"Mostly {_word(leaders[0])} ({_about(_amounts(leaders, step)[0], step)}) in {extent}{rest}."
    mixed = " and the rest mixed" if 1 - sum(each.share for each in leaders) >= NAMED else ""
    return f"A{_named(leaders, step)[1:]}{mixed} in {extent}{rest}."


def _step(leaders: Sequence[Share], segments: Sequence[SegmentProbabilities]) -> int:
    """The step of rounding: coarse where the shares would differ much with other segments, or nobody can tell."""
    lengths = [each.high - each.low for each in leaders if each.low is not None and each.high is not None]
    return COARSE if len(segments) < MIN_SEGMENTS or max(lengths, default=0.0) > NARROW else FINE


def _amounts(leaders: Sequence[Share], step: int) -> list[int]:
    """Shares in rounded percent, together at most 100: of those rounded up, the one rounded up most gives way."""
    exact = [round(100 * each.share, 6) for each in leaders]
    amounts = [max(step * round(value / step), step) for value in exact]
    while sum(amounts) > 100:
        excess = [amount - value for amount, value in zip(amounts, exact, strict=True)]
        amounts[max(range(len(amounts)), key=lambda place: (excess[place], place))] -= step
    return amounts


def _about(amount: int, step: int) -> str:
    return f"over {100 - step}%" if amount > 100 - step else f"about {amount}%"


def _named(leaders: Sequence[Share], step: int) -> str:
    """Percent and word of each, such as "about 60% happy, 40% neutral"."""
    first, *others = zip(_amounts(leaders, step), map(_word, leaders), strict=True)
    return ", ".join([f"{_about(first[0], step)} {first[1]}", *(f"{amount}% {word}" for amount, word in others)])


def _word(share: Share) -> str:
    return ADJECTIVES.get(share.label, share.label)


def _extent(analysis: Analysis, segments: Sequence[SegmentProbabilities]) -> str:
    if analysis.media.duration_seconds:
        return f"the analyzed {duration_text(analysis.summary['estimated_seconds'])}"
    return f"{len(segments)} {'line' if len(segments) == 1 else 'lines'}"


def _uncertain_part(analysis: Analysis, segments: Sequence[SegmentProbabilities], uncertain: float) -> str:
    if analysis.media.duration_seconds:
        return f"about {min(max(FINE * round(100 * uncertain / FINE), FINE), 100 - FINE)}% of the time is uncertain"
    count = sum(each.uncertain for each in segments)
    return f"{count} of them {'is' if count == 1 else 'are'} uncertain"


def modalities_used(analysis: Analysis) -> list[str]:
    """Names of the signals behind the estimates, for people.

    Args:
        analysis: The analysis of any input.

    Returns:
        ``face``, ``voice`` and ``words``, as far as they were used.
    """
    present = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    return [MODALITY_NAMES[modality] for modality in MODALITIES if modality in present]
