"""Mean and deviation of features over a recording, and how unlike the training corpora the recording is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from multimodal.encoders.framing import padding_mask

SMALLEST_DEVIATION = 1e-3
"""Below it a feature is constant, as in digital silence; dividing by it would only magnify rounding."""


@dataclass(frozen=True)
class RecordingStatistics:
    """Running mean and variance of each feature of a recording, in constant memory.

    The sums are in double precision on the CPU and do not depend on how the frames are split (Chan et al. 1983).

    Attributes:
        count: Number of frames.
        mean: ``(features,)`` float64.
        variance: ``(features,)`` float64, the mean square of the distances from the mean.

    Example:
        >>> statistics = RecordingStatistics.empty(1).updated(torch.tensor([[1.0], [3.0]]))
        >>> statistics.count, statistics.mean.tolist(), statistics.variance.tolist()
        (2.0, [2.0], [1.0])
    """

    count: float
    mean: Tensor
    variance: Tensor

    @classmethod
    def empty(cls, features: int) -> RecordingStatistics:
        """Statistics of no frames.

        Args:
            features: Number of features.

        Returns:
            Statistics with a count of 0.
        """
        return cls(0.0, torch.zeros(features, dtype=torch.float64), torch.zeros(features, dtype=torch.float64))

    def updated(self, features: Tensor, lengths: Tensor | None = None) -> RecordingStatistics:
        """Adds frames.

        Args:
            features: ``(frames, features)``, or ``(batch, frames, features)`` padded with anything.
            lengths: ``(batch,)`` frames of each item of a batch; None without padding.

        Returns:
            Statistics over all frames.
        """
        if lengths is not None:
            features = features[padding_mask(lengths.to(features.device), features.shape[1])]
        frames = features.detach().reshape(-1, features.shape[-1]).cpu().double()
        if not len(frames):
            return self
        variance, mean = torch.var_mean(frames, dim=0, correction=0)
        return self.merged(RecordingStatistics(float(len(frames)), mean, variance))

    def merged(self, other: RecordingStatistics) -> RecordingStatistics:
        """Statistics over both sets of frames, in either order.

        Args:
            other: Statistics of other frames.

        Returns:
            The merged statistics.
        """
        count = self.count + other.count
        if not count:
            return self
        share = other.count / count
        step = other.mean - self.mean
        variance = (1 - share) * self.variance + share * other.variance + share * (1 - share) * step.square()
        return RecordingStatistics(count, self.mean + share * step, variance)

    def shrunk(self, prior: RecordingStatistics, prior_weight: float) -> RecordingStatistics:
        """Shrinks the estimate toward a prior while there are few frames.

        With ``a = count / (count + prior_weight)``: ``mean = a * mean + (1 - a) * prior.mean`` and
        ``variance = a * variance + (1 - a) * prior.variance``. The distance between the two means is left out of the
        variance: a recording that is quieter than usual is not more varied.

        Args:
            prior: Statistics over many recordings.
            prior_weight: Weight of the prior in frames; with 0 it counts only without frames.

        Returns:
            The shrunk estimate, with this recording's count.
        """
        share = self.count / (self.count + prior_weight) if self.count else 0.0
        mean = share * self.mean + (1 - share) * prior.mean
        return replace(self, mean=mean, variance=share * self.variance + (1 - share) * prior.variance)

    def normalize(
        self,
        features: Tensor,
        lengths: Tensor | None = None,
        prior: RecordingStatistics | None = None,
        prior_weight: float = 0.0,
    ) -> Tensor:
        """Subtracts the recording's mean and divides by its deviation.

        Args:
            features: ``(frames, features)`` or ``(batch, frames, features)``, all of this recording.
            lengths: ``(batch,)`` frames of each item of a batch; values after an item's end become 0.
            prior: Prior of ``shrunk``; None for none.
            prior_weight: Weight of the prior in frames.

        Returns:
            The shape of ``features``, float32; unchanged without frames and prior.

        Example:
            >>> usual = RecordingStatistics(1e6, torch.tensor([4.0]), torch.tensor([1.0]))
            >>> statistics = RecordingStatistics(100.0, torch.tensor([2.0]), torch.tensor([1.0]))
            >>> statistics.normalize(torch.tensor([[2.0]]), prior=usual, prior_weight=300.0).tolist()
            [[-1.5]]
        """
        estimate = self if prior is None else self.shrunk(prior, prior_weight)
        result = features.float()
        if estimate.count or prior is not None:
            mean, variance = (value.to(features.device, torch.float32) for value in (estimate.mean, estimate.variance))
            result = (result - mean) / variance.sqrt().clamp(min=SMALLEST_DEVIATION)
        if lengths is None:
            return result
        return result.masked_fill(~padding_mask(lengths.to(result.device), result.shape[1]).unsqueeze(2), 0.0)


LARGEST_DISTANCE = 25.0
"""Squared distances of single features are clipped to it: one outlier must not decide."""


@dataclass(frozen=True)
class Familiarity:
    """How unlike the speakers of the training corpora a speaker is, and how much less sure an encoder is then.

    A network is right less often on recordings unlike its corpora than its confidence says. The distance of a speaker
    is the mean over features of the squared distance from the nearest corpus, in units of the variance between the
    speakers of a corpus; about 1 for one of them. The temperature rises with it from 1 to ``factor`` times the
    network's own.

    Attributes:
        centers: Per corpus and feature, the mean over the corpus's speakers.
        variance: Per feature, the variance between speakers of the same corpus.
        middle: Distance at which the temperature is half the way up (in logarithms).
        slope: How fast it rises there, per unit of the logarithm of the distance; above 0.
        factor: Temperature of unfamiliar recordings, relative to familiar ones; at least 1.

    Example:
        >>> familiarity = Familiarity(((0.0,), (9.0,)), (1.0,), middle=4.0, slope=3.0, factor=4.0)
        >>> familiarity.distance(torch.tensor([2.0])), familiarity.temperature_factor(torch.tensor([2.0]))
        (4.0, 2.0)
    """

    centers: Sequence[Sequence[float]]
    variance: Sequence[float]
    middle: float
    slope: float
    factor: float

    def distance(self, mean: Tensor) -> float:
        """Distance of a speaker from the nearest corpus.

        Args:
            mean: ``(features,)`` mean of the speaker's utterances.

        Returns:
            0 … ``LARGEST_DISTANCE``.
        """
        centers, variance = (torch.tensor(values, dtype=torch.float64) for values in (self.centers, self.variance))
        return nearest_distance(mean, centers, variance)

    def temperature_factor(self, mean: Tensor) -> float:
        """What the network's temperature is multiplied with for a speaker.

        Args:
            mean: ``(features,)`` mean of the speaker's utterances.

        Returns:
            Between 1 and ``factor``.
        """
        return float(self.factor ** unfamiliar_share(self.distance(mean), self.middle, self.slope))


def nearest_distance(mean: Tensor, centers: Tensor, variance: Tensor) -> float:
    """Mean squared distance from the nearest center in units of a variance, see ``Familiarity``.

    Args:
        mean: ``(features,)``.
        centers: ``(centers, features)``.
        variance: ``(features,)``; constant features count as nearly constant.

    Returns:
        0 … ``LARGEST_DISTANCE``.
    """
    squares = (mean.double() - centers.double()).square() / variance.double().clamp(min=SMALLEST_DEVIATION**2)
    return float(squares.clamp(max=LARGEST_DISTANCE).mean(dim=1).min())


def unfamiliar_share(distance: float, middle: float, slope: float) -> float:
    """Logistic function of the logarithm of a distance.

    Args:
        distance: Distance of a speaker.
        middle: Distance with a share of one half.
        slope: Steepness, above 0.

    Returns:
        0 … 1.

    Example:
        >>> unfamiliar_share(2.0, 2.0, 5.0)
        0.5
    """
    return 0.5 * (1 + math.tanh(slope * math.log(max(distance, 1e-6) / middle) / 2))
