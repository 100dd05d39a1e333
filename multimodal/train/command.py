"""``python -m multimodal.train face|audio|text|fusion|mosi``: trains one part, or runs the experiment on MOSI."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.console import DeviceOption, print_line, run_command, train_extra
from multimodal.errors import ConfigError

SUMMARY = """Trains one part of the recognizer on your own corpus.

Each part has its own options: multimodal train face --help. Exit code 0: done; 1: failed; 2: wrong usage."""

ConfigOption = Annotated[
    Path, typer.Option(metavar="FILE", help="TOML file with all settings of the run; configs/ has one per part.")
]
RunOption = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER", help="Output directory: checkpoints, log, weights. A stopped run continues from it."
    ),
]
NameOption = Annotated[
    str, typer.Option(metavar="NAME", help="Name of the weights file, without suffix (default: network.corpus-v1).")
]
StartOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Start from the best.safetensors of an earlier run (default: no earlier run)."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show no progress bar (default: shown on a terminal).")]


def face(
    config: ConfigOption,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Directory of FER+.")],
    run: RunOption,
    name: NameOption = "",
    start: StartOption = None,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Trains the face encoder on FER+.

    Example: multimodal train face --config configs/face.toml --data ferplus --run runs/face
    """
    with train_extra("training"):
        from multimodal.train.face import train_face

        train_face(config, data, run, name=name, device=device, quiet=_without_bar(quiet), start=start)


def audio(
    config: ConfigOption,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Directory with one subfolder per speech corpus.")],
    run: RunOption,
    name: NameOption = "",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Trains the audio encoder on speech corpora, with speaker-independent cross-validation.

    Example: multimodal train audio --config configs/audio.toml --data voices --run runs/audio
    """
    with train_extra("training"):
        from multimodal.train.audio import train_audio

        train_audio(config, data, run, name=name, device=device, quiet=_without_bar(quiet))


def text(
    config: ConfigOption,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Directory of GoEmotions.")],
    run: RunOption,
    base: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Directory of all-MiniLM-L6-v2 (default: the installed package)."),
    ] = None,
    polarity: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Directory of CMU-MOSI, to calibrate on real talk as well (default: not used)."
        ),
    ] = None,
    name: NameOption = "",
    start: StartOption = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights whose estimates replace the labels of comments (default: those of --start).",
        ),
    ] = None,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Trains the text encoder on GoEmotions, and on usability talk where the configuration says so.

    Example: multimodal train text --config configs/text.toml --data goemotions --run runs/text
    """
    with train_extra("training"):
        from multimodal.train.text.training import train_text

        train_text(
            config,
            data,
            run,
            name=name,
            device=device,
            quiet=_without_bar(quiet),
            base=base,
            start=start,
            polarity=polarity,
            teacher=teacher,
        )


def fusion(
    config: ConfigOption,
    run: RunOption,
    faces: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Directory of FER+ (required without --data).")
    ] = None,
    voices: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Directory with one subfolder per speech corpus (required without --data)."
        ),
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Directory of GoEmotions (required without --data).")
    ] = None,
    voice_run: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Run directory of the audio training (required without --data)."),
    ] = None,
    votes: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Directory of CREMA-D's votes (required if judged_share is above 0)."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="IEMOCAP_full_release, to train on IEMOCAP (default: synthetic utterances)."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FOLDER", help="Encoders to use with synthetic utterances: shipped name or a folder."
        ),
    ] = "default",
    name: NameOption = "",
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Trains the fusion head on synthetic utterances, or fusion networks on IEMOCAP.

    Synthetic utterances combine a face, a voice clip and a comment with the same label; they need --faces, --voices,
    --texts and --voice-run. IEMOCAP needs --data alone.
    """
    sources = {"--faces": faces, "--voices": voices, "--texts": texts, "--voice-run": voice_run}
    _check_sources(data, sources if votes is None or data is None else {**sources, "--votes": votes})
    quiet = _without_bar(quiet)
    with train_extra("training"):
        if data is None:
            from multimodal.train.fusion import Sources, train_fusion

            first, second, third, fourth = (path for path in sources.values() if path is not None)
            corpora = Sources(first, second, third, fourth, votes)
            train_fusion(config, corpora, run, name=name, device=device, quiet=quiet, model=model)
        else:
            from multimodal.iemocap.results import results_table
            from multimodal.iemocap.train import train_iemocap

            print_line(results_table(train_iemocap(config, data, run, device=device, quiet=quiet)))


def mosi(
    config: ConfigOption,
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Directory of MOSI's words.csv, audio.csv, face.csv.")],
    run: RunOption,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Compares fusion networks, late baselines and single signals on MOSI, by cross-validation over videos.

    Example: multimodal train mosi --config configs/mosi.toml --data mosi --run runs/mosi
    """
    with train_extra("training"):
        from multimodal.mosi.results import results_table
        from multimodal.mosi.train import train_mosi

        print_line(results_table(train_mosi(config, data, run, device=device, quiet=_without_bar(quiet))))


COMMANDS: dict[str, Callable[..., Any]] = {
    "face": face,
    "audio": audio,
    "text": text,
    "fusion": fusion,
    "mosi": mosi,
}
"""The parts and their commands, and the experiment on MOSI."""


def _without_bar(quiet: bool) -> bool:
    return quiet or not sys.stderr.isatty()


def _check_sources(data: Path | None, sources: Mapping[str, Path | None]) -> None:
    """Accepts either IEMOCAP or all corpora of synthetic utterances."""
    present = [option for option, path in sources.items() if path is not None]
    missing = [option for option, path in sources.items() if path is None]
    if data is not None and present:
        fact = "is for synthetic utterances and cannot be combined with --data"
        raise ConfigError(present[0], fact, f"remove --data, or remove {' and '.join(present)}")
    if data is None and missing:
        remedy = f"add {', '.join(missing)} for synthetic utterances, or only --data for IEMOCAP"
        raise ConfigError(missing[0], "is missing", remedy)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(COMMANDS, arguments, "train", SUMMARY)
