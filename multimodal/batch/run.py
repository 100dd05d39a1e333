"""One run of a batch: finds the inputs without a current result, runs an engine on them, and writes the tables."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from multimodal.batch.analyzer import MODEL, Analyzer, LoadFn
from multimodal.batch.local_engine import run_local
from multimodal.batch.ray_engine import Cluster, run_ray
from multimodal.batch.store import Store
from multimodal.batch.tables import write_tables
from multimodal.batch.tasks import BatchOptions, Outcome, Task, is_current, make_receipt, plan
from multimodal.batch.worker_process import Limits
from multimodal.data.manifest import Manifest, read_folder, read_manifest
from multimodal.device import available_cores
from multimodal.errors import ConfigError, OutputError

Engine = Callable[[Sequence[Task], BatchOptions, LoadFn], Generator[Outcome, None, None]]
"""Analyzes inputs: ``run_local`` or ``run_ray`` with its limits."""

ShowProgress = Callable[[str], None]
"""Shows the progress in one line; an empty line removes it."""


class ManifestError(ConfigError):
    """A manifest has invalid rows.

    Args:
        path: The manifest.
        errors: One error for each invalid row.
    """

    def __init__(self, path: Path, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        lines = "; ".join(str(error) for error in errors)
        super().__init__(path, f"has {len(errors)} invalid rows ({lines})", "correct them")

    def __reduce__(self) -> tuple[type[ManifestError], tuple[Path, tuple[ConfigError, ...]]]:  # type: ignore[override]
        return type(self), (Path(self.subject), self.errors)


@dataclass
class BatchSummary:
    """The end of a batch.

    Attributes:
        tasks: All inputs.
        finished_before: Inputs that already had a current result.
        finished: Inputs that were analyzed in this run.
        errors: Index of each input that failed, to the reason; in the order of the manifest once all have ended.
        interrupted: Whether the batch was interrupted (Ctrl-C); then there are no tables.
    """

    tasks: Sequence[Task]
    finished_before: int = 0
    finished: int = 0
    errors: dict[int, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def stop_line(self) -> str:
        """Message after an interrupted batch."""
        count = self.finished_before + self.finished
        return f"stopped: {count} of {len(self.tasks)} are finished and kept; run the same command again for the rest"


def local_engine(limits: Limits, workers: int) -> Engine:
    """Processes on this machine.

    Args:
        limits: Limits of each worker process.
        workers: Number of processes.

    Returns:
        The engine.
    """
    return partial(run_local, limits=limits, workers=workers)


def ray_engine(limits: Limits, address: str | None, workers: int | None, gpus: float) -> Engine:
    """A Ray cluster: the one at an address, or one that is started on this machine.

    Args:
        limits: Limits of each worker process.
        address: Address of the cluster; None to start one.
        workers: Number of workers; None for as many as fit.
        gpus: GPUs per worker; a fraction is valid.

    Returns:
        The engine.
    """
    cpus = limits.threads if address is None else 1
    return partial(run_ray, limits=limits, cluster=Cluster(address, workers, cpus, gpus, limits.memory_bytes))


def run_batch(
    source: Path,
    out: Path,
    options: BatchOptions,
    engine: Engine,
    show: ShowProgress | None = None,
    analyzer: Analyzer = MODEL,
) -> BatchSummary:
    """Analyzes the inputs that have no current result, and writes the tables.

    Args:
        source: A manifest or a folder.
        out: Folder for all results.
        options: How every input is analyzed.
        engine: Where it runs.
        show: Called with the progress after each input.
        analyzer: What analyzes: the model, or a function of your own.

    Returns:
        What became of each input.

    Raises:
        ManifestError: The manifest has invalid rows.
        OutputError: The results cannot be written. What was finished is kept, and a note of the error says how much.
        MultimodalError: The source cannot be read, or the model cannot be loaded.
    """
    manifest = read_source(source, out)
    tasks, versions, store = plan(manifest.rows), analyzer.versions(options), Store(out)
    with store.locked():
        summary = BatchSummary(tasks)
        remaining = unfinished(tasks, store, options, versions)
        summary.finished_before = len(tasks) - len(remaining)
        try:
            with closing(engine(remaining, options, analyzer.load)) as outcomes:
                _collect(outcomes, summary, store, options, versions, show)
        except KeyboardInterrupt:
            summary.interrupted = True
            return summary
        except OutputError as error:
            error.add_note(summary.stop_line)
            raise
        finally:
            if show is not None:
                show("")
        summary.errors = dict(sorted(summary.errors.items()))
        write_tables(out, manifest, [task.name for task in tasks], summary.errors, store.folder)
    return summary


def read_source(source: Path, out: Path) -> Manifest:
    """Reads a manifest or a folder.

    Args:
        source: A manifest (CSV) or a folder.
        out: Folder of the results, which is not searched for inputs.

    Raises:
        ManifestError: The manifest has invalid rows.
        MultimodalError: The source cannot be read, or has no inputs.
    """
    if source.is_dir():
        return read_folder(source, out)
    manifest = read_manifest(source)
    if manifest.errors:
        raise ManifestError(source, manifest.errors)
    return manifest


def unfinished(tasks: Sequence[Task], store: Store, options: BatchOptions, versions: Mapping[str, str]) -> list[Task]:
    """The inputs without a current result.

    Args:
        tasks: All inputs.
        store: The results so far.
        options: Options of the batch.
        versions: Hashes of the models.

    Returns:
        The inputs to analyze, in order.
    """
    remaining = []
    for task in tasks:
        receipt = store.receipt(task.name)
        if receipt is None or not is_current(receipt, task, options, versions):
            remaining.append(task)
    return remaining


def _collect(
    outcomes: Generator[Outcome, None, None],
    summary: BatchSummary,
    store: Store,
    options: BatchOptions,
    versions: Mapping[str, str],
    show: ShowProgress | None,
) -> None:
    """Writes the results as they arrive, and counts them."""
    start, seconds = time.monotonic(), 0.0
    for outcome in outcomes:
        task = summary.tasks[outcome.index]
        if outcome.files is None:
            store.discard(task.name)
            summary.errors[outcome.index] = outcome.error or "failed"
        else:
            store.write(task.name, outcome.files, make_receipt(outcome, task, options, versions))
            summary.finished += 1
            seconds += outcome.seconds
        if show is not None:
            show(progress_line(summary, seconds, time.monotonic() - start))


def progress_line(summary: BatchSummary, seconds: float, elapsed: float) -> str:
    """The progress in one line.

    Args:
        summary: The batch so far.
        seconds: Length of the recordings that were analyzed.
        elapsed: Seconds since the start.

    Example:
        >>> summary = BatchSummary([None] * 100, finished_before=10, finished=29, errors={4: "is empty"})
        >>> progress_line(summary, 7200.0, 600.0)
        '39 done, 1 failed, 60 left, 12.0 hours of video per hour, 0:20:00 to go'
    """
    ended = summary.finished + len(summary.errors)
    remaining = len(summary.tasks) - summary.finished_before - ended
    rest = round(elapsed / max(ended, 1) * remaining)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    done = summary.finished_before + summary.finished
    counts = f"{done} done, {len(summary.errors)} failed, {remaining} left"
    return f"{counts}, {seconds / max(elapsed, 1e-9):.1f} hours of video per hour, {clock} to go"


def default_workers(memory_bytes: int) -> int:
    """Number of workers that the cores and the memory of this machine allow, at least one.

    Args:
        memory_bytes: Memory of one worker.

    Returns:
        Number of workers, at least 1.
    """
    memory = available_memory()
    return max(1, min(available_cores(), memory // memory_bytes if memory else available_cores()))


def available_memory() -> int:
    """Memory of the machine or its container in bytes; 0 if unknown."""
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        return 0
    with suppress(OSError, ValueError):  # no container, or no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes)
