"""Opens pages in headless Chromium, and parses them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
LOCAL = ("file:", "data:", "blob:")
"""Addresses that do not leave the machine."""

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser for all tests; without one they are skipped, or fail where CI=true."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        line = "Chromium is not installed; install it"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(line)
        pytest.skip(line)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens a file: ``open_page(path, width=1280, height=800, dark=False)``.

    At the end of the test: no error on the console, no exception, nothing blocked by the content security policy, and
    no request to anything but files.
    """
    faults: list[str] = []
    contexts = []

    def open_file(path: Path, width: int = 1280, height: int = 800, dark: bool = False, **options: Any) -> Page:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda each: None if each.url.startswith(LOCAL) else faults.append(f"asked for {each.url}"))
        page.goto(path.absolute().as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert faults == []


def accessibility_faults(page: Page) -> list[str]:
    """Violations of WCAG 2.2 A and AA and of best practices, by axe, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in violations for node in each["nodes"]]


VOID = {"meta", "input", "br", "hr", "img", "link"}


class Parsed(HTMLParser):
    """A page: its elements with their attributes and all text below them, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open, [self.elements[index][0] for index in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.elements[index][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of the elements of a kind, where the given attributes hold that."""
        conditions = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            (values, "".join(text))
            for kind, values, text in self.elements
            if kind == tag and all(value in (values.get(name) or "").split() for name, value in conditions.items())
        ]

    @property
    def data(self) -> Any:
        return json.loads(self.all("script", id="data")[0][1])


def digests(page: Parsed) -> list[str]:
    """The hashes that a policy must name: those of the scripts that run."""
    scripts = [text for values, text in page.all("script") if values.get("type") != "application/json"]
    return ["'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'" for text in scripts]


def make_recording(path: Path, seconds: float = 24.0) -> Path:
    """Gray pictures and a tone in a WebM file, which needs no licensed codec."""
    from media_fixtures import Pictures, Sound, every, tone, write_media

    pictures = Pictures(every(200, seconds), (160, 90), "libvpx", {"g": "5", "deadline": "realtime", "cpu-used": "8"})
    sound = Sound({0: tone(seconds, 440.0, 48000, 0.05)}, 48000, "libopus", "flt")
    return write_media(path, pictures, sound)
