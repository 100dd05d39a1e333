"""What a batch is to do: a task per input, where its result goes, and whether it is finished already.

A result is finished when its folder stands and the stamp beside it, written last, holds the hash of input, transcript,
options and weights. A file of the size and modification time that the stamp notes is not hashed again.
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

RECEIPT_VERSION = 1
"""Raised when an analysis of the same input with the same weights comes out otherwise."""

NAME_DIGITS = 16
"""Of the hash in a folder's name: two of 10,000 inputs share one with a chance of 3e-12, and that is refused."""

MODEL = "multimodal.batch_worker:load_analysis"
"""What a worker calls to get the analysis by the model."""


@dataclass(frozen=True)
class BatchOptions:
    """How every input is analyzed.

    Attributes:
        modalities: Signals to read; None for all.
        frames_per_second: Pictures judged per second.
        detector: As ``infer --detector``.
        model: As ``infer --model``.
        device: As ``infer --device``; no part of the hash, since a pile may move to another machine.
        asr: As ``infer --asr``.
        beside: Whether transcripts beside recordings are taken.
        analysis: ``module:function`` that a worker calls with these options to get what analyzes a ``Task``.
    """

    modalities: tuple[str, ...] | None = None
    frames_per_second: float = 5.0
    detector: str = "mtcnn"
    model: str = "default"
    device: str = "auto"
    asr: str | None = None
    beside: bool = True
    analysis: str = MODEL


@dataclass(frozen=True)
class Task:
    """One input to be scored.

    Attributes:
        index: Place in the manifest.
        name: Of the folder of its result.
        path: The input, absolute.
        transcript: Its transcript, where the manifest names one.
        speaker: Whose words are judged.
        start_seconds: Where the stretch that is judged begins.
        end_seconds: Where it ends.
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
    """Size in bytes and time of modification in nanoseconds: what spares a file from being hashed again."""

    size: int
    modified: int


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes:
        index: Of the task.
        files: Names and content of the result; None where it failed.
        source: What the input looked like, and its hash.
        transcript: Path, looks and hash of the transcript that was read, where there was one.
        seconds: Of the recording that were judged.
        error: Why it failed, one line; None where it did not.
        died: Whether the worker's process was lost over it.
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
        Tasks in the same order, each with a name of its own.

    Raises:
        ConfigError: Two names are the same, which chance does not bring about.
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
        raise ConfigError("manifest", "has two inputs whose names hash alike", "rename one of them")
    return tasks


def result_name(row: Row) -> str:
    """Names the folder of a result: what is plain in the file's name, and a hash of what tells the input from others.

    Args:
        row: The input.

    Returns:
        Up to 57 letters, digits, ``-`` and ``_``: safe on every file system, and the same wherever the study lies.

    Example:
        >>> result_name(Row(2, Path("/study/../etc/pass wd.mp4"), "../etc/pass wd.mp4"))
        'pass_wd-4deeb03b5bb3c508'
    """
    plain = re.sub(r"[^A-Za-z0-9-]+", "_", Path(row.name).stem).strip("-_")[:40] or "input"
    told = "\0".join(row.identity).encode("utf-8", "surrogateescape")
    return f"{plain}-{hashlib.sha256(told).hexdigest()[:NAME_DIGITS]}"


def fingerprint(path: str | PathLike[str]) -> Fingerprint | None:
    """Looks at a file without opening it; None where there is none."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - a path as text may be any bytes
    except (OSError, ValueError):
        return None
    return Fingerprint(facts.st_size, facts.st_mtime_ns)


def sha256_of(path: str | PathLike[str]) -> str:
    """SHA-256 of a file; empty where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _neighbors(folder: str, _modified: int) -> frozenset[str]:
    return frozenset(name.lower() for name in os.listdir(folder))  # noqa: PTH208 - names only


def transcript_beside(path: Path) -> Path | None:
    """The transcript beside a recording, looked for in one listing of the folder for all its files."""
    if path.suffix.lower() in SUFFIXES:
        return None
    try:
        folder = path.parent
        names = _neighbors(str(folder), folder.stat().st_mtime_ns)
    except OSError:
        return None
    stem = path.stem.lower()
    return find_transcript(path) if any(stem + suffix in names for suffix in SUFFIXES) else None


def weights_of(options: BatchOptions) -> dict[str, str]:
    """The hash of every part that will be used, from the cards; of other files their size and time.

    Raises:
        WeightsError: There are no such weights.
        ConfigError: A signal that there is not.
    """
    if options.analysis != MODEL:
        return {"model": options.model}
    from multimodal.models.selection import check_modalities, choose_weights, find_card
    from multimodal.types import MODALITIES

    check_modalities(MODALITIES if options.modalities is None else options.modalities)
    sources = choose_weights(options.model, options.modalities)
    cards = {part: find_card(source, part) for part, source in sources.items()}
    found = {part: sha256_of(card) for part, card in cards.items()}
    others = {"detector": options.detector, "asr": f"{options.asr}/model.bin"}
    seen = {name: fingerprint(path) for name, path in others.items()}
    return found | {name: f"{each.size} {each.modified}" for name, each in seen.items() if each is not None}


def key_of(
    task: Task, options: BatchOptions, weights: Mapping[str, str], sha256: str, words: tuple[str, str] | None
) -> str:
    """The hash that says for what a result is the result.

    Args:
        task: The input.
        options: How it is analyzed.
        weights: Part to hash.
        sha256: Of the input.
        words: Path and hash of the transcript.

    Returns:
        64 hexadecimal digits.
    """
    how = {name: value for name, value in asdict(options).items() if name != "device"}
    what = {name: value for name, value in asdict(task).items() if name not in ("index", "name")}
    said = json.dumps([RECEIPT_VERSION, what, how, dict(weights), sha256, words], sort_keys=True)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def is_current(stamp: Mapping[str, Any], task: Task, options: BatchOptions, weights: Mapping[str, str]) -> bool:
    """Whether the result that a stamp belongs to is what scoring the input again would give.

    An input that is gone has not changed: recordings may be deleted once they are scored.
    """
    try:
        sha256 = _sha256(task.path, stamp["source"])
        words = task.transcript or (transcript_beside(Path(task.path)) if options.beside else None)
        noted = stamp["transcript"]
        if words is None and noted is not None and not Path(task.path).exists():
            words = noted["path"]  # gone together with its recording
        told = None if words is None else (str(words), _sha256(words, noted or {}))
        return bool(stamp["key"] == key_of(task, options, weights, sha256, told))
    except (KeyError, TypeError):
        return False


def _sha256(path: str | PathLike[str], noted: Mapping[str, Any]) -> str:
    seen = fingerprint(path)
    if noted and (seen is None or (seen.size, seen.modified) == (noted["size"], noted["modified"])):
        return str(noted["sha256"])
    return sha256_of(path)


def make_receipt(outcome: Outcome, task: Task, options: BatchOptions, weights: Mapping[str, str]) -> dict[str, Any]:
    """What is noted beside a finished result."""
    if outcome.source is None or outcome.files is None:
        raise ValueError("only a result has a stamp")
    print_, sha256 = outcome.source
    words = outcome.transcript
    return {
        "key": key_of(task, options, weights, sha256, None if words is None else (words[0], words[2])),
        "source": asdict(print_) | {"sha256": sha256},
        "transcript": None if words is None else asdict(words[1]) | {"path": words[0], "sha256": words[2]},
        "bytes": {name: len(content) for name, content in outcome.files.items()},
        "seconds": outcome.seconds,
    }
