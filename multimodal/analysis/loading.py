"""Reads back what ``Analysis.save`` wrote, so that a report, a clip or an export needs no second analysis."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar

from multimodal.analysis.result import ESTIMATE_NAMES, JSON_KEYS, SCHEMA, SCHEMA_VERSION, Analysis, primary_modality
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import AnalysisError, InputMissingError
from multimodal.types import (
    MODALITIES,
    UNCERTAIN,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Utterance,
    UtteranceEstimate,
)

Value = TypeVar("Value")

LARGEST = 1e9
"""No time in seconds, no place and no number of a face is beyond it; numbers that are lead arithmetic astray."""


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
        AnalysisError: The file is not an analysis, is damaged, may not be read, or is of a later version.

    Example:
        >>> read_analysis("nowhere")
        Traceback (most recent call last):
        ...
        multimodal.errors.InputMissingError: nowhere: holds no analysis; name a folder that infer has written
    """
    given = Path(path)
    file = given / "analysis.json" if given.is_dir() else given
    try:
        if file.exists() and not file.is_file():  # a named pipe would block for ever, a device never ends
            raise _broken(file, "it is no ordinary file")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (FileNotFoundError, NotADirectoryError):
        raise InputMissingError(given, "holds no analysis", "name a folder that infer has written") from None
    except AnalysisError:
        raise
    except PermissionError:
        raise AnalysisError(file, "may not be read", "change its permissions") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(file, str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise AnalysisError(file, "is not an analysis of this program", "name a folder that infer has written")
    if content.get("schema_version") != SCHEMA_VERSION:
        fact = f"is of version {content.get('schema_version')!r}, this program reads {SCHEMA_VERSION}"
        raise AnalysisError(file, fact, "analyze the recording again")
    try:
        return _analysis(content, file.parent / "frames.csv" if frames else None)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, csv.Error) as error:
        if isinstance(error, AnalysisError):
            raise
        raise _broken(file, f"{type(error).__name__}: {error}") from error


def _broken(file: Path, why: str) -> AnalysisError:
    told = shorten(why, 200, placeholder=" …")  # what stands in the file may be of any length
    return AnalysisError(file, f"cannot be read ({told})", "analyze the recording again")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _analysis(content: Mapping[str, Any], frames: Path | None) -> Analysis:
    times, faces = _frames(frames) if frames is not None else ((), ())
    source = _or_none(_texts, content["valence_arousal"])
    if source is not None:
        _text(source["source"])
    analysis = Analysis(
        media=_media(content),
        models={_text(part): _or_none(_model, facts) for part, facts in content["models"].items()},
        emotions=tuple(map(_text, content["emotions"])),
        frame_times=times,
        faces=faces,
        estimates=tuple(_estimate(entry) for entry in content["utterances"]),
        warnings=tuple(map(str, content["warnings"])),
        valence_arousal=source,
    )
    # What was saved counts, not what rounded numbers would give; a cached property lives in the instance's dictionary.
    coverage = {modality: _share(content["coverage"][modality]) for modality in MODALITIES}
    analysis.__dict__.update(summary=_summary(content["summary"], analysis), coverage=coverage)
    return analysis


def _model(facts: Mapping[str, Any]) -> dict[str, str]:
    _text(facts["name"])
    return _texts(facts)


def _media(content: Mapping[str, Any]) -> MediaInfo:
    media, stretch = content["media"], content.get("stretch")
    return MediaInfo(
        path=Path(_name(media["path"])),
        sha256=_name(media["sha256"]),
        duration_seconds=_time(media["duration_seconds"]),
        width=_or_none(_whole, media["width"]),
        height=_or_none(_whole, media["height"]),
        frame_rate=_or_none(_number, media["frame_rate"]),
        has_video=_flag(media["has_video"]),
        has_audio=_flag(media["has_audio"]),
        stretch=None if stretch is None else (_time(stretch["start_seconds"]), _time(stretch["end_seconds"])),
    )


