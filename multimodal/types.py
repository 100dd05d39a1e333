"""The types of the program: frozen dataclasses with units in their names and shapes checked on creation.

Times are seconds of the container's own presentation clock, counted from the start of the earlier stream. Boxes are
``(x, y, width, height)`` in pixels of the upright picture, origin at its top left. Probabilities map labels to values
that sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Probabilities = dict[str, float]

MODALITIES = ("face", "audio", "text")
"""The three signals, in the order that every table has: picture, sound, words."""

MODALITY_NAMES = {"face": "face", "audio": "voice", "text": "words"}
"""Modality to its name in text for people."""

FUSED = "fused"
"""Name of the estimate from all modalities together."""

USABILITY_LABELS = (
    "frustration",
    "confusion",
    "delight",
    "satisfaction",
    "complaint",
    "suggestion",
    "question",
    "neutral",
)
"""What the words of an utterance are in a usability test or an interview; ``docs/schema.md`` defines each."""

UNCERTAIN = "uncertain"
"""The label of an estimate with too little confidence to name an emotion."""

QUALITIES = ("clear", "tiny", "blurred", "partial")
"""Image quality of a face. Only clear faces are scored; the others keep their box."""

BASELINES = ("auto", "given", "none")
"""Where the resting face comes from that expressions are judged against."""


@dataclass(frozen=True)
class MediaInfo:
    """Facts of one media file, from its container.

    Attributes:
        path: The file.
        sha256: Hash of the whole file, 64 hexadecimal digits.
        duration_seconds: From the start of the earlier stream to the end of the later one.
        width: Of the upright picture in pixels (after rotation metadata); None without video.
        height: Of the upright picture in pixels; None without video.
        frame_rate: Mean frames per second; None without video.
        has_video: Whether there is a picture stream (a cover image does not count).
        has_audio: Whether there is a sound stream.
        video_start_seconds: When the picture starts on the common clock; None without video.
        audio_start_seconds: When the sound starts on the common clock; None without audio.
        segment: ``(start, end)`` in seconds of the only part to analyze; None for the whole.
    """

    path: Path
    sha256: str
    duration_seconds: float
    width: int | None
    height: int | None
    frame_rate: float | None
    has_video: bool
    has_audio: bool
    video_start_seconds: float | None = None
    audio_start_seconds: float | None = None
    segment: tuple[float, float] | None = None

    @property
    def read_start_seconds(self) -> float:
        """Start of the part to analyze."""
        return 0.0 if self.segment is None else self.segment[0]

    @property
    def read_end_seconds(self) -> float:
        """End of the part to analyze."""
        return self.duration_seconds if self.segment is None else self.segment[1]


@dataclass(frozen=True)
class Frame:
    """One sampled picture.

    Attributes:
        time_seconds: True presentation time.
        image: ``(height, width, 3)`` uint8 RGB, upright, perhaps scaled down.
        scale: Pixels of the original picture per pixel of ``image``, at least 1.
    """

    time_seconds: float
    image: NDArray[np.uint8]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image must be (height, width, 3) uint8, got {self.image.shape} {self.image.dtype}")


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples of mono audio.

    Attributes:
        start_seconds: Presentation time of the first sample.
        samples: ``(samples,)`` float32 in -1 … 1.
        sample_rate: Samples per second.
    """

    start_seconds: float
    samples: NDArray[np.float32]
    sample_rate: int


@dataclass(frozen=True)
class FaceObservation:
    """One face in one sampled frame.

    Attributes:
        time_seconds: Presentation time of the frame.
        face_id: Number of the track; counts from 0 in order of appearance.
        box: ``(x, y, width, height)`` in pixels of the original upright picture.
        detection_score: The detector's confidence, 0 … 1.
        quality: One of ``QUALITIES``.
        probabilities: Per face label; None unless the quality is ``clear``.
        embedding: ``(features,)`` float32 of the face encoder; None if the face was not scored.
        mouth_motion: How much more the mouth changed than the rest of the face since the frame before, in deviations
            of the gray levels: 0 at rest, about 0.1 to 1 in speech; None if the face was not scored in both frames.
    """

    time_seconds: float
    face_id: int
    box: tuple[float, float, float, float]
    detection_score: float
    quality: str = "clear"
    probabilities: Probabilities | None = None
    embedding: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    mouth_motion: float | None = None

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise ValueError(f"quality must be one of {QUALITIES}, got {self.quality!r}")
        check_probabilities(self.probabilities)


@dataclass(frozen=True)
class FaceBaseline:
    """The stretch of a recording that shows how a person's face looks at rest.

    Attributes:
        mode: One of ``BASELINES``: ``auto`` (looked for), ``given`` (named by the user) or ``none``.
        start_seconds: Start of the stretch; None if there is none.
        end_seconds: End of the stretch; None if there is none.
        used: Whether the frames were judged against it.
    """

    mode: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    used: bool = False

    def __post_init__(self) -> None:
        if self.mode not in BASELINES:
            raise ValueError(f"mode must be one of {BASELINES}, got {self.mode!r}")


@dataclass(frozen=True)
class Utterance:
    """A part of the recording with one estimate: an utterance of the transcript, speech, or a window.

    Attributes:
        start_seconds: Start.
        end_seconds: End, not before the start.
        speaker: Name, if known.
        text: The words, if known.

    Raises:
        ValueError: The times are negative or in the wrong order.
    """

    start_seconds: float
    end_seconds: float
    speaker: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds <= self.end_seconds:
            raise ValueError(
                f"an utterance must have 0 <= start <= end, got {self.start_seconds} to {self.end_seconds}"
            )


