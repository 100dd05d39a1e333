"""Messages between the driver of a batch and its workers: one line of JSON each.

A worker's process decodes files from unknown sources. Code that takes it over can send the driver text, and nothing
that is executed.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import IO, Any

from multimodal.batch.tasks import BatchOptions, Fingerprint, Outcome, Task
from multimodal.errors import MultimodalError
from multimodal.infer.options import AnalysisOptions

READY = "ready"
"""The first message of a worker: its model is loaded."""

Message = BatchOptions | Task | Outcome | MultimodalError | str

_ERRORS = {kind.__name__: kind for kind in MultimodalError.__subclasses__()}

_KINDS: dict[str, type[Any]] = {"options": BatchOptions, "task": Task, "outcome": Outcome, "text": str}


def send(stream: IO[bytes], message: Message) -> None:
    """Writes a message and flushes the stream.

    Args:
        stream: Binary stream to the other process.
        message: The message.
    """
    stream.write(json.dumps(_encode(message), allow_nan=False).encode("ascii") + b"\n")
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    r"""Reads the next message.

    Args:
        stream: Binary stream from the other process.

    Raises:
        EOFError: The stream has ended, perhaps within a message.
        ValueError: A line is not a message.

    Example:
        >>> import io
        >>> receive(io.BytesIO(b'{"kind": "text", "value": "ready"}\n'))
        'ready'
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        return _decode(json.loads(line))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message ({error})") from None


def _encode(message: Message) -> dict[str, Any]:
    if isinstance(message, MultimodalError):
        return {"kind": "error", "value": [type(message).__name__, message.subject, message.fact, message.remedy]}
    if isinstance(message, str):
        return {"kind": "text", "value": message}
    kind = next(name for name, message_type in _KINDS.items() if isinstance(message, message_type))
    values = asdict(message)
    if isinstance(message, Outcome) and message.files is not None:
        values["files"] = {name: _base64(content) for name, content in message.files.items()}
    return {"kind": kind, "value": values}


def _decode(entry: Any) -> Message:
    kind, value = entry["kind"], entry["value"]
    if kind == "error":
        name, *line = map(str, value)
        return _ERRORS.get(name, MultimodalError)(*line)
    if kind == "text":
        return str(value)
    if kind == "options":
        value["analysis"] = _analysis_options(value["analysis"])
    if kind == "outcome":
        _decode_files(value)
    message: Message = _KINDS[kind](**value)
    return message


def _analysis_options(values: dict[str, Any]) -> AnalysisOptions:
    if values["modalities"] is not None:
        values["modalities"] = tuple(values["modalities"])
    return AnalysisOptions(**values | {"speakers": tuple(values["speakers"])})


def _decode_files(value: dict[str, Any]) -> None:
    """Restores the bytes and the fingerprints of an outcome."""
    if value["files"] is not None:
        value["files"] = {name: base64.b64decode(content) for name, content in value["files"].items()}
    if value["source"] is not None:
        value["source"] = (Fingerprint(**value["source"][0]), value["source"][1])
    if value["transcript"] is not None:
        path, print_, digest = value["transcript"]
        value["transcript"] = (path, Fingerprint(**print_), digest)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
