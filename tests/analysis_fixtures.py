"""Analyzes of any length without a model: everything that an analysis can hold, by a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from multimodal.analysis.result import Analysis
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.fusion.affect import affect_from_norms
from multimodal.types import FaceObservation, MediaInfo, ModalityEstimate, Probabilities, Utterance, UtteranceEstimate

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


def said(label: str, value: float, labels: tuple[str, ...] = FUSED_LABELS) -> ModalityEstimate:
    """An estimate led by one label."""
    return ModalityEstimate(shows(label, value, labels), value)


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
        lacking = number % 7
        face_id = int(number // 9 % people)
        voice = None if lacking == 2 else said(str(random.choice(FUSED_LABELS)), 0.4)
        words = None if lacking in (2, 3) else said(mood, 0.8)
        face = None if lacking == 4 else said(mood if lacking != 5 else "anger", 0.7, FACE_LABELS)
        sure = 0.35 if lacking == 6 else float(random.uniform(0.6, 0.98))
        answer = said(mood, sure)
        valence, arousal = affect_from_norms(answer.probabilities)
        utterance = Utterance(
            float(start), float(end), ("Ada", "Grace <i>")[face_id % 2], texts[number % len(texts)] if words else None
        )
        estimates.append(
            UtteranceEstimate(
                utterance, face, voice, words, answer, lacking == 6, valence, arousal, face_id if face else None
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