def _summary(saved: Mapping[str, Any], analysis: Analysis) -> dict[str, Any]:
    modality, by_modality, shares = saved["signal"], saved["shares_by_signal"], _or_none(_shares, saved["shares"])
    judged = primary_modality(analysis.estimates)
    if modality != judged or set(shares or ()) != set(analysis.emotions if judged else ()):
        raise ValueError("the summary is not of these utterances")
    return {
        "signal": modality,
        "shares": shares,
        "uncertain": _or_none(_share, saved["uncertain"]),
        "judged_seconds": _time(saved["judged_seconds"]),
        "dominant": _or_none(_text, saved["dominant"]),
        "shares_by_signal": {name: _or_none(_shares, by_modality[name]) for name in MODALITIES},
        "mean_valence": _or_none(_number, saved["mean_valence"]),
        "mean_arousal": _or_none(_number, saved["mean_arousal"]),
    }


def _estimate(entry: Mapping[str, Any]) -> UtteranceEstimate:
    times = _time(entry["start_seconds"]), _time(entry["end_seconds"])
    spoken = Utterance(*times, _or_none(_text, entry["speaker"]), _or_none(_text, entry["text"]))
    modalities = {modality: _modality(entry, modality) for modality in ESTIMATE_NAMES}
    if modalities["fused"] is not None and all(modalities[modality] is None for modality in MODALITIES):
        raise ValueError("an answer is from no signal")
    return UtteranceEstimate(
        spoken,
        {name: found for name in MODALITIES if (found := modalities[name]) is not None},
        fused=modalities["fused"],
        uncertain=entry["emotion"] == UNCERTAIN,
        valence=_or_none(_number, entry["valence"]),
        arousal=_or_none(_number, entry["arousal"]),
        face_id=_or_none(_whole, entry["face_id"]),
    )


def _modality(entry: Mapping[str, Any], modality: str) -> ModalityEstimate | None:
    probabilities = entry[JSON_KEYS.get(modality, modality)]
    if probabilities is None:
        return None
    return ModalityEstimate(_shares(probabilities))


def _frames(path: Path) -> tuple[tuple[float, ...], tuple[FaceObservation, ...]]:
    """Times of all sampled frames, and the faces in them."""
    if not path.is_file():
        return (), ()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = tuple(dict.fromkeys(_time(float(row["time_seconds"])) for row in rows))
    if list(times) != sorted(times):
        raise ValueError(f"{path.name} is not in order of time")
    return times, tuple(_face(row) for row in rows if row["face_id"])


def _face(row: Mapping[str, str]) -> FaceObservation:
    scored = {label: _share(float(row[label])) for label in FACE_LABELS} if row[FACE_LABELS[0]] else None
    x, y, width, height = (_number(float(row[name])) for name in ("x", "y", "width", "height"))
    return FaceObservation(
        time_seconds=float(row["time_seconds"]),
        face_id=_whole(int(row["face_id"])),
        box=(x, y, width, height),
        detection_score=_number(float(row["detection_score"])),
        quality=row["quality"],
        probabilities=scored,
    )


# --- values: whoever reads an analysis may trust that each is of its kind -----------------------------------------


def _or_none(kind: Callable[[Any], Value], value: Any) -> Value | None:
    return None if value is None else kind(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _name(value: Any) -> str:
    """A text that any file can hold, unlike half of a UTF-16 pair."""
    text = _text(value)
    text.encode()
    return text


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items()}


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    if not -LARGEST <= value <= LARGEST:  # nor is what is infinite
        raise ValueError("a number is too large")
    return float(value)


def _time(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError(f"{value!r} is before the beginning")
    return float(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or _time(value) != value:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError(f"{value!r} is no share from 0 to 1")
    return float(value)


def _shares(values: Mapping[str, Any]) -> dict[str, float]:
    return {label: _share(value) for label, value in values.items()}
