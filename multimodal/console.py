"""What the commands share: errors in one line, exit codes, progress bars, the options that several commands have.

Only commands import this module; the library never does.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.device import DEVICES
from multimodal.errors import ConfigError, DependencyError, MultimodalError

if TYPE_CHECKING:
    from multimodal.progress import ProgressCallback


# Options of several commands.
DeviceOption = Annotated[
    str, typer.Option(metavar="DEVICE", help=f"Device to compute on: {', '.join(DEVICES)}; auto prefers a GPU.")
]
AsrOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|NAME",
        help="Speech-to-text model: a folder, a size such as base, or none (default: the installed one).",
    ),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Language of the words, such as en or de; only English words are analyzed (default: detected).",
    ),
]
ModalitiesOption = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Modalities to analyze, separated by commas: face,audio,text (default: all)."),
]
FpsOption = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        min=0.01,
        max=240,
        help="Video frames to analyze per second (default: the rate of the face model).",
    ),
]
DetectorOption = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Face detector: mtcnn, yunet, haar, or a YuNet .onnx file.")
]
BaselineOption = Annotated[
    str,
    typer.Option(
        metavar="MODE",
        help="Resting face to judge expressions against: auto (looked for), none, or START-END, the stretch of the "
        "recording that shows it.",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE|FOLDER", help="Shipped weights by name, a .safetensors file, or a folder of weights."
    ),
]
OverlayOption = Annotated[
    bool,
    typer.Option(
        "--overlay", help="Write overlay.mp4 with faces and emotions drawn on the video (default: not written)."
    ),
]
PlotOption = Annotated[
    bool,
    typer.Option("--plot", help="Write the timeline and the summary as PNG and SVG images (default: not written)."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print only errors (default: results and progress too).")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Print a traceback with each error (default: one line).")]


def run_command(
    command: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    arguments: list[str] | None,
    name: str,
    summary: str = "",
) -> int:
    """Runs a command; an error that a user can cause becomes one line and an exit code.

    Args:
        command: A function annotated for typer; its docstring is the help; it may raise ``typer.Exit`` with a code.
            For a command with subcommands, the name of each and its function.
        arguments: The arguments after the command's name; None for those of this process.
        name: Name of the command.
        summary: First lines of the help of a command with subcommands.

    Returns:
        0 when the command succeeded, 1 when it failed, 2 for wrong usage, 130 when interrupted.

    Example:
        >>> def face() -> None:
        ...     "Counts faces."
        ...     print("two faces")
        >>> run_command({"face": face}, ["face"], "count")
        two faces
        0
    """
    application = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    if isinstance(command, Mapping):
        application.callback(help=summary)(lambda: None)
        for subcommand, function in command.items():
            application.command(subcommand)(_stop_on_interrupt(function))
    else:
        application.command(name)(_stop_on_interrupt(command))
    words = sys.argv[1:] if arguments is None else arguments
    try:
        result = application(words, prog_name=f"multimodal {name}", standalone_mode=False)
    except MultimodalError as error:
        print_error(str(error))
        if "--debug" in words:
            traceback.print_exc()
        return 2 if isinstance(error, ConfigError) else 1
    except (KeyboardInterrupt, typer.Abort):
        return _report_interrupt()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print_error(f"{str(error.filename)[:40]}…: the name is too long; choose a shorter name")
        return 1
    except Exception as error:
        # A usage error of typer: it would print four lines, and its class is private.
        if not hasattr(error, "format_message"):
            raise
        print_error(_usage_line(error, command, words, name))
        return 2
    return result if isinstance(result, int) else 0


def _usage_line(
    error: Any, command: Callable[..., Any] | Mapping[str, Callable[..., Any]], words: list[str], name: str
) -> str:
    """One line for a usage error, with a reference to the help."""
    fact = _plain_fact(error.format_message().rstrip("."))
    if isinstance(command, Mapping):
        if not words or words[0] not in command:
            return f"{fact}; choose one of {', '.join(command)}, see multimodal {name} --help"
        name = f"{name} {words[0]}"
    return f"{fact}; see multimodal {name} --help"


def _plain_fact(message: str) -> str:
    """The message of typer about an option's value, as this program writes its own: option, colon, fact.

    Example:
        >>> _plain_fact("Invalid value for '--top': Input should be a valid integer, unable to parse string")
        '--top: must be a valid integer'
    """
    match = re.fullmatch(
        r"Invalid value for '?([^':]+)'?: (?:Input should be (.*?)(?:, unable to parse .*)?|(.*))", message
    )
    if match is None:
        return message
    option, must, other = match.groups()
    return f"{option}: must be {must}" if must else f"{option}: {other}"


def _stop_on_interrupt(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with a message on Ctrl-C; typer would exit without one."""

    @wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KeyboardInterrupt:
            return _report_interrupt()

    return wrapper


