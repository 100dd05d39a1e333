"""Results of a run on IEMOCAP: figures over folds, the comparison with the paper, and our weights per fold."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from multimodal.data.corpora.iemocap_protocols import DIMENSIONS, PROTOCOLS
from multimodal.encoders.mfcc import MfccSettings
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.iemocap.batches import RECIPES
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import save_weights

FIGURES = ("wa", "ua", "macro_f1")

ARCHITECTURE = "turns_dual_recurrent"

LATE, LATE_PARTS = "late", ("are", "tre")
"""Average of the calibrated probabilities of these two: the baseline of every joint network."""

PAPER_REMARK = (
    "paper: weighted accuracy in Yoon et al. 2018, table 2, on four classes and random folds over utterances: the same "
    "actors and dialogues are in training, so it is not speaker-independent. Only random_folds compares with it."
)


def collect_results(run: Path, classes: int = 4) -> list[dict[str, Any]]:
    """Figures of all networks over the completed folds.

    Args:
        run: Folder of a run.
        classes: Number of classes; the paper's figures are for four.

    Returns:
        A row per protocol, source of words and network: ``wa``, ``ua``, ``macro_f1`` with ``mean``, ``deviation`` (of
        the population of folds) and ``folds``, ``ccc`` with the same per dimension, ``paper``, ``n`` turns evaluated.
    """
    by_network: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for path in sorted(run.glob("*/*/*/*/figures.json")):
        figures = json.loads(path.read_text(encoding="utf-8"))
        by_network.setdefault((figures["protocol"], figures["words"], figures["network"]), []).append(figures)
    order = {name: place for place, name in enumerate((*RECIPES, LATE))}
    keys = sorted(by_network, key=lambda key: (PROTOCOLS.index(key[0]), order[key[2]], key[1]))
    return [_row(key, by_network[key], classes) for key in keys]


def _row(key: tuple[str, str, str], folds: Sequence[Mapping[str, Any]], classes: int) -> dict[str, Any]:
    protocol, words, network = key
    names = [figures["fold"] for figures in folds]
    ccc = {
        name: over_folds(names, [figures["ccc"][name] for figures in folds])
        for name in DIMENSIONS
        if name in folds[0]["ccc"]
    }
    return {
        "protocol": protocol,
        "words": words,
        "network": network,
        **{name: over_folds(names, [figures[name] for figures in folds]) for name in FIGURES},
        "ccc": ccc,
        "paper": RECIPES[network].published if classes == 4 and network in RECIPES else None,
        "n": sum(figures["n"] for figures in folds),
        "parameters": folds[0]["parameters"],
    }


def over_folds(names: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    """Mean and deviation of a figure.

    Args:
        names: Names of the folds.
        values: Figure of each fold.

    Example:
        >>> over_folds(["fold-1", "fold-2"], [0.5, 0.7])
        {'mean': 0.6, 'deviation': 0.1, 'folds': {'fold-1': 0.5, 'fold-2': 0.7}}
    """
    mean, deviation = (round(float(value), 6) for value in (np.mean(values), np.std(values)))
    return {"mean": mean, "deviation": deviation, "folds": dict(zip(names, values, strict=True))}


def results_table(path: Path) -> str:
    """The figures of a run as text.

    Args:
        path: ``results.json`` of the run.

    Returns:
        Lines: mean ± deviation over folds, the paper's figure, remarks and warnings.
    """
    results = json.loads(path.read_text(encoding="utf-8"))
    return "\n".join(_lines(results))


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"IEMOCAP, {results['turns']:,} turns: {', '.join(results['classes'])}"
    for protocol in dict.fromkeys(row["protocol"] for row in results["rows"]):
        rows = [row for row in results["rows"] if row["protocol"] == protocol]
        folds = max(len(row["wa"]["folds"]) for row in rows)
        independent = "" if protocol == PROTOCOLS[0] else ", not speaker-independent"
        yield f"\n{protocol}, {folds} folds{independent}"
        yield f"  {'network':8} {'words':10} {'WA':>13} {'UA':>13} {'macro-F1':>13}  {'paper WA':>8}  concordance V A D"
        for row in rows:
            figures = " ".join(f"{row[name]['mean']:.3f} ± {row[name]['deviation']:.3f}" for name in FIGURES)
            paper = "" if row["paper"] is None else f"{row['paper']:.3f}"
            ccc = " ".join(f"{each['mean']:.3f}" for each in row["ccc"].values())
            yield f"  {row['network']:8} {row['words']:10} {figures}  {paper:>8}  {ccc}".rstrip()
    yield f"\n{results['remark']}"
    yield from (f"note: {line}" for line in results["warnings"])


def save_fold_weights(
    run: Path,
    network: nn.Module,
    shape: FusionShape,
    temperature: float,
    facts: Mapping[str, Any],
) -> Path:
    """Writes the weights of our network on one fold, with their card.

    Args:
        run: Output folder.
        network: The trained network.
        shape: Shape of its head.
        temperature: Temperature fitted on the held-out turns.
        facts: ``labels``, ``encoders``, ``frames_per_second``, ``figures``, ``sessions``, ``config``, ``commit``.

    Returns:
        Path of the weights.
    """
    figures = facts["figures"]
    spec = ModelSpec(
        part="fusion",
        architecture=ARCHITECTURE,
        labels=tuple(facts["labels"]),
        temperature=temperature,
        frames_per_second=facts["frames_per_second"],
        mfcc=asdict(MfccSettings()),
        fusion=asdict(shape),
        encoders=facts["encoders"],
    )
    card = {
        "data": {
            "name": "IEMOCAP (Busso et al. 2008), from its owners under their license: https://sail.usc.edu/iemocap",
            "classes": facts["classes"],
            "words": figures["words"],
            "sessions": facts["sessions"],
        },
        "license": "research use, by the corpus's license agreement",
        "training": {
            "command": "python -m multimodal.train fusion --config CONFIG --data IEMOCAP_full_release --run RUN_FOLDER",
            "config": facts["config"],
            "commit": facts["commit"],
            "date": datetime.date.today().isoformat(),
        },
        "metrics": {
            "protocol": "evaluated on the session that was used neither in training nor to select the epoch",
            **figures,
        },
        "limits": LIMITS,
    }
    name = f"{ARCHITECTURE}.iemocap_{figures['words']}_without_{figures['fold']}-v1"
    return save_weights(run, name, network, spec, card)


LIMITS = [
    "Perceived emotion as labeled by three annotators, not felt emotion; actors, in a studio, in English.",
    "Ten actors: figures of one session say little about other people.",
    "Needs whole turns with known start, end and speaker; inference on recordings uses another head.",
]
