"""Figures of usability talk: shares with intervals, kinds of sentences, usability labels, turns in context."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from text_fixtures import tiny_network, tiny_tokenizer

from multimodal.data.corpora.usability import Dialogue, UsabilityCorpus
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED
from multimodal.encoders.sentences import read_utterances
from multimodal.errors import CorpusError, WeightsError
from multimodal.evaluate.tables import table
from multimodal.evaluate.usability import evaluate_usability, share_with_interval, usability_table
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import USABILITY_LABELS

TEXTS = ("i feel happy", "it is sad", "wow", "i feel angry it is fine", "...", "the heart is really scared")


def corpus_of(texts: tuple[str, ...] = TEXTS, kinds: tuple[str, ...] | None = None) -> UsabilityCorpus:
    count = len(texts)
    main = np.arange(count) % len(FUSED_LABELS)
    targets = np.zeros((count, len(GOEMOTIONS_LABELS)), np.uint8)
    base: Any = ("usability", texts, targets, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED, ("w",) * count)
    usability = np.arange(count) % len(USABILITY_LABELS)
    named = kinds or ("frustration", "negation_positive", "negation_negative", "sarcasm", "delight", "frustration")
    return UsabilityCorpus(*base, main=main, usability=usability, kinds=named)


def weights_of(usability: bool = True, context: bool = False) -> Weights:
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer, usability=usability, context=context)
    spec = ModelSpec(
        "text",
        "minilm_l6",
        FUSED_LABELS,
        temperature=1.5,
        window_tokens=24,
        native_labels=GOEMOTIONS_LABELS,
        usability_labels=USABILITY_LABELS if usability else (),
        usability_temperature=0.7,
        uncertain_below=0.3,
    )
    return Weights("tiny", "", spec, {}, network, tokenizer)


def dialogue_of(texts: tuple[str, ...] = TEXTS) -> Dialogue:
    return Dialogue("d1", tuple("PM"[index % 2] for index in range(len(texts))), corpus_of(texts, ("",) * len(texts)))


@pytest.mark.parametrize(("right", "n"), [(0, 7), (7, 7), (30, 40), (1, 900)])
def test_interval_is_the_one_of_wilson(right: int, n: int) -> None:
    figures = share_with_interval(right, n)
    assert figures["share"] == right / n and figures["n"] == n
    ends = [figures["low"], figures["high"]]
    assert 0 <= ends[0] <= figures["share"] <= ends[1] <= 1
    for end in ends:  # the ends are where the share is 1.96 standard errors away
        if 0 < end < 1:
            assert abs(right / n - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / n), abs=1e-9)


def test_figures_are_those_of_the_answers() -> None:
    weights, corpus = weights_of(), corpus_of()
    figures = evaluate_usability(weights, corpus)
    neutral = {"neutral": 0, "usability_neutral": USABILITY_LABELS.index("neutral")}
    read = read_utterances(
        weights.network,
        weights.tokenizer,  # type: ignore[arg-type]
        corpus.texts,
        temperature=1.5,
        usability_temperature=0.7,
        window_tokens=24,
        **neutral,
    )
    kept = [index for index, one in enumerate(read) if one is not None]
    assert figures["unread"] == 1 and figures["n"] == 5 == len(kept)
    right = [read[index].probabilities.argmax() == corpus.main[index] for index in kept]  # type: ignore[union-attr]
    label = [read[index].usability.argmax() == corpus.usability[index] for index in kept]  # type: ignore[union-attr]
    assert figures["accuracy"] == pytest.approx(np.mean(right)) == figures["interval"]["share"]
    assert figures["usability"]["accuracy"] == pytest.approx(np.mean(label))
    assert figures["kinds"]["frustration"]["emotion"]["n"] == 2
    assert figures["kinds"]["negation"]["usability"]["share"] == pytest.approx(np.mean(label[1:3]))
    assert "delight" not in figures["kinds"]  # its only sentence has no words
    assert set(figures["confidence"]) == {"emotion", "usability label"}


def test_network_without_usability_labels_is_evaluated_over_the_emotions() -> None:
    figures = evaluate_usability(weights_of(usability=False), corpus_of(), [dialogue_of()])
    assert figures["usability"] is None and figures["kinds"]["sarcasm"]["usability"] is None
    assert set(figures["dialogues"]["all"]) == {"emotion"} and not figures["dialogues"]["has_context"]
    gain = figures["dialogues"]["all"]["emotion"]
    assert gain["alone"] == gain["context"] and gain["gain"]["mean"] == 0
    assert " - " in table("tiny", "test", figures)


def test_context_is_compared_turn_by_turn() -> None:
    weights = weights_of(context=True)
    dialogues = [dialogue_of(), dialogue_of(TEXTS[::-1])]
    figures = evaluate_usability(weights, corpus_of(), dialogues)["dialogues"]
    assert figures["has_context"] and figures["n"] == 2
    assert figures["all"]["emotion"]["alone"]["n"] == 10  # two turns have no words
    assert figures["participants"]["emotion"]["alone"]["n"] < 10
    row = figures["all"]["usability"]
    assert row["gain"]["mean"] == pytest.approx(row["context"]["share"] - row["alone"]["share"])
    assert row["gain"]["low"] <= row["gain"]["mean"] <= row["gain"]["high"]


def test_table_has_kinds_labels_and_dialogues() -> None:
    figures = evaluate_usability(weights_of(context=True), corpus_of(), [dialogue_of()])
    text = table("tiny", "usability, test part", figures)
    for phrase in ("negation_positive", "usability confusion", "in context", "emotion, participants"):
        assert phrase in text
    assert usability_table({"accuracy": 1.0}) == []


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(CorpusError, match="has no text with words"):
        evaluate_usability(weights_of(), corpus_of(("...", ""), ("delight", "delight")))
    weights = weights_of()
    with pytest.raises(WeightsError, match="choose a text model"):
        evaluate_usability(replace(weights, spec=replace(weights.spec, labels=FUSED_LABELS[:3])), corpus_of())


def test_new_heads_leave_old_answers_as_they_are() -> None:
    tokenizer = tiny_tokenizer()
    old, new = tiny_network(tokenizer), tiny_network(tokenizer, usability=True, context=True)
    kept = dict(old.state_dict().items())
    missing, unknown = new.load_state_dict(kept, strict=False)
    assert unknown == [] and all(key.startswith(("usability_head.", "context.")) for key in missing)
    ids = torch.ones(1, 5, dtype=torch.long)
    outputs = [network(ids, ids.bool()) for network in (old, new)]
    assert torch.equal(outputs[0].group_logits, outputs[1].group_logits)
    assert outputs[0].usability_logits is None and outputs[1].usability_logits is not None
