"""Analyses without a model: of any length by seed, and cases that are hard to export with their expected exports."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from multimodal.analysis.result import Analysis, SavedNumbers
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.fusion.affect import affect_from_norms
from multimodal.types import (
    USABILITY_LABELS,
    FaceObservation,
    MediaInfo,
    ModalityEstimate,
    Probabilities,
    Utterance,
    UtteranceEstimate,
)

HOSTILE = (
    "</script><script>document.title='pwned'</script>",
    "<img src=x onerror=\"document.title='pwned'\"> & \"quotes\" 'single' `ticks` ${1+1} {{7*7}}",
    "مرحبا، لم أجد الزر في أي مكان على الصفحة.",
    "לא מצאתי את הכפתור 🙂🙃 and then English again.",
    "👩‍👩‍👧‍👦 😀 🎉 that was great!",
    "--> 00:00:01.000 NOTE <c.red>not a cue</c> ]]> &amp; \u2028 line \u2029 separators",
)
"""What a transcript may hold: markup, right-to-left script, emoji, other formats' own signs."""

MODELS = {
    "face": {"name": "se_resnet_pair.test-v1", "sha256": "a" * 64},
    "audio": {"name": "conv_bigru.test-v1", "sha256": "b" * 64},
    "text": {"name": "minilm_l6.test-v1", "sha256": "c" * 64},
    "fusion": {"name": "dual_recurrent.test-v1", "sha256": "d" * 64},
}


def shows(label: str, value: float, labels: tuple[str, ...] = FUSED_LABELS) -> Probabilities:
    """Probabilities led by one label; the rest is shared alike."""
    return {name: value if name == label else (1 - value) / (len(labels) - 1) for name in labels}


def estimate_of(label: str, value: float, labels: tuple[str, ...] = FUSED_LABELS) -> ModalityEstimate:
    """An estimate led by one label."""
    return ModalityEstimate(shows(label, value, labels))


def usability_of(number: int) -> Probabilities:
    """Probabilities of the usability labels, led by each in turn, every fifth time by less than half."""
    label = USABILITY_LABELS[number % len(USABILITY_LABELS)]
    return shows(label, 0.4 if number % 5 == 4 else 0.8, USABILITY_LABELS)


def present(**estimates: ModalityEstimate | None) -> dict[str, ModalityEstimate]:
    """Those that are there."""
    return {name: estimate for name, estimate in estimates.items() if estimate is not None}


def without(estimate: UtteranceEstimate, *modalities: str) -> dict[str, ModalityEstimate]:
    """The estimates of the other modalities."""
    return {name: each for name, each in estimate.estimates.items() if name not in modalities}


