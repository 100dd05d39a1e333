"""Analyzes that are hard to export, and what each utterance must become, worked out apart from the program."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from analysis_fixtures import MODELS, make_analysis, said

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FUSED_LABELS
from multimodal.types import MediaInfo, ModalityEstimate, Utterance, UtteranceEstimate

CONTROLS = "one\x00two\x1b[31m three\x0b\ufffe\uffff\ud800 four\r\nfive\n\n six \u0085\u2028 \"said\" 'so' \\ end"
"""Control codes, characters that are none, half a pair, line ends, quotes."""


def hard_analysis(path: Path) -> Analysis:
    """Forty seconds of hostile transcripts, and people who talk at once, for no time, or without saying anything."""
    plain = make_analysis(path, 40.0)
    more = (
        (1.0, 3.0, "Grace <i>", "while Ada talks"),
        (2.0, 2.5, "Ada", "Ada over Ada"),
        (6.0, 6.0, "Ada", "no time at all"),
        (7.0, 7.0004, None, CONTROLS),
        (9.0, 9.5, "Ada (2)", "a name like a lane's"),
        (9.0, 9.5, " Ada\n(2) ", None),
        (40.0, 40.0, None, "at the very end"),
    )
    added = [
        UtteranceEstimate(Utterance(start, end, speaker, text), text=said("anger", 0.8), fused=said("anger", 0.756))
        for start, end, speaker, text in more
    ]
    silent = UtteranceEstimate(Utterance(11.0, 12.0))
    estimates = sorted([*plain.estimates, *added, silent], key=lambda each: each.utterance.start_seconds)
    return replace(plain, estimates=tuple(estimates))


def typed_analysis(path: Path, texts: tuple[str, ...] = ("It was great!", CONTROLS, "-->")) -> Analysis:
    """Lines without times."""
    media = MediaInfo(path, "cd" * 32, 0.0, None, None, None, False, False)
    estimates = tuple(
        UtteranceEstimate(
            Utterance(0.0, 0.0, None, text),
            text=said("happiness", 0.6),
            fused=said("anger" if number else "happiness", 0.8),
            valence=max(0.5 - number / 4, -1.0),
            arousal=0.25,
        )
        for number, text in enumerate(texts)
    )
    models = {**MODELS, "face": None, "audio": None}
    return Analysis(media, models, FUSED_LABELS, (), (), estimates)


def empty_analysis(path: Path) -> Analysis:
    """A recording in which nothing was found."""
    media = MediaInfo(path, "ef" * 32, 4.25, 640, 360, 25.0, True, True)
    times = tuple(number / 5 for number in range(22))
    models = {**MODELS, "text": None, "fusion": None}
    return Analysis(media, models, FUSED_LABELS, times, (), (UtteranceEstimate(Utterance(0.0, 4.25)),))


def foreign_analysis(path: Path) -> Analysis:
    """Of a model, or a file, with labels that are not ours."""
    labels = ("<script>&\x1b\n", "excitement", 'two "words"')
    estimates = []
    for number, label in enumerate(labels):
        own = {name: 0.8 if name == label else 0.1 for name in labels}
        said_so = ModalityEstimate(own, 0.8)
        estimates.append(UtteranceEstimate(Utterance(number, number + 1, None, "so"), text=said_so, fused=said_so))
    plain = make_analysis(path, 3.0)
    analysis = replace(plain, emotions=labels, estimates=tuple(estimates), faces=())
    shares = dict.fromkeys(labels, 0.3333)
    by_signal = {"face": None, "audio": None, "text": shares}
    summary = {**plain.summary, "shares": shares, "shares_by_modality": by_signal, "mean_valence": None}
    analysis.__dict__["summary"] = summary  # as reading a saved analysis sets it
    return analysis


def one_line(text: str | None) -> str:
    """What a format of lines and of XML 1.0 can hold of a text."""
    whole = re.sub("[\ud800-\udfff]", "\ufffd", text or "")
    lines = re.split("[\r\n]", re.sub("[\t\x0b\x0c]", " ", whole))
    legal = (re.sub("[\x00-\x1f\x7f\ufffe\uffff]", "", line).strip() for line in lines)
    return " ".join(line for line in legal if line)


def name_of(speaker: str | None) -> str | None:
    return " ".join(one_line(speaker).split()) or None


def times_of(utterance: Utterance) -> tuple[int, int]:
    """In whole milliseconds, one at least."""
    start, end = round(utterance.start_seconds * 1000), round(utterance.end_seconds * 1000)
    return start, end if end > start else start + 1
