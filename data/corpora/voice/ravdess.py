"""RAVDESS: 24 North American actors, two sentences, eight emotions in English (Livingstone and Russo 2018)."""

from __future__ import annotations

import re
from pathlib import Path

from multimodal.data.corpora.voice.corpus import ClipName, VoiceCorpus, per_speaker

CODES = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}  # fmt: skip

ACTORS = range(1, 25)

_NAME = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<code>0[1-8])-(?P<take>0[12]-0[12]-0[12])-(?P<actor>\d\d)"
)


def read_name(path: Path) -> ClipName | None:
    """Reads ``03-01-05-02-01-02-12.wav``: modality, channel, emotion, intensity, statement, repetition, actor.

    Actors with odd numbers are male. The sound of a video (modality 01) is the same recording as the sound file
    (modality 03), which is preferred. Songs (channel 02) and silent videos (modality 02) are not speech clips.

    Args:
        path: The file.

    Returns:
        The content of the name; None for a file that is not a speech clip.

    Example:
        >>> read_name(Path("Actor_12/03-01-05-02-01-02-12.WAV")).sex
        'female'
    """
    match = _NAME.fullmatch(path.stem)
    if match is None or is_excluded(path) or int(match["actor"]) not in ACTORS:
        return None
    rank = 0 if match["modality"] == "03" else 1
    sex = "male" if int(match["actor"]) % 2 else "female"
    return ClipName(match["actor"], match["code"], match["take"], sex, rank)


def is_excluded(path: Path) -> bool:
    """Whether a file is a song or a silent video of the corpus.

    Args:
        path: The file.

    Returns:
        True for a valid name that is not a speech clip.

    Example:
        >>> is_excluded(Path("03-02-05-02-01-02-12.wav"))
        True
    """
    match = _NAME.fullmatch(path.stem)
    return match is not None and (match["channel"] == "02" or match["modality"] == "02")


RAVDESS = VoiceCorpus(
    name="ravdess",
    codes=CODES,
    # Calm counts as neutral: it was recorded as a second baseline.
    to_fused={
        "neutral": "neutral", "calm": "neutral", "happy": "happiness", "sad": "sadness",
        "angry": "anger", "fearful": "fear", "disgust": "disgust", "surprised": "surprise",
    },
    license="CC BY-NC-SA 4.0",
    weights_license=(
        "CC BY-NC-SA 4.0, because RAVDESS is: non-commercial use, with attribution, shared alike; "
        "for commercial use train without RAVDESS"
    ),
    source="Livingstone and Russo 2018, https://doi.org/10.1371/journal.pone.0196391",
    example="03-01-05-01-02-01-12.wav",
    read_name=read_name,
    is_excluded=is_excluded,
    speaker_counts=per_speaker(tuple(CODES.values()), 8, neutral=4),  # neutral has no strong intensity
)  # fmt: skip
"""1,440 speech clips of 24 actors."""
