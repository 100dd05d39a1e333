"""Runs a face encoder as its card says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multimodal.encoders.face_calibration import FaceCalibration, calibration_from_card, classify

if TYPE_CHECKING:
    from torch import Tensor

    from multimodal.models.spec import ModelSpec
    from multimodal.models.weights import Weights


def face_calibration(spec: ModelSpec) -> FaceCalibration:
    """The calibration on a face encoder's card.

    Args:
        spec: How the encoder is run.

    Returns:
        The calibration; of a card published before version 4 the temperature alone.

    Example:
        >>> from multimodal.models.spec import ModelSpec
        >>> face_calibration(ModelSpec("face", "vgg13", ("neutral",), temperature=1.5)).temperature
        1.5
    """
    return calibration_from_card(spec.temperature, spec.label_prior, spec.crop_doubt)


def classify_faces(weights: Weights, images: Tensor) -> tuple[Tensor, Tensor]:
    """Calibrated probabilities and embeddings of face crops.

    Args:
        weights: A face encoder.
        images: ``(batch, height, width)`` gray crops on the encoder's device, 0 … 255.

    Returns:
        ``(batch, labels)`` probabilities and ``(batch, features)`` embeddings, float32.
    """
    return classify(weights.network, images, face_calibration(weights.spec), weights.spec.flip)
