"""The face training: four label schemes by hand, the content of an epoch, learning, the command end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from checkout import subprocess_environment
from face_corpus import NO_AUGMENTATION, striped_corpus, tiny_network, write_pictures
from torch import Tensor, nn

from multimodal.augmentation.face import FaceAugmentation
from multimodal.data.corpora.ferplus import FaceCorpus, kept_apart, read_ferplus
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import FaceOutput, predict
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import NETWORKS, save_weights
from multimodal.train import command as train
from multimodal.train import face as train_face
from multimodal.train import provenance
from multimodal.train.face import SCHEMES, FaceConfig, FaceTask, load_teachers, mix, teacher_answers
from multimodal.train.loop import LoopSettings, fit, save_tensors

LOOP = LoopSettings(epochs=4, batch_size=16, learning_rate=0.1, precision="no", ema_decay=0.9)
VOTES = np.array(
    [
        [6, 0, 0, 4, 0, 0, 0, 0, 0, 0],  # shares 0.6, 0.4: both above 30 %
        [0, 7, 3, 0, 0, 0, 0, 0, 0, 0],  # 0.7 and exactly 0.3: one right answer
        [0, 0, 0, 0, 4, 4, 1, 1, 0, 0],  # a tie after single votes: no majority, two right answers
        [2, 2, 0, 2, 0, 0, 2, 0, 2, 0],  # 0.25 each: all four largest are right answers
        [0, 0, 0, 0, 0, 0, 0, 9, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 9, 1],  # teaches nothing
    ]
)
MAJORITY = {0: 0, 1: 1, 4: 7}
RIGHT = {0: [0, 3], 1: [1], 2: [4, 5], 3: [0, 1, 3, 6], 4: [7]}
SHARES = {
    0: {0: 0.6, 3: 0.4}, 1: {1: 0.7, 2: 0.3}, 2: {4: 0.5, 5: 0.5}, 3: dict.fromkeys([0, 1, 3, 6], 0.25), 4: {7: 1.0},
}  # fmt: skip


def corpus_of(votes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> FaceCorpus:
    """Every picture of one gray level: its index."""
    images = np.zeros((len(votes), 48, 48), np.uint8) + np.arange(len(votes), dtype=np.uint8)[:, None, None]
    return FaceCorpus(images, votes, tuple(f"{index}.png" for index in range(len(votes))))


@pytest.fixture
def config(tiny_architecture: str) -> FaceConfig:
    return FaceConfig(loop=LOOP, augmentation=NO_AUGMENTATION, architecture=tiny_architecture)


class FixedLogits(nn.Module):
    """Answers with given logits, ``(members, batch, 8)``."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> FaceOutput:
        return FaceOutput(self.logits[0], self.logits[0], self.logits)


def by_hand(scheme: str, balance: float, logits: np.ndarray[Any, Any]) -> float:
    """The loss in words: per member, the mean over pictures of the scheme's loss times the picture's importance."""
    used = sorted(MAJORITY if scheme == "majority" else SHARES)
    meant = {
        "majority": {index: {label: 1.0} for index, label in MAJORITY.items()},
        "multi_label": {index: {label: 1 / len(labels) for label in labels} for index, labels in RIGHT.items()},
    }.get(scheme, SHARES)
    frequency = {label: sum(meant[i].get(label, 0.0) for i in used) / len(used) for label in range(8)}
    factor = {label: share**-balance for label, share in frequency.items() if share}
    mean = sum(frequency[label] * factor[label] for label in factor)
    total = 0.0
    for member in logits:
        for row, index in enumerate(used):
            logs = member[row] - np.log(np.exp(member[row]).sum())
            if scheme == "multi_label":
                loss = min(-logs[label] for label in RIGHT[index])
            else:
                loss = -sum(share * logs[label] for label, share in meant[index].items())
            total += loss * sum(share * factor[label] / mean for label, share in meant[index].items()) / len(used)
    return float(total)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("scheme", ["majority", "multi_label", "cross_entropy"])
def test_loss_of_a_scheme_by_hand(accelerator: Accelerator, config: FaceConfig, scheme: str, balance: float) -> None:
    task = FaceTask(replace(config, scheme=scheme, balance=balance), corpus_of(VOTES), corpus_of(VOTES), accelerator)
    logits = np.random.default_rng(0).normal(0, 2, (2, len(task.images), 8))
    loss = task.loss(FixedLogits(torch.from_numpy(logits)), (task.images, task.targets))
    assert float(loss) == pytest.approx(by_hand(scheme, balance, logits), rel=1e-5)


