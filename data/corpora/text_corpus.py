"""A corpus of labeled texts, the result of every text reader, and how its files are opened."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError


@dataclass(frozen=True)
class TextCorpus:
    """Texts and the emotions that annotators assigned to them.

    Attributes:
        name: Key of the corpus in ``TEXT_CORPORA``.
        texts: ``n`` texts, as published.
        targets: ``(n, native labels)`` uint8: 1 for an assigned label.
        labels: The corpus's own labels, in order.
        table: Each native label, mapped onto one of ``FUSED_LABELS``; None where no counterpart exists.
        sources: ``n`` names of the dialogue or speaker that a text comes from, else of the text itself. Training and
            evaluation never share a source.

    Example:
        >>> targets = np.array([[1, 0], [0, 1]], np.uint8)
        >>> table = {"joy": "happiness", "shame": None}
        >>> corpus = TextCorpus("csv", ("Yes!", "Oh."), targets, ("joy", "shame"), table, ("a", "b"))
        >>> corpus.groups.sum(axis=1).tolist()
        [1, 0]
    """

    name: str
    texts: tuple[str, ...]
    targets: NDArray[np.uint8]
    labels: tuple[str, ...]
    table: Mapping[str, str | None]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.targets.shape != (len(self.texts), len(self.labels)) or len(self.sources) != len(self.texts):
            raise ValueError(f"{len(self.texts)} texts, {len(self.sources)} sources and targets {self.targets.shape}")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def groups(self) -> NDArray[np.uint8]:
        """``(n, 7)`` uint8 over ``FUSED_LABELS``: 1 where any label of the group was assigned."""
        return (self.targets @ grouping(self.labels, self.table) > 0).astype(np.uint8)

    def subset(self, keep: NDArray[np.bool_]) -> TextCorpus:
        """The texts for which ``keep``, ``(n,)``, is true.

        Args:
            keep: ``(n,)`` bool.

        Returns:
            A smaller corpus.
        """
        texts, sources = itertools.compress(self.texts, keep), itertools.compress(self.sources, keep)
        return TextCorpus(self.name, tuple(texts), self.targets[keep], self.labels, self.table, tuple(sources))

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """Selects texts to hold out by a hash of their source, the same on every machine and in every order.

        Args:
            share: Share of the sources, 0 … 1.

        Returns:
            ``(n,)``: true for held-out texts.
        """
        digests = [hashlib.sha256(source.encode("utf-8", "replace")).digest() for source in self.sources]
        return np.array([int.from_bytes(digest[:8]) < share * 2**64 for digest in digests], bool)


def grouping(labels: tuple[str, ...], table: Mapping[str, str | None]) -> NDArray[np.uint8]:
    """A mapping as a matrix ``(labels, 7)`` of 0 and 1; a label without a counterpart has a row of zeros.

    Args:
        labels: Labels of the corpus.
        table: Label of the corpus to fused labels.

    Example:
        >>> grouping(("joy", "shame"), {"joy": "happiness", "shame": None}).tolist()
        [[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]]
    """
    return np.array([[table[label] == group for group in FUSED_LABELS] for label in labels], np.uint8)


def corpus_text(path: Path) -> str:
    """Reads a text file in UTF-8, with its line ends, without a byte order mark.

    Args:
        path: The file.

    Raises:
        CorpusError: The file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CorpusError(path, f"cannot be read ({error.strerror})", "check the path") from None
    except UnicodeDecodeError as error:
        fact = f"is not UTF-8 (byte {error.start})"
        raise CorpusError(path, fact, "unpack the corpus again, or save it as UTF-8") from None
