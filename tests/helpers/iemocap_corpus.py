"""Writes a tiny IEMOCAP in the layout of the release, with informative or misleading voices, words and faces.

Five sessions with an improvised and a scripted dialogue each, both actors in turn. As in the release: a ``%`` header,
the single annotators' lines, ``xxx`` and other labels, transcriptions with asides, without times, and one value outside
its scale. Videos are empty files until ``film`` makes them, with two heads side by side whose looks bear a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from av.video.frame import VideoFrame
from face_fixtures import Person, scene
from numpy.typing import NDArray
from voice_layouts import HEADER, RATE, write_text, write_wav

from multimodal.data.corpora.iemocap import IemocapTurn, read_iemocap

CLASS_CODES = (("ang",), ("hap", "exc"), ("sad",), ("neu",))
"""Codes of the four classes, in the order of ``IEMOCAP_LABELS``."""

OTHER_CODES = ("xxx", "fru", "xxx", "sur")

SENTENCES = (
    ("I hate this.", "Get out, you idiot!", "How dare you!"),
    ("That is wonderful!", "I am so happy.", "Great, I love it!"),
    ("I miss her so much.", "I am so sorry, she died.", "I feel lonely and sad."),
    ("The office is upstairs.", "It is two o'clock.", "You need a form for that."),
)

AFFECT = ((1.5, 4.0, 4.0), (4.5, 4.0, 3.5), (1.5, 1.5, 2.0), (3.0, 2.5, 3.0))
"""Valence, arousal and dominance of each class."""

SECONDS = 0.4


@dataclass(frozen=True)
class WrittenCorpus:
    """Where a corpus was written.

    Attributes:
        folder: ``IEMOCAP_full_release``.
        faces: Turn to the class that its face shows.
    """

    folder: Path
    faces: dict[str, int]


def write_iemocap(
    folder: Path,
    *,
    signals: tuple[str, ...] = ("face", "audio", "text"),
    turns: int = 16,
    permuted: bool = False,
    sessions: int = 5,
    seed: int = 0,
) -> WrittenCorpus:
    """Writes the corpus.

    Args:
        folder: Where to.
        signals: Which bear the label; the others bear another one, drawn at random.
        turns: Of the four classes, in each dialogue; a quarter as many have other labels.
        permuted: Whether labels are dealt out anew in the end, so that nothing bears them.
        sessions: How many.
        seed: Of all that is drawn.
    """
    draws = np.random.default_rng(seed)
    faces: dict[str, int] = {}
    for number in range(1, sessions + 1):
        session = folder / "IEMOCAP_full_release" / f"Session{number}"
        for dialogue in (f"Ses{number:02}F_impro01", f"Ses{number:02}M_script01_1b"):
            classes = draws.permutation(np.arange(turns) % len(CLASS_CODES)).tolist()
            faces |= _write_dialogue(session, dialogue, classes, signals, permuted, draws)
    return WrittenCorpus(folder / "IEMOCAP_full_release", faces)


def _write_dialogue(
    session: Path,
    dialogue: str,
    classes: list[int],
    signals: tuple[str, ...],
    permuted: bool,
    draws: np.random.Generator,
) -> dict[str, int]:
    names = [f"{dialogue}_{'FM'[index % 2]}{index:03}" for index in range(len(classes))]
    labels_by_modality = {
        signal: classes if signal in signals else draws.integers(0, 4, len(classes)).tolist()
        for signal in ("face", "audio", "text")
    }
    for name, label in zip(names, labels_by_modality["audio"], strict=True):
        write_wav(session / "sentences" / "wav" / dialogue / f"{name}.wav", voice(label, draws))
    texts = [SENTENCES[label][draws.integers(3)] for label in labels_by_modality["text"]]
    labels = draws.permutation(classes).tolist() if permuted else classes
    blocks = [_block(name, index, label, draws) for index, (name, label) in enumerate(zip(names, labels, strict=True))]
    for extra in range(len(classes) // 4):
        name = f"{dialogue}_{'FM'[extra % 2]}X{extra:02}"
        blocks.append(_lines(name, len(names) + extra, OTHER_CODES[extra % 4], (3.0, 3.0, 3.0)))
        write_wav(session / "sentences" / "wav" / dialogue / f"{name}.wav", voice(extra % 4, draws))
    write_text(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", HEADER + "".join(blocks))
    write_text(session / "dialog" / "transcriptions" / f"{dialogue}.txt", _transcription(names, texts))
    write_text(session / "dialog" / "avi" / "DivX" / f"{dialogue}.avi", "")
    return dict(zip(names, labels_by_modality["face"], strict=True))


def _block(name: str, index: int, label: int, draws: np.random.Generator) -> str:
    values = np.array(AFFECT[label]) + draws.normal(0, 0.2, 3)
    if index == 0:
        values[0] = 5.5  # outside its scale, as a few of the release are
    code = CLASS_CODES[label][index % len(CLASS_CODES[label])]
    return _lines(name, index, code, tuple(values.tolist()))


def _lines(name: str, index: int, code: str, values: tuple[float, ...]) -> str:
    start = turn_start(index)
    numbers = ", ".join(f"{value:.4f}" for value in values)
    return (
        f"[{start:.4f} - {start + SECONDS:.4f}]\t{name}\t{code}\t[{numbers}]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tOther;\t([uneasy])\nA-E3:\tval 3; act ; dom  2;\t()\n\n"
    )


def turn_start(index: int) -> float:
    """Seconds at which a dialogue's turn begins."""
    return 0.25 + 0.5 * index


