"""Evaluates a text model on usability talk: emotions and usability labels by kind of sentence, and turns in context."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multimodal.analysis.bootstrap import bootstrap
from multimodal.data.corpora.usability import KINDS, Dialogue, UsabilityCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.text import TextPrediction
from multimodal.encoders.turns import read_in_context
from multimodal.errors import CorpusError, WeightsError
from multimodal.evaluate.confidence import confidence_figures
from multimodal.evaluate.metrics import classification_figures
from multimodal.types import USABILITY_LABELS

if TYPE_CHECKING:
    from multimodal.models.weights import Weights

Z = 1.959964
"""Normal quantile of a 95 % interval."""


def share_with_interval(right: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval of Wilson.

    Args:
        right: Number of right answers.
        n: Number of answers, at least 1.

    Returns:
        ``share``, ``low``, ``high`` (0 … 1) and ``n``.

    Example:
        >>> {key: round(value, 3) for key, value in share_with_interval(8, 10).items()}
        {'share': 0.8, 'low': 0.49, 'high': 0.943, 'n': 10}

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    share, weight = right / n, Z * Z / n
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return {"share": share, "low": max(middle - half, 0.0), "high": min(middle + half, 1.0), "n": n}


def evaluate_usability(
    weights: Weights, corpus: UsabilityCorpus, dialogues: Sequence[Dialogue] = (), batch_size: int = 32
) -> dict[str, Any]:
    """Evaluates a text model on usability talk, with the code of inference.

    Args:
        weights: The model.
        corpus: Sentences, each by itself.
        dialogues: Dialogues; empty for none.
        batch_size: Texts per batch.

    Returns:
        The figures of ``classification_figures`` over the seven emotions; ``parameters``; ``interval`` of the accuracy;
        ``kinds``: per kind of sentence, of both negations and of ``all but question`` the shares of right emotions and
        right usability labels with intervals;
        ``usability``: ``classification_figures`` over the usability labels with ``interval`` (None for a model without
        them); ``confidence`` of both; ``dialogues``, see ``evaluate_dialogues``.

    Raises:
        WeightsError: The model has other labels than ``FUSED_LABELS``, or no tokenizer.
        CorpusError: No sentence has words.
    """
    predictions = _read(weights, corpus.texts, batch_size)
    has_words = np.array([one is not None for one in predictions], bool)
    if not has_words.any():
        raise CorpusError(corpus.name, "has no text with words", "choose another corpus")
    sentences, rows = corpus.subset(has_words), [one for one in predictions if one is not None]
    emotions, labels = _stacked(rows)
    figures = classification_figures(emotions, sentences.main, FUSED_LABELS)
    right = emotions.argmax(axis=1) == sentences.main
    right_label = None if labels is None else labels.argmax(axis=1) == sentences.usability
    figures["interval"] = share_with_interval(int(right.sum()), len(right))
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    figures["unread"] = int((~has_words).sum())
    figures["confidence"] = {"emotion": confidence_figures(emotions, sentences.main, weights.spec.uncertain_below)}
    figures["usability"] = None
    if labels is not None and right_label is not None:
        figures["usability"] = classification_figures(labels, sentences.usability, USABILITY_LABELS)
        figures["usability"]["interval"] = share_with_interval(int(right_label.sum()), len(right_label))
        figures["confidence"]["usability label"] = confidence_figures(labels, sentences.usability)
    figures["kinds"] = _by_kind(sentences.kinds, right, right_label)
    if dialogues:
        figures["dialogues"] = evaluate_dialogues(weights, dialogues, batch_size)
    return figures


def _by_kind(
    kinds: Sequence[str], right: NDArray[np.bool_], right_label: NDArray[np.bool_] | None
) -> dict[str, dict[str, Any]]:
    """Per kind the shares of right answers with intervals; ``negation`` is both kinds of negation together.

    The authors of the parts label questions differently, so the emotions are also counted without them.
    """
    sets: dict[str, tuple[str, ...]] = {kind: (kind,) for kind in KINDS}
    sets["negation"] = ("negation_positive", "negation_negative")
    sets["all but question"] = tuple(kind for kind in KINDS if kind != "question")
    rows: dict[str, dict[str, Any]] = {}
    for name, members in sets.items():
        chosen = np.array([kind in members for kind in kinds], bool)
        count = int(chosen.sum())
        if count:
            label = None if right_label is None else share_with_interval(int(right_label[chosen].sum()), count)
            rows[name] = {"emotion": share_with_interval(int(right[chosen].sum()), count), "usability": label}
    return rows


def evaluate_dialogues(weights: Weights, dialogues: Sequence[Dialogue], batch_size: int = 32) -> dict[str, Any]:
    """Compares each turn's estimate alone with the one in context.

    Args:
        weights: The model.
        dialogues: Dialogues with labels per turn.
        batch_size: Texts per batch.

    Returns:
        Per set of turns (``all``, ``participants``) and per answer (``emotion``, ``usability``): ``alone`` and
        ``context`` with intervals, and ``gain``: ``mean``, ``low``, ``high`` of the difference, by bootstrap over
        dialogues. A model without a context head, or without usability labels, has no such entries.
    """
    texts = [text for dialogue in dialogues for text in dialogue.turns.texts]
    predictions, start = _read(weights, texts, batch_size), 0
    rows: list[NDArray[np.float64]] = []
    head = getattr(weights.network, "context", None)
    for number, dialogue in enumerate(dialogues):
        read = predictions[start : start + len(dialogue.turns)]
        start += len(dialogue.turns)
        kept = [index for index, one in enumerate(read) if one is not None]
        alone = [one for one in read if one is not None]
        if not alone:
            continue
        speakers = [dialogue.speakers[index] for index in kept]
        context = alone if head is None else read_in_context(head, alone, speakers, [True] * len(alone))
        participants = [speaker == "P" for speaker in speakers]
        columns = [np.full(len(alone), number), np.array(participants)]
        for answers in (alone, context):
            columns += list(_right(answers, dialogue.turns.main[kept], dialogue.turns.usability[kept]))
        rows.append(np.stack(columns, axis=1).astype(np.float64))
    turns = np.concatenate(rows)
    sets = {"all": np.ones(len(turns), bool), "participants": turns[:, 1] == 1}
    return {
        "n": len(dialogues),
        "has_context": head is not None,
        **{name: _compared(turns[chosen]) for name, chosen in sets.items() if chosen.any()},
    }


def _right(
    answers: Sequence[TextPrediction], main: NDArray[np.int64], usability: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether emotion and usability label are right; NaN without usability labels."""
    emotions, labels = _stacked(answers)
    right = (emotions.argmax(axis=1) == main).astype(np.float64)
    if labels is None:
        return right, np.full(len(right), np.nan)
    return right, (labels.argmax(axis=1) == usability).astype(np.float64)


