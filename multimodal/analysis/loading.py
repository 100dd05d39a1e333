"""Reads a saved analysis, so that a report, a clip or an export needs no second analysis."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from textwrap import shorten

from pydantic import BaseModel, TypeAdapter, ValidationError

from multimodal.analysis.result import SCHEMA, SCHEMA_VERSION, Analysis, SavedNumbers
from multimodal.analysis.schema import (
    AnalysisFile,
    Count,
    MediaEntry,
    Number,
    Seconds,
    SegmentEntry,
    UtteranceEntry,
    validate,
)
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.types import (
    FUSED,
    MODALITIES,
    UNCERTAIN,
    FaceBaseline,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Utterance,
    UtteranceEstimate,
)

SHARES_VERSION = 3
"""The first version of the file whose shares are expected shares."""

RECOMPUTED = ("shares", "uncertain", "dominant", "shares_by_modality")
"""Fields of the summary that mean something else since ``SHARES_VERSION``."""

_SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)


def read_analysis(path: str | PathLike[str], frames: bool = True) -> Analysis:
    """Reads an analysis from the folder that it was saved in.

    Summary and coverage are the saved ones; the shares of a file of version 1 or 2 are computed again from its
    utterances and frames, and files before version 4 have no usability labels. Embeddings and encoder states are not
    saved, so the analysis has none. Without ``frames.csv`` next to it, it has no faces and no frame times.

    Args:
        path: The folder, or the ``analysis.json`` in it.
        frames: Whether ``frames.csv`` is read too, which takes most of the time.

    Returns:
        The analysis, with numbers as they were rounded for the file.

    Raises:
        InputMissingError: There is no analysis at that path.
        AnalysisError: The file is not an analysis, is damaged, may not be read, or is of a later version.

    Example:
        >>> read_analysis("nowhere")
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: holds no analysis; name a folder that infer has written
    """
    location = Path(path)
    file = location / "analysis.json" if location.is_dir() else location
    try:
        if file.exists() and not file.is_file():  # a named pipe would block for ever, a device never ends
            raise _broken(file, "it is no ordinary file")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (FileNotFoundError, NotADirectoryError):
        raise InputMissingError(location, "holds no analysis", "name a folder that infer has written") from None
    except AnalysisError:
        raise
    except PermissionError:
        raise AnalysisError(file, "may not be read", "change its permissions") from None
    except (OSError, ValueError, RecursionError) as error:
        if file.suffix.lower() != ".json":  # a recording in place of its result, for example
            raise _foreign(file) from None
        raise _broken(file, str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _foreign(file)
    if content.get("schema_version") not in range(1, SCHEMA_VERSION + 1):
        fact = f"is of version {content.get('schema_version')!r}, this program reads 1 to {SCHEMA_VERSION}"
        raise AnalysisError(file, fact, "update this program, or analyze the recording again")
    try:
        table = file.parent / "frames.csv"
        if content["schema_version"] < SHARES_VERSION:
            return _current(_analysis(validate(content), table), frames)
        return _analysis(validate(content), table if frames else None)
    except ValidationError as error:  # of frames.csv
        raise _broken(file, error.errors()[0]["msg"]) from None
    except (KeyError, TypeError, ValueError, AttributeError, OSError, csv.Error) as error:
        raise _broken(file, str(error)) from error


def _foreign(file: Path) -> AnalysisError:
    return AnalysisError(file, "is not an analysis of this program", "name a folder that infer has written")


def _broken(file: Path, why: str) -> AnalysisError:
    reason = shorten(why, 200, placeholder=" …")  # the file may hold text of any length
    return AnalysisError(file, f"cannot be read ({reason})", "analyze the recording again")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _analysis(content: AnalysisFile, frames: Path | None) -> Analysis:
    times, faces = _frames(frames) if frames is not None else ((), ())
    source = content.valence_arousal
    estimates = tuple(map(_estimate, content.utterances))
    return Analysis(
        media=_media(content.media, content.segment),
        models={
            part: None if entry is None else entry.model_dump(exclude_none=True)
            for part, entry in content.models.items()
        },
        emotions=tuple(content.emotions),
        frame_times=times,
        faces=faces,
        estimates=estimates,
        warnings=tuple(content.warnings),
        valence_arousal=None if source is None else source.model_dump(exclude_none=True),
        baseline=None if content.baseline is None else FaceBaseline(**content.baseline.model_dump()),
        saved_numbers=SavedNumbers(estimates, content.summary.model_dump(), content.coverage.model_dump()),
    )


def _current(analysis: Analysis, frames: bool) -> Analysis:
    """The analysis of an earlier version with the shares of this one; its frames are dropped unless they are wanted."""
    saved = analysis.saved_numbers
    if saved is not None:
        summary = replace(analysis, saved_numbers=None).summary
        expected = {name: summary[name] for name in RECOMPUTED}
        analysis = replace(analysis, saved_numbers=replace(saved, summary={**saved.summary, **expected}))
    return analysis if frames else replace(analysis, frame_times=(), faces=())


def _media(media: MediaEntry, segment: SegmentEntry | None) -> MediaInfo:
    facts = media.model_dump() | {"path": Path(media.path)}
    return MediaInfo(**facts, segment=None if segment is None else (segment.start_seconds, segment.end_seconds))


def _estimate(entry: UtteranceEntry) -> UtteranceEstimate:
    estimates = {
        name: ModalityEstimate(shares)
        for name in (*MODALITIES, FUSED)
        if (shares := getattr(entry.estimates, name)) is not None
    }
    fused = estimates.pop(FUSED, None)
    return UtteranceEstimate(
        Utterance(entry.start_seconds, entry.end_seconds, entry.speaker, entry.text),
        estimates,
        fused=fused,
        uncertain=entry.emotion == UNCERTAIN,
        valence=entry.valence,
        arousal=entry.arousal,
        face_id=entry.face_id,
        usability=None if entry.usability is None else {str(label): share for label, share in entry.usability.items()},
        translated=entry.translated,
    )


def _frames(path: Path) -> tuple[tuple[float, ...], tuple[FaceObservation, ...]]:
    """Times of all sampled frames, and the faces in them."""
    if not path.is_file():
        return (), ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = tuple(dict.fromkeys(_SECONDS.validate_python(row["time_seconds"]) for row in rows))
    if list(times) != sorted(times):
        raise ValueError(f"{path.name} is not in order of time")
    return times, tuple(_face(row) for row in rows if row["face_id"])


class _FrameRow(BaseModel):
    """A row of ``frames.csv`` with a face; the cells are text."""

    time_seconds: Seconds
    face_id: Count
    x: Number
    y: Number
    width: Number
    height: Number
    detection_score: Number
    quality: str


def _face(row: Mapping[str, str]) -> FaceObservation:
    cells = _FrameRow.model_validate(row)
    scores = {label: float(row[label]) for label in FACE_LABELS} if row[FACE_LABELS[0]] else None
    return FaceObservation(
        time_seconds=cells.time_seconds,
        face_id=cells.face_id,
        box=(cells.x, cells.y, cells.width, cells.height),
        detection_score=cells.detection_score,
        quality=cells.quality,
        probabilities=scores,
        mouth_motion=float(row["mouth_motion"]) if row.get("mouth_motion") else None,  # not in earlier versions
    )
