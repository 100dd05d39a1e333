"""Files: atomic writing, permissions, paths as text, weights with a pinned hash."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import DependencyError, MultimodalError, OutputError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Writes a file completely or not at all: to a temporary path, which is renamed when the block succeeds.

    Args:
        path: The file to write. Missing folders are created.

    Yields:
        The temporary path, in the same folder, so that the renaming is atomic.

    Raises:
        OutputError: The folder cannot be created or written, or the disk is full. No temporary file remains.

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
        temporary.chmod(0o666 & ~file_mode_mask())
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
    r"""A path as valid Unicode text: file names may be any bytes, text may not.

    Args:
        path: Any path.

    Returns:
        The path with undecodable bytes replaced by U+FFFD.

    Example:
        >>> path_text(Path(os.fsdecode(b"caf\xe9.mp4")))
        'caf\ufffd.mp4'
    """
    return os.fsencode(path).decode("utf-8", "replace")


def file_mode_mask() -> int:
    """The permission bits that new files of this process must not have.

    ``tempfile`` ignores the mask and would leave results unreadable to colleagues.

    Example:
        >>> 0 <= file_mode_mask() <= 0o777
        True
    """
    mask = os.umask(0)  # reading the mask is only possible by setting it
    os.umask(mask)
    return mask


def output_error(path: Path, error: OSError) -> OutputError:
    """Turns an error of the operating system into one that names the remedy.

    Args:
        path: The file or folder that could not be written.
        error: The system's error, such as no space or no permission.

    Example:
        >>> str(output_error(Path("out"), OSError(errno.ENOSPC, "No space left on device")))
        'out: the disk is full; free some space or choose another folder'
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(path, "the disk is full", "free some space or choose another folder")
    return OutputError(path, f"cannot be written ({error.strerror or error})", "choose another folder")


def published_bytes(path: Path, sha256: str) -> NDArray[np.uint8]:
    """Reads a weights file and checks that it is the published one.

    Args:
        path: The file.
        sha256: The published hash, 64 hexadecimal digits.

    Returns:
        The content, ``(bytes,)`` uint8.

    Raises:
        DependencyError: The file cannot be read.
        WeightsError: The file has another hash.

    Example:
        >>> published_bytes(Path("missing.onnx"), "")
        Traceback (most recent call last):
            ...
        multimodal.errors.DependencyError: missing.onnx: cannot be read (...); install or download it again
    """
    import numpy as np  # here and not above: commands import this module for --help

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DependencyError(path, f"cannot be read ({error.strerror})", "install or download it again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(path, "is not the published file (its sha256 differs)", "install or download it again")
    return np.frombuffer(content, np.uint8)
