"""Usability labels of utterances, and estimates that their neighbors correct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from text_fixtures import SHAPE, tiny_network, tiny_tokenizer, tokenizer_json

from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.data.transcripts.files import Transcript
from multimodal.encoders.sentences import read_utterances
from multimodal.encoders.turns import read_in_context
from multimodal.infer.text import MOST_PAUSE_SECONDS, analyze_text
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights
from multimodal.types import USABILITY_LABELS, EncodedUtterance, Utterance

NEUTRAL = USABILITY_LABELS.index("neutral")
TEXTS = ("i feel really happy", "it is fine", "wow", "i feel sad", "it is scared")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A network with all heads that has learned nothing, as it is saved and loaded."""
    folder, tokenizer = tmp_path_factory.mktemp("weights"), tiny_tokenizer()
    shape = {**SHAPE, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 24}
    spec = ModelSpec(
        "text",
        "minilm_l6",
        FUSED_LABELS,
        native_labels=GOEMOTIONS_LABELS,
        text=shape,
        window_tokens=24,
        usability_labels=USABILITY_LABELS,
        usability_temperature=1.7,
        context={"before": 2, "after": 2, "hidden": 16},
    )
    network = tiny_network(tokenizer, usability=True, context=True)
    save_weights(folder, "minilm_l6.random-v1", network, spec, {}, tokenizer_json())
    return load_weights(str(folder), "text")


def utterances_of(gaps: tuple[float, ...], speakers: str = "abaab") -> tuple[Utterance, ...]:
    starts = np.cumsum([0.0, *(1 + gap for gap in gaps)])
    rows = zip(starts.tolist(), speakers, TEXTS, strict=True)
    return tuple(Utterance(start, start + 1, speaker, text) for start, speaker, text in rows)


def analyzed(weights: Weights, utterances: tuple[Utterance, ...], timed: bool = True) -> list[EncodedUtterance]:
    transcript = Transcript(utterances, timed, "en")
    return [encoding for _, encoding in analyze_text(transcript, weights, "en").encodings]


def emotions(encodings: list[EncodedUtterance]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([list(one.estimate.probabilities.values()) for one in encodings])


def test_every_utterance_has_a_usability_label_with_the_temperature_of_the_card(weights: Weights) -> None:
    (encoding,) = analyzed(weights, utterances_of((1.0,) * 4)[:1])
    assert weights.tokenizer is not None and encoding.usability is not None
    (expected,) = read_utterances(
        weights.network,
        weights.tokenizer,
        TEXTS[:1],
        usability_temperature=1.7,
        window_tokens=24,
        usability_neutral=NEUTRAL,
    )
    assert expected is not None and expected.usability is not None
    assert tuple(encoding.usability) == USABILITY_LABELS
    np.testing.assert_allclose(list(encoding.usability.values()), expected.usability, atol=1e-6)


def test_neighbors_within_the_pause_correct_an_utterance(weights: Weights) -> None:
    near, far = (MOST_PAUSE_SECONDS - 1, MOST_PAUSE_SECONDS + 1)
    alone = emotions(analyzed(weights, utterances_of((near,) * 4), timed=False))
    apart = emotions(analyzed(weights, utterances_of((far,) * 4)))
    np.testing.assert_allclose(apart, alone, atol=1e-6)
    together = emotions(analyzed(weights, utterances_of((near,) * 4)))
    assert np.abs(together - alone).max(axis=1).min() > 1e-4
    halves = emotions(analyzed(weights, utterances_of((near, far, near, near))))
    pair = emotions(analyzed(weights, utterances_of((near,) * 4)[:2]))
    np.testing.assert_allclose(halves[:2], pair, atol=1e-5)


def test_context_follows_the_time_and_not_the_order_of_the_file(weights: Weights) -> None:
    utterances = utterances_of((2.0,) * 4)
    forward = emotions(analyzed(weights, utterances))
    backward = emotions(analyzed(weights, utterances[::-1]))
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-5)


def test_context_is_that_of_the_head(weights: Weights) -> None:
    assert weights.tokenizer is not None
    read = read_utterances(
        weights.network,
        weights.tokenizer,
        TEXTS,
        usability_temperature=1.7,
        window_tokens=24,
        usability_neutral=NEUTRAL,
    )
    rows = [one for one in read if one is not None]
    expected = read_in_context(weights.network.context, rows, list("abaab"), [True] * 5)  # type: ignore[arg-type]
    actual = emotions(analyzed(weights, utterances_of((2.0,) * 4)))
    np.testing.assert_allclose(actual, [one.probabilities for one in expected], atol=1e-5)


def test_states_for_the_fusion_head_do_not_depend_on_the_neighbors(weights: Weights) -> None:
    utterances = utterances_of((2.0,) * 4)
    together, alone = analyzed(weights, utterances), analyzed(weights, utterances, timed=False)
    for first, second in zip(together, alone, strict=True):
        np.testing.assert_array_equal(first.states, second.states)


def test_answer_of_particles_is_mostly_neutral_in_both(weights: Weights) -> None:
    (encoding,) = analyzed(weights, (Utterance(0.0, 1.0, None, "No."),))
    assert encoding.usability is not None and encoding.usability["neutral"] > 0.85
    assert encoding.estimate.probabilities["neutral"] > 0.85


def test_pieces_count_by_what_they_tell_of_usability(weights: Weights) -> None:
    assert weights.tokenizer is not None
    text = "It is fine. I feel really happy."
    options = {"window_tokens": 24, "usability_neutral": NEUTRAL}
    (joined,) = read_utterances(weights.network, weights.tokenizer, [text], **options)
    parts = read_utterances(weights.network, weights.tokenizer, ["It is fine.", "I feel really happy."], **options)
    whole = read_utterances(weights.network, weights.tokenizer, [text.replace(". ", " ")], **options)
    assert joined is not None and joined.usability is not None and len(whole) == 1
    rows = [one for one in parts if one is not None and one.usability is not None]
    scale = [np.sqrt(len(one.states)) * (1 - one.usability[NEUTRAL]) for one in rows]  # type: ignore[index]
    mean = np.average([one.usability for one in rows], axis=0, weights=scale)  # type: ignore[arg-type]
    rest = joined.usability - 2 / 3 * mean
    assert rest.min() > -1e-9 and rest.sum() == pytest.approx(1 / 3)


def test_card_without_new_entries_still_loads(weights: Weights, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    spec = ModelSpec(
        "text",
        "minilm_l6",
        FUSED_LABELS,
        native_labels=GOEMOTIONS_LABELS,
        text=weights.spec.text,
        window_tokens=24,
    )
    path = save_weights(tmp_path, "minilm_l6.random-v1", tiny_network(tokenizer), spec, {}, tokenizer_json())
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for key in ("usability_labels", "usability_temperature", "context"):
        del card["spec"][key]
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    old = load_weights(str(tmp_path), "text")
    (encoding,) = analyzed(old, (Utterance(0.0, 1.0, None, "it is fine"),))
    assert encoding.usability is None and old.network.context is None
