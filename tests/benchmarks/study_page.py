"""Measures the page of a study: time to write, open and filter, and size.

    python tests/benchmarks/study_page.py --inputs 500 5000

The inputs are made up: a quarter typed answers, the others recordings of 4 to 8 minutes with an utterance each 4 s.
What the page of one recording takes is timed apart. Opening is timed in Chromium until two frames after the
load, the median of five; filtering from a change of the task until the layout is done.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from analysis_fixtures import make_analysis
from page_fixtures import FLAGS
from study_fixtures import make_study

from multimodal.report import page as report_page
from multimodal.study.page import write_study

ROUNDS = 5
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
FILTER = """() => {
    const select = document.getElementById("filter-task");
    select.value = "=search";
    const begun = performance.now();
    select.dispatchEvent(new Event("change"));
    document.body.offsetHeight;
    return performance.now() - begun;
}"""


def own_pages(out: Path, seconds: float) -> float:
    """Seconds that the page of one recording takes; afterwards every input has a page, though an empty one."""
    analysis = make_analysis(out / "a.mp4", seconds)
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        report_page.write_report(analysis, out / "own")
    each = (time.perf_counter() - begun) / ROUNDS
    for file in out.glob("*/analysis.json"):
        (file.parent / "report.html").touch()
    return each


def opening(browser: Browser, page: Path) -> tuple[float, float]:
    """Seconds until the page stands, and milliseconds until it is filtered."""
    opened, filtered = [], []
    for _ in range(ROUNDS):
        window = browser.new_page(viewport={"width": 1440, "height": 900})
        begun = time.perf_counter()
        window.goto(page.absolute().as_uri())
        window.evaluate(FRAMES)
        opened.append(time.perf_counter() - begun)
        filtered.append(window.evaluate(FILTER))
        window.close()
    return statistics.median(opened), statistics.median(filtered)


def main() -> None:
    """Prints a line per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, nargs="+", default=[500])
    parser.add_argument("--seconds", type=float, default=240.0, help="length of the shortest recording")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=list(FLAGS))
        for count in options.inputs:
            with tempfile.TemporaryDirectory() as folder:
                out = make_study(Path(folder), count, people=max(count // 5, 1), seconds=options.seconds)
                each = own_pages(out, options.seconds)
                begun = time.perf_counter()
                page = write_study(out)
                written = time.perf_counter() - begun
                opened, filtered = opening(browser, page)
                size = page.stat().st_size / 1e6
                print(
                    f"{count} inputs: {size:.2f} MB, written in {written:.1f} s, opened in {opened:.2f} s, "
                    f"filtered in {filtered:.0f} ms; a page of an input in {each:.2f} s"
                )
    print(f"memory at the peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, making included")


if __name__ == "__main__":
    main()
