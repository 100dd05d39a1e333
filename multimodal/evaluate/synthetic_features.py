"""Encodes the corpora that utterances are composed of, once, by the same code as inference; and puts recipes together.

Each corpus is encoded as it is and buried in noise: that a signal is bad is something the fusion head must see.
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
from multimodal.data.emotions import FACE_LABELS, FACE_TO_FUSED, FUSED_LABELS
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.face import predict
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.text import read_texts
from multimodal.encoders.voice_features import VoiceFeatures, state_times
from multimodal.evaluate.audio import sum_to_fused
from multimodal.fusion.alignment import Floats, FusionInputs, build_inputs
from multimodal.models.weights import Weights

JITTER = FaceAugmentation(
    rotation_degrees=5, zoom=0.06, shift=0.03, gamma=0.15, shade=15, noise=3, blur_share=0.15, erase_share=0
)
"""How crops of one face differ from frame to frame: the detector wavers, the light changes."""

DEGRADED = FaceAugmentation(
    rotation_degrees=20, zoom=0.2, shift=0.1, gamma=1, shade=120, noise=120, blur_share=1, erase_share=1, erase_area=0.4
)
"""A face that nothing can be read from: the encoder is right for 0.26 of such pictures and sure of them."""

NOISE_DB = (-10.0, 0.0)
"""Power of the voice over that of the white noise that buries it, from the lowest to the highest."""

WORD_LOSS = 0.6
"""Share of the words that are replaced by words of other texts."""


@dataclass(frozen=True)
class Encoded:
    """One voice or text, encoded.

    Attributes:
        states: ``(steps, features)`` float32.
        probabilities: ``(7,)`` float64 over ``FUSED_LABELS``, calibrated.
        times: ``(steps,)`` seconds of the states of a voice, from where its sound begins; empty for a text.
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
        groups: The fused label of each of the encoder's labels; None for one that is none of the seven.
    """

    embeddings: NDArray[np.float16]
    probabilities: NDArray[np.float32]
    groups: tuple[str | None, ...]

    def answer(self, views: NDArray[np.int64], pictures: NDArray[np.int64]) -> Floats:
        """What a face that shows these pictures says, ``(7,)``: their mean, then onto the seven, as in inference."""
        mean = self.probabilities[views, pictures].mean(axis=0, dtype=np.float64)
        row: Floats = sum_to_fused(mean[None], self.groups)[0]
        return row


@dataclass(frozen=True)
class EncodedPools:
    """Everything to compose of, encoded: as it is, and buried in noise.

    Attributes:
        pools: Labels and lengths.
        faces: As they are, and buried.
        voices: Likewise; a list of clips per version.
        texts: Likewise.
    """

    pools: SamplePools
    faces: tuple[EncodedFaces, EncodedFaces]
    voices: tuple[Sequence[Encoded], Sequence[Encoded]]
    texts: tuple[Sequence[Encoded], Sequence[Encoded]]

    def streams(self, recipe: SyntheticUtterance) -> tuple[FusionInputs, dict[str, Floats]]:
        """The utterance as the fusion head reads it, and each signal's own calibrated answer ``(7,)``."""
        buried = recipe.degraded
        voice = self.voices[buried == "audio"][recipe.audio]
        text = self.texts[buried == "text"][recipe.text]
        faces = self.faces[buried == "face"]
        seen = recipe.pictures >= 0
        views, pictures = recipe.views[seen] % len(faces.embeddings), recipe.pictures[seen]
        answers: dict[str, Floats] = {
            "face": faces.answer(views, pictures),
            "audio": voice.probabilities,
            "text": text.probabilities,
        }
        streams = build_inputs(
            0.0,
            float(self.pools.seconds[recipe.audio]),
            {name: dict(zip(FUSED_LABELS, row.tolist(), strict=True)) for name, row in answers.items()},
            audio=(voice.times, voice.states),
            face=(recipe.frame_times[seen], faces.embeddings[views, pictures].astype(np.float32)),
            tolerance_seconds=0.5 / FRAMES_PER_SECOND,
            text=text.states,
        )
        return streams, answers


