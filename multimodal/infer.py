"""``python -m multimodal.infer INPUT...``: which emotions a recording shows, when, and how surely."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.commands import DeviceOption, complain, guarded, say
from multimodal.errors import ConfigError, MultimodalError, OutputError
from multimodal.files import path_text

if TYPE_CHECKING:
    from multimodal.analysis import Analysis
    from multimodal.model import Model, ProgressCallback


def infer(
    inputs: Annotated[list[Path], typer.Argument(help="Video files.", metavar="INPUT...", readable=False)],
    out: Annotated[Path, typer.Option(help="Folder for a folder per input.", readable=False)] = Path("results"),
    modalities: Annotated[str, typer.Option(help="Signals to read, separated by commas; this version: face.")] = "face",
    fps: Annotated[float, typer.Option(min=0.01, max=240, help="Pictures judged per second.")] = 5.0,
    detector: Annotated[str, typer.Option(help="mtcnn, yunet, haar, or a YuNet .onnx file.")] = "mtcnn",
    device: DeviceOption = "auto",
    model: Annotated[str, typer.Option(help="Name of shipped weights, a file or a folder.")] = "default",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Says which emotions recordings show, when, and how surely.

    Writes analysis.json, frames.csv and utterances.csv for each input. Exit code 0: all inputs were analysed; 1: some
    failed, the others are written; 2: wrong usage.
    """
    from multimodal.model import check_modalities, load_detector_for, load_model

    signals = tuple(part.strip() for part in modalities.split(",") if part.strip())
    check_modalities(signals)
    load_detector_for(detector)
    loaded = load_model(model, device)
    _check_output(out)
    options = {"modalities": signals, "frames_per_second": fps, "detector": detector}
    taken: set[Path] = set()
    failures = 0
    for path in inputs:
        try:
            _analyse(loaded, path, out, taken, options, quiet)
        except ConfigError:
            raise
        except MultimodalError as error:
            failures += 1
            complain(str(error))
            if debug:
                traceback.print_exc()
        except Exception as error:
            # A fault of ours must not cost the user the other inputs.
            failures += 1
            complain(f"{path}: unexpected {type(error).__name__}: {error}; please report it")
            if debug:
                traceback.print_exc()
    if failures:
        raise typer.Exit(1)


def _analyse(model: Model, path: Path, out: Path, taken: set[Path], options: dict[str, Any], quiet: bool) -> None:
    with _progress_bar(path.name, hidden=quiet or not sys.stderr.isatty()) as progress:
        analysis = model.analyze(path, **options, progress=progress)
    folder = result_folder(out, path, taken)
    taken.add(folder)
    analysis.save(folder)
    if not quiet:
        say(_table(analysis, folder))


def _check_output(out: Path) -> None:
    """Finds out before the work, not after it, that results cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except FileExistsError:
        raise OutputError(out, "is a file", "choose a folder with --out") from None
    except OSError as error:
        raise OutputError(out, f"cannot be written ({error.strerror})", "choose another folder with --out") from error


def result_folder(out: Path, path: Path, taken: set[Path]) -> Path:
    """Chooses the folder of one input: its stem, or with a number where another recording's results stand there.

    Args:
        out: Folder of all results.
        path: The input.
        taken: Folders given away in this run.

    Returns:
        A folder inside ``out``; that of an earlier result of the same path is used again.

    Example:
        >>> result_folder(Path("results"), Path("a/talk.mp4"), {Path("results/talk")}).name
        'talk-2'
    """
    name = path.stem if path.stem.strip(".") else path.name  # the stem of "...mp4" is "..", the folder above
    number, folder = 1, out / name
    while folder in taken or not _is_free(folder, path):
        number += 1
        folder = out / f"{name}-{number}"
    return folder


def _is_free(folder: Path, path: Path) -> bool:
    try:
        media = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))["media"]
        # analysis.json holds file names as text, which those of undecodable bytes are not.
        return bool(Path(media["path"]).absolute() == Path(path_text(path)).absolute())
    except (NotADirectoryError, PermissionError, ValueError, KeyError, TypeError):
        return False
    except OSError:  # nothing is there; or the name is too long, which saving will say
        return True


@contextmanager
def _progress_bar(name: str, hidden: bool) -> Iterator[ProgressCallback | None]:
    if hidden:
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(name), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _table(analysis: Analysis, folder: Path) -> str:
    summary, coverage, media = analysis.summary, analysis.coverage, analysis.media
    lines = [f"{media.path.name}  {_clock(media.duration_seconds)}  face seen {coverage['face']:.0%} of the time"]
    for label, share in sorted((summary["shares"] or {}).items(), key=lambda item: -item[1]):
        if share >= 0.005:
            lines.append(f"  {label:10} {share:5.0%}  {'█' * round(share * 30)}")
    lines += [f"  warning: {warning}" for warning in analysis.warnings]
    lines.append(f"  written to {folder}")
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(infer, arguments, "infer")


if __name__ == "__main__":
    raise SystemExit(main())
