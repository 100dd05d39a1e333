"""Thresholds and temperatures of a trained text network, fitted on texts that training did not use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tokenizers import Tokenizer

from multimodal.augmentation.text import bare
from multimodal.data.corpora.mosi import MosiCorpus
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.usability import UsabilityCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.text import TextEncoder, TextPrediction, read_texts
from multimodal.evaluate.confidence import uncertainty_threshold
from multimodal.evaluate.metrics import (
    Floats,
    Labels,
    apply_temperature,
    cross_entropy,
    fit_temperature,
    minimize_temperature,
)
from multimodal.evaluate.multilabel import choose_thresholds
from multimodal.evaluate.text import in_calibration_half, polarity_probabilities
from multimodal.models.spec import ModelSpec
from multimodal.train.text.task import TextConfig
from multimodal.types import USABILITY_LABELS


def like_speech(corpus: TextCorpus) -> TextCorpus:
    """The same texts in lower case without punctuation, as speech-to-text may give them.

    Args:
        corpus: Any texts.

    Returns:
        A corpus with the same labels.
    """
    return replace(corpus, texts=tuple(bare(text).lower() for text in corpus.texts))


def calibrate(
    config: TextConfig,
    network: TextEncoder,
    tokenizer: Tokenizer,
    held_out: TextCorpus,
    talk: MosiCorpus | None = None,
    sentences: UsabilityCorpus | None = None,
) -> ModelSpec:
    """The spec of a trained network, with thresholds and temperature fitted on texts that training did not use.

    The temperature has the best likelihood of the emotions of the held-out texts and, each counting the same, of the
    polarity of real talk and of the emotions of usability talk. Answers are called uncertain below the confidence at
    which they are more likely wrong than right on the held-out texts without case and punctuation and, counting the
    same, on usability talk.

    Args:
        config: Configuration of the training.
        network: The trained network.
        tokenizer: Its tokenizer.
        held_out: Texts that training did not use.
        talk: Utterances with a polarity, of which the calibration half is used; None for none.
        sentences: Usability talk that training did not use; None for none, and for a network without its labels.

    Returns:
        The spec.
    """
    readable, predictions = _read(config, network, tokenizer, held_out)
    scores, native = (np.stack([getattr(one, key) for one in predictions]) for key in ("scores", "native_scores"))
    rows, labels = _single(readable, predictions)
    spoken = None if talk is None else _polarity_sample(config, network, tokenizer, talk)
    usable = None if sentences is None else _usability_sample(config, network, tokenizer, sentences)

    def loss(temperature: float) -> float:
        total = cross_entropy(apply_temperature(rows, temperature), labels)
        if spoken is not None:
            polarity = polarity_probabilities(apply_temperature(spoken[0], temperature))
            total += cross_entropy(polarity, spoken[1])
        if usable is not None:
            total += cross_entropy(apply_temperature(usable[0], temperature), usable[2].main)
        return total

    temperature = round(minimize_temperature(loss), 4)
    speech_rows, speech_targets = _single(*_read(config, network, tokenizer, like_speech(held_out)))
    samples = [(apply_temperature(speech_rows, temperature), speech_targets)]
    if usable is not None:
        samples.append((apply_temperature(usable[0], temperature), usable[2].main))
    return ModelSpec(
        part="text",
        architecture=config.architecture,
        labels=FUSED_LABELS,
        temperature=temperature,
        native_labels=held_out.labels,
        text=network.shape,
        window_tokens=config.window_tokens,
        thresholds={
            "groups": choose_thresholds(scores, readable.groups, FUSED_LABELS),
            "native": choose_thresholds(native, readable.targets, held_out.labels),
        },
        uncertain_below=round(uncertainty_threshold(*samples), 3),
        usability_labels=() if usable is None else USABILITY_LABELS,
        usability_temperature=1.0 if usable is None else round(fit_temperature(usable[1], usable[2].usability), 4),
    )


def _read(
    config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, corpus: TextCorpus
) -> tuple[TextCorpus, list[TextPrediction]]:
    """The texts with words, and their predictions before calibration."""
    results = read_texts(network, tokenizer, corpus.texts, window_tokens=config.window_tokens)
    readable = corpus.subset(np.array([prediction is not None for prediction in results], bool))
    return readable, [prediction for prediction in results if prediction is not None]


def _single(corpus: TextCorpus, predictions: Sequence[TextPrediction]) -> tuple[Floats, Labels]:
    """Probabilities and labels of the texts with one of the seven labels."""
    single = corpus.groups.sum(axis=1) == 1
    return np.stack([one.probabilities for one in predictions])[single], corpus.groups[single].argmax(axis=1)


def _polarity_sample(
    config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, talk: MosiCorpus
) -> tuple[Floats, Labels]:
    """Probabilities of the seven and polarities of the calibration half."""
    chosen = np.flatnonzero(in_calibration_half(talk.videos))
    results = read_texts(
        network, tokenizer, [talk.texts[index] for index in chosen], window_tokens=config.window_tokens
    )
    pairs = [
        (one.probabilities, talk.targets[index]) for index, one in zip(chosen, results, strict=True) if one is not None
    ]
    return np.stack([row for row, _ in pairs]), np.array([target for _, target in pairs], np.int64)


def _usability_sample(
    config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, sentences: UsabilityCorpus
) -> tuple[Floats, Floats, UsabilityCorpus]:
    """Probabilities of the emotions and of the usability labels, as inference reads them, and the texts with words."""
    results = read_utterances(
        network,
        tokenizer,
        sentences.texts,
        window_tokens=config.window_tokens,
        usability_neutral=USABILITY_LABELS.index("neutral"),
    )
    readable = sentences.subset(np.array([one is not None for one in results], bool))
    rows = [one for one in results if one is not None]
    labels = [one.usability for one in rows if one.usability is not None]
    return np.stack([one.probabilities for one in rows]), np.stack(labels), readable
