"""The head with the second GRU: what it computes, and that it never looks ahead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from multimodal.fusion.alignment import FusionBatch
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.mosi.network import ContextualFusion

SIZES = {"face": 5, "audio": 6, "text": 4}


def some_batch(count: int, seed: int = 0) -> FusionBatch:
    draws = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 7, (count,), generator=draws)
    text = torch.randn(count, 6, SIZES["text"], generator=draws)
    text = text * (torch.arange(6) < tokens[:, None])[:, :, None]
    return FusionBatch(
        audio=torch.randn(count, 1, SIZES["audio"], generator=draws),
        face=torch.randn(count, 1, SIZES["face"], generator=draws),
        face_mask=torch.ones(count, 1, dtype=torch.bool),
        steps=torch.ones(count, dtype=torch.int64),
        text=text,
        tokens=tokens,
        log_probabilities=torch.randn(count, 3, 2, generator=draws).log_softmax(dim=2),
        present=torch.ones(count, 3, dtype=torch.bool),
    )


def made(context: int, evidence: bool = True) -> ContextualFusion:
    torch.manual_seed(1)
    shape = FusionShape(
        2, SIZES["audio"], SIZES["face"], SIZES["text"], summary_size=context, hidden=8, face_hidden=4,
        bidirectional=False, log_probabilities=evidence,
    )  # fmt: skip
    network = ContextualFusion(shape).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return network


def rows(batch: FusionBatch, indices: list[int]) -> FusionBatch:
    return FusionBatch(*(tensor[indices] for tensor in batch))


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("place", [4, 6, 8])
@torch.no_grad()
def test_an_utterance_reaches_later_ones_of_its_video_alone(context: int, place: int) -> None:
    network, batch, lengths = made(context), some_batch(12), torch.tensor([4, 5, 3])
    changed = FusionBatch(*(tensor.clone() for tensor in batch))
    changed.audio[place] += 1
    changed.text[place, 0] += 1
    changed.log_probabilities[place] = torch.tensor([0.9, 0.1]).log()
    difference = (network(batch, lengths).logits - network(changed, lengths).logits).abs().amax(dim=1)
    video = range(4, 9)
    for index in range(12):
        reached = index == place or (context > 0 and index in video and index > place)
        assert bool(difference[index] > 1e-6) == reached, index


@torch.no_grad()
def test_a_video_is_answered_alike_alone_and_among_others() -> None:
    network, batch = made(3), some_batch(12)
    together = network(batch, torch.tensor([4, 5, 3])).logits
    alone = network(rows(batch, list(range(4, 9))), torch.tensor([5])).logits
    assert torch.allclose(together[4:9], alone, atol=1e-6)


@pytest.mark.parametrize("evidence", [True, False])
@torch.no_grad()
def test_the_second_gru_computes_its_equation(evidence: bool) -> None:
    network, batch = made(3, evidence), some_batch(5)
    means = [batch.face[:, 0], batch.audio[:, 0], batch.text.sum(dim=1) / batch.tokens[:, None]]
    if evidence:
        means.append(batch.log_probabilities.flatten(1))
    linear = network.description[1]
    assert isinstance(linear, nn.Linear)
    states = network.context.recurrent(torch.tanh(linear(torch.cat(means, dim=1)))[None])[0][0]
    before = torch.cat([network.context.absent[None], states[:-1]])
    expected = network.head(batch, before).logits
    assert torch.allclose(network(batch, torch.tensor([5])).logits, expected, atol=1e-6)


def test_without_context_it_is_the_head() -> None:
    network, batch = made(0), some_batch(7)
    with torch.no_grad():
        assert torch.equal(network(batch, torch.tensor([3, 4])).logits, network.head(batch).logits)
    assert not any(name.startswith(("context", "description")) for name, _ in network.named_parameters())
    assert np.isfinite(network(batch, torch.tensor([3, 4])).logits.detach().numpy()).all()
