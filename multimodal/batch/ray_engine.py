"""Runs a batch over a Ray cluster: an actor per worker, which keeps a process of its own.

What an input does to its process the actor survives and reports. What takes the actor itself - a killed process, a node
that leaves - costs the input that it was at a new attempt elsewhere. Only actors that are up are given work, so that
one that waits for a place holds nothing.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker import Limits, WorkerProcess
from multimodal.errors import ConfigError, DependencyError, MultimodalError

LOSSES = 20
"""Actors that may be lost over one input before it counts as failed: nodes come and go, but not for ever."""

GLANCE_SECONDS = 1.0
"""How often it is looked whether the cluster has grown."""


@dataclass(frozen=True)
class Cluster:
    """Where and how wide a batch runs.

    Attributes:
        address: Of a cluster to join, ``auto`` for the one that this machine belongs to; None to start one here.
        workers: How many; None for as many as fit, also when the cluster grows.
        cpus: Cores per worker.
        gpus: GPUs per worker, perhaps a part of one.
        memory_bytes: Per worker, as Ray's scheduler counts it; None not to count it.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None


class RayWorker:
    """What runs on the cluster: a keeper with its process."""

    def __init__(self, options: BatchOptions, limits: Limits) -> None:
        self.keeper = WorkerProcess(options, limits)

    def start(self) -> None:
        """Loads the model."""
        self.keeper.start()

    def score(self, task: Task) -> Outcome:
        """Scores one input."""
        return self.keeper.score(task)


def run_ray(
    tasks: Sequence[Task], options: BatchOptions, limits: Limits, cluster: Cluster
) -> Generator[Outcome, None, None]:
    """Scores inputs on a cluster.

    Args:
        tasks: What to score; begun in this order.
        options: How.
        limits: What one input may take.
        cluster: Where.

    Yields:
        What became of each, as it ends. Leaving the loop early ends the actors at once.

    Raises:
        DependencyError: Ray is not installed.
        ConfigError: There is no such cluster.
        MultimodalError: The model cannot be loaded.
    """
    ray = _connected(cluster)
    started = not ray.is_initialized()
    if started:
        _join(ray, cluster)
    crew = _ActorPool(ray, options, limits, cluster, tasks)
    try:
        yield from crew.outcomes()
    finally:
        crew.dismiss()
        if started:
            ray.shutdown()


def _connected(cluster: Cluster) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        remedy = "pip install ray, or choose --engine local"
        raise DependencyError("ray", "is not installed", remedy) from None
    return ray


def _join(ray: Any, cluster: Cluster) -> None:
    _check_address(cluster.address)
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if cluster.address is not None:
            ray.init(address=cluster.address, **quiet)
            return
        # On this machine there are as many places as workers, however few its cores.
        places = (cluster.workers or 1) * cluster.cpus
        ray.init(address="local", num_cpus=max(1, round(places)), include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _unreachable(cluster.address, error) from None


def _check_address(address: str | None) -> None:
    """Asks whether anybody is there, because Ray would ask for minutes."""
    host, _, port = (address or "").rpartition(":")
    if "/" in host or not host or not port.isdecimal():  # auto, local, ray://…
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str | None, error: Exception) -> ConfigError:
    fact = f"cannot be reached ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return ConfigError(f"--address {address}", fact, "start it with ray start --head, or leave it out")


class _ActorPool:
    """The actors of one batch, what each is doing, and what is left to do."""

    def __init__(
        self, ray: Any, options: BatchOptions, limits: Limits, cluster: Cluster, tasks: Sequence[Task]
    ) -> None:
        self.ray = ray
        self.cluster = cluster
        self.arguments = (options, limits)
        self.seat = ray.remote(max_restarts=0, max_task_retries=0)(RayWorker)
        self.waiting = deque(tasks)
        self.left = len(tasks)
        self.losses: dict[int, int] = {}
        self.busy: dict[Any, tuple[Any, Task | None]] = {}  # what is awaited, to the actor and its input

    def outcomes(self) -> Generator[Outcome, None, None]:
        while self.left:
            self._hire()
            ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=GLANCE_SECONDS)
            for reference in ready:
                outcome = self._heard(reference)
                if outcome is not None:
                    self.left -= 1
                    yield outcome

    def dismiss(self) -> None:
        """Ends every actor, and with it its process."""
        for actor, _ in self.busy.values():
            self.ray.kill(actor)
        self.busy.clear()

    def _hire(self) -> None:
        """Asks for as many actors as are wanted; those that find no place yet make an autoscaler act."""
        wanted = self.cluster.workers or self._places()
        for _ in range(min(wanted, self.left) - len(self.busy)):
            needs = {"num_cpus": self.cluster.cpus, "num_gpus": self.cluster.gpus}
            if self.cluster.memory_bytes is not None and self.cluster.address is not None:
                needs["memory"] = self.cluster.memory_bytes
            actor = self.seat.options(**needs).remote(*self.arguments)
            self.busy[actor.start.remote()] = (actor, None)

    def _places(self) -> int:
        """How many workers fit the cluster as it is now."""
        there = self.ray.cluster_resources()
        needs = {"CPU": self.cluster.cpus, "GPU": self.cluster.gpus, "memory": self.cluster.memory_bytes or 0}
        return max(1, min(int(there.get(name, 0) // need) for name, need in needs.items() if need))

    def _heard(self, reference: Any) -> Outcome | None:
        actor, task = self.busy.pop(reference)
        try:
            outcome = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except self.ray.exceptions.RayError as error:
            return self._lost(actor, task, error)
        self._next(actor)
        return None if task is None else replace(outcome, index=task.index)

    def _next(self, actor: Any) -> None:
        if not self.waiting:
            self.ray.kill(actor)
            return
        task = self.waiting.popleft()
        self.busy[actor.score.remote(task)] = (actor, task)

    def _lost(self, actor: Any, task: Task | None, error: Exception) -> Outcome | None:
        """The actor is gone, not by its input's doing; the input is tried again, before all others."""
        self.ray.kill(actor)
        if task is None:
            return None
        self.losses[task.index] = self.losses.get(task.index, 0) + 1
        if self.losses[task.index] < LOSSES:
            self.waiting.appendleft(task)
            return None
        line = f"{task.path}: lost {LOSSES} workers ({type(error).__name__}); run the command again"
        return Outcome(task.index, error=line, died=True)


def _cause(error: Any) -> BaseException:
    cause = getattr(error, "cause", None)
    if isinstance(cause, MultimodalError):
        return cause
    return MultimodalError("worker", f"failed ({str(error).splitlines()[-1]})", "try --engine local")
