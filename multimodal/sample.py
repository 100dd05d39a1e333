"""``python -m multimodal.sample``: writes a short interview clip with a transcript, to try the program without a video.

A smiling public-domain portrait (see ``assets/README.md``) moves in front of a drawn room, leaves the picture for a
while and returns. Two people talk, pleased while she is seen and annoyed while she is away: with synthetic speech if
espeak-ng is installed, otherwise with noise in the rhythm of speech.
``interview.srt`` next to the clip is the transcript. Both files depend on the seed alone.
"""

from __future__ import annotations

import logging
import math
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from multimodal.console import print_line, run_command
from multimodal.errors import ConfigError, OutputError
from multimodal.files import atomic_write

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from multimodal.types import Utterance

WIDTH, HEIGHT, FRAME_RATE = 640, 360, 25
SAMPLE_RATE = 22050  # the rate of espeak-ng, so that no resampling is needed; 882 samples for each of 25 frames
SECONDS = 20.0  # the length that the times in DIALOGUE assume; other lengths scale them
SECONDS_LIMITS = (2.0, 600.0)  # long enough for one utterance; the audio is kept in memory, 53 MB at 600 s
ABSENCE = (0.40, 0.55)  # share of the clip without a person in the picture: 8 s to 11 s of 20 s
STEP_ASIDE = 0.08  # share of the clip that leaving takes, and returning: 1.6 s of 20 s

VOICES = {"Interviewer": ("en-gb+m3", 40), "Participant": ("en-us+f3", 55)}
"""Per speaker, espeak-ng's voice and pitch (0 … 99)."""


class Line(NamedTuple):
    """One line of the dialogue; the start refers to a clip of 20 s.

    An unseen line is spoken while nobody is in the picture; it is left out of a clip whose absence is too short for it.
    """

    start_seconds: float
    speaker: str
    text: str
    is_unseen: bool = False


DIALOGUE = (
    Line(0.5, "Interviewer", "Thanks for coming, how was it?"),
    Line(3.0, "Participant", "It was great, I love the new calendar! Oh, the doorbell, one moment."),
    Line(8.1, "Participant", "No, that is not my parcel! How annoying!", is_unseen=True),
    Line(12.0, "Participant", "That was for my neighbor. Anyway, the booking was easy and I really enjoyed it!"),
    Line(17.2, "Interviewer", "I am glad to hear that, thank you!"),
)
"""An invented usability interview. The portrait smiles, so nothing unpleasant is said while it is in the picture."""


def make_sample(path: str | Path, seconds: float = SECONDS, seed: int = 0, overwrite: bool = False) -> Path:
    """Writes an interview clip (H.264, AAC, 640x360 at 25 frames per second) and its transcript.

    Args:
        path: The clip to write, ending in .mp4; the transcript has the same name ending in .srt.
        seconds: Length, 2 … 600. No face is visible from 0.40 to 0.55 of it.
        seed: Random seed for motion, background and noise; the same seed gives the same bytes on the same machine.
        overwrite: Whether to replace existing files.

    Returns:
        Path of the clip.

    Raises:
        ConfigError: The name does not end in .mp4, or the length is out of range.
        OutputError: A file already exists or cannot be written.

    Example:
        >>> make_sample("interview.mp4", seconds=20)  # doctest: +SKIP
        PosixPath('interview.mp4')
    """
    clip = Path(path)
    transcript = clip.with_suffix(".srt")
    _check(clip, seconds)
    for target in (clip, transcript):
        if target.exists() and not overwrite:
            raise OutputError(target, "already exists", "choose another name, or replace it with --force")
    from multimodal.data.transcripts.files import write_srt

    samples, utterances = _audio(seconds, seed)
    with atomic_write(clip) as temporary:
        _encode(temporary, _pictures(seconds, seed), samples)
    write_srt(transcript, utterances)
    return clip


def _check(clip: Path, seconds: float) -> None:
    if clip.suffix.lower() != ".mp4":
        raise ConfigError(clip, "the name must end in .mp4", "choose a name such as interview.mp4")
    if not SECONDS_LIMITS[0] <= seconds <= SECONDS_LIMITS[1]:
        low, high = SECONDS_LIMITS
        raise ConfigError("--seconds", f"{seconds:g} is out of range", f"choose a length from {low:g} to {high:g}")


# --- audio -----------------------------------------------------------------------------------------------------------


