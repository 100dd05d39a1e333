"""Evaluates a face model on a corpus of labeled faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multimodal.errors import WeightsError

if TYPE_CHECKING:
    from multimodal.data.corpora.ferplus import FaceCorpus
    from multimodal.models.weights import Weights


def evaluate_face(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> dict[str, Any]:
    """Evaluates a face model against the majority of the votes, like Barsoum et al. 2016.

    Args:
        weights: The model.
        corpus: Pictures and votes; pictures without a majority are skipped.
        device: Device of the network.

    Returns:
        The figures of ``classification_figures``, ``divergence`` (``kl_divergence`` from the shares of the votes, in
        nats) and ``parameters``.

    Raises:
        WeightsError: The model has other labels than the corpus.
    """
    from multimodal.data.corpora.ferplus import distributions, majority_labels
    from multimodal.data.emotions import FACE_LABELS
    from multimodal.evaluate.metrics import classification_figures, kl_divergence

    if weights.spec.labels != FACE_LABELS:
        fact = f"predicts {', '.join(weights.spec.labels)}"
        raise WeightsError(weights.name, fact, f"choose a model with FER+'s labels: {', '.join(FACE_LABELS)}")
    labeled = corpus.subset(majority_labels(corpus.votes) >= 0)
    probabilities = face_probabilities(weights, labeled, device)
    figures = classification_figures(probabilities, majority_labels(labeled.votes), weights.spec.labels)
    figures["divergence"] = kl_divergence(distributions(labeled.votes), probabilities)
    figures["parameters"] = sum(value.numel() for value in weights.network.parameters())
    return figures


def face_probabilities(weights: Weights, corpus: FaceCorpus, device: str = "cpu") -> Any:
    """Calibrated probabilities ``(n, labels)`` float32 of every picture, with the code of inference.

    Args:
        weights: A face model.
        corpus: The pictures.
        device: Device to compute on.

    Returns:
        ``(n, labels)`` float32, each row summing to 1.
    """
    import torch

    from multimodal.encoders.face import predict

    images = torch.from_numpy(corpus.images).to(device)
    spec = weights.spec
    parts = [predict(weights.network, part, spec.temperature, spec.flip)[0] for part in images.split(256)]
    return torch.cat(parts).cpu().numpy()
