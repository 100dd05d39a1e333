"""Results of a run on MOSI: figures with intervals over videos, differences, a probe for labels in features."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from multimodal.analysis.bootstrap import LEVEL, RESAMPLES, SEED
from multimodal.mosi.experiment import AVERAGE, HEAD, HEAD_CONTEXT, PRODUCT, RECIPES, SINGLE, SINGLE_CONTEXT, STATES
from multimodal.mosi.features import LABELS, UtteranceTable, standardize

Floats = NDArray[np.float64]

FEW_VIDEOS, PROBES = 4, 20
"""Training videos of a probe, and how many probes are drawn."""

CONTRASTS = (
    (f"audio+text, {HEAD}", f"text, {SINGLE}"),
    (f"audio+text, {STATES}", f"text, {SINGLE}"),
    (f"audio+text, {HEAD}", f"audio+text, {AVERAGE}"),
    (f"audio+text, {HEAD}", f"audio+text, {PRODUCT}"),
    (f"audio+text, {HEAD_CONTEXT}", f"audio+text, {HEAD}"),
    (f"audio+text, {HEAD_CONTEXT}", f"text, {SINGLE_CONTEXT}"),
    (f"text, {SINGLE_CONTEXT}", f"text, {SINGLE}"),
    (f"face+audio+text, {HEAD}", f"face, {SINGLE}"),
    (f"face+audio+text, {HEAD}", f"face+audio+text, {AVERAGE}"),
    (f"face+audio+text, {HEAD}", f"face+audio+text, {PRODUCT}"),
    (f"face+audio+text, {HEAD_CONTEXT}", f"face+audio+text, {HEAD}"),
)
"""Pairs of rows whose difference is reported, on the same utterances."""

LEAK_REMARK = (
    "* reads the face. Its published features hold the labels of these same videos, so these rows are too good and "
    "prove nothing about faces or about three signals."
)


def confusion_per_video(predictions: NDArray[np.int64], table: UtteranceTable) -> Floats:
    """Counts true and predicted classes of each video.

    Args:
        predictions: ``(n,)`` predicted class of all utterances.
        table: The utterances.

    Returns:
        ``(videos, labels, labels)``; rows: true, columns: predicted.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(table.videos))}
    counts = np.zeros((len(names), LABELS, LABELS))
    for video, target, prediction in zip(table.videos, table.targets, predictions, strict=True):
        counts[names[video], target, prediction] += 1
    return counts


def accuracy_and_f1(confusion: Floats) -> Floats:
    """Accuracy and F1 weighted by the frequency of the true classes.

    Args:
        confusion: ``(..., labels, labels)``; rows: true, columns: predicted.

    Returns:
        ``(..., 2)``, each 0 … 1; F1 is 0 for a class that is neither true nor predicted.

    Example:
        >>> accuracy_and_f1(np.array([[3.0, 1.0], [1.0, 0.0]])).round(3).tolist()
        [0.6, 0.6]
    """
    true, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    f1 = 2 * hits / np.maximum(true + predicted, 1e-12)
    total = np.maximum(true.sum(axis=-1), 1e-12)
    return np.stack([hits.sum(axis=-1) / total, (true * f1).sum(axis=-1) / total], axis=-1)


def with_intervals(counts: Mapping[str, Floats], contrasts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Figures and differences with 95 % intervals: videos are drawn with replacement, all utterances of each.

    Figures are computed for each seed and averaged; every draw takes the same videos for all rows and seeds, so
    differences are paired.

    Args:
        counts: Name of a row to ``(seeds, videos, labels, labels)`` confusion.
        contrasts: Pairs of names; pairs with a missing row are left out.

    Returns:
        ``rows``: name to ``accuracy`` and ``weighted_f1``, each ``mean``, ``low``, ``high`` and ``seeds``; and
        ``differences``: a list with ``first``, ``second`` and the same figures of first minus second.
    """
    videos = next(iter(counts.values())).shape[1]
    draws = np.random.default_rng(SEED).multinomial(videos, np.full(videos, 1 / videos), size=RESAMPLES).astype(float)
    whole = {name: accuracy_and_f1(rows.sum(axis=1)) for name, rows in counts.items()}
    drawn = {
        name: accuracy_and_f1(np.einsum("dv,svtp->dstp", draws, rows)).mean(axis=1) for name, rows in counts.items()
    }
    rows = {name: _summary(whole[name], drawn[name]) for name in counts}
    differences = [
        {"first": first, "second": second, **_summary(whole[first] - whole[second], drawn[first] - drawn[second])}
        for first, second in contrasts
        if first in counts and second in counts
    ]
    return {"rows": rows, "differences": differences}


def _summary(seeds: Floats, drawn: Floats) -> dict[str, Any]:
    """Mean, interval and single seeds of both figures."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {
        name: {
            "mean": round(float(seeds[:, place].mean()), 6),
            "low": round(float(low[place]), 6),
            "high": round(float(high[place]), 6),
            "seeds": [round(float(value), 6) for value in seeds[:, place]],
        }
        for place, name in enumerate(("accuracy", "weighted_f1"))
    }


