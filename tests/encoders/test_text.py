"""The text encoder: its arithmetic, long texts and empty texts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from checkout import subprocess_environment
from hypothesis import given
from hypothesis import strategies as st
from text_fixtures import SHAPE, tiny_network
from tokenizers import Tokenizer

from multimodal.encoders.bert import Bert, BertShape
from multimodal.encoders.text import TextEncoder, TextPrediction, pad, read_texts, windows

WINDOW = 24
TEXTS = ["I feel happy", "wow", "The printer is really, really sad; it is fine!", "yuck 😂", "angry " * 5]


@pytest.fixture(scope="module")
def network(tokenizer: Tokenizer) -> TextEncoder:
    return tiny_network(tokenizer, window_tokens=WINDOW)


def read(network: TextEncoder, tokenizer: Tokenizer, texts: list[str], **options: int) -> list[TextPrediction | None]:
    return read_texts(network, tokenizer, texts, **{"window_tokens": WINDOW, **options})


def same(actual: TextPrediction | None, expected: TextPrediction | None) -> None:
    assert actual is not None and expected is not None
    for key in ("probabilities", "scores", "native_scores", "states", "embedding"):
        np.testing.assert_allclose(getattr(actual, key), getattr(expected, key), rtol=0, atol=2e-5, err_msg=key)


# --- the network --------------------------------------------------------------------------------------------------


def test_heads_read_the_mean_of_the_states(network: TextEncoder) -> None:
    ids, mask = pad([[2, 9, 8, 3], [2, 30, 3]], padding=0)
    output = network(ids, mask)
    states = output.states.double().numpy()
    means = np.stack([states[0].mean(axis=0), states[1, :3].mean(axis=0)])
    np.testing.assert_allclose(output.embedding.numpy(), means, atol=1e-6)
    for logits, head in (
        (output.logits, network.native_head),
        (output.group_logits, network.group_head),
        (output.presence_logits, network.presence_head),
    ):
        expected = means @ head.weight.double().numpy().T + head.bias.double().numpy()
        np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


@pytest.mark.slow
def test_transformer_answers_as_the_published_one() -> None:
    from transformers import BertConfig, BertModel

    shape = {**SHAPE, "vocab_size": 40, "max_position_embeddings": 24}
    published = BertModel(BertConfig(**shape), add_pooling_layer=False).eval()
    with torch.no_grad():
        for weight in published.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    ours = Bert(BertShape(**shape)).eval()
    ours.load_state_dict(published.state_dict())  # the same names
    ids = torch.randint(0, 40, (5, 24))
    mask = torch.arange(24) < torch.tensor([24, 1, 7, 23, 12])[:, None]
    with torch.no_grad():
        expected = published(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_random_transformer_begins_as_the_published_one() -> None:
    from transformers import BertConfig, BertModel

    shape = {**SHAPE, "hidden_size": 64, "vocab_size": 400, "max_position_embeddings": 64}
    published = BertModel(BertConfig(**shape), add_pooling_layer=False).state_dict()
    ours = Bert(BertShape(**shape)).state_dict()
    assert {name: tuple(value.shape) for name, value in ours.items()} == {
        name: tuple(value.shape) for name, value in published.items()
    }
    for name, value in ours.items():
        assert float(value.mean()) == pytest.approx(float(published[name].mean()), abs=4e-3), name
        assert float(value.std()) == pytest.approx(float(published[name].std()), abs=4e-3), name


@pytest.mark.parametrize("change", [{"num_attention_heads": 3}, {"hidden_act": "relu"}])
def test_shapes_that_cannot_be(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"heads do not divide|must be gelu"):
        BertShape(**{**SHAPE, "vocab_size": 40, **change})


def test_reading_is_softmax_and_sigmoid_of_the_network(network: TextEncoder, tokenizer: Tokenizer) -> None:
    (reading,) = read_texts(network, tokenizer, ["I feel happy"], temperature=2.0, window_tokens=WINDOW)
    tokens = tokenizer.encode("I feel happy").ids  # the library's own marks of start and end
    output = network(torch.tensor([tokens]), torch.ones(1, len(tokens), dtype=torch.bool))
    powers = np.exp(output.group_logits[0].double().numpy() / 2)
    assert reading is not None
    np.testing.assert_allclose(reading.probabilities, powers / powers.sum(), atol=1e-6)
    np.testing.assert_allclose(reading.scores, 1 / (1 + np.exp(-output.presence_logits[0].double().numpy())), atol=1e-6)
    np.testing.assert_allclose(reading.native_scores, 1 / (1 + np.exp(-output.logits[0].double().numpy())), atol=1e-6)
    np.testing.assert_allclose(reading.states, output.states[0, 1:-1].numpy(), atol=1e-6)
    assert reading.probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_neither_company_nor_order_changes_an_answer(network: TextEncoder, tokenizer: Tokenizer) -> None:
    alone = [read(network, tokenizer, [text])[0] for text in TEXTS]
    for batch_size in (1, 2, 32):
        for actual, expected in zip(read(network, tokenizer, TEXTS, batch_size=batch_size), alone, strict=True):
            same(actual, expected)
    for actual, expected in zip(read(network, tokenizer, TEXTS[::-1]), alone[::-1], strict=True):
        same(actual, expected)


def test_what_padding_holds_does_not_matter(network: TextEncoder) -> None:
    ids, mask = pad([[2, 9, 8, 7, 3], [2, 30, 3]], padding=0)
    other = torch.where(mask, ids, 17)
    for actual, expected in zip(network(other, mask)[:4], network(ids, mask)[:4], strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


def test_answers_differ(network: TextEncoder, tokenizer: Tokenizer) -> None:
    happy, sad = read(network, tokenizer, ["happy", "sad"])
    assert happy is not None and sad is not None
    assert np.abs(happy.probabilities - sad.probabilities).max() > 0.01


def test_case_changes_nothing(network: TextEncoder, tokenizer: Tokenizer) -> None:
    quiet, loud = read(network, tokenizer, ["i feel angry", "I FEEL ANGRY"])
    same(quiet, loud)


# --- long and empty texts -----------------------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(2, 60))
def test_windows_cover_everything_once(length: int, size: int) -> None:
    actual = list(windows(range(length), size))
    assert [first for *_, first, _ in actual] == [0, *(last for *_, last in actual[:-1])]
    assert actual[-1][3] == length
    for start, end, first, last in actual:
        assert 0 <= start <= first <= last <= end <= length and end - start <= size
        assert length <= size or end - start == size
    assert len(actual) == 1 or all(first < last for *_, first, last in actual)


def test_long_text_is_the_mean_of_its_windows(network: TextEncoder, tokenizer: Tokenizer) -> None:
    text = "it is fine " * 12 + "wow"  # 37 tokens, of which 22 fit into a window beside the two marks
    (reading,) = read(network, tokenizer, [text])
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    expected, states = np.zeros(7), []
    for start, end, first, last in ((0, 22, 0, 18), (15, 37, 18, 37)):
        ids = torch.tensor([[tokenizer.token_to_id("[CLS]"), *tokens[start:end], tokenizer.token_to_id("[SEP]")]])
        output = network(ids, torch.ones_like(ids, dtype=torch.bool))
        expected += (last - first) / 37 * torch.softmax(output.group_logits[0].double(), 0).numpy()
        states.append(output.states[0, first - start + 1 : last - start + 1].numpy())
    assert reading is not None and reading.states.shape == (37, 16)
    np.testing.assert_allclose(reading.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(reading.states, np.concatenate(states), atol=1e-5)


def test_end_of_a_long_text_counts(network: TextEncoder, tokenizer: Tokenizer) -> None:
    start = "it is fine " * 60
    fine, not_fine = read(network, tokenizer, [start + "it is fine", start + "angry yuck sad"])
    assert fine is not None and not_fine is not None
    assert np.abs(fine.probabilities - not_fine.probabilities).max() > 1e-4


def test_texts_without_words_are_absent(network: TextEncoder, tokenizer: Tokenizer) -> None:
    actual = read(network, tokenizer, ["", "happy", " \n", "...", "日本語"])
    assert [reading is None for reading in actual] == [True, False, True, True, True]
    assert read(network, tokenizer, []) == [] and read(network, tokenizer, [""]) == [None]


@pytest.mark.slow
def test_shipped_weights_work_without_the_heavy_libraries() -> None:
    heavy = "{'transformers', 'pandas', 'sklearn', 'librosa', 'faster_whisper', 'torch._dynamo'}"
    code = f"""
import sys, multimodal
from multimodal.encoders.text import read_texts
model = multimodal.load_model(device="cpu")
assert read_texts(model.text.network, model.text.tokenizer, ["I feel happy"]) != [None]
print(sorted({heavy} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=subprocess_environment(), check=True
    )
    assert done.stdout.strip() == "[]"
