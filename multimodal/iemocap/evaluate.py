"""Judges our network of ``train_iemocap`` on a session of the release, with every combination of signals."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.data.corpora.iemocap import IEMOCAP_LABEL_SETS, IemocapTurn, read_iemocap
from multimodal.data.corpora.iemocap_protocols import affect_of, label_names, with_labels
from multimodal.encoders.mfcc import MfccSettings
from multimodal.errors import ConfigError, CorpusError, WeightsError
from multimodal.evaluate.metrics import classification_figures
from multimodal.fusion.dual_recurrent import FusionShape
from multimodal.iemocap.batches import RECIPES, SUBSETS, Collator, Sizes, TurnTable, modality_mask
from multimodal.iemocap.features import WORD_SOURCES, FeatureMaker, TurnSettings, make_corpus
from multimodal.iemocap.results import ARCHITECTURE
from multimodal.iemocap.task import affect_figures, predict_turns, turn_figures
from multimodal.models.weights import Weights, load_weights
from multimodal.types import MODALITIES


def evaluate_iemocap(
    weights: Weights,
    data: Path,
    *,
    session: int = 0,
    words: str = "",
    settings: TurnSettings | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    check_counts: bool = True,
) -> dict[str, Any]:
    """Figures of one trained network.

    Args:
        weights: Of ``train_iemocap``, on ``device``.
        data: ``IEMOCAP_full_release``.
        session: Which to judge it on; 0 for the one that its card says it has not seen.
        words: ``gold`` or ``recognized``; empty for those that it learnt from.
        settings: How turns are read; None for the usual way, at the network's own pictures per second.
        cache: Folder of kept features, as ``RUN/features``; None to keep none.
        device: Where to compute.
        check_counts: Whether the corpus must have its published sizes.

    Returns:
        Figures of ``classification_figures`` over all signals, ``wa``, ``ua``, ``ccc``, ``parameters``, ``session``,
        ``heard_in_training``, ``subsets`` (``face+audio+text`` and the others to ``macro_f1``, ``accuracy``, ``wa``,
        ``ua``, ``ece``, ``ccc``, ``n``: turns in which all of its signals are there), and ``warnings``.

    Raises:
        ConfigError: A session that is not there, or unknown words.
        CorpusError: The corpus is not as published.
        WeightsError: Weights of another kind, or of other encoders than the shipped ones.
    """
    encoders = _encoders(weights, device)
    sessions = weights.card["data"]["sessions"]
    session, words = session or int(sessions["test"][0]), words or str(weights.card["data"]["words"])
    if words not in WORD_SOURCES:
        raise ConfigError("words", f"is {words!r}", f"choose one of {', '.join(WORD_SOURCES)}")
    everyone = [turn for turn in read_iemocap(data, check_counts=check_counts) if turn.session == session]
    if not everyone:
        raise ConfigError("--session", f"is {session}, which is not in {data}", "choose one that is there")
    turns, targets = with_labels(everyone, _classes(weights))
    if not turns:
        raise CorpusError(data, f"has no turn of these labels in session {session}", "unpack the corpus again")
    rate = weights.spec.frames_per_second or 5.0
    settings = settings or TurnSettings(frames_per_second=rate)
    with tempfile.TemporaryDirectory() as folder:
        mfcc = MfccSettings(**weights.spec.mfcc)
        kept = Path(folder) if cache is None else cache
        maker = FeatureMaker(settings, encoders["face"], encoders["text"], mfcc, kept, device)
        corpus = make_corpus(maker, turns, everyone, [words])
    table = _table(turns, targets, corpus.features[words])
    collator = Collator(RECIPES["ours"], _sizes(weights), mfcc, 0.5 / settings.frames_per_second)
    return {
        **_figures(weights, collator, table),
        "subsets": _subsets(weights, collator, table),
        "session": session,
        "words": words,
        "heard_in_training": session in sessions["train"] or session in sessions["validation"],
        "warnings": list(corpus.warnings),
    }


def _encoders(weights: Weights, device: str) -> dict[str, Weights]:
    if weights.spec.architecture != ARCHITECTURE:
        fact = f"is a {weights.spec.architecture}, which reads no turns of IEMOCAP"
        raise WeightsError(weights.name, fact, "name one that python -m multimodal.train fusion made of IEMOCAP")
    encoders = {part: load_weights("default", part, device) for part in ("face", "text")}
    other = [part for part, loaded in encoders.items() if weights.spec.encoders.get(part) != loaded.sha256]
    if other:
        raise WeightsError(weights.name, f"was trained with another {other[0]} encoder", "train it again")
    return encoders


def _classes(weights: Weights) -> int:
    return next(count for count in IEMOCAP_LABEL_SETS if label_names(count) == weights.spec.labels)


def _sizes(weights: Weights) -> Sizes:
    shape = FusionShape(**weights.spec.fusion)
    return Sizes(MfccSettings(**weights.spec.mfcc).features, shape.summary_size, shape.text_size, shape.face_size)


def _table(turns: list[IemocapTurn], targets: np.ndarray[Any, np.dtype[np.int64]], features: Any) -> TurnTable:
    seconds = np.array([turn.end_seconds - turn.start_seconds for turn in turns])
    return TurnTable(tuple(turn.name for turn in turns), seconds, targets, affect_of(turns), tuple(features))


def _figures(
    weights: Weights, collator: Collator, table: TurnTable, modalities: tuple[str, ...] = MODALITIES
) -> dict[str, Any]:
    probabilities, affect = predict_turns(
        weights.network, collator, table, modalities, temperature=weights.spec.temperature
    )
    return {
        **classification_figures(probabilities, table.targets, weights.spec.labels),
        **turn_figures(probabilities, table.targets),
        "ccc": affect_figures(affect, table.affect),
        "parameters": sum(value.numel() for value in weights.network.parameters()),
    }


def _subsets(weights: Weights, collator: Collator, table: TurnTable) -> dict[str, Any]:
    """Figures with some signals alone, over the turns in which all of these are there."""
    found = {}
    for subset in SUBSETS:
        chosen = [
            index for index, each in enumerate(table.features) if all(modality_mask(each, name) for name in subset)
        ]
        if chosen:
            figures = _figures(weights, collator, table.subset(np.array(chosen, np.int64)), subset)
            keys = ("macro_f1", "accuracy", "wa", "ua", "ece", "ccc", "n")
            found["+".join(subset)] = {key: figures[key] for key in keys}
    return found
