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

from multimodal.data.corpora.crema_d_votes import JointVotes
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
        conflicting_share: Share of utterances with three emotions in three modalities; the label is any of them.
        plain_words: Share of the utterances with an emotion in face and voice whose words are neutral, as most of what
            people say is.
        judged_share: Share of utterances whose emotions in voice and face are drawn by votes on recordings of people
            (``JointVotes``): the label is what people judged from both. The shares above do not apply to them.
        neutral_words: Share of neutral words among judged utterances with an emotion.
        words_alone: Share of judged utterances whose words alone have the emotion; voice and face are neutral.
        degraded_share: Share of utterances with one modality degraded by noise.
        neutral_frames: Largest share of the frames in which a face with an emotion is neutral: talking faces show an
            emotion for a moment only.
        misread_frames: Largest share of the frames that show another emotion for a moment, as talking mouths do.
        lost_frames: Largest share of the frames without a detected face.

    Raises:
        ConfigError: A share outside 0 … 1.
    """

    neutral_share: float = 0.25
    disagreeing_share: float = 0.15
    disagreeing_neutral: float = 0.5
    conflicting_share: float = 0.0
    plain_words: float = 0.0
    judged_share: float = 0.0
    neutral_words: float = 0.5
    words_alone: float = 0.15
    degraded_share: float = 0.0
    neutral_frames: float = 0.6
    misread_frames: float = 0.0
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
        label: Index into ``FUSED_LABELS``: the emotion of the utterance.
        labels: The emotion of each modality, in the order of ``MODALITIES``.
        pictures: ``(frames,)`` index of the picture in each sampled frame; -1 for a frame without a face.
        views: ``(frames,)`` version of the picture.
        frame_times: ``(frames,)`` seconds from the start of the clip.
        audio: Index of the clip.
        text: Index of the text.
        degraded: The modality that is degraded by noise, or None.
    """

    label: int
    labels: tuple[int, int, int]
    pictures: Labels
    views: Labels
    frame_times: NDArray[np.float64]
    audio: int
    text: int
    degraded: str | None

    @property
    def disagreeing(self) -> str | None:
        """The modality with another emotion than the two others, which agree; None if all agree or all differ."""
        odd = [name for name, label in zip(MODALITIES, self.labels, strict=True) if self.labels.count(label) == 1]
        return odd[0] if len(odd) == 1 else None


