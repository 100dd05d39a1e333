"""The numbers at the head of a report: shares of time with their intervals, and the headline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.analysis.bootstrap import block_bootstrap
from multimodal.analysis.result import Analysis
from multimodal.formatting import duration_text, join_names, percent
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, top_label

MIN_SEGMENTS = 5
"""Segments below which an interval would describe their number rather than the conversation."""


@dataclass(frozen=True)
class Share:
    """Share of the analyzed time with one label.

    Attributes:
        label: An emotion, or ``uncertain``.
        share: 0 … 1.
        low: Lower end of the 95 % interval, 0 … 1; None with too few segments, or if all have one label.
        high: Upper end.
    """

    label: str
    share: float
    low: float | None = None
    high: float | None = None


def shares_of(analysis: Analysis) -> list[Share]:
    """Computes the share of the analyzed time of each label, with its interval.

    The interval estimates how the share would vary with other segments of such a conversation. Neighboring segments are
    alike, so blocks of them are drawn, not single ones. Errors of the networks are not included.

    Args:
        analysis: Of a recording, or of typed answers, which count alike.

    Returns:
        Every label with a share above zero, the largest first, ``uncertain`` last; empty without any estimate.

    Source:
        Politis and Romano 1992, "A circular block-resampling procedure for stationary data".
    """
    summary = analysis.summary
    if summary["shares"] is None:
        return []
    shares = sorted(summary["shares"].items(), key=lambda pair: -pair[1])
    shares.append((UNCERTAIN, summary["uncertain"] or 0.0))
    labels = [label for label, share in shares if share > 0]
    intervals = _intervals(*_segments(analysis), labels)
    return [Share(label, share, *intervals.get(label, (None, None))) for label, share in shares if share > 0]


def _segments(analysis: Analysis) -> tuple[list[str], list[float]]:
    """Label and length of every utterance with an estimate; without times each has the length 1."""
    modality = analysis.summary["modality"]
    # A face alone is estimated by the frame, and frames of one second are nearly the same.
    if modality is None or modality == "face":
        return [], []
    labels, lengths = [], []
    for each in analysis.estimates:
        estimate = each.get(modality)
        if estimate is not None:
            uncertain = modality == "fused" and each.uncertain
            labels.append(UNCERTAIN if uncertain else top_label(estimate.probabilities))
            lengths.append(each.utterance.end_seconds - each.utterance.start_seconds)
    return labels, lengths if any(lengths) else [1.0] * len(lengths)


def _intervals(
    observed: Sequence[str], lengths: Sequence[float], labels: Sequence[str]
) -> dict[str, tuple[float, float]]:
    if len(observed) < MIN_SEGMENTS or len(set(observed)) < 2:
        return {}
    low, high = block_bootstrap(np.array([[name == label for label in labels] for name in observed]), lengths)
    return {label: (float(low[at]), float(high[at])) for at, label in enumerate(labels)}


@dataclass(frozen=True)
class SpeakerShare:
    """The most frequent label while one person speaks.

    Attributes:
        speaker: Name.
        seconds: Analyzed speech; number of lines where there are no times.
        label: The most frequent label, may be ``uncertain``.
        share: Of those seconds, 0 … 1.
    """

    speaker: str
    seconds: float
    label: str
    share: float


def by_speaker(analysis: Analysis) -> list[SpeakerShare]:
    """Finds the most frequent fused label of each speaker.

    Args:
        analysis: With fused estimates.

    Returns:
        Speakers, the one who speaks most first; empty if fewer than two are known by name.
    """
    seconds_of: dict[str, dict[str, float]] = {}
    timed = bool(analysis.media.duration_seconds)
    for each in analysis.estimates:
        if each.emotion is not None and each.utterance.speaker:
            by_label = seconds_of.setdefault(each.utterance.speaker, {})
            seconds = each.utterance.end_seconds - each.utterance.start_seconds if timed else 1.0
            by_label[each.emotion] = by_label.get(each.emotion, 0.0) + seconds
    if len(seconds_of) < 2:
        return []
    totals = {speaker: math.fsum(by_label.values()) for speaker, by_label in seconds_of.items()}
    tops = {speaker: top_label(by_label) for speaker, by_label in seconds_of.items()}
    return [
        SpeakerShare(speaker, totals[speaker], tops[speaker], seconds_of[speaker][tops[speaker]] / totals[speaker])
        for speaker in sorted(totals, key=lambda name: -totals[name])
        if totals[speaker] > 0
    ]


def headline(analysis: Analysis) -> str:
    """The result in a sentence.

    Args:
        analysis: The analysis of any input.

    Returns:
        One sentence.
    """
    summary = analysis.summary
    if summary["shares"] is None:
        return "No emotion could be estimated."
    extent = _analyzed_extent(analysis)
    if summary["dominant"] is None:
        return f"Every estimate in {extent} is uncertain."
    uncertain = summary["uncertain"] or 0.0
    rest = f"; {percent(uncertain)} uncertain" if uncertain >= 0.005 else ""
    return f"{_leaders(summary['shares'])} of {extent}{rest}."


def _leaders(shares: Mapping[str, float]) -> str:
    """The most frequent label, in as strong a word as the shares allow."""
    top = max(shares.values())
    leaders = [label for label, share in shares.items() if top - share < 0.005]
    if len(leaders) > 1:
        return f"No emotion leads: {join_names(leaders)}, each {percent(top)}"
    if top >= 0.5:
        return f"Mostly {leaders[0]}: {percent(top)}"
    return f"{leaders[0].capitalize()} most often: {percent(top)}"


def _analyzed_extent(analysis: Analysis) -> str:
    if analysis.media.duration_seconds:
        return f"the analyzed {duration_text(analysis.summary['estimated_seconds'])}"
    count = sum(each.fused is not None for each in analysis.estimates)
    return f"{count} analyzed {'line' if count == 1 else 'lines'}"


def modalities_used(analysis: Analysis) -> list[str]:
    """Names of the signals behind the estimates, for people.

    Args:
        analysis: The analysis of any input.

    Returns:
        ``face``, ``voice`` and ``words``, as far as they were used.
    """
    present = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    return [MODALITY_NAMES[modality] for modality in MODALITIES if modality in present]
