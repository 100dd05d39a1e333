"""Plots for slides: the timeline of a recording and its summary, as PNG and as SVG.

The PNG has 3840 by 2160 pixels; the SVG has letters as outlines, so it does not depend on installed fonts. The same
analysis gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.analysis.result import Analysis
from multimodal.analysis.shares import largest_shares, share_intervals
from multimodal.analysis.usability import TROUBLE, usability_counts
from multimodal.data.transcripts.text import printable
from multimodal.formatting import SOURCES, percent, probability_percent
from multimodal.palette import MODALITY_COLORS
from multimodal.plots.figure import (
    HEIGHT,
    INK,
    MARGIN,
    MUTED,
    RULE,
    TRACK,
    add_label,
    caption,
    color_of,
    drawing,
    hide_axes,
    new_page,
    title,
    write_figure,
)
from multimodal.plots.timeline import draw_timeline
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILES = ("timeline.png", "timeline.svg", "summary.png", "summary.svg")

ASIDE = 0.615
"""Left edge of the text in the right half, as a fraction of the width."""


def write_plots(analysis: Analysis, folder: Path) -> list[Path]:
    """Draws the timeline and the summary of an analysis, each file completely or not at all.

    Args:
        analysis: The analysis of any input.
        folder: Folder of its result; created if missing.

    Returns:
        The paths of ``FILES`` in the folder.

    Raises:
        OutputError: A file cannot be written.
    """
    with drawing():
        figures = {"timeline": draw_timeline(analysis), "summary": draw_summary(analysis)}
        for file in FILES:
            figure = figures[file.partition(".")[0]]
            write_figure(figure, folder / file, f"{title(analysis)}: {_summary_lines(analysis)}. {caption(analysis)}")
    return [folder / file for file in FILES]


def draw_summary(analysis: Analysis) -> Figure:
    """Draws the shares of time, the coverage of each signal, trouble in the words, and mean valence and arousal.

    Args:
        analysis: The analysis of any input.

    Returns:
        A figure with the axes ``shares``, ``coverage`` and ``affect`` (their labels), the last only with content.
    """
    figure = new_page(analysis)
    _draw_shares(figure.add_axes((0.165, 0.1, 0.37, 0.66), label="shares"), analysis)
    _draw_coverage(figure.add_axes((0.685, 0.49, 0.225, 0.27), label="coverage"), analysis)
    if trouble := _trouble_text(analysis):
        figure.text(ASIDE, 0.452, trouble, size=11, va="center_baseline")
    if analysis.summary["mean_valence"] is not None:
        _draw_affect(figure.add_axes((0.685, 0.1, 0.225, 0.25), label="affect"), analysis)
    return figure


def sorted_shares(analysis: Analysis) -> list[tuple[str, float]]:
    """Lists emotions with their expected shares of the time with an estimate, the largest first.

    Args:
        analysis: The analysis of any input.

    Returns:
        Labels with shares in 0 … 1, without those below 1 %.
    """
    return [(printable(label), share) for label, share in largest_shares(analysis.summary["shares"])]


def _summary_lines(analysis: Analysis) -> str:
    parts = [f"{label} {probability_percent(share)}" for label, share in sorted_shares(analysis)]
    uncertain = analysis.summary["uncertain"]
    parts += [f"answers uncertain for {percent(uncertain)} of it"] if uncertain else []
    trouble = _trouble_text(analysis)
    return (", ".join(parts) or "no estimate") + (f". {trouble}" if trouble else "")


def _trouble_text(analysis: Analysis) -> str:
    """How many utterances are frustrated or confused by their words; empty without usability labels."""
    counts = usability_counts(analysis.estimates)
    if not counts:
        return ""
    count_of = {each.label: each.count for each in counts}
    total = sum(count_of.values())
    parts = ", ".join(f"{label} in {count_of.get(label, 0)}" for label in TROUBLE)
    unit = "utterance" if analysis.has_times else "line"
    return f"Words: {parts} of {total} {unit}{'' if total == 1 else 's'}"


def _heading(axes: Axes, text: str) -> None:
    figure = axes.figure
    place = axes.get_position()
    left = MARGIN if axes.get_label() == "shares" else ASIDE
    figure.text(left, place.y1 + 0.035, text, size=13, weight="bold", va="bottom")


def _name_row(axes: Axes, y: float, name: str) -> None:
    place = axes.get_position()
    left = (ASIDE - place.x0) / place.width
    axes.text(left, y, name, size=13, va="center_baseline", transform=axes.get_yaxis_transform())


def _draw_shares(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    axes.set_xticks([])
    shares, uncertain = sorted_shares(analysis), analysis.summary["uncertain"]
    what = "time" if analysis.has_times else "lines"
    _heading(axes, f"Share of the {what} with an estimate")
    slots = max(len(shares) + (1.5 if uncertain else 0), 4)
    thick = min(0.58, 0.5 * slots / (axes.get_position().height * HEIGHT))  # fewer bars do not get thicker
    axes.set_ylim(slots, 0)
    axes.set_xlim(0, 1)
    if not shares:
        axes.text(0, 0.5, "No emotion could be estimated.", size=16, color=MUTED, va="center_baseline")
        return
    segments = analysis.segment_probabilities(analysis.summary["modality"])
    intervals, of_uncertain = share_intervals(segments, list(analysis.summary["shares"]))
    ends = {printable(label): interval for label, interval in intervals.items()}
    for row, (label, share) in enumerate(shares):
        _draw_share(axes, row + 0.5, thick, label, share, ends.get(label))
    note = f"Mean of the probabilities over {'time' if analysis.has_times else 'the lines'}"
    note += "; black line: 95% interval over segments, without model error" if intervals else ""
    axes.figure.text(MARGIN, 0.055, note, size=9.5, color=MUTED, va="bottom")
    if uncertain:  # beside the shares, which sum to 1 without it
        place = axes.get_position()
        axes.plot([(MARGIN - place.x0) / place.width, 1.1], [len(shares) + 0.25] * 2, color=RULE, linewidth=1,
                  transform=axes.get_yaxis_transform(), clip_on=False)  # fmt: skip
        _draw_share(axes, len(shares) + 1, thick, UNCERTAIN, uncertain, of_uncertain)


def _draw_share(
    axes: Axes, middle: float, thick: float, label: str, share: float, interval: tuple[float, float] | None
) -> None:
    """Draws one bar with its 95 % interval, its name and its number."""
    unsure, color = label == UNCERTAIN, color_of(label)
    hatch, edge = ("////", "white") if unsure else (None, color)
    axes.barh(middle, 1, thick, color=TRACK, zorder=1)
    axes.barh(
        middle, share, thick, color=color, hatch=hatch, edgecolor=edge, linewidth=0, gid=f"share {label}", zorder=2
    )
    if interval is not None:
        for width, ink, layer in ((4.5, "white", 3), (2, INK, 4)):
            axes.plot(interval, [middle, middle], color=ink, linewidth=width, solid_capstyle="butt", zorder=layer)
    number = percent(share) if unsure else probability_percent(share)
    axes.text(1.02, middle, number, size=17, weight="bold", va="center_baseline")
    add_label(axes, middle, label, 15)


def _draw_coverage(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    axes.set_xticks([])
    _heading(axes, "Coverage")
    modalities = [modality for modality in MODALITIES if analysis.models.get(modality) is not None]
    axes.set_ylim(3, 0)
    axes.set_xlim(0, 1)
    by_modality = analysis.summary["shares_by_modality"]
    for row, modality in enumerate(modalities):
        coverage = analysis.coverage[modality]
        axes.barh(row + 0.36, 1, 0.36, color=TRACK, zorder=1)
        axes.barh(row + 0.36, coverage, 0.36, color=MODALITY_COLORS[modality], gid=f"coverage {modality}", zorder=2)
        _name_row(axes, row + 0.36, MODALITY_NAMES[modality])
        axes.text(1.03, row + 0.36, percent(coverage), size=13, weight="bold", va="center_baseline")
        most = largest_shares(by_modality[modality])[:3]
        labels = ", ".join(f"{printable(label)} {probability_percent(share)}" for label, share in most)
        axes.text(0, row + 0.75, labels or "no estimate", size=9.5, color=MUTED, va="center_baseline")


def _draw_affect(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    axes.set_xticks([])
    _heading(axes, "Mean valence and arousal")
    axes.set_ylim(2.6, 0)
    axes.set_xlim(-1, 1)
    poles = {"valence": ("unpleasant", "pleasant"), "arousal": ("calm", "excited")}
    for row, (name, (low, high)) in enumerate(poles.items()):
        value, y = analysis.summary[f"mean_{name}"], row * 1.2 + 0.4
        axes.plot([-1, 1], [y, y], color=RULE, linewidth=3, solid_capstyle="round", zorder=1)
        axes.plot([0, 0], [y - 0.12, y + 0.12], color=MUTED, linewidth=1, zorder=2)
        axes.plot([value], [y], "o", color=INK, markersize=11, gid=f"mean {name}", zorder=3)
        _name_row(axes, y, name)
        axes.text(1.06, y, f"{value:+.2f}".replace("-", "−"), size=13, weight="bold", va="center_baseline")
        axes.text(-1, y + 0.4, low, size=9.5, color=MUTED, va="center_baseline")
        axes.text(1, y + 0.4, high, size=9.5, color=MUTED, ha="right", va="center_baseline")
    source = analysis.valence_arousal or {}
    note = SOURCES.get(source.get("source", ""), "")
    note += f" ({printable(source['reference'])})" if "reference" in source else ""
    axes.figure.text(ASIDE, 0.055, note, size=9.5, color=MUTED, va="bottom")
