"""Measures the time of the audio pipeline by step: ``python tests/benchmarks/voice_pipeline.py``, prints JSON.

Seconds of processing per second of sound, each stage alone in this process on this machine's cores, medians of several
rounds: reading and resampling, voice activity, features (MFCCs and prosody), the encoder one utterance at a time and
in batches. ``--memory`` also runs the whole command on one minute and on two hours of speech, and reports the peak
resident size of each process. The speech is the tests' synthetic voice, unless ``--speech FILE`` names a recording.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_pipeline import run
from numpy.typing import NDArray

from multimodal.data.media.audio import read_audio
from multimodal.data.speech.utterances import read_speech
from multimodal.data.speech.voice_activity import VoiceActivity
from multimodal.encoders.audio import encode_speaker
from multimodal.encoders.mfcc import Mfcc, MfccSettings
from multimodal.encoders.voice.features import voice_features
from multimodal.models.weights import load_weights

sys.path.append(str(Path(__file__).resolve().parents[1] / "helpers"))
from speech_fixtures import babble, joined, silence

RATE = 16000
SECONDS = 60


def write_wave(path: Path, sound: NDArray[np.float32], times: int = 1) -> None:
    content = (sound * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for _ in range(times):
            file.writeframes(content)


def seconds_of(job: Callable[[], Any], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def stages(path: Path, rounds: int) -> dict[str, Any]:
    weights = load_weights("default", "audio")
    mfcc = Mfcc(MfccSettings(**weights.spec.mfcc))
    blocks = list(read_audio(path))
    whole = np.concatenate([block.samples for block in blocks])
    spoken = [each.samples for each in read_speech(blocks)]
    features = voice_features(spoken, mfcc)
    sound, speech = len(whole) / RATE, sum(map(len, spoken)) / RATE
    activity = VoiceActivity()
    jobs: dict[str, tuple[Callable[[], Any], float]] = {
        "read": (lambda: list(read_audio(path)), sound),
        "voice_activity": (lambda: activity.probabilities(whole[: len(whole) // 512 * 512]), sound),
        "features": (lambda: voice_features(spoken, mfcc), speech),
        "features_batch_1": (lambda: [voice_features([each], mfcc) for each in spoken], speech),
        "encoder": (lambda: encode_speaker(weights.network, features), speech),
        "encoder_batch_1": (lambda: [encode_speaker(weights.network, [each]) for each in features], speech),
    }
    for job, _ in jobs.values():
        job()
    figures = {f"{name}_seconds_per_second": round(seconds_of(job, rounds) / of, 5) for name, (job, of) in jobs.items()}
    return {"sound_seconds": round(sound, 1), "speech_seconds": round(speech, 1), "utterances": len(spoken), **figures}


def memory(sound: NDArray[np.float32], folder: Path) -> dict[str, float]:
    report = {}
    for minutes in (1, 120):
        clip = folder / f"{minutes}.wav"
        write_wave(clip, sound, minutes * 60 * RATE // len(sound))
        command = (sys.executable, "-m", "multimodal.infer", clip, "--out", folder / "out", "--quiet")
        seconds, megabytes = run(*command, "--modalities", "audio")
        report |= {f"seconds_{minutes}_min": round(seconds, 1), f"peak_megabytes_{minutes}_min": round(megabytes)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speech", type=Path, help="a recording instead of the synthetic voice")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="also 1 minute and 2 hours, which takes minutes")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    report |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = joined(*(part for seed in range(SECONDS // 5) for part in (babble(4.0, seed=seed), silence(1.0))))
        clip = options.speech or folder / "speech.wav"
        if options.speech is None:
            write_wave(clip, sound)
        report |= stages(clip, options.rounds)
        if options.memory:
            report |= memory(sound, folder)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
