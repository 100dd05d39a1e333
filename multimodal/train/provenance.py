"""The provenance of weights: the commit, and the weights that a training started from."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from multimodal.files import atomic_write


def origin_of(start: Path) -> dict[str, object]:
    """The card entry of the weights that a run started from, and of the run that produced them.

    Args:
        start: Weights that the run started from.

    Returns:
        Plain values for the card.
    """
    facts: dict[str, object] = {"file": start.name, "sha256": hashlib.sha256(start.read_bytes()).hexdigest()}
    if (start.parent / "commit.txt").exists() and (start.parent / "log.csv").exists():
        facts["commit"] = training_revision(start.parent)
        facts["epochs_run"] = len((start.parent / "log.csv").read_text(encoding="utf-8").splitlines()) - 1
    return facts


def training_revision(run: Path) -> str:
    """The commit at which a run started, stored in its folder so that a later continuation keeps it.

    Args:
        run: Folder of the run.

    Returns:
        The commit.
    """
    note = run / "commit.txt"
    if not note.exists():
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        try:
            commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        except FileNotFoundError:  # git is not installed
            commit = ""
        with atomic_write(note) as temporary:
            temporary.write_text(commit or "not in a checkout", encoding="utf-8")
    return note.read_text(encoding="utf-8")
