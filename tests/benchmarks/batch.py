"""Measures how batches scale: ``python tests/benchmarks/batch.py``, prints JSON.

Twenty clips of ``multimodal.sample``'s interview, each of its own length, are scored by one plain ``infer`` that is
held on one core, by two such side by side with half of the clips each (the best that these cores can do), by one that
may use all, then by batches with 1 and 2 workers, with and without Ray, each a process of its own on an empty folder.
The overhead of Ray, and how the driver grows with the number of inputs (manifest, scan, tables), is taken with an
analysis that does nothing. The time per file with Ray includes what ending Ray takes, once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from batch_stub import STUB, load

from multimodal.batch import run as batch_run
from multimodal.batch import tasks as batch_plan
from multimodal.batch.ray_engine import Cluster, run_ray
from multimodal.batch.tasks import BatchOptions
from multimodal.batch.worker_process import Limits
from multimodal.data.manifest import read_manifest
from multimodal.sample import make_sample


def clips(folder: Path, count: int, seconds: int) -> float:
    """Writes clips of 0.75 to 1.25 times a length; returns their seconds together."""
    folder.mkdir()
    lengths = [round(seconds * (0.75 + 0.5 * index / max(count - 1, 1))) for index in range(count)]
    with ProcessPoolExecutor() as makers:
        list(makers.map(make_sample, [folder / f"clip{index:02}.mp4" for index in range(count)], lengths))
    return float(sum(lengths))


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    actual = [pid]
    for one in actual:
        actual += parents.get(one, [])
    return actual


def worker_megabytes(pid: int) -> float:
    """The largest high-water mark among the workers below a driver."""
    peaks = [0]
    for one in tree(pid)[1:]:
        try:
            command = Path(f"/proc/{one}/cmdline").read_bytes()
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        if b"multimodal.batch.worker" in command and (actual := re.search(r"VmHWM:\s+(\d+) kB", status)):
            peaks.append(int(actual[1]))
    return max(peaks) / 1024


def held_on(core: int) -> Callable[[], None]:
    """What leaves a process, and all that it starts, a single core."""
    return lambda: os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def started(command: list[str], before: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, preexec_fn=before)


def timed(command: list[str], out: Path, first: str, before: Callable[[], None] | None = None) -> dict[str, float]:
    """Seconds of a command, until the first result, and the peak of one worker."""
    begun = time.perf_counter()
    process = started(command, before)
    until_first, peak = 0.0, 0.0
    while process.poll() is None:
        if not until_first and next(out.glob(first), None) is not None:
            until_first = time.perf_counter() - begun
        peak = max(peak, worker_megabytes(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    seconds = time.perf_counter() - begun
    return {"seconds": round(seconds, 1), "first_seconds": round(until_first, 1), "worker_megabytes": round(peak)}


def side_by_side(plain: list[str], inputs: list[str], out: Path) -> float:
    """Seconds of two commands at once, each held on a core of its own, with every other input."""
    begun = time.perf_counter()
    halves = [inputs[half::2] for half in (0, 1)]
    commands = [[*plain, *own, "--out", f"{out}-{half}"] for half, own in enumerate(halves)]
    processes = [started(command, held_on(half)) for half, command in enumerate(commands)]
    if any(process.wait() for process in processes):
        raise RuntimeError("one of two commands side by side failed")
    return round(time.perf_counter() - begun, 1)


def throughput(folder: Path, count: int, seconds: int, extra: list[str], both: bool = True) -> dict[str, Any]:
    total = clips(folder / "clips", count, seconds)
    job = [sys.executable, "-m"]
    inputs = [str(path) for path in sorted((folder / "clips").glob("*.mp4"))]
    report: dict[str, Any] = {"clips": count, "video_seconds": total, "load_average": os.getloadavg()[0]}
    out = folder / "infer"
    plain = [*job, "multimodal.infer", "--no-report", *extra]  # of a batch there are pages on demand
    # Even a single infer decodes on several cores; what one core does is what two can be measured against.
    alone = timed([*plain, *inputs, "--out", f"{out}-1"], Path(f"{out}-1"), "*/analysis.json", held_on(0))
    report["infer_on_one_core"] = alone
    report["two_infers_side_by_side"] = {"seconds": side_by_side(plain, inputs, Path(f"{out}-2"))}
    report["infer"] = timed([*plain, *inputs, "--out", str(out)], out, "*/analysis.json")
    for engine in ("local", "ray"):
        for workers in (1, 2) if both else (2,):
            out = folder / f"{engine}{workers}"
            words = ["--out", str(out), "--engine", engine, "--workers", str(workers), *extra]
            command = [*job, "multimodal.batch", str(folder / "clips"), *words]
            figures = timed(command, out, ".batch/done/*.json")
            figures["speedup_over_infer"] = round(report["infer"]["seconds"] / figures["seconds"], 2)
            figures["speedup_over_one_core"] = round(alone["seconds"] / figures["seconds"], 2)
            best = report["two_infers_side_by_side"]["seconds"]
            figures["of_two_side_by_side"] = round(best / figures["seconds"], 2)
            figures["load_average"] = round(os.getloadavg()[0], 2)
            report[f"{engine}_{workers}"] = figures
    return report


def per_file(folder: Path, count: int) -> dict[str, float]:
    """Milliseconds per input of an engine with one worker that does nothing, from the second result on."""
    folder.mkdir()
    (folder / "a.txt").write_text("calm")
    tasks = [batch_plan.Task(index, f"t{index}", str(folder / "a.txt")) for index in range(count)]
    options, limits = BatchOptions(asr=str(folder / "notes")), Limits()
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}"
    actual = {}
    for engine in ("local", "ray"):
        if engine == "local":
            outcomes = batch_run.local_engine(limits, 1)(tasks, options, load)
        else:
            outcomes = run_ray(tasks, options, load, limits=limits, cluster=Cluster(workers=1))
        begun = time.perf_counter()
        next(outcomes)
        first = time.perf_counter()
        rest = sum(1 for _ in outcomes)
        actual[f"{engine}_ms_per_file"] = round(1000 * (time.perf_counter() - first) / rest, 2)
        actual[f"{engine}_seconds_to_first"] = round(first - begun, 2)
    return actual


def looked_at(work: Callable[[], object]) -> int:
    """How many times some work looks at an input."""
    looked: list[str] = []
    seen = batch_plan.fingerprint
    batch_plan.fingerprint = lambda path: looked.append(str(path)) or seen(path)
    try:
        work()
    finally:
        batch_plan.fingerprint = seen
    return len(looked)


def growth(folder: Path, counts: list[int]) -> list[dict[str, float]]:
    """Seconds of each of the driver's stages with a given number of inputs, and how often a file was looked at."""
    from batch_stub import files_of

    from multimodal.batch.tasks import Outcome, fingerprint, sha256_of

    actual = []
    for count in counts:
        place = folder / f"pile{count}"
        place.mkdir()
        for index in range(count):
            (place / f"{index}.txt").write_text(f"w{index}")
        rows = "".join(f"{index}.txt,P{index % 200},task {index % 5}\n" for index in range(count))
        (place / "study.csv").write_text("path,participant,task\n" + rows)
        options = BatchOptions(asr=str(place / "notes"))

        def engine(tasks: Any, *_: Any) -> Any:
            for task in tasks:
                looks = fingerprint(task.path)
                yield Outcome(task.index, files_of(task, options, "calm"), (looks, sha256_of(task.path)), None, 60.0)  # noqa: B023

        marks = [time.perf_counter()]
        read_manifest(place / "study.csv")
        marks.append(time.perf_counter())
        batch_run.run_batch(place / "study.csv", place / "out", options, engine, analyzer=STUB)
        marks.append(time.perf_counter())
        again = partial(batch_run.run_batch, place / "study.csv", place / "out", options, engine, analyzer=STUB)
        looks = looked_at(again)
        marks.append(time.perf_counter())
        names = ("manifest", "first_run", "resume_and_tables")
        stages = {f"{name}_seconds": round(marks[n + 1] - marks[n], 2) for n, name in enumerate(names)}
        actual.append({"inputs": count, **stages, "looks_per_file_on_resume": looks / count})
    return actual


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60, help="mean length of a clip")
    parser.add_argument("--files", type=int, default=500, help="inputs of the measurement per file")
    parser.add_argument("--growth", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--skip-throughput", action="store_true")
    parser.add_argument("--only-two", action="store_true", help="no batches with one worker")
    parser.add_argument("extra", nargs="*", help="options of infer and batch, behind --")
    selection = parser.parse_args()
    machine = platform.processor() or platform.machine()
    report: dict[str, Any] = {"machine": machine, "cores": os.cpu_count(), "load_average": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        report["growth"] = growth(Path(name), selection.growth)
        report["per_file"] = per_file(Path(name) / "files", selection.files)
        if not selection.skip_throughput:
            report["throughput"] = throughput(
                Path(name), selection.clips, selection.seconds, selection.extra, not selection.only_two
            )
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
