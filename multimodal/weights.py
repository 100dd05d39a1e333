"""Weights and the card that travels with them: how to run a network, where it comes from, what it may be used for.

A set of weights is two files: ``<architecture>.<corpus>-v<N>.safetensors`` and a JSON card of the same stem; for texts
a third, ``….tokenizer.json``. The card's hashes are checked at every load. Nothing here reads pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from multimodal.encoders.face import FACE_NETWORKS
from multimodal.encoders.text import TextEncoder
from multimodal.encoders.wordpieces import load_tokenizer
from multimodal.errors import ConfigError, WeightsError
from multimodal.files import whole_file
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULTS = {
    "face": "se_resnet_pair.ferplus-v2",
    "audio": "conv_bigru.ravdess_emodb_banglaser-v1",
    "text": "minilm_l6.goemotions-v1",
    "fusion": "dual_recurrent.composed-v1",
}
"""The shipped weights that each part uses unless told otherwise."""


@dataclass(frozen=True)
class ModelSpec:
    """The contract between training and inference; inference keeps no constants of its own.

    Attributes:
        part: ``face``, ``audio``, ``text`` or ``fusion``.
        architecture: Key of the part's networks.
        labels: What the outputs mean, in order.
        temperature: Divides the logits; found on held-out data.
        face_size: Height and width of the face crops in pixels.
        flip: Whether probabilities are averaged with those of the mirrored crop.
        frames_per_second: The sampling rate that results were tuned for.
        groups: The fused label that each label counts towards, where ``labels`` are a corpus's own; else empty.
        mfcc: The voice's features, under the names of ``multimodal.encoders.mfcc.MfccSettings``.
        native_labels: The training corpus's own labels, in order, where the network answers these too.
        text: Shape of the transformer, under the names of ``transformers.BertConfig``.
        tokenizer: Name of the tokenizer's file, beside the weights.
        tokenizer_sha256: Of that file.
        window_tokens: How many tokens are read at once.
        thresholds: From which score on a label is given where several may hold: for ``groups`` (``labels``) and for
            ``native`` (``native_labels``).
        fusion: Shape of the fusion head, under the names of ``multimodal.fusion.dual_recurrent.FusionShape``.
        encoders: For the fusion head, signal to the sha256 of the encoder whose states it was trained on; with another
            encoder its answers mean nothing.
        temperatures: For the fusion head, instead of ``temperature``: signals present, as ``face+text``, to what
            divides the logits then.
        uncertain_below: Confidence below which the answer is called uncertain.
        uncertain_coverage: Share of held-out utterances whose confidence was at least that.
    """

    part: str
    architecture: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    face_size: int | None = None
    flip: bool = False
    frames_per_second: float | None = None
    groups: tuple[str | None, ...] = ()
    mfcc: Mapping[str, Any] = field(default_factory=dict)
    native_labels: tuple[str, ...] = ()
    text: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    tokenizer_sha256: str | None = None
    window_tokens: int | None = None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fusion: Mapping[str, Any] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    uncertain_below: float | None = None
    uncertain_coverage: float | None = None


def _by_labels(network: Callable[[int], nn.Module]) -> Callable[[ModelSpec], nn.Module]:
    """A network whose shape follows from its name and the number of labels."""
    return lambda spec: network(len(spec.labels))


def _audio(spec: ModelSpec) -> nn.Module:
    # Here and not above: torchaudio is needed by those who listen only.
    from multimodal.encoders.audio import AUDIO_NETWORKS, summary_size
    from multimodal.encoders.mfcc import MfccSettings

    settings = MfccSettings(**spec.mfcc)
    network = AUDIO_NETWORKS[spec.architecture]
    return network(len(spec.labels), settings.features, summary_size(settings.coefficients))


def _turns(spec: ModelSpec) -> nn.Module:
    from multimodal.encoders.mfcc import MfccSettings
    from multimodal.fusion.turns import TurnNetwork

    shape = FusionShape(**spec.fusion)
    return TurnNetwork(shape, MfccSettings(**spec.mfcc).features, shape.summary_size, convolved=True)


NETWORKS: Mapping[str, Mapping[str, Callable[[ModelSpec], nn.Module]]] = {
    "face": {name: _by_labels(network) for name, network in FACE_NETWORKS.items()},
    "audio": {"are": _audio, "conv_bigru": _audio},
    "text": {"minilm_l6": lambda spec: TextEncoder(len(spec.labels), len(spec.native_labels), spec.text)},
    "fusion": {
        "dual_recurrent": lambda spec: DualRecurrentFusion(FusionShape(**spec.fusion)),
        "turns_dual_recurrent": _turns,
    },
}
"""Part and architecture to what makes the network that a spec describes, with random weights."""


@dataclass(frozen=True)
class Weights:
    """A network ready to run, and what is known about it.

    Attributes:
        name: ``<architecture>.<corpus>-v<N>``.
        sha256: Of the safetensors file.
        spec: How to run it.
        card: The whole card, as written.
        network: In evaluation mode, float32.
        tokenizer: For texts, else None.
    """

    name: str
    sha256: str
    spec: ModelSpec
    card: Mapping[str, Any]
    network: nn.Module
    tokenizer: Tokenizer | None = None


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


def load_weights(model: str = "default", part: str = "face", device: str = "cpu") -> Weights:
    """Loads a network with its weights, after checking their hash.

    Args:
        model: See ``find_card``.
        part: Which part of the recogniser it is.
        device: Where the network shall be.

    Returns:
        The network in evaluation mode, with its spec and card.

    Raises:
        WeightsError: Unknown, damaged, of another part, or not fitting the network.

    Example:
        >>> weights = load_weights("default", "face")
        >>> weights.spec.labels[:2]
        ('neutral', 'happiness')
    """
    card_path = find_card(model, part)
    card, spec = _read_card(card_path)
    path = card_path.with_suffix(".safetensors")
    content = _checked(path, card.get("sha256"))
    if spec.part != part or spec.architecture not in NETWORKS.get(part, {}):
        fact = f"is a {spec.part} model of architecture {spec.architecture!r}"
        raise WeightsError(path, fact, f"choose a {part} model that this version knows")
    tokenizer = None if spec.tokenizer is None else _tokenizer(path.with_name(spec.tokenizer), spec.tokenizer_sha256)
    network = _network(path, spec)
    try:
        tensors = {name: tensor.float() for name, tensor in load(content).items()}
        missing, foreign = network.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(path, f"does not fit the network ({str(error).splitlines()[0]})", "train it again") from None
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or foreign:
        fact = f"lacks {len(missing)} tensors of the network and holds {len(foreign)} that it does not know"
        raise WeightsError(path, fact, "train it again")
    ready = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Weights(card_path.stem, card["sha256"], spec, card, ready, tokenizer)


def _checked(path: Path, sha256: str | None) -> bytes:
    """The file's content, if its hash is the card's."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(path, f"cannot be read ({error.strerror})", "install the package or copy it again") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(path, "is damaged: its hash is not the card's", "install the package or copy it again")
    return content


