"""States of Whisper's encoder: a row per 80 ms of any length of sound, the same for any number of threads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from voice_signals import pulsing_noise

from multimodal.data.speech.recognition import load_whisper_base
from multimodal.encoders.mfcc import Mfcc
from multimodal.encoders.voice.features import voice_features
from multimodal.encoders.voice.whisper_states import LONGEST_SECONDS, MEL_HOP, STATE_SIZE, SpeechEncoder, pooled

RATE = 16000


class Counter:
    """In place of Whisper: the states of a sound are the numbers of its mel frames' pairs."""

    def feature_extractor(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.arange((len(samples) + 160) // MEL_HOP, dtype=np.float32)[None].repeat(80, 0)

    def encode(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        assert mel.shape[1] <= LONGEST_SECONDS * 100
        return mel[:1, ::2].T[None].repeat(STATE_SIZE, 2)


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0.0, 2), (0.05, 2), (0.1, 2), (0.5, 7), (1.0, 13), (28.0, 350), (28.08, 352), (60.0, 750)]
)
def test_a_row_per_step(seconds: float, steps: int) -> None:
    states = SpeechEncoder(Counter()).encode(np.zeros(round(seconds * RATE), np.float32))
    assert states.shape == (steps, STATE_SIZE) and states.dtype == torch.float16


def test_steps_stand_at_their_time() -> None:
    states = SpeechEncoder(Counter()).encode(np.zeros(2 * RATE, np.float32))
    assert states[:3, 0].tolist() == [3.0, 11.0, 19.0]  # the mean of four states, two mel frames apart


def test_an_incomplete_step_is_the_mean_of_what_is_there() -> None:
    rows = torch.randn(11, 3)
    expected = torch.stack([rows[:4].mean(0), rows[4:8].mean(0), rows[8:].mean(0)])
    torch.testing.assert_close(pooled(rows).float(), expected, atol=2e-3, rtol=2e-3)


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any]:
    loaded = tuple(load_whisper_base(threads) for threads in (1, 2))
    if loaded[0] is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain("the offline extra is not installed")
    return loaded  # type: ignore[return-value]


@pytest.mark.slow
def test_threads_and_other_utterances_change_nothing(models: tuple[Any, Any]) -> None:
    sounds = [pulsing_noise(seconds).astype(np.float32) for seconds in (0.3, 2.0, 5.0)]
    one, two = (SpeechEncoder(model) for model in models)
    together = voice_features(sounds, Mfcc(), one)
    for sound, each in zip(sounds, together, strict=True):
        (alone,) = voice_features([sound], Mfcc(), two)
        assert each.speech_states is not None and alone.speech_states is not None
        assert torch.equal(each.speech_states, alone.speech_states)
        assert abs(len(each.speech_states) - len(each.frames) / 8) <= 1
