"""The path of the checkout, and commands in subprocesses that import from it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("multimodal", "encoders", "fusion", "data")
HELPERS = ROOT / "tests" / "helpers"
REFERENCE = ROOT / "tests" / "reference"
"""Files that other programs made; see ``tests/reference_scripts``."""

RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]


def subprocess_environment(path: str | Path = ROOT, **extra: str) -> dict[str, str]:
    """The environment of a command under test: imports from ``path``, and a network that answers nobody."""
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    network = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere)
    offline = {"HF_HUB_OFFLINE": "1", "no_proxy": "", "NO_PROXY": ""}
    return {**os.environ, **network, **offline, "PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8", **extra}


def with_helpers() -> str:
    """The search path of a process that imports the package and the tests' helpers."""
    return f"{ROOT}{os.pathsep}{HELPERS}"


def without_privileges() -> None:
    """Makes permission bits count for root as for everybody: takes its right to ignore them from the command."""
    if os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH; 24 is PR_CAPBSET_DROP
        if library.prctl(24, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "root keeps its privileges: run the tests as somebody else")


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # Linux says so when the other end is closed
        return b""
