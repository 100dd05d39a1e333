"""The experiment on a tiny MOSI: it finds a signal where it is, and only there; it is repeatable and can be stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import ROOT
from mosi_corpus import write_mosi

from multimodal.data.corpora.mosi import video_folds
from multimodal.errors import ConfigError, CorpusError
from multimodal.mosi.config import MosiConfig
from multimodal.mosi.experiment import JOINT, RECIPES, Experiment, product_of_experts
from multimodal.mosi.results import results_table
from multimodal.mosi.task import VideoTask
from multimodal.mosi.train import train_mosi
from multimodal.train.config import fill, read_config
from multimodal.train.loop import LoopSettings

CONFIG = """
folds = 3
inner_folds = 2
seeds = {seeds}
check_counts = {check}
[networks]
hidden = 8
words = 8
face_hidden = 8
context = 8
dropout = 0.2
[loop]
epochs = {epochs}
batch_size = 2
optimizer = "adamw"
learning_rate = 2e-2
ema_decay = 0.9
precision = "no"
"""

Train = Callable[..., dict[str, Any]]


@pytest.fixture
def train(tmp_path: Path, fresh_accelerate: None) -> Train:
    """Trains on a written corpus and gives the results: ``train(folder, epochs=4)``."""

    def run(folder: Path, *, epochs: int = 5, run: str = "run", seeds: str = "[0]", check: str = "false") -> Any:
        config = tmp_path / "mosi.toml"
        config.write_text(CONFIG.format(epochs=epochs, seeds=seeds, check=check), encoding="utf-8")
        path = train_mosi(config, folder, tmp_path / run, device="cpu", quiet=True)
        return json.loads(path.read_text(encoding="utf-8"))

    return run


def accuracy(results: dict[str, Any], row: str) -> float:
    return float(results["rows"][row]["accuracy"]["mean"])


@pytest.mark.slow
def test_a_signal_is_found_where_it_is(train: Train, tmp_path: Path) -> None:
    results = train(write_mosi(tmp_path / "mosi", videos=9, signals=("text",)), epochs=8)
    assert set(results["rows"]) == {recipe.name for recipe in RECIPES} and results["utterances"] == 108
    assert accuracy(results, "text, single") > 0.9 and accuracy(results, "audio+text, dual recurrent") > 0.9
    for signal in ("face", "audio"):
        assert abs(accuracy(results, f"{signal}, single") - 0.5) < 0.2  # 108 coin flips: beyond four deviations
    text = (tmp_path / "run" / "results.txt").read_text(encoding="utf-8")
    assert text == results_table(tmp_path / "run" / "results.json") + "\n"
    assert "108 utterances of 9 videos: 3 folds by video, 1 seeds" in text
    assert "face+audio+text, dual recurrent, context *" in text and "prove nothing about faces" in text


@pytest.mark.slow
def test_utterances_before_help_where_they_tell(train: Train, tmp_path: Path) -> None:
    """Half of the utterances show nothing, but a video has one polarity."""
    folder = write_mosi(tmp_path / "mosi", videos=24, utterances=10, signals=("text",), share=0.5, blocks=True)
    results = train(folder, epochs=8)
    without, with_context = (accuracy(results, f"text, single{suffix}") for suffix in ("", ", context"))
    assert without < 0.8 and with_context > without + 0.03  # at best 0.75, and nearly 1
    (difference,) = [row for row in results["differences"] if row["first"] == "text, single, context"]
    assert difference["accuracy"]["mean"] == pytest.approx(with_context - without, abs=1e-5)


@pytest.mark.slow
def test_labels_that_nothing_shows_leave_chance(train: Train, tmp_path: Path) -> None:
    """Also for the head, which learns from the answers of other networks: none of them may have met the test videos."""
    results = train(write_mosi(tmp_path / "mosi", videos=12, utterances=25, signals=()), epochs=4)
    for row in results["rows"]:
        assert abs(accuracy(results, row) - 0.5) < 0.12, row  # 300 coin flips: four deviations


@pytest.mark.slow
def test_runs_repeat_and_a_stopped_one_ends_alike(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_mosi(tmp_path / "mosi", videos=6, utterances=6)
    whole = train(folder, epochs=2, run="whole", seeds="[3, 4]")
    run_fold, started = Experiment.run_fold, []

    def stopped(self: Experiment, seed: int, test_fold: int) -> Any:
        started.append((seed, test_fold))
        if len(started) == 3:
            raise KeyboardInterrupt
        return run_fold(self, seed, test_fold)

    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "run_fold", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(folder, epochs=2, run="stopped", seeds="[3, 4]")
    resumed = train(folder, epochs=2, run="stopped", seeds="[3, 4]")
    assert started == [(3, 0), (3, 1), (3, 2)] and resumed["rows"] == whole["rows"]
    files = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").glob("seed-*/*"))
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes()
    with pytest.raises(ConfigError, match="holds a run with other settings or another corpus; choose another folder"):
        train(folder, epochs=3, run="whole", seeds="[3, 4]")


@pytest.mark.slow
def test_test_videos_reach_no_training(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as training utterances nor to choose the epoch, of any network."""
    folder = write_mosi(tmp_path / "mosi", videos=6, utterances=4)
    used: list[set[str]] = []
    created = VideoTask.__init__

    def noted(
        self: VideoTask, network: Any, inputs: Any, table: Any, training: Any, validation: Any, *rest: Any
    ) -> None:
        parts = [{table.videos[index] for index in part} for part in (training, validation)]
        assert not parts[0] & parts[1]
        used.append(parts[0] | parts[1])
        created(self, network, inputs, table, training, validation, *rest)

    monkeypatch.setattr(VideoTask, "__init__", noted)
    train(folder, epochs=1)
    videos = [f"video{number // 4}" for number in range(24)]
    folds = video_folds(videos, 3, 0)
    each = 3 * (1 + 2) + 1 + sum("dual" in recipe.method for recipe in JOINT)
    assert len(used) == 3 * each
    for test_fold in range(3):
        test = {video for video, fold in zip(videos, folds, strict=True) if fold == test_fold}
        assert test and not any(test & names for names in used[test_fold * each : (test_fold + 1) * each])


def test_a_corpus_that_is_not_as_published_is_named(train: Train, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="has 8 utterances, 1,447 were published"):
        train(write_mosi(tmp_path / "mosi", videos=2, utterances=4), check="true")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("folds", 2), ("inner_folds", 1), ("seeds", []), ("seeds", [1, 1]), ("networks", {"hidden": 0}),
        ("networks", {"pooling": "mean"}), ("networks", {"dropout": 1.0}), ("loop", {"epochs": 1, "keep": "last"}),
    ],
)  # fmt: skip
def test_invalid_settings_are_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=next(iter(value)) if isinstance(value, dict) and key == "networks" else key):
        fill(MosiConfig, {"loop": {"epochs": 1}, key: value}, "example")


def test_the_shipped_configuration_is_valid() -> None:
    config = read_config(ROOT / "configs" / "mosi.toml", MosiConfig)
    assert config.check_counts and config.folds == 5 and len(config.seeds) == 3
    assert isinstance(config.loop, LoopSettings) and config.loop.patience


def test_experts_that_agree_are_surer_together() -> None:
    single = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert np.allclose(product_of_experts([single, single]), [[0.64 / 0.68, 0.04 / 0.68], [0.09 / 0.58, 0.49 / 0.58]])
    assert np.allclose(product_of_experts([single, np.full((2, 2), 0.5)]), single)
