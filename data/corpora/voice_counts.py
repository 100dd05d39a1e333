"""How many clips each acted corpus was published with, per speaker, and the check of a folder against it.

A folder may hold some of the speakers only; those that are there must be whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from multimodal.data.corpora.voice_clip import VoiceClip
from multimodal.data.emotions import NATIVE_LABELS
from multimodal.errors import CorpusError


def _each(corpus: str, clips: int, **others: int) -> Mapping[str, int]:
    return {label: others.get(label, clips) for label in NATIVE_LABELS[corpus]}


EACH_SPEAKER: Mapping[str, Mapping[str, int]] = {
    "ravdess": _each("ravdess", 8, neutral=4),  # neutral has no strong intensity
    "banglaser": _each("banglaser", 9),  # 3 statements, 3 repetitions
    "tess": _each("tess", 200),
    "crema_d": _each("crema_d", 14, neutral=12),  # 12 sentences, one of them on three levels
    "savee": _each("savee", 15, neutral=30),
}
"""Clips per speaker and native label: 1,440 of RAVDESS's 24 actors, 2,800 of TESS's 2, 480 of SAVEE's 4."""

EMODB_SPEAKERS: Mapping[str, tuple[int, ...]] = {
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
"""EmoDB's 535 clips in the order of its native labels; what listeners did not recognize was not published."""

MAY_DIFFER = {"banglaser": 1, "crema_d": 40}
"""Clips by which a release itself differs from its design: BanglaSER's speaker 19 has 8 neutral clips of 9; CREMA-D has
7,442 clips where 91 actors with 82 each would have 7,462, and single actors lack some."""

CREMA_D_CLIPS, CREMA_D_ACTORS = 7442, 91


def expected_counts(corpus: str, speaker: str, found: Mapping[str, int]) -> Mapping[str, int]:
    """Clips that a speaker was published with.

    Args:
        corpus: Its key.
        speaker: As in ``VoiceClip.speaker``.
        found: The speaker's clips per native label. Seven of BanglaSER's 34 speakers were not recorded neutral.

    Returns:
        Clips per native label.

    Example:
        >>> sum(expected_counts("ravdess", "ravdess-07", {}).values())
        60
    """
    if corpus == "emodb":
        counts = EMODB_SPEAKERS[speaker.removeprefix("emodb-")]
        return dict(zip(NATIVE_LABELS["emodb"], counts, strict=True))
    expected = dict(EACH_SPEAKER[corpus])
    if corpus == "banglaser" and not found.get("neutral"):
        expected["neutral"] = 0
    return expected


def check_published(corpus: str, folder: Path, clips: Sequence[VoiceClip]) -> None:
    """Compares the clips of an acted corpus with the published counts.

    Args:
        corpus: Its key.
        folder: Where it lies, for the message.
        clips: What was read from it.

    Raises:
        CorpusError: A speaker is incomplete, or has clips too many.
    """
    speakers = sorted({clip.speaker for clip in clips})
    found = {speaker: Counter(clip.native_label for clip in clips if clip.speaker == speaker) for speaker in speakers}
    expected = {speaker: expected_counts(corpus, speaker, found[speaker]) for speaker in speakers}
    wrong = {speaker: _differences(found[speaker], expected[speaker]) for speaker in speakers}
    total = sum(sum(counts.values()) for counts in expected.values())
    if corpus == "crema_d" and len(speakers) == CREMA_D_ACTORS and len(clips) != CREMA_D_CLIPS:
        raise _differs(folder, len(clips), CREMA_D_CLIPS, speakers, wrong)
    if sum(sum(line.values()) for line in wrong.values()) > MAY_DIFFER.get(corpus, 0):
        raise _differs(folder, len(clips), total, speakers, wrong)


def _differences(found: Mapping[str, int], expected: Mapping[str, int]) -> Mapping[str, int]:
    """Clips too few or too many, per label."""
    apart = {label: abs(found.get(label, 0) - count) for label, count in expected.items()}
    return {label: clips for label, clips in apart.items() if clips}


def _differs(
    folder: Path, found: int, expected: int, speakers: Sequence[str], wrong: Mapping[str, Mapping[str, int]]
) -> CorpusError:
    named = [f"{speaker} in {', '.join(labels)}" for speaker, labels in wrong.items() if labels]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    where = f"; they differ for {'; '.join(named[:3])}{more}" if named else ""
    fact = f"holds {found:,} clips of {len(speakers)} speakers, published are {expected:,} of these{where}"
    return CorpusError(folder, fact, "unpack the corpus again, or read it as it is with check_counts=False")
