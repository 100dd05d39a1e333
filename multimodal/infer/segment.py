"""Selects the part of a recording to analyze: one task of a long session, one answer of many."""

from __future__ import annotations

from dataclasses import replace

from multimodal.data.transcripts.files import Transcript
from multimodal.errors import ConfigError, TranscriptError
from multimodal.types import MediaInfo, Utterance


def select_segment(media: MediaInfo, start_seconds: float | None, end_seconds: float | None) -> MediaInfo:
    """Adds the segment to analyze to a recording's facts.

    Args:
        media: Facts of the recording.
        start_seconds: Start of the segment; None for the beginning.
        end_seconds: End of the segment; None, or a time after the end of the recording, for its end.

    Returns:
        The facts with the segment as ``segment``; unchanged if neither time is given.

    Raises:
        ConfigError: The segment is empty or starts after the end of the recording, or the input has no times.

    Example:
        >>> from pathlib import Path
        >>> talk = MediaInfo(Path("talk.wav"), "ab" * 32, 60.0, None, None, None, False, True)
        >>> select_segment(talk, 45.0, 75.0).segment
        (45.0, 60.0)
    """
    if start_seconds is None and end_seconds is None:
        return media
    if not media.duration_seconds:
        raise ConfigError(media.path, "has text without times, so no segment can be selected", "remove start and end")
    start = 0.0 if start_seconds is None else start_seconds
    end = media.duration_seconds if end_seconds is None else min(end_seconds, media.duration_seconds)
    if not 0 <= start < (end if end_seconds is None else end_seconds):
        fact = f"the segment from {start:g} s to {end:g} s is invalid"
        raise ConfigError(media.path, fact, "give a start that is at least 0 and before the end")
    if start >= media.duration_seconds:
        fact = f"ends at {media.duration_seconds:.1f} s, before the start of the segment at {start:g} s"
        raise ConfigError(media.path, fact, "correct the start")
    return replace(media, segment=(start, end))


def crop_transcript(transcript: Transcript, media: MediaInfo) -> Transcript:
    """Keeps the utterances with their middle in the segment; clips their times to it and leaves the text unchanged.

    Adjacent segments thus divide the utterances among them: each belongs to exactly one.

    Args:
        transcript: The transcript of the whole recording.
        media: Facts of the recording, with the segment.

    Returns:
        The transcript of the segment; unchanged if there is no segment.

    Raises:
        TranscriptError: There is a segment, and the transcript has no times.
    """
    if media.segment is None:
        return transcript
    if not transcript.timed:
        fact = "has a transcript without times, so no segment can be selected"
        raise TranscriptError(media.path, fact, "remove start and end, or give a transcript with times")
    start, end = media.segment
    inside = [each for each in transcript.utterances if start <= (each.start_seconds + each.end_seconds) / 2 < end]
    return replace(transcript, utterances=tuple(_clip(each, start, end) for each in inside))


def _clip(utterance: Utterance, start: float, end: float) -> Utterance:
    return replace(
        utterance, start_seconds=max(utterance.start_seconds, start), end_seconds=min(utterance.end_seconds, end)
    )
