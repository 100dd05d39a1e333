"""SAVEE: four British men, 15 sentences per emotion, seven emotions in English (Haq and Jackson 2009)."""

from __future__ import annotations

import re
from pathlib import Path

from multimodal.data.corpora.voice.corpus import ClipName, VoiceCorpus, per_speaker

CODES = {
    "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
}  # fmt: skip

SPEAKERS = ("DC", "JE", "JK", "KL")

_NAME = re.compile(r"(?:(?P<speaker>DC|JE|JK|KL)_?)?(?P<code>sa|su|[adfhn])(?P<sentence>\d\d)", re.IGNORECASE)


def read_name(path: Path) -> ClipName | None:
    """Reads ``DC_a01.wav``, or ``a01.wav`` in a folder ``DC``: speaker, emotion, sentence.

    Args:
        path: The file, with its folders.

    Returns:
        The content of the path; None for a file that is not of this corpus.

    Example:
        >>> read_name(Path("AudioData/KL/su07.wav"))
        ClipName(speaker='KL', code='su', take='07', sex='male', rank=0)
    """
    match = _NAME.fullmatch(path.stem)
    folders = [part for part in reversed(path.parts[:-1]) if part.upper() in SPEAKERS]
    if match is None or not (match["speaker"] or folders):
        return None
    return ClipName((match["speaker"] or folders[0]).upper(), match["code"].lower(), match["sentence"], "male")


SAVEE = VoiceCorpus(
    name="savee",
    codes=CODES,
    to_fused={label: label for label in CODES.values()},
    license="research use, by its license agreement",
    source="Haq and Jackson 2009, AudioData/Info.txt of the release",
    example="DC_a01.wav",
    read_name=read_name,
    speaker_counts=per_speaker(tuple(CODES.values()), 15, neutral=30),
)
"""480 clips of four speakers."""