def face_pool(corpus: FaceCorpus, most_per_label: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures with a majority for one of the seven, at most so many of each, drawn by a seed."""
    table = {index: FACE_TO_FUSED[label] for index, label in enumerate(FACE_LABELS)}
    majority = majority_labels(corpus.votes)
    labels = np.array([FUSED_LABELS.index(table[each] or "") if each >= 0 and table[each] else -1 for each in majority])
    random_ = np.random.default_rng(seed)
    kept = [random_.permutation(np.flatnonzero(labels == label))[:most_per_label] for label in range(len(FUSED_LABELS))]
    chosen = np.sort(np.concatenate(kept))
    return corpus.images[chosen], labels[chosen]


def encode_faces(
    weights: Weights, images: NDArray[np.uint8], views: int, changes: FaceAugmentation, seed: int, device: str = "cpu"
) -> EncodedFaces:
    """Encodes each picture in several views, changed a little (``JITTER``) or beyond recognition (``DEGRADED``)."""
    groups = tuple(FACE_TO_FUSED.get(label) for label in weights.spec.labels)
    embeddings, probabilities = [], []
    generator = Generator(device).manual_seed(seed)
    size = weights.spec.face_size or 48
    for _ in range(views):
        rows = []
        for batch in torch.from_numpy(images).to(device).split(256):
            changed = augment(batch, size, changes, generator)
            rows.append(predict(weights.network, changed, weights.spec.temperature, weights.spec.flip))
        embeddings.append(torch.cat([row[1] for row in rows]).half().cpu().numpy())
        probabilities.append(torch.cat([row[0] for row in rows]).float().cpu().numpy())
    return EncodedFaces(np.stack(embeddings), np.stack(probabilities), groups)


def mask_audio_with_noise(waveforms: Sequence[NDArray[np.float32]], seed: int) -> list[NDArray[np.float32]]:
    """Adds white noise of ``NOISE_DB``."""
    draws = np.random.default_rng(seed)
    buried = []
    for sound in waveforms:
        power = float(np.square(sound, dtype=np.float64).mean()) or 1e-8
        level = np.sqrt(power / 10 ** (draws.uniform(*NOISE_DB) / 10))
        noisy = sound + (level * draws.standard_normal(len(sound))).astype(np.float32)
        buried.append((noisy / max(float(np.abs(noisy).max()), 1.0)).astype(np.float32))
    return buried


def mask_text_with_noise(texts: Sequence[str], seed: int) -> list[str]:
    """Replaces ``WORD_LOSS`` of the words by words of other texts, as a recognizer does that hears nothing."""
    draws = random.Random(seed)
    words = [word for text in texts for word in text.split()]
    return [
        " ".join(draws.choice(words) if draws.random() < WORD_LOSS else word for word in text.split()) for text in texts
    ]


def encode_voices(
    weights: Weights,
    clips: Sequence[VoiceClip],
    features: Sequence[VoiceFeatures],
    heard_by: Mapping[str, AudioEncoderFn] | None = None,
) -> list[Encoded]:
    """Encodes clips; a speaker's clips count as one recording, as in inference.

    Args:
        weights: The audio encoder.
        clips: What is known of each.
        features: Of each.
        heard_by: Speaker to what hears them; None for ``weights`` itself. In training it is a network that never heard
            the speaker.

    Returns:
        States and probabilities in the order of the clips.
    """
    own: dict[str, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        own[clip.speaker].append(index)
    settings = MfccSettings(**weights.spec.mfcc)
    found: dict[int, Encoded] = {}
    for speaker, indices in own.items():
        spoken = [features[index] for index in indices]
        if heard_by is None:
            rows, states = encode_speaker(weights.network, spoken, weights.spec.temperature)
        else:
            rows, states = heard_by[speaker](spoken)
        grouped = sum_to_fused(rows.double().numpy(), weights.spec.groups or weights.spec.labels)
        for index, row, steps in zip(indices, grouped, states, strict=True):
            times = state_times(replace(features[index], start_seconds=0.0), len(steps), settings)
            found[index] = Encoded(steps.numpy(), row, times)
    return [found[index] for index in range(len(clips))]


def text_pool(corpus: TextCorpus) -> tuple[list[str], NDArray[np.int64]]:
    """Texts with exactly one of the seven, and which."""
    single = corpus.groups.sum(axis=1) == 1
    chosen = corpus.subset(single)
    return list(chosen.texts), chosen.groups.argmax(axis=1).astype(np.int64)


def encode_texts(weights: Weights, texts: Sequence[str]) -> list[Encoded]:
    """Encodes texts; one without a word gets one state of zeros and even probabilities."""
    if weights.tokenizer is None:
        raise ValueError(f"{weights.name} has no tokenizer")
    readings = read_texts(
        weights.network,
        weights.tokenizer,
        texts,
        temperature=weights.spec.temperature,
        window_tokens=weights.spec.window_tokens or 128,
    )
    size = int(weights.network.embedding_size)  # type: ignore[arg-type]
    nothing = Encoded(np.zeros((1, size), np.float32), np.full(len(FUSED_LABELS), 1 / len(FUSED_LABELS)))
    return [nothing if reading is None else Encoded(reading.states, reading.probabilities) for reading in readings]


def encode_pools(
    encoders: Mapping[str, Weights],
    pools: SamplePools,
    images: NDArray[np.uint8],
    voices: tuple[Sequence[Encoded], Sequence[Encoded]],
    texts: Sequence[str],
    seed: int,
) -> EncodedPools:
    """Encodes pictures and texts, as they are and buried, beside voices that are encoded already.

    Args:
        encoders: ``face`` and ``text``, where they are to compute.
        pools: Labels of all three.
        images: ``(pictures, height, width)`` uint8.
        voices: As they are, and buried.
        texts: The words.
        seed: Of the changes.

    Returns:
        Everything to compose of.
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


AudioEncoderFn = Callable[[Sequence[VoiceFeatures]], tuple[Tensor, list[Tensor]]]
