"""Corpora of emotional voices, read as they are published: who speaks in each clip, and with which emotion.

``read_voices`` gives the clips of one corpus, ``load_waveforms`` their sound, ``split_by_speaker`` parts that share no
speaker. The tables from each corpus's labels onto the seven stand in ``data.emotions``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from multimodal.data.corpora.iemocap import read_iemocap_clips
from multimodal.data.corpora.speaker_splits import SpeakerFold, split_by_speaker
from multimodal.data.corpora.voice_clip import SEXES, SOUND_SUFFIXES, VoiceClip, check_content, sound_files
from multimodal.data.corpora.voice_counts import check_published
from multimodal.data.corpora.voice_filenames import EXAMPLES, READ_NAME, ClipName, is_excluded
from multimodal.data.corpora.voice_manifest import read_manifest
from multimodal.data.corpora.waveforms import Waveforms, load_waveform, load_waveforms, read_pack
from multimodal.data.emotions import NATIVE_LABELS, VOICE_CODES
from multimodal.errors import CorpusError

__all__ = [
    "NATIVE_LABELS",
    "VOICE_CORPORA",
    "SpeakerFold",
    "VoiceClip",
    "Waveforms",
    "load_waveform",
    "load_waveforms",
    "read_pack",
    "read_voices",
    "split_by_speaker",
]

Found = list[tuple[Path, ClipName]]


def read_voices(corpus: str, folder: Path, *, check_counts: bool = True) -> list[VoiceClip]:
    """Reads the clips of one corpus, without decoding them.

    Files are found in the folder and below, whatever the case of their suffix; hidden ones are passed over. RAVDESS's
    songs and silent videos are passed over. A clip that lies there more than once is read once: sound before video,
    ``.wav`` before other formats. The order does not depend on the layout.

    Args:
        corpus: Key of ``VOICE_CORPORA``.
        folder: What the corpus was unpacked to; for a manifest, the CSV file or the folder with ``manifest.csv``.
        check_counts: Whether to insist on the published number of clips for every speaker that is there, and to refuse
            sound with names of another form. Otherwise such files are passed over.

    Returns:
        The clips, those without a fused label included, in order of speaker and name.

    Raises:
        CorpusError: There is no such corpus or folder, it holds no clip, a file is empty, two files that claim to be
            one clip differ in size, or a check failed.

    Example:
        >>> clips = read_voices("ravdess", Path("ravdess"))                            # doctest: +SKIP
        >>> clips[0].speaker, clips[0].native_label                                    # doctest: +SKIP
        ('ravdess-01', 'neutral')
    """
    if corpus not in VOICE_CORPORA:
        remedy = f"choose one of {', '.join(VOICE_CORPORA)}"
        raise CorpusError(folder, f"cannot be read as {corpus!r}, which is no corpus of voices known here", remedy)
    clips = VOICE_CORPORA[corpus](Path(folder), check_counts)
    check_content(Path(folder), clips)
    return clips


def _read_named(corpus: str, folder: Path, check_counts: bool) -> list[VoiceClip]:
    """Reads a corpus whose file names say everything."""
    found, passed, unknown = _read_names(corpus, folder)
    if unknown and found and check_counts:
        fact = f"holds {len(unknown)} files with names of another form than {EXAMPLES[corpus]}: {_listed(unknown)}"
        remedy = "move them elsewhere, or pass them over with check_counts=False"
        raise CorpusError(folder, fact, remedy)
    if not found:
        others = f" ({passed} songs or silent videos, {len(unknown)} others)" if passed or unknown else ""
        remedy = "name the folder that the corpus was unpacked to"
        raise CorpusError(folder, f"holds no clip of speech named like {EXAMPLES[corpus]}{others}", remedy)
    sexes = _crema_d_sexes(folder) if corpus == "crema_d" else {}
    clips = [
        VoiceClip.of(corpus, path, name.speaker, VOICE_CODES[corpus][name.code], name.sex or sexes.get(name.speaker))
        for path, name in _once(folder, found)
    ]
    if check_counts:
        check_published(corpus, folder, clips)
    return clips


def _read_names(corpus: str, folder: Path) -> tuple[Found, int, list[str]]:
    """The named clips, how many files are of another part of the corpus, and the names of those of another form."""
    found: Found = []
    passed, unknown = 0, []
    root = folder.resolve().name  # which may be a speaker's
    for path in sound_files(folder):
        below = path.relative_to(folder)
        name = READ_NAME[corpus](root / below)
        if name is not None and name.code in VOICE_CODES[corpus]:
            found.append((path, name))
        elif is_excluded(corpus, path):
            passed += 1
        else:
            unknown.append(below.as_posix())
    return found, passed, unknown


def _once(folder: Path, found: Found) -> Found:
    """Each clip once, in order of speaker and name."""
    copies: dict[tuple[str, str, str], Found] = defaultdict(list)
    for path, name in found:
        copies[name.speaker, name.code, name.take].append((path, name))
    return [_preferred(folder, files) for _, files in sorted(copies.items())]


def _preferred(folder: Path, files: Found) -> tuple[Path, ClipName]:
    def preference(file: tuple[Path, ClipName]) -> tuple[int, int]:
        return file[1].rank, SOUND_SUFFIXES.index(file[0].suffix.lower())

    best = min(map(preference, files))
    equals = [file for file in files if preference(file) == best]
    sizes = {path.stat().st_size for path, _ in equals}
    if len(sizes) > 1:
        first, second = (path.relative_to(folder) for path, _ in equals[:2])
        raise CorpusError(folder, f"holds one clip twice, not alike: {first} and {second}", "remove one of them")
    return equals[0]


def _crema_d_sexes(folder: Path) -> Mapping[str, str]:
    """Sex of each actor, where the release's table lies in the folder or beside it."""
    for table in (folder / "VideoDemographics.csv", folder.resolve().parent / "VideoDemographics.csv"):
        if table.is_file():
            with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                rows = [(row.get("ActorID") or "", (row.get("Sex") or "").lower()) for row in csv.DictReader(file)]
            return {actor.strip(): sex.strip() for actor, sex in rows if sex.strip() in SEXES}
    return {}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


VOICE_CORPORA: Mapping[str, Callable[[Path, bool], list[VoiceClip]]] = {
    **{corpus: partial(_read_named, corpus) for corpus in READ_NAME},
    "iemocap": read_iemocap_clips,
    "manifest": lambda folder, check_counts: read_manifest(folder),
}
"""Corpus to its reader. What each is and where it comes from stands beside its codes in ``data.emotions``."""
