"""``python -m multimodal.report PATH...``: a page per recording, to watch it beside what was found, from disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import print_error, print_line, process_each, progress_bar, run_command, status_line
from multimodal.errors import ConfigError, InputMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multimodal.outputs import Outputs


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders that infer or batch has written, or analysis.json files.", metavar="PATH..."),
    ],
    media: Annotated[Path | None, typer.Option(help="The recording, where it has moved.", readable=False)] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Write the video with what was seen drawn in.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Write timeline and summary as PNG and SVG.")] = False,
    export: Annotated[str | None, typer.Option(help="Formats to write, of vtt,srt,eaf,textgrid,parquet,jsonl.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Writes report.html, and what else is wanted, into a folder of results: a page that works from disk.

    Of a folder that batch has written it is the page of the whole study. Exit code 0: all were written; 1: some
    failed, the others are written; 2: wrong usage.
    """
    paths = [each for path in paths for each in _results(path)]
    if media is not None and len(paths) > 1:
        raise ConfigError("--media", f"is one file for {len(paths)} reports", "report on them one by one")
    if media is not None and not media.is_file():
        raise InputMissingError(media, "is no file", "name the recording")
    from multimodal.outputs import parse_outputs

    extras = parse_outputs(True, overlay, plot, export)
    process_each(paths, lambda path: _tell(_write(path, media, extras, quiet), quiet), debug)


def _tell(made: Iterable[Path | str | Exception], quiet: bool) -> int:
    """Names what was written; returns how much could not be."""
    failures = 0
    for each in made:
        if isinstance(each, Exception):
            failures += 1
            print_error(str(each))
        elif not quiet:
            print_line(str(each))
    return failures


def _write(path: Path, media: Path | None, extras: Outputs, quiet: bool) -> Iterable[Path | str | Exception]:
    if path.is_dir() and (path / "results.parquet").is_file():
        if media is not None:
            raise ConfigError("--media", f"is one recording, and {path} holds a study", "leave it out")
        if extras.overlay or extras.plot or extras.formats:
            fact = f"are of one recording, and {path} holds a study"
            raise ConfigError("--overlay, --plot and --export", fact, "name the folders in it")
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
    notes, folder = (
        [f"{path}: {line}" for line in not_applicable(analysis, extras)],
        path if path.is_dir() else path.parent,
    )
    with progress_bar(f"{analysis.media.path.name}: overlay", quiet or not extras.overlay) as progress:
        return [*notes, *write_outputs(analysis, folder, extras, media, progress)]


def _results(path: Path) -> list[Path]:
    """The path itself, or the results in it where it is the folder of a folder per input that infer writes."""
    if not path.is_dir() or any((path / name).is_file() for name in ("analysis.json", "results.parquet")):
        return [path]
    return sorted(file.parent for file in path.glob("*/analysis.json")) or [path]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(report, arguments, "report")
