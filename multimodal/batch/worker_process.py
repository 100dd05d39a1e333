"""The driver's side of a worker: starts its process, limits its time and memory, and starts another when it dies.

Whatever an input does to the process - a crash in a decoder, an endless loop, all the memory - the driver survives and
reports the reason. Both engines use it, so a failure reads the same with and without Ray.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multimodal.batch.analyzer import LoadFn
from multimodal.batch.protocol import READY, receive, send
from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker import function_name
from multimodal.errors import MultimodalError

POLL_SECONDS = 0.1
"""How often time and memory are checked: an input that takes 2 GB/s gets 0.2 GB beyond its limit."""

START = "import sys; from multimodal.batch.worker import serve; serve(sys.argv[1], int(sys.argv[2]))"


@dataclass(frozen=True)
class Limits:
    """What one input may use.

    Attributes:
        timeout_seconds: Time of one attempt, without loading the model.
        memory_bytes: Resident memory of the worker's process; None for no limit.
        retries: Further attempts when the process died or exceeded a limit.
        threads: Threads of torch and OpenCV in a worker's process. Speech-to-text keeps as many as in ``infer``: with
            another number of threads it may recognize another word.
        omp_threads: ``OMP_NUM_THREADS`` of the driver, which Ray would set otherwise in its actors.
    """

    timeout_seconds: float = 4 * 3600.0
    memory_bytes: int | None = None
    retries: int = 1
    threads: int = 1
    omp_threads: str | None = field(default_factory=lambda: os.environ.get("OMP_NUM_THREADS"))


class StoppedError(Exception):
    """The batch is being stopped."""


class WorkerProcess:
    """Keeps the process of one worker alive and within its limits.

    Args:
        options: What to load and how to analyze.
        load: What loads the analysis, see ``Analyzer``.
        limits: What one input may use.
        stop: Set to make ``analyze`` give up at once.

    Example:
        >>> from multimodal.batch.analyzer import MODEL
        >>> WorkerProcess(BatchOptions(), MODEL.load, Limits()).process is None  # started at the first input
        True
    """

    def __init__(
        self, options: BatchOptions, load: LoadFn, limits: Limits, stop: threading.Event | None = None
    ) -> None:
        self.options = options
        self.load = function_name(load)
        self.limits = limits
        self.stop = stop or threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self._replies: queue.Queue[Any] = queue.Queue()

    def start(self) -> None:
        """Starts the process and waits until the model is loaded; does nothing if it runs.

        Raises:
            MultimodalError: The model cannot be loaded.
            StoppedError: The batch is being stopped.
        """
        if self.process is not None and self.process.poll() is None:
            return
        self.close()
        self._replies = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, self.load, str(self.limits.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
        )
        threading.Thread(target=_receive, args=(self.process.stdout, self._replies), daemon=True).start()
        try:
            reply = self._ask(self.options)
        finally:
            if self.stop.is_set():
                self.close()
        if reply != READY:
            self.close()
            if isinstance(reply, MultimodalError):
                raise reply
            fact = f"cannot load the model ({_cause_of_death(self.process) if reply is None else reply})"
            raise MultimodalError("worker", fact, "try infer on one of the inputs, or fewer --workers")

    def analyze(self, task: Task) -> Outcome:
        """Analyzes one input, with as many attempts as the limits allow.

        Args:
            task: The input.

        Raises:
            MultimodalError: The model cannot be loaded.
            StoppedError: The batch is being stopped.
        """
        outcome = self._attempt(task)
        for _ in range(self.limits.retries):
            if not outcome.died:
                break
            outcome = self._attempt(task)
        return outcome

    def close(self) -> None:
        """Ends the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            with contextlib.suppress(OSError):
                if self.process.stdin is not None:
                    self.process.stdin.close()

    def _attempt(self, task: Task) -> Outcome:
        self.start()
        deadline = time.monotonic() + self.limits.timeout_seconds
        reply = self._ask(task, deadline)
        if isinstance(reply, Outcome):
            return reply
        self.close()
        death = f"crashed its worker ({_cause_of_death(self.process)}); copy it again or convert it to mp4"
        return Outcome(task.index, error=f"{task.path}: {reply or death}", died=True)

    def _ask(self, question: BatchOptions | Task, deadline: float | None = None) -> Any:
        """The reply; None if the process died; a line if it exceeded a limit."""
        process = self.process
        if process is None or process.stdin is None:
            return None
        with contextlib.suppress(OSError):  # the process died, as the missing answer will tell
            send(process.stdin, question)
        while True:
            if self.stop.is_set():
                self.close()
                raise StoppedError
            with contextlib.suppress(queue.Empty):
                return self._replies.get(timeout=POLL_SECONDS)
            if deadline is not None and time.monotonic() > deadline:
                return f"took longer than {self.limits.timeout_seconds:g} s; allow more with --timeout, or cut it"
            limit = self.limits.memory_bytes
            if deadline is not None and limit is not None and resident_bytes(process.pid) > limit:
                return f"took more than {limit / 1e9:g} GB of memory; allow more with --memory-per-worker, or cut it"

    def _environment(self) -> dict[str, str]:
        paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - an empty entry is the current folder
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        threads = {} if self.limits.omp_threads is None else {"OMP_NUM_THREADS": self.limits.omp_threads}
        return inherited | threads | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _receive(stream: Any, replies: queue.Queue[Any]) -> None:
    try:
        while True:
            replies.put(receive(stream))
    except Exception:  # an incomplete reply: the process is gone
        replies.put(None)
    finally:
        stream.close()


def _cause_of_death(process: subprocess.Popen[bytes] | None) -> str:
    code = None if process is None else process.returncode
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if unknown.

    Args:
        pid: Id of the process.

    Example:
        >>> resident_bytes(os.getpid()) > 1_000_000
        True
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no /proc: macOS
        listing = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
        return int(listing) * 1024
    return 0
