"""JSON Lines for programs that read a line at a time: an object for each utterance.

Text, names and paths are kept as they are, except halves of UTF-16 pairs, which become U+FFFD. Text without times has
empty times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.export.export_format import ExportFormat, utf8_text
from multimodal.files import atomic_write

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

LINE_SCHEMA = "multimodal-emotion/utterance"

_LINE_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x7f\x85\u2028\u2029"})
"""Characters that some readers treat as the end of a line; JSON allows them literally or escaped."""


def write_lines(analysis: Analysis, path: Path) -> None:
    """Writes ``utterances.jsonl``: an object a line, as in ``analysis.json``, with the recording and the models.

    Args:
        analysis: The analysis of any input.
        path: The file to write; it is empty where there are no utterances.

    Raises:
        OutputError: The file cannot be written.

    Source:
        https://jsonlines.org, UTF-8, a value a line.
    """
    from multimodal.analysis.result import SCHEMA_VERSION

    record = analysis.to_dict()
    media = {key: record["media"][key] for key in ("path", "sha256", "duration_seconds")}
    head = {"schema": LINE_SCHEMA, "schema_version": SCHEMA_VERSION, "media": media, "models": record["models"]}
    empty = {} if analysis.has_times else dict.fromkeys(("start_seconds", "end_seconds"))
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for index, entry in enumerate(record["utterances"]):
            line = json.dumps({**head, "index": index, **entry, **empty}, ensure_ascii=False, allow_nan=False)
            file.write(utf8_text(line).translate(_LINE_ENDS) + "\n")


FORMAT = ExportFormat("jsonl", {"utterances.jsonl": write_lines}, needs_times=False)
