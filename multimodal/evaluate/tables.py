"""Metrics as a table in the terminal and as pictures next to the JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal.errors import ConfigError
from multimodal.evaluate.synthetic.mixtures import mixtures_table
from multimodal.evaluate.usability import usability_table
from multimodal.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = (
    "uar",
    "macro_f1_native",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "kappa",
    "roc_auc",
    "pr_auc",
    "ece",
    "divergence",
    "speakers",
    "n",
)


def table(name: str, data: str, figures: Mapping[str, Any]) -> str:
    """Formats all figures of one model as text.

    Args:
        name: Name of the weights.
        data: Name of the evaluation data.
        figures: The result of an evaluation.

    Returns:
        Lines without a final line break.
    """
    lines = [f"{name} on {data}, {figures['parameters']:,} parameters"]
    for key in (key for key in FIGURES if figures.get(key) is not None):
        value = figures[key]
        lines.append(f"  {key:18} {value if isinstance(value, int) else format(value, '.4f')}")
    if "uar_by_recording" in figures:
        lines.append(f"  speech encoder     {figures['speech_encoder'] or 'none'}")
        lines.append("  uar by recording")
        lines += [f"    {name:16} {value:.4f}" for name, value in figures["uar_by_recording"].items()]
    if "confidence" in figures:
        lines += _confidence(figures["confidence"])
    if "conditions" in figures:
        lines += _conditions(figures["conditions"])
    if "talking" in figures:
        lines += _talking(figures["talking"])
    if "subsets" in figures:
        lines += _subsets(figures)
    lines += usability_table(figures)
    rows = figures.get("per_class") or figures["per_label"]
    lines.append("  per class          precision  recall      F1       n")
    bounds = figures.get("recall_intervals", {})
    for label, row in rows.items():
        line = f"    {label:16} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f} {row['n']:7.0f}"
        lines.append(line + (f"   recall {bounds[label][0]:.2f} to {bounds[label][1]:.2f}" if label in bounds else ""))
    lines.append("  confusion (row: true label, column: prediction)")
    lines.append(" " * 21 + " ".join(f"{label[:6]:>6}" for label in figures["labels"]))
    for label, row in zip(figures["labels"], figures["confusion"], strict=True):
        lines.append(f"    {label:16} " + " ".join(f"{count:6d}" for count in row))
    return "\n".join(lines)


def _confidence(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Calibration error and accuracy at both coverages, and what the rule of ``uncertain`` does, per data set."""
    width = max(18, *map(len, rows))
    lines = [
        f"  {'confidence':{width}}   calibration   accuracy at coverage   uncertain: share, right if so, if not      n",
        f"  {'':{width}}         error        1.0        0.5",
    ]
    keys = ("ece", "accuracy", "accuracy_half", "uncertain_share", "accuracy_uncertain", "accuracy_certain")
    for name, row in rows.items():
        error, *others = ("-" if row.get(key) is None else format(row[key], ".3f") for key in keys)
        cells = "".join(f"{value:>{size}}" for value, size in zip(others, (11, 11, 17, 11, 11), strict=True))
        lines.append(f"  {name:{width}}{error:>14}{cells} {row['n']:11,}")
    return lines


