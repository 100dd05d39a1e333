"""Compares three ways to write a reel: ``python tests/benchmarks/reel.py VIDEO... [--pairs 5]``, prints JSON.

``moviepy`` is the shipped way: moviepy composes, PyAV decodes and encodes. ``pyav`` composes by hand, with the same
readers and writer. ``moviepy_file`` is moviepy's own ``write_videofile``, which hands pictures of a constant rate to an
ffmpeg program. Each run is a whole process on at most two cores, its start and imports included; the ways take turns,
and the median is reported. The reel has five parts, one in each fifth of the video.

Step is measured on reels of made-up clips that flash and beep at once: the largest distance in milliseconds between a
flash and its beep, and between a flash and the time at which it must come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from media_flashes import analysis_of, beeps_of, flashes_of, write_flashes

from multimodal.analysis.loading import read_analysis
from multimodal.data.media.probe import probe

WAYS = ("pyav", "moviepy", "moviepy_file")
EMOTIONS = ("happiness", "anger", "fear", "sadness", "surprise")
CORES = 2

PROGRAM = '''
import csv, json, os, sys, tempfile
from pathlib import Path
import numpy as np
from multimodal.analysis.loading import read_analysis
from multimodal.data.media.playback import read_pictures
from multimodal.data.media.writer import MovieWriter, render_clip
from multimodal.video import clips, reel

way, analysis, folder, padding = sys.argv[1], read_analysis(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])

class Later:
    """Writes to a file from a later time on."""
    def __init__(self, writer, at):
        self.writer, self.at, self.before, self.sound = writer, at, writer.sound_seconds, writer.sound
    sound_seconds = property(lambda self: self.writer.sound_seconds - self.before)
    def picture(self, seconds, image):
        self.writer.picture(self.at + seconds, image)

def by_hand(writer, parts, *, size, sound, fade_seconds):
    for part in parts:
        draw = lambda seconds, image: np.concatenate([image, part.caption(seconds)])
        render_clip(part.clip, Later(writer, part.at_seconds), size=size, sound=sound, draw=draw, full_length=True,
                    fade_seconds=fade_seconds)

def screen(part, size):
    from moviepy import VideoClip
    pictures = read_pictures(part.clip, size, lead=True)
    held = {"now": next(pictures)}
    held["next"] = next(pictures, None)
    def at(t):
        while held["next"] is not None and held["next"][0] <= part.clip.start_seconds + t + 1e-6:
            held["now"], held["next"] = held["next"], next(pictures, None)
        return held["now"][1]
    return VideoClip(at, duration=part.clip.seconds)

def by_file(writer, parts, *, size, sound, fade_seconds):
    from moviepy import CompositeVideoClip, VideoClip, concatenate_videoclips
    made = []
    for part in parts:
        start, draw = part.clip.start_seconds, part.caption
        card = VideoClip(lambda t, start=start, draw=draw: draw(start + t), duration=part.clip.seconds)
        layers = [screen(part, size), card.with_position((0, size[1]))]
        page = CompositeVideoClip(layers, size=(size[0], size[1] + card.h), bg_color=(0, 0, 0))
        made.append(page.with_audio(reel.PartSound(part.clip, *sound).as_moviepy(fade_seconds)))
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) / "reel.mp4"
        concatenate_videoclips(made).write_videofile(
            str(target), fps=analysis.media.frame_rate, codec="libx264", audio_codec="aac", preset="veryfast",
            audio_fps=sound[0], ffmpeg_params=["-crf", "23"], logger=None, temp_audiofile_path=name,
            pixel_format="yuv420p")
        Path(sys.argv[3], "file.mp4").write_bytes(target.read_bytes())

if way != "moviepy":
    reel.write_reel = by_hand if way == "pyav" else by_file
cuts = clips.cut_clips(analysis, folder, kinds=["peak"], padding_seconds=padding, reel=True)
print(json.dumps([[cut.at_seconds, cut.start_seconds, cut.end_seconds] for cut in cuts]))
'''


def write_with(way: str, result: Path, folder: Path, padding: float) -> tuple[list[list[float]], float, float]:
    """Writes a reel in a process of its own; gives its cuts, wall-clock seconds and peak memory in megabytes."""

    def limit_cores() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])

    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", PROGRAM, way, str(result), str(folder), str(padding)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, preexec_fn=limit_cores) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{way}: failed with code {process.returncode}")
    return json.loads(text), seconds, usage.ru_maxrss / 1024


def measure_time(video: Path, folder: Path, pairs: int) -> dict[str, Any]:
    """Median seconds per way; the ways take turns."""
    length = probe(video).duration_seconds / len(EMOTIONS)
    spoken = [(length * k + 0.2, length * (k + 1) - 0.2, emotion, 0.9) for k, emotion in enumerate(EMOTIONS)]
    texts = ["I could not find the button, so I went back."] * len(EMOTIONS)
    analysis_of(video, spoken, texts=texts).save(folder / "result")
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    memory: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    for _ in range(pairs):
        for way in WAYS:
            _, seconds, megabytes = write_with(way, folder / "result", folder / way, 0.0)
            runs[way].append(seconds)
            memory[way] = max(memory[way], megabytes)
    medians = {way: statistics.median(times) for way, times in runs.items()}
    return {
        "seconds": {way: round(median, 2) for way, median in medians.items()},
        "relative_to_pyav": {way: round(median / medians["pyav"], 2) for way, median in medians.items()},
        "peak_megabytes": {way: round(peak) for way, peak in memory.items()},  # of Python, without the ffmpeg program
        "runs_seconds": {way: [round(each, 2) for each in times] for way, times in runs.items()},
    }


def measure_step(folder: Path, padding: float, times_ms: list[int], flashes_ms: list[int]) -> dict[str, Any]:
    """Largest distance of a flash from its beep, and from its due time, per way, in milliseconds."""
    seconds = 30.0
    sound = ("aac", "fltp", 44100, 2)
    clip = write_flashes(folder / "flashes.mp4", seconds, flashes_ms, times_ms=times_ms, size=(320, 180), sound=sound)
    spoken = [(5.0 * k + 1.0, 5.0 * k + 4.0, emotion, 0.9) for k, emotion in enumerate(EMOTIONS)]
    analysis_of(clip, spoken).save(folder / "result")
    frame_rate = read_analysis(folder / "result").media.frame_rate
    facts: dict[str, Any] = {"frame_rate": round(frame_rate or 0.0, 2)}
    for way in WAYS:
        cuts = write_with(way, folder / "result", folder / way, padding)[0]
        reel = folder / way / ("file.mp4" if way == "moviepy_file" else "reel.mp4")
        due = [
            at + flash / 1000 - start for at, start, end in cuts for flash in flashes_ms if start <= flash / 1000 < end
        ]
        flashes, beeps = flashes_of(reel), beeps_of(reel)
        if not len(due) == len(flashes) == len(beeps):
            facts[way] = f"{len(due)} flashes due, {len(flashes)} written, {len(beeps)} beeps"
            continue
        apart = [1000 * (flash - beep) for flash, beep in zip(flashes, beeps, strict=True)]
        late = [1000 * (flash - time) for flash, time in zip(flashes, due, strict=True)]
        facts[way] = {"flash_from_beep_ms": [round(min(apart), 1), round(max(apart), 1)],
                      "flash_from_due_ms": [round(min(late), 1), round(max(late), 1)]}  # fmt: skip
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    flashes = [2000, 7000, 12000, 12600, 17000, 22000]
    uneven = [k * 33 + (k * 7919) % 23 for k in range(900)]  # as a phone writes: 10 to 55 ms apart
    nearest = [min(uneven, key=lambda time: abs(time - flash)) for flash in flashes]
    with tempfile.TemporaryDirectory() as name:
        facts: dict[str, Any] = {"cores": CORES, "machine": platform.machine(), "load": os.getloadavg()[0]}
        steps = {
            "constant_rate_cuts_on_pictures": (0.4, list(range(0, 30000, 40)), flashes),
            "constant_rate_cuts_between_pictures": (0.313, list(range(0, 30000, 40)), flashes),
            "variable_rate": (0.4, uneven, nearest),
        }
        for title, (padding, times, at) in steps.items():
            folder = Path(name) / title
            folder.mkdir()
            facts[title] = measure_step(folder, padding, times, at)
        for video in arguments.videos:
            facts[video.name] = measure_time(video, Path(name) / f"time-{video.stem}", arguments.pairs)
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
