"""Properties of every network: one test per property, over all shipped weights and other networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.encoders.audio import reads_states
from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.text import pad
from multimodal.encoders.voice.features import summary_size
from multimodal.encoders.voice.whisper_states import STATE_SIZE
from multimodal.fusion.alignment import FusionInputs, collate
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.models.selection import list_models, shipped_folder
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import NETWORKS, Weights, load_weights, save_weights
from multimodal.types import MODALITIES

UNSHIPPED = {
    "vgg13": ModelSpec("face", "vgg13", FACE_LABELS),
    "are": ModelSpec("audio", "are", FUSED_LABELS, mfcc=asdict(MfccSettings())),
}
"""Networks that ship no weights: they are tested with random ones."""

Outputs = list[dict[str, Tensor]]
"""What a network gives for each item of a batch, without padding."""


def random_weights(spec: ModelSpec) -> Weights:
    """Random weights, and buffers as after a training: nothing is 0 or 1 by chance."""
    torch.manual_seed(3)
    network = NETWORKS[spec.part][spec.architecture](spec).eval().requires_grad_(False)
    for key, value in network.state_dict().items():
        if key.endswith(("variance", "running_var")):
            value.uniform_(0.5, 2.0)
        elif key.endswith(("mean", "running_mean")):
            value.normal_(0, 0.3)
    return Weights(f"{spec.architecture}.random-v1", "", spec, {}, network)


@pytest.fixture(scope="module", params=[*(model.name for model in list_models()), *UNSHIPPED])
def weights(request: pytest.FixtureRequest) -> Iterator[Weights]:
    """Every network, in evaluation mode."""
    parts = {model.name: model.part for model in list_models()}
    name = request.param
    yield random_weights(UNSHIPPED[name]) if name in UNSHIPPED else load_weights(name, parts[name])


# --- random items of each part, and how a batch of them runs ------------------------------------------------------


def face_items(spec: ModelSpec) -> list[Tensor]:
    draws = torch.Generator().manual_seed(1)
    return list(torch.randint(0, 256, (4, 48, 48), dtype=torch.uint8, generator=draws))


def run_face(network: nn.Module, items: list[Tensor], spec: ModelSpec) -> Outputs:
    output = network(torch.stack(items))
    return [
        {"logits": output.logits[row], "embedding": output.embedding[row], "members": output.member_logits[:, row]}
        for row in range(len(items))
    ]


def audio_items(spec: ModelSpec) -> list[tuple[Tensor, ...]]:
    """Frames, summary and, where the network reads them, speech states of utterances."""
    settings, draws = MfccSettings(**spec.mfcc), torch.Generator().manual_seed(1)
    speech = reads_states(spec.architecture)
    factor = 2 if speech else 1  # two normalizations side by side
    sizes = factor * settings.features, factor * summary_size(settings.coefficients)
    items: list[tuple[Tensor, ...]] = []
    for frames in (120, 9, 57, 1):
        item = torch.randn(frames, sizes[0], generator=draws), torch.randn(sizes[1], generator=draws)
        states = torch.randn(-(-frames // 8), factor * STATE_SIZE, generator=draws)
        items.append((*item, states) if speech else item)
    return items


def run_audio(network: nn.Module, items: list[tuple[Tensor, ...]], spec: ModelSpec) -> Outputs:
    frames = [each[0] for each in items]
    # Padded with nonsense, which must not be read.
    batch = pad_sequence(frames, batch_first=True, padding_value=9.0)
    speech: dict[str, Tensor] = {}
    if len(items[0]) > 2:  # the padding of states is 0, as `RecordingBackground` gives it
        states = [each[2] for each in items]
        speech["states"] = pad_sequence(states, batch_first=True)
        speech["state_lengths"] = torch.tensor([len(each) for each in states])
    lengths, summary = torch.tensor([len(each) for each in frames]), torch.stack([each[1] for each in items])
    output = network(batch, lengths, summary, **speech)
    return [
        {
            "logits": output.logits[row],
            "embedding": output.embedding[row],
            "members": output.member_logits[:, row],
            "states": output.states[row, : int(output.state_lengths[row])],
        }
        for row in range(len(items))
    ]


def text_items(spec: ModelSpec) -> list[list[int]]:
    draws = np.random.default_rng(1)
    return [draws.integers(5, spec.text["vocab_size"], tokens).tolist() for tokens in (30, 3, 17, 1)]


def run_text(network: nn.Module, items: list[list[int]], spec: ModelSpec) -> Outputs:
    output = network(*pad(items, padding=0))
    return [
        {
            "logits": output.logits[row],
            "group": output.group_logits[row],
            "presence": output.presence_logits[row],
            "embedding": output.embedding[row],
            "states": output.states[row, : len(ids)],
            **({"usability": output.usability_logits[row]} if spec.usability_labels else {}),
            **({"context": among_neighbors(network.context, output.embedding[row])} if spec.context else {}),
        }
        for row, ids in enumerate(items)
    ]


def among_neighbors(head: Any, embedding: Tensor) -> Tensor:
    """What the context head adds to a turn between four others, always the same, of all kinds of speakers."""
    draws = torch.Generator().manual_seed(2)
    outputs, places = head.correct.out_features, torch.arange(head.width)
    turns = torch.randn(head.width, len(embedding), generator=draws)
    turns = torch.cat([turns[: head.before], embedding[None], turns[head.before + 1 :]])
    estimates = torch.randn(head.width, outputs, generator=draws)
    correction: Tensor = head(turns[None], estimates[None], (places % 3)[None], torch.ones(1, head.width).bool())
    return correction[0]


def fusion_items(spec: ModelSpec) -> list[FusionInputs]:
    """All modalities, each one alone, and none but a face that is never seen."""
    shape, draws = FusionShape(**spec.fusion), np.random.default_rng(1)

    def inputs(steps: int, tokens: int) -> FusionInputs:
        return FusionInputs(
            np.arange(steps) * 0.08,
            audio=draws.normal(0, 1, (steps, shape.audio_size)),
            face=draws.normal(0, 1, (steps, shape.face_size)),
            face_mask=draws.random(steps) < 0.5,
            text=draws.normal(0, 1, (tokens, shape.text_size)),
            log_probabilities={name: np.log(draws.dirichlet(np.ones(shape.labels))) for name in MODALITIES},
        )

    whole = inputs(40, 9)
    return [whole, inputs(3, 1), *(inputs(12, 5).only([name]) for name in MODALITIES)]


def run_fusion(network: nn.Module, items: list[FusionInputs], spec: ModelSpec) -> Outputs:
    shape = FusionShape(**spec.fusion)
    output = network(collate(items, shape.sizes, shape.labels))
    return [
        {
            "logits": output.logits[row],
            "gates": output.gates[row],
            "attention": output.attention[row, : 0 if each.text is None else len(each.text)],
        }
        for row, each in enumerate(items)
    ]


ITEMS: dict[str, Callable[[ModelSpec], Any]] = {
    "face": face_items,
    "audio": audio_items,
    "text": text_items,
    "fusion": fusion_items,
}
RUN: dict[str, Callable[[nn.Module, Any, ModelSpec], Outputs]] = {
    "face": run_face,
    "audio": run_audio,
    "text": run_text,
    "fusion": run_fusion,
}


def outputs_of(weights: Weights) -> Outputs:
    with torch.inference_mode():
        return RUN[weights.spec.part](weights.network, ITEMS[weights.spec.part](weights.spec), weights.spec)


def assert_close(results: Outputs, expected: Outputs, tolerance: float) -> None:
    assert len(results) == len(expected)
    for row, (first, second) in enumerate(zip(results, expected, strict=True)):
        assert first.keys() == second.keys()
        for name, value in first.items():
            torch.testing.assert_close(value, second[name], atol=tolerance, rtol=tolerance, msg=f"item {row}, {name}")


# --- the properties -----------------------------------------------------------------------------------------------


def test_outputs_are_finite_and_tell_items_apart(weights: Weights) -> None:
    results = outputs_of(weights)
    assert all(value.isfinite().all() and value.dtype == torch.float32 for row in results for value in row.values())
    native = weights.spec.native_labels or weights.spec.labels
    assert {tuple(row["logits"].shape) for row in results} == {(len(native),)}
    assert (results[0]["logits"] - results[1]["logits"]).abs().max() > 1e-3


def test_batch_equals_single(weights: Weights) -> None:
    part, network, spec = weights.spec.part, weights.network, weights.spec
    items = ITEMS[part](spec)
    with torch.inference_mode():
        alone = [RUN[part](network, [item], spec)[0] for item in items]
        backwards = RUN[part](network, items[::-1], spec)[::-1]
    assert_close(outputs_of(weights), alone, 5e-5)
    assert_close(backwards, alone, 5e-5)


def test_same_input_gives_the_same_output(weights: Weights) -> None:
    assert not weights.network.training
    torch.manual_seed(1)
    first = outputs_of(weights)
    torch.manual_seed(2)
    assert_close(outputs_of(weights), first, 0.0)


def test_training_mode_drops_states(weights: Weights) -> None:
    training = Weights(weights.name, "", weights.spec, {}, copy.deepcopy(weights.network).train())
    part, items = weights.spec.part, ITEMS[weights.spec.part](weights.spec)
    torch.manual_seed(0)
    first, second = (RUN[part](training.network, items, weights.spec)[0]["logits"] for _ in range(2))
    assert not torch.equal(first, second)


def test_save_and_load_round_trip(weights: Weights, tmp_path: Path) -> None:
    spec = weights.spec
    tokenizer = None if spec.tokenizer is None else (shipped_folder() / spec.tokenizer).read_text(encoding="utf-8")
    path = save_weights(tmp_path, weights.name, weights.network, spec, {"license": "MIT"}, tokenizer)
    loaded = load_weights(str(path), spec.part)
    assert loaded.spec == spec and not loaded.network.training and loaded.card["license"] == "MIT"
    rounded = copy.deepcopy(weights.network)
    for value in rounded.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half().float())
    assert_close(outputs_of(loaded), outputs_of(Weights(weights.name, "", spec, {}, rounded)), 5e-5)
    if weights.sha256:  # shipped weights are in half precision already: the same file comes out again
        assert loaded.sha256 == weights.sha256


def test_gradients_flow_to_every_weight(weights: Weights) -> None:
    part, spec = weights.spec.part, weights.spec
    network = copy.deepcopy(weights.network).requires_grad_(True)
    results = RUN[part](network, ITEMS[part](spec), spec)
    values = torch.cat([value.flatten() for row in results for value in row.values()])
    # An uneven sum: probabilities that sum to 1 would have no gradient in an even one.
    (values * torch.linspace(0.5, 1.5, len(values))).sum().backward()
    gradients = {name: value.grad for name, value in network.named_parameters() if value.numel()}
    assert all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients.values())
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