def _audio(seconds: float, seed: int) -> tuple[NDArray[np.float32], list[Utterance]]:
    """The audio, ``(samples,)`` in -1 … 1, and its utterances."""
    import numpy as np

    from multimodal.types import Utterance

    rng = np.random.default_rng(seed)
    samples = np.resize(0.002 * _pink_noise(rng, 10 * SAMPLE_RATE), round(seconds * SAMPLE_RATE))
    speech = _speech(rng)
    utterances: list[Utterance] = []
    for line, voice in zip(DIALOGUE, speech, strict=True):
        earliest = utterances[-1].end_seconds + 0.2 if utterances else 0.0
        start = round(max(line.start_seconds * seconds / SECONDS, earliest), 3)
        end = start + len(voice) / SAMPLE_RATE
        if end > seconds:  # a short clip ends between utterances
            break
        if line.is_unseen and not ABSENCE[0] * seconds <= start < end <= ABSENCE[1] * seconds:
            continue
        first = round(start * SAMPLE_RATE)
        samples[first : first + len(voice)] += voice
        utterances.append(Utterance(start, min(round(end, 3), seconds), line.speaker, line.text))
    return samples.clip(-1, 1).astype(np.float32), utterances


def _speech(rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """The audio of each line of the dialogue, from espeak-ng if it works."""
    program = shutil.which("espeak-ng")
    if program is not None:
        try:
            return [_synthesize(program, line) for line in DIALOGUE]
        except (OSError, subprocess.SubprocessError, wave.Error, ValueError):
            pass  # installed, but without its voices or otherwise broken: use noise
    log = logging.getLogger(__name__)
    log.warning("espeak-ng is not installed or does not work; the clip has noise instead of speech")
    return [_murmur(rng, line) for line in DIALOGUE]


def _synthesize(program: str, line: Line) -> NDArray[np.float32]:
    import numpy as np

    voice, pitch = VOICES[line.speaker]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        command = [program, "-v", voice, "-p", str(pitch), "-s", "175", "-w", str(path), line.text]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        with wave.open(str(path)) as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SAMPLE_RATE, 1, 2):
                raise ValueError("espeak-ng wrote another format than mono at 22050 samples per second")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
    samples *= np.float32(0.6 / 32768)
    loud = np.flatnonzero(np.abs(samples) > 0.006)  # the pauses at both ends are not part of the utterance
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples


def _murmur(rng: np.random.Generator, line: Line) -> NDArray[np.float32]:
    """Noise that swells four times a second, about the rate of syllables in speech."""
    import numpy as np

    # At the speed used above espeak-ng speaks 17 letters per second; at 18 the first line also fits the shortest clip.
    count = round(len(line.text) / 18 * SAMPLE_RATE)
    swell = np.sin(4 * math.pi * np.arange(count) / SAMPLE_RATE) ** 2
    return (0.08 * swell * _pink_noise(rng, count)).astype(np.float32)


