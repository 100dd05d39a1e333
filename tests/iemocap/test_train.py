"""Training on a corpus in the layout of IEMOCAP: it learns from each informative modality, and only from these."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, subprocess_environment
from iemocap_corpus import WrittenCorpus, face_inputs, film, write_iemocap

from multimodal.data.speech import recognition
from multimodal.data.speech.recognition import Recognition
from multimodal.errors import ConfigError, CorpusError, WeightsError
from multimodal.iemocap.config import IemocapConfig
from multimodal.iemocap.evaluate import evaluate_iemocap
from multimodal.iemocap.face_features import SpeakerFaces, face_size
from multimodal.iemocap.results import results_table
from multimodal.iemocap.task import TurnTask
from multimodal.iemocap.train import train_iemocap
from multimodal.infer.fusion import incompatibility
from multimodal.models.weights import load_weights
from multimodal.train.config import fill, read_config
from multimodal.types import Utterance

pytestmark = pytest.mark.slow

CONFIG = """
check_counts = false
{keys}
[networks]
hidden = 16
our_hidden = 16
channels = 16
face_hidden = 16
dropout = 0.1
[loop]
epochs = {epochs}
batch_size = 16
optimizer = "adamw"
learning_rate = 1e-2
ema_decay = 0.9
precision = "no"
"""

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def faces_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[WrittenCorpus], None]]:
    """Puts what a corpus's faces show in the place of its videos, which are empty files."""

    def show(corpus: WrittenCorpus) -> None:
        def of_video(self: SpeakerFaces, video: Path, sha256: str, chosen: Any, everyone: Any) -> list[Any]:
            return [face_inputs(corpus, turn, face_size(self.encoder)) for turn in chosen]

        monkeypatch.setattr(SpeakerFaces, "_of_video", of_video)

    yield show


@pytest.fixture
def train(tmp_path: Path, faces_of: Callable[[WrittenCorpus], None]) -> Train:
    """Trains on a corpus and gives the results: ``train(corpus, 'compared = ["ours"]', epochs=8)``."""

    def run(
        corpus: WrittenCorpus,
        keys: str = 'compared = ["ours"]',
        epochs: int = 8,
        run: str = "run",
        filmed: bool = False,
    ) -> Any:
        if not filmed:
            faces_of(corpus)
        config = tmp_path / "iemocap.toml"
        keys += "" if "fold =" in keys else "\nfold = 1"
        config.write_text(CONFIG.format(keys=keys, epochs=epochs))
        path = train_iemocap(config, corpus.folder, tmp_path / run, device="cpu", quiet=True)
        return json.loads(path.read_text(encoding="utf-8"))

    return run


def figure(results: dict[str, Any], network: str, name: str = "ua") -> float:
    (row,) = [row for row in results["rows"] if row["network"] == network]
    return float(row[name]["mean"])


def test_all_networks_find_the_signal_and_stand_beside_the_paper(train: Train, tmp_path: Path) -> None:
    corpus = write_iemocap(tmp_path)
    results = train(corpus, 'compared = ["are", "tre", "mdre", "mdrea", "ours"]', epochs=6)
    assert (results["turns"], results["classes"]) == (160, ["anger", "happiness", "sadness", "neutral"])
    for network in ("are", "tre", "mdre", "mdrea", "ours"):
        assert figure(results, network) > 0.9, network
    rows = {row["network"]: row for row in results["rows"]}
    assert {name: row["paper"] for name, row in rows.items() if row["paper"]} == {
        "are": 0.546, "tre": 0.635, "mdre": 0.718,
    }  # fmt: skip
    assert rows["late"]["n"] == 32 and rows["late"]["ua"]["mean"] > 0.9 and not rows["late"]["paper"]
    assert rows["are"]["words"] == "none" and rows["mdre"]["words"] == "gold" and rows["ours"]["n"] == 32
    assert set(rows["ours"]["ccc"]) == {"valence", "arousal", "dominance"} and not rows["mdre"]["ccc"]
    assert rows["ours"]["ccc"]["arousal"]["mean"] > 0.5
    table = results_table(tmp_path / "run" / "results.json")
    assert table + "\n" == (tmp_path / "run" / "results.txt").read_text(encoding="utf-8")
    assert "leave_one_session_out, 1 folds" in table and "not speaker-independent" in table and "0.718" in table
    _check_weights(corpus, tmp_path / "run")


