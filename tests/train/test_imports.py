"""Training and evaluation import no library of inference, batches, videos or pages."""

from __future__ import annotations

import subprocess
import sys

import pytest
from checkout import ROOT, subprocess_environment

BLOCKED = ("av", "librosa", "moviepy", "ray", "faster_whisper", "silero_vad", "bokeh")

# Our own import statements are blocked, not those of others: torchmetrics imports librosa where it is installed.
PROGRAM = f"""
import builtins, importlib, pkgutil

usual = builtins.__import__

def checked(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {{}}).get("__name__", "")
    if importer.startswith("multimodal") and name.split(".")[0] in {BLOCKED!r}:
        raise ModuleNotFoundError(f"{{importer}} imports {{name}}", name=name)
    return usual(name, globals, locals, fromlist, level)

builtins.__import__ = checked
import multimodal.evaluate
import multimodal.train
for package in (multimodal.train, multimodal.evaluate):
    for module in pkgutil.iter_modules(package.__path__):
        if module.name != "__main__":
            importlib.import_module(f"{{package.__name__}}.{{module.name}}")
            print(module.name)
"""


@pytest.mark.slow
def test_training_and_evaluation_import_without_other_libraries() -> None:
    command = [sys.executable, "-c", PROGRAM]
    finished = subprocess.run(
        command, cwd=ROOT, env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert set(finished.stdout.split()) >= {"audio", "command", "config", "face", "fusion", "loop", "synthetic", "text"}
