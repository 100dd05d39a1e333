"""Encodes the corpora of synthetic utterances once, with the code of inference, and turns recipes into head inputs.

Each corpus is encoded twice, clean and degraded by noise: the fusion head must learn that a modality can be unreliable.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from multimodal.augmentation.face import FaceAugmentation, augment
from multimodal.data.corpora.ferplus import FaceCorpus, majority_labels
from multimodal.data.corpora.synthetic import FRAMES_PER_SECOND, SamplePools, SyntheticUtterance
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.voice.clip import VoiceClip
from multimodal.data.emotions import FACE_LABELS, FACE_TO_FUSED, FUSED_LABELS, sum_to_fused
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.voice.features import VoiceFeatures, state_times
from multimodal.encoders.voice.moments import has_states
from multimodal.fusion.alignment import Floats, FusionInputs, build_inputs
from multimodal.models.faces import classify_faces
from multimodal.models.weights import Weights

JITTER = FaceAugmentation(
    rotation_degrees=5, zoom=0.06, shift=0.03, gamma=0.15, shade=15, noise=3, blur_share=0.15, erase_share=0
)
"""Variation of one face from frame to frame: the detector's box and the light change."""

DEGRADED = FaceAugmentation(
    rotation_degrees=20, zoom=0.2, shift=0.1, gamma=1, shade=120, noise=120, blur_share=1, erase_share=1, erase_area=0.4
)
"""Degradation of a face: the encoder is right for 0.26 of such pictures."""

NOISE_DB = (-10.0, 0.0)
"""Signal-to-noise ratio of a degraded voice in white noise, lowest and highest."""

WORD_LOSS = 0.6
"""Share of the words of a degraded text that are replaced by words of other texts."""


AudioEncoderFn = Callable[[Sequence[VoiceFeatures]], tuple[Tensor, list[Tensor]]]
"""Encodes all clips of one speaker: calibrated probabilities ``(clips, labels)``, and the states of each clip."""


@dataclass(frozen=True)
class Encoded:
    """One voice clip or text, encoded.

    Attributes:
        states: ``(steps, features)`` float32.
        probabilities: ``(7,)`` float64 over ``FUSED_LABELS``, calibrated.
        times: ``(steps,)`` seconds of the states of a clip, from the start of its sound; empty for a text.
    """

    states: Floats
    probabilities: Floats
    times: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class EncodedFaces:
    """Pictures, encoded in several views.

    Attributes:
        embeddings: ``(views, pictures, features)`` float16.
        probabilities: ``(views, pictures, labels)`` float32 in the encoder's labels, calibrated.
        groups: The fused label of each of the encoder's labels; None for one without a counterpart.
    """

    embeddings: NDArray[np.float16]
    probabilities: NDArray[np.float32]
    groups: tuple[str | None, ...]

    def mean_probabilities(self, views: NDArray[np.int64], pictures: NDArray[np.int64]) -> Floats:
        """Mean probabilities of some pictures over the seven labels, ``(7,)``, as in inference.

        Args:
            views: View of each picture.
            pictures: Indices of the pictures.

        Returns:
            ``(7,)`` summing to 1.
        """
        mean = self.probabilities[views, pictures].mean(axis=0, dtype=np.float64)
        row: Floats = sum_to_fused(mean[None], self.groups)[0]
        return row


@dataclass(frozen=True)
class EncodedPools:
    """Pictures, clips and texts to draw utterances from, encoded clean and degraded.

    Attributes:
        pools: Labels and durations.
        faces: Clean and degraded pictures.
        voices: Clean and degraded clips.
        texts: Clean and degraded texts.
    """

    pools: SamplePools
    faces: tuple[EncodedFaces, EncodedFaces]
    voices: tuple[Sequence[Encoded], Sequence[Encoded]]
    texts: tuple[Sequence[Encoded], Sequence[Encoded]]

    def utterance(self, recipe: SyntheticUtterance) -> tuple[FusionInputs, dict[str, Floats]]:
        """The inputs of the fusion head, and the calibrated probabilities of each modality, ``(7,)``.

        Args:
            recipe: Which samples make up the utterance.

        Returns:
            The inputs, and modality to its probabilities.
        """
        voice = self.voices[recipe.degraded == "audio"][recipe.audio]
        text = self.texts[recipe.degraded == "text"][recipe.text]
        faces = self.faces[recipe.degraded == "face"]
        has_face = recipe.pictures >= 0
        views, pictures = recipe.views[has_face] % len(faces.embeddings), recipe.pictures[has_face]
        probabilities: dict[str, Floats] = {
            "face": faces.mean_probabilities(views, pictures),
            "audio": voice.probabilities,
            "text": text.probabilities,
        }
        inputs = build_inputs(
            0.0,
            float(self.pools.seconds[recipe.audio]),
            {name: dict(zip(FUSED_LABELS, row.tolist(), strict=True)) for name, row in probabilities.items()},
            audio=(voice.times, voice.states),
            face=(recipe.frame_times[has_face], faces.embeddings[views, pictures].astype(np.float32)),
            tolerance_seconds=0.5 / FRAMES_PER_SECOND,
            text=text.states,
        )
        return inputs, probabilities


