"""``python -m multimodal.clips ANALYSIS``: the strongest moments of a recording as short clips, or as one reel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import print_line, progress_bar, run_command
from multimodal.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multimodal.video.clips import Cut

KINDS = ("peak", "change", "disagreement")
"""As in ``moments``, which takes a while to load."""

FOLDER = "clips"


def clips(
    analysis: Annotated[
        Path,
        typer.Argument(help="Folder that infer has written, or analysis.json.", metavar="ANALYSIS", readable=False),
    ],
    top: Annotated[int, typer.Option(min=1, max=99, help="How many moments at most.")] = 5,
    reel: Annotated[bool, typer.Option("--reel", help="One reel.mp4 with captions instead of a clip each.")] = False,
    kind: Annotated[list[str] | None, typer.Option(help="Only these: peak, change, disagreement; repeatable.")] = None,
    padding: Annotated[float, typer.Option(min=0, max=60, help="Seconds added before and after each.")] = 1.0,
    media: Annotated[
        Path | None, typer.Option(help="The recording, where it no longer lies where it was.", readable=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; by default clips beside analysis.json.", readable=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Cuts the strongest moments of a recording into short clips.

    Writes clips, or with --reel one video with captions, and clips.csv, which lists them. Exit code 0: done, also where
    no moment is strong enough and the list is empty; 1: failed; 2: wrong usage.
    """
    for name in kind or ():
        if name not in KINDS:
            raise ConfigError("--kind", f"is {name!r}", f"choose from {', '.join(KINDS)}")
    from multimodal.analysis.loading import read_analysis
    from multimodal.video.clips import TABLE, cut_clips

    given = read_analysis(analysis)
    folder = out or (analysis if analysis.is_dir() else analysis.parent) / FOLDER
    if out is None and folder.is_symlink():
        raise OutputError(folder, "is a link, perhaps out of the results", "remove it, or name its target with --out")
    kinds = [name for name in KINDS if not kind or name in kind]
    with progress_bar(given.media.path.name, quiet) as bar:
        cuts = cut_clips(
            given, folder, count=top, kinds=kinds, padding_seconds=padding, reel=reel, media=media, progress=bar
        )
    if quiet:
        return
    if not cuts:
        asked = " or ".join(kinds)
        print_line(
            f"{given.media.path.name}: nothing is strong enough to be a {asked}; {folder / TABLE} is an empty list"
        )
        return
    print_line("\n".join(_lines(cuts, folder)))


def _lines(cuts: Sequence[Cut], folder: Path) -> list[str]:
    """What was cut, a line each, and where it is."""
    from multimodal.formatting import range_text

    lines = []
    for cut in cuts:
        moment = cut.moment
        when = range_text(moment.start_seconds, moment.end_seconds)
        lines.append(f"  {when:15}  {moment.kind:12}  {moment.why}")
    files = sorted({cut.file.name for cut in cuts})
    many = f"{len(files)} clips" if len(files) > 1 else files[0]
    return [*lines, f"  {many} written to {folder}"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(clips, arguments, "clips")


if __name__ == "__main__":
    raise SystemExit(main())
