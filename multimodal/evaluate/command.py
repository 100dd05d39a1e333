"""``python -m multimodal.evaluate PART --data FOLDER``: figures of one part on a corpus, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.console import DeviceOption, run_command
from multimodal.device import choose_device
from multimodal.errors import DependencyError, WeightsError
from multimodal.evaluate.face import evaluate_face
from multimodal.evaluate.tables import table, write_figures

if TYPE_CHECKING:
    from multimodal.models.weights import Weights

PARTS = ("face", "audio", "text", "fusion")


def evaluate(
    part: Annotated[str, typer.Argument(help=f"Which part: {', '.join(PARTS)}.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the corpus.")] = None,
    corpus: Annotated[str, typer.Option(help="Which: audio ravdess …, text goemotions …, fusion composed …")] = "",
    split: Annotated[str, typer.Option(help="Face: train, valid or test. Text: train, dev or test.")] = "",
    labels: Annotated[str, typer.Option(help="Audio: seven, or native for the corpus's own.")] = "seven",
    faces: Annotated[Path | None, typer.Option(help="Composed utterances: folder of FER+.")] = None,
    voices: Annotated[list[str] | None, typer.Option(help="Likewise: NAME=FOLDER, repeatable.")] = None,
    texts: Annotated[Path | None, typer.Option(help="Likewise: GoEmotions, folder or file.")] = None,
    seed: Annotated[int, typer.Option(help="Likewise: of the composition.")] = 0,
    model: Annotated[str, typer.Option(help="Name of shipped weights, a file or a folder.")] = "default",
    device: DeviceOption = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for the figures as JSON and as pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prints how good one part is on a corpus."""
    if part not in PARTS:
        raise typer.BadParameter(f"is {part!r}; choose one of {', '.join(PARTS)}", param_hint="PART")
    try:
        from multimodal.evaluate.metrics import classification_figures as _needs_libraries  # noqa: F401
    except ModuleNotFoundError as error:
        remedy = "pip install 'multimodal-emotion[train]'"
        raise DependencyError(f"{error.name}", "is not installed, and evaluation needs it", remedy) from None
    composed = part == "fusion" and corpus in ("", "composed")
    corpora = {"--faces": faces, "--voices": voices or None, "--texts": texts}
    _check_options(part, corpus, split, labels)
    _check_corpora(composed, data, corpora)
    chosen = choose_device(device)
    if composed and faces is not None and texts is not None:
        figures, name, judged = _composed(model, faces, voices or [], texts, split, seed, chosen)
    else:
        figures, name, judged = _one_corpus(part, model, data or Path(), corpus, split, labels, chosen)
    if out is not None:
        write_figures(out, figures)
    typer.echo(json.dumps(figures) if as_json else table(name, judged, figures))


def _check_options(part: str, corpus: str, split: str, labels: str) -> None:
    """Refuses what the part does not know, before anything is loaded."""
    from multimodal.data.corpora.ferplus import FOLDERS
    from multimodal.data.corpora.texts import TEXT_CORPORA
    from multimodal.data.corpora.voices import VOICE_CORPORA
    from multimodal.evaluate.audio import LABEL_SETS

    for option, given, parts in (
        ("--split", split != "", ("face", "text", "fusion")),
        ("--labels", labels != "seven", ("audio",)),
    ):
        if given and part not in parts:
            named = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
            raise typer.BadParameter(f"is for {named}, not for {part}", param_hint=option)
    known = {
        "face": ("ferplus",),
        "audio": tuple(VOICE_CORPORA),
        "text": tuple(TEXT_CORPORA),
        "fusion": ("composed", "iemocap"),
    }[part]
    if corpus not in (known if part == "audio" else ("", *known)):
        fact = f"is {corpus!r}" if corpus else "is missing"
        raise typer.BadParameter(f"{fact}; choose one of {', '.join(known)}", param_hint="--corpus")
    if part in ("face", "fusion") and split not in ("", *FOLDERS):
        raise typer.BadParameter(f"is {split!r}; choose one of {', '.join(FOLDERS)}", param_hint="--split")
    if labels not in LABEL_SETS:
        raise typer.BadParameter(f"is {labels!r}; choose one of {', '.join(LABEL_SETS)}", param_hint="--labels")


def _check_corpora(composed: bool, data: Path | None, corpora: Mapping[str, object]) -> None:
    """Asks for the corpora that are needed, and refuses others."""
    given = [option for option, value in corpora.items() if value is not None]
    missing = [option for option, value in corpora.items() if value is None]
    if composed and data is not None:
        raise typer.BadParameter("is not for composed utterances; give --faces, --voices, --texts", param_hint="--data")
    if composed and missing:
        raise typer.BadParameter("is missing; composed utterances need it", param_hint=missing[0])
    if not composed and given:
        raise typer.BadParameter("is for composed utterances alone; give --data", param_hint=given[0])
    if not composed and data is None:
        raise typer.BadParameter("is missing; name the folder or file of the corpus", param_hint="--data")


def _one_corpus(
    part: str, model: str, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str, str]:
    from multimodal.models.weights import load_weights

    weights = load_weights(model, part, device)
    judge = {"face": _face, "audio": _audio, "text": _text, "fusion": _iemocap}[part]
    figures, judged = judge(weights, data, corpus, split, labels, device)
    return figures, weights.name, judged


def _composed(
    model: str, faces: Path, voices: list[str], texts: Path, split: str, seed: int, device: str
) -> tuple[dict[str, Any], str, str]:
    from multimodal.evaluate.synthetic import evaluate_synthetic, parse_voices
    from multimodal.infer.model import load_model

    named = parse_voices(voices)
    parts = load_model(model, device).parts
    if "fusion" not in parts:
        raise WeightsError(model, "holds no fusion head", "name one with --model")
    figures = evaluate_synthetic(parts, faces, named, texts, split=split, seed=seed, device=device)
    return figures, parts["fusion"].name, f"utterances composed with seed {seed}"


def _face(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.data.corpora.ferplus import read_ferplus

    split = split or "valid"
    return evaluate_face(weights, read_ferplus(data, split, check_counts=False), device), split


def _audio(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.evaluate.audio import evaluate_audio

    return evaluate_audio(weights, corpus, data, labels, device), f"{corpus}, {labels} labels"


def _text(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.data.corpora.texts import part_to_judge, read_text_corpus
    from multimodal.evaluate.text import evaluate_text

    corpus, part = corpus or "goemotions", split or part_to_judge(data)
    judged = corpus if data.is_file() else f"{corpus}, {part} part"
    return evaluate_text(weights, read_text_corpus(corpus, data, part, check_counts=False)), judged


def _iemocap(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.iemocap.evaluate import evaluate_iemocap

    figures = evaluate_iemocap(weights, data, device=device, check_counts=False)
    heard = ", which its training heard" if figures["heard_in_training"] else ""
    return figures, f"session {figures['session']} of IEMOCAP{heard}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(evaluate, arguments, "evaluate")
