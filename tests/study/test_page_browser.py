"""The page of a study in a browser: filters, sorting, links, downloads, light and dark, any texts."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pandas as pd
import pytest
from analysis_fixtures import HOSTILE, make_analysis
from page_fixtures import OpenPage, accessibility_faults
from playwright.sync_api import Page, expect
from study_fixtures import TASKS, make_study, manifest_of, without_frames, write_results

from multimodal.analysis.bootstrap import bootstrap
from multimodal.analysis.loading import read_analysis
from multimodal.batch.tables import MEASURES, neutral, write_tables
from multimodal.report.html import write_page
from multimodal.report.page import report_page
from multimodal.study.page import write_study
from multimodal.study.tables import SHARES
from multimodal.types import UNCERTAIN

SHOWN = (*SHARES, "mean_valence", "mean_arousal", UNCERTAIN)
"""Columns of the table of means: the shares, and apart from them the time with an uncertain answer."""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def quick_pages() -> Iterator[None]:
    """Pages of the inputs, which have tests of their own, are empty files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multimodal.report.page.write_report", lambda analysis, folder: (folder / "report.html").touch())
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, quick_pages: None) -> Path:
    """40 inputs of 10 participants, and the page."""
    out = make_study(tmp_path_factory.mktemp("study") / "results", inputs=40, people=10, seconds=40.0)
    return write_study(out).parent


@pytest.fixture(scope="module")
def results(study: Path) -> pd.DataFrame:
    return pd.read_parquet(study / "results.parquet")


def texts(page: Page, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def number(page: Page, name: str) -> str:
    return page.locator(f'[data-number="{name}"]').inner_text()


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f"#filter-{name}").select_option(value)


def column(page: Page, name: str) -> list[str]:
    """Texts of a column of the table of inputs."""
    heads = [text.rstrip(" ↑↓") for text in texts(page, "#inputs thead th")]
    return texts(page, f"#inputs tbody td:nth-child({heads.index(name) + 1})")


