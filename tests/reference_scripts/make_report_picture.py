"""Draws ``docs/report.png`` and ``docs/report-dark.png``: the page of the sample clip, in Chromium, after 4 s.

    python tests/reference_scripts/make_report_picture.py docs

The clip and its analysis are made on the way with the shipped weights; espeak-ng must be installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from page_fixtures import FLAGS, PROGRAMS

import multimodal
from multimodal.sample import make_sample

WIDTH, HEIGHT = 1440, 1304
SHOWN_SECONDS = 4.0
"""Within the participant's first answer."""

SEEK = """async seconds => {
    const video = document.querySelector("video");
    if (video.readyState < 2) await new Promise(done => video.addEventListener("loadeddata", done, { once: true }));
    const seeked = new Promise(done => video.addEventListener("seeked", done, { once: true }));
    video.currentTime = seconds;
    await seeked;
}"""

NAMES = {"light": "report.png", "dark": "report-dark.png"}


def make_page(folder: Path) -> Path:
    """Writes the sample clip and its report below a folder; returns the page."""
    clip = make_sample(folder / "interview.mp4")
    results = folder / "results" / "interview"
    multimodal.load_model().analyze(clip).save(results)
    return multimodal.write_report(multimodal.read_analysis(results), results)


def draw(page_file: Path, target: Path) -> None:
    """Writes both pictures into a folder."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        for scheme, name in NAMES.items():
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page = context.new_page()
            page.goto(page_file.absolute().as_uri())
            page.evaluate(SEEK, SHOWN_SECONDS)
            page.wait_for_timeout(500)  # the page follows the video
            page.screenshot(path=str(target / name))
            context.close()
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        draw(make_page(Path(folder)), Path(sys.argv[1]))
