"""Measures size and loading of the report of an hour: ``python tests/benchmarks/report_page.py``, prints JSON.

A made-up interview of an hour (900 utterances, 18,000 sampled frames) is written and opened five times in headless
Chromium, each time in a fresh window without a cache: from the navigation until every chart is drawn and the next two
frames are on the screen.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from analysis_fixtures import make_analysis
from page_fixtures import (
    FLAGS,
    PROGRAMS,
    make_recording,
)
from playwright.sync_api import Browser, sync_playwright

from multimodal.report.page import write_report

ON_SCREEN = """page.charts.then(() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(done))))"""


def open_seconds(browser: Browser, page: Path) -> float:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    window = context.new_page()
    began = time.perf_counter()
    window.goto(page.as_uri())
    window.evaluate(ON_SCREEN)
    taken = time.perf_counter() - began
    context.close()
    return taken


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        recording = make_recording(Path(folder) / "talk.webm", 10.0)
        analysis = make_analysis(recording, 3600.0)
        began = time.perf_counter()
        page = write_report(analysis, folder)
        written = time.perf_counter() - began
        program = next(filter(None, map(shutil.which, PROGRAMS)))
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        opened = [open_seconds(browser, page) for _ in range(5)]
        figures = {
            "megabytes": round(page.stat().st_size / 1e6, 2),
            "write_seconds": round(written, 2),
            "open_seconds_median": round(statistics.median(opened), 2),
            "open_seconds": [round(each, 2) for each in opened],
        }
        browser.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
