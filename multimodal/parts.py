"""Which weights each part of the recogniser uses: the shipped ones, or what ``--model`` names instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from multimodal.errors import ConfigError, WeightsError
from multimodal.types import MODALITIES
from multimodal.weights import DEFAULTS, find_card, shipped

FUSION = "fusion"
"""The part that joins the signals."""

PARTS = (*MODALITIES, FUSION)
"""What ``models`` of an analysis names, in this order."""


def check_modalities(modalities: Sequence[str]) -> None:
    """Raises ConfigError unless every signal is one that this version reads."""
    unknown = [name for name in modalities if name not in MODALITIES]
    if unknown or not modalities:
        fact = f"{unknown[0]!r} is not a signal this version reads" if unknown else "names no signal"
        raise ConfigError("--modalities", fact, f"choose from {', '.join(MODALITIES)}")


def choose_weights(name: str, modalities: Sequence[str] | None) -> dict[str, str]:
    """Finds weights for each signal that is to be read, and for what joins them.

    Args:
        name: ``default``, the name of shipped weights, a ``.safetensors`` file, or a folder. A file replaces the part
            that it is of, a folder all parts that it holds; the other parts are the shipped ones.
        modalities: Signals to be read; None for all that there are weights for.

    Returns:
        Part to what ``load_weights`` is to load for it, in the order of ``PARTS``; ``fusion`` only where there are
        weights for it.

    Raises:
        WeightsError: There are none of that name, or none for a signal that is to be read.
        ConfigError: The name is empty.

    Example:
        >>> choose_weights("default", ["face"])["face"]
        'default'
    """
    wanted = MODALITIES if modalities is None else modalities
    sources = _sources(name, wanted)
    for part in wanted:
        if part not in sources and modalities is not None:
            remedy = f"name {part} weights with --model, or leave {part} out of --modalities"
            raise WeightsError(name, f"holds no {part} model, and none is shipped", remedy)
    return {part: sources[part] for part in PARTS if part in (*wanted, FUSION) and part in sources}


def _sources(name: str, wanted: Sequence[str]) -> dict[str, str]:
    if not name:  # of a script whose variable is not set; an empty path would be the current folder
        raise ConfigError("--model", "is empty", "name shipped weights, a file or a folder, or leave it out")
    sources = {part: "default" for part in PARTS if part in DEFAULTS}
    if name == "default":
        return sources
    own = _own_parts(name, wanted)
    if not own & {*wanted, FUSION}:
        fact = f"is a model of {', '.join(sorted(own))}, which is not to be read"
        raise WeightsError(name, fact, f"add {min(own)} to --modalities, or leave --model out")
    return sources | dict.fromkeys((part for part in PARTS if part in own), name)


def _own_parts(name: str, wanted: Sequence[str]) -> set[str]:
    """The parts of which weights stand under a shipped name, in a file or in a folder."""
    if named := {part for part in PARTS if name in shipped(part)}:
        return named
    cards = sorted(Path(name).glob("*.json")) if Path(name).is_dir() else [find_card(name, wanted[0])]
    if found := {part for card in cards if (part := _part_of(card)) is not None}:
        return found
    raise WeightsError(name, f"holds no {' or '.join(wanted)} model", "name a .safetensors file or its folder")


def _part_of(card: Path) -> str | None:
    try:
        part = json.loads(card.read_text(encoding="utf-8"))["spec"]["part"]
        return part if part in PARTS else None
    except (ValueError, KeyError, TypeError, OSError):
        return None
