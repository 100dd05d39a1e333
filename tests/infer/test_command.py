"""The command infer in a subprocess: its outputs, and every error.

Here it reads faces alone; ``test_audio`` reads voices, ``test_text`` reads words.
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from analysis_fixtures import make_analysis, shows
from checkout import RunCommand, read_terminal, subprocess_environment, without_privileges
from fusion_fixtures import SHIPPED_NOTES, shipped_fusion
from media_fixtures import Sound, tone, write_media
from voice_fixtures import FRAME_RATE, write_face_clip

from multimodal.analysis.result import SCHEMA_VERSION
from multimodal.data.emotions import FACE_LABELS, FUSED_LABELS
from multimodal.models.selection import DEFAULTS, shipped_folder
from multimodal.types import USABILITY_LABELS

pytestmark = pytest.mark.slow

FACES = ("--modalities", "face")
FILES = ["analysis.json", "frames.csv", "report.html", "utterances.csv"]
UNDECODABLE = os.fsdecode(b"caf\xe9 \xff.mp4")
ODD_NAMES = ("gr\u00fcne Wei\u00dfheit [red]bold.mp4", UNDECODABLE, "-q.mp4", "...mp4")
ERROR = re.compile(r"error: .+: .+; .+")  # the place, the fact, the remedy


def read_analysis(folder: Path) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    content: dict[str, Any] = json.loads((folder / "analysis.json").read_text("utf-8"), parse_constant=refuse)
    return content


def whole_results(out: Path) -> list[str]:
    """Names of the results, each of which must be whole, with nothing else beside or in it."""
    for folder in out.iterdir():
        assert sorted(path.name for path in folder.iterdir()) == FILES
        read_analysis(folder)
    return sorted(os.fsencode(folder.name).decode("utf-8", "replace") for folder in out.iterdir())


def only_line(finished: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line of a failure, which names file, fact and remedy and is no traceback."""
    assert finished.returncode == code, finished.stderr
    (line,) = finished.stderr.splitlines()
    assert finished.stdout == "" and line.startswith("error: ")
    return line


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_face_clip(tmp_path_factory.mktemp("clip") / "talk.mp4")


