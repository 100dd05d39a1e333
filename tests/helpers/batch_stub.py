"""A cheap analysis for batches: the first word of an input selects its outcome; every start is recorded.

``asr`` of the options names the file of notes; ``model`` plays the version of the weights.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from multimodal.batch.analyzer import AnalyzedInput, AnalyzeFn, Analyzer
from multimodal.batch.tasks import BatchOptions, Task, sha256_of
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import InputMissingError, MediaError, WeightsError


def load(options: BatchOptions) -> AnalyzeFn:
    if options.model == "broken":
        raise WeightsError("broken", "is damaged", "copy it again")
    note(options, f"load {os.getpid()}")

    def analyze(task: Task) -> AnalyzedInput:
        path = Path(task.path)
        note(options, f"start {task.name} {os.getpid()}")
        if not path.exists():
            raise InputMissingError(path, "does not exist", "check the path")
        word, *more = path.read_text().split() or [""]
        misbehave(word, more, path)
        return AnalyzedInput(files_of(task, options, word), sha256_of(path), 60.0)

    return analyze


def load_broken(options: BatchOptions) -> AnalyzeFn:
    raise RuntimeError("cannot be loaded")


def versions(options: BatchOptions) -> dict[str, str]:
    return {"model": options.model}


STUB = Analyzer(load, versions)


def note(options: BatchOptions, line: str) -> None:
    if options.asr is not None:
        with Path(options.asr).open("a") as file:
            file.write(line + "\n")


def started(notes: Path) -> list[str]:
    """Names of the tasks that were begun, in order."""
    lines = notes.read_text().splitlines() if notes.exists() else []
    return [line.split()[1] for line in lines if line.startswith("start ")]


def misbehave(word: str, more: list[str], path: Path) -> None:
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "abort":
        os.abort()
    if word == "leave":
        os._exit(3)
    if word == "once" and not path.with_suffix(".met").exists():
        path.with_suffix(".met").touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "hang":
        while True:
            time.sleep(1)
    if word == "eat":
        eaten = []
        while True:
            eaten.append(np.ones(4_000_000))
            time.sleep(0.01)
    if word == "fault":
        raise ZeroDivisionError("by nought")
    if word == "bad":
        raise MediaError(path, "is not media", "choose another file")
    if word == "grow":
        path.write_text(path.read_text() + " more")
    if word == "vanish":
        path.unlink()
    if word == "slow":
        time.sleep(float(more[0]))


def files_of(task: Task, options: BatchOptions, word: str) -> dict[str, bytes]:
    """What the schema asks for, the same for the same input."""
    leading = FUSED_LABELS[len(word) % len(FUSED_LABELS)]
    shares = {label: float(label == leading) for label in FUSED_LABELS}
    estimates = {"face": None, "audio": None, "text": None, "fused": shares}
    entry = {"start_seconds": 0.0, "end_seconds": 2.0, "speaker": task.speaker, "text": word, "modalities": ["text"]}
    entry |= {"face_id": None, "estimates": estimates, "emotion": leading}
    entry |= {"valence": -0.5, "arousal": 0.25, "confidence": 0.75}
    content = {
        "media": {"path": task.path, "duration_seconds": 60.0},
        "model": options.model,
        "utterances": [entry],
        "summary": {
            "shares": shares,
            "uncertain": 0.0,
            "dominant": leading,
            "mean_valence": -0.5,
            "mean_arousal": 0.25,
        },
        "coverage": {"face": 0.0, "audio": 0.0, "text": 1.0},
    }
    return {"analysis.json": json.dumps(content).encode(), "utterances.csv": b"text\n", "frames.csv": b""}
