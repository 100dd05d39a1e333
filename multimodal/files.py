"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multimodal.errors import MultimodalError, OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
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
        >>> with whole_file(target) as temporary:
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
