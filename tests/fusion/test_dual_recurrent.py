"""The fusion head without the face equals the network of Yoon et al. 2018, written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import DualRecurrentFusion, FusionShape

Doubles = NDArray[np.float64]

VOICE, WORDS, PROSODY, HIDDEN, LABELS = 5, 4, 3, 6, 4
STEPS, TOKENS = (7, 2, 5), (1, 6, 3)


def sigmoid(values: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-values))


def gru(weights: dict[str, Doubles], steps: Doubles) -> Doubles:
    """All states of a gated recurrent unit (Cho et al. 2014, in the variant of cuDNN) over ``(steps, features)``."""
    state, states = np.zeros(HIDDEN), []
    for step in steps:
        inputs = (weights["weight_ih_l0"] @ step + weights["bias_ih_l0"]).reshape(3, HIDDEN)
        recurrent = (weights["weight_hh_l0"] @ state + weights["bias_hh_l0"]).reshape(3, HIDDEN)
        reset, update = sigmoid(inputs[0] + recurrent[0]), sigmoid(inputs[1] + recurrent[1])
        candidate = np.tanh(inputs[2] + reset * recurrent[2])
        state = (1 - update) * candidate + update * state
        states.append(state)
    return np.array(states)


def reference(
    weights: dict[str, Doubles], voice: Doubles, words: Doubles, prosody: Doubles, pooling: str
) -> tuple[Doubles, Doubles]:
    """Probabilities and attention of one utterance: MDRE (section 3.3) or MDREA (section 3.4)."""

    def part(name: str) -> dict[str, Doubles]:
        return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}

    audio_vector = np.concatenate([gru(part("nonverbal.recurrent"), voice)[-1], prosody])
    text_states = gru(part("verbal.recurrent"), words)
    attention, pooled = np.zeros(len(words)), text_states[-1]
    if pooling == "attention":
        query = weights["query.weight"] @ audio_vector + weights["query.bias"]
        scores = np.array([query @ state for state in text_states])
        attention = np.exp(scores) / np.exp(scores).sum()
        pooled = sum(weight * state for weight, state in zip(attention, text_states, strict=True))
    logits = weights["readout.weight"] @ np.concatenate([audio_vector, pooled]) + weights["readout.bias"]
    return np.exp(logits) / np.exp(logits).sum(), attention


def paper_network(pooling: str, **options: Any) -> DualRecurrentFusion:
    torch.manual_seed(3)
    shape = FusionShape(
        LABELS,
        VOICE,
        0,
        WORDS,
        PROSODY,
        hidden=HIDDEN,
        bidirectional=False,
        pooling=pooling,
        log_probabilities=False,
        **options,
    )
    network = DualRecurrentFusion(shape).double().eval()
    with torch.no_grad():  # larger weights than the first ones: the gates must be away from the middle
        for weight in network.parameters():
            weight.mul_(2).add_(0.3 * torch.randn_like(weight))
    return network


def batch_of(filler: float) -> FusionBatch:
    """Three utterances of different lengths, and what stands behind their ends."""
    draws = torch.Generator().manual_seed(1)
    count = len(STEPS)
    voice = torch.randn(count, max(STEPS), VOICE, generator=draws, dtype=torch.float64)
    words = torch.randn(count, max(TOKENS), WORDS, generator=draws, dtype=torch.float64)
    for row in range(count):
        voice[row, STEPS[row] :], words[row, TOKENS[row] :] = filler, filler
    return FusionBatch(
        audio=voice,
        face=torch.zeros(count, max(STEPS), 0, dtype=torch.float64),
        face_mask=torch.zeros(count, max(STEPS), dtype=torch.bool),
        steps=torch.tensor(STEPS),
        text=words,
        tokens=torch.tensor(TOKENS),
        log_probabilities=torch.zeros(count, 3, LABELS, dtype=torch.float64),
        present=torch.tensor([[False, True, True]] * count),
    )


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_on_copied_weights_it_is_the_papers_network(pooling: str) -> None:
    network, batch = paper_network(pooling), batch_of(0.0)
    prosody = torch.randn(len(STEPS), PROSODY, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    output = network(batch, prosody)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    for row, (steps, tokens) in enumerate(zip(STEPS, TOKENS, strict=True)):
        row_inputs = batch.audio[row, :steps].numpy(), batch.text[row, :tokens].numpy(), prosody[row].numpy()
        probabilities, attention = reference(weights, *row_inputs, pooling)
        np.testing.assert_allclose(
            torch.softmax(output.logits[row].double(), 0).detach().numpy(), probabilities, atol=1e-6
        )
        np.testing.assert_allclose(output.attention[row, :tokens].detach().numpy(), attention, atol=1e-6)
        assert not output.attention[row, tokens:].any()
    assert output.gates.eq(1).all() and output.affect.shape == (len(STEPS), 0)


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_what_stands_behind_an_end_is_never_read(pooling: str) -> None:
    network = paper_network(pooling)
    prosody = torch.ones(len(STEPS), PROSODY, dtype=torch.float64)
    torch.testing.assert_close(network(batch_of(0.0), prosody).logits, network(batch_of(7.0), prosody).logits)


def test_the_attention_is_the_nonverbal_states_choice() -> None:
    network, batch = paper_network("attention"), batch_of(0.0)
    prosody = torch.zeros(len(STEPS), PROSODY, dtype=torch.float64)
    before = network(batch, prosody).attention
    after = network(batch._replace(audio=-batch.audio), prosody).attention
    torch.testing.assert_close(before.sum(1), torch.ones(len(STEPS), dtype=torch.float64))
    assert (before[1] - after[1]).abs().max() > 0.01  # of six tokens; the one token of the first row has all of it
    assert before[0, 0] == after[0, 0] == 1


def test_no_words_stay_finite() -> None:
    network, batch = paper_network("attention", dropout=0.0), batch_of(0.0)
    silent = batch._replace(tokens=torch.tensor((0, 6, 3)), present=torch.tensor([[False, True, False]] * 3))
    output = network(silent, torch.zeros(len(STEPS), PROSODY, dtype=torch.float64))
    assert output.logits.isfinite().all() and not output.attention[0].any()
    output.logits.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in network.parameters())
