"""The numbers at the head of a report: shares of time with their ranges, and plain words for them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multimodal.analysis.bootstrap import block_bootstrap
from multimodal.analysis.result import Analysis
from multimodal.formatting import duration_text, join_names, percent
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, top_label

FEWEST = 5
"""Stretches below which a range would say more about their number than about the conversation."""


@dataclass(frozen=True)
class Share:
    """How much of the judged time had one answer.

    Attributes:
        label: An emotion, or ``uncertain``.
        share: 0 … 1.
        low: Lower end of the 95 % range, 0 … 1; None where there are too few stretches, or all have one answer.
        high: Upper end.
    """

    label: str
    share: float
    low: float | None = None
    high: float | None = None


def shares_of(analysis: Analysis) -> list[Share]:
    """Share of the judged time of each answer, with its range.

    The range says how the share would move had other stretches of such a conversation been recorded. Neighbors are
    alike, so runs of them are drawn, not single ones. What the networks get wrong is not in it.

    Args:
        analysis: Of a recording, or of answers, which count alike.

    Returns:
        Every answer with a share above nothing, the largest first, ``uncertain`` last; empty where nothing was judged.

    Source:
        Politis and Romano 1992, "A circular block-resampling procedure for stationary data".
    """
    summary = analysis.summary
    if summary["shares"] is None:
        return []
    found = sorted(summary["shares"].items(), key=lambda pair: -pair[1])
    found.append((UNCERTAIN, summary["uncertain"] or 0.0))
    labels = [label for label, share in found if share > 0]
    ranges = _ranges(*_stretches(analysis), labels)
    return [Share(label, share, *ranges.get(label, (None, None))) for label, share in found if share > 0]


def _stretches(analysis: Analysis) -> tuple[list[str], list[float]]:
    """Answer and length of every judged utterance; of words without times each has the length 1."""
    modality = analysis.summary["modality"]
    if modality == "face":  # judged by the frame, and frames of one second are one and the same
        return [], []
    judged = [(each, said) for each in analysis.estimates if (said := each.get(modality)) is not None]
    answers = [
        UNCERTAIN if modality == "fused" and each.uncertain else top_label(said.probabilities) for each, said in judged
    ]
    lengths = [each.utterance.end_seconds - each.utterance.start_seconds for each, _ in judged]
    return answers, lengths if any(lengths) else [1.0] * len(lengths)


def _ranges(answers: Sequence[str], lengths: Sequence[float], labels: Sequence[str]) -> dict[str, tuple[float, float]]:
    if len(answers) < FEWEST or len(set(answers)) < 2:
        return {}
    low, high = block_bootstrap(np.array([[answer == label for label in labels] for answer in answers]), lengths)
    return {label: (float(low[at]), float(high[at])) for at, label in enumerate(labels)}


@dataclass(frozen=True)
class Speaking:
    """What was shown most while one person spoke.

    Attributes:
        speaker: Name.
        seconds: Judged speech; of words without times the number of lines.
        label: The most frequent answer, perhaps ``uncertain``.
        share: Of those seconds, 0 … 1.
    """

    speaker: str
    seconds: float
    label: str
    share: float


def by_speaker(analysis: Analysis) -> list[Speaking]:
    """What was shown most while each person spoke.

    Args:
        analysis: Whose answers are from all signals together.

    Returns:
        Speakers from the one who spoke most on; empty where fewer than two are known by name.
    """
    spoken: dict[str, dict[str, float]] = {}
    timed = bool(analysis.media.duration_seconds)
    for each in analysis.estimates:
        if each.emotion is not None and each.utterance.speaker:
            shown = spoken.setdefault(each.utterance.speaker, {})
            seconds = each.utterance.end_seconds - each.utterance.start_seconds if timed else 1.0
            shown[each.emotion] = shown.get(each.emotion, 0.0) + seconds
    if len(spoken) < 2:
        return []
    totals = {speaker: math.fsum(shown.values()) for speaker, shown in spoken.items()}
    tops = {speaker: top_label(shown) for speaker, shown in spoken.items()}
    return [
        Speaking(speaker, totals[speaker], tops[speaker], spoken[speaker][tops[speaker]] / totals[speaker])
        for speaker in sorted(totals, key=lambda name: -totals[name])
        if totals[speaker] > 0
    ]


def headline(analysis: Analysis) -> str:
    """The result in a sentence."""
    summary = analysis.summary
    if summary["shares"] is None:
        return "There was nothing to judge: no face, no voice and no words that could be read."
    judged = _judged_part(analysis)
    if summary["dominant"] is None:
        return f"No answer was sure enough to be named in {judged}."
    unsure = summary["uncertain"] or 0.0
    behind = f"; no answer was sure enough in {percent(unsure)}" if unsure >= 0.005 else ""
    return f"{_leaders(summary['shares'])} of {judged}{behind}."


def _leaders(shares: Mapping[str, float]) -> str:
    """What was shown most, in as strong a word as the shares allow."""
    top = max(shares.values())
    leaders = [label for label, share in shares.items() if top - share < 0.005]
    if len(leaders) > 1:
        return f"No emotion leads: {join_names(leaders)}, each {percent(top)}"
    if top >= 0.5:
        return f"Mostly {leaders[0]}: {percent(top)}"
    return f"{leaders[0].capitalize()} most often: {percent(top)}"


def _judged_part(analysis: Analysis) -> str:
    if analysis.media.duration_seconds:
        return f"the {duration_text(analysis.summary['judged_seconds'])} that could be judged"
    count = sum(each.fused is not None for each in analysis.estimates)
    return f"{count} judged {'line' if count == 1 else 'lines'}"


def modalities_used(analysis: Analysis) -> list[str]:
    """Which signals the answers are from, as people call them."""
    there = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    return [MODALITY_NAMES[modality] for modality in MODALITIES if modality in there]
