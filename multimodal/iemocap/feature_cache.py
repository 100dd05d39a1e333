"""Features kept on disk, each a small safetensors file named after a hash of all that it was made of.

A file is written whole or not at all, so a run that is killed goes on where it was; another setting gives another name,
so nothing stale is ever read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimodal.errors import CorpusError
from multimodal.files import atomic_write

Tensors = dict[str, Tensor]


class FeatureCache:
    """A folder of features.

    Args:
        folder: Where they are kept; made if need be.
        format_name: Part of every hash: it changes when a feature is computed otherwise.

    Example:
        >>> import tempfile, torch
        >>> cache = FeatureCache(Path(tempfile.mkdtemp()), "example 1")
        >>> cache.kept("voice", "turn-1", ["hash of the sound"], lambda: {"frames": torch.zeros(2, 39)})["frames"].shape
        torch.Size([2, 39])
        >>> cache.load(cache.path("voice", "turn-1", ["hash of the sound"]))["frames"].shape  # not computed again
        torch.Size([2, 39])
    """

    def __init__(self, folder: Path, format_name: str) -> None:
        self.folder, self.format_name = folder, format_name

    def path(self, modality: str, name: str, facts: Sequence[Any]) -> Path:
        """Where the feature stands that is made of ``facts``, which must be plain values."""
        key = hashlib.sha256(json.dumps([self.format_name, modality, *facts], sort_keys=True).encode()).hexdigest()
        return self.folder / modality / f"{name}-{key[:32]}.safetensors"

    def load(self, path: Path) -> Tensors | None:
        """The tensors of a file; None where it is not there, or damaged: then it is to be made again."""
        try:
            return load_file(path) if path.is_file() else None
        except (OSError, SafetensorError):
            return None

    def save(self, path: Path, tensors: Tensors) -> Tensors:
        """Writes tensors and gives them back.

        Raises:
            OutputError: The folder cannot be written.
        """
        with atomic_write(path) as temporary:
            save_file(tensors, temporary)
        return tensors

    def kept(self, modality: str, name: str, facts: Sequence[Any], make: Callable[[], Tensors]) -> Tensors:
        """The feature from its file, or made now and kept."""
        path = self.path(modality, name, facts)
        found = self.load(path)
        return self.save(path, make()) if found is None else found


def content_hash(path: Path) -> str:
    """The sha256 of a file.

    Raises:
        CorpusError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read ({error.strerror})", "unpack the corpus again") from None
