"""``--help``: options, values and defaults of each command, without loading a heavy library."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest
from checkout import subprocess_environment
from typer.models import ArgumentInfo, OptionInfo

from multimodal import cli
from multimodal.batch.command import batch
from multimodal.clips import clips
from multimodal.evaluate import command as evaluate
from multimodal.fetch import fetch
from multimodal.infer.command import infer
from multimodal.report.command import report
from multimodal.sample import sample
from multimodal.train import command as train

PARTS = ("face", "audio", "text", "fusion")
STAGES = {"train": (*PARTS, "mosi"), "evaluate": PARTS}
COMMANDS: dict[str, Callable[..., Any]] = {
    **{f"train {part}": train.COMMANDS[part] for part in STAGES["train"]},
    **{f"evaluate {part}": evaluate.COMMANDS[part] for part in PARTS},
    "batch": batch,
    "clips": clips,
    "fetch": fetch,
    "infer": infer,
    "report": report,
    "sample": sample,
}
OPTIONS = {
    "train face": {"config", "data", "run", "name", "start", "device", "quiet"},
    "train audio": {"config", "data", "run", "name", "device", "quiet"},
    "train text": {"config", "data", "run", "base", "polarity", "name", "start", "teacher", "device", "quiet"},
    "train fusion": {
        *("config", "run", "faces", "voices", "texts", "voice-run", "votes", "data", "model", "name", "device", "quiet")
    },
    "train mosi": {"config", "data", "run", "device", "quiet"},
    "evaluate face": {
        "data",
        "corpus",
        "split",
        "part",
        "conditions",
        "talking",
        "model",
        "device",
        "out",
        "compare",
        "json",
    },
    "evaluate audio": {"data", "corpus", "labels", "model", "no-speech-encoder", "device", "out", "compare", "json"},
    "evaluate text": {"data", "corpus", "split", "model", "device", "out", "compare", "json"},
    "evaluate fusion": {
        *("corpus", "faces", "voices", "texts", "split", "seed", "data", "model", "device", "out", "json")
    },
    "batch": {
        *(
            "out",
            "engine",
            "address",
            "workers",
            "gpus-per-worker",
            "memory-per-worker",
            "timeout",
            "retries",
            "asr",
            "language",
            "baseline",
        ),
        *("no-transcript", "modalities", "fps", "detector", "device", "model", "quiet", "debug"),
    },
    "infer": {
        *(
            "out",
            "transcript",
            "no-transcript",
            "speaker",
            "asr",
            "language",
            "modalities",
            "fps",
            "detector",
            "face",
            "baseline",
            "device",
        ),
        *("model", "no-report", "overlay", "plot", "export", "quiet", "debug"),
    },
    "clips": {"top", "reel", "kind", "padding", "media", "out", "quiet", "debug"},
    "fetch": set(),
    "report": {"media", "overlay", "plot", "export", "quiet", "debug"},
    "sample": {"seconds", "seed", "force"},
}


def help_of(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main([*words.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [*COMMANDS, "train", "evaluate"])
def test_help_is_for_people(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(words, capsys)
    assert text.startswith(f"Usage: multimodal {words} ")
    assert not re.search(r"Args:|Returns:|Raises:|Example:\n|>>>|Likewise|``", text)


@pytest.mark.parametrize("words", COMMANDS)
def test_help_shows_the_options_of_the_command_alone(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = set(re.findall(r"^  --([a-z-]+)", help_of(words, capsys), re.MULTILINE))
    assert names == {*OPTIONS[words], "help"}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_says_what_it_takes_and_its_default(words: str) -> None:
    function = COMMANDS[words]
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        (info,) = (each for each in hints[name].__metadata__ if isinstance(each, (OptionInfo, ArgumentInfo)))
        text = info.help or ""
        assert re.fullmatch(r"[A-Z].*\.", text), name
        # Other defaults, and that an option is required, are added by typer.
        if parameter.default is None or parameter.default == "" or parameter.default is False:
            assert "(default: " in text or "(required" in text, name
        if parameter.default is not False:
            assert info.metavar and info.metavar.upper() == info.metavar, name


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_parts_are_listed_and_others_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = re.findall(r"^  (\w+)  ", help_of(command, capsys).partition("Commands:")[2], re.MULTILINE)
    assert listed == list(STAGES[command])
    assert cli.main([command, "smell"]) == 2
    assert "'smell'; choose one of face, audio, text, fusion" in capsys.readouterr().err
    assert cli.main([command]) == 2
    assert capsys.readouterr().err.startswith("error: Missing command; choose one of face, audio, text, fusion")
    assert cli.main([command, "face", "--colour"]) == 2
    assert capsys.readouterr().err.endswith(f"; see multimodal {command} face --help\n")


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS)
def test_help_loads_no_library(words: str) -> None:
    code = (
        f"import sys\nfrom multimodal.cli import main\nassert main({[*words.split(), '--help']}) == 0\n"
        "heavy = {'torch', 'numpy', 'pandas', 'av', 'cv2', 'ray', 'matplotlib', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_choices_in_the_help_are_the_real_ones() -> None:
    from multimodal.analysis import moments
    from multimodal.clips import KINDS
    from multimodal.data.corpora.ferplus import FOLDERS
    from multimodal.data.corpora.texts import PARTS as TEXT_PARTS
    from multimodal.data.corpora.texts import TEXT_CORPORA
    from multimodal.evaluate.audio import LABEL_SETS
    from multimodal.export.formats import FORMATS

    def choices(function: Callable[..., Any], name: str) -> set[str]:
        (info,) = typing.get_type_hints(function, include_extras=True)[name].__metadata__
        listed = info.help.partition(":")[2].partition("(default")[0].replace(" or ", ", ").rstrip(". ")
        return {re.sub(r"\(.*?\)", "", each).strip() for each in re.split(r"[,;]", listed)} - {"repeatable"}

    assert choices(evaluate.face, "split") == set(FOLDERS)
    assert choices(evaluate.fusion, "corpus") == set(evaluate.FUSION_CORPORA)
    assert choices(evaluate.text, "corpus") == {*TEXT_CORPORA, "mosi"}
    assert choices(evaluate.text, "split") == set(TEXT_PARTS)
    assert choices(evaluate.audio, "labels") == set(LABEL_SETS)
    assert choices(infer, "export") == choices(report, "export") == set(FORMATS)
    assert choices(clips, "kind") == set(KINDS) == set(moments.KINDS)
