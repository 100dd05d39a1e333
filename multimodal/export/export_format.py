"""What defines an export format: its name, the files that it writes, and whether these need times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multimodal.analysis.result import Analysis

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ExportFormat:
    """A format that an analysis can be exported to.

    Attributes:
        name: Value of ``--export``, in lower case.
        files: File name, in the folder of a result, to the function that writes it: whole or not at all.
        needs_times: Whether the format cannot hold text without times, such as a typed answer.
    """

    name: str
    files: Mapping[str, Callable[[Analysis, Path], None]]
    needs_times: bool


def utf8_text(text: str) -> str:
    r"""Replaces halves of UTF-16 pairs, which UTF-8 cannot hold, by U+FFFD.

    Args:
        text: Any text.

    Returns:
        Text of the same length that can be encoded in UTF-8.

    Example:
        >>> utf8_text("caf\u00e9 \ud83d!") == "caf\u00e9 \ufffd!"
        True
    """
    return _SURROGATE.sub("\ufffd", text)
