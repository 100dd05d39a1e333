"""Batches on Ray: the same results as local batches, and recovery from lost workers, drivers and nodes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from batch_fixtures import (
    HARM,
    environment,
    finished,
    run_driver,
    score,
    snapshot,
    start_driver,
    wait_for,
    wait_until_more,
    write_pile,
)
from batch_stub import STUB, load, started

from multimodal.batch.ray_engine import Cluster, run_ray
from multimodal.batch.run import BatchSummary, Engine, run_batch
from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker_process import Limits
from multimodal.errors import ConfigError, WeightsError

pytestmark = pytest.mark.slow


class Machines:
    """A cluster of several nodes on this machine; each counts as one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Nodes

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]  # nodes and their workers inherit it
        small = {"num_cpus": 1, "object_store_memory": 80_000_000}
        self.small: dict[str, Any] = small
        self.nodes = Nodes(initialize_head=True, head_node_args={**small, "include_dashboard": False})
        self.address = self.nodes.address

    def join(self) -> Any:
        return self.nodes.add_node(**self.small)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", "")  # put back at the end
        cluster = Machines()
        cluster.join()
        yield cluster
        cluster.nodes.shutdown()


def engine(machines: Machines, workers: int | None = 2, **limits: Any) -> Engine:
    selection = Limits(**{"timeout_seconds": 60.0, "retries": 0, **limits})
    return partial(run_ray, limits=selection, cluster=Cluster(machines.address, workers))


def score_on(machines: Machines, source: Path, out: Path, notes: Path, **chosen: Any) -> BatchSummary:
    options = BatchOptions(chosen.pop("version", "default"), asr=str(notes))
    return run_batch(source, out, options, engine(machines, **chosen), analyzer=STUB)


def test_the_same_with_and_without(machines: Machines, tmp_path: Path, notes: Path) -> None:
    contents = {f"{n:02}.txt": f"w{n}" for n in range(12)} | {f"z-{word}.txt": word for word in [*HARM, "bad", "fault"]}
    limits = {"timeout_seconds": 4.0, "memory_bytes": 500_000_000}
    pile = write_pile(tmp_path / "pile", contents)
    report = score_on(machines, pile, tmp_path / "ray", notes, **limits)
    (pile / "z-grow.txt").write_text("grow")
    alone = score(pile, tmp_path / "alone", tmp_path / "alone-notes", **limits)
    assert report.finished == alone.finished == 12 and report.errors == alone.errors and len(report.errors) == 8
    assert snapshot(tmp_path / "ray") == snapshot(tmp_path / "alone")
    assert not sys.modules["ray"].is_initialized()


def test_a_model_that_cannot_be_loaded_ends_it(machines: Machines, tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {"a.txt": "calm"})
    with pytest.raises(WeightsError, match="is damaged"):
        score_on(machines, pile, tmp_path / "out", notes, version="broken")


def actors() -> list[int]:
    """Processes of the actors on this machine."""
    actual = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::RayWorker"):
                actual.append(int(path.parent.name))
        except OSError:
            continue
    return actual


def test_workers_and_drivers_killed_at_random_moments(machines: Machines, tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n:02}.txt": f"slow 0.1 {n}" for n in range(40)} | {"x.txt": "bad"})
    score(pile, tmp_path / "calm", tmp_path / "calm-notes")
    out, words = tmp_path / "out", ("--engine", "ray", "--address", machines.address)
    for turn in range(2):
        before, begun = finished(out), len(started(notes))
        driver = start_driver(pile, out, notes, *words)
        wait_until_more(out, len(before) + 3, driver)
        if turn and (seats := actors()):
            os.kill(seats[0], signal.SIGKILL)
            wait_until_more(out, len(finished(out)) + 2, driver)
        driver.kill()
        driver.communicate()
        assert not set(started(notes)[begun:]) & before
        wait_for(lambda: not actors())  # the cluster ends what nobody waits for
    kept = len(finished(out))
    assert 8 <= kept < 40
    code, said, complained = run_driver(pile, out, notes, *words)
    assert code == 1 and said.startswith(f"40 done ({kept} of them before), 1 failed"), complained
    assert snapshot(out) == snapshot(tmp_path / "calm")


def test_a_node_leaves_and_another_joins(machines: Machines, tmp_path: Path, notes: Path) -> None:
    """As many workers as fit: the node that joins gets work, what the one that leaves was at is done again."""
    pile = write_pile(tmp_path / "pile", {f"{n:02}.txt": f"slow 0.4 {n}" for n in range(60)})
    third = machines.join()
    outcomes: list[Outcome] = []
    widths: list[int] = []

    def run(*given: Any) -> Iterator[Outcome]:
        for outcome in engine(machines, workers=None)(*given):
            outcomes.append(outcome)
            widths.append(len(actors()))
            if len(outcomes) == 8:
                threading.Thread(target=machines.nodes.remove_node, args=(third, False)).start()  # SIGKILL
            if len(outcomes) == 20:
                machines.join()
            yield outcome

    options = BatchOptions(asr=str(notes))
    report = run_batch(pile, tmp_path / "out", options, run, analyzer=STUB)  # type: ignore[arg-type]
    assert report.finished == 60 and report.errors == {}
    assert sorted(outcome.index for outcome in outcomes) == list(range(60))
    begun = started(notes)
    assert len(begun) - 60 in (0, 1) and set(begun) == {task.name for task in report.tasks}  # at most what it was at
    # Three places, two when one has left, three again; toward the end fewer, since there is less to do.
    assert max(widths[:8]) == 3 and 2 in widths[8:45] and 3 in widths[widths.index(2, 8) : 58], widths
    score(pile, tmp_path / "calm", tmp_path / "calm-notes")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "calm")


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be reached"):
        list(run_ray([Task(0, "a", "a")], BatchOptions(), load, limits=Limits(), cluster=Cluster("127.0.0.1:1")))


def test_by_default_a_cluster_is_started_here_and_ctrl_c_ends_it(tmp_path: Path, notes: Path) -> None:
    pile = write_pile(tmp_path / "pile", {f"{n:02}.txt": "slow 0.2" for n in range(30)})
    driver = start_driver(pile, tmp_path / "out", notes, "--engine", "ray")
    wait_for(lambda: len(finished(tmp_path / "out")) >= 3)
    os.killpg(driver.pid, signal.SIGINT)
    said, complained = driver.communicate(timeout=60)
    count = len(finished(tmp_path / "out"))
    assert driver.returncode == 130 and said == "", complained
    assert f"stopped: {count} of 30 are finished and kept; run the same command again for the rest\n" in complained
    time.sleep(0.5)
    assert not actors()