def make_analysis(
    path: Path, seconds: float = 60.0, texts: tuple[str, ...] = HOSTILE, seed: int = 0, people: int = 2
) -> Analysis:
    """An interview of two people: utterances of 4 s, each seventh silent, without a face, without a voice, or unsure.

    Args:
        path: Of the recording, which need not be there.
        seconds: How long it is.
        texts: What is said, in turn.
        seed: Of the emotions.
        people: How many faces are seen.
    """
    random = np.random.default_rng(seed)
    media = MediaInfo(path, "ab" * 32, seconds, 640, 360, 30.0, True, True)
    estimates, faces, times = [], [], []
    mood = "neutral"
    for number, start in enumerate(np.arange(0.0, seconds, 4.0)):
        end = min(start + 4.0, seconds)
        mood = mood if random.random() < 0.6 else str(random.choice(FUSED_LABELS))
        case = number % 7
        face_id = int(number // 9 % people)
        voice = None if case == 2 else estimate_of(str(random.choice(FUSED_LABELS)), 0.4)
        words = None if case in (2, 3) else estimate_of(mood, 0.8)
        face = None if case == 4 else estimate_of(mood if case != 5 else "anger", 0.7, FACE_LABELS)
        sure = 0.35 if case == 6 else float(random.uniform(0.6, 0.98))
        answer = estimate_of(mood, sure)
        valence, arousal = affect_from_norms(answer.probabilities)
        utterance = Utterance(
            float(start), float(end), ("Ada", "Grace <i>")[face_id % 2], texts[number % len(texts)] if words else None
        )
        estimates.append(
            UtteranceEstimate(
                utterance,
                present(face=face, audio=voice, text=words),
                answer,
                case == 6,
                valence,
                arousal,
                face_id if face else None,
                usability=None if words is None else usability_of(number),
            )
        )
        for time in np.arange(start, end, 0.2):
            times.append(round(float(time), 4))
            if face is None:
                continue
            quality = "clear" if random.random() < 0.9 else "blurred"
            box = (100.0 + 200 * face_id + 3 * number % 40, 80.0, 120.0, 140.0)
            scored = dict(face.probabilities) if quality == "clear" else None
            faces.append(FaceObservation(times[-1], face_id, box, 0.97, quality, scored))
    source = {"source": "norms", "reference": "Russell and Mehrabian 1977"}
    warnings = ("audio: breaks off at 12.3 s; what comes after was not heard <b>",)
    return Analysis(media, MODELS, FUSED_LABELS, tuple(times), tuple(faces), tuple(estimates), warnings, source)


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
        UtteranceEstimate(
            Utterance(start, end, speaker, text), {"text": estimate_of("anger", 0.8)}, fused=estimate_of("anger", 0.756)
        )
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
            {"text": estimate_of("happiness", 0.6)},
            fused=estimate_of("anger" if number else "happiness", 0.8),
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
        probabilities = {name: 0.8 if name == label else 0.1 for name in labels}
        estimate = ModalityEstimate(probabilities)
        estimates.append(
            UtteranceEstimate(Utterance(number, number + 1, None, "so"), {"text": estimate}, fused=estimate)
        )
    plain = make_analysis(path, 3.0)
    analysis = replace(plain, emotions=labels, estimates=tuple(estimates), faces=())
    shares = dict.fromkeys(labels, 0.3333)
    by_signal = {"face": None, "audio": None, "text": shares}
    summary = {**plain.summary, "shares": shares, "shares_by_modality": by_signal, "mean_valence": None}
    analysis = replace(analysis, saved_numbers=SavedNumbers(analysis.estimates, summary, plain.coverage))
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


NOTHING = MediaInfo(Path("answer.txt"), "cd" * 32, 0.0, None, None, None, False, False)


def answers(*labels: str, texts: tuple[str, ...] = HOSTILE) -> Analysis:
    """Typed answers, which have no times."""
    estimates = tuple(
        UtteranceEstimate(
            Utterance(0.0, 0.0, None, texts[at % len(texts)]),
            {"text": estimate_of(label, 0.8)},
            fused=estimate_of(label, 0.7),
        )
        for at, label in enumerate(labels)
    )
    models = {"face": None, "audio": None, "text": {"name": "words.test-v1", "sha256": "c" * 64}}
    return Analysis(NOTHING, models, FUSED_LABELS, (), (), estimates)


def incomplete_analysis(seed: int) -> Analysis:
    """An analysis in which anything may be missing, overlap, have no length, or reach beyond the end."""
    draw = np.random.default_rng(seed)
    whole = make_analysis(Path("talk.mp4"), float(draw.choice([0.3, 1.0, 5.0, 40.0, 130.0])), seed=seed, people=3)
    estimates = []
    for each in whole.estimates:
        utterance = each.utterance
        absent = [name for name in ("face", "audio", "text", "fused") if draw.random() < 0.3]
        if draw.random() < 0.5:
            end = float(draw.choice([utterance.start_seconds, utterance.end_seconds + 30.0]))
            utterance = Utterance(utterance.start_seconds, end, None, utterance.text)
        fused = None if "fused" in absent else each.fused
        uncertain = each.uncertain and fused is not None
        changes = {"estimates": without(each, *absent), "fused": fused, "uncertain": uncertain}
        estimates.append(replace(each, utterance=utterance, **changes))
    remaining = tuple(estimates[: int(draw.choice([0, 1, len(estimates)]))])
    actual = replace(whole, estimates=remaining)
    if draw.random() < 0.3:
        actual = replace(actual, faces=(), frame_times=whole.frame_times[:1])
    if draw.random() < 0.3:
        actual = replace(actual, models=dict.fromkeys(whole.models), valence_arousal=None)
    return actual


def observed_face(
    time: float, box: tuple[float, float, float, float], emotion: str | None = "happiness"
) -> FaceObservation:
    """A face that shows an emotion, or one that is too small to be judged."""
    if emotion is None:
        return FaceObservation(time, 1, box, 0.9, "tiny")
    return FaceObservation(time, 0, box, 0.9, "clear", shows(emotion, 0.9, FACE_LABELS))