def test_likeliest_right_answer_is_enough(accelerator: Accelerator, config: FaceConfig) -> None:
    task = FaceTask(replace(config, scheme="multi_label"), corpus_of(VOTES[:1]), corpus_of(VOTES), accelerator)
    for sure_of, expected in ((0, 0.0), (3, 0.0), (1, 20.0)):
        logits = torch.zeros(1, 1, 8)
        logits[0, 0, sure_of] = 20.0
        assert float(task.loss(FixedLogits(logits), (task.images, task.targets))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_pictures_that_teach_nothing_are_left_out(accelerator: Accelerator, config: FaceConfig, scheme: str) -> None:
    task = FaceTask(replace(config, scheme=scheme), corpus_of(VOTES), corpus_of(VOTES), accelerator)
    used = MAJORITY if scheme == "majority" else SHARES
    assert task.images[:, 0, 0].tolist() == sorted(used)
    assert task.validation_images[:, 0, 0].tolist() == sorted(MAJORITY)
    assert task.validation_labels.tolist() == [0, 1, 7]


@pytest.mark.slow
def test_labels_are_drawn_as_often_as_people_gave_them(accelerator: Accelerator, config: FaceConfig) -> None:
    votes = np.tile([6, 0, 0, 2, 2, 0, 0, 0, 0, 0], (160, 1))
    task = FaceTask(replace(config, scheme="probabilistic"), corpus_of(votes), corpus_of(VOTES), accelerator)
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([targets for epoch in range(50) for _, targets in task.batches(epoch, generator)])
    assert len(draws) == 8000 and set(draws.unique().tolist()) == {0, 1} and bool((draws.sum(1) == 1).all())
    assert draws.mean(0).tolist() == pytest.approx([0.6, 0, 0, 0.2, 0.2, 0, 0, 0], abs=0.02)
    assert bool((task.targets == task.targets[0]).all()) and task.targets[0, 0] == pytest.approx(0.6)  # as they were


# What an epoch consists of


def test_epochs_share_no_pictures(accelerator: Accelerator, config: FaceConfig) -> None:
    corpus = corpus_of(np.tile(VOTES[4], (38, 1)))
    task = FaceTask(config, corpus, corpus, accelerator)
    assert task.steps() == 2  # of 16; six are left over
    generator, sets = torch.Generator().manual_seed(0), []
    for epoch in range(8):
        batches = list(task.batches(epoch, generator))
        assert [len(images) for images, _ in batches] == [16, 16]
        sets.append(torch.cat([images[:, 0, 0] for images, _ in batches]).round().int().tolist())
        assert len(set(sets[-1])) == 32
    assert {index for epoch in sets for index in epoch} == set(range(38))
    assert sets[0] != sets[1]


def test_targets_belong_to_their_pictures(accelerator: Accelerator, config: FaceConfig) -> None:
    task = FaceTask(config, corpus_of(VOTES), corpus_of(VOTES), accelerator)
    ((images, targets),) = task.batches(0, torch.Generator().manual_seed(1))
    for level, target in zip(images[:, 20, 20].round().int().tolist(), targets, strict=True):
        assert target.tolist() == pytest.approx([SHARES[level].get(label, 0.0) for label in range(8)])


@pytest.mark.parametrize(("share", "sizes"), [(0.0, [32] * 4), (0.5, [20, 20, 32, 32]), (0.7, [20, 20, 20, 32])])
def test_first_epochs_are_small(accelerator: Accelerator, config: FaceConfig, share: float, sizes: list[int]) -> None:
    small = replace(config, small_size=20, small_share=share, full_size=32)
    task = FaceTask(small, corpus_of(VOTES), corpus_of(VOTES), accelerator)
    shapes = [next(task.batches(epoch, torch.Generator()))[0].shape[1:] for epoch in range(4)]
    assert shapes == [(size, size) for size in sizes]


def test_validation_by_hand(accelerator: Accelerator, config: FaceConfig) -> None:
    votes = np.array([[10, *[0] * 9], [10, *[0] * 9], [10, *[0] * 9], [0, 10, *[0] * 8]])
    task = FaceTask(config, corpus_of(votes), corpus_of(votes), accelerator)
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6], [0.2, 0.8]]))
    messages = FixedLogits(torch.nn.functional.pad(logits, (0, 6), value=-100)[None])
    nll = -np.log([0.7, 0.6, 0.4, 0.8]).mean()
    expected = {"accuracy": 3 / 4, "balanced_accuracy": (2 / 3 + 1) / 2, "nll": nll}
    assert task.validate(messages) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("share", "levels"), [(0.0, [1, 1, 1, 1]), (0.5, [1, 1, 0.5, 0.5])])
