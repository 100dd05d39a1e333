"""Devices on which networks compute: the CPU, or a GPU."""

from __future__ import annotations

from multimodal.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")


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
        raise ConfigError("--device", f"is {name!r}", f"choose one of {', '.join(DEVICES)}")
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available[name]:
        raise ConfigError("--device", f"{name!r} is not available on this machine", "choose --device auto")
    return name
