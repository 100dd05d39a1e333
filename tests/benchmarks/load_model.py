"""Measures ``multimodal.load_model()`` in a fresh process: ``python tests/benchmarks/load_model.py``.

Prints JSON: medians of ``--rounds`` processes, for all parts and for each signal alone. What starting the interpreter
takes is not counted, importing the package is. The first process, which may read files from disk that later ones find
in memory, stands apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CODE = """
import json, time
begun = time.perf_counter()
import multimodal
model = multimodal.load_model(device="cpu")
print(json.dumps({"seconds": time.perf_counter() - begun, "parts": {p: w.name for p, w in model.parts.items()}}))
"""


def measured(modalities: str | None = None) -> dict[str, object]:
    """One fresh process: seconds, and which parts it loaded."""
    code = CODE if modalities is None else CODE.replace('"cpu"', f'"cpu", modalities=["{modalities}"]')
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    actual: dict[str, object] = json.loads(finished.stdout)
    return actual


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    first = measured()
    figures: dict[str, object] = {"parts": first["parts"], "cores": len(os.sched_getaffinity(0)), "rounds": rounds}
    figures["first_seconds"] = round(float(str(first["seconds"])), 2)
    for modalities in (None, "face", "audio", "text"):
        seconds = [float(str(measured(modalities)["seconds"])) for _ in range(rounds)]
        figures[f"{modalities or 'all'}_seconds"] = round(statistics.median(seconds), 2)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
