"""The emotion vocabularies, and how each corpus maps onto them. No other module names a label.

Order matters: it is the order of every probability vector and of every column.
"""

from __future__ import annotations

from collections.abc import Mapping

FACE_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""FER+'s eight, in the column order of its ``label.csv`` (Barsoum et al. 2016, arXiv 1608.01041)."""

FUSED_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
"""The seven that all signals share. Contempt is left out: neither voice nor text corpora have it."""

FACE_TO_FUSED: Mapping[str, str | None] = {label: label if label in FUSED_LABELS else None for label in FACE_LABELS}
"""FER+'s eight onto the seven; contempt has no counterpart, the rest is renormalized."""

AFFECT_NORMS: Mapping[str, tuple[float, float, float]] = {
    "neutral": (0.0, 0.0, 0.0),
    "happiness": (0.81, 0.51, 0.46),
    "surprise": (0.40, 0.67, -0.13),
    "sadness": (-0.63, -0.27, -0.33),
    "anger": (-0.51, 0.59, 0.25),
    "disgust": (-0.60, 0.35, 0.11),
    "fear": (-0.64, 0.60, -0.43),
}
"""Pleasure (valence), arousal and dominance of an emotion word, each -1 … 1: how people rated what the word means.

Source: Russell and Mehrabian 1977, "Evidence for a three-factor theory of emotions", Journal of Research in
Personality 11, 273-294, https://doi.org/10.1016/0092-6566(77)90037-X, the terms happy, surprised, sad, angry,
disgusted and fearful.
Neutral is the middle of the scales by definition, and no term of theirs.
"""


# --- texts --------------------------------------------------------------------------------------------------------

# fmt: off
GOEMOTIONS_LABELS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)
# fmt: on
"""GoEmotions' 27 emotions and neutral, in the order of its ``emotions.txt`` (Demszky et al. 2020, arXiv 2005.00547)."""

_GOEMOTIONS_GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "happiness": (
        *("joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride"),
        *("admiration", "desire", "caring"),
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}

GOEMOTIONS_TO_FUSED: Mapping[str, str | None] = {
    label: group for group, labels in _GOEMOTIONS_GROUPS.items() for label in labels
}
"""The authors' grouping by Ekman's six and neutral (``ekman_mapping.json``; Demszky et al. 2020, section 5.1)."""

MELD_LABELS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
"""MELD's seven, in the order of its paper (Poria et al. 2019, arXiv 1810.02508)."""

MELD_TO_FUSED: Mapping[str, str | None] = {label: "happiness" if label == "joy" else label for label in MELD_LABELS}
"""The same seven under other names."""

ISEAR_LABELS = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
"""The seven situations that ISEAR asked for, in its numbering from 1 (Scherer and Wallbott 1994)."""

ISEAR_TO_FUSED: Mapping[str, str | None] = {
    "joy": "happiness", "fear": "fear", "anger": "anger", "sadness": "sadness", "disgust": "disgust",
    "shame": None, "guilt": None,
}  # fmt: skip
"""Shame and guilt are left out: none of the seven is either."""

