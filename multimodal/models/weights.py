"""Weights and their card, which states how to run a network, its origin and its permitted use.

A set of weights is two files: ``<architecture>.<corpus>-v<N>.safetensors`` and a JSON card of the same stem; for text a
third, ``….tokenizer.json``. The card's hashes are checked at every load. Pickle is never read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from multimodal.encoders.face import FACE_NETWORKS
from multimodal.encoders.text import TextEncoder
from multimodal.encoders.tokenization import SPECIAL, load_tokenizer
from multimodal.errors import ConfigError, WeightsError
from multimodal.files import atomic_write
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape
from multimodal.models.selection import find_card
from multimodal.models.spec import ModelSpec, read_card

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def _by_labels(network: Callable[[int], nn.Module]) -> Callable[[ModelSpec], nn.Module]:
    """Makes a network; its name and the number of labels determine its shape."""
    return lambda spec: network(len(spec.labels))


def _audio(spec: ModelSpec) -> nn.Module:
    # Imported here: only audio needs torchaudio.
    from multimodal.encoders.audio import AUDIO_NETWORKS
    from multimodal.encoders.mfcc import MfccSettings
    from multimodal.encoders.statistics import Familiarity
    from multimodal.encoders.voice.background import Background
    from multimodal.encoders.voice.features import summary_size

    settings = MfccSettings(**spec.mfcc)
    network = AUDIO_NETWORKS[spec.architecture]
    made = network(len(spec.labels), settings.features, summary_size(settings.coefficients))
    background: Background = made.background  # type: ignore[assignment]
    if spec.familiarity:
        background.familiarity = Familiarity(**spec.familiarity)
    if spec.speech.get("familiarity"):
        background.speech_familiarity = Familiarity(**spec.speech["familiarity"])
    return made


def _turns(spec: ModelSpec) -> nn.Module:
    from multimodal.encoders.mfcc import MfccSettings
    from multimodal.fusion.turns import TurnNetwork

    shape = FusionShape(**spec.fusion)
    return TurnNetwork(shape, MfccSettings(**spec.mfcc).features, shape.summary_size, convolved=True)


def _text(spec: ModelSpec) -> nn.Module:
    # A shape with a model_type makes a transformers backbone, one without the plain BERT.
    return TextEncoder(
        len(spec.labels),
        len(spec.native_labels),
        spec.text,
        usability_labels=len(spec.usability_labels),
        context=spec.context or None,
    )


NETWORKS: Mapping[str, Mapping[str, Callable[[ModelSpec], nn.Module]]] = {
    "face": {name: _by_labels(network) for name, network in FACE_NETWORKS.items()},
    "audio": {"are": _audio, "conv_bigru": _audio, "conv_bigru_whisper": _audio},
    "text": {"minilm_l6": _text, "auto": _text},
    "fusion": {
        "dual_recurrent": lambda spec: DualRecurrentFusion(FusionShape(**spec.fusion)),
        "turns_dual_recurrent": _turns,
    },
}
"""Part and architecture to a function that makes the network of a spec, with random weights."""


@dataclass(frozen=True)
class Weights:
    """A network ready to run, with its spec and its card.

    Attributes:
        name: ``<architecture>.<corpus>-v<N>``.
        sha256: Hash of the safetensors file.
        spec: How to run the network.
        card: The whole card, with the present names of keys.
        network: In evaluation mode, float32.
        tokenizer: For text; None for the other parts.
    """

    name: str
    sha256: str
    spec: ModelSpec
    card: Mapping[str, Any]
    network: nn.Module
    tokenizer: Tokenizer | None = None


def load_weights(model: str = "default", part: str = "face", device: str = "cpu") -> Weights:
    """Loads a network with its weights, after checking their hash.

    Args:
        model: See ``find_card``.
        part: ``face``, ``audio``, ``text`` or ``fusion``.
        device: ``cpu``, ``cuda`` or ``mps``.

    Returns:
        The network in evaluation mode, with its spec and card.

    Raises:
        WeightsError: The weights are unknown, damaged, of another part, or do not fit the network.

    Example:
        >>> weights = load_weights("default", "face")
        >>> weights.spec.labels[:2]
        ('neutral', 'happiness')
    """
    card_path = find_card(model, part)
    card, spec = read_card(card_path)
    path = card_path.with_suffix(".safetensors")
    content = _checked(path, card.get("sha256"))
    if spec.part != part or spec.architecture not in NETWORKS.get(part, {}):
        fact = f"holds {spec.part} weights of architecture {spec.architecture!r}"
        raise WeightsError(path, fact, f"choose {part} weights of a known architecture")
    tokenizer = None if spec.tokenizer is None else _tokenizer(path.with_name(spec.tokenizer), spec)
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
    """Reads a file and checks its hash against the card's."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(path, f"cannot be read ({error.strerror})", "install the package or copy it again") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(path, "is damaged: its hash is not the card's", "install the package or copy it again")
    return content


def _tokenizer(path: Path, spec: ModelSpec) -> Tokenizer:
    special = () if "model_type" in spec.text else SPECIAL
    try:
        return load_tokenizer(_checked(path, spec.tokenizer_sha256).decode("utf-8"), special)
    except ValueError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(path, str(error), "install the package or copy it again") from None


def _network(path: Path, spec: ModelSpec) -> nn.Module:
    try:
        return NETWORKS[spec.part][spec.architecture](spec)
    except Exception as error:  # transformers raises its own kinds of errors for invalid settings
        fact = f"has a card that describes no network ({str(error).splitlines()[0]})"
        raise WeightsError(path, fact, "copy it again") from None


def _stored(value: Tensor) -> Tensor:
    """A tensor as the file holds it: in half precision, but for whole numbers."""
    value = value.detach().cpu()
    return (value.half() if value.is_floating_point() else value).contiguous()


def save_weights(
    folder: Path,
    name: str,
    network: nn.Module,
    spec: ModelSpec,
    facts: Mapping[str, Any],
    tokenizer: str | None = None,
) -> Path:
    """Writes weights in half precision, and their card. A published version never changes.

    Args:
        folder: Output folder.
        name: ``<architecture>.<corpus>-v<N>``.
        network: The trained network.
        spec: How to run it.
        facts: The rest of the card: data, licenses, training, metrics, limits.
        tokenizer: For text, the content of ``tokenizer.json``; the spec gets its name and hash.

    Returns:
        Path of the safetensors file.

    Raises:
        ConfigError: Other weights of that name exist.
        OutputError: The folder cannot be written.
    """
    tensors = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    content = save({key: _stored(value) for key, value in tensors.items()})
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}.safetensors"
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ConfigError(path, "exists with other weights", "choose the next version number")
    if tokenizer is not None:
        sha256 = hashlib.sha256(tokenizer.encode("utf-8")).hexdigest()
        spec = replace(spec, tokenizer=f"{name}.tokenizer.json", tokenizer_sha256=sha256)
        with atomic_write(folder / f"{name}.tokenizer.json") as temporary:
            temporary.write_bytes(tokenizer.encode("utf-8"))
    parameters = sum(value.numel() for value in network.parameters())
    card = {"name": name, "sha256": digest, "parameters": parameters, "spec": asdict(spec), **facts}
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    with atomic_write(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
