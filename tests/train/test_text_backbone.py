"""Training from any backbone: a few steps, saving, loading, inference."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from backbone_fixtures import write_backbone
from safetensors.torch import load_file
from text_fixtures import write_goemotions

from multimodal import load_model
from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.encoders.backbone import load_backbone
from multimodal.encoders.text import read_texts
from multimodal.errors import ConfigError, WeightsError
from multimodal.evaluate.text import evaluate_text
from multimodal.infer.command import main as infer
from multimodal.models.weights import load_weights
from multimodal.train.text.training import train_text

pytestmark = pytest.mark.slow  # transformers alone takes seconds to import

CONFIG = """
architecture = "auto"
backbone = {backbone}
window_tokens = 48
dropout = 0.0
held_out_share = 0.2
check_counts = false
[loop]
epochs = {epochs}
batch_size = 16
optimizer = "adamw"
learning_rate = 0.01
warmup_epochs = 0.2
ema_decay = 0.9
precision = "no"
"""


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goemotions(tmp_path_factory.mktemp("goemotions"), {"train": 300, "dev": 80})


def train(folder: Path, backbone: Path, corpus: Path, epochs: int = 1, **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    config = folder / "config.toml"
    config.write_text(CONFIG.format(backbone=json.dumps(str(backbone)), epochs=epochs), encoding="utf-8")
    return train_text(config, corpus, folder / "run", name="", device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def distilbert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("distilbert"), "distilbert")


@pytest.fixture(scope="module")
def trained(corpus_folder: Path, distilbert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("trained"), distilbert, corpus_folder, epochs=8)


def test_training_learns_and_changes_the_backbone(trained: Path, distilbert: Path) -> None:
    card = json.loads(trained.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["metrics"]["dev"]["macro_f1"] > 0.6
    before = load_backbone(str(distilbert))[1]
    after = {name.removeprefix("transformer.model."): value for name, value in load_file(trained).items()}
    assert set(before) <= set(after)
    assert all(not torch.equal(after[name].float(), value.half().float()) for name, value in before.items())


def test_files_know_each_other_and_the_backbone(trained: Path) -> None:
    files = sorted(path.name for path in trained.parent.glob("auto*"))
    assert files == [f"auto.goemotions-v1.{suffix}" for suffix in ("json", "safetensors", "tokenizer.json")]
    loaded = load_weights(str(trained), "text")
    assert loaded.spec.architecture == "auto" and loaded.spec.text["model_type"] == "distilbert"
    assert loaded.spec.labels == FUSED_LABELS and loaded.spec.native_labels == GOEMOTIONS_LABELS
    assert loaded.tokenizer is not None and loaded.tokenizer.get_vocab_size() == loaded.spec.text["vocab_size"]
    assert loaded.card["training"]["start"]["name"].startswith("distilbert")
    assert "MiniLM" not in json.dumps(loaded.card)


def test_loaded_weights_estimate_as_on_the_card(
    trained: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    weights = load_weights(str(trained.parent), "text")
    figures = evaluate_text(weights, read_goemotions(corpus_folder, "dev", check_counts=False))
    stored = weights.card["metrics"]["dev"]
    assert figures["confusion"] == stored["confusion"]
    for key in ("macro_f1", "macro_f1_native", "accuracy", "ece", "nll"):
        assert figures[key] == pytest.approx(stored[key], abs=1e-4), key


def test_infer_reads_with_a_trained_backbone(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.txt"
    answers.write_text("I feel really happy, it is fine.\n\nThe printer is sad.\n", encoding="utf-8")
    model = load_model(str(trained.parent), device="cpu", modalities=["text"])
    analysis = model.analyze(answers)
    weights = load_weights(str(trained), "text")
    assert weights.tokenizer is not None
    texts = [estimate.utterance.text or "" for estimate in analysis.estimates]
    readings = read_texts(
        weights.network, weights.tokenizer, texts, temperature=weights.spec.temperature, window_tokens=48
    )
    for estimate, reading in zip(analysis.estimates, readings, strict=True):
        text = estimate.get("text")
        assert text is not None and reading is not None
        np.testing.assert_allclose(list(text.probabilities.values()), reading.probabilities, atol=1e-6)
    command = [str(answers), "--model", str(trained.parent), "--modalities", "text", "--device", "cpu"]
    assert infer([*command, "--out", str(tmp_path / "out")]) == 0, capsys.readouterr().err
    saved = json.loads((tmp_path / "out" / "answers" / "analysis.json").read_text(encoding="utf-8"))
    assert saved["models"]["text"]["name"] == "auto.goemotions-v1"


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_other_types_train_save_and_load(kind: str, corpus_folder: Path, tmp_path: Path) -> None:
    path = train(tmp_path / "run", write_backbone(tmp_path / kind, kind), corpus_folder)
    loaded = load_weights(str(path), "text")
    assert loaded.spec.text["model_type"] == kind and loaded.tokenizer is not None
    (reading,) = read_texts(loaded.network, loaded.tokenizer, ["i feel happy"], window_tokens=48)
    assert reading is not None and reading.probabilities.sum() == pytest.approx(1, abs=1e-9)


def test_window_beyond_the_backbone_is_refused(distilbert: Path, corpus_folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    text = CONFIG.format(backbone=json.dumps(str(distilbert)), epochs=1)
    config.write_text(text.replace("window_tokens = 48", "window_tokens = 67"), encoding="utf-8")
    with pytest.raises(ConfigError, match="it cannot read 67 tokens at once"):
        train_text(config, corpus_folder, tmp_path / "run", name="", device="cpu", quiet=True)


def test_base_is_refused_beside_a_backbone(distilbert: Path, corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--base: is not for architecture 'auto'"):
        train(tmp_path / "run", distilbert, corpus_folder, base=distilbert)


def test_backbone_that_is_not_at_hand(corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is neither a folder nor in the local cache"):
        train(tmp_path / "run", tmp_path / "nowhere", corpus_folder)


@pytest.mark.parametrize("change", [{"model_type": "nonsense"}, {"n_heads": 3}, {"dim": 32}])
def test_card_of_another_backbone_is_refused(trained: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    for path in trained.parent.glob("auto*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = json.loads((tmp_path / "auto.goemotions-v1.json").read_text(encoding="utf-8"))
    card["spec"]["text"] |= change
    (tmp_path / "auto.goemotions-v1.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"has a card that describes no network|does not fit the network") as caught:
        load_weights(str(tmp_path), "text")
    assert "\n" not in str(caught.value)
