"""The packages and their imports follow the order in ``docs/architecture.md``."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from checkout import FOLDERS, ROOT, subprocess_environment

Graph = Mapping[str, set[str]]
"""Module to the modules that it imports, by their installed names."""

HEAVY = "{'torch', 'numpy', 'cv2', 'av', 'pandas', 'transformers', 'ray', 'matplotlib'}"
COMMAND_FILES = ("command", "__main__")


def installed_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "multimodal" else ("multimodal", *parts))
    return name.removesuffix(".__init__")


def module_paths() -> dict[str, Path]:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return {installed_name(path): path for path in sorted(paths)}


def imported_names(source: str) -> Iterator[str]:
    """Every absolute name that is imported, also inside functions and under ``TYPE_CHECKING``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """The imports between the given modules; the package itself, which only exports lazily, is left out."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        candidates = set[str]()
        for name in imported_names(source):
            candidates.add(name if name in sources else name.rpartition(".")[0])
        graph[module] = (candidates & sources.keys()) - {module, "multimodal"}
    graph.pop("multimodal", None)
    return graph


def read_layers(document: str) -> dict[str, int]:
    """Room to its layer, 0 for the lowest."""
    (block,) = re.findall(r"^```layers\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    return {room: index for index, line in enumerate(block.splitlines()) for room in re.split(r",\s*", line.strip())}


def room_of(module: str) -> str:
    """The room of a module as the layers name it: ``infer``, ``infer.command``, ``files``."""
    parts = module.split(".")[1:]
    if len(parts) > 1 and parts[-1] in COMMAND_FILES:
        return f"{parts[0]}.command"
    return "cli" if parts == ["__main__"] else parts[0]


def forbidden_imports(graph: Graph, layers: Mapping[str, int]) -> list[str]:
    """Imports of another room that is not in a lower layer."""
    return [
        f"{module} imports {target}"
        for module, targets in sorted(graph.items())
        for target in sorted(targets)
        if room_of(module) != room_of(target) and layers[room_of(target)] >= layers[room_of(module)]
    ]


def circle(graph: Graph) -> list[str]:
    """The modules of a circle of imports; empty without one."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


PATHS = module_paths()
GRAPH = import_graph({name: path.read_text(encoding="utf-8") for name, path in PATHS.items()})
LAYERS = read_layers((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_every_room_has_a_layer() -> None:
    assert {room_of(module) for module in GRAPH} == LAYERS.keys()


def test_imports_run_one_way() -> None:
    assert forbidden_imports(GRAPH, LAYERS) == []


def test_modules_import_in_no_circle() -> None:
    assert circle(GRAPH) == []


@pytest.mark.parametrize("package", ["data", "encoders"])
def test_inner_rooms_import_in_no_circle(package: str) -> None:
    """``data.media`` and its neighbors are rooms within one layer."""

    def inner(module: str) -> str:
        return ".".join(module.split(".")[1:3])

    rooms: dict[str, set[str]] = {}
    for module, targets in GRAPH.items():
        if module.startswith(f"multimodal.{package}."):
            inside = {inner(target) for target in targets if target.startswith(f"multimodal.{package}.")}
            rooms.setdefault(inner(module), set()).update(inside - {inner(module)})
    assert len(rooms) > 2 and circle(rooms) == []


def test_only_commands_import_the_console() -> None:
    importers = {room_of(module) for module, targets in GRAPH.items() if "multimodal.console" in targets}
    commands = {room for room, layer in LAYERS.items() if layer == max(LAYERS.values())}
    assert importers and importers <= commands


def test_library_takes_only_the_version_from_the_package() -> None:
    """Imports of what the package exports lazily would escape the order."""
    exports = {
        f"{module}: {name}"
        for module, path in PATHS.items()
        for name in imported_names(path.read_text(encoding="utf-8"))
        if name.rpartition(".")[0] == "multimodal" and name not in PATHS and name != "multimodal.__version__"
    }
    assert exports == set()


def test_a_room_holds_3_to_14_modules() -> None:
    sizes: dict[str, int] = {}
    for path in PATHS.values():
        room = path.parent.relative_to(ROOT).as_posix()
        sizes[room] = sizes.get(room, 0) + (path.stem not in ("__init__", "__main__"))
    sizes.pop("data")  # its modules are few because it consists of rooms
    assert {room: size for room, size in sizes.items() if not 3 <= size <= 14} == {}


def test_importing_every_room_loads_no_library() -> None:
    rooms = [name for name, path in PATHS.items() if path.name == "__init__.py"]
    code = (
        f"import importlib, sys\nfor name in {rooms}: importlib.import_module(name)\nprint({HEAVY} & set(sys.modules))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert finished.stdout == "set()\n", finished.stderr


SOURCES = {
    "multimodal": "from multimodal.infer.model import load_model",
    "multimodal.types": "",
    "multimodal.infer.model": "import multimodal.types",
    "multimodal.infer.command": "from multimodal.infer import model",
    "multimodal.plots.slides": "from multimodal.types import Face",
}
ORDER = read_layers("```layers\ntypes\ninfer, plots\ninfer.command\n```\n")


@pytest.mark.parametrize(
    ("module", "source", "arrow"),
    [
        ("types", "import multimodal.infer.model", "multimodal.types imports multimodal.infer.model"),
        ("types", "def f():\n    from multimodal.infer.model import load", "types imports multimodal.infer.model"),
        ("types", "if TYPE_CHECKING:\n    from multimodal.infer import model", "types imports multimodal.infer.model"),
        ("plots.slides", "from multimodal.infer.model import load", "plots.slides imports multimodal.infer.model"),
        ("infer.model", "from multimodal.infer.command import main", "model imports multimodal.infer.command"),
    ],
)
def test_a_wrong_import_is_reported(module: str, source: str, arrow: str) -> None:
    assert forbidden_imports(import_graph(SOURCES), ORDER) == []
    (line,) = forbidden_imports(import_graph({**SOURCES, f"multimodal.{module}": source}), ORDER)
    assert line.endswith(arrow)


def test_a_circle_is_reported() -> None:
    sources = {**SOURCES, "multimodal.infer.face": "from multimodal.infer import model"}
    assert circle(import_graph(sources)) == []
    sources["multimodal.infer.model"] = "def f():\n    from multimodal.infer.face import crop"
    assert {"multimodal.infer.face", "multimodal.infer.model"} == set(circle(import_graph(sources)))
