"""A batch of thirty real recordings, five of them damaged: local, on Ray, and killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from batch_fixtures import finished, snapshot, wait_until_more
from checkout import RunCommand, subprocess_environment

pytestmark = [pytest.mark.corpus, pytest.mark.slow]

VIDEOS = ("hamilton.mp4", "no_face.mp4", "noface_face.mov", "single_face.mp4")
OPTIONS = ("--asr", "none", "--fps", "2", "--workers", "2")
BAD = {
    "bad/cut.mov": "is truncated",
    "bad/empty.mp4": "is empty",
    "bad/letter.mp4": "is not a video",
    "bad/nothing.txt": "is empty",
    "bad/gone.wav": "does not exist",
}
REMARKS = ("I could not find the button and that made me angry.", "Great, that was quick!", "It is a page.")


@pytest.fixture(scope="module")
def study(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 4 videos, 8 voice notes, 13 typed answers and 5 that are bad, by five participants."""
    folder, clips = tmp_path_factory.mktemp("study"), shared_folder / "clips"
    (folder / "bad").mkdir()
    names = [*VIDEOS, *(f"spk{speaker}_snt{number}.wav" for speaker in (1, 2) for number in (1, 2, 3, 4))]
    for name in names:
        shutil.copy(next(clips.rglob(name)), folder / name)
    for number in range(13):
        (folder / f"answer{number}.txt").write_text(REMARKS[number % 3] + f"\nThat was task {number}.\n")
        names.append(f"answer{number}.txt")
    content = (clips / "noface_face.mov").read_bytes()
    (folder / "bad" / "cut.mov").write_bytes(content[: len(content) // 2])
    (folder / "bad" / "letter.mp4").write_text("Dear Sir or Madam\n" * 50)
    for name in ("empty.mp4", "nothing.txt"):
        (folder / "bad" / name).touch()
    mixed = [name for _, name in sorted((index * 7 % 30, name) for index, name in enumerate([*names, *BAD]))]
    rows = [f"{name},P{index % 5},task {index % 2}\n" for index, name in enumerate(mixed)]
    (folder / "study.csv").write_text("path,participant,task\n" + "".join(rows))
    return folder / "study.csv"


@pytest.fixture(scope="module")
def calm(study: Path, run_cli: RunCommand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Results of an undisturbed run without Ray."""
    out = tmp_path_factory.mktemp("calm") / "out"
    done = run_cli("batch", study, "--out", out, "--engine", "local", *OPTIONS)
    assert done.returncode == 1 and done.stdout == f"25 done, 5 failed; written to {out}\n", done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    for name, fact in BAD.items():
        assert sum(f"{study.parent / name}: {fact}" in line for line in lines) == 1, lines
    yield out


def test_twenty_five_results_and_five_reasons(calm: Path, study: Path) -> None:
    table = pd.read_parquet(calm / "results.parquet")
    assert len(table) == 30 and (table["status"] == "done").sum() == 25
    failed = table[table["status"] == "failed"].set_index("path")
    assert set(failed.index) == set(BAD) and all(BAD[name] in failed["error"][name] for name in BAD)
    done = table[table["status"] == "done"].set_index("path")
    assert all((calm / name / "analysis.json").is_file() for name in done["result"])
    assert done.loc["single_face.mp4", "coverage_face"] > 0.9 and done.loc["answer0.txt", "coverage_text"] == 1
    utterances = pd.read_parquet(calm / "utterances.parquet")
    assert set(utterances["path"]) == set(done.index) and utterances["participant"].notna().all()
    summary = pd.read_csv(calm / "summary.csv")
    assert summary["by"].tolist() == ["all", "task", "task", *["participant"] * 5]
    assert summary["inputs"][0] == 30 and summary["participants"][0] == 5
    assert (summary["mean_valence_low"][0] <= summary["mean_valence"][0]) & (
        summary["mean_valence"][0] <= summary["mean_valence_high"][0]
    )


def test_each_folder_is_what_infer_writes(calm: Path, study: Path, run_cli: RunCommand, tmp_path: Path) -> None:
    names = ["single_face.mp4", "spk1_snt1.wav", "answer0.txt"]
    inputs = [study.parent / name for name in names]
    assert run_cli("infer", *inputs, "--out", tmp_path, "--no-report", *OPTIONS[:4]).returncode == 0
    results = pd.read_parquet(calm / "results.parquet").set_index("path")["result"]
    for name in names:
        assert snapshot(calm / results[name]) == snapshot(tmp_path / Path(name).stem)


def test_the_same_with_ray(calm: Path, study: Path, run_cli: RunCommand, tmp_path: Path) -> None:
    done = run_cli("batch", study, "--out", tmp_path / "out", *OPTIONS)
    assert done.returncode == 1 and done.stdout.startswith("25 done, 5 failed"), done.stderr
    assert snapshot(tmp_path / "out") == snapshot(calm)


def test_the_same_after_being_killed_five_times(calm: Path, study: Path, run_cli: RunCommand, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [study, "--out", out, "--engine", "local", *OPTIONS]
    for _ in range(5):
        kept = len(finished(out))
        command = [sys.executable, "-m", "multimodal.batch", *map(str, words)]
        driver = subprocess.Popen(command, env=subprocess_environment(), stderr=subprocess.DEVNULL)
        wait_until_more(out, kept + 1, driver)
        os.kill(driver.pid, signal.SIGKILL)
        assert driver.wait() == -signal.SIGKILL
    kept = len(finished(out))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("analysis.json") if ".batch" not in path.parts}
    assert 10 <= kept < 25
    done = run_cli("batch", *words)
    assert done.returncode == 1 and done.stdout.startswith(f"25 done ({kept} of them before), 5 failed")
    stamps = [json.loads(path.read_text()) for path in (out / ".batch" / "done").iterdir()]
    assert len(stamps) == 25 and snapshot(out) == snapshot(calm)
    unchanged = [path for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert len(unchanged) >= kept  # what was finished was not written again
