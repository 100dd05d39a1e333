"""What a batch's driver and its workers say to each other: one line of JSON each.

A worker's process decodes files that nobody vouches for. Whatever takes it over can send the driver text, and nothing
that runs.
"""

from __future__ import annotations

import base64
import json
from typing import IO, Any

from multimodal.batch.tasks import BatchOptions, Fingerprint, Outcome, Task
from multimodal.errors import MultimodalError

READY = "ready"
"""A worker's first word: its model is loaded."""

Message = BatchOptions | Task | Outcome | MultimodalError | str

_ERRORS = {kind.__name__: kind for kind in MultimodalError.__subclasses__()}

_KINDS: dict[str, type[Any]] = {"options": BatchOptions, "task": Task, "outcome": Outcome, "text": str}


def send(stream: IO[bytes], message: Message) -> None:
    """Writes a message and flushes it."""
    stream.write(json.dumps(_packed(message), allow_nan=False).encode("ascii") + b"\n")
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    r"""Reads the next message.

    Raises:
        EOFError: There is none any more.
        ValueError: A line is no message.

    Example:
        >>> import io
        >>> receive(io.BytesIO(b'{"kind": "text", "value": "ready"}\n'))
        'ready'
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        return _unpacked(json.loads(line))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no message ({error})") from None


def _packed(message: Message) -> dict[str, Any]:
    if isinstance(message, MultimodalError):
        return {"kind": "error", "value": [type(message).__name__, message.subject, message.fact, message.remedy]}
    if isinstance(message, str):
        return {"kind": "text", "value": message}
    values = dict(vars(message))
    if isinstance(message, Outcome):
        files = message.files
        values["files"] = None if files is None else {name: _base64(content) for name, content in files.items()}
        values["source"] = None if message.source is None else [vars(message.source[0]), message.source[1]]
        if message.transcript is not None:
            path, looks, digest = message.transcript
            values["transcript"] = [path, vars(looks), digest]
    kind = next(name for name, known in _KINDS.items() if isinstance(message, known))
    return {"kind": kind, "value": values}


def _unpacked(found: Any) -> Message:
    kind, value = found["kind"], found["value"]
    if kind == "error":
        name, *line = map(str, value)
        return _ERRORS.get(name, MultimodalError)(*line)
    if kind == "text":
        return str(value)
    if kind == "options" and value["modalities"] is not None:
        value["modalities"] = tuple(value["modalities"])
    if kind == "outcome":
        _restore(value)
    message: Message = _KINDS[kind](**value)
    return message


def _restore(value: dict[str, Any]) -> None:
    """Puts an outcome's bytes and looks back."""
    if value["files"] is not None:
        value["files"] = {name: base64.b64decode(content) for name, content in value["files"].items()}
    if value["source"] is not None:
        value["source"] = (Fingerprint(**value["source"][0]), value["source"][1])
    if value["transcript"] is not None:
        path, looks, digest = value["transcript"]
        value["transcript"] = (path, Fingerprint(**looks), digest)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
