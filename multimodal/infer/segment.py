"""Which part of a recording is judged, where it is not the whole: a task out of a long session, one answer of many."""

from __future__ import annotations

from dataclasses import replace

from multimodal.data.transcripts.files import Transcript
from multimodal.errors import ConfigError, TranscriptError
from multimodal.types import MediaInfo, Utterance


def select_segment(media: MediaInfo, start_seconds: float | None, end_seconds: float | None) -> MediaInfo:
    """Notes with a recording's facts which part of it is to be read.

    Args:
        media: Facts of the recording.
        start_seconds: Where the part begins; None for the beginning.
        end_seconds: Where it ends; None, or a time behind the end, for the end.

    Returns:
        The same facts with their ``stretch``; unchanged where neither is given.

    Raises:
        ConfigError: The part would be empty, or begins behind the end; or the input has no times.

    Example:
        >>> from pathlib import Path
        >>> talk = MediaInfo(Path("talk.wav"), "ab" * 32, 60.0, None, None, None, False, True)
        >>> select_segment(talk, 45.0, 75.0).segment
        (45.0, 60.0)
    """
    if start_seconds is None and end_seconds is None:
        return media
    if not media.duration_seconds:
        fact = "has words without times, so no stretch of it can be chosen"
        raise ConfigError(media.path, fact, "leave start and end out")
    start = 0.0 if start_seconds is None else start_seconds
    end = media.duration_seconds if end_seconds is None else min(end_seconds, media.duration_seconds)
    if not 0 <= start < (end if end_seconds is None else end_seconds):
        fact = f"is asked for from {start:g} s to {end:g} s"
        raise ConfigError(media.path, fact, "give a start that is at least 0 and before the end")
    if start >= media.duration_seconds:
        fact = f"ends at {media.duration_seconds:.1f} s, before the start of the stretch at {start:g} s"
        raise ConfigError(media.path, fact, "correct the start")
    return replace(media, segment=(start, end))


def crop_transcript(words: Transcript, media: MediaInfo) -> Transcript:
    """Keeps the utterances whose middle lies in the part that is read, cut to it; their words stay whole.

    So stretches that follow each other share out the utterances, each to exactly one of them.

    Args:
        words: Who said what when.
        media: Facts of the recording.

    Returns:
        The transcript, unchanged where the whole is read.

    Raises:
        TranscriptError: It states no times.
    """
    if media.segment is None:
        return words
    if not words.timed:
        fact = "has words without times, so nobody can tell which belong to the stretch"
        raise TranscriptError(media.path, fact, "leave start and end out, or give a transcript with times")
    start, end = media.segment
    kept = [each for each in words.utterances if start <= (each.start_seconds + each.end_seconds) / 2 < end]
    cut = [_cut(each, start, end) for each in kept]
    return replace(words, utterances=tuple(cut))


def _cut(utterance: Utterance, start: float, end: float) -> Utterance:
    inside = (max(utterance.start_seconds, start), min(utterance.end_seconds, end))
    return replace(utterance, start_seconds=inside[0], end_seconds=inside[1])
