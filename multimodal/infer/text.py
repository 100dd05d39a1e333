"""Reads the words of a recording: from its transcript, or by speech-to-text; and what they say of emotions."""

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
"""Of an utterance that are judged: two hours of talk, at 15 characters a second. A line of 10 MB, which no answer is,
would take minutes and 4 GB for the states of its tokens."""


@dataclass(frozen=True)
class TextResult:
    """What was read of one recording.

    Attributes:
        encodings: Utterances whose words could be judged, with what they say.
        warnings: Plain lines on what limits the result.
    """

    encodings: tuple[tuple[Utterance, EncodedUtterance], ...]
    warnings: tuple[str, ...]


def is_text_input(path: str | PathLike[str]) -> bool:
    """Whether an input is words by its name: a transcript or typed answers instead of a recording.

    Example:
        >>> is_text_input("answer.txt"), is_text_input("interview.VTT"), is_text_input("interview.mp4")
        (True, True, False)
    """
    return Path(path).suffix.lower() in SUFFIXES


def read_text_input(path: str | PathLike[str], speakers: Sequence[str] = ()) -> tuple[MediaInfo, Transcript]:
    """Reads an input that is words alone.

    Args:
        path: A transcript of any of the known forms.
        speakers: Whom to keep; everybody when empty.

    Returns:
        Its facts and its words. Where it states times, the last of them is the end; typed answers last 0 s.

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
    beside: bool = True,
    speakers: Sequence[str] = (),
) -> tuple[Transcript | None, tuple[str, ...]]:
    """Finds and reads the transcript of a recording.

    Args:
        media: Facts of the recording.
        path: The transcript, where it is known.
        beside: Whether one of the same name beside the recording is taken otherwise.
        speakers: Whom to keep; everybody when empty.

    Returns:
        The transcript, None where there is none; and warnings. A file beside the recording that is no transcript is
        passed over with a warning, unless a speaker is looked for.

    Raises:
        MultimodalError: As ``read_transcript``.
        TranscriptError: A speaker is looked for and there is no transcript.
    """
    found = path if path is not None else find_transcript(media.path) if beside else None
    if found is None and speakers:
        remedy = "name one with --transcript, or leave --speaker out"
        raise TranscriptError(media.path, "has no transcript, which would say who speaks", remedy)
    if found is None:
        return None, ()
    name = Path(found).name
    try:
        transcript = read_transcript(found, speakers=speakers, duration_seconds=media.duration_seconds)
    except TranscriptError as error:
        if path is not None or speakers:
            raise
        return None, (f"{name}, beside it, {error.fact}, and was passed over",)
    notes = [f"{name}: {line}" for line in transcript.warnings]
    if transcript.utterances and not transcript.timed:
        notes.append(f"{name}: states no times, so its words belong to no moment of the recording")
    return replace(transcript, warnings=tuple(notes)), ()


def transcribe(media: MediaInfo, recognizer: Recognizer, progress: Progress | None = None) -> Transcript:
    """Makes a transcript by speech-to-text, reading the sound once from start to end.

    Args:
        media: Facts of a recording with sound.
        recognizer: Loaded.
        progress: Told the seconds that are done.

    Returns:
        What was said, timed.

    Raises:
        MediaError: There is no sound, or none that can be decoded.
    """
    blocks = read_audio(media.path, info=media)
    found = recognizer.transcribe(blocks, progress)
    return Transcript(found.utterances, True, found.language or None, (*blocks.warnings, *found.warnings))


def analyze_text(transcript: Transcript, weights: Weights) -> TextResult:
    """Judges the words of each utterance.

    Args:
        transcript: Who said what.
        weights: The text encoder.

    Returns:
        The utterances that could be judged: none where the language is not the model's; not those without a word; of
        one with more than ``MOST_CHARACTERS`` only so many, with a warning.
    """
    utterances = transcript.utterances
    texts = [(utterance.text or "")[:MOST_CHARACTERS] for utterance in utterances]
    if not is_english(transcript.language, texts):
        which = f"are in another language ({transcript.language})" if transcript.language else "do not look English"
        return TextResult((), (f"the words {which}; the text model knows English alone, so they were not judged",))
    if weights.tokenizer is None:
        raise ValueError(f"{weights.name} has no tokenizer")
    spec = weights.spec
    options = {} if spec.window_tokens is None else {"window_tokens": spec.window_tokens}
    readings = read_texts(weights.network, weights.tokenizer, texts, temperature=spec.temperature, **options)
    encodings = []
    for utterance, reading in zip(utterances, readings, strict=True):
        if reading is not None:
            named = dict(zip(spec.labels, reading.probabilities.tolist(), strict=True))
            encodings.append((utterance, EncodedUtterance(ModalityEstimate(named), reading.states)))
    return TextResult(tuple(encodings), _shortened(utterances))


def _shortened(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """The warning on utterances too long to be judged whole, where there are any."""
    count = sum(len(utterance.text or "") > MOST_CHARACTERS for utterance in utterances)
    which = f"{count} of {len(utterances)} utterances are longer than {MOST_CHARACTERS:,} characters"
    return (f"{which}: only so much of their words is judged",) if count else ()