@pytest.fixture(scope="module")
def pile(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of a researcher with bad luck: some whole, some not, some oddly named."""
    folder = tmp_path_factory.mktemp("pile")
    (folder / "other").mkdir()
    shutil.copy(clip, folder / "talk.mp4")
    write_face_clip(folder / "other" / "talk.mp4", 1.0, gone=(0, 0), seed=1)
    for name in ODD_NAMES:
        shutil.copy(folder / "other" / "talk.mp4", folder / name)
    content = clip.read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    (folder / "folder.mp4").mkdir()
    (folder / "empty.mp4").touch()
    (folder / "two\nlines.mp4").touch()
    (folder / "text.mp4").write_text("not a video\n" * 100)
    no_index = write_media(folder / "recorded.mp4", Sound({0: tone(1.0)}, codec="aac", sample_format="fltp"))
    no_index.write_bytes(no_index.read_bytes()[: no_index.stat().st_size // 2])
    write_media(folder / "sound.wav", Sound({0: tone(1.0)}))
    return folder


GOOD = ("talk.mp4", "other/talk.mp4", "cut.mp4", *ODD_NAMES)
BAD = {
    "missing.mp4": "does not exist",
    "folder.mp4": "is a folder",
    "empty.mp4": "is empty",
    "text.mp4": "is not a video",
    "recorded.mp4": "is truncated",
    "sound.wav": "holds no picture",
    r"two\nlines.mp4": "is empty",
}
RESULTS = ["-q", "...mp4", "caf\ufffd \ufffd", "cut", "gr\u00fcne Wei\u00dfheit [red]bold", "talk", "talk-2"]


@pytest.fixture(scope="module")
def finished(pile: Path, run_cli: RunCommand) -> subprocess.CompletedProcess[str]:
    """One call with everything, good and bad by turns."""
    bad = [name.replace(r"\n", "\n") for name in BAD]
    mixed = [name for pair in zip(bad, GOOD, strict=True) for name in pair]
    return run_cli("infer", "--out", "results", *FACES, "--", *mixed, cwd=pile, env={"FORCE_COLOR": "1"})


def test_each_bad_input_has_one_line_and_the_others_are_analyzed(
    finished: subprocess.CompletedProcess[str], pile: Path
) -> None:
    assert finished.returncode == 1
    lines = finished.stderr.splitlines()
    assert len(lines) == len(BAD)
    for line, (name, fact) in zip(lines, BAD.items(), strict=True):
        assert line.startswith(f"error: {name}: {fact}") and ERROR.fullmatch(line)
    assert whole_results(pile / "results") == RESULTS


def test_output_in_a_pipe_is_plain_text(finished: subprocess.CompletedProcess[str]) -> None:
    # With FORCE_COLOR, which continuous integration sets, rich would take the pipe for a terminal.
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", finished.stdout + finished.stderr)
    assert "gr\u00fcne Wei\u00dfheit [red]bold.mp4  0:01  based on face\n" in finished.stdout
    assert "\n  face visible 100% of the time: " in finished.stdout and "voice" not in finished.stdout
    assert "caf? ?.mp4  0:01" in finished.stdout
    assert finished.stdout.count("written to ") == len(GOOD)


def test_good_part_of_a_truncated_file_is_analyzed(finished: subprocess.CompletedProcess[str], pile: Path) -> None:
    warning, *notes = read_analysis(pile / "results" / "cut")["warnings"]
    assert tuple(notes) == SHIPPED_NOTES
    actual = re.fullmatch(r"the file breaks off at (\d\.\d) s of 3\.0 s; the rest is missing", warning)
    assert actual and f"warning: {warning}" in finished.stdout
    video = cv2.VideoCapture(str(pile / "cut.mp4"))
    decodable = sum(1 for _ in iter(video.grab, False)) / FRAME_RATE
    assert 1.0 < decodable < 2.5
    assert float(actual[1]) == pytest.approx(decodable, abs=0.15)
    times = pd.read_csv(pile / "results" / "cut" / "frames.csv")["time_seconds"]
    assert decodable - 0.3 < times.max() < decodable


def test_rerun_finds_its_folders_again(
    finished: subprocess.CompletedProcess[str], pile: Path, run_cli: RunCommand
) -> None:
    again = run_cli("infer", "other/talk.mp4", "talk.mp4", UNDECODABLE, "--quiet", *FACES, cwd=pile)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert whole_results(pile / "results") == RESULTS
    for name, path in (("talk", "talk.mp4"), ("talk-2", "other/talk.mp4")):
        media = read_analysis(pile / "results" / name)["media"]
        assert media["path"] == str(pile / path)
        assert media["sha256"] == hashlib.sha256((pile / path).read_bytes()).hexdigest()


def test_analysis_has_the_designed_keys(finished: subprocess.CompletedProcess[str], pile: Path) -> None:
    content = read_analysis(pile / "results" / "talk")
    keys = {"schema", "schema_version", "media", "models", "emotions", "utterances", "summary", "coverage", "warnings"}
    assert set(content) == keys | {"valence_arousal", "baseline"}
    assert content["baseline"] == {"mode": "auto", "start_seconds": None, "end_seconds": None, "used": False}
    assert (content["schema"], content["schema_version"]) == ("multimodal-emotion/analysis", SCHEMA_VERSION)
    assert content["media"] | {"path": "", "sha256": ""} == {
        **{"path": "", "sha256": "", "duration_seconds": 3.0, "width": 320, "height": 240, "frame_rate": 25.0},
        **{"has_video": True, "has_audio": False},
    }
    weights = shipped_folder() / f"{DEFAULTS['face']}.safetensors"
    face = {"name": DEFAULTS["face"], "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert content["models"] == {"face": face, "audio": None, "text": None, "fusion": shipped_fusion()}
    assert content["emotions"] == list(FUSED_LABELS) and tuple(content["warnings"]) == SHIPPED_NOTES
    assert content["valence_arousal"] == {"source": "norms", "reference": "Russell and Mehrabian 1977"}
    summary = {
        "modality",
        "shares",
        "estimated_seconds",
        "dominant",
        "shares_by_modality",
        "mean_valence",
        "mean_arousal",
    }
    assert set(content["summary"]) == summary | {"uncertain"} and content["summary"]["modality"] == "fused"
    by_modality = content["summary"]["shares_by_modality"]
    assert list(by_modality["face"]) == list(FACE_LABELS) and sum(by_modality["face"].values()) == pytest.approx(
        1, abs=1e-3
    )
    assert by_modality | {"face": None} == {"face": None, "audio": None, "text": None}
    assert list(content["summary"]["shares"]) == list(FUSED_LABELS)
    assert content["summary"]["estimated_seconds"] == 3.0  # the answer is of the whole segment
    assert content["coverage"] == {"face": pytest.approx(2 / 3, abs=1e-3), "audio": 0.0, "text": 0.0}
    (utterance,) = content["utterances"]
    estimates, absent = utterance["estimates"], dict.fromkeys(("speaker", "text"))
    place = {**absent, "start_seconds": 0.0, "end_seconds": 3.0, "face_id": 0}
    assert {key: utterance[key] for key in place} == place
    usability = {"usability": None, "usability_label": None, "usability_probability": None, "translated": False}
    assert {key: utterance[key] for key in usability} == usability
    rest = {"modalities", "estimates", "emotion", "valence", "arousal", "confidence"}
    assert set(utterance) - set(place) - set(usability) == rest
    assert utterance["modalities"] == ["face"] and list(estimates["face"]) == list(FACE_LABELS)
    assert estimates["audio"] is estimates["text"] is None and list(estimates["fused"]) == list(FUSED_LABELS)
    assert sum(estimates["fused"].values()) == pytest.approx(1, abs=1e-3)
    assert utterance["confidence"] == max(estimates["fused"].values())
    assert utterance["emotion"] in ("uncertain", max(estimates["fused"], key=estimates["fused"].get))
    assert -1 <= utterance["valence"] == content["summary"]["mean_valence"] <= 1
    assert -1 <= utterance["arousal"] == content["summary"]["mean_arousal"] <= 1


def test_table_columns_and_rows(finished: subprocess.CompletedProcess[str], pile: Path) -> None:
    frames, utterances = (pd.read_csv(pile / "results" / "talk" / name) for name in ("frames.csv", "utterances.csv"))
    place = ["time_seconds", "face_id", "x", "y", "width", "height", "detection_score"]
    assert list(frames) == [*place, *FACE_LABELS, "quality", "mouth_motion"]
    assert frames["time_seconds"].tolist() == pytest.approx([index / 5 for index in range(15)])
    gone = frames["time_seconds"].between(1.0, 1.9)
    assert frames[gone].drop(columns="time_seconds").isna().all(axis=None)
    assert frames[~gone].drop(columns="mouth_motion").notna().all(axis=None)
    first = frames["time_seconds"].isin([0.0, 2.0])  # nothing before to compare with
    assert (frames["mouth_motion"].notna() == ~gone & ~first).all()
    assert frames.loc[~gone, list(FACE_LABELS)].sum(axis=1).to_numpy() == pytest.approx(1, abs=5e-4)
    middle = frames.loc[~gone, ["x", "y"]].to_numpy() + frames.loc[~gone, ["width", "height"]].to_numpy() / 2
    assert np.abs(middle - [160, 120]).max() < 20  # where the fixture puts the head
    when = ["start_seconds", "end_seconds", "speaker", "text", "modalities", "face_id"]
    signals = {"face": FACE_LABELS, "audio": FUSED_LABELS, "text": FUSED_LABELS, "fused": FUSED_LABELS}
    labels = [f"{signal}_{label}" for signal, names in signals.items() for label in names]
    last = ["valence", "arousal", "confidence", "emotion", "usability", "usability_probability"]
    assert list(utterances) == [*when, *labels, *last] and len(utterances) == 1
    assert utterances["fused_neutral"].notna().all() and utterances["emotion"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "names", "remedy"),
    [
        (["--fps", "abc"], "--fps", "--help"),
        (["--fps", "0"], "--fps", "--help"),
        (["--device", "tpu"], "--device: invalid value 'tpu'", "choose one of auto, cpu, cuda, mps"),
        (["--detector", "nonsense"], "--detector: 'nonsense'", "choose mtcnn, yunet, haar or the path"),
        (["--modalities", "smell"], "--modalities: invalid value 'smell'", "choose from face"),
        (["--nope"], "--nope", "--help"),
        (["--model", ""], "--model: is empty", "leave it out"),
        (["--export", "vtt,docx"], "--export", "choose from"),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_written(
    run_cli: RunCommand, clip: Path, tmp_path: Path, arguments: Sequence[str], names: str, remedy: str
) -> None:
    line = only_line(run_cli("infer", clip, *FACES, *arguments, cwd=tmp_path), 2)
    assert names in line and remedy in line
    assert not list(tmp_path.iterdir())


def test_no_input_is_wrong_usage(run_cli: RunCommand, tmp_path: Path) -> None:
    assert "INPUT" in only_line(run_cli("infer", cwd=tmp_path), 2)


def test_unknown_model_names_the_shipped_ones(run_cli: RunCommand, clip: Path, tmp_path: Path) -> None:
    line = only_line(run_cli("infer", clip, "--model", "resnet.none-v9", *FACES, cwd=tmp_path), 1)
    assert line.startswith("error: resnet.none-v9: weights not found; ") and DEFAULTS["face"] in line
    assert not list(tmp_path.iterdir())


def test_damaged_weights_are_refused_and_debug_shows_where(run_cli: RunCommand, clip: Path, tmp_path: Path) -> None:
    for suffix in (".json", ".safetensors"):
        shutil.copy(shipped_folder() / f"{DEFAULTS['face']}{suffix}", tmp_path / f"mine{suffix}")
    content = bytearray((tmp_path / "mine.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "mine.safetensors").write_bytes(content)
    line = only_line(run_cli("infer", clip, "--model", ".", *FACES, cwd=tmp_path), 1)
    assert line.startswith("error: mine.safetensors: is damaged") and ERROR.fullmatch(line)
    assert not (tmp_path / "results").exists()
    debugged = run_cli("infer", clip, "--model", ".", "--debug", *FACES, cwd=tmp_path)
    assert debugged.returncode == 1 and debugged.stderr.startswith(f"{line}\nTraceback (most recent call last)")


def test_debug_shows_where_an_input_failed(run_cli: RunCommand, tmp_path: Path) -> None:
    finished = run_cli("infer", "missing.mp4", "--debug", *FACES, cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: missing.mp4: does not exist; check the path\nTraceback (most recent")
    assert "InputMissingError" in finished.stderr.splitlines()[-1]


def test_forbidden_files_and_folders(run_cli: RunCommand, clip: Path, tmp_path: Path) -> None:
    forbidden = Path(shutil.copy(clip, tmp_path / "secret.mp4"))
    forbidden.chmod(0)
    locked, hidden = tmp_path / "locked", tmp_path / "hidden"
    locked.mkdir(mode=0o555)
    hidden.mkdir(mode=0)
    line = only_line(run_cli("infer", "secret.mp4", *FACES, cwd=tmp_path, preexec=without_privileges), 1)
    assert line == "error: secret.mp4: may not be read; change its permissions"
    assert not list((tmp_path / "results").iterdir())
    for out in ("locked", "hidden/deeper"):
        line = only_line(run_cli("infer", clip, "--out", out, *FACES, cwd=tmp_path, preexec=without_privileges), 1)
        assert line == f"error: {out}: cannot be written (Permission denied); choose another folder with --out"
    hidden.chmod(0o700)
    assert not list(locked.iterdir()) and not list(hidden.iterdir())


def test_output_that_is_a_file_is_left_alone(run_cli: RunCommand, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    line = only_line(run_cli("infer", clip, "--out", "notes", *FACES, cwd=tmp_path), 1)
    assert line == "error: notes: is a file; choose a folder with --out"
    assert (tmp_path / "notes").read_text() == "mine"


def test_sample_clip_is_happy_where_the_face_is_there(run_cli: RunCommand, tmp_path: Path) -> None:
    assert run_cli("sample", cwd=tmp_path).returncode == 0
    finished = run_cli("infer", "interview.mp4", *FACES, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    content = read_analysis(tmp_path / "results" / "interview")
    assert content["summary"]["dominant"] == "happiness" and 0.75 < content["coverage"]["face"] < 0.9
    frames = pd.read_csv(tmp_path / "results" / "interview" / "frames.csv").set_index("time_seconds")
    assert frames.loc[8.2:10.8, "face_id"].isna().all() and len(frames.loc[8.2:10.8]) >= 13
    scored = frames[frames["quality"] == "clear"]
    assert (scored[list(FACE_LABELS)].idxmax(axis=1) == "happiness").mean() > 0.9


def test_terminal_shows_progress_and_names_as_they_are(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "[red]x.mp4")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "multimodal.infer", "[red]x.mp4", *FACES]
    environment = subprocess_environment(TERM="xterm", COLUMNS="100")
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: read_terminal(ours), b"")).decode()
        assert process.stdout is not None and process.stdout.read().startswith(b"[red]x.mp4  0:03")
    os.close(ours)
    assert process.returncode == 0
    assert "[red]x.mp4" in shown and re.search(r"\b[1-9]\d?%", shown) and re.search(r"\d:\d\d:\d\d", shown)


def test_reader_that_leaves_is_no_failure(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "other.mp4")
    words = [sys.executable, "-m", "multimodal.infer", str(clip), "other.mp4", *FACES]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=tmp_path, env=subprocess_environment(), **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # as "| head" does, before a line has been written
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert whole_results(tmp_path / "results") == ["other", "talk"]


@pytest.mark.parametrize(("width", "rest"), [(200, "delight 1, neutral 1, uncertain 1"), (60, "…")])
def test_usability_labels_are_listed_as_far_as_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, width: int, rest: str
) -> None:
    from multimodal.infer.command import _table

    monkeypatch.setenv("COLUMNS", str(width))
    analysis = make_analysis(Path("talk.mp4"), 60.0)
    words = {"frustration": 0.8, "confusion": 0.7, "delight": 0.9, "neutral": 0.6, "question": 0.4}
    spoken = [
        replace(each, usability=shows(label, sure, USABILITY_LABELS))
        for each, (label, sure) in zip(analysis.estimates, words.items(), strict=False)
    ]
    text = _table(replace(analysis, estimates=tuple(spoken)), Path("results/talk"), True)
    (line,) = [line for line in text.splitlines() if line.startswith("  words of")]
    assert line == f"  words of 5 utterances: frustration 1, confusion 1, {rest}"
