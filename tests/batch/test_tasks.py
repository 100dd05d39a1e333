"""Tasks of a batch: invalid options, and the changes that make a result stale."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from multimodal.batch.tasks import BatchOptions, Task, receipt_key
from multimodal.errors import ConfigError
from multimodal.infer.options import AnalysisOptions

TASK = Task(0, "talk-1", "/study/talk.mp4")
DEFAULTS = BatchOptions()
ANALYSIS_CHANGES = {
    "modalities": ("face",),
    "sidecar_transcript": False,
    "language": "en",
    "frames_per_second": 5.0,
    "detector": "haar",
    "face_id": 1,
    "baseline": "none",
}
PER_INPUT = {"transcript": "a.vtt", "speakers": ("Ada",), "start_seconds": 1.0, "end_seconds": 2.0}
TASK_CHANGES = {
    "path": "/study/b.mp4",
    "transcript": "a.vtt",
    "speaker": "Ada",
    "start_seconds": 1.0,
    "end_seconds": 2.0,
}


def key(options: BatchOptions = DEFAULTS, task: Task = TASK, **changes: Any) -> str:
    return receipt_key(task, options, **{"versions": {"face": "1"}, "sha256": "ab", "transcript": None} | changes)


def test_every_option_but_the_device_is_in_the_receipt() -> None:
    assert set(ANALYSIS_CHANGES) | set(PER_INPUT) == {field.name for field in fields(AnalysisOptions)}
    analyses = [replace(AnalysisOptions(), **{name: value}) for name, value in ANALYSIS_CHANGES.items()]
    options = [BatchOptions(), BatchOptions(model="own"), BatchOptions(asr="none")]
    options += [BatchOptions(analysis=analysis) for analysis in analyses]
    tasks = [replace(TASK, **{name: value}) for name, value in TASK_CHANGES.items()]
    others = [{"versions": {"face": "2"}}, {"sha256": "cd"}, {"transcript": ("a.vtt", "ab")}]
    keys = [*map(key, options), *(key(task=task) for task in tasks), *(key(**change) for change in others)]
    assert len(set(keys)) == len(options) + len(tasks) + len(others)
    assert key(BatchOptions(device="cuda")) == key() == key(task=replace(TASK, index=7, name="moved"))


@pytest.mark.parametrize("name", PER_INPUT)
def test_options_of_single_inputs_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: differs from input to input; give it in the manifest"):
        BatchOptions(analysis=replace(AnalysisOptions(), **{name: PER_INPUT[name]}))


def test_a_loaded_detector_cannot_be_sent_to_workers() -> None:
    with pytest.raises(ConfigError, match="give its name or file"):
        BatchOptions(analysis=AnalysisOptions(detector=object()))  # type: ignore[arg-type]
