"""Fuses the modalities of each segment: with the trained head if it fits the encoders, else with late fusion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.affect import HEAD, NORMS, affect_from_norms
from multimodal.fusion.alignment import FusionInputs, build_inputs, log_probabilities, tolerance_seconds
from multimodal.fusion.consistency import constrain
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.late import late_estimate
from multimodal.fusion.prediction import predict
from multimodal.fusion.segments import observations_in
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import (
    MODALITIES,
    MODALITY_NAMES,
    FaceObservation,
    ModalityEstimate,
    UtteranceEstimate,
    top_label,
)

LATE = {"name": "late average"}
"""What ``models`` of an analysis names for late fusion, which has no weights and so no hash."""

AFFECT_SOURCES: Mapping[str, Mapping[str, str]] = {
    NORMS: {"source": NORMS, "reference": "Russell and Mehrabian 1977"},
    HEAD: {"source": HEAD},
}
"""Values of ``valence_arousal`` of an analysis."""


@dataclass(frozen=True)
class FusionResult:
    """Segments with their fused estimates.

    Attributes:
        estimates: The segments, with ``fused``, ``uncertain``, ``valence`` and ``arousal`` where any modality is
            present.
        model: Name of what fused them, and its hash if it has one; None if no modality was present anywhere.
        valence_arousal: Source of both, one of ``AFFECT_SOURCES``; None if no modality was present anywhere.
        warnings: One line if late fusion was used, with the reason.
    """

    estimates: tuple[UtteranceEstimate, ...]
    model: Mapping[str, str] | None = None
    valence_arousal: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()


def fuse(
    estimates: Sequence[UtteranceEstimate],
    faces: Sequence[FaceObservation],
    frame_times: Sequence[float],
    parts: Mapping[str, Weights],
) -> FusionResult:
    """Fuses the modalities of each segment into one estimate.

    Args:
        estimates: The segments, with the estimates and states of each modality.
        faces: Every face in every sampled frame, in order of time.
        frame_times: Seconds of every sampled frame, in order.
        parts: Part to its weights: the encoders in use, and ``fusion`` if there is a trained head.

    Returns:
        The fused estimates. A segment without any modality has none.

    Example:
        >>> from multimodal.types import Utterance
        >>> text = ModalityEstimate({label: 1 / 7 for label in FUSED_LABELS})
        >>> result = fuse([UtteranceEstimate(Utterance(0.0, 1.0), {"text": text})], (), (), {})
        >>> result.model, round(result.estimates[0].fused.confidence, 3)
        ({'name': 'late average'}, 0.143)
    """
    if not any(estimate.modalities for estimate in estimates):
        return FusionResult(tuple(estimates))
    reason = incompatibility(parts)
    if reason is not None:
        line = f"using late fusion (average): {reason}"
        averages = tuple(_with_average(estimate, parts) for estimate in estimates)
        return FusionResult(averages, LATE, AFFECT_SOURCES[NORMS], (line,))
    head = parts["fusion"]
    spec, shape = head.spec, FusionShape(**head.spec.fusion)
    indices = [index for index, estimate in enumerate(estimates) if estimate.modalities]
    inputs = list(_inputs([estimates[index] for index in indices], faces, frame_times, spec, shape))
    predictions = predict(head.network, shape, inputs, spec.temperatures, spec.temperature, spec.labels)
    rows = _in_fused_labels([estimates[index] for index in indices], predictions.probabilities, spec.labels, shape)
    fused = list(estimates)
    for index, probabilities, affect in zip(indices, rows, predictions.affect, strict=True):
        threshold = _uncertain_below(estimates[index], parts, spec.uncertain_below)
        fused[index] = _with_prediction(estimates[index], probabilities, affect, threshold)
    source = HEAD if shape.dimensions else NORMS
    return FusionResult(tuple(fused), {"name": head.name, "sha256": head.sha256}, AFFECT_SOURCES[source])


def incompatibility(parts: Mapping[str, Weights]) -> str | None:
    """Returns why the trained head cannot be used with these encoders.

    Args:
        parts: Part to its weights: the encoders in use, and ``fusion`` if there is a trained head.

    Returns:
        The reason, as a clause; None if the head can be used.

    Example:
        >>> incompatibility({})
        'no trained fusion head available'
    """
    head = parts.get("fusion")
    if head is None:
        return "no trained fusion head available"
    trained = head.spec.encoders
    for modality in (name for name in MODALITIES if name in parts):
        if modality not in trained:
            return f"the fusion head {head.name} was trained without the {MODALITY_NAMES[modality]}"
        if trained[modality] != parts[modality].sha256:
            return f"the fusion head {head.name} was trained with another {MODALITY_NAMES[modality]} encoder"
    if foreign := [label for label in head.spec.labels if label not in FUSED_LABELS]:
        return f"the fusion head {head.name} predicts {foreign[0]}, which is not an emotion of this version"
    if FusionShape(**head.spec.fusion).summary_size:
        return f"the fusion head {head.name} needs the prosody of whole utterances, which inference does not compute"
    return None


def _inputs(
    estimates: Sequence[UtteranceEstimate],
    faces: Sequence[FaceObservation],
    frame_times: Sequence[float],
    spec: ModelSpec,
    shape: FusionShape,
) -> Iterator[FusionInputs]:
    """Builds the head's inputs for segments that have any modality."""
    tolerance = tolerance_seconds(np.array(frame_times, np.float64))
    for estimate in estimates:
        utterance = estimate.utterance
        audio, text = (estimate.encodings.get(name) for name in ("audio", "text"))
        yield build_inputs(
            utterance.start_seconds,
            utterance.end_seconds,
            {name: each.probabilities for name, each in estimate.estimates.items()},
            audio=None if audio is None or audio.times is None else (audio.times, audio.states),
            face=_embeddings(observations_in(utterance, faces), estimate.face_id, shape.face_size),
            tolerance_seconds=tolerance,
            text=None if text is None else text.states,
            labels=spec.labels,
        )


