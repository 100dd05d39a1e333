"""Configuration: one frozen dataclass per training, filled from a TOML file by pydantic. Unknown keys are refused."""

from __future__ import annotations

import dataclasses
import json
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from multimodal.errors import ConfigError, InputMissingError

Settings = TypeVar("Settings")

_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "list_type": "a list",
    "tuple_type": "a list",
}
"""Pydantic's error types, and the value that TOML needs instead."""


def read_config(path: Path, kind: type[Settings]) -> Settings:
    """Reads a configuration file.

    Args:
        path: TOML file with one table per nested dataclass.
        kind: The dataclass to fill.

    Returns:
        An instance of ``kind``; absent keys have their defaults.

    Raises:
        InputMissingError: The file does not exist.
        ConfigError: The file is not TOML, a key is unknown or missing, or a value is invalid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputMissingError(path, "configuration not found", "check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read ({error})", "name a TOML file in UTF-8") from None
    try:
        return fill(kind, tomllib.loads(text), str(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, f"is not valid TOML: {error}", "correct that line") from None


def fill(kind: type[Settings], values: dict[str, Any], subject: str) -> Settings:
    """Makes a dataclass from plain values, without converting types.

    Args:
        kind: The dataclass; its fields may be dataclasses.
        values: Its fields; a dictionary for each nested dataclass.
        subject: The file that errors name.

    Returns:
        An instance of ``kind``.

    Raises:
        ConfigError: A key is unknown or missing, or a value is invalid. The message names the file, the key, the fact
            and the remedy; of several errors it names the first.

    Example:
        >>> from multimodal.augmentation.face import FaceAugmentation
        >>> fill(FaceAugmentation, {"zoom": 0.5}, "example").zoom
        0.5
    """

    def refuse(value: object) -> None:
        raise ConfigError(subject, f"contains the date or time {value}", "give a number or text in quotes")

    # In strict mode pydantic accepts tables and lists for dataclasses and tuples only when it reads JSON. The settings
    # of this model also apply to the dataclasses inside, as long as they have none of their own.
    strict = ConfigDict(extra="forbid", strict=True)
    model = create_model("Configuration", __config__=strict, settings=(kind, ...))
    try:
        filled = model.model_validate_json(json.dumps({"settings": values}, default=refuse))
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "unexpected_keyword_argument")
        raise _config_error(kind, first, subject) from None
    return typing.cast("Settings", filled.settings)  # type: ignore[attr-defined]


def _config_error(kind: type[Any], error: ErrorDetails, subject: str) -> ConfigError:
    keys = [str(key) for key in error["loc"][1:]]
    place = f"{subject}: {'.'.join(keys)}" if keys else subject
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, ConfigError):  # raised by the dataclass itself
        table = "".join(f"{key}." for key in keys)
        key = reason.subject if reason.subject.startswith(table) else table + reason.subject
        return ConfigError(f"{subject}: {key}", reason.fact, reason.remedy)
    if error["type"] == "unexpected_keyword_argument":
        return ConfigError(place, "is an unknown key", f"use one of {', '.join(_field_names(kind, keys[:-1]))}")
    if error["type"] == "missing":
        return ConfigError(place, "is missing", "add it")
    expected = _EXPECTED.get(error["type"])
    if expected is None:
        return ConfigError(place, f"is {error['input']!r}", error["msg"][:1].lower() + error["msg"][1:])
    return ConfigError(place, f"is {json.dumps(error['input'])}", f"give {expected}")


def _field_names(kind: type[Any], tables: list[str]) -> list[str]:
    """The fields of the dataclass that a nested table fills."""
    for table in tables:
        kind = typing.get_type_hints(kind)[table]
    return [field.name for field in dataclasses.fields(kind)]
