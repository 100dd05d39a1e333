"""Draws on pictures: antialiased text in any script that a font has, chips, outlines.

The font is DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew, many signs and some emoji.
Other scripts need one of ``OTHER_FONTS``. Characters without a glyph are never shown as boxes: emoji and signs are
dropped, and each run of letters becomes an ellipsis.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import bidi
import numpy as np
from numpy.typing import NDArray

from multimodal.formatting import probability_percent
from multimodal.palette import COLORS, SIGNS, USABILITY_COLORS, USABILITY_SIGNS, ink_on
from multimodal.types import UNCERTAIN

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

Image = NDArray[np.uint8]
Patch = NDArray[np.uint8]
"""``(height, width, 4)``: RGB color and opacity, 0 … 255."""

DEJAVU_FONTS = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}

OTHER_FONTS = (
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "PingFang.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "NotoSansBengali-Regular.ttf", "NotoSansThai-Regular.ttf", "Nirmala.ttf"),
    *("Arial Unicode.ttf", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "leelawui.ttf"),
)
"""File names of fonts for other scripts on Linux, macOS and Windows; the one with most of the letters is used."""

LONGEST_LABEL = 20
"""Maximum length of an emotion's name; an analysis from another source may have any name."""

LONGEST_WORD = 40
"""Number of letters measured at once; longer words, and scripts without spaces, may be broken anywhere."""

DASH = 4.0
"""Length of a dash, and of the gap after it, in multiples of the line width."""

SMOOTHING = 4
"""Factor by which round corners are drawn larger and then scaled down."""


@cache
def font(size: int, bold: bool = False, name: str | None = None) -> FreeTypeFont:
    """Opens a font.

    Args:
        size: Size of the letters in pixels.
        bold: Whether letters are bold.
        name: File name of another font in the system's font folders; None for DejaVu Sans.

    Example:
        >>> font(12).getname()
        ('DejaVu Sans', 'Book')
    """
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(name or str(Path(get_data_path()) / "fonts" / "ttf" / DEJAVU_FONTS[bold]), size)