def test_a_filter_acts_on_everything_that_is_shown(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    assert page.locator("#state").inner_text() == "All 40 inputs"
    choose(page, "task", "=search")
    selection = results[results["task"] == "search"]
    done = selection[selection["status"] == "done"]
    assert page.locator("#state").inner_text() == f"{len(selection)} of 40 inputs: task search"
    assert number(page, "inputs") == str(len(selection)) and number(page, "done") == str(len(done))
    assert number(page, "participants") == str(done["participant"].nunique())
    assert column(page, "Input") == list(selection["path"]) and set(column(page, "Task")) == {"search"}
    assert len(texts(page, "#strips .answer")) == len(done)
    assert set(texts(page, "#strips .what")) == {"search"}
    assert page.locator("#failures li:visible").count() == len(selection) - len(done)
    number_text = page.locator(".watching .first a").evaluate_all("links => links.map((link) => link.title)")
    assert number_text and set(number_text) <= set(done["path"])
    assert any(f"{len(done)} inputs." in text for text in texts(page, "#spread figure p"))
    assert page.locator("#download").inner_text() == f"Download {len(selection)} rows as CSV"
    page.locator("#clear").click()
    assert page.locator("#state").inner_text() == "All 40 inputs" and number(page, "inputs") == "40"
    assert page.evaluate("document.activeElement.id") == "search"


def test_choices_count_what_the_other_filters_leave(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    choose(page, "participant", "=P003")
    rows_of_person = results[results["participant"] == "P003"]
    expected = [
        f"all ({len(rows_of_person)})",
        *(f"{task} ({(rows_of_person['task'] == task).sum()})" for task in sorted(TASKS, key=str.lower)),
    ]
    assert texts(page, "#filter-task option") == [*expected, f"(none) ({(rows_of_person['task'] == '').sum()})"]
    counts = dict(text.rsplit(" (", 1) for text in texts(page, "#filter-status option"))
    assert counts["done"] == f"{(rows_of_person['status'] == 'done').sum()})"
    assert texts(page, "#filter-participant option")[0] == "all (40)"


def test_emotion_filter(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    choose(page, "emotion", "=fear")
    utterances = pd.read_parquet(study / "utterances.parquet")
    afraid = set(utterances[utterances["emotion"] == "fear"]["result"])
    assert column(page, "Input") == list(results[results["result"].isin(afraid)]["path"])
    assert {text.split()[1] for text in texts(page, "#peak .badge")} == {"fear"}


@pytest.mark.parametrize("words", ["P004 session", "كان على", "=DESKTOP", "path nowhere-else"])
def test_search_looks_into_names_the_manifest_and_what_was_said(
    study: Path, results: pd.DataFrame, open_page: OpenPage, words: str
) -> None:
    page = open_page(study / "report.html")
    page.locator("#search").fill(words)
    expect(page.locator("#state")).to_contain_text("“")
    spoken = (
        pd.read_parquet(study / "utterances.parquet")
        .groupby("result")["text"]
        .agg(lambda said: " ".join(said.dropna()))
    )
    said = results[["path", "participant", "task", "question", "device", "error"]].fillna("").agg("\n".join, axis=1)
    said = said + "\n" + results["result"].map(spoken).fillna("")
    matches = [all(word in text.lower() for word in words.lower().split()) for text in said]
    assert column(page, "Input") == list(results[matches]["path"])
    assert "transcripts" in page.locator("#searched").inner_text()


def test_means_and_intervals_of_what_is_chosen_are_computed_anew(
    study: Path, results: pd.DataFrame, open_page: OpenPage
) -> None:
    page = open_page(study / "report.html")
    assert page.locator("#words ~ p .recomputed").inner_text() == ""
    page.locator("#search").fill("=desktop")
    expect(page.locator("#words ~ p .recomputed")).not_to_be_empty()
    selection = results[(results["device"] == "=desktop()") & (results["status"] == "done")]
    people = selection.groupby("participant")[list(MEASURES)].mean()
    assert len(people) == 5
    every = people.to_numpy()[list(itertools.product(range(5), repeat=5))].mean(axis=1)  # all possible draws
    recomputed = page.evaluate("""() => {
        const rows = page.data.inputs.map((input, index) => ({ ...input, index,
            cell: (name) => page.data.columns.find((column) => column.name === name).cells[index] }))
            .map((row) => ({ ...row, done: row.cell("status") === "done" }))
            .filter((row) => row.cell("device") === "=desktop()");
        return numbers.summarize(rows).values;
    }""")
    for at, name in enumerate(MEASURES):
        mean, low, high = recomputed[name]
        assert mean == pytest.approx(people[name].mean(), abs=1e-9)
        for end, share in ((low, 0.025), (high, 0.975)):  # of 2,000 draws, within three standard errors
            assert (every[:, at] < end - 1e-9).mean() <= share + 0.0105
            assert (every[:, at] <= end + 1e-9).mean() >= share - 0.0105
    means, lows, highs = bootstrap(people.to_numpy())  # of the same people, with other random numbers
    for at, name in enumerate(MEASURES):
        mean, low, high = recomputed[name]
        assert mean == pytest.approx(means[at], abs=1e-9)
        assert (low, high) == pytest.approx((lows[at], highs[at]), abs=0.1 * (highs[at] - lows[at]) + 1e-9), name
    first = texts(page, "#emotions tbody[data-by=all] td .value")
    assert first == [number_text(name, people[name].mean()) for name in SHOWN]


def test_shares_of_the_whole_study_are_the_summarys(study: Path, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    summary = pd.read_csv(study / "summary.csv", keep_default_na=False, encoding="utf-8-sig")
    for by in ("all", "task", "question"):
        groups = {row["group"]: row for _, row in summary[summary["by"] == by].iterrows()}
        rows = page.locator(f"#emotions tbody[data-by={by}] tr:not(.by)")
        groups.pop(
            "", None
        ) if by != "all" else None  # each input without a task has a question, and the other way round
        assert rows.count() == len(groups)
        for line in rows.all():
            name = line.locator("bdi").inner_text()
            row = groups["" if by == "all" else name]
            assert f"{row['inputs']} inputs, {row['participants']} participants" in line.inner_text()
            expected = [[number_text(each, float(row[each + end])) for end in ("", "_low", "_high")] for each in SHOWN]
            cells = [["0%"] if each[0] == "0%" else [each[0], f"{each[1]} to {each[2]}"] for each in expected]
            assert [text.split("\n") for text in line.locator("td").all_inner_texts()] == cells


def number_text(measure: str, value: float) -> str:
    """As the page shows a number of the summary: a share in whole per cent, valence and arousal with their sign."""
    if measure in (*SHARES, UNCERTAIN):
        return "<1%" if 0 < value < 0.005 else ">99%" if 0.995 <= value < 1 else f"{value:.0%}"
    rounded = Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{'−' if rounded < 0 else '+'}{abs(rounded)}"


def test_one_participant_alone_has_no_interval(study: Path, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    choose(page, "participant", "=P001")
    ends = texts(page, "#emotions tbody[data-by=all] .ends")
    assert ends and set(ends) == {"no interval"}
    assert page.locator("#emotions .whisker").count() == 0


def test_filters_stand_in_the_address_and_come_back(study: Path, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    choose(page, "task", f"={TASKS[2]}")
    choose(page, "status", "=failed")
    address = page.url
    again = open_page(study / "report.html")
    again.goto(address)
    assert again.locator("#state").inner_text() == page.locator("#state").inner_text()
    assert again.locator("#filter-task").input_value() == f"={TASKS[2]}"
    again.locator(".skip").focus()
    again.keyboard.press("Enter")  # a link inside the page is no change of filters
    assert again.locator("#state").inner_text() == page.locator("#state").inner_text()
    again.goto(address.split("#")[0] + "#task=%3Dgone")
    assert again.locator("#state").inner_text() == "0 of 40 inputs: task gone"
    assert texts(again, "#strips p") == ["No inputs."]


def test_the_table_is_sorted_by_keys_alone(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    page.locator('[data-sort="valence"]').focus()
    page.keyboard.press("Enter")
    with_value = results.dropna(subset=["mean_valence"]).sort_values("mean_valence", kind="stable")
    rest = results[results["mean_valence"].isna()]
    assert column(page, "Input") == [*with_value["path"], *rest["path"]]
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    down = results.dropna(subset=["mean_valence"]).sort_values("mean_valence", ascending=False, kind="stable")
    assert column(page, "Input") == [*down["path"], *rest["path"]]  # what has no value stays last
    page.locator('[data-sort="length"]').click()
    lengths = [text for text in column(page, "Length") if text]
    assert lengths == sorted(lengths, key=lambda text: [int(part) for part in text.split(":")])


def test_everything_is_reached_by_tab(study: Path, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    expected = [
        "A",
        "A",
        "search",
        "filter-participant",
        "filter-task",
        "filter-question",
        "filter-emotion",
        "filter-status",
    ]
    assert [each for each in order if each in expected][: len(expected)] == expected
    assert "emotions" in order and "SUMMARY" in order


def test_every_link_leads_to_a_file_of_the_study(study: Path, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    while page.locator(".watching button").count():
        page.locator(".watching button").first.click()
    links = page.locator("a[href]").evaluate_all("links => links.map((link) => link.href)")
    files = {url2pathname(unquote(urlsplit(link).path)) for link in links}
    assert len(files) > 30 and all(Path(file).is_file() and study in Path(file).parents for file in files)
    timed = [urlsplit(link).fragment for link in links if urlsplit(link).fragment.startswith("t=")]
    assert timed and all(0 <= float(each[2:]) < 90 for each in timed)
    page.locator("#inputs a").first.click()
    page.wait_for_url("**/report.html")
    assert unquote(page.url).endswith("session 1-0000/report.html")


def test_the_chosen_rows_download_as_a_batch_writes_them(
    study: Path, results: pd.DataFrame, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(study / "report.html", accept_downloads=True)
    choose(page, "participant", "=P002")
    page.locator('[data-sort="arousal"]').click()
    with page.expect_download() as waiting:
        page.locator("#download").click()
    waiting.value.save_as(tmp_path / "chosen.csv")
    text = (tmp_path / "chosen.csv").read_text(encoding="utf-8-sig")
    written = (study / "results.csv").read_text(encoding="utf-8-sig")
    mine, theirs = (list(csv.DictReader(io.StringIO(each))) for each in (text, written))
    order = results[results["participant"] == "P002"].sort_values("mean_arousal", kind="stable")["path"]
    expected = {row["path"]: row for row in theirs if row["participant"] == "P002"}
    assert [row["path"] for row in mine] == list(order) and len(mine) == 4
    for row in mine:
        for name, value in expected[row["path"]].items():
            assert row[name] == value or float(row[name]) == float(value), name
    assert {row["device"] for row in mine} == {neutral("=desktop()")} == {"'=desktop()"}
    assert text.splitlines()[0] == written.splitlines()[0]


def test_strips_tell_answers_apart_and_their_lengths(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    done = results[results["status"] == "done"]
    first = page.locator(".people > li").first
    assert first.locator(".who").inner_text() == "P001"
    rows_of_person = done[done["participant"] == "P001"]
    assert first.locator(".what").all_inner_texts() == list(
        rows_of_person["task"].where(rows_of_person["task"] != "", rows_of_person["question"])
    )
    signs = page.locator(".strip span:not(.none)").evaluate_all("runs => runs.every((run) => run.textContent !== '')")
    assert signs
    page.get_by_label("absolute").check()
    widths = page.evaluate("""() => [...document.querySelectorAll(".answer")].map((answer) => [
        answer.querySelector("a").title, answer.querySelector(".strip").getBoundingClientRect().width,
        answer.querySelector(".time").getBoundingClientRect().width])""")
    longest = done["duration_seconds"].max()
    lengths = done.set_index("path")["duration_seconds"]
    for path, width, room in widths:
        if lengths[path] > 0:
            assert width == pytest.approx(room * lengths[path] / longest, abs=1.5)
        else:
            assert width < room / 2


def test_orders_of_the_strips(study: Path, results: pd.DataFrame, open_page: OpenPage) -> None:
    page = open_page(study / "report.html")
    done = results[results["status"] == "done"]
    page.locator("#order").select_option("least pleasant first")
    assert texts(page, ".who") == list(done.groupby("participant")["mean_valence"].mean().sort_values().index)
    page.locator("#order").select_option("by name")
    assert texts(page, ".who") == sorted(done["participant"].unique())


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (360, False), (360, True)])
def test_it_is_accessible_and_fits(study: Path, open_page: OpenPage, width: int, dark: bool) -> None:
    page = open_page(study / "report.html", width=width, dark=dark)
    choose(page, "status", "=done")
    assert accessibility_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in paper[4:-1].split(",")) < 200) == dark


def test_hostile_texts_are_shown_and_not_run(
    tmp_path: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "multimodal.report.page.write_report", lambda analysis, folder: (folder / "report.html").touch()
    )
    rows = [
        {"path": f"{at}{text[:30].replace('/', '')}.mp4", "participant": text, "task": text, "question": text}
        for at, text in enumerate(HOSTILE)
    ]
    analyses = [without_frames(make_analysis(tmp_path / "a.mp4", 30.0, seed=at)) for at in range(len(rows))]
    page = open_page(write_study(write_results(tmp_path / "results", rows, [*analyses[1:], None])), width=900)
    assert page.title() == f"Study: {tmp_path.name}/results"
    for text in HOSTILE:
        choose(page, "task", "=" + text.strip())
        assert " ".join(column(page, "Participant")[0].split()) == " ".join(text.split())
    page.locator("#clear").click()
    assert page.evaluate("document.scripts.length") == 5
    assert page.locator("#failures img, #inputs img, #strips img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 900
    assert accessibility_faults(page) == []


def test_a_folder_without_a_manifest_has_a_page(tmp_path: Path, open_page: OpenPage, quick_pages: None) -> None:
    page = open_page(write_study(make_study(tmp_path / "results", inputs=5, columns=("path",), seconds=8.0)))
    assert texts(page, ".filters label")[1:] and page.locator(".filters select").count() == 3
    assert page.locator(".who").count() == 0 and page.locator(".answer").count() == 5
    assert texts(page, "#emotions tr.by") == []
    assert accessibility_faults(page) == []


def test_a_study_in_which_everything_failed_has_a_page(tmp_path: Path, open_page: OpenPage, quick_pages: None) -> None:
    page = open_page(write_study(make_study(tmp_path / "results", inputs=7, failing=1)))
    assert number(page, "done") == "0" and number(page, "failed") == "7" and number(page, "participants") == "0"
    assert "No emotion could be estimated." in page.locator(".lead").inner_text()
    page.locator("#failures summary").click()  # more than five are folded up
    assert page.locator("#failures li:visible").count() == 7
    assert texts(page, "#spread figure p") == ["No values."] * 3
    page.get_by_label("absolute").check()
    assert accessibility_faults(page) == []


def test_more_lines_than_fit_are_shown_when_asked_for(tmp_path: Path, open_page: OpenPage, quick_pages: None) -> None:
    make_analysis(tmp_path / "a.mp4", 8.0).save(tmp_path / "results" / "same")
    manifest = manifest_of([{"path": f"{at}.mp4", "participant": f"P{at % 105:03}"} for at in range(420)])
    write_tables(tmp_path / "results", manifest, ["same"] * 420, {}, lambda name: tmp_path / "results" / name)
    page = open_page(write_study(tmp_path / "results"))
    assert page.locator("#inputs tbody tr").count() == 200 and page.locator(".answer").count() == 400
    assert "200 of 420 inputs are listed." in page.locator("#inputs-more").inner_text()
    page.locator("#inputs-more").get_by_text("Show 200 more").click()
    assert page.locator("#inputs tbody tr").count() == 400
    page.locator("#inputs-more").get_by_text("Show all").click()
    assert page.locator("#inputs tbody tr").count() == 420 and page.locator("#inputs-more").inner_text() == ""
    page.locator("#strips-more").get_by_text("Show all").click()
    assert page.locator(".answer").count() == 420
    page.locator("#search").fill("P001")
    expect(page.locator("#state")).to_contain_text("4 of 420")
    assert page.locator("#inputs tbody tr").count() == 4


def test_a_moment_is_found_on_the_inputs_own_page(tmp_path: Path, open_page: OpenPage, quick_pages: None) -> None:
    out = make_study(tmp_path / "results", inputs=8, people=2, seconds=40.0, failing=99)
    for name in pd.read_parquet(out / "results.parquet")["result"]:
        write_page(out / name / "report.html", report_page(read_analysis(out / name), out / name))
    page = open_page(write_study(out))
    link = page.locator("#change a").first
    row = int(link.evaluate("link => page.data.moments.find((each) => each.kind === 'change').line"))
    link.click()
    page.wait_for_url("**/report.html#*")
    assert page.locator(".utterance[aria-current]").get_attribute("id") in (f"u{row - 1}", f"u{row}")
    assert page.locator(".utterance[aria-current]").is_visible()
    page.go_back()
    page.locator("#search").fill("answer")
    expect(page.locator("#state")).to_contain_text("“answer”")
    typed = page.locator("#peak a").first
    assert ", line " in typed.inner_text()
    typed.click()
    page.wait_for_url("**/report.html#u*")
    assert page.locator(":target").get_attribute("class").startswith("utterance")
