"""TESS: two Canadian actresses, 200 words, seven emotions in English (Pichora-Fuller and Dupuis 2020)."""

from __future__ import annotations

import re
from pathlib import Path

from multimodal.data.corpora.voice.corpus import ClipName, VoiceCorpus, per_speaker

CODES = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy",
    "ps": "pleasant surprise", "sad": "sad", "neutral": "neutral",
}  # fmt: skip

_NAME = re.compile(
    r"(?P<actress>[OY])AF?_(?P<word>.+)_(?P<code>angry|disgust|fear|happy|neutral|sad|ps)", re.IGNORECASE
)


def read_name(path: Path) -> ClipName | None:
    """Reads ``OAF_back_angry.wav``: actress (older or younger), word, emotion; ``ps`` is pleasant surprise.

    The release spells one file without its third letter (``OA_bite_neutral.wav``) and its folders in several ways, so
    folders are not read.

    Args:
        path: The file.

    Returns:
        The content of the name; None for a file that is not of this corpus.

    Example:
        >>> read_name(Path("YAF_pleasant_surprised/YAF_back_ps.wav")).speaker
        'YAF'
    """
    match = _NAME.fullmatch(path.stem)
    if match is None:
        return None
    return ClipName(f"{match['actress'].upper()}AF", match["code"].lower(), match["word"].lower(), "female")


TESS = VoiceCorpus(
    name="tess",
    codes=CODES,
    to_fused={
        "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
        "pleasant surprise": "surprise", "sad": "sadness", "neutral": "neutral",
    },
    license="CC BY-NC-ND 4.0",
    source="Pichora-Fuller and Dupuis 2020, https://doi.org/10.5683/SP2/E8H2MF",
    example="OAF_back_angry.wav",
    read_name=read_name,
    speaker_counts=per_speaker(tuple(CODES.values()), 200),
)  # fmt: skip
"""2,800 clips of two speakers."""
