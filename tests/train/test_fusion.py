"""The fusion training end to end on tiny corpora: the command, the card, resumption, evaluation, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.state import AcceleratorState
from checkout import ROOT
from fusion_corpora import write_corpora
from PIL import Image
from safetensors.torch import load_file

from multimodal.errors import ConfigError
from multimodal.evaluate import command as evaluate
from multimodal.evaluate.fusion import SUBSETS, reliability, risk_coverage
from multimodal.evaluate.synthetic.evaluation import parse_voices
from multimodal.fusion.prediction import subset_name
from multimodal.models.weights import load_weights
from multimodal.train import command as train
from multimodal.train import fusion as train_fusion
from multimodal.types import MODALITIES

pytestmark = pytest.mark.slow

NAME = "dual_recurrent.synthetic-v1"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpora(tmp_path_factory.mktemp("corpora"))


def run_stage(corpora: Path, run: Path, config: str = "fusion.toml") -> Path:
    """Trains as the command would, in this process."""
    folders = [corpora / name for name in ("faces", "voices", "texts", "audio-run", "votes")]
    AcceleratorState._reset_state(True)
    try:
        return train_fusion.train_fusion(
            corpora / config,
            train_fusion.Sources(*folders),
            run,
            name="",
            device="cpu",
            quiet=True,
            model=str(corpora / "model"),
        )
    finally:
        AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def trained(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_stage(corpora, tmp_path_factory.mktemp("run"))


def test_weights_say_which_encoders_they_belong_to(trained: Path, card: dict[str, Any], corpora: Path) -> None:
    weights = load_weights(str(trained), "fusion")
    expected = {
        "face": load_weights("default", "face").sha256,
        "audio": load_weights(str(corpora / "model"), "audio").sha256,
        "text": load_weights("default", "text").sha256,
    }
    assert weights.name == NAME and dict(weights.spec.encoders) == expected
    assert set(weights.spec.temperatures) == {subset_name(subset) for subset in SUBSETS}
    assert weights.spec.uncertain_below == 0.5 and 0 < (weights.spec.uncertain_coverage or 0) <= 1
    assert card["training"]["seed"] == 1 and card["training"]["epochs_run"] == 2
    assert "NC" in card["license"]  # RAVDESS was among the voices


def test_card_judges_every_subset_beside_the_late_average(card: dict[str, Any]) -> None:
    figures = card["metrics"]["synthetic"]
    names = {subset_name(subset) for subset in SUBSETS}
    assert set(figures["subsets"]) == set(figures["late"]) == names and len(names) == 7
    for rows in (figures["subsets"], figures["late"]):
        assert all({"macro_f1", "accuracy", "ece", "n"} <= set(row) and row["n"] == 210 for row in rows.values())
    assert set(figures["degraded"]) == set(MODALITIES)
    assert figures["macro_f1"] == figures["subsets"]["face+audio+text"]["macro_f1"]
    assert figures["single"]["text"] == figures["late"]["text"] == figures["subsets"]["text"]  # alone, its own answer
    assert set(figures["mixtures"]) == {"agreeing", "mostly neutral", "conflicting", "judged"}
    for answers in figures["mixtures"].values():
        assert set(answers) == {"fused", "average", "product", *MODALITIES}
        assert all(row["n"] == 210 and 1 / 7 <= row["confidence"] <= 1 for row in answers.values())
    assert figures["mixtures"]["agreeing"]["fused"]["disagreeing"] is None
    assert figures["mixtures"]["conflicting"]["fused"]["agreeing"] is None
    # Stripes are no faces and hums no voices, but the encoder reads the words: a head that lost that would show here.
    assert figures["single"]["text"]["macro_f1"] > 0.3  # chance is 0.14
    assert figures["subsets"]["face+audio+text"]["macro_f1"] > figures["single"]["text"]["macro_f1"] - 0.05


def test_parts_share_neither_speakers_nor_pictures_nor_texts(corpora: Path, tmp_path: Path) -> None:
    from multimodal.train.audio import AudioConfig
    from multimodal.train.config import read_config

    config = read_config(corpora / "fusion.toml", train_fusion.FusionConfig)
    voice = read_config(corpora / "audio.toml", AudioConfig)
    encoders = {part: load_weights("default", part) for part in ("face", "text")}
    encoders["audio"] = load_weights(str(corpora / "model"), "audio")
    folders = [corpora / name for name in ("faces", "voices", "texts", "audio-run")]
    parts = train_fusion.encode_parts(config, voice, train_fusion.Sources(*folders), encoders, tmp_path)
    kinds = ("faces", "voices", "texts")
    for kind in kinds:
        rows: list[set[bytes]] = []
        for part in train_fusion.PARTS:
            first = getattr(parts[part], kind)[0]
            states = list(first.embeddings[0]) if kind == "faces" else [each.states for each in first]
            rows.append({np.ascontiguousarray(each).tobytes() for each in states})
        assert not (rows[0] & rows[1] or rows[0] & rows[2] or rows[1] & rows[2])
    # Four speakers of each corpus in four folds: two folds train, one calibrates, one evaluates.
    assert [len(parts[part].pools.voices) for part in train_fusion.PARTS] == [28, 14, 14]


def test_seed_and_finished_run(trained: Path, corpora: Path, tmp_path: Path) -> None:
    again = run_stage(corpora, tmp_path / "again")
    first, second = load_file(trained), load_file(again)
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)
    log = (tmp_path / "again" / "log.csv").read_text()
    assert run_stage(corpora, tmp_path / "again") == again
    assert (tmp_path / "again" / "log.csv").read_text() == log


def test_evaluate_composed_prints_json_and_draws(
    trained: Path, corpora: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (trained, trained.with_suffix(".json")):
        (corpora / "model" / file.name).write_bytes(file.read_bytes())
    voices = [f"--voices={corpus}={corpora / 'voices' / corpus}" for corpus in ("ravdess", "emodb")]
    common = ["fusion", "--corpus", "synthetic", "--faces", str(corpora / "faces"), *voices]
    common += ["--texts", str(corpora / "texts" / "test.tsv"), "--model", str(corpora / "model")]
    assert evaluate.main([*common, "--seed", "3", "--json", "--out", str(tmp_path / "out")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["seed"] == 3 and figures["n"] == 2_000 and set(figures["subsets"]) == set(figures["late"])
    named = {"model": NAME, "data": "synthetic utterances, seed 3"}
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == named | figures
    for name in ("confusion", "reliability", "risk_coverage"):
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.width > 600 and len(picture.convert("L").histogram()) == 256
            assert picture.convert("L").getextrema() == (0, 255)
    assert evaluate.main([*common, "--seed", "3"]) == 0
    table = capsys.readouterr().out
    assert "face+audio+text" in table and "degraded" in table and "mostly neutral" in table


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["fusion", "--config", "c", "--run", "r"], "--faces: is missing"),
        (["fusion", "--config", "c", "--run", "r", "--faces", "f", "--data", "d"], "--faces: is for synthetic"),
        (["audio", "--config", "c", "--run", "r", "--faces", "f", "--data", "d"], "No such option: --faces"),
        (["audio", "--config", "c", "--run", "r"], "Missing option --data"),
    ],
)
def test_train_asks_for_the_corpora_of_its_stage(
    arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(arguments) == 2
    assert fact in capsys.readouterr().err.replace("'", "")


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["fusion", "--faces", "f", "--texts", "t"], "--voices: is missing"),
        (["fusion", "--faces", "f", "--texts", "t", "--voices", "x=y", "--data", "d"], "--data: does not apply"),
        (["face", "--data", "d", "--texts", "t"], "No such option: --texts"),
        (["face"], "Missing option --data"),
        (["fusion", "--faces", "f", "--texts", "t", "--voices", "nobody=y"], "--voices: is 'nobody=y'"),
    ],
)
def test_evaluate_asks_for_its_corpora(arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(arguments) == 2
    assert fact.replace("'", "") in capsys.readouterr().err.replace("'", "")


def test_a_corpus_of_voices_is_named_once() -> None:
    with pytest.raises(ConfigError, match="names ravdess twice"):
        parse_voices(["ravdess=a", "ravdess=b"])


def test_figures_of_confidence_against_hand_computed_ones() -> None:
    from sklearn.metrics import accuracy_score

    draws = np.random.default_rng(0)
    rows = draws.dirichlet(np.ones(7), 400)
    labels = draws.integers(7, size=400)
    curve = dict(risk_coverage(rows, labels))
    surest = np.argsort(-rows.max(axis=1))[:200]
    assert curve[0.5] == pytest.approx(accuracy_score(labels[surest], rows[surest].argmax(axis=1)))
    assert curve[1.0] == pytest.approx(accuracy_score(labels, rows.argmax(axis=1)))
    assert sum(size for *_, size in reliability(rows, labels)) == 400


def test_judging_matches_scikit_learn(trained: Path, corpora: Path, card: dict[str, Any]) -> None:
    """The confusion matrix on the card gives the same macro-F1 as its own figure."""
    from sklearn.metrics import f1_score

    confusion = np.array(card["metrics"]["synthetic"]["confusion"])
    truth = np.repeat(np.arange(7), confusion.sum(axis=1))
    answers = np.concatenate([np.repeat(np.arange(7), row) for row in confusion])
    actual = card["metrics"]["synthetic"]["macro_f1"]
    assert f1_score(truth, answers, labels=range(7), average="macro", zero_division=0) == pytest.approx(actual)


def test_judged_utterances_need_votes(corpora: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    sources = train_fusion.Sources(nowhere, nowhere, nowhere, nowhere)
    with pytest.raises(ConfigError, match=r"--votes: is missing, and synthesis\.judged_share is 0\.3"):
        train_fusion.train_fusion(corpora / "fusion.toml", sources, tmp_path, name="", device="cpu", quiet=True)


def test_folds_of_another_training_are_refused_before_corpora_are_read(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    sources = train_fusion.Sources(nowhere, nowhere, nowhere, nowhere)
    (tmp_path / "fusion.toml").write_text("[loop]\nepochs = 1\nbatch_size = 8\nlearning_rate = 1e-3\n")
    audio = (ROOT / "configs" / "audio.toml").read_text(encoding="utf-8")
    (tmp_path / "audio.toml").write_text(audio.replace("noise_share = 0.2", "noise_share = 0.3"))
    with pytest.raises(ConfigError, match="give the weights of this training with --model"):
        train_fusion.train_fusion(
            tmp_path / "fusion.toml", sources, tmp_path / "run", name="", device="cpu", quiet=True
        )
