"""What runs in a worker's process: it loads the analysis once and analyzes the inputs that it receives."""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
from typing import Any, BinaryIO

from multimodal.batch.analyzer import AnalyzeFn, LoadFn
from multimodal.batch.protocol import READY, receive, send
from multimodal.batch.tasks import BatchOptions, Fingerprint, Outcome, Task, fingerprint, sha256_of, transcript_of
from multimodal.errors import MultimodalError


def serve(load: str, threads: int) -> None:
    """Analyzes the inputs that arrive on standard input until it ends; answers on standard output.

    Args:
        load: What loads the analysis, as ``module:function``.
        threads: Threads of each library.
    """
    _die_with_parent()
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):  # what libraries print must not come between the answers
        os.dup2(nowhere, descriptor)
    tasks: queue.Queue[Any] = queue.Queue()
    options = receive(sys.stdin.buffer)
    if not isinstance(options, BatchOptions):
        raise ValueError(f"expected options, got {type(options).__name__}")
    threading.Thread(target=_receive_tasks, args=(sys.stdin.buffer, tasks), daemon=True).start()
    try:
        analyze = import_function(load)(options)
        _limit_threads(threads)
    except Exception as error:
        send(replies, error if isinstance(error, MultimodalError) else f"{error!r}")
        return
    send(replies, READY)
    while True:
        send(replies, attempt(analyze, tasks.get(), options))


def attempt(analyze: AnalyzeFn, task: Task, options: BatchOptions) -> Outcome:
    """Analyzes one input; every error becomes part of the outcome.

    Args:
        analyze: The analysis.
        task: The input.
        options: Options of the batch.

    Returns:
        The result or the error.
    """
    try:
        before = _fingerprints(task, options)
        result = analyze(task)
        if _fingerprints(task, options) != before:
            return Outcome(task.index, error=f"{task.path}: changed while it was read; run the command again")
        if before[0] is None:
            return Outcome(task.index, error=f"{task.path}: does not exist; check the path")
        return Outcome(task.index, result.files, (before[0], result.sha256), before[1], result.seconds)
    except MultimodalError as error:
        return Outcome(task.index, error=str(error))
    except MemoryError:
        return Outcome(task.index, error=f"{task.path}: needs more memory than is available; cut it into parts")
    except Exception as error:
        line = f"{task.path}: unexpected {type(error).__name__}: {error}; please report it"
        return Outcome(task.index, error=line)


def function_name(load: LoadFn) -> str:
    """Names a function as ``module:function``, by which another process imports it.

    Args:
        load: A function at the top level of a module.

    Raises:
        ValueError: It is not at the top level of a module.

    Example:
        >>> function_name(import_function("multimodal.batch.analyzer:load_model_analysis"))
        'multimodal.batch.analyzer:load_model_analysis'
    """
    name: str = load.__qualname__
    if not name.isidentifier() or load.__module__ == "__main__":
        raise ValueError(f"{load.__module__}:{name} is not at the top level of a module that workers can import")
    return f"{load.__module__}:{name}"


def import_function(name: str) -> LoadFn:
    """Imports the function that ``function_name`` names.

    Args:
        name: ``module:function``.

    Returns:
        The function.
    """
    module, _, attribute = name.partition(":")
    load: LoadFn = getattr(importlib.import_module(module), attribute)
    return load


def _limit_threads(count: int) -> None:
    """Limits the threads of workers that share a machine: one thread per core in every worker costs 8 %.

    A library that the analysis has not imported is left alone.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(count)  # of face detection and decoding


def _fingerprints(task: Task, options: BatchOptions) -> tuple[Fingerprint | None, tuple[str, Fingerprint, str] | None]:
    """Fingerprint of the input; path, fingerprint and hash of its transcript."""
    transcript = transcript_of(task, options)
    transcript_print = None if transcript is None else fingerprint(transcript)
    if transcript is None or transcript_print is None:
        return fingerprint(task.path), None
    return fingerprint(task.path), (transcript, transcript_print, sha256_of(transcript))


def _receive_tasks(stream: BinaryIO, tasks: queue.Queue[Any]) -> None:
    """Queues tasks; ends this process at once when the driver is gone."""
    with contextlib.suppress(EOFError, ValueError, OSError):
        while True:
            tasks.put(receive(stream))
    os._exit(0)


def _die_with_parent() -> None:
    """On Linux, ends this process with its parent even if a decoder holds the interpreter."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