DAILYDIALOG_LABELS = ("no emotion", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""DailyDialog's numbers 0 to 6 (Li et al. 2017, arXiv 1710.03957)."""

DAILYDIALOG_TO_FUSED: Mapping[str, str | None] = {
    label: "neutral" if label == "no emotion" else label for label in DAILYDIALOG_LABELS
}
"""The authors' Ekman labels; what has none is neutral."""


# --- voices -------------------------------------------------------------------------------------------------------

VOICE_CODES: Mapping[str, Mapping[str, str]] = {
    "ravdess": {
        "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
        "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
    },
    "emodb": {
        "W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral",
    },
    "banglaser": {"01": "happy", "02": "sad", "03": "angry", "04": "surprise", "05": "neutral"},
    "tess": {
        "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy",
        "ps": "pleasant surprise", "sad": "sad", "neutral": "neutral",
    },
    "crema_d": {
        "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
    },
    "savee": {
        "a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness", "su": "surprise",
    },
    "iemocap": {
        "ang": "anger", "hap": "happiness", "exc": "excitement", "sad": "sadness", "neu": "neutral",
        "fru": "frustration", "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": "no agreement",
    },
}  # fmt: skip
"""What each corpus of voices calls its emotions in names or tables, onto its own words, in published order.

Source: RAVDESS: Livingstone and Russo 2018, https://doi.org/10.1371/journal.pone.0196391. EmoDB: Burkhardt et al. 2005,
http://emodb.bilderbar.info/docu (the letters stand for the German words). BanglaSER: Das et al. 2022,
https://doi.org/10.1016/j.dib.2022.108091. TESS: Pichora-Fuller and Dupuis 2020, https://doi.org/10.5683/SP2/E8H2MF.
CREMA-D: Cao et al. 2014, https://doi.org/10.1109/TAFFC.2014.2336244. SAVEE: Haq and Jackson 2009, its ``Info.txt``.
IEMOCAP: Busso et al. 2008, https://doi.org/10.1007/s10579-008-9076-6.
"""

NATIVE_LABELS: Mapping[str, tuple[str, ...]] = {
    **{corpus: tuple(codes.values()) for corpus, codes in VOICE_CODES.items()},
    "manifest": FUSED_LABELS,
}
"""The labels that each corpus of voices gives itself, in published order. A manifest uses the fused ones."""

VOICE_TO_FUSED: Mapping[str, Mapping[str, str | None]] = {
    "ravdess": {
        "neutral": "neutral", "calm": "neutral", "happy": "happiness", "sad": "sadness",
        "angry": "anger", "fearful": "fear", "disgust": "disgust", "surprised": "surprise",
    },
    "emodb": {
        "anger": "anger", "boredom": None, "disgust": "disgust", "fear": "fear",
        "happiness": "happiness", "sadness": "sadness", "neutral": "neutral",
    },
    "banglaser": {
        "happy": "happiness", "sad": "sadness", "angry": "anger", "surprise": "surprise", "neutral": "neutral",
    },
    "tess": {
        "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
        "pleasant surprise": "surprise", "sad": "sadness", "neutral": "neutral",
    },
    "crema_d": {
        "anger": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
        "neutral": "neutral", "sad": "sadness",
    },
    "savee": {
        "anger": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happiness",
        "neutral": "neutral", "sadness": "sadness", "surprise": "surprise",
    },
    "iemocap": {
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral", "frustration": None, "fear": "fear", "surprise": "surprise", "disgust": "disgust",
        "other": None, "no agreement": None,
    },
    "manifest": {label: label for label in FUSED_LABELS},
}  # fmt: skip
"""Each native label onto one of ``FUSED_LABELS``; None is left out.

Calm counts as neutral: RAVDESS recorded it as a second baseline (Livingstone and Russo 2018). Boredom and frustration
have no counterpart among the seven. Excitement counts as happiness, as is usual for IEMOCAP (Yoon et al. 2018, arXiv
1810.04635).
"""

IEMOCAP_LABEL_SETS: Mapping[int, Mapping[str, str]] = {
    4: {
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral",
    },
    5: {
        "anger": "anger", "happiness": "happiness", "excitement": "happiness", "sadness": "sadness",
        "neutral": "neutral", "frustration": "frustration",
    },
    6: {
        "anger": "anger", "happiness": "happiness", "excitement": "excitement", "sadness": "sadness",
        "neutral": "neutral", "frustration": "frustration",
    },
}  # fmt: skip
"""The usual sets of 4, 5 and 6 classes of IEMOCAP: native label onto class; what does not stand there is left out."""

IEMOCAP_LABELS = ("anger", "happiness", "sadness", "neutral")
"""The order of the four (Yoon et al. 2018); happiness includes excitement."""
