"""Devices that networks compute on: the CPU with its cores, or a GPU."""

from __future__ import annotations

import os

from multimodal.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")
"""Values of ``--device``."""


def choose_device(name: str) -> str:
    """Resolves ``auto`` to the best device, and checks that the device is available.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ConfigError: The name is unknown, or this machine does not have the device.

    Example:
        >>> choose_device("cpu")
        'cpu'
    """
    if name not in DEVICES:
        raise ConfigError("--device", f"invalid value {name!r}", f"choose one of {', '.join(DEVICES)}")
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available[name]:
        raise ConfigError("--device", f"{name} is not available on this machine", "use --device auto")
    return name


def available_cores() -> int:
    """The number of CPU cores that this process may use, at least 1.

    More threads than these wait for each other.

    Example:
        >>> available_cores() >= 1
        True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
