"""Recipes of synthetic utterances: properties for any corpora, and reproducibility by seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.data.corpora.crema_d_votes import JointVotes
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


def make_votes() -> JointVotes:
    """Happiness is seen by everybody and heard as neutral by three quarters; neutral and anger are seen and heard."""
    shares = np.zeros((7, 7, 7))
    shares[0, 1, 1], shares[1, 1, 1] = 0.3, 0.1
    shares[0, 0, 0], shares[4, 4, 4] = 0.4, 0.2
    return JointVotes(shares, 10, 0.7)


VOTES = make_votes()


def pools(each: int = 5, labels: int = len(FUSED_LABELS), seed: int = 0) -> SamplePools:
    draws = np.random.default_rng(seed)
    faces, voices, texts = (draws.permutation(np.repeat(np.arange(labels), each)) for _ in range(3))
    return SamplePools(faces, voices, texts, draws.uniform(0.3, 6.0, len(voices)), views=3)


def labels_of(recipe: SyntheticUtterance, of: SamplePools) -> dict[str, set[int]]:
    """The emotions of each modality."""
    faces = {int(of.faces[picture]) for picture in recipe.pictures if picture >= 0}
    return {"face": faces, "audio": {int(of.voices[recipe.audio])}, "text": {int(of.texts[recipe.text])}}


@given(st.builds(SynthesisConfig, *[SHARES] * 12), st.integers(0, 2**31))
def test_recipes_have_their_emotions_and_times(synthesis: SynthesisConfig, seed: int) -> None:
    of = pools(seed=seed % 7)
    for recipe in synthesize(of, 20, synthesis, seed, VOTES):
        labels = labels_of(recipe, of)
        for modality, label in zip(MODALITIES, recipe.labels, strict=True):
            assert label in labels[modality]
        assert len(labels["audio"]) == len(labels["text"]) == 1
        assert len(labels["face"]) <= 3  # the expression, the face at rest, and another one for a moment
        assert (np.diff(recipe.frame_times) > 0).all() and recipe.frame_times[0] < 1 / FRAMES_PER_SECOND
        assert recipe.frame_times[-1] <= max(of.seconds[recipe.audio], 2 / FRAMES_PER_SECOND)
        assert len(recipe.pictures) == len(recipe.views) == len(recipe.frame_times)
        assert recipe.views.max() < of.views


def test_shares_are_those_of_the_settings() -> None:
    of, synthesis = pools(), SynthesisConfig(0.4, 0.3, 0.5, degraded_share=0.2)
    recipes = list(synthesize(of, 6_000, synthesis, seed=1))
    # Six standard errors of 6,000 draws are below 0.04.
    assert np.mean([recipe.label == NEUTRAL for recipe in recipes]) == pytest.approx(0.4, abs=0.04)
    assert np.mean([recipe.disagreeing is not None for recipe in recipes]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([recipe.degraded is not None for recipe in recipes]) == pytest.approx(0.2, abs=0.04)
    others = np.bincount([recipe.label for recipe in recipes], minlength=7)[1:] / 6_000
    assert others == pytest.approx(np.full(6, 0.1), abs=0.025)
    counts = [sum(recipe.disagreeing == modality for recipe in recipes) for modality in MODALITIES]
    assert min(counts) > 0.8 * max(counts)
    assert all(recipe.labels.count(recipe.label) >= 2 for recipe in recipes)


def test_conflicting_utterances_have_three_emotions_and_any_of_them_is_right() -> None:
    recipes = list(synthesize(pools(), 3_000, SynthesisConfig(conflicting_share=1.0), seed=4))
    assert all(len(set(recipe.labels)) == 3 and recipe.disagreeing is None for recipe in recipes)
    places = np.bincount([recipe.labels.index(recipe.label) for recipe in recipes], minlength=3) / 3_000
    assert places == pytest.approx(np.full(3, 1 / 3), abs=0.05)


def test_judged_utterances_follow_the_votes() -> None:
    synthesis = SynthesisConfig(0.5, 0.0, judged_share=1.0, neutral_words=0.3, words_alone=0.2)
    recipes = list(synthesize(pools(), 8_000, synthesis, seed=5, votes=VOTES))
    happy = [recipe for recipe in recipes if recipe.label == 1]
    heard = np.mean([recipe.labels[1] == NEUTRAL for recipe in happy])
    # The votes hear three quarters of happiness as neutral, and a fifth is in the words alone: 0.2 + 0.8 * 0.75.
    assert heard == pytest.approx(0.8, abs=0.05)
    seen = np.mean([recipe.labels[0] == 1 for recipe in happy])
    assert seen == pytest.approx(0.8, abs=0.05)
    assert np.mean([recipe.labels[2] == NEUTRAL for recipe in happy]) == pytest.approx(0.8 * 0.3, abs=0.05)
    # An emotion without votes is drawn as usual: all modalities have it.
    assert all(set(recipe.labels) == {2} for recipe in recipes if recipe.label == 2)


def test_plain_words_are_neutral() -> None:
    synthesis = SynthesisConfig(0.2, disagreeing_share=0.0, plain_words=0.4)
    recipes = list(synthesize(pools(), 3_000, synthesis, seed=3))
    emotional = [recipe for recipe in recipes if recipe.label != NEUTRAL]
    plain = [recipe for recipe in emotional if recipe.labels[2] == NEUTRAL]
    assert len(plain) / len(emotional) == pytest.approx(0.4, abs=0.05)
    assert all(set(recipe.labels[:2]) == {recipe.label} for recipe in emotional)


def test_frames_are_misread_for_a_moment_only() -> None:
    synthesis = SynthesisConfig(neutral_share=1.0, disagreeing_share=0, misread_frames=0.4, lost_frames=0)
    of = pools(each=9)
    recipes = list(synthesize(of, 2_000, synthesis, seed=6))
    shares = [(of.faces[recipe.pictures] != NEUTRAL).mean() for recipe in recipes if len(recipe.pictures) > 15]
    # A fifth of the frames on average, of which six in seven are of another emotion.
    assert np.mean(shares) == pytest.approx(0.2 * 6 / 7, abs=0.03)


def test_judged_share_needs_votes() -> None:
    with pytest.raises(ConfigError, match="judged_share"):
        list(synthesize(pools(), 1, SynthesisConfig(judged_share=0.5), seed=0))


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
