"""Draws the panel below a picture: the estimate, the words, and the timeline with a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.usability import TROUBLE, certain_usability
from multimodal.formatting import clock_time
from multimodal.palette import COLORS, SIGNS, ink_on
from multimodal.types import MODALITY_NAMES, UtteranceEstimate
from multimodal.video.drawing import (
    Image,
    break_lines,
    chip,
    color_of,
    drawable,
    estimate_text,
    font,
    font_for,
    is_right_to_left,
    paste,
    rgb_values,
    shorten,
    width_of,
    write,
)

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

GROUND, TRACK, TEXT, MUTED = "#14161a", "#2c3036", "#f2f3f5", "#a9aeb6"
"""Colors of the panel, of the timeline without an estimate, of words, and of secondary text."""

USUAL_WIDTH = 640
"""Width in pixels of a picture at which the sizes below apply; others are scaled."""

HEIGHT, MARGIN, ESTIMATE_WIDTH, LINE, STRIP = 88, 14, 172, 20, 13
BODY, SMALL = 15, 12
"""Sizes of letters in pixels."""

LONGEST_NAME = 200
"""Number of letters of a name or a reason that are measured; far more than fit."""

LINES = 2
"""Lines of words shown at a time; longer utterances turn pages."""


class InfoPanel:
    """Draws the panel of one recording.

    Args:
        estimates: Estimates in order of time.
        start_seconds: Start of the timeline.
        end_seconds: End of the timeline.
        width: Width of the picture in pixels.

    Attributes:
        height: Height in pixels, even.
        letters: Size in pixels of the letters of face labels.
    """

    def __init__(
        self, estimates: Sequence[UtteranceEstimate], start_seconds: float, end_seconds: float, width: int
    ) -> None:
        self._scale = max(0.75, width / USUAL_WIDTH)
        self._estimates = estimates
        self._start, self._end = start_seconds, max(end_seconds, start_seconds + 1e-3)
        self.width = width
        self.height = 2 * round(HEIGHT * self._scale / 2)
        self.letters = self._px(SMALL)
        clock = width_of(f"{clock_time(self._end)} / {clock_time(round(self._end))}", font(self._px(SMALL)))
        self._strip_left = self._px(MARGIN)
        self._strip_right = max(self._strip_left + 8, width - 2 * self._px(MARGIN) - round(clock))
        self._strip_top = self.height - self._px(STRIP) - self._px(13)
        self._starts = [estimate.utterance.start_seconds for estimate in estimates]
        # What changes rarely is drawn once; an utterance may last for hundreds of pictures.
        self._page = lru_cache(maxsize=8)(self._draw_page)
        self._pages = lru_cache(maxsize=64)(self._break_into_pages)
        self._card = lru_cache(maxsize=4)(self._draw_card)
        self._clock = lru_cache(maxsize=16)(self._draw_clock)
        self._timeline = self._draw_timeline()

    def _px(self, length: float) -> int:
        return max(1, round(length * self._scale))

    def current(self, seconds: float) -> int | None:
        """Returns the index of the latest utterance at a time; None between utterances.

        Args:
            seconds: Time in the recording.

        Returns:
            The index.
        """
        end = int(np.searchsorted(self._starts, seconds, side="right"))
        for index in range(end - 1, max(-1, end - 9), -1):
            if seconds < self._estimates[index].utterance.end_seconds:
                return index
        return None

    def at(self, seconds: float) -> Image:
        """Draws the panel for a time in seconds: the estimate of the current utterance, its words, and the cursor.

        Args:
            seconds: Time in the recording.

        Returns:
            ``(height, width, 3)`` uint8 RGB.
        """
        index = self.current(seconds)
        image = self._page(index, 0 if index is None else self._page_number(index, seconds)).copy()
        self._draw_cursor(image, seconds)
        return image

    def card(self, seconds: float, emotion: str, confidence: float, below: str, title: str, words: str) -> Image:
        """Draws the panel as the caption of a moment: emotion, time, reason and words.

        Args:
            seconds: Time for the cursor.
            emotion: Label of the moment.
            confidence: 0 … 1.
            below: Reason, one line.
            title: Title, one line.
            words: Lines of ``lines``.

        Returns:
            ``(height, width, 3)`` uint8 RGB.
        """
        image = self._card(emotion, confidence, below, title, words).copy()
        self._draw_cursor(image, seconds)
        return image

    def _draw_card(self, emotion: str, confidence: float, below: str, title: str, words: str) -> Image:
        left, width = self._words_place()
        with _Canvas(self._with_estimate(emotion, confidence, below)) as (drawing, canvas):
            title = title[:LONGEST_NAME]
            # A reason is shown in full, in smaller letters if it is long.
            sizes = [self._px(size) for size in range(BODY, SMALL - 2, -1)]
            fonts = [font_for(title, size, bold=True) for size in sizes]
            bold = next((each for each in fonts if width_of(title, each) <= width), fonts[-1])
            write(drawing, (left, self._baseline(0)), shorten(drawable(title, bold), width, bold), bold, TEXT)
            plain = font_for(words, self._px(BODY))
            self._draw_line(drawing, shorten(drawable(words, plain), width, plain), 1, left, width, plain)
        return canvas.image

    def lines(self, words: str) -> list[str]:
        """Breaks words into lines that fit on a card; at least one.

        Args:
            words: Any text.

        Returns:
            The lines.
        """
        face = font_for(words, self._px(BODY))
        return break_lines(drawable(words, face), self._words_place()[1], face) or [""]

    # --- words and answer --------------------------------------------------------------------------------------------

    def _page_number(self, index: int, seconds: float) -> int:
        pages = self._pages(index)
        utterance = self._estimates[index].utterance
        share = (seconds - utterance.start_seconds) / max(utterance.end_seconds - utterance.start_seconds, 1e-6)
        letters = np.cumsum([sum(map(len, page)) or 1 for page in pages])
        return min(int(np.searchsorted(letters, share * letters[-1], side="right")), len(pages) - 1)

    def _break_into_pages(self, index: int) -> list[list[str]]:
        """Breaks the words of an utterance into pages of lines; the first line leaves room for the speaker's name."""
        utterance = self._estimates[index].utterance
        typeface = font_for(utterance.text or "", self._px(BODY))
        _, width = self._words_place()
        name = self._speaker(index)
        indent = width_of(name, font(self._px(BODY), bold=True)) + self._px(8) if name else 0.0
        lines = break_lines(drawable(utterance.text or "", typeface), width, typeface, width - indent)
        return [lines[at : at + LINES] for at in range(0, len(lines), LINES)] or [[]]

    def _speaker(self, index: int) -> str:
        """Returns the speaker's name, with ``frustration`` or ``confusion`` if the words show it."""
        bold = font(self._px(BODY), bold=True)
        label = certain_usability(self._estimates[index])
        trouble = label if label in TROUBLE else None
        name = ", ".join(filter(None, ((self._estimates[index].utterance.speaker or "")[:LONGEST_NAME], trouble)))
        return shorten(drawable(name, bold), self._words_place()[1] / (2 if trouble else 3), bold)

    def _words_place(self) -> tuple[int, int]:
        """Returns left edge and width of the words in pixels."""
        left = self._px(MARGIN + ESTIMATE_WIDTH)
        return left, max(40, self.width - left - self._px(MARGIN))

    def _baseline(self, line: int) -> int:
        return self._px(13 + LINE * line + 15)

    def _draw_page(self, index: int | None, page: int) -> Image:
        if index is None:
            return self._ground()
        estimate = self._estimates[index]
        left, width = self._words_place()
        ground = self._ground()
        if estimate.emotion is not None and estimate.fused is not None:
            names = ", ".join(MODALITY_NAMES[modality] for modality in estimate.modalities)
            ground = self._with_estimate(estimate.emotion, estimate.fused.confidence, f"from {names}")
        with _Canvas(ground) as (drawing, canvas):
            indent = 0
            if page == 0 and (name := self._speaker(index)):
                bold = font(self._px(BODY), bold=True)
                write(drawing, (left, self._baseline(0)), name, bold, MUTED)
                indent = round(width_of(name, bold)) + self._px(8)
            typeface = font_for(estimate.utterance.text or "", self._px(BODY))
            for number, line in enumerate(self._pages(index)[page]):
                room = indent if number == 0 else 0
                self._draw_line(drawing, line, number, left + room, width - room, typeface)
        return canvas.image

    def _draw_line(
        self, drawing: ImageDraw, line: str, number: int, left: int, width: int, typeface: FreeTypeFont
    ) -> None:
        shift = width - width_of(line, typeface) if is_right_to_left(line) else 0
        write(drawing, (left + shift, self._baseline(number)), line, typeface, TEXT)

    def _with_estimate(self, emotion: str, confidence: float, below: str) -> Image:
        """Returns the empty panel with an estimate on the left and a small line below it."""
        image, small = self._ground(), font(self._px(11))
        label_text = estimate_text(emotion, confidence)
        paste(image, chip(((label_text, color_of(emotion)),), self._px(13)), self._px(MARGIN), self._px(11))
        with _Canvas(image) as (drawing, canvas):
            text = shorten(drawable(below), self._px(ESTIMATE_WIDTH - 8), small)
            write(drawing, (self._px(MARGIN), self._baseline(1)), text, small, MUTED)
        return canvas.image

    # --- timeline ----------------------------------------------------------------------------------------------------

    def _ground(self) -> Image:
        ground = np.empty((self.height, self.width, 3), np.uint8)
        ground[:] = rgb_values(GROUND)
        paste(ground, self._timeline, self._strip_left, self._strip_top)
        return ground

    def _draw_timeline(self) -> Image:
        """Draws each column in the color of the emotion with most of its time, and signs where they fit."""
        columns = self._strip_right - self._strip_left
        labels = [TRACK_LABEL, *COLORS]
        tops = self._top_labels(columns, labels)
        strip = np.empty((self._px(STRIP), columns, 3), np.uint8)
        strip[:] = np.array([rgb_values(COLORS.get(labels[top], TRACK)) for top in tops], np.uint8)
        edges = np.flatnonzero(np.diff(tops)) + 1
        with _Canvas(strip) as (drawing, canvas):
            for first, last in zip([0, *edges], [*edges, columns], strict=True):
                label = labels[int(tops[first])]
                if label in SIGNS and last - first >= self._px(16):
                    ink, middle = ink_on(COLORS[label]), (int(first) + int(last)) / 2
                    typeface = font(self._px(11))
                    drawing.text((middle, self._px(STRIP) / 2), SIGNS[label], fill=ink, font=typeface, anchor="mm")
        return canvas.image

    def _top_labels(self, columns: int, labels: Sequence[str]) -> NDArray[np.int64]:
        shares = np.zeros((len(labels), columns))
        shares[0] = 1e-6  # time without an answer
        scale = columns / (self._end - self._start)
        for estimate in self._estimates:
            if estimate.emotion not in labels:
                continue
            low, high = ((time - self._start) * scale for time in _times(estimate))
            first, last = max(0, int(low)), min(columns - 1, int(high))
            places = np.arange(first, last + 1)
            share = np.minimum(places + 1, high) - np.maximum(places, low)
            shares[labels.index(estimate.emotion), first : last + 1] += np.maximum(share, 0)
        top: NDArray[np.int64] = shares.argmax(axis=0)
        return top

    def _draw_cursor(self, image: Image, seconds: float) -> None:
        share = min(max((seconds - self._start) / (self._end - self._start), 0.0), 1.0)
        width, reach = self._px(2), self._px(4)
        middle = self._strip_left + round(share * (self._strip_right - self._strip_left - 1))
        top, bottom = self._strip_top - reach, self._strip_top + self._px(STRIP) + reach
        left = max(0, middle - width // 2)
        image[top:bottom, max(0, left - 1) : left + width + 1] = rgb_values(GROUND)
        image[top:bottom, left : left + width] = 255
        text = self._clock(int(seconds))
        place = self.width - self._px(MARGIN) - text.shape[1]
        paste(image, text, place, self._strip_top + (self._px(STRIP) - text.shape[0]) // 2)

    def _draw_clock(self, seconds: int) -> Image:
        typeface, text = font(self._px(SMALL)), f"{clock_time(seconds)} / {clock_time(round(self._end))}"
        blank = np.empty((self._px(SMALL + 4), round(width_of(text, typeface)) + 1, 3), np.uint8)
        blank[:] = rgb_values(GROUND)
        with _Canvas(blank) as (drawing, canvas):
            write(drawing, (0, self._px(SMALL)), text, typeface, MUTED)
        return canvas.image


TRACK_LABEL = ""
"""Label of time without an answer."""


class _Canvas:
    """Draws on a picture with Pillow."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def __enter__(self) -> tuple[ImageDraw, _Canvas]:
        from PIL import Image as Pictures
        from PIL import ImageDraw

        self._picture = Pictures.fromarray(self.image)
        return ImageDraw.Draw(self._picture), self

    def __exit__(self, *_: object) -> None:
        self.image = np.array(self._picture)


def _times(estimate: UtteranceEstimate) -> tuple[float, float]:
    return estimate.utterance.start_seconds, estimate.utterance.end_seconds
