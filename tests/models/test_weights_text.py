"""The shipped text weights: predictions, facts of the card, and limits."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from checkout import RunCommand

from multimodal.augmentation.text import bare
from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.emotions import FUSED_LABELS, GOEMOTIONS_LABELS
from multimodal.encoders.text import TextPrediction, read_texts
from multimodal.encoders.tokenization import encode
from multimodal.evaluate.text import evaluate_text
from multimodal.models.selection import shipped_folder
from multimodal.models.weights import Weights, load_weights
from multimodal.types import USABILITY_LABELS

PLAIN = {
    "I am so happy with this, thank you!": "happiness",
    "I miss her so much. I cried all night.": "sadness",
    "I'm furious, this damn thing makes me so angry!": "anger",
    "That is disgusting, I feel sick.": "disgust",
    "I'm really scared that it will get worse.": "fear",
    "Wow, what? I did not expect that at all!": "surprise",
    "The meeting is on Tuesday at ten.": "neutral",
}
"""Sentences that leave little doubt."""

TALK = {
    "That's the fourth time it has thrown me out, I give up.": "frustration",
    "I have no idea what this screen wants from me.": "confusion",
    "Oh wow, this is brilliant, I love it!": "delight",
    "Good, that worked, nice and simple.": "satisfaction",
    "The fees are hidden until the very end, I don't like that.": "complaint",
    "They could put the search field at the top.": "suggestion",
    "Maybe you should add a button to go back.": "suggestion",
    "Where do I find the invoices?": "question",
    "Now I click on the basket and scroll down.": "neutral",
}
"""Sentences of usability tests that leave little doubt, written for this test, and their usability labels."""


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("default", "text")


def read(weights: Weights, texts: list[str]) -> list[TextPrediction | None]:
    assert weights.tokenizer is not None and weights.spec.window_tokens is not None
    spec = weights.spec
    return read_texts(
        weights.network,
        weights.tokenizer,
        texts,
        temperature=spec.temperature,
        window_tokens=spec.window_tokens or 0,
    )


def answers(weights: Weights, texts: list[str]) -> list[str]:
    readings = read(weights, texts)
    return [FUSED_LABELS[int(reading.probabilities.argmax())] for reading in readings if reading is not None]


def test_plain_sentences_are_understood(weights: Weights) -> None:
    assert answers(weights, list(PLAIN)) == list(PLAIN.values())


def test_recognizer_style_sentences(weights: Weights) -> None:
    assert answers(weights, [bare(text).lower() for text in PLAIN]) == list(PLAIN.values())


def test_emoji_alone_are_understood(weights: Weights) -> None:
    assert answers(weights, ["😂😂", "😭😭", "😡"]) == ["happiness", "sadness", "anger"]


def test_usability_labels_of_plain_sentences(weights: Weights) -> None:
    readings = read(weights, list(TALK))
    labels = [USABILITY_LABELS[int(one.usability.argmax())] for one in readings if one is not None]  # type: ignore[union-attr]
    assert sum(label == truth for label, truth in zip(labels, TALK.values(), strict=True)) >= len(TALK) - 1


def test_questions_and_suggestions_stay_neutral(weights: Weights) -> None:
    assert answers(weights, [text for text, label in TALK.items() if label == "suggestion"]) == ["neutral"] * 2


def test_states_are_what_the_fusion_expects(weights: Weights) -> None:
    (reading,) = read(weights, ["I feel quite happy today"])
    assert reading is not None and reading.states.shape == (5, 384) and reading.states.dtype == np.float32
    assert reading.embedding.shape == (384,) and reading.native_scores.shape == (28,)


@pytest.mark.slow
def test_long_texts_are_read_to_their_end(weights: Weights) -> None:
    filler = "The meeting is on Tuesday at ten, in the room upstairs. " * 40
    plain, angry = read(weights, [filler, filler + "I am furious and I hate this. " * 40])
    assert plain is not None and angry is not None
    index = FUSED_LABELS.index("anger")
    assert plain.probabilities[index] < 0.15 < 0.2 < angry.probabilities[index]
    assert len(angry.states) > 700 and angry.probabilities.sum() == pytest.approx(1, abs=1e-9)


def test_another_script_is_absent(weights: Weights) -> None:
    assert read(weights, ["Я очень рад", "とても嬉しい", "", "…"]) == [None] * 4


def test_every_english_word_can_be_spelled(weights: Weights) -> None:
    assert weights.tokenizer is not None
    unknown = weights.tokenizer.token_to_id("[UNK]")
    actual = encode(weights.tokenizer, ["Zyzzyva qwxj naïve café €5 50% C'est l'été", "don’t 🤷‍♀️ u r gr8"])
    assert all(ids and unknown not in ids for ids in actual)


def test_spec_says_all_that_reading_needs(weights: Weights) -> None:
    spec = weights.spec
    assert spec.labels == FUSED_LABELS and spec.native_labels == GOEMOTIONS_LABELS
    assert weights.tokenizer is not None and weights.tokenizer.get_vocab_size() == spec.text["vocab_size"]
    assert spec.window_tokens is not None and spec.window_tokens <= spec.text["max_position_embeddings"]
    assert all(0 < cut < 1 for several in spec.thresholds.values() for cut in several.values())


def test_card_meets_what_was_asked(weights: Weights) -> None:
    card = json.loads((shipped_folder() / f"{weights.name}.json").read_text(encoding="utf-8"))
    dev, stripped = card["metrics"]["dev"], card["metrics"]["dev_without_punctuation"]
    assert dev["macro_f1"] >= 0.60 and dev["macro_f1_native"] >= 0.44 and dev["ece"] <= 0.05
    assert dev["macro_f1"] - stripped["macro_f1"] < 0.03
    talk = card["metrics"]["usability_dev"]
    assert talk["accuracy"] >= 0.62 and talk["usability"]["accuracy"] >= 0.65 and talk["usability"]["ece"] <= 0.05
    assert dev["n"] == 5426 and np.sum(dev["confusion"]) == dev["n_single"]


@pytest.mark.slow
@pytest.mark.corpus
def test_figures_on_the_card_are_true(weights: Weights, shared_folder: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_folder / "datasets" / "goemotions.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    corpus = read_goemotions(tmp_path / "goemotions", "dev")
    some = corpus.subset(np.arange(len(corpus)) % 5 == 0)
    figures = evaluate_text(weights, some, batch_size=64)
    card = json.loads((shipped_folder() / f"{weights.name}.json").read_text(encoding="utf-8"))["metrics"]["dev"]
    assert figures["n"] == 1086 and figures["macro_f1"] >= 0.57
    for key in ("micro_f1", "accuracy", "micro_f1_native"):
        # A fifth of the part: the standard error of a share is about 0.014.
        assert figures[key] == pytest.approx(card[key], abs=0.04), key


@pytest.mark.slow
def test_a_part_of_any_size_is_judged_from_its_file_alone(run_cli: RunCommand, tmp_path: Path) -> None:
    index = {label: number for number, label in enumerate(GOEMOTIONS_LABELS)}
    labels = {"happiness": "joy", "sadness": "sadness", "anger": "anger", "disgust": "disgust", "fear": "fear"}
    labels |= {"surprise": "surprise", "neutral": "neutral"}
    lines = [f"{text}\t{index[labels[group]]}\tx{number}\n" for number, (text, group) in enumerate(PLAIN.items())]
    (tmp_path / "test.tsv").write_text("".join(lines), encoding="utf-8")
    command = ("evaluate", "text", "--corpus", "goemotions", "--data", tmp_path / "test.tsv", "--json")
    finished = run_cli(*command)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(finished.stdout)
    expected = {"macro_f1", "macro_f1_native", "accuracy", "ece", "n", "confusion", "labels", "parameters"}
    assert expected <= figures.keys() and figures["n"] == 7 and figures["accuracy"] == 1.0
