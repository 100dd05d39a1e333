"""``python -m multimodal.report PATH...``: writes the HTML page of each recording, or of a whole study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import (
    DebugOption,
    OverlayOption,
    PlotOption,
    QuietOption,
    print_error,
    print_line,
    process_each,
    progress_bar,
    run_command,
    status_line,
)
from multimodal.errors import ConfigError, InputMissingError
from multimodal.export.formats import EXPORT_HELP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multimodal.outputs import Outputs


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Result directories of infer or batch, or analysis.json files.", metavar="PATH"),
    ],
    media: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The recording, if it has moved (default: path in the analysis).", readable=False
        ),
    ] = None,
    overlay: OverlayOption = False,
    plot: PlotOption = False,
    export: Annotated[str | None, typer.Option(metavar="FORMATS", help=EXPORT_HELP)] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Writes report.html, and other outputs if requested, into each result directory.

    For a result directory of batch, writes the page of the whole study. Exit code 0: all files were written; 1: some
    failed, the others were written; 2: wrong usage.
    """
    paths = [each for path in paths for each in _results(path)]
    if media is not None and len(paths) > 1:
        raise ConfigError("--media", f"is one file, but there are {len(paths)} reports", "write them one by one")
    if media is not None and not media.is_file():
        raise InputMissingError(media, "file not found", "pass the path of the recording")
    from multimodal.outputs import parse_outputs

    outputs = parse_outputs(True, overlay, plot, export)
    process_each(paths, lambda path: _print_results(_write(path, media, outputs, quiet), quiet), debug)


def _print_results(results: Iterable[Path | str | Exception], quiet: bool) -> int:
    """Prints written files, notes and errors; returns the number of errors."""
    failures = 0
    for each in results:
        if isinstance(each, Exception):
            failures += 1
            print_error(str(each))
        elif not quiet:
            print_line(str(each))
    return failures


def _write(path: Path, media: Path | None, outputs: Outputs, quiet: bool) -> Iterable[Path | str | Exception]:
    if path.is_dir() and (path / "results.parquet").is_file():
        if media is not None:
            raise ConfigError("--media", f"is one recording, but {path} is a study", "remove --media")
        if outputs.overlay or outputs.plot or outputs.formats:
            fact = f"need one recording, but {path} is a study"
            raise ConfigError("--overlay, --plot and --export", fact, "pass the directories inside it")
        from multimodal.study.page import write_study

        problems: list[str] = []
        page = write_study(path, status_line(quiet), problems.append)
        return [page, *map(RuntimeError, problems)]
    from multimodal.analysis.loading import read_analysis
    from multimodal.analysis.recording import relocate
    from multimodal.outputs import not_applicable, write_outputs

    analysis = read_analysis(path)
    if media is not None:
        analysis = relocate(analysis, media)
    notes = [f"{path}: {line}" for line in not_applicable(analysis, outputs)]
    folder = path if path.is_dir() else path.parent
    with progress_bar(f"{analysis.media.path.name}: overlay", quiet or not outputs.overlay) as progress:
        return [*notes, *write_outputs(analysis, folder, outputs, media, progress)]


def _results(path: Path) -> list[Path]:
    """The path itself, or the result directories in an output directory of infer."""
    if not path.is_dir() or any((path / name).is_file() for name in ("analysis.json", "results.parquet")):
        return [path]
    return sorted(file.parent for file in path.glob("*/analysis.json")) or [path]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(report, arguments, "report")
