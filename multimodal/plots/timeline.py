"""Draws the timeline: the emotion over time with its confidence, each signal alone, valence and arousal.

Every emotion has its own row: place, sign and name identify it, not the color alone. Text without times is
drawn line by line.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from multimodal.analysis.result import Analysis, primary_modality
from multimodal.data.transcripts.text import printable
from multimodal.formatting import COVERAGE_WORDS, percent, probability_percent
from multimodal.palette import SIGNS, ink_on
from multimodal.plots.blocks import (
    Block,
    affect_line,
    estimate_blocks,
    gaps,
    mean_line,
    modality_blocks,
    row_labels,
    span_of,
    without_overlaps,
)
from multimodal.plots.figure import (
    HEIGHT,
    INK,
    LEFT,
    MUTED,
    RIGHT,
    RULE,
    WIDTH,
    add_label,
    add_name,
    clock,
    color_of,
    edge_of,
    hide_axes,
    new_page,
)
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALENCE, AROUSAL = "#1f2328", "#00707a"

_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds between two ticks."""

_MANY = 150
"""With more utterances, valence and arousal are drawn as means over a sixtieth of the recording."""

TOP, GAP = 0.86, 0.05
"""Fractions of the page's height: top of the first part, and space for a heading."""

FULL = 0.88
"""Fraction of a row that is 100 %; the rest separates rows."""

_FEW_LINES = 6
"""Largest number of typed lines that fit below the picture."""


def draw_timeline(analysis: Analysis) -> Figure:
    """Draws an analysis over time.

    Args:
        analysis: The analysis of any input.

    Returns:
        A figure with axes labeled ``estimates``, ``modalities`` and ``affect``; the last two only if they have content.
    """
    figure = new_page(analysis)
    draw = {"estimates": _draw_estimates, "modalities": _draw_modalities, "affect": _draw_affect}
    top = TOP
    for name, height in _heights(analysis).items():
        top -= GAP + height
        draw[name](figure.add_axes((LEFT, top, RIGHT - LEFT, height), label=name), analysis)
    for axes in figure.axes:
        _draw_clock(axes, analysis, last=axes is figure.axes[-1])
    return figure


def _heights(analysis: Analysis) -> dict[str, float]:
    """Returns the fraction of the page's height for each part; a part without content is left out."""
    affect = any(estimate.valence is not None for estimate in analysis.estimates)
    modalities = 0.052 * len(_used_modalities(analysis))
    below = 0.08 + 0.028 * max((text.count("\n") for text in _line_ticks(analysis)[1]), default=0)
    room = TOP - below - modalities - GAP * (1 + (modalities > 0) + affect)
    # A single row would be too tall; without any answer, the line that says so takes the space.
    estimates = min(room - (0.15 if affect else 0.0), 0.13 * (len(row_labels(analysis)) or 8))
    heights = {
        "estimates": estimates,
        "modalities": modalities,
        "affect": min(room - estimates, 0.3) if affect else 0.0,
    }
    return {name: height for name, height in heights.items() if height > 0}


def _used_modalities(analysis: Analysis) -> list[str]:
    return [modality for modality in MODALITIES if analysis.models.get(modality) is not None]


def _texts(analysis: Analysis) -> list[str]:
    """Returns the typed lines if they are few enough to be shown."""
    if analysis.has_times or len(analysis.estimates) > _FEW_LINES:
        return []
    return [printable(estimate.utterance.text) for estimate in analysis.estimates]


# --- drawing ------------------------------------------------------------------------------------------------------


def _heading(axes: Axes, text: str, x: float = 0.0) -> None:
    inches = axes.get_position().height * HEIGHT
    axes.text(x, 1 + 0.09 / inches, text, size=10.5, color=MUTED, va="bottom", transform=axes.transAxes)


