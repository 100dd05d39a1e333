"""Messages between the driver and the workers of a batch: round trips, and invalid messages."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodal.batch.protocol import READY, Message, receive, send
from multimodal.batch.tasks import BatchOptions, Fingerprint, Outcome, Task
from multimodal.errors import WeightsError
from multimodal.infer.options import AnalysisOptions

PRINTS = st.builds(Fingerprint, st.integers(0, 2**63), st.integers(0, 2**63))
OUTCOMES = st.builds(
    Outcome,
    st.integers(0, 10_000),
    st.none() | st.dictionaries(st.text(), st.binary()),
    st.none() | st.tuples(PRINTS, st.text()),
    st.none() | st.tuples(st.text(), PRINTS, st.text()),
    st.floats(0, 1e6),
    st.none() | st.text(),
    st.booleans(),
)
TASKS = st.builds(Task, st.integers(0, 10_000), st.text(), st.text(), st.none() | st.text())


def through(*messages: Message) -> list[Message]:
    pipe = io.BytesIO()
    for message in messages:
        send(pipe, message)
    pipe.seek(0)
    return [receive(pipe) for _ in messages]


@given(st.lists(OUTCOMES | TASKS | st.text()))
def test_messages_come_through(messages: list[Message]) -> None:
    assert through(*messages) == messages


def test_options_and_names_of_undecodable_bytes_come_through() -> None:
    analysis = AnalysisOptions(("face", "text"), sidecar_transcript=False, frames_per_second=2.5, detector="haar")
    options = BatchOptions("own", asr="none", analysis=analysis)
    task = Task(0, "a", os.fsdecode(b"caf\xe9.mp4"))
    assert through(options, BatchOptions(), task, READY) == [options, BatchOptions(), task, READY]


def test_an_error_keeps_its_line() -> None:
    (actual,) = through(WeightsError("face.safetensors", "is damaged", "copy it again"))
    assert type(actual) is WeightsError and str(actual) == "face.safetensors: is damaged; copy it again"


@pytest.mark.parametrize("line", [b"", b'{"kind": "text"', b'{"kind": "text", "value": "cut o'])
def test_the_end_and_a_line_cut_off_are_the_end(line: bytes) -> None:
    with pytest.raises(EOFError):
        receive(io.BytesIO(line))


@pytest.mark.parametrize(
    "line", [b"hello\n", b"[]\n", b'{"kind": "code", "value": {}}\n', b'{"kind": "task", "value": {}}\n']
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"message|Expecting"):
        receive(io.BytesIO(line))
