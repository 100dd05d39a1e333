"""The result of one input: estimates as tables, a summary, and files."""

from __future__ import annotations

import bisect
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.analysis.shares import SegmentProbabilities, expected_shares, uncertain_share
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.errors import OutputError
from multimodal.files import atomic_write, path_text
from multimodal.fusion.segments import speech_seconds
from multimodal.types import (
    FUSED,
    MODALITIES,
    FaceBaseline,
    FaceObservation,
    MediaInfo,
    Probabilities,
    UtteranceEstimate,
    top_label,
)

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "multimodal-emotion/analysis"
SCHEMA_VERSION = 4
"""Of ``analysis.json``; ``multimodal.analysis.schema`` has its types."""

FRAME_COLUMNS = (
    "time_seconds",
    "face_id",
    "x",
    "y",
    "width",
    "height",
    "detection_score",
    *FACE_LABELS,
    "quality",
    "mouth_motion",
)
ESTIMATE_LABELS: Mapping[str, tuple[str, ...]] = {
    "face": FACE_LABELS,
    "audio": FUSED_LABELS,
    "text": FUSED_LABELS,
    "fused": FUSED_LABELS,
}
LAST_COLUMNS = ("valence", "arousal", "confidence", "emotion", "usability", "usability_probability")
"""The end of a row of ``utterances.csv``; ``usability`` is the usability label."""

UTTERANCE_MODALITIES = ("audio", "text")
"""Modalities with one estimate per utterance; the face has one per frame."""


@dataclass(frozen=True)
class SavedNumbers:
    """Summary and coverage of a saved analysis.

    Attributes:
        estimates: The estimates that both are of.
        summary: As ``Analysis.summary``.
        coverage: As ``Analysis.coverage``.
    """

    estimates: tuple[UtteranceEstimate, ...]
    summary: Mapping[str, Any]
    coverage: Mapping[str, float]