def _pink_noise(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Noise of unit deviation; its power falls with frequency, like the hum of a room."""
    import numpy as np

    spectrum = np.fft.rfft(rng.standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(spectrum.size), 20)), count)
    scaled: NDArray[np.float32] = (noise / noise.std()).astype(np.float32)
    return scaled


# --- picture ---------------------------------------------------------------------------------------------------------


def _pictures(seconds: float, seed: int) -> Iterator[NDArray[np.uint8]]:
    """The frames, ``(360, 640, 3)`` RGB."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(seed)
    room, desk = _room(rng), _desk()
    person, mask = _portrait()
    phases = rng.uniform(0, 2 * math.pi, 3)
    for index in range(round(seconds * FRAME_RATE)):
        placement = _placement(index / FRAME_RATE, seconds, phases)
        moved = cv2.warpAffine(person, placement, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        share = cv2.warpAffine(mask, placement, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)[..., None].astype(np.uint16)
        picture = ((moved * share + room * (255 - share)) // 255).astype(np.uint8)
        picture[-len(desk) :] = desk
        yield picture


def _portrait() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The portrait, ``(344, 360, 3)`` RGB, and the share of the person in each pixel, 0 … 255."""
    import numpy as np

    return np.ascontiguousarray(_asset("portrait.jpg")[..., ::-1]), _asset("portrait-mask.png")


def _asset(name: str) -> NDArray[np.uint8]:
    import cv2
    import numpy as np

    content = np.frombuffer((files("multimodal") / "assets" / name).read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), np.uint8)


def _placement(time: float, seconds: float, phases: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2x3 matrix that moves the portrait to the person's position at this time."""
    import numpy as np

    turn = 2 * math.pi * time
    scale = 1.08 + 0.10 * math.sin(turn / 9 + phases[0])  # leans toward the camera and back
    tilt = 0.035 * math.sin(turn / 4 + phases[1])  # radians: 2 degrees to either side
    x = WIDTH / 2 + 40 * math.sin(turn / 7 + phases[2]) + 560 * _distance(time / seconds)  # 560: past the right edge
    y = HEIGHT + 16  # below the desk's edge at every scale and tilt
    cosine, sine = scale * math.cos(tilt), scale * math.sin(tilt)
    # The middle of the portrait's lower edge, (180, 344), moves to (x, y).
    return np.array([[cosine, -sine, x - 180 * cosine + 344 * sine], [sine, cosine, y - 180 * sine - 344 * cosine]])


def _distance(share: float) -> float:
    """How far the person is away at this share of the clip: 0 in the seat, 1 out of the picture."""
    leaving = (share - (ABSENCE[0] - STEP_ASIDE)) / STEP_ASIDE
    coming = ((ABSENCE[1] + STEP_ASIDE) - share) / STEP_ASIDE
    part = min(max(min(leaving, coming), 0.0), 1.0)
    return part * part * (3 - 2 * part)  # starts and ends softly


def _room(rng: np.random.Generator) -> NDArray[np.uint8]:
    """An unfocused wall, lit from the left, with a window, a picture and a lamp."""
    import cv2
    import numpy as np

    down, across = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = np.array([196, 190, 176], np.float32) + rng.uniform(-14, 14, 3).astype(np.float32)
    light = 1.12 - 0.30 * across / WIDTH - 0.16 * down / HEIGHT
    room = (wall * light[..., None]).clip(0, 255).astype(np.uint8)
    cv2.rectangle(room, (34, 26), (170, 232), (238, 234, 224), -1)
    cv2.rectangle(room, (42, 34), (98, 224), (186, 208, 226), -1)
    cv2.rectangle(room, (106, 34), (162, 224), (192, 213, 229), -1)
    cv2.rectangle(room, (498, 50), (604, 128), (92, 78, 64), -1)
    cv2.rectangle(room, (505, 57), (597, 121), (222, 214, 196), -1)
    cv2.ellipse(room, (540, 121), (34, 40), 0, 180, 360, (132, 156, 138), -1)
    cv2.ellipse(room, (572, 121), (24, 24), 0, 180, 360, (166, 128, 104), -1)
    blurred: NDArray[np.uint8] = cv2.GaussianBlur(room, (0, 0), 4.0).astype(np.uint8)
    return blurred


def _desk() -> NDArray[np.uint8]:
    """The edge of a desk, ``(34, 640, 3)``, which hides the end of the portrait."""
    import numpy as np

    shade = np.linspace(1.0, 0.7, 34, dtype=np.float32)[:, None, None]
    desk = (np.array([150, 116, 84], np.float32) * shade * np.ones((34, WIDTH, 1), np.float32)).astype(np.uint8)
    desk[:2] = (188, 152, 116)
    return desk


# --- files -----------------------------------------------------------------------------------------------------------


def _encode(target: Path, pictures: Iterator[NDArray[np.uint8]], samples: NDArray[np.float32]) -> None:
    """Writes each frame with its audio, interleaved for playback."""
    import av

    with av.open(str(target), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "22", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        step = SAMPLE_RATE // FRAME_RATE
        for index, picture in enumerate(pictures):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            block = samples[index * step : (index + 1) * step].reshape(1, -1)
            sound = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, index * step, Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def sample(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="Clip to write, ending in .mp4; the transcript ends in .srt.")
    ] = Path("interview.mp4"),
    seconds: Annotated[float, typer.Option(metavar="SECONDS", help="Length of the clip, 2 to 600.")] = SECONDS,
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed for motion and background.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace existing files (default: they are an error).")
    ] = False,
) -> None:
    """Writes a short interview clip and its transcript, to try the program on.

    With espeak-ng installed the clip contains synthetic speech, otherwise noise in the rhythm of speech. Exit code 0:
    done; 1: failed; 2: wrong usage.
    """
    clip = make_sample(path, seconds, seed, force)
    print_line(f"wrote {clip} and {clip.with_suffix('.srt')}")


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(sample, arguments, "sample")


if __name__ == "__main__":
    raise SystemExit(main())
