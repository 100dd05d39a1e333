"""Which weights each part of the recognizer uses: the shipped ones, or those that ``--model`` names.

Only cards are read here, so that listing and choosing models needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from multimodal.errors import ConfigError, WeightsError
from multimodal.models.spec import read_card
from multimodal.types import MODALITIES, MODALITY_NAMES

FUSION = "fusion"
"""The part that combines the modalities."""

PARTS = (*MODALITIES, FUSION)
"""The parts of the recognizer, in the order in which an analysis names them."""


def check_modalities(modalities: Sequence[str]) -> None:
    """Checks names of modalities.

    Args:
        modalities: Names of modalities, at least one.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    unknown = [name for name in modalities if name not in MODALITIES]
    if unknown or not modalities:
        fact = f"invalid value {unknown[0]!r}" if unknown else "names no modality"
        raise ConfigError("--modalities", fact, f"choose from {', '.join(map(_explained, MODALITIES))}")


def _explained(modality: str) -> str:
    """A modality with its name in text for people, where it has another there."""
    name = MODALITY_NAMES[modality]
    return modality if name == modality else f"{modality} ({name})"


def choose_weights(name: str, modalities: Sequence[str] | None) -> dict[str, str]:
    """Finds the weights of each modality and of the fusion head.

    Args:
        name: ``default``, the name of shipped weights, a ``.safetensors`` file, or a folder. A file replaces its own
            part, a folder all parts that it holds; the other parts are the shipped ones.
        modalities: Modalities to analyze; None for all that have weights.

    Returns:
        Part to the model that ``load_weights`` loads for it, in the order of ``PARTS``; ``fusion`` only where weights
        for it exist.

    Raises:
        WeightsError: No weights of that name, or none for a modality.
        ConfigError: The name is empty.

    Example:
        >>> choose_weights("default", ["face"])["face"]
        'default'
    """
    requested = MODALITIES if modalities is None else modalities
    sources = _sources(name, requested)
    for part in requested:
        if part not in sources and modalities is not None:
            remedy = f"name {part} weights with --model, or leave {part} out of --modalities"
            raise WeightsError(name, f"holds no {part} model, and none is shipped", remedy)
    return {part: sources[part] for part in PARTS if part in (*requested, FUSION) and part in sources}


def _sources(name: str, modalities: Sequence[str]) -> dict[str, str]:
    if not name:  # an unset variable of a script; an empty path would be the current folder
        raise ConfigError("--model", "is empty", "name shipped weights, a file or a folder, or leave it out")
    sources = {part: "default" for part in PARTS if part in DEFAULTS}
    if name == "default":
        return sources
    parts = _parts_in(name, modalities)
    if not parts & {*modalities, FUSION}:
        fact = f"is a model of {', '.join(sorted(parts))}, which is not to be read"
        raise WeightsError(name, fact, f"add {min(parts)} to --modalities, or leave --model out")
    return sources | dict.fromkeys((part for part in PARTS if part in parts), name)


def _parts_in(name: str, modalities: Sequence[str]) -> set[str]:
    """The parts that have weights under a shipped name, in a file or in a folder."""
    if parts_of_name := {part for part in PARTS if name in shipped(part)}:
        return parts_of_name
    if not Path(name).exists() and not Path(name).with_suffix(".json").is_file():
        known = ", ".join(shipped())
        raise WeightsError(name, "weights not found", f"name a file, a folder or shipped weights: {known}")
    cards = sorted(Path(name).glob("*.json")) if Path(name).is_dir() else [find_card(name, modalities[0])]
    if parts := {part for card in cards if (part := _part_of(card)) is not None}:
        return parts
    raise WeightsError(name, f"holds no {' or '.join(modalities)} model", "name a .safetensors file or its folder")


def _part_of(card: Path) -> str | None:
    try:
        part = json.loads(card.read_text(encoding="utf-8"))["spec"]["part"]
        return part if part in PARTS else None
    except (ValueError, KeyError, TypeError, OSError):
        return None


DEFAULTS = {
    "face": "se_resnet_pair.ferplus-v4",
    "audio": "conv_bigru_whisper.ravdess_emodb_banglaser-v3",
    "text": "minilm_l6.goemotions_usability-v3",
    "fusion": "dual_recurrent.synthetic-v3",
}
"""The shipped weights that each part uses by default."""


@dataclass(frozen=True)
class ModelInfo:
    """One shipped set of weights.

    Attributes:
        name: ``<architecture>.<corpus>-v<N>``, as ``--model`` and ``load_model`` take it.
        part: ``face``, ``audio``, ``text`` or ``fusion``.
        architecture: Name of the network.
        corpus: Name of the training corpora.
        license: License of the weights, as their card states it.
        parameters: Number of trained values.
        size_bytes: Size of the weights' file.
        default: Whether the part uses these weights by default.
    """

    name: str
    part: str
    architecture: str
    corpus: str
    license: str
    parameters: int
    size_bytes: int
    default: bool


def list_models(part: str | None = None) -> list[ModelInfo]:
    """Lists the weights that ship with the package; only their cards are read.

    Args:
        part: ``face``, ``audio``, ``text`` or ``fusion``; None for all.

    Returns:
        One entry per set of weights, in the order of ``PARTS``, then by name.

    Raises:
        ConfigError: Unknown part.

    Example:
        >>> [(model.architecture, model.corpus, model.default) for model in list_models("face")]
        [('se_resnet_pair', 'ferplus', True)]
    """
    if part not in (None, *PARTS):
        raise ConfigError("part", f"{part!r} is unknown", f"choose from {', '.join(PARTS)}")
    return [_model_info(name) for each in PARTS if part in (None, each) for name in shipped(each)]


def _model_info(name: str) -> ModelInfo:
    path = shipped_folder() / f"{name}.json"
    card, spec = read_card(path)
    return ModelInfo(
        name=name,
        part=spec.part,
        architecture=spec.architecture,
        corpus=name.removeprefix(f"{spec.architecture}.").rpartition("-v")[0],
        license=card["license"],
        parameters=card["parameters"],
        size_bytes=path.with_suffix(".safetensors").stat().st_size,
        default=DEFAULTS.get(spec.part) == name,
    )


def shipped_folder() -> Path:
    """The folder of weights inside the installed package."""
    return Path(str(resources.files("multimodal") / "weights"))


def shipped(part: str | None = None) -> list[str]:
    """Names of the shipped weights of one part or of all.

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
        part: ``face``, ``audio``, ``text`` or ``fusion``.

    Returns:
        Path of the card.

    Raises:
        WeightsError: No such model.
    """
    if model == "default" and part not in DEFAULTS:
        raise WeightsError(model, f"no {part} weights are shipped", "give a file or a folder")
    if model == "default":
        return shipped_folder() / f"{DEFAULTS[part]}.json"
    if model in shipped(part):
        return shipped_folder() / f"{model}.json"
    path = Path(model)
    if path.is_dir():
        cards = [card for card in sorted(path.glob("*.json")) if _part_of(card) == part]
        if len(cards) != 1:
            raise WeightsError(model, f"holds {len(cards)} {part} models", "name the .safetensors file itself")
        return cards[0]
    if path.suffix in (".safetensors", ".json") and path.with_suffix(".json").is_file():
        return path.with_suffix(".json")
    names = ", ".join(shipped(part)) or "none"
    raise WeightsError(model, f"is no {part} model", f"give a file, a folder or one of the shipped: {names}")
