"""Local batches, mostly with a cheap analysis: outputs, cached results, errors and recovery."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from batch_fixtures import HARM, TABLES, environment, finished, rows_of, score, snapshot, write_pile
from batch_stub import STUB, load_broken, started
from checkout import RunCommand

from multimodal.batch import command as batch
from multimodal.batch import run as batch_run
from multimodal.batch import tasks as batch_plan
from multimodal.batch.run import BatchSummary, ManifestError, run_batch
from multimodal.batch.store import Store
from multimodal.batch.tables import neutral
from multimodal.batch.tasks import BatchOptions, result_name
from multimodal.batch.worker import function_name
from multimodal.batch.worker_process import Limits, resident_bytes
from multimodal.console import status_line
from multimodal.data.manifest import Row
from multimodal.errors import MultimodalError, WeightsError

# --- results ------------------------------------------------------------------------------------------------------


def test_every_input_is_one_result_or_one_reason(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(
        tmp_path / "pile", {f"a{n}.txt": f"word{n}" for n in range(6)} | {"b.txt": "bad", "c.txt": "fault"}
    )
    report = score(pile, tmp_path / "out", notes)
    assert (report.finished, report.finished_before, list(report.errors)) == (6, 0, [6, 7])
    assert report.errors[6] == f"{pile / 'b.txt'}: is not media; choose another file"
    assert report.errors[7] == f"{pile / 'c.txt'}: unexpected ZeroDivisionError: by nought; please report it"
    shown = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".batch")
    assert shown == sorted([*TABLES, *(task.name for task in report.tasks[:6])])
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert table["path"].tolist() == [f"a{n}.txt" for n in range(6)] + ["b.txt", "c.txt"]
    assert table["status"].tolist() == ["done"] * 6 + ["failed"] * 2
    assert table["error"].notna().tolist() == [False] * 6 + [True] * 2
    utterances = pd.read_parquet(tmp_path / "out" / "utterances.parquet")
    assert utterances["path"].tolist() == table["path"].tolist()[:6] and utterances["text"][3] == "word3"
    assert started(notes).count(report.tasks[0].name) == 1
    loads = [line for line in notes.read_text().splitlines() if line.startswith("load")]
    assert len(loads) <= 2  # one per worker, not per input


def test_columns_of_the_manifest_travel_along(tmp_path: Path, notes: Path) -> None:
    write_pile(tmp_path, {"a.txt": "anger", "b.txt": "calm"})
    study = tmp_path / "study.csv"
    study.write_text("path,Participant,task,age,status,text\na.txt,P1,pay,=1+1,@x,mine\nb.txt,P2,pay,-3,,\n")
    score(study, tmp_path / "out", notes)
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert table["age"].tolist() == ["=1+1", "-3"] and table["manifest_status"].tolist() == ["@x", ""]
    assert table["status"].tolist() == ["done", "done"] and table["Participant"].tolist() == ["P1", "P2"]
    first, second = rows_of(tmp_path / "out" / "results.csv")
    assert (first["age"], first["manifest_status"], second["age"]) == ("'=1+1", "'@x", "'-3")
    assert first["mean_valence"] == "-0.5"  # a number is no formula
    utterances = pd.read_parquet(tmp_path / "out" / "utterances.parquet")
    assert utterances["manifest_text"].tolist() == ["mine", ""] and utterances["text"].tolist() == ["anger", "calm"]
    summary = rows_of(tmp_path / "out" / "summary.csv")
    assert [(row["by"], row["group"], row["participants"]) for row in summary] == [
        *(("all", "", "2"), ("task", "pay", "2"), ("participant", "P1", "1"), ("participant", "P2", "1"))
    ]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "－1"])
def test_formulas_are_shown_and_not_run(text: str) -> None:
    assert neutral(text) == f"'{text}" and neutral(f"x{text}") == f"x{text}"


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../../b.mp4",
    "con.txt",
    "x" * 300 + ".mp4",
    "-rf.mp4",
    "~/a.mp4",
]


@pytest.mark.parametrize("name", [*HOSTILE, "ä/ö.mp4", os.fsdecode(b"caf\xe9.mp4"), ".", "a\nb.mp4", "C:\\a.mp4"])
def test_names_of_results_are_safe_stable_and_their_own(name: str) -> None:
    row = Row(2, Path("/study") / name, name)
    actual = result_name(row)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*-[0-9a-f]{16}", actual) and len(actual) <= 57
    assert result_name(replace(row, line=9, path=Path("/moved") / name, columns={"task": "x"})) == actual
    others = [replace(row, name=name + "x"), replace(row, start_seconds=1.0), replace(row, speaker="P")]
    assert len({actual, *map(result_name, others)}) == 4


def test_nothing_is_written_outside_the_results(tmp_path: Path, notes: Path) -> None:
    study = write_pile(tmp_path / "deep" / "study", {})
    write_pile(tmp_path / "deep", {"above.txt": "calm"})
    (study / "m.csv").write_text('path,speaker\n../above.txt,"../../x"\n../above.txt,\n/etc/hostname,\n')
    before = {path for path in tmp_path.rglob("*") if path != notes}
    score(study / "m.csv", study / "out", notes)
    new = set(tmp_path.rglob("*")) - before - {notes, study / "out"}
    assert new and all(study / "out" in path.parents for path in new)


def test_a_link_in_the_results_is_not_followed(tmp_path: Path, notes: Path) -> None:
    pile, mine = write_pile(tmp_path / "pile", {"a.txt": "calm"}), write_pile(tmp_path / "mine", {"keep": "me"})
    name = score(pile, tmp_path / "out", notes).tasks[0].name
    Store(tmp_path / "out").discard(name)
    (tmp_path / "out" / name).symlink_to(mine)
    score(pile, tmp_path / "out", notes)
    assert [path.name for path in mine.iterdir()] == ["keep"] and not (tmp_path / "out" / name).is_symlink()


# --- finished and stale -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_finished_work_is_not_done_twice(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n}.txt": f"w{n}" for n in range(5)} | {"bad.txt": "bad"})
    score(pile, tmp_path / "out", notes)
    before, begun = snapshot(tmp_path / "out"), len(started(notes))
    report = score(pile, tmp_path / "out", notes)
    assert (report.finished_before, report.finished, len(report.errors)) == (5, 0, 1)
    assert len(started(notes)) == begun + 1  # what failed is tried again
    assert snapshot(tmp_path / "out") == before


@pytest.mark.slow
def test_what_changed_is_done_again(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n}.wav": f"w{n}" for n in range(6)})
    study, out = tmp_path / "study.csv", tmp_path / "out"
    study.write_text("path\n" + "".join(f"pile/{n}.wav\n" for n in range(6)))
    names = {task.path: task.name for task in score(study, out, notes).tasks}

    def again(version: str = "default") -> list[str]:
        begun = len(started(notes))
        score(study, out, notes, version=version)
        return sorted(Path(path).name for path, name in names.items() if name in started(notes)[begun:])

    (pile / "0.wav").write_text("other")  # the input
    os.utime(pile / "1.wav")  # touched, the same content
    (pile / "2.vtt").write_text("WEBVTT")  # a transcript that was not there
    (out / names[str(pile / "3.wav")] / "analysis.json").write_text("{}")  # the result
    assert again() == ["0.wav", "2.wav", "3.wav"]
    (pile / "2.vtt").write_text("WEBVTT 2")
    assert again() == ["2.wav"]
    (pile / "2.vtt").unlink()
    (pile / "4.wav").unlink()  # the recording may go once it is scored
    assert again() == ["2.wav"]
    assert not (pile / "4.wav").exists() and again("v2") == [f"{n}.wav" for n in range(6)]  # the weights


def test_a_scan_hashes_nothing_that_is_unchanged(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n}.txt": f"w{n}" for n in range(20)})
    score(pile, tmp_path / "out", notes)
    looked: list[str] = []
    fingerprint = batch_plan.fingerprint
    monkeypatch.setattr(batch_plan, "fingerprint", lambda path: looked.append(str(path)) or fingerprint(path))
    monkeypatch.setattr(batch_plan, "sha256_of", lambda path: pytest.fail(f"{path} was read"))
    score(pile, tmp_path / "out", notes)
    assert sorted(looked) == sorted(str(path) for path in pile.iterdir())  # each once


@pytest.mark.slow
def test_a_result_that_is_no_longer_true_goes(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm", "b.txt": "calm"})
    name = score(pile, tmp_path / "out", notes).tasks[0].name
    (pile / "a.txt").write_text("bad")
    report = score(pile, tmp_path / "out", notes)
    assert (
        list(report.errors) == [0] and not (tmp_path / "out" / name).exists() and name not in finished(tmp_path / "out")
    )


# --- inputs that do harm ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_harmful_inputs_fail_alone(tmp_path: Path, notes: Path) -> None:
    good = {f"{n}.txt": f"w{n}" for n in range(8)}
    pile = write_pile(tmp_path / "pile", good | {f"{n}-{word}.txt": word for n, word in enumerate(HARM)})
    report = score(pile, tmp_path / "out", notes, timeout_seconds=4.0, memory_bytes=500_000_000)
    assert report.finished == 8 and len(report.errors) == len(HARM)
    for index, line in report.errors.items():
        word = Path(report.tasks[index].path).stem.partition("-")[2]
        assert line.startswith(f"{report.tasks[index].path}: {HARM[word]}") and "; " in line


@pytest.mark.slow
def test_retries_are_counted(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "once", "b.txt": "crash", "c.txt": "bad"})
    report = score(pile, tmp_path / "out", notes, retries=2)
    begun = [started(notes).count(task.name) for task in report.tasks]
    assert begun == [2, 3, 1] and list(report.errors) == [1, 2]  # an error that was told is no reason to try again


def test_an_input_that_vanishes(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "vanish", "b.txt": "calm"})
    (tmp_path / "m.csv").write_text("path\npile/a.txt\npile/b.txt\npile/never.txt\n")
    report = score(tmp_path / "m.csv", tmp_path / "out", notes)
    assert list(report.errors) == [0, 2] and "changed while it was read" in report.errors[0]
    assert report.errors[2] == f"{pile / 'never.txt'}: does not exist; check the path"


def test_memory_of_a_process_is_known() -> None:
    held = np.ones(20_000_000)
    assert resident_bytes(os.getpid()) > held.nbytes


def test_a_model_that_cannot_be_loaded_ends_it(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm"})
    with pytest.raises(WeightsError, match="is damaged"):
        score(pile, tmp_path / "out", notes, version="broken")


def test_an_analysis_that_cannot_be_loaded_ends_it(tmp_path: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm"})
    engine, broken = batch_run.local_engine(Limits(), 1), replace(STUB, load=load_broken)
    with pytest.raises(MultimodalError, match=r"cannot load the model \(RuntimeError\('cannot be loaded'\)\)"):
        run_batch(pile, tmp_path / "out", BatchOptions(), engine, analyzer=broken)


def test_an_analysis_that_workers_cannot_import_is_refused(tmp_path: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm"})
    local = replace(STUB, load=lambda options: load_broken(options))
    with pytest.raises(ValueError, match="is not at the top level of a module"):
        run_batch(pile, tmp_path / "out", BatchOptions(), batch_run.local_engine(Limits(), 1), analyzer=local)
    assert function_name(load_broken) == "batch_stub:load_broken"


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_pile(folder, {"one.txt": "I was really angry.\nIn the end it was great!\n", "two.txt": "", "d.vtt": ""})
    (folder / "d.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:02.000\nGreat!\n\n00:05.000 --> 00:06.000\nThat was sad.\n"
    )
    lines = ["path;participant;start;end", "one.txt;P1;;", "two.txt;P2;;", "d.vtt;P2;0:00:04,5;", "d.vtt;P1;;"]
    (folder / "study.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return folder


@pytest.mark.slow
def test_the_same_analysis_as_infer_writes(study: Path, run_cli: RunCommand, tmp_path: Path) -> None:
    words = ("--modalities", "text", "--engine", "local", "--workers", "2", "--out", tmp_path / "out")
    done = run_cli("batch", study / "study.csv", *words)
    assert done.returncode == 1 and done.stdout == f"3 done, 1 failed; written to {tmp_path / 'out'}\n"
    (line,) = done.stderr.splitlines()
    assert line == f"error: {study / 'two.txt'}: is empty; copy or record it again"
    words = ("--modalities", "text", "--no-report", "--out", tmp_path / "alone")
    alone = run_cli("infer", study / "one.txt", study / "d.vtt", *words)
    assert alone.returncode == 0
    results = pd.read_parquet(tmp_path / "out" / "results.parquet")
    for place, name in ((0, "one"), (3, "d")):
        ours = tmp_path / "out" / results["result"][place]
        assert snapshot(ours) == snapshot(tmp_path / "alone" / name)
    segment = json.loads((tmp_path / "out" / results["result"][2] / "analysis.json").read_text())
    assert [entry["text"] for entry in segment["utterances"]] == ["That was sad."]


def test_invalid_manifest_rows_are_one_error(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,start\na.txt,x\nb.txt,\n,3\n")
    with pytest.raises(ManifestError, match="has 2 invalid rows") as caught:
        run_batch(tmp_path / "m.csv", tmp_path / "out", BatchOptions(), batch_run.local_engine(Limits(), 1))
    assert [error.subject for error in caught.value.errors] == [f"{tmp_path / 'm.csv'}, line {n}" for n in (2, 4)]
    assert pickle.loads(pickle.dumps(caught.value)).errors[0].fact == caught.value.errors[0].fact


def test_wrong_rows_are_all_told_and_nothing_begins(tmp_path: Path, run_cli: RunCommand) -> None:
    (tmp_path / "m.csv").write_text("path,start\na.txt,x\nb.txt,\n,3\n")
    done = run_cli("batch", "m.csv", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and not (tmp_path / "out").exists()
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" m.csv, line 2", " m.csv, line 4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--engine", "slurm"), "error: --engine: invalid value 'slurm'; choose one of ray, local"),
        (
            ("--engine", "local", "--address", "auto"),
            "error: --engine: local does not support --address or --gpus",
        ),
        (("--modalities", "smell"), "error: --modalities: invalid value 'smell'"),
        (("--model", "none such"), "error: none such: "),
    ],
)
def test_wrong_usage(words: Sequence[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pile(tmp_path / "pile", {"a.txt": "calm"})
    code = batch.main([str(tmp_path / "pile"), "--out", str(tmp_path / "out"), *words])
    assert code in (1, 2) and capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "out" / "results.csv").exists()


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "ray", None)
    yield


def test_without_ray(without_ray: None, tmp_path: Path, notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm"})
    assert score(pile, tmp_path / "out", notes).finished == 1
    code = batch.main([str(pile), "--out", str(tmp_path / "ray"), "--modalities", "text"])
    assert code == 1 and "ray: is not installed; pip install ray, or choose --engine local" in capsys.readouterr().err


def test_other_jobs_do_not_load_ray() -> None:
    jobs = ", ".join(f"multimodal.{job}" for job in ("batch.run", "batch.ray_engine", "infer.command", "train.command"))
    code = f"import sys, {jobs}; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_interrupted_before_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt
        yield

    def run() -> BatchSummary:
        return run_batch(pile, tmp_path / "o", BatchOptions(), interrupted, analyzer=STUB)

    pile = write_pile(tmp_path / "p", {"a.txt": "x"})
    assert run().interrupted and not list((tmp_path / "o").glob("results.*"))
    assert batch.report(run, tmp_path / "o", quiet=False) == 130
    expected = "stopped: 0 of 1 are finished and kept; run the same command again for the rest\n"
    assert capsys.readouterr() == ("", expected)


def test_one_line_shows_how_far_it_is(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    shown = status_line(quiet=False)
    engine = batch_run.local_engine(Limits(retries=0), 1)
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm", "b.txt": "bad", "c.txt": "calm"})
    run_batch(pile, tmp_path / "out", BatchOptions(asr=str(notes)), engine, shown, STUB)
    lines = terminal.getvalue().split("\r\x1b[K")[1:]
    assert [re.split(r", \d+\.\d hours", line)[0] for line in lines[:3]] == [
        *("1 done, 0 failed, 2 left", "1 done, 1 failed, 1 left", "2 done, 1 failed, 0 left")
    ]
    assert lines[-1] == ""
