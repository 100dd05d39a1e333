"""Devices: the meaning of ``auto``, invalid names, and the number of available cores."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from checkout import subprocess_environment

from multimodal.device import available_cores, choose_device
from multimodal.errors import ConfigError


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, True, "cuda")],
)
def test_auto_prefers_a_gpu(cuda: bool, mps: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == device
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_missing_gpu_names_the_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    assert str(caught.value) == f"--device: {name} is not available on this machine; use --device auto"


def test_unknown_device_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="--device: invalid value 'gpu'; choose one of auto, cpu, cuda, mps"):
        choose_device("gpu")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot restrict a process to cores")
def test_cores_are_those_of_the_process() -> None:
    assert available_cores() == len(os.sched_getaffinity(0))
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from multimodal.device import available_cores; print(available_cores())"
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert finished.stdout == "1\n", finished.stderr
