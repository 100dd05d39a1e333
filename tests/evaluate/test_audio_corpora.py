"""The command on a few voices of the real corpora; how good a model is on voices it was taught is not tested."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from voice_corpus import write_random_weights

from multimodal import evaluate
from multimodal.data.emotions import FUSED_LABELS, NATIVE_LABELS, VOICE_CODES, VOICE_TO_FUSED
from multimodal.data.voice_names import READ_NAME
from multimodal.weights import DEFAULTS, load_weights, shipped

pytestmark = pytest.mark.corpus

PARTS = {"ravdess": r"Actor_(01|20)/.{11}-01-..-..\.flac$", "emodb": r"/16[^/]+$", "banglaser": r"-0[12]\.flac$"}
"""A few clips: one sentence of two actors, one speaker, two speakers."""
CLIPS = {"ravdess": (60, 2), "emodb": (57, 1), "banglaser": (90, 2)}
"""Those that are one of the seven, and their speakers."""
KEYS = {"uar", "uar_alone", "accuracy", "macro_f1", "ece", "n", "confusion", "labels", "parameters", "speakers"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped encoder, once there is one."""
    return "default" if "audio" in DEFAULTS else str(write_random_weights(tmp_path_factory.mktemp("weights")))


@pytest.mark.parametrize("corpus", sorted(PARTS))
def test_cards_match_the_corpora(shared_folder: Path, corpus: str) -> None:
    with tarfile.open(shared_folder / "datasets" / f"{corpus}.tar") as archive:
        found = [READ_NAME[corpus](Path(name)) for name in archive.getnames()]
    names = [name for name in found if name is not None and VOICE_TO_FUSED[corpus][VOICE_CODES[corpus][name.code]]]
    for model in shipped("audio"):
        data = load_weights(model, "audio").card["data"]["corpora"][corpus]
        assert data["clips"] == len(names)
        assert data["speakers"] == sorted({f"{corpus}-{name.speaker}" for name in names})


def unpacked(shared_folder: Path, corpus: str, folder: Path) -> Path:
    with tarfile.open(shared_folder / "datasets" / f"{corpus}.tar") as archive:
        members = [member for member in archive if re.search(PARTS[corpus], member.name)]
        archive.extractall(folder, members, filter="data")
    return folder


@pytest.mark.parametrize("corpus", sorted(PARTS))
def test_command_judges_the_real_corpora(
    shared_folder: Path, tmp_path: Path, model: str, corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = "native" if corpus == "ravdess" and load_weights(model, "audio").spec.labels != FUSED_LABELS else "seven"
    folder = unpacked(shared_folder, corpus, tmp_path / corpus)
    words = ["--corpus", corpus, "--data", str(folder), "--model", model, "--labels", labels, "--device", "cpu"]
    assert evaluate.main(["audio", *words, "--json"]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(figures) >= KEYS
    assert (figures["n"], figures["speakers"]) == CLIPS[corpus]
    assert figures["labels"] == list(NATIVE_LABELS[corpus] if labels == "native" else FUSED_LABELS)
    assert sum(map(sum, figures["confusion"])) == figures["n"]
    assert all(0 <= figures[key] <= 1 for key in ("uar", "uar_alone", "accuracy", "macro_f1", "ece"))
