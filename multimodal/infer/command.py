"""``python -m multimodal.infer INPUT...``: which emotions recordings show, when, and with what confidence."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.console import (
    AsrOption,
    BaselineOption,
    DebugOption,
    DetectorOption,
    DeviceOption,
    FpsOption,
    LanguageOption,
    ModalitiesOption,
    ModelOption,
    OverlayOption,
    PlotOption,
    QuietOption,
    print_error,
    print_line,
    process_each,
    progress_bar,
    run_command,
)
from multimodal.errors import ConfigError, MultimodalError, OutputError
from multimodal.export.formats import EXPORT_HELP
from multimodal.files import path_text
from multimodal.formatting import COVERAGE_WORDS, SOURCES, clock_time, percent, probability_percent
from multimodal.infer.options import AnalysisOptions, parse_modalities

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis
    from multimodal.infer.model import Model
    from multimodal.outputs import Outputs


BAR = 30
"""Characters of the bar of an emotion with a share of 100 %."""

LEADERS = 3
"""Emotions that are named of each signal."""


def infer(
    inputs: Annotated[list[Path], typer.Argument(help="Video, audio or text files.", metavar="INPUT", readable=False)],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Output directory; one subfolder per input.", readable=False)
    ] = Path("results"),
    transcript: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Transcript file, for a single input (default: a file next to it with the same name).",
            readable=False,
        ),
    ] = None,
    no_transcript: Annotated[
        bool,
        typer.Option("--no-transcript", help="Ignore transcript files next to the input (default: they are used)."),
    ] = False,
    speaker: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Speaker of the transcript to analyze; repeatable (default: all)."),
    ] = None,
    asr: AsrOption = None,
    language: LanguageOption = None,
    modalities: ModalitiesOption = None,
    fps: FpsOption = None,
    detector: DetectorOption = "mtcnn",
    face: Annotated[
        int | None,
        typer.Option(metavar="ID", min=0, help="The face_id to analyze (default: the largest face of each segment)."),
    ] = None,
    baseline: BaselineOption = "auto",
    device: DeviceOption = "auto",
    model: ModelOption = "default",
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not write report.html (default: written).")
    ] = False,
    overlay: OverlayOption = False,
    plot: PlotOption = False,
    export: Annotated[str | None, typer.Option(metavar="FORMATS", help=EXPORT_HELP)] = None,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Estimates which emotions recordings and texts show, when, and with what confidence.

    Writes analysis.json, frames.csv, utterances.csv and report.html for each input. Exit code 0: all inputs were
    analyzed; 1: some inputs failed, results for the rest were written; 2: wrong usage.
    """
    _check_transcript(transcript, no_transcript, inputs)
    options = AnalysisOptions(
        modalities=parse_modalities(modalities),
        transcript=transcript,
        sidecar_transcript=not no_transcript,
        speakers=tuple(speaker or ()),
        language=language,
        frames_per_second=fps,
        detector=detector,
        face_id=face,
        baseline=baseline,
    )
    from multimodal.infer.face import open_detector
    from multimodal.infer.model import load_model
    from multimodal.outputs import parse_outputs

    extras = parse_outputs(not no_report, overlay, plot, export)
    open_detector(detector)
    loaded = load_model(model, device, options.modalities, asr)
    if asr is not None and "text" in loaded.parts:
        _ = loaded.recognizer  # an explicit --asr that is missing must fail before the work begins
    _check_output(out)
    folders: set[Path] = set()
    process_each(inputs, lambda path: _analyze(loaded, path, out, folders, options, extras, quiet), debug)


def _analyze(
    model: Model, path: Path, out: Path, folders: set[Path], options: AnalysisOptions, extras: Outputs, quiet: bool
) -> int:
    """Analyzes one input and writes the outputs; returns the number of outputs that failed."""
    with progress_bar(path.name, quiet) as progress:
        analysis = model.analyze(path, options, progress=progress)
    folder = result_folder(out, path, folders)
    folders.add(folder)
    before = _analysis_bytes(folder)
    analysis.save(folder)
    from multimodal.outputs import not_applicable, stale, write_outputs

    with progress_bar(f"{path.name}: overlay", quiet or not extras.overlay) as bar:
        outputs = list(write_outputs(analysis, folder, extras, progress=bar))
    notes = list(not_applicable(analysis, extras))
    if before not in (None, _analysis_bytes(folder)):
        notes += stale(folder, outputs)
    if not quiet:
        table = _table(analysis, folder, folder / "report.html" in outputs)
        print_line("\n".join([table, *(f"  {note}" for note in notes)]))
    errors = [error for error in outputs if isinstance(error, MultimodalError)]
    for error in errors:
        print_error(str(error))
    return len(errors)


