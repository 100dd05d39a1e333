"""Turns as inputs of the compared networks: clocks, absent modalities, shapes; independence of padding and batch."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from multimodal.encoders.mfcc import MfccSettings
from multimodal.encoders.voice.features import VoiceFeatures
from multimodal.fusion.turns import FrameConvolutions, TurnNetwork, steps_of
from multimodal.iemocap.batches import RECIPES, Collator, NetworkSettings, Sizes, TurnTable, network_of, shape_of
from multimodal.iemocap.features import TurnFeatures
from multimodal.iemocap.task import predict_turns
from multimodal.types import MODALITIES

SIZES = Sizes(frame=39, summary=60, word=8, face=5)
SMALL = NetworkSettings(hidden=6, our_hidden=6, channels=10, face_hidden=4)


def turn(frames: int, tokens: int, faces: int, seed: int = 0) -> TurnFeatures:
    draws = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draws)

    return TurnFeatures(
        VoiceFeatures(some(frames, 39).half(), some(60), 0.1) if frames else None,
        torch.randint(0, 20, (tokens,), generator=draws) if tokens else None,
        some(tokens, 8).half() if tokens else None,
        torch.arange(faces, dtype=torch.float64) * 0.2 + 0.1 if faces else None,
        some(faces, 5).half() if faces else None,
    )


def table_of(*features: TurnFeatures) -> TurnTable:
    count = len(features)
    names = tuple(str(index) for index in range(count))
    return TurnTable(names, np.full(count, 1.0), np.zeros(count, np.int64), np.zeros((count, 3)), features)


def made(name: str) -> tuple[TurnNetwork, Collator]:
    torch.manual_seed(1)
    recipe = RECIPES[name]
    network = network_of(recipe, shape_of(recipe, SMALL, SIZES, 4), SIZES, torch.randn(20, 8)).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return network, Collator(recipe, SIZES, MfccSettings(), 0.1)


TABLE = table_of(
    turn(100, 6, 4), turn(9, 1, 1, 1), turn(0, 3, 2, 2), turn(750, 0, 0, 3), turn(1, 2, 0, 4), turn(0, 0, 0, 5)
)


@pytest.mark.parametrize("name", RECIPES)
def test_neighbors_and_padding_change_no_answer(name: str) -> None:
    network, collator = made(name)
    together, scales = predict_turns(network, collator, TABLE)
    assert together.shape == (6, 4) and scales.shape == (6, 3 if name == "ours" else 0)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    for index in range(len(TABLE.names)):
        alone = predict_turns(network, collator, TABLE.subset(np.array([index])))
        np.testing.assert_allclose(alone[0][0], together[index], atol=1e-5)
        np.testing.assert_allclose(alone[1][0], scales[index], atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_a_signal_that_a_network_does_not_read_changes_nothing(name: str) -> None:
    network, collator = made(name)
    first, other = turn(100, 6, 4), turn(100, 6, 4, seed=8)
    answer = predict_turns(network, collator, table_of(first))[0]
    for signal, fields in (("audio", ("audio",)), ("text", ("ids", "states")), ("face", ("face_times", "faces"))):
        parts = {field: getattr(other if field in fields else first, field) for field in TurnFeatures.__annotations__}
        changed = predict_turns(network, collator, table_of(TurnFeatures(**parts)))[0]
        assert np.allclose(changed, answer, atol=1e-7) == (signal not in RECIPES[name].modalities), signal


@pytest.mark.parametrize("signals", [pair for size in (1, 2) for pair in combinations(MODALITIES, size)])
def test_signals_left_out_are_as_if_they_had_never_been(signals: tuple[str, ...]) -> None:
    network, collator = made("ours")
    whole = turn(100, 6, 4)
    fields = {"audio": ("audio",), "text": ("ids", "states"), "face": ("face_times", "faces")}
    kept = {field for signal in signals for field in fields[signal]}
    bare = TurnFeatures(**{field: getattr(whole, field) for field in kept})
    answers = [predict_turns(network, collator, table_of(each), signals)[0] for each in (whole, bare)]
    if "audio" in signals:  # else the grid is the turn's own length in one, and the same in the other
        np.testing.assert_allclose(*answers, atol=1e-6)
    assert np.isfinite(answers).all()


def test_a_face_stands_at_its_instant() -> None:
    streams = made("ours")[1].streams(turn(100, 6, 4), 1.2)
    assert len(streams.times) == steps_of(100) == 13
    # Frames start 0.1 s into the turn, a step is 80 ms, the first's middle is 0.1475; faces at 0.1, 0.3, 0.5 and 0.7 s.
    np.testing.assert_allclose(streams.times[:3], [0.1475, 0.2275, 0.3075], atol=1e-9)
    assert streams.face is not None and streams.face_mask is not None
    expected = turn(100, 6, 4).faces
    assert expected is not None
    for step, face in ((0, 0), (1, 1), (2, 1), (7, 3)):
        np.testing.assert_allclose(streams.face[step], expected[face].float().numpy())
    assert streams.face_mask.tolist() == [time <= 0.8 + 1e-9 for time in streams.times]


def test_the_papers_networks_read_frames_as_they_are() -> None:
    streams = made("mdre")[1].streams(turn(100, 6, 4), 1.2)
    assert streams.modalities == ("audio", "text") and len(streams.times) == 100
    np.testing.assert_allclose(np.diff(streams.times), 0.01)
    shape = shape_of(RECIPES["mdre"], NetworkSettings(), SIZES, 4)
    assert (shape.hidden, shape.bidirectional, shape.pooling, shape.log_probabilities) == (200, False, "last", False)
    assert (shape.audio_size, shape.face_size, shape.dimensions) == (39, 0, 0)


def test_word_pieces_start_from_the_given_table_and_are_trained() -> None:
    network = made("tre")[0]
    assert network.words is not None and network.words.weight.requires_grad
    assert made("ours")[0].words is None and made("are")[0].words is None


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8, 9, 31])
def test_convolutions_give_a_step_per_eight_frames(frames: int) -> None:
    layer = FrameConvolutions(39, 4)
    alone = layer(torch.ones(1, frames, 39), torch.tensor([frames]))
    assert alone.shape[1] == steps_of(frames) == -(-frames // 8)
    padded = torch.full((1, frames + 17, 39), 5.0)
    padded[:, :frames] = 1
    states = layer(padded, torch.tensor([frames]))
    torch.testing.assert_close(states[:, : alone.shape[1]], alone)
    assert not states[:, alone.shape[1] :].any()
