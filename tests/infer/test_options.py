"""Options of an analysis: one-line errors for invalid values, before heavy libraries load."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from checkout import subprocess_environment

from multimodal.errors import ConfigError
from multimodal.infer.options import AnalysisOptions, parse_baseline, parse_modalities


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"modalities": ()}, "--modalities: names no "),
        ({"modalities": ("smell",)}, "--modalities: invalid value 'smell'"),
        ({"modalities": "text"}, "modalities: is 'text'; give a tuple of names"),
        ({"speakers": "Ada"}, "speakers: is 'Ada'; give a tuple of names"),
        (
            {"language": "klingon"},
            "--language: 'klingon' is not a known language; give a code such as en, de or fr, or ",
        ),
        ({"language": ""}, "--language: '' is not a known language"),
        ({"frames_per_second": 0.0}, "--fps: is 0; give a number above 0"),
        ({"frames_per_second": float("nan")}, "--fps: is nan; give a number above 0"),
        ({"frames_per_second": float("inf")}, "--fps: is inf; give a number above 0"),
        ({"detector": "nonsense"}, "--detector: 'nonsense' is not a face detector; choose mtcnn, yunet, haar or "),
        ({"face_id": -1}, "--face: is -1; give a face_id from 0"),
        ({"start_seconds": -1.0}, "start: is -1 s; give seconds from 0"),
        ({"end_seconds": float("nan")}, "end: is nan s; give seconds from 0"),
        ({"baseline": "sometimes"}, "--baseline: invalid value 'sometimes'; give auto, none, or start and end"),
        ({"baseline": "9-"}, "--baseline: invalid value '9-'; give auto, none"),
        ({"baseline": "9-3"}, "--baseline: '9-3' ends before it starts; give an end after the start"),
        ({"end_seconds": 0.0}, "end: is 0 s, not after the start at 0 s; give an end after the start"),
        ({"start_seconds": 4.0, "end_seconds": 3.0}, "end: is 3 s, not after the start at 4 s; "),
    ],
)
def test_an_invalid_option_is_one_line(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AnalysisOptions(**options)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_options_are_frozen_and_hashable() -> None:
    options = AnalysisOptions(("face", "text"), speakers=("Ada",), detector="models/yunet.onnx", end_seconds=3.0)
    assert len({options, AnalysisOptions(), AnalysisOptions()}) == 2
    with pytest.raises(FrozenInstanceError):
        options.face_id = 1  # type: ignore[misc]


def test_modalities_are_read_between_commas() -> None:
    assert parse_modalities(None) is None
    assert parse_modalities(" face, text,") == ("face", "text") and parse_modalities("") == ()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["infer a.mp4", "batch . --out o"])
def test_wrong_options_are_told_before_anything_heavy_loads(command: str) -> None:
    name, *words = command.split()
    code = (
        f"import sys; from multimodal.{name}.command import main; "
        f"code = main({[*words, '--modalities', 'smell']!r}); "
        "print(code, [heavy for heavy in ('torch', 'cv2', 'av', 'ray') if heavy in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True)
    assert done.stdout == "2 []\n" and done.stderr.startswith("error: --modalities: invalid value 'smell'")


@pytest.mark.parametrize(
    ("text", "mode", "stretch"),
    [
        ("auto", "auto", None),
        ("none", "none", None),
        ("3-9", "given", (3.0, 9.0)),
        ("0:03-1:00:09.5", "given", (3.0, 3609.5)),
    ],
)
def test_a_baseline_is_read(text: str, mode: str, stretch: tuple[float, float] | None) -> None:
    assert parse_baseline(text) == (mode, stretch)
    assert AnalysisOptions(baseline=text).baseline == text


def test_no_baseline_is_written_out() -> None:
    with pytest.raises(ConfigError, match="is None; give auto, none"):
        AnalysisOptions(baseline=None)  # type: ignore[arg-type]
