"""Measures the writing of overlays and clips: ``python tests/benchmarks/overlay.py``, prints JSON.

Each size is ``multimodal.sample``'s interview with its sound, scaled; faces and answers are those of the tests' made-up
analysis, so that nothing but reading, drawing and writing is timed. Every run is a process of its own on at most two
cores, its start left out; the median is reported, with seconds of video written per second. Memory is the peak resident
size for 1 and for 10 minutes of one clip, looped without decoding it. A clip of five seconds is cut near the beginning
and near the end of the ten minutes: the place must not matter.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import av

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from analysis_fixtures import make_analysis

from multimodal.data.media.probe import probe
from multimodal.sample import make_sample

SIZES = ((640, 360), (1280, 720))
SECONDS = 60
CORES = 2

OVERLAY = """
import json, resource, sys, time
from pathlib import Path
from multimodal.analysis.loading import read_analysis
from multimodal.video.overlay import write_overlay
analysis = read_analysis(sys.argv[1])
started = time.perf_counter()
write_overlay(analysis, Path(sys.argv[2]))
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""

CLIP = """
import json, sys, time
from pathlib import Path
from multimodal.data.media.playback import Clip, audio_format, output_size
from multimodal.data.media.probe import probe
from multimodal.data.media.writer import MovieWriter, render_clip
info, start = probe(sys.argv[1]), float(sys.argv[3])
size, sound = output_size(info), audio_format(info.path)
started = time.perf_counter()
with MovieWriter(Path(sys.argv[2]), size, info.frame_rate, *sound) as writer:
    clip = Clip(info.path, start, start + 5)
    render_clip(clip, writer, size=size, sound=sound, full_length=True, fade_seconds=0.03)
print(json.dumps([time.perf_counter() - started]))
"""


def scaled(source: Path, target: Path, width: int, height: int) -> Path:
    """The clip in another size, its sound copied."""
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = writing.add_stream_from_template(reading.streams.audio[0])
        for packet in reading.demux(video=0, audio=0):
            if packet.stream.type == "video":
                for frame in packet.decode():
                    writing.mux(stream.encode(frame.reformat(width, height)))
            elif packet.size:
                packet.stream = sound
                writing.mux(packet)
        writing.mux(stream.encode(None))
    return target


def looped(source: Path, target: Path, times: int) -> Path:
    """Copies the packets again and again, with later times."""
    with av.open(str(target), "w") as writing:
        tracks: list[Any] = []
        for turn in range(times):
            with av.open(str(source)) as reading:
                streams = [reading.streams.video[0], reading.streams.audio[0]]
                tracks = tracks or [writing.add_stream_from_template(track) for track in streams]
                for packet in reading.demux(*streams):
                    if packet.size and packet.pts is not None and packet.dts is not None:
                        offset = round(turn * (SECONDS + 0.2) / packet.time_base)  # AAC overhangs a little
                        track = tracks[streams.index(packet.stream)]
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = track
                        writing.mux(packet)
    return target


def analyzed(clip: Path, folder: Path, width: int, height: int) -> Path:
    """An analysis of a clip with two faces and an answer every four seconds."""
    media = probe(clip)
    made = make_analysis(clip, media.duration_seconds, ("I could not find the button, so I went back.",))
    scale = width / 640
    faces = tuple(replace(each, box=tuple(value * scale for value in each.box)) for each in made.faces)
    replace(made, media=media, faces=faces).save(folder)
    return folder


def run(program: str, *arguments: str | Path) -> list[float]:
    def two_cores() -> None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])

    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, preexec_fn=two_cores
    )
    figures: list[float] = json.loads(finished.stdout)
    return figures


def measure(folder: Path, source: Path, width: int, height: int, repeats: int) -> dict[str, Any]:
    clip = scaled(source, folder / f"{width}.mp4", width, height)
    result = analyzed(clip, folder / f"result-{width}", width, height)
    runs = [run(OVERLAY, result, folder / "out") for _ in range(repeats)]
    seconds = statistics.median(each[0] for each in runs)
    return {
        "video_seconds_per_second": round(SECONDS / seconds, 2),
        "runs_seconds": [round(each[0], 2) for each in runs],
        "peak_megabytes_1_minute": round(runs[0][1]),
    }


def measure_long(folder: Path, repeats: int) -> dict[str, Any]:
    clip = looped(folder / "640.mp4", folder / "long.mp4", 10)
    peak = run(OVERLAY, analyzed(clip, folder / "result-long", 640, 360), folder / "out")[1]
    cuts = {
        f"clip_at_{place}_s": round(
            statistics.median(run(CLIP, clip, folder / "c.mp4", str(place))[0] for _ in range(repeats)), 3
        )
        for place in (20, 580)
    }
    return {"peak_megabytes_10_minutes": round(peak), **cuts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = make_sample(folder / "interview.mp4", seconds=SECONDS)
        facts: dict[str, Any] = {"cores": CORES, "machine": platform.machine(), "load": os.getloadavg()[0]}
        facts |= {f"{width}x{height}": measure(folder, source, width, height, repeats) for width, height in SIZES}
        facts["long"] = measure_long(folder, repeats)
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
