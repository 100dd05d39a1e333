"""Compares the fusion head with its baselines on mixtures of utterances: agreeing, mostly neutral, conflicting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multimodal.data.corpora.crema_d_votes import JointVotes
from multimodal.data.corpora.synthetic import SynthesisConfig, SyntheticUtterance, synthesize
from multimodal.data.emotions import FUSED_LABELS
from multimodal.evaluate.metrics import classification_figures
from multimodal.evaluate.synthetic.features import EncodedPools
from multimodal.fusion.alignment import Floats, FusionInputs
from multimodal.fusion.late import late_average, product_of_experts
from multimodal.types import FUSED, MODALITIES

NEUTRAL = FUSED_LABELS.index("neutral")

MIXTURES: Mapping[str, SynthesisConfig] = {
    "agreeing": SynthesisConfig(neutral_share=0.25, disagreeing_share=0.0),
    "mostly neutral": SynthesisConfig(neutral_share=0.8, disagreeing_share=0.5),
    "conflicting": SynthesisConfig(neutral_share=1 / len(FUSED_LABELS), conflicting_share=1.0),
}
"""Name to how utterances are drawn: a quarter neutral and all modalities alike; 80 % neutral and, in half of all, one
modality at odds with the others; three emotions in three modalities, any of them right."""

JUDGED = SynthesisConfig(neutral_share=0.7, judged_share=1.0, neutral_frames=0.3, misread_frames=0.2)
"""Utterances drawn by votes on recordings of people, mostly neutral."""

ANSWERS = (FUSED, "average", "product", *MODALITIES)
"""What is compared: the head, the average and the product of the modalities, and each modality alone."""

Predict = Callable[[Sequence[FusionInputs]], Floats]


def evaluate_mixtures(
    predict: Predict, pools: EncodedPools, count: int, seed: int, votes: JointVotes | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """Evaluates a head and its baselines on each mixture.

    Args:
        predict: Calibrated probabilities ``(utterances, 7)`` of the head for inputs with all modalities.
        pools: What to draw from; neither the head nor an encoder may have been trained on it.
        count: Number of utterances of each mixture.
        seed: Random seed.
        votes: What people hear, see and judge; adds the mixture ``judged``.

    Returns:
        Per mixture, each of ``ANSWERS`` to ``accuracy``, ``macro_f1``, ``confidence`` (mean), ``ece``, ``neutral``
        (share of the answers), ``agreeing`` and ``disagreeing`` (accuracy where the emotions of all modalities are the
        same, and where not; None without such utterances), and ``n``.
    """
    mixtures = dict(MIXTURES) | ({} if votes is None else {"judged": JUDGED})
    figures = {}
    for name, settings in mixtures.items():
        recipes = list(synthesize(pools.pools, count, settings, seed, votes))
        inputs, single = zip(*(pools.utterance(recipe) for recipe in recipes), strict=True)
        rows = {modality: np.stack([each[modality] for each in single]) for modality in MODALITIES}
        together = list(rows.values())
        answers = {
            FUSED: predict(inputs),
            "average": late_average(together),
            "product": product_of_experts(together),
            **rows,
        }
        figures[name] = {answer: _figures(probabilities, recipes) for answer, probabilities in answers.items()}
    return figures


def _figures(probabilities: Floats, recipes: Sequence[SyntheticUtterance]) -> dict[str, Any]:
    labels = np.array([recipe.label for recipe in recipes])
    alike = np.array([len(set(recipe.labels)) == 1 for recipe in recipes])
    predictions = probabilities.argmax(axis=1)
    right = predictions == labels
    figures = classification_figures(probabilities, labels, FUSED_LABELS)
    return {
        **{key: figures[key] for key in ("accuracy", "macro_f1", "ece", "n")},
        "confidence": float(probabilities.max(axis=1).mean()),
        "neutral": float((predictions == NEUTRAL).mean()),
        "agreeing": float(right[alike].mean()) if alike.any() else None,
        "disagreeing": float(right[~alike].mean()) if not alike.all() else None,
    }


def mixtures_table(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Formats the result of ``evaluate_mixtures``.

    Args:
        figures: The result.

    Returns:
        Lines of a table.
    """
    columns = ("accuracy", "agreeing", "disagreeing", "macro_f1", "confidence", "ece", "neutral")
    lines = []
    for mixture, answers in figures.items():
        lines.append(f"  {mixture:18} {' '.join(f'{column:>11}' for column in columns)}")
        for answer, row in answers.items():
            cells = [f"{'-':>11}" if row[column] is None else f"{row[column]:11.3f}" for column in columns]
            lines.append(f"    {answer:16} {' '.join(cells)}")
    return lines
