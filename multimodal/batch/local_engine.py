"""Runs a batch on this machine without Ray: a thread per worker, each with its own process."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Generator, Sequence

from multimodal.batch.analyzer import LoadFn
from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker_process import Limits, StoppedError, WorkerProcess


def run_local(
    tasks: Sequence[Task], options: BatchOptions, load: LoadFn, *, limits: Limits, workers: int
) -> Generator[Outcome, None, None]:
    """Analyzes inputs in several processes.

    Args:
        tasks: The inputs; started in this order.
        options: How to analyze them.
        load: What loads the analysis, see ``Analyzer``.
        limits: What one input may use.
        workers: Number of processes.

    Yields:
        The outcome of each input, as it ends. Leaving the loop early ends the processes at once.

    Raises:
        MultimodalError: The model cannot be loaded.
        ValueError: Workers cannot import ``load``.
    """
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    results: queue.Queue[Outcome | BaseException] = queue.Queue()
    stop = threading.Event()
    processes = [WorkerProcess(options, load, limits, stop) for _ in range(min(workers, len(tasks)))]
    threads = [threading.Thread(target=_work, args=(process, waiting, results), daemon=True) for process in processes]
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
    process: WorkerProcess, waiting: queue.SimpleQueue[Task], results: queue.Queue[Outcome | BaseException]
) -> None:
    if hasattr(signal, "pthread_sigmask"):
        # The processes inherit it: Ctrl-C goes to the whole group, and only the driver must react.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with contextlib.suppress(queue.Empty, StoppedError):
            while not process.stop.is_set():
                results.put(process.analyze(waiting.get_nowait()))
    except BaseException as error:  # whatever it is, the driver raises it
        results.put(error)
    finally:
        process.close()
