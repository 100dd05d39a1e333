"""A driver with the cheap analysis, in a process of its own that tests may kill: ``batch_driver.py IN OUT NOTES …``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from batch_stub import STUB

from multimodal.batch import command as batch
from multimodal.batch import run as batch_run
from multimodal.batch.tasks import BatchOptions
from multimodal.batch.worker import Limits
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
    chosen = parser.parse_args()
    options = BatchOptions(detector=chosen.notes, analysis=STUB)
    limits = Limits(chosen.timeout, int(chosen.memory * 1e9), chosen.retries)
    if chosen.engine == "local":
        run = batch_run.local_engine(options, limits, chosen.workers)
    else:
        run = batch_run.ray_engine(options, limits, chosen.address, chosen.workers, 0.0)

    def command() -> int:
        report = batch_run.score_all(chosen.source, chosen.out, options, run)
        batch._print_summary(report, chosen.out, False)
        return int(bool(report.errors))

    return run_command(command, [], "batch")


if __name__ == "__main__":
    sys.exit(main())
