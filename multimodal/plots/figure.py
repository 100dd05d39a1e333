"""Elements that all plots share: a slide with title and caption, fonts, and reproducible files.

matplotlib is used without pyplot, which keeps figures and chooses a window system.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.analysis.result import Analysis
from multimodal.data.transcripts.text import printable
from multimodal.files import atomic_write, path_text
from multimodal.formatting import join_names
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import MODALITY_NAMES, UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 40 / 3, 7.5
"""Size in inches of a slide of 16 to 9."""

DOTS_PER_INCH = 288
"""3840 by 2160 pixels."""

MARGIN, LEFT, RIGHT = 0.035, 0.145, 0.905
"""Left edge of text, and left and right edge of the axes, as fractions of the width."""

INK, MUTED, RULE, TRACK = "#1f2328", "#57606a", "#d0d7de", "#eef0f2"

MEANING = "Perceived expression: what onlookers would call it, not what the person felt"

_LONGEST_TITLE = 72

_FALLBACKS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Noto Sans",
)
"""Fonts for letters that DejaVu Sans, matplotlib's own font, lacks; those installed are used."""

_STYLE = {
    "text.parse_math": False,  # a file may be called $x$
    "text.usetex": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "hatch.linewidth": 0.8,
    "svg.fonttype": "path",  # a slide looks the same on a machine without our letters
    "svg.hashsalt": "multimodal-emotion",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Sets matplotlib up while figures are drawn and written, independent of the user's settings."""
    from matplotlib import font_manager, style

    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _FALLBACKS if name in installed)]
    with style.context(["default", {**_STYLE, "font.family": families}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def new_page(analysis: Analysis) -> Figure:
    """Creates an empty slide with the recording's name, length and signals.

    Args:
        analysis: The analysis of any input.

    Returns:
        A figure of 16 to 9.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DOTS_PER_INCH, facecolor="white")
    name = figure.text(MARGIN, 0.925, title(analysis), size=22, weight="bold", va="baseline", gid="title")
    longest = _LONGEST_TITLE
    while longest > 30 and name.get_window_extent().x1 > (1 - MARGIN) * figure.bbox.x1:
        longest -= 2
        name.set_text(title(analysis, longest))
    figure.text(MARGIN, 0.882, caption(analysis), size=11.5, color=MUTED, va="baseline", gid="caption")
    return figure


def title(analysis: Analysis, longest: int = _LONGEST_TITLE) -> str:
    """Returns the file's name on one line, without its middle if it has more than ``longest`` letters.

    Args:
        analysis: The analysis of any input.
        longest: Largest number of letters.

    Returns:
        The title.
    """
    name = printable(path_text(Path(analysis.media.path.name))) or "?"
    if len(name) <= longest:
        return name
    return f"{name[: longest - 21]}…{name[-20:]}"


def caption(analysis: Analysis) -> str:
    """Describes the slide: its content, the length of the recording and the signals in use.

    Args:
        analysis: The analysis of any input.

    Returns:
        One line.
    """
    used = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    names = join_names([name for modality, name in MODALITY_NAMES.items() if modality in used])
    return "   ·   ".join([MEANING, length_text(analysis), f"based on {names}" if names else "no estimate"])


def length_text(analysis: Analysis) -> str:
    """Writes the length of the recording and the analyzed part, or the number of typed lines.

    Args:
        analysis: The analysis of any input.

    Returns:
        A phrase such as ``1:02:05``.
    """
    media = analysis.media
    if not media.duration_seconds:
        lines = len(analysis.estimates)
        return f"{lines} line{'' if lines == 1 else 's'}"
    if media.segment is None:
        return clock(media.duration_seconds)
    return f"{clock(media.segment[0])} to {clock(media.segment[1])} of {clock(media.duration_seconds)}"


def clock(seconds: float) -> str:
    """Formats a time, with tenths of a second below one minute.

    Args:
        seconds: Time on the recording's clock.

    Example:
        >>> clock(65), clock(3600), clock(2.5)
        ('1:05', '1:00:00', '0:02.5')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    point = f".{rest % 10}" if rest % 10 and minutes < 1 else ""
    text = f"{minutes % 60:02}:{rest // 10:02}" if minutes >= 60 else f"{minutes}:{rest // 10:02}"
    return f"{minutes // 60}:{text}" if minutes >= 60 else f"{text}{point}"


def color_of(label: str) -> str:
    """Returns the color of an emotion; unknown labels have the color of neutral.

    Args:
        label: Any label.

    Returns:
        ``#rrggbb``.
    """
    return COLORS.get(label, COLORS["neutral"])


def edge_of(label: str, inches: float) -> tuple[str, float]:
    """Returns color and width in points of a block's edge: white around wide blocks, invisible around narrow ones.

    Args:
        label: Label of the block.
        inches: Width of the block.

    Returns:
        Color and width.
    """
    if label == UNCERTAIN:
        return "#8c959f", 0.7 if inches > 0.06 else 0.3
    return ("white", 0.8) if inches > 0.06 else (color_of(label), 0.3)


def add_label(axes: Axes, y: float, label: str, size: float) -> None:
    """Writes an emotion's sign on its color, and its name, at the left margin of the page.

    Args:
        axes: Axes to the right of the label.
        y: Middle of the label in data coordinates.
        label: An emotion or ``uncertain``, on one line.
        size: Size of the letters in points.
    """
    place, across = axes.get_position(), axes.get_yaxis_transform()
    chip, color = size * 1.5, color_of(label)
    middle = (MARGIN + chip / 2 / 72 / WIDTH - place.x0) / place.width
    axes.plot([middle], [y], "s", color=color, markersize=chip, transform=across, clip_on=False)
    sign, ink = SIGNS.get(label, "·"), ink_on(color)
    axes.text(middle, y, sign, size=size * 0.85, color=ink, ha="center", va="center_baseline", transform=across)
    add_name(axes, y, label, size)


def add_name(axes: Axes, y: float, name: str, size: float) -> None:
    """Writes the name of a row, aligned with the names of emotions.

    Args:
        axes: Axes of the rows.
        y: Height of the row.
        name: Name of the row.
        size: Font size in points.
    """
    place = axes.get_position()
    left = (MARGIN + size * 2.1 / 72 / WIDTH - place.x0) / place.width
    largest = size * min(10 / max(len(name), 1), 1)  # there is room for ten letters; other models have other labels
    axes.text(left, y, name, size=largest, va="center_baseline", transform=axes.get_yaxis_transform())


def hide_axes(axes: Axes) -> None:
    """Hides frame and ticks.

    Args:
        axes: The axes.
    """
    axes.set_facecolor("none")
    axes.tick_params(length=0)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def write_figure(figure: Figure, path: Path, about: str) -> None:
    """Writes a figure as PNG or SVG, by the suffix; the same figure gives the same bytes.

    Args:
        figure: A figure created within ``drawing``.
        path: The file to write.
        about: Text alternative of the figure, stored in the file.

    Raises:
        OutputError: The file cannot be written.
    """
    name = printable(path_text(Path(os.fspath(path.name))))
    with atomic_write(path) as temporary:
        if path.suffix == ".svg":
            facts = {"Title": about, "Creator": "multimodal-emotion", "Date": None}
            figure.savefig(temporary, format="svg", metadata=facts)
        else:
            facts = {"Title": name, "Description": about, "Software": "multimodal-emotion"}
            figure.savefig(temporary, format="png", metadata=facts)
