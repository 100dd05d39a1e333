"""Where networks compute: the processor, or a GPU."""

from __future__ import annotations

from multimodal.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> str:
    """Resolves ``auto`` and refuses what this machine lacks.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ConfigError: An unknown name, or a device that is not here.

    Example:
        >>> choose_device("cpu")
        'cpu'
    """
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if name not in there:
        raise ConfigError("--device", f"is {name!r}", f"choose one of {', '.join(DEVICES)}")
    if not there[name]:
        raise ConfigError("--device", f"is {name!r}, which this machine lacks", "choose --device auto")
    return name
