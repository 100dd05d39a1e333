"""Utterances from voice activity: speech at its time despite defects, and no utterance without speech."""

from __future__ import annotations

import importlib.util
import math
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_fixtures import Sound, write_media
from speech_fixtures import RATE, Samples, babble, blocks_of, joined, not_speech, silence

from multimodal.data.media.audio import read_audio
from multimodal.data.speech.endpointing import (
    LONG_PAUSE_CHUNKS,
    MAX_SPEECH_CHUNKS,
    MIN_SPEECH_CHUNKS,
    OFFSET,
    ONSET,
    Endpointer,
    Span,
)
from multimodal.data.speech.stream import AudioQuality, even_pieces
from multimodal.data.speech.utterances import SpokenUtterance, read_speech
from multimodal.data.speech.voice_activity import VoiceActivity, load_voice_network
from multimodal.errors import ConfigError
from multimodal.types import AudioBlock, Utterance

BEFORE, AFTER = (0.25, 0.05), (0.05, 0.35)
"""Seconds an utterance may begin before or after its first sound, and end before or after its last: margins of 0.15 and
0.1 s, 0.1 s in which the network still hears what was, and two of its steps of 32 ms."""


@pytest.fixture(scope="module")
def talk() -> Samples:
    """Speech from 1 to 3 s and from 4.5 to 6 s, with silence around it."""
    return joined(silence(1), babble(2), silence(1.5), babble(1.5, seed=1), silence(1))


TALK = [(1.0, 3.0), (4.5, 6.0)]


def utterances_of(sound: Samples, start_seconds: float = 0.0) -> tuple[list[SpokenUtterance], list[str]]:
    reader = read_speech(blocks_of(sound, start_seconds))
    return list(reader), reader.warnings


def times(spoken: list[SpokenUtterance]) -> list[tuple[float, float]]:
    return [(item.utterance.start_seconds, item.utterance.end_seconds) for item in spoken]


def check_times(spoken: list[SpokenUtterance], expected: list[tuple[float, float]]) -> None:
    assert len(spoken) == len(expected), times(spoken)
    for (start, end), (first, last) in zip(times(spoken), expected, strict=True):
        assert first - BEFORE[0] <= start <= first + BEFORE[1], times(spoken)
        assert last - AFTER[0] <= end <= last + AFTER[1], times(spoken)


# --- where utterances begin and end ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_speech_is_still_found_after_a_long_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, 30 * RATE).astype(np.float32)
    speech, _ = utterances_of(joined(noise, babble(2), silence(1)))
    check_times(speech, [(30.0, 32.0)])


def test_utterances_stand_where_somebody_speaks(talk: Samples) -> None:
    speech, lines = utterances_of(talk)
    check_times(speech, TALK)
    assert lines == []


def test_samples_are_exactly_the_segment(talk: Samples) -> None:
    for item in utterances_of(talk, start_seconds=100.0)[0]:
        first = round((item.utterance.start_seconds - 100) * RATE)
        assert len(item.samples) == round((item.utterance.end_seconds - item.utterance.start_seconds) * RATE)
        assert item.samples.dtype == np.float32 and item.offset_seconds == 0
        expected = talk[first : first + len(item.samples)]
        assert np.abs(item.samples - expected).max() < 0.002  # the running mean that is taken off


@pytest.mark.parametrize(("pause", "count"), [(0.3, 1), (0.9, 2)])
def test_only_a_real_pause_ends_an_utterance(pause: float, count: int) -> None:
    speech, _ = utterances_of(joined(silence(0.5), babble(3), silence(pause), babble(3, seed=1), silence(1)))
    assert len(speech) == count


@pytest.mark.slow
def test_a_short_word_waits_for_the_rest_of_the_sentence() -> None:
    speech, _ = utterances_of(joined(silence(1), babble(0.4), silence(0.8), babble(2, seed=1), silence(1)))
    check_times(speech, [(1.0, 4.2)])


