"""Collects missing and damaged parts of a recording; the other modalities are still analyzed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from multimodal.errors import MediaError, MultimodalError
from multimodal.types import MediaInfo


class MissingInputs:
    """What of a recording cannot be read.

    Attributes:
        media: Facts of the recording.
        errors: One error for each missing part; raised as one if nothing can be read.
        warnings: One line for each missing part that the user should know about otherwise.
    """

    def __init__(self, media: MediaInfo) -> None:
        self.media = media
        self.errors: list[MultimodalError] = []
        self.warnings: list[str] = []

    def add(self, error: MultimodalError, remedy: bool = False) -> None:
        """Adds a missing part with a warning, which also names the remedy if asked to.

        Args:
            error: Why the part is missing.
            remedy: Whether the warning names the remedy.
        """
        self.errors.append(error)
        self.warnings.append(f"the file {error.fact}; {error.remedy}" if remedy else f"the file {error.fact}")

    def add_silently(self, error: MultimodalError) -> None:
        """Adds a missing part that needs no warning.

        Args:
            error: Why the part is missing.
        """
        self.errors.append(error)

    def has(self, modality: str) -> bool:
        """Whether the recording has the stream of ``face`` or ``audio``; adds an error if not.

        Args:
            modality: ``face`` or ``audio``.

        Returns:
            True if the stream exists.
        """
        path = self.media.path
        if modality == "audio" and not self.media.has_audio:
            remedy = "choose a recording with sound, or add another signal to --modalities"
            self.add(MediaError(path, "holds no sound", remedy))
        elif modality == "face" and not self.media.has_video:
            # A voice note has no picture by its nature; that needs no warning.
            remedy = "choose a video, or add another signal to --modalities"
            self.add_silently(MediaError(path, "holds no picture", remedy))
        return self.media.has_audio if modality == "audio" else self.media.has_video

    @contextmanager
    def collect_errors(self) -> Iterator[None]:
        """Adds the error of a stream that cannot be decoded, and goes on with the next stream."""
        try:
            yield
        except MediaError as error:
            self.add(error)

    def error(self) -> MultimodalError:
        """One error for a recording without any readable part."""
        facts = dict.fromkeys(error.fact for error in self.errors)
        if len(facts) == 1:
            return self.errors[0]
        return MediaError(self.media.path, " and ".join(facts), self.errors[-1].remedy)
