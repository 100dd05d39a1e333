"""Text baselines: bag of words with logistic regression, evaluated like the transformer.

``python tests/benchmarks/text_baselines.py GOEMOTIONS_FOLDER`` trains on the same nine tenths of the training part,
chooses thresholds and temperature on the same tenth, and prints the figures of the dev part as one JSON object, with
the keys of ``python -m multimodal.evaluate text``; beside them those without punctuation and those of always answering
neutral. A few minutes on one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from multimodal.augmentation.text import bare
from multimodal.data.corpora.goemotions import read_goemotions
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.text import TextPrediction
from multimodal.evaluate.metrics import apply_temperature, fit_temperature
from multimodal.evaluate.multilabel import choose_thresholds
from multimodal.evaluate.text import evaluate_predictions

HELD_OUT = 0.1
"""As in configs/text.toml."""


class WordStatistics:
    """Weighted counts of words and pairs of words, and a logistic regression per label."""

    def __init__(self, corpus: TextCorpus) -> None:
        self.words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w[\w']*|[^\w\s]")
        features = self.words.fit_transform(corpus.texts)
        single = corpus.groups.sum(axis=1) == 1
        self.single = _fitted(features[single], corpus.groups[single].argmax(axis=1))
        self.groups = [_fitted(features, target) for target in corpus.groups.T]
        self.native = [_fitted(features, target) for target in corpus.targets.T]
        self.temperature = 1.0

    def read(self, texts: Sequence[str]) -> list[TextPrediction]:
        features = self.words.transform(texts)
        probabilities = apply_temperature(self.single.predict_proba(features), self.temperature)
        scores, native = (
            np.stack([model.predict_proba(features)[:, 1] for model in models], axis=1)
            for models in (self.groups, self.native)
        )
        nothing = np.zeros(0, np.float32)
        return [TextPrediction(*row, nothing, nothing) for row in zip(probabilities, scores, native, strict=True)]

    def parameters(self) -> int:
        models = [self.single, *self.groups, *self.native]
        return int(sum(model.coef_.size + model.intercept_.size for model in models))


def _fitted(features: Any, targets: NDArray[Any]) -> LogisticRegression:
    return LogisticRegression(C=3.0, max_iter=300).fit(features, targets)


def thresholds_of(model: WordStatistics, held_out: TextCorpus) -> dict[str, dict[str, float]]:
    readings = model.read(held_out.texts)
    scores, native = (np.stack([getattr(one, key) for one in readings]) for key in ("scores", "native_scores"))
    return {
        "groups": choose_thresholds(scores, held_out.groups, FUSED_LABELS),
        "native": choose_thresholds(native, held_out.targets, held_out.labels),
    }


def always_neutral(corpus: TextCorpus) -> dict[str, float]:
    """The figures of a model that says neutral to everything."""
    neutral = corpus.groups[:, FUSED_LABELS.index("neutral")].astype(float)
    single = corpus.groups.sum(axis=1) == 1
    f1 = 2 * neutral.mean() / (1 + neutral.mean())
    return {
        "accuracy": float(neutral[single].mean()),
        "macro_f1": float(f1 / len(FUSED_LABELS)),
        "macro_f1_native": float(f1 / len(corpus.labels)),
    }


def main(folder: Path) -> None:
    whole, judged = (read_goemotions(folder, part) for part in ("train", "dev"))
    apart = whole.held_out(HELD_OUT)
    held_out = whole.subset(apart)
    model = WordStatistics(whole.subset(~apart))
    single = held_out.groups.sum(axis=1) == 1
    alone = np.stack([reading.probabilities for reading in model.read(held_out.subset(single).texts)])
    model.temperature = fit_temperature(alone, held_out.groups[single].argmax(axis=1))
    cuts = thresholds_of(model, held_out)
    stripped = replace(judged, texts=tuple(bare(text).lower() for text in judged.texts))
    figures = {
        **evaluate_predictions(model.read(judged.texts), judged, cuts),
        "parameters": model.parameters(),
        "without_punctuation": evaluate_predictions(model.read(stripped.texts), stripped, cuts),
        "always_neutral": always_neutral(judged),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