def test_one_word_alone_is_half_a_second_long() -> None:
    speech, _ = utterances_of(joined(silence(2), babble(0.3), silence(2)))
    ((start, end),) = times(speech)
    assert end - start >= 0.5 and 1.6 <= start <= 2.0 and 2.3 <= end <= 2.8


@pytest.mark.slow
def test_a_long_speech_is_cut_at_its_best_pause() -> None:
    """From 1 to 29.6 s, with short pauses 8.1 s and 19.3 s into it."""
    parts = (babble(8, seed=1), silence(0.2), babble(11, seed=2), silence(0.2), babble(9.2, seed=3))
    speech, _ = utterances_of(joined(silence(1), *parts, silence(1)))
    actual = times(speech)
    assert [start for start, _ in actual[1:]] == [end for _, end in actual[:-1]]  # nothing is lost
    assert [end for _, end in actual[:-1]] == pytest.approx([9.1, 20.3], abs=0.15)
    assert actual[0][0] == pytest.approx(0.9, abs=0.15) and actual[-1][1] == pytest.approx(29.7, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [14.9, 15.3, 31.0])
def test_utterance_length_limits(seconds: float) -> None:
    actual = times(utterances_of(joined(silence(1), babble(seconds), silence(1)))[0])
    assert all(0.5 <= end - start <= 15 for start, end in actual)
    assert sum(end - start for start, end in actual) == pytest.approx(seconds + 0.3, abs=0.25)


probabilities = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0]), st.integers(1, 200)), min_size=1, max_size=12
)


@given(probabilities)
def test_spans_follow_their_rules(runs: list[tuple[float, int]]) -> None:
    values = [value for value, length in runs for _ in range(length)]
    endpointer = Endpointer()
    spans = [span for value in values for span in endpointer.take(value)] + list(endpointer.finish())
    edges = [edge for span in spans for edge in (span.start, span.end)]
    assert edges == sorted(edges) and all(0 <= edge <= len(values) for edge in edges)
    for span in spans:
        inside = values[span.start : span.end]
        assert len(inside) <= MAX_SPEECH_CHUNKS and sum(value >= ONSET for value in inside) >= MIN_SPEECH_CHUNKS
        assert longest_run(inside, below=OFFSET) < LONG_PAUSE_CHUNKS
    covered = {index for span in spans for index in range(span.start, span.end)}
    lost = [index for index, value in enumerate(values) if value >= ONSET and index not in covered]
    assert longest_run([float(index not in lost) for index in range(len(values))], below=0.5) < MIN_SPEECH_CHUNKS


def longest_run(values: list[float], below: float) -> int:
    longest = run = 0
    for value in values:
        run = run + 1 if value < below else 0
        longest = max(longest, run)
    return longest


def test_spans_by_hand() -> None:
    endpointer = Endpointer()
    values = [0.4] * 3 + [0.9] * 40 + [0.4] * 20 + [0.1] * 15 + [0.9] * 2 + [0.1] * 16 + [0.9] * 5 + [0.1] * 40
    spans = [span for value in values for span in endpointer.take(value)]
    # 0.4 does not begin speech but goes on with it; a pause of 15 chunks ends nothing; 5 chunks are no speech
    assert spans == [Span(3, 80)] and list(endpointer.finish()) == []


# --- what is no speech -----------------------------------------------------------------------------------------------


NOT_SPEECH = not_speech(5)


@pytest.mark.slow
@pytest.mark.parametrize("decibels", [0, -30, -60])
@pytest.mark.parametrize("name", NOT_SPEECH)
def test_what_is_no_speech(name: str, decibels: int) -> None:
    speech, lines = utterances_of(NOT_SPEECH[name] * np.float32(10 ** (decibels / 20)))
    assert speech == [] and lines[0].startswith("no speech was found")


@pytest.mark.parametrize("level", [0.0, 0.3, 2 / 32768])
def test_silence(level: float) -> None:
    reader = read_speech(blocks_of(np.full(3 * RATE, level, np.float32)))
    assert list(reader) == [] and reader.warnings == ["no speech was found: the sound is silent"]


