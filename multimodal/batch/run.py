"""One run of a batch: which inputs are left, the engine, the tables."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from multimodal.console import print_error
from multimodal.errors import OutputError

if TYPE_CHECKING:
    from multimodal.batch.store import Store
    from multimodal.batch.tasks import BatchOptions, Outcome, Task
    from multimodal.batch.worker import Limits
    from multimodal.data.manifest import Manifest


Run = Callable[["Sequence[Task]"], "Generator[Outcome, None, None]"]
"""An engine, ready to go."""


ShowLine = Callable[[str], None]


@dataclass
class BatchSummary:
    """What became of a pile.

    Attributes:
        tasks: All inputs.
        kept: How many were finished before.
        done: How many were finished now.
        errors: Place of each input that failed, to the reason, in the order of the manifest once all have ended.
    """

    tasks: Sequence[Task]
    kept: int = 0
    done: int = 0
    errors: dict[int, str] = field(default_factory=dict)


def local_engine(options: BatchOptions, limits: Limits, workers: int) -> Run:
    """Processes on this machine."""
    from multimodal.batch.local_engine import run_local

    return lambda tasks: run_local(tasks, options, limits, workers)


def ray_engine(options: BatchOptions, limits: Limits, address: str | None, workers: int | None, gpus: float) -> Run:
    """A Ray cluster: that of an address, or one of this machine's own."""
    from multimodal.batch.ray_engine import Cluster, run_ray

    cpus = limits.threads if address is None else 1
    cluster = Cluster(address, workers, cpus, gpus, limits.memory_bytes)
    return lambda tasks: run_ray(tasks, options, limits, cluster)


def score_all(source: Path, out: Path, options: BatchOptions, run: Run, show: ShowLine | None = None) -> BatchSummary:
    """Scores what is not finished yet, and writes the tables.

    Args:
        source: A manifest or a folder.
        out: Folder of all results.
        options: How every input is analyzed.
        run: The engine.
        show: Gets the line on how far it is, after each input.

    Returns:
        What became of each input.

    Raises:
        MultimodalError: Nothing could be begun, or the results cannot be written. What was finished is kept.
        typer.Exit: With 2 for wrong rows, which have been printed; with 130 when interrupted.
    """
    from multimodal.batch.store import Store
    from multimodal.batch.tasks import plan, weights_of

    manifest = read_source(source, out)
    tasks, weights, store = plan(manifest.rows), weights_of(options), Store(out)
    with store.locked():
        report = BatchSummary(tasks)
        left = unfinished(tasks, store, options, weights)
        report.kept = len(tasks) - len(left)
        try:
            with closing(run(left)) as outcomes:
                _gather(outcomes, report, store, options, weights, show)
        except (KeyboardInterrupt, OutputError) as error:
            _stopped(report, show)
            if isinstance(error, OutputError):
                raise
            raise typer.Exit(130) from None
        if show is not None:
            show("")
        _write(out, manifest, report, store)
    return report


def read_source(source: Path, out: Path) -> Manifest:
    """Reads a manifest or a folder; with wrong rows prints all of them and ends.

    Raises:
        MultimodalError: There is nothing to read.
        typer.Exit: With 2 for wrong rows.
    """
    from multimodal.data.manifest import read_folder, read_manifest

    if source.is_dir():
        return read_folder(source, out)
    manifest = read_manifest(source)
    for error in manifest.errors:
        print_error(str(error))
    if manifest.errors:
        raise typer.Exit(2)
    return manifest


def unfinished(tasks: Sequence[Task], store: Store, options: BatchOptions, weights: dict[str, str]) -> list[Task]:
    """The inputs whose results are not there, or not those that scoring them now would give."""
    from multimodal.batch.tasks import is_current

    left = []
    for task in tasks:
        stamp = store.stamp(task.name)
        if stamp is None or not is_current(stamp, task, options, weights):
            left.append(task)
    return left


def _gather(
    outcomes: Generator[Outcome, None, None],
    report: BatchSummary,
    store: Store,
    options: BatchOptions,
    weights: dict[str, str],
    show: ShowLine | None,
) -> None:
    """Takes what the engine gives, writes results, counts."""
    from multimodal.batch.tasks import make_receipt

    begun, seconds = time.monotonic(), 0.0
    for outcome in outcomes:
        task = report.tasks[outcome.index]
        if outcome.files is None:
            store.discard(task.name)
            report.errors[outcome.index] = outcome.error or "failed"
        else:
            store.finish(task.name, outcome.files, make_receipt(outcome, task, options, weights))
            report.done += 1
            seconds += outcome.seconds
        if show is not None:
            show(progress_line(report, seconds, time.monotonic() - begun))


def progress_line(report: BatchSummary, seconds: float, elapsed: float) -> str:
    """How far it is, in one line.

    Example:
        >>> report = BatchSummary([None] * 100, kept=10, done=29, errors={4: "is empty"})
        >>> progress_line(report, 7200.0, 600.0)
        '39 done, 1 failed, 60 left, 12.0 hours of video per hour, 0:20:00 to go'
    """
    ended = report.done + len(report.errors)
    left = len(report.tasks) - report.kept - ended
    rest = round(elapsed / max(ended, 1) * left)
    clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
    counts = f"{report.kept + report.done} done, {len(report.errors)} failed, {left} left"
    return f"{counts}, {seconds / max(elapsed, 1e-9):.1f} hours of video per hour, {clock} to go"


def _write(out: Path, manifest: Manifest, report: BatchSummary, store: Store) -> None:
    from multimodal.batch.tables import write_tables

    report.errors = dict(sorted(report.errors.items()))
    write_tables(out, manifest, [task.name for task in report.tasks], report.errors, store.folder)


def _stopped(report: BatchSummary, show: ShowLine | None) -> None:
    if show is not None:
        show("")
    kept, all_ = report.kept + report.done, len(report.tasks)
    print(f"stopped: {kept} of {all_} are finished and kept; run the same command again for the rest", file=sys.stderr)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fitting_workers(memory_bytes: int) -> int:
    """How many workers this machine's cores and memory hold, at least one."""
    return max(1, min(cores(), memory_of_machine() // memory_bytes if memory_of_machine() else cores()))


def memory_of_machine() -> int:
    """Bytes of memory, or of the container's share of it; 0 where the system does not say."""
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # Windows
        return 0
    with suppress(OSError, ValueError):  # no container, or no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes)
