"""Reads a corpus with the speaker and the emotion in its file names.

A name is read in any case, and wherever below the corpus folder the file lies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from multimodal.data.corpora.voice.clip import SOUND_SUFFIXES, VoiceClip, sound_files
from multimodal.data.corpora.voice.corpus import ClipName, VoiceCorpus
from multimodal.errors import CorpusError

NamedFile = tuple[Path, ClipName]


def read_clips_by_name(corpus: VoiceCorpus, folder: Path, check_counts: bool) -> list[VoiceClip]:
    """Reads the clips of a corpus by their file names.

    Args:
        corpus: A corpus with ``read_name``.
        folder: The folder that contains the corpus.
        check_counts: Whether to check the published counts and to refuse unknown names.

    Returns:
        The clips in order of speaker, emotion and take.

    Raises:
        CorpusError: The folder contains no clip, names are unknown, two files of one clip differ, or the counts are not
            the published ones.
    """
    files, excluded, unknown = _read_names(corpus, folder)
    if unknown and files and check_counts:
        fact = f"contains {len(unknown)} files not named like {corpus.example}: {short_list(unknown)}"
        raise CorpusError(folder, fact, "move them elsewhere, or skip them with check_counts=False")
    if not files:
        others = f" ({excluded} songs or silent videos, {len(unknown)} others)" if excluded or unknown else ""
        fact = f"contains no speech clip named like {corpus.example}{others}"
        raise CorpusError(folder, fact, "name the folder that contains the corpus")
    sexes = corpus.sexes(folder)
    clips = [
        corpus.clip(path, name.speaker, corpus.codes[name.code], name.sex or sexes.get(name.speaker))
        for path, name in _without_copies(folder, files)
    ]
    if check_counts:
        corpus.check_counts(folder, clips)
    return clips


def _read_names(corpus: VoiceCorpus, folder: Path) -> tuple[list[NamedFile], int, list[str]]:
    """The named files, the number of files of other parts of the corpus, and the unknown names."""
    files: list[NamedFile] = []
    excluded, unknown = 0, []
    root = folder.resolve().name  # the folder itself may be a speaker's
    for path in sound_files(folder):
        below = path.relative_to(folder)
        name = None if corpus.read_name is None else corpus.read_name(root / below)
        if name is not None and name.code in corpus.codes:
            files.append((path, name))
        elif corpus.is_excluded(path):
            excluded += 1
        else:
            unknown.append(below.as_posix())
    return files, excluded, unknown


def _without_copies(folder: Path, files: Sequence[NamedFile]) -> list[NamedFile]:
    """One file per clip, in order of speaker, emotion and take."""
    copies: dict[tuple[str, str, str], list[NamedFile]] = defaultdict(list)
    for path, name in files:
        copies[name.speaker, name.code, name.take].append((path, name))
    return [_preferred(folder, files) for _, files in sorted(copies.items())]


def _preferred(folder: Path, files: Sequence[NamedFile]) -> NamedFile:
    def preference(file: NamedFile) -> tuple[int, int]:
        return file[1].rank, SOUND_SUFFIXES.index(file[0].suffix.lower())

    best = min(map(preference, files))
    equals = [file for file in files if preference(file) == best]
    sizes = {path.stat().st_size for path, _ in equals}
    if len(sizes) > 1:
        first, second = (path.relative_to(folder) for path, _ in equals[:2])
        raise CorpusError(folder, f"contains two different files of one clip: {first} and {second}", "remove one")
    return equals[0]


def short_list(names: Sequence[str]) -> str:
    """The first five names, and how many more there are.

    Args:
        names: Any number of names.

    Example:
        >>> short_list(["a", "b"])
        'a, b'
    """
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
