"""Faces found in larger pictures are read as well as FER+'s own crops: what detection, framing and cropping cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from face_fixtures import refound_crops
from numpy.typing import NDArray

from multimodal.data.corpora.ferplus import majority_labels, read_ferplus
from multimodal.data.faces.detectors import load_detector
from multimodal.encoders.face import predict
from multimodal.models.weights import load_weights

PICTURES = 1000  # of the 3,191: the standard error of the difference is about 1 point
LARGEST_LOSS = 0.03


@pytest.mark.corpus
def test_faces_found_again_lose_little_accuracy(ferplus_folder: Path) -> None:
    corpus = read_ferplus(ferplus_folder, "valid")
    judged = corpus.subset(majority_labels(corpus.votes) >= 0)
    step = np.arange(len(judged)) % (len(judged) // PICTURES) == 0
    judged = judged.subset(step)
    crops, found = refound_crops(judged.images, load_detector("mtcnn"))
    assert found.mean() > 0.85
    labels = majority_labels(judged.votes)[found]
    assert accuracy(crops[found], labels) > accuracy(judged.images[found], labels) - LARGEST_LOSS


def accuracy(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    weights = load_weights()
    spec = weights.spec
    parts = [
        predict(weights.network, part, spec.temperature, spec.flip)[0] for part in torch.from_numpy(images).split(128)
    ]
    return float((torch.cat(parts).argmax(1).numpy() == labels).mean())
