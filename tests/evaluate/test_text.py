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
from multimodal.evaluate.text import in_calibration_half, polarity_probabilities
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


# --- what people said, with a polarity ----------------------------------------------------------------------------


def test_polarity_counts_neutral_and_surprise_for_both() -> None:
    rows = np.eye(7)
    expected = {"happiness": 1.0, "neutral": 0.5, "surprise": 0.5}
    assert polarity_probabilities(rows)[:, 1].tolist() == [expected.get(label, 0.0) for label in FUSED_LABELS]
    mixed = np.random.default_rng(0).dirichlet(np.ones(7), 50)
    assert polarity_probabilities(mixed).sum(axis=1) == pytest.approx(1)
    positive = mixed[:, FUSED_LABELS.index("happiness")] + (mixed[:, 0] + mixed[:, FUSED_LABELS.index("surprise")]) / 2
    assert polarity_probabilities(mixed)[:, 1] == pytest.approx(positive)


def test_halves_share_no_video_and_do_not_depend_on_the_order() -> None:
    videos = [f"video {number // 3}" for number in range(600)]
    half = in_calibration_half(videos)
    assert 0.4 < half.mean() < 0.6 and half.reshape(-1, 3).std() > 0 and not half.reshape(-1, 3).std(axis=1).any()
    assert np.array_equal(in_calibration_half(videos[::-1])[::-1], half)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A corpus like MOSI, of 12 videos; every third utterance has no words that the tiny tokenizer knows."""
    words = {"positive": "i feel happy", "negative": "it is sad"}
    lines, rows = ["video,utterance,words,polarity"], 0
    for video in range(12):
        for number, (polarity, text) in enumerate([*words.items(), ("positive", "...")]):
            lines.append(f"clip{video},{number + 1},{text},{polarity}")
            rows += 1
    (tmp_path / "words.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, columns in (("audio", 73), ("face", 100)):
        (tmp_path / f"{name}.csv").write_text((",".join(["0"] * columns) + "\n") * rows, encoding="utf-8")
    return tmp_path


def test_real_talk_is_judged_by_polarity(
    capsys: pytest.CaptureFixture[str], weights: Path, talk: Path, tmp_path: Path
) -> None:
    words = ["text", "--corpus", "mosi", "--data", str(talk), "--model", str(weights), "--device", "cpu"]
    sizes = {}
    for split in ("dev", "train"):
        assert evaluate.main([*words, "--split", split, "--json"]) == 0
        actual = json.loads(capsys.readouterr().out)
        sizes[split], row = actual["n"], actual["confidence"]["polarity"]
        assert actual["labels"] == ["negative", "positive"] and row["n"] == actual["n"]
        assert actual["ece"] == pytest.approx(row["ece"]) and row["accuracy"] == pytest.approx(actual["accuracy"])
    assert sum(sizes.values()) == 24 and min(sizes.values()) > 0  # dots are no words
    chosen = in_calibration_half([f"clip{video}" for video in range(12)])
    assert sizes == {"dev": 2 * int((~chosen).sum()), "train": 2 * int(chosen.sum())}
    assert evaluate.main([*words, "--split", "test"]) == 2
    assert "choose one of train, dev" in capsys.readouterr().err


def test_two_evaluations_stand_side_by_side(
    capsys: pytest.CaptureFixture[str], weights: Path, corpus: Path, talk: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    words = ["text", "--model", str(weights), "--device", "cpu"]
    assert evaluate.main([*words, "--data", str(corpus), "--out", str(tmp_path / "first")]) == 0
    first = capsys.readouterr().out
    assert "accuracy at coverage" in first and "one label" in first
    compare = ["--compare", str(tmp_path / "first" / "figures.json"), "--out", str(both)]
    assert evaluate.main([*words, "--corpus", "mosi", "--data", str(talk), *compare]) == 0
    out = capsys.readouterr().out
    assert "polarity (mosi, dev part)" in out and "one label (goemotions, dev part)" in out
    saved = json.loads((both / "figures.json").read_text(encoding="utf-8"))
    earlier = json.loads((tmp_path / "first" / "figures.json").read_text(encoding="utf-8"))
    assert saved["confidence"]["one label (goemotions, dev part)"] == earlier["confidence"]["one label"]
    assert (both / "risk_coverage.png").stat().st_size > 10_000


def test_comparison_with_something_else_is_refused(
    capsys: pytest.CaptureFixture[str], weights: Path, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "figures.json").write_text('{"accuracy": 0.5}', encoding="utf-8")
    code, out, err = run_evaluate(capsys, weights, corpus, "--compare", str(tmp_path / "figures.json"))
    assert (code, out) == (2, "") and "is no figures.json with confidence figures" in err and err.count("\n") == 1
