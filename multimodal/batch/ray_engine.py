"""Runs a batch on a Ray cluster: an actor per worker, each with its own process.

The actor survives and reports what an input does to its process. If the actor itself is lost - killed, or with a node
that leaves - its input is analyzed again elsewhere. Only actors that are up are given work, so an actor that waits for
resources holds no input.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multimodal.batch.analyzer import LoadFn
from multimodal.batch.tasks import BatchOptions, Outcome, Task
from multimodal.batch.worker_process import Limits, WorkerProcess
from multimodal.errors import ConfigError, DependencyError, MultimodalError

MAXIMUM_LOSSES = 20
"""Actors that may be lost over one input before it fails: nodes come and go, but not forever."""

POLL_SECONDS = 1.0
"""How often the size of the cluster is checked."""

RUNTIME_ENVIRONMENT = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}
"""An actor without a GPU share keeps the GPUs that its node shows."""


@dataclass(frozen=True)
class Cluster:
    """Where a batch runs, and with how many workers.

    Attributes:
        address: Address of a cluster to join, ``auto`` for the one of this machine; None to start one here.
        workers: Number of workers; None for as many as fit, also when the cluster grows.
        cpus: Cores per worker.
        gpus: GPUs per worker, which may be a fraction.
        memory_bytes: Memory per worker for Ray's scheduler; None for no request.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None


class RayWorker:
    """The actor: one worker with its process."""

    def __init__(self, options: BatchOptions, load: LoadFn, limits: Limits) -> None:
        self.process = WorkerProcess(options, load, limits)

    def start(self) -> None:
        """Loads the model."""
        self.process.start()

    def analyze(self, task: Task) -> Outcome:
        """Analyzes one input.

        Args:
            task: The input.

        Returns:
            Its result or its error.
        """
        return self.process.analyze(task)


def run_ray(
    tasks: Sequence[Task], options: BatchOptions, load: LoadFn, *, limits: Limits, cluster: Cluster
) -> Generator[Outcome, None, None]:
    """Analyzes inputs on a cluster.

    Args:
        tasks: The inputs; started in this order.
        options: How to analyze them.
        load: What loads the analysis, see ``Analyzer``; its module must be installed on every node.
        limits: What one input may use.
        cluster: Where to run.

    Yields:
        The outcome of each input, as it ends. Leaving the loop early ends the actors at once.

    Raises:
        DependencyError: Ray is not installed.
        ConfigError: The cluster cannot be reached.
        MultimodalError: The model cannot be loaded.
    """
    ray = _import_ray()
    starts_ray = not ray.is_initialized()
    if starts_ray:
        _connect(ray, cluster)
    pool = _ActorPool(ray, (options, load, limits), cluster, tasks)
    try:
        yield from pool.outcomes()
    finally:
        pool.close()
        if starts_ray:
            ray.shutdown()


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        remedy = "pip install ray, or choose --engine local"
        raise DependencyError("ray", "is not installed", remedy) from None
    return ray


def _connect(ray: Any, cluster: Cluster) -> None:
    """Joins or starts a cluster. Ray sends no usage statistics for clusters that a program starts."""
    _check_address(cluster.address)
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if cluster.address is not None:
            ray.init(address=cluster.address, **quiet)
            return
        # The cluster has room for all workers, however few the cores of this machine.
        cpus = (cluster.workers or 1) * cluster.cpus
        ray.init(address="local", num_cpus=max(1, round(cpus)), include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _unreachable(cluster.address, error) from None


def _check_address(address: str | None) -> None:
    """Raises ConfigError if nothing answers there; Ray would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if "/" in host or not host or not port.isdecimal():  # auto, local, ray://…
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str | None, error: Exception) -> ConfigError:
    fact = f"cannot be reached ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
    return ConfigError(f"--address {address}", fact, "start it with ray start --head, or remove --address")


class _ActorPool:
    """The actors of one batch, their current inputs, and the remaining inputs."""

    def __init__(
        self, ray: Any, arguments: tuple[BatchOptions, LoadFn, Limits], cluster: Cluster, tasks: Sequence[Task]
    ) -> None:
        self.ray = ray
        self.cluster = cluster
        self.arguments = arguments
        self.actor_class = ray.remote(max_restarts=0, max_task_retries=0, runtime_env=RUNTIME_ENVIRONMENT)(RayWorker)
        self.waiting = deque(tasks)
        self.remaining = len(tasks)
        self.losses: dict[int, int] = {}
        self.pending: dict[Any, tuple[Any, Task | None]] = {}  # reference to its actor and input

    def outcomes(self) -> Generator[Outcome, None, None]:
        while self.remaining:
            self._request_actors()
            ready, _ = self.ray.wait(list(self.pending), num_returns=1, timeout=POLL_SECONDS)
            for reference in ready:
                outcome = self._take(reference)
                if outcome is not None:
                    self.remaining -= 1
                    yield outcome

    def close(self) -> None:
        """Ends every actor, and with it its process."""
        for actor, _ in self.pending.values():
            self.ray.kill(actor)
        self.pending.clear()

    def _request_actors(self) -> None:
        """Requests the actors that are missing; those without resources yet make an autoscaler act."""
        workers = self.cluster.workers or self._capacity()
        for _ in range(min(workers, self.remaining) - len(self.pending)):
            resources = {"num_cpus": self.cluster.cpus, "num_gpus": self.cluster.gpus}
            if self.cluster.memory_bytes is not None and self.cluster.address is not None:
                resources["memory"] = self.cluster.memory_bytes
            actor = self.actor_class.options(**resources).remote(*self.arguments)
            self.pending[actor.start.remote()] = (actor, None)

    def _capacity(self) -> int:
        """Number of workers that fit into the cluster now."""
        resources = self.ray.cluster_resources()
        needs = {"CPU": self.cluster.cpus, "GPU": self.cluster.gpus, "memory": self.cluster.memory_bytes or 0}
        return max(1, min(int(resources.get(name, 0) // need) for name, need in needs.items() if need))

    def _take(self, reference: Any) -> Outcome | None:
        """Returns the outcome of an input, if the reference is to one, and sends the next input to its actor."""
        actor, task = self.pending.pop(reference)
        try:
            outcome = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except self.ray.exceptions.RayError as error:
            return self._lose(actor, task, error)
        if self.waiting:
            following = self.waiting.popleft()
            self.pending[actor.analyze.remote(following)] = (actor, following)
        else:
            self.ray.kill(actor)
        return None if task is None else replace(outcome, index=task.index)

    def _lose(self, actor: Any, task: Task | None, error: Exception) -> Outcome | None:
        """Handles the loss of an actor, which is not the fault of its input: the input is the next to be analyzed."""
        self.ray.kill(actor)
        if task is None:
            return None
        self.losses[task.index] = self.losses.get(task.index, 0) + 1
        if self.losses[task.index] < MAXIMUM_LOSSES:
            self.waiting.appendleft(task)
            return None
        line = f"{task.path}: lost {MAXIMUM_LOSSES} workers ({type(error).__name__}); run the command again"
        return Outcome(task.index, error=line, died=True)


def _cause(error: Any) -> BaseException:
    cause = getattr(error, "cause", None)
    if isinstance(cause, MultimodalError):
        return cause
    return MultimodalError("worker", f"failed ({str(error).splitlines()[-1]})", "try --engine local")
