"""Text inference on utterances that exceed a window."""

from __future__ import annotations

import numpy as np
import pytest
from text_fixtures import tiny_network, tiny_tokenizer

from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.data.transcripts.files import Transcript
from multimodal.encoders.text import read_texts
from multimodal.infer import text as reading
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights
from multimodal.types import Utterance


@pytest.fixture(scope="module")
def weights() -> Weights:
    """A network that was never trained."""
    spec = ModelSpec("text", "minilm_l6", FUSED_LABELS, 1.0, native_labels=GOEMOTIONS_LABELS, window_tokens=24)
    tokenizer = tiny_tokenizer()
    return Weights("random", "", spec, {}, tiny_network(tokenizer), tokenizer)


@pytest.mark.slow
def test_a_line_without_end_is_judged_as_far_as_anybody_talks(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_CHARACTERS", 1000)
    begin = "i feel happy and it is fine, " * 40
    whole, beyond = begin[:1000], begin[:1000] + " i am really sad, scared and angry" * 1000
    actual = reading.analyze_text(
        Transcript(tuple(Utterance(0.0, 0.0, None, text) for text in (whole, beyond)), False), weights
    )
    assert actual.warnings == (
        "1 of 2 utterances are longer than 1,000 characters: the text beyond that was not analyzed",
    )
    assert [utterance.text for utterance, _ in actual.encodings] == [whole, beyond]  # the words themselves stay whole
    (expected,) = read_texts(weights.network, tiny_tokenizer(), [whole], window_tokens=24)
    assert expected is not None
    for _, encoded in actual.encodings:
        answer = [encoded.estimate.probabilities[label] for label in FUSED_LABELS]
        np.testing.assert_allclose(answer, expected.probabilities, atol=1e-6)
        assert len(encoded.states) == len(expected.states)


@pytest.mark.slow
def test_a_long_answer_is_judged_whole(weights: Weights) -> None:
    talk = "it is fine, " * 400 + "i feel sad. " * 400  # an hour has about ten times as much
    actual = reading.analyze_text(Transcript((Utterance(0.0, 0.0, None, talk),), False), weights)
    assert actual.warnings == () and len(actual.encodings) == 1
    assert len(actual.encodings[0][1].states) == len(tiny_tokenizer().encode(talk, add_special_tokens=False).ids)