@dataclass(frozen=True)
class ModalityEstimate:
    """Emotion probabilities of one utterance, from one modality or from all together.

    Attributes:
        probabilities: Per label, calibrated, summing to 1.

    Example:
        >>> ModalityEstimate({"neutral": 0.75, "anger": 0.25}).confidence
        0.75
    """

    probabilities: Probabilities

    def __post_init__(self) -> None:
        check_probabilities(self.probabilities)

    @property
    def confidence(self) -> float:
        """The largest probability, 0 … 1."""
        return max(self.probabilities.values())


@dataclass(frozen=True)
class EncodedUtterance:
    """The output of the audio or text encoder for one utterance.

    Attributes:
        estimate: Per fused label.
        states: ``(steps, features)`` float32, in order: of audio evenly spaced over the utterance, of text one per
            token.
        times: ``(steps,)`` seconds on the recording's clock, the middle of the time that each state is of; None for
            text, because tokens have no times.
        usability: Probabilities of ``USABILITY_LABELS``, of text only; None from an encoder that does not give them.

    Raises:
        ValueError: The numbers of times and states differ, or the usability labels are others.
    """

    estimate: ModalityEstimate
    states: NDArray[np.float32] = field(repr=False, compare=False)
    times: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    usability: Probabilities | None = None

    def __post_init__(self) -> None:
        check_usability(self.usability)
        if self.times is not None and len(self.times) != len(self.states):
            raise ValueError(f"{len(self.times)} times for {len(self.states)} states")


@dataclass(frozen=True)
class UtteranceEstimate:
    """One utterance with the estimate of every modality that is present.

    Attributes:
        utterance: When, who, what.
        estimates: Modality, one of ``MODALITIES``, to its own estimate; an absent modality has no entry.
        fused: Estimate from all modalities that are present; None without any.
        uncertain: Whether its confidence is below the threshold that travels with the weights.
        valence: -1 (unpleasant) … 1 (pleasant).
        arousal: -1 (calm) … 1 (excited).
        face_id: The face that the estimate is of, by the rule of ``fusion.segments.main_face``.
        encodings: Modality to the states of its encoder, for the fusion head; not saved. The face has none here: its
            embeddings are in the ``FaceObservation`` of each frame.
        usability: Probabilities of ``USABILITY_LABELS`` from the words; None without words that were read.
        translated: Whether the estimates of the words are of a translation into English.

    Raises:
        ValueError: An estimate of an unknown modality, or other usability labels.

    Example:
        >>> text = ModalityEstimate({"neutral": 0.4, "anger": 0.6})
        >>> estimate = UtteranceEstimate(Utterance(0.0, 2.0), {"text": text})
        >>> estimate.modalities, estimate.get("face")
        (('text',), None)
    """

    utterance: Utterance
    estimates: Mapping[str, ModalityEstimate] = field(default_factory=dict)
    fused: ModalityEstimate | None = None
    uncertain: bool = False
    valence: float | None = None
    arousal: float | None = None
    face_id: int | None = None
    encodings: Mapping[str, EncodedUtterance] = field(default_factory=dict, repr=False, compare=False)
    usability: Probabilities | None = None
    translated: bool = False

    def __post_init__(self) -> None:
        check_usability(self.usability)
        unknown = [name for name in self.estimates if name not in MODALITIES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not one of {MODALITIES}")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that are present, in the order of ``MODALITIES``."""
        return tuple(name for name in MODALITIES if name in self.estimates)

    def get(self, name: str) -> ModalityEstimate | None:
        """The estimate of a modality, or ``fused``; None where it is absent.

        Args:
            name: A modality or ``fused``.

        Returns:
            The estimate.
        """
        return self.fused if name == FUSED else self.estimates.get(name)

    @property
    def emotion(self) -> str | None:
        """The most probable emotion of ``fused``, or ``uncertain``; None without any signal."""
        if self.fused is None:
            return None
        return UNCERTAIN if self.uncertain else top_label(self.fused.probabilities)

    @property
    def usability_label(self) -> str | None:
        """The most probable usability label, one of ``USABILITY_LABELS``; None without words."""
        return None if self.usability is None else top_label(self.usability)

    @property
    def usability_probability(self) -> float | None:
        """The probability of the usability label, 0 … 1; None without words."""
        return None if self.usability is None else max(self.usability.values())


def top_label(probabilities: Probabilities) -> str:
    """The label with the largest probability, the first of equals.

    Args:
        probabilities: Label to probability.

    Example:
        >>> top_label({"neutral": 0.4, "anger": 0.6})
        'anger'
    """
    return max(probabilities, key=probabilities.__getitem__)


def check_probabilities(probabilities: Probabilities | None) -> None:
    """Checks that probabilities are finite, not negative and sum to 1 (within 1e-3).

    Args:
        probabilities: Label to probability.

    Raises:
        ValueError: A value is negative or not finite, or the sum is not 1.
    """
    if probabilities is None:
        return
    values = list(probabilities.values())
    if not all(math.isfinite(value) and value >= 0 for value in values) or abs(sum(values) - 1) > 1e-3:
        raise ValueError(f"probabilities must be at least 0 and sum to 1, got {probabilities}")


def check_usability(probabilities: Probabilities | None) -> None:
    """Checks that probabilities are those of ``USABILITY_LABELS``, in any order.

    Args:
        probabilities: Label to probability; None for none.

    Raises:
        ValueError: The labels are others, or ``check_probabilities`` fails.
    """
    if probabilities is None:
        return
    if set(probabilities) != set(USABILITY_LABELS):
        raise ValueError(f"usability labels must be those of USABILITY_LABELS, got {', '.join(probabilities)}")
    check_probabilities(probabilities)
