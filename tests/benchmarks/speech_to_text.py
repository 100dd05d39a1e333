"""Measures speech-to-text: ``python tests/benchmarks/speech_to_text.py RECORDING...``, prints JSON.

Seconds of processing per second of recording (the real-time factor), voice activity included, on all cores that the
process may use; loading apart. The recordings are also read as one, since whisper reads windows of 30 s and short files
fill them badly. Medians of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

from multimodal.data.media.audio import read_audio
from multimodal.data.speech.recognition import Recognizer, load_recognizer
from multimodal.types import AudioBlock


def joined(files: Iterable[Path]) -> list[AudioBlock]:
    """All recordings one after the other, half a second apart."""
    blocks, clock = [], 0.0
    for file in files:
        for block in read_audio(file):
            blocks.append(AudioBlock(clock + block.start_seconds, block.samples, block.sample_rate))
        last = blocks[-1]
        clock = last.start_seconds + len(last.samples) / last.sample_rate + 0.5
    return blocks


def seconds_of(recognizer: Recognizer, blocks: list[AudioBlock], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        recognizer.transcribe(blocks)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--asr", help="a folder or a size; else base")
    options = parser.parse_args()
    started = time.perf_counter()
    recognizer = load_recognizer(options.asr)
    if recognizer is None:
        raise SystemExit("there is no speech-to-text model on this machine")
    report = {
        "model": recognizer.name,
        "cores": os.cpu_count(),
        "load_seconds": round(time.perf_counter() - started, 2),
    }
    apart = [list(read_audio(file)) for file in options.recordings]
    whole = joined(options.recordings)
    for name, jobs in (("apart", apart), ("as_one", [whole])):
        seconds = sum(len(block.samples) / block.sample_rate for blocks in jobs for block in blocks)
        taken = sum(seconds_of(recognizer, blocks, options.rounds) for blocks in jobs)
        report |= {f"{name}_sound_seconds": round(seconds, 1), f"{name}_real_time_factor": round(taken / seconds, 3)}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
