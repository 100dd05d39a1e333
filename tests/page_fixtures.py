"""Reads pages as a parser does, and makes a recording that any browser plays."""

from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from media_fixtures import Pictures, Sound, every, tone, write_media

VOID = {"meta", "input", "br", "hr", "img", "link"}


class Parsed(HTMLParser):
    """What stands in a page: its elements with their attributes and all text below them, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        self.close()
        assert not self._open, [self.elements[index][0] for index in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag, tag

    def handle_data(self, data: str) -> None:
        for index in self._open:
            self.elements[index][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """Attributes and text of the elements of a kind, where the given attributes hold that."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            (found, "".join(text))
            for kind, found, text in self.elements
            if kind == tag and all(value in (found.get(name) or "").split() for name, value in wanted.items())
        ]

    @property
    def data(self) -> Any:
        return json.loads(self.all("script", id="data")[0][1])


def digests(page: Parsed) -> list[str]:
    """The hashes that a policy must name, of the scripts that run."""
    scripts = [text for found, text in page.all("script") if found.get("type") != "application/json"]
    return ["'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'" for text in scripts]


def make_recording(path: Path, seconds: float = 24.0) -> Path:
    """Gray pictures and a tone in a WebM file, which needs no licensed codec."""
    pictures = Pictures(every(200, seconds), (160, 90), "libvpx", {"g": "5", "deadline": "realtime", "cpu-used": "8"})
    sound = Sound({0: tone(seconds, 440.0, 48000, 0.05)}, 48000, "libopus", "flt")
    return write_media(path, pictures, sound)