def synthesize(
    pools: SamplePools, count: int, settings: SynthesisConfig, seed: int, votes: JointVotes | None = None
) -> Iterator[SyntheticUtterance]:
    """Draws utterances. The same pools, settings, votes and seed give the same utterances.

    Args:
        pools: What to draw from.
        count: Number of utterances.
        settings: How they are drawn.
        seed: Random seed.
        votes: What people hear, see and judge; needed for ``judged_share``.

    Yields:
        Recipes.

    Raises:
        ConfigError: ``judged_share`` is above 0 without votes.
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
    if settings.judged_share and votes is None:
        fact = f"is {settings.judged_share:g}, and no votes are given"
        raise ConfigError("synthesis.judged_share", fact, "name the folder of the votes, or write 0")
    random = np.random.default_rng(seed)
    by_label = {
        modality: {label: np.flatnonzero(labels == label) for label in pools.labels}
        for modality, labels in (("face", pools.faces), ("audio", pools.voices), ("text", pools.texts))
    }
    judged = None if votes is None else _restrict(votes, pools.labels)
    for _ in range(count):
        yield _draw_utterance(pools, by_label, settings, judged, random)


def _restrict(votes: JointVotes, labels: tuple[int, ...]) -> NDArray[np.float64]:
    """Shares of heard and seen emotions that the corpora contain, per judgment; a judgment without any has zeros."""
    present = np.isin(np.arange(len(FUSED_LABELS)), labels)
    shares = votes.shares * present[:, None, None] * present[None, :, None]
    totals = shares.sum(axis=(0, 1))
    rows: NDArray[np.float64] = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    return rows


def _draw_utterance(
    pools: SamplePools,
    by_label: dict[str, dict[int, Labels]],
    settings: SynthesisConfig,
    judged: NDArray[np.float64] | None,
    random: np.random.Generator,
) -> SyntheticUtterance:
    label, labels = _draw_labels(pools.labels, settings, judged, random)
    indices = {
        modality: int(random.choice(by_label[modality][each]))
        for modality, each in zip(MODALITIES, labels, strict=True)
    }
    times = _draw_frame_times(float(pools.seconds[indices["audio"]]), random)
    pictures = _draw_pictures(len(times), indices["face"], by_label["face"], settings, random)
    return SyntheticUtterance(
        label=label,
        labels=labels,
        pictures=pictures,
        views=random.integers(pools.views, size=len(times)),
        frame_times=times,
        audio=indices["audio"],
        text=indices["text"],
        degraded=_draw_modality(settings.degraded_share, random),
    )


def _draw_labels(
    labels: tuple[int, ...],
    settings: SynthesisConfig,
    judged: NDArray[np.float64] | None,
    random: np.random.Generator,
) -> tuple[int, tuple[int, int, int]]:
    """The emotion of an utterance, and those of its face, voice and words."""
    label = _draw_label(labels, settings.neutral_share, random)
    if random.random() < settings.judged_share and judged is not None and judged[:, :, label].any():
        return label, _draw_judged(label, labels, settings, judged, random)
    if random.random() < settings.conflicting_share and len(labels) >= len(MODALITIES):
        others = random.permutation([other for other in labels if other != label])[:2]
        face, audio, text = random.permutation([label, *others]).tolist()
        return label, (face, audio, text)
    by_modality = dict.fromkeys(MODALITIES, label)
    if label != NEUTRAL and NEUTRAL in labels and random.random() < settings.plain_words:
        by_modality["text"] = NEUTRAL
        return label, (by_modality["face"], by_modality["audio"], by_modality["text"])
    disagreeing = _draw_modality(settings.disagreeing_share, random)
    if disagreeing is not None:
        by_modality[disagreeing] = _draw_other_label(label, labels, settings.disagreeing_neutral, random)
    return label, (by_modality["face"], by_modality["audio"], by_modality["text"])


def _draw_judged(
    label: int,
    labels: tuple[int, ...],
    settings: SynthesisConfig,
    judged: NDArray[np.float64],
    random: np.random.Generator,
) -> tuple[int, int, int]:
    """Face, voice and words of an utterance that people judge as ``label``; words are drawn by the settings."""
    words_alone = label != NEUTRAL and random.random() < settings.words_alone and bool(judged[:, :, NEUTRAL].any())
    shares = judged[:, :, NEUTRAL if words_alone else label]
    audio, face = divmod(int(random.choice(shares.size, p=shares.ravel() / shares.sum())), len(FUSED_LABELS))
    text = label
    if not words_alone and label != NEUTRAL and NEUTRAL in labels and random.random() < settings.neutral_words:
        text = NEUTRAL
    elif not words_alone and random.random() < settings.disagreeing_share:
        text = _draw_other_label(label, labels, 0.0, random)
    return face, audio, text


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
    frames: int, picture: int, by_label: dict[int, Labels], settings: SynthesisConfig, random: np.random.Generator
) -> NDArray[np.int64]:
    """The expression in one segment of the utterance, the face at rest around it, and frames misread or lost."""
    at_rest = int(random.choice(by_label[NEUTRAL])) if NEUTRAL in by_label else picture
    expressive = max(round(frames * (1 - random.random() * settings.neutral_frames)), 1)
    first = int(random.integers(frames - expressive + 1))
    pictures = np.full(frames, at_rest, np.int64)
    pictures[first : first + expressive] = picture
    kept = int(random.integers(first, first + expressive))  # at least one frame shows the expression
    misread = random.random(frames) < random.random() * settings.misread_frames
    misread[kept] = False
    pictures[misread] = int(random.choice(by_label[int(random.choice(list(by_label)))]))
    lost = random.random(frames) < random.random() * settings.lost_frames
    lost[kept] = False
    pictures[lost] = -1
    return pictures
