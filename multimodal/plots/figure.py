"""What the pictures share: a slide with a title and a caption, letters, and files that are the same each time.

matplotlib is used without pyplot, which would keep figures and choose a window system.
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
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import MODALITY_NAMES, UNCERTAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 40 / 3, 7.5
"""Inches of a slide of 16 to 9."""

DOTS_PER_INCH = 288
"""3840 by 2160 pixels."""

MARGIN, LEFT, RIGHT = 0.035, 0.145, 0.905
"""Where letters begin, and where what is drawn begins and ends, in fractions of the width."""

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
"""For letters that DejaVu Sans lacks, which matplotlib brings: whichever of them is installed."""

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
    """Sets matplotlib up while figures are made and written, whatever the user's own settings are."""
    from matplotlib import font_manager, style

    there = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _FALLBACKS if name in there)]
    with style.context(["default", {**_STYLE, "font.family": families}]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def new_page(analysis: Analysis) -> Figure:
    """An empty slide: the recording's name, what is shown, how long it is and what judged it.

    Args:
        analysis: Of any input.

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
    """The file's name on one line, without its middle where it has more letters than ``longest``."""
    name = printable(path_text(Path(analysis.media.path.name))) or "?"
    if len(name) <= longest:
        return name
    return f"{name[: longest - 21]}…{name[-20:]}"


def caption(analysis: Analysis) -> str:
    """What the picture shows of what."""
    there = {modality for estimate in analysis.estimates for modality in estimate.modalities}
    names = [name for modality, name in MODALITY_NAMES.items() if modality in there]
    judged = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
    return "   ·   ".join([MEANING, length_text(analysis), f"judged by {judged}" if judged else "nothing to judge"])


def length_text(analysis: Analysis) -> str:
    """How long the recording is, and which part was read where it is not the whole; of typed words the lines."""
    media = analysis.media
    if not media.duration_seconds:
        lines = len(analysis.estimates)
        return f"{lines} line{'' if lines == 1 else 's'}"
    if media.segment is None:
        return clock(media.duration_seconds)
    return f"{clock(media.segment[0])} to {clock(media.segment[1])} of {clock(media.duration_seconds)}"


def clock(seconds: float) -> str:
    """A time as people write it.

    Args:
        seconds: On the recording's clock.

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
    """The surface of an emotion; of a label that is not ours, that of neutral."""
    return COLORS.get(label, COLORS["neutral"])


def edge_of(label: str, inches: float) -> tuple[str, float]:
    """Color and width in points of a block's edge: white between blocks that are wide, unseen around narrow ones."""
    if label == UNCERTAIN:
        return "#8c959f", 0.7 if inches > 0.06 else 0.3
    return ("white", 0.8) if inches > 0.06 else (color_of(label), 0.3)


def add_label(axes: Axes, y: float, label: str, size: float) -> None:
    """Writes an emotion's sign on its color, and its name, at the left margin of the page.

    Args:
        axes: To draw beside.
        y: Middle, in data.
        label: An emotion or ``uncertain``, on one line.
        size: Of the letters in points.
    """
    place, across = axes.get_position(), axes.get_yaxis_transform()
    chip, color = size * 1.5, color_of(label)
    middle = (MARGIN + chip / 2 / 72 / WIDTH - place.x0) / place.width
    axes.plot([middle], [y], "s", color=color, markersize=chip, transform=across, clip_on=False)
    sign, ink = SIGNS.get(label, "·"), ink_on(color)
    axes.text(middle, y, sign, size=size * 0.85, color=ink, ha="center", va="center_baseline", transform=across)
    add_name(axes, y, label, size)


def add_name(axes: Axes, y: float, name: str, size: float) -> None:
    """Writes the name of a row where those of emotions stand, right of the signs."""
    place = axes.get_position()
    left = (MARGIN + size * 2.1 / 72 / WIDTH - place.x0) / place.width
    fitting = size * min(10 / max(len(name), 1), 1)  # there is room for ten letters; other models have other labels
    axes.text(left, y, name, size=fitting, va="center_baseline", transform=axes.get_yaxis_transform())


def hide_axes(axes: Axes) -> None:
    """Takes frame and ticks away."""
    axes.set_facecolor("none")
    axes.tick_params(length=0)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)


def write_figure(figure: Figure, path: Path, about: str) -> None:
    """Writes a figure as PNG or SVG, by the suffix; the same figure gives the same bytes.

    Args:
        figure: Made within ``drawing``.
        path: Where the file shall stand.
        about: What is to be seen, for those who cannot see it.

    Raises:
        OutputError: It cannot be written.
    """
    name = printable(path_text(Path(os.fspath(path.name))))
    with atomic_write(path) as temporary:
        if path.suffix == ".svg":
            facts = {"Title": about, "Creator": "multimodal-emotion", "Date": None}
            figure.savefig(temporary, format="svg", metadata=facts)
        else:
            facts = {"Title": name, "Description": about, "Software": "multimodal-emotion"}
            figure.savefig(temporary, format="png", metadata=facts)
