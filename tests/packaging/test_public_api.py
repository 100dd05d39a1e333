"""The public names: present, loaded on use, and documented."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest
from checkout import ROOT, subprocess_environment

import multimodal
from multimodal import errors

NAMES = [name for name in multimodal.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_public_name_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(multimodal, name))


def test_public_names_are_all_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^::: multimodal\.(\w+)$", reference, re.MULTILINE))
    assert entries | {error for error in vars(errors) if "errors" in entries} >= set(NAMES)


def test_public_names_are_listed_without_being_loaded() -> None:
    code = "import sys, multimodal; print(set(multimodal.__all__) <= set(dir(multimodal)), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=subprocess_environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'analyse'"):
        _ = multimodal.analyse  # type: ignore[attr-defined]