def _report_interrupt() -> int:
    print("stopped; run the same command again", file=sys.stderr)
    return 130


def process_each(paths: Iterable[Path], work: Callable[[Path], int], debug: bool = False) -> None:
    """Processes each input; a failure prints one line and does not stop the others.

    Args:
        paths: The inputs.
        work: Processes one input; prints its own failures and returns their number.
        debug: Whether to print the traceback of an error too.

    Raises:
        ConfigError: An option is invalid, which concerns all inputs.
        typer.Exit: With code 1, after the last input, if anything failed.

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
            # A bug must not stop the other inputs either.
            is_expected = isinstance(error, MultimodalError)
            failures += 1
            print_error(
                str(error) if is_expected else f"{path}: unexpected {type(error).__name__}: {error}; please report it"
            )
            if debug:
                traceback.print_exc()
    if failures:
        raise typer.Exit(1)


def print_error(message: str) -> None:
    r"""Prints an error as one line; control characters of file names are escaped.

    Args:
        message: The error: subject, fact and remedy.

    Example:
        >>> import contextlib, sys
        >>> with contextlib.redirect_stderr(sys.stdout):
        ...     print_error("two\nlines.mp4: is empty; copy it again")
        error: two\nlines.mp4: is empty; copy it again
    """
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in message)
    print(f"error: {line}", file=sys.stderr)


def print_line(text: str) -> None:
    """Prints a line; characters that the encoding of the terminal or pipe lacks become question marks.

    A closed pipe, as behind ``| head``, is not a failure: results are in files; the rest of the output is dropped.

    Args:
        text: The line, or several lines.

    Example:
        >>> print_line("2 files written")
        2 files written
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # the stream buffers what it could not write and tries again at exit
        os.close(null)


def status_line(quiet: bool) -> Callable[[str], None] | None:
    """A function that redraws one line on the terminal; an empty line clears it.

    Args:
        quiet: Whether to draw nothing.

    Returns:
        The function; None if ``quiet`` or if standard error is not a terminal.

    Example:
        >>> status_line(quiet=True) is None
        True
    """
    if quiet or not sys.stderr.isatty():
        return None
    return lambda line: print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


@contextmanager
def progress_bar(name: str, quiet: bool) -> Iterator[ProgressCallback | None]:
    """Shows a progress bar on the terminal.

    Args:
        name: Text before the bar.
        quiet: Whether to show nothing.

    Yields:
        A function that takes seconds done and seconds in total; None if ``quiet`` or if standard error is not a
        terminal.

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


@contextmanager
def train_extra(job: str) -> Iterator[None]:
    """Turns a missing library of the extra ``train`` into one line with the remedy.

    Args:
        job: What needs the library, such as ``training``.

    Raises:
        DependencyError: A library is not installed.

    Example:
        >>> with train_extra("training"):
        ...     import nowhere
        Traceback (most recent call last):
        ...
        multimodal.errors.DependencyError: nowhere: is not installed, but training needs it; pip install ...
    """
    try:
        yield
    except ModuleNotFoundError as error:
        remedy = "pip install 'multimodal-emotion[train]'"
        raise DependencyError(f"{error.name}", f"is not installed, but {job} needs it", remedy) from None
