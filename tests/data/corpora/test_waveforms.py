"""Waveforms of clips: the samples of the file, equal from a pack, and a self-contained pack."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from checkout import subprocess_environment
from voice_layouts import banglaser_names, noise, write_clips, write_text, write_wav

from multimodal.data.corpora import waveforms as module
from multimodal.data.corpora.voices import (
    VOICE_CORPORA,
    VoiceClip,
    load_waveform,
    load_waveforms,
    read_pack,
    read_voices,
)
from multimodal.errors import CorpusError, MediaError, OutputError


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[VoiceClip]:
    folder = write_clips(tmp_path_factory.mktemp("banglaser"), list(banglaser_names([1, 2]))[::9])
    return read_voices("banglaser", folder, check_counts=False)


def samples_of(path: Path) -> np.ndarray:
    """What the standard library finds in a file of one channel."""
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_clip_is_what_stands_in_the_file(clips: list[VoiceClip]) -> None:
    for clip in clips[:3]:
        actual = load_waveform(clip.path)
        assert actual.dtype == np.float32
        assert np.array_equal(actual, samples_of(clip.path) / np.float32(32768))


def test_all_clips_are_what_stands_in_the_files(clips: list[VoiceClip]) -> None:
    actual = load_waveforms(clips)
    assert len(actual) == len(clips) and actual.lengths.tolist() == [1600] * len(clips)
    for clip, waveform in zip(clips, actual, strict=True):
        assert waveform.dtype == np.float32
        assert np.array_equal(waveform, samples_of(clip.path) / np.float32(32768))


def test_other_rates_and_channels_are_the_same_within_a_step(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "03a01Fa.wav", noise(3, 0.3, 44100, channels=2), 44100)
    exact, packed = load_waveform(path), load_waveforms([VOICE_CORPORA["emodb"].clip(path, "03", "anger")])[0]
    assert len(exact) == pytest.approx(0.3 * 16000, abs=2)
    assert np.abs(exact - packed).max() <= 1 / 65536


def test_a_pack_gives_the_same_and_decodes_nothing(
    clips: list[VoiceClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "new" / "voices.safetensors"
    done: list[tuple[int, int]] = []
    first = load_waveforms(clips, cache, lambda *counts: done.append(counts))
    assert done == [(number, len(clips)) for number in range(1, len(clips) + 1)]
    monkeypatch.setattr(module, "_decode", None)
    changed_at = cache.stat().st_mtime_ns
    selection = [clips[4], clips[0], clips[4]]
    second = load_waveforms(selection, cache, lambda *counts: done.append(counts))
    assert [piece.tolist() for piece in second] == [first[index].tolist() for index in (4, 0, 4)]
    assert len(done) == len(clips) and cache.stat().st_mtime_ns == changed_at
    assert [path.name for path in cache.parent.iterdir()] == [cache.name]


def test_a_pack_grows_and_keeps_what_it_has(clips: list[VoiceClip], tmp_path: Path) -> None:
    cache = tmp_path / "voices.safetensors"
    counted: list[int] = []
    for part in (clips[:4], clips[2:7], clips):
        load_waveforms(part, cache, lambda done, total: counted.append(total))
    assert counted == [4] * 4 + [3] * 3 + [3] * 3
    packed, sounds = read_pack(cache)
    assert [clip.path.name for clip in packed] == [clip.path.name for clip in clips]
    assert [sound.tolist() for sound in sounds] == [sound.tolist() for sound in load_waveforms(clips)]


def test_moved_and_changed_files(clips: list[VoiceClip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, moved = tmp_path / "voices.safetensors", tmp_path / "moved.wav"
    before = load_waveforms(clips[:1], cache)[0]
    moved.write_bytes(clips[0].path.read_bytes())
    here = VOICE_CORPORA["banglaser"].clip(moved, "01", "happy")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_decode", None)
        assert np.array_equal(load_waveforms([here], cache)[0], before)
    write_wav(moved, noise(99))
    assert np.array_equal(load_waveforms([here], cache)[0], samples_of(moved) / np.float32(32768))


def test_long_files_are_known_by_both_ends(tmp_path: Path) -> None:
    sound = noise(5, 4.0)
    paths = [write_wav(tmp_path / f"{number}.wav", sound) for number in range(3)]
    for path, position in zip(paths[1:], (100, len(sound) - 100), strict=True):
        other = sound.copy()
        other[position] += 1
        write_wav(path, other)
    assert len({module._fingerprint(path) for path in paths}) == 3
    assert len(load_waveforms([VOICE_CORPORA["emodb"].clip(path, "03", "anger") for path in paths])) == 3


PACK_ALONE = """
import sys
for name in ("av", "torch", "cv2", "pandas"):
    sys.modules[name] = None
