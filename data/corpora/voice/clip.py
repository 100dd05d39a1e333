"""One labeled clip of a voice, and how audio files are searched for in a corpus folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import CorpusError

SOUND_SUFFIXES = (".wav", ".flac", ".aiff", ".aif", ".m4a", ".ogg", ".opus", ".mp3", ".mp4")
"""Suffixes of audio files, in any case. If a clip exists in several formats, the earliest format here is read."""

SEXES = ("female", "male")

POINTER = b"version https://git-lfs"
"""First bytes of a Git LFS pointer: the text file that replaces a large file that was not fetched."""


@dataclass(frozen=True)
class VoiceClip:
    """A recording of one speaker with one emotion. ``VoiceCorpus.clip`` makes one from a corpus's own label.

    Attributes:
        path: The file.
        corpus: Key of ``VOICE_CORPORA``.
        speaker: Unique over corpora, as ``ravdess-01``.
        native_label: The corpus's own label.
        label: One of ``FUSED_LABELS``; None for an emotion that has no counterpart there.
        sex: ``female`` or ``male`` as the corpus states it, else None.

    Raises:
        ValueError: The label or the sex is invalid.

    Example:
        >>> VoiceClip(Path("03a01Fa.wav"), "emodb", "emodb-03", "happiness", "happiness", "male").label
        'happiness'
    """

    path: Path
    corpus: str
    speaker: str
    native_label: str
    label: str | None
    sex: str | None = None

    def __post_init__(self) -> None:
        if self.label not in (None, *FUSED_LABELS):
            raise ValueError(f"label must be one of {FUSED_LABELS} or None, got {self.label!r}")
        if self.sex not in (None, *SEXES):
            raise ValueError(f"sex must be one of {SEXES} or None, got {self.sex!r}")


def sound_files(folder: Path) -> Iterator[Path]:
    """Lists the audio files in a folder and its subfolders, in a fixed order.

    Hidden files and folders (such as ``._a.wav`` of macOS) and ``__MACOSX`` are skipped. Linked folders are followed,
    each folder once.

    Args:
        folder: Where to search.

    Yields:
        Paths below ``folder``, sorted.

    Raises:
        CorpusError: The folder does not exist.

    Example:
        >>> list(sound_files(Path.cwd()))
        []
    """
    if not folder.is_dir():
        raise CorpusError(folder, "is not a folder", "name the folder that contains the corpus")
    for path in sorted(_files(folder)):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if path.suffix.lower() in SOUND_SUFFIXES and not hidden and path.is_file():
            yield path


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, through links too; each real folder is entered once, so link loops end."""
    entered: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        if os.path.realpath(root) in entered:
            folders.clear()
            continue
        entered.add(os.path.realpath(root))
        yield from (Path(root) / name for name in names)


def check_content(folder: Path, clips: list[VoiceClip]) -> None:
    """Refuses files without sound, left by an incomplete copy or download.

    Args:
        folder: The corpus, for the message.
        clips: The clips that were read from it.

    Raises:
        CorpusError: A file is empty, or is a Git LFS pointer.
    """
    small = [clip.path for clip in clips if clip.path.stat().st_size < 1024]
    empty = [path for path in small if path.stat().st_size == 0]
    if empty:
        fact = f"{len(empty)} of {len(clips)} clips are empty files, such as {empty[0].name}"
        raise CorpusError(folder, fact, "unpack or copy the corpus again")
    pointers = [path for path in small if path.read_bytes().startswith(POINTER)]
    if pointers:
        fact = f"{len(pointers)} of {len(clips)} clips are Git LFS pointers without sound"
        raise CorpusError(folder, fact, "fetch the files with `git lfs pull`")
