"""README and docs: links, code, commands, options and file names are valid."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from multimodal import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
RUNNABLE = "<!-- runnable -->"
WITH_STAGES = ("train", "evaluate")
"""Commands whose first word chooses a subcommand with options of its own."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


class Block(NamedTuple):
    """A fenced block: its language, the line of its first line, its text, and whether a reader can run it as it is."""

    language: str
    line: int
    text: str
    runnable: bool


def blocks(page: Path) -> list[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    result: list[Block] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
        else:
            runnable = start > 0 and lines[start - 1] == RUNNABLE
            result.append(Block(lines[start][3:].strip(), start + 2, "\n".join(lines[start + 1 : number]), runnable))
            start = None
    assert start is None, f"{page.name}: the fence in line {start} is not closed"
    return result


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What headings can be linked as, by the rule that GitHub and mkdocs share for the headings used here."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_words(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def commands(page: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Each call of a command in the page's shell blocks: its line, the command, what stands behind it."""
    for block in blocks(page):
        if block.language not in ("sh", "console"):
            continue
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
            for part in re.split(r"&&|\|\||[|;]", line.removeprefix("$ ")):
                if call := re.search(r"(?:-m multimodal\.|^\s*multimodal )(\w+)(.*)$", part):
                    yield line, call[1], shlex.split(call[2], comments=True)


@lru_cache
def help_of(*words: str) -> tuple[int, str]:
    """Exit code and text of a command's help."""
    import contextlib
    import io

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = cli.main([*words, "--help"])
    return code, output.getvalue()


def options_of(command: str, words: list[str]) -> set[str]:
    """Long options of a command, or of the subcommand that its first word names."""
    code, text = help_of(command, *(words[:1] if command in WITH_STAGES else ()))
    assert code == 0, text
    return set(re.findall(r"(?m)^\s+(--[a-z][a-z-]*)", text))


# --- links -----------------------------------------------------------------------------------------------------------


@each_page
def test_links_and_pictures_exist(page: Path) -> None:
    text = prose(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_pages_of_the_site_are_all_in_its_menu() -> None:
    menu = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert menu == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_site_loads_nothing_from_elsewhere() -> None:
    for file in (ROOT / "mkdocs.yml", *(ROOT / "docs").glob("*.svg"), *(ROOT / "docs").glob("*.css")):
        text = file.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "://" not in text, file.name
    assert re.search(r"(?m)^  font: false", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


# --- code ------------------------------------------------------------------------------------------------------------


@each_page
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{page.name}:{block.line}", "exec")


@pytest.fixture(scope="session")
def sample_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from multimodal.sample import make_sample

    return make_sample(tmp_path_factory.mktemp("documentation") / "interview.mp4")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/usage.md", "docs/schema.md"])
def test_runnable_blocks_run(name: str, sample_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / name
    runnable = [block for block in blocks(page) if block.runnable]
    assert runnable
    monkeypatch.chdir(sample_clip.parent)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in runnable:
        padding = "\n" * (block.line - 1)  # so that a traceback names the line of the page
        exec(compile(padding + block.text, str(page), "exec"), namespace)


def test_all_blocks_of_readme_and_usage_are_runnable_python() -> None:
    for page in PAGES:
        python = [block for block in blocks(page) if block.language == "python"]
        marks = page.read_text(encoding="utf-8").splitlines().count(RUNNABLE)
        assert marks == sum(block.runnable for block in python)
        if page.name in ("README.md", "usage.md"):
            assert python
            assert all(block.runnable for block in python)


# --- commands --------------------------------------------------------------------------------------------------------


@each_page
def test_commands_and_options_exist(page: Path) -> None:
    for line, command, words in commands(page):
        assert command in cli.COMMANDS, line
        options = options_of(command, words)
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= options, line


def test_options_of_infer_and_batch_are_all_explained() -> None:
    explained = set(re.findall(r"`[^`]*?(--[a-z][a-z-]*)", prose(ROOT / "docs" / "usage.md")))
    for command in ("infer", "batch", "report", "clips"):
        documented_by_help = {"--help", "--top", "--reel"}
        assert options_of(command, []) - documented_by_help <= explained, command


def test_documented_commands_are_those_of_the_console_script() -> None:
    named = {command for page in PAGES for _, command, _ in commands(page)}
    assert named == set(cli.COMMANDS)


# --- facts -----------------------------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


def test_files_on_the_map_exist() -> None:
    for line in prose(ARCHITECTURE).splitlines():
        paths = [word for word in code_words(line) if re.fullmatch(r"[\w/]+(\.(py|js|css|toml)|/)", word)]
        folders = [word for word in paths if word.endswith("/")]
        for path in paths:
            places = [path] if "/" in path else [f"{folder}{path}" for folder in folders]
            assert not places or any((ROOT / place).exists() for place in places), f"{path} in: {line}"


def test_rooms_are_all_on_the_map() -> None:
    named = set(code_words(prose(ARCHITECTURE)))
    for folder in ("multimodal", "encoders", "fusion", "data"):
        for file in (ROOT / folder).rglob("__init__.py"):
            assert f"{file.parent.relative_to(ROOT).as_posix()}/" in named
    for file in (ROOT / "multimodal").glob("[!_]*.py"):
        assert f"multimodal/{file.name}" in named


def test_path_of_one_video_names_functions_that_exist() -> None:
    section = prose(ARCHITECTURE).partition("## The path of one video")[2].partition("\n## ")[0]
    rows = [code_words(row) for row in section.splitlines() if row.startswith("|") and ".py`" in row]
    assert len(rows) > 10
    for *names, file in rows:
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            assert re.search(rf"(?m)^(def|class) {name}\b", source), f"{name} in {file}"


def test_every_field_of_the_schema_is_explained() -> None:
    schema = json.loads((ROOT / "multimodal" / "schemas" / "analysis.schema.json").read_text(encoding="utf-8"))
    explained = set(code_words(prose(ROOT / "docs" / "schema.md")))
    for part in (schema, *schema.get("$defs", {}).values()):
        assert set(part.get("properties", {})) <= explained


def test_dependencies_are_all_listed_with_their_licenses() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["train"], *extras["offline"]]
    names = {re.match(r"[\w-]+", line)[0] for line in required}  # type: ignore[index]
    assert names <= set(code_words(prose(ROOT / "docs" / "licenses.md")))