def _embeddings(
    observations: Sequence[FaceObservation], face_id: int | None, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Seconds ``(observations,)`` and embeddings ``(observations, size)`` of one face."""
    rows = [(each.time_seconds, each.embedding) for each in observations if each.face_id == face_id]
    times = [time for time, embedding in rows if embedding is not None]
    embeddings = [embedding for _, embedding in rows if embedding is not None]
    return np.array(times, np.float64), np.stack(embeddings) if embeddings else np.zeros((0, size), np.float32)


def _in_fused_labels(
    estimates: Sequence[UtteranceEstimate],
    probabilities: NDArray[np.float64],
    labels: Sequence[str],
    shape: FusionShape,
) -> NDArray[np.float64]:
    """The head's answers in the fused labels, ``(segments, 7)``, under the rules of ``multimodal.fusion.consistency``.

    ``predict`` has applied them, unless the head does not read the modalities' probabilities. Of a head without some of
    the labels it has applied them to the other labels only, as if the modalities did not know those.
    """
    rows = np.zeros((len(estimates), len(FUSED_LABELS)))
    rows[:, [FUSED_LABELS.index(label) for label in labels]] = probabilities
    if shape.log_probabilities and set(labels) == set(FUSED_LABELS):
        return rows
    signals = np.zeros((len(estimates), len(MODALITIES), len(FUSED_LABELS)))
    present = np.zeros(signals.shape[:2], bool)
    for row, estimate in enumerate(estimates):
        for name, each in estimate.estimates.items():
            place = MODALITIES.index(name)
            signals[row, place] = np.exp(log_probabilities(each.probabilities, FUSED_LABELS))
            present[row, place] = True
    return constrain(rows, signals, present, FUSED_LABELS.index("neutral"))


def _uncertain_below(estimate: UtteranceEstimate, parts: Mapping[str, Weights], head: float | None) -> float | None:
    """The confidence below which an answer is uncertain: of a modality that answers alone, else of the head."""
    if len(estimate.modalities) > 1:
        return head
    alone = parts.get(estimate.modalities[0])
    return head if alone is None or alone.spec.uncertain_below is None else alone.spec.uncertain_below


def _is_uncertain(estimate: UtteranceEstimate, confidence: float, threshold: float | None) -> bool:
    """Whether an answer is not named: it is below the threshold, or its only modality shows what has no fused label."""
    shown = [top_label(each.probabilities) for each in estimate.estimates.values()]
    if len(shown) == 1 and shown[0] not in FUSED_LABELS:  # a contemptuous face is not neutral
        return True
    return threshold is not None and confidence < threshold


def _with_prediction(
    estimate: UtteranceEstimate,
    row: NDArray[np.float64],
    affect: NDArray[np.float64],
    threshold: float | None,
) -> UtteranceEstimate:
    probabilities = dict(zip(FUSED_LABELS, row.tolist(), strict=True))
    fused = ModalityEstimate(probabilities)
    valence, arousal = affect[:2].tolist() if len(affect) >= 2 else affect_from_norms(probabilities)
    uncertain = _is_uncertain(estimate, fused.confidence, threshold)
    return replace(estimate, fused=fused, uncertain=uncertain, valence=valence, arousal=arousal)


def _with_average(estimate: UtteranceEstimate, parts: Mapping[str, Weights]) -> UtteranceEstimate:
    """Adds the late-fusion estimate where any modality is present; an average of several has no threshold."""
    fused = late_estimate(estimate.estimates, FUSED_LABELS)
    if fused is None:
        return estimate
    threshold = _uncertain_below(estimate, parts, None)
    uncertain = _is_uncertain(estimate, fused.confidence, threshold)
    valence, arousal = affect_from_norms(fused.probabilities)
    return replace(estimate, fused=fused, uncertain=uncertain, valence=valence, arousal=arousal)
