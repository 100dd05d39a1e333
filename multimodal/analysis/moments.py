"""Finds the key moments of a recording: trouble in the words, peaks, sudden changes, disagreement between signals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from multimodal.analysis.result import Analysis
from multimodal.analysis.usability import TROUBLE, certain_usability
from multimodal.data.emotions import FACE_TO_FUSED
from multimodal.formatting import probability_percent
from multimodal.fusion.affect import affect_from_norms
from multimodal.fusion.change_points import expression_changes
from multimodal.types import MODALITY_NAMES, UNCERTAIN, FaceObservation, Probabilities, UtteranceEstimate, top_label

KINDS = ("peak", "change", "disagreement", "problem")

SELECTION_ORDER = ("problem", "change", "peak", "disagreement")
"""Frustration and confusion in the words are selected first: most recordings are analyzed to find them. Changes come
before peaks: the peak after a change shows less of what happened than the change itself."""

CALM = ("neutral", UNCERTAIN)
"""Labels that never make a peak."""

NEAR_SECONDS = 2.0
"""Longest pause in seconds between two utterances that make a sudden change."""

AROUND_SECONDS = 3.0
"""Seconds before and after a change that belong to it."""

CLEARLY_PLEASANT = 0.25
"""A signal is positive above this valence and negative below its negative: a third of the range of the words."""

BESIDE_SECONDS = 0.01
"""A change is looked up this long before and after it: saved times are rounded, and frames lie further away."""

WIDEST = 1.45
"""Distance in valence between the most and the least pleasant emotion word, happy (0.81) and fearful (-0.64)."""


@dataclass(frozen=True)
class Moment:
    """A part of a recording that is worth watching.

    Attributes:
        kind: One of ``KINDS``.
        index: Index of the utterance among the estimates.
        start_seconds: Start on the recording's clock; 0 in text without times.
        end_seconds: End on the recording's clock.
        emotion: The emotion in it; of kind ``problem`` the usability label of its words.
        strength: Strength 0 … 1: probability of a peak or of a usability label, distance between the two estimates of a
            change, or distance between the valence of the two signals that disagree.
        why: Reason in plain words; of a change from which emotion to which.
        change_seconds: Start of the new emotion of a change; None for the other kinds.
    """

    kind: str
    index: int
    start_seconds: float
    end_seconds: float
    emotion: str
    strength: float
    why: str
    change_seconds: float | None = None

    @property
    def time_seconds(self) -> float:
        """The time to name it by: that of the change, or the start."""
        return self.start_seconds if self.change_seconds is None else self.change_seconds


def top_moments(analysis: Analysis, count: int = 5, kinds: Sequence[str] = KINDS) -> list[Moment]:
    """Selects the strongest moments, taking turns between the kinds.

    Args:
        analysis: From a model, or read back from its folder.
        count: Maximum number of moments.
        kinds: Kinds to select from, of ``KINDS``.

    Returns:
        Moments that do not repeat each other, the strongest first.

    Example:
        >>> top_moments(read_analysis("results/interview"))[0].why                     # doctest: +SKIP
        'face from neutral to happiness'
    """
    moments = _without_ways_back(find_moments(analysis), analysis.summary["dominant"])
    candidates = sorted(moments, key=lambda moment: (-moment.strength, moment.start_seconds))
    queues = [_by_variety(candidates, kind) for kind in SELECTION_ORDER if kind in kinds]
    selection: list[Moment] = []
    for moment in itertools.chain.from_iterable(itertools.zip_longest(*queues)):
        if moment is not None and len(selection) < count and not any(_repeats(moment, other) for other in selection):
            selection.append(moment)
    return sorted(selection, key=lambda moment: (-moment.strength, moment.start_seconds))


def find_moments(analysis: Analysis) -> list[Moment]:
    """Finds all moments.

    A change of the face is dated where its frames change, also within an utterance. Without frames, the changes are
    those from one utterance or window to the next.

    Args:
        analysis: From a model, or read back from its folder.

    Returns:
        Peaks, one for each run of utterances with the same emotion; changes; disagreements; frustration and confusion
        in the words, one for each run of utterances with the same label; each kind in order of time.
    """
    estimates = analysis.estimates
    faces = list(_face_changes(estimates, analysis.faces))
    answers = [
        change
        for change in _answer_changes(estimates)
        if not (analysis.faces and _is_of_one_face(*estimates[change.index - 1 : change.index + 1]))
        and not _is_dated(change, estimates, faces)
    ]
    changes = sorted([*faces, *answers], key=lambda moment: moment.time_seconds)
    return [*_peaks(estimates), *changes, *_disagreements(estimates), *_problems(estimates)]


def modality_valence(probabilities: Mapping[str, float]) -> float:
    """Computes the valence of one signal from published norms of the emotion words.

    Args:
        probabilities: Probabilities of the face labels or of the fused labels.

    Returns:
        Valence -1 … 1; labels without a published norm, such as contempt, are ignored.

    Example:
        >>> round(modality_valence({"happiness": 0.5, "neutral": 0.25, "contempt": 0.25}), 3)
        0.54
    """
    normed = {label: value for label, value in probabilities.items() if FACE_TO_FUSED.get(label)}
    total = sum(normed.values())
    return affect_from_norms({label: value / total for label, value in normed.items()})[0] if total else 0.0


def _without_ways_back(moments: Sequence[Moment], usual: str | None) -> list[Moment]:
    """Leaves out changes back to what is usual in the recording that repeat the change away from it."""
    changes = sorted((moment for moment in moments if moment.kind == "change"), key=lambda moment: moment.time_seconds)
    back = [
        after
        for before, after in itertools.pairwise(changes)
        if after.emotion == usual and before.emotion != usual and _repeats(before, after)
    ]
    return [moment for moment in moments if moment not in back]


def _by_variety(moments: Sequence[Moment], kind: str) -> list[Moment]:
    """Lists the moments of a kind: the strongest of each emotion first, then the others."""
    of_kind = [moment for moment in moments if moment.kind == kind]
    strongest = list({moment.emotion: moment for moment in reversed(of_kind)}.values())
    strongest.sort(key=lambda moment: -moment.strength)
    return [*strongest, *(moment for moment in of_kind if moment not in strongest)]


def _repeats(moment: Moment, other: Moment) -> bool:
    kinds = {moment.kind, other.kind}
    if "problem" in kinds and kinds & {"change", "disagreement"}:  # words say what neither of these shows
        return False
    shorter = min(moment.end_seconds - moment.start_seconds, other.end_seconds - other.start_seconds)
    if shorter <= 0:  # words without times
        return moment.index == other.index
    overlap = min(moment.end_seconds, other.end_seconds) - max(moment.start_seconds, other.start_seconds)
    return overlap > 0.5 * shorter


def _peaks(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    for emotion, run in itertools.groupby(enumerate(estimates), key=lambda pair: pair[1].emotion):
        if emotion is None or emotion in CALM:
            continue
        index, best = max(run, key=lambda pair: _confidence(pair[1]))
        times = best.utterance.start_seconds, best.utterance.end_seconds
        yield Moment(
            "peak", index, *times, emotion, _confidence(best), f"{emotion} at {probability_percent(_confidence(best))}"
        )


def _problems(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    """Runs of utterances whose words are frustrated or confused, silence left out, at the surest of each run."""
    spoken = [(index, each) for index, each in enumerate(estimates) if each.usability is not None]
    for label, run in itertools.groupby(spoken, key=lambda pair: certain_usability(pair[1])):
        if label not in TROUBLE:
            continue
        index, best = max(run, key=lambda pair: pair[1].usability_probability or 0.0)
        times, sure = (best.utterance.start_seconds, best.utterance.end_seconds), best.usability_probability or 0.0
        yield Moment("problem", index, *times, label, sure, f"{label} in words at {probability_percent(sure)}")


def _face_changes(estimates: Sequence[UtteranceEstimate], faces: Sequence[FaceObservation]) -> Iterator[Moment]:
    """Lasting changes of expression, of the face that the utterances at that time are of."""
    for change in expression_changes(faces):
        before, index = (
            _index_at(estimates, change.face_id, change.time_seconds + side)
            for side in (-BESIDE_SECONDS, BESIDE_SECONDS)
        )
        if before is None or index is None or any(_is_doubtful(estimates[place]) for place in (before, index)):
            continue
        start = max(change.start_seconds, change.time_seconds - AROUND_SECONDS)
        end = min(change.end_seconds, change.time_seconds + AROUND_SECONDS)
        old, new = top_label(change.before), top_label(change.after)
        strength, why = _distance(change.before, change.after), f"face from {old} to {new}"
        yield Moment("change", index, start, end, new, strength, why, change.time_seconds)


def _index_at(estimates: Sequence[UtteranceEstimate], face_id: int, seconds: float) -> int | None:
    """Index of the utterance of a face that is nearest to a time, the last of several; None if none is near."""
    distances = {
        index: max(each.utterance.start_seconds - seconds, seconds - each.utterance.end_seconds, 0.0)
        for index, each in enumerate(estimates)
        if each.face_id == face_id
    }
    nearest = min(reversed(distances), key=distances.__getitem__, default=None)
    return None if nearest is None or distances[nearest] > NEAR_SECONDS else nearest


def _is_doubtful(estimate: UtteranceEstimate) -> bool:
    """Whether the face alone gives an answer and it is uncertain: it changes from or to nothing that has a name."""
    return estimate.uncertain and estimate.modalities == ("face",)


def _is_of_one_face(before: UtteranceEstimate, after: UtteranceEstimate) -> bool:
    """Whether both answers are those of one face alone, whose frames say whether and when it changes."""
    return before.modalities == after.modalities == ("face",) and before.face_id == after.face_id


def _is_dated(change: Moment, estimates: Sequence[UtteranceEstimate], faces: Sequence[Moment]) -> bool:
    """Whether the face shows a change of the answer too, and so dates it better."""
    start = estimates[change.index - 1].utterance.start_seconds
    end = estimates[change.index].utterance.end_seconds
    return any(face.emotion == change.emotion and start <= face.time_seconds <= end for face in faces)


def _answer_changes(estimates: Sequence[UtteranceEstimate]) -> Iterator[Moment]:
    """Changes of the answer from one utterance or window to the next; two people do not make a change."""
    for index, (before, after) in enumerate(itertools.pairwise(estimates), start=1):
        old, new = before.emotion, after.emotion
        if before.fused is None or after.fused is None or old is None or new is None or old == new:
            continue
        if len({before.utterance.speaker, after.utterance.speaker} - {None}) > 1:
            continue
        if UNCERTAIN in (old, new) or after.utterance.start_seconds - before.utterance.end_seconds > NEAR_SECONDS:
            continue
        turn = after.utterance.start_seconds
        start = max(before.utterance.start_seconds, turn - AROUND_SECONDS)
        end = min(after.utterance.end_seconds, turn + AROUND_SECONDS)
        strength = _distance(before.fused.probabilities, after.fused.probabilities)
        yield Moment("change", index, min(start, end), end, new, strength, f"from {old} to {new}", turn)


def _disagreements(estimates: Sequence[UtteranceEstimate]) -> Iterable[Moment]:
    for index, estimate in enumerate(estimates):
        labels = {modality: each.probabilities for modality, each in estimate.estimates.items()}
        valence = {modality: modality_valence(probabilities) for modality, probabilities in labels.items()}
        if len(valence) < 2 or estimate.emotion is None:
            continue
        high, low = (choose(valence, key=valence.__getitem__) for choose in (max, min))
        if valence[high] < CLEARLY_PLEASANT or valence[low] > -CLEARLY_PLEASANT:
            continue
        times = estimate.utterance.start_seconds, estimate.utterance.end_seconds
        strength = min((valence[high] - valence[low]) / WIDEST, 1.0)
        why = f"{_modality_text(high, labels[high])} positive, {_modality_text(low, labels[low])} negative"
        yield Moment("disagreement", index, *times, estimate.emotion, strength, why)


def _modality_text(modality: str, probabilities: Probabilities) -> str:
    label = top_label(probabilities)
    return f"{MODALITY_NAMES[modality]} ({label} {probability_percent(probabilities[label])})"


def _distance(one: Probabilities, other: Probabilities) -> float:
    """Computes the total variation distance, 0 … 1."""
    return min(sum(abs(one[label] - other.get(label, 0.0)) for label in one) / 2, 1.0)


def _confidence(estimate: UtteranceEstimate) -> float:
    return estimate.fused.confidence if estimate.fused is not None else 0.0
