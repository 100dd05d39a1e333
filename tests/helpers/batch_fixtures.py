"""Batches with the analysis of ``batch_stub``: inputs, runs in this or another process, and outputs."""

from __future__ import annotations

import csv
import io
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batch_stub import STUB
from checkout import HELPERS, subprocess_environment, with_helpers

from multimodal.batch import run as batch_run
from multimodal.batch.run import BatchSummary, run_batch
from multimodal.batch.tasks import BatchOptions
from multimodal.batch.worker_process import Limits

TABLES = ["results.csv", "results.parquet", "summary.csv", "utterances.parquet"]
DRIVER = HELPERS / "batch_driver.py"
HARM = {
    "crash": "crashed its worker (SIGSEGV)",
    "abort": "crashed its worker (SIGABRT)",
    "leave": "crashed its worker (exit code 3)",
    "hang": "took longer than 4 s",
    "eat": "took more than 0.5 GB of memory",
    "grow": "changed while it was read",
}


def environment() -> dict[str, str]:
    return subprocess_environment(with_helpers())


def write_pile(folder: Path, contents: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_text(content)
    return folder


def score(
    source: Path, out: Path, notes: Path, workers: int = 2, version: str = "default", **limits: Any
) -> BatchSummary:
    selection = Limits(**{"timeout_seconds": 30.0, "retries": 0, **limits})
    engine = batch_run.local_engine(selection, workers)
    return run_batch(source, out, BatchOptions(version, asr=str(notes)), engine, analyzer=STUB)


def snapshot(out: Path) -> dict[str, bytes]:
    """Everything a user sees, by its path."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and ".batch" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def finished(out: Path) -> set[str]:
    return {path.stem for path in (out / ".batch" / "done").glob("[!.]*.json")}


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def start_driver(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVER), *map(str, words)]
    return subprocess.Popen(
        command,
        env=environment(),
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """As in a terminal: a shell that starts the tests in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_driver(*words: str | Path) -> tuple[int, str, str]:
    process = start_driver(*words)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def wait_until_more(out: Path, count: int, driver: subprocess.Popen[str]) -> None:
    wait_for(lambda: len(finished(out)) > count or driver.poll() is not None)


def wait_for_exit(pids: Sequence[int]) -> None:
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20)
