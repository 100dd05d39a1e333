"""Manifests as people and Excel write them, and every kind of invalid row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multimodal.data.manifest import Row, read_folder, read_manifest, read_seconds
from multimodal.errors import ConfigError, InputMissingError, InputUnreadableError

HEADER = ["path", "participant", "task", "start", "end", "device"]
ROWS = [
    ["a/one.mp4", "P01", "checkout", "", "", "phone, large"],
    ["two.wav", "P02", "", "0:01:05.5", "1:10", "Tastatur; Maus"],
    ["drei ä.txt", "", "search", "90", "", 'said "no"'],
]


def table(delimiter: str, decimal: str = ".") -> str:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"' if set(cell) & set('",;\t') else cell

    cells = [HEADER, *[[*row[:3], row[3].replace(".", decimal), *row[4:]] for row in ROWS]]
    return "\n".join(delimiter.join(map(quoted, row)) for row in cells) + "\n"


def check(path: Path) -> None:
    manifest = read_manifest(path)
    assert manifest.errors == () and manifest.columns == tuple(HEADER)
    folder = path.parent
    assert [row.path for row in manifest.rows] == [folder / "a/one.mp4", folder / "two.wav", folder / "drei ä.txt"]
    assert [(row.start_seconds, row.end_seconds) for row in manifest.rows] == [(None, None), (65.5, 70.0), (90.0, None)]
    assert [row.columns["device"] for row in manifest.rows] == ["phone, large", "Tastatur; Maus", 'said "no"']
    assert [row.columns["participant"] for row in manifest.rows] == ["P01", "P02", ""]
    assert [row.line for row in manifest.rows] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (table(","), "utf-8"),
        (table(","), "utf-8-sig"),
        (table(";", ","), "utf-8-sig"),
        (table(";", ",").replace("\n", "\r\n"), "cp1252"),
        (table("\t"), "utf-8"),
        (table("\t").replace("\n", "\r\n"), "utf-16"),
        (table(",").replace("\n", "\r"), "utf-8"),
    ],
    ids=["csv", "bom", "semicolons", "windows", "tsv", "excel-unicode", "old-mac"],
)
def test_tables_of_every_make_say_the_same(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_bytes(text.encode(encoding))
    check(tmp_path / "study.csv")


def test_excels_first_line_names_the_delimiter(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text("sep=;\npath;start\na.mp4;bad\n")
    (error,) = read_manifest(tmp_path / "study.csv").errors
    assert "line 3" in str(error)


def test_every_wrong_row_is_reported_with_its_line(tmp_path: Path) -> None:
    lines = [
        "path,start,end,note",
        "fine.mp4,0:10,0:20,",
        ",,,no path",  # 3
        "late.mp4,20,10,",  # 4
        'multi.mp4,1,,"two',
        'lines"',  # 5 to 6
        "odd.mp4,soon,-3,",  # 7
        "",
        "wide.mp4,,,,,more",  # 9
        "fine.mp4,10,20.0,again",  # 10: the same segment of the same file
        "./fine.mp4,10,,another segment",
        "clock.mp4,1:75,,",  # 12
        "nan.mp4,nan,inf,",  # 13
    ]
    (tmp_path / "study.csv").write_text("\n".join(lines))
    manifest = read_manifest(tmp_path / "study.csv")
    actual = {int(error.subject.rpartition(" ")[2]): error.fact for error in manifest.errors}
    assert list(actual) == [3, 4, 7, 9, 10, 12, 13]
    assert actual[3] == "has no path" and actual[4] == "has the end 10, not after the start 20"
    assert "the start 'soon'" in actual[7] and "the end '-3'" in actual[7]
    assert actual[9] == "has 6 cells for 4 columns" and actual[10] == "repeats line 2"
    assert all(error.remedy for error in manifest.errors)
    assert [row.line for row in manifest.rows if row.path.name == "multi.mp4"] == [5]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("", "is empty"),
        ("path\n", "contains no input"),
        ("file,task\na.mp4,x\n", "has no column path"),
        ("path,Task,task\na.mp4,x,y\n", "has task more than once"),
        ('path\n"a.mp4\n', "is not a table row"),
        ('path\n"a"b.mp4\n', "is not a table row"),
    ],
)
def test_what_is_no_manifest_is_refused(content: str, fact: str, tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text(content)
    with pytest.raises(ConfigError, match=fact):
        read_manifest(tmp_path / "study.csv")


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(InputUnreadableError):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "1:2:3:4", "1:60:00", "0:0:60", "-1", "1e3", "nan", "inf", "soon", "1:", ":1", "1.2.3"]
)
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        read_seconds(text)


@pytest.mark.parametrize("text", ["3661.25", "3661,25", "1:01:01.25", " 01:01:01,25 ", "61:01.25"])
def test_times_are_read(text: str) -> None:
    assert read_seconds(text) == 3661.25


def test_row_identity_ignores_the_spelling_of_the_path(tmp_path: Path) -> None:
    paths = ["talk.mp4", "./talk.mp4", "sub/../talk.mp4", str(tmp_path / "talk.mp4")]
    names = set()
    for text in paths:
        (tmp_path / "study.csv").write_text(f"path\n{text}\n")
        names |= {row.identity for row in read_manifest(tmp_path / "study.csv").rows}
    assert len(names) == 1


def test_a_folder_gives_its_inputs_and_nothing_else(tmp_path: Path) -> None:
    inputs = ["P01/answer.txt", "P01/talk.mp4", "P02/note.WAV", "a.srt"]
    others = ["P01/talk.vtt", "P01/talk.txt", "study.csv", ".hidden.mp4", ".git/x.mp4", "out/talk/frames.mp4", "x.docx"]
    others += [f"results/talk/{name}" for name in ("analysis.json", "frames.csv", "overlay.mp4", "emotions.srt")]
    others += ["results/talk/clips/01-peak.mp4"]
    for name in [*inputs, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = read_folder(tmp_path, tmp_path / "out").rows
    assert [row.name for row in rows] == inputs
    assert all(isinstance(row, Row) and row.path == tmp_path / row.name for row in rows)


def test_a_folder_without_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="contains no recording"):
        read_folder(tmp_path)


def test_names_of_undecodable_bytes_are_inputs_too(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / odd).touch()
    assert read_folder(tmp_path).rows[0].path == tmp_path / odd
