"""Every error that a user can cause or meet, each one line: the place, the fact, the remedy.

    MultimodalError
    ├── InputMissingError      (FileNotFoundError)  there is nothing at that path
    ├── InputUnreadableError   (OSError)            a folder, no permission, an empty file
    ├── MediaError             (ValueError)         not media, damaged, or without the stream that is needed
    ├── TranscriptError        (ValueError)         a transcript whose form, times or speakers cannot be
    ├── AnalysisError          (ValueError)         a saved analysis that is damaged, foreign or of a later version
    ├── OutputError            (OSError)            a result cannot be written: permission, disk full
    ├── ConfigError            (ValueError)         an option or a configuration key that cannot be
    ├── CorpusError            (ValueError)         a corpus whose layout or counts are not the published ones
    ├── WeightsError           (ValueError)         unknown, damaged or unsuitable weights
    └── DependencyError        (ImportError)        a part that has to be installed or downloaded first

Each also subclasses the builtin of its kind, so that ``except FileNotFoundError`` works as expected.
"""

from __future__ import annotations

from os import PathLike, fspath


class MultimodalError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        subject: The file, folder or option it is about.
        fact: What is wrong, in one clause.
        remedy: What the reader can do about it, in one clause.

    Example:
        >>> str(MultimodalError("talk.mp4", "holds no video stream", "choose another file"))
        'talk.mp4: holds no video stream; choose another file'
    """

    def __init__(self, subject: str | PathLike[str], fact: str, remedy: str) -> None:
        self.subject = fspath(subject)
        self.fact = fact
        self.remedy = remedy
        super().__init__(f"{self.subject}: {fact}; {remedy}")

    def __str__(self) -> str:
        return f"{self.subject}: {self.fact}; {self.remedy}"

    def __reduce__(self) -> tuple[type[MultimodalError], tuple[str, str, str]]:
        return type(self), (self.subject, self.fact, self.remedy)


class InputMissingError(MultimodalError, FileNotFoundError):
    """There is nothing at the given path."""


class InputUnreadableError(MultimodalError, OSError):
    """The path exists but cannot be read as a file: a folder, no permission, empty."""


class MediaError(MultimodalError, ValueError):
    """The file is not media, is damaged beyond use, or lacks the stream that was asked for."""


class TranscriptError(MultimodalError, ValueError):
    """A transcript is not one, states times that cannot be, or lacks the speaker that was asked for."""


class AnalysisError(MultimodalError, ValueError):
    """A saved analysis cannot be read: damaged, of another program, or of a later version."""


class OutputError(MultimodalError, OSError):
    """A result cannot be written."""


class ConfigError(MultimodalError, ValueError):
    """An option or a configuration key has a value that cannot be."""


class CorpusError(MultimodalError, ValueError):
    """A corpus folder does not have the published layout or counts."""


class WeightsError(MultimodalError, ValueError):
    """Weights are unknown, damaged, or do not fit the network."""


class DependencyError(MultimodalError, ImportError):
    """Something has to be installed or downloaded first."""
