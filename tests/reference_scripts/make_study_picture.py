"""Draws ``docs/study.png``: the page of a made-up study of 24 participants, in Chromium.

    python tests/reference_scripts/make_study_picture.py docs/study.png

Nobody was recorded: moods follow a chance walk that is different in each task.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from analysis_fixtures import estimate_of, make_analysis, shows, without
from page_fixtures import FLAGS, PROGRAMS
from study_fixtures import without_frames, write_results

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.fusion.affect import affect_from_norms
from multimodal.study.page import write_study
from multimodal.types import USABILITY_LABELS, UtteranceEstimate

PEOPLE = 24

MOODS = {
    "Find a dentist": (0.50, 0.24, 0.14, 0.04, 0.04, 0.01, 0.03),
    "Book an appointment": (0.42, 0.14, 0.18, 0.09, 0.10, 0.03, 0.04),
    "Cancel it again": (0.30, 0.05, 0.12, 0.16, 0.30, 0.04, 0.03),
    "How was it?": (0.40, 0.34, 0.06, 0.08, 0.08, 0.02, 0.02),
}
"""Task or question to how often each of the fused emotions begins."""

SAID = {
    "neutral": "neutral",
    "happiness": "satisfaction",
    "surprise": "confusion",
    "sadness": "complaint",
    "anger": "frustration",
    "disgust": "complaint",
    "fear": "confusion",
}
"""Mood to the usability label of its words."""

WORDS = {
    "neutral": ("Now I look at the list.", "I choose the second one.", "It asks for a date."),
    "happiness": ("Oh nice, that was quick.", "I like the calendar.", "Great, it even knows my insurance."),
    "surprise": ("Huh, where did the page go?", "I did not expect that."),
    "sadness": ("Well. Then not.", "I do not think that I would find this alone."),
    "anger": ("Why does it want my password again?", "I pressed cancel, and it booked a second one."),
    "disgust": ("These pictures, no.", "No, that is tasteless."),
    "fear": ("Did it charge me now?", "I hope that did not delete everything."),
}


def analysis_of(task: str, person: int, seed: int) -> Analysis:
    """A recording of up to three minutes, or a typed answer, in the mood of its task."""
    random = np.random.default_rng(seed)
    typed = task.endswith("?")
    seconds = 12.0 if typed else float(random.integers(60, 180))
    whole = make_analysis(Path(f"P{person:02}.mp4"), seconds, seed=seed, people=1)
    moods = random.dirichlet(12 * np.array(MOODS[task]))
    mood, estimates = "neutral", []
    for each in whole.estimates:
        mood = mood if random.random() < 0.55 else str(random.choice(FUSED_LABELS, p=moods))
        estimates.append(estimate_in(each, mood, random, typed))
    media = replace(whole.media, duration_seconds=0.0, has_video=False, has_audio=False) if typed else whole.media
    return without_frames(replace(whole, media=media, estimates=tuple(estimates), warnings=()))


def estimate_in(each: UtteranceEstimate, mood: str, random: np.random.Generator, typed: bool) -> UtteranceEstimate:
    """An utterance that shows a mood, now and then with a face or a voice at odds with it."""
    sure = float(random.beta(9, 2.2))
    answer = estimate_of(mood, max(sure, 0.3))
    valence, arousal = affect_from_norms(answer.probabilities)
    start, end = (0.0, 0.0) if typed else (each.utterance.start_seconds, each.utterance.end_seconds)
    text = str(random.choice(WORDS[mood])) if "text" in each.estimates or typed else None
    utterance = replace(each.utterance, start_seconds=start, end_seconds=end, speaker=None, text=text)
    estimates = {} if typed else without(each, "text")
    if text:
        estimates["text"] = estimate_of(mood, 0.8)
    return replace(
        each,
        utterance=utterance,
        estimates=estimates,
        fused=answer,
        uncertain=sure < 0.55,
        valence=valence,
        arousal=arousal,
        usability=shows(SAID[mood], float(random.uniform(0.45, 0.95)), USABILITY_LABELS) if text else None,
    )


def make(out: Path) -> Path:
    """The study with its tables and its page."""
    rows, analyses = [], []
    for person in range(1, PEOPLE + 1):
        for part, task in enumerate(MOODS):
            typed = task.endswith("?")
            name = f"P{person:02}/{'answer.txt' if typed else f'task-{part + 1}.mp4'}"
            named = {"task": "" if typed else task, "question": task if typed else ""}
            rows.append({"path": name, "participant": f"P{person:02}", **named})
            analyses.append(
                None if (person, part) in ((7, 1), (19, 2)) else analysis_of(task, person, 10 * person + part)
            )
    return write_study(write_results(out, rows, analyses))


def main(picture: Path) -> None:
    """Makes the study in a folder of its own, and the picture of its first screen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = make(Path(folder) / "dentist-booking")
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        window = browser.new_page(viewport={"width": 1440, "height": 1125})
        window.goto(page.absolute().as_uri())
        window.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
