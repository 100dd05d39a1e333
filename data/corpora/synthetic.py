"""Composed utterances: a face, a voice and words of three corpora that bear one emotion, put together by chance.

No free corpus holds all three signals of the same people. So a fusion head learns from recipes: which picture is shown
at which moment, which clip is heard, which comment is read, and what goes wrong. A recipe holds indices alone; whoever
encodes the corpora makes utterances of it. What such utterances teach is how far each signal can be trusted and what to
do when signals are missing, bad or at odds. They cannot teach how one person's face, voice and words belong together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import ConfigError, CorpusError
from multimodal.types import MODALITIES

Labels = NDArray[np.int64]

NEUTRAL = FUSED_LABELS.index("neutral")

FRAMES_PER_SECOND = 5.0
"""Faces are sampled at the usual rate of inference."""


@dataclass(frozen=True)
class SynthesisConfig:
    """How utterances are composed. Shares are of the utterances unless said otherwise.

    Attributes:
        neutral_share: Those whose emotion is neutral; the rest is dealt evenly over the other emotions. In interviews
            neutral prevails; with too little of it the head would see emotions everywhere.
        disagreeing_share: Those in which one signal bears another emotion than the other two.
        disagreeing_neutral: Of these, how many are neutral there, as a face at rest beside angry words.
        degraded_share: Those in which one signal is buried in noise.
        neutral_frames: Most of the frames, as a share, in which a face that shows an emotion is neutral: talking faces
            show it for a moment.
        lost_frames: Most of the frames, as a share, in which no face is found.

    Raises:
        ConfigError: A share outside 0 … 1.
    """

    neutral_share: float = 0.25
    disagreeing_share: float = 0.15
    disagreeing_neutral: float = 0.5
    degraded_share: float = 0.0
    neutral_frames: float = 0.6
    lost_frames: float = 0.3

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ConfigError(f"synthesis.{key}", f"is {value:g}", "give a share from 0 to 1")


@dataclass(frozen=True)
class SamplePools:
    """What there is to compose of.

    Attributes:
        faces: ``(pictures,)`` index into ``FUSED_LABELS``; -1 for a picture that is not to be used.
        voices: ``(clips,)`` likewise.
        texts: ``(texts,)`` likewise.
        seconds: ``(clips,)`` length of each clip's speech.
        views: How many versions of each picture there are: a face in a video is never twice quite the same.

    Example:
        >>> pools = SamplePools(np.array([0, 1, 6]), np.array([1, 0]), np.array([0, 1, 1]), np.array([2.0, 3.0]))
        >>> pools.labels
        (0, 1)
    """

    faces: Labels
    voices: Labels
    texts: Labels
    seconds: NDArray[np.float64]
    views: int = 1

    @property
    def labels(self) -> tuple[int, ...]:
        """Emotions that all three corpora hold, in order."""
        known = set(range(len(FUSED_LABELS)))
        return tuple(sorted(known & set(self.faces.tolist()) & set(self.voices.tolist()) & set(self.texts.tolist())))


@dataclass(frozen=True)
class SyntheticUtterance:
    """The recipe of one utterance.

    Attributes:
        label: Index into ``FUSED_LABELS``: the emotion of at least two of the signals.
        pictures: ``(frames,)`` index of the picture shown in each sampled frame; -1 where no face is found.
        views: ``(frames,)`` which version of it.
        frame_times: ``(frames,)`` seconds from the start of the voice.
        audio: Index of the clip.
        text: Index of the text.
        disagreeing: The signal that bears another emotion; None for none.
        corrupted: The signal that is buried in noise; None for none.
    """

    label: int
    pictures: Labels
    views: Labels
    frame_times: NDArray[np.float64]
    audio: int
    text: int
    disagreeing: str | None
    degraded: str | None


def synthesize(pools: SamplePools, count: int, settings: SynthesisConfig, seed: int) -> Iterator[SyntheticUtterance]:
    """Composes utterances, the same ones for the same corpora, settings and seed.

    Args:
        pools: What there is.
        count: How many utterances.
        settings: What they are like.
        seed: Of all that is drawn.

    Yields:
        Recipes.

    Raises:
        CorpusError: The corpora share fewer than two emotions.

    Example:
        >>> pools = SamplePools(np.array([0, 1]), np.array([1, 0]), np.array([0, 1]), np.array([2.0, 2.0]))
        >>> utterances = list(synthesize(pools, 3, SynthesisConfig(disagreeing_share=0), seed=0))
        >>> all(pools.voices[each.audio] == each.label for each in utterances)
        True
    """
    if len(pools.labels) < 2:
        names = ", ".join(FUSED_LABELS[label] for label in pools.labels) or "none"
        raise CorpusError(
            "faces, voices, texts", f"share {len(pools.labels)} emotions ({names})", "name larger corpora"
        )
    random = np.random.default_rng(seed)
    of_label = {
        part: {label: np.flatnonzero(labels == label) for label in pools.labels}
        for part, labels in (("face", pools.faces), ("audio", pools.voices), ("text", pools.texts))
    }
    for _ in range(count):
        yield _utterance(pools, of_label, settings, random)


def _utterance(
    pools: SamplePools, of_label: dict[str, dict[int, Labels]], settings: SynthesisConfig, random: np.random.Generator
) -> SyntheticUtterance:
    label = _draw_label(pools.labels, settings.neutral_share, random)
    shown = dict.fromkeys(MODALITIES, label)
    disagreeing = _draw_modality(settings.disagreeing_share, random)
    if disagreeing is not None:
        shown[disagreeing] = _draw_other(label, pools.labels, settings.disagreeing_neutral, random)
    chosen = {part: int(random.choice(of_label[part][shown[part]])) for part in MODALITIES}
    at_rest = int(random.choice(of_label["face"][NEUTRAL])) if NEUTRAL in pools.labels else chosen["face"]
    times = _frame_times(float(pools.seconds[chosen["audio"]]), random)
    pictures = _pictures(len(times), chosen["face"], at_rest, settings, random)
    return SyntheticUtterance(
        label=label,
        pictures=pictures,
        views=random.integers(pools.views, size=len(times)),
        frame_times=times,
        audio=chosen["audio"],
        text=chosen["text"],
        disagreeing=disagreeing,
        degraded=_draw_modality(settings.degraded_share, random),
    )


def _draw_label(labels: tuple[int, ...], neutral_share: float, random: np.random.Generator) -> int:
    others = [label for label in labels if label != NEUTRAL]
    if NEUTRAL in labels and random.random() < neutral_share:
        return NEUTRAL
    return int(random.choice(others))


def _draw_modality(share: float, random: np.random.Generator) -> str | None:
    struck = random.random() < share
    modality = str(random.choice(MODALITIES))
    return modality if struck else None


def _draw_other(label: int, labels: tuple[int, ...], neutral: float, random: np.random.Generator) -> int:
    if NEUTRAL in labels and label != NEUTRAL and random.random() < neutral:
        return NEUTRAL
    return int(random.choice([other for other in labels if other != label]))


def _frame_times(seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Instants of sampled frames over an utterance; the sampling began before it, so the first falls anywhere."""
    step = 1 / FRAMES_PER_SECOND
    return np.arange(random.random() * step, max(seconds, 2 * step), step)


def _pictures(
    frames: int, picture: int, at_rest: int, settings: SynthesisConfig, random: np.random.Generator
) -> NDArray[np.int64]:
    """The expression in one stretch of the utterance, the face at rest before and after; some frames without a face."""
    shown = max(round(frames * (1 - random.random() * settings.neutral_frames)), 1)
    first = int(random.integers(frames - shown + 1))
    pictures = np.full(frames, at_rest, np.int64)
    pictures[first : first + shown] = picture
    lost = random.random(frames) < random.random() * settings.lost_frames
    lost[random.integers(first, first + shown)] = False
    pictures[lost] = -1
    return pictures
