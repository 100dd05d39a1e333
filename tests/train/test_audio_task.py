"""The audio training task: targets, balanced sampling, speakers' statistics, evaluation."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from voice_corpus import clip_of, features_of, voice

from multimodal.augmentation.audio import AudioAugmentation
from multimodal.data.corpora.voices import VOICE_CORPORA, VoiceClip
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.audio import AudioOutput, encode_speaker
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.background import Background
from multimodal.encoders.voice.features import VoiceFeatures, voice_features
from multimodal.encoders.voice.layers import Mix
from multimodal.errors import ConfigError
from multimodal.train.audio_task import (
    AudioTask,
    Batch,
    ClipTable,
    SamplingConfig,
    clip_features,
    groups_of,
    target_labels,
    target_of,
)
from multimodal.train.loop import LoopSettings
from multimodal.train.voice.recordings import RecordingShares

CORPORA = tuple(VOICE_CORPORA)
PLAIN = AudioAugmentation(changed_share=0.0)
WEIGHTS = {"ravdess": 1.0, "emodb": 0.4}
ALONE = RecordingShares(balanced=0.0, one_emotion=0.0, mostly_neutral=0.0, alone=1.0)
EXACT = SamplingConfig(WEIGHTS, augmented_share=0, recordings=ALONE, summary_noise=0, label_smoothing=0, mixup=0)
"""Nothing is left to chance but which clips are drawn."""
LOOP = LoopSettings(epochs=1, batch_size=8, precision="no", keep="last")


# --- right answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", CORPORA)
def test_labels_and_their_meanings_are_in_one_order(corpus: str) -> None:
    assert dict(zip(target_labels(corpus), groups_of(corpus), strict=True)) == VOICE_CORPORA[corpus].to_fused
    assert target_labels("fused") == groups_of("fused") == FUSED_LABELS


@pytest.mark.parametrize(("taught", "corpus"), [*itertools.product(["fused", *CORPORA], CORPORA)])
def test_every_label_of_every_corpus_is_taught_as_what_it_means(taught: str, corpus: str) -> None:
    groups = groups_of(taught)
    for label in VOICE_CORPORA[corpus].labels:
        clip = clip_of(corpus, "01", label)
        answer = target_of(clip, taught)
        if corpus == taught:
            assert answer is not None and target_labels(taught)[answer] == label
        elif clip.label is None or clip.label not in groups:
            assert answer is None
        else:
            assert answer is not None and groups[answer] == clip.label
            assert clip.label not in groups[:answer]


@pytest.mark.parametrize(
    ("corpus", "label", "taught", "meant"),
    [
        ("emodb", "neutral", "ravdess", "neutral"),
        ("emodb", "boredom", "ravdess", None),
        ("emodb", "boredom", "fused", None),
        ("emodb", "boredom", "emodb", "boredom"),
        ("ravdess", "calm", "ravdess", "calm"),
        ("ravdess", "calm", "emodb", "neutral"),
        ("ravdess", "surprised", "emodb", None),
        ("banglaser", "surprise", "ravdess", "surprised"),
        ("tess", "pleasant surprise", "fused", "surprise"),
        ("crema_d", "happy", "iemocap", "happiness"),
        ("iemocap", "excitement", "fused", "happiness"),
        ("manifest", "fear", "ravdess", "fearful"),
        ("ravdess", "fearful", "manifest", "fear"),
    ],
)
def test_right_answers_by_hand(corpus: str, label: str, taught: str, meant: str | None) -> None:
    answer = target_of(clip_of(corpus, "01", label), taught)
    assert (None if answer is None else target_labels(taught)[answer]) == meant


# --- tables of clips ----------------------------------------------------------------------------------------------


def spoken_clips() -> tuple[list[VoiceClip], list[np.ndarray[Any, np.dtype[np.float32]]]]:
    clips = [clip_of("emodb", "03", label) for label in ("boredom", "anger", "sadness")]
    clips += [clip_of("ravdess", "01", label) for label in ("calm", "happy")]
    sounds = [voice(clip.label, seed, 0.2 + 0.05 * seed)[:, 0] / 32768 for seed, clip in enumerate(clips)]
    return clips, [sound.astype(np.float32) for sound in sounds]


def same(actual: Sequence[VoiceFeatures], expected: Sequence[VoiceFeatures]) -> bool:
    pairs = zip(actual, expected, strict=True)
    return all(
        torch.equal(one.frames, other.frames) and torch.equal(one.summary, other.summary) for one, other in pairs
    )


def test_versions_of_clips() -> None:
    clips, sounds = spoken_clips()
    mfcc, strong = Mfcc(), AudioAugmentation(changed_share=1.0, noise_share=1.0)
    versions = [clip_features(clips, sounds, number, strong, mfcc, seed=4) for number in range(3)]
    assert same(versions[0], voice_features(sounds, mfcc))
    assert not any(same(*pair) for pair in itertools.combinations(versions, 2))
    for number in range(3):
        assert same(clip_features(clips, sounds, number, strong, mfcc, seed=4), versions[number])
        assert same(clip_features(clips, sounds, number, strong, mfcc, seed=5), versions[number]) == (number == 0)


def test_clips_of_a_speaker_are_changed_alike() -> None:
    """As in one recording: the same clip of the same speaker sounds the same, that of another speaker does not."""
    clips, sounds = spoken_clips()
    strong = AudioAugmentation(changed_share=1.0, noise_share=1.0, reverberation_share=1.0)
    one, two, other = clip_features([clips[0], clips[1], clips[3]], [sounds[0]] * 3, 1, strong, Mfcc(), seed=4)
    assert same([one], [two]) and not same([one], [other])


def test_augmentation_that_changes_nothing() -> None:
    clips, sounds = spoken_clips()
    assert same(
        clip_features(clips, sounds, 1, PLAIN, Mfcc(), seed=0), clip_features(clips, sounds, 0, PLAIN, Mfcc(), 0)
    )


def test_subset_keeps_clips_targets_and_versions_together() -> None:
    table = table_of(versions=2)
    part = table.subset(np.array([5, 0]))
    assert part.clips == (table.clips[5], table.clips[0]) and part.targets.tolist() == table.targets[[5, 0]].tolist()
    for mine, whole in zip(part.versions, table.versions, strict=True):
        assert mine[0] is whole[5] and mine[1] is whole[0]


# --- draws --------------------------------------------------------------------------------------------------------


def table_of(versions: int = 1, seed: int = 0) -> ClipTable:
    """Uneven: a speaker with many clips, another with few, labels that one of them lacks; each clip another length."""
    counts = {
        ("ravdess", "01", "neutral"): 5,
        ("ravdess", "02", "neutral"): 1,
        ("ravdess", "02", "angry"): 2,
        ("emodb", "03", "anger"): 3,
        ("emodb", "03", "neutral"): 1,
        ("emodb", "08", "neutral"): 4,
        ("emodb", "08", "disgust"): 1,
    }
    clips = [clip_of(*key, take) for key, count in counts.items() for take in range(count)]
    targets = np.array([target_of(clip, "ravdess") for clip in clips], dtype=np.int64)
    features = [
        tuple(
            features_of(20 + 3 * number + version, seed * 999 + version * 99 + number) for number in range(len(clips))
        )
        for version in range(versions)
    ]
    return ClipTable(tuple(clips), targets, tuple(features))


def task_of(
    table: ClipTable,
    accelerator: Any,
    sampling: SamplingConfig = EXACT,
    augmentation: AudioAugmentation = PLAIN,
    held_out: ClipTable | None = None,
    batch_size: int = 8,
) -> AudioTask:
    torch.manual_seed(0)
    loop = replace(LOOP, batch_size=batch_size)
    return AudioTask("conv_bigru", 8, [0, 1], table, held_out, sampling, augmentation, loop, accelerator)


def epoch_of(task: AudioTask, seed: int = 0) -> list[Batch]:
    return list(task.batches(0, torch.Generator().manual_seed(seed)))


def test_draws_by_corpus_weight(accelerator: Accelerator) -> None:
    table = table_of()
    task = task_of(table, accelerator)
    chances = task.draw_weights.tolist()
    of_label, of_speaker = Counter[Any](), Counter[Any]()
    of_clip: dict[Any, set[float]] = {}
    for clip, target, chance in zip(table.clips, table.targets.tolist(), chances, strict=True):
        of_label[clip.corpus, target] += chance
        of_speaker[clip.corpus, target, clip.speaker] += chance
        of_clip.setdefault((clip.corpus, target, clip.speaker), set()).add(chance)
    assert len(of_label) == 5 and len(of_speaker) == 7
    assert all(chance == pytest.approx(WEIGHTS[corpus]) for (corpus, _), chance in of_label.items())
    speakers = Counter(key[:2] for key in of_speaker)
    assert all(chance == pytest.approx(of_label[key[:2]] / speakers[key[:2]]) for key, chance in of_speaker.items())
    assert all(len(actual) == 1 for actual in of_clip.values())


def lengths_of(batches: Sequence[Batch]) -> list[int]:
    return [int(length) for batch in batches for length in batch.inputs.lengths]


def test_clips_come_as_often_as_their_chances_say(accelerator: Accelerator) -> None:
    table = table_of()
    task = task_of(table, accelerator)
    draws = Counter(itertools.chain.from_iterable(lengths_of(epoch_of(task, seed)) for seed in range(100)))
    total, chances = sum(draws.values()), task.draw_weights / task.draw_weights.sum()
    for features, chance in zip(table.versions[0], chances.tolist(), strict=True):
        assert draws[len(features.frames)] / total == pytest.approx(chance, abs=4 * (chance / total) ** 0.5)


@pytest.mark.parametrize(("batch_size", "steps"), [(4, 4), (8, 2), (16, 1), (64, 1)])
def test_epoch_has_as_many_whole_batches_as_the_corpus(accelerator: Accelerator, batch_size: int, steps: int) -> None:
    task = task_of(table_of(), accelerator, batch_size=batch_size)
    assert task.steps() == steps
    batches = epoch_of(task)
    assert [len(batch.targets) for batch in batches] == [batch_size] * steps
    for batch in batches:
        frames, lengths, summary = batch.inputs[:3]
        assert frames.shape == (batch_size, int(lengths.max()), 39) and summary.shape[0] == batch_size
        for row, length in zip(frames, lengths, strict=True):
            assert row[:length].any(dim=1).all() and not row[length:].any()


def test_clips_of_similar_length_come_together(accelerator: Accelerator) -> None:
    task = task_of(table_of(), accelerator, batch_size=4)
    within = [np.ptp(lengths_of([batch])) for seed in range(20) for batch in epoch_of(task, seed)]
    across = [np.ptp(lengths_of(epoch_of(task, seed))) for seed in range(20)]
    assert np.mean(within) < np.mean(across) / 2


BUSY = SamplingConfig(WEIGHTS)


def test_generator_alone_decides(accelerator: Accelerator) -> None:
    task = task_of(table_of(versions=3), accelerator, BUSY, AudioAugmentation())

    def numbers(seed: int) -> list[Tensor]:
        return [part for batch in epoch_of(task, seed) for part in (*batch.inputs[:3], batch.targets, *batch.mix)]

    first = numbers(1)
    torch.manual_seed(77)  # nothing else that is drawn may matter
    second = numbers(1)
    assert len(first) == len(second) and all(map(torch.equal, first, second))
    assert not all(one.shape == two.shape and torch.equal(one, two) for one, two in zip(first, numbers(2), strict=True))


def test_several_devices_share_each_batch() -> None:
    table, device = table_of(), torch.device("cpu")
    alone, *others = (
        epoch_of(task_of(table, SimpleNamespace(device=device, process_index=index, num_processes=count)))
        for index, count in ((0, 1), (0, 2), (1, 2))
    )
    for whole, *parts in zip(alone, *others, strict=True):
        assert [len(part.targets) for part in parts] == [4, 4]
        for index, part in enumerate(parts):
            assert part.inputs.lengths.tolist() == whole.inputs.lengths[index::2].tolist()
            torch.testing.assert_close(part.targets, whole.targets[index::2])
            torch.testing.assert_close(part.inputs.summary, whole.inputs.summary[index::2])


# --- what a batch holds -------------------------------------------------------------------------------------------


class Listener(nn.Module):
    """Keeps what a network is handed, by the number of frames."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.background = network, network.background
        self.handed: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(self, frames: Tensor, lengths: Tensor, summary: Tensor) -> Any:
        for row, length, selected in zip(frames, lengths.tolist(), summary, strict=True):
            self.handed[length] = (row[:length], selected)
        return self.network(frames, lengths, summary)


