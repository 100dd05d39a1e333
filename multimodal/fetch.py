"""``python -m multimodal.fetch PART``: downloads an optional component once and checks its hash.

This is the only command that uses the network.
"""

from __future__ import annotations

from typing import Annotated

import typer

from multimodal.console import print_line, run_command
from multimodal.errors import ConfigError

PARTS = ("yunet",)
"""Components that can be downloaded: YuNet, a face detector that is faster than the built-in one."""


def fetch(
    part: Annotated[
        str,
        typer.Argument(metavar="PART", help="Component to download: yunet, a face detector faster than the default."),
    ],
) -> None:
    """Downloads an optional component, unless it is already there, and prints its path.

    Exit code 0: done; 1: the download failed; 2: wrong usage.
    """
    if part not in PARTS:
        raise ConfigError(part, "unknown component", f"choose one of {', '.join(PARTS)}")
    # Imported here because the detectors import OpenCV, which --help does not need.
    from multimodal.data.faces.detectors import fetch_yunet

    print_line(str(fetch_yunet()))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(fetch, arguments, "fetch")


if __name__ == "__main__":
    raise SystemExit(main())
