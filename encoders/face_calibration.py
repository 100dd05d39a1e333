"""From a face network's logits to probabilities that can be believed, by the numbers on the card.

Three steps: a temperature fitted to people's votes; a part of the training corpus's label frequencies taken out, since
those of a recording are others; and a temperature of each crop's own, which rises with noise, blur, darkness and
whatever else the crop and its embedding show of a face that is hard to see. The leading label changes in the second
step alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal.encoders.face import SMALLEST_DEVIATION, predict

MEASURES = (
    "contrast",
    "level",
    "residual",
    "noise",
    "gradient",
    "coarse_gradient",
    "flat",
    "flat_top",
    "flat_bottom",
    "flat_left",
    "flat_right",
    "side_light",
    "height_light",
    "asymmetry",
    "saturated",
)
"""What ``crop_measures`` measures, in order."""

BLOCK = 6
"""Pixels: side of the blocks that are flat or not."""

FLAT = 0.08
"""A block whose deviation is below this share of the crop's is flat: skin of the shipped corpus has about 0.15."""


def crop_measures(images: Tensor) -> Tensor:
    """Simple measures of how well a face can be seen.

    Args:
        images: ``(batch, height, width)`` gray levels 0 … 255, uint8 or floating point, at least 12 pixels a side.

    Returns:
        ``(batch, len(MEASURES))`` float32. Logarithms of the deviation of the gray levels, of the noise in gray levels
        and in deviations (Immerkær 1996), and of the mean steps between neighbors and between means of 3x3 pixels in
        deviations; the mean level and shares of flat blocks, in all and in the four halves, of black or white pixels,
        0 … 1; differences between halves and distance from the mirror image, in deviations.

    Example:
        >>> crop_measures(torch.zeros(2, 48, 48, dtype=torch.uint8)).shape
        torch.Size([2, 15])

    Source: J. Immerkær, "Fast Noise Variance Estimation", Computer Vision and Image Understanding 64, 1996.
    """
    pixels = images.float().unsqueeze(1)
    deviation, mean = torch.std_mean(pixels, dim=(2, 3), keepdim=True, correction=0)
    scaled = (pixels - mean) / deviation.clamp(min=SMALLEST_DEVIATION)
    mask = torch.tensor(((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0)), device=pixels.device)
    residual = functional.conv2d(scaled, mask[None, None] / 6).abs().mean((1, 2, 3))
    smooth = functional.avg_pool2d(scaled, 3, stride=3)
    blocks = functional.avg_pool2d(scaled.square(), BLOCK) - functional.avg_pool2d(scaled, BLOCK).square()
    flat = (blocks.squeeze(1) < FLAT**2).float()
    rows, columns = flat.shape[-2] // 2, flat.shape[-1] // 2
    height, width = (side // 2 for side in scaled.shape[-2:])
    saturated = ((pixels <= 1) | (pixels >= 254)).float().mean((1, 2, 3))
    flatness = (flat, flat[:, :rows], flat[:, rows:], flat[:, :, :columns], flat[:, :, columns:])
    return torch.stack(
        [
            (deviation + 1).log().flatten(),
            mean.flatten() / 255,
            (residual * deviation.flatten() + 0.5).log(),
            (residual + 0.01).log(),
            (_step(scaled) + 0.01).log(),
            (_step(smooth) + 0.01).log(),
            *(part.mean((1, 2)) for part in flatness),
            (scaled[..., :width].mean((1, 2, 3)) - scaled[..., width:].mean((1, 2, 3))).abs(),
            scaled[:, :, :height].mean((1, 2, 3)) - scaled[:, :, height:].mean((1, 2, 3)),
            (scaled - scaled.flip(-1)).square().mean((1, 2, 3)).sqrt(),
            saturated,
        ],
        dim=1,
    )


def _step(pixels: Tensor) -> Tensor:
    """Mean difference of neighbors, ``(batch,)``."""
    across, down = pixels.diff(dim=-1).abs().mean((1, 2, 3)), pixels.diff(dim=-2).abs().mean((1, 2, 3))
    return (across + down) / 2


@dataclass(frozen=True)
class CropDoubt:
    """How much less sure a network is of a crop that is hard to see: the factor of the temperature.

    The logarithm of the factor follows a logistic function of a weighted sum of the measures, of the embedding and of
    the network's own answer, so that it stays between two bounds, whatever a crop looks like. Below 1 it is where a
    face is better seen than most that the temperature was fitted to.

    Attributes:
        smallest: Smallest factor, above 0.
        largest: Largest factor.
        bias: Constant of the sum.
        measures: Weight of each of ``MEASURES``.
        answer: Weights of the largest log-probability, of the entropy in nats, and of the logarithm of the
            embedding's length.
        embedding: Weight of each feature of the embedding.

    Example:
        >>> doubt = CropDoubt(1.0, 4.0, 0.0, (0.0,) * len(MEASURES), (0.0, 0.0, 0.0), (0.0,) * 3)
        >>> doubt.factor(torch.zeros(1, len(MEASURES)), torch.tensor([[0.5, 0.5]]), torch.zeros(1, 3))
        tensor([[2.]])
    """

    smallest: float
    largest: float
    bias: float
    measures: Sequence[float]
    answer: Sequence[float]
    embedding: Sequence[float]

    def factor(self, measures: Tensor, probabilities: Tensor, embeddings: Tensor) -> Tensor:
        """The factor of each crop's temperature.

        Args:
            measures: ``(batch, len(MEASURES))`` of ``crop_measures``.
            probabilities: ``(batch, labels)`` before it.
            embeddings: ``(batch, features)`` of the network.

        Returns:
            ``(batch, 1)``, ``smallest`` … ``largest``.
        """
        weights = torch.tensor((*self.measures, *self.answer, *self.embedding), device=embeddings.device)
        total = doubt_features(measures, probabilities, embeddings) @ weights + self.bias
        return self.smallest * torch.exp(math.log(self.largest / self.smallest) * torch.sigmoid(total)[:, None])


def doubt_features(measures: Tensor, probabilities: Tensor, embeddings: Tensor) -> Tensor:
    """What ``CropDoubt`` weighs.

    Args:
        measures: ``(batch, len(MEASURES))`` of ``crop_measures``.
        probabilities: ``(batch, labels)``.
        embeddings: ``(batch, features)``.

    Returns:
        ``(batch, len(MEASURES) + 3 + features)``.
    """
    logs = probabilities.clamp(min=1e-12).log()
    entropy = -(probabilities * logs).sum(1)
    length = (embeddings.norm(dim=1) + 1e-3).log()
    answer = torch.stack([logs.max(1).values, entropy, length], dim=1)
    return torch.cat([measures, answer, embeddings], dim=1)


@dataclass(frozen=True)
class FaceCalibration:
    """How a network's answers become calibrated probabilities.

    Attributes:
        temperature: Divides the logits.
        prior: Share of each label in the training corpus; empty to leave it in.
        prior_power: How much of the prior is taken out: 0 nothing, 1 all.
        doubt: Further temperature of single crops; None for none.

    Example:
        >>> calibration = FaceCalibration(prior=(0.8, 0.2), prior_power=1.0)
        >>> calibration.apply(torch.tensor([[0.8, 0.2]])).round(decimals=3)
        tensor([[0.5000, 0.5000]])
    """

    temperature: float = 1.0
    prior: Sequence[float] = ()
    prior_power: float = 0.0
    doubt: CropDoubt | None = None

    def apply(self, probabilities: Tensor, images: Tensor | None = None, embeddings: Tensor | None = None) -> Tensor:
        """Calibrates probabilities.

        Args:
            probabilities: ``(batch, labels)`` of the network.
            images: The crops, needed with ``doubt``.
            embeddings: ``(batch, features)`` of the network, needed with ``doubt``.

        Returns:
            ``(batch, labels)``, each row summing to 1.
        """
        logs = probabilities.clamp(min=1e-12).log() / self.temperature
        if self.prior_power and self.prior:
            logs = logs - self.prior_power * torch.tensor(self.prior, device=logs.device).log()
        if self.doubt is not None and images is not None and embeddings is not None:
            rows = torch.softmax(logs, dim=1)
            logs = logs / self.doubt.factor(crop_measures(images), rows, embeddings)
        return torch.softmax(logs, dim=1)


def calibration_from_card(
    temperature: float, label_prior: Mapping[str, Any], doubt: Mapping[str, Any]
) -> FaceCalibration:
    """Reads a calibration from the entries of a card.

    Args:
        temperature: Divides the logits.
        label_prior: ``shares`` of the labels, in order, and ``power``; empty if the prior is left in.
        doubt: Fields of ``CropDoubt``; empty for none.

    Returns:
        The calibration.

    Example:
        >>> calibration_from_card(1.2, {}, {})
        FaceCalibration(temperature=1.2, prior=(), prior_power=0.0, doubt=None)
    """
    prior, power = tuple(label_prior.get("shares", ())), float(label_prior.get("power", 0.0))
    return FaceCalibration(temperature, prior, power, CropDoubt(**doubt) if doubt else None)


@torch.inference_mode()
def classify(
    network: nn.Module, images: Tensor, calibration: FaceCalibration, flip: bool = False
) -> tuple[Tensor, Tensor]:
    """Calibrated probabilities and embeddings of face crops: what inference, evaluation and fusion share.

    Args:
        network: A face network in evaluation mode.
        images: ``(batch, height, width)`` gray crops on the network's device, 0 … 255.
        calibration: From the card.
        flip: Whether to average with the mirrored crop.

    Returns:
        ``(batch, labels)`` probabilities and ``(batch, features)`` embeddings, float32.

    Example:
        >>> from multimodal.encoders.face import SEResNet
        >>> faces = torch.zeros(3, 48, 48, dtype=torch.uint8)
        >>> classify(SEResNet(8).eval(), faces, FaceCalibration(temperature=1.2))[0].shape
        torch.Size([3, 8])
    """
    probabilities, embeddings = predict(network, images, flip=flip)
    return calibration.apply(probabilities, images, embeddings), embeddings
