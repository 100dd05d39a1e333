"""Answers from all signals of each stretch: by the trained head where it fits the encoders, else by their average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.affect import HEAD, NORMS, affect_from_norms
from multimodal.fusion.alignment import FusionInputs, build_inputs, collate, tolerance_seconds
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.late import late_estimate
from multimodal.fusion.segments import within
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import MODALITIES, MODALITY_NAMES, FaceObservation, ModalityEstimate, UtteranceEstimate

BATCH = 32
"""Stretches that are answered together, at most."""

ROWS = 16_384
"""Steps, and tokens, of a batch with what fills it up, at most: 25 MB of states. A longer text goes alone."""

LATE = {"name": "late average"}
"""What ``models`` of an analysis says where the average answered; it has no weights and so no hash."""

AFFECT_SOURCES: Mapping[str, Mapping[str, str]] = {
    NORMS: {"source": NORMS, "reference": "Russell and Mehrabian 1977"},
    HEAD: {"source": HEAD},
}
"""What ``valence_arousal`` of an analysis says."""


@dataclass(frozen=True)
class FusionResult:
    """Stretches with their joint answers.

    Attributes:
        estimates: As given, with ``fused``, ``uncertain``, ``valence`` and ``arousal`` where any signal was there.
        model: Name, and hash where it has one, of what answered; None where nothing was to be answered.
        valence_arousal: Where both come from, one of ``AFFECT_SOURCES``; None likewise.
        warnings: Plain lines: that the average answered, and why.
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
    device: str = "cpu",
) -> FusionResult:
    """Joins what each signal says of a stretch into one answer.

    Args:
        estimates: The stretches, with each signal's own estimate and states.
        faces: Every face in every sampled frame, in order of time.
        frame_times: Seconds of every sampled frame, in order.
        parts: Part to its weights: the encoders that were loaded, and ``fusion`` where there is a head.
        device: Where the head computes.

    Returns:
        The answers. A stretch without any signal has none.

    Example:
        >>> from multimodal.types import Utterance
        >>> words = ModalityEstimate({label: 1 / 7 for label in FUSED_LABELS})
        >>> said = UtteranceEstimate(Utterance(0.0, 1.0), {"text": words})
        >>> found = fuse([said], (), (), {})
        >>> found.model, round(found.estimates[0].fused.confidence, 3)
        ({'name': 'late average'}, 0.143)
    """
    if not any(estimate.modalities for estimate in estimates):
        return FusionResult(tuple(estimates))
    reason = incompatibility(parts)
    if reason is not None:
        averaged = tuple(map(_averaged, estimates))
        line = f"the signals' answers were averaged, since {reason}"
        return FusionResult(averaged, LATE, AFFECT_SOURCES[NORMS], (line,))
    head = parts["fusion"]
    there = [index for index, estimate in enumerate(estimates) if estimate.modalities]
    streams = list(_streams([estimates[index] for index in there], faces, frame_times, head.spec))
    answered = list(estimates)
    for index, answer in zip(there, predict(head, streams, device), strict=True):
        answered[index] = _with_answer(estimates[index], *answer, head.spec)
    source = HEAD if FusionShape(**head.spec.fusion).dimensions else NORMS
    return FusionResult(tuple(answered), {"name": head.name, "sha256": head.sha256}, AFFECT_SOURCES[source])


def incompatibility(parts: Mapping[str, Weights]) -> str | None:
    """Why the trained head cannot answer, as a clause that follows "since"; None where it can.

    Args:
        parts: Part to its weights: the encoders that were loaded, and ``fusion`` where there is a head.

    Example:
        >>> incompatibility({})
        'there is no trained fusion head'
    """
    head = parts.get("fusion")
    if head is None:
        return "there is no trained fusion head"
    trained = head.spec.encoders
    for modality in (name for name in MODALITIES if name in parts):
        if modality not in trained:
            return f"the fusion head {head.name} was trained without the {MODALITY_NAMES[modality]}"
        if trained[modality] != parts[modality].sha256:
            return f"the fusion head {head.name} was trained with another encoder of the {MODALITY_NAMES[modality]}"
    if foreign := [label for label in head.spec.labels if label not in FUSED_LABELS]:
        return f"the fusion head {head.name} answers with {foreign[0]}, which is none of the emotions here"
    if FusionShape(**head.spec.fusion).summary_size:
        return f"the fusion head {head.name} reads the prosody of whole utterances, which is not kept here"
    return None