def _check_weights(corpus: WrittenCorpus, run: Path) -> None:
    """The weights of ours on disk give the figures of the run, on the session that they have not seen."""
    name = "turns_dual_recurrent.iemocap_gold_without_session-1-v1"
    weights = load_weights(str(run / f"{name}.safetensors"), "fusion")
    assert weights.card["data"]["sessions"] == {"train": [3, 4, 5], "validation": [2], "test": [1]}
    figures = evaluate_iemocap(weights, corpus.folder, check_counts=False)
    assert (figures["session"], figures["in_training_data"], figures["n"]) == (1, False, 32)
    assert figures["ua"] == pytest.approx(weights.card["metrics"]["ua"], abs=0.04)  # half precision
    assert len(figures["subsets"]) == 7 and figures["subsets"]["face+audio+text"]["wa"] == figures["wa"]
    assert incompatibility({"fusion": weights, **{part: load_weights("default", part) for part in ("face", "text")}})
    heard = evaluate_iemocap(weights, corpus.folder, session=4, check_counts=False)
    assert heard["in_training_data"]
    with pytest.raises(ConfigError, match="--session: is 7"):
        evaluate_iemocap(weights, corpus.folder, session=7, check_counts=False)
    with pytest.raises(WeightsError, match="was trained with another text encoder"):
        changed = {**weights.spec.encoders, "text": "0" * 64}
        spec = type(weights.spec)(**{**vars(weights.spec), "encoders": changed})
        evaluate_iemocap(type(weights)(**{**vars(weights), "spec": spec}), corpus.folder, check_counts=False)


@pytest.mark.parametrize("bearer", ["face", "audio", "text"])
def test_a_signal_that_alone_bears_the_label_is_found_there(train: Train, tmp_path: Path, bearer: str) -> None:
    """The other two say something else in three of four turns."""
    corpus = write_iemocap(tmp_path, signals=(bearer,))
    assert figure(train(corpus, epochs=6), "ours") > 0.85
    (path,) = (tmp_path / "run").glob("turns_*.safetensors")
    subsets = evaluate_iemocap(load_weights(str(path), "fusion"), corpus.folder, check_counts=False)["subsets"]
    for signal in ("face", "audio", "text"):
        assert (subsets[signal]["ua"] > 0.7) == (signal == bearer), (signal, subsets[signal]["ua"])


def test_split_screen_faces(train: Train, tmp_path: Path) -> None:
    """All the way from the AVI files: halves, faces, their encoder, and who moves when."""
    corpus = write_iemocap(tmp_path, signals=("face",), turns=12)
    film(corpus)
    results = train(corpus, epochs=10, filmed=True)
    assert figure(results, "ours") > 0.6
    assert len(results["split_screen"]) == 10 and all(each["share"] == 1 for each in results["split_screen"])
    film(corpus, swapped=True)
    with pytest.raises(CorpusError, match='the halves are swapped; write speaker_half = "motion"'):
        train(corpus, run="swapped", filmed=True)
    keys = 'compared = ["ours"]\nfold = 1\n[features]\nspeaker_half = "motion"'
    assert figure(train(corpus, keys, epochs=10, run="followed", filmed=True), "ours") > 0.6


def test_permuted_labels_leave_chance(train: Train, tmp_path: Path) -> None:
    results = train(write_iemocap(tmp_path, permuted=True), 'compared = ["mdrea", "ours"]', epochs=5)
    # 32 turns of four classes: 0.25, and by chance above 0.5 in one of a thousand runs.
    assert figure(results, "mdrea") < 0.5 and figure(results, "ours") < 0.5