Handed = dict[int, tuple[Tensor, Tensor]]


def inference_inputs(task: AudioTask, table: ClipTable, version: int = 0, alone: bool = False) -> Handed:
    """What the network is handed in inference, with all clips of each speaker or with each by itself."""
    listener = Listener(task.network.eval())
    for speaker in {clip.speaker for clip in table.clips}:
        selected = [index for index, clip in enumerate(table.clips) if clip.speaker == speaker]
        for selection in [[index] for index in selected] if alone else [selected]:
            encode_speaker(listener, [table.versions[version][index] for index in selection])
    return listener.handed


def assert_inference_inputs(batches: Sequence[Batch], handed: Handed) -> None:
    for batch in batches:
        for row, length, selected in zip(
            batch.inputs.frames, batch.inputs.lengths.tolist(), batch.inputs.summary, strict=True
        ):
            torch.testing.assert_close(row[:length], handed[length][0], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(selected, handed[length][1], atol=1e-4, rtol=1e-4)


def test_clip_alone_is_as_in_inference(accelerator: Accelerator) -> None:
    table = table_of()
    task = task_of(table, accelerator)
    assert_inference_inputs(
        [batch for seed in range(4) for batch in epoch_of(task, seed)], inference_inputs(task, table, alone=True)
    )


def test_speaker_known_from_all_clips_is_as_in_inference(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = table_of()
    task = task_of(table, accelerator)
    monkeypatch.setattr(
        task.recordings, "draw", lambda index, draws: task.recordings.by_speaker[table.clips[index].speaker]
    )
    assert_inference_inputs(
        [batch for seed in range(4) for batch in epoch_of(task, seed)], inference_inputs(task, table)
    )


@pytest.mark.parametrize(("share", "allowed"), [(0.0, {0}), (1.0, {1, 2}), (0.5, {0, 1, 2})])
def test_augmented_copies_use_the_statistics_of_copies(
    accelerator: Accelerator, share: float, allowed: set[int]
) -> None:
    table = table_of(versions=3)  # the number of frames, 20 + 3 * number + version, tells the version
    task = task_of(table, accelerator, replace(EXACT, augmented_share=share))
    batches = [batch for seed in range(15) for batch in epoch_of(task, seed)]
    versions = Counter((length - 20) % 3 for length in lengths_of(batches))
    assert set(versions) == allowed
    if len(allowed) == 3:
        assert versions[0] / sum(versions.values()) == pytest.approx(0.5, abs=0.12)
    handed = {
        key: value for version in allowed for key, value in inference_inputs(task, table, version, alone=True).items()
    }
    assert_inference_inputs(batches, handed)


def test_masks_and_noise_change_what_they_shall(accelerator: Accelerator) -> None:
    table = table_of()
    plain = epoch_of(task_of(table, accelerator))
    noisy = epoch_of(task_of(table, accelerator, replace(EXACT, summary_noise=0.5)))
    masks = AudioAugmentation(changed_share=1.0, feature_mask_share=1.0, time_mask_share=0.0)
    masked = epoch_of(task_of(table, accelerator, augmentation=masks))
    torch.testing.assert_close(noisy[0].inputs.frames, plain[0].inputs.frames)
    assert float((noisy[0].inputs.summary - plain[0].inputs.summary).std()) == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(masked[0].inputs.summary, plain[0].inputs.summary)
    changed = (masked[0].inputs.frames != plain[0].inputs.frames).any(dim=1)  # (clips, features)
    assert changed.any(dim=1).sum() > 4 and not changed.all(dim=1).any()  # a group may be empty


def test_right_answers_are_smoothed_and_mixed_with_their_clips(accelerator: Accelerator) -> None:
    table = table_of()
    plain = epoch_of(task_of(table, accelerator))[0]
    assert bool((plain.targets.max(dim=1).values == 1).all()) and bool((plain.mix.share == 1).all())
    by_length = {len(each.frames): int(target) for each, target in zip(table.versions[0], table.targets, strict=True)}
    assert plain.targets.argmax(1).tolist() == [by_length[length] for length in plain.inputs.lengths.tolist()]
    smooth = epoch_of(task_of(table, accelerator, replace(EXACT, label_smoothing=0.2)))[0]
    torch.testing.assert_close(smooth.targets, 0.8 * plain.targets + 0.2 / 8)
    mixed = epoch_of(task_of(table, accelerator, replace(EXACT, mixup=0.4)))[0]
    share, partner = mixed.mix.share.numpy(), mixed.mix.partner.numpy()
    expected = share * plain.targets.numpy() + (1 - share) * plain.targets.numpy()[partner]
    assert mixed.targets.numpy() == pytest.approx(expected, abs=1e-6)
    assert sorted(partner.tolist()) == list(range(8)) and share.shape == (8, 1)
    torch.testing.assert_close(mixed.inputs.frames, plain.inputs.frames)  # it is the network that mixes


def test_shares_of_mixtures_are_beta_distributed(accelerator: Accelerator) -> None:
    task = task_of(table_of(), accelerator, replace(EXACT, mixup=0.4))
    shares = torch.cat([batch.mix.share for seed in range(60) for batch in epoch_of(task, seed)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)


def test_network_knows_the_corpora_it_is_taught(accelerator: Accelerator) -> None:
    table = table_of()
    background = task_of(table, accelerator).background
    frames: dict[str, list[Any]] = {}
    summaries: dict[str, list[Any]] = {}
    for clip, each in zip(table.clips, table.versions[0], strict=True):
        frames.setdefault(clip.speaker, []).append(each.frames.double().numpy())
        summaries.setdefault(clip.speaker, []).append(each.summary.double().numpy()[None])
    for kind, by_speaker in (("frame", frames), ("summary", summaries)):
        selected = [np.concatenate(parts) for parts in by_speaker.values()]
        mean, variance = getattr(background, f"{kind}_mean").numpy(), getattr(background, f"{kind}_variance").numpy()
        assert mean == pytest.approx(np.concatenate(selected).mean(axis=0), abs=1e-4)
        assert variance == pytest.approx(np.mean([rows.var(axis=0) for rows in selected], axis=0), abs=1e-4)


# --- loss and judgment -------------------------------------------------------------------------------------------


class FixedOutputs(nn.Module):
    """Answers with what stands in the first features of the summary; three heads that differ by a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.background = Background(39, len(features_of(1, 0).summary), utterances=1e9)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, frames: Tensor, lengths: Tensor, summary: Tensor, mix: Mix | None = None) -> AudioOutput:
        members = torch.stack([summary[:, :8] * factor for factor in (1.0, 2.0, -0.5)])
        return AudioOutput(members[0], summary, frames, lengths, members)


def test_loss_by_hand(accelerator: Accelerator) -> None:
    task = task_of(table_of(), accelerator, BUSY, AudioAugmentation())
    batch = epoch_of(task)[0]
    total = 0.0
    for factor in (1.0, 2.0, -0.5):
        logits = batch.inputs.summary[:, :8].double().numpy() * factor
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total += -(batch.targets.numpy() * logs).sum(axis=1).mean()
    assert float(task.loss(FixedOutputs(), batch)) == pytest.approx(total, rel=1e-5)


def test_validation_is_scikit_learns(accelerator: Accelerator) -> None:
    from sklearn.metrics import log_loss, recall_score

    held_out = table_of(seed=1)
    task = task_of(table_of(), accelerator, held_out=held_out)
    scores = np.stack([each.summary[:8].double().numpy() for each in held_out.versions[0]]).clip(-5, 5)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    actual = task.validate(FixedOutputs())
    expected = recall_score(
        held_out.targets, shares.argmax(axis=1), average="macro", labels=np.unique(held_out.targets)
    )
    assert actual["uar"] == pytest.approx(expected, abs=1e-6)
    assert actual["nll"] == pytest.approx(log_loss(held_out.targets, shares, labels=range(8)), abs=1e-4)
    assert set(actual) == {"uar", "nll"} and task.metric in actual


def test_nothing_held_out_gives_no_figures(accelerator: Accelerator) -> None:
    assert task_of(table_of(), accelerator).validate(FixedOutputs()) == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"augmented_share": 1.5}, r"sampling\.augmented_share: is 1\.5; give a share from 0 to 1"),
        ({"label_smoothing": float("nan")}, "label_smoothing"),
        ({"summary_noise": -1.0}, "summary_noise"),
        ({"mixup": float("inf")}, "mixup"),
        ({"corpus_weights": {"ravdess": 0.0}}, r"sampling\.corpus_weights\.ravdess: is 0\.0; give a number above 0"),
        ({"corpus_weights": {"ravdess": "much"}}, "is 'much'; give a number above 0"),
    ],
)
def test_teaching_that_cannot_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(EXACT, **change)
