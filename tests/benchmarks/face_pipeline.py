"""Measures the time of the face pipeline by step: ``python tests/benchmarks/face_pipeline.py``, prints JSON.

Each size is a 60 s clip of ``multimodal.sample``'s picture, scaled. The whole command and plain decoding of the same
file with the same library run in turn, in processes of their own, several times; medians are reported. Memory is the
peak resident size of the whole process for 1 and for 30 minutes of one clip, looped without decoding it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from multimodal.data.faces.detectors import load_detector
from multimodal.data.faces.tracking import FaceTracker, align
from multimodal.data.media.frames import read_frames
from multimodal.encoders.face import predict
from multimodal.models.weights import load_weights
from multimodal.sample import make_sample

SIZES = ((640, 360), (1280, 720))
SECONDS = 60
DECODE = "import av, sys\nwith av.open(sys.argv[1]) as c:\n s = c.streams.video[0]; s.thread_type = 'AUTO'\n"
DECODE += " print(sum(1 for _ in c.decode(s)))"


def scaled_clip(source: Path, target: Path, width: int, height: int) -> None:
    with av.open(str(source)) as reading, av.open(str(target), "w") as writing:
        stream = writing.add_stream("libx264", rate=25, options={"crf": "23", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in reading.decode(video=0):
            writing.mux(stream.encode(frame.reformat(width, height)))
        writing.mux(stream.encode(None))


def looped_clip(source: Path, target: Path, times: int) -> None:
    """Copies the packets again and again, with later times."""
    with av.open(str(target), "w") as writing:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as reading:
                track = reading.streams.video[0]
                stream = stream or writing.add_stream_from_template(track)
                for packet in reading.demux(track):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                        packet.stream = stream
                        writing.mux(packet)
                offset += track.duration


def run(*command: str | Path) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of one process."""
    started = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, high_water_kilobytes(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, peak / 1024


def high_water_kilobytes(pid: int) -> int:
    """Linux's own account; wait4's would start from the size of the process that started it."""
    try:
        actual = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it has just ended
        return 0
    return int(actual[1]) if actual else 0


def infer(clip: Path, out: Path, detector: str) -> tuple[float, float]:
    command = ("-m", "multimodal.infer", clip, "--modalities", "face", "--quiet")  # nothing else is loaded
    return run(sys.executable, *command, "--out", out, "--detector", detector)


def whole_command(clip: Path, folder: Path, detector: str, rounds: int) -> dict[str, float]:
    runs = [(infer(clip, folder / "out", detector), run(sys.executable, "-c", DECODE, clip)) for _ in range(rounds)]
    seconds = statistics.median(whole for (whole, _), _ in runs)
    return {
        "infer_seconds": round(seconds, 2),
        "decode_seconds": round(statistics.median(decoding for _, (decoding, _) in runs), 2),
        "ratio": round(statistics.median(whole / decoding for (whole, _), (decoding, _) in runs), 2),
        "seconds_per_second_of_video": round(seconds / SECONDS, 4),
        "times_real_time": round(SECONDS / seconds, 1),
        "peak_megabytes": round(max(megabytes for (_, megabytes), _ in runs)),
    }


def stages(clip: Path, detector_name: str) -> dict[str, float]:
    """Sampled frames (crops for the encoder) a second, each stage alone in this process."""
    detector, weights = load_detector(detector_name), load_weights()
    started = time.perf_counter()
    frames = list(read_frames(clip))
    rates = {"read": len(frames) / (time.perf_counter() - started)}
    few = frames[:: max(1, len(frames) // 40)]
    started = time.perf_counter()
    actual = [(frame, detection) for frame in few for detection in detector.detect(frame.image)]
    rates["detect"] = len(few) / (time.perf_counter() - started)
    tracker = FaceTracker(detector)
    started = time.perf_counter()
    for frame in frames:
        tracker.update(frame)
    rates["track"] = len(frames) / (time.perf_counter() - started)
    crops = torch.from_numpy(np.stack([align(frame.image, detection) for frame, detection in actual] * 4))
    predict(weights.network, crops[:32], flip=weights.spec.flip)
    started = time.perf_counter()
    for part in crops.split(32):
        predict(weights.network, part, flip=weights.spec.flip)
    rates["encode"] = len(crops) / (time.perf_counter() - started)
    return {f"{name}_per_second": round(rate, 1) for name, rate in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="also 1 and 30 minutes, which takes minutes")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    report |= {"torch": torch.__version__, "detector": options.detector}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = make_sample(folder / "sample.mp4", SECONDS)
        for width, height in SIZES:
            clip = folder / f"{width}x{height}.mp4"
            scaled_clip(sample, clip, width, height)
            figures = whole_command(clip, folder, options.detector, options.rounds)
            report[f"{width}x{height}"] = figures | stages(clip, options.detector)
        if options.memory:
            looped_clip(folder / "640x360.mp4", folder / "long.mp4", 30)
            for minutes, clip in ((1, folder / "640x360.mp4"), (30, folder / "long.mp4")):
                report[f"peak_megabytes_{minutes}_min"] = round(infer(clip, folder / "out", options.detector)[1])
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