def test_a_fold_follows_its_seed_and_a_killed_one_ends_alike(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_iemocap(tmp_path, turns=8)
    whole = train(corpus, epochs=4, run="whole")
    validate, seen = TurnTask.validate, []

    def killed(self: TurnTask, network: Any) -> dict[str, float]:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return validate(self, network)

    with monkeypatch.context() as patch:
        patch.setattr(TurnTask, "validate", killed)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, epochs=4, run="killed")
    resumed = train(corpus, epochs=4, run="killed")
    assert resumed["rows"] == whole["rows"]
    name = "turns_dual_recurrent.iemocap_gold_without_session-1-v1.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    with pytest.raises(ConfigError, match="holds a run with other settings or other turns"):
        train(corpus, epochs=5, run="killed")


def test_protocols_and_sources_of_words_stand_side_by_side(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recognizer:
        def transcribe(self, blocks: Any) -> Recognition:
            assert len(list(blocks))
            return Recognition((Utterance(0.0, 0.4, None, "You know what I mean."),), ((),), "en", 1.0, ())

    monkeypatch.setattr(recognition, "load_recognizer", lambda name, device: Recognizer())
    corpus = write_iemocap(tmp_path, turns=8)
    keys = 'compared = ["are", "tre"]\nprotocol = "both"\nwords = "both"'
    results = train(corpus, keys, epochs=1)
    actual = [(row["protocol"], row["network"], row["words"]) for row in results["rows"]]
    sources = [("are", "none"), ("tre", "gold"), ("tre", "recognized"), ("late", "gold"), ("late", "recognized")]
    assert actual == [(protocol, *row) for protocol in ("leave_one_session_out", "random_folds") for row in sources]
    assert not list((tmp_path / "run").glob("turns_*"))  # weights are of ours alone
    table = results_table(tmp_path / "run" / "results.json")
    assert "random_folds, 1 folds, not speaker-independent" in table


def test_folds_trained_one_by_one_come_together(train: Train, tmp_path: Path) -> None:
    corpus = write_iemocap(tmp_path, turns=8)
    for fold in (1, 4):
        results = train(corpus, f'compared = ["tre"]\nfold = {fold}', epochs=1)
    assert list(results["rows"][0]["wa"]["folds"]) == ["session-1", "session-4"]
    assert results["rows"][0]["n"] == 32


def test_the_papers_figures_stand_beside_its_four_classes_only(train: Train, tmp_path: Path) -> None:
    corpus = write_iemocap(tmp_path, turns=8)
    results = train(corpus, 'compared = ["are"]\nclasses = 6', epochs=1)
    assert results["classes"] == ["anger", "happiness", "excitement", "sadness", "neutral", "frustration"]
    assert results["turns"] == 90 and results["rows"][0]["paper"] is None  # a frustrated turn in each dialogue


def test_a_corpus_that_is_not_as_published_is_named(tmp_path: Path) -> None:
    corpus = write_iemocap(tmp_path, turns=4)
    config = tmp_path / "iemocap.toml"
    config.write_text(CONFIG.format(keys="", epochs=1).replace("check_counts = false", ""))
    with pytest.raises(CorpusError, match=r"has 10 turns for Session1, 1,819 were published; .*unpack the corpus"):
        train_iemocap(config, corpus.folder, tmp_path / "run", device="cpu", quiet=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("classes", 7), ("protocol", "loso"), ("words", "heard"), ("fold", 6), ("compared", ["lstm"]), ("compared", [])],
)
def test_keys_that_cannot_be(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        fill(IemocapConfig, {"loop": {"epochs": 1}, key: value}, "example")


def test_the_shipped_configuration_is_the_whole_comparison() -> None:
    config = read_config(ROOT / "configs" / "iemocap.toml", IemocapConfig)
    assert config.protocols == ("leave_one_session_out",) and config.sources == ("gold",)
    assert config.networks.hidden == 200 and config.check_counts and not config.features.need_video
    assert list(config.compared) == ["are", "tre", "mdre", "mdrea", "ours"]


def test_training_imports_neither_decoder_nor_cluster() -> None:
    code = (
        "import sys, multimodal.iemocap.train, multimodal.iemocap.evaluate\n"
        "print({'av', 'ray', 'moviepy'} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "set()"