def _transcription(names: list[str], texts: list[str]) -> str:
    lines = []
    for index, (name, text) in enumerate(zip(names, texts, strict=True)):
        times = "" if index == len(names) - 1 else f" [{turn_start(index):08.4f}-{turn_start(index) + SECONDS:08.4f}]"
        lines.append(f"{name}{times}: {'[LAUGHTER] ' if index == 1 else ''}{text}\n")
    lines[1:1] = ["M: An aside.\n", f"{names[0].rsplit('_', 1)[0]}_MXX0 [000.0000-000.1000]: Not labeled.\n"]
    return "".join(lines)


def voice(label: int, draws: np.random.Generator) -> NDArray[np.int16]:
    """``(samples, 1)``: a buzz of the class's pitch and loudness in a little noise."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    pitch = (110, 200, 330, 520)[label] * draws.uniform(0.95, 1.05)
    tone = sum(np.sin(2 * np.pi * pitch * (harmonic + 1) * time) / (harmonic + 1) for harmonic in range(1 + 2 * label))
    samples = 5000 * tone + draws.normal(0, 100, len(time))
    return samples.round().astype(np.int16)[:, None]


def face_inputs(corpus: WrittenCorpus, turn: IemocapTurn, size: int) -> dict[str, torch.Tensor]:
    """What the face encoder would make of a turn's face: two pictures, 0.2 s apart."""
    directions = np.random.default_rng(9).normal(0, 1, (4, size))
    noise = np.random.default_rng(sum(map(ord, turn.name)))
    rows = directions[corpus.faces.get(turn.name, 0)] + 0.3 * noise.normal(0, 1, (2, size))
    return {"times": torch.tensor([0.05, 0.25], dtype=torch.float64), "faces": torch.from_numpy(rows).half()}


SIDE, FRAMES_PER_SECOND = 160, 25

Image = NDArray[np.uint8]


def film(corpus: WrittenCorpus, swapped: bool = False) -> None:
    """Writes a video per dialogue; ``swapped`` seats the actors the other way round than the names say."""
    heads = [looks(seed) for seed in (0, 1)]
    turns = read_iemocap(corpus.folder, check_counts=False)
    for video in sorted({turn.video for turn in turns}):
        actor_turns = [turn for turn in turns if turn.video == video]
        _write_video(video, actor_turns, corpus.faces, heads[::-1] if swapped else heads, swapped)


def looks(seed: int) -> list[Image]:
    """One head as each of the four classes: plain, showing teeth, mouth open, frowning."""
    plain, teeth, opened, frown = (scene([Person((80, 80), 90)], (SIDE, SIDE), seed=seed) for _ in range(4))
    cv2.ellipse(teeth, (80, 103), (14, 7), 0, 0, 180, (250, 250, 250), -1)
    cv2.ellipse(opened, (80, 108), (12, 9), 0, 0, 360, (30, 10, 10), -1)
    for ends in (((62, 60), (76, 66)), ((98, 60), (84, 66))):
        cv2.line(frown, *ends, (20, 10, 10), 4)
    return [plain, teeth, opened, frown]


def _write_video(
    video: Path, turns: list[IemocapTurn], faces: dict[str, int], heads: list[list[Image]], swapped: bool
) -> None:
    seconds = max(turn.end_seconds for turn in turns) + 0.2
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = 2 * SIDE, SIDE, "yuv420p"
        stream.bit_rate = 3_000_000
        for number in range(round(seconds * FRAMES_PER_SECOND)):
            time = number / FRAMES_PER_SECOND
            speaking = [turn for turn in turns if turn.start_seconds <= time <= turn.end_seconds]
            left = [turn for turn in speaking if (turn.speaker[-1] == turn.dialogue[5]) != swapped]
            right = [turn for turn in speaking if turn not in left]
            halves = [
                _half(head, actor_turns, faces, time) for head, actor_turns in zip(heads, (left, right), strict=True)
            ]
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(np.concatenate(halves, axis=1)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _half(head: list[Image], actor_turns: list[IemocapTurn], faces: dict[str, int], time: float) -> Image:
    """Plain and still while the other speaks; nodding, with the look of the turn, in a turn of its own."""
    label = faces.get(actor_turns[0].name, 0) if actor_turns else 0
    down = 4 * np.sin(2 * np.pi * 1.3 * time) if actor_turns else 0.0
    shift = np.array(((1.0, 0.0, 0.0), (0.0, 1.0, down)))
    return np.asarray(cv2.warpAffine(head[label], shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
