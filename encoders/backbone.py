"""Text backbones of any type, by ``transformers``: loaded for training, and rebuilt from a card.

The shipped text encoder does without this module: importing ``transformers`` takes two to six seconds. Only weights of
architecture ``auto`` need it.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multimodal.encoders.tokenization import load_tokenizer, token_marks
from multimodal.errors import WeightsError

NOT_STORED = (
    *("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"),
    *("attn_implementation", "_attn_implementation"),
)
"""Keys of a backbone's configuration that do not change what it computes; some name folders of one machine, or code."""

REMEDY = "name a folder with config.json, model.safetensors and tokenizer.json"


class Backbone(nn.Module):
    """A pretrained type of transformer: token numbers in, a state per token out.

    Args:
        config: What ``config.json`` holds, ``model_type`` among it. The weights are random.

    Raises:
        ValueError: Unknown type, an encoder with a decoder, or settings that the type refuses.

    Example:
        >>> config = {"model_type": "distilbert", "vocab_size": 50, "dim": 16, "n_layers": 1, "n_heads": 2,
        ...           "hidden_dim": 32, "max_position_embeddings": 24}
        >>> network = Backbone(config).eval()
        >>> network(torch.ones(2, 9, dtype=torch.long), torch.ones(2, 9, dtype=torch.bool)).shape
        torch.Size([2, 9, 16])
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        from transformers import AutoConfig, AutoModel

        super().__init__()
        settings = {key: value for key, value in config.items() if key not in ("model_type", *NOT_STORED)}
        with _quiet():
            loaded = AutoConfig.for_model(config["model_type"], **settings)
            self.model: nn.Module = _without_pooler(AutoModel.from_config(loaded, dtype=torch.float32))
        if loaded.is_encoder_decoder:
            raise ValueError(f"{loaded.model_type} is an encoder with a decoder")
        self.hidden_size = int(loaded.hidden_size)
        self.vocabulary_size = int(loaded.vocab_size)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Reads token numbers ``(batch, tokens)`` where ``mask``, bool of that shape, is true.

        Args:
            ids: ``(batch, tokens)`` int64.
            mask: ``(batch, tokens)`` bool, false in the padding.

        Returns:
            ``(batch, tokens, features)``; values where ``mask`` is false are undefined.
        """
        states: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return states


def load_backbone(source: str, *, download: bool = False) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Reads the configuration, the weights and the tokenizer of a pretrained backbone.

    Args:
        source: A folder, or a name on the model hub that is already in the local cache.
        download: Whether a name may be fetched from the hub.

    Returns:
        The configuration and the tensors for ``Backbone``, and the text of ``tokenizer.json``.

    Raises:
        WeightsError: Not found, not a text encoder, or without a fast tokenizer. Weights are read from safetensors
            only, and code that comes with a model never runs.
    """
    from transformers import AutoModel, AutoTokenizer

    local = Path(source).expanduser()
    place = str(local) if local.is_dir() else source
    options = {"local_files_only": not download, "trust_remote_code": False}
    try:
        with _quiet():
            _refuse_foreign_files(place, options)
            tokenizer = AutoTokenizer.from_pretrained(place, **options)
            model = AutoModel.from_pretrained(place, dtype=torch.float32, use_safetensors=True, **options)
    except Exception as error:  # transformers passes on what its parts raise, ImportError among it
        if not local.is_dir() and not download and isinstance(error, OSError):
            raise WeightsError(source, "is neither a folder nor in the local cache", REMEDY) from None
        raise WeightsError(source, f"is not a text backbone ({_first_line(error)})", REMEDY) from None
    # Without the tokenizer's files, transformers makes one that knows the special tokens only.
    if not tokenizer.is_fast or len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise WeightsError(source, "has no fast tokenizer", "add its tokenizer.json, or choose another backbone")
    if model.config.is_encoder_decoder:
        raise WeightsError(source, "is an encoder with a decoder", "choose an encoder such as BERT or RoBERTa")
    content = str(tokenizer.backend_tokenizer.to_str())
    config = json.loads(model.config.to_json_string(use_diff=True))
    config = {key: value for key, value in config.items() if key not in NOT_STORED}
    return config, dict(_without_pooler(model).state_dict()), content


def check_window(network: Backbone, tokenizer_json: str, window_tokens: int) -> None:
    """Refuses a window that the backbone cannot read, and a tokenizer with more tokens than the backbone knows.

    Args:
        network: On the CPU.
        tokenizer_json: The text of ``tokenizer.json``.
        window_tokens: Tokens read at once.

    Raises:
        ValueError: The vocabulary or the window does not fit.
    """
    tokenizer = load_tokenizer(tokenizer_json, special=())
    if tokenizer.get_vocab_size() > network.vocabulary_size:
        raise ValueError(f"its tokenizer has {tokenizer.get_vocab_size()} tokens, it knows {network.vocabulary_size}")
    padding = token_marks(tokenizer).padding
    word = next(number for number in range(network.vocabulary_size) if number != padding)
    ids = torch.full((1, window_tokens), word)
    try:
        with torch.no_grad():
            network(ids, torch.ones_like(ids, dtype=torch.bool))
    except (IndexError, RuntimeError):
        raise ValueError(f"it cannot read {window_tokens} tokens at once") from None


def _refuse_foreign_files(place: str, options: Mapping[str, Any]) -> None:
    """Refuses files that transformers loads despite its options: pickles in an index, attention code from a hub.

    Raises:
        ValueError: The index of the weights names a file of another format, or the configuration names foreign code.
    """
    from transformers import AutoConfig
    from transformers.utils.hub import cached_file

    places = {key: value for key, value in options.items() if key != "trust_remote_code"}
    index = cached_file(place, "model.safetensors.index.json", _raise_exceptions_for_missing_entries=False, **places)
    if index is not None:
        for name in json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values():
            if not name.endswith(".safetensors"):
                raise ValueError(f"its index names {name}, which is not a safetensors file")
    attention = AutoConfig.from_pretrained(place, **options)._attn_implementation
    if "/" in str(attention):
        raise ValueError(f"its configuration names attention code of others, {attention}")


def _without_pooler(model: nn.Module) -> nn.Module:
    """Removes the layer over the first token that some types have: nothing here reads it."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences progress bars and notes of ``transformers``, which are for its own users."""
    from transformers.utils import logging as notes

    level, bars = notes.get_verbosity(), notes.is_progress_bar_enabled()
    notes.set_verbosity(logging.CRITICAL)
    notes.disable_progress_bar()
    try:
        yield
    finally:
        notes.set_verbosity(level)
        if bars:
            notes.enable_progress_bar()
