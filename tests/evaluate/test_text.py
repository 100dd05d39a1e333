"""Evaluation of text models: on one file, on a folder, and with few or no usable texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_fixtures import SHAPE, tiny_network, tiny_tokenizer, tokenizer_json, write_goemotions

from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.encoders.text import TextPrediction, read_texts
from multimodal.evaluate import command as evaluate
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights

KEYS = {"macro_f1", "macro_f1_native", "accuracy", "ece", "n", "confusion", "labels", "parameters"}
CUTS = {"groups": dict.fromkeys(FUSED_LABELS, 0.5), "native": dict.fromkeys(GOEMOTIONS_LABELS, 0.4)}
SIZES = {"dev": 40, "test": 30}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was never trained, with thresholds."""
    tokenizer, folder = tiny_tokenizer(), tmp_path_factory.mktemp("weights")
    shape = {**SHAPE, "vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 24}
    more: dict[str, Any] = {"native_labels": GOEMOTIONS_LABELS, "text": shape, "window_tokens": 24, "thresholds": CUTS}
    spec = ModelSpec("text", "minilm_l6", FUSED_LABELS, 1.0, **more)
    save_weights(folder, "minilm_l6.random-v1", tiny_network(tokenizer), spec, {}, tokenizer_json())
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goemotions(tmp_path_factory.mktemp("goemotions"), SIZES)


def run_evaluate(capsys: pytest.CaptureFixture[str], weights: Path, data: Path, *more: str) -> tuple[int, str, str]:
    words = ["text", "--corpus", "goemotions", "--data", str(data), "--model", str(weights), "--device", "cpu", *more]
    code = evaluate.main(words)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def figures(capsys: pytest.CaptureFixture[str], weights: Path, data: Path, *more: str) -> dict[str, Any]:
    code, out, err = run_evaluate(capsys, weights, data, "--json", *more)
    assert (code, err, out.count("\n")) == (0, "", 1)
    actual: dict[str, Any] = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(actual) >= KEYS
    return actual


def test_one_file_is_judged_whatever_its_part(capsys: pytest.CaptureFixture[str], weights: Path, corpus: Path) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    actual = figures(capsys, weights, corpus / "test.tsv")
    judged = read_goemotions(corpus / "test.tsv", check_counts=False)
    readings = read_texts(tiny_network(tiny_tokenizer()).half().float(), tiny_tokenizer(), judged.texts)
    read = [reading for reading in readings if isinstance(reading, TextPrediction)]
    answers = np.stack([reading.scores for reading in read]) >= 0.5
    assert actual["n"] == len(read) == SIZES["test"]
    assert actual["macro_f1"] == pytest.approx(f1_score(judged.groups, answers, average="macro", zero_division=0))
    answers = np.stack([reading.native_scores for reading in read]) >= 0.4
    native = f1_score(judged.targets, answers, average="macro", zero_division=0)
    assert actual["macro_f1_native"] == pytest.approx(native)
    single = judged.groups.sum(axis=1) == 1
    likeliest = np.stack([reading.probabilities for reading in read]).argmax(axis=1)
    right = accuracy_score(judged.groups.argmax(axis=1)[single], likeliest[single])
    assert actual["accuracy"] == pytest.approx(right) and np.sum(actual["confusion"]) == single.sum()


def test_folder_is_judged_on_dev_or_on_what_else_was_kept_apart(
    capsys: pytest.CaptureFixture[str], weights: Path, corpus: Path, tmp_path: Path
) -> None:
    assert figures(capsys, weights, corpus)["n"] == SIZES["dev"]
    assert figures(capsys, weights, corpus, "--split", "test")["n"] == SIZES["test"]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test.tsv").write_bytes((corpus / "test.tsv").read_bytes())
    assert figures(capsys, weights, tmp_path) == figures(capsys, weights, corpus / "test.tsv")
    code, out, _ = run_evaluate(capsys, weights, tmp_path)
    assert code == 0 and out.startswith("minilm_l6.random-v1 on goemotions, test part, ")
    code, out, err = run_evaluate(capsys, weights, tmp_path, "--split", "dev")
    assert (code, out) == (1, "") and "contains no dev.tsv" in err


def test_texts_with_two_groups_each_have_no_likeliest(
    capsys: pytest.CaptureFixture[str], weights: Path, tmp_path: Path
) -> None:
    file = tmp_path / "few.tsv"
    file.write_text("i feel happy and scared\t17,14\ta\nwow it is sad\t26,25\tb\n", encoding="utf-8")
    actual = figures(capsys, weights, file)
    assert (actual["n"], actual["n_single"], actual["accuracy"], actual["ece"]) == (2, 0, None, None)
    assert actual["confusion"] == [[0] * 7] * 7 and 0 <= actual["macro_f1"] <= 1
    code, out, _ = run_evaluate(capsys, weights, file)
    assert code == 0 and "macro_f1" in out and "accuracy" not in out


def test_nothing_that_can_be_read_is_one_line(
    capsys: pytest.CaptureFixture[str], weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "dots.tsv").write_text("...\t17\ta\n\u200b\t27\tb\n", encoding="utf-8")
    code, out, err = run_evaluate(capsys, weights, tmp_path / "dots.tsv")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "has no text with words (2 texts)" in err
