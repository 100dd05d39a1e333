"""Batches with killed workers and drivers, at every renaming, and with unusable result folders."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from batch_fixtures import (
    DRIVER,
    environment,
    finished,
    run_driver,
    score,
    snapshot,
    start_driver,
    wait_for,
    wait_for_exit,
    wait_until_more,
    write_pile,
)
from batch_stub import started
from checkout import RunCommand, without_privileges

from multimodal.errors import OutputError

pytestmark = pytest.mark.slow

# --- kills --------------------------------------------------------------------------------------------------------


def workers_of(pid: int) -> list[int]:
    """Processes whose parent is the driver."""
    actual = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                actual.append(int(stat.parent.name))
        except (OSError, ValueError):
            continue
    return actual


def test_drivers_and_workers_killed_at_random_moments(tmp_path: Path, notes: Path) -> None:
    contents = {f"{n:02}.txt": f"slow 0.05 {n}" for n in range(40)} | {"x.txt": "bad", "y.txt": "crash"}
    pile = write_pile(tmp_path / "pile", contents)
    score(pile, tmp_path / "calm", tmp_path / "calm-notes")
    random, out, done_by_kills = np.random.default_rng(0), tmp_path / "out", 0
    for turn in range(8):
        before, begun = finished(out), len(started(notes))
        driver = start_driver(pile, out, notes)
        wait_until_more(out, len(before), driver)
        time.sleep(float(random.uniform(0, 0.15)))
        children = workers_of(driver.pid)
        if turn % 2 and children:
            os.kill(int(random.choice(children)), signal.SIGKILL)
            time.sleep(0.1)
        driver.kill()
        driver.communicate()
        assert not set(started(notes)[begun:]) & before  # nothing that was finished was begun again
        done_by_kills = len(finished(out))
        wait_for_exit(children)
    assert done_by_kills >= 8
    code, said, complained = run_driver(pile, out, notes)
    assert code == 1 and said.startswith(f"40 done ({done_by_kills} of them before), 2 failed")
    assert [line.split(":")[1].split("/")[-1] for line in complained.splitlines()] == ["x.txt", "y.txt"]
    assert snapshot(out) == snapshot(tmp_path / "calm")
    assert not list((out / ".batch" / "work").iterdir())


KILLED = """
import os, pathlib, signal, sys
replace, calls = pathlib.Path.replace, []
def killed(self, target):
    calls.append(target)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = killed
sys.argv = ["batch_driver.py", *sys.argv[1:]]
import batch_driver
sys.exit(batch_driver.main())
"""


@pytest.mark.parametrize("call", [1, 2, 3, 6, 7, 8, 9])
def test_killed_at_every_renaming(call: int, tmp_path: Path, notes: Path) -> None:
    pile, out = write_pile(tmp_path / "pile", {"a.txt": "one", "b.txt": "two", "c.txt": "four4"}), tmp_path / "out"
    score(pile, tmp_path / "calm", tmp_path / "calm-notes", workers=1)
    command = [sys.executable, "-c", KILLED.format(call=call), str(pile), str(out), str(notes), "--workers", "1"]
    assert subprocess.run(command, env=environment()).returncode == -signal.SIGKILL
    before = finished(out)
    assert len(before) == min((call - 1) // 2, 3)  # the folder, then the stamp
    report = score(pile, out, notes)
    assert report.finished_before == len(before) and snapshot(out) == snapshot(tmp_path / "calm")


def test_an_orphan_that_never_ends_is_no_more(tmp_path: Path, notes: Path) -> None:
    driver = start_driver(write_pile(tmp_path / "pile", {"a.txt": "hang"}), tmp_path / "out", notes)
    wait_for(lambda: started(notes))
    (worker,) = workers_of(driver.pid)
    driver.kill()
    driver.communicate()
    wait_for_exit([worker])


def test_ctrl_c_ends_it_cleanly_and_says_how_to_go_on(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n:02}.txt": "slow 0.1" for n in range(30)})
    driver = start_driver(pile, tmp_path / "out", notes)
    wait_for(lambda: len(finished(tmp_path / "out")) >= 3)
    children = workers_of(driver.pid)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
    said, complained = driver.communicate(timeout=30)
    assert driver.returncode == 130 and said == ""
    count = len(finished(tmp_path / "out"))
    assert complained == f"stopped: {count} of 30 are finished and kept; run the same command again for the rest\n"
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert run_driver(pile, tmp_path / "out", notes)[0] == 0


# --- the folder of results ----------------------------------------------------------------------------------------


def test_a_second_driver_is_refused_until_the_first_is_dead(tmp_path: Path, notes: Path) -> None:
    pile, out = write_pile(tmp_path / "pile", {"a.txt": "hang"}), tmp_path / "out"
    first = start_driver(pile, out, notes)
    wait_for(lambda: started(notes))
    code, said, complained = run_driver(write_pile(tmp_path / "other", {"b.txt": "calm"}), out, notes)
    assert code == 1 and said == "" and f"is in use by process {first.pid} on " in complained
    first.kill()
    first.communicate()
    assert score(tmp_path / "other", out, notes).finished == 1


def test_read_only_results(tmp_path: Path, run_cli: RunCommand) -> None:
    write_pile(tmp_path, {"a.txt": "I am happy."})
    (tmp_path / "locked").mkdir(mode=0o555)
    words = ("batch", "a.csv", "--out", "locked", "--modalities", "text", "--engine", "local")
    (tmp_path / "a.csv").write_text("path\na.txt\n")
    finished = run_cli(*words, cwd=tmp_path, preexec=without_privileges)
    assert finished.returncode == 1 and finished.stdout == "" and not list((tmp_path / "locked").iterdir())
    assert finished.stderr.startswith("error: locked: cannot be written (Permission denied); choose another folder")


def test_results_that_are_a_file(tmp_path: Path, notes: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        score(write_pile(tmp_path / "pile", {"a.txt": "calm"}), tmp_path / "out", notes)


def test_a_disk_that_is_really_full(tmp_path: Path, notes: Path) -> None:
    """On a file system of some pages, in a mount namespace of its own; freeing space and going on completes it."""
    pile, out = write_pile(tmp_path / "pile", {f"{n:02}.txt": f"w{n}" for n in range(30)}), tmp_path / "out"
    out.mkdir()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = f"mount -t tmpfs -o size=240k none {out}"
    if subprocess.run([*alone, mount], capture_output=True).returncode != 0:
        pytest.skip("may not mount a file system here")
    job = [sys.executable, str(DRIVER), str(pile), str(out), str(notes)]
    script = f'{mount}; "$@"; echo code $?; mount -o remount,size=8m {out}; "$@"; echo code $?; ls {out}/results.csv'
    done = subprocess.run([*alone, script, "sh", *job], env=environment(), capture_output=True, text=True, timeout=120)
    first, second, third, fourth = done.stdout.splitlines()
    assert first == "code 1" and third == "code 0" and fourth.endswith("results.csv"), done.stdout + done.stderr
    stopped, error = done.stderr.splitlines()
    assert re.match(r"stopped: \d+ of 30 are finished and kept; run the same command again", stopped)
    assert error.startswith("error: ") and error.endswith("the disk is full; free some space or choose another folder")
    kept = int(stopped.split()[1])
    assert 0 < kept < 30 and second.startswith(f"30 done ({kept} of them before), 0 failed")
