"""Every error that a user can cause or meet. Each message is one line: subject: fact; remedy.

    MultimodalError
    ├── InputMissingError      (FileNotFoundError)  the file or folder is not found
    ├── InputUnreadableError   (OSError)            the input is a folder, empty or not readable
    ├── MediaError             (ValueError)         the file is not media, damaged, or lacks a needed stream
    ├── TranscriptError        (ValueError)         a transcript has an invalid format, time or speaker
    ├── AnalysisError          (ValueError)         a saved analysis is damaged, foreign or too new
    ├── OutputError            (OSError)            a result cannot be written: no permission, disk full
    ├── ConfigError            (ValueError)         an option or a configuration key is invalid
    ├── CorpusError            (ValueError)         a corpus differs from the published layout or counts
    ├── WeightsError           (ValueError)         weights are unknown, damaged or unsuitable
    └── DependencyError        (ImportError)        a component must be installed or downloaded first

Each class also derives from the builtin error of its kind, so that ``except FileNotFoundError`` works as expected.
"""

from __future__ import annotations

from os import PathLike, fspath


class MultimodalError(Exception):
    """Base of all errors that this package raises on purpose.

    Args:
        subject: The file, folder or option that the error is about.
        fact: What is wrong, in one clause.
        remedy: What the user can do, in one clause.

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
    """The input file or folder is not found."""


class InputUnreadableError(MultimodalError, OSError):
    """The path exists but cannot be read as a file: it is a folder, empty or not readable."""


class MediaError(MultimodalError, ValueError):
    """The file is not media, is damaged beyond use, or lacks the requested stream."""


class TranscriptError(MultimodalError, ValueError):
    """The file is not a transcript, has an invalid time, or lacks the requested speaker."""


class AnalysisError(MultimodalError, ValueError):
    """A saved analysis cannot be read: it is damaged, from another program, or from a later version."""


class OutputError(MultimodalError, OSError):
    """A result cannot be written."""


class ConfigError(MultimodalError, ValueError):
    """An option or a configuration key has an invalid value."""


class CorpusError(MultimodalError, ValueError):
    """A corpus folder does not have the published layout or counts."""


class WeightsError(MultimodalError, ValueError):
    """The weights are unknown, damaged, or do not fit the network."""


class DependencyError(MultimodalError, ImportError):
    """A component must be installed or downloaded first."""