def _draw_estimates(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    labels = row_labels(analysis)
    if not labels:
        axes.set_ylim(0, 1)
        axes.text(0.5, 0.5, "No emotion could be estimated.", size=16, color=MUTED, ha="center", va="center_baseline",
                  transform=axes.transAxes)  # fmt: skip
        return
    _heading(axes, f"{_source(analysis)}   ·   bar height is confidence, full height 100%   ·   "
                   f"share: mean probability over {'time' if analysis.has_times else 'the lines'}")  # fmt: skip
    axes.set_ylim(len(labels), 0)
    shares = {printable(label): share for label, share in (analysis.summary["shares"] or {}).items()}
    numbers = {label: probability_percent(share) for label, share in shares.items()}
    numbers[UNCERTAIN] = percent(analysis.summary["uncertain"] or 0.0)
    for row, label in enumerate(labels):
        axes.axhline(row + 0.96, color=RULE, linewidth=0.8, zorder=0.5)
        _draw_row(axes, row, [block for block in estimate_blocks(analysis) if block.label == label], analysis)
        add_label(axes, row + 0.54, label, 12)
        # The shares of the emotions sum to 1; the time without a clear answer is counted beside them.
        weight, ink = ("normal", MUTED) if label == UNCERTAIN else ("bold", INK)
        axes.text(1.012, row + 0.54, numbers.get(label, "–"), size=13, weight=weight, color=ink, va="center_baseline",
                  transform=axes.get_yaxis_transform())  # fmt: skip
    _heading(axes, "share", 1.012)


def _source(analysis: Analysis) -> str:
    modalities = [modality for modality in MODALITIES if any(each.get(modality) for each in analysis.estimates)]
    if primary_modality(analysis.estimates) == "fused" and len(modalities) > 1:
        return "All signals together"
    return f"The answer, from the {MODALITY_NAMES[modalities[0]]} alone"


def _draw_row(axes: Axes, row: int, blocks: Sequence[Block], analysis: Analysis) -> None:
    label, floor = blocks[0].label, row + 0.96
    starts, lengths = [block.start for block in blocks], [block.end - block.start for block in blocks]
    heights = [-FULL * block.confidence for block in blocks]  # upwards: the first row has the smallest number
    inches = _inches_per_unit(analysis)
    colors, widths = zip(*(edge_of(label, length * inches) for length in lengths), strict=True)
    axes.bar(starts, heights, lengths, floor, align="edge", color=color_of(label), edgecolor=colors, linewidth=widths,
             gid=f"answer {label}", zorder=2)  # fmt: skip
    tall = axes.get_position().height * HEIGHT / axes.get_ylim()[0]
    for block in without_overlaps(blocks) if label != UNCERTAIN else []:
        height = FULL * block.confidence
        if (block.end - block.start) * inches > 0.42 and height * tall > 0.16:
            axes.text((block.start + block.end) / 2, floor - height / 2, probability_percent(block.confidence),
                      size=9.5, zorder=3, color=ink_on(color_of(label)), ha="center", va="center_baseline")  # fmt: skip


def _inches_per_unit(analysis: Analysis) -> float:
    """Returns the width in inches of a second on the slide, or of a line of text without times."""
    start, end = span_of(analysis)
    return (RIGHT - LEFT) * WIDTH / (end - start)


def _draw_modalities(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    rows = _used_modalities(analysis)
    axes.set_ylim(len(rows), 0)
    start, end = span_of(analysis)
    has_gaps = any(gaps(modality_blocks(analysis, modality), start, end) for modality in rows)
    _heading(axes, "Each signal alone" + ("   ·   hatched: no estimate" if has_gaps else ""))
    inches = _inches_per_unit(analysis)
    across = axes.get_yaxis_transform()
    for row, modality in enumerate(rows):
        blocks = modality_blocks(analysis, modality)
        for label in dict.fromkeys(block.label for block in blocks):
            spans = [(block.start, block.end - block.start) for block in blocks if block.label == label]
            colors, widths = zip(*(edge_of(label, length * inches) for _, length in spans), strict=True)
            axes.broken_barh(spans, (row + 0.12, 0.76), facecolors=color_of(label), zorder=2, gid=f"{modality} {label}",
                             edgecolors=colors, linewidths=widths)  # fmt: skip
        absent = [(first, last - first) for first, last in gaps(blocks, start, end)]
        axes.broken_barh(absent, (row + 0.12, 0.76), facecolors="white", edgecolor=RULE, hatch="/////", linewidth=0,
                         gid=f"{modality} absent", zorder=1)  # fmt: skip
        for block in without_overlaps(blocks):
            _name_block(axes, row + 0.5, block, (block.end - block.start) * inches)
        add_name(axes, row + 0.5, MODALITY_NAMES[modality], 12)
        coverage = f"{COVERAGE_WORDS[modality]} {percent(analysis.coverage[modality])}"
        axes.text(1.012, row + 0.5, coverage, size=10, color=MUTED, va="center_baseline", transform=across)


def _name_block(axes: Axes, y: float, block: Block, inches: float) -> None:
    """Writes sign and name if they fit, else only the sign, else nothing."""
    sign = SIGNS.get(block.label, "")
    whole = f"{sign} {block.label}".strip()
    text = whole if inches > 0.09 * len(whole) + 0.1 else sign if inches > 0.16 else ""
    if text:
        axes.text((block.start + block.end) / 2, y, text, size=9.5, color=ink_on(color_of(block.label)), ha="center",
                  va="center_baseline", zorder=3)  # fmt: skip


def _draw_affect(axes: Axes, analysis: Analysis) -> None:
    hide_axes(axes)
    start, end = span_of(analysis)
    window = (end - start) / 60 if analysis.has_times and len(analysis.estimates) > _MANY else None
    means = f"   ·   means over {clock(window)}" if window else ""
    _heading(axes, f"Valence (unpleasant −1 to pleasant +1) and arousal (calm −1 to excited +1){means}")
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1], ["−1", "0", "+1"], size=10)
    for value in (-1, 0, 1):
        axes.axhline(value, color=MUTED if value == 0 else RULE, linewidth=0.8, zorder=0.5)
    ends = {}
    for name, color, dashes in (("valence", VALENCE, "-"), ("arousal", AROUSAL, (0, (4, 1.5)))):
        times, values = mean_line(analysis, name, window) if window else affect_line(analysis, name)
        axes.plot(
            times, values, color=color, linestyle=dashes, linewidth=2, solid_joinstyle="round", gid=name, zorder=3
        )
        ends[name] = next((value for value in reversed(values) if not math.isnan(value)), 0.0)
    for name, y in _apart(ends, 0.19 * 2.1 / (axes.get_position().height * HEIGHT)).items():
        color = VALENCE if name == "valence" else AROUSAL
        axes.text(1.012, y, name, size=11, color=color, va="center_baseline", transform=axes.get_yaxis_transform())


