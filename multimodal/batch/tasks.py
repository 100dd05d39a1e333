"""What a batch has to do: a task per input, the name of its result, and whether the result is current.

A result is current if its receipt, which is written last, holds the hash of the input, its transcript, the options and
the versions. A file of the size and modification time in the receipt is not hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from multimodal.data.manifest import Row
from multimodal.data.transcripts.files import SUFFIXES, find_transcript
from multimodal.errors import ConfigError
from multimodal.infer.options import AnalysisOptions

RECEIPT_VERSION = 3
"""Raised when the same input, options and weights give another result."""

NAME_DIGITS = 16
"""Digits of the hash in a folder's name: two of 10,000 inputs share one with a chance of 3e-12, which is refused."""


@dataclass(frozen=True)
class BatchOptions:
    """How every input of a batch is analyzed.

    Attributes:
        model: The weights, see ``load_model``.
        device: Where to compute, see ``load_model``; not part of a receipt, so that a batch may go on elsewhere.
        asr: The speech-to-text, see ``load_model``.
        analysis: Options of each input; its transcript, speaker and segment come from the manifest.

    Raises:
        ConfigError: An option belongs into the manifest, or the detector is not given by its name.
    """

    model: str = "default"
    device: str = "auto"
    asr: str | None = None
    analysis: AnalysisOptions = AnalysisOptions()

    def __post_init__(self) -> None:
        analysis = self.analysis
        per_input = {
            "transcript": analysis.transcript,
            "speakers": analysis.speakers or None,
            "start_seconds": analysis.start_seconds,
            "end_seconds": analysis.end_seconds,
        }
        for name, value in per_input.items():
            if value is not None:
                raise ConfigError(name, "differs from input to input", "give it in the manifest")
        if not isinstance(analysis.detector, str):
            raise ConfigError("detector", "is an object, which workers cannot receive", "give its name or file")


@dataclass(frozen=True)
class Task:
    """One input to analyze.

    Attributes:
        index: Position in the manifest.
        name: Folder name of its result.
        path: The input, absolute.
        transcript: Its transcript, if the manifest names one.
        speaker: The speaker to analyze; None for all.
        start_seconds: Start of the segment to analyze; None for the beginning.
        end_seconds: End of the segment; None for the end.
    """

    index: int
    name: str
    path: str
    transcript: str | None = None
    speaker: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None


@dataclass(frozen=True)
class Fingerprint:
    """Size in bytes and modification time in nanoseconds: an unchanged file is not hashed again."""

    size: int
    modified: int


@dataclass(frozen=True)
class Outcome:
    """The end of one task.

    Attributes:
        index: Index of the task.
        files: File names and content of the result; None if the task failed.
        source: Fingerprint and hash of the input.
        transcript: Path, fingerprint and hash of the transcript, if there was one.
        seconds: Length of the analyzed part.
        error: The reason in one line if the task failed.
        died: Whether the worker's process died or was killed.
    """

    index: int
    files: Mapping[str, bytes] | None = field(default=None, repr=False)
    source: tuple[Fingerprint, str] | None = None
    transcript: tuple[str, Fingerprint, str] | None = None
    seconds: float = 0.0
    error: str | None = None
    died: bool = False


def plan(rows: Sequence[Row]) -> list[Task]:
    """Makes a task of each row.

    Args:
        rows: Inputs of a study.

    Returns:
        Tasks in the same order, each with its own name.

    Raises:
        ConfigError: Two inputs have the same name, which does not happen by chance.
    """
    tasks = [
        Task(
            index,
            result_name(row),
            str(row.path),
            None if row.transcript is None else str(row.transcript),
            row.speaker,
            row.start_seconds,
            row.end_seconds,
        )
        for index, row in enumerate(rows)
    ]
    if len({task.name for task in tasks}) != len(tasks):
        raise ConfigError("manifest", "has two inputs with the same hash of their names", "rename one of them")
    return tasks


def result_name(row: Row) -> str:
    """Names the folder of a result: the plain part of the file's name, and a hash of what identifies the input.

    Args:
        row: The input.

    Returns:
        Up to 57 letters, digits, ``-`` and ``_``: valid on every file system, and the same wherever the study lies.

    Example:
        >>> result_name(Row(2, Path("/study/../etc/pass wd.mp4"), "../etc/pass wd.mp4"))
        'pass_wd-4deeb03b5bb3c508'
    """
    plain = re.sub(r"[^A-Za-z0-9-]+", "_", Path(row.name).stem).strip("-_")[:40] or "input"
    identity = "\0".join(row.identity).encode("utf-8", "surrogateescape")
    return f"{plain}-{hashlib.sha256(identity).hexdigest()[:NAME_DIGITS]}"


