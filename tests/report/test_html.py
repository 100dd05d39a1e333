"""The base of the pages: self-contained, without access to the network, and reproducible."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import pytest
from analysis_fixtures import HOSTILE
from page_fixtures import Parsed, digests

from multimodal.errors import OutputError
from multimodal.palette import COLORS, SIGNS
from multimodal.report import html as page

if TYPE_CHECKING:
    from bokeh.plotting import figure

EMPTY = "page.html.jinja"
"""A page without a body."""


def drawn() -> figure:
    from bokeh.plotting import figure

    chart = figure(height=100)
    chart.line([1, 2, 3], [1, 4, 2])
    return chart


def test_the_policy_names_exactly_the_scripts_that_are_there() -> None:
    parsed = Parsed(page.render(EMPTY, "T", scripts=["let a = 1;", "let b = '\u2028é';"], figures={"c": drawn()}))
    (policy,) = [
        attributes["content"] or "" for attributes, _ in parsed.all("meta", http_equiv="Content-Security-Policy")
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["script-src"].split() == digests(parsed)
    assert len(digests(parsed)) == 4  # Bokeh, the shell's, two of ours
    assert rules["default-src"] == "'none'"
    assert "unsafe-eval" not in policy
    assert not re.search(r"https?:|\*", policy)


def test_nothing_is_fetched_and_nothing_runs_from_attributes() -> None:
    parsed = Parsed(page.render(EMPTY, "T", figures={"c": drawn()}))
    for tag, attributes, _ in parsed.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "srcset", "action", "formaction"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]


def test_a_page_without_figures_goes_without_bokeh() -> None:
    assert len(page.render(EMPTY, "T")) < 30_000


@pytest.mark.parametrize("text", [*HOSTILE, "\x00\ud800", "<!-- <script> "])
def test_any_text_comes_back_as_it_was(text: str) -> None:
    source = '{% extends "page.html.jinja" %}{% block body %}<p title="{{ text }}">{{ text }}</p>{% endblock %}'
    parsed = Parsed(page.render(page.environment().from_string(source), text, {"text": text}, data={text: [text]}))
    printable = text.replace("\x00", "\ufffd").replace("\ud800", "?")
    ((attributes, content),) = parsed.all("p")
    assert (attributes["title"], content, parsed.all("title")[0][1]) == (printable, printable, printable)
    assert parsed.data == {text: [text], "figures": {}}
    assert len(digests(parsed)) == 1


def test_a_script_that_could_be_ended_from_within_is_refused() -> None:
    for source in ("let a = '</SCRIPT>';", "let a = '<!--';"):
        with pytest.raises(ValueError, match="script"):
            page.render(EMPTY, "T", scripts=[source])


def test_line_ends_of_windows_do_not_change_a_hash() -> None:
    # A parser turns them into plain line ends before the browser takes the hash.
    parsed = Parsed(page.render(EMPTY, "T", scripts=["let a = 1;\r\nlet b = 2;"]).replace("\r\n", "\n"))
    assert digests(parsed)[-1] in (parsed.all("meta", http_equiv="Content-Security-Policy")[0][0]["content"] or "")


def test_page_is_reproducible() -> None:
    first = page.render(EMPTY, "T", figures={"chart": drawn()})
    for _ in range(3):
        page.figure_item(drawn())
    assert page.render(EMPTY, "T", figures={"chart": drawn()}) == first


def test_every_emotion_has_its_color_and_its_sign() -> None:
    styles = page.color_variables()
    for label, color in COLORS.items():
        assert f"--{label}:{color};" in styles
        assert f".sign.{label}{{" in styles
        badge = page.environment().from_string('{% from "macros.html.jinja" import badge %}{{ badge(label, note) }}')
        text = badge.render(label=label, note="<83%")
        sign = f'<i class="sign {label}" aria-hidden="true">{SIGNS[label]}</i>'
        assert text == f'<span class="badge">{sign}{label} <b>&lt;83%</b></span>'


def test_missing_variable_is_error() -> None:
    for source in ("{{ name }}", "{% if name %}{% endif %}", "{{ row.name }}"):
        with pytest.raises(jinja2.UndefinedError, match="name"):
            page.environment().from_string(source).render(row={})


def test_only_scripts_styles_and_data_are_unescaped() -> None:
    folder = importlib.resources.files("multimodal") / "assets"
    templates = [each for each in folder.iterdir() if each.name.endswith(".jinja")]
    assert len(templates) >= 3
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8")), template.name
    marked = {
        module.name
        for room in ("report", "study")
        for module in (importlib.resources.files("multimodal") / room).iterdir()
        if module.name.endswith(".py") and "Markup(" in module.read_text(encoding="utf-8")
    }
    assert marked == {"html.py"}


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "report.html"
    page.write_page(place, "before")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="disk is full"):
        page.write_page(place, "after")
    assert place.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [place]