def _apart(ends: dict[str, float], least: float) -> dict[str, float]:
    """Moves two labels apart so that they do not overlap."""
    low, high = sorted(ends, key=ends.__getitem__)
    padding = max(least - (ends[high] - ends[low]), 0.0) / 2
    return {low: ends[low] - padding, high: ends[high] + padding}


def _draw_clock(axes: Axes, analysis: Analysis, last: bool) -> None:
    start, end = span_of(analysis)
    axes.set_xlim(start, end)
    ticks, names = _line_ticks(analysis) if not analysis.has_times else _time_ticks(start, end)
    axes.set_xticks(ticks, names if last else [""] * len(names), size=10.5)
    axes.tick_params(axis="x", pad=9)
    if analysis.has_times and (axes.get_label() != "estimates" or row_labels(analysis)):
        axes.grid(axis="x", color=RULE, linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)


def _time_ticks(start: float, end: float) -> tuple[list[float], list[str]]:
    days = math.ceil((end - start) / (12 * _STEPS[-1]))
    step = next((step for step in _STEPS if (end - start) / step <= 12), days * _STEPS[-1])
    first = math.ceil(start / step - 1e-9)
    ticks = [number * step for number in range(first, math.floor(end / step + 1e-9) + 1)]
    return ticks, [clock(tick) for tick in ticks]


def _line_ticks(analysis: Analysis) -> tuple[list[float], list[str]]:
    texts = _texts(analysis)
    count = len(analysis.estimates)
    step = max(math.ceil(count / 20), 1)
    ticks = [line + 0.5 for line in range(0, count, step)]
    if not texts:
        return ticks, [f"line {round(tick + 0.5)}" if tick < 1 else f"{round(tick + 0.5)}" for tick in ticks]
    room = (RIGHT - LEFT) * WIDTH / count - 0.15
    return ticks, [textwrap.fill(text, _letters(text, room), max_lines=4, placeholder=" …") for text in texts]


def _letters(text: str, inches: float) -> int:
    """Estimates how many letters of a text fit: capitals are a third wider, East Asian letters twice as wide."""
    widths = [2.0 if east_asian_width(char) in "WF" else 1.33 if char.isupper() else 1.0 for char in text]
    return max(int(inches / (0.09 * (sum(widths) / max(len(widths), 1)))), 4)
