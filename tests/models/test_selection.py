"""The shipped models: facts of the cards, without loading a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from checkout import subprocess_environment

from multimodal.errors import ConfigError
from multimodal.models.selection import DEFAULTS, PARTS, list_models, shipped, shipped_folder


def test_list_states_what_the_cards_state() -> None:
    models = list_models()
    assert sorted(model.name for model in models) == shipped()
    assert [model.part for model in models] == sorted((model.part for model in models), key=PARTS.index)
    assert {model.part: model.name for model in models if model.default} == DEFAULTS
    for model in models:
        path = shipped_folder() / f"{model.name}.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        assert (model.part, model.architecture) == (card["spec"]["part"], card["spec"]["architecture"])
        assert re.fullmatch(rf"{model.architecture}\.{model.corpus}-v\d+", model.name)
        assert model.license == card.get("license", card.get("licence"))
        assert model.parameters == card["parameters"]
        assert model.size_bytes == path.with_suffix(".safetensors").stat().st_size


def test_list_of_one_part() -> None:
    for part in PARTS:
        assert [model.name for model in list_models(part)] == shipped(part)
    with pytest.raises(ConfigError, match="part: 'voice' is unknown; choose from face, audio, text, fusion"):
        list_models("voice")


def test_list_needs_no_torch() -> None:
    code = (
        "import sys; from multimodal.models.selection import list_models; list_models(); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=subprocess_environment(), check=True)
    assert "torch" not in done.stdout.split()
