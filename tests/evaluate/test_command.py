"""The commands train and evaluate in subprocesses: printed figures and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkout import ROOT, RunCommand
from face_corpus import striped_corpus, write_pictures, write_tables
from safetensors.torch import load_file

from multimodal.data.corpora.ferplus import FaceCorpus, read_ferplus
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import predict
from multimodal.errors import DependencyError, WeightsError
from multimodal.evaluate import command as evaluate
from multimodal.evaluate import face as evaluate_face
from multimodal.evaluate import tables as evaluate_tables
from multimodal.models.weights import load_weights
from multimodal.train.config import read_config
from multimodal.train.face import FaceConfig

NAME = "se_resnet_pair.ferplus-v1"
SHOWN = {"accuracy", "balanced_accuracy", "macro_f1", "kappa", "roc_auc", "pr_auc", "ece", "divergence", "n"}
"""What the table shows of a face model, above the classes and the confusion."""
CONFIG = """
architecture = "se_resnet_pair"
full_size = 48
check_counts = false
[loop]
epochs = 4
batch_size = 16
learning_rate = 0.05
warmup_epochs = 0.5
ema_decay = 0.5
precision = "no"
seed = 3
"""


def corpora() -> dict[str, FaceCorpus]:
    """The validation part has a picture without a majority and one that is no face: neither is judged."""
    valid = striped_corpus(3, 1)
    extra = np.array([[5, 5, *[0] * 8], [0] * 9 + [10]])
    images, votes = np.concatenate([valid.images, valid.images[:2]]), np.concatenate([valid.votes, extra])
    return {"train": striped_corpus(8, 0), "valid": FaceCorpus(images, votes, (*valid.names, "a.png", "b.png"))}


@pytest.fixture(scope="module")
def trained(run_cli: RunCommand, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus in both layouts, a configuration, and a run of the command with the real network."""
    folder = tmp_path_factory.mktemp("trained")
    write_pictures(folder / "pictures", corpora())
    write_tables(folder / "tables", corpora())
    (folder / "face.toml").write_text(CONFIG)
    words = ["--config", "face.toml", "--data", "pictures", "--run", "run", "--device", "cpu"]
    finished = run_cli("train", "face", *words, cwd=folder)
    assert (finished.returncode, finished.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def figures(trained: Path, run_cli: RunCommand) -> dict[str, Any]:
    """What evaluation says of that run as JSON, read from the tables."""
    words = ["--data", "tables", "--model", "run", "--device", "cpu", "--json"]
    finished = run_cli("evaluate", "face", *words, cwd=trained)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.count("\n") == 1
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


def card_of(trained: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((trained / "run" / f"{NAME}.json").read_text(encoding="utf-8"))
    return card


@pytest.mark.slow
def test_training_writes_weights_with_their_card(trained: Path) -> None:
    card, path = card_of(trained), trained / "run" / f"{NAME}.safetensors"
    assert {str(tensor.dtype) for tensor in load_file(path).values()} == {"torch.float16"}
    assert card["training"]["config"] == json.loads(json.dumps(asdict(read_config(trained / "face.toml", FaceConfig))))
    assert (card["training"]["seed"], card["training"]["epochs_run"]) == (3, 4)
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    assert card["training"]["commit"] in (head.stdout.strip() or "not in a checkout", "not in a checkout")
    assert card["metrics"]["valid"]["n"] == 24
    assert {"data", "license", "limits", "sha256", "spec"} <= set(card)
    spec = load_weights(str(trained / "run")).spec
    assert (spec.architecture, spec.face_size, spec.flip, spec.labels) == ("se_resnet_pair", 48, False, FACE_LABELS)


@pytest.mark.slow
def test_evaluation_reproduces_the_card(trained: Path, figures: dict[str, Any]) -> None:
    metrics = card_of(trained)["metrics"]["valid"]
    assert {key: figures[key] for key in ("n", "labels", "confusion", "per_class")} == {
        key: metrics[key] for key in ("n", "labels", "confusion", "per_class")
    }
    for key in ("accuracy", "balanced_accuracy", "macro_f1", "kappa"):
        assert figures[key] == pytest.approx(metrics[key], abs=1e-6), key
    answered = np.array(figures["confusion"]).sum(axis=0)
    assert np.count_nonzero(answered) > 2  # a network with one answer for all would show nothing


@pytest.mark.slow
def test_figures_are_complete_and_fit_each_other(trained: Path, figures: dict[str, Any]) -> None:
    assert {"accuracy", "macro_f1", "kappa", "ece", "n", "confusion", "labels", "parameters"} <= set(figures)
    assert set(figures) >= SHOWN
    confusion = np.array(figures["confusion"])
    assert confusion.shape == (8, 8) and confusion.sum() == figures["n"] == 24
    assert confusion.trace() / 24 == pytest.approx(figures["accuracy"])
    assert confusion.sum(axis=1).tolist() == [3] * 8
    assert tuple(figures["labels"]) == FACE_LABELS
    assert figures["parameters"] == card_of(trained)["parameters"]
    assert 3_000_000 < figures["parameters"] <= 4_000_000
    rows = figures["confidence"]
    assert set(rows) == {"votes", "degraded"} == set(card_of(trained)["metrics"]["confidence"])
    # With the picture on which people are divided, without the one that is no face; those of contempt have two votes
    # for neutral.
    assert {row["n"] for row in rows.values()} == {25}
    assert load_weights(str(trained / "run")).spec.uncertain_below is not None


@pytest.mark.slow
def test_temperature_and_flip_of_the_card(trained: Path) -> None:
    weights = load_weights(str(trained / "run"))
    corpus = read_ferplus(trained / "pictures", "valid", check_counts=False)
    images = torch.from_numpy(corpus.images)
    actual = evaluate_face.face_probabilities(weights, corpus)
    assert actual.shape == (26, 8) and actual.dtype == np.float32
    assert actual == pytest.approx(
        predict(weights.network, images, weights.spec.temperature, False)[0].numpy(), abs=1e-6
    )
    changed = replace(weights, spec=replace(weights.spec, temperature=3.0, flip=True))
    other = evaluate_face.face_probabilities(changed, corpus)
    assert other == pytest.approx(predict(weights.network, images, 3.0, True)[0].numpy(), abs=1e-6)
    assert not np.allclose(actual, other, atol=1e-3)


@pytest.mark.slow
def test_table_shows_the_same_figures(
    trained: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(trained / "pictures"), "--model", str(trained / "run"), "--device", "cpu"]
    assert evaluate.main(["face", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{NAME} on valid, {figures['parameters']:,} parameters"
    keys = [key for key in evaluate_tables.FIGURES if key in SHOWN]
    values = dict(line.split() for line in lines[1 : 1 + len(keys)])
    assert list(values) == keys and len(keys) == len(SHOWN)
    assert values["n"] == "24" and float(values["accuracy"]) == pytest.approx(figures["accuracy"], abs=1e-4)
    for row, label in zip(figures["confusion"], figures["labels"], strict=True):
        assert any(line.split() == [label, *map(str, row)] for line in lines), label


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = evaluate.main([*map(str, words), "--device", "cpu"])
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and output.err.startswith("error: ")
    return code, output.err


@pytest.mark.slow
def test_options_of_another_part_are_wrong_usage(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = refused(capsys, "smell", "--data", trained / "pictures")
    assert code == 2 and "'smell'; choose one of face" in line
    code, line = refused(capsys, "face", "--data", trained / "pictures", "--split", "dev")
    assert code == 2 and "'dev'; choose one of train, valid, test" in line
    code, line = refused(capsys, "face", "--data", trained / "pictures", "--corpus", "ravdess")
    assert code == 2 and "'ravdess'; choose one of ferplus" in line
    code, line = refused(capsys, "face", "--data", trained / "pictures", "--labels", "native")
    assert code == 2 and "No such option: --labels" in line


@pytest.mark.slow
def test_missing_split_corpus_and_model_are_one_line(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", trained / "run")
    code, line = refused(capsys, "face", "--data", trained / "pictures", "--split", "test", *model)
    assert code == 1 and "contains no FER2013Test/label.csv" in line
    code, line = refused(capsys, "face", "--data", trained / "tables", "--split", "test", *model)
    assert code == 1 and "has no picture with a majority in the test split" in line
    code, line = refused(capsys, "face", "--data", trained / "nowhere", *model)
    assert code == 1 and "nowhere: contains no FER2013Valid/label.csv" in line
    code, line = refused(capsys, "face", "--data", trained / "pictures", "--model", "unheard_of")
    assert code == 1 and "unheard_of: is no face model" in line


@pytest.mark.slow
def test_model_with_other_labels_is_refused(trained: Path) -> None:
    weights = load_weights(str(trained / "run"))
    renamed = replace(weights, spec=replace(weights.spec, labels=FACE_LABELS[::-1]))
    with pytest.raises(WeightsError, match="choose a model with FER\\+'s labels: neutral"):
        evaluate_face.evaluate_face(renamed, striped_corpus(1, 0))


def test_missing_library_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "multimodal.evaluate.metrics", None)
    with pytest.raises(DependencyError, match=r"pip install 'multimodal-emotion\[train\]'"):
        evaluate.face(tmp_path)


@pytest.mark.slow
@pytest.mark.corpus
def test_shipped_default_keeps_what_its_card_promises(ferplus_folder: Path, run_cli: RunCommand) -> None:
    finished = run_cli("evaluate", "face", "--data", ferplus_folder, "--split", "valid", "--json")
    assert finished.returncode == 0, finished.stderr
    actual, card = json.loads(finished.stdout), load_weights("default", "face").card
    assert actual["n"] == 3191
    assert actual["accuracy"] == pytest.approx(card["metrics"]["valid"]["accuracy"], abs=1e-3)
    assert actual["parameters"] == card["parameters"] <= 4_000_000
    assert actual["accuracy"] >= 0.87
