"""What to read of a recording and how: the options of ``Model.analyze``, ``infer`` and ``batch``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from multimodal.errors import ConfigError

if TYPE_CHECKING:
    from multimodal.data.faces.detectors import Detector


@dataclass(frozen=True)
class AnalysisOptions:
    """Options of the analysis of one recording.

    Attributes:
        modalities: Modalities to read, of ``face``, ``audio`` and ``text``; None for all that the model has.
        transcript: Transcript of the recording; None to look for one.
        sidecar_transcript: Whether to use a transcript next to the recording, with the same name up to the suffix.
        speakers: Speakers to analyze, as the transcript names them; empty for all. Only their utterances are segments.
        language: Language of the words, as a code (``en``) or an English name; None to detect it. English forces the
            analysis of the words, another language excludes them.
        frames_per_second: Video frames to analyze per second; None for the rate on the face model's card.
        detector: ``mtcnn``, ``yunet``, ``haar``, the path of a YuNet ``.onnx`` file, or a loaded detector.
        face_id: The face to analyze, as an earlier analysis numbers it; None for the largest face of each segment.
        baseline: What the expressions of a face are judged against: ``auto`` (its resting face, where the recording
            shows it), ``START-END`` (that stretch of the recording, in seconds or as m:ss) or ``none``.
        start_seconds: Start of the segment to analyze; None for the beginning. All times stay those of the file; an
            utterance belongs to the segment that contains its middle.
        end_seconds: End of the segment; None for the end of the recording.

    Raises:
        ConfigError: An option is invalid, or two contradict each other.

    Example:
        >>> AnalysisOptions(modalities=("text",), speakers=("Ada",)).detector
        'mtcnn'
        >>> AnalysisOptions(frames_per_second=0)
        Traceback (most recent call last):
            ...
        multimodal.errors.ConfigError: --fps: is 0; give a number above 0
    """

    modalities: tuple[str, ...] | None = None
    transcript: str | PathLike[str] | None = None
    sidecar_transcript: bool = True
    speakers: tuple[str, ...] = ()
    language: str | None = None
    frames_per_second: float | None = None
    detector: str | Detector = "mtcnn"
    face_id: int | None = None
    baseline: str = "auto"
    start_seconds: float | None = None
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("modalities", self.modalities), ("speakers", self.speakers)):
            if value is not None and not isinstance(value, tuple):
                raise ConfigError(name, f"is {value!r}", "give a tuple of names")
        if self.modalities is not None:
            from multimodal.models.selection import check_modalities  # imported here: --help must not wait for numpy

            check_modalities(self.modalities)
        if self.frames_per_second is not None and not 0 < self.frames_per_second < math.inf:
            raise ConfigError("--fps", f"is {self.frames_per_second:g}", "give a number above 0")
        if self.face_id is not None and self.face_id < 0:
            raise ConfigError("--face", f"is {self.face_id}", "give a face_id from 0")
        parse_baseline(self.baseline)
        self._check_language()
        self._check_detector()
        self._check_segment()

    def _check_language(self) -> None:
        from multimodal.data.speech.language_names import language_code

        if self.language is not None and language_code(self.language) is None:
            remedy = "give a code such as en, de or fr, or an English name"
            raise ConfigError("--language", f"{self.language!r} is not a known language", remedy)

    def _check_detector(self) -> None:
        name = self.detector
        if not isinstance(name, str) or name == "mtcnn" or name.endswith(".onnx"):
            return
        from multimodal.data.faces.detectors import DETECTORS

        if name not in DETECTORS:
            remedy = f"choose {', '.join(DETECTORS)} or the path of a YuNet .onnx file"
            raise ConfigError("--detector", f"{name!r} is not a face detector", remedy)

    def _check_segment(self) -> None:
        for name, value in (("start", self.start_seconds), ("end", self.end_seconds)):
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(name, f"is {value:g} s", "give seconds from 0")
        start = self.start_seconds or 0.0
        if self.end_seconds is not None and start >= self.end_seconds:
            fact = f"is {self.end_seconds:g} s, not after the start at {start:g} s"
            raise ConfigError("end", fact, "give an end after the start")


def parse_baseline(text: str) -> tuple[str, tuple[float, float] | None]:
    """Reads the value of ``--baseline``.

    Args:
        text: ``auto``, ``none``, or start and end of a stretch of the recording with ``-`` between: seconds or m:ss.

    Returns:
        One of ``multimodal.types.BASELINES``, and the start and end in seconds if the mode is ``given``.

    Raises:
        ConfigError: The text is none of these.

    Example:
        >>> parse_baseline("0:03-9.5")
        ('given', (3.0, 9.5))
    """
    from multimodal.data.manifest import read_seconds

    if text in ("auto", "none"):
        return text, None
    if not isinstance(text, str):
        raise ConfigError("--baseline", f"is {text!r}", "give auto, none, or a stretch such as 0:03-0:09")
    start, _, end = text.partition("-")
    try:
        stretch = read_seconds(start), read_seconds(end)
    except ValueError:
        remedy = "give auto, none, or start and end of a stretch such as 0:03-0:09"
        raise ConfigError("--baseline", f"invalid value {text!r}", remedy) from None
    if stretch[0] >= stretch[1]:
        raise ConfigError("--baseline", f"{text!r} ends before it starts", "give an end after the start")
    return "given", stretch


def parse_modalities(text: str | None) -> tuple[str, ...] | None:
    """Reads the value of ``--modalities``: names between commas; None for all.

    Args:
        text: Names of modalities, separated by commas.

    Example:
        >>> parse_modalities("face, text")
        ('face', 'text')
    """
    return None if text is None else tuple(filter(None, map(str.strip, text.split(","))))
