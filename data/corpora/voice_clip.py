"""One labeled clip of a voice, and how files of sound are found in a folder as people have them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.data.emotions import FUSED_LABELS, VOICE_TO_FUSED
from multimodal.errors import CorpusError

SOUND_SUFFIXES = (".wav", ".flac", ".aiff", ".aif", ".m4a", ".ogg", ".opus", ".mp3", ".mp4")
"""Files that are looked at, without regard to case. Of one clip in several formats the earlier here is read."""

SEXES = ("female", "male")

POINTER = b"version https://git-lfs"
"""How the small text begins that stands in for a file of a repository whose large files were not fetched."""


@dataclass(frozen=True)
class VoiceClip:
    """A recording of one speaker with one emotion.

    Attributes:
        path: The file.
        corpus: Key of ``VOICE_CORPORA``.
        speaker: Unique over corpora, as ``ravdess-01``.
        native_label: What the corpus calls the emotion, one of its ``NATIVE_LABELS``.
        label: One of ``FUSED_LABELS``; None where the emotion is left out.
        sex: ``female`` or ``male`` as the corpus says, else None.

    Raises:
        ValueError: The label or the sex is another word.

    Example:
        >>> VoiceClip.of("ravdess", Path("03-01-02-01-01-01-01.wav"), "01", "calm", "male").label
        'neutral'
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

    @classmethod
    def of(cls, corpus: str, path: Path, speaker: str, native_label: str, sex: str | None = None) -> VoiceClip:
        """A clip with the fused label by the corpus's table; ``speaker`` is its number or name within the corpus."""
        return cls(path, corpus, f"{corpus}-{speaker}", native_label, VOICE_TO_FUSED[corpus][native_label], sex)


def sound_files(folder: Path) -> Iterator[Path]:
    """Finds files of sound in a folder and below, in a fixed order.

    Hidden files and folders (``._a.wav`` of macOS among them) and ``__MACOSX`` are passed over; linked folders are
    followed, each folder once.

    Args:
        folder: Where to look.

    Yields:
        Paths below ``folder``, sorted.

    Raises:
        CorpusError: It is no folder.

    Example:
        >>> list(sound_files(Path.cwd()))
        []
    """
    if not folder.is_dir():
        raise CorpusError(folder, "is no folder", "name the folder that the corpus was unpacked to")
    for path in sorted(_files(folder)):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if path.suffix.lower() in SOUND_SUFFIXES and not hidden and path.is_file():
            yield path


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, behind links too; a folder that links lead back to is not entered again."""
    entered: set[str] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        if os.path.realpath(root) in entered:
            folders.clear()
            continue
        entered.add(os.path.realpath(root))
        yield from (Path(root) / name for name in names)


def check_content(folder: Path, clips: list[VoiceClip]) -> None:
    """Refuses files that hold no sound because they were copied or fetched by half.

    Args:
        folder: The corpus, for the message.
        clips: What was found in it.

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
