"""The shipped fusion head: facts of its card, and its figures on a small part of the real corpora.

The voices here were heard in the shipped encoder's training, so nothing is said about how good the voice is; that the
head weighs evidence better than the plain average must show all the same.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multimodal import load_model
from multimodal.data.emotions import FUSED_LABELS
from multimodal.evaluate.fusion import SUBSETS
from multimodal.evaluate.synthetic import evaluate_synthetic
from multimodal.fusion.alignment import FusionInputs, collate
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.fusion.prediction import subset_name
from multimodal.models.selection import DEFAULTS, shipped_folder
from multimodal.models.weights import Weights, load_weights
from multimodal.types import MODALITIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head() -> Weights:
    return load_weights("default", "fusion")


@pytest.fixture(scope="module")
def figures(head: Weights) -> dict[str, Any]:
    actual: dict[str, Any] = head.card["metrics"]["composed"]
    return actual


def test_head_belongs_to_the_shipped_encoders(head: Weights) -> None:
    assert dict(head.spec.encoders) == {name: load_weights("default", name).sha256 for name in MODALITIES}
    assert head.spec.labels == FUSED_LABELS
    assert (shipped_folder() / f"{DEFAULTS['fusion']}.safetensors").stat().st_size <= 4_000_000


def test_card_says_what_composed_utterances_can_and_cannot_claim(head: Weights) -> None:
    assert "say nothing about real interviews" in " ".join(head.card["limits"])
    assert head.card["license"].startswith("CC BY-NC-SA")
    assert len(head.card["training"]["commit"]) == 40


def test_card_fusion_beats_baselines(figures: dict[str, Any]) -> None:
    best = max(figures["single"][signal]["macro_f1"] for signal in MODALITIES)
    assert figures["macro_f1"] >= best + 0.05
    assert figures["ece"] < 0.05
    for subset in map(subset_name, SUBSETS):
        assert figures["subsets"][subset]["macro_f1"] >= figures["late"][subset]["macro_f1"]


def test_card_single_signal_accuracy(figures: dict[str, Any]) -> None:
    for signal in MODALITIES:
        for key in ("macro_f1", "accuracy"):
            assert figures["subsets"][signal][key] >= figures["single"][signal][key] - 0.02


def test_card_degraded_signal_weighs_less(figures: dict[str, Any]) -> None:
    for signal in MODALITIES:
        row = figures["corrupted"][signal]
        assert row["fused"] >= row["late"] + 0.05
        assert row["fused"] >= row["without"] - 0.02


def test_any_subset_of_noise_gives_finite_answers(head: Weights) -> None:
    draws = np.random.default_rng(0)
    shape = FusionShape(**head.spec.fusion)
    whole = FusionInputs(
        np.arange(40) * 0.08,
        audio=draws.normal(0, 100, (40, shape.audio_size)),
        face=draws.normal(0, 100, (40, shape.face_size)),
        face_mask=draws.random(40) < 0.5,
        text=draws.normal(0, 100, (9, shape.text_size)),
        log_probabilities={name: np.log(draws.dirichlet(np.ones(7))) for name in MODALITIES},
    )
    batch = collate([whole.only(subset) for subset in SUBSETS], shape.sizes, shape.labels)
    with torch.inference_mode():
        assert bool(head.network(batch).logits.isfinite().all())


@pytest.mark.corpus
def test_figures_come_out_on_a_part_of_the_corpora(
    shared_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = {"ravdess": "Actor_(01|20)", "ferplus": "FER2013Valid", "goemotions": "goemotions/(dev|labels)"}
    for name, pattern in selection.items():
        _unpack(next((shared_folder / "datasets").glob(f"{name}.tar*")), pattern, tmp_path / name)
    monkeypatch.setattr("multimodal.evaluate.synthetic.MAX_PER_LABEL", 40)
    parts = load_model(device="cpu").parts
    voices = {"ravdess": tmp_path / "ravdess"}
    actual = evaluate_synthetic(parts, tmp_path / "ferplus", voices, tmp_path / "goemotions" / "goemotions", count=600)
    assert actual["n"] == 600 and actual["macro_f1"] > 0.8
    for subset in map(subset_name, SUBSETS):
        assert actual["subsets"][subset]["macro_f1"] > actual["late"][subset]["macro_f1"] - 0.03


def _unpack(archive: Path, pattern: str, folder: Path) -> None:
    import re

    with tarfile.open(archive) as tar:
        tar.extractall(folder, [member for member in tar if re.search(pattern, member.name)], filter="data")
