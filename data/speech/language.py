"""Detects the language of utterances, because the text model reads only English.

The whole transcript decides first; then each utterance can differ from it, where its own words are sure enough.

Source: py3langid (https://github.com/adbar/py3langid), after Lui and Baldwin 2012, "langid.py: An Off-the-shelf
Language Identification Tool", ACL 2012 system demonstrations, 25-30.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from multimodal.data.speech.language_names import ENGLISH, LANGUAGE_NAMES, UNDETERMINED, language_code

DECIDED = math.log(10)
"""Logarithm of the odds between English and the likeliest other language from which on a text is decided. Of
GoEmotions' training comments, each by itself, 0.2 % are above it; of the dev comments, not used to choose it, 0.1 %."""

CONTRADICTED = math.log(100)
"""The same for an utterance that contradicts its transcript."""

NAMED = math.log(2)
"""Logarithm of the odds between the two likeliest languages besides English from which on the first is named."""

UNUSUAL = frozenset({"br", "fo", "la", "lb", "nn", "oc", "sa"})
"""Languages that are not looked for: few people speak them, and short texts of their neighbors look like them."""

MOST_CHARACTERS = 20_000
"""Characters of a transcript, and of each utterance, that are read for the language."""

# fmt: off
INTERNATIONAL = frozenset({
    "ah", "aha", "ahh", "aw", "aww", "bro", "bye", "damn", "dude", "eh", "gosh", "ha", "hah", "hello", "hey", "hi",
    "hm", "hmm", "huh", "lmao", "lmfao", "lol", "mhm", "mm", "mmm", "nah", "no", "oh", "ok", "okay", "omg", "ooh",
    "oops", "ouch", "ow", "uh", "uhm", "um", "umm", "wow", "wtf", "yay", "yeah", "yes",
})
# fmt: on
"""Exclamations that many languages share, or that are English but look like other languages; they decide nothing."""

_LAUGHTER = re.compile(r"[aeiou]?(?:[hj]+[aeiou]+){2,}[hj]*")
_NO_WORDS = re.compile(r"\[[A-Z]+\]|https?://\S+|\b[ru]/\w+|[#@]\w+")
_LONG_LETTER = re.compile(r"(\w)\1{2,}")


def foreign_languages(texts: Sequence[str], stated: str | None = None) -> list[str | None]:
    """Finds the texts of a transcript that are not English.

    Args:
        texts: The utterances of one transcript.
        stated: The language that the transcript or the recognizer states, as ``language_code`` reads it. A text
            differs from it only if its own words are sure; an unknown language counts as not stated.

    Returns:
        Per text the code of its language, a key of ``LANGUAGE_NAMES``, or ``UNDETERMINED`` for another language than
        English that cannot be named; None for English, and for texts too short to tell.

    Example:
        >>> foreign_languages(["Der Knopf war schwer zu finden, das hat mich sehr geärgert.", "Hm, gut."])
        ['de', 'de']
        >>> foreign_languages(["I could not find the button.", "OK, then I tried the menu.", "Wo ist denn der Knopf?"])
        [None, None, 'de']
        >>> foreign_languages(["OK.", "12"])
        [None, None]
    """
    plain = [_plain(text) for text in texts]
    transcript, odds = language_code(stated), -math.inf
    if transcript is None:
        transcript, odds = _detect(" ".join(plain)[:MOST_CHARACTERS])
        if odds <= DECIDED:
            transcript = ENGLISH if odds < -DECIDED else None
    return [_language(*_detect(text), transcript) for text in plain]


def _language(language: str, odds: float, transcript: str | None) -> str | None:
    """The language of an utterance from its own words and the language of its transcript; None for English."""
    if transcript is None:
        return language if odds > DECIDED else None
    if transcript == ENGLISH or (odds > CONTRADICTED and language != UNDETERMINED):
        return language if odds > CONTRADICTED else None
    return None if odds < -CONTRADICTED else transcript


def _plain(text: str) -> str:
    """The words of a text that tell its language, in lower case."""
    letters = "".join(
        char if unicodedata.category(char)[0] in "LM" or char in "' " else " "
        for char in _NO_WORDS.sub(" ", text[:MOST_CHARACTERS]).replace("’", "'").lower()
    )
    words = _LONG_LETTER.sub(r"\1", letters).split()
    return " ".join(word for word in words if word not in INTERNATIONAL and not _LAUGHTER.fullmatch(word))


def _detect(plain: str) -> tuple[str, float]:
    """The likeliest language besides English, and the logarithm of its odds against English; 0 without words."""
    if not plain:
        return ENGLISH, 0.0
    probabilities = {language: max(value, 1e-30) for language, value in _identifier().rank(plain)}
    english = probabilities.pop(ENGLISH)
    first, second = sorted(probabilities, key=lambda language: -probabilities[language])[:2]
    is_clear = math.log(probabilities[first] / probabilities[second]) >= NAMED
    return first if is_clear else UNDETERMINED, math.log(probabilities[first] / english)


@cache
def _identifier() -> Any:
    """The detector, limited to the languages of speech-to-text that are usual."""
    # Imported here: an analysis without words does not load it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([label for label in identifier.labels if label in LANGUAGE_NAMES.keys() - UNUSUAL])
    return identifier
