# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Writes the small clips in tests/reference and the facts that ffprobe and ffmpeg report about them.

Needs ``ffmpeg`` and ``ffprobe`` with libx264, libx265, libvpx-vp9, libaom-av1, libopus and libmp3lame on the PATH;
the tests that read the result do not. The committed result was made with ffmpeg 5.1.9:

    python tests/reference_scripts/make_media_reference.py
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "reference"
BARS = "smptebars=size=96x64:rate=25:duration=2"
TONE = "sine=frequency=440:sample_rate=16000:duration=2"
H264 = "-c:v libx264 -pix_fmt yuv420p -crf 12 -g 50 -bf 3"
UNEVEN = r"select=not(eq(mod(n\,7)\,3))*not(between(n\,20\,30)),setpts=PTS+0.011*mod(N\,3)/TB"

# name: (inputs, output options). {bars} and {tone} are inputs of their own.
CLIPS = {
    "constant.mp4": ("{bars} {tone}", f"{H264} -c:a aac -b:a 32k"),
    "variable.mp4": ("{bars}", f"-vf {UNEVEN} -vsync vfr -video_track_timescale 90000 {H264}"),
    "ntsc.mov": ("{bars}", f"-r 30000/1001 {H264}"),
    "apart.mkv": ("-itsoffset 0.48 {bars} {tone}", f"-t 1.2 {H264} -c:a aac -b:a 32k"),
    "apart.mp4": ("{bars} -itsoffset 0.3 {tone}", f"-t 1.2 {H264} -c:a aac -b:a 32k"),
    "vp9.webm": ("{bars} {tone}", "-c:v libvpx-vp9 -b:v 0 -crf 20 -pix_fmt yuv420p -c:a libopus -b:a 24k"),
    "av1.mkv": ("{bars}", "-c:v libaom-av1 -cpu-used 8 -crf 20 -b:v 0 -pix_fmt yuv420p"),
    "hevc.mp4": ("{bars}", "-c:v libx265 -x265-params log-level=error -crf 12 -tag:v hvc1 -pix_fmt yuv420p"),
    "ten_bit.mov": ("{bars}", "-c:v libx265 -x265-params log-level=error -crf 12 -tag:v hvc1 -pix_fmt yuv420p10le"),
    "mpeg4.avi": ("{bars} {tone}", "-t 0.8 -c:v mpeg4 -bf 2 -q:v 4 -pix_fmt yuv420p -c:a libmp3lame -b:a 32k"),
    "reordered.avi": ("{bars}", H264),
    "stream.ts": ("{bars} {tone}", f"-t 0.8 {H264} -c:a aac -b:a 32k"),
    "odd.webm": ("{bars}", "-vf scale=63:47 -c:v libvpx-vp9 -b:v 0 -crf 20 -pix_fmt yuv420p"),
    "full_range.mp4": ("{bars}", "-c:v libx264 -crf 12 -vf scale=out_range=pc -pix_fmt yuvj420p"),
    "motion_jpeg.mov": ("{bars}", "-t 0.28 -c:v mjpeg -q:v 4 -pix_fmt yuvj420p"),
    "bt709.mp4": (
        "{bars}",
        f"-vf scale=out_color_matrix=bt709 {H264} -colorspace bt709 -color_primaries bt709 -color_trc bt709",
    ),
    "oblong.mp4": ("{bars}", f"-vf setsar=4/3 {H264}"),
}

ONE = 1 << 16  # 1.0 in 16.16 fixed point
# a b c d of the display matrix, with which a copy of hevc.mp4 is turned (ISO/IEC 14496-12, 6.2.2).
TURNS = {
    "turned_90.mp4": (0, ONE, -ONE, 0),
    "turned_180.mp4": (-ONE, 0, 0, -ONE),
    "turned_270.mp4": (0, -ONE, ONE, 0),
    "mirrored.mp4": (-ONE, 0, 0, ONE),
}


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout


def make_clip(name: str) -> None:
    inputs, options = CLIPS[name]
    words = inputs.format(bars=f"-f lavfi -i {BARS}", tone=f"-f lavfi -i {TONE}").split() + options.split()
    run("ffmpeg", "-v", "error", "-y", *words, "-fflags", "+bitexact", "-flags:v", "+bitexact", str(FOLDER / name))


def turn_clip(name: str) -> None:
    """Writes a display matrix into the header of the first track."""
    content = bytearray((FOLDER / "hevc.mp4").read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version 0: 40 bytes of flags, times, number, duration, layer, volume
    a, b, c, d = TURNS[name]
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (FOLDER / name).write_bytes(content)


def probe(path: Path, stream: str, entries: str) -> list[dict[str, str]]:
    section = entries.split("=")[0] + "s"
    command = ["ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries, "-of", "json", str(path)]
    return json.loads(run(*command)).get(section, [])


def describe(path: Path) -> dict[str, Any]:
    """Asks ffprobe for the times and ffmpeg for the first upright picture."""
    # The sound starts with the first of it decoded: in ffprobe 5 its start_time still counts the encoder's padding.
    times, sounds = (
        [frame.get("best_effort_timestamp_time") for frame in probe(path, kind, "frame=best_effort_timestamp_time")]
        for kind in ("v:0", "a:0")
    )
    output = "-v error -frames:v 1 -vf scale=round(iw*sar):ih -pix_fmt rgb24 -f image2pipe -c:v ppm -"
    _, size, _, pixels = run("ffmpeg", "-i", str(path), *output.split()).split(b"\n", 3)
    width, height = map(int, size.split())
    return {
        # The last pictures of a reordered avi have no time at all.
        "times": [None if time is None else float(time) for time in times],
        "video_start": float(probe(path, "v:0", "stream=start_time")[0]["start_time"]),
        "audio_start": float(sounds[0]) if sounds else None,
        "size": [width, height],
        "colors": {
            f"{x},{y}": list(pixels[3 * (y * width + x) : 3 * (y * width + x) + 3])
            for y in (height // 5, height // 2, height - height // 8)
            for x in (width // 14 + step * width // 7 for step in range(7))
        },
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in CLIPS:
        make_clip(name)
    for name in TURNS:
        turn_clip(name)
    reference = {name: describe(FOLDER / name) for name in [*CLIPS, *TURNS]}
    lines = (f'  "{name}": {json.dumps(facts, separators=(",", ":"))}' for name, facts in reference.items())
    (FOLDER / "media.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