def test_last_epochs_are_gentle(
    accelerator: Accelerator, config: FaceConfig, monkeypatch: pytest.MonkeyPatch, share: float, levels: list[float]
) -> None:
    seen: list[float] = []

    def recorded(images: Tensor, size: int, settings: FaceAugmentation, generator: torch.Generator) -> Tensor:
        seen.append(settings.noise)
        return images.float()

    monkeypatch.setattr(train_face, "augment", recorded)
    gentle = replace(config, augmentation=FaceAugmentation(noise=1.0), gentle_share=share)
    task = FaceTask(gentle, corpus_of(VOTES), corpus_of(VOTES), accelerator)
    for epoch in range(4):
        next(task.batches(epoch, torch.Generator()))
    assert seen == levels


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_blended_pictures_have_blended_targets(share: float) -> None:
    count = 500
    levels = torch.arange(count, dtype=torch.float32)
    images, targets = levels[:, None, None].expand(-1, 2, 2), torch.eye(count)
    blended, mixed = mix(images, targets, share, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed.sum(1), torch.ones(count))
    # A picture of one gray level each: the blend's level is the mean of the levels by the blend's targets.
    torch.testing.assert_close(blended, (mixed @ levels)[:, None, None].expand(-1, 2, 2), rtol=1e-5, atol=1e-3)
    own = mixed.diagonal()
    assert float(own.min()) >= 0.5
    assert float((own < 1).float().mean()) == pytest.approx(share, abs=0.1)
    assert int((mixed > 0).sum(1).max()) <= 2


# Learning


def test_start_from_trained_network(tmp_path: Path, accelerator: Accelerator, config: FaceConfig) -> None:
    taught = replace(config, self_distillation=0.25)
    first, second = (FaceTask(taught, corpus_of(VOTES), corpus_of(VOTES), accelerator) for _ in range(2))
    save_tensors(tmp_path / "best.safetensors", first.network.state_dict(), {})
    votes = second.targets.clone()
    second.start_from(tmp_path / "best.safetensors")
    for mine, its in zip(second.network.state_dict().values(), first.network.state_dict().values(), strict=True):
        assert torch.equal(mine, its)
    answers, _ = predict(first.network.eval(), second.images)
    torch.testing.assert_close(second.targets, 0.75 * votes + 0.25 * answers)
    assert second.network.training


def test_start_from_another_network_is_refused(tmp_path: Path, accelerator: Accelerator, config: FaceConfig) -> None:
    save_tensors(tmp_path / "best.safetensors", {"foreign": torch.zeros(1)}, {})
    task = FaceTask(config, corpus_of(VOTES), corpus_of(VOTES), accelerator)
    with pytest.raises(WeightsError, match=r"best\.safetensors: does not fit"):
        task.start_from(tmp_path / "best.safetensors")


def teacher_folder(folder: Path, seed: int) -> str:
    """Random weights of the tiny network, saved with a card; returns the path of the file."""
    torch.manual_seed(seed)
    spec = ModelSpec("face", "tiny", FACE_LABELS, 1.5, 48, False, 5.0)
    return str(save_weights(folder, f"tiny.random-v{seed}", tiny_network(8), spec, {}))


@pytest.fixture
def tiny_weights(tiny_architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS["face"], "tiny", lambda spec: tiny_network(len(spec.labels)))  # type: ignore[arg-type]