def _compared(turns: NDArray[np.float64]) -> dict[str, Any]:
    """Shares alone and in context from columns dialogue, participant, and right answers alone and in context."""
    figures: dict[str, Any] = {}
    for name, alone, context in (("emotion", 2, 4), ("usability", 3, 5)):
        if np.isnan(turns[:, alone]).any():
            continue
        numbers = np.unique(turns[:, 0])
        # The difference over all turns is the sum of the dialogues' differences over the sum of their turns.
        sums = np.array(
            [(turns[turns[:, 0] == one, context] - turns[turns[:, 0] == one, alone]).sum() for one in numbers]
        )
        sizes = np.array([(turns[:, 0] == one).sum() for one in numbers])
        mean, low, high = bootstrap((sums / sizes.mean())[:, None])
        figures[name] = {
            "alone": share_with_interval(int(turns[:, alone].sum()), len(turns)),
            "context": share_with_interval(int(turns[:, context].sum()), len(turns)),
            "gain": {"mean": float(mean[0]), "low": float(low[0]), "high": float(high[0])},
        }
    return figures


def _read(weights: Weights, texts: Sequence[str], batch_size: int) -> list[TextPrediction | None]:
    """Reads texts one by one, sentence by sentence, with the code of inference."""
    spec = weights.spec
    if spec.labels != FUSED_LABELS or weights.tokenizer is None:
        fact = f"predicts {', '.join(spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a text model with the labels {', '.join(FUSED_LABELS)}")
    return read_utterances(
        weights.network,
        weights.tokenizer,
        texts,
        temperature=spec.temperature,
        usability_temperature=spec.usability_temperature,
        window_tokens=spec.window_tokens or 128,
        batch_size=batch_size,
        neutral=spec.labels.index("neutral"),
        usability_neutral=spec.usability_labels.index("neutral") if spec.usability_labels else None,
    )


def _stacked(predictions: Sequence[TextPrediction]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    labels = [one.usability for one in predictions if one.usability is not None]
    return np.stack([one.probabilities for one in predictions]), np.stack(labels) if labels else None


def usability_table(figures: Mapping[str, Any]) -> list[str]:
    """Formats what the common table lacks: kinds of sentences, usability labels, turns in context.

    Args:
        figures: The result of an evaluation; of other evaluations than ``evaluate_usability`` nothing is formatted.

    Returns:
        Lines.
    """
    if "kinds" not in figures:
        return []
    lines = ["  right, with 95 % interval          emotion                usability label        n"]
    usability = figures["usability"]
    whole = {"all": {"emotion": figures["interval"], "usability": usability and usability["interval"]}}
    for name, row in (whole | figures["kinds"]).items():
        lines.append(f"    {name:28} {_cell(row['emotion'])}   {_cell(row['usability'])} {row['emotion']['n']:6d}")
    if usability is not None:
        lines.append("  usability label    precision  recall      F1       n")
        for label, row in usability["per_class"].items():
            cells = f"{row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f} {row['n']:7.0f}"
            lines.append(f"    {label:16} {cells}")
        lines.append("  usability confusion (row: true label, column: prediction)")
        lines.append(" " * 21 + " ".join(f"{label[:6]:>6}" for label in usability["labels"]))
        for label, row in zip(usability["labels"], usability["confusion"], strict=True):
            lines.append(f"    {label:16} " + " ".join(f"{count:6d}" for count in row))
    if "dialogues" in figures:
        lines.append("  turns of dialogues                 alone                  in context             gain")
        for turns in ("all", "participants"):
            for answer, row in figures["dialogues"].get(turns, {}).items():
                gain = "{mean:+.3f} ({low:+.3f} … {high:+.3f})".format(**row["gain"])
                name = f"{answer}, {turns}"
                lines.append(f"    {name:28} {_cell(row['alone'])}   {_cell(row['context'])}   {gain}")
    return lines


def _cell(share: Mapping[str, float] | None) -> str:
    return f"{'-':20}" if share is None else "{share:.3f} ({low:.3f}–{high:.3f})".format(**share).ljust(20)
