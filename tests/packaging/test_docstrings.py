"""Runs the examples in the docstrings of every module, under its installed name.

``pytest --doctest-modules`` would import encoders/face.py as ``encoders.face``, which the package refuses on purpose.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest
from checkout import FOLDERS, ROOT

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def installed_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "multimodal" else ("multimodal", *parts))
    return name.removesuffix(".__init__")


NAMES = sorted(installed_name(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_examples_say_what_happens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write a file
    assert doctest.testmod(importlib.import_module(name), optionflags=OPTIONS).failed == 0


def test_examples_are_found_in_each_folder() -> None:
    actual = {name: doctest.DocTestFinder().find(importlib.import_module(name)) for name in NAMES}
    running = [
        name
        for name, tests in actual.items()
        if any(not example.options.get(doctest.SKIP) for test in tests for example in test.examples)
    ]
    for package in ("multimodal", "multimodal.encoders", "multimodal.data"):
        assert any(name.startswith(f"{package}.") for name in running)
