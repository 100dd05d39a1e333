"""Where a recording is watched: the player, the timeline under it, and what the page's script has to know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from multimodal.analysis.recording import exists
from multimodal.analysis.result import Analysis
from multimodal.formatting import clock_time
from multimodal.palette import COLORS, SIGNS
from multimodal.report.html import badge, chart_place, escape
from multimodal.report.series import modality_rows, time_span
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, UtteranceEstimate, top_label

SELDOM_PLAYED = (
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
"""Containers that browsers know badly or not at all, by suffix."""

KEYS = (
    ("Space or K", "play or pause"),
    ("← →", "5 seconds back or on"),
    ("J L", "10 seconds back or on"),
    ("[ ] or P N", "previous or next utterance"),
    ("+ − 0", "zoom in, out, show the whole"),
    ("?", "show these keys"),
)
"""Keys, and what they do in ``assets/report.js``."""


def media_address(media: Path, folder: Path) -> str:
    """The address of a recording as seen from a page in ``folder``.

    Args:
        media: The recording.
        folder: Where the page stands.

    Returns:
        A relative, percent-encoded path, so that recording and results may move together; a ``file:`` address where
        there is no way from one to the other, as between two drives.

    Example:
        >>> media_address(Path("talks/50% #1?.mp4"), Path("results/50%"))
        '../../talks/50%25%20%231%3F.mp4'
    """
    try:
        way = os.path.relpath(media.absolute(), folder.absolute())
    except ValueError:
        return media.absolute().as_uri()
    return quote(os.fsencode(Path(way).as_posix()))


def player(analysis: Analysis, folder: Path, media: Path | None) -> str:
    """The player with its recording, and a way to choose it where it is not to be found.

    Args:
        analysis: Of the recording.
        folder: Where the page stands.
        media: The recording; None for where it was when it was analyzed.

    Returns:
        HTML; empty for typed answers.
    """
    facts = analysis.media
    if not (facts.has_video or facts.has_audio):
        return ""
    place = facts.path if media is None else media
    found = exists(place) and place.is_file()
    kind = "video" if facts.has_video else "audio"
    source = f' src="{escape(media_address(place, folder))}"' if found else ""
    shape = f' style="aspect-ratio:{facts.width}/{facts.height}"' if facts.width and facts.height else ""
    element = (
        f'<{kind} id="media" controls preload="metadata" playsinline tabindex="0" '
        f'aria-label="The recording"{source}{shape}{"" if found else " hidden"}></{kind}>'
    )
    return f'<div class="player {kind}">{element}{_choice(facts.path.name, found)}{_seldom(place)}</div>'


def _choice(name: str, found: bool) -> str:
    """What is shown where the recording is not there or cannot be played."""
    return (
        f'<div class="absent-media"{" hidden" if found else ""} id="no-media">'
        f'<p id="no-media-why">The recording <b dir="auto">{escape(name)}</b> is not where it was. '
        "Choose it to watch it here; it is not copied and does not leave this machine.</p>"
        '<button type="button" id="choose">Choose the recording…</button>'
        '<input type="file" id="file" accept="video/*,audio/*" hidden></div>'
        '<p class="small muted" id="media-note" role="status" hidden></p>'
    )


def _seldom(place: Path) -> str:
    if place.suffix.lower() not in SELDOM_PLAYED:
        return ""
    advice = f"Many browsers cannot play {escape(place.suffix.lower())} files; make a copy as MP4 (H.264) for them."
    return f'<p class="small muted">{advice}</p>'


def timeline_place(analysis: Analysis, height: int) -> str:
    """Where the timeline is drawn, with what its colors mean and buttons for who has no wheel.

    Args:
        analysis: Of a recording with a time axis.
        height: Of the timeline in pixels.

    Returns:
        HTML.
    """
    start, end = time_span(analysis)
    label = (
        f"Timeline from {clock_time(start)} to {clock_time(end)}: emotion probabilities, signals, valence and arousal. "
        "The transcript holds the same as text."
    )
    return f"""<section class="timeline card" aria-labelledby="timeline-title">
<div class="timeline-head"><h2 id="timeline-title">Timeline</h2><span class="number muted" id="now"></span>
<div class="tools screen-only">
<button type="button" id="zoom-out" aria-label="Zoom out">−</button>
<button type="button" id="zoom-in" aria-label="Zoom in">+</button>
<button type="button" id="zoom-all">All</button>
<button type="button" id="show-keys">Keys <kbd>?</kbd></button>
</div></div>
<ul class="plain legend">{_legend(analysis)}</ul>
<div class="over" id="over">{chart_place("timeline", label, height)}
<div id="cursor" aria-hidden="true" hidden></div><div id="tip" aria-hidden="true" hidden></div></div>
</section>"""


def _legend(analysis: Analysis) -> str:
    shown = {run.label for runs in modality_rows(analysis).values() for run in runs}
    labels = [label for label in COLORS if label in analysis.emotions or label in shown]
    items = "".join(f"<li>{badge(label)}</li>" for label in labels)
    absent = '<li><span class="badge"><i class="sign absent" aria-hidden="true"></i>absent</span></li>'
    return items + (absent if None in shown else "")


def keys_dialog() -> str:
    """The keys, in a window of their own."""
    rows = "".join(f"<dt>{_as_keys(keys)}</dt><dd>{escape(what)}</dd>" for keys, what in KEYS)
    return f"""<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys</h2>
<dl>{rows}</dl><form method="dialog"><button>Close</button></form></dialog>"""


def _as_keys(keys: str) -> str:
    return " ".join(word if word == "or" else f"<kbd>{escape(word)}</kbd>" for word in keys.split())


def page_data(analysis: Analysis) -> dict[str, Any]:
    """What the page's script has to know.

    Args:
        analysis: Of one recording, or of typed answers.

    Returns:
        ``start``, ``end`` and ``duration`` in seconds, ``video`` whether there is a picture, ``timed`` whether there is
        a time axis, ``emotions``, ``colors`` and ``signs`` by label, ``modalities`` by name, and ``utterances``: per
        utterance start, end, answer or null, probabilities of all together in thousandths or null, and per signal its
        leading label and probability, or null.
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
        "signals": [MODALITY_NAMES[modality] for modality in MODALITIES],
        "uncertain": UNCERTAIN,
        "utterances": [_utterance_data(each, analysis.emotions) for each in analysis.estimates],
    }


def _utterance_data(each: UtteranceEstimate, labels: tuple[str, ...]) -> list[Any]:
    spoken, fused = each.utterance, each.fused
    shares = None if fused is None else [round(1000 * fused.probabilities.get(label, 0.0)) for label in labels]
    modalities: list[Any] = []
    for modality in MODALITIES:
        said = each.get(modality)
        modalities.append(None if said is None else [top_label(said.probabilities), round(said.confidence, 3)])
    return [round(spoken.start_seconds, 3), round(spoken.end_seconds, 3), each.emotion, shares, *modalities]