from pathlib import Path
from multimodal.data.corpora.voices import read_pack, split_by_speaker
clips, waveforms = read_pack(Path(sys.argv[1]))
print(len(clips), clips[0].speaker, clips[0].native_label, clips[0].label, clips[0].sex, sum(waveforms.lengths))
print([len(fold.test) for fold in split_by_speaker(clips, 2)])
"""


def test_a_pack_needs_no_decoder_and_no_corpus(tmp_path: Path) -> None:
    folder = write_clips(tmp_path / "banglaser", list(banglaser_names([1, 2]))[::9])
    cache = tmp_path / "voices.safetensors"
    load_waveforms(read_voices("banglaser", folder, check_counts=False), cache)
    for path in folder.iterdir():
        path.unlink()
    command = [sys.executable, "-c", PACK_ALONE, str(cache)]
    environment = subprocess_environment()
    finished = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.stdout.splitlines() == ["10 banglaser-01 happy happiness male 16000", "[5, 5]"], finished.stderr


def test_damage_is_told_with_a_pack_as_without(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "03a01Fa.wav", noise(1, 1.0))
    path.write_bytes(path.read_bytes()[:-9001])
    clips = [VOICE_CORPORA["emodb"].clip(path, "03", "anger")]
    plain = load_waveforms(clips)
    messages = [load_waveforms(clips, tmp_path / "voices.safetensors").warnings for _ in range(2)]
    assert messages == [plain.warnings] * 2
    assert len(plain.warnings) == 1 and plain.warnings[0].startswith("03a01Fa.wav: ")


@pytest.mark.parametrize("content", [b"", b"a user's own file", b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_file_of_another_kind_is_left_alone(clips: list[VoiceClip], tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "voices.safetensors"
    cache.write_bytes(content)
    with pytest.raises(CorpusError, match="not a pack of waveforms"):
        load_waveforms(clips, cache)
    assert cache.read_bytes() == content


def test_a_cut_pack_is_refused(clips: list[VoiceClip], tmp_path: Path) -> None:
    cache = tmp_path / "voices.safetensors"
    load_waveforms(clips, cache)
    cache.write_bytes(cache.read_bytes()[:-100])
    with pytest.raises(CorpusError, match="not a pack of waveforms that this version can read"):
        read_pack(cache)
    with pytest.raises(CorpusError, match="not a pack of waveforms that this version can read"):
        read_pack(tmp_path / "nowhere.safetensors")


def test_clips_that_are_no_sound_are_named(clips: list[VoiceClip], tmp_path: Path) -> None:
    text = VOICE_CORPORA["emodb"].clip(write_text(tmp_path / "03a01Fa.wav", "no sound " * 200), "03", "anger")
    cache = tmp_path / "voices.safetensors"
    with pytest.raises(MediaError, match=r"03a01Fa\.wav"):
        load_waveforms([*clips, text], cache)
    assert not cache.exists()
    with pytest.raises(CorpusError, match=r"nowhere\.wav: cannot be read"):
        load_waveforms([VOICE_CORPORA["emodb"].clip(tmp_path / "nowhere.wav", "03", "anger")])
    with pytest.raises(OutputError):
        load_waveforms(clips[:1], tmp_path / "03a01Fa.wav" / "voices.safetensors")


def test_nothing_is_nothing(tmp_path: Path) -> None:
    actual = load_waveforms([], tmp_path / "voices.safetensors")
    assert len(actual) == 0 and actual.lengths.shape == (0,)
