"""What several test files need: the shared folder, commands in a process of their own, the GPU rule."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("multimodal", "encoders", "fusion", "data")

RunCommand = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``gpu`` is skipped where there is no CUDA device, unless one is expected: then it fails."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("MULTIMODAL_EXPECT_GPU") == "1":
        pytest.fail("MULTIMODAL_EXPECT_GPU=1 but torch finds no CUDA device")
    pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder with clips and corpora: beside the checkout, or where MULTIMODAL_SHARED says."""
    folder = Path(os.environ.get("MULTIMODAL_SHARED") or ROOT.parent / "shared")
    if folder.is_dir():
        return folder
    line = f"there is no folder {folder}; put shared/ beside the checkout or set MULTIMODAL_SHARED"
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(line)
    pytest.skip(line)


def subprocess_environment(path: str | Path = ROOT, **extra: str) -> dict[str, str]:
    """The environment of a command under test: imports from ``path``, and a network that answers nobody."""
    nowhere = "http://127.0.0.1:9"  # the discard port: refused at once
    network = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere)
    offline = {"HF_HUB_OFFLINE": "1", "no_proxy": "", "NO_PROXY": ""}
    return {**os.environ, **network, **offline, "PYTHONPATH": str(path), "PYTHONIOENCODING": "utf-8", **extra}


@pytest.fixture(scope="session")
def run_cli() -> RunCommand:
    """Runs ``python -m multimodal.<job>`` in a process of its own: ``run_cli("infer", "a.mp4", cwd=tmp_path)``."""

    def run(
        job: str,
        *arguments: str | Path,
        cwd: str | Path | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 600,
        preexec: Callable[[], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"multimodal.{job}", *map(str, arguments)],
            cwd=cwd,
            env=subprocess_environment(**(env or {})),
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            preexec_fn=preexec,
        )

    return run
