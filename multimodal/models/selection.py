"""Which weights each part of the recognizer uses: the shipped ones, or what ``--model`` names instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from multimodal.errors import ConfigError, WeightsError
from multimodal.types import MODALITIES

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


DEFAULTS = {
    "face": "se_resnet_pair.ferplus-v2",
    "audio": "conv_bigru.ravdess_emodb_banglaser-v1",
    "text": "minilm_l6.goemotions-v1",
    "fusion": "dual_recurrent.composed-v1",
}
"""The shipped weights that each part uses unless told otherwise."""


def shipped_folder() -> Path:
    """The folder of weights inside the installed package."""
    return Path(str(resources.files("multimodal") / "weights"))


def shipped(part: str | None = None) -> list[str]:
    """Names of the shipped weights, of one part or of all.

    Args:
        part: ``face``, ``audio``, ``text``, ``fusion``; None for all.

    Returns:
        Names in alphabetical order.
    """
    cards = [path for path in sorted(shipped_folder().glob("*.json")) if not path.stem.endswith(".tokenizer")]
    names = [(card.stem, json.loads(card.read_text(encoding="utf-8"))["spec"]["part"]) for card in cards]
    return [name for name, of_part in names if part in (None, of_part)]


def find_card(model: str, part: str) -> Path:
    """Finds the card of a model by name, by file or by folder.

    Args:
        model: ``default``; a shipped name; a ``.safetensors`` or ``.json`` file; a folder with one set of weights.
        part: Which part is wanted from a folder or by default.

    Returns:
        Path of the card.

    Raises:
        WeightsError: There is no such model.
    """
    if model == "default" and part not in DEFAULTS:
        raise WeightsError(model, f"there is no {part} model among the shipped ones", "give a file or a folder")
    if model == "default":
        return shipped_folder() / f"{DEFAULTS[part]}.json"
    if model in shipped(part):
        return shipped_folder() / f"{model}.json"
    path = Path(model)
    if path.is_dir():
        cards = [card for card in sorted(path.glob("*.json")) if _is_card_of(card, part)]
        if len(cards) != 1:
            raise WeightsError(model, f"holds {len(cards)} {part} models", "name the .safetensors file itself")
        return cards[0]
    if path.suffix in (".safetensors", ".json") and path.with_suffix(".json").is_file():
        return path.with_suffix(".json")
    known = ", ".join(shipped(part)) or "none"
    raise WeightsError(model, f"is no {part} model", f"give a file, a folder or one of the shipped: {known}")


def _is_card_of(path: Path, part: str) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["spec"]["part"] == part)
    except (ValueError, KeyError, TypeError, OSError):
        return False