def test_a_slammed_door_does_not_hide_quiet_speech(talk: Samples) -> None:
    slam = np.random.default_rng(0).normal(0, 0.3, RATE // 5).astype(np.float32)
    sound = joined(slam, silence(2), talk / 300)
    check_times(utterances_of(sound)[0], [(start + 2.2, end + 2.2) for start, end in TALK])


# --- difficult sound -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "warned"), [(0.1, False), (0.0015, True), (0.0005, True)])
def test_quiet_speech_is_found_and_not_made_louder(talk: Samples, level: float, warned: bool) -> None:
    sound = np.round(talk * np.float32(level / 0.4) * 32768).astype(np.float32) / 32768  # as 16 bits hold it
    speech, lines = utterances_of(sound)
    check_times(speech, TALK)
    assert max(float(np.abs(item.samples).max()) for item in speech) == pytest.approx(level, rel=0.1)
    assert [line.startswith("the speech is very quiet") for line in lines] == [True] * warned


def test_an_offset_is_removed(talk: Samples) -> None:
    plain, shifted = utterances_of(talk)[0], utterances_of(talk + np.float32(0.3))[0]
    assert times(shifted) == times(plain)
    for item, expected in zip(shifted, plain, strict=True):
        assert abs(float(item.samples.mean())) < 0.005
        assert np.abs(item.samples - expected.samples).max() < 0.01


def test_an_offset_that_comes_later_is_removed_too(talk: Samples) -> None:
    sound = joined(talk, silence(6) + np.float32(0.2), talk + np.float32(0.2))
    speech, _ = utterances_of(sound)
    check_times(speech, TALK + [(start + 13, end + 13) for start, end in TALK])
    assert abs(float(speech[-1].samples.mean())) < 0.01


def test_clipped_speech_is_used_and_said_to_be_clipped(talk: Samples) -> None:
    sound = np.clip(talk * 10, -1, 1)
    speech, (line,) = utterances_of(sound)
    check_times(speech, TALK)
    chunks = np.pad(np.abs(sound), (0, -len(sound) % 512)).reshape(-1, 512)
    share = ((chunks >= 0.99).sum(axis=1) >= 3).mean()
    assert line == f"the sound is clipped in {share:.0%} of its time: it was recorded too loud"


def test_sound_scaled_to_fit_is_not_clipped(talk: Samples) -> None:
    assert utterances_of(talk / np.abs(talk).max())[1] == []


def test_telephone_sound(tmp_path: Path, talk: Samples) -> None:
    spectrum = np.fft.rfft(talk)
    hertz = np.fft.rfftfreq(len(talk), 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(talk))[::2].astype(np.float32)
    path = write_media(tmp_path / "call.wav", Sound({0: narrow[None]}, 8000))
    reader = read_speech(read_audio(path))
    check_times(list(reader), TALK)
    assert reader.warnings == []


def test_one_dead_channel(tmp_path: Path, talk: Samples) -> None:
    path = write_media(tmp_path / "dead.wav", Sound({0: np.stack([talk, np.zeros_like(talk)])}))
    speech = list(read_speech(read_audio(path)))
    check_times(speech, TALK)
    assert float(np.abs(speech[0].samples).max()) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(("seconds", "count"), [(0.4, 0), (0.6, 1)])
def test_very_short_files(seconds: float, count: int) -> None:
    speech, lines = utterances_of(babble(seconds))
    assert len(speech) == count and all(len(item.samples) == round(seconds * RATE) for item in speech)
    assert lines == ["no speech was found: the sound lasts 0.40 s, but must last 0.5 s"] * (1 - count)


def test_no_sound_at_all() -> None:
    reader = read_speech([])
    assert list(reader) == [] and reader.warnings == ["no speech was found: there is no sound"]


@pytest.mark.slow
def test_values_that_are_no_numbers_are_silence(talk: Samples) -> None:
    sound = talk.copy()
    sound[20000:20100], sound[30000], sound[90000:] = np.nan, np.inf, np.nan
    speech, lines = utterances_of(sound)
    assert len(speech) == 2
    assert all(np.isfinite(item.samples).all() and np.abs(item.samples).max() <= 1 for item in speech)
    assert lines == [f"the sound has invalid values, replaced by silence: {101 + len(sound) - 90000}"]


def test_a_short_gap_is_silence_and_shifts_nothing() -> None:
    first, second = babble(2), babble(2, seed=1)
    blocks = [*blocks_of(first, 5.0), *blocks_of(second, 7.25)]
    (item,) = read_speech(blocks)
    assert item.utterance.start_seconds == 5.0 and item.utterance.end_seconds == 9.25
    assert not item.samples[2 * RATE : round(2.25 * RATE)].any()
    assert np.abs(item.samples[round(2.25 * RATE) :] - second).max() < 0.005


def test_a_long_gap_ends_an_utterance() -> None:
    speech = list(read_speech([*blocks_of(babble(2), 5.0), *blocks_of(babble(2, seed=1), 4000.5)]))
    assert times(speech) == [(5.0, 7.0), (4000.5, 4002.5)]


@pytest.mark.slow
def test_sound_that_comes_twice_is_dropped(talk: Samples) -> None:
    blocks = list(blocks_of(talk))
    assert times(list(read_speech([*blocks[:3], *blocks[1:]]))) == times(list(read_speech(blocks)))


@pytest.mark.slow
@given(st.lists(st.integers(1, 40000), min_size=1, max_size=12))
def test_how_the_sound_is_cut_into_blocks_changes_nothing(sizes: list[int]) -> None:
    sound = joined(silence(0.5), babble(2), silence(0.9), babble(1, seed=1))
    edges = [0, *np.minimum(np.cumsum(sizes), len(sound)).tolist(), len(sound)]
    blocks = [AudioBlock(a / RATE, sound[a:b], RATE) for a, b in pairwise(edges)]
    cut, whole = list(read_speech(blocks)), list(read_speech([AudioBlock(0.0, sound, RATE)]))
    assert times(cut) == times(whole)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(cut, whole, strict=True))


