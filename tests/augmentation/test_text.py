"""Text augmentation: repeatable, each effect by its definition, and at least one word remains."""

from __future__ import annotations

import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.augmentation.text import FILLERS, HOMOPHONES, TextAugmentation, augment, bare
from multimodal.errors import ConfigError

ALL = TextAugmentation(*[1.0] * 7, word_rate=0.3, mishear_rate=1.0)
WORDY = st.text(string.ascii_letters + "'’.,!?[]- 😂\u0301é", max_size=60)


@given(WORDY, st.integers(0, 2**32))
def test_changes_repeat_with_the_seed_and_leave_a_word(text: str, seed: int) -> None:
    first, second = (augment(text, ALL, random.Random(seed)) for _ in range(2))
    assert first == second
    assert bool(first.split()) or not text.split()


@given(WORDY)
def test_nothing_changes_without_shares(text: str) -> None:
    assert augment(text, TextAugmentation(), random.Random(0)) == (" ".join(text.split()) or text)


@given(WORDY)
def test_bare_text_has_no_punctuation(text: str) -> None:
    assert not set(bare(text)) & set(string.punctuation + "’")
    assert not set(bare(text, apostrophes=True)) & (set(string.punctuation + "’") - {"'"})


def test_bare_text_keeps_words_and_emoji() -> None:
    assert bare("Well... I don’t KNOW, rock'n'roll? 😂👍🏽") == "Well I dont KNOW rocknroll 😂👍🏽"
    assert bare("'tis the boys' don't", apostrophes=True) == "tis the boys don't"


def changed(text: str, **shares: float) -> list[str]:
    return [augment(text, TextAugmentation(**shares), random.Random(seed)) for seed in range(200)]


def test_each_change_does_what_it_says() -> None:
    text = "I think their printer broke again today"
    for one in changed(text, filler_share=1.0, word_rate=0.1):
        left = f" {one} "
        for filler in sorted(FILLERS, key=len, reverse=True):
            left = left.replace(f" {filler} ", " ").replace(f" {filler} ", " ")
        assert left.split() == text.split()
    for one in changed(text, repeat_share=1.0, word_rate=0.5):
        words = one.split()
        assert list(dict.fromkeys(words)) == text.split() and max(words.count(word) for word in words) <= 2
    for one in changed(text, drop_share=1.0, word_rate=0.5):
        rest = iter(text.split())
        assert all(word in rest for word in one.split())  # a subsequence
    assert {one.split()[2] for one in changed(text, mishear_share=1.0, mishear_rate=1.0)} == {"there", "they're"}
    assert set(changed("sad 😂 ❤️", emoji_share=1.0)) == {"sad"}


def test_placeholders_become_words() -> None:
    actual = changed("[NAME] is [RELIGION], [name]", placeholder_share=0.5)
    assert len(set(actual)) > 50 and any("[" not in one for one in actual) and any("[NAME]" in one for one in actual)
    assert changed("[NAME]", placeholder_share=0.0)[0] == "[NAME]"


def test_shares_are_shares() -> None:
    struck = np.mean([one != "I know" for one in changed("I know", mishear_share=0.3, mishear_rate=1.0)])
    assert struck == pytest.approx(0.3, abs=0.1)
    with pytest.raises(ConfigError, match=r"drop_share: is 1\.5; give a share between 0 and 1"):
        TextAugmentation(drop_share=1.5)


def test_homophones_are_mutual() -> None:
    assert all(word in HOMOPHONES[other] for word, others in HOMOPHONES.items() for other in others)
