"""Writes tiny speech corpora in their publishers' layouts: exact file names, clips of a tenth of a second.

A test file takes a writer by import; nothing here is a fixture of pytest.
"""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16000


def noise(seed: int, seconds: float = 0.1, rate: int = RATE, channels: int = 1) -> NDArray[np.int16]:
    """``(samples, channels)``: another sound for each seed."""
    samples = np.random.default_rng(seed).normal(0, 3000, (round(seconds * rate), channels))
    return samples.round().astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = RATE) -> Path:
    """Writes ``(samples, channels)`` with the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_clips(folder: Path, names: Iterable[str]) -> Path:
    """A clip for each name, each with another sound (of 20 ms where there are hundreds)."""
    names = list(names)
    for seed, name in enumerate(names):
        write_wav(folder / name, noise(seed, 0.1 if len(names) < 100 else 0.04))
    return folder


def ravdess_names(actors: Iterable[int], modality: str = "03", channel: str = "01") -> Iterator[str]:
    """``Actor_01/03-01-01-01-01-01-01.wav`` …: 60 clips of speech or 44 of song (five emotions, and neutral) each."""
    emotions = range(1, 9) if channel == "01" else range(1, 7)
    suffix = "wav" if modality == "03" else "mp4"
    for actor, emotion, strength, sentence, take in itertools.product(actors, emotions, (1, 2), (1, 2), (1, 2)):
        if (emotion, strength) != (1, 2):
            fields = f"{emotion:02}-{strength:02}-{sentence:02}-{take:02}-{actor:02}"
            yield f"Actor_{actor:02}/{modality}-{channel}-{fields}.{suffix}"


def banglaser_names(speakers: Iterable[int], neutral: bool = True) -> Iterator[str]:
    """45 clips of a speaker, or 36 of one who was not recorded neutral. Happy and sad are normal, others strong."""
    for speaker, emotion, sentence, take in itertools.product(
        speakers, range(1, 6 if neutral else 5), *[(1, 2, 3)] * 2
    ):
        strength = 2 if emotion in (3, 4) else 1
        modality = "01" if (speaker, emotion, sentence) == (15, 4, 3) else "03"
        yield f"{modality}-01-{emotion:02}-{strength:02}-{sentence:02}-{take:02}-{speaker:02}.wav"


def emodb_names(speaker: str, counts: Sequence[int]) -> Iterator[str]:
    """``wav/03a01Wa.wav`` …, ``counts`` in the order of the letters W L E A F T N."""
    sentences = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
    takes = [f"{sentence}{{}}{version}" for version in "abc" for sentence in sentences]
    for letter, count in zip("WLEAFTN", counts, strict=True):
        yield from (f"wav/{speaker}{take.format(letter)}.wav" for take in takes[:count])


def tess_names(actress: str, words: int) -> Iterator[str]:
    """``OAF_angry/OAF_word0_angry.wav`` … with the release's own spellings of folders and its one short name."""
    surprise = "OAF_Pleasant_surprise" if actress == "OAF" else "YAF_pleasant_surprised"
    for code, word in itertools.product(("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"), range(words)):
        folder = surprise if code == "ps" else f"{actress}_{code}"
        start = "OA" if (actress, code, word) == ("OAF", "neutral", 0) else actress
        yield f"{folder}/{start}_word{word}_{code}.wav"


