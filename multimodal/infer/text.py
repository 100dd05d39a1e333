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
from multimodal.data.speech.language import foreign_languages
from multimodal.data.speech.language_names import ENGLISH, language_code, language_list
from multimodal.data.transcripts.files import SUFFIXES, Transcript, find_transcript, read_transcript
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.text import TextPrediction
from multimodal.encoders.turns import read_in_context
from multimodal.errors import TranscriptError
from multimodal.models.weights import Weights
from multimodal.progress import Progress
from multimodal.types import EncodedUtterance, MediaInfo, ModalityEstimate, Utterance

if TYPE_CHECKING:
    from multimodal.data.speech.recognition import Recognizer

MOST_CHARACTERS = 100_000
"""Most characters of an utterance that are analyzed: two hours of speech at 15 characters a second. A line of 10 MB,
which no answer is, would take minutes and 4 GB for the states of its tokens."""


MOST_PAUSE_SECONDS = 20.0
"""Longest pause between two utterances of which one is context of the other."""


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


def transcribe(
    media: MediaInfo, recognizer: Recognizer, progress: Progress | None = None, language: str | None = None
) -> Transcript:
    """Makes a transcript by speech-to-text, reading the audio once from start to end.

    Args:
        media: Facts of a recording with sound.
        recognizer: The speech recognizer.
        progress: Called with the seconds done.
        language: Code of the language that is spoken; None to detect it.

    Returns:
        The transcript, with times. Its language is None where the recognizer is not sure.

    Raises:
        MediaError: There is no audio stream, or nothing of it can be decoded.
    """
    blocks = read_audio(media.path, info=media)
    result = recognizer.transcribe(blocks, progress, language)
    return Transcript(result.utterances, True, result.known_language, (*blocks.warnings, *result.warnings))


def analyze_text(transcript: Transcript, weights: Weights, language: str | None = None) -> TextResult:
    """Encodes the text of each utterance, sentence by sentence, and corrects it by its neighbors.

    Utterances of a transcript with times are read in context where pauses between them are at most
    ``MOST_PAUSE_SECONDS``; those without times, such as typed answers, are read alone.

    Args:
        transcript: The utterances.
        weights: The text encoder.
        language: Language of all utterances; None to detect the language of each.

    Returns:
        The utterances that contain a word and are in English, and their encodings. Text beyond ``MOST_CHARACTERS`` is
        cut off with a warning; another warning names the languages of the utterances that were not analyzed.
    """
    texts = [(utterance.text or "")[:MOST_CHARACTERS] for utterance in transcript.utterances]
    if language is None:
        languages = foreign_languages(texts, transcript.language)
    else:
        code = language_code(language)
        languages = [None if code == ENGLISH else code] * len(texts)
    foreign = [code for code, text in zip(languages, texts, strict=True) if code is not None and text.strip()]
    utterances = [each for each, code in zip(transcript.utterances, languages, strict=True) if code is None]
    encodings = _encode(utterances, weights, transcript.timed)
    warnings = _language_warnings(foreign, any((each.text or "").strip() for each in utterances))
    return TextResult(encodings, (*warnings, *_length_warnings(utterances)))


def _encode(
    utterances: Sequence[Utterance], weights: Weights, timed: bool
) -> tuple[tuple[Utterance, EncodedUtterance], ...]:
    if weights.tokenizer is None:
        raise ValueError(f"{weights.name} has no tokenizer")
    spec = weights.spec
    options = {} if spec.window_tokens is None else {"window_tokens": spec.window_tokens}
    neutral = spec.labels.index("neutral") if "neutral" in spec.labels else None
    predictions = read_utterances(
        weights.network,
        weights.tokenizer,
        [(utterance.text or "")[:MOST_CHARACTERS] for utterance in utterances],
        temperature=spec.temperature,
        usability_temperature=spec.usability_temperature,
        neutral=neutral,
        usability_neutral=spec.usability_labels.index("neutral") if "neutral" in spec.usability_labels else None,
        **options,
    )
    with_words = [(one, read) for one, read in zip(utterances, predictions, strict=True) if read is not None]
    if timed:
        with_words = _in_context(with_words, weights)
    encodings = []
    for utterance, prediction in with_words:
        probabilities = dict(zip(spec.labels, prediction.probabilities.tolist(), strict=True))
        usability = prediction.usability
        named = None if usability is None else dict(zip(spec.usability_labels, usability.tolist(), strict=True))
        estimate = ModalityEstimate(probabilities)
        encodings.append((utterance, EncodedUtterance(estimate, prediction.states, usability=named)))
    return tuple(encodings)


def _in_context(
    read: Sequence[tuple[Utterance, TextPrediction]], weights: Weights
) -> list[tuple[Utterance, TextPrediction]]:
    """Corrects estimates by the utterances before and after, in the order of time; returns them in their own order."""
    head = getattr(weights.network, "context", None)
    if head is None:
        return list(read)
    order = sorted(range(len(read)), key=lambda index: (read[index][0].start_seconds, read[index][0].end_seconds))
    turns = [read[index][0] for index in order]
    linked, end = list[bool](), 0.0
    for turn in turns:
        linked.append(bool(linked) and turn.start_seconds - end <= MOST_PAUSE_SECONDS)
        end = max(end, turn.end_seconds)
    corrected = read_in_context(head, [read[index][1] for index in order], [turn.speaker for turn in turns], linked)
    by_index = dict(zip(order, corrected, strict=True))
    return [(utterance, by_index[index]) for index, (utterance, _) in enumerate(read)]


def _language_warnings(foreign: Sequence[str], some_english: bool) -> tuple[str, ...]:
    """One line if some texts, given by their languages, are not English."""
    if not foreign:
        return ()
    subject = "the text is"
    if some_english:
        subject = "1 utterance is" if len(foreign) == 1 else f"{len(foreign)} utterances are"
    was = "was" if len(foreign) == 1 or not some_english else "were"
    languages = language_list(foreign)
    return (f"{subject} in {languages} and {was} not analyzed; the text model supports only English",)


def _length_warnings(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """One line if some utterances are too long to be analyzed whole."""
    count = sum(len(utterance.text or "") > MOST_CHARACTERS for utterance in utterances)
    fact = f"{count} of {len(utterances)} utterances are longer than {MOST_CHARACTERS:,} characters"
    return (f"{fact}: the text beyond that was not analyzed",) if count else ()
