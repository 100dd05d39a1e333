"""File names of the acted corpora: who speaks, with which emotion, and which files are copies of each other.

A name is read without regard to case, and wherever below the corpus folder the file lies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple


class ClipName(NamedTuple):
    """What a path says about a clip.

    Attributes:
        speaker: Number or name within the corpus.
        code: Key of the corpus's ``VOICE_CODES``.
        take: The rest, which tells the clips of one speaker and emotion apart.
        sex: ``female``, ``male`` or None.
        rank: Of several files with one clip, those with the least rank are preferred.
    """

    speaker: str
    code: str
    take: str
    sex: str | None
    rank: int = 0


ReadName = Callable[[Path], ClipName | None]

_RAVDESS = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<code>0[1-8])-(?P<take>0[12]-0[12]-0[12])-(?P<actor>\d\d)"
)
_BANGLASER = re.compile(r"0[13]-01-(?P<code>0[1-5])-(?P<take>0[12]-0[123]-0[123])-(?P<actor>\d\d)")
_EMODB = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[AB]\d\d)(?P<code>[WLEAFTN])(?P<version>[A-Z]?)")
_TESS = re.compile(
    r"(?P<actress>[OY])AF?_(?P<word>.+)_(?P<code>angry|disgust|fear|happy|neutral|sad|ps)", re.IGNORECASE
)
_CREMA_D = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<code>[A-Z]{3})_(?P<level>LO|MD|HI|XX?)")
_SAVEE = re.compile(r"(?:(?P<speaker>DC|JE|JK|KL)_?)?(?P<code>sa|su|[adfhn])(?P<sentence>\d\d)", re.IGNORECASE)

_EMODB_SEX = {
    **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
    **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
}
RAVDESS_ACTORS, BANGLASER_ACTORS, CREMA_D_ACTORS = range(1, 25), range(1, 35), range(1001, 1092)
SAVEE_SPEAKERS = ("DC", "JE", "JK", "KL")


def _sex(actor: int) -> str:
    return "male" if actor % 2 else "female"


def read_ravdess_name(path: Path) -> ClipName | None:
    """``03-01-05-02-01-02-12.wav``: modality, channel, emotion, intensity, statement, repetition, actor (odd: male).

    The sound of a video (modality 01) is the same recording as the sound alone (03), which is preferred. Song
    (channel 02) and silent video (modality 02) are no clips of speech.

    Args:
        path: The file.

    Returns:
        What the name says; None where it is none of a speech clip.

    Example:
        >>> read_ravdess_name(Path("Actor_12/03-01-05-02-01-02-12.WAV")).sex
        'female'

    Source: Livingstone and Russo 2018, https://doi.org/10.1371/journal.pone.0196391.
    """
    match = _RAVDESS.fullmatch(path.stem)
    if match is None or is_excluded("ravdess", path) or int(match["actor"]) not in RAVDESS_ACTORS:
        return None
    rank = 0 if match["modality"] == "03" else 1
    return ClipName(match["actor"], match["code"], match["take"], _sex(int(match["actor"])), rank)


def read_banglaser_name(path: Path) -> ClipName | None:
    """RAVDESS's order of fields with three statements and three repetitions; odd speakers are male.

    Three clips of speaker 15 begin with 01 instead of 03 and are taken like the others. That odd is male was measured:
    among speakers 1 to 28, the median pitch of an odd one is 133 to 199 Hz, of an even one 203 to 295 Hz.

    Args:
        path: The file.

    Returns:
        What the name says; None where it is none of this corpus.

    Example:
        >>> read_banglaser_name(Path("01-01-04-02-03-01-15.flac")).code
        '04'

    Source: Das et al. 2022, https://doi.org/10.1016/j.dib.2022.108091.
    """
    match = _BANGLASER.fullmatch(path.stem)
    if match is None or int(match["actor"]) not in BANGLASER_ACTORS:
        return None
    return ClipName(match["actor"], match["code"], match["take"], _sex(int(match["actor"])))


def read_emodb_name(path: Path) -> ClipName | None:
    """``03a01Fa.wav``: speaker, sentence, letter of the German word for the emotion, version.

    Args:
        path: The file.

    Returns:
        What the name says; None where it is none of this corpus.

    Example:
        >>> read_emodb_name(Path("wav/03a01Fa.wav"))
        ClipName(speaker='03', code='F', take='a01a', sex='male', rank=0)

    Source: http://emodb.bilderbar.info/docu.
    """
    match = _EMODB.fullmatch(path.stem.upper())
    if match is None or match["speaker"] not in _EMODB_SEX:
        return None
    take = (match["sentence"] + match["version"]).lower()
    return ClipName(match["speaker"], match["code"], take, _EMODB_SEX[match["speaker"]])


def read_tess_name(path: Path) -> ClipName | None:
    """``OAF_back_angry.wav``: actress (older or younger), word, emotion; ``ps`` is pleasant surprise.

    The release has one file that lacks a letter, ``OA_bite_neutral.wav``, and spells its folders in several ways; they
    are not read.

    Args:
        path: The file.

    Returns:
        What the name says; None where it is none of this corpus.

    Example:
        >>> read_tess_name(Path("YAF_pleasant_surprised/YAF_back_ps.wav")).speaker
        'YAF'

    Source: Pichora-Fuller and Dupuis 2020, https://doi.org/10.5683/SP2/E8H2MF.
    """
    match = _TESS.fullmatch(path.stem)
    if match is None:
        return None
    return ClipName(f"{match['actress'].upper()}AF", match["code"].lower(), match["word"].lower(), "female")


def read_crema_d_name(path: Path) -> ClipName | None:
    """``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, level (``1040_ITH_SAD_X.wav`` lacks an X).

    Args:
        path: The file.

    Returns:
        What the name says, without the sex, which stands in ``VideoDemographics.csv``; None for another name.

    Example:
        >>> read_crema_d_name(Path("AudioWAV/1001_IEO_HAP_HI.wav")).take
        'IEO_HI'

    Source: https://github.com/CheyneyComputerScience/CREMA-D.
    """
    match = _CREMA_D.fullmatch(path.stem.upper())
    if match is None or int(match["actor"]) not in CREMA_D_ACTORS:
        return None
    return ClipName(match["actor"], match["code"], f"{match['sentence']}_{match['level']:X<2}", None)


def read_savee_name(path: Path) -> ClipName | None:
    """``DC_a01.wav``, or ``a01.wav`` in a folder ``DC``: speaker (all are men), emotion, sentence.

    Args:
        path: The file.

    Returns:
        What the path says; None where it is none of this corpus.

    Example:
        >>> read_savee_name(Path("AudioData/KL/su07.wav"))
        ClipName(speaker='KL', code='su', take='07', sex='male', rank=0)

    Source: ``AudioData/Info.txt`` of the release.
    """
    match = _SAVEE.fullmatch(path.stem)
    folders = [part for part in reversed(path.parts[:-1]) if part.upper() in SAVEE_SPEAKERS]
    if match is None or not (match["speaker"] or folders):
        return None
    return ClipName((match["speaker"] or folders[0]).upper(), match["code"].lower(), match["sentence"], "male")


def is_excluded(corpus: str, path: Path) -> bool:
    """Whether a file belongs to another part of the corpus: RAVDESS's songs and its video without sound.

    Args:
        corpus: Its key.
        path: The file.

    Returns:
        True for a name that is known and not of a clip of speech.

    Example:
        >>> is_excluded("ravdess", Path("03-02-05-02-01-02-12.wav"))
        True
    """
    match = _RAVDESS.fullmatch(path.stem) if corpus == "ravdess" else None
    return match is not None and (match["channel"] == "02" or match["modality"] == "02")


READ_NAME: Mapping[str, ReadName] = {
    "ravdess": read_ravdess_name,
    "emodb": read_emodb_name,
    "banglaser": read_banglaser_name,
    "tess": read_tess_name,
    "crema_d": read_crema_d_name,
    "savee": read_savee_name,
}
"""Corpus to the function that reads its file names."""

EXAMPLES: Mapping[str, str] = {
    "ravdess": "03-01-05-01-02-01-12.wav",
    "emodb": "03a01Fa.wav",
    "banglaser": "03-01-03-02-03-01-15.wav",
    "tess": "OAF_back_angry.wav",
    "crema_d": "1001_DFA_ANG_XX.wav",
    "savee": "DC_a01.wav",
}
"""A name of each corpus, for messages."""
