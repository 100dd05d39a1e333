"""The console script ``multimodal``: one command per job, each loaded only when it is asked for.

Every job is a module of its own that also runs as ``python -m multimodal.<job>``; this one merely hands over.
"""

from __future__ import annotations

import importlib
import sys

from multimodal import __version__
from multimodal.console import print_line

COMMANDS: dict[str, tuple[str, str]] = {
    "infer": ("multimodal.infer.command", "say which emotions a recording shows, when, and how sure it is"),
    "batch": ("multimodal.batch.command", "score a pile of recordings and answers, on one machine or a cluster"),
    "report": ("multimodal.report.command", "make the page of an analysis, or of a whole study"),
    "clips": ("multimodal.clips", "cut the strongest moments of a recording into clips or one reel"),
    "train": ("multimodal.train.command", "train an encoder or the fusion on a corpus"),
    "evaluate": ("multimodal.evaluate.command", "measure a model on a corpus"),
    "sample": ("multimodal.sample", "make a short interview clip to try the program on"),
    "fetch": ("multimodal.fetch", "download an optional part once"),
}
"""Name, the module whose ``main`` does it, and one line of help."""


def main(arguments: list[str] | None = None) -> int:
    """Hands the command line to the job that it names.

    Args:
        arguments: Without the program's name; those of this process where None.

    Returns:
        Exit code: 0 done, 1 failed, 2 wrong usage.
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
        print(f"multimodal: no command {words[0]!r}; choose from {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    return int(module.main(words[1:]))


def _help() -> str:
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    head = ["usage: multimodal COMMAND …", "", "Perceived emotion in interviews, on your own machine.", ""]
    return "\n".join([*head, *lines, "", "multimodal COMMAND --help tells more; --version names the version."])


if __name__ == "__main__":
    sys.exit(main())
