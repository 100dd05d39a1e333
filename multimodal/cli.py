"""The console script ``multimodal``: one command per job, each imported only when it is called.

Every command also runs as ``python -m multimodal.<command>``.
"""

from __future__ import annotations

import importlib
import sys

from multimodal import __version__
from multimodal.console import print_line

COMMANDS: dict[str, tuple[str, str]] = {
    "infer": ("multimodal.infer.command", "detect which emotions a recording shows, when, and with what confidence"),
    "batch": ("multimodal.batch.command", "analyze many recordings and typed answers, on one machine or a cluster"),
    "report": ("multimodal.report.command", "write the HTML page of an analysis or of a whole study"),
    "clips": ("multimodal.clips", "cut the strongest moments of a recording into clips or one reel"),
    "train": ("multimodal.train.command", "train an encoder or the fusion head on a corpus"),
    "evaluate": ("multimodal.evaluate.command", "evaluate a model on a labeled corpus"),
    "sample": ("multimodal.sample", "write a short interview clip to try the program on"),
    "fetch": ("multimodal.fetch", "download an optional component once"),
}
"""Name of each command, the module whose ``main`` runs it, and one line of help."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command that the command line names.

    Args:
        arguments: The arguments without the program's name; None for those of this process.

    Returns:
        Exit code: 0 done, 1 failed, 2 wrong usage.

    Example:
        >>> main(["--version"])
        multimodal-emotion ...
        0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print(_help(), file=sys.stderr)
        return 2
    if words[0] in ("-h", "--help"):
        print_line(_help())
        return 0
    if words[0] == "--version":
        print_line(f"multimodal-emotion {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"error: unknown command {words[0]!r}; choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    return int(module.main(words[1:]))


def _help() -> str:
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    head = [
        "usage: multimodal COMMAND …",
        "",
        "Perceived emotion in interview videos, analyzed on your own machine.",
        "",
    ]
    return "\n".join(
        [*head, *lines, "", "multimodal COMMAND --help lists the options of a command; --version prints the version."]
    )


if __name__ == "__main__":
    sys.exit(main())