def fingerprint(path: str | PathLike[str]) -> Fingerprint | None:
    """Size and time of a file, without opening it; None if it does not exist.

    Args:
        path: The file.

    Returns:
        Size in bytes and time of the last change.
    """
    try:
        facts = os.stat(path)  # noqa: PTH116 - a path as text may be any bytes
    except (OSError, ValueError):
        return None
    return Fingerprint(facts.st_size, facts.st_mtime_ns)


def sha256_of(path: str | PathLike[str]) -> str:
    """SHA-256 of a file; empty if it cannot be read.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits, or an empty text.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _file_names(folder: str, _modified: int) -> frozenset[str]:
    return frozenset(name.lower() for name in os.listdir(folder))  # noqa: PTH208 - names only


def transcript_of(task: Task, options: BatchOptions) -> str | None:
    """The transcript of an input: from the manifest, else the file next to the input if the options allow it.

    Args:
        task: The input.
        options: Options of the batch.

    Returns:
        Path of the transcript; None without one.
    """
    if task.transcript is not None or not options.analysis.sidecar_transcript:
        return task.transcript
    path = sidecar_transcript(Path(task.path))
    return None if path is None else str(path)


def sidecar_transcript(path: Path) -> Path | None:
    """The transcript next to a recording; the folder is listed once for all its files.

    Args:
        path: The recording.

    Returns:
        Path of the transcript; None without one.
    """
    if path.suffix.lower() in SUFFIXES:
        return None
    try:
        folder = path.parent
        names = _file_names(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return None
    stem = path.stem.lower()
    return find_transcript(path) if any(stem + suffix in names for suffix in SUFFIXES) else None


def receipt_key(
    task: Task,
    options: BatchOptions,
    versions: Mapping[str, str],
    sha256: str,
    transcript: tuple[str, str] | None,
) -> str:
    """Hashes everything that a result depends on.

    Args:
        task: The input.
        options: How it is analyzed.
        versions: Versions of the analyzer's parts.
        sha256: Hash of the input.
        transcript: Path and hash of the transcript.

    Returns:
        64 hexadecimal digits.
    """
    how = {name: value for name, value in asdict(options).items() if name != "device"}
    what = {name: value for name, value in asdict(task).items() if name not in ("index", "name")}
    content = json.dumps([RECEIPT_VERSION, what, how, dict(versions), sha256, transcript], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def is_current(receipt: Mapping[str, Any], task: Task, options: BatchOptions, versions: Mapping[str, str]) -> bool:
    """Whether analyzing the input again would give the result that the receipt belongs to.

    An input that no longer exists has not changed: recordings may be deleted once they are analyzed.

    Args:
        receipt: Receipt of the result.
        task: The input.
        options: Options of the batch.
        versions: Hashes of the models.
    """
    try:
        sha256 = _sha256(task.path, receipt["source"])
        earlier = receipt["transcript"]
        path = transcript_of(task, options)
        if path is None and earlier is not None and not Path(task.path).exists():
            path = earlier["path"]  # deleted together with its recording
        transcript = None if path is None else (path, _sha256(path, earlier or {}))
        return bool(receipt["key"] == receipt_key(task, options, versions, sha256, transcript))
    except (KeyError, TypeError):
        return False


def _sha256(path: str | PathLike[str], receipt: Mapping[str, Any]) -> str:
    """Hash of a file; taken from the receipt if the file has the same size and time, or no longer exists."""
    now = fingerprint(path)
    if receipt and (now is None or (now.size, now.modified) == (receipt["size"], receipt["modified"])):
        return str(receipt["sha256"])
    return sha256_of(path)


def make_receipt(outcome: Outcome, task: Task, options: BatchOptions, versions: Mapping[str, str]) -> dict[str, Any]:
    """The content of the receipt of a finished result.

    Args:
        outcome: The finished result.
        task: The input.
        options: Options of the batch.
        versions: Hashes of the models.

    Returns:
        Plain values for JSON.

    Raises:
        ValueError: The outcome is an error.
    """
    if outcome.source is None or outcome.files is None:
        raise ValueError("only a result has a receipt")
    source, sha256 = outcome.source
    transcript = outcome.transcript
    path_and_hash = None if transcript is None else (transcript[0], transcript[2])
    return {
        "key": receipt_key(task, options, versions, sha256, path_and_hash),
        "source": asdict(source) | {"sha256": sha256},
        "transcript": None
        if transcript is None
        else asdict(transcript[1]) | {"path": transcript[0], "sha256": transcript[2]},
        "bytes": {name: len(content) for name, content in outcome.files.items()},
        "seconds": outcome.seconds,
    }
