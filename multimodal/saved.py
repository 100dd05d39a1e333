"""Reads back what ``Analysis.save`` wrote, so that a report, a clip or an export needs no second analysis."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from multimodal.analysis import JSON_KEYS, SCHEMA, SCHEMA_VERSION, SIGNALS, Analysis
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.types import (
    UNCERTAIN,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Utterance,
    UtteranceEstimate,
)


def read_analysis(path: str | PathLike[str], frames: bool = True) -> Analysis:
    """Reads an analysis from the folder that it was saved in.

    Summary and coverage are those that were saved; embeddings and states of the encoders are not saved, so there are
    none. Without ``frames.csv`` beside it there are no faces and no frame times.

    Args:
        path: The folder, or the ``analysis.json`` in it.
        frames: Whether ``frames.csv`` is read too, which takes most of the time.

    Returns:
        The analysis, with numbers as they were rounded for the file.

    Raises:
        InputMissingError: There is no analysis at that path.
        AnalysisError: The file is not an analysis, is damaged, or is of a later version.

    Example:
        >>> read_analysis("nowhere")
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: holds no analysis; name a folder that infer has written
    """
    given = Path(path)
    file = given / "analysis.json" if given.is_dir() else given
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (FileNotFoundError, NotADirectoryError):
        raise InputMissingError(given, "holds no analysis", "name a folder that infer has written") from None
    except (OSError, ValueError) as error:
        raise _broken(file, str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise AnalysisError(file, "is not an analysis of this program", "name a folder that infer has written")
    if content.get("schema_version") != SCHEMA_VERSION:
        fact = f"is of version {content.get('schema_version')!r}, this program reads {SCHEMA_VERSION}"
        raise AnalysisError(file, fact, "analyse the recording again")
    try:
        return _analysis(content, file.parent / "frames.csv" if frames else None)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, csv.Error) as error:
        if isinstance(error, AnalysisError):
            raise
        raise _broken(file, f"{type(error).__name__}: {error}") from error


def _broken(file: Path, why: str) -> AnalysisError:
    return AnalysisError(file, f"cannot be read ({why})", "analyse the recording again")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _analysis(content: Mapping[str, Any], frames: Path | None) -> Analysis:
    times, faces = _frames(frames) if frames is not None else ((), ())
    analysis = Analysis(
        media=_media(content),
        models=content["models"],
        emotions=tuple(content["emotions"]),
        frame_times=times,
        faces=faces,
        estimates=tuple(_estimate(entry) for entry in content["utterances"]),
        warnings=tuple(map(str, content["warnings"])),
        valence_arousal=content["valence_arousal"],
    )
    # What was saved counts, not what rounded numbers would give; a cached property lives in the instance's dictionary.
    analysis.__dict__.update(summary=content["summary"], coverage=content["coverage"])
    return analysis


def _media(content: Mapping[str, Any]) -> MediaInfo:
    media, stretch = content["media"], content.get("stretch")
    return MediaInfo(
        path=Path(media["path"]),
        sha256=media["sha256"],
        duration_seconds=_finite(media["duration_seconds"]),
        width=media["width"],
        height=media["height"],
        frame_rate=media["frame_rate"],
        has_video=media["has_video"],
        has_audio=media["has_audio"],
        stretch=None if stretch is None else (_finite(stretch["start_seconds"]), _finite(stretch["end_seconds"])),
    )


def _estimate(entry: Mapping[str, Any]) -> UtteranceEstimate:
    spoken = Utterance(_finite(entry["start_seconds"]), _finite(entry["end_seconds"]), entry["speaker"], entry["text"])
    signals = {signal: _signal(entry, signal) for signal in SIGNALS}
    return UtteranceEstimate(
        spoken,
        face=signals["face"],
        audio=signals["audio"],
        text=signals["text"],
        fused=signals["fused"],
        uncertain=entry["emotion"] == UNCERTAIN,
        valence=entry["valence"],
        arousal=entry["arousal"],
        face_id=entry["face_id"],
    )


def _signal(entry: Mapping[str, Any], signal: str) -> ModalityEstimate | None:
    probabilities = entry[JSON_KEYS.get(signal, signal)]
    if probabilities is None:
        return None
    found = {str(label): _finite(value) for label, value in probabilities.items()}
    said = entry["confidence"] if signal == "fused" else None
    return ModalityEstimate(found, max(found.values()) if said is None else _finite(said))


def _frames(path: Path) -> tuple[tuple[float, ...], tuple[FaceObservation, ...]]:
    """Times of all sampled frames, and the faces in them."""
    if not path.is_file():
        return (), ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = dict.fromkeys(_finite(row["time_seconds"]) for row in rows)
    return tuple(times), tuple(_face(row) for row in rows if row["face_id"])


def _face(row: Mapping[str, str]) -> FaceObservation:
    scored = {label: _finite(row[label]) for label in FACE_LABELS} if row[FACE_LABELS[0]] else None
    x, y, width, height = (_finite(row[name]) for name in ("x", "y", "width", "height"))
    return FaceObservation(
        time_seconds=_finite(row["time_seconds"]),
        face_id=int(row["face_id"]),
        box=(x, y, width, height),
        detection_score=_finite(row["detection_score"]),
        quality=row["quality"],
        probabilities=scored,
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number
