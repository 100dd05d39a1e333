"""Evaluates a text model on a corpus of labeled texts, or on what people said with a polarity (CMU-MOSI)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.mosi import POLARITIES, MosiCorpus
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.text import TextPrediction, read_texts
from multimodal.errors import CorpusError, WeightsError
from multimodal.evaluate.confidence import confidence_figures
from multimodal.evaluate.metrics import Floats, classification_figures
from multimodal.evaluate.multilabel import choose_thresholds, multilabel_figures

if TYPE_CHECKING:
    from multimodal.models.weights import Weights

Thresholds = Mapping[str, Mapping[str, float]]


def evaluate_text(weights: Weights, corpus: TextCorpus, batch_size: int = 32) -> dict[str, Any]:
    """Evaluates a text model like the GoEmotions paper, and its single predictions.

    Args:
        weights: The model, with its tokenizer and the thresholds in its spec.
        corpus: Texts and labels; texts without one of the seven labels are skipped.
        batch_size: Texts per batch.

    Returns:
        The figures of ``evaluate_predictions`` and ``parameters``.

    Raises:
        WeightsError: The model has other labels than ``FUSED_LABELS``, or no tokenizer.
        CorpusError: No text has one of the seven labels.
    """
    spec = weights.spec
    labeled = corpus.subset(corpus.groups.sum(axis=1) > 0)
    if not len(labeled):
        raise CorpusError(corpus.name, f"has no text with one of {', '.join(FUSED_LABELS)}", "choose another corpus")
    predictions = _read(weights, labeled.texts, batch_size)
    figures = evaluate_predictions(predictions, labeled, spec.thresholds, native_labels=spec.native_labels)
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    single = [
        (prediction.probabilities, int(groups.argmax()))
        for prediction, groups in zip(predictions, labeled.groups, strict=True)
        if prediction is not None and groups.sum() == 1
    ]
    if single:
        rows, targets = np.stack([row for row, _ in single]), np.array([target for _, target in single], np.int64)
        figures["confidence"] = {"one label": confidence_figures(rows, targets, spec.uncertain_below)}
    return figures


def _read(weights: Weights, texts: Sequence[str], batch_size: int = 32) -> list[TextPrediction | None]:
    """Reads texts with the code of inference."""
    spec = weights.spec
    if spec.labels != FUSED_LABELS or weights.tokenizer is None:
        fact = f"predicts {', '.join(spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a text model with the labels {', '.join(FUSED_LABELS)}")
    return read_texts(
        weights.network,
        weights.tokenizer,
        texts,
        temperature=spec.temperature,
        window_tokens=spec.window_tokens or 128,
        batch_size=batch_size,
    )


def evaluate_polarity(weights: Weights, corpus: MosiCorpus, split: str = "dev") -> dict[str, Any]:
    """Evaluates the emotions of a text model as a polarity, on real talk that no part of the model was trained on.

    Args:
        weights: The model.
        corpus: What people said, positive or negative.
        split: ``dev`` for the half of the videos that calibration does not use, ``train`` for the other half.

    Returns:
        The figures of ``classification_figures`` over ``POLARITIES``, ``parameters``, and ``confidence``: ``polarity``
        of all utterances; ``sign of the emotion`` of those whose top label has a polarity, right where it is the
        utterance's, without calibration error: a right sign is less than the right emotion.

    Raises:
        WeightsError: The model has other labels than ``FUSED_LABELS``, or no tokenizer.
        CorpusError: No utterance has words.
    """
    half = in_calibration_half(corpus.videos) == (split == "train")
    predictions = _read(weights, [text for text, chosen in zip(corpus.texts, half, strict=True) if chosen])
    has_words = np.array([prediction is not None for prediction in predictions], bool)
    if not has_words.any():
        raise CorpusError("mosi", f"has no utterance with words in the {split} part", "choose another part")
    rows = np.stack([prediction.probabilities for prediction in predictions if prediction is not None])
    targets = corpus.targets[half][has_words]
    polarity = polarity_probabilities(rows)
    figures = classification_figures(polarity, targets, POLARITIES)
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    figures["confidence"] = {"polarity": confidence_figures(polarity, targets)}
    signs = VALENCE[rows.argmax(axis=1)]
    if (signs != 0).any():
        chosen, truth = rows[signs != 0], 2 * targets[signs != 0] - 1
        right = np.where(signs[signs != 0] == truth, chosen.argmax(axis=1), -1)
        row = confidence_figures(chosen, right, weights.spec.uncertain_below)
        figures["confidence"]["sign of the emotion"] = {
            key: value for key, value in row.items() if key not in ("ece", "nll")
        }
    return figures


VALENCE = np.array([{"happiness": 1, "neutral": 0, "surprise": 0}.get(label, -1) for label in FUSED_LABELS])
"""Polarity of each of the seven: 1 positive, -1 negative, 0 neither."""


def polarity_probabilities(probabilities: Floats) -> Floats:
    """Probabilities of a negative and of a positive utterance; neutral and surprise speak for both alike.

    Args:
        probabilities: ``(n, 7)`` over ``FUSED_LABELS``.

    Returns:
        ``(n, 2)`` in the order of ``POLARITIES``, rows summing to 1.

    Example:
        >>> polarity_probabilities(np.array([[0.2, 0.6, 0.0, 0.2, 0.0, 0.0, 0.0]])).round(2).tolist()
        [[0.3, 0.7]]
    """
    positive = probabilities @ ((VALENCE + 1) / 2)
    return np.stack([1 - positive, positive], axis=1)


def in_calibration_half(videos: Sequence[str]) -> NDArray[np.bool_]:
    """Selects half of the videos for calibration by a hash of their names, the same on every machine.

    Args:
        videos: ``n`` names of the utterances' videos.

    Returns:
        ``(n,)``: true for an utterance that calibration uses.
    """
    return np.array([hashlib.sha256(video.encode()).digest()[0] < 128 for video in videos], bool)


def evaluate_predictions(
    predictions: Sequence[TextPrediction | None],
    corpus: TextCorpus,
    thresholds: Thresholds | None,
    native_labels: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Computes the figures of a model's predictions.

    Args:
        predictions: One per text; None for a text without words.
        corpus: The texts and their labels.
        thresholds: Thresholds of ``groups`` and ``native``; None to select them on these texts, which is optimistic.
        native_labels: The model's own labels; None for those of the corpus.

    Returns:
        Over texts with words: ``macro_f1``, ``micro_f1`` and ``pr_auc`` of multi-label classification into the seven;
        the same with ``_native`` over the corpus's own labels (None if the model has others); ``accuracy``, ``ece``,
        ``nll``, ``confusion``, ``labels`` of the most likely of the seven on the ``n_single`` texts with one label
        (None if there are none); ``per_label``, ``per_label_native``; ``n``; ``unread``, texts without words.

    Raises:
        CorpusError: No text has words.
    """
    has_words = np.array([prediction is not None for prediction in predictions], bool)
    texts, rows = corpus.subset(has_words), [prediction for prediction in predictions if prediction is not None]
    if not rows:
        raise CorpusError(corpus.name, f"has no text with words ({len(corpus)} texts)", "choose another corpus")
    groups, scores = texts.groups, np.stack([prediction.scores for prediction in rows])
    cutoffs = thresholds["groups"] if thresholds else choose_thresholds(scores, groups, FUSED_LABELS)
    figures = multilabel_figures(scores, groups, FUSED_LABELS, cutoffs)
    figures |= _native_figures(rows, texts, thresholds, native_labels or texts.labels)
    single = groups.sum(axis=1) == 1
    probabilities = np.stack([prediction.probabilities for prediction in rows])
    figures |= _single_figures(probabilities[single], groups[single].argmax(axis=1))
    return {**figures, "n": len(texts), "n_single": int(single.sum()), "unread": int((~has_words).sum())}


