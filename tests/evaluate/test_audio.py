"""Evaluation of audio models on a corpus: compared with scikit-learn; output and errors of the command."""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkout import RunCommand
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_corpus import RANDOM, write_random_weights
from voice_layouts import write_text, write_wav

from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip, load_waveforms, read_voices
from multimodal.data.emotions import FUSED_LABELS, sum_to_fused
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.features import voice_features
from multimodal.encoders.voice.whisper_states import WHISPER_BASE
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate import command as evaluate
from multimodal.evaluate.audio import audio_figures, evaluate_audio
from multimodal.evaluate.tables import FIGURES
from multimodal.evaluate.voice_recordings import ALONE, BALANCED, CONDITIONS
from multimodal.models.selection import DEFAULTS, shipped
from multimodal.models.weights import Weights, load_weights

KEYS = {"uar", "accuracy", "macro_f1", "ece", "n", "confusion", "labels", "parameters", "speakers"}
# RAVDESS's eight in their published order, each as one of the seven (calm is neutral).
SEVEN_OF_EIGHT = ("neutral", "neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """A network that was never trained, with RAVDESS's labels and temperature 2."""
    return load_weights(str(write_random_weights(tmp_path_factory.mktemp("weights"))), "audio")


@pytest.fixture(scope="module")
def figures(weights: Weights, voices_folder: Path) -> dict[str, dict[str, Any]]:
    """By corpus and labels."""
    requests = (("ravdess", "seven"), ("ravdess", "native"), ("emodb", "seven"))
    return {
        f"{corpus} {labels}": evaluate_audio(weights, corpus, voices_folder / corpus, labels)
        for corpus, labels in requests
    }


def answers(weights: Weights, clips: list[VoiceClip], alone: bool = False) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shares of the seven, by the parts that inference uses: a speaker's clips together, or each alone."""
    rows = np.zeros((len(clips), 8))
    features = voice_features(load_waveforms(clips), Mfcc())
    keys = [str(index) if alone else clip.speaker for index, clip in enumerate(clips)]
    for key in set(keys):
        own = [index for index, other in enumerate(keys) if other == key]
        rows[own] = encode_speaker(weights.network, [features[index] for index in own], 2.0)[0].double().numpy()
    groups = np.array(SEVEN_OF_EIGHT)
    return np.stack([rows[:, groups == label].sum(axis=1) for label in FUSED_LABELS], axis=1)


# --- figures ------------------------------------------------------------------------------------------------------


def test_figures_are_complete_and_fit_each_other(figures: dict[str, dict[str, Any]], weights: Weights) -> None:
    for requests, actual in figures.items():
        assert set(actual) >= KEYS, requests
        confusion = np.array(actual["confusion"])
        assert confusion.sum() == actual["n"] and confusion.shape == (len(actual["labels"]),) * 2
        assert confusion.trace() / actual["n"] == pytest.approx(actual["accuracy"])
        assert actual["parameters"] == weights.card["parameters"] and actual["speakers"] == 4
        recalls = actual["uar_by_recording"]
        assert list(recalls) == list(actual["confidence"]) == list(CONDITIONS) and actual["speech_encoder"] is None
        assert recalls[BALANCED] == pytest.approx(actual["uar"]) and all(0 <= value <= 1 for value in recalls.values())
        assert 0 <= actual["ece"] <= 1
    assert [actual["n"] for actual in figures.values()] == [
        32,
        32,
        24,
    ]  # EmoDB's four bored clips are none of the seven
    assert figures["ravdess native"]["labels"] == list(VOICE_CORPORA["ravdess"].labels)
    assert figures["ravdess seven"]["labels"] == figures["emodb seven"]["labels"] == list(FUSED_LABELS)
    json.dumps(figures, allow_nan=False)


@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_figures_are_scikit_learns(
    figures: dict[str, dict[str, Any]], weights: Weights, voices_folder: Path, corpus: str
) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

    clips = [clip for clip in read_voices(corpus, voices_folder / corpus, check_counts=False) if clip.label]
    truth = [FUSED_LABELS.index(clip.label or "") for clip in clips]
    actual, selection = figures[f"{corpus} seven"], answers(weights, clips).argmax(axis=1)
    assert len(set(selection.tolist())) > 1  # a network with one answer for all would show nothing
    classes = sorted(set(truth))
    assert actual["uar"] == pytest.approx(recall_score(truth, selection, average="macro", labels=classes))
    assert actual["accuracy"] == pytest.approx(accuracy_score(truth, selection))
    macro = f1_score(truth, selection, average="macro", labels=range(7), zero_division=0)
    assert actual["macro_f1"] == pytest.approx(macro)
    assert actual["confusion"] == confusion_matrix(truth, selection, labels=range(7)).tolist()
    alone = answers(weights, clips, alone=True).argmax(axis=1)
    recalls = actual["uar_by_recording"]
    assert recalls[ALONE] == pytest.approx(recall_score(truth, alone, average="macro", labels=classes))


@settings(database=None, derandomize=True)
@given(
    truth=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    seed=st.integers(0, 2**16),
)
def test_unweighted_average_recall_is_balanced_accuracy(truth: list[int], seed: int) -> None:
    from sklearn.metrics import balanced_accuracy_score, recall_score

    rows = np.random.default_rng(seed).dirichlet(np.ones(4), len(truth))
    actual = audio_figures(rows, np.array(truth), list("abcd"))
    selection = rows.argmax(axis=1)
    assert actual["uar"] == pytest.approx(recall_score(truth, selection, average="macro", labels=sorted(set(truth))))
    if len(set(truth)) > 1 and set(selection.tolist()) <= set(truth):  # else scikit-learn warns
        assert actual["uar"] == pytest.approx(balanced_accuracy_score(truth, selection))


def test_temperature_of_the_card_is_used(
    figures: dict[str, dict[str, Any]], weights: Weights, voices_folder: Path
) -> None:
    sure = replace(weights, spec=replace(weights.spec, temperature=0.05))
    actual = evaluate_audio(sure, "ravdess", voices_folder / "ravdess", "native")
    assert actual["confusion"] == figures["ravdess native"]["confusion"]
    assert actual["ece"] != pytest.approx(figures["ravdess native"]["ece"], abs=0.05)


def test_states_have_a_calibration_of_their_own(weights: Weights, voices_folder: Path) -> None:
    class Encoder:
        name = WHISPER_BASE

        def encode(self, samples: np.ndarray[Any, np.dtype[np.float32]]) -> torch.Tensor:
            return torch.zeros(max(len(samples) // 1280, 1), 512).half()

    plain = evaluate_audio(weights, "ravdess", voices_folder / "ravdess", speech_encoder=Encoder())  # type: ignore[arg-type]
    assert plain["speech_encoder"] is None  # its card knows of none
    speech = replace(weights, spec=replace(weights.spec, speech={"encoder": WHISPER_BASE, "temperature": 0.05}))
    heard = evaluate_audio(speech, "ravdess", voices_folder / "ravdess", speech_encoder=Encoder())  # type: ignore[arg-type]
    assert heard["speech_encoder"] == WHISPER_BASE and heard["ece"] != pytest.approx(plain["ece"], abs=0.05)


# --- onto the seven -----------------------------------------------------------------------------------------------


def test_shares_of_labels_that_mean_the_same_are_added() -> None:
    row = np.array([[0.1, 0.2, 0.05, 0.15, 0.25, 0.05, 0.1, 0.1]])
    expected = [0.3, 0.05, 0.1, 0.15, 0.25, 0.1, 0.05]  # neutral, happiness, surprise, sadness, anger, disgust, fear
    assert sum_to_fused(row, SEVEN_OF_EIGHT)[0] == pytest.approx(expected)


def test_share_of_what_is_none_of_the_seven_goes_to_the_others() -> None:
    actual = sum_to_fused(np.array([[0.6, 0.3, 0.1]]), (None, "anger", "fear"))
    assert dict(zip(FUSED_LABELS, actual[0], strict=True)) == pytest.approx(
        dict.fromkeys(FUSED_LABELS, 0.0) | {"anger": 0.75, "fear": 0.25}
    )
    assert np.isfinite(sum_to_fused(np.array([[1.0, 0.0]]), (None, "anger"))).all()


@settings(database=None, derandomize=True)
@given(
    groups=st.lists(st.sampled_from([*FUSED_LABELS, None]), min_size=1, max_size=12).filter(any),
    seed=st.integers(0, 2**16),
)
def test_shares_of_the_seven_sum_to_one(groups: list[str | None], seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(len(groups)), 5)
    actual = sum_to_fused(rows, groups)
    assert actual.sum(axis=1) == pytest.approx(1)
    has_group = np.array([group is not None for group in groups])
    for index, label in enumerate(FUSED_LABELS):
        own = rows[:, np.array([group == label for group in groups])].sum(axis=1)
        assert actual[:, index] == pytest.approx(own / rows[:, has_group].sum(axis=1))


# --- labels and corpora -------------------------------------------------------------------------------------------


def test_own_labels_of_another_corpus_are_refused(weights: Weights, voices_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--labels native: .* predicts neutral, calm.*; choose --labels seven"):
        evaluate_audio(weights, "emodb", voices_folder / "emodb", "native")


def test_own_labels_of_emodb_count_boredom(tmp_path: Path, voices_folder: Path) -> None:
    actual = evaluate_audio(
        load_weights(str(write_random_weights(tmp_path, "emodb")), "audio"), "emodb", voices_folder / "emodb", "native"
    )
    assert actual["n"] == 28 and actual["labels"] == list(VOICE_CORPORA["emodb"].labels)
    assert [sum(row) for row in actual["confusion"]] == [4] * 7


def test_model_of_the_seven_needs_no_groups(weights: Weights, voices_folder: Path, tmp_path: Path) -> None:
    fused = load_weights(str(write_random_weights(tmp_path, "manifest")), "audio")
    plain = replace(fused, spec=replace(fused.spec, groups=()))
    with_groups, without = (evaluate_audio(model, "emodb", voices_folder / "emodb") for model in (fused, plain))
    assert without == with_groups and without["labels"] == list(FUSED_LABELS)


def test_table_of_ones_own_may_name_corpora(tmp_path: Path, voices_folder: Path) -> None:
    """Its own labels are the seven; a row of another corpus has these only by their meaning."""
    rows = [
        "../emodb/wav/03a01Wa.wav,anger,Ada,",
        "../emodb/wav/03a01La.wav,L,03,emodb",
        "../emodb/wav/08a01Na.wav,N,08,emodb",
    ]
    manifest = write_text(
        voices_folder / "own" / "manifest.csv", "path,label,speaker,corpus\n" + "\n".join(rows) + "\n"
    )
    fused = load_weights(str(write_random_weights(tmp_path, "manifest")), "audio")
    seven, native = (evaluate_audio(fused, "manifest", manifest, labels) for labels in ("seven", "native"))
    assert (seven["n"], seven["speakers"]) == (2, 2) and (native["n"], native["speakers"]) == (1, 1)


def test_corpus_with_nothing_to_judge_is_refused(weights: Weights, tmp_path: Path, voices_folder: Path) -> None:
    (tmp_path / "bored").mkdir()
    (tmp_path / "bored" / "03a01La.wav").write_bytes((voices_folder / "emodb" / "wav" / "03a01La.wav").read_bytes())
    with pytest.raises(CorpusError, match="contains no clip of emodb with one of the seven labels; name the folder"):
        evaluate_audio(weights, "emodb", tmp_path / "bored")


# --- the command --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_command_prints_the_same_figures(
    run_cli: RunCommand, weights: Weights, voices_folder: Path, figures: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    model = write_random_weights(tmp_path / "model")
    words = ["--corpus", "ravdess", "--data", voices_folder / "ravdess", "--labels", "native", "--model", model]
    finished = run_cli("evaluate", "audio", *words, "--device", "cpu", "--json", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "") and finished.stdout.count("\n") == 1
    actual, expected = json.loads(finished.stdout), figures["ravdess native"]
    assert actual["confusion"] == expected["confusion"] and set(actual) == set(expected) >= KEYS
    for key in ("uar", "uar_by_recording", "accuracy", "macro_f1", "ece"):
        assert actual[key] == pytest.approx(expected[key], abs=1e-4), key


def test_table_shows_the_same_figures(
    voices_folder: Path, figures: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_random_weights(tmp_path)
    words = ["--corpus", "emodb", "--data", str(voices_folder / "emodb"), "--model", str(model), "--device", "cpu"]
    assert evaluate.main(["audio", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = figures["emodb seven"]
    assert lines[0] == f"{RANDOM} on emodb, seven labels, {expected['parameters']:,} parameters"
    keys = [key for key in FIGURES if expected.get(key) is not None]
    values = dict(line.split() for line in lines[1 : 1 + len(keys)])
    assert list(values) == keys and {"uar", "speakers", "n"} <= set(keys)
    assert values["n"] == "24" and float(values["uar"]) == pytest.approx(expected["uar"], abs=1e-4)
    assert "  speech encoder     none" in lines
    for name, value in expected["uar_by_recording"].items():
        assert f"    {name:16} {value:.4f}" in lines
    for row, label in zip(expected["confusion"], expected["labels"], strict=True):
        assert any(line.split() == [label, *map(str, row)] for line in lines), label


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = evaluate.main(["audio", *map(str, words), "--device", "cpu"])
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and output.err.startswith("error: ")
    return code, output.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing option '--corpus'"),
        (["--corpus", "ferplus"], "--corpus: invalid value 'ferplus'; choose one of ravdess, emodb"),
        (["--corpus", "ravdess", "--labels", "eight"], "--labels: invalid value 'eight'; choose one of seven, native"),
        (["--corpus", "emodb", "--labels", "native"], "predicts neutral, calm"),
        (["--corpus", "ravdess", "--split", "dev"], "No such option: --split"),
        (["--corpus", "ravdess", "--folder", "x"], "No such option"),
    ],
)
def test_wrong_options_are_wrong_usage(
    tmp_path: Path, voices_folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    model = write_random_weights(tmp_path)
    code, line = refused(capsys, *words, "--data", voices_folder / "emodb", "--model", model)
    assert code == 2 and said in line


def test_what_is_not_there_is_one_line(tmp_path: Path, voices_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", write_random_weights(tmp_path))
    code, line = refused(capsys, "--corpus", "ravdess", "--data", tmp_path / "nowhere", *model)
    assert code == 1 and "nowhere: is not a folder" in line
    code, line = refused(capsys, "--corpus", "ravdess", "--data", voices_folder / "emodb", *model)
    assert code == 1 and "contains no speech clip named like" in line
    code, line = refused(capsys, "--corpus", "ravdess", "--data", voices_folder / "ravdess", "--model", "unheard_of")
    assert code == 1 and "unheard_of: is no audio model" in line


def test_silent_clips_are_judged(tmp_path: Path, weights: Weights) -> None:
    for speaker in ("03", "08"):
        write_wav(tmp_path / f"{speaker}a01Wa.wav", np.zeros((4000, 1), np.int16))
    actual = evaluate_audio(weights, "emodb", tmp_path)
    assert actual["n"] == 2 and np.isfinite(actual["ece"])


# --- a few voices of the real corpora -----------------------------------------------------------------------------


PARTS = {"ravdess": r"Actor_(01|20)/.{11}-01-..-..\.flac$", "emodb": r"/16[^/]+$", "banglaser": r"-0[12]\.flac$"}
"""A few clips: one sentence of two actors, one speaker, two speakers."""
CLIPS = {"ravdess": (60, 2), "emodb": (57, 1), "banglaser": (90, 2)}
"""Those that are one of the seven, and their speakers."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped encoder, once there is one."""
    return "default" if "audio" in DEFAULTS else str(write_random_weights(tmp_path_factory.mktemp("weights")))


@pytest.mark.corpus
@pytest.mark.parametrize("corpus", sorted(PARTS))
def test_cards_match_the_corpora(shared_folder: Path, corpus: str) -> None:
    with tarfile.open(shared_folder / "datasets" / f"{corpus}.tar") as archive:
        actual = [VOICE_CORPORA[corpus].read_name(Path(name)) for name in archive.getnames()]
    names = [
        name
        for name in actual
        if name is not None and VOICE_CORPORA[corpus].to_fused[VOICE_CORPORA[corpus].codes[name.code]]
    ]
    for model in shipped("audio"):
        data = load_weights(model, "audio").card["data"]["corpora"][corpus]
        assert data["clips"] == len(names)
        assert data["speakers"] == sorted({f"{corpus}-{name.speaker}" for name in names})


def unpacked(shared_folder: Path, corpus: str, folder: Path) -> Path:
    with tarfile.open(shared_folder / "datasets" / f"{corpus}.tar") as archive:
        members = [member for member in archive if re.search(PARTS[corpus], member.name)]
        archive.extractall(folder, members, filter="data")
    return folder


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.parametrize("corpus", sorted(PARTS))
def test_command_judges_the_real_corpora(
    shared_folder: Path, tmp_path: Path, model: str, corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = "native" if corpus == "ravdess" and load_weights(model, "audio").spec.labels != FUSED_LABELS else "seven"
    folder = unpacked(shared_folder, corpus, tmp_path / corpus)
    words = ["--corpus", corpus, "--data", str(folder), "--model", model, "--labels", labels, "--device", "cpu"]
    assert evaluate.main(["audio", *words, "--json"]) == 0
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(figures) >= KEYS | {"uar_by_recording"}
    assert (figures["n"], figures["speakers"]) == CLIPS[corpus]
    assert figures["labels"] == list(VOICE_CORPORA[corpus].labels if labels == "native" else FUSED_LABELS)
    assert sum(map(sum, figures["confusion"])) == figures["n"]
    assert all(0 <= figures[key] <= 1 for key in ("uar", "accuracy", "macro_f1", "ece"))
    assert figures["speech_encoder"] == WHISPER_BASE  # the test extra holds the offline model
