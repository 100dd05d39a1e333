"""The audio training end to end on tiny corpora: speaker folds, resumption, caching, the card, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from voice_corpus import CONFIG, EMODB_SPEAKERS, voice, write_voices
from voice_layouts import write_wav

from multimodal.data.corpora.speaker_splits import SpeakerFold
from multimodal.data.corpora.voice_corpora import VOICE_CORPORA, license_of
from multimodal.data.corpora.voices import load_waveforms, read_voices, split_by_speaker
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.audio import AUDIO_NETWORKS, encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import summary_size, voice_features
from multimodal.encoders.voice.whisper_states import WHISPER_BASE
from multimodal.errors import ConfigError, CorpusError
from multimodal.evaluate.audio import evaluate_audio, predict_recordings
from multimodal.evaluate.voice_recordings import BALANCED, CONDITIONS
from multimodal.models.weights import load_weights
from multimodal.train import audio as train_audio
from multimodal.train import command as train
from multimodal.train.audio import AudioConfig
from multimodal.train.audio_calibration import (
    VoicePredictions,
    calibrated_out_of_sample,
    familiarity_of,
    fit_calibration,
    joined,
    predictions_of,
)
from multimodal.train.audio_task import AudioTask, ClipTable, groups_of, target_of
from multimodal.train.config import read_config
from multimodal.train.loop import load_tensors

NAME = "conv_bigru.ravdess_emodb-v1"
SPEAKERS = {
    "ravdess": [f"ravdess-0{actor}" for actor in (1, 2, 3, 4)],
    "emodb": sorted(f"emodb-{speaker}" for speaker in EMODB_SPEAKERS),
}


def run_stage(folder: Path, data: Path, config: str = CONFIG, run: str = "run") -> Path:
    """Trains as the command would, in this process."""
    AcceleratorState._reset_state(True)
    folder.mkdir(exist_ok=True)
    (folder / "audio.toml").write_text(config)
    try:
        return train_audio.train_audio(folder / "audio.toml", data, folder / run, name="", device="cpu", quiet=True)
    finally:
        AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def trained(voices_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run with two folds, and a training without each corpus."""
    return run_stage(tmp_path_factory.mktemp("trained"), voices_folder)


@pytest.fixture(scope="module")
def table(voices_folder: Path) -> ClipTable:
    """The clips as the stage has them, made anew."""
    clips = [
        clip
        for corpus in ("ravdess", "emodb")
        for clip in read_voices(corpus, voices_folder / corpus, check_counts=False)
        if target_of(clip, "ravdess") is not None
    ]
    targets = np.array([target_of(clip, "ravdess") for clip in clips], np.int64)
    return ClipTable(tuple(clips), targets, (tuple(voice_features(load_waveforms(clips), Mfcc())),))


# --- folds --------------------------------------------------------------------------------------------------------


def kept_network(run: Path, training: str) -> torch.nn.Module:
    network = AUDIO_NETWORKS["conv_bigru"](8, MfccSettings().features, summary_size())
    load_tensors(run / training / "best.safetensors", network)
    return network.eval()


