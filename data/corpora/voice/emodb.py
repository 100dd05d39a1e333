"""EmoDB: ten German actors, ten sentences, seven emotions (Burkhardt et al. 2005)."""

from __future__ import annotations

import re
from pathlib import Path

from multimodal.data.corpora.voice.corpus import ClipName, Counts, VoiceCorpus

CODES = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
"""The letters are the initials of the German words."""

SEXES = {
    **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
    **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
}

PUBLISHED = {
    "03": (14, 5, 1, 4, 7, 7, 11),
    "08": (12, 10, 0, 6, 11, 9, 10),
    "09": (13, 4, 8, 1, 4, 4, 9),
    "10": (10, 8, 1, 8, 4, 3, 4),
    "11": (11, 8, 2, 10, 8, 7, 9),
    "12": (12, 5, 2, 6, 2, 4, 4),
    "13": (12, 10, 8, 7, 10, 5, 9),
    "14": (16, 8, 8, 12, 8, 10, 7),
    "15": (13, 9, 5, 8, 6, 4, 11),
    "16": (14, 14, 11, 7, 11, 9, 5),
}
"""Clips of each speaker in the order of ``CODES``, 535 in all; clips that listeners did not recognize were dropped."""

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[AB]\d\d)(?P<code>[WLEAFTN])(?P<version>[A-Z]?)")


def read_name(path: Path) -> ClipName | None:
    """Reads ``03a01Fa.wav``: speaker, sentence, letter of the emotion, version.

    Args:
        path: The file.

    Returns:
        The content of the name; None for a file that is not of this corpus.

    Example:
        >>> read_name(Path("wav/03a01Fa.wav"))
        ClipName(speaker='03', code='F', take='a01a', sex='male', rank=0)
    """
    match = _NAME.fullmatch(path.stem.upper())
    if match is None or match["speaker"] not in SEXES:
        return None
    take = (match["sentence"] + match["version"]).lower()
    return ClipName(match["speaker"], match["code"], take, SEXES[match["speaker"]])


def speaker_counts(speaker: str, actual: Counts) -> Counts:
    """The published clips of one speaker.

    Args:
        speaker: Its number.
        actual: Clips per label that were read; not used.

    Returns:
        Clips per label.

    Example:
        >>> speaker_counts("03", {})["anger"]
        14
    """
    return dict(zip(CODES.values(), PUBLISHED[speaker], strict=True))


EMODB = VoiceCorpus(
    name="emodb",
    codes=CODES,
    # Boredom has no counterpart among the seven.
    to_fused={
        "anger": "anger", "boredom": None, "disgust": "disgust", "fear": "fear",
        "happiness": "happiness", "sadness": "sadness", "neutral": "neutral",
    },
    license="CC0 in its current release",
    source="Burkhardt et al. 2005, http://emodb.bilderbar.info/docu",
    example="03a01Fa.wav",
    read_name=read_name,
    speaker_counts=speaker_counts,
)  # fmt: skip
"""535 clips of ten speakers."""
