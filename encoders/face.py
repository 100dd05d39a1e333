"""The face encoder: a convolutional network from a gray crop of a face to eight expressions and an embedding.

Three networks: ``SEResNet``, ours, a small ensemble of squeeze-and-excite residual networks in one module;
``compact_se_resnet``, one such network with a third of the work, taught by others; and ``VGG13``, the network of
Barsoum et al. 2016 (arXiv 1608.01041), kept for comparison. All standardize each picture themselves, so that training
and inference cannot differ, and take any batch size.

Source: He et al. 2015 (arXiv 1512.03385), Hu et al. 2017 (arXiv 1709.01507).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_DEVIATION = 4.0
"""Gray levels of 255: a crop below it is flat, and dividing by its deviation would magnify noise."""


class FaceOutput(NamedTuple):
    """What a face network returns.

    Attributes:
        logits: ``(batch, labels)`` float32; softmax gives probabilities before calibration.
        embedding: ``(batch, features)`` float32, not negative.
        member_logits: ``(members, batch, labels)`` float32: the logits of each member, for training.
    """

    logits: Tensor
    embedding: Tensor
    member_logits: Tensor


def standardize(images: Tensor) -> Tensor:
    """Removes each picture's own brightness and contrast.

    Args:
        images: ``(batch, height, width)`` gray levels 0 … 255, uint8 or floating point.

    Returns:
        ``(batch, 1, height, width)`` float32 with mean 0 and deviation 1 (less for a flat picture).

    Example:
        >>> flat = standardize(torch.full((1, 48, 48), 90, dtype=torch.uint8))
        >>> float(flat.abs().max())
        0.0
    """
    pixels = images.float().unsqueeze(1)
    deviation, mean = torch.std_mean(pixels, dim=(2, 3), keepdim=True, correction=0)
    return (pixels - mean) / deviation.clamp(min=SMALLEST_DEVIATION)


class SqueezeExcite(nn.Module):
    """Weighs channels by statistics of the whole picture (Hu et al. 2017), reduction 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 8)
        self.excite = nn.Linear(channels // 8, channels)

    def forward(self, states: Tensor) -> Tensor:
        """Scales ``(batch, channels, height, width)`` by a factor 0 … 1 per channel.

        Args:
            states: ``(batch, channels, height, width)``.

        Returns:
            The same shape.
        """
        weights = self.excite(functional.relu(self.squeeze(states.mean((2, 3)))))
        return states * torch.sigmoid(weights)[:, :, None, None]


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, followed by batch normalization (its shift replaces the bias)."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with squeeze and excite, and a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, stride=stride)
        self.second = _convolution(outputs, outputs)
        self.channels = SqueezeExcite(outputs)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # Averaging before the 1x1 convolution uses all pixels; a strided 1x1 would drop three of four.
            pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
            self.around = nn.Sequential(pool, _convolution(inputs, outputs, size=1))

    def forward(self, states: Tensor) -> Tensor:
        """Maps ``(batch, inputs, h, w)`` to ``(batch, outputs, ceil(h / stride), ceil(w / stride))``.

        Args:
            states: ``(batch, inputs, height, width)``.

        Returns:
            The outputs.
        """
        inner: Tensor = self.channels(self.second(functional.relu(self.first(states))))
        return functional.relu(inner + self.around(states))


class _Member(nn.Sequential):
    """One residual network up to its pooled features."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int], stem: int) -> None:
        layers: list[nn.Module] = [_convolution(1, widths[0], size=5, stride=2), nn.ReLU()]
        if stem:
            halving = [_convolution(stem, widths[0], stride=2), nn.ReLU()]
            layers = [_convolution(1, stem), nn.ReLU(), *halving]
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for index in range(depth):
                layers.append(ResidualBlock(inputs, width, stride=2 if stage > 0 and index == 0 else 1))
                inputs = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class SEResNet(nn.Module):
    """Averages the probabilities of a few small residual networks; 3.9 M parameters by default.

    Two networks of half the size cost as much as one and make different errors, which helps more than width.

    Args:
        labels: Number of expressions.
        members: Number of networks.
        widths: Channels per stage; each stage after the first halves the picture.
        depths: Residual blocks per stage.
        dropout: Share of pooled features dropped in training.
        stem: Channels at full size, from a 3x3 convolution before the one that halves the picture; 0 for a single 5x5
            convolution that halves it at once.

    Example:
        >>> output = SEResNet(labels=8).eval()(torch.zeros(2, 48, 48, dtype=torch.uint8))
        >>> output.logits.shape, output.embedding.shape
        (torch.Size([2, 8]), torch.Size([2, 512]))
    """

    input_size = 48

    def __init__(
        self,
        labels: int,
        members: int = 2,
        widths: Sequence[int] = (48, 96, 192, 256),
        depths: Sequence[int] = (1, 2, 1, 1),
        dropout: float = 0.2,
        stem: int = 0,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Member(widths, depths, stem) for _ in range(members))
        self.heads = nn.ModuleList(nn.Linear(widths[-1], labels) for _ in range(members))
        self.dropout = nn.Dropout(dropout)
        self.embedding_size = members * widths[-1]

    def forward(self, images: Tensor) -> FaceOutput:
        """Reads ``(batch, height, width)`` gray levels 0 … 255.

        Args:
            images: ``(batch, height, width)``, 0 … 255.

        Returns:
            Logits and embedding.
        """
        pixels = standardize(images).contiguous(memory_format=torch.channels_last)
        features = [member(pixels) for member in self.members]
        logits = torch.stack([head(self.dropout(f)).float() for head, f in zip(self.heads, features, strict=True)])
        # The log of the averaged probabilities, so that softmax of it is their average.
        together = torch.log_softmax(logits, dim=-1).logsumexp(dim=0)
        return FaceOutput(together, torch.cat(features, dim=1).float(), logits)


def compact_se_resnet(labels: int) -> SEResNet:
    """One squeeze-and-excite residual network with less than 60 M multiply-adds per face, a third of the pair's.

    Ordinary 3x3 convolutions, halved early: on a CPU they train twice as fast as depthwise ones with as many
    multiply-adds. The multiply-adds of a 48x48 crop, without normalization and pooling:

    ====================  =====  ===================================================================  ==========
    stage                 size   outputs x inputs x kernel x pixels                                   sum
    ====================  =====  ===================================================================  ==========
    stem                  48     16 x 1 x 9 x 2304                                                    331,776
    stem, halved          24     32 x 16 x 9 x 576                                                    2,654,208
    1 block, 32           24     2 x 32 x 32 x 9 x 576                                                10,616,832
    2 blocks, 64          12     (64 x 32 + 3 x 64 x 64) x 9 x 144, and 64 x 32 x 144 around          18,874,368
    2 blocks, 128         6      (128 x 64 + 3 x 128 x 128) x 9 x 36, and 128 x 64 x 36 around        18,874,368
    1 block, 256          3      (256 x 128 + 256 x 256) x 9 x 9, and 256 x 128 x 9 around            8,257,536
    channel weights, head 1      2 x (32 x 4 + 2 x 64 x 8 + 2 x 128 x 16 + 256 x 32), 256 x labels    28,928
    ====================  =====  ===================================================================  ==========

    Together 59,638,016 for 8 labels.

    Args:
        labels: Number of expressions.

    Returns:
        The network, 1.6 M parameters, with random weights.

    Example:
        >>> compact_se_resnet(8).eval()(torch.zeros(2, 48, 48, dtype=torch.uint8)).embedding.shape
        torch.Size([2, 256])
    """
    return SEResNet(labels, members=1, widths=(32, 64, 128, 256), depths=(1, 2, 2, 1), stem=16)


class VGG13(nn.Module):
    """The network of Barsoum et al. 2016: ten convolutions, two wide layers, dropout 0.25 and 0.5, 64x64 input.

    Args:
        labels: Number of expressions.

    Example:
        >>> VGG13(labels=8).eval()(torch.zeros(1, 48, 48, dtype=torch.uint8)).embedding.shape
        torch.Size([1, 1024])
    """

    input_size = 64
    embedding_size = 1024

    def __init__(self, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for width, depth in ((64, 2), (128, 2), (256, 3), (256, 3)):
            for _ in range(depth):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        wide = [nn.Linear(256 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 1024), nn.ReLU()]
        self.dense = nn.Sequential(*wide)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(1024, labels))
        for module in self.modules():
            # Without normalization ten layers need gains that keep the signal's variance (He et al. 2015).
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> FaceOutput:
        """Reads ``(batch, height, width)`` gray levels 0 … 255 of any size, scaled to 64x64.

        Args:
            images: ``(batch, height, width)``, 0 … 255.

        Returns:
            Logits and embedding.
        """
        size = (self.input_size, self.input_size)
        pixels = functional.interpolate(standardize(images), size, mode="bilinear", align_corners=False)
        embedding = self.dense(self.convolutions(pixels.contiguous(memory_format=torch.channels_last))).float()
        logits = self.head(embedding).float()
        return FaceOutput(logits, embedding, logits.unsqueeze(0))


FACE_NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "se_resnet_pair": SEResNet,
    "vgg13": VGG13,
    "compact_se_resnet": compact_se_resnet,
}
"""Architecture name, as weights and configurations give it, to a network for a number of labels."""


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, temperature: float = 1.0, flip: bool = True) -> tuple[Tensor, Tensor]:
    """Probabilities and embeddings of face crops, in the network's evaluation mode.

    Args:
        network: One of ``FACE_NETWORKS``, in evaluation mode.
        images: ``(batch, height, width)`` uint8 gray crops on the network's device.
        temperature: Divides the logits; fitted on held-out faces.
        flip: Whether to average with the mirrored crop; expressions are symmetric.

    Returns:
        ``(batch, labels)`` probabilities and ``(batch, features)`` embeddings, float32.

    Example:
        >>> probabilities, _ = predict(SEResNet(8).eval(), torch.zeros(3, 48, 48, dtype=torch.uint8))
        >>> bool(torch.allclose(probabilities.sum(1), torch.ones(3)))
        True
    """
    output = network(images)
    probabilities, embedding = torch.softmax(output.logits, dim=1), output.embedding
    if flip:
        mirrored = network(images.flip(-1))
        probabilities = (probabilities + torch.softmax(mirrored.logits, dim=1)) / 2
        embedding = (embedding + mirrored.embedding) / 2
    return torch.softmax(probabilities.clamp(min=1e-12).log() / temperature, dim=1), embedding
