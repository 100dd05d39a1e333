"""Downloads a part that does not ship with the package, once, with its hash pinned: ``multimodal fetch yunet``.

The only command that uses the network; everything else works without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multimodal.console import run_command
from multimodal.errors import ConfigError

PARTS = ("yunet",)
"""What can be had: YuNet, a face detector that is faster than the built-in one."""


def fetch(part: Annotated[str, typer.Argument(help="yunet: a face detector faster than the built-in one.")]) -> Path:
    """Downloads an optional part unless it is already there, and says where it lies.

    Args:
        part: One of ``PARTS``.

    Returns:
        Where the file lies.

    Raises:
        ConfigError: There is no such part.
        DependencyError: It could not be downloaded, or is not what was published.

    Example:
        >>> fetch("moon")
        Traceback (most recent call last):
            ...
        multimodal.errors.ConfigError: moon: is no part that can be fetched; choose from yunet
    """
    if part not in PARTS:
        raise ConfigError(part, "is no part that can be fetched", f"choose from {', '.join(PARTS)}")
    # Loaded here because the detectors bring OpenCV with them, and --help has no use for it.
    from multimodal.data.faces.detectors import fetch_yunet

    path = fetch_yunet()
    typer.echo(path)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(fetch, arguments, "fetch")


if __name__ == "__main__":
    raise SystemExit(main())
