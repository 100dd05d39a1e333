"""A batch driver in a subprocess that tests may kill: ``batch_driver.py IN OUT NOTES …``."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from batch_stub import STUB

from multimodal.batch import command as batch
from multimodal.batch import run as batch_run
from multimodal.batch.tasks import BatchOptions
from multimodal.batch.worker_process import Limits
from multimodal.console import run_command


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("notes")
    parser.add_argument("--engine", default="local")
    parser.add_argument("--address")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--memory", type=float, default=1.0)
    selection = parser.parse_args()
    options = BatchOptions(asr=selection.notes)
    limits = Limits(selection.timeout, int(selection.memory * 1e9), selection.retries)
    if selection.engine == "local":
        engine = batch_run.local_engine(limits, selection.workers)
    else:
        engine = batch_run.ray_engine(limits, selection.address, selection.workers, 0.0)

    run = partial(batch_run.run_batch, selection.source, selection.out, options, engine, analyzer=STUB)
    return run_command(lambda: batch.report(run, selection.out, quiet=False), [], "batch")


if __name__ == "__main__":
    sys.exit(main())
