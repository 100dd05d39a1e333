"""Manifests of speech clips: their columns, and every kind of invalid row."""

from __future__ import annotations

from pathlib import Path

import pytest
from voice_layouts import write_clips, write_text

from multimodal.data.corpora.voices import VoiceClip, read_voices
from multimodal.errors import CorpusError


def write_manifest(folder: Path, *rows: str, header: str = "path,label,speaker,corpus,sex", sounds: int = 3) -> Path:
    write_clips(folder / "clips", [f"{number}.wav" for number in range(sounds)])
    return write_text(folder / "manifest.csv", "\n".join([header, *rows]) + "\n")


def test_a_manifest_gives_its_rows(tmp_path: Path) -> None:
    absolute = tmp_path / "clips" / "2.wav"
    table = write_manifest(
        tmp_path,
        "clips/0.wav, Anger ,Ada,,female",
        "",
        "clips/1.wav,calm,01,ravdess,",
        f'"{absolute}",xxx,iemocap-05M,iemocap,male',
    )
    expected = [
        VoiceClip(tmp_path / "clips" / "0.wav", "manifest", "manifest-Ada", "anger", "anger", "female"),
        VoiceClip(tmp_path / "clips" / "1.wav", "ravdess", "ravdess-01", "calm", "neutral"),
        VoiceClip(absolute, "iemocap", "iemocap-05M", "no agreement", None, "male"),
    ]
    assert read_voices("manifest", table) == read_voices("manifest", tmp_path) == expected


def test_a_manifest_as_spreadsheets_write_it(tmp_path: Path) -> None:
    write_clips(tmp_path, ["ä b.wav"])
    text = 'Speaker,Note,Path,Label\r\nÅsa,"a, ""b""","ä b.wav",fear\r\n'
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (clip,) = read_voices("manifest", tmp_path)
    assert (clip.speaker, clip.label, clip.path.name) == ("manifest-Åsa", "fear", "ä b.wav")


def test_all_wrong_rows_are_named_at_once(tmp_path: Path) -> None:
    table = write_manifest(
        tmp_path,
        "clips/0.wav,anger,Ada,,",
        "clips/8.wav,anger,Ada,,",
        "clips/9.wav,anger,Ada,,",
        "clips/1.wav,joy,Ada,,",
        "clips/2.wav,calm,01,emodb,",
        "clips/2.wav,fear,,,",
        "clips/0.wav,fear,Ada,,",
        "clips/1.wav,fear,Ada,mine,",
        "clips/1.wav,fear,Ada,,x",
        "clips/7.wav,fear,Ada,,",
        "clips/1.wav",
    )
    with pytest.raises(CorpusError) as error:
        read_voices("manifest", table)
    message = str(error.value)
    assert message.startswith(f"{table}: ") and message.endswith("; correct these rows") and "\n" not in message
    assert "lines 3-4, 11: a path to a file that does not exist ('clips/8.wav')" in message
    assert "line 5: a label other than the seven neutral, happiness" in message and "('joy')" in message
    assert "line 6: a label other than emodb's anger, boredom" in message
    assert "line 7: no speaker" in message
    assert "line 8: a path that an earlier row has ('clips/0.wav')" in message
    assert "line 9: a corpus other than ravdess" in message and "('mine')" in message
    assert "line 10: a sex other than female, male or nothing ('x')" in message
    assert "line 12: no label and no speaker" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column path, label, speaker"),
        (b"path;label;speaker\n", "has no column path, label, speaker .*separated by commas"),
        (b"path,label\na,b\n", "has no column speaker"),
        (b"path,label,speaker\n", "has no rows"),
        (b"path,label,speaker\n\xff\xfe,b,c\n", "is not a CSV file in UTF-8"),
        (b'path,label,speaker\n"a,b,c\n', "is not a CSV file in UTF-8"),
    ],
)
def test_a_table_that_is_none_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(CorpusError, match=message):
        read_voices("manifest", tmp_path)


def test_a_missing_manifest_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="name a CSV file with the columns path,label,speaker"):
        read_voices("manifest", tmp_path)


def test_a_row_with_an_empty_file_is_refused(tmp_path: Path) -> None:
    table = write_manifest(tmp_path, "clips/0.wav,anger,Ada", header="path,label,speaker")
    (tmp_path / "clips" / "0.wav").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"1 of 1 clips are empty files, such as 0\.wav"):
        read_voices("manifest", table)
