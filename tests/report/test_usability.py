"""Usability labels in the page of a recording: beside each utterance, counted, filtered, and among the key moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis_fixtures import answers, estimate_of, make_analysis, shows
from page_fixtures import OpenPage, Parsed, accessibility_faults
from playwright.sync_api import expect

from multimodal.analysis.result import Analysis
from multimodal.report.page import report_page, write_report
from multimodal.report.sections import sections, transcript
from multimodal.report.usability import usability_chip, usability_section
from multimodal.types import USABILITY_LABELS, Utterance, UtteranceEstimate

SAID = (
    ("frustration", 0.81, 2.0),
    ("neutral", 0.9, 4.0),
    ("confusion", 0.5, 3.0),
    ("frustration", 0.42, 1.0),
    ("delight", 0.7, 2.5),
    ("question", 0.66, 1.5),
)


def said(label: str, sure: float, start: float, seconds: float) -> UtteranceEstimate:
    words = estimate_of("neutral", 0.8)
    utterance = Utterance(start, start + seconds, "Ada", f"words of {start:.0f}")
    return UtteranceEstimate(utterance, {"text": words}, words, usability=shows(label, sure, USABILITY_LABELS))


@pytest.fixture
def talk(tmp_path: Path) -> Analysis:
    """Six utterances with words, one of each case, and a window without."""
    spoken = [said(label, sure, 8.0 * at, seconds) for at, (label, sure, seconds) in enumerate(SAID)]
    silent = UtteranceEstimate(Utterance(50.0, 54.0))
    whole = make_analysis(tmp_path / "talk.mp4", 60.0)
    return replace(whole, estimates=(*spoken, silent), faces=(), frame_times=())


def test_a_chip_says_how_much_a_label_counts(talk: Analysis) -> None:
    chips = [usability_chip(each) for each in talk.estimates]
    assert chips[0] == {"label": "frustration", "name": "frustration", "note": "81%", "kind": "loud"}
    assert [chip and chip["kind"] for chip in chips] == ["loud", "quiet", "loud", "unsure", "plain", "quiet", None]
    assert chips[3] == {"label": "uncertain", "name": "uncertain, perhaps frustration", "note": "42%", "kind": "unsure"}


def test_counts_and_speaking_time_are_of_the_utterances(talk: Analysis) -> None:
    section = usability_section(talk)
    assert section is not None and (section["title"], section["total"]) == ("What people said", 6)
    assert [(row["label"], row["count"], row["share"], row["length"]) for row in section["rows"]] == [
        ("frustration", 1, "17%", "2.0 s"),
        ("confusion", 1, "17%", "3.0 s"),
        ("question", 1, "17%", "1.5 s"),
        ("delight", 1, "17%", "2.5 s"),
        ("neutral", 1, "17%", "4.0 s"),
        ("uncertain", 1, "17%", "1.0 s"),
    ]
    typed = answers("neutral", "anger")
    assert usability_section(typed) is None
    labeled = tuple(replace(each, usability=shows("complaint", 0.9, USABILITY_LABELS)) for each in typed.estimates)
    written = usability_section(replace(typed, estimates=labeled))
    assert written is not None and written["title"] == "What people wrote"
    assert written["rows"] == [{"label": "complaint", "count": 2, "share": "100%", "length": ""}]


def test_frustration_and_confusion_are_key_moments(talk: Analysis) -> None:
    rows = [(row["place"], row["kind"], row["why"]) for row in sections(talk)["moments"]["rows"]]
    assert ("0:00", "Frustration", "in words at 81%") in rows and ("0:16", "Confusion", "in words at 50%") in rows


def test_the_transcript_has_chips_and_quiet_labels_among_the_details(talk: Analysis, tmp_path: Path) -> None:
    page = Parsed(report_page(talk, tmp_path))
    chips = [" ".join(text.split()) for _, text in page.all("span", class_="chip")]
    assert chips == [
        *("Words: frustration 81%", "Words: confusion 50%"),
        *("Words: uncertain, perhaps frustration 42%", "Words: delight 70%"),
    ]
    details = [row["details"] for row in transcript(talk)["utterances"]]
    assert "usability neutral 90%" in details[1] and "usability question 66%" in details[5]
    assert not any("usability" in detail for detail in details[0])
    translated = replace(talk, estimates=tuple(replace(each, translated=True) for each in talk.estimates[:1]))
    assert "words translated into English" in transcript(translated)["utterances"][0]["details"]


def test_without_labels_nothing_of_them_is_shown(talk: Analysis, tmp_path: Path) -> None:
    unlabeled = tuple(replace(each, usability=None) for each in talk.estimates)
    page = Parsed(report_page(replace(talk, estimates=unlabeled), tmp_path))
    assert page.all("select") == [] and page.all("section", class_="spoken") == []
    assert page.all("span", class_="chip") == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_a_reader_filters_by_what_was_said(
    talk: Analysis, tmp_path: Path, open_page: OpenPage, width: int, dark: bool
) -> None:
    page = open_page(write_report(talk, tmp_path / "results"), width=width, dark=dark)
    labels = page.locator("#said option").all_inner_texts()
    assert labels[:3] == ["all words", "frustration (1)", "confusion (1)"]
    page.locator("#said").select_option("confusion")
    assert page.locator(".utterance:visible .said").all_text_contents() == ["words of 16"]
    assert page.locator("#matches").inner_text() == "1 of 7"
    page.locator("#find").fill("words of 8")
    assert page.locator(".utterance:visible").count() == 0
    page.locator("#said").select_option("")
    assert page.locator(".utterance:visible .said").all_text_contents() == ["words of 8"]
    page.locator("#find").fill("")
    expect(page.locator("#matches")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert accessibility_faults(page) == []
