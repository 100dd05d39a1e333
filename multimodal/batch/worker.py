"""One worker: a process that loads the model once and scores inputs, and the keeper that watches over it.

Whatever an input does to the process - a crash in a decoder, no end, all the memory - the keeper survives, says why,
and starts another process. Both engines use it, so that a failure reads the same with and without Ray.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from multimodal.batch.protocol import READY, receive, send
from multimodal.batch.tasks import (
    MODEL,
    BatchOptions,
    Fingerprint,
    Outcome,
    Task,
    fingerprint,
    sha256_of,
    transcript_beside,
)
from multimodal.errors import MultimodalError

GLANCE_SECONDS = 0.1
"""How often time and memory are looked at: an input that takes 2 GB/s gets 0.2 GB beyond its limit."""

START = "from multimodal.batch_worker import serve; serve()"


@dataclass(frozen=True)
class Limits:
    """What one input may take.

    Attributes:
        timeout_seconds: Of one attempt, without the loading of the model.
        memory_bytes: Resident, of the worker's process; None for no limit.
        retries: Further attempts when the process died, took too long or too much.
        threads: Of torch, OpenCV and decoding in a worker's process. Speech-to-text keeps as many as in ``infer``: with
            another number of threads it may understand another word.
        omp_threads: ``OMP_NUM_THREADS`` of the driver, which Ray would set for its actors.
    """

    timeout_seconds: float = 4 * 3600.0
    memory_bytes: int | None = None
    retries: int = 1
    threads: int = 1
    omp_threads: str | None = field(default_factory=lambda: os.environ.get("OMP_NUM_THREADS"))


@dataclass(frozen=True)
class Scored:
    """What an analysis gives: file names with their content, the input's hash, and the seconds that were judged."""

    files: Mapping[str, bytes]
    sha256: str
    seconds: float


AnalyzeFn = Callable[[Task], Scored]


def load_analysis(options: BatchOptions) -> AnalyzeFn:
    """Loads the model; what it returns writes the same files as ``infer``."""
    from multimodal.infer.model import load_detector_for, load_model

    model = load_model(options.model, options.device, options.modalities, options.asr)
    if options.asr is not None and "text" in model.parts:
        _ = model.recognizer  # what was asked for by name and is not there is found out before the work
    load_detector_for(options.detector)

    def analyze(task: Task) -> Scored:
        analysis = model.analyze(
            task.path,
            transcript=task.transcript,
            beside=options.beside,
            speakers=() if task.speaker is None else (task.speaker,),
            frames_per_second=options.frames_per_second,
            detector=options.detector,
            start_seconds=task.start_seconds,
            end_seconds=task.end_seconds,
        )
        media = analysis.media
        with tempfile.TemporaryDirectory(prefix="multimodal-") as folder:
            analysis.save(Path(folder))
            files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
        return Scored(files, media.sha256, media.read_end_seconds - media.read_start_seconds)

    return analyze


# --- inside the worker's process ------------------------------------------------------------------------------------


def serve() -> None:
    """Scores what comes in on standard input until that ends; answers on what was standard output.

    The process is given how many threads each library may use.
    """
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):  # what libraries print must not come between the answers
        os.dup2(nowhere, descriptor)
    tasks: queue.Queue[Any] = queue.Queue()
    options = receive(sys.stdin.buffer)
    if not isinstance(options, BatchOptions):
        raise ValueError(f"expected options, got {type(options).__name__}")
    threading.Thread(target=_listen, args=(sys.stdin.buffer, tasks), daemon=True).start()
    try:
        if options.analysis == MODEL:
            _limit_threads(int(sys.argv[1]))
        analyze = _imported(options.analysis)(options)
    except Exception as error:
        send(answers, error if isinstance(error, MultimodalError) else f"{error!r}")
        return
    send(answers, READY)
    while True:
        send(answers, attempt(analyze, tasks.get(), options))


