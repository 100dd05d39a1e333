"""What the commands share: one-line errors, exit codes, the options that every command spells alike."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.device import DEVICES
from multimodal.errors import ConfigError, MultimodalError

if TYPE_CHECKING:
    from multimodal.progress import ProgressCallback


DeviceOption = Annotated[str, typer.Option(help=f"Where to compute: {', '.join(DEVICES)}.")]


def run_command(function: Callable[..., Any], arguments: list[str] | None, name: str) -> int:
    """Runs a command, turning the errors a user can cause into one line and an exit code.

    Args:
        function: The command, annotated for typer; may raise ``typer.Exit`` with a code.
        arguments: What stands behind the command's name; None for the process's own.
        name: The command's name for its help.

    Returns:
        0 when all went well, 1 when it failed, 2 for wrong usage, 130 when interrupted.
    """
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    application.command(name)(_stoppable(function))
    given = sys.argv[1:] if arguments is None else arguments
    try:
        result = application(given, prog_name=f"multimodal {name}", standalone_mode=False)
    except MultimodalError as error:
        print_error(str(error))
        if "--debug" in given:
            traceback.print_exc()
        return 2 if isinstance(error, ConfigError) else 1
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print_error(f"{str(error.filename)[:40]}…: is longer than a name can be; name another file or folder")
        return 1
    except Exception as error:
        # typer's own usage errors; it prints them on four lines, and their class is private to it.
        if not hasattr(error, "format_message"):
            raise
        print_error(f"{error.format_message().rstrip('.')}; see multimodal {name} --help")
        return 2
    return result if isinstance(result, int) else 0


def _stoppable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which says so when it is interrupted; typer would exit without a word."""

    @wraps(function)
    def stoppable(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KeyboardInterrupt:
            return _stopped()

    return stoppable


def _stopped() -> int:
    print("stopped; run the same command again", file=sys.stderr)
    return 130


def process_each(paths: Iterable[Path], work: Callable[[Path], int], debug: bool = False) -> None:
    """Does something with each input; one that fails costs one line, and not the others.

    Args:
        paths: The inputs.
        work: What is done; returns how many parts of it failed, having told of them.
        debug: Whether an error's origin is shown too.

    Raises:
        ConfigError: An option cannot be, which no other input can mend.
        typer.Exit: With 1, at the end, where anything failed.

    Example:
        >>> process_each([Path("a.mp4")], lambda path: 0)
    """
    failures = 0
    for path in paths:
        try:
            failures += work(path)
        except ConfigError:
            raise
        except Exception as error:
            # A fault of ours must not cost the user the other inputs either.
            known = isinstance(error, MultimodalError)
            failures += 1
            print_error(
                str(error) if known else f"{path}: unexpected {type(error).__name__}: {error}; please report it"
            )
            if debug:
                traceback.print_exc()
    if failures:
        raise typer.Exit(1)


def print_error(message: str) -> None:
    r"""Prints an error as one line, whatever the file names in it hold.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout):
        ...     print_error("two\nlines.mp4: is empty; copy it again")
        error: two\nlines.mp4: is empty; copy it again
    """
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)
    print(f"error: {shown}", file=sys.stderr)


def print_line(text: str) -> None:
    """Prints to a terminal or a pipe whose encoding may lack the bars, or the letters of a file name.

    A reader that has left, as ``| head`` does, is no failure: what matters is in files, so the rest goes nowhere.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # the stream keeps what it could not write, and tries again at the end
        os.close(nowhere)


def status_line(quiet: bool) -> Callable[[str], None] | None:
    """What draws one line over and over on the terminal; an empty one takes it away.

    Args:
        quiet: Whether nothing is to be drawn.

    Returns:
        The function; None where nobody watches.
    """
    if quiet or not sys.stderr.isatty():
        return None
    return lambda line: print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


@contextmanager
def progress_bar(name: str, quiet: bool) -> Iterator[ProgressCallback | None]:
    """Shows how far something is, on a terminal.

    Args:
        name: What is being done; plain text.
        quiet: Whether nothing is to be shown.

    Yields:
        What is to be called with seconds done and seconds in all; None where nobody watches.

    Example:
        >>> with progress_bar("talk.mp4", quiet=True) as progress:
        ...     progress is None
        True
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(name), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