def test_teachers_answers_are_their_mean_and_computed_once(
    tmp_path: Path, accelerator: Accelerator, config: FaceConfig, tiny_weights: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    teachers = load_teachers([teacher_folder(tmp_path, seed) for seed in (1, 2)], "cpu")
    task = FaceTask(config, corpus_of(VOTES), corpus_of(VOTES), accelerator)
    answers = teacher_answers(teachers, task.images, tmp_path / "run")
    logs = []
    for teacher in teachers:
        both = [torch.softmax(teacher.network(images).logits, 1) for images in (task.images, task.images.flip(-1))]
        logs.append(torch.softmax((sum(both) / 2).log() / 1.5, 1))
    torch.testing.assert_close(answers, (logs[0] + logs[1]) / 2)
    votes = task.targets.clone()
    task.learn_from(answers, 0.25)
    torch.testing.assert_close(task.targets, 0.75 * votes + 0.25 * answers)
    with monkeypatch.context() as patch:
        patch.setattr(train_face, "predict", None)
        assert torch.equal(teacher_answers(teachers, task.images, tmp_path / "run"), answers)
    for others, images in ((teachers[:1], task.images), (teachers, task.images[:3])):
        with pytest.raises(ConfigError, match="of other teachers or pictures; choose another folder"):
            teacher_answers(others, images, tmp_path / "run")


def test_teacher_with_other_labels_is_refused(tmp_path: Path, tiny_weights: None) -> None:
    spec = ModelSpec("face", "tiny", FACE_LABELS[::-1], 1.5, 48, False, 5.0)
    path = save_weights(tmp_path, "tiny.other-v1", tiny_network(8), spec, {})
    with pytest.raises(ConfigError, match=r"teachers: tiny\.other-v1 has other labels"):
        load_teachers([str(path)], "cpu")


def accuracy_after_training(task: FaceTask, folder: Path, accelerator: Accelerator) -> float:
    fit(task, task.config.loop, folder, accelerator, quiet=True)
    return task.validate(task.network.eval())["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_learns_what_can_be_learnt(
    tmp_path: Path, accelerator: Accelerator, config: FaceConfig, scheme: str
) -> None:
    torch.manual_seed(0)
    learning = replace(config, scheme=scheme, loop=replace(LOOP, epochs=8))
    task = FaceTask(learning, striped_corpus(24, 0), striped_corpus(6, 1), accelerator)
    assert accuracy_after_training(task, tmp_path, accelerator) > 0.85


@pytest.mark.slow
def test_it_learns_nothing_from_shuffled_labels(tmp_path: Path, accelerator: Accelerator, config: FaceConfig) -> None:
    torch.manual_seed(0)
    learning = replace(config, loop=replace(LOOP, epochs=8))
    task = FaceTask(learning, striped_corpus(24, 0, shuffled=True), striped_corpus(6, 1), accelerator)
    assert accuracy_after_training(task, tmp_path, accelerator) < 0.4


TOML = """
architecture = "tiny"
scheme = "probabilistic"
full_size = 24
check_counts = false
[loop]
epochs = 3
batch_size = 16
precision = "no"
seed = 3
"""


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "ferplus", {"train": striped_corpus(4, 0), "valid": striped_corpus(2, 1)})


@pytest.mark.slow
def test_stopped_face_training_goes_on_to_the_same_weights(
    tmp_path: Path, corpus_folder: Path, tiny_architecture: str, fresh_accelerate: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "face.toml"
    path.write_text(TOML)

    def run(folder: str) -> Path:
        return train_face.train_face(path, corpus_folder, tmp_path / folder, name="", device="cpu", quiet=True)

    undisturbed = run("undisturbed")
    usual = FaceTask.batches

    def stopping(task: FaceTask, epoch: int, generator: torch.Generator) -> Any:
        for step, batch in enumerate(usual(task, epoch, generator)):
            if (epoch, step) == (1, 1):
                raise KeyboardInterrupt
            yield batch

    torch.manual_seed(77)  # nothing that was drawn before may matter
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FaceTask, "batches", stopping)
        run("stopped")
    torch.manual_seed(88)
    assert run("stopped").read_bytes() == undisturbed.read_bytes()
    assert run("stopped").read_bytes() == undisturbed.read_bytes()  # and once more, though there is nothing to do
    assert undisturbed.name == "tiny.ferplus-v1.safetensors"
    path.write_text(TOML.replace("seed = 3", "seed = 4"))
    assert run("another").read_bytes() != undisturbed.read_bytes()


