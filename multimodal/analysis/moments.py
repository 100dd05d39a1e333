"""The moments of a recording that are worth watching: peaks, sudden changes, and signals that disagree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multimodal.data.emotions import FACE_TO_FUSED
from multimodal.formatting import percent
from multimodal.fusion.affect import affect_from_norms
from multimodal.types import MODALITY_NAMES, UNCERTAIN, Probabilities, UtteranceEstimate, top_label

KINDS = ("peak", "change", "disagreement")

CALM = ("neutral", UNCERTAIN)
"""Answers that are no peak, however sure."""

NEAR_SECONDS = 2.0
"""Two utterances further apart do not make a sudden change."""

AROUND_SECONDS = 3.0
"""How much of what was before and after belongs to a change."""

CLEARLY_PLEASANT = 0.25
"""Valence from which a signal counts as positive, and below zero as negative: a third of what the words have."""

WIDEST = 1.45
"""Valence between the most and the least pleasant emotion word, happy (0.81) and fearful (-0.64)."""


@dataclass(frozen=True)
class Moment:
    """A stretch that is worth watching.

    Attributes:
        kind: One of ``KINDS``.
        index: Of the utterance among the estimates.
        start_seconds: Where it begins; 0 in words without times.
        end_seconds: Where it ends.
        emotion: The answer in it.
        strength: 0 … 1: of a peak its probability, of a change the distance between the two answers, of a disagreement
            that between the two signals' valence.
        why: What is to be seen, in plain words.
    """

    kind: str
    index: int
    start_seconds: float
    end_seconds: float
    emotion: str
    strength: float
    why: str


def top_moments(estimates: Sequence[UtteranceEstimate], count: int = 5, kinds: Sequence[str] = KINDS) -> list[Moment]:
    """Chooses the moments that show the most, of each kind in turn.

    Args:
        estimates: Of a recording, in order of time.
        count: How many at most.
        kinds: Which kinds, of ``KINDS``.

    Returns:
        Moments that do not repeat each other, the strongest first.

    Example:
        >>> top_moments([])
        []
    """
    found = sorted(find_moments(estimates), key=lambda moment: (-moment.strength, moment.start_seconds))
    queues = [_varied(found, kind) for kind in kinds]
    chosen: list[Moment] = []
    for moment in itertools.chain.from_iterable(itertools.zip_longest(*queues)):
        if moment is not None and len(chosen) < count and not any(_repeats(moment, other) for other in chosen):
            chosen.append(moment)
    return sorted(chosen, key=lambda moment: (-moment.strength, moment.start_seconds))


def find_moments(estimates: Sequence[UtteranceEstimate]) -> list[Moment]:
    """Finds all moments.

    Args:
        estimates: Of a recording, in order of time.

    Returns:
        Peaks, one for each run of utterances with the same emotion; changes; disagreements; each kind in order of time.
    """
    return [*_peaks(estimates), *_changes(estimates), *_disagreements(estimates)]


def modality_valence(probabilities: Mapping[str, float]) -> float:
    """How pleasant a signal is, from what the emotion words mean.

    Args:
        probabilities: In the labels of a face or in the fused ones.

    Returns:
        -1 … 1; labels without a published norm, as contempt, are left out.

    Example:
        >>> round(modality_valence({"happiness": 0.5, "neutral": 0.25, "contempt": 0.25}), 3)
        0.54
    """
    known = {label: value for label, value in probabilities.items() if FACE_TO_FUSED.get(label)}
    total = sum(known.values())
    return affect_from_norms({label: value / total for label, value in known.items()})[0] if total else 0.0


def _varied(moments: Sequence[Moment], kind: str) -> list[Moment]:
    """Those of a kind: the best of each emotion first, then the others."""
    own = [moment for moment in moments if moment.kind == kind]
    first = list({moment.emotion: moment for moment in reversed(own)}.values())
    first.sort(key=lambda moment: -moment.strength)
    return [*first, *(moment for moment in own if moment not in first)]


def _repeats(moment: Moment, other: Moment) -> bool:
    if moment.index == other.index:
        return True
    shared = min(moment.end_seconds, other.end_seconds) - max(moment.start_seconds, other.start_seconds)
    return shared > 0.5 * min(moment.end_seconds - moment.start_seconds, other.end_seconds - other.start_seconds) > 0


def _peaks(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    for emotion, run in itertools.groupby(enumerate(estimates), key=lambda pair: pair[1].emotion):
        if emotion is None or emotion in CALM:
            continue
        index, best = max(run, key=lambda pair: _confidence(pair[1]))
        times = best.utterance.start_seconds, best.utterance.end_seconds
        yield Moment("peak", index, *times, emotion, _confidence(best), f"{emotion} at {percent(_confidence(best))}")


def _changes(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    for index, (before, after) in enumerate(itertools.pairwise(estimates), start=1):
        old, new = before.emotion, after.emotion
        if before.fused is None or after.fused is None or old is None or new is None or old == new:
            continue
        if UNCERTAIN in (old, new) or after.utterance.start_seconds - before.utterance.end_seconds > NEAR_SECONDS:
            continue
        turn = after.utterance.start_seconds
        start = max(before.utterance.start_seconds, turn - AROUND_SECONDS)
        end = min(after.utterance.end_seconds, turn + AROUND_SECONDS)
        strength = _distance(before.fused.probabilities, after.fused.probabilities)
        yield Moment("change", index, min(start, end), end, new, strength, f"from {old} to {new}")


def _disagreements(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    for index, estimate in enumerate(estimates):
        said = {modality: each.probabilities for modality, each in estimate.estimates.items()}
        valence = {modality: modality_valence(probabilities) for modality, probabilities in said.items()}
        if len(valence) < 2 or estimate.emotion is None:
            continue
        high, low = (choose(valence, key=valence.__getitem__) for choose in (max, min))
        if valence[high] < CLEARLY_PLEASANT or valence[low] > -CLEARLY_PLEASANT:
            continue
        times = estimate.utterance.start_seconds, estimate.utterance.end_seconds
        strength = min((valence[high] - valence[low]) / WIDEST, 1.0)
        why = f"{_told(high, said[high])} positive, {_told(low, said[low])} negative"
        yield Moment("disagreement", index, *times, estimate.emotion, strength, why)


def _told(modality: str, probabilities: Probabilities) -> str:
    label = top_label(probabilities)
    return f"{MODALITY_NAMES[modality]} ({label} {percent(probabilities[label])})"


def _distance(one: Probabilities, other: Probabilities) -> float:
    """Total variation distance, 0 … 1."""
    return min(sum(abs(one[label] - other.get(label, 0.0)) for label in one) / 2, 1.0)


def _confidence(estimate: UtteranceEstimate) -> float:
    return estimate.fused.confidence if estimate.fused is not None else 0.0
