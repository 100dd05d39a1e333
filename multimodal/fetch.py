"""Downloads a part that does not ship with the package, once, with its hash pinned: ``multimodal fetch yunet``.

The only command that uses the network; everything else works without.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from multimodal.cli import Parser, run

PARTS = ("yunet",)
"""What can be had: YuNet, a face detector that is faster than the built-in one."""


def fetch(part: str) -> Path:
    """Downloads one part unless it is already there.

    Args:
        part: One of ``PARTS``.

    Returns:
        Where the file lies.

    Raises:
        DependencyError: It could not be downloaded, or is not what was published.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {PARTS}, got {part!r}")
    # Loaded here because the detectors bring OpenCV with them, and --help has no use for it.
    from multimodal.data.detectors import fetch_yunet

    return fetch_yunet()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = Parser(prog="multimodal fetch", description="Download an optional part once.")
    parser.add_argument("part", choices=PARTS, help="yunet: a face detector faster than the built-in one")
    options = parser.parse_args(arguments)

    def job() -> None:
        print(fetch(options.part))

    return run(job)


if __name__ == "__main__":
    sys.exit(main())
