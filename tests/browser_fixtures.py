"""Opens pages in headless Chromium as a person would, and notes what a page must not do.

``from browser_fixtures import chromium, open_page`` in a test file makes both fixtures known there; its tests are
marked ``browser``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
LOCAL = ("file:", "data:", "blob:")
"""Addresses that do not leave the machine."""

OpenPage = Callable[..., Page]

_running: list[Browser] = []
"""The one browser. pytest takes a fixture that two files import for two, and a second playwright cannot start."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser for all tests; without one they are skipped, or fail where CI=true."""
    if _running:
        yield _running[0]
        return
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        line = "there is no Chromium; install it"
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(line)
        pytest.skip(line)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        _running.append(browser)
        yield browser
        _running.clear()
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens a file: ``open_page(path, width=1280, height=800, dark=False)``.

    At the end of the test: no error on the console, no exception, nothing blocked by the content security policy, and
    no request to anything but files.
    """
    faults: list[str] = []
    contexts = []

    def opened(path: Path, width: int = 1280, height: int = 800, dark: bool = False, **options: Any) -> Page:
        scheme = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith(LOCAL) else faults.append(f"asked for {sent.url}"))
        page.goto(path.absolute().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def accessibility_faults(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA and its best practices, a line each."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
