"""``python -m multimodal.evaluate face --data FOLDER``: figures of one part on a corpus, as a table or as JSON."""

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

PARTS = ("face",)
SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "kappa", "roc_auc", "pr_auc", "ece", "divergence", "n")


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
    data: Annotated[Path, typer.Option(help="Folder of the corpus (face: FER+).")],
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "valid",
    model: Annotated[str, typer.Option(help="Name of shipped weights, a file or a folder.")] = "default",
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prints how good one part is on a corpus."""
    if part not in PARTS:
        raise typer.BadParameter(f"is {part!r}; choose one of {', '.join(PARTS)}", param_hint="PART")
    try:
        from multimodal.data.ferplus import FOLDERS, read_ferplus
        from multimodal.metrics import classification_figures as _needs_libraries  # noqa: F401
        from multimodal.weights import load_weights
    except ModuleNotFoundError as error:
        remedy = "pip install 'multimodal-emotion[train]'"
        raise DependencyError(f"{error.name}", "is not installed, and evaluation needs it", remedy) from None
    if split not in FOLDERS:
        raise typer.BadParameter(f"is {split!r}; choose one of {', '.join(FOLDERS)}", param_hint="--split")
    chosen = choose_device(device)
    weights = load_weights(model, part, chosen)
    figures = evaluate_face(weights, read_ferplus(data, split, check_counts=False), chosen)
    typer.echo(json.dumps(figures) if as_json else _table(weights.name, split, figures))


def _table(name: str, split: str, figures: dict[str, Any]) -> str:
    lines = [f"{name} on {split}, {figures['parameters']:,} parameters"]
    for key in SHOWN:
        value = figures[key]
        lines.append(f"  {key:18} {value if isinstance(value, int) or value is None else format(value, '.4f')}")
    lines.append("  per class          precision  recall      F1       n")
    for label, row in figures["per_class"].items():
        lines.append(f"    {label:16} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f} {row['n']:7.0f}")
    lines.append("  confusion (row: majority of the votes, column: answer)")
    lines.append(" " * 21 + " ".join(f"{label[:6]:>6}" for label in figures["labels"]))
    for label, row in zip(figures["labels"], figures["confusion"], strict=True):
        lines.append(f"    {label:16} " + " ".join(f"{count:6d}" for count in row))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(evaluate, arguments, "evaluate")


if __name__ == "__main__":
    raise SystemExit(main())