def crema_d_names(actor: int) -> Iterator[str]:
    """``AudioWAV/1001_DFA_ANG_XX.wav`` …: 82 clips; one sentence is spoken on three levels."""
    others = ("DFA", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI", "IOM")
    for emotion in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"):
        yield from (f"AudioWAV/{actor}_{sentence}_{emotion}_XX.wav" for sentence in others)
        levels = ("XX",) if emotion == "NEU" else ("LO", "MD", "HI")
        yield from (f"AudioWAV/{actor}_IEO_{emotion}_{level}.wav" for level in levels)


def savee_names(speaker: str, folders: bool) -> Iterator[str]:
    """``DC_a01.wav`` …, or ``AudioData/DC/a01.wav`` …: 15 sentences for each emotion, 30 neutral ones."""
    for code in ("a", "d", "f", "h", "n", "sa", "su"):
        for sentence in range(1, 31 if code == "n" else 16):
            clip = f"{code}{sentence:02}.wav"
            yield f"AudioData/{speaker}/{clip}" if folders else f"{speaker}_{clip}"


# --- IEMOCAP ------------------------------------------------------------------------------------------------------

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
CODES = ("ang", "hap", "exc", "sad", "neu", "fru", "fea", "sur", "dis", "oth", "xxx")


def evaluation(turns: Iterable[tuple[str, str]]) -> str:
    """An EmoEvaluation file: turn and code on a line each, the single annotators below."""
    blocks = [
        f"[{start}.2901 - {start + 1}.2357]\t{turn}\t{code}\t[2.5000, 3.0000, 0.5000]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tOther;\t([uneasy])\nA-E3:\tval 3; act ; dom  2;\t()\n\n"
        for start, (turn, code) in enumerate(turns)
    ]
    return HEADER + "".join(blocks)


def write_dialogue(session: Path, dialogue: str, turns: Sequence[tuple[str, str]], *, sound: bool = True) -> None:
    """Labels, words with an aside and a turn that lacks its times, and the sound of each turn."""
    write_text(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", evaluation(turns))
    lines = [f"{turn} [{start:08.4f}-{start + 1:08.4f}]: Words of {turn}.\n" for start, (turn, _) in enumerate(turns)]
    lines[-1] = f"{turns[-1][0]}: Words without times.\n"
    lines[1:1] = ["M: An aside.\n", f"{dialogue}_MXX0 [000.0000-000.1000]: Not labeled.\n"]
    write_text(session / "dialog" / "transcriptions" / f"{dialogue}.txt", "".join(lines))
    if sound:
        write_clips(session / "sentences" / "wav" / dialogue, [f"{turn}.wav" for turn, _ in turns])


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_small_iemocap(folder: Path) -> Path:
    """Two sessions with an improvised and a scripted dialogue each, among what the release and macOS leave there."""
    for number in (1, 5):
        session = folder / "IEMOCAP_full_release" / f"Session{number}"
        for dialogue in (f"Ses{number:02}F_impro01", f"Ses{number:02}M_script01_1b"):
            turns = [(f"{dialogue}_{'FM'[turn % 2]}{turn:03}", code) for turn, code in enumerate(CODES)]
            write_dialogue(session, dialogue, turns)
            write_text(session / "dialog" / "EmoEvaluation" / f"._{dialogue}.txt", "\0\5\26\7")
            write_text(
                session / "dialog" / "EmoEvaluation" / "Categorical" / f"{dialogue}_e2_cat.txt", "x :Anger; ()\n"
            )
            write_text(session / "sentences" / "wav" / dialogue / f"._{turns[0][0]}.wav", "\0\5\26\7")
    return folder / "IEMOCAP_full_release"


def write_full_evaluations(folder: Path) -> Path:
    """Evaluations of 10,039 turns with the published counts of labels and classes; no words, no sound."""
    four = {1: (229, 278, 194, 384), 2: (137, 327, 197, 362), 3: (240, 286, 305, 320)}
    four |= {4: (327, 303, 143, 258), 5: (170, 442, 245, 384)}
    turns = {1: 1819, 2: 1811, 3: 2136, 4: 2103, 5: 2170}
    happy = iter(["hap"] * 595 + ["exc"] * 1041)
    rest = iter(["fru"] * 1849 + ["fea"] * 40 + ["sur"] * 107 + ["dis"] * 2 + ["oth"] * 3 + ["xxx"] * 2507)
    for session, (angry, glad, sad, neutral) in four.items():
        codes = ["ang"] * angry + ["sad"] * sad + ["neu"] * neutral + list(itertools.islice(happy, glad))
        codes += itertools.islice(rest, turns[session] - len(codes))
        dialogue = f"Ses{session:02}F_impro01"
        lines = [(f"{dialogue}_{'FM'[turn % 2]}{turn:03}", code) for turn, code in enumerate(codes)]
        write_text(folder / f"Session{session}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", evaluation(lines))
    return folder
