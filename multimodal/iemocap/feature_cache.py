"""A cache of features on disk: small safetensors files, each named by a hash of everything that it depends on.

Files are written atomically, so a killed run resumes where it was; another setting gives another name, so no stale file
is ever read.
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
    """A folder of cached features.

    Args:
        folder: Folder of the files; created when first written.
        format_name: Part of every hash; it changes when the computation of a feature changes.

    Example:
        >>> import tempfile, torch
        >>> cache = FeatureCache(Path(tempfile.mkdtemp()), "example 1")
        >>> cache.get("audio", "turn-1", ["hash"], lambda: {"frames": torch.zeros(2, 39)})["frames"].shape
        torch.Size([2, 39])
        >>> cache.load(cache.path("audio", "turn-1", ["hash"]))["frames"].shape  # not computed again
        torch.Size([2, 39])
    """

    def __init__(self, folder: Path, format_name: str) -> None:
        self.folder, self.format_name = folder, format_name

    def path(self, kind: str, name: str, facts: Sequence[Any]) -> Path:
        """Path of the feature that depends on ``facts``, which must be plain values.

        Args:
            kind: Kind of the feature.
            name: Name of the turn.
            facts: Everything that determines the feature.

        Returns:
            Path of the file.
        """
        key = hashlib.sha256(json.dumps([self.format_name, kind, *facts], sort_keys=True).encode()).hexdigest()
        return self.folder / kind / f"{name}-{key[:32]}.safetensors"

    def load(self, path: Path) -> Tensors | None:
        """The tensors of a file; None if it is missing or damaged and must be computed again.

        Args:
            path: Path of the file.

        Returns:
            Name to tensor.
        """
        try:
            return load_file(path) if path.is_file() else None
        except (OSError, SafetensorError):
            return None

    def save(self, path: Path, tensors: Tensors) -> Tensors:
        """Writes tensors and returns them.

        Args:
            path: Path of the file.
            tensors: Name to tensor.

        Raises:
            OutputError: The folder cannot be written.
        """
        with atomic_write(path) as temporary:
            save_file(tensors, temporary)
        return tensors

    def get(self, kind: str, name: str, facts: Sequence[Any], compute: Callable[[], Tensors]) -> Tensors:
        """Loads a feature, or computes and saves it.

        Args:
            kind: Kind of the feature.
            name: Name of the turn.
            facts: Everything that determines the feature.
            compute: Computes the feature.

        Returns:
            Name to tensor.
        """
        path = self.path(kind, name, facts)
        tensors = self.load(path)
        return self.save(path, compute()) if tensors is None else tensors


def content_hash(path: Path) -> str:
    """The sha256 of a file.

    Args:
        path: The file.

    Raises:
        CorpusError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(path, f"cannot be read ({error.strerror})", "unpack the corpus again") from None