@pytest.mark.slow
def test_stopped_student_goes_on_to_the_same_weights(
    tmp_path: Path, corpus_folder: Path, tiny_weights: None, fresh_accelerate: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "student.toml"
    student = f'teachers = ["{teacher_folder(tmp_path, 1)}"]\nmixup = 0.3\ngentle_share = 0.4\nkept_share = 0.25\n'
    effects = "".join(f"{name}_share = 0.3\n" for name in ("feature", "shadow", "dark", "motion", "jpeg"))
    path.write_text(student + TOML.replace("[loop]", f"[augmentation]\nshear = 0.1\n{effects}\n[loop]"))

    def run(folder: str) -> Path:
        return train_face.train_face(path, corpus_folder, tmp_path / folder, name="", device="cpu", quiet=True)

    usual, chosen = FaceTask.validate, []

    def stopping(task: FaceTask, network: nn.Module) -> dict[str, float]:
        chosen.append(len(task.validation_labels))
        if len(chosen) == 2:
            raise KeyboardInterrupt
        return usual(task, network)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FaceTask, "validate", stopping)
        run("stopped")
    torch.manual_seed(88)
    ended, undisturbed = run("stopped"), run("undisturbed")
    assert ended.read_bytes() == undisturbed.read_bytes()
    card = json.loads(ended.with_suffix(".json").read_text())["training"]
    kept = int(kept_apart(read_ferplus(corpus_folder, "valid", check_counts=False), 0.25).sum())
    assert 0 < kept < 16 and chosen[0] == 16 - kept
    assert card["kept_apart"] == f"{kept} of 16 validation pictures, by hash, used for no choice"
    assert [teacher["name"] for teacher in card["teachers"]] == ["tiny.random-v1"]


# The command


def command(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = train.main([str(word) for word in words])
    output = capsys.readouterr()
    assert not output.out and output.err.count("\n") == 1
    return code, output.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("full_size", "fullsize"), "fullsize: is an unknown key"),
        (("epochs = 3", "epoch = 3"), "loop.epoch: is an unknown key"),
        (("probabilistic", "guessing"), "scheme: is 'guessing'; choose one of majority, multi_label, probabilistic"),
        (('"tiny"', '"resnet"'), "architecture: is 'resnet'; choose one of se_resnet_pair, vgg13"),
        (("epochs = 3", ""), "loop.epochs: is missing"),
        (("24", '"24"'), 'full_size: is "24"; give a whole number'),
        (("[loop]", "mixup = 1.5\n[loop]"), "mixup: is 1.5; give a share from 0 to 1"),
        (
            ('"probabilistic"', '"multi_label"\nteachers = ["x"]'),
            "scheme: is 'multi_label', which has no shares to mix",
        ),
        (("[loop]", 'teachers = "x"\n[loop]'), 'teachers: is "x"; give a list'),
    ],
)
def test_invalid_configuration_exits_2(
    tmp_path: Path, tiny_architecture: str, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    (tmp_path / "face.toml").write_text(TOML.replace(*change))
    words = ["--config", tmp_path / "face.toml", "--data", tmp_path, "--run", tmp_path / "run"]
    code, line = command(capsys, "face", *words)
    assert code == 2 and said in line
    assert not (tmp_path / "run").exists()


def test_what_is_missing_is_one_line(
    tmp_path: Path, tiny_architecture: str, fresh_accelerate: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "face.toml").write_text(TOML)
    words = ["--data", tmp_path / "nowhere", "--run", tmp_path / "run", "--device", "cpu"]
    code, line = command(capsys, "face", "--config", tmp_path / "face.toml", *words)
    assert code == 1 and "nowhere: contains no FER2013Train/label.csv" in line
    code, line = command(capsys, "face", "--config", tmp_path / "absent.toml", *words)
    assert code == 1 and "absent.toml: configuration not found" in line
    code, line = command(capsys, "smell", "--config", tmp_path / "face.toml", *words)
    assert code == 2 and "'smell'; choose one of face" in line


def test_missing_library_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "multimodal.train.face", None)
    with pytest.raises(DependencyError, match=r"pip install 'multimodal-emotion\[train\]'"):
        train.face(tmp_path, tmp_path, tmp_path)


def test_run_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.training_revision(tmp_path / "run") == "not in a checkout"
    monkeypatch.undo()
    assert provenance.training_revision(tmp_path / "run") == "not in a checkout"  # as it was when it started


def test_unknown_scheme_is_refused_from_python_too() -> None:
    with pytest.raises(ConfigError, match="scheme: is 'vote'"):
        FaceConfig(loop=LOOP, scheme="vote")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["face", "audio", "text"])
def test_training_needs_no_media_library(stage: str) -> None:
    code = "import sys\nfor name in ('av', 'moviepy', 'ray', 'faster_whisper'): sys.modules[name] = None\n"
    code += f"import multimodal.train.{stage}, multimodal.models.weights; print('torch' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert finished.stdout == "True\n", finished.stderr
