"""Atomic files: in the process, with a full disk, and when the command is killed."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from checkout import RunCommand, subprocess_environment
from media_fixtures import Pictures, every, write_media

from multimodal.errors import InputMissingError, OutputError
from multimodal.files import atomic_write, path_text

FILES = ["analysis.json", "frames.csv", "report.html", "utterances.csv"]
ARGUMENTS = ("clip.mp4", "--out", "full")

NO_SPACE = """
import errno, pandas, sys
from multimodal.infer.command import main
def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")
pandas.DataFrame.to_csv = full
raise SystemExit(main(sys.argv[1:]))
"""

KILLED_WHILE_WRITING = """
import os, pandas, signal, sys
from multimodal.infer.command import main
def killed(self, target, **options):
    target.write_text("time_seconds,fa")
    os.kill(os.getpid(), signal.SIGKILL)
pandas.DataFrame.to_csv = killed
raise SystemExit(main(sys.argv[1:]))
"""

KILLED_WHILE_RENAMING = """
import os, pathlib, signal, sys
from multimodal.infer.command import main
replace, done = pathlib.Path.replace, []
def killed(self, target):
    done.append(target)
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
pathlib.Path.replace = killed
raise SystemExit(main(sys.argv[1:]))
"""


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, env=subprocess_environment(), capture_output=True, encoding="utf-8", timeout=600
    )


def whole(folder: Path) -> bool:
    """Whether every file that shows is whole, and all are there; what was being written does not show."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    tables = [pd.read_csv(folder / name) for name in names if name.endswith(".csv")]
    assert all(len(table) for table in tables)
    if "analysis.json" in names:
        json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    if "report.html" in names:
        assert (folder / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    return names == FILES


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_media(tmp_path / "clip.mp4", Pictures(every(40, 1.0)))


def test_whole_file_and_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "note.txt"
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not target.exists()
    (tmp_path / "plain").touch()
    assert target.read_text() == "new" and list(target.parent.iterdir()) == [target]
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize(
    ("number", "fact"),
    [(errno.ENOSPC, "the disk is full; free some space"), (errno.EDQUOT, "the disk is full"), (errno.EIO, "cannot be")],
)
def test_failed_write_keeps_old_file(tmp_path: Path, number: int, fact: str) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match=f"note.txt: {fact}") as caught, atomic_write(target) as temporary:
        temporary.write_text("ne")
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == number
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("wrong"), InputMissingError("a", "is gone", "look")])
def test_other_errors_pass_and_nothing_is_left(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, atomic_write(tmp_path / "note.txt") as temporary:
        temporary.write_text("ne")
        raise error
    assert caught.value is error and not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "note.txt", tmp_path / "folder", tmp_path / ("long" * 100)):
        with pytest.raises(OutputError, match="cannot be written"), atomic_write(target) as temporary:
            temporary.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine" and not list((tmp_path / "folder").iterdir())


def test_file_names_of_any_bytes_become_text() -> None:
    assert path_text(Path("grün.mp4")) == "grün.mp4"
    assert path_text(Path(os.fsdecode(b"caf\xe9.mp4"))) == "caf\ufffd.mp4"


@pytest.mark.slow
def test_command_says_that_the_disk_is_full(clip: Path, tmp_path: Path) -> None:
    finished = command(sys.executable, "-c", NO_SPACE, *ARGUMENTS, cwd=tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: full/clip/") and line.endswith(
        ": the disk is full; free some space or choose another folder"
    )
    assert not list((tmp_path / "full").iterdir())


@pytest.mark.slow
def test_command_on_a_disk_that_is_really_full(clip: Path, tmp_path: Path) -> None:
    """On a file system of two pages, in a mount namespace of its own, so that nothing else sees it."""
    (tmp_path / "full").mkdir()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c"]
    mount = "mount -t tmpfs -o size=8k none full"
    if shutil.which("unshare") is None or command(*alone, mount, cwd=tmp_path).returncode != 0:
        pytest.skip("may not mount a file system here; the test before this one makes the same error without")
    job = [sys.executable, "-m", "multimodal.infer", *ARGUMENTS]
    finished = command(*alone, f'{mount}; "$@"; code=$?; find full; exit $code', "sh", *job, cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stdout == "full\n"  # what find has found: no folder, no temporary file
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: full/clip/") and ": the disk is full; free some space" in line


@pytest.mark.slow
def test_command_with_a_limit_on_file_sizes(run_cli: RunCommand, clip: Path, tmp_path: Path) -> None:
    def only_1000_bytes() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an error
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    finished = run_cli("infer", *ARGUMENTS, cwd=tmp_path, env=environment, preexec=only_1000_bytes)
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: full/clip/") and ": cannot be written (File too large); choose another" in line
    assert not list((tmp_path / "full").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("code", [KILLED_WHILE_WRITING, KILLED_WHILE_RENAMING], ids=["writing", "renaming"])
def test_killed_command_leaves_only_whole_files(run_cli: RunCommand, clip: Path, tmp_path: Path, code: str) -> None:
    killed = command(sys.executable, "-c", code, *ARGUMENTS, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not whole(tmp_path / "full" / "clip") and not (tmp_path / "full" / "clip" / "analysis.json").exists()
    assert run_cli("infer", *ARGUMENTS, cwd=tmp_path).returncode == 0
    assert whole(tmp_path / "full" / "clip") and [path.name for path in (tmp_path / "full").iterdir()] == ["clip"]
    before = {name: (tmp_path / "full" / "clip" / name).read_bytes() for name in FILES}
    assert command(sys.executable, "-c", code, *ARGUMENTS, cwd=tmp_path).returncode == -signal.SIGKILL
    assert whole(tmp_path / "full" / "clip")
    assert before == {name: (tmp_path / "full" / "clip" / name).read_bytes() for name in FILES}
