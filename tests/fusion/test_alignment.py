"""Alignment of three clocks on one grid: increasing times, no lost or invented evidence, order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_fixtures import SIZES, Scene, scenes, shares

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.fusion.alignment import (
    LEAST_PROBABILITY,
    MOST_STEPS,
    STEP_SECONDS,
    FusionInputs,
    build_inputs,
    collate,
    grid,
    log_probabilities,
    nearest,
    pool,
    tolerance_seconds,
)
from multimodal.types import MODALITIES


def same(ours: FusionInputs, theirs: FusionInputs) -> None:
    assert ours.modalities == theirs.modalities and list(ours.log_probabilities) == list(theirs.log_probabilities)
    for name in ("times", "audio", "face", "face_mask", "text"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name, rows in ours.log_probabilities.items():
        np.testing.assert_array_equal(rows, theirs.log_probabilities[name])


# --- what holds for every utterance -------------------------------------------------------------------------------


@given(scenes())
def test_times_rise_and_lie_in_the_utterance_or_its_voice(scene: Scene) -> None:
    times = scene.streams().times
    assert len(times) >= 1 and (np.diff(times) > 0).all()
    low, high = (scene.audio[0][0], scene.audio[0][-1]) if "audio" in scene.said else (scene.start, scene.end)
    assert low - 1e-9 <= times[0] and times[-1] <= high + 1e-9


@given(scenes())
def test_a_signal_is_there_exactly_if_its_answer_is(scene: Scene) -> None:
    streams = scene.streams()
    assert (
        streams.modalities
        == tuple(name for name in MODALITIES if name in scene.said)
        == tuple(streams.log_probabilities)
    )
    for rows in streams.log_probabilities.values():
        assert np.isfinite(rows).all() and np.exp(rows).sum() == pytest.approx(1)
    batch = collate([streams], SIZES, len(FUSED_LABELS))
    assert (batch.log_probabilities.exp() >= LEAST_PROBABILITY * (1 - 1e-5)).all()


@given(scenes())
def test_a_face_stands_exactly_where_it_was_seen(scene: Scene) -> None:
    streams = scene.streams()
    if "face" not in scene.said:
        assert streams.face is None and streams.face_mask is None
        return
    assert streams.face is not None and streams.face_mask is not None
    face_times, embeddings = scene.face
    for time, row, is_present in zip(streams.times, streams.face, streams.face_mask, strict=True):
        near = np.abs(face_times - time) <= scene.half + 1e-9
        assert is_present == near.any()
        if is_present:  # it is the embedding of one of those nearest in time
            closest = np.abs(face_times - time) <= np.abs(face_times - time).min() + 1e-9
            assert any((row == each).all() for each in embeddings[closest])
        else:
            assert not row.any()


@given(scenes())
def test_pooled_voice_keeps_the_mean_and_invents_no_state(scene: Scene) -> None:
    streams = scene.streams()
    if streams.audio is None:
        return
    times, states = scene.audio
    assert len(streams.audio) <= len(states)
    low, high = states.min(axis=0) - 1e-6, states.max(axis=0) + 1e-6
    assert ((low <= streams.audio) & (streams.audio <= high)).all()
    if len(times) > 1 and times[1] - times[0] > STEP_SECONDS / 1.5:
        np.testing.assert_array_equal(streams.audio, states)


@given(scenes(), st.randoms(use_true_random=False))
def test_neither_the_order_of_faces_nor_that_of_signals_matters(scene: Scene, chance: Any) -> None:
    order = list(range(len(scene.face[0])))
    chance.shuffle(order)
    probabilities = dict(sorted(scene.said.items(), reverse=True))
    same(scene.streams(face=(scene.face[0][order], scene.face[1][order]), said=probabilities), scene.streams())


@given(scenes())
def test_states_of_absent_signals_are_never_read(scene: Scene) -> None:
    absent: dict[str, Any] = {name: None for name in MODALITIES if name not in scene.said}
    broken: dict[str, Any] = dict.fromkeys(absent, (np.array([np.nan]), np.full((1, 9), np.nan)))
    same(scene.streams(**absent), scene.streams())
    same(scene.streams(**broken), scene.streams())


@given(scenes(), st.sets(st.sampled_from(MODALITIES)))
def test_leaving_signals_out_is_as_if_they_had_not_been_there(scene: Scene, kept: set[str]) -> None:
    streams = scene.streams()
    only = streams.only(kept)
    assert (
        only.modalities == tuple(name for name in streams.modalities if name in kept) == tuple(only.log_probabilities)
    )
    same(only.only(kept), only)
    same(streams.only(MODALITIES), streams)


@given(st.lists(scenes(), min_size=1, max_size=4))
def test_a_batch_holds_every_utterance_as_it_is(several: list[Scene]) -> None:
    streams = [scene.streams() for scene in several]
    batch = collate(streams, SIZES, len(FUSED_LABELS))
    for row, each in enumerate(streams):
        nonverbal = each.audio is not None or each.face is not None
        assert batch.steps[row] == (len(each.times) if nonverbal else 0)
        assert batch.tokens[row] == (0 if each.text is None else len(each.text))
        assert batch.present[row].tolist() == [name in each.modalities for name in MODALITIES]
        for name, states in (("audio", each.audio), ("face", each.face), ("text", each.text)):
            held = getattr(batch, name)[row].numpy()
            count = 0 if states is None else len(states)
            assert not held[count:].any()
            if states is not None:
                np.testing.assert_allclose(held[:count], states, rtol=1e-6)
        assert int(batch.face_mask[row].sum()) == (0 if each.face_mask is None else each.face_mask.sum())


# --- single cases -------------------------------------------------------------------------------------------------


def test_face_in_omitted_silence() -> None:
    rng = np.random.default_rng(0)
    probabilities = {"face": shares(FACE_LABELS, rng), "audio": shares(FUSED_LABELS, rng)}
    voice = np.array([1.04, 1.12]), np.ones((2, 2))
    streams = build_inputs(
        0.0, 2.0, probabilities, audio=voice, face=(np.array([0.2]), np.ones((1, 3))), tolerance_seconds=0.1
    )
    assert streams.modalities == ("face", "audio") and streams.face_mask is not None and not streams.face_mask.any()
    np.testing.assert_array_equal(
        streams.log_probabilities["face"], log_probabilities(probabilities["face"], FUSED_LABELS)
    )
    assert collate([streams], SIZES, 7).present.tolist() == [[True, True, False]]


def test_a_face_alone_is_always_on_its_grid() -> None:
    probabilities = {"face": dict.fromkeys(FACE_LABELS, 1 / 8)}
    for time in np.linspace(0, 1.99, 50):
        streams = build_inputs(0.0, 2.0, probabilities, face=(np.array([time]), np.ones((1, 3))), tolerance_seconds=0.1)
        assert streams.face_mask is not None and streams.face_mask.any()


@pytest.mark.parametrize("signal", MODALITIES)
def test_an_answer_without_states_is_refused(signal: str) -> None:
    with pytest.raises(ValueError, match=f"{signal} has probabilities and no states"):
        build_inputs(0.0, 1.0, {signal: dict.fromkeys(FACE_LABELS, 1 / 8)})


def test_contradictory_streams_are_refused() -> None:
    good = FusionInputs(np.array([0.0, 1.0]), audio=np.ones((2, 2)), log_probabilities={"audio": np.zeros(7)})
    for change, fact in (
        ({"times": np.array([1.0, 0.0])}, "times must rise"),
        ({"audio": np.ones((3, 2))}, "audio has 3 rows for 2 steps"),
        ({"face": np.ones((2, 2))}, "must be given together"),
        ({"audio": None}, "log-probabilities of audio, which is absent"),
    ):
        with pytest.raises(ValueError, match=fact):
            replace(good, **change)


def test_hours_and_moments_have_a_grid() -> None:
    assert len(grid(0.0, 3600.0)) == MOST_STEPS and len(grid(5.0, 5.0)) == 1 == len(grid(5.0, 5.001))
    times, states = pool(np.arange(6000) * 0.01, np.arange(6000.0)[:, None])
    np.testing.assert_allclose(states[:, 0], np.arange(6000).reshape(-1, 8).mean(axis=1))
    np.testing.assert_allclose(times, states[:, 0] * 0.01)


def test_the_nearest_frame_counts_within_half_a_step_alone() -> None:
    actual, near = nearest(np.array([0.0, 0.3, 0.31, 0.6]), np.array([0.0, 0.2, 0.4, 1.0]), 0.1)
    assert actual[:3].tolist() == [0, 1, 2] and near.tolist() == [True, True, True, False]


def test_half_a_step_is_that_of_most_frames() -> None:
    assert tolerance_seconds(np.array([0.0, 0.2, 0.4, 3.0])) == pytest.approx(0.1)
    assert tolerance_seconds(np.array([])) == tolerance_seconds(np.array([7.0])) == STEP_SECONDS / 2