@cache
def _letters(name: str | None) -> frozenset[int]:
    """Returns the code points of a font; none if it is not installed."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(str(font(12, name=name).path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@lru_cache(maxsize=4096)
def font_for(text: str, size: int, bold: bool = False) -> FreeTypeFont:
    """Chooses the font that has the most letters of a text, DejaVu Sans if it has all.

    Args:
        text: Text to draw.
        size: Size in pixels.
        bold: Whether the font is bold.

    Example:
        >>> font_for("Grüße", 14, bold=True).getname()
        ('DejaVu Sans', 'Bold')
    """
    letters = {ord(char) for char in text if unicodedata.category(char)[0] == "L"}
    if letters <= _letters(None):
        return font(size, bold)
    best = max((None, *OTHER_FONTS), key=lambda name: len(letters & _letters(name)))
    return font(size, bold and best is None, best)


def drawable(text: str, typeface: FreeTypeFont | None = None) -> str:
    r"""Removes from a text what a font cannot draw.

    Args:
        text: Any text, on one or several lines.
        typeface: The font; None for DejaVu Sans.

    Returns:
        One line, without control characters and without signs and emoji that the font lacks; each run of letters that
        it lacks is an ellipsis.

    Example:
        >>> drawable("that was great \U0001f9ff!\n\u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd")
        'that was great ! … שלום'
    """
    is_default = typeface is None or typeface.getname()[0] == "DejaVu Sans"
    letters = _letters(None if is_default or typeface is None else str(typeface.path))
    line: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        category = unicodedata.category(char)
        if char.isspace():
            line.append(" ")
        elif category[0] in "CM" and (category[0] == "C" or ord(char) not in letters or "\ufe00" <= char <= "\ufe0f"):
            continue
        elif ord(char) in letters:
            line.append(char)
        elif category[0] in "LN" and "".join(line[-9:]).rstrip()[-1:] != "…":
            line.append("…")
    return " ".join("".join(line).split())


def is_right_to_left(text: str) -> bool:
    """Whether a line runs from right to left: its first letter with a direction decides.

    Args:
        text: One line.

    Example:
        >>> is_right_to_left("1. \u05e9\u05dc\u05d5\u05dd"), is_right_to_left("no")
        (True, False)
    """
    return bool(text) and bidi.get_base_level(text) == 1


def in_visual_order(text: str) -> str:
    """Reorders the characters of a line for drawing from left to right.

    Pillow orders and joins letters itself where it was built with Raqm, as its wheels are. Elsewhere this applies the
    Unicode bidirectional algorithm (UAX #9); Arabic letters are then not joined.

    Args:
        text: One line.

    Example:
        >>> in_visual_order("\u05d0\u05d1 two words \u05d2\u05d3") == "\u05d3\u05d2 two words \u05d1\u05d0"
        True
    """
    return str(bidi.get_display(text)) if text else text


@cache
def _orders_itself() -> bool:
    from PIL import features

    return bool(features.check_feature("raqm"))


def width_of(text: str, typeface: FreeTypeFont) -> float:
    """How wide a line is in pixels.

    Args:
        text: One line.
        typeface: The font.

    Returns:
        Pixels.
    """
    return float(typeface.getlength(text))


def write(drawing: ImageDraw, place: tuple[float, float], text: str, typeface: FreeTypeFont, color: str) -> None:
    """Writes a line; ``place`` is where it begins on the left, and its baseline.

    Args:
        drawing: Canvas of the picture.
        place: x, y in pixels.
        text: One line.
        typeface: The font.
        color: ``#rrggbb``.
    """
    ordered = text if _orders_itself() else in_visual_order(text)
    drawing.text(place, ordered, fill=color, font=typeface, anchor="ls")


def break_lines(text: str, width: float, typeface: FreeTypeFont, first_width: float | None = None) -> list[str]:
    """Breaks a text into lines.

    Args:
        text: One line that the font can draw.
        width: Width of the lines in pixels.
        typeface: The font.
        first_width: Width of the first line in pixels, if shorter.

    Returns:
        The lines; words longer than a line are broken.

    Example:
        >>> break_lines("one two three", 60, font(14))
        ['one two', 'three']
    """
    space, lines, used = width_of(" ", typeface), [""], 0.0
    room = width if first_width is None else first_width
    for word in itertools.chain.from_iterable(_break_word(word, width, typeface) for word in text.split()):
        length = width_of(word, typeface)
        if used and used + space + length <= room:
            lines[-1] += " " + word
            used += space + length
        elif not used and length <= room:
            lines[-1], used = word, length
        else:
            lines.append(word)
            used, room = length, width
    return [line for line in lines if line] if first_width is None else lines


def _break_word(word: str, width: float, typeface: FreeTypeFont) -> list[str]:
    if len(word) <= LONGEST_WORD and width_of(word, typeface) <= width:
        return [word]
    size = min(LONGEST_WORD, max(1, int(len(word) * width / max(width_of(word[:1000], typeface), 1.0) * 0.8)))
    while size > 1 and any(
        width_of(word[at : at + size], typeface) > width for at in range(0, min(len(word), 400), size)
    ):
        size -= 1
    return [word[at : at + size] for at in range(0, len(word), size)]


def shorten(text: str, width: float, typeface: FreeTypeFont) -> str:
    """Shortens a line that is too wide and ends it with an ellipsis.

    Args:
        text: One line.
        width: Largest width in pixels.
        typeface: The font.

    Example:
        >>> shorten("a long line", 60, font(14))
        'a long…'
    """
    if width_of(text, typeface) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(text[:middle].rstrip() + "…", typeface) <= width else (low, middle - 1)
    return text[:low].rstrip() + "…"


def round_rectangle(size: tuple[int, int], radius: float, color: str) -> Picture:
    """Draws a filled rectangle with round corners, as a picture with transparency.

    Args:
        size: Width and height in pixels.
        radius: Radius of the corners in pixels.
        color: ``#rrggbb``.

    Returns:
        RGBA picture.
    """
    from PIL import Image as Pictures
    from PIL import ImageDraw

    large = Pictures.new("L", (size[0] * SMOOTHING, size[1] * SMOOTHING), 0)
    edges = (0, 0, large.width - 1, large.height - 1)
    ImageDraw.Draw(large).rounded_rectangle(edges, radius * SMOOTHING, fill=255)
    rectangle = Pictures.new("RGBA", size, color)
    rectangle.putalpha(large.resize(size, Pictures.Resampling.LANCZOS))
    return rectangle


def rgb_values(color: str) -> tuple[int, int, int]:
    """Converts ``#rrggbb`` to red, green and blue, 0 … 255.

    Args:
        color: The color.

    Example:
        >>> rgb_values("#e69f00")
        (230, 159, 0)
    """
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def color_of(emotion: str) -> str:
    """Returns the color of an emotion or a usability label; unknown labels have the color of ``uncertain``.

    Args:
        emotion: Any label.

    Returns:
        ``#rrggbb``.
    """
    return COLORS.get(emotion) or USABILITY_COLORS.get(emotion, COLORS[UNCERTAIN])


def estimate_text(emotion: str, confidence: float) -> str:
    """Writes an estimate in one line, without a number if it is uncertain.

    Args:
        emotion: The label.
        confidence: 0 … 1.

    Example:
        >>> estimate_text("happiness", 0.971), estimate_text("uncertain", 0.3)
        ('▲ happiness 97%', '? uncertain')
    """
    sure = "" if emotion == UNCERTAIN else f" {probability_percent(confidence)}"
    return f"{sign_of(emotion)} {emotion[:LONGEST_LABEL]}{sure}"


def sign_of(emotion: str) -> str:
    """Returns the sign of an emotion; unknown labels have the sign of ``uncertain``.

    Args:
        emotion: Any label.

    Returns:
        One character.
    """
    return SIGNS.get(emotion) or USABILITY_SIGNS.get(emotion, SIGNS[UNCERTAIN])


@lru_cache(maxsize=1024)
def chip(cells: tuple[tuple[str, str], ...], size: int) -> Patch:
    """Draws a small label of one or more cells.

    Args:
        cells: Text and color of each cell.
        size: Size of the letters in pixels.

    Returns:
        The label with round corners; letters are black or white, whichever has more contrast.

    Example:
        >>> chip((("1", "#202327"), ("▲ happiness 97%", "#e69f00")), 12).shape[2]
        4
    """
    from PIL import Image as Pictures
    from PIL import ImageDraw

    typeface, pad, height = font(size, bold=True), round(size * 0.5), round(size * 1.6)
    texts = [drawable(text) for text, _ in cells]
    widths = [round(width_of(text, typeface)) + 2 * pad for text in texts]
    label = Pictures.new("RGBA", (sum(widths), height))
    drawing, left = ImageDraw.Draw(label), 0
    for text, width, (_, color) in zip(texts, widths, cells, strict=True):
        drawing.rectangle((left, 0, left + width - 1, height - 1), fill=color)
        write(drawing, (left + pad, round(height / 2 + size * 0.36)), text, typeface, ink_on(color))
        left += width
    label.putalpha(round_rectangle(label.size, size * 0.3, "#000000").getchannel("A"))
    return np.asarray(label)


def paste(image: Image, patch: Patch, left: int, top: int) -> None:
    """Pastes a patch or a picture on a picture in place; parts outside of it are cut off.

    Args:
        image: ``(height, width, 3)`` uint8 RGB, changed in place.
        patch: Patch with transparency, or a picture.
        left: Column of the left edge.
        top: Row of the top edge.
    """
    first_row, first_column = max(0, -top), max(0, -left)
    rows = min(patch.shape[0], image.shape[0] - top) - first_row
    columns = min(patch.shape[1], image.shape[1] - left) - first_column
    if rows <= 0 or columns <= 0:
        return
    piece = patch[first_row : first_row + rows, first_column : first_column + columns]
    below = image[top + first_row : top + first_row + rows, left + first_column : left + first_column + columns]
    if piece.shape[2] == 3:
        below[...] = piece
        return
    piece = piece.astype(np.uint16)
    share = piece[..., 3:]
    below[...] = ((piece[..., :3] * share + below * (255 - share) + 127) // 255).astype(np.uint8)


def outline(
    image: Image, box: tuple[float, float, float, float], color: str, thickness: int, dashed: bool = False
) -> None:
    """Draws the antialiased outline of a box ``(x, y, width, height)`` on a picture in place.

    A dark line below it gives contrast on any background.

    Args:
        image: ``(height, width, 3)`` uint8 RGB.
        box: Box in pixels.
        color: ``#rrggbb``.
        thickness: Width of the line in pixels.
        dashed: Whether the line is dashed.
    """
    import cv2

    x, y, width, height = box
    corners = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)
    lines = _dashes(corners, DASH * thickness) if dashed else [np.vstack([corners, corners[:1]])]
    ends = [np.round(line * 16).astype(np.int32).reshape(-1, 1, 2) for line in lines]  # cv2 takes sixteenths of a pixel
    for ink, line_width in (("#101214", thickness + 2), (color, thickness)):
        cv2.polylines(image, ends, False, rgb_values(ink), line_width, cv2.LINE_AA, 4)


def _dashes(corners: Sequence[Sequence[float]] | NDArray[np.float64], length: float) -> list[NDArray[np.float64]]:
    """Divides the sides of a box into dashes, with one at each corner."""
    dashes = []
    for start, end in itertools.pairwise([*corners, corners[0]]):
        start, end = np.asarray(start), np.asarray(end)
        count = 2 * max(1, round(float(np.abs(end - start).max()) / length / 2)) + 1
        marks = np.linspace(start, end, count + 1)
        dashes += [marks[index : index + 2] for index in range(0, count, 2)]
    return dashes
