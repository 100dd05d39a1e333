# /// script
# requires-python = ">=3.11"
# dependencies = ["librosa==0.11.0", "scipy>=1.14", "numpy>=2.0"]
# ///
"""Writes tests/reference/audio_features.json: what librosa says of the sounds in ``voice_signals``.

MFCCs with the options that ``MfccSettings`` names, pitch by ``yin`` and ``pyin`` around the same middles of the frames,
and spectral centroids. The tests that read the result need neither librosa nor scipy:

    python tests/reference_scripts/make_audio_reference.py
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import scipy.signal

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "helpers"))

from voice_signals import RATE, Signal, Track, reference_signals

FILE = TESTS / "reference" / "audio_features.json"
WINDOW, HOP, TRANSFORM = 400, 160, 512
PITCH_WINDOW = 1024
FLOOR = 1e-6
WITH_MFCC = ("tone", "a", "i")  # the others would only make the file larger


def mfcc(samples: Signal) -> Track:
    """``(frames, 39)``; librosa cuts frames as long as the transform, so the sound gets zeros on both sides."""
    padded = np.pad(samples, (TRANSFORM - WINDOW) // 2)
    mel = librosa.feature.melspectrogram(
        y=padded, sr=RATE, n_fft=TRANSFORM, win_length=WINDOW, hop_length=HOP, window="hann", center=False, power=2.0,
        n_mels=40, fmin=20.0, fmax=7600.0, htk=True, norm=None,
    )  # fmt: skip
    logarithm = librosa.power_to_db(mel, ref=1.0, amin=FLOOR, top_db=None) * math.log(10) / 10
    static = librosa.feature.mfcc(S=logarithm, n_mfcc=13, dct_type=2, norm="ortho", lifter=0)
    slopes = librosa.feature.delta(static, width=5, order=1, mode="nearest")
    return np.concatenate([static, slopes, librosa.feature.delta(slopes, width=5, order=1, mode="nearest")]).T


def pitches(samples: Signal) -> dict[str, list[float]]:
    """Hertz of each frame; 0 where ``pyin`` hears no voice."""
    ahead = (PITCH_WINDOW - WINDOW) // 2
    padded = np.pad(samples, ahead)
    options: dict[str, Any] = {"fmin": 60, "fmax": 500, "sr": RATE, "frame_length": PITCH_WINDOW, "hop_length": HOP}
    yin = librosa.yin(padded, center=False, **options)
    pyin, _, _ = librosa.pyin(padded, center=False, **options)
    return {"yin": yin.round(2).tolist(), "pyin": np.nan_to_num(pyin).round(2).tolist()}


def centroids(samples: Signal) -> list[float]:
    """Hertz of each frame, by amplitude from 50 to 5000 Hz."""
    window = scipy.signal.get_window("hann", WINDOW)
    cut = librosa.util.frame(samples - samples.mean(), frame_length=WINDOW, hop_length=HOP)
    amplitude = np.abs(np.fft.rfft(cut * window[:, None], n=TRANSFORM, axis=0))
    hertz = np.fft.rfftfreq(TRANSFORM, 1 / RATE)
    inside = (hertz >= 50) & (hertz <= 5000)
    return librosa.feature.spectral_centroid(S=amplitude[inside], freq=hertz[inside])[0].round(1).tolist()


def main() -> None:
    sounds = reference_signals()
    lines = [f'  "program": "librosa {librosa.__version__}"']
    for name, (samples, _) in sounds.items():
        facts: dict[str, Any] = {**pitches(samples), "centroid": centroids(samples)}
        if name in WITH_MFCC:
            facts["mfcc"] = mfcc(samples).astype(float).round(4).tolist()
        lines.append(f'  "{name}": {json.dumps(facts, separators=(",", ":"))}')
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
