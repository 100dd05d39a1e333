"""``python -m multimodal.batch MANIFEST.csv --out results``: many recordings and texts, on one machine or a cluster.

A stopped batch continues when the same command runs again: inputs with a current result are not analyzed twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import (
    AsrOption,
    BaselineOption,
    DebugOption,
    DetectorOption,
    DeviceOption,
    FpsOption,
    LanguageOption,
    ModalitiesOption,
    ModelOption,
    QuietOption,
    print_error,
    print_line,
    run_command,
    status_line,
)
from multimodal.device import available_cores
from multimodal.errors import ConfigError, OutputError
from multimodal.infer.options import AnalysisOptions, parse_modalities

if TYPE_CHECKING:
    from multimodal.batch.run import BatchSummary

ENGINES = ("ray", "local")

MEMORY_GIGABYTES = 3.0
"""Default memory of a worker: all modalities, with whisper base, take 1.15 GB on 11 s of video."""


def batch(
    source: Annotated[
        Path, typer.Argument(help="Manifest of inputs (CSV or TSV), or a folder.", metavar="MANIFEST|FOLDER")
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Output directory; one subfolder per input.", readable=False)
    ],
    engine: Annotated[
        str, typer.Option(metavar="ENGINE", help="Engine: ray, or local (this machine without Ray).")
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Address of a Ray cluster to join, or auto (default: start one on this machine)."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Worker processes (default: as many as CPU and memory allow)."),
    ] = None,
    gpus_per_worker: Annotated[
        float, typer.Option(metavar="N", min=0, help="GPUs per worker; may be a fraction such as 0.5.")
    ] = 0.0,
    memory_per_worker: Annotated[
        float, typer.Option(metavar="GB", min=0.1, help="GB of memory that a worker may use.")
    ] = MEMORY_GIGABYTES,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Seconds that one input may take.")] = 4
    * 3600.0,
    retries: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Further attempts after an input crashed its worker or exceeded a limit."
        ),
    ] = 1,
    no_transcript: Annotated[
        bool,
        typer.Option("--no-transcript", help="Ignore transcript files next to the inputs (default: they are used)."),
    ] = False,
    asr: AsrOption = None,
    language: LanguageOption = None,
    modalities: ModalitiesOption = None,
    fps: FpsOption = None,
    detector: DetectorOption = "mtcnn",
    baseline: BaselineOption = "auto",
    device: DeviceOption = "auto",
    model: ModelOption = "default",
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Analyzes many recordings and texts, on this machine or a Ray cluster.

    Writes a folder per input as infer does, results.parquet, results.csv, utterances.parquet and summary.csv. Exit code
    0: all inputs were analyzed; 1: some inputs failed, results for the rest were written; 2: wrong usage; 130: stopped.
    Run the same command again to continue a stopped batch.
    """
    if engine not in ENGINES:
        raise ConfigError("--engine", f"invalid value {engine!r}", f"choose one of {', '.join(ENGINES)}")
    if engine == "local" and (address is not None or gpus_per_worker):
        fact = "local does not support --address or --gpus-per-worker"
        raise ConfigError("--engine", fact, "remove them or use --engine ray")
    analysis = AnalysisOptions(
        modalities=parse_modalities(modalities),
        sidecar_transcript=not no_transcript,
        language=language,
        frames_per_second=fps,
        detector=detector,
        baseline=baseline,
    )
    from multimodal.batch.run import default_workers, local_engine, ray_engine, run_batch
    from multimodal.batch.tasks import BatchOptions
    from multimodal.batch.worker_process import Limits

    memory = int(memory_per_worker * 1e9)
    count = workers or default_workers(memory)
    limits = Limits(timeout, memory, retries, max(1, available_cores() // count))
    if engine == "local":
        selected_engine = local_engine(limits, count)
    else:
        selected_engine = ray_engine(limits, address, workers if address else count, gpus_per_worker)
    options = BatchOptions(model, device, asr, analysis)
    code = report(partial(run_batch, source, out, options, selected_engine, status_line(quiet)), out, quiet)
    if code:
        raise typer.Exit(code)


def report(run: Callable[[], BatchSummary], out: Path, quiet: bool) -> int:
    """Runs a batch, prints its counts and errors, and returns the exit code.

    Args:
        run: Runs the batch.
        out: Folder of the results.
        quiet: Whether to print errors only.

    Returns:
        0 if every input succeeded, else the exit code of the failure.
    """
    from multimodal.batch.run import ManifestError

    try:
        summary = run()
    except ManifestError as error:
        for row in error.errors:
            print_error(str(row))
        return 2
    except OutputError as error:
        for note in getattr(error, "__notes__", ()):
            print(note, file=sys.stderr)
        raise
    if summary.interrupted:
        print(summary.stop_line, file=sys.stderr)
        return 130
    _print_summary(summary, out, quiet)
    return 1 if summary.errors else 0


def _print_summary(summary: BatchSummary, out: Path, quiet: bool) -> None:
    """Prints the counts and every failure."""
    if not quiet:
        before = f" ({summary.finished_before} of them before)" if summary.finished_before else ""
        done = summary.finished_before + summary.finished
        print_line(f"{done} done{before}, {len(summary.errors)} failed; written to {out}")
    for line in summary.errors.values():
        print_error(line)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(batch, arguments, "batch")
