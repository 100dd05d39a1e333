"""Fixed bad conditions and talking mouths: repeatable, in range, and what they are named for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from multimodal.augmentation.face_conditions import CONDITIONS, UNSEEN, under_condition
from multimodal.augmentation.face_talk import LIPS, MOST_OPEN, frames_of, open_mouth
from multimodal.data.faces.crops import mouth_motion

NAMES = (*CONDITIONS, *UNSEEN)


def faces(count: int = 8) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 1, 10, 10, generator=draws) * 120 + 60
    smooth = torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic", align_corners=False)
    return smooth.clamp(0, 255).squeeze(1).to(torch.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_condition_is_the_same_at_every_call(name: str) -> None:
    images = faces()
    state = torch.get_rng_state()
    first, again = under_condition(images, name), under_condition(images, name)
    assert torch.equal(first, again) and first.dtype == torch.uint8 and first.shape == images.shape
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, images) == (name == "clean")


def test_an_unknown_condition() -> None:
    with pytest.raises(KeyError):
        under_condition(faces(), "fog")


def difference(name: str) -> Tensor:
    return (under_condition(faces(), name).float() - faces().float()).abs()


def test_strengths() -> None:
    images = faces()
    assert float(difference("noise 20").mean()) == pytest.approx(20 * np.sqrt(2 / np.pi), rel=0.1)
    dark = float(under_condition(images, "low light").float().mean())
    assert dark == pytest.approx(0.12 * float(images.float().mean()), rel=0.05)
    assert torch.equal(under_condition(images, "mouth covered")[:, :29], images[:, :29])
    assert (under_condition(images, "eyes covered")[:, 12:22, 4:44].flatten(1).float().std(1) == 0).all()
    assert torch.equal(under_condition(images, "hat")[:, 10:], images[:, 10:])
    shadow = under_condition(images, "half shadow").float() / images.float().clamp(min=1)
    assert {round(float(side), 1) for side in shadow[:, :, [0, -1]].mean((1,)).flatten()} <= {0.2, 0.3, 1.0}
    moved = under_condition(images, "cut off")
    matches = sum(
        float((moved[i, rows, columns].float() - images[i, other, across].float()).abs().mean()) < 6
        for i in range(len(images))
        for rows, columns, other, across in (
            (slice(0, 48), slice(0, 38), slice(0, 48), slice(10, 48)),
            (slice(0, 48), slice(10, 48), slice(0, 48), slice(0, 38)),
            (slice(0, 38), slice(0, 48), slice(10, 48), slice(0, 48)),
            (slice(10, 48), slice(0, 48), slice(0, 38), slice(0, 48)),
        )
    )
    assert matches == len(images)


def test_an_open_mouth_moves_the_jaw_alone() -> None:
    images = faces()
    assert torch.allclose(open_mouth(images, torch.zeros(8)), images.float(), atol=1e-3)
    opened = open_mouth(images, torch.full((8,), 5.0))
    above = int(LIPS * 48) - 1
    assert torch.allclose(opened[:, :above], images[:, :above].float(), atol=1e-3)
    assert (opened[:, 39, 24] < images.float().mean((1, 2)) * 0.4).all()
    # In the middle the chin lies MOST_OPEN pixels lower than before.
    lower = open_mouth(images, torch.full((8,), MOST_OPEN))[:, 46, 24]
    assert torch.allclose(lower, images[:, 46 - int(MOST_OPEN), 24].float(), atol=8)


def test_talk_moves_the_mouth_more_than_sway_and_noise_do() -> None:
    image = faces(1).repeat(40, 1, 1)
    means = []
    for talking in (0.0, 0.8):
        frames = frames_of(image, torch.Generator().manual_seed(1), talking=talking).numpy()
        means.append(np.mean([mouth_motion(one, two) for one, two in itertools.pairwise(frames)]))
    assert means[1] > 2 * means[0] and means[1] > 0.15


def test_what_changes_the_whole_face_is_no_mouth_motion() -> None:
    one = faces(1)[0].numpy()
    for other in (one, np.clip(one * 0.9 + 8, 0, 255).astype(np.uint8), 255 - one // 1):
        assert mouth_motion(one, other) <= 0.25
    noisy = np.clip(one + np.random.default_rng(0).normal(0, 15, one.shape), 0, 255).astype(np.uint8)
    assert mouth_motion(one, noisy) < 0.05
    opened = open_mouth(torch.from_numpy(one)[None], torch.tensor([5.0]))[0].round().to(torch.uint8).numpy()
    assert mouth_motion(one, opened) > 0.2
    assert mouth_motion(one, opened) == pytest.approx(mouth_motion(opened, one))
