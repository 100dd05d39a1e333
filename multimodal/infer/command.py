"""``python -m multimodal.infer INPUT...``: which emotions a recording shows, when, and how surely."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.console import DeviceOption, print_error, print_line, process_each, progress_bar, run_command
from multimodal.errors import ConfigError, MultimodalError, OutputError
from multimodal.files import path_text
from multimodal.formatting import SOURCES, percent

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.infer.model import Model
    from multimodal.outputs import Outputs


MODALITY_LINES = {"face": "face seen", "audio": "voice heard", "text": "words read"}
"""How a line about one signal begins."""

BAR = 30
"""Length of the bar of an emotion that is there all the time."""


def infer(
    inputs: Annotated[
        list[Path], typer.Argument(help="Video, sound or text files.", metavar="INPUT...", readable=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for a folder per input.", readable=False)] = Path("results"),
    transcript: Annotated[Path | None, typer.Option(help="Transcript of the only input.", readable=False)] = None,
    no_transcript: Annotated[bool, typer.Option("--no-transcript", help="Take none that lies beside it.")] = False,
    speaker: Annotated[list[str] | None, typer.Option(help="Judge only this speaker; repeatable.")] = None,
    asr: Annotated[str | None, typer.Option(help="Speech-to-text: a folder, a size such as base, or none.")] = None,
    modalities: Annotated[str | None, typer.Option(help="Signals to read, of face,audio,text; by default all.")] = None,
    fps: Annotated[float, typer.Option(min=0.01, max=240, help="Pictures judged per second.")] = 5.0,
    detector: Annotated[str, typer.Option(help="mtcnn, yunet, haar, or a YuNet .onnx file.")] = "mtcnn",
    face: Annotated[
        int | None, typer.Option(min=0, help="Judge only the face of this face_id; by default the largest.")
    ] = None,
    device: DeviceOption = "auto",
    model: Annotated[
        str, typer.Option(help="Shipped weights by name, a file, or a folder of one or more.")
    ] = "default",
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.html.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Write the video with what was seen drawn in.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Write timeline and summary as PNG and SVG.")] = False,
    export: Annotated[str | None, typer.Option(help="Formats to write, of vtt,srt,eaf,textgrid,parquet,jsonl.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Says which emotions recordings show, when, and how surely.

    Writes analysis.json, frames.csv, utterances.csv and report.html for each input. Exit code 0: all inputs were
    analyzed; 1: some failed, the others are written; 2: wrong usage.
    """
    _check_transcript(transcript, no_transcript, inputs)
    from multimodal.infer.model import load_detector_for, load_model
    from multimodal.models.selection import check_modalities
    from multimodal.outputs import parse_outputs

    chosen = None if modalities is None else tuple(filter(None, map(str.strip, modalities.split(","))))
    if chosen is not None:
        check_modalities(chosen)
    extras = parse_outputs(not no_report, overlay, plot, export)
    load_detector_for(detector)
    loaded = load_model(model, device, chosen, asr)
    if asr is not None and "text" in loaded.parts:
        _ = loaded.recognizer  # what was asked for by name and is not there is found out before the work
    _check_output(out)
    options = {"frames_per_second": fps, "detector": detector, "transcript": transcript}
    options |= {"beside": not no_transcript, "speakers": tuple(speaker or ()), "face_id": face}
    taken: set[Path] = set()
    process_each(inputs, lambda path: _analyze(loaded, path, out, taken, options, extras, quiet), debug)


def _analyze(
    model: Model, path: Path, out: Path, taken: set[Path], options: dict[str, Any], extras: Outputs, quiet: bool
) -> int:
    """Analyzes one input and writes what is wanted of it; returns how much of that could not be written."""
    with progress_bar(path.name, quiet) as progress:
        analysis = model.analyze(path, **options, progress=progress)
    folder = result_folder(out, path, taken)
    taken.add(folder)
    before = _saved(folder)
    analysis.save(folder)
    from multimodal.outputs import not_applicable, stale, write_outputs

    with progress_bar(f"{path.name}: overlay", quiet or not extras.overlay) as bar:
        made = list(write_outputs(analysis, folder, extras, progress=bar))
    notes = [*not_applicable(analysis, extras), *(stale(folder, made) if before not in (None, _saved(folder)) else ())]
    if not quiet:
        print_line(
            "\n".join([_table(analysis, folder, folder / "report.html" in made), *(f"  {note}" for note in notes)])
        )
    errors = [error for error in made if isinstance(error, MultimodalError)]
    for error in errors:
        print_error(str(error))
    return len(errors)


def _saved(folder: Path) -> bytes | None:
    """The analysis that stands in a folder; None where there is none."""
    try:
        return (folder / "analysis.json").read_bytes()
    except OSError:
        return None


def _check_transcript(transcript: Path | None, none: bool, inputs: list[Path]) -> None:
    if transcript is not None and none:
        raise ConfigError("--no-transcript", "contradicts --transcript", "leave one of them out")
    if transcript is not None and len(inputs) > 1:
        remedy = "put each one beside its recording, with the same name up to the suffix"
        raise ConfigError("--transcript", f"is one file for {len(inputs)} inputs", remedy)


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


def _table(analysis: Analysis, folder: Path, page: bool) -> str:
    """What was found in one input, at a glance: the joint answer with its shares, then what each signal says alone."""
    summary, media = analysis.summary, analysis.media
    read = [modality for modality in MODALITY_LINES if analysis.models[modality] is not None]
    length = [_clock(media.duration_seconds)] if media.duration_seconds else []
    lines = ["  ".join([media.path.name, *length, _used(analysis)])]
    for label, share in [*_largest(summary["shares"]), *_largest({"uncertain": summary["uncertain"] or 0.0})]:
        lines.append(f"  {label:10} {share:5.0%}  {'█' * round(share * BAR)}".rstrip())
    of_what = "of the time" if media.duration_seconds else "of the lines"
    for modality in read:
        found = f"{MODALITY_LINES[modality]} {percent(analysis.coverage[modality])} {of_what}"
        said = _largest(summary["shares_by_modality"][modality])
        shares = ", ".join(f"{label} {percent(share)}" for label, share in said)
        lines.append(f"  {found}: {shares}" if shares else f"  {found}")
    lines += _affect(analysis)
    lines += [f"  warning: {warning}" for warning in analysis.warnings]
    lines.append(f"  written to {folder}{', open report.html there' if page else ''}")
    return "\n".join(lines)


def _used(analysis: Analysis) -> str:
    """Which signals the answers are from."""
    from multimodal.types import MODALITY_NAMES  # here and not above: --help need not wait for numpy

    there = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    names = [name for modality, name in MODALITY_NAMES.items() if modality in there]
    if not names:
        return "nothing to judge"
    return "judged by " + " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _affect(analysis: Analysis) -> list[str]:
    """Mean valence and arousal, and where they come from."""
    summary, source = analysis.summary, analysis.valence_arousal
    if source is None or summary["mean_valence"] is None:
        return []
    reference = f" ({source['reference']})" if "reference" in source else ""
    values = f"valence {summary['mean_valence']:+.2f}, arousal {summary['mean_arousal']:+.2f}"
    return [f"  {values} on scales from -1 to 1, {SOURCES[source['source']]}{reference}"]


def _largest(shares: dict[str, float] | None) -> list[tuple[str, float]]:
    """Labels with their shares from the largest on, without those that would show as 0 %."""
    return [pair for pair in sorted((shares or {}).items(), key=lambda pair: -pair[1]) if pair[1] >= 0.005]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(infer, arguments, "infer")
