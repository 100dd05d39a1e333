"""Hypothesis strategies for the inputs of the fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.fusion.alignment import Floats, FusionInputs, build_inputs, tolerance_seconds
from multimodal.types import MODALITIES

SIZES = {"face": 3, "audio": 2, "text": 4}


@dataclass(frozen=True)
class Scene:
    """What is known of one utterance, of any kind."""

    start: float
    end: float
    half: float
    said: dict[str, dict[str, float]]
    audio: tuple[Floats, Floats]
    face: tuple[Floats, Floats]
    text: Floats

    def streams(self, **changed: Any) -> FusionInputs:
        arguments = {"audio": self.audio, "face": self.face, "text": self.text, "tolerance_seconds": self.half}
        return build_inputs(self.start, self.end, changed.pop("said", self.said), **{**arguments, **changed})


def shares(labels: tuple[str, ...], rng: np.random.Generator) -> dict[str, float]:
    return dict(zip(labels, rng.dirichlet([0.3] * len(labels)).tolist(), strict=True))


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Utterances down to no length, voices that cover a part of them, faces seen now and then, any signals."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    start, length = draw(st.floats(0, 1e4)), draw(st.one_of(st.just(0.0), st.floats(0.01, 30)))
    states = draw(st.integers(1, 60))
    begin, spacing = start + draw(st.floats(0, 1)), draw(st.sampled_from([0.01, 0.0736, 0.08, 0.5]))
    times = begin + (np.arange(states) + 0.5) * spacing
    rate = draw(st.sampled_from([1.0, 5.0, 12.5, 30.0]))
    frames = start + np.arange(0, max(length, 1e-3), 1 / rate)
    face_times = frames[rng.random(len(frames)) < draw(st.sampled_from([0.0, 0.1, 0.7, 1.0]))]
    modalities = draw(st.sets(st.sampled_from(MODALITIES), min_size=1))
    labels = {"face": FACE_LABELS, "audio": FUSED_LABELS, "text": FUSED_LABELS}
    return Scene(
        *(start, start + length, tolerance_seconds(frames)),
        {name: shares(labels[name], rng) for name in sorted(modalities)},
        (times, rng.standard_normal((states, SIZES["audio"])).astype(np.float32)),
        (face_times, rng.standard_normal((len(face_times), SIZES["face"])).astype(np.float32)),
        rng.standard_normal((draw(st.integers(0, 5)), SIZES["text"])).astype(np.float32),
    )
