"""Training with usability talk: targets, the order of texts, the context head, and the whole command."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from text_fixtures import SHAPE, tiny_network, tiny_tokenizer, write_base, write_goemotions
from torch.nn import functional

from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.usability import Dialogue, UsabilityCorpus
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED
from multimodal.encoders.context import SAME, UNKNOWN
from multimodal.errors import ConfigError, WeightsError
from multimodal.evaluate.usability import evaluate_dialogues
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights
from multimodal.train.loop import LoopSettings
from multimodal.train.text import task as stage
from multimodal.train.text import training as text_training
from multimodal.train.text.context import changed_copies, gather, read_turns, train_context
from multimodal.train.text.task import ContextSettings, TextConfig, TextTask, UsabilitySettings
from multimodal.train.text.training import train_text
from multimodal.types import USABILITY_LABELS

SAYINGS = (
    ("i feel happy", "joy", "delight"),
    ("it is fine", "neutral", "neutral"),
    ("i feel angry", "anger", "frustration"),
    ("wow the heart", "confusion", "confusion"),
)
CONFIG = """
vocabulary = 170
window_tokens = 48
dropout = 0.0
held_out_share = 0.2
check_counts = false
start_as = "START"
[loop]
epochs = 2
batch_size = 16
optimizer = "adamw"
learning_rate = 0.01
warmup_epochs = 0.2
ema_decay = 0.9
keep = "last"
precision = "no"
[usability]
repeats = 3
[context]
epochs = 4
copies = 2
hidden = 16
"""


def sentences_of(count: int) -> UsabilityCorpus:
    rows = [SAYINGS[index % len(SAYINGS)] for index in range(count)]
    targets = np.zeros((count, 28), np.uint8)
    for target, (_, emotion, _) in zip(targets, rows, strict=True):
        target[GOEMOTIONS_LABELS.index(emotion)] = 1
    texts, sources = tuple(row[0] for row in rows), tuple("w" for _ in rows)
    return UsabilityCorpus(
        *("usability", texts, targets, GOEMOTIONS_LABELS, GOEMOTIONS_TO_FUSED, sources),
        main=np.array([FUSED_LABELS.index(str(GOEMOTIONS_TO_FUSED[row[1]])) for row in rows]),
        usability=np.array([USABILITY_LABELS.index(row[2]) for row in rows]),
        kinds=tuple("mixed" for _ in rows),
    )


def dialogues_of(count: int) -> list[Dialogue]:
    """Turns of "it is fine" that show the emotion of the turn before."""
    dialogues = []
    for number in range(count):
        turns = sentences_of(16).subset(np.array([index in (number % 4, 5, 6 + number % 2) for index in range(16)]))
        main, usability = turns.main.copy(), turns.usability.copy()
        main[1], usability[1] = main[0], usability[0]
        turns = replace(turns, main=main, usability=usability)
        dialogues.append(Dialogue(f"d{number}", ("P", "P", "M"), turns))
    return dialogues


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goemotions(tmp_path_factory.mktemp("goemotions"), {"train": 200, "dev": 60})


@pytest.fixture
def corpus(corpus_folder: Path) -> TextCorpus:
    return read_goemotions(corpus_folder, "dev", check_counts=False)


def config_of(**changes: Any) -> TextConfig:
    loop = LoopSettings(epochs=1, batch_size=8, optimizer="adamw", precision="no")
    return TextConfig(loop, window_tokens=32, **changes)


def task_of(corpus: TextCorpus, config: TextConfig, sentences: UsabilityCorpus) -> TextTask:
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer, window_tokens=32, usability=True).requires_grad_(True)
    return TextTask(config, network, tokenizer, corpus, corpus, Accelerator(cpu=True), sentences, sentences)


def calibrated(context: bool = False) -> tuple[Weights, ModelSpec]:
    tokenizer = tiny_tokenizer()
    spec = ModelSpec(
        "text",
        "minilm_l6",
        FUSED_LABELS,
        temperature=50.0,  # it has learned nothing, and should not be sure of it
        window_tokens=24,
        usability_labels=USABILITY_LABELS,
        usability_temperature=50.0,
    )
    network = tiny_network(tokenizer, usability=True, context=context)
    return Weights("tiny", "", spec, {}, network, tokenizer), spec


def test_usability_sentences_occur_as_often_as_they_are_repeated(corpus: TextCorpus) -> None:
    task = task_of(corpus, config_of(usability=UsabilitySettings(repeats=3)), sentences_of(8))
    assert task.steps() == (60 + 3 * 8) // 8
    order = Counter(task._order(torch.Generator().manual_seed(1)))
    assert {order[index] for index in range(60)} == {1} and {order[index] for index in range(60, 68)} == {3}
    assert task._order(torch.Generator().manual_seed(1)) != task._order(torch.Generator().manual_seed(2))


def test_targets_are_the_main_emotion_and_the_usability_label(corpus: TextCorpus) -> None:
    sentences = sentences_of(8)
    task = task_of(corpus, config_of(usability=UsabilitySettings(native_weight=0.25)), sentences)
    assert task.targets.usability[:60].sum() == 0
    assert task.targets.usability[60:].argmax(1).tolist() == sentences.usability.tolist()
    assert task.targets.shares[60:].argmax(1).tolist() == sentences.main.tolist()
    assert task.targets.native_weights[:, 0].unique().tolist() == [0.25, 1.0]


def test_second_emotion_has_its_share(corpus: TextCorpus) -> None:
    sentences = sentences_of(4)
    sentences.targets[0, GOEMOTIONS_LABELS.index("confusion")] = 1
    task = task_of(corpus, config_of(usability=UsabilitySettings(second_share=0.3)), sentences)
    expected = [0.0] * 7
    expected[FUSED_LABELS.index("happiness")], expected[FUSED_LABELS.index("surprise")] = 0.7, 0.3
    assert task.targets.shares[60].tolist() == pytest.approx(expected)
    assert task.targets.shares[61].max() == 1


def test_loss_of_the_usability_label_counts_with_its_weight(corpus: TextCorpus) -> None:
    sentences = sentences_of(8)
    losses = []
    for weight in (0.0, 2.0):
        task = task_of(corpus, config_of(usability=UsabilitySettings(weight=weight)), sentences)
        task.network.eval()
        batches = task.batches(0, torch.Generator().manual_seed(3))
        ids, mask, targets = next(batch for batch in batches if batch[2].usability.sum() > 0)
        losses.append(float(task.loss(task.network, (ids, mask, targets)).detach()))
        output = task.network(ids, mask)
    logs = functional.log_softmax(output.usability_logits, dim=1)
    expected = -2 * (targets.usability * logs).sum(1).mean()
    assert losses[1] - losses[0] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_own_estimates_replace_the_labels_of_comments_alone(corpus: TextCorpus) -> None:
    task = task_of(corpus, config_of(usability=UsabilitySettings(), self_distillation=1.0), sentences_of(8))
    before = task.targets
    task.distill(tiny_network(task.tokenizer, seed=3, window_tokens=32, usability=True))
    assert torch.equal(task.targets.shares[60:], before.shares[60:])
    assert torch.equal(task.targets.usability, before.usability)
    assert ((task.targets.shares[:60] > 0) & (task.targets.shares[:60] < 1)).all()


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"start_as": "student"}, "choose one of teacher, initial"),
        ({"corpus_share": 0.0}, "corpus_share: is 0.0"),
        ({"frozen_layers": -1}, "frozen_layers: is -1"),
        ({"corpus": "isear", "usability": UsabilitySettings()}, "usability: is for the labels of goemotions"),
        ({"context": ContextSettings()}, "context: needs usability"),
    ],
)
def test_configuration_that_cannot_be(changes: dict[str, Any], fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        config_of(**changes)


# --- the context head ---------------------------------------------------------------------------------------------


def test_turns_are_gathered_with_their_neighbors() -> None:
    weights, spec = calibrated()
    assert weights.tokenizer is not None
    dialogues = dialogues_of(3)
    read = [
        (one, read_turns(weights.network, weights.tokenizer, spec, one.turns.texts))  # type: ignore[arg-type]
        for one in dialogues
    ]
    turns = gather(read, 1, 1)
    assert turns.embeddings.shape == (9, 3, 16) and turns.estimates.shape == (9, 3, 15)
    assert turns.mask.tolist() == [[False, True, True], [True, True, True], [True, True, False]] * 3
    assert turns.main.tolist() == [value for one in dialogues for value in one.turns.main.tolist()]
    alone = gather(read, 1, 1, [True, False, False], [False, True, False])
    assert len(alone.main) == 8 and (alone.speakers[:3] == UNKNOWN).all()
    assert alone.mask[3:5].tolist() == [[False, True, True], [True, True, False]]
    assert (alone.speakers[3:5] == SAME).all()


def test_context_head_learns_what_only_neighbors_tell() -> None:
    weights, spec = calibrated()
    assert weights.tokenizer is not None
    settings = ContextSettings(epochs=200, copies=2, hidden=16, learning_rate=1e-2, dropout=0.0, drop_share=0.1)
    dialogues = dialogues_of(40)
    network: Any = weights.network
    copies = changed_copies(network, weights.tokenizer, spec, dialogues, settings, stage.TextAugmentation(), 0)
    assert len(copies) == 2 and len(copies[0].main) == 120
    head = train_context(copies, settings, 16, 0)
    again = train_context(copies, settings, 16, 0)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in head.state_dict().items())
    network.context = head
    figures = evaluate_dialogues(weights, dialogues_of(12))["all"]["usability"]
    assert figures["context"]["share"] > 0.9 > figures["alone"]["share"]


# --- the command --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_command_trains_continues_and_refuses(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stage.ARCHITECTURES, "minilm_l6", SHAPE)  # type: ignore[arg-type]
    monkeypatch.setattr(text_training, "read_usability", lambda part: sentences_of(64 if part == "train" else 40))
    monkeypatch.setattr(text_training, "read_dialogues", lambda part: dialogues_of(12))
    base, config = write_base(tmp_path / "base"), tmp_path / "config.toml"
    options: dict[str, Any] = {"name": "", "device": "cpu", "quiet": True}
    config.write_text(CONFIG.replace("START", "teacher"))
    first = train_text(config, corpus_folder, tmp_path / "first", base=base, **options)
    assert first.name == "minilm_l6.goemotions_usability-v1.safetensors"
    weights = load_weights(str(first), "text")
    assert weights.spec.usability_labels == USABILITY_LABELS and weights.spec.context["hidden"] == 16
    card = json.loads(first.with_suffix(".json").read_text(encoding="utf-8"))
    figures = card["metrics"]["usability_dev"]
    assert figures["usability"]["accuracy"] > 0.8 and figures["dialogues"]["has_context"]
    assert "CC0" in card["data"]["license"]

    changed = CONFIG.replace("START", "initial").replace("dropout = 0.0", "frozen_layers = 1\ncorpus_share = 0.5")
    config.write_text(changed)
    with pytest.raises(ConfigError, match="--start: is missing"):
        train_text(config, corpus_folder, tmp_path / "none", **options)
    second = train_text(config, corpus_folder, tmp_path / "second", start=first, **options)
    continued = load_weights(str(second), "text")
    kept, moved = "transformer.encoder.layer.0.output.dense.weight", "transformer.encoder.layer.1.output.dense.weight"
    tensors = [one.network.state_dict() for one in (weights, continued)]
    assert torch.equal(tensors[0][kept], tensors[1][kept]) and not torch.equal(tensors[0][moved], tensors[1][moved])
    training = json.loads(second.with_suffix(".json").read_text(encoding="utf-8"))["training"]
    assert training["start_weights"]["file"] == first.name and "--start START_WEIGHTS" in training["command"]
    with pytest.raises(WeightsError, match="name 'minilm_l6' weights"):
        other = replace(continued.spec, native_labels=("joy",))
        monkeypatch.setattr(text_training, "load_weights", lambda *_: replace(continued, spec=other))
        train_text(config, corpus_folder, tmp_path / "third", start=first, **options)
