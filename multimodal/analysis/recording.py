"""Finds the recording of an analysis and verifies that it is the same file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from multimodal.analysis.result import Analysis
from multimodal.errors import InputMissingError, MediaError, OutputError
from multimodal.types import MediaInfo


def find_recording(analysis: Analysis, media: Path | None = None) -> MediaInfo:
    """Finds the recording of an analysis at its original or a new path.

    Args:
        analysis: A new or a loaded analysis.
        media: Path of the recording; None for the path in the analysis.

    Returns:
        Facts of the file, freshly read, with the analysis's ``segment``.

    Raises:
        InputMissingError: The file does not exist.
        MediaError: The file is another recording, or the analysis is of text alone.

    Example:
        >>> find_recording(read_analysis("results/interview")).has_video            # doctest: +SKIP
        True
    """
    if not (analysis.media.has_video or analysis.media.has_audio):
        raise MediaError(analysis.media.path, "is text only, without video or audio", "choose a recording")
    from multimodal.data.media.probe import probe

    path = analysis.media.path if media is None else media
    if media is None and not exists(path):
        raise InputMissingError(path, "no longer exists", "pass the recording's new path with --media")
    info = probe(path)
    if info.sha256 != analysis.media.sha256:
        fact = "is not the recording that was analyzed (its sha256 differs)"
        raise MediaError(path, fact, "pass the right one with --media, or analyze this one")
    if analysis.media.segment is None:
        return info
    start, end = analysis.media.segment
    if not 0 <= start < min(end, info.duration_seconds):
        fact = f"does not contain the analyzed segment, {start:g} s to {end:g} s"
        raise MediaError(path, fact, "analyze it again")
    return replace(info, segment=(start, min(end, info.duration_seconds)))


def relocate(analysis: Analysis, media: Path) -> Analysis:
    """Returns the analysis with a new path of the recording.

    Args:
        analysis: A new or a loaded analysis.
        media: Path of the recording.

    Raises:
        MediaError: The file is another recording, or the analysis is of text alone.

    Example:
        >>> relocate(read_analysis("results/talk"), Path("archive/talk.mp4")).media.path.name       # doctest: +SKIP
        'talk.mp4'
    """
    path = find_recording(analysis, media).path
    return replace(analysis, media=replace(analysis.media, path=path))


def exists(path: Path) -> bool:
    """Whether a path exists; an untrusted path may be longer than the system allows.

    Args:
        path: Any path.

    Example:
        >>> exists(Path("a" * 9999))
        False
    """
    try:
        return path.exists()
    except OSError:
        return False


def refuse_overwrite(recording: Path, output: Path) -> None:
    """Raises an error if an output file would replace the recording.

    Args:
        recording: The file that is read.
        output: The file that will be written.

    Raises:
        OutputError: Both paths are the same file.

    Example:
        >>> refuse_overwrite(Path("talk.mp4"), Path("results/talk/overlay.mp4"))
    """
    try:
        same = recording.samefile(output)
    except OSError:  # one of them does not exist
        return
    if same:
        raise OutputError(output, "is the recording itself", "choose another folder")
