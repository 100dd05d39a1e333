"""The folder of results on disk: one driver at a time, results whole or not at all, a stamp beside each.

Layout: ``<out>/<name>/`` as ``infer`` writes it, ``<out>/.batch/done/<name>.json`` the stamps, ``<out>/.batch/lock``,
``<out>/.batch/work/`` what is being written, which a start sweeps away.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from multimodal.errors import MultimodalError, OutputError
from multimodal.files import atomic_write, output_error


class Store:
    """The results of one study.

    Args:
        out: The folder given by ``--out``; nothing is ever written outside it.

    Example:
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.finish("talk-1", {"analysis.json": b"{}"}, {"key": "k", "bytes": {"analysis.json": 2}})
        >>> store.stamp("talk-1")["key"], store.stamp("talk-2")
        ('k', None)
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.inner = out / ".batch"
        self.work = self.inner / "work"
        self.done = self.inner / "done"

    def folder(self, name: str) -> Path:
        """Where a result stands."""
        return self.out / name

    def stamp(self, name: str) -> dict[str, Any] | None:
        """The stamp of a result that stands whole; None where there is none."""
        try:
            noted = json.loads((self.done / f"{name}.json").read_text(encoding="utf-8"))
            size = (self.folder(name) / "analysis.json").stat().st_size
            return noted if size == noted["bytes"]["analysis.json"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, name: str, files: Mapping[str, bytes], stamp: Mapping[str, Any]) -> None:
        """Writes a result beside its place, renames it into place, and stamps it last.

        Raises:
            OutputError: The disk is full, or the folder cannot be written. What was there of it is no longer finished.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self.work))
            staged.chmod(0o777 & ~_mask())
            for file, content in files.items():
                (staged / file).write_bytes(content)
            self.discard(name)
            staged.replace(self.folder(name))
        except OSError as error:
            if isinstance(error, MultimodalError):
                raise
            raise output_error(self.folder(name), error) from error
        with atomic_write(self.done / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(stamp), encoding="utf-8")

    def discard(self, name: str) -> None:
        """Takes a result that is no longer true away, the stamp first; does nothing where there is none.

        Raises:
            OutputError: The folder cannot be written.
        """
        try:
            (self.done / f"{name}.json").unlink(missing_ok=True)
            if self.folder(name).exists():
                self.work.mkdir(parents=True, exist_ok=True)
                old = Path(tempfile.mkdtemp(prefix="old.", dir=self.work))
                self.folder(name).replace(old / name)
                shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise output_error(self.folder(name), error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; the system lets go of it when the process ends, however it ends.

        Raises:
            OutputError: Another process holds it, or the folder cannot be written.
        """
        try:
            self.inner.mkdir(parents=True, exist_ok=True)
            file = (self.inner / "lock").open("a+", encoding="utf-8")
        except (FileExistsError, NotADirectoryError):
            raise OutputError(self.out, "is a file", "choose a folder with --out") from None
        except OSError as error:
            raise output_error(self.out, error) from error
        with file:
            self._take(file)
            self._sweep()
            try:
                yield
            finally:
                with suppress(OSError):
                    file.truncate(0)

    def _take(self, file: IO[str]) -> None:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip() or "another process"
            fact = f"is in use by {holder}"
            raise OutputError(self.out, fact, "wait until it has ended, or choose another --out") from None
        except OSError as error:
            fact = f"lies on a file system that cannot lock ({error.strerror})"
            raise OutputError(self.out, fact, "choose another folder with --out") from None
        with suppress(OSError):  # only what a second driver is told; a full disk shows soon enough
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()

    def _sweep(self) -> None:
        """Removes what an earlier driver was writing when it was killed, and checks that there can be written."""
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self.out, self.done):
            for left in folder.glob(".*"):
                if left.is_file():  # a table or a stamp that was being written
                    left.unlink(missing_ok=True)
        try:
            self.work.mkdir(exist_ok=True)
            for folder in (self.out, self.work):
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise output_error(self.out, error) from error


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far behind the text, which a second driver must be able to read.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Linux hands this on to the server of NFS 4, so that it holds across machines too.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