def _single_figures(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, Any]:
    """Figures of the most likely of the seven labels; a small corpus may have no text with a single one."""
    if not len(targets):
        nothing = dict.fromkeys(("accuracy", "balanced_accuracy", "ece", "nll"))
        confusion = np.zeros((len(FUSED_LABELS), len(FUSED_LABELS)), int).tolist()
        return {**nothing, "confusion": confusion, "labels": list(FUSED_LABELS)}
    all_figures = classification_figures(probabilities, targets, FUSED_LABELS)
    return {key: all_figures[key] for key in ("accuracy", "balanced_accuracy", "ece", "nll", "confusion", "labels")}


def _native_figures(
    predictions: Sequence[TextPrediction], corpus: TextCorpus, thresholds: Thresholds | None, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Figures over the corpus's own labels, if the model has the same."""
    if corpus.labels != labels:
        return dict.fromkeys(("macro_f1_native", "micro_f1_native", "pr_auc_native", "per_label_native"))
    scores = np.stack([prediction.native_scores for prediction in predictions])
    cutoffs = thresholds["native"] if thresholds else choose_thresholds(scores, corpus.targets, labels)
    figures = multilabel_figures(scores, corpus.targets, labels, cutoffs)
    return {f"{key}_native": value for key, value in figures.items()}
