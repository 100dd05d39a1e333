"""Combines the results of all modalities into the analysis of a recording."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import MediaError
from multimodal.fusion.change_points import picture_changes
from multimodal.fusion.segments import estimate_segments, fill_gaps, windows
from multimodal.infer.fusion import fuse
from multimodal.models.selection import FUSION, PARTS
from multimodal.models.weights import Weights
from multimodal.types import MediaInfo, Utterance

if TYPE_CHECKING:
    from multimodal.data.transcripts.files import Transcript
    from multimodal.infer.audio import AudioResult
    from multimodal.infer.face import FaceResult
    from multimodal.infer.text import TextResult


@dataclass(frozen=True)
class ModalityResults:
    """Results of one input; None for a modality that is not in use, is missing or cannot be decoded.

    Attributes:
        transcript: Who said what, and when.
        text: Text encodings of its utterances.
        audio: Audio encodings of the speech.
        face: Faces in the sampled frames.
        warnings: One line per missing part.
        speakers_selected: Whether the transcript holds only selected speakers; their utterances are then the only
            segments, and only frames within them count.
    """

    transcript: Transcript | None = None
    text: TextResult | None = None
    audio: AudioResult | None = None
    face: FaceResult | None = None
    warnings: tuple[str, ...] = ()
    speakers_selected: bool = False


def combine(
    media: MediaInfo, results: ModalityResults, parts: Mapping[str, Weights], face_id: int | None = None
) -> Analysis:
    """Assigns everything to segments and fuses the modalities of each.

    Args:
        media: Facts of the recording.
        results: Results of each modality.
        parts: Part to its weights.
        face_id: The face to analyze; None for the largest face of each segment.

    Returns:
        The analysis.

    Raises:
        MediaError: The video does not show the face ``face_id``.
    """
    if face_id is not None:
        _check_face(media, results.face, face_id)
    parts = _as_used(parts, results.audio)
    if results.speakers_selected and results.face and results.transcript:
        results = replace(results, face=_within(results.transcript.utterances, results.face))
    audio = dict(results.audio.encodings) if results.audio else {}
    text = dict(results.text.encodings) if results.text else {}
    faces, times = (results.face.faces, results.face.times) if results.face else ((), ())
    segments = _segments(media, results, face_id)
    estimates = estimate_segments(segments, faces, audio, text, face_id, times)
    fused = fuse(estimates, faces, times, parts)
    # Without an utterance of a selected speaker nothing was analyzed: that nobody speaks or is seen is not known.
    empty = results.speakers_selected and not (results.transcript and results.transcript.utterances)
    # Without one utterance in its language the text encoder was not used.
    used = {
        "face": results.face is not None and not empty,
        "audio": results.audio is not None and not empty,
        "text": bool(text),
    }
    models = {part: _identity(parts[part]) if used.get(part) else None for part in PARTS} | {FUSION: fused.model}
    identity = models["audio"]
    if identity is not None and results.audio is not None and results.audio.speech_encoder is not None:
        models["audio"] = {**identity, "speech_encoder": results.audio.speech_encoder}
    parts_read = (results.transcript, results.text, results.audio, results.face)
    lines = [line for result in parts_read if result is not None for line in result.warnings]
    warnings = tuple(dict.fromkeys([*lines, *results.warnings, *fused.warnings]))
    source = fused.valence_arousal
    baseline = results.face.baseline if results.face else None
    return Analysis(
        media, models, FUSED_LABELS, times, faces, fused.estimates, warnings, source, face_id, baseline=baseline
    )


def timed_utterances(transcript: Transcript | None) -> tuple[Utterance, ...] | None:
    """The utterances of a transcript that says who speaks when; None without such a transcript.

    Args:
        transcript: A transcript; None without one.

    Returns:
        The utterances in order of time.
    """
    return transcript.utterances or None if transcript is not None and transcript.timed else None


def _segments(media: MediaInfo, results: ModalityResults, face_id: int | None) -> list[Utterance]:
    """The segments of a recording: its utterances, and windows of the silence, which follow the changes of the face."""
    utterances = list(results.transcript.utterances) if results.transcript else []
    if timed_utterances(results.transcript) is None and results.audio:
        utterances += dict(results.audio.encodings)
    start, end = media.read_start_seconds, media.read_end_seconds
    if results.face and not results.speakers_selected:  # only a face can show an emotion in silence
        changes = picture_changes(results.face.faces, results.face.times, face_id)
        segments = fill_gaps(utterances, end, start, changes)
    else:
        segments = sorted(utterances, key=lambda utterance: utterance.start_seconds)
    return segments or windows(end, start_seconds=start)


def _within(utterances: Sequence[Utterance], face: FaceResult) -> FaceResult:
    """The frames during utterances, and the faces in them."""
    inside = set[float]()
    for utterance in utterances:
        first, end = (bisect_left(face.times, time) for time in (utterance.start_seconds, utterance.end_seconds))
        inside.update(face.times[first:end])
    times = tuple(time for time in face.times if time in inside)
    return replace(face, times=times, faces=tuple(each for each in face.faces if each.time_seconds in inside))


def _as_used(parts: Mapping[str, Weights], audio: AudioResult | None) -> Mapping[str, Weights]:
    """The parts with the audio calibration that holds where a speech encoder was used."""
    if audio is None or audio.speech_encoder is None:
        return parts
    weights = parts["audio"]
    return {**parts, "audio": replace(weights, spec=weights.spec.with_speech())}


def _identity(weights: Weights) -> dict[str, str]:
    return {"name": weights.name, "sha256": weights.sha256}


def _check_face(media: MediaInfo, face: FaceResult | None, face_id: int) -> None:
    """Raises MediaError unless the video shows that face."""
    face_ids = sorted({each.face_id for each in face.faces}) if face else []
    if not face_ids:
        raise MediaError(media.path, "shows no face", "remove --face")
    if face_id not in face_ids:
        fact = f"shows no face {face_id}, only {', '.join(map(str, face_ids))}"
        raise MediaError(media.path, fact, "choose one of them with --face")
