"""The results on disk: one batch at a time, each result whole or absent, with a receipt next to it.

Layout: ``<out>/<name>/`` as ``infer`` writes it; ``<out>/.batch/done/<name>.json``, the receipts; ``<out>/.batch/lock``
and ``<out>/.batch/owner``, which batch is running; ``<out>/.batch/work/``, unfinished results, emptied at the start.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from multimodal.errors import MultimodalError, OutputError
from multimodal.files import atomic_write, file_mode_mask, output_error


class Store:
    """The results of one study.

    Args:
        out: The folder given by ``--out``; nothing is written outside it.

    Example:
        >>> store = Store(Path(tempfile.mkdtemp()))
        >>> store.write("talk-1", {"analysis.json": b"{}"}, {"key": "k", "bytes": {"analysis.json": 2}})
        >>> store.receipt("talk-1")["key"], store.receipt("talk-2")
        ('k', None)
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.inner = out / ".batch"
        self.work = self.inner / "work"
        self.done = self.inner / "done"

    def folder(self, name: str) -> Path:
        """The folder of a result.

        Args:
            name: Name of the result.

        Returns:
            The path; the folder may not exist.
        """
        return self.out / name

    def receipt(self, name: str) -> dict[str, Any] | None:
        """The receipt of a complete result; None without one.

        Args:
            name: Name of the result.

        Returns:
            The content of the receipt.
        """
        try:
            receipt = json.loads((self.done / f"{name}.json").read_text(encoding="utf-8"))
            size = (self.folder(name) / "analysis.json").stat().st_size
            return receipt if size == receipt["bytes"]["analysis.json"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, files: Mapping[str, bytes], receipt: Mapping[str, Any]) -> None:
        """Writes a result to a temporary folder, renames it into place, and writes the receipt last.

        Args:
            name: Name of the result.
            files: File name to content.
            receipt: Content of the receipt.

        Raises:
            OutputError: The disk is full, or the folder cannot be written. An earlier result no longer has a receipt.
        """
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            staged = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self.work))
            staged.chmod(0o777 & ~file_mode_mask())
            for file, content in files.items():
                (staged / file).write_bytes(content)
            self.discard(name)
            staged.replace(self.folder(name))
        except OSError as error:
            if isinstance(error, MultimodalError):
                raise
            raise output_error(self.folder(name), error) from error
        with atomic_write(self.done / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(receipt), encoding="utf-8")

    def discard(self, name: str) -> None:
        """Removes a result that is no longer current, its receipt first; does nothing without one.

        Args:
            name: Name of the result.

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
        """Locks the folder for this process; the system releases the lock when the process ends, however it ends.

        Raises:
            OutputError: Another batch runs in the folder, or the folder cannot be written.
        """
        try:
            self.inner.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise OutputError(self.out, "is a file", "choose a folder with --out") from None
        except OSError as error:
            raise output_error(self.out, error) from error
        owner = self.inner / "owner"
        try:
            # A lock that the system does not hold would outlive a killed process.
            lock = FileLock(self.inner / "lock", blocking=False, fallback_to_soft=False).acquire()
        except Timeout:
            fact = f"is in use by {_read(owner) or 'another process'}"
            raise OutputError(self.out, fact, "wait until it has ended, or choose another --out") from None
        except PermissionError as error:
            raise output_error(self.out, error) from error
        except OSError as error:
            fact = f"is on a file system without locks ({error})"
            raise OutputError(self.out, fact, "choose another folder with --out") from None
        with lock:
            with suppress(OSError):  # it is only shown to a second batch; a full disk shows soon enough
                owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            self._clean()
            try:
                yield
            finally:
                with suppress(OSError):
                    owner.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Removes the unfinished files of a batch that was killed, and checks that the folder can be written."""
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self.out, self.done):
            for file in folder.glob(".*"):
                if file.is_file():  # an unfinished table or receipt
                    file.unlink(missing_ok=True)
        try:
            self.work.mkdir(exist_ok=True)
            for folder in (self.out, self.work):
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise output_error(self.out, error) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
