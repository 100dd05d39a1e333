"""Which utterances are not English: lines written for these tests, and GoEmotions' English comments."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from multimodal.data.speech.language import foreign_languages
from multimodal.data.speech.language_names import (
    ENGLISH,
    LANGUAGE_NAMES,
    UNDETERMINED,
    language_code,
    language_list,
)

SHORT = {
    "de": ("Danke, sehr gerne.", "Das gefällt mir nicht.", "Wo ist der Knopf?"),
    "fr": ("Merci beaucoup.", "Je n'aime pas ça.", "Où est le bouton ?"),
    "es": ("Muchas gracias.", "No me gusta esto.", "¿Dónde está el botón?"),
    "it": ("Grazie mille.", "Questo non mi piace.", "Dov'è il pulsante?"),
    "pt": ("Muito obrigada.", "Não gosto disto.", "Onde está o botão?"),
    "nl": ("Dank je wel.", "Dit vind ik niet leuk.", "Waar is de knop?"),
    "sv": ("Tack så mycket.", "Jag gillar inte det här.", "Var är knappen?"),
    "pl": ("Bardzo dziękuję.", "Nie podoba mi się to.", "Gdzie jest przycisk?"),
    "tr": ("Çok teşekkür ederim.", "Bunu sevmedim.", "Düğme nerede?"),
    "ru": ("Большое спасибо.", "Мне это не нравится.", "Где эта кнопка?"),
    "hi": ("बहुत धन्यवाद।", "मुझे यह पसंद नहीं है।", "बटन कहाँ है?"),
    "ja": ("どうもありがとう。", "これは好きじゃない。", "ボタンはどこですか？"),
    "zh": ("非常感谢。", "我不喜欢这个。", "按钮在哪里？"),
    "ar": ("شكرا جزيلا.", "لا يعجبني هذا.", "أين الزر؟"),
}
"""Answers of two to six words."""

LONG = {
    "de": "Zuerst habe ich gar nicht verstanden, was ich hier machen soll, aber später ging es ganz leicht.",
    "fr": "au début je n'ai pas compris ce que je devais faire ici mais ensuite c'était vraiment facile",
    "es": "Al principio no entendía qué tenía que hacer aquí, pero después fue realmente fácil.",
    "it": "All'inizio non capivo cosa dovessi fare qui, ma dopo è stato davvero semplice.",
    "pt": "no início não percebi o que devia fazer aqui mas depois foi realmente fácil",
    "nl": "In het begin begreep ik niet wat ik hier moest doen, maar daarna ging het echt makkelijk.",
    "sv": "först förstod jag inte vad jag skulle göra här men sedan gick det väldigt lätt",
    "da": "Først forstod jeg slet ikke, hvad jeg skulle gøre her, men bagefter var det virkelig nemt.",
    "pl": "Na początku nie rozumiałem, co mam tu zrobić, ale potem było naprawdę łatwo.",
    "tr": "Başta burada ne yapmam gerektiğini anlamadım ama sonra gerçekten kolay oldu.",
    "fi": "Aluksi en ymmärtänyt, mitä minun pitäisi tehdä täällä, mutta sitten se oli todella helppoa.",
    "ru": "Сначала я не понял, что мне здесь делать, но потом всё оказалось очень просто.",
    "hi": "शुरू में मुझे समझ नहीं आया कि यहाँ क्या करना है, लेकिन बाद में यह बहुत आसान था।",
    "ja": "最初はここで何をすればいいのか分かりませんでしたが、その後はとても簡単でした。",
    "zh": "一开始我不明白在这里应该做什么，但后来就很简单了。",
    "ar": "في البداية لم أفهم ماذا يجب أن أفعل هنا، لكن بعد ذلك كان الأمر سهلا جدا.",
}

INTERVIEW = (
    "So, um, I was looking for the button.",
    "Yeah.",
    "And then it just, like, crashed on me!",
    "Oh no. Really?",
    "Haha, yes. That was so annoying.",
    "OK, mhm.",
    "12",
    "I guess it's fine now.",
)
"""English as it is spoken, with what an interview has of words that many languages share."""


@pytest.mark.parametrize("code", LONG)
def test_a_long_text_is_named_by_its_language(code: str) -> None:
    assert foreign_languages([LONG[code]]) == [code]


def test_short_answers_are_told_from_english() -> None:
    answers = [(code, text) for code, texts in SHORT.items() for text in texts]
    detected = [foreign_languages([text])[0] for _, text in answers]
    missed = [text for (_, text), language in zip(answers, detected, strict=True) if language is None]
    assert len(missed) <= 1, missed
    named = [
        (code, language) for (code, _), language in zip(answers, detected, strict=True) if language in LANGUAGE_NAMES
    ]
    assert len(named) >= 0.85 * len(answers) and sum(code != language for code, language in named) <= 1


@pytest.mark.parametrize("code", SHORT)
def test_the_transcript_decides_for_its_short_answers(code: str) -> None:
    texts = ["OK.", "Hm.", "No.", *SHORT[code], LONG[code], "..."]
    assert set(foreign_languages(texts)) == {code}


def test_an_english_interview_is_english_throughout() -> None:
    assert foreign_languages(INTERVIEW) == [None] * len(INTERVIEW)
    assert [foreign_languages([text]) for text in INTERVIEW] == [[None]] * len(INTERVIEW)


@pytest.mark.corpus
def test_english_comments_are_almost_never_refused(shared_folder: Path) -> None:
    with tarfile.open(shared_folder / "datasets" / "goemotions.tar.xz") as archive:
        member = next(each for each in archive.getmembers() if each.name.endswith("dev.tsv"))
        content = archive.extractfile(member)
        assert content is not None
        texts = [line.split("\t")[0] for line in content.read().decode("utf-8").split("\n") if line]
    assert len(texts) == 5426
    refused = [text for text in texts if foreign_languages([text]) != [None]]
    assert len(refused) < 0.003 * len(texts), refused
    assert foreign_languages(texts[:1000]).count(None) >= 999  # one transcript of them


def test_a_mixed_transcript_is_told_apart() -> None:
    german = [LONG["de"], *SHORT["de"]]
    english = ["So what did you think of the new page?", "And how did you feel when that happened to you?"]
    for texts in ([*english, *german], [*english, LONG["fr"], *INTERVIEW], [*german, *german, *english]):
        for text, language in zip(texts, foreign_languages(texts), strict=True):
            if text in english:
                assert language is None
            if text in (LONG["de"], LONG["fr"]):
                assert language == ("de" if text == LONG["de"] else "fr")


@pytest.mark.parametrize(
    ("stated", "text", "expected"),
    [
        ("de", "Hm, OK.", "de"),
        ("German", "Gut.", "de"),
        ("de-AT", "12", "de"),
        ("en", "Sim, claro.", None),
        ("english", LONG["de"], "de"),
        ("de", "I could not find the button at all, it was so annoying.", None),
        ("und", LONG["it"], "it"),
        (" ", "Yes.", None),
        (None, "", None),
    ],
)
def test_a_stated_language_holds_unless_the_words_are_sure(stated: str | None, text: str, expected: str | None) -> None:
    assert foreign_languages([text], stated) == [expected]


@given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from([None, "en", "fr", "klingon"]))
@example(["\ud800", "\0", "ﷺ" * 50, "a" * 30_000, "ha" * 15_000, "'" * 100], None)
def test_any_text_has_a_known_language_or_none(texts: list[str], stated: str | None) -> None:
    languages = foreign_languages(texts, stated)
    assert len(languages) == len(texts)
    assert all(language is None or language in LANGUAGE_NAMES or language == UNDETERMINED for language in languages)
    assert ENGLISH not in languages


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_names_are_those_of_whisper() -> None:
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    theirs = {code: name for code, name in LANGUAGES.items() if code != "yue"}
    others = {"my": "burmese", "nn": "norwegian nynorsk"}  # whisper's list has their other names
    assert {code: name.casefold() for code, name in LANGUAGE_NAMES.items()} == {**theirs, **others}


def test_codes_and_names_of_a_language_mean_the_same() -> None:
    for code, name in LANGUAGE_NAMES.items():
        assert language_code(code) == language_code(name.upper()) == language_code(f" {code}-XX ") == code
    assert [language_code(name) for name in ("ger", "deu", "nb", "yue", "", None, "und", "xx")] == [
        *("de", "de", "no", "zh", None, None, None, None)
    ]


def test_languages_are_listed_by_their_frequency() -> None:
    assert language_list(["fr", "de", "de", UNDETERMINED]) == "German, French and another language"
    assert language_list([]) == ""
