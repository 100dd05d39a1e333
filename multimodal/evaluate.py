"""``python -m multimodal.evaluate PART --data FOLDER``: figures of one part on a corpus, as a table or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multimodal.commands import DeviceOption, choose_device, guarded
from multimodal.errors import DependencyError, WeightsError

if TYPE_CHECKING:
    from multimodal.data.ferplus import FaceCorpus
    from multimodal.weights import Weights

PARTS = ("face", "audio", "text")
SHOWN = (
    "uar",
    "uar_alone",
    "macro_f1_native",
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "kappa",
    "roc_auc",
    "pr_auc",
    "ece",
    "divergence",
    "speakers",
    "n",
)


def evaluate_face(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> dict[str, Any]:
    """Judges a face model against the majority of the votes, as Barsoum et al. 2016 do.

    Args:
        weights: The model.
        corpus: Pictures and votes; those without a majority are left out.
        device: Where the network is.

    Returns:
        The figures of ``classification_figures``, ``divergence`` (nats, from the votes' shares) and ``parameters``.

    Raises:
        WeightsError: The model has other labels than the corpus.
    """
    from multimodal.data.emotions import FACE_LABELS
    from multimodal.data.ferplus import distributions, majority_labels
    from multimodal.metrics import classification_figures, divergence

    if weights.spec.labels != FACE_LABELS:
        fact = f"answers {', '.join(weights.spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a model with FER+'s labels: {', '.join(FACE_LABELS)}")
    judged = corpus.subset(majority_labels(corpus.votes) >= 0)
    probabilities = face_probabilities(weights, judged, device)
    figures = classification_figures(probabilities, majority_labels(judged.votes), weights.spec.labels)
    figures["divergence"] = divergence(distributions(judged.votes), probabilities)
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    return figures


def face_probabilities(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> Any:
    """Calibrated probabilities ``(n, labels)`` float32 of every picture, by the same code as inference."""
    import torch

    from multimodal.encoders.face import predict

    images = torch.from_numpy(corpus.images).to(device)
    spec = weights.spec
    parts = [predict(weights.network, part, spec.temperature, spec.flip)[0] for part in images.split(256)]
    return torch.cat(parts).cpu().numpy()


def evaluate(
    part: Annotated[str, typer.Argument(help=f"Which part: {', '.join(PARTS)}.")],
    data: Annotated[Path, typer.Option(help="Folder or file of the corpus.")],
    corpus: Annotated[str, typer.Option(help="Which corpus it is: audio ravdess …, text goemotions …")] = "",
    split: Annotated[str, typer.Option(help="Face: train, valid or test. Text: train, dev or test.")] = "",
    labels: Annotated[str, typer.Option(help="Audio: seven, or native for the corpus's own.")] = "seven",
    model: Annotated[str, typer.Option(help="Name of shipped weights, a file or a folder.")] = "default",
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prints how good one part is on a corpus."""
    if part not in PARTS:
        raise typer.BadParameter(f"is {part!r}; choose one of {', '.join(PARTS)}", param_hint="PART")
    try:
        from multimodal.metrics import classification_figures as _needs_libraries  # noqa: F401
        from multimodal.weights import load_weights
    except ModuleNotFoundError as error:
        remedy = "pip install 'multimodal-emotion[train]'"
        raise DependencyError(f"{error.name}", "is not installed, and evaluation needs it", remedy) from None
    _check_options(part, corpus, split, labels)
    chosen = choose_device(device)
    weights = load_weights(model, part, chosen)
    judge = {"face": _face, "audio": _audio, "text": _text}[part]
    figures, judged = judge(weights, data, corpus, split, labels, chosen)
    typer.echo(json.dumps(figures) if as_json else _table(weights.name, judged, figures))


def _check_options(part: str, corpus: str, split: str, labels: str) -> None:
    """Refuses what the part does not know, before anything is loaded."""
    from multimodal.data.ferplus import FOLDERS
    from multimodal.data.texts import TEXT_CORPORA
    from multimodal.data.voices import VOICE_CORPORA
    from multimodal.evaluate_audio import LABEL_SETS

    for option, given, parts in (
        ("--split", split != "", ("face", "text")),
        ("--labels", labels != "seven", ("audio",)),
    ):
        if given and part not in parts:
            raise typer.BadParameter(f"is for {' and '.join(parts)}, not for {part}", param_hint=option)
    known = {"face": ("ferplus",), "audio": tuple(VOICE_CORPORA), "text": tuple(TEXT_CORPORA)}[part]
    if corpus not in (known if part == "audio" else ("", *known)):
        fact = f"is {corpus!r}" if corpus else "is missing"
        raise typer.BadParameter(f"{fact}; choose one of {', '.join(known)}", param_hint="--corpus")
    if part == "face" and split not in ("", *FOLDERS):
        raise typer.BadParameter(f"is {split!r}; choose one of {', '.join(FOLDERS)}", param_hint="--split")
    if labels not in LABEL_SETS:
        raise typer.BadParameter(f"is {labels!r}; choose one of {', '.join(LABEL_SETS)}", param_hint="--labels")


def _face(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.data.ferplus import read_ferplus

    split = split or "valid"
    return evaluate_face(weights, read_ferplus(data, split, check_counts=False), device), split


def _audio(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.evaluate_audio import evaluate_audio

    return evaluate_audio(weights, corpus, data, labels, device), f"{corpus}, {labels} labels"


def _text(
    weights: Weights, data: Path, corpus: str, split: str, labels: str, device: str
) -> tuple[dict[str, Any], str]:
    from multimodal.data.texts import part_to_judge, read_text_corpus
    from multimodal.evaluate_text import evaluate_text

    corpus, part = corpus or "goemotions", split or part_to_judge(data)
    judged = corpus if data.is_file() else f"{corpus}, {part} part"
    return evaluate_text(weights, read_text_corpus(corpus, data, part, check_counts=False)), judged


def _table(name: str, judged: str, figures: dict[str, Any]) -> str:
    lines = [f"{name} on {judged}, {figures['parameters']:,} parameters"]
    for key in (key for key in SHOWN if figures.get(key) is not None):
        value = figures[key]
        lines.append(f"  {key:18} {value if isinstance(value, int) else format(value, '.4f')}")
    rows = figures.get("per_class") or figures["per_label"]
    lines.append("  per class          precision  recall      F1       n")
    for label, row in rows.items():
        lines.append(f"    {label:16} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f} {row['n']:7.0f}")
    lines.append("  confusion (row: truth, column: answer)")
    lines.append(" " * 21 + " ".join(f"{label[:6]:>6}" for label in figures["labels"]))
    for label, row in zip(figures["labels"], figures["confusion"], strict=True):
        lines.append(f"    {label:16} " + " ".join(f"{count:6d}" for count in row))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(evaluate, arguments, "evaluate")


if __name__ == "__main__":
    raise SystemExit(main())
