"""Analyzes the text of a recording, from its transcript or from speech-to-text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.data.media.audio import read_audio
from multimodal.data.media.container import open_file
from multimodal.data.speech.language import is_english
from multimodal.data.transcripts.files import SUFFIXES, Transcript, find_transcript, read_transcript
from multimodal.encoders.text import read_texts
from multimodal.errors import TranscriptError
from multimodal.models.weights import Weights
from multimodal.progress import Progress
from multimodal.types import EncodedUtterance, MediaInfo, ModalityEstimate, Utterance

if TYPE_CHECKING:
    from multimodal.data.speech.recognition import Recognizer

MOST_CHARACTERS = 100_000
"""Most characters of an utterance that are analyzed: two hours of speech at 15 characters a second. A line of 10 MB,
which no answer is, would take minutes and 4 GB for the states of its tokens."""


@dataclass(frozen=True)
class TextResult:
    """Text encodings of one recording.

    Attributes:
        encodings: Utterances that could be analyzed, with their encodings.
        warnings: One line for each limit of the result.
    """

    encodings: tuple[tuple[Utterance, EncodedUtterance], ...]
    warnings: tuple[str, ...]


def is_text_input(path: str | PathLike[str]) -> bool:
    """Whether an input is text, by its name: a transcript or typed answers instead of a recording.

    Args:
        path: Path of the input.

    Example:
        >>> is_text_input("answer.txt"), is_text_input("interview.VTT"), is_text_input("interview.mp4")
        (True, True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def read_text_input(path: str | PathLike[str], speakers: Sequence[str] = ()) -> tuple[MediaInfo, Transcript]:
    """Reads an input that is text.

    Args:
        path: A transcript in any known format, or typed answers.
        speakers: Speakers to keep; empty for all.

    Returns:
        Facts of the file and the transcript. The last time is the end; typed answers have no times and last 0 s.

    Raises:
        MultimodalError: As ``read_transcript``.
    """
    transcript = read_transcript(path, speakers=speakers)
    with open_file(path) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    end = max((utterance.end_seconds for utterance in transcript.utterances), default=0.0)
    return MediaInfo(Path(path), sha256, end, None, None, None, has_video=False, has_audio=False), transcript


def load_transcript(
    media: MediaInfo,
    path: str | PathLike[str] | None = None,
    *,
    sidecar: bool = True,
    speakers: Sequence[str] = (),
) -> tuple[Transcript | None, tuple[str, ...]]:
    """Finds and reads the transcript of a recording.

    Args:
        media: Facts of the recording.
        path: The transcript; None to look for one.
        sidecar: Whether to look for a file next to the recording, with the same name up to the suffix.
        speakers: Speakers to keep; empty for all.

    Returns:
        The transcript, or None, and warnings. A file next to the recording that is not a transcript is ignored with a
        warning, unless ``speakers`` are given.

    Raises:
        MultimodalError: As ``read_transcript``.
        TranscriptError: Speakers are given, and there is no transcript.
    """
    file = path if path is not None else find_transcript(media.path) if sidecar else None
    if file is None and speakers:
        remedy = "name one with --transcript, or remove --speaker"
        raise TranscriptError(media.path, "has no transcript, which is needed to select speakers", remedy)
    if file is None:
        return None, ()
    name = Path(file).name
    try:
        transcript = read_transcript(file, speakers=speakers, duration_seconds=media.duration_seconds)
    except TranscriptError as error:
        if path is not None or speakers:
            raise
        return None, (f"ignored {name} next to the recording: it {error.fact}",)
    warnings = [f"{name}: {line}" for line in transcript.warnings]
    if transcript.utterances and not transcript.timed:
        warnings.append(f"{name}: has no times, so its utterances are not aligned with the recording")
    return replace(transcript, warnings=tuple(warnings)), ()


def transcribe(media: MediaInfo, recognizer: Recognizer, progress: Progress | None = None) -> Transcript:
    """Makes a transcript by speech-to-text, reading the audio once from start to end.

    Args:
        media: Facts of a recording with sound.
        recognizer: The speech recognizer.
        progress: Called with the seconds done.

    Returns:
        The transcript, with times.

    Raises:
        MediaError: There is no audio stream, or nothing of it can be decoded.
    """
    blocks = read_audio(media.path, info=media)
    result = recognizer.transcribe(blocks, progress)
    return Transcript(result.utterances, True, result.language or None, (*blocks.warnings, *result.warnings))


def analyze_text(transcript: Transcript, weights: Weights) -> TextResult:
    """Encodes the text of each utterance.

    Args:
        transcript: The utterances.
        weights: The text encoder.

    Returns:
        The utterances that contain a word, and their encodings; none if the text is not English. Text beyond
        ``MOST_CHARACTERS`` is cut off with a warning.
    """
    utterances = transcript.utterances
    texts = [(utterance.text or "")[:MOST_CHARACTERS] for utterance in utterances]
    if not is_english(transcript.language, texts):
        fact = f"is in another language ({transcript.language})" if transcript.language else "does not look English"
        return TextResult((), (f"the text {fact} and was not analyzed; the text model supports only English",))
    if weights.tokenizer is None:
        raise ValueError(f"{weights.name} has no tokenizer")
    spec = weights.spec
    options = {} if spec.window_tokens is None else {"window_tokens": spec.window_tokens}
    predictions = read_texts(weights.network, weights.tokenizer, texts, temperature=spec.temperature, **options)
    encodings = []
    for utterance, prediction in zip(utterances, predictions, strict=True):
        if prediction is not None:
            probabilities = dict(zip(spec.labels, prediction.probabilities.tolist(), strict=True))
            encodings.append((utterance, EncodedUtterance(ModalityEstimate(probabilities), prediction.states)))
    return TextResult(tuple(encodings), _length_warnings(utterances))


def _length_warnings(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """One line if some utterances are too long to be analyzed whole."""
    count = sum(len(utterance.text or "") > MOST_CHARACTERS for utterance in utterances)
    fact = f"{count} of {len(utterances)} utterances are longer than {MOST_CHARACTERS:,} characters"
    return (f"{fact}: the text beyond that was not analyzed",) if count else ()
