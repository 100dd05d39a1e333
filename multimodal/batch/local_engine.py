"""Runs a batch on this machine without Ray: a thread per worker, each with a process that it keeps."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Generator, Sequence

from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker import Limits, StoppedError, WorkerProcess


def run_local(
    tasks: Sequence[Task], options: BatchOptions, limits: Limits, workers: int
) -> Generator[Outcome, None, None]:
    """Scores inputs in several processes.

    Args:
        tasks: What to score; begun in this order.
        options: How.
        limits: What one input may take.
        workers: How many processes.

    Yields:
        What became of each, as it ends. Leaving the loop early ends the processes at once.

    Raises:
        MultimodalError: The model cannot be loaded.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    results: queue.Queue[Outcome | BaseException] = queue.Queue()
    stop = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(WorkerProcess(options, limits, stop), waiting, results), daemon=True)
        for _ in range(min(workers, len(tasks)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _work(
    keeper: WorkerProcess, waiting: queue.SimpleQueue[Task], results: queue.Queue[Outcome | BaseException]
) -> None:
    if hasattr(signal, "pthread_sigmask"):
        # The processes inherit it: Ctrl-C goes to the whole group, and the driver alone shall answer it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with contextlib.suppress(queue.Empty, StoppedError):
            while not keeper.stop.is_set():
                results.put(keeper.score(waiting.get_nowait()))
    except BaseException as error:  # whatever it is, it is the driver's
        results.put(error)
    finally:
        keeper.close()