def _analysis_bytes(folder: Path) -> bytes | None:
    """The analysis in a folder; None without one."""
    try:
        return (folder / "analysis.json").read_bytes()
    except OSError:
        return None


def _check_transcript(transcript: Path | None, none: bool, inputs: list[Path]) -> None:
    if transcript is not None and none:
        raise ConfigError("--no-transcript", "contradicts --transcript", "leave one of them out")
    if transcript is not None and len(inputs) > 1:
        remedy = "put each transcript next to its recording, with the same name up to the suffix"
        raise ConfigError("--transcript", f"is one file for {len(inputs)} inputs", remedy)


def _check_output(out: Path) -> None:
    """Raises OutputError before the work begins if results cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except FileExistsError:
        raise OutputError(out, "is a file", "choose a folder with --out") from None
    except OSError as error:
        raise OutputError(out, f"cannot be written ({error.strerror})", "choose another folder with --out") from error


def result_folder(out: Path, path: Path, used: set[Path]) -> Path:
    """Chooses the folder for one input: its stem, with a number if that folder holds results of another input.

    Args:
        out: Folder for all results.
        path: The input.
        used: Folders used in this run.

    Returns:
        A folder inside ``out``; the folder of an earlier result of the same path is used again.

    Example:
        >>> result_folder(Path("results"), Path("a/talk.mp4"), {Path("results/talk")}).name
        'talk-2'
    """
    name = path.stem if path.stem.strip(".") else path.name  # the stem of "...mp4" is "..", the folder above
    number, folder = 1, out / name
    while folder in used or not _is_free(folder, path):
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
    """The result of one input at a glance: shares of the fused emotions, then of each modality."""
    from multimodal.analysis.shares import largest_shares  # imported here: --help must not wait for numpy
    from multimodal.types import MODALITY_NAMES

    summary, media = analysis.summary, analysis.media
    modalities = [modality for modality in MODALITY_NAMES if analysis.models[modality] is not None]
    length = [clock_time(round(media.duration_seconds))] if media.duration_seconds else []
    of_what = "of the time" if media.duration_seconds else "of the lines"
    lines = ["  ".join([media.path.name, *length, _used(analysis)])]
    for label, share in largest_shares(summary["shares"]):
        lines.append(f"  {label:10} {probability_percent(share):>5}  {'█' * round(share * BAR)}".rstrip())
    if summary["uncertain"]:
        lines.append(f"  uncertain answers for {percent(summary['uncertain'])} {of_what}")
    for modality in modalities:
        line = f"{MODALITY_NAMES[modality]} {COVERAGE_WORDS[modality]} {percent(analysis.coverage[modality])} {of_what}"
        largest = largest_shares(summary["shares_by_modality"][modality])[:LEADERS]
        shares = ", ".join(f"{label} {probability_percent(share)}" for label, share in largest)
        lines.append(f"  {line}: {shares}" if shares else f"  {line}")
    lines += _said(analysis)
    lines += _affect(analysis)
    lines += [f"  warning: {warning}" for warning in analysis.warnings]
    lines.append(f"  written to {folder}{', open report.html there' if page else ''}")
    return "\n".join(lines)


def _used(analysis: Analysis) -> str:
    """The modalities that the estimates come from."""
    from multimodal.types import MODALITY_NAMES  # imported here: --help must not wait for numpy

    present = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    names = [name for modality, name in MODALITY_NAMES.items() if modality in present]
    if not names:
        return "no estimate"
    return "based on " + " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _said(analysis: Analysis) -> list[str]:
    """Utterances by usability label in one line: frustration, confusion, and others as far as the terminal is wide."""
    from multimodal.analysis.usability import usability_counts  # imported here: --help must not wait for numpy

    counts = usability_counts(analysis.estimates)
    if not counts:
        return []
    total = sum(each.count for each in counts)
    unit = "utterance" if analysis.media.duration_seconds else "line"
    line = f"  words of {total} {unit}{'' if total == 1 else 's'}: {counts[0].label} {counts[0].count}"
    for each in counts[1:]:
        longer = f"{line}, {each.label} {each.count}"
        if len(longer) > shutil.get_terminal_size().columns - len(", …"):
            return [f"{line}, …"]
        line = longer
    return [line]


def _affect(analysis: Analysis) -> list[str]:
    """Mean valence and arousal, and their source."""
    summary, source = analysis.summary, analysis.valence_arousal
    if source is None or summary["mean_valence"] is None:
        return []
    reference = f" ({source['reference']})" if "reference" in source else ""
    values = f"valence {summary['mean_valence']:+.2f}, arousal {summary['mean_arousal']:+.2f}"
    return [f"  {values} on scales from -1 to 1, {SOURCES[source['source']]}{reference}"]


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(infer, arguments, "infer")
