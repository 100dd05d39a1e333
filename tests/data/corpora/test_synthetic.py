"""Recipes of synthetic utterances: properties for any corpora, and reproducibility by seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.data.corpora.synthetic import (
    FRAMES_PER_SECOND,
    NEUTRAL,
    SamplePools,
    SynthesisConfig,
    SyntheticUtterance,
    synthesize,
)
from multimodal.data.emotions import FUSED_LABELS
from multimodal.errors import ConfigError, CorpusError
from multimodal.types import MODALITIES

SHARES = st.floats(0, 1)


def pools(each: int = 5, labels: int = len(FUSED_LABELS), seed: int = 0) -> SamplePools:
    draws = np.random.default_rng(seed)
    faces, voices, texts = (draws.permutation(np.repeat(np.arange(labels), each)) for _ in range(3))
    return SamplePools(faces, voices, texts, draws.uniform(0.3, 6.0, len(voices)), views=3)


def labels_of(recipe: SyntheticUtterance, of: SamplePools) -> dict[str, set[int]]:
    """The emotions of each modality."""
    faces = {int(of.faces[picture]) for picture in recipe.pictures if picture >= 0}
    return {"face": faces, "audio": {int(of.voices[recipe.audio])}, "text": {int(of.texts[recipe.text])}}


@given(st.builds(SynthesisConfig, SHARES, SHARES, SHARES, SHARES, SHARES, SHARES), st.integers(0, 2**31))
def test_recipes_have_their_emotions_and_times(synthesis: SynthesisConfig, seed: int) -> None:
    of = pools(seed=seed % 7)
    for recipe in synthesize(of, 20, synthesis, seed):
        labels = labels_of(recipe, of)
        for modality in MODALITIES:
            if modality == recipe.disagreeing:
                assert recipe.label not in labels[modality] or (modality == "face" and recipe.label == NEUTRAL)
            else:
                assert recipe.label in labels[modality]
        assert len(labels["face"] - {NEUTRAL}) <= 1  # one expression, and the face at rest
        assert (np.diff(recipe.frame_times) > 0).all() and recipe.frame_times[0] < 1 / FRAMES_PER_SECOND
        assert recipe.frame_times[-1] <= max(of.seconds[recipe.audio], 2 / FRAMES_PER_SECOND)
        assert len(recipe.pictures) == len(recipe.views) == len(recipe.frame_times)
        assert recipe.views.max() < of.views


def test_shares_are_those_of_the_settings() -> None:
    of, synthesis = pools(), SynthesisConfig(0.4, 0.3, 0.5, 0.2, 0.6, 0.3)
    recipes = list(synthesize(of, 6_000, synthesis, seed=1))
    # Six standard errors of 6,000 draws are below 0.04.
    assert np.mean([recipe.label == NEUTRAL for recipe in recipes]) == pytest.approx(0.4, abs=0.04)
    assert np.mean([recipe.disagreeing is not None for recipe in recipes]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([recipe.degraded is not None for recipe in recipes]) == pytest.approx(0.2, abs=0.04)
    others = np.bincount([recipe.label for recipe in recipes], minlength=7)[1:] / 6_000
    assert others == pytest.approx(np.full(6, 0.1), abs=0.025)
    counts = [sum(recipe.disagreeing == modality for recipe in recipes) for modality in MODALITIES]
    assert min(counts) > 0.8 * max(counts)


def test_constant_face_picture() -> None:
    for recipe in synthesize(pools(), 50, SynthesisConfig(neutral_frames=0, lost_frames=0), seed=2):
        assert len(set(recipe.pictures.tolist())) == 1 and recipe.pictures[0] >= 0


def test_same_seed_same_utterances_other_seed_others() -> None:
    def drawn(seed: int) -> list[tuple[int, int, int, list[int]]]:
        recipes = synthesize(pools(), 30, SynthesisConfig(), seed)
        return [(each.label, each.audio, each.text, each.pictures.tolist()) for each in recipes]

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)


def test_only_shared_emotions_are_drawn() -> None:
    of = SamplePools(np.array([0, 1, 4, -1]), np.array([1, 4, 6]), np.array([4, 1, 2]), np.ones(3))
    recipes = list(synthesize(of, 50, SynthesisConfig(), seed=0))
    assert {recipe.label for recipe in recipes} == {1, 4}
    assert all(of.faces[recipe.pictures[recipe.pictures >= 0]].min() >= 0 for recipe in recipes)


def test_corpora_that_share_one_emotion_are_refused() -> None:
    of = SamplePools(np.array([0, 1]), np.array([1, 2]), np.array([1, 3]), np.ones(2))
    with pytest.raises(CorpusError, match=r"share 1 emotions \(happiness\)"):
        next(synthesize(of, 1, SynthesisConfig(), seed=0))


def test_invalid_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"synthesis.lost_frames: is 1.5"):
        SynthesisConfig(lost_frames=1.5)
