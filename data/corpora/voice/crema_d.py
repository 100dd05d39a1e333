"""CREMA-D: 91 actors in the United States, twelve sentences, six emotions in English (Cao et al. 2014)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from multimodal.data.corpora.voice.clip import SEXES
from multimodal.data.corpora.voice.corpus import ClipName, VoiceCorpus, per_speaker

CODES = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}

ACTORS = range(1001, 1092)

_NAME = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<code>[A-Z]{3})_(?P<level>LO|MD|HI|XX?)")


def read_name(path: Path) -> ClipName | None:
    """Reads ``1001_DFA_ANG_XX.wav``: actor, sentence, emotion, level (``1040_ITH_SAD_X.wav`` lacks an X).

    Args:
        path: The file.

    Returns:
        The content of the name, without the sex; None for a file that is not of this corpus.

    Example:
        >>> read_name(Path("AudioWAV/1001_IEO_HAP_HI.wav")).take
        'IEO_HI'
    """
    match = _NAME.fullmatch(path.stem.upper())
    if match is None or int(match["actor"]) not in ACTORS:
        return None
    return ClipName(match["actor"], match["code"], f"{match['sentence']}_{match['level']:X<2}", None)


def read_sexes(folder: Path) -> Mapping[str, str]:
    """Reads the sex of each actor from ``VideoDemographics.csv``, if it lies in the folder or next to it.

    Args:
        folder: The corpus folder.

    Returns:
        Actor to ``female`` or ``male``; empty without the table.

    Example:
        >>> read_sexes(Path("nowhere"))
        {}
    """
    for table in (folder / "VideoDemographics.csv", folder.resolve().parent / "VideoDemographics.csv"):
        if table.is_file():
            with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                rows = [(row.get("ActorID") or "", (row.get("Sex") or "").lower()) for row in csv.DictReader(file)]
            return {actor.strip(): sex.strip() for actor, sex in rows if sex.strip() in SEXES}
    return {}


CREMA_D = VoiceCorpus(
    name="crema_d",
    codes=CODES,
    to_fused={
        "anger": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
        "neutral": "neutral", "sad": "sadness",
    },
    license="ODbL 1.0",
    source="Cao et al. 2014, https://doi.org/10.1109/TAFFC.2014.2336244",
    example="1001_DFA_ANG_XX.wav",
    read_name=read_name,
    speaker_counts=per_speaker(tuple(CODES.values()), 14, neutral=12),  # one of the 12 sentences has three levels
    tolerance=40,  # some actors lack single clips: 91 actors with 82 clips each would be 7,462
    whole=(7442, 91),
    sexes=read_sexes,
)  # fmt: skip
"""7,442 clips of 91 speakers."""
