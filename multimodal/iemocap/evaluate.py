"""Evaluates our network of ``train_iemocap`` on a session of the release, with every combination of modalities."""

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
from multimodal.iemocap.batches import RECIPES, SUBSETS, Collator, Sizes, TurnTable, has_modality
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
        weights: Weights of ``train_iemocap``, on ``device``.
        data: ``IEMOCAP_full_release``.
        session: Session to evaluate on; 0 for the test session of its card.
        words: ``gold`` or ``recognized``; empty for those of its training.
        settings: How features are computed; None for the defaults at the network's frames per second.
        cache: Folder of cached features, as ``RUN/features``; None for a temporary one.
        device: ``cpu``, ``cuda`` or ``mps``.
        check_counts: Whether the corpus must have its published sizes.

    Returns:
        Figures of ``classification_figures`` over all modalities, ``wa``, ``ua``, ``ccc``, ``parameters``, ``session``,
        ``in_training_data``, ``subsets`` (``face+audio+text`` and the others to ``macro_f1``, ``accuracy``, ``wa``,
        ``ua``, ``ece``, ``ccc``, ``n``: turns that have all of its modalities), and ``warnings``.

    Raises:
        ConfigError: Unknown session or words.
        CorpusError: The corpus is not as published.
        WeightsError: The weights are of another kind, or were trained with other encoders than the shipped ones.
    """
    encoders = _encoders(weights, device)
    sessions = weights.card["data"]["sessions"]
    session, words = session or int(sessions["test"][0]), words or str(weights.card["data"]["words"])
    if words not in WORD_SOURCES:
        raise ConfigError("words", f"is {words!r}", f"choose one of {', '.join(WORD_SOURCES)}")
    everyone = [turn for turn in read_iemocap(data, check_counts=check_counts) if turn.session == session]
    if not everyone:
        raise ConfigError("--session", f"is {session}, which is not in {data}", "choose one of the corpus")
    turns, targets = with_labels(everyone, _classes(weights))
    if not turns:
        raise CorpusError(data, f"has no turn of these labels in session {session}", "unpack the corpus again")
    rate = weights.spec.frames_per_second or 5.0
    settings = settings or TurnSettings(frames_per_second=rate)
    with tempfile.TemporaryDirectory() as folder:
        mfcc = MfccSettings(**weights.spec.mfcc)
        place = Path(folder) if cache is None else cache
        maker = FeatureMaker(settings, encoders["face"], encoders["text"], mfcc, place, device)
        corpus = make_corpus(maker, turns, everyone, [words])
    table = _table(turns, targets, corpus.features[words])
    collator = Collator(RECIPES["ours"], _sizes(weights), mfcc, 0.5 / settings.frames_per_second)
    return {
        **_figures(weights, collator, table),
        "subsets": _subsets(weights, collator, table),
        "session": session,
        "words": words,
        "in_training_data": session in sessions["train"] or session in sessions["validation"],
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
    """Figures of each combination of modalities, over the turns that have all of them."""
    rows = {}
    for subset in SUBSETS:
        indices = [
            index for index, each in enumerate(table.features) if all(has_modality(each, name) for name in subset)
        ]
        if indices:
            figures = _figures(weights, collator, table.subset(np.array(indices, np.int64)), subset)
            keys = ("macro_f1", "accuracy", "wa", "ua", "ece", "ccc", "n")
            rows["+".join(subset)] = {key: figures[key] for key in keys}
    return rows
