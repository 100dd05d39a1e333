"""Judges a text model on a corpus of labeled texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.text import TextReading, read_texts
from multimodal.errors import CorpusError, WeightsError
from multimodal.evaluate.metrics import classification_figures
from multimodal.evaluate.multilabel import choose_thresholds, multilabel_figures

if TYPE_CHECKING:
    from multimodal.models.weights import Weights

Thresholds = Mapping[str, Mapping[str, float]]


def evaluate_text(weights: Weights, corpus: TextCorpus, batch_size: int = 32) -> dict[str, Any]:
    """Judges a text model as the GoEmotions paper does, and its single answers beside.

    Args:
        weights: The model, with its tokenizer and the thresholds in its spec.
        corpus: Texts and labels; those without a counterpart among the seven are left out.
        batch_size: Texts read at once.

    Returns:
        The figures of ``evaluate_readings`` and ``parameters``.

    Raises:
        WeightsError: The model has other labels than ``FUSED_LABELS``, or no tokenizer.
        CorpusError: No text has a counterpart.
    """
    spec = weights.spec
    if spec.labels != FUSED_LABELS or weights.tokenizer is None:
        fact = f"answers {', '.join(spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a text model with the labels {', '.join(FUSED_LABELS)}")
    judged = corpus.subset(corpus.groups.sum(axis=1) > 0)
    if not len(judged):
        raise CorpusError(corpus.name, f"has no text with one of {', '.join(FUSED_LABELS)}", "choose another corpus")
    readings = read_texts(
        weights.network,
        weights.tokenizer,
        judged.texts,
        temperature=spec.temperature,
        window_tokens=spec.window_tokens or 128,
        batch_size=batch_size,
    )
    figures = evaluate_readings(readings, judged, spec.thresholds, native_labels=spec.native_labels)
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    return figures


def evaluate_readings(
    readings: Sequence[TextReading | None],
    corpus: TextCorpus,
    thresholds: Thresholds | None,
    native_labels: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Figures of what a model read.

    Args:
        readings: One per text; None where it found nothing to read.
        corpus: The texts and their labels.
        thresholds: For ``groups`` and ``native``; None to choose them on these very texts, which flatters.
        native_labels: The model's own labels; None for those of the corpus.

    Returns:
        Over texts that could be read: ``macro_f1``, ``micro_f1`` and ``pr_auc`` over the seven, several of which may
        hold; the same with ``_native`` over the corpus's own labels (None where the model has others); ``accuracy``,
        ``ece``, ``nll``, ``confusion``, ``labels`` of the likeliest of the seven on the ``n_single`` texts with one
        group (where there are none, None for the figures); ``per_label``, ``per_label_native``; ``n``; ``unread``,
        texts that could not be read.

    Raises:
        CorpusError: None of the texts could be read.
    """
    read = np.array([reading is not None for reading in readings], bool)
    kept, judged = corpus.subset(read), [reading for reading in readings if reading is not None]
    if not judged:
        raise CorpusError(corpus.name, f"has no text that can be read ({len(corpus)} tried)", "choose another corpus")
    groups, scores = kept.groups, np.stack([reading.scores for reading in judged])
    chosen = thresholds["groups"] if thresholds else choose_thresholds(scores, groups, FUSED_LABELS)
    figures = multilabel_figures(scores, groups, FUSED_LABELS, chosen)
    figures |= _native_figures(judged, kept, thresholds, native_labels or kept.labels)
    single = groups.sum(axis=1) == 1
    probabilities = np.stack([reading.probabilities for reading in judged])
    figures |= _single_figures(probabilities[single], groups[single].argmax(axis=1))
    return {**figures, "n": len(kept), "n_single": int(single.sum()), "unread": int((~read).sum())}


def _single_figures(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, Any]:
    """Of the likeliest of the seven; a few lines of a corpus may hold no text with one group."""
    if not len(targets):
        nothing = dict.fromkeys(("accuracy", "balanced_accuracy", "ece", "nll"))
        confusion = np.zeros((len(FUSED_LABELS), len(FUSED_LABELS)), int).tolist()
        return {**nothing, "confusion": confusion, "labels": list(FUSED_LABELS)}
    answers = classification_figures(probabilities, targets, FUSED_LABELS)
    return {key: answers[key] for key in ("accuracy", "balanced_accuracy", "ece", "nll", "confusion", "labels")}


def _native_figures(
    readings: Sequence[TextReading], corpus: TextCorpus, thresholds: Thresholds | None, labels: tuple[str, ...]
) -> dict[str, Any]:
    """Over the corpus's own labels, if they are the model's."""
    if corpus.labels != labels:
        return dict.fromkeys(("macro_f1_native", "micro_f1_native", "pr_auc_native", "per_label_native"))
    scores = np.stack([reading.native_scores for reading in readings])
    chosen = thresholds["native"] if thresholds else choose_thresholds(scores, corpus.targets, labels)
    figures = multilabel_figures(scores, corpus.targets, labels, chosen)
    return {f"{key}_native": value for key, value in figures.items()}
