"""``python -m multimodal.train face --config FILE …``: trains one part and writes weights with their card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import DeviceOption, guarded
from multimodal.errors import DependencyError

STAGES = ("face",)


def train(
    stage: Annotated[str, typer.Argument(help=f"Which part: {', '.join(STAGES)}.")],
    config: Annotated[Path, typer.Option(help="TOML file with every setting of the run.")],
    data: Annotated[Path, typer.Option(help="Folder of the corpus (face: FER+).")],
    run: Annotated[Path, typer.Option(help="Folder for checkpoints and the log; a stopped run goes on from there.")],
    name: Annotated[str, typer.Option(help="Write the weights as RUN/NAME.safetensors.")] = "",
    start: Annotated[Path | None, typer.Option(help="Start from the best.safetensors of another run.")] = None,
    device: DeviceOption = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Trains one part of the recogniser on a corpus of your own."""
    if stage not in STAGES:
        raise typer.BadParameter(f"is {stage!r}; choose one of {', '.join(STAGES)}", param_hint="STAGE")
    try:
        from multimodal.train_face import train_face
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{error.name}", "is not installed, and training needs it", "pip install 'multimodal-emotion[train]'"
        ) from None
    train_face(config, data, run, name=name, device=device, quiet=quiet or not sys.stderr.isatty(), start=start)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(train, arguments, "train")


if __name__ == "__main__":
    raise SystemExit(main())
