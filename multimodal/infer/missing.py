"""Keeps account of what a recording lacks, so that the rest of it is read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multimodal.errors import MediaError, MultimodalError
from multimodal.types import MediaInfo


class MissingInputs:
    """What of a recording cannot be read: errors, one of which is raised if nothing can be; warnings otherwise."""

    def __init__(self, media: MediaInfo) -> None:
        self.media = media
        self.failures: list[MultimodalError] = []
        self.notes: list[str] = []

    def add(self, error: MultimodalError, remedy: bool = False) -> None:
        """Notes that something is not there, and in the warning also how to get it."""
        self.failures.append(error)
        self.notes.append(f"the file {error.fact}; {error.remedy}" if remedy else f"the file {error.fact}")

    def holds(self, modality: str) -> bool:
        """Whether there is a stream for ``face`` or ``audio``; notes it if not."""
        path = self.media.path
        if modality == "audio" and not self.media.has_audio:
            remedy = "choose a recording with sound, or add another signal to --modalities"
            self.add(MediaError(path, "holds no sound", remedy))
        elif modality == "face" and not self.media.has_video:
            # A voice note has no picture by its nature; that needs no warning.
            remedy = "choose a video, or add another signal to --modalities"
            self.failures.append(MediaError(path, "holds no picture", remedy))
        return self.media.has_audio if modality == "audio" else self.media.has_video

    @contextmanager
    def collect_errors(self) -> Iterator[None]:
        """Notes that a stream cannot be decoded, and goes on: another may be whole."""
        try:
            yield
        except MediaError as error:
            self.add(error)

    def error(self) -> MultimodalError:
        """One line for a recording of which nothing can be read."""
        facts = dict.fromkeys(error.fact for error in self.failures)
        if len(facts) == 1:
            return self.failures[0]
        return MediaError(self.media.path, " and ".join(facts), self.failures[-1].remedy)
