"""Fixtures and rules of all tests: the shared folder, commands in subprocesses, markers, budgets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from checkout import ROOT, RunCommand, subprocess_environment

pytest_plugins = ["shared_fixtures", "page_fixtures"]

CI = os.environ.get("CI", "").lower() in ("true", "1")

# Threads that wait for each other must not spin: beside other processes that compute, tests of the networks would take
# ten times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Examples of a property: few while one works, many before a change is accepted.
hypothesis.settings.register_profile("default", max_examples=20, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if CI else "default"))


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
    if CI:
        pytest.fail(line)
    pytest.skip(line)


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