@pytest.fixture(scope="module")
def answers(trained: Path, table: ClipTable) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Uncalibrated, of each clip by the network of the fold that tests it, as its run folder holds it."""
    actual = np.zeros((len(table.clips), 8), np.float32)
    for number, fold in enumerate(split_by_speaker(table.clips, 2, seed=3)):
        part, network = table.subset(fold.test), kept_network(trained.parent, f"fold-{number}")
        actual[fold.test] = predict_recordings(network, part.clips, part.versions[0], BALANCED)[1]
    return actual


@pytest.mark.slow
def test_trainings_are_folds_corpora_left_out_and_everybody(trained: Path, card: dict[str, Any]) -> None:
    folders = {path.name for path in trained.parent.iterdir() if path.is_dir()}
    assert folders == {"fold-0", "fold-1", "without-ravdess", "without-emodb", "all"}
    assert card["training"]["trainings"] == 5
    for folder in folders:
        lines = (trained.parent / folder / "log.csv").read_text().splitlines()
        assert len(lines) == 3 and ("uar" in lines[0]) == (folder != "all")


@pytest.mark.slow
def test_figures_of_the_card_are_those_of_speakers_not_heard(
    card: dict[str, Any], table: ClipTable, answers: np.ndarray[Any, np.dtype[np.float32]]
) -> None:
    from sklearn.metrics import accuracy_score, recall_score

    selected = np.array([clip.corpus == "ravdess" for clip in table.clips])
    native = card["metrics"]["leave_speakers_out"]["ravdess"]["native"]
    truth, selection = table.targets[selected], answers[selected].argmax(axis=1)
    assert native["uar"] == pytest.approx(recall_score(truth, selection, average="macro"))
    assert native["accuracy"] == pytest.approx(accuracy_score(truth, selection))
    assert native["labels"] == list(VOICE_CORPORA["ravdess"].labels) and native["n"] == 32
    assert np.array(native["confusion"]).sum(axis=1).tolist() == [4] * 8
    assert sum(native["confusion"][index][index] for index in range(8)) > 4 + 6  # chance: 4, deviation 1.9


@pytest.mark.slow
def test_seven_labels_are_judged_where_they_occur(card: dict[str, Any]) -> None:
    actual = card["metrics"]["leave_speakers_out"]
    assert set(actual) == {"ravdess", "emodb"} and "native" not in actual["emodb"]
    for corpus, clips in (("ravdess", 32), ("emodb", 24)):  # without EmoDB's boredom
        figures = actual[corpus]["seven"]
        rows = dict(zip(figures["labels"], np.array(figures["confusion"]).sum(axis=1), strict=True))
        expected = dict.fromkeys(FUSED_LABELS, 4) | ({"neutral": 8} if corpus == "ravdess" else {"surprise": 0})
        assert rows == expected and figures["n"] == clips and actual[corpus]["speakers"] == 4


@pytest.mark.slow
def test_four_kinds_of_recordings_stand_on_the_card(card: dict[str, Any], predictions: VoicePredictions) -> None:
    """No label but neutral means another here, so what is summed up to the seven is what a label says."""
    for kind, crossed in (("leave_speakers_out", False), ("cross_corpus", True)):
        for corpus, entry in card["metrics"][kind].items():
            figures = entry["seven"] if kind == "leave_speakers_out" else entry
            assert list(figures["uar_by_recording"]) == list(CONDITIONS)
            assert figures["uar_by_recording"][BALANCED] == pytest.approx(figures["uar"])
            selected = (predictions.crossed == crossed) & (predictions.corpora == corpus)
            counts = {name: int((selected & (predictions.conditions == name)).sum()) for name in CONDITIONS}
            assert set(counts.values()) == {figures["n"]}


@pytest.fixture(scope="module")
def predictions(trained: Path, table: ClipTable) -> VoicePredictions:
    """Of the folds and of the trainings without a corpus, as the run folder holds them."""
    corpora = np.array([clip.corpus for clip in table.clips])
    parts = {f"fold-{number}": fold for number, fold in enumerate(split_by_speaker(table.clips, 2, seed=3))}
    for corpus in ("ravdess", "emodb"):
        rows = [np.flatnonzero(corpora != corpus), np.flatnonzero(corpora == corpus)]
        parts[f"without-{corpus}"] = SpeakerFold(*rows)
    groups, found = groups_of("ravdess"), []
    for name, part in parts.items():
        held_out, training, crossed = table.subset(part.test), table.subset(part.train), name.startswith("without")
        found.append(predictions_of(kept_network(trained.parent, name), held_out, training, groups, crossed, False))
    return joined(found)


@pytest.mark.slow
def test_calibration_is_that_of_folds_and_left_out_corpora(
    trained: Path, table: ClipTable, predictions: VoicePredictions
) -> None:
    spec, expected = load_weights(str(trained), "audio").spec, fit_calibration(predictions)
    assert spec.temperature == pytest.approx(expected.temperature, rel=5e-3)
    assert spec.uncertain_below == pytest.approx(expected.uncertain_below, abs=5e-3)
    familiarity = familiarity_of(expected, table)
    assert (familiarity is None) == (spec.familiarity == {})
    if familiarity is not None:
        for key in ("factor", "middle", "slope"):
            assert spec.familiarity[key] == pytest.approx(getattr(familiarity, key), rel=2e-2), key
        assert np.array(spec.familiarity["centers"]) == pytest.approx(np.array(familiarity.centers), rel=1e-3, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_cross_corpus_excludes_the_corpus(
    trained: Path, card: dict[str, Any], table: ClipTable, predictions: VoicePredictions, corpus: str
) -> None:
    from sklearn.metrics import recall_score

    network = kept_network(trained.parent, f"without-{corpus}")
    selected = np.flatnonzero([clip.corpus == corpus for clip in table.clips])
    others = table.subset(np.setdiff1d(np.arange(len(table.clips)), selected))
    mean = torch.cat([each.frames for each in others.versions[0]]).double().mean(0)
    torch.testing.assert_close(network.background.frame_mean.double(), mean, atol=1e-3, rtol=1e-3)
    left_out = predictions.crossed & (predictions.corpora == corpus) & (predictions.conditions == BALANCED)
    rows = calibrated_out_of_sample(predictions)[0][left_out]
    summed = np.array([[row[np.array(groups_of("ravdess")) == label].sum() for label in FUSED_LABELS] for row in rows])
    truth = [FUSED_LABELS.index(clip.label or "") for clip in table.subset(selected).clips]
    figures = card["metrics"]["cross_corpus"][corpus]
    assert figures["uar"] == pytest.approx(
        recall_score(truth, summed.argmax(axis=1), average="macro", labels=[*set(truth)]), abs=0.05
    )
    assert figures["n"] == len(selected)


@pytest.mark.slow
def test_confidence_of_known_and_left_out_corpora_stands_side_by_side(card: dict[str, Any]) -> None:
    rows = card["metrics"]["confidence"]
    names = [f"{corpus}, {kind}" for kind in ("known", "left out") for corpus in ("ravdess", "emodb")]
    kinds = ("known corpora", "left-out corpora")
    assert set(rows) == {*kinds, *names, *(f"{kind}, {name}" for kind in kinds for name in CONDITIONS[1:])}
    assert rows["known corpora"]["n"] == rows["left-out corpora"]["n"] == 56
    for row in rows.values():
        assert 0 <= row["ece"] <= 1 and row["risk_coverage"][-1] == [1.0, row["accuracy"]]


# --- the card and the weights -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_card_says_what_it_was_made_of(trained: Path, card: dict[str, Any]) -> None:
    assert trained.name == f"{NAME}.safetensors" and card["name"] == NAME
    actual = card["data"]["corpora"]
    assert {corpus: entry["speakers"] for corpus, entry in actual.items()} == SPEAKERS
    assert {corpus: entry["clips"] for corpus, entry in actual.items()} == {"ravdess": 32, "emodb": 24}
    assert actual["ravdess"]["license"] == "CC BY-NC-SA 4.0" and actual["emodb"]["license"].startswith("CC0")
    assert card["license"].startswith("CC BY-NC-SA 4.0, because RAVDESS is: non-commercial use")
    assert card["metrics"]["parameters"] == card["parameters"]
    assert len(card["metrics"]["protocol"]) > 40 and all(len(limit) > 20 for limit in card["limits"])


@pytest.mark.slow
def test_card_says_how_it_was_trained(trained: Path, card: dict[str, Any]) -> None:
    config = read_config(trained.parent.parent / "audio.toml", AudioConfig)
    assert card["training"]["config"] == json.loads(json.dumps(asdict(config)))
    assert card["training"]["command"].startswith("python -m multimodal.train audio ") and card["training"]["seed"] == 3
    assert {"commit", "date", "hours", "torch"} <= set(card["training"])


@pytest.mark.slow
def test_weights_are_those_of_everybody_and_answer(trained: Path, card: dict[str, Any], table: ClipTable) -> None:
    weights = load_weights(str(trained.parent), "audio")
    assert weights.spec.labels == VOICE_CORPORA["ravdess"].labels
    assert dict(zip(weights.spec.labels, weights.spec.groups, strict=True)) == VOICE_CORPORA["ravdess"].to_fused
    assert MfccSettings(**weights.spec.mfcc) == MfccSettings() and weights.spec.architecture == "conv_bigru"
    network = kept_network(trained.parent, "all")
    for key, value in network.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(weights.network.state_dict()[key], value.half().float()), key
    assert (weights.network.background.familiarity is not None) == bool(weights.spec.familiarity)
    rows, states = encode_speaker(weights.network, table.versions[0][:5], weights.spec.temperature)
    assert rows.shape == (5, 8) and all(state.shape[1] == 128 for state in states)
    assert {str(value.dtype) for value in load_file(trained).values()} == {"torch.float16"}


@pytest.mark.slow
def test_evaluation_takes_the_weights(trained: Path, voices_folder: Path) -> None:
    figures = evaluate_audio(load_weights(str(trained), "audio"), "ravdess", voices_folder / "ravdess", "native")
    assert figures["n"] == 32 and figures["uar"] > 2 / 8  # speakers that it has heard


@pytest.mark.parametrize(
    ("corpora", "said"),
    [
        (["ravdess"], "CC BY-NC-SA 4.0, because RAVDESS is"),
        (["banglaser", "ravdess"], "The other corpora: banglaser CC BY 4.0"),
        (["emodb"], "as the corpora: emodb CC0 in its current release"),
        (["tess", "crema_d"], "as the corpora: tess CC BY-NC-ND 4.0; crema_d ODbL 1.0"),
        (["manifest"], "as the corpora: manifest see its publisher"),
    ],
)
def test_license_follows_from_the_corpora(corpora: list[str], said: str) -> None:
    assert said in license_of(corpora)
    assert ("non-commercial" in license_of(corpora)) == ("ravdess" in corpora)


# --- going on -----------------------------------------------------------------------------------------------------

SMALL = """
labels = "emodb"
folds = 2
augmented_copies = 1
check_counts = false
[loop]
epochs = 2
batch_size = 4
optimizer = "adamw"
learning_rate = 2e-3
keep = "last"
precision = "no"
seed = 3
[sampling.corpus_weights]
emodb = 1.0
"""


@pytest.fixture(scope="module")
def small(voices_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a run on EmoDB alone, with its own labels."""
    return run_stage(tmp_path_factory.mktemp("small"), voices_folder, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(("training", "epoch", "step"), [(1, 0, 2), (2, 1, 0)])
def test_stopped_run_goes_on_to_the_same_weights(
    tmp_path: Path,
    voices_folder: Path,
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
    training: int,
    epoch: int,
    step: int,
) -> None:
    usual, started = AudioTask.batches, list[AudioTask]()

    def stopping(task: AudioTask, now: int, generator: torch.Generator) -> Iterator[Any]:
        if task not in started:
            started.append(task)
        for number, batch in enumerate(usual(task, now, generator)):
            if (len(started) - 1, now, number) == (training, epoch, step):
                raise KeyboardInterrupt
            yield batch

    torch.manual_seed(77)  # nothing that was drawn before may matter
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(AudioTask, "batches", stopping)
        run_stage(tmp_path, voices_folder, SMALL)
    assert not list((tmp_path / "run").glob("*.json"))
    torch.manual_seed(88)
    actual = run_stage(tmp_path, voices_folder, SMALL)
    assert actual.read_bytes() == small.read_bytes()
    cards = [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in (actual, small)]
    for each in cards:
        del each["training"]["hours"], each["training"]["date"]
    assert cards[0] == cards[1]


@pytest.mark.slow
def test_labels_outside_the_seven(small: Path) -> None:
    card = json.loads(small.with_suffix(".json").read_text(encoding="utf-8"))
    assert small.stem == "conv_bigru.emodb-v1" and card["spec"]["labels"] == list(VOICE_CORPORA["emodb"].labels)
    figures = card["metrics"]["leave_speakers_out"]["emodb"]
    assert figures["native"]["n"] == 28 and figures["seven"]["n"] == 24  # four are bored
    assert card["license"] == "as the corpora: emodb CC0 in its current release"
    assert "cross_corpus" not in card["metrics"]
    assert card["spec"]["groups"][card["spec"]["labels"].index("boredom")] is None


class ComputedError(Exception):
    """Features were computed and not taken from the run folder."""


@pytest.fixture
def no_features(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise ComputedError

    monkeypatch.setattr(train_audio, "clip_features", refuse)


def copied(run: Path, folder: Path) -> Path:
    """What a run keeps between trainings, without these."""
    (folder / "run").mkdir(parents=True)
    for name in ("commit.txt", "features-0.safetensors", "features-1.safetensors", "sound.safetensors"):
        (folder / "run" / name).write_bytes((run / name).read_bytes())
    return folder


def other(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.mark.slow
@pytest.mark.usefixtures("no_features")
@pytest.mark.parametrize(
    "config",
    [
        other("augmented_copies = 1", "augmented_copies = 2"),
        other("seed = 3", "seed = 4"),
        other('labels = "emodb"', 'labels = "fused"'),
        f"{SMALL}[mfcc]\nhigh_hz = 7000.0\n",
        f"{SMALL}[augmentation]\nnoise_share = 0.9\n",
    ],
)
def test_features_are_computed_anew_where_they_would_differ(
    tmp_path: Path, voices_folder: Path, small: Path, config: str
) -> None:
    with pytest.raises(ComputedError):
        run_stage(copied(small.parent, tmp_path), voices_folder, config)


@pytest.mark.slow
@pytest.mark.usefixtures("no_features")
def test_features_are_of_these_clips(tmp_path: Path, small: Path) -> None:
    data = write_voices(tmp_path / "voices")
    write_wav(data / "emodb" / "wav" / "16a01Wa.wav", voice("anger", 16))
    with pytest.raises(ComputedError):
        run_stage(copied(small.parent, tmp_path), data, SMALL)


@pytest.mark.slow
@pytest.mark.usefixtures("no_features")
def test_features_are_kept_for_other_trainings_and_other_places(tmp_path: Path, small: Path) -> None:
    remaining = copied(small.parent, tmp_path)
    data = write_voices(tmp_path / "elsewhere")
    once = other("epochs = 2", "epochs = 1").replace("folds = 2", "folds = 0")
    actual = run_stage(remaining, data, f"{once}[sampling]\nmixup = 0.0\n")
    assert actual.stem == small.stem and actual.read_bytes() != small.read_bytes()


def test_weights_without_evaluation_have_no_figures(tmp_path: Path, voices_folder: Path) -> None:
    actual = run_stage(tmp_path, voices_folder, other("folds = 2", "folds = 0").replace("epochs = 2", "epochs = 1"))
    card = json.loads(actual.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["spec"]["temperature"] == 1.0 and set(card["metrics"]) == {"protocol"}
    assert [path.name for path in actual.parent.iterdir() if path.is_dir()] == ["all"]


@pytest.mark.slow
def test_folder_with_another_run_is_refused(tmp_path: Path, voices_folder: Path, small: Path) -> None:
    before = {path: path.read_bytes() for path in small.parent.rglob("*") if path.is_file()}
    for config in (f"{SMALL}[sampling]\nmixup = 0.1\n", other("seed = 3", "seed = 4"), other("folds = 2", "folds = 3")):
        with pytest.raises(ConfigError, match="contains a run with other settings or clips; choose another folder"):
            run_stage(small.parent.parent, voices_folder, config)
    data = write_voices(tmp_path / "voices")
    write_wav(data / "emodb" / "wav" / "16a01Wa.wav", voice("anger", 16))
    with pytest.raises(ConfigError, match="or clips"):
        run_stage(small.parent.parent, data, SMALL)
    assert {path: path.read_bytes() for path in small.parent.rglob("*") if path.is_file()} == before


# --- with a speech encoder ----------------------------------------------------------------------------------------


class LoudnessEncoder:
    """In place of Whisper, which takes seconds to load: its states tell the loudness of each 80 ms."""

    name = WHISPER_BASE

    def encode(self, samples: np.ndarray[Any, np.dtype[np.float32]]) -> torch.Tensor:
        steps = max(len(samples) // 1280, 1)
        level = torch.tensor([float(np.abs(part).mean()) for part in np.array_split(samples, steps)])
        return torch.sin(100 * level[:, None] * torch.arange(1, 513)).half()


@pytest.mark.slow
def test_network_that_reads_states_has_two_calibrations(
    tmp_path: Path, voices_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_audio, "load_speech_encoder", lambda *_: LoudnessEncoder())
    path = run_stage(tmp_path, voices_folder, f'architecture = "conv_bigru_whisper"\n{CONFIG}')
    weights = load_weights(str(path), "audio")
    speech = weights.spec.speech
    assert speech["encoder"] == WHISPER_BASE and set(speech) > {"temperature", "familiarity", "uncertain_below"}
    assert weights.spec.with_speech().uncertain_below == speech["uncertain_below"]
    metrics = weights.card["metrics"]
    assert set(metrics["speech"]) == {"leave_speakers_out", "cross_corpus", "confidence"} <= set(metrics)
    assert metrics["speech"]["confidence"] != metrics["confidence"]
    folder, encoder = voices_folder / "ravdess", LoudnessEncoder()
    plain, heard = (evaluate_audio(weights, "ravdess", folder, speech_encoder=each) for each in (None, encoder))
    assert plain["speech_encoder"] is None and heard["speech_encoder"] == WHISPER_BASE
    assert plain["n"] == heard["n"] and plain["uar_by_recording"] != heard["uar_by_recording"]


@pytest.mark.usefixtures("fresh_accelerate")
def test_network_that_reads_states_needs_the_speech_encoder(
    tmp_path: Path, voices_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_audio, "load_speech_encoder", lambda *_: None)
    code, line = command(capsys, tmp_path, f'architecture = "conv_bigru_whisper"\n{SMALL}', voices_folder)
    assert code == 1 and "whisper base: is not on this machine" in line and "multimodal-emotion[offline]" in line


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('keep = "last"', 'keep = "best"'), "loop.keep: is 'best'; write keep = \"last\""),
        (('keep = "last"\n', ""), "loop.keep: is 'best'"),
        (("emodb = 1.0", "emo_db = 1.0"), "sampling.corpus_weights: names 'emo_db'; choose from ravdess, emodb"),
        (("emodb = 1.0", ""), "sampling.corpus_weights: names no corpus"),
        (("emodb = 1.0", "emodb = -1.0"), "sampling.corpus_weights.emodb: is -1.0; give a number above 0"),
        (('"emodb"', '"german"'), "labels: is 'german'; choose one of fused, ravdess"),
        (("folds = 2", "folds = 1"), "folds, augmented_copies: are 1 and 1; give 0 or at least 2 folds"),
        (("folds = 2", "folds = 5"), "folds: is 5 for 4 speakers"),
        (("augmented_copies = 1", "augmented_copies = -1"), "at least 0 copies"),
        (("augmented_copies = 1", 'architecture = "lstm"'), "architecture: is 'lstm'; choose one of are, conv_bigru"),
        (("folds = 2", "fold = 2"), "fold: is an unknown key"),
        (("[sampling.corpus_weights]\nemodb = 1.0\n", ""), "sampling: is missing"),
    ],
)
@pytest.mark.usefixtures("fresh_accelerate", "no_features")
def test_invalid_configuration_exits_2(
    tmp_path: Path, voices_folder: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    assert change[0] in SMALL
    code, line = command(capsys, tmp_path, SMALL.replace(*change), voices_folder)
    assert code == 2 and said in line


def command(capsys: pytest.CaptureFixture[str], folder: Path, config: str, data: Path) -> tuple[int, str]:
    (folder / "audio.toml").write_text(config)
    words = ["--config", folder / "audio.toml", "--data", data, "--run", folder / "run", "--device", "cpu"]
    code = train.main(["audio", *map(str, words)])
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    return code, output.err


@pytest.mark.usefixtures("fresh_accelerate", "no_features")
def test_corpus_that_is_not_there_or_not_whole_is_one_line(
    tmp_path: Path, voices_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = command(capsys, tmp_path, SMALL, tmp_path / "nowhere")
    assert code == 1 and f"{tmp_path / 'nowhere' / 'emodb'}: is not a folder; name the folder" in line
    code, line = command(capsys, tmp_path, other("check_counts = false", "check_counts = true"), voices_folder)
    assert code == 1 and "were published" in line
    code, line = command(capsys, tmp_path, other("emodb = 1.0", "emodb = 1.0\nsavee = 1.0"), voices_folder)
    assert code == 1 and "savee: is not a folder" in line


def manifest_of(folder: Path, rows: str) -> Path:
    (folder / "manifest").mkdir(parents=True)
    for name in ("a", "b"):
        write_wav(folder / "manifest" / f"{name}.wav", voice("anger", 1))
    (folder / "manifest" / "manifest.csv").write_text(f"path,label,speaker,corpus\n{rows}", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("no_features")
def test_custom_voice_tables(tmp_path: Path) -> None:
    away = write_wav(tmp_path / "away" / "c.wav", voice("fear", 2))
    config = other("emodb = 1.0", "manifest = 1.0").replace('"emodb"', '"fused"')
    foreign = manifest_of(tmp_path / "foreign", "a.wav,W,03,emodb\nb.wav,fear,Ada,\n")
    with pytest.raises(CorpusError, match=r"contains clips of emodb; give it a weight in sampling\.corpus_weights"):
        run_stage(tmp_path / "one", foreign, config)
    selected = manifest_of(tmp_path / "own", f"a.wav,anger,Ada,\n../manifest/b.wav,fear,Bob,\n{away},fear,Cyd,\n")
    with pytest.raises(ComputedError):
        run_stage(tmp_path / "two", selected, config)


def test_features_of_a_table_are_known_by_names_alone() -> None:
    clips = [
        VOICE_CORPORA["manifest"].clip(Path(name), "Ada", "fear") for name in ("/data/manifest/a.wav", "/else/b.wav")
    ]
    actual = train_audio.clips_key(clips, Path("/data"))
    assert actual == [["manifest/a.wav", "manifest-Ada", "fear"], ["/else/b.wav", "manifest-Ada", "fear"]]
