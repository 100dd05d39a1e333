"""Configuration: a frozen dataclass per job, filled from TOML; a key that nobody knows is refused."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar

from multimodal.errors import ConfigError, InputMissingError

Settings = TypeVar("Settings")


def read_config(path: Path, kind: type[Settings]) -> Settings:
    """Fills a dataclass, and the dataclasses inside it, from a TOML file.

    Args:
        path: The file; a table per nested dataclass.
        kind: The dataclass to fill.

    Returns:
        An instance of ``kind``; keys that the file leaves out keep their defaults.

    Raises:
        InputMissingError: There is no such file.
        ConfigError: Not TOML, an unknown key, a missing key, a value of the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputMissingError(path, "there is no such configuration", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read ({error})", "name a TOML file") from None
    try:
        return fill(kind, tomllib.loads(text), str(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, f"is not TOML: {error}", "mend that line") from None


def fill(kind: type[Settings], values: dict[str, Any], subject: str) -> Settings:
    """Makes a dataclass from plain values, refusing what does not belong.

    Args:
        kind: The dataclass.
        values: Its fields; a dictionary for each nested dataclass.
        subject: What errors name: the file, then the table.

    Returns:
        An instance of ``kind``.

    Raises:
        ConfigError: An unknown or missing key, or a value of the wrong type.

    Example:
        >>> from multimodal.augmentation.face import FaceAugmentation
        >>> fill(FaceAugmentation, {"zoom": 0.5}, "example").zoom
        0.5
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(subject, f"unknown key {unknown[0]!r}", f"known are {', '.join(fields)}")
    filled = {name: _value(hints[name], value, f"{subject}: {name}") for name, value in values.items()}
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and name not in filled
    ]
    if missing:
        raise ConfigError(subject, f"lacks the key {missing[0]!r}", "add it")
    return kind(**filled)


def _value(hint: Any, value: Any, subject: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return fill(typing.cast("type[Any]", hint), value, subject)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not (isinstance(value, hint) and (hint is bool or not isinstance(value, bool))):
        raise ConfigError(subject, f"is {value!r}", f"give a {hint.__name__}")
    return value
