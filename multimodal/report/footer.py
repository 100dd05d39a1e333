"""What the footer of every page states: where valence and arousal come from, and which models and files were used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multimodal import __version__
from multimodal.formatting import SOURCES, clock_time
from multimodal.types import FaceBaseline

PARTS = {
    "face": "Face",
    "audio": "Voice",
    "text": "Words",
    "fusion": "Fusion",
    "speech_to_text": "Speech to text",
}
"""Parts of a model, as people read them."""

DIGITS = 12
"""Digits of a hash on a page; enough to tell any two files apart."""


def model_row(part: str, name: str, digest: str, inputs: int | None = None) -> dict[str, Any]:
    """A row of the table of models and versions.

    Args:
        part: Key of ``PARTS``, or another name.
        name: Of the model or file.
        digest: SHA-256 in hexadecimal; may be empty.
        inputs: Number of inputs of a study that it was used for; None where a number has no meaning.

    Returns:
        Variables of the macro ``footer``.

    Example:
        >>> model_row("face", "barsoum.ferplus-v1", "a" * 64)["digest"]
        'aaaaaaaaaaaa'
    """
    return {"part": PARTS.get(part, part), "name": name, "digest": digest[:DIGITS], "inputs": inputs}


def program_row() -> dict[str, Any]:
    """The last row of the table: this program and its version."""
    return model_row("Program", f"multimodal-emotion {__version__}", "")


def baseline_line(baseline: FaceBaseline | None) -> str:
    """The resting face that expressions were judged against.

    Args:
        baseline: As in an analysis; None where no face was analyzed.

    Returns:
        One line; empty without a face.

    Example:
        >>> baseline_line(FaceBaseline("auto", 3.0, 9.4, used=True))
        'Baseline: 0:03–0:09 (auto)'
    """
    if baseline is None:
        return ""
    if not baseline.used or baseline.start_seconds is None or baseline.end_seconds is None:
        return f"Baseline: none ({baseline.mode})" if baseline.mode != "none" else "Baseline: none"
    span = f"{clock_time(baseline.start_seconds)}–{clock_time(baseline.end_seconds)}"
    return f"Baseline: {span} ({baseline.mode})"


def affect_source(source: Mapping[str, str] | None) -> str:
    """The scales of valence and arousal, and the source of their values.

    Args:
        source: As in an analysis; None where it has no valence and arousal.

    Example:
        >>> affect_source({"source": "head"})
        'Valence (unpleasant to pleasant) and arousal (calm to excited), −1 to +1: estimated by the fusion head.'
    """
    if source is None:
        return "This analysis contains no valence and arousal."
    reference = f" ({source['reference']})" if "reference" in source else ""
    origin = SOURCES.get(source["source"], source["source"])
    return f"Valence (unpleasant to pleasant) and arousal (calm to excited), −1 to +1: {origin}{reference}."