def _conditions(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Accuracy and confidence of a face model under each bad condition."""
    lines = ["  condition          accuracy recall  agreement confidence overconfidence uncertain"]
    for name, row in rows.items():
        cells = f"{row['accuracy']:8.3f} {row['recall']:6.3f} {row['agreement']:10.3f} {row['confidence']:10.3f}"
        lines.append(f"    {name:16} {cells} {row['overconfidence']:+14.3f} {row['uncertain']:9.3f}")
    return lines


def _talking(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """How steady the answers are on composed videos, by single frames and over time."""
    lines = ["  talking                            right  changes/s  neutral as emotion  changes found  false/min"]
    for video, ways in rows.items():
        for way, row in ways.items():
            found = format(row["found"], ".3f") if "found" in row else "-"
            cells = f"{row['right']:8.3f} {row['changes_per_second']:10.3f} {row['neutral_emotional']:19.3f}"
            lines.append(f"    {video + ', ' + way:32}{cells} {found:>14} {row['false_per_minute']:10.2f}")
    return lines


def with_comparison(figures: Mapping[str, Any], data: str, path: Path) -> dict[str, Any]:
    """Adds the confidence of another evaluation, so that both are printed and drawn side by side.

    Args:
        figures: The result of an evaluation, with ``confidence``.
        data: Name of its evaluation data.
        path: ``figures.json`` of the other.

    Returns:
        The figures; the rows of ``confidence`` bear the names of both data sets.

    Raises:
        ConfigError: The file cannot be read, or has no confidence figures.
    """
    try:
        other = json.loads(path.read_text(encoding="utf-8"))
        both = ((data, figures), (other["data"], other))
        rows = {f"{name} ({title})": row for title, each in both for name, row in each["confidence"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fact = f"is no figures.json with confidence figures ({error})"
        raise ConfigError(path, fact, "name the figures.json that --out of another evaluation wrote") from None
    return {**figures, "confidence": rows}


def _subsets(figures: Mapping[str, Any]) -> list[str]:
    """Each subset of modalities, for the head and for late fusion; then each modality degraded by noise."""
    averaged = figures.get("late", {})
    beside = "    late average: macro-F1 accuracy    ece" if averaged else ""
    lines = [f"  modalities         macro-F1 accuracy    ece{beside}"]
    for name, head in figures["subsets"].items():
        rows = [head, averaged[name]] if name in averaged else [head]
        cells = [f"{each['macro_f1']:8.3f} {each['accuracy']:8.3f} {each['ece']:6.3f}" for each in rows]
        lines.append(f"    {name:16} {(' ' * 18).join(cells)}")
    if "degraded" in figures:
        lines.append("  degraded           head     late average   head without it (macro-F1)")
    for name, row in figures.get("degraded", {}).items():
        lines.append(f"    {name:14} {row['fused']:8.3f} {row['late']:12.3f} {row['without']:13.3f}")
    return [*lines, *mixtures_table(figures.get("mixtures", {}))]


def write_figures(folder: Path, figures: Mapping[str, Any]) -> list[Path]:
    """Writes figures as JSON, and as pictures where the figures allow.

    Args:
        folder: Output folder; created if it does not exist.
        figures: The result of an evaluation.

    Returns:
        ``figures.json``, ``confusion.png``, ``risk_coverage.png``, and for the fusion ``reliability.png``.

    Raises:
        OutputError: The folder cannot be written.
    """
    paths = [folder / "figures.json"]
    with atomic_write(paths[0]) as temporary:
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    drawings = {"confusion": (_confusion, "confusion"), "reliability": (_reliability, "reliability")}
    drawings["risk_coverage"] = (_risk_coverage, "confidence" if "confidence" in figures else "risk_coverage")
    for name, (draw, key) in drawings.items():
        if key in figures:
            paths.append(folder / f"{name}.png")
            _draw(paths[-1], draw, figures)
    return paths


def _draw(path: Path, draw: Any, figures: Mapping[str, Any]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots(), figures)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _confusion(axes: Axes, figures: Mapping[str, Any]) -> None:
    labels, counts = figures["labels"], figures["confusion"]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(labels))
    axes.set_xticks(places, labels, rotation=40, ha="right")
    axes.set_yticks(places, labels)
    axes.set(xlabel="prediction", ylabel="true label", title="Confusion: share of each true emotion")
    for row in places:
        for column in places:
            color = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, f"{shares[row][column]:.2f}", ha="center", va="center", color=color, fontsize=9)


def _reliability(axes: Axes, figures: Mapping[str, Any]) -> None:
    confidence, right, sizes = zip(*figures["reliability"], strict=True)
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="perfect calibration")
    axes.plot(confidence, right, marker="o", color="#0072b2", label="this model")
    for place, share, size in zip(confidence, right, sizes, strict=True):
        axes.annotate(f"{size:,}", (place, share), textcoords="offset points", xytext=(6, -11), fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"Reliability (expected calibration error {figures['ece']:.3f}; numbers: predictions)")
    axes.legend(loc="upper left")


CURVES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Colors that people with any color vision can tell apart (Okabe and Ito 2008)."""


def _risk_coverage(axes: Axes, figures: Mapping[str, Any]) -> None:
    """One curve per data set; a dashed line is the accuracy of a system whose confidence says nothing."""
    rows = figures.get("confidence", {figures.get("data", "this model"): figures})
    for number, (name, row) in enumerate(rows.items()):
        coverage, right = zip(*row["risk_coverage"], strict=True)
        color, mark = CURVES[number % len(CURVES)], "osD^vP"[number % 6]
        axes.plot(coverage, [1 - value for value in right], marker=mark, markersize=4, color=color, label=name)
        axes.axhline(1 - right[-1], color=color, linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, None), xlabel="coverage: share of the predictions kept, most confident first")
    axes.set(ylabel="risk: share of wrong predictions among them", title="Risk and coverage")
    if len(rows) > 1:
        axes.set_ylim(0, 1.3 * axes.get_ylim()[1])  # room for the legend
        axes.legend(loc="upper left", title="dotted: if confidence said nothing", fontsize=8, title_fontsize=8)