@torch.inference_mode()
def predict(
    head: Weights, streams: Sequence[FusionInputs], device: str = "cpu"
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Runs the head over utterances, those of like length together, which changes no answer.

    Args:
        head: The fusion head, on ``device``.
        streams: What it reads, in any number.
        device: Where it computes.

    Returns:
        Per utterance, in order, calibrated probabilities ``(labels,)`` float64 that sum to 1, and what it says of
        valence, arousal and dominance ``(dimensions,)`` float64, -1 … 1.
    """
    shape = FusionShape(**head.spec.fusion)
    sizes = {"face": shape.face_size, "audio": shape.audio_size, "text": shape.text_size}
    found: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for chosen in _batches([_length(each) for each in streams]):
        output = head.network(collate([streams[index] for index in chosen], sizes, shape.labels).to(device))
        divisors = [[temperature(head.spec, streams[index].modalities)] for index in chosen]
        logits = output.logits.double().cpu() / torch.tensor(divisors, dtype=torch.float64)
        affect = output.affect.double().clamp(-1.0, 1.0).cpu().numpy()
        found |= dict(zip(chosen, zip(logits.softmax(dim=1).numpy(), affect, strict=True), strict=True))
    return [found[index] for index in range(len(streams))]


def temperature(spec: ModelSpec, modalities: Sequence[str]) -> float:
    """What divides the logits when these signals are there.

    Args:
        spec: Of the fusion head.
        modalities: Those there.

    Example:
        >>> spec = ModelSpec("fusion", "dual_recurrent", FUSED_LABELS, 1.5, temperatures={"face+text": 1.2})
        >>> temperature(spec, ["text", "face"]), temperature(spec, ["text"])
        (1.2, 1.5)
    """
    key = "+".join(name for name in MODALITIES if name in modalities)
    return spec.temperatures.get(key, spec.temperature)


def _length(streams: FusionInputs) -> int:
    """Of the longer stream."""
    return max(len(streams.times), 0 if streams.text is None else len(streams.text))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of those of like length together, within ``BATCH`` and ``ROWS``."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == BATCH or (len(batch) + 1) * lengths[index] > ROWS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _streams(
    estimates: Sequence[UtteranceEstimate],
    faces: Sequence[FaceObservation],
    frame_times: Sequence[float],
    spec: ModelSpec,
) -> Iterator[FusionInputs]:
    """What the head reads of each stretch in which there is a signal."""
    half = tolerance_seconds(np.array(frame_times, np.float64))
    size = FusionShape(**spec.fusion).face_size
    for estimate in estimates:
        utterance = estimate.utterance
        audio, text = (estimate.encodings.get(name) for name in ("audio", "text"))
        yield build_inputs(
            utterance.start_seconds,
            utterance.end_seconds,
            {name: each.probabilities for name, each in estimate.estimates.items()},
            audio=None if audio is None or audio.times is None else (audio.times, audio.states),
            face=_own_face(within(faces, utterance), estimate.face_id, size),
            tolerance_seconds=half,
            text=None if text is None else text.states,
            labels=spec.labels,
        )


def _own_face(
    shown: Sequence[FaceObservation], face_id: int | None, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Seconds and embeddings ``(observations, size)`` of one face."""
    own = [(seen.time_seconds, seen.embedding) for seen in shown if seen.face_id == face_id]
    scored = [(time, embedding) for time, embedding in own if embedding is not None]
    embeddings = np.stack([each for _, each in scored]) if scored else np.zeros((0, size), np.float32)
    return np.array([time for time, _ in scored], np.float64), embeddings


def _with_answer(
    estimate: UtteranceEstimate, row: NDArray[np.float64], affect: NDArray[np.float64], spec: ModelSpec
) -> UtteranceEstimate:
    probabilities = dict.fromkeys(FUSED_LABELS, 0.0) | dict(zip(spec.labels, row.tolist(), strict=True))
    fused = ModalityEstimate(probabilities)
    valence, arousal = affect[:2].tolist() if len(affect) >= 2 else affect_from_norms(probabilities)
    uncertain = spec.uncertain_below is not None and fused.confidence < spec.uncertain_below
    return replace(estimate, fused=fused, uncertain=uncertain, valence=valence, arousal=arousal)


def _averaged(estimate: UtteranceEstimate) -> UtteranceEstimate:
    """The late-fusion answer, where any signal was there."""
    fused = late_estimate(estimate.estimates, FUSED_LABELS)
    if fused is None:
        return estimate
    valence, arousal = affect_from_norms(fused.probabilities)
    return replace(estimate, fused=fused, valence=valence, arousal=arousal)
