"""``python -m multimodal.batch MANIFEST.csv --out results``: a pile of recordings and answers, losing nothing.

A stopped batch goes on when the same command is given again: what is finished and still true is not done twice.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from multimodal.batch.run import BatchSummary, ShowLine, cores, fitting_workers, local_engine, ray_engine, score_all
from multimodal.console import DeviceOption, print_error, print_line, run_command
from multimodal.errors import ConfigError

ENGINES = ("ray", "local")

MEMORY_GIGABYTES = 3.0
"""What a worker may take by default: everything together, with whisper base, takes 1.15 on 11 s of video."""


def batch(
    source: Annotated[Path, typer.Argument(help="Table of inputs (CSV, TSV), or a folder.", metavar="MANIFEST|FOLDER")],
    out: Annotated[Path, typer.Option(help="Folder of all results.", readable=False)],
    engine: Annotated[str, typer.Option(help="ray, or local: this machine without Ray.")] = "ray",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, or auto; by default one is started.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default what cores and memory hold.")
    ] = None,
    gpus_per_worker: Annotated[float, typer.Option(min=0, help="GPUs of each worker, as 0.5.")] = 0.0,
    memory_per_worker: Annotated[float, typer.Option(min=0.1, help="GB that a worker may take.")] = MEMORY_GIGABYTES,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one input may take.")] = 4 * 3600.0,
    retries: Annotated[int, typer.Option(min=0, help="New attempts when an input took its worker down.")] = 1,
    no_transcript: Annotated[bool, typer.Option("--no-transcript", help="Take none that lies beside.")] = False,
    asr: Annotated[str | None, typer.Option(help="Speech-to-text: a folder, a size such as base, or none.")] = None,
    modalities: Annotated[str | None, typer.Option(help="Signals to read, of face,audio,text; by default all.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, max=240, help="Pictures judged per second.")] = 5.0,
    detector: Annotated[str, typer.Option(help="mtcnn, yunet, haar, or a YuNet .onnx file.")] = "mtcnn",
    device: DeviceOption = "auto",
    model: Annotated[str, typer.Option(help="Shipped weights by name, a file, or a folder.")] = "default",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Scores a pile of recordings and typed answers, on this machine or a Ray cluster.

    Writes a folder per input as infer does, results.parquet, results.csv, utterances.parquet and summary.csv. Exit code
    0: all were scored; 1: some failed; 2: wrong usage; 130: stopped. Given again, the command goes on where it was.
    """
    from multimodal.batch.tasks import BatchOptions
    from multimodal.batch.worker import Limits

    if engine not in ENGINES:
        raise ConfigError("--engine", f"is {engine!r}", f"choose one of {', '.join(ENGINES)}")
    if engine == "local" and (address is not None or gpus_per_worker):
        raise ConfigError("--engine", "local knows neither --address nor --gpus-per-worker", "leave them or it out")
    signals = None if modalities is None else tuple(filter(None, map(str.strip, modalities.split(","))))
    options = BatchOptions(signals, fps, detector, model, device, asr, not no_transcript)
    memory = int(memory_per_worker * 1e9)
    count = workers or fitting_workers(memory)
    limits = Limits(timeout, memory, retries, max(1, cores() // count))
    if engine == "local":
        run = local_engine(options, limits, count)
    else:
        run = ray_engine(options, limits, address, workers if address else count, gpus_per_worker)
    report = score_all(source, out, options, run, _show(quiet))
    _print_summary(report, out, quiet)
    if report.errors:
        raise typer.Exit(1)


def _print_summary(report: BatchSummary, out: Path, quiet: bool) -> None:
    """The last lines: counts, where it is, and then every failure."""
    if not quiet:
        before = f" ({report.kept} of them before)" if report.kept else ""
        print_line(f"{report.kept + report.done} done{before}, {len(report.errors)} failed; written to {out}")
    for line in report.errors.values():
        print_error(line)


def _show(quiet: bool) -> ShowLine | None:
    """Draws one line over and over; None where nobody watches."""
    if quiet or not sys.stderr.isatty():
        return None
    return lambda line: print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(batch, arguments, "batch")
