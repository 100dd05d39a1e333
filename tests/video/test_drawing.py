"""Text on pictures: any script, reading order, and missing letters."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analysis_fixtures import HOSTILE, make_analysis, shows
from numpy.typing import NDArray

from multimodal.data.emotions import FACE_LABELS
from multimodal.palette import COLORS
from multimodal.types import USABILITY_LABELS, FaceObservation
from multimodal.video import drawing, face_boxes
from multimodal.video.drawing import drawable, font, font_for, in_visual_order
from multimodal.video.info_panel import InfoPanel
from multimodal.video.overlay import Overlay

Image = NDArray[np.uint8]


@pytest.mark.parametrize("text", [*HOSTILE, "\u4e2d\u6587 mixed", "a\x00b\u202e\u2066c", "\U0001f9ff" * 50, ""])
def test_nothing_is_drawn_that_the_font_lacks(text: str) -> None:
    from fontTools.ttLib import TTFont

    known = TTFont(font(12).path).getBestCmap()
    shown = drawable(text, font(12))
    assert all(ord(char) in known for char in shown)
    assert shown.isprintable()
    assert "\u202e" not in shown


def test_letters_and_signs_that_can_be_drawn_stay() -> None:
    text = "Grüße, ça va? Ελλάδα, Привет, שלום, مرحبا – “ok” ✓ 97%"
    assert drawable(text) == text
    assert drawable("e\u0301 \u4e2d\u6587, \u65e5\u672c end \U0001f9ff!") == "é …, … end !"


def ink(text: str) -> Image:
    from PIL import Image as Pictures
    from PIL import ImageDraw

    picture = Pictures.new("RGB", (400, 40))
    drawing.write(ImageDraw.Draw(picture), (5, 28), text, font(16), "#ffffff")
    return np.asarray(picture)[..., 0]


def test_right_to_left_words_stand_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of "alef bet 123" the first letter stands furthest right, whoever orders it.
    alone, line = ink("\u05d0"), ink("\u05d0\u05d1 123")
    letter = alone[:, np.flatnonzero(alone.any(axis=0))[0] :][:, :9]
    places = [np.abs(line[:, x : x + 9].astype(int) - letter).sum() for x in range(5, 120)]
    end = np.flatnonzero(line.any(axis=0))[-1]
    assert end - (5 + int(np.argmin(places))) < 14
    monkeypatch.setattr(drawing, "_orders_itself", lambda: False)
    from PIL import ImageFont

    basic = ImageFont.truetype(font(16).path, 16, layout_engine=ImageFont.Layout.BASIC)
    monkeypatch.setattr(sys.modules[__name__], "font", lambda size: basic)
    assert np.abs(ink("\u05d0\u05d1 123").astype(int) - line).mean() < 2


@pytest.mark.parametrize(
    ("logical", "visual"),
    [
        ("plain words", "plain words"),
        ("\u05d0\u05d1\u05d2", "\u05d2\u05d1\u05d0"),
        ("\u05d0\u05d1 \u05d2\u05d3", "\u05d3\u05d2 \u05d1\u05d0"),
        ("\u05d0\u05d1 one two \u05d2\u05d3", "\u05d3\u05d2 one two \u05d1\u05d0"),
        ("say \u05d0\u05d1 now", "say \u05d1\u05d0 now"),
    ],
)
def test_the_simple_rule_for_order(logical: str, visual: str) -> None:
    assert in_visual_order(logical) == visual


def test_another_font_is_taken_where_the_own_lacks_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(font(12).path).parent
    monkeypatch.setattr(drawing, "OTHER_FONTS", ("missing.ttf", str(folder / "STIXGeneral.ttf")))
    font_for.cache_clear()
    drawing._letters.cache_clear()
    try:
        lacking = "\u1d2a"  # which is in neither
        assert font_for("plain" + lacking, 12).getname()[0] == "DejaVu Sans"
        own, other = drawing._letters(None), drawing._letters(str(folder / "STIXGeneral.ttf"))
        only = next(chr(code) for code in sorted(other - own) if chr(code).isalpha())
        assert font_for(only, 12).getname()[0] == "STIXGeneral"
        assert drawable(only, font_for(only, 12)) == only
    finally:
        font_for.cache_clear()
        drawing._letters.cache_clear()


def test_every_word_of_a_long_utterance_is_shown_and_fits() -> None:
    words = " ".join(f"word{number}" for number in range(300)) + " " + "x" * 500
    analysis = make_analysis(Path("x.mp4"), 4.0, (words,))
    panel = InfoPanel(analysis.estimates, 0.0, 4.0, 640)
    pages = panel._pages(0)
    shown = " ".join(itertools.chain.from_iterable(pages))
    assert shown.replace(" ", "") == words.replace(" ", "")
    left, width = panel._words_place()
    assert left + width <= 640 and all(font(15).getlength(line) <= width for page in pages for line in page)
    numbers = [panel._page_number(0, time) for time in np.linspace(0, 3.999, 200)]
    assert numbers == sorted(numbers) and set(numbers) == set(range(len(pages)))


def test_frustrated_words_are_named_beside_the_speaker() -> None:
    frustrated, *_ = make_analysis(Path("x.mp4"), 4.0, ("so",)).estimates
    others = [replace(frustrated, usability=shows(label, 0.8, USABILITY_LABELS)) for label in ("delight", "confusion")]
    unsure = replace(frustrated, usability=shows("frustration", 0.4, USABILITY_LABELS))
    names = [InfoPanel([each], 0.0, 4.0, 640)._speaker(0) for each in (frustrated, *others, unsure)]
    assert names == ["Ada, frustration", "Ada", "Ada, confusion", "Ada"]


@pytest.mark.parametrize(
    ("words", "right"), [("\u05e9\u05dc\u05d5\u05dd abc", True), ("abc \u05e9\u05dc\u05d5\u05dd", False)]
)
def test_lines_begin_on_the_side_that_their_script_begins(words: str, right: bool) -> None:
    panel = InfoPanel(make_analysis(Path("x.mp4"), 4.0, (words,), people=1).estimates, 0.0, 4.0, 640)
    lit = np.flatnonzero((panel.at(1.0)[12:34, 240:].max(axis=-1) > 150).any(axis=0)) + 240
    left, width = panel._words_place()
    assert (lit.max() > left + width - 6) == right


@pytest.mark.parametrize("width", [480, 640, 1280])
def test_hostile_words_stay_in_the_panel(width: int) -> None:
    analysis = make_analysis(Path("x.mp4"), 48.0)
    overlay = Overlay(analysis, analysis.media, (width, 270))
    picture = np.zeros((270, width, 3), np.uint8)
    for moment in np.arange(0.5, 48, 4):
        drawn = overlay.draw(float(moment), picture)
        panel = drawn[270:]
        assert drawn.shape == (270 + overlay.height, width, 3)
        assert (panel[:, -4:] == panel[0, 0]).all() and (panel[-2:] == panel[0, 0]).all()  # its margins are free
    assert not picture.any()


@pytest.mark.parametrize("size", [(2, 2), (6, 1280), (16, 16), (640, 360)])
def test_boxes_and_times_that_cannot_be_are_no_failure(size: tuple[int, int]) -> None:
    boxes = [
        (-1e300, 0, 1e300, 5),
        (1e9, 1e9, 1, 1),
        (0, 0, 0, 0),
        (-50, -50, 60, 60),
        (5, 5, -3, -3),
        (0, 0, 1e6, 1e6),
    ]
    scored = shows("fear", 0.9, FACE_LABELS)
    faces = tuple(FaceObservation(1.0, number, box, 0.9, "clear", scored) for number, box in enumerate(boxes))
    analysis = replace(make_analysis(Path("x.mp4"), 20.0), faces=faces, frame_times=(1.0,))
    overlay = Overlay(analysis, replace(analysis.media, width=size[0], height=size[1]), size)
    for moment in (1.0, 13.0, 19.9, 1e7):
        drawn = overlay.draw(moment, np.zeros((size[1], size[0], 3), np.uint8))
        assert drawn.shape == (size[1] + overlay.height, size[0], 3)


def test_an_emotion_that_nobody_knows_is_drawn_short() -> None:
    said_long = drawing.estimate_text("x" * 100_000, 0.5)
    assert len(said_long) < 40 and said_long.startswith("? ")
    assert drawing.color_of("x") == COLORS["uncertain"]


def test_an_answer_is_not_drawn_surer_than_it_is() -> None:
    assert drawing.estimate_text("happiness", 0.998) == "▲ happiness >99%"
    assert drawing.estimate_text("uncertain", 0.45) == "? uncertain"


def test_of_a_crowd_the_largest_faces_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []
    monkeypatch.setattr(face_boxes, "outline", lambda image, box, *_, **__: drawn.append(box[2]))
    sizes = np.linspace(10, 60, 300)
    seen = [FaceObservation(0.0, number, (5.0, 5.0, size, size), 0.9) for number, size in enumerate(sizes)]
    face_boxes.draw_faces(
        np.zeros((90, 90, 3), np.uint8), [face_boxes.FaceBox(face.face_id, face.box, face) for face in seen], 1.0, 10
    )
    assert len(drawn) == face_boxes.MOST and min(drawn) == pytest.approx(sizes[-face_boxes.MOST])
