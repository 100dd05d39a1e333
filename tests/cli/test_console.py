"""Behavior shared by all commands: one-line errors and exit codes."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Annotated

import pytest
import typer

from multimodal.console import run_command
from multimodal.errors import ConfigError, MultimodalError, OutputError


def command_that_raises(error: BaseException) -> int:
    def command(path: Annotated[Path, typer.Argument(help="Any.")]) -> None:
        raise error

    return run_command(command, ["a"], "try")


def test_ctrl_c_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_that_raises(KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "stopped; run the same command again\n")


def test_a_command_that_tells_it_itself_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_that_raises(typer.Exit(130)) == 130
    assert capsys.readouterr() == ("", "")


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command(path: Annotated[Path, typer.Argument(help="Any.")]) -> None:
        path.stat()

    assert run_command(command, ["long" * 999], "try") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: longlong") and error.count("\n") == 1 and len(error) < 120


def test_what_nobody_foresaw_keeps_its_traceback() -> None:
    with pytest.raises(OSError, match="Input/output"):
        command_that_raises(OSError(errno.EIO, "Input/output error"))


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("--kind", "is invalid", "remove it"), 2), (OutputError("out", "is full", "choose another"), 1)],
)
def test_error_of_a_subcommand_is_one_line(
    error: MultimodalError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def face() -> None:
        raise error

    assert run_command({"face": face}, ["face"], "try") == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(
    ("value", "fact"),
    [("fast", "must be a valid number"), ("-1", "must be greater than or equal to 0"), ("70", "must be less than")],
)
def test_invalid_value_names_its_option_and_the_limit(
    value: str, fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(padding: Annotated[float, typer.Option(min=0, max=60, help="Any.")] = 1.0) -> None:
        raise AssertionError("not reached")

    assert run_command(command, ["--padding", value], "try") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: --padding: {fact}") and error.endswith("; see multimodal try --help\n")
    assert "Input" not in error and "parse" not in error


def test_interrupted_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    def face() -> None:
        raise KeyboardInterrupt

    assert run_command({"face": face}, ["face"], "try") == 130
    assert capsys.readouterr().err == "stopped; run the same command again\n"
