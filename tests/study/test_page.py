"""The page of a study: numbers compared with pandas, outliers, links, damaged and hostile inputs."""

from __future__ import annotations

import errno
import html.parser
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from analysis_fixtures import HOSTILE, MODELS, estimate_of, make_analysis
from study_fixtures import FAILURE, QUESTION, TASKS, make_study, manifest_of, without_frames, write_results

from multimodal.analysis.loading import read_analysis
from multimodal.analysis.moments import KINDS, find_moments
from multimodal.batch.tables import MEASURES, write_tables
from multimodal.data.emotions import FACE_LABELS
from multimodal.errors import AnalysisError, InputMissingError, OutputError
from multimodal.fusion.affect import affect_from_norms
from multimodal.report.command import main
from multimodal.study.outliers import COMPARED, THRESHOLD, describe, find_outliers, robust_scores
from multimodal.study.page import write_study
from multimodal.study.page_data import MAX_TRANSCRIPT_BYTES, page_data
from multimodal.study.recordings import BINS, InputView, letter_of, strip_of, view_of
from multimodal.study.tables import SHARES, read_study


@pytest.fixture(autouse=True)
def _quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """An input's own page takes longer than the whole study here, and has tests of its own."""
    monkeypatch.setattr(
        "multimodal.report.page.write_report", lambda analysis, folder: (folder / "report.html").touch()
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return make_study(tmp_path / "results", inputs=24, people=5, seconds=30.0)


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    start = text.index('id="data">') + len('id="data">')
    data: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return data


def results_of(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet")


def test_participant_means_and_intervals(study: Path) -> None:
    groups = {(each["by"], each["group"]): each for each in data_of(write_study(study))["summary"]}
    table = pd.read_csv(study / "summary.csv", keep_default_na=False, encoding="utf-8-sig")
    results = results_of(study)
    assert len(groups) == len(table) == 1 + 5 + (len(TASKS) + 1) + 2
    for _, row in table.iterrows():
        group = groups[row["by"], row["group"]]
        assert [group[name] for name in ("inputs", "done", "failed", "participants")] == list(row.iloc[2:6])
        inside = results if row["by"] == "all" else results[results[row["by"]].fillna("") == row["group"]]
        per_person = inside[inside["status"] == "done"].groupby("participant")[list(MEASURES)].mean()
        for name in MEASURES:
            mean, low, high = group["values"][name]
            assert mean == pytest.approx(per_person[name].mean(), abs=6e-5)
            ends = [row[f"{name}_low"], row[f"{name}_high"]]
            assert [low, high] == [None if end == "" else float(end) for end in ends]
            assert low is None or low - 1e-9 <= mean <= high + 1e-9


def test_the_page_says_its_first_numbers_without_a_script(study: Path) -> None:
    text = write_study(study).read_text(encoding="utf-8")
    results = results_of(study)
    done = results[results["status"] == "done"]
    for name, value in {"inputs": 24, "done": len(done), "failed": 2, "participants": 5, "empty": 0}.items():
        assert f'data-number="{name}">{value}</dd>' in text
    minutes, seconds = divmod(int(done["duration_seconds"].sum()), 60)
    assert f'data-number="duration">{minutes}:{seconds:02}</dd>' in text
    leading = pd.read_csv(study / "summary.csv", encoding="utf-8-sig").iloc[0]
    assert f"neutral</span> {leading['neutral']:.0%} (95% interval {leading['neutral_low']:.0%} to" in text
    assert text.count(FAILURE) >= 2


def test_the_notices_and_the_models_are_those_of_every_page(study: Path) -> None:
    text = " ".join(write_study(study).read_text(encoding="utf-8").split())
    for notice in (
        "what onlookers would call the face, the voice and the words, not what a person feels",
        *("Article 5(1)(f)", "Article 50(3)", "Annex III 1(c)", "not legal advice"),
        "Do not base a decision about a person on it",
        "This page needs JavaScript. The same numbers are in the CSV files next to it.",
        "Review outliers before excluding them.",
    ):
        assert notice in text
    done = (results_of(study)["status"] == "done").sum()
    for part, model in MODELS.items():
        assert (
            f'<td dir="auto">{model["name"]}</td><td><code>{model["sha256"][:12]}</code></td><td>{done}</td>' in text
        ), part
    assert "Russell and Mehrabian 1977" in text


def test_columns_and_cells_are_those_of_the_table(study: Path) -> None:
    columns = data_of(write_study(study))["columns"]
    results = results_of(study)
    assert [column["name"] for column in columns] == list(results.columns)
    for column in columns:
        expected = results[column["name"]].astype(object).where(results[column["name"]].notna(), None)
        assert column["cells"] == list(expected), column["name"]


def test_strips_take_the_answer_that_lasts_longest(study: Path) -> None:
    data = data_of(write_study(study))
    for index, row in results_of(study).iterrows():
        strip = data["inputs"][index]["strip"]
        if row["status"] != "done" or row["duration_seconds"] == 0:
            continue
        assert len(strip) == BINS
        seconds: Counter[str] = Counter()
        for each in read_analysis(study / row["result"]).estimates:
            seconds[each.emotion or ""] += each.utterance.end_seconds - each.utterance.start_seconds
        for label in (*SHARES, "uncertain"):  # each boundary between answers costs at most half a step
            share = strip.count(letter_of(label)) / BINS
            led = seconds[label] / row["duration_seconds"]
            assert share == pytest.approx(led, abs=(row["utterances"] + 1) / 2 / BINS)


def test_shares_of_a_study_are_those_of_its_analyses(study: Path) -> None:
    results = results_of(study)
    done = results[results["status"] == "done"]
    assert done[list(SHARES)].sum(axis=1).to_numpy() == pytest.approx(1.0, abs=4e-4)
    assert done["uncertain"].max() > 0  # beside them
    for _, row in done.iterrows():
        summary = read_analysis(study / row["result"]).summary
        assert row[list(SHARES)].to_dict() == summary["shares"] and row["dominant"] == summary["dominant"]


def as_of_version_2(study: Path) -> None:
    """Turns results, and the table of them, into those of an earlier version, which counted top labels."""
    table = pyarrow.parquet.read_table(study / "results.parquet")
    for name in ("neutral", "uncertain"):
        zeros = pyarrow.array([None if value is None else 0.0 for value in table.column(name).to_pylist()])
        table = table.set_column(table.schema.get_field_index(name), name, zeros)
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), study / "results.parquet")
    for file in study.glob("*/analysis.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        content["summary"]["shares"] |= {"neutral": 0.0}
        content["summary"]["uncertain"] = 0.0
        file.write_text(json.dumps(content | {"schema_version": 2}), encoding="utf-8")


def test_a_study_of_an_earlier_version_has_the_shares_of_this_one(study: Path) -> None:
    expected, results = read_study(study), results_of(study)
    as_of_version_2(study)
    for actual, row in zip(read_study(study).rows, expected.rows, strict=True):
        for name in (*SHARES, "uncertain"):  # computed from the four digits of the files
            assert (actual[name] is None) == (row[name] is None)
            assert row[name] is None or actual[name] == pytest.approx(row[name], abs=4e-4)
    (study / results["result"].iloc[0] / "analysis.json").write_text("{", encoding="utf-8")
    first = read_study(study).rows[0]
    assert first["dominant"] is None and all(first[name] is None for name in (*SHARES, "uncertain"))


def test_tables_written_again_have_the_shares_of_this_version(study: Path) -> None:
    before = results_of(study)
    as_of_version_2(study)
    rows = [{"path": path} for path in before["path"]]
    names = [str(name) for name in before["result"]]
    errors = {index: "gone" for index, status in enumerate(before["status"]) if status != "done"}
    write_tables(study, manifest_of(rows), names, errors, lambda name: study / name)
    after = results_of(study)
    measures = [*SHARES, "uncertain"]
    assert after[measures].to_numpy(float) == pytest.approx(before[measures].to_numpy(float), abs=4e-4, nan_ok=True)


def test_a_strip_by_hand() -> None:
    nothing, anger, fear = "-", letter_of("anger"), letter_of("fear")
    # Of 120 s, a step is 2 s: 2.9 s of anger fill one step and a little less than half of the next.
    answers = [(100.0, 102.9, "anger"), (102.9, 110.0, "fear"), (150.0, 150.9, "anger"), (219.0, 300.0, "fear")]
    expected = [anger, fear, *[fear] * 3] + [nothing] * 54 + [fear]
    assert strip_of(answers, 100.0, 120.0) == "".join(expected)
    assert strip_of([(0.0, 0.0, "anger")] * 200, 0.0, 0.0) == anger * BINS
    assert strip_of([], 0.0, 10.0) == ""
    assert strip_of([(50.0, 60.0, "anger")], 0.0, 10.0) == nothing * BINS


def test_a_segment_is_drawn_from_its_own_beginning(tmp_path: Path) -> None:
    whole = make_analysis(tmp_path / "a.mp4", 60.0)
    late = tuple(each for each in whole.estimates if each.utterance.start_seconds >= 40.0)
    part = replace(whole, media=replace(whole.media, segment=(40.0, 60.0)), estimates=late)
    view = view_of(part)
    assert view.timed and view.strip[0] == letter_of(late[0].emotion or "")
    assert "-" not in view.strip


def test_an_analysis_of_one_signal_alone_is_drawn_by_it(tmp_path: Path) -> None:
    whole = make_analysis(tmp_path / "a.mp4", 8.0)
    alone = [
        replace(each, fused=None, estimates={"face": estimate_of("fear", 0.7, FACE_LABELS)}) for each in whole.estimates
    ]
    assert set(view_of(replace(whole, estimates=tuple(alone))).strip) == {letter_of("fear")}


def test_robust_scores_are_those_of_scipy_where_values_differ() -> None:
    from scipy.stats import median_abs_deviation

    values = np.random.default_rng(0).normal(size=101)
    spread = median_abs_deviation(values, scale="normal")
    np.testing.assert_allclose(robust_scores(values), (values - np.median(values)) / spread, rtol=1e-4)


def test_where_nearly_all_are_alike_little_stands_apart() -> None:
    shares = np.array([0.0] * 30 + [0.04, 1.0, np.nan])
    scores = robust_scores(shares)
    assert abs(scores[30]) < 1 and scores[31] > 10 and np.isnan(scores[32])
    halves = np.array([0.0] * 6 + [1.0] * 4)  # a share of typed answers: all or nothing
    assert np.abs(robust_scores(halves)).max() < THRESHOLD
    assert np.isnan(robust_scores(np.array([np.nan, np.nan]))).all()


def test_the_input_that_differs_from_its_task_is_found_first(tmp_path: Path) -> None:
    rows = [{"path": f"{number}.mp4", "task": ("checkout", "search")[number % 2]} for number in range(24)]
    analyses = [_always(tmp_path, "happiness" if number % 2 else "anger", number) for number in range(24)]
    analyses[7] = _always(tmp_path, "anger", 7)  # like the inputs of the other task
    out = write_results(tmp_path / "results", rows, analyses)
    outliers = find_outliers(read_study(out))
    assert [outlier.index for outlier in outliers] == [7]
    reason = outliers[0].reasons[0]
    assert (reason.by, reason.group, reason.measure) in {("task", "search", name) for name in COMPARED}
    of_task = results_of(out).query("task == 'search'")[reason.measure]
    assert reason.median == pytest.approx(of_task.median()) and reason.value == pytest.approx(of_task.loc[7])
    assert "; median of the task “\u2068search\u2069”: " in describe(reason)


def _always(folder: Path, emotion: str, seed: int) -> Any:
    whole = make_analysis(folder / f"{seed}.mp4", 12.0, seed=seed)
    sure = estimate_of(emotion, 0.9 + 0.001 * (seed % 10))
    valence, arousal = affect_from_norms(sure.probabilities)
    alike = [replace(each, fused=sure, uncertain=False, valence=valence, arousal=arousal) for each in whole.estimates]
    return without_frames(replace(whole, estimates=tuple(alike)))


@pytest.mark.slow
def test_shares_of_a_few_lines_are_not_compared(tmp_path: Path) -> None:
    rows = [{"path": f"{number}.mp4"} for number in range(20)]
    analyses = [
        _always(tmp_path, "anger" if number == 3 else "fear", number) for number in range(20)
    ]  # alike in valence
    study = read_study(write_results(tmp_path / "results", rows, analyses))
    measures = {reason.measure for outlier in find_outliers(study) for reason in outlier.reasons}
    assert not measures & {"anger", "fear"}
    longer = tuple({**row, "utterances": 30} for row in study.rows)
    outliers = find_outliers(type(study)(study.out, study.columns, longer, study.column_of))
    assert {reason.measure for reason in outliers[0].reasons} >= {"anger", "fear"} and outliers[0].index == 3


def test_few_inputs_are_compared_with_nothing(tmp_path: Path) -> None:
    rows = [{"path": f"{number}.mp4"} for number in range(7)]
    analyses = [_always(tmp_path, "anger" if number == 3 else "happiness", number) for number in range(7)]
    assert find_outliers(read_study(write_results(tmp_path / "results", rows, analyses))) == []


def test_the_strongest_moments_of_all_inputs_are_kept(study: Path) -> None:
    data = data_of(write_study(study))
    for kind in KINDS:
        ranked = [each for each in data["moments"] if each["kind"] == kind]
        best: dict[int, float] = {}
        for index, row in results_of(study).iterrows():
            if row["status"] == "done":
                analysis = read_analysis(study / row["result"], frames=False)
                moments = [each for each in find_moments(analysis) if each.kind == kind]
                best |= {int(str(index)): max((each.strength for each in moments), default=-1.0)}
        strengths = [each["strength"] for each in ranked]
        assert strengths == sorted(strengths, reverse=True)
        strongest = {each["input"]: each["strength"] for each in reversed(ranked)}
        assert strongest == pytest.approx({index: value for index, value in best.items() if value >= 0}, abs=1e-4)
    assert all((each["start"] is None) == (not data["inputs"][each["input"]]["timed"]) for each in data["moments"])


def test_every_link_leads_to_a_page_that_is_there(study: Path) -> None:
    page = write_study(study)
    links = [each["link"] for each in data_of(page)["inputs"]]
    done = results_of(study)["status"] == "done"
    assert [link is not None for link in links] == list(done)
    assert all((page.parent / unquote(link)).is_file() for link in links if link)
    for name in ("results.csv", "results.parquet", "utterances.parquet", "summary.csv"):
        assert f'<a href="{name}" download>' in page.read_text(encoding="utf-8")


def test_missing_and_stale_pages_are_written(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def note(analysis: Any, folder: Path) -> None:
        written.append(folder.name)
        (folder / "report.html").touch()

    monkeypatch.setattr("multimodal.report.page.write_report", note)
    write_study(study)
    done = [name for name in results_of(study)["result"] if isinstance(name, str)]
    assert sorted(written) == sorted(done)
    written.clear()
    write_study(study)
    assert written == []
    analysis = study / done[3] / "analysis.json"
    later = (study / done[3] / "report.html").stat().st_mtime_ns + 1_000_000
    os.utime(analysis, ns=(later, later))
    (study / done[5] / "report.html").unlink()
    write_study(study)
    assert sorted(written) == sorted([done[3], done[5]])


def test_the_same_results_give_the_same_page(study: Path) -> None:
    first = write_study(study).read_bytes()
    assert write_study(study).read_bytes() == first


@pytest.mark.slow
def test_a_damaged_analysis_marks_its_row_and_costs_nothing_else(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in results_of(study)["result"] if isinstance(name, str)]
    (study / names[0] / "analysis.json").write_text("{", encoding="utf-8")
    (study / names[1] / "analysis.json").unlink()
    content = json.loads((study / names[2] / "analysis.json").read_text(encoding="utf-8"))
    (study / names[2] / "analysis.json").write_text(json.dumps(content | {"models": ["no mapping"]}), encoding="utf-8")
    shutil.rmtree(study / names[3])
    content = json.loads((study / names[4] / "analysis.json").read_text(encoding="utf-8"))
    (study / names[4] / "analysis.json").write_text(json.dumps(content | {"valence_arousal": "x"}), encoding="utf-8")
    assert main([str(study)]) == 1
    printed = capsys.readouterr()
    page = study / "report.html"
    assert printed.out == f"{page}\n" and printed.err.count("error: ") == printed.err.count("\n") == 5
    inputs = data_of(page)["inputs"]
    broken = {row: each for row, each in enumerate(inputs) if each["problem"]}
    assert len(broken) == 5 and all(each["link"] is None and each["strip"] == "" for each in broken.values())
    assert "cannot be read" in broken[0]["problem"] and "holds no analysis" in broken[1]["problem"]
    assert all("\n" not in each["problem"] for each in broken.values())
    assert page.read_text(encoding="utf-8").count("<li data-input=") == 5 + 2
    assert sum(each["link"] is not None for each in inputs) == len(names) - 5


def test_unwritable_page_has_no_link(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(analysis: Any, folder: Path) -> None:
        raise OutputError(folder / "report.html", "cannot be written (Permission denied)", "choose another folder")

    monkeypatch.setattr("multimodal.report.page.write_report", refuse)
    first = data_of(write_study(study))["inputs"][0]
    assert first["link"] is None and "Permission denied" in first["problem"] and len(first["strip"]) == BINS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../outside", "..", ".", "a/b", "a\\b", "/tmp", "", "nul\0l"])
def test_a_result_that_is_no_folder_of_the_study_is_not_followed(study: Path, name: str) -> None:
    outside = study.parent / "outside"
    make_analysis(outside / "a.mp4", 8.0).save(outside)
    change(study, result=lambda column: [name, *column[1:]])
    entry = data_of(write_study(study))["inputs"][0]
    assert entry["link"] is None and "not a folder of this study" in entry["problem"]
    assert not (outside / "report.html").exists()


def test_a_link_to_elsewhere_is_not_followed(study: Path) -> None:
    outside = study.parent / "outside"
    make_analysis(outside / "a.mp4", 8.0).save(outside)
    name = results_of(study)["result"].iloc[0]
    shutil.rmtree(study / name)
    (study / name).symlink_to(outside, target_is_directory=True)
    assert "not a folder" in data_of(write_study(study))["inputs"][0]["problem"]
    assert not (outside / "report.html").exists()


def change(out: Path, drop: str = "", **columns: Any) -> None:
    """Rewrites results.parquet with columns changed or dropped."""
    table = pyarrow.parquet.read_table(out / "results.parquet")
    for name, make in columns.items():
        values = pyarrow.array(make(table.column(name).to_pylist()))
        table = table.set_column(table.schema.get_field_index(name), name, values)
    pyarrow.parquet.write_table(table.drop_columns([drop]) if drop else table, out / "results.parquet")


def test_tables_that_are_not_a_batchs_are_refused_in_one_line(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"contains no results.parquet; name an output folder of batch"):
        write_study(tmp_path)
    whole = (study / "results.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], b"x" * 5000):
        (study / "results.parquet").write_bytes(content)
        with pytest.raises(
            AnalysisError, match=r"^[^\n]*results.parquet: cannot be read \([^\n]*; run the batch again$"
        ):
            write_study(study)
    (study / "results.parquet").write_bytes(whole)
    change(study, anger=lambda column: ["much"] * len(column))
    with pytest.raises(AnalysisError, match="cannot be read"):
        write_study(study)
    (study / "results.parquet").write_bytes(whole)
    change(study, drop="confidence")
    with pytest.raises(AnalysisError, match="column confidence is missing; run the batch again"):
        write_study(study)
    assert not (study / "report.html").exists()


def test_numbers_that_are_none_count_as_missing(study: Path) -> None:
    change(study, mean_valence=lambda column: [float("nan"), float("inf"), *column[2:]])
    cells = next(each["cells"] for each in data_of(write_study(study))["columns"] if each["name"] == "mean_valence")
    assert cells[:2] == [None, None] and cells[2] is not None


def test_a_folder_without_a_manifest_leaves_groups_out(tmp_path: Path) -> None:
    out = make_study(tmp_path / "results", inputs=4, columns=("path",), failing=99, seconds=8.0)
    page = write_study(out)
    text, data = page.read_text(encoding="utf-8"), data_of(page)
    assert data["groupings"] == [] and [each["by"] for each in data["summary"]] == ["all"]
    assert 'id="filter-task"' not in text and "participants</dt>" not in text
    assert "each input counts as one participant" in text and "Inputs over time" in text


def test_column_spellings(tmp_path: Path) -> None:
    blank = {"Task": " ", "start": "0:01:00", "end": ""}
    rows = [{"path": f"{number}.mp4", "PARTICIPANT": f" P{number % 2} ", **blank} for number in range(4)]
    analyses = [without_frames(make_analysis(tmp_path / row["path"], 8.0)) for row in rows]
    out = write_results(tmp_path / "results", rows, analyses)
    study = read_study(out)
    assert study.groupings == ("participant",)  # no input has a task
    assert [study.value(row, "participant") for row in study.rows] == ["P0", "P1", "P0", "P1"]
    assert study.label(study.rows[0]) == "0.mp4 0:01:00–end"
    groups = pd.read_csv(out / "summary.csv", encoding="utf-8-sig")
    assert groups.iloc[0]["participants"] == 2 == study.summary[0]["participants"]


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.events: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.events += [name for name, _ in attrs if name.startswith("on")]


def test_texts_from_outside_stay_texts(tmp_path: Path) -> None:
    rows = [
        {"path": f"{number}{text[:40].replace('/', '')}.mp4", "participant": text, "task": text, "question": text}
        for number, text in enumerate(HOSTILE)
    ]
    analyses = [without_frames(make_analysis(tmp_path / "a.mp4", 30.0, seed=number)) for number in range(len(rows))]
    page = write_study(write_results(tmp_path / "results", rows, [*analyses[:-1], None]))
    parser = _Tags()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.tags.count("script") == 5 and "img" not in parser.tags and parser.events == []
    assert [each["groups"]["task"] for each in data_of(page)["inputs"]] == [text.strip() for text in HOSTILE]


def test_words_are_left_out_where_they_are_too_many(study: Path) -> None:
    read = read_study(study)
    short = [InputView(transcript="Hello")] * len(read.rows)
    assert page_data(read, short)["transcripts"] == ["Hello"] * len(read.rows)
    long = [InputView(transcript="x" * (MAX_TRANSCRIPT_BYTES // 2))] * len(read.rows)
    assert page_data(read, long)["transcripts"] is None


@pytest.mark.slow
def test_a_page_of_500_inputs_is_small(tmp_path: Path) -> None:
    out = make_study(tmp_path / "results", inputs=50, people=10, seconds=120.0)
    small = write_study(out).stat().st_size
    read = read_study(out)
    views = [
        view_of(read_analysis(out / row["result"], frames=False)) if row["result"] else InputView() for row in read.rows
    ]
    tenfold = type(read)(read.out, read.columns, read.rows * 10, read.column_of)
    assert small + len(json.dumps(page_data(tenfold, views * 10))) < 5_000_000


def test_progress_is_told(study: Path) -> None:
    lines: list[str] = []
    write_study(study, lines.append)
    assert lines == [*(f"{number} of 24 inputs" for number in range(1, 25)), ""]


def test_a_page_that_cannot_be_written_leaves_the_old_one(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write_study(study).read_bytes()
    change(study, status=lambda column: ["failed"] * len(column))
    monkeypatch.setattr(Path, "replace", _full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_study(study)
    assert (study / "report.html").read_bytes() == before


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_questions_and_tasks_make_groups(study: Path) -> None:
    groups = data_of(write_study(study))["summary"]
    assert {each["group"] for each in groups if each["by"] == "task"} == {*TASKS, ""}
    assert {each["group"] for each in groups if each["by"] == "question"} == {QUESTION, ""}


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's own")
def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """Both who writes the tables and who reads them."""
    odd = tmp_path / os.fsdecode(b"bad\xff")
    write_results(odd, [{"path": "a.mp4"}], [make_analysis(odd / "a.mp4", 20.0)])
    assert write_study(odd).is_file()