def test_a_reader_can_be_used_again(talk: Samples) -> None:
    reader = read_speech(list(blocks_of(talk / 250)))
    assert times(list(reader)) == times(list(reader)) and len(reader.warnings) == 1


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(ConfigError, match="sample_rate=16000"):
        list(read_speech([AudioBlock(0.0, np.zeros(8000, np.float32), 8000)]))


def test_pieces_hold_every_sample_once() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 100001).astype(np.float32)
    facts = AudioQuality()
    pieces = list(even_pieces(blocks_of(sound, 3.0, size=777), facts))
    assert [piece.start for piece in pieces] == [48000 + 32768 * index for index in range(4)]
    assert [(piece.begins, piece.ends) for piece in pieces] == [(index == 0, index == 3) for index in range(4)]
    whole = np.concatenate([piece.samples for piece in pieces])
    assert np.abs(whole - sound).max() < 0.01 and facts.seconds == pytest.approx(100001 / RATE)


def test_probabilities_are_one_per_started_chunk() -> None:
    activity = VoiceActivity()
    assert [
        len(activity.probabilities(silence(0.001) + np.float32(1e-9))),
        len(activity.probabilities(silence(0))),
    ] == [1, 0]
    assert len(activity.probabilities(np.zeros(513, np.float32))) == 2


# --- with a transcript -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tone() -> Samples:
    """Ten seconds that say where they are: the level rises by 0.05 a second."""
    time = np.arange(10 * RATE) / RATE
    return (0.05 * (1 + time) * np.sin(2 * np.pi * 400 * time)).astype(np.float32)


def transcribed(sound: Samples, *wanted: Utterance, start: float = 0.0) -> tuple[list[SpokenUtterance], list[str]]:
    reader = read_speech(blocks_of(sound, start), list(wanted))
    return list(reader), reader.warnings