def face_pool(corpus: FaceCorpus, max_per_label: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures with a majority for one of the seven labels, at most ``max_per_label`` of each, and their labels.

    Args:
        corpus: Pictures with votes.
        max_per_label: Largest number of pictures of a label.
        seed: Random seed of the selection.

    Returns:
        ``(n, height, width)`` uint8 and ``(n,)`` indices of the labels.
    """
    table = {index: FACE_TO_FUSED[label] for index, label in enumerate(FACE_LABELS)}
    majority = majority_labels(corpus.votes)
    labels = np.array([FUSED_LABELS.index(table[each] or "") if each >= 0 and table[each] else -1 for each in majority])
    draws = np.random.default_rng(seed)
    rows = [draws.permutation(np.flatnonzero(labels == label))[:max_per_label] for label in range(len(FUSED_LABELS))]
    sample = np.sort(np.concatenate(rows))
    return corpus.images[sample], labels[sample]


def encode_faces(
    weights: Weights,
    images: NDArray[np.uint8],
    views: int,
    augmentation: FaceAugmentation,
    seed: int,
    device: str = "cpu",
) -> EncodedFaces:
    """Encodes each picture in several views, changed a little (``JITTER``) or beyond recognition (``DEGRADED``).

    Args:
        weights: A face model.
        images: ``(n, height, width)`` uint8 gray levels.
        views: Views per picture.
        augmentation: How a view differs from its picture.
        seed: Random seed of the views.
        device: Device to compute on.

    Returns:
        Probabilities and embeddings of every view.
    """
    groups = tuple(FACE_TO_FUSED.get(label) for label in weights.spec.labels)
    embeddings, probabilities = [], []
    generator = Generator(device).manual_seed(seed)
    size = weights.spec.face_size or 48
    for _ in range(views):
        rows = []
        for batch in torch.from_numpy(images).to(device).split(256):
            changed = augment(batch, size, augmentation, generator)
            rows.append(classify_faces(weights, changed))
        embeddings.append(torch.cat([row[1] for row in rows]).half().cpu().numpy())
        probabilities.append(torch.cat([row[0] for row in rows]).float().cpu().numpy())
    return EncodedFaces(np.stack(embeddings), np.stack(probabilities), groups)


def mask_audio_with_noise(waveforms: Sequence[NDArray[np.float32]], seed: int) -> list[NDArray[np.float32]]:
    """Degrades clips by white noise at a ratio drawn from ``NOISE_DB``.

    Args:
        waveforms: Clips, ``(samples,)`` each, -1 … 1.
        seed: Random seed.

    Returns:
        Noisy clips of the same lengths.
    """
    draws = np.random.default_rng(seed)
    degraded = []
    for waveform in waveforms:
        power = float(np.square(waveform, dtype=np.float64).mean()) or 1e-8
        level = np.sqrt(power / 10 ** (draws.uniform(*NOISE_DB) / 10))
        noisy = waveform + (level * draws.standard_normal(len(waveform))).astype(np.float32)
        degraded.append((noisy / max(float(np.abs(noisy).max()), 1.0)).astype(np.float32))
    return degraded


def mask_text_with_noise(texts: Sequence[str], seed: int) -> list[str]:
    """Replaces ``WORD_LOSS`` of the words by words of other texts, like speech recognition of inaudible speech.

    Args:
        texts: Any texts.
        seed: Random seed.

    Returns:
        A text per text.
    """
    draws = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    return [
        " ".join(draws.choice(words) if draws.random() < WORD_LOSS else word for word in text.split()) for text in texts
    ]


def encode_clips(
    weights: Weights,
    clips: Sequence[VoiceClip],
    features: Sequence[VoiceFeatures],
    encoder_of: Mapping[str, AudioEncoderFn] | None = None,
) -> list[Encoded]:
    """Encodes clips; a speaker's clips count as one recording, as in inference.

    Args:
        weights: The audio encoder.
        clips: The clips.
        features: The features of each clip.
        encoder_of: Speaker to the encoder to use; None for ``weights`` itself. In training it is an encoder that was
            not trained on the speaker.

    Returns:
        States and probabilities in the order of the clips.
    """
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        by_speaker[clip.speaker].append(index)
    settings = MfccSettings(**weights.spec.mfcc)
    spec = weights.spec.with_speech() if has_states(features) else weights.spec
    encoded: dict[int, Encoded] = {}
    for speaker, indices in by_speaker.items():
        recording = [features[index] for index in indices]
        if encoder_of is None:
            rows, states = encode_speaker(weights.network, recording, spec.temperature)
        else:
            rows, states = encoder_of[speaker](recording)
        grouped = sum_to_fused(rows.double().numpy(), weights.spec.groups or weights.spec.labels)
        for index, row, steps in zip(indices, grouped, states, strict=True):
            times = state_times(replace(features[index], start_seconds=0.0), len(steps), settings)
            encoded[index] = Encoded(steps.numpy(), row, times)
    return [encoded[index] for index in range(len(clips))]


def text_pool(corpus: TextCorpus) -> tuple[list[str], NDArray[np.int64]]:
    """Texts with exactly one of the seven labels, and that label.

    Args:
        corpus: Labeled texts.

    Returns:
        The texts and ``(n,)`` indices of their labels.
    """
    single = corpus.groups.sum(axis=1) == 1
    sample = corpus.subset(single)
    return list(sample.texts), sample.groups.argmax(axis=1).astype(np.int64)


def encode_texts(weights: Weights, texts: Sequence[str]) -> list[Encoded]:
    """Encodes texts; a text without a word has one state of zeros and equal probabilities.

    Args:
        weights: A text model with its tokenizer.
        texts: Any texts.

    Returns:
        An encoding per text.

    Raises:
        ValueError: The model has no tokenizer.
    """
    if weights.tokenizer is None:
        raise ValueError(f"{weights.name} has no tokenizer")
    predictions = read_utterances(
        weights.network,
        weights.tokenizer,
        texts,
        temperature=weights.spec.temperature,
        window_tokens=weights.spec.window_tokens or 128,
        neutral=FUSED_LABELS.index("neutral"),
    )
    size = int(weights.network.embedding_size)  # type: ignore[arg-type]
    empty = Encoded(np.zeros((1, size), np.float32), np.full(len(FUSED_LABELS), 1 / len(FUSED_LABELS)))
    return [
        empty if prediction is None else Encoded(prediction.states, prediction.probabilities)
        for prediction in predictions
    ]


def encode_pools(
    encoders: Mapping[str, Weights],
    pools: SamplePools,
    images: NDArray[np.uint8],
    voices: tuple[Sequence[Encoded], Sequence[Encoded]],
    texts: Sequence[str],
    seed: int,
) -> EncodedPools:
    """Encodes pictures and texts, clean and degraded, and joins them with encoded voices.

    Args:
        encoders: ``face`` and ``text``, on the device to use.
        pools: Labels of all three modalities.
        images: ``(pictures, height, width)`` uint8.
        voices: Clean and degraded clips.
        texts: The texts.
        seed: Random seed of views and degradation.

    Returns:
        The pools to draw utterances from.
    """
    device = str(next(encoders["face"].network.parameters()).device)
    return EncodedPools(
        pools,
        (
            encode_faces(encoders["face"], images, pools.views, JITTER, seed, device),
            encode_faces(encoders["face"], images, 1, DEGRADED, seed, device),
        ),
        voices,
        (encode_texts(encoders["text"], texts), encode_texts(encoders["text"], mask_text_with_noise(texts, seed))),
    )
