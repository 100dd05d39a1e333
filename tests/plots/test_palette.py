"""Emotion colors are distinguishable, also with color vision deficiency, and each has its own sign."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.palette import COLORS, MODALITY_COLORS, SIGNS, USABILITY_COLORS, USABILITY_SIGNS, ink_on, luminance
from multimodal.types import MODALITIES, UNCERTAIN, USABILITY_LABELS

# Machado, Oliveira and Fernandes 2009, IEEE TVCG 15(6), doi 10.1109/TVCG.2009.113, severity 1.0, in linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lab_color(matrix: NDArray[np.float64], color: str) -> NDArray[np.float64]:
    """CIE Lab of a color as somebody sees it."""
    from skimage.color import rgb2lab

    values = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    left = np.clip(matrix @ linear, 0, 1)
    shown = np.where(left <= 0.0031308, left * 12.92, 1.055 * left ** (1 / 2.4) - 0.055)
    lab: NDArray[np.float64] = rgb2lab(shown[None, None])[0, 0]
    return lab


@pytest.mark.parametrize("kind", BLINDNESS)
def test_emotions_can_be_told_apart(kind: str) -> None:
    from skimage.color import deltaE_ciede2000

    labs = {label: lab_color(BLINDNESS[kind], COLORS[label]) for label in (*FUSED_LABELS, UNCERTAIN)}
    apart = {pair: float(deltaE_ciede2000(labs[pair[0]], labs[pair[1]])) for pair in itertools.combinations(labs, 2)}
    closest = min(apart, key=apart.__getitem__)
    assert apart[closest] > 8, (kind, closest, apart[closest])  # 1 is just noticeable side by side


def test_each_label_has_a_color_and_a_sign_of_its_own() -> None:
    labels = {*FACE_LABELS, *FUSED_LABELS, UNCERTAIN}
    assert set(COLORS) == set(SIGNS) == labels and set(MODALITY_COLORS) == set(MODALITIES)
    assert len(set(COLORS.values())) == len(set(SIGNS.values())) == len(labels)
    assert all(len(sign) == 1 for sign in SIGNS.values())


@pytest.mark.parametrize("kind", BLINDNESS)
def test_frustration_confusion_and_the_rest_can_be_told_apart(kind: str) -> None:
    from skimage.color import deltaE_ciede2000

    labels = ("frustration", "confusion", "neutral")
    labs = [lab_color(BLINDNESS[kind], USABILITY_COLORS[label]) for label in labels]
    assert all(float(deltaE_ciede2000(*pair)) > 8 for pair in itertools.combinations(labs, 2))
    assert set(USABILITY_COLORS) == set(USABILITY_LABELS) and not set(USABILITY_SIGNS.values()) & set(SIGNS.values())


def test_letters_on_a_color_can_be_read() -> None:
    for color in [*COLORS.values(), *USABILITY_COLORS.values(), "#757575", "#777777", "#7f7f7f"]:
        light, dark = sorted((luminance(color), luminance(ink_on(color))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