def _tokenizer(path: Path, sha256: str | None) -> Tokenizer:
    try:
        return load_tokenizer(_checked(path, sha256).decode("utf-8"))
    except ValueError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(path, str(error), "install the package or copy it again") from None


def _network(path: Path, spec: ModelSpec) -> nn.Module:
    try:
        return NETWORKS[spec.part][spec.architecture](spec)
    except Exception as error:  # transformers checks its settings with errors of its own kind
        fact = f"has a card that describes no network ({str(error).splitlines()[0]})"
        raise WeightsError(path, fact, "copy it again") from None


def _read_card(path: Path) -> tuple[dict[str, Any], ModelSpec]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        read = card["spec"].items()
        spec: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in read}
        return card, ModelSpec(**{**spec, "labels": tuple(spec["labels"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(path, f"is no card that this version can read ({error})", "copy it again") from None


def save_weights(
    folder: Path,
    name: str,
    network: nn.Module,
    spec: ModelSpec,
    facts: Mapping[str, Any],
    tokenizer: str | None = None,
) -> Path:
    """Writes weights in half precision, and their card. A published version is never changed.

    Args:
        folder: Where to.
        name: ``<architecture>.<corpus>-v<N>``.
        network: The trained network.
        spec: How to run it.
        facts: The rest of the card: data, licences, training, metrics, limits.
        tokenizer: For texts, the content of ``tokenizer.json``; the spec gets its name and hash.

    Returns:
        Path of the safetensors file.

    Raises:
        ConfigError: The name is taken by other weights.
        OutputError: The folder cannot be written.
    """
    kept = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    content = save({key: value.detach().cpu().half().contiguous() for key, value in kept.items()})
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}.safetensors"
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ConfigError(path, "is there already, with other weights", "choose the next version number")
    if tokenizer is not None:
        own = hashlib.sha256(tokenizer.encode("utf-8")).hexdigest()
        spec = replace(spec, tokenizer=f"{name}.tokenizer.json", tokenizer_sha256=own)
        with whole_file(folder / f"{name}.tokenizer.json") as temporary:
            temporary.write_bytes(tokenizer.encode("utf-8"))
    parameters = sum(value.numel() for value in network.parameters())
    card = {"name": name, "sha256": digest, "parameters": parameters, "spec": asdict(spec), **facts}
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
