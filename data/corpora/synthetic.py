"""Synthetic utterances: a face, a voice clip and a text of three corpora that share one emotion, drawn at random.

No free corpus contains all three modalities of the same people. The fusion head is therefore trained on recipes: which
picture appears at which moment, which clip is played, which text is read, and what is degraded. A recipe contains
indices only; the encoded corpora turn it into an utterance. Such utterances can teach how reliable each modality is and
what to do when modalities are missing, degraded or contradictory. They cannot teach how one person's face, voice and
words belong together.
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
"""Sampling rate of faces, the usual one of inference."""


@dataclass(frozen=True)
class SynthesisConfig:
    """How utterances are drawn. Shares are of the utterances unless stated otherwise; each is 0 … 1.

    Attributes:
        neutral_share: Neutral utterances; the others are distributed evenly over the other emotions. Neutral prevails
            in interviews; with too few neutral utterances the head would find emotions everywhere.
        disagreeing_share: Share of utterances with a different emotion in one modality.
        disagreeing_neutral: Share of these with a neutral modality, such as a neutral face with angry words.
        degraded_share: Share of utterances with one modality degraded by noise.
        neutral_frames: Largest share of the frames in which a face with an emotion is neutral: talking faces show an
            emotion for a moment only.
        lost_frames: Largest share of the frames without a detected face.

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
    """The labels of all pictures, clips and texts to draw from.

    Attributes:
        faces: ``(pictures,)`` index into ``FUSED_LABELS``; -1 for a picture that must not be used.
        voices: ``(clips,)`` the same for the clips.
        texts: ``(texts,)`` the same for the texts.
        seconds: ``(clips,)`` duration of each clip's speech.
        views: Number of versions of each picture: a face in a video varies from frame to frame.

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
        """The emotions that all three corpora contain, in order."""
        every_label = set(range(len(FUSED_LABELS)))
        return tuple(
            sorted(every_label & set(self.faces.tolist()) & set(self.voices.tolist()) & set(self.texts.tolist()))
        )


@dataclass(frozen=True)
class SyntheticUtterance:
    """The recipe of one utterance.

    Attributes:
        label: Index into ``FUSED_LABELS``: the emotion of at least two modalities.
        pictures: ``(frames,)`` index of the picture in each sampled frame; -1 for a frame without a face.
        views: ``(frames,)`` version of the picture.
        frame_times: ``(frames,)`` seconds from the start of the clip.
        audio: Index of the clip.
        text: Index of the text.
        disagreeing: The modality with another emotion, or None.
        degraded: The modality that is degraded by noise, or None.
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
    """Draws utterances. The same pools, settings and seed give the same utterances.

    Args:
        pools: What to draw from.
        count: Number of utterances.
        settings: How they are drawn.
        seed: Random seed.

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
    by_label = {
        modality: {label: np.flatnonzero(labels == label) for label in pools.labels}
        for modality, labels in (("face", pools.faces), ("audio", pools.voices), ("text", pools.texts))
    }
    for _ in range(count):
        yield _draw_utterance(pools, by_label, settings, random)


def _draw_utterance(
    pools: SamplePools, by_label: dict[str, dict[int, Labels]], settings: SynthesisConfig, random: np.random.Generator
) -> SyntheticUtterance:
    label = _draw_label(pools.labels, settings.neutral_share, random)
    labels = dict.fromkeys(MODALITIES, label)
    disagreeing = _draw_modality(settings.disagreeing_share, random)
    if disagreeing is not None:
        labels[disagreeing] = _draw_other_label(label, pools.labels, settings.disagreeing_neutral, random)
    indices = {modality: int(random.choice(by_label[modality][labels[modality]])) for modality in MODALITIES}
    at_rest = int(random.choice(by_label["face"][NEUTRAL])) if NEUTRAL in pools.labels else indices["face"]
    times = _draw_frame_times(float(pools.seconds[indices["audio"]]), random)
    pictures = _draw_pictures(len(times), indices["face"], at_rest, settings, random)
    return SyntheticUtterance(
        label=label,
        pictures=pictures,
        views=random.integers(pools.views, size=len(times)),
        frame_times=times,
        audio=indices["audio"],
        text=indices["text"],
        disagreeing=disagreeing,
        degraded=_draw_modality(settings.degraded_share, random),
    )


def _draw_label(labels: tuple[int, ...], neutral_share: float, random: np.random.Generator) -> int:
    others = [label for label in labels if label != NEUTRAL]
    if NEUTRAL in labels and random.random() < neutral_share:
        return NEUTRAL
    return int(random.choice(others))


def _draw_modality(share: float, random: np.random.Generator) -> str | None:
    is_drawn = random.random() < share
    modality = str(random.choice(MODALITIES))
    return modality if is_drawn else None


def _draw_other_label(label: int, labels: tuple[int, ...], neutral_share: float, random: np.random.Generator) -> int:
    if NEUTRAL in labels and label != NEUTRAL and random.random() < neutral_share:
        return NEUTRAL
    return int(random.choice([other for other in labels if other != label]))


def _draw_frame_times(seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Times of the sampled frames; sampling started before the utterance, so the first time has a random offset."""
    step = 1 / FRAMES_PER_SECOND
    return np.arange(random.random() * step, max(seconds, 2 * step), step)


def _draw_pictures(
    frames: int, picture: int, at_rest: int, settings: SynthesisConfig, random: np.random.Generator
) -> NDArray[np.int64]:
    """The expression in one segment of the utterance, the face at rest around it, and some frames without a face."""
    expressive = max(round(frames * (1 - random.random() * settings.neutral_frames)), 1)
    first = int(random.integers(frames - expressive + 1))
    pictures = np.full(frames, at_rest, np.int64)
    pictures[first : first + expressive] = picture
    lost = random.random(frames) < random.random() * settings.lost_frames
    lost[random.integers(first, first + expressive)] = False
    pictures[lost] = -1
    return pictures
