"""Codes and English names of the languages that speech-to-text knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from multimodal.formatting import join_names

ENGLISH = "en"
"""Code of the only language that the text model reads."""

UNDETERMINED = "und"
"""Code of ISO 639 for a language that is not known."""

# fmt: off
LANGUAGE_NAMES: Mapping[str, str] = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Arabic", "as": "Assamese", "az": "Azerbaijani", "ba": "Bashkir",
    "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "bo": "Tibetan", "br": "Breton", "bs": "Bosnian",
    "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fo": "Faroese",
    "fr": "French", "gl": "Galician", "gu": "Gujarati", "ha": "Hausa", "haw": "Hawaiian", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "ht": "Haitian Creole", "hu": "Hungarian", "hy": "Armenian", "id": "Indonesian",
    "is": "Icelandic", "it": "Italian", "ja": "Japanese", "jw": "Javanese", "ka": "Georgian", "kk": "Kazakh",
    "km": "Khmer", "kn": "Kannada", "ko": "Korean", "la": "Latin", "lb": "Luxembourgish", "ln": "Lingala", "lo": "Lao",
    "lt": "Lithuanian", "lv": "Latvian", "mg": "Malagasy", "mi": "Maori", "mk": "Macedonian", "ml": "Malayalam",
    "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese", "my": "Burmese", "ne": "Nepali", "nl": "Dutch",
    "nn": "Norwegian Nynorsk", "no": "Norwegian", "oc": "Occitan", "pa": "Punjabi", "pl": "Polish", "ps": "Pashto",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sa": "Sanskrit", "sd": "Sindhi", "si": "Sinhala",
    "sk": "Slovak", "sl": "Slovenian", "sn": "Shona", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "su": "Sundanese", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "tg": "Tajik", "th": "Thai",
    "tk": "Turkmen", "tl": "Tagalog", "tr": "Turkish", "tt": "Tatar", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek",
    "vi": "Vietnamese", "yi": "Yiddish", "yo": "Yoruba", "zh": "Chinese",
}
"""Code of each language that every size of whisper knows to its English name."""

_ALIASES: Mapping[str, str] = {
    "ara": "ar", "ben": "bn", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl", "ell": "el", "eng": "en",
    "fil": "tl", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "heb": "he", "hin": "hi", "ind": "id", "ita": "it",
    "iw": "he", "jpn": "ja", "jv": "jw", "kor": "ko", "nb": "no", "nld": "nl", "nob": "no", "nor": "no", "pol": "pl",
    "por": "pt", "rus": "ru", "spa": "es", "swe": "sv", "tur": "tr", "ukr": "uk", "yue": "zh", "zho": "zh",
}
"""Other codes: ISO 639-2 of the most spoken languages, former codes, and Cantonese, which only large whispers know."""
# fmt: on

_CODES = {**_ALIASES, **{name.casefold(): code for code, name in LANGUAGE_NAMES.items()}}


def language_code(name: str | None) -> str | None:
    """Finds the code of a language that a user, a transcript or a recognizer names.

    Args:
        name: A code (``de``, ``de-AT``, ``ger``) or an English name (``German``); None if none is named.

    Returns:
        The code, a key of ``LANGUAGE_NAMES``; None for an unknown language.

    Example:
        >>> language_code("en-GB"), language_code("German"), language_code("und")
        ('en', 'de', None)
    """
    plain = (name or "").strip().casefold()
    for candidate in (plain, re.split(r"[-_\s]", plain)[0]):
        if candidate in LANGUAGE_NAMES:
            return candidate
        if candidate in _CODES:
            return _CODES[candidate]
    return None


def language_list(codes: Sequence[str]) -> str:
    """Names languages in a sentence.

    Args:
        codes: Keys of ``LANGUAGE_NAMES`` or ``UNDETERMINED``, in any order, with repetitions.

    Returns:
        The names, the most frequent first.

    Example:
        >>> language_list(["fr", "de", "de"]), language_list([UNDETERMINED])
        ('German and French', 'another language')
    """
    counts = Counter(code for code in codes if code != UNDETERMINED)
    names = [LANGUAGE_NAMES[code] for code, _ in counts.most_common()]
    return join_names([*names, *(["another language"] if UNDETERMINED in codes else [])])
