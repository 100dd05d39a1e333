"""Studies of any size without a model: analyses by seed, and the tables of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis_fixtures import HOSTILE, make_analysis, without

from multimodal.analysis.result import Analysis
from multimodal.batch.tables import write_tables
from multimodal.data.manifest import Manifest, Row

COLUMNS = ("path", "participant", "task", "question", "device")
TASKS = ("checkout", "search", "Delivery & returns <b>")
QUESTION = "How was it?"
FAILURE = "does not exist; check the path"


def manifest_of(rows: Sequence[dict[str, str]]) -> Manifest:
    """A manifest with the columns of its first row."""
    manifest_rows = [Row(line, Path(row["path"]), row["path"], columns=row) for line, row in enumerate(rows, start=2)]
    return Manifest(tuple(rows[0]), tuple(manifest_rows))


def write_results(out: Path, rows: Sequence[dict[str, str]], analyses: Sequence[Analysis | None]) -> Path:
    """Writes a study as a batch does; an input whose analysis is None failed."""
    names = [f"{Path(row['path']).stem}-{number:04}" for number, row in enumerate(rows)]
    for name, analysis in zip(names, analyses, strict=True):
        if analysis is not None:
            analysis.save(out / name)
    errors = {index: f"{rows[index]['path']}: {FAILURE}" for index, each in enumerate(analyses) if each is None}
    write_tables(out, manifest_of(rows), names, errors, lambda name: out / name)
    return out


def without_frames(analysis: Analysis) -> Analysis:
    """The same, quick to write: what a study shows of it is in its utterances."""
    lean = replace(analysis, frame_times=(), faces=())
    lean.__dict__.update(summary=analysis.summary, coverage=analysis.coverage)
    return lean


def make_study(
    out: Path,
    inputs: int = 24,
    people: int = 6,
    seconds: float = 60.0,
    texts: tuple[str, ...] = HOSTILE,
    columns: Sequence[str] = COLUMNS,
    failing: int = 11,
) -> Path:
    """A study in which participants do three tasks and answer a question, in turn; every eleventh input failed.

    Args:
        out: Where the batch's output shall stand.
        inputs: How many.
        people: How many participants.
        seconds: Length of the shortest recording; others are up to twice as long, answers have no times.
        texts: What is said.
        columns: Of the manifest.
        failing: Every so many-th input has no result.
    """
    rows, analyses = [], []
    for number in range(inputs):
        person, part = number % people, number // people % (len(TASKS) + 1)
        answer = part == len(TASKS)
        row = {
            "path": f"P{person + 1:03}/{'answer' if answer else f'session {part + 1}'}.{'txt' if answer else 'mp4'}",
            "participant": f"P{person + 1:03}",
            "task": "" if answer else TASKS[part],
            "question": QUESTION if answer else "",
            "device": ("phone", "=desktop()")[person % 2],
        }
        rows.append({name: row[name] for name in columns})
        failed = number % failing == failing - 1
        analyses.append(None if failed else _analysis(Path(row["path"]), number, seconds, texts, answer))
    return write_results(out, rows, analyses)


def _analysis(path: Path, number: int, seconds: float, texts: tuple[str, ...], answer: bool) -> Analysis:
    if answer:
        return _typed(make_analysis(path, 12.0, texts, seed=number))
    return without_frames(make_analysis(path, seconds * (1 + number % 5 / 4), texts, seed=number))


def _typed(analysis: Analysis) -> Analysis:
    """The words alone, without times."""
    media = replace(analysis.media, duration_seconds=0.0, has_video=False, has_audio=False, width=None, height=None)
    estimates = tuple(
        replace(
            each,
            estimates=without(each, "face", "audio"),
            utterance=replace(each.utterance, start_seconds=0.0, end_seconds=0.0),
        )
        for each in analysis.estimates
        if "text" in each.estimates
    )
    return replace(analysis, media=media, estimates=estimates, frame_times=(), faces=(), warnings=())