@dataclass(frozen=True)
class Analysis:
    """All estimates for one recording, one transcript or typed answers.

    Attributes:
        media: Facts of the file.
        models: Per part ``name`` and, where it has weights, ``sha256``; None for a part that was not used.
        emotions: Label order of the summary.
        frame_times: Presentation time in seconds of every sampled frame, in order.
        faces: Every face in every sampled frame, in order of time.
        estimates: Every utterance with its estimates, in order of time.
        warnings: Lines about the limits of the result.
        valence_arousal: Where both come from: ``source`` (``norms`` or ``head``), of norms also the ``reference``; None
            where there are none.
        face_id: The only face that counts, if the user chose one.
        baseline: The resting face that the frames were judged against; None where no face was.
        saved_numbers: Summary and coverage of a loaded file, so that they are not recomputed from rounded numbers. They
            count as long as the estimates are the estimates of the file.
    """

    media: MediaInfo
    models: Mapping[str, Mapping[str, str] | None]
    emotions: tuple[str, ...]
    frame_times: tuple[float, ...]
    faces: tuple[FaceObservation, ...]
    estimates: tuple[UtteranceEstimate, ...]
    warnings: tuple[str, ...] = ()
    valence_arousal: Mapping[str, str] | None = None
    face_id: int | None = None
    saved_numbers: SavedNumbers | None = field(default=None, repr=False, compare=False)
    baseline: FaceBaseline | None = None

    @property
    def has_times(self) -> bool:
        """Whether utterances lie in time; typed answers do not."""
        return self.media.read_end_seconds > 0 or any(each.utterance.end_seconds > 0 for each in self.estimates)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """A row per sampled frame and face; a frame without a face keeps a row with empty values."""
        import pandas as pd  # here and not above: loading a model need not wait for it

        rows = [_frame_row(face) for face in self.faces]
        with_face = {face.time_seconds for face in self.faces}
        rows += [{"time_seconds": time} for time in self.frame_times if time not in with_face]
        rows.sort(key=lambda row: (row["time_seconds"], row.get("face_id", -1)))
        return pd.DataFrame(rows, columns=list(FRAME_COLUMNS)).astype({"face_id": "Int64"})

    @cached_property
    def utterances(self) -> pd.DataFrame:
        """A row per utterance: when, who, what, probabilities as ``<modality>_<label>``, ``emotion``, ``usability``."""
        import pandas as pd

        columns = ["start_seconds", "end_seconds", "speaker", "text", "modalities", "face_id"]
        columns += [f"{modality}_{label}" for modality, labels in ESTIMATE_LABELS.items() for label in labels]
        rows = [_utterance_row(estimate) for estimate in self.estimates]
        return pd.DataFrame(rows, columns=[*columns, *LAST_COLUMNS]).astype(
            {"face_id": "Int64", "usability_probability": "float64"}
        )

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Expected shares of time per emotion, and the dominant emotion.

        The shares are of the fused estimates, or without them of the first modality that has any estimate: the
        probabilities of the segments, weighted by their length. The face alone counts by frames. Utterances without
        times count equally.

        Returns:
            ``modality`` (``fused``, or the name of a modality), ``shares`` {label: 0 … 1}, which sum to 1,
            ``uncertain`` (0 … 1, the fraction of that time whose answer is uncertain), ``estimated_seconds``,
            ``dominant`` (the label with the largest share), ``shares_by_modality`` {modality: shares in its own
            labels}, ``mean_valence`` and ``mean_arousal`` (-1 … 1); None for what has no estimate.
        """
        if self.saved_numbers is not None and self.saved_numbers.estimates is self.estimates:
            return dict(self.saved_numbers.summary)
        modality = primary_modality(self.estimates)
        segments = self.segment_probabilities(modality) if modality else []
        shares, uncertain = expected_shares(segments, self.emotions), uncertain_share(segments)
        by_modality = {name: expected_shares(self.segment_probabilities(name)) for name in MODALITIES}
        seconds = self._utterance_seconds(modality)
        if modality == "face" and self.frame_times:
            seconds = math.fsum(each.seconds for each in segments)
        return {
            "modality": modality,
            "shares": _rounded(shares),
            "uncertain": None if uncertain is None else _short(uncertain),
            "estimated_seconds": round(seconds, 3),
            "dominant": top_label(shares) if shares else None,
            "shares_by_modality": {name: _rounded(each) for name, each in by_modality.items()},
            "mean_valence": self._mean(lambda estimate: estimate.valence),
            "mean_arousal": self._mean(lambda estimate: estimate.arousal),
        }

    @cached_property
    def coverage(self) -> dict[str, float]:
        """Fraction of the duration with an estimate per modality, 0 … 1; overlapping utterances count once.

        If only a segment was analyzed, the fraction is of the segment. Typed answers have no duration: the fraction is
        of the utterances.
        """
        if self.saved_numbers is not None and self.saved_numbers.estimates is self.estimates:
            return dict(self.saved_numbers.coverage)
        duration, count = self.media.read_end_seconds - self.media.read_start_seconds, len(self.estimates)
        if not duration:
            counts = {name: sum(name in estimate.estimates for estimate in self.estimates) for name in MODALITIES}
            return {name: round(number / count, 4) if count else 0.0 for name, number in counts.items()}
        face = sum(seconds for time, seconds in self.frame_slices() if time in self._scored_times)
        seconds = {"face": face, **{modality: self._utterance_seconds(modality) for modality in UTTERANCE_MODALITIES}}
        return {modality: round(min(value / duration, 1.0), 4) for modality, value in seconds.items()}

    def _utterance_seconds(self, modality: str | None) -> float:
        """Seconds of the utterances with an estimate of a modality, or fused."""
        utterances = [each.utterance for each in self.estimates if modality and each.get(modality) is not None]
        return speech_seconds(utterances, self.media.read_end_seconds)

    @cached_property
    def _scored_times(self) -> set[float]:
        faces = (face for face in self.faces if self.face_id in (None, face.face_id))
        return {face.time_seconds for face in faces if face.probabilities is not None}

    def frame_slices(self) -> list[tuple[float, float]]:
        """The time that each sampled frame stands for: until the next one, the end, or at most two median steps.

        Returns:
            Start and length in seconds of every sampled frame, in order.
        """
        times = self.frame_times
        if not times:
            return []
        steps = [after - before for before, after in itertools.pairwise(times)]
        median = sorted(steps)[len(steps) // 2] if steps else self.media.read_end_seconds - times[0]
        last = max(min(self.media.read_end_seconds - times[-1], median), 0.0)
        return list(zip(times, [min(step, 2 * median) for step in steps] + [last], strict=True))

    def segment_probabilities(self, modality: str) -> list[SegmentProbabilities]:
        """The probabilities of every segment with an estimate and the time that they stand for, in order.

        Args:
            modality: ``fused`` or a modality. Of the face, each segment has the mean over its scored frames and their
                time; without frames, as in a file without ``frames.csv``, the segment's own estimate and length.

        Returns:
            A row per segment; empty without any estimate.
        """
        if modality == "face" and (by_frame := self._face_segments()):
            return by_frame
        return [
            SegmentProbabilities(
                each.utterance.end_seconds - each.utterance.start_seconds,
                estimate.probabilities,
                modality == FUSED and each.uncertain,
            )
            for each in self.estimates
            if (estimate := each.get(modality)) is not None
        ]

    def _face_segments(self) -> list[SegmentProbabilities]:
        frames: dict[int, list[SegmentProbabilities]] = {}
        for index, _, seconds, probabilities in self._face_frames():
            frames.setdefault(index, []).append(SegmentProbabilities(seconds, probabilities))
        return [
            SegmentProbabilities(math.fsum(each.seconds for each in rows), mean)
            for _, rows in sorted(frames.items())
            if (mean := expected_shares(rows)) is not None
        ]

    def face_estimates(self) -> list[tuple[float, float, Probabilities]]:
        """The estimates of the utterance's face by frame; the latest of overlapping utterances counts.

        Returns:
            Start and length in seconds and the probabilities of the face labels, for every sampled frame in which that
            face was scored, in order of time.
        """
        return [frame[1:] for frame in self._face_frames()]

    def _face_frames(self) -> list[tuple[int, float, float, Probabilities]]:
        """Index of the utterance that each scored frame belongs to, before the rest of ``face_estimates``."""
        scored = {(face.time_seconds, face.face_id): face.probabilities for face in self.faces if face.probabilities}
        owners: list[int | None] = [None] * len(self.frame_times)
        for index, estimate in enumerate(self.estimates):
            utterance = estimate.utterance
            times = (utterance.start_seconds, utterance.end_seconds)
            first, end = (bisect.bisect_left(self.frame_times, time) for time in times)
            owners[first:end] = [index] * (end - first)
        return [
            (index, time, seconds, probabilities)
            for (time, seconds), index in zip(self.frame_slices(), owners, strict=True)
            if index is not None
            and (face_id := self.estimates[index].face_id) is not None
            and (probabilities := scored.get((time, face_id))) is not None
        ]

    def _mean(self, value_of: Callable[[UtteranceEstimate], float | None]) -> float | None:
        """Mean over utterances, weighted by their length; None if no utterance has the value."""
        weighted = [
            (value, max(estimate.utterance.end_seconds - estimate.utterance.start_seconds, 1e-9))
            for estimate in self.estimates
            if (value := value_of(estimate)) is not None
        ]
        total = sum(weight for _, weight in weighted)
        return round(sum(value * weight for value, weight in weighted) / total, 4) if weighted else None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``analysis.json``: plain values, None where something is unknown, never NaN."""
        media = self.media
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "media": {
                "path": path_text(media.path.absolute()),
                "sha256": media.sha256,
                "duration_seconds": round(media.duration_seconds, 3),
                "width": media.width,
                "height": media.height,
                "frame_rate": None if media.frame_rate is None else round(media.frame_rate, 3),
                "has_video": media.has_video,
                "has_audio": media.has_audio,
            },
            **_segment_entry(media),
            "models": {part: None if facts is None else dict(facts) for part, facts in self.models.items()},
            **_baseline_entry(self.baseline),
            "emotions": list(self.emotions),
            "valence_arousal": None if self.valence_arousal is None else dict(self.valence_arousal),
            "utterances": [_utterance_entry(estimate) for estimate in self.estimates],
            "summary": self.summary,
            "coverage": self.coverage,
            "warnings": list(self.warnings),
        }

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes ``frames.csv``, ``utterances.csv`` and, last, ``analysis.json``: all three or none.

        Args:
            folder: Made if it is not there. An ``analysis.json`` in it means that the two tables are there too.

        Raises:
            OutputError: The folder cannot be written, or the disk is full. What stood there before is kept.
        """
        folder = Path(folder)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        is_new = not folder.exists()
        try:
            with ExitStack() as files:  # renames in reverse order, once everything is written
                names = ("analysis.json", "utterances.csv", "frames.csv")
                temporaries = [files.enter_context(atomic_write(folder / name)) for name in names]
                temporaries[0].write_text(text + "\n", encoding="utf-8")
                for temporary, table in zip(temporaries[1:], (self.utterances, self.frames), strict=True):
                    table.to_csv(temporary, index=False, float_format="%.4f", encoding="utf-8", lineterminator="\n")
        except OutputError:
            if is_new:
                with suppress(OSError):
                    folder.rmdir()
            raise


def _segment_entry(media: MediaInfo) -> dict[str, Any]:
    """The segment that was analyzed, if it was not the whole."""
    if media.segment is None:
        return {}
    start, end = media.segment
    return {"segment": {"start_seconds": round(start, 3), "end_seconds": round(end, 3)}}


def _baseline_entry(baseline: FaceBaseline | None) -> dict[str, Any]:
    """The resting face that the frames were judged against, if there was a face."""
    if baseline is None:
        return {}
    start, end = (None if each is None else round(each, 3) for each in (baseline.start_seconds, baseline.end_seconds))
    return {"baseline": {"mode": baseline.mode, "start_seconds": start, "end_seconds": end, "used": baseline.used}}


def _frame_row(face: FaceObservation) -> dict[str, Any]:
    x, y, width, height = face.box
    return {
        "time_seconds": face.time_seconds,
        "face_id": face.face_id,
        **{"x": x, "y": y, "width": width, "height": height, "detection_score": face.detection_score},
        **(face.probabilities or {}),
        "quality": face.quality,
        "mouth_motion": face.mouth_motion,
    }


def primary_modality(estimates: Sequence[UtteranceEstimate]) -> str | None:
    """The modality of the summary: ``fused``, else the first modality with an estimate; None without estimates.

    Args:
        estimates: Estimates of all utterances.

    Returns:
        ``fused``, the name of a modality, or None.
    """
    return next((name for name in (FUSED, *MODALITIES) if any(each.get(name) for each in estimates)), None)


def _rounded(values: Probabilities | None) -> Probabilities | None:
    """In four digits; the largest stays ahead of another that rounds to the same, so that it is read as the largest."""
    if values is None:
        return None
    rounded = {label: _short(value) for label, value in values.items()}
    top = top_label(values)
    if top_label(rounded) != top:
        rounded[top] = _short(rounded[top] + 1e-4)
    return rounded


def _short(value: float) -> float:
    return round(value, 4)


def _utterance_entry(estimate: UtteranceEstimate) -> dict[str, Any]:
    utterance = estimate.utterance
    estimates = {name: _probabilities(estimate, name) for name in ESTIMATE_LABELS}
    measures = {"valence": estimate.valence, "arousal": estimate.arousal, "confidence": _confidence(estimates)}
    usability = _rounded(estimate.usability)
    return {
        "start_seconds": round(utterance.start_seconds, 3),
        "end_seconds": round(utterance.end_seconds, 3),
        "speaker": utterance.speaker,
        "text": utterance.text,
        "modalities": list(estimate.modalities),
        "face_id": estimate.face_id,
        "emotion": estimate.emotion,
        "estimates": estimates,
        **{name: None if value is None else _short(value) for name, value in measures.items()},
        "usability": usability,
        "usability_label": estimate.usability_label,
        "usability_probability": None if usability is None else max(usability.values()),
        "translated": estimate.translated,
    }


def _probabilities(estimate: UtteranceEstimate, name: str) -> Probabilities | None:
    """The rounded probabilities of a modality, or ``fused``; None where it is absent."""
    each = estimate.get(name)
    return None if each is None else _rounded(each.probabilities)


def _confidence(estimates: Mapping[str, Probabilities | None]) -> float | None:
    """Of the fused estimate; without one, of the only modality."""
    present = [probabilities for name in (FUSED, *MODALITIES) if (probabilities := estimates[name])]
    return max(present[0].values()) if estimates[FUSED] or len(present) == 1 else None


def _utterance_row(estimate: UtteranceEstimate) -> dict[str, Any]:
    entry = _utterance_entry(estimate)
    row = {key: value for key, value in entry.items() if not isinstance(value, dict)}
    row |= {"modalities": "+".join(entry["modalities"]), "usability": entry["usability_label"]}
    for modality, probabilities in entry["estimates"].items():
        row |= {f"{modality}_{label}": value for label, value in (probabilities or {}).items()}
    return row
