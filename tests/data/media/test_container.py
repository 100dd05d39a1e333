"""Damaged, hostile and invalid containers: the readable part is read, the rest is one warning line."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from checkout import REFERENCE
from media_fixtures import EVERY_FRAME, Pictures, Sound, decoder_threads, every, times_of, tone, write_media

from multimodal.data.media import container as container_module
from multimodal.data.media.audio import read_audio, read_frames
from multimodal.data.media.probe import probe
from multimodal.errors import ConfigError, InputMissingError, InputUnreadableError, MediaError

# Damage


@pytest.mark.parametrize("rate", [EVERY_FRAME, 5.0])
def test_a_cut_file_gives_what_is_there_and_names_the_second(noisy_clip: Path, rate: float) -> None:
    whole = times_of(noisy_clip, rate)
    noisy_clip.write_bytes(noisy_clip.read_bytes()[: noisy_clip.stat().st_size * 6 // 10])
    reader = read_frames(noisy_clip, frames_per_second=rate)
    times = [frame.time_seconds for frame in reader]
    assert times == whole[: len(times)] and 2.0 < times[-1] < 2.6
    assert reader.warnings == ["the file breaks off at 2.4 s of 4.0 s; the rest is missing"]
    sound = read_audio(noisy_clip)
    assert 2.2 < sum(len(block.samples) for block in sound) / 16000 < 2.5
    assert sound.warnings == reader.warnings


@pytest.mark.parametrize("suffix", [".mkv", ".flv"])
def test_a_cut_file_of_other_kinds(tmp_path: Path, suffix: str) -> None:
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    path = write_media(tmp_path / f"cut{suffix}", Pictures(every(40, 4), noise=True), sound)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_frames(path)
    assert 1.6 < [frame.time_seconds for frame in reader][-1] < 2.2
    assert len(reader.warnings) == 1 and "breaks off at 2." in reader.warnings[0]


def test_a_cut_wmv_is_noticed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "cut.wmv", Pictures(every(40, 4), codec="wmv2", options={}, noise=True))
    whole = read_frames(path)
    assert [frame.time_seconds for frame in whole][-1] > 3.7 and whole.warnings == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_frames(path)
    assert 1.6 < [frame.time_seconds for frame in reader][-1] < 2.2
    assert len(reader.warnings) == 1 and "breaks off at 2." in reader.warnings[0]


def test_a_cut_wav_is_noticed(tmp_path: Path) -> None:
    path = write_media(tmp_path / "cut.wav", Sound({0: tone(2)}))
    whole = read_audio(path)
    assert len(list(whole)) == 2 and whole.warnings == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    reader = read_audio(path)
    assert sum(len(block.samples) for block in reader) == pytest.approx(16000, abs=1000)
    assert len(reader.warnings) == 1 and "breaks off at 1.0 s" in reader.warnings[0]


def test_damage_in_the_middle_is_passed_over_and_said(noisy_clip: Path) -> None:
    content = bytearray(noisy_clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    noisy_clip.write_bytes(content)
    reader = read_frames(noisy_clip, frames_per_second=EVERY_FRAME)
    times = [frame.time_seconds for frame in reader]
    assert 90 <= len(times) < 100 and times[-1] == pytest.approx(3.96)
    assert len(reader.warnings) == 1 and "damaged picture packets skipped between 2." in reader.warnings[0]


def test_hole_in_both_streams_warns(tmp_path: Path) -> None:
    sound = Sound({0: tone(4)}, codec="aac", sample_format="fltp")
    path = write_media(tmp_path / "hole.mkv", Pictures(every(40, 4), noise=True), sound)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 9000] = bytes(9000)
    path.write_bytes(content)
    reader = read_frames(path)
    assert [frame.time_seconds for frame in reader][-1] > 3.7
    assert any("nothing can be read from 2.0 s to 2." in line for line in reader.warnings)


def test_nothing_that_can_be_decoded_is_an_error(noisy_clip: Path) -> None:
    content = bytearray(noisy_clip.read_bytes())
    start = content.index(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    noisy_clip.write_bytes(content)
    assert probe(noisy_clip).width == 96  # the header is whole
    with pytest.raises(MediaError, match="no picture that can be decoded"):
        list(read_frames(noisy_clip))
    with pytest.raises(MediaError, match="no sound that can be decoded"):
        list(read_audio(noisy_clip))
    assert not decoder_threads()


# Errors


def test_files_that_cannot_be_opened(tmp_path: Path, noisy_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe")
    cases = {"missing.mp4": InputMissingError, "clip.mp4/x": InputMissingError, ".": InputUnreadableError}
    cases |= {"empty.mp4": InputUnreadableError, "pipe": InputUnreadableError, "x" * 300: InputUnreadableError}
    for name, kind in cases.items():
        for read in (probe, read_frames, read_audio):
            with pytest.raises(kind) as caught:
                read(tmp_path / name)
            assert caught.value.subject == str(tmp_path / name)
            assert "\n" not in str(caught.value)

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputUnreadableError, match="may not be read"):
        probe(noisy_clip)


def test_what_is_not_media_gives_one_clear_line(tmp_path: Path, noisy_clip: Path) -> None:
    content = noisy_clip.read_bytes()
    cases = {
        b"Dear diary, this is only text.\n" * 40: "is not a video or sound file",
        b"x": "is not a video or sound file",
        b"\x89PNG\r\n\x1a\n" + bytes(200): "is not a video or sound file",
        content[:28] + bytes(8) + content[content.index(b"mdat") - 4 :]: "is truncated",
    }
    for number, (head, fact) in enumerate(cases.items()):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(head)
        with pytest.raises(MediaError, match=fact) as caught:
            probe(path)
        assert caught.value.subject == str(path) and "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://localhost:9/a.mp4", "concat:a.mp4|b.mp4", "file:clip.mp4", "pipe:0", "-"])
def test_addresses_are_only_names_of_files(noisy_clip: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(noisy_clip.parent)
    for read in (probe, read_frames, read_audio):
        with pytest.raises(InputMissingError):
            read(address)
    Path("http:clip.mp4").write_bytes(noisy_clip.read_bytes())
    assert probe("http:clip.mp4").duration_seconds == pytest.approx(4)


def playlists(target: Path) -> dict[str, str]:
    """Texts that lead a demuxer to another file."""
    location = "urn:mpeg:dash:schema:mpd:2011"
    return {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "mpd": f'<?xml version="1.0"?><MPD xmlns="{location}" profiles="urn:mpeg:dash:profile:isoff-main:2011" '
        f'type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>{target}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }


@pytest.mark.parametrize("suffix", ["own", "mp4"])
@pytest.mark.parametrize("kind", ["m3u8", "ffconcat", "mpd", "sdp"])
def test_playlists_lead_nowhere(noisy_clip: Path, kind: str, suffix: str) -> None:
    path = noisy_clip.with_name(f"list.{kind if suffix == 'own' else suffix}")
    path.write_text(playlists(noisy_clip)[kind])
    for read in (probe, read_frames, read_audio):
        with pytest.raises(MediaError, match="is not a video or sound file"):
            read(path)


@pytest.mark.parametrize(("kind", "demuxer", "asks"), [("m3u8", "hls", True), ("ffconcat", "concat", False)])
def test_a_demuxer_that_opens_a_second_file_is_refused(
    noisy_clip: Path, monkeypatch: pytest.MonkeyPatch, kind: str, demuxer: str, asks: bool
) -> None:
    """The second line of defense, seen by taking the first away: one demuxer asks, the other takes a protocol."""
    path = noisy_clip.with_name(f"list.{kind}")
    path.write_text(playlists(Path(noisy_clip.name))[kind])
    requests: list[str] = []

    def refuse(url: str, flags: int, options: dict[str, str]) -> None:
        requests.append(url)
        raise PermissionError

    monkeypatch.setattr(container_module, "FORMATS", [*container_module.FORMATS, demuxer])
    monkeypatch.setattr(container_module, "_refuse", refuse)
    with pytest.raises(MediaError):
        probe(path)
    assert [url.endswith("clip.mp4") for url in requests] == [True] * asks


@pytest.mark.parametrize("options", [{"frames_per_second": 0}, {"frames_per_second": math.nan}, {"max_side": 0}])
def test_impossible_options_of_frames(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        read_frames(REFERENCE / "hevc.mp4", **options)
