"""``python -m multimodal.clips ANALYSIS``: cuts the strongest moments of a recording into short clips or one reel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import (
    DebugOption,
    QuietOption,
    print_line,
    progress_bar,
    run_command,
)
from multimodal.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multimodal.video.clips import Cut

KINDS = ("peak", "change", "disagreement", "problem")
"""Kinds of moments, the same as in ``multimodal.analysis.moments``, which is slow to import."""

FOLDER = "clips"
"""Default output directory, next to ``analysis.json``."""


def clips(
    analysis: Annotated[
        Path,
        typer.Argument(help="Result directory of infer, or its analysis.json.", metavar="ANALYSIS", readable=False),
    ],
    top: Annotated[int, typer.Option(metavar="N", min=1, max=99, help="Maximum number of moments.")] = 5,
    reel: Annotated[
        bool, typer.Option("--reel", help="Write one reel.mp4 with captions (default: one clip per moment).")
    ] = False,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Kind of moment: peak, change, disagreement or problem; repeatable (default: all).",
        ),
    ] = None,
    padding: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, max=60, help="Seconds added before and after each moment."),
    ] = 1.0,
    media: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The recording, if it has moved (default: path in the analysis).", readable=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Output directory (default: clips next to analysis.json).", readable=False),
    ] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Cuts the strongest moments of a recording into short clips.

    Writes one clip per moment, or with --reel one video with captions, and the list clips.csv. Exit code 0: done, also
    if no moment is strong enough; 1: failed; 2: wrong usage.
    """
    for name in kind or ():
        if name not in KINDS:
            raise ConfigError("--kind", f"invalid value {name!r}", f"choose one of {', '.join(KINDS)}")
    from multimodal.analysis.loading import read_analysis
    from multimodal.formatting import join_names
    from multimodal.video.clips import TABLE, cut_clips

    source = read_analysis(analysis)
    folder = out or (analysis if analysis.is_dir() else analysis.parent) / FOLDER
    if out is None and folder.is_symlink():
        raise OutputError(
            folder, "is a symbolic link, possibly to outside the results", "remove it, or pass its target with --out"
        )
    kinds = [name for name in KINDS if not kind or name in kind]
    with progress_bar(source.media.path.name, quiet) as bar:
        cuts = cut_clips(
            source, folder, count=top, kinds=kinds, padding_seconds=padding, reel=reel, media=media, progress=bar
        )
    if quiet:
        return
    if not cuts:
        print_line(
            f"{source.media.path.name}: no {join_names(kinds, 'or')} is strong enough; {folder / TABLE} is empty"
        )
        return
    print_line("\n".join(_lines(cuts, folder)))


def _lines(cuts: Sequence[Cut], folder: Path) -> list[str]:
    """One line per moment, and one with the output directory."""
    from multimodal.formatting import range_text, tenths_time

    lines = []
    for cut in cuts:
        moment = cut.moment
        when = range_text(moment.start_seconds, moment.end_seconds)
        at = "" if moment.change_seconds is None else f" at {tenths_time(moment.change_seconds)}"
        lines.append(f"  {when:15}  {moment.kind:12}  {moment.why}{at}")
    files = sorted({cut.file.name for cut in cuts})
    count = f"{len(files)} clips" if len(files) > 1 else files[0]
    return [*lines, f"  {count} written to {folder}"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(clips, arguments, "clips")


if __name__ == "__main__":
    raise SystemExit(main())