def few_video_probe(table: UtteranceTable) -> dict[str, float]:
    """Accuracy of a linear classifier of each signal that learned from four videos only, on all other videos.

    Four people cannot teach what polarity looks like in strangers: a signal that is read so well after four videos
    holds the label already.

    Args:
        table: The utterances.

    Returns:
        Modality to mean accuracy over ``PROBES`` draws of videos.
    """
    vectors = {**table.vectors, "text": np.stack([rows.mean(axis=0) for rows in table.states])}
    names = np.array(list(dict.fromkeys(table.videos)))
    random = np.random.default_rng(SEED)
    draws = [np.isin(table.videos, random.permutation(names)[:FEW_VIDEOS]) for _ in range(PROBES)]
    draws = [few for few in draws if len(set(table.targets[few])) == LABELS]
    accuracy: dict[str, float] = {}
    for name, values in vectors.items():
        scores = []
        for few in draws:
            scaled = standardize(values, np.flatnonzero(few))
            classifier = LogisticRegression(C=0.01, max_iter=500).fit(scaled[few], table.targets[few])
            scores.append(classifier.score(scaled[~few], table.targets[~few]))
        accuracy[name] = round(float(np.mean(scores)), 4)
    return accuracy


def accuracy_by_words(
    predictions: Mapping[str, NDArray[np.int64]], targets: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Accuracy of voice and face where the words are read rightly, and where wrongly.

    A signal of what people show is harder to read where their words are. A label that was written into the features is
    as easy to read in both.

    Args:
        predictions: Name of a row to ``(seeds, n)`` predicted classes; the single signals are needed.
        targets: ``(n,)`` true classes.

    Returns:
        ``audio`` and ``face`` to ``words_right`` and ``words_wrong``; a part without utterances is left out.
    """
    right = {name: predictions[f"{name}, {SINGLE}"] == targets for name in ("audio", "face", "text")}
    parts = {"words_right": right["text"], "words_wrong": ~right["text"]}
    return {
        name: {part: round(float(right[name][mask].mean()), 4) for part, mask in parts.items() if mask.any()}
        for name in ("audio", "face")
    }


def results_table(path: Path) -> str:
    """The figures of a run as text.

    Args:
        path: ``results.json`` of the run.

    Returns:
        Lines: figures with intervals, differences, the probe, remarks.
    """
    return "\n".join(_lines(json.loads(path.read_text(encoding="utf-8"))))


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"MOSI, {results['utterances']:,} utterances of {results['videos']} videos: {results['folds']} folds by video, "
        f"{len(results['seeds'])} seeds; the larger class has {results['larger_class']:.3f}"
    )
    yield f"  {'row':42} {'accuracy':>24} {'weighted F1':>24}"
    order = [recipe.name for recipe in RECIPES if recipe.name in results["rows"]]
    for name in order:
        mark = " *" if "face" in name else ""
        yield f"  {name + mark:42} {_interval(results['rows'][name]['accuracy']):>24} " + (
            f"{_interval(results['rows'][name]['weighted_f1']):>24}"
        )
    yield "\n  difference in accuracy"
    for row in results["differences"]:
        mark = " *" if "face" in row["first"] else ""
        yield f"  {row['first']} - {row['second']}{mark}: {_interval(row['accuracy'])}"
    yield f"\n  linear classifiers after {FEW_VIDEOS} videos: " + ", ".join(
        f"{name} {value:.3f}" for name, value in results["few_video_probe"].items()
    )
    for name, parts in results["accuracy_by_words"].items():
        listed = ", ".join(f"{part.replace('_', ' ')} {value:.3f}" for part, value in parts.items())
        yield f"  {name}, accuracy where {listed}"
    yield LEAK_REMARK


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
