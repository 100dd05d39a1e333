"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multimodal.errors import DependencyError, MultimodalError, OutputError, WeightsError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` to write to; renames it into place when the block ends well.

    Args:
        path: Where the file shall stand. Its folder is made if need be.

    Yields:
        The temporary path, in the same folder, so that the renaming is atomic.

    Raises:
        OutputError: The folder cannot be made or written, or the disk is full. Nothing is left behind.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_file_mode_mask())
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, MultimodalError):
            raise
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def path_text(path: Path) -> str:
    """A path as text that every file can hold: file names may be any bytes, text may not."""
    return os.fsencode(path).decode("utf-8", "replace")


def _file_mode_mask() -> int:
    # There is no way to read the mask without setting it; mkstemp would leave results unreadable to colleagues.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def output_error(path: Path, error: OSError) -> OutputError:
    """One line for what the system refused: no space, no permission."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(path, "the disk is full", "free some space or choose another folder")
    return OutputError(path, f"cannot be written ({error.strerror or error})", "choose another folder")


def published_bytes(path: Path, sha256: str) -> NDArray[np.uint8]:
    """Reads a weights file and refuses it unless it is the published one.

    Args:
        path: The file.
        sha256: Its published hash, 64 hexadecimal digits.

    Returns:
        ``(bytes,)`` uint8.

    Raises:
        DependencyError: It cannot be read.
        WeightsError: It is another file.

    Example:
        >>> published_bytes(Path("missing.onnx"), "")
        Traceback (most recent call last):
            ...
        multimodal.errors.DependencyError: missing.onnx: cannot be read (...); install or download it again
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DependencyError(path, f"cannot be read ({error.strerror})", "install or download it again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(path, "is not the published file, by its sha256", "install or download it again")
    return np.frombuffer(content, np.uint8)
