"""Metrics of a face encoder on a corpus of labeled faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multimodal.errors import WeightsError

if TYPE_CHECKING:
    from multimodal.data.corpora.ferplus import FaceCorpus
    from multimodal.models.weights import Weights


def evaluate_face(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> dict[str, Any]:
    """Judges a face model against the majority of the votes, as Barsoum et al. 2016 do.

    Args:
        weights: The model.
        corpus: Pictures and votes; those without a majority are left out.
        device: Where the network is.

    Returns:
        The figures of ``classification_figures``, ``kl_divergence`` (nats, from the votes' shares) and ``parameters``.

    Raises:
        WeightsError: The model has other labels than the corpus.
    """
    from multimodal.data.corpora.ferplus import distributions, majority_labels
    from multimodal.data.emotions import FACE_LABELS
    from multimodal.evaluate.metrics import classification_figures, kl_divergence

    if weights.spec.labels != FACE_LABELS:
        fact = f"answers {', '.join(weights.spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a model with FER+'s labels: {', '.join(FACE_LABELS)}")
    judged = corpus.subset(majority_labels(corpus.votes) >= 0)
    probabilities = face_probabilities(weights, judged, device)
    figures = classification_figures(probabilities, majority_labels(judged.votes), weights.spec.labels)
    figures["divergence"] = kl_divergence(distributions(judged.votes), probabilities)
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
