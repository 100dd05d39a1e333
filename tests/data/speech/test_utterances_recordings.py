"""Utterances in real recordings, if present, compared with the energy envelope of the audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_fixtures import RATE, Samples, blocks_of, joined, silence

from multimodal.data.media.audio import read_audio
from multimodal.data.speech.utterances import SpokenUtterance, read_speech
from multimodal.types import Utterance

pytestmark = pytest.mark.corpus

PAUSE_SECONDS = 1.5
BEFORE, AFTER = (0.25, 0.15), (0.1, 0.45)
"""Seconds an utterance may begin before or after its first energy, and end before or after its last: a soft first
consonant has little energy, and a closing breath is speech to some."""


def sound_of(path: Path) -> Samples:
    return np.concatenate([block.samples for block in read_audio(path)])


def energy_times(sound: Samples) -> tuple[float, float]:
    """First and last second with at least 28 dB less than the loudest 10 ms."""
    frames = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    levels = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(levels > levels.max() - 28)
    return float(loud[0]) / 100, float(loud[-1] + 1) / 100


@pytest.fixture(scope="module")
def sentences(shared_folder: Path) -> tuple[Samples, list[tuple[float, float]]]:
    """Eight sentences of two people with pauses between, and the seconds in which each has energy."""
    parts, times, position = [silence(PAUSE_SECONDS)], [], PAUSE_SECONDS
    for path in sorted((shared_folder / "clips" / "speech").glob("*.wav")):
        sound = sound_of(path)
        first, last = energy_times(sound)
        times.append((position + first, position + last))
        parts += [sound, silence(PAUSE_SECONDS)]
        position += len(sound) / RATE + PAUSE_SECONDS
    return joined(*parts), times


def check(spoken: list[SpokenUtterance], times: list[tuple[float, float]]) -> None:
    assert len(spoken) == len(times) == 8
    for item, (first, last) in zip(spoken, times, strict=True):
        assert first - BEFORE[0] <= item.utterance.start_seconds <= first + BEFORE[1]
        assert last - AFTER[0] <= item.utterance.end_seconds <= last + AFTER[1]


def changed(sound: Samples, how: str) -> Samples:
    """The sound as worse equipment would have recorded it."""
    rng = np.random.default_rng(0)
    if how == "quiet":  # 50 dB down, in 16 bits: single steps
        return (np.round(sound * 10 ** (-50 / 20) * 32768) / 32768).astype(np.float32)
    if how == "clipped":
        return np.clip(10 * sound, -1, 1)
    if how == "offset":
        return sound + np.float32(0.2)
    if how == "noisy":
        return (sound + rng.normal(0, 0.01, len(sound))).astype(np.float32)
    spectrum, hertz = np.fft.rfft(sound), np.fft.rfftfreq(len(sound), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0  # a telephone
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


WARNINGS = {"plain": [], "quiet": ["the speech is very quiet"], "clipped": ["the sound is clipped in 18%"]}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "quiet", "clipped", "offset", "noisy", "telephone"])
def test_sentences_stand_where_their_energy_is(sentences: tuple[Samples, list[tuple[float, float]]], how: str) -> None:
    sound, times = sentences
    reader = read_speech(blocks_of(sound if how == "plain" else changed(sound, how)))
    check(list(reader), times)
    expected = WARNINGS.get(how, [])
    assert len(reader.warnings) == len(expected)
    assert all(line.startswith(start) for line, start in zip(reader.warnings, expected, strict=True))


@pytest.mark.slow
def test_each_sentence_alone_is_one_utterance(shared_folder: Path) -> None:
    for path in sorted((shared_folder / "clips" / "speech").glob("*.wav")):
        first, last = energy_times(sound_of(path))
        (item,) = read_speech(read_audio(path))
        assert item.utterance.start_seconds <= first + 0.05 and item.utterance.end_seconds >= last - 0.05


@pytest.mark.slow
def test_a_man_who_never_pauses(shared_folder: Path) -> None:
    """He performs from the first to the last second; the longest dip of the sound's level is 0.2 s."""
    reader = read_speech(read_audio(shared_folder / "clips" / "hamilton.mp4"))
    (item,) = reader
    assert item.utterance.start_seconds == pytest.approx(0, abs=0.1)
    assert item.utterance.end_seconds == pytest.approx(10, abs=0.2)
    assert reader.warnings == []


@pytest.mark.parametrize("name", ["no_face.mp4", "noface_face.mov", "single_face.mp4"])
def test_music_and_the_noise_of_a_room_are_no_speech(shared_folder: Path, name: str) -> None:
    reader = read_speech(read_audio(shared_folder / "clips" / name))
    assert list(reader) == [] and reader.warnings == ["no speech was found in the sound"]


def test_a_transcript_is_followed_even_over_music(shared_folder: Path) -> None:
    expected = [Utterance(1.0, 2.5, "Narrator", "Once upon a time"), Utterance(3.5, 6.0)]
    reader = read_speech(read_audio(shared_folder / "clips" / "no_face.mp4"), expected)
    speech = list(reader)
    assert [item.utterance for item in speech] == expected and reader.warnings == []
    assert len(speech[0].samples) == 24000 and 0.4 < len(speech[1].samples) / RATE < 0.5