def _limit_threads(count: int) -> None:
    """Keeps workers that share a machine out of each other's way: with threads for all cores each, they lose 8 %."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)  # of finding faces, and of decoding pictures


def attempt(analyze: AnalyzeFn, task: Task, options: BatchOptions) -> Outcome:
    """Scores one input; every error becomes part of the outcome."""
    try:
        before = _prints(task, options)
        scored = analyze(task)
        if _prints(task, options) != before:
            return Outcome(task.index, error=f"{task.path}: changed while it was read; run the command again")
        if before[0] is None:
            return Outcome(task.index, error=f"{task.path}: does not exist; check the path")
        return Outcome(task.index, scored.files, (before[0], scored.sha256), before[1], scored.seconds)
    except MultimodalError as error:
        return Outcome(task.index, error=str(error))
    except MemoryError:
        return Outcome(task.index, error=f"{task.path}: needs more memory than there is; cut it into parts")
    except Exception as error:
        line = f"{task.path}: unexpected {type(error).__name__}: {error}; please report it"
        return Outcome(task.index, error=line)


def _prints(task: Task, options: BatchOptions) -> tuple[Fingerprint | None, tuple[str, Fingerprint, str] | None]:
    """What the input, and the transcript that belongs to it, look like now."""
    words = task.transcript or (transcript_beside(Path(task.path)) if options.beside else None)
    seen = None if words is None else fingerprint(words)
    return fingerprint(task.path), None if words is None or seen is None else (str(words), seen, sha256_of(words))


def _imported(where: str) -> Callable[[BatchOptions], AnalyzeFn]:
    module, _, name = where.partition(":")
    loader: Callable[[BatchOptions], AnalyzeFn] = getattr(importlib.import_module(module), name)
    return loader


def _listen(stream: BinaryIO, tasks: queue.Queue[Any]) -> None:
    """Hands tasks on; when the keeper is gone, so is this process, whatever it was doing."""
    with contextlib.suppress(EOFError, ValueError, OSError):
        while True:
            tasks.put(receive(stream))
    os._exit(0)


def _die_with_parent() -> None:
    """On Linux also where a decoder holds the interpreter and no thread can notice."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# --- beside it ------------------------------------------------------------------------------------------------------


class StoppedError(Exception):
    """The work is being stopped."""


class WorkerProcess:
    """Keeps one worker's process alive and within its limits.

    Args:
        options: What to load and how to analyze.
        limits: What one input may take.
        stop: Set to have ``score`` give up at once.

    Example:
        >>> WorkerProcess(BatchOptions(), Limits()).process is None  # started when first needed
        True
    """

    def __init__(self, options: BatchOptions, limits: Limits, stop: threading.Event | None = None) -> None:
        self.options = options
        self.limits = limits
        self.stop = stop or threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Any] = queue.Queue()

    def start(self) -> None:
        """Starts the process and waits until the model is loaded; does nothing when it runs.

        Raises:
            MultimodalError: The model cannot be loaded.
            StoppedError: The work is being stopped.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self.close()
        self._answers = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, str(self.limits.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
        )
        threading.Thread(target=_receive, args=(self.process.stdout, self._answers), daemon=True).start()
        try:
            answer = self._ask(self.options)
        finally:
            if self.stop.is_set():
                self.close()
        if answer != READY:
            self.close()
            if isinstance(answer, MultimodalError):
                raise answer
            fact = f"cannot load the model ({_death(self.process) if answer is None else answer})"
            raise MultimodalError("worker", fact, "try infer on one of the inputs, or fewer --workers")

    def score(self, task: Task) -> Outcome:
        """Scores one input, trying again as often as the limits allow.

        Raises:
            MultimodalError: The model cannot be loaded.
            StoppedError: The work is being stopped.
        """
        outcome = self._attempt(task)
        for _ in range(self.limits.retries):
            if not outcome.died:
                break
            outcome = self._attempt(task)
        return outcome

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None and stream is self.process.stdin:
                        stream.close()

    def _attempt(self, task: Task) -> Outcome:
        self.start()
        deadline = time.monotonic() + self.limits.timeout_seconds
        answer = self._ask(task, deadline)
        if isinstance(answer, Outcome):
            return answer
        self.close()
        why = answer or f"crashed its worker ({_death(self.process)}); copy it again or convert it to mp4"
        return Outcome(task.index, error=f"{task.path}: {why}", died=True)

    def _ask(self, question: BatchOptions | Task, deadline: float | None = None) -> Any:
        """The answer; None when the process died; a line when it took too long or too much."""
        process = self.process
        if process is None or process.stdin is None:
            return None
        with contextlib.suppress(OSError):  # it died; reading will say so
            send(process.stdin, question)
        while True:
            if self.stop.is_set():
                self.close()
                raise StoppedError
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=GLANCE_SECONDS)
            if deadline is not None and time.monotonic() > deadline:
                return f"took longer than {self.limits.timeout_seconds:g} s; allow more with --timeout, or cut it"
            limit = self.limits.memory_bytes
            if deadline is not None and limit is not None and resident_bytes(process.pid) > limit:
                return f"took more than {limit / 1e9:g} GB of memory; allow more with --memory-per-worker, or cut it"

    def _environment(self) -> dict[str, str]:
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - an empty entry is the current folder
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        own = {} if self.limits.omp_threads is None else {"OMP_NUM_THREADS": self.limits.omp_threads}
        return inherited | own | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _receive(stream: BinaryIO, answers: queue.Queue[Any]) -> None:
    try:
        while True:
            answers.put(receive(stream))
    except Exception:  # cut off in the middle of an answer: whatever it looks like, the process is gone
        answers.put(None)
    finally:
        stream.close()


def _death(process: subprocess.Popen[bytes] | None) -> str:
    code = None if process is None else process.returncode
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where the system does not say.

    Example:
        >>> resident_bytes(os.getpid()) > 1_000_000
        True
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no /proc: macOS
        said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
        return int(said) * 1024
    return 0
