"""Usability labels in a study: its tables, and frustration and confusion by task in its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from analysis_fixtures import estimate_of, make_analysis, shows
from page_fixtures import OpenPage, Parsed, accessibility_faults
from study_fixtures import manifest_of, without_frames, write_results

from multimodal.analysis.result import Analysis
from multimodal.batch.tables import USABILITY_MEASURES, write_tables
from multimodal.study.page import write_study
from multimodal.study.tables import read_study
from multimodal.types import USABILITY_LABELS, Utterance, UtteranceEstimate

PEOPLE = {
    "P1": {"checkout": ("frustration", "frustration", "confusion", "neutral"), "search": ("delight", "neutral")},
    "P2": {"checkout": ("frustration", "neutral"), "search": ("neutral", "confusion", "neutral", "neutral")},
    "P3": {"checkout": (), "search": ("satisfaction",)},
}
"""What each participant says in each task; P3 says nothing at the checkout."""


def analysis_of(labels: Sequence[str], sure: float = 0.8) -> Analysis:
    words = estimate_of("neutral", 0.8)
    spoken = [
        UtteranceEstimate(
            Utterance(4.0 * at, 4.0 * at + 2, None, "so"),
            {"text": words},
            words,
            usability=shows(label, sure, USABILITY_LABELS),
        )
        for at, label in enumerate(labels)
    ]
    silent = UtteranceEstimate(Utterance(20.0, 24.0), {"text": words}, words)
    whole = make_analysis(Path("a.mp4"), 30.0)
    return without_frames(replace(whole, estimates=(*spoken, silent)))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        "multimodal.report.page.write_report", lambda analysis, folder: (folder / "report.html").touch()
    )
    rows, analyses = [], []
    for person, tasks in PEOPLE.items():
        for task, labels in tasks.items():
            rows.append({"path": f"{person}-{task}.mp4", "participant": person, "task": task})
            analyses.append(analysis_of(labels))
    return write_results(tmp_path / "results", rows, analyses)


def test_tables_have_the_share_of_utterances_of_each_label(study: Path) -> None:
    results = pd.read_csv(study / "results.csv", encoding="utf-8-sig")
    assert results["usability_frustration"].tolist()[:4] == [0.5, 0.0, 0.5, 0.0]
    assert results["usability_confusion"].tolist()[:4] == [0.25, 0.0, 0.0, 0.25]
    assert results[list(USABILITY_MEASURES)].iloc[4].isna().all()  # nothing was said
    summary = pd.read_csv(study / "summary.csv", encoding="utf-8-sig").set_index(["by", "group"])
    checkout = summary.loc[("task", "checkout")]
    # Over P1 and P2, since P3 has no words: each counts once, and every draw of the two has a mean of 0.5.
    ends = ("usability_frustration", "usability_frustration_low", "usability_frustration_high")
    assert checkout[list(ends)].tolist() == [0.5, 0.5, 0.5]
    assert checkout[["usability_confusion", "usability_confusion_low", "usability_confusion_high"]].tolist() == [
        *(0.125, 0.0, 0.25)
    ]
    utterances = pd.read_parquet(study / "utterances.parquet")
    assert utterances["usability"].dropna().value_counts()["frustration"] == 3
    assert utterances["usability_probability"].dropna().eq(0.8).all()


def test_uncertain_labels_are_counted_apart(tmp_path: Path) -> None:
    out = write_results(tmp_path / "results", [{"path": "a.mp4"}], [analysis_of(["frustration", "neutral"], 0.4)])
    row = pd.read_parquet(out / "results.parquet").iloc[0]
    assert row["usability_uncertain"] == 1.0 and row["usability_frustration"] == 0.0


def test_tables_and_results_without_labels_are_read(study: Path) -> None:
    table = pyarrow.parquet.read_table(study / "results.parquet")
    former = table.drop_columns(list(USABILITY_MEASURES))
    metadata = {**table.schema.metadata, b"multimodal_schema_version": b"3"}
    pyarrow.parquet.write_table(former.replace_schema_metadata(metadata), study / "results.parquet")
    again = read_study(study)
    assert not again.has_usability and all(row["usability_frustration"] is None for row in again.rows)
    assert [row["neutral"] for row in again.rows] == table.column("neutral").to_pylist()
    page = Parsed(write_study(study).read_text(encoding="utf-8"))
    assert page.data["usability"] == [] and page.all("select", id="filter-words") == []


def test_the_page_says_frustration_and_confusion_first(study: Path) -> None:
    page = Parsed(write_study(study).read_text(encoding="utf-8"))
    titles = [text for _, text in page.all("h2")]
    assert titles.index("Frustration and confusion in words") < titles.index("Emotions")
    first = " ".join(page.all("p", class_="lead")[0][1].split())
    # Means over people: P1 (0.5 + 0) / 2, P2 (0.5 + 0) / 2, P3 0; confusion 0.125, 0.125, 0.
    assert "frustration 17% of the utterances" in first and "confusion 8%" in first
    assert [each["words"] for each in page.data["inputs"]][:2] == [
        ["frustration", "confusion", "neutral"],
        ["delight", "neutral"],
    ]


@pytest.mark.browser
@pytest.mark.slow
def test_a_reader_sees_and_filters_what_was_said(study: Path, open_page: OpenPage) -> None:
    page = open_page(write_study(study))
    heads = [text.strip() for text in page.locator("#words thead th").all_inner_texts()]
    assert heads == ["frustration", "confusion", "delight", "satisfaction", "neutral"]
    rows = {
        line.locator("bdi").inner_text(): [cell.split("\n") for cell in line.locator("td").all_inner_texts()]
        for line in page.locator("#words tbody tr:not(.by)").all()
    }
    assert rows["checkout"][:2] == [["50%", "50% to 50%"], ["12%", "0% to 25%"]] and rows["search"][0] == ["0%"]
    assert page.locator("#problem li").count() == 4
    page.locator("#filter-words").select_option("=confusion")
    assert page.locator("#state").inner_text() == "2 of 6 inputs: words confusion"
    assert page.locator("#problem .badge").all_text_contents() == ["¿confusion 80%"] * 2
    assert page.locator("#words tbody[data-by=all] td .value").all_inner_texts()[:2] == ["25%", "25%"]
    assert accessibility_faults(page) == []


def test_a_batch_of_earlier_results_has_no_labels(study: Path) -> None:
    import json

    for file in study.glob("*/analysis.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        later = ("usability", "usability_label", "usability_probability", "translated")
        entries = [{key: value for key, value in each.items() if key not in later} for each in content["utterances"]]
        file.write_text(json.dumps(content | {"schema_version": 3, "utterances": entries}), encoding="utf-8")
    results = pd.read_parquet(study / "results.parquet")
    rows = [{"path": path} for path in results["path"]]
    write_tables(study, manifest_of(rows), list(results["result"]), {}, lambda name: study / name)
    again = pd.read_parquet(study / "results.parquet")
    assert again["status"].eq("done").all() and again[list(USABILITY_MEASURES)].isna().all(axis=None)
    assert again["neutral"].tolist() == results["neutral"].tolist()
