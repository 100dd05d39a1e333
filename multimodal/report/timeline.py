"""Charts of one recording over time: probabilities, each modality, valence and arousal, on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multimodal.palette import COLORS
from multimodal.report.series import ALL, Run, as_steps, coarse_seconds, mean_over, modality_rows, steps, time_span
from multimodal.types import MODALITIES, MODALITY_NAMES, UNCERTAIN, UtteranceEstimate

if TYPE_CHECKING:
    from bokeh.models import Column, Range1d
    from bokeh.plotting import figure

    from multimodal.analysis.result import Analysis

GUTTER = 66
"""Pixels left of every chart, so that their time axes align."""

HEIGHTS = {"emotions": 124, "row": 25, "affect": 92}
"""Of the charts in pixels; ``row`` is each modality's."""

AXIS_HEIGHT = 26
TITLE_HEIGHT = 22

ROW_NAMES = {ALL: "Fused", **{modality: MODALITY_NAMES[modality].capitalize() for modality in MODALITIES}}

FINE, COARSE, BOTH = "fine", "coarse", "both"
"""Names of renderers: each utterance or means, depending on the zoom; ``both`` is always visible."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'


def timeline(analysis: Analysis) -> tuple[Column, int] | None:
    """Draws an analysis over time.

    Args:
        analysis: Of a recording; typed answers have no times.

    Returns:
        Bokeh figures with one range of times, and their total height in pixels: ``emotions`` (fused probabilities,
        stacked), ``modalities`` (a row each) and ``affect`` (valence and arousal), without those that are empty. None
        if all are.
    """
    from bokeh.layouts import column
    from bokeh.models import Range1d

    start, end = time_span(analysis)
    if end <= start:
        return None
    times = Range1d(start=start, end=end, bounds=(start, end), min_interval=min(1.0, end - start))
    estimates, rows = analysis.estimates, modality_rows(analysis)
    charts = [_emotions(estimates, analysis.emotions, times, end - start)] if ALL in rows else []
    charts += [_modalities(rows, times)] if rows else []
    charts += [_affect(estimates, times, end - start)] if any(each.valence is not None for each in estimates) else []
    if not charts:
        return None
    _show_times(charts[-1])
    height = sum(chart.height or 0 for chart in charts)
    return column(*charts, sizing_mode="stretch_width", spacing=0), height


def _chart(name: str, title: str, height: int, times: Range1d, **ranges: Any) -> figure:
    """An empty chart: no frame, no toolbar, drag to move, Ctrl and the wheel to zoom."""
    from bokeh.models import PanTool, WheelZoomTool
    from bokeh.models.annotations import Title
    from bokeh.plotting import figure

    pan, wheel = PanTool(dimensions="width"), WheelZoomTool(dimensions="width", modifiers={"ctrl": True})
    heading = Title(text=title, text_font=FONT, text_font_size="12px", text_font_style="normal", standoff=4)
    heading.update(offset=4)
    heading.tags = [{"text_color": "muted"}]
    chart = figure(
        name=name, title=heading, height=height + TITLE_HEIGHT, sizing_mode="stretch_width", x_range=times,
        tools=[pan, wheel], toolbar_location=None, background_fill_alpha=0.0, border_fill_alpha=0.0,
        outline_line_color=None, lod_threshold=None, min_border_left=GUTTER, min_border_right=12, min_border_top=6,
        min_border_bottom=6, **ranges,
    )  # fmt: skip
    chart.toolbar.active_drag, chart.toolbar.active_scroll = pan, wheel
    chart.xaxis.visible = False
    chart.xgrid.grid_line_alpha = 0.7
    for axis in chart.axis:
        axis.minor_tick_line_color = axis.axis_line_color = axis.major_tick_line_color = None
        axis.major_label_text_font, axis.major_label_text_font_size = FONT, "12px"
    return chart


def _show_times(chart: figure) -> None:
    """Shows the time axis under the lowest chart; the script writes its labels, as 0:05, for the view."""
    from bokeh.models import FixedTicker

    chart.xaxis.visible = True
    chart.xaxis.ticker = FixedTicker(ticks=[])
    chart.height = (chart.height or 0) + AXIS_HEIGHT
    chart.min_border_bottom = AXIS_HEIGHT


def _emotions(estimates: Sequence[UtteranceEstimate], labels: Sequence[str], times: Range1d, seconds: float) -> figure:
    from bokeh.models import FixedTicker, NumeralTickFormatter

    fused = [each for each in estimates if each.fused is not None]
    width = coarse_seconds(seconds, len(fused))
    title = "Probability of each emotion" + _means(width)
    chart = _chart("emotions", title, HEIGHTS["emotions"], times, y_range=(0.0, 1.0))
    edges = [(each.utterance.start_seconds, each.utterance.end_seconds) for each in fused]
    shares = np.array([[each.fused.probabilities.get(label, 0.0) for label in labels] for each in fused if each.fused])
    _stack(chart, edges, shares, labels, FINE if width else BOTH)
    if width:
        _stack(chart, *mean_over(edges, shares, width), labels, COARSE)
    missing = [each.utterance for each in estimates if each.fused is None]
    _hatch(
        chart, [(each.start_seconds, each.end_seconds) for each in missing], [0.0] * len(missing), [1.0] * len(missing)
    )
    chart.yaxis.ticker = FixedTicker(ticks=[0, 0.5, 1])
    chart.yaxis.formatter = NumeralTickFormatter(format="0%")
    return chart


def _stack(
    chart: figure, edges: Sequence[tuple[float, float]], shares: NDArray[np.float64], labels: Sequence[str], level: str
) -> None:
    """Stacked columns of probabilities."""
    from bokeh.models import ColumnDataSource

    tops = np.minimum(np.cumsum(shares, axis=1), 1.0).astype(np.float32)
    columns = _edges(edges) | {f"top{number}": tops[:, number] for number in range(len(labels))}
    source = ColumnDataSource(columns | {"bottom": np.zeros(len(edges), np.float32)})
    for number, label in enumerate(labels):
        bottom = f"top{number - 1}" if number else "bottom"
        chart.quad(
            left="start", right="end", bottom=bottom, top=f"top{number}", source=source,
            fill_color=COLORS.get(label, COLORS[UNCERTAIN]),
            line_color=None, name=level, visible=level != FINE,
        )  # fmt: skip


def _means(width: int | None) -> str:
    return f", {width} s means" if width else ""


def _modalities(rows: dict[str, list[Run]], times: Range1d) -> figure:
    from bokeh.core.properties import value
    from bokeh.models import ColumnDataSource, FixedTicker

    height = HEIGHTS["row"] * len(rows) + 12
    title = "Estimates by signal (faint: unsure)"
    chart = _chart("modalities", title, height, times, y_range=(float(len(rows)), 0.0))
    places = dict(zip(rows, range(len(rows)), strict=True))
    placed = [(run, places[row] + 0.08) for row, runs in rows.items() for run in runs]
    present = [(run, top) for run, top in placed if run.label is not None]
    columns = _edges([(run.start_seconds, run.end_seconds) for run, _ in present])
    columns |= {"top": np.array([top for _, top in present]), "bottom": np.array([top + 0.84 for _, top in present])}
    columns |= {
        "middle": (columns["start"] + columns["end"]) / 2,
        "center": np.array([top + 0.42 for _, top in present]),
    }
    columns |= {
        "label": [run.label for run, _ in present],
        "color": [COLORS.get(str(run.label), COLORS[UNCERTAIN]) for run, _ in present],
    }
    # Faint at low probability; the script writes the sign on runs that are wide enough for it.
    columns |= {"alpha": np.array([0.25 + 0.75 * run.probability for run, _ in present], np.float32)}
    columns |= {"sign": [""] * len(present), "ink": ["#000000"] * len(present)}
    source = ColumnDataSource(columns, name="runs")
    chart.quad(
        left="start", right="end", top="top", bottom="bottom", source=source, fill_color="color", fill_alpha="alpha",
        line_color=None,
    )  # fmt: skip
    signs = ColumnDataSource({key: [] for key in ("x", "y", "sign", "ink")}, name="signs")
    chart.text(
        x="x", y="y", text="sign", text_color="ink", source=signs, text_align="center", text_baseline="middle",
        text_font=value(FONT), text_font_size="11px",
    )  # fmt: skip
    absent = [(run, top) for run, top in placed if run.label is None]
    edges = [(run.start_seconds, run.end_seconds) for run, _ in absent]
    _hatch(chart, edges, [top for _, top in absent], [top + 0.84 for _, top in absent])
    chart.yaxis.ticker = FixedTicker(ticks=[place + 0.5 for place in places.values()])
    chart.yaxis.major_label_overrides = {place + 0.5: ROW_NAMES[row] for row, place in places.items()}
    chart.ygrid.visible = False
    return chart


def _affect(estimates: Sequence[UtteranceEstimate], times: Range1d, seconds: float) -> figure:
    from bokeh.models import FixedTicker

    estimated = [each for each in estimates if each.valence is not None and each.arousal is not None]
    width = coarse_seconds(seconds, len(estimated))
    title = "Valence (solid), arousal (dashed)" + _means(width)
    chart = _chart("affect", title, HEIGHTS["affect"], times, y_range=(-1.0, 1.0))
    _lines(chart, *steps(estimates), FINE if width else BOTH)
    if width:
        edges = [(each.utterance.start_seconds, each.utterance.end_seconds) for each in estimated]
        values = np.array([[each.valence, each.arousal] for each in estimated], np.float64)
        _lines(chart, *as_steps(*mean_over(edges, values, width)), COARSE)
    chart.yaxis.ticker = FixedTicker(ticks=[-1, 0, 1])
    chart.yaxis.major_label_overrides = {0: "0", -1: "−1", 1: "+1"}
    return chart


def _lines(chart: figure, times: NDArray[np.float32], values: NDArray[np.float32], level: str) -> None:
    from bokeh.models import ColumnDataSource

    source = ColumnDataSource({"time": times, "valence": values[:, 0], "arousal": values[:, 1]})
    for name, color, dash in (("valence", "ink", "solid"), ("arousal", "accent", [6, 3])):
        line = chart.line(
            "time", name, source=source, line_width=1.75, line_dash=dash, line_join="round", name=level,
            visible=level != FINE,
        )  # fmt: skip
        line.glyph.tags = [{"line_color": color}]


def _hatch(
    chart: figure, edges: Sequence[tuple[float, float]], tops: Sequence[float], bottoms: Sequence[float]
) -> None:
    """Hatches, without color, the times of an absent estimate."""
    from bokeh.models import ColumnDataSource

    source = ColumnDataSource(_edges(edges) | {"top": np.array(tops), "bottom": np.array(bottoms)})
    lines = chart.quad(
        left="start", right="end", top="top", bottom="bottom", source=source, fill_color=None, line_color=None,
        hatch_pattern="right_diagonal_line", hatch_color="#8b8f97", hatch_alpha=0.4, hatch_scale=8, hatch_weight=1,
        name="absent",
    )  # fmt: skip
    lines.glyph.tags = [{"hatch_color": "strong-line"}]


def _edges(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    edges = np.array(pairs, np.float64).reshape(-1, 2)
    return {"start": edges[:, 0].copy(), "end": edges[:, 1].copy()}
