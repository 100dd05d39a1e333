"""The player and the timeline under it, and the data of the page's script."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from multimodal.analysis.recording import exists
from multimodal.analysis.result import Analysis
from multimodal.formatting import clock_time
from multimodal.palette import COLORS, SIGNS
from multimodal.report.series import modality_rows, time_span
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, UtteranceEstimate, top_label

POORLY_SUPPORTED = (
    ".avi",
    ".mkv",
    ".wmv",
    ".flv",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
    ".vob",
    ".3gp",
    ".amr",
    ".aiff",
)
"""Containers that many browsers cannot play, by suffix."""

KEYS = (
    ("Space or K", "play or pause"),
    ("← →", "back or forward 5 seconds"),
    ("J L", "back or forward 10 seconds"),
    ("[ ] or P N", "previous or next utterance"),
    ("+ − 0", "zoom in, zoom out, show all"),
    ("?", "show these keys"),
)
"""Keys and their actions in ``assets/report.js``."""


def media_address(media: Path, folder: Path) -> str:
    """The address of a recording, relative to a page in ``folder``.

    Args:
        media: The recording.
        folder: Folder of the page.

    Returns:
        A relative, percent-encoded path, so that recording and results can move together; a ``file:`` address if no
        relative path exists, as between two drives.

    Example:
        >>> media_address(Path("talks/50% #1?.mp4"), Path("results/50%"))
        '../../talks/50%25%20%231%3F.mp4'
    """
    try:
        relative = os.path.relpath(media.absolute(), folder.absolute())
    except ValueError:
        return media.absolute().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))


def player(analysis: Analysis, folder: Path, media: Path | None) -> dict[str, Any] | None:
    """Describes the player of the recording.

    Args:
        analysis: Of the recording.
        folder: Folder of the page.
        media: The recording; None for its path when it was analyzed.

    Returns:
        ``kind`` (``video`` or ``audio``), ``source`` (address, or None if the recording was not found),
        ``aspect_ratio`` and ``unsupported`` (a suffix that many browsers cannot play) or None; None for typed answers.
    """
    facts = analysis.media
    if not (facts.has_video or facts.has_audio):
        return None
    path = facts.path if media is None else media
    suffix = path.suffix.lower()
    return {
        "kind": "video" if facts.has_video else "audio",
        "source": media_address(path, folder) if exists(path) and path.is_file() else None,
        "aspect_ratio": f"{facts.width}/{facts.height}" if facts.width and facts.height else None,
        "unsupported": suffix if suffix in POORLY_SUPPORTED else None,
    }


def timeline_place(analysis: Analysis, height: int) -> dict[str, Any]:
    """Describes the place of the timeline.

    Args:
        analysis: Of a recording with a time axis.
        height: Of the timeline in pixels.

    Returns:
        ``height``, ``description`` for those who cannot see it, ``labels`` of the legend, and ``absent``, whether a
        signal is absent anywhere.
    """
    start, end = time_span(analysis)
    row_labels = {run.label for runs in modality_rows(analysis).values() for run in runs}
    return {
        "height": height,
        "description": (
            f"Timeline from {clock_time(start)} to {clock_time(end)}: emotion probabilities, each signal, valence, "
            "arousal. The transcript contains the same data as text."
        ),
        "labels": [label for label in COLORS if label in analysis.emotions or label in row_labels],
        "absent": None in row_labels,
    }


def page_data(analysis: Analysis) -> dict[str, Any]:
    """The data of the page's scripts.

    Args:
        analysis: Of one recording, or of typed answers.

    Returns:
        ``start``, ``end`` and ``duration`` in seconds, ``video`` whether there is a picture, ``timed`` whether there is
        a time axis, ``emotions``, ``colors`` and ``signs`` by label, names of the ``modalities``, and ``utterances``:
        per utterance start, end, label or null, fused probabilities in thousandths or null, and per modality its top
        label and probability, or null.
    """
    start, end = time_span(analysis)
    return {
        "start": start,
        "end": end,
        "duration": analysis.media.duration_seconds,
        "video": analysis.media.has_video,
        "timed": end > start,
        "emotions": list(analysis.emotions),
        "colors": dict(COLORS),
        "signs": dict(SIGNS),
        "modalities": [MODALITY_NAMES[modality] for modality in MODALITIES],
        "uncertain": UNCERTAIN,
        "utterances": [_utterance_data(each, analysis.emotions) for each in analysis.estimates],
    }


def _utterance_data(each: UtteranceEstimate, labels: tuple[str, ...]) -> list[Any]:
    utterance, fused = each.utterance, each.fused
    shares = None if fused is None else [round(1000 * fused.probabilities.get(label, 0.0)) for label in labels]
    modalities: list[Any] = []
    for modality in MODALITIES:
        estimate = each.get(modality)
        pair = None if estimate is None else [top_label(estimate.probabilities), round(estimate.confidence, 3)]
        modalities.append(pair)
    return [round(utterance.start_seconds, 3), round(utterance.end_seconds, 3), each.emotion, shares, *modalities]
