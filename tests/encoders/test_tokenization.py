"""Tokenization: normalization, unknown characters, and the trimmed vocabulary."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_fixtures import tiny_tokenizer, tokenizer_json
from tokenizers import Tokenizer

from multimodal.encoders.tokenization import SPECIAL, encode, load_tokenizer, normalize_text, trim_vocabulary

# --- from text to tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don’t “go”…", 'don\'t "go"...'),
        ("so good👍🏽", "so good thumbs up sign"),
        ("❤️❤", "heavy black heart heavy black heart"),
        ("👩‍🚀!", "woman rocket !"),
        ("25 °C ©", "25 °C ©"),
        (" a \n b\u00a0c", "a b c"),
        ("...", ""),
        (" — … * ", ""),
        ("?!", "?!"),
        ("", ""),
    ],
)
def test_texts_are_tidied(text: str, expected: str) -> None:
    assert normalize_text(text) == expected


def test_what_cannot_be_spelled_gives_nothing(tokenizer: Tokenizer) -> None:
    actual = encode(tokenizer, ["happy", "", "日本語", "....", "日本 happy"])
    names = [[tokenizer.id_to_token(number) for number in ids] for ids in actual]
    assert names == [["happy"], [], [], [], ["[UNK]", "[UNK]", "happy"]]


@pytest.mark.parametrize("content", ["", "{}", "[]", tokenizer_json().replace("[MASK]", "[MUSK]")])
def test_file_that_is_no_tokenizer_of_ours(content: str) -> None:
    with pytest.raises(ValueError, match=r"is (no|a) tokenizer (\(|without \[MASK\])"):
        load_tokenizer(content)


def test_tokenizer_neither_cuts_nor_pads(tokenizer: Tokenizer) -> None:
    assert [len(ids) for ids in encode(tokenizer, ["wow " * 500, "wow"])] == [500, 1]


# --- trimming the vocabulary --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trimmed() -> tuple[Tokenizer, list[int]]:
    whole = tiny_tokenizer()
    used = {whole.token_to_id(word): count for word, count in (("happy", 9), ("sad", 5), ("feel", 1), ("中", 9))}
    size = 2 * len(string.ascii_lowercase + string.digits + string.punctuation) + len(SPECIAL) + 3
    content, kept = trim_vocabulary(tokenizer_json(), size, used)
    return load_tokenizer(content), kept


def test_trimmed_vocabulary_keeps_what_is_used_most(trimmed: tuple[Tokenizer, list[int]]) -> None:
    tokenizer, kept = trimmed
    whole = tiny_tokenizer()
    assert tokenizer.get_vocab_size() == len(kept) and kept == sorted(set(kept))
    assert all(tokenizer.id_to_token(new) == whole.id_to_token(old) for new, old in enumerate(kept))
    gone = set(whole.get_vocab()) - set(tokenizer.get_vocab())
    assert {"happy", "sad", "中"} <= set(tokenizer.get_vocab()) and "feel" in gone and "scared" in gone
    assert json.loads(tokenizer.to_str())["truncation"] is None


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=40))
def test_every_ascii_text_can_be_spelled_after_trimming(trimmed: tuple[Tokenizer, list[int]], text: str) -> None:
    tokenizer, _ = trimmed
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.token_to_id("[UNK]") not in ids
    assert "".join(tokenizer.id_to_token(one).removeprefix("##") for one in ids) == "".join(text.lower().split())


def test_kept_words_are_cut_as_before(trimmed: tuple[Tokenizer, list[int]]) -> None:
    tokenizer, kept = trimmed
    before, after = (encode(one, ["happy sad, happy! xyz"])[0] for one in (tiny_tokenizer(), tokenizer))
    assert [kept[number] for number in after] == before