def test_a_transcripts_utterances_are_cut_as_they_are(tone: Samples) -> None:
    expected = [
        Utterance(6.0, 8.5, "B", "two"),
        Utterance(0.5, 2.0, "A", "one"),
        Utterance(1.0, 9.0),
        Utterance(7.0, 7.3),
    ]
    speech, lines = transcribed(tone, *expected)
    assert [item.utterance for item in speech] == [expected[1], expected[3], expected[0], expected[2]] and lines == []
    for item in speech:
        first, last = round(item.utterance.start_seconds * RATE), round(item.utterance.end_seconds * RATE)
        assert item.offset_seconds == 0 and len(item.samples) == last - first
        assert np.abs(item.samples - tone[first:last]).max() < 0.005


def test_a_transcript_needs_no_network(tone: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    load_voice_network.cache_clear()
    assert len(transcribed(tone, Utterance(1, 2))[0]) == 1


def test_utterances_that_reach_beyond_the_sound(tone: Samples) -> None:
    expected = [Utterance(1.0, 3.0, text="early"), Utterance(11.0, 40.0, text="late"), Utterance(11.5, math.inf)]
    speech, lines = transcribed(tone, *expected, start=2.0)
    assert [item.utterance for item in speech] == expected  # with their own times
    assert [item.offset_seconds for item in speech] == [1.0, 0, 0]
    assert [len(item.samples) for item in speech] == [RATE, RATE, RATE // 2]
    assert np.abs(speech[0].samples - tone[:RATE]).max() < 0.005
    assert lines == ["1 of the transcript's 3 utterances are longer than 60 s: only the start of their voice is used"]


def test_utterances_without_sound_are_left_out_and_counted(tone: Samples) -> None:
    sound = joined(tone[: 3 * RATE], silence(4), tone[: 3 * RATE])
    outside = [Utterance(0.2, 0.8), Utterance(30, 31), Utterance(math.inf, math.inf)]
    without = [*outside, Utterance(2.5, 2.5), Utterance(2.5, 2.6), Utterance(5.2, 7.8)]  # the last in the silence
    speech, lines = transcribed(sound, *without, Utterance(2.0, 5.0), start=1.0)
    assert [item.utterance for item in speech] == [Utterance(2.0, 5.0)]
    assert lines == ["6 of the transcript's 7 utterances have no audio (first at 0.2 s): their voice is ignored"]


def test_a_gap_within_an_utterance_is_silence(tone: Samples) -> None:
    blocks = [*blocks_of(tone[: 2 * RATE]), *blocks_of(tone[: 2 * RATE], 6.0)]
    reader = read_speech(blocks, [Utterance(1.0, 7.0), Utterance(3.0, 5.0)])
    (item,) = reader
    assert len(item.samples) == 6 * RATE and not item.samples[RATE : 5 * RATE].any()
    assert item.samples[: RATE - 1].any() and item.samples[5 * RATE :].any()
    assert len(reader.warnings) == 1


def test_a_long_utterance_is_kept_up_to_a_minute() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 130 * RATE).astype(np.float32)
    expected = [Utterance(5.0, 60.0), Utterance(10.0, 120.0)]
    speech, lines = transcribed(sound, *expected)
    assert [item.utterance for item in speech] == expected
    assert [len(item.samples) for item in speech] == [55 * RATE, 60 * RATE] and len(lines) == 1


def test_an_empty_transcript_has_no_utterances(talk: Samples) -> None:
    assert transcribed(talk) == ([], [])


# --- memory ----------------------------------------------------------------------------------------------------------


def peak_bytes(seconds: int, wanted: list[Utterance] | None) -> int:
    second = babble(1)

    def blocks() -> Iterator[AudioBlock]:
        for index in range(seconds):
            yield AudioBlock(float(index), second, RATE)

    tracemalloc.start()
    for _ in read_speech(blocks(), wanted):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording() -> None:
    peak_bytes(5, None)  # loads what is loaded once
    assert peak_bytes(300, None) < 1.2 * peak_bytes(40, None)  # 40 s without a pause are cut three times already
    overlapping = [Utterance(float(start), start + 300.0) for start in range(20)]
    long, short = peak_bytes(300, overlapping), peak_bytes(100, overlapping)
    assert long < 1.2 * short and long < 15e6  # a minute of sound is 3.8 MB, and a copy is handed out
