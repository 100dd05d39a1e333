"""Face networks: shapes, sizes, and every formula compared with numpy; one test per property."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from multimodal.encoders.face import (
    FACE_NETWORKS,
    SMALLEST_DEVIATION,
    VGG13,
    FaceOutput,
    ResidualBlock,
    SEResNet,
    SqueezeExcite,
    compact_se_resnet,
    predict,
    standardize,
)

Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]
steady = settings(database=None, derandomize=True)
LABELS = 8


def faces(n: int, size: int = 48, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (n, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def livened(network: nn.Module) -> nn.Module:
    """Gives normalization statistics and shifts that are not 0 and 1, as after training."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
    return network.eval()


@pytest.fixture(scope="module", params=sorted(FACE_NETWORKS))
def network(request: pytest.FixtureRequest) -> Iterator[nn.Module]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield livened(FACE_NETWORKS[request.param](LABELS))


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


# Every entry of FACE_NETWORKS


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [36, 48])
def test_shapes_are_those_of_the_contract(network: nn.Module, batch: int, size: int) -> None:
    output = network(faces(batch, size))
    assert output.logits.shape == (batch, LABELS)
    assert output.embedding.shape == (batch, network.embedding_size)
    assert output.member_logits.shape[1:] == (batch, LABELS) and output.member_logits.ndim == 3
    assert {tensor.dtype for tensor in output} == {torch.float32}
    assert float(output.embedding.min()) >= 0 and float(output.embedding.max()) > 0


def test_logits_are_the_log_of_the_members_mean(network: nn.Module) -> None:
    output = network(faces(3))
    expected = softmax(output.member_logits.double().numpy()).mean(axis=0)
    assert softmax(output.logits.double().numpy()) == pytest.approx(expected, abs=1e-6)


def test_brightness_and_contrast_do_not_matter(network: nn.Module) -> None:
    images = faces(2).float() / 4 + 60
    assert torch.allclose(network(images).logits, network(images * 1.7 - 40).logits, atol=1e-4)


def test_uint8_and_float_pictures_are_alike(network: nn.Module) -> None:
    assert torch.equal(network(faces(2)).logits, network(faces(2).float()).logits)


def test_number_of_labels_is_free(network: nn.Module) -> None:
    other = type(network)(labels=5).eval()
    assert other(faces(1)).logits.shape == (1, 5)


def test_flip_averages_both_by_hand(network: nn.Module) -> None:
    images = faces(3)
    straight, mirrored = network(images), network(torch.from_numpy(images.numpy()[:, :, ::-1].copy()))
    probabilities, embedding = predict(network, images, temperature=1.0, flip=True)
    expected = (softmax(straight.logits.numpy()) + softmax(mirrored.logits.numpy())) / 2
    assert probabilities.numpy() == pytest.approx(expected, abs=1e-6)
    assert torch.allclose(embedding, (straight.embedding + mirrored.embedding) / 2, atol=1e-6)
    alone, _ = predict(network, images, temperature=1.0, flip=False)
    assert alone.numpy() == pytest.approx(softmax(straight.logits.numpy()), abs=1e-6)
    assert not torch.allclose(alone, probabilities, atol=1e-5)


def test_mirror_image_is_judged_alike(network: nn.Module) -> None:
    (first, one), (second, other) = (predict(network, images) for images in (faces(3), faces(3).flip(-1)))
    assert torch.allclose(first, second, atol=1e-6) and torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_divides_the_logits(network: nn.Module, temperature: float) -> None:
    images = faces(2)
    plain, _ = predict(network, images, temperature=1.0)
    expected = softmax(np.log(plain.double().numpy()) / temperature)
    probabilities, _ = predict(network, images, temperature)
    assert probabilities.numpy() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(probabilities.argmax(1), plain.argmax(1))


def test_flat_black_and_white_pictures_give_probabilities(network: nn.Module) -> None:
    flat = torch.stack([torch.full((48, 48), level, dtype=torch.uint8) for level in (0, 128, 255)])
    probabilities, embedding = predict(network, flat)
    assert torch.allclose(probabilities.sum(1), torch.ones(3)) and bool(embedding.isfinite().all())
    assert torch.allclose(probabilities[0], probabilities[2], atol=1e-6)


# Standardization


def test_standardized_pictures_have_mean_0_and_deviation_1() -> None:
    pixels = standardize(faces(5)).double().numpy()
    assert pixels.shape == (5, 1, 48, 48)
    assert pixels.mean(axis=(1, 2, 3)) == pytest.approx(0, abs=1e-5)
    assert pixels.std(axis=(1, 2, 3)) == pytest.approx(1, abs=1e-5)


@steady
@given(st.floats(-200, 200), st.floats(0.1, 10))
def test_standardizing_removes_any_brightness_and_contrast(added: float, factor: float) -> None:
    images = faces(2).double()
    assert torch.allclose(standardize(images), standardize(images * factor + added), atol=1e-4)


def test_nearly_flat_picture_is_not_magnified() -> None:
    images = 100 + (faces(1) > 127).float()  # deviation about half a gray level
    expected = (images.numpy() - images.numpy().mean()) / SMALLEST_DEVIATION
    assert standardize(images)[0].numpy() == pytest.approx(expected, abs=1e-5)


# The layers


def test_squeeze_and_excite_is_the_formula() -> None:
    layer = SqueezeExcite(16)
    states = torch.randn(3, 16, 5, 7, generator=torch.Generator().manual_seed(0))
    squeezed = states.numpy().mean(axis=(2, 3)) @ layer.squeeze.weight.detach().numpy().T
    hidden = np.maximum(squeezed + layer.squeeze.bias.detach().numpy(), 0)
    weights = hidden @ layer.excite.weight.detach().numpy().T + layer.excite.bias.detach().numpy()
    expected = states.numpy() / (1 + np.exp(-weights))[:, :, None, None]
    assert hidden.shape == (3, 2)  # reduced by eight
    assert layer(states).detach().numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(8, 8, 1), (8, 16, 1), (8, 8, 2), (8, 16, 2)])
@pytest.mark.parametrize("size", [36, 18, 9, 5, 3, 1])
def test_block_halves_upwards(inputs: int, outputs: int, stride: int, size: int) -> None:
    block = ResidualBlock(inputs, outputs, stride).eval()
    states = block(torch.rand(2, inputs, size, size + 1))
    expected = (2, outputs, math.ceil(size / stride), math.ceil((size + 1) / stride))
    assert states.shape == expected and float(states.min()) >= 0


def test_block_whose_inner_path_is_silent_passes_its_input_on() -> None:
    block = ResidualBlock(8, 8, 1).eval()
    second = block.second[1]
    assert isinstance(second, nn.BatchNorm2d)
    nn.init.zeros_(second.weight)  # the shift is 0 already
    states = torch.rand(2, 8, 9, 9)
    assert torch.equal(block(states), states)


@pytest.mark.parametrize("size", [8, 9])
def test_way_around_averages_before_it_drops_pixels(size: int) -> None:
    block = ResidualBlock(8, 8, 2).eval()
    assert isinstance(block.around, nn.Sequential)
    states = torch.rand(1, 8, size, size)
    pooled, half = block.around[0](states), math.ceil(size / 2)
    whole = np.pad(states.numpy().astype(np.float64), ((0, 0), (0, 0), (0, 2 * half - size), (0, 2 * half - size)))
    sums = whole.reshape(1, 8, half, 2, half, 2).sum(axis=(3, 5))
    there = np.pad(np.ones((size, size)), (0, 2 * half - size)).reshape(half, 2, half, 2).sum(axis=(1, 3))
    assert pooled.numpy() == pytest.approx(sums / there, abs=1e-6)  # the mean of the pixels that are there


# Sizes


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_default_has_at_most_four_million_parameters() -> None:
    assert 1_000_000 < parameters(SEResNet(LABELS)) <= 4_000_000


def multiply_adds(network: nn.Module) -> int:
    """Of one 48x48 face, by the sizes of what each convolution and linear layer returns."""
    total = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += output[0].numel() * module.weight[0].numel()

    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in layers]
    network.eval()(faces(1))
    for hook in hooks:
        hook.remove()
    return total


def test_compact_network_is_as_small_as_its_docstring_says() -> None:
    network = compact_se_resnet(LABELS)
    assert multiply_adds(network) == 59_638_016 < 60_000_000
    # Convolutions, channel weights, normalization, head.
    convolutions = 9 * (16 + 16 * 32 + 2 * 32**2 + 32 * 64 + 3 * 64**2 + 64 * 128 + 3 * 128**2 + 128 * 256 + 256**2)
    around = 32 * 64 + 64 * 128 + 128 * 256
    weighing = sum(2 * c * (c // 8) + c // 8 + c for c in (32, 64, 64, 128, 128, 256))
    normalization = 2 * (16 + 32 + 2 * 32 + 5 * 64 + 5 * 128 + 3 * 256)
    assert parameters(network) == convolutions + around + weighing + normalization + 257 * LABELS
    assert parameters(network) < parameters(SEResNet(LABELS)) / 2
    assert multiply_adds(SEResNet(LABELS)) > 3 * multiply_adds(network)


@pytest.mark.parametrize("size", [47, 48, 64])
def test_finer_stem_sees_what_is_as_small_as_a_pixel(size: int) -> None:
    network = compact_se_resnet(LABELS).eval()
    layers = list(network.members[0].children())
    full = nn.Sequential(*layers[:2])(standardize(faces(1, size)))
    half = nn.Sequential(*layers[2:4])(full)
    assert full.shape == (1, 16, size, size)
    assert half.shape == (1, 32, (size + 1) // 2, (size + 1) // 2) and float(half.min()) >= 0


@pytest.mark.parametrize(("members", "width"), [(1, 16), (3, 24)])
def test_embedding_joins_the_members(members: int, width: int) -> None:
    network = SEResNet(LABELS, members=members, widths=(8, width), depths=(1, 1)).eval()
    output = network(faces(2))
    assert network.embedding_size == members * width and output.embedding.shape == (2, members * width)
    assert output.member_logits.shape == (members, 2, LABELS)
    heads = [head(part) for head, part in zip(network.heads, output.embedding.split(width, dim=1), strict=True)]
    assert torch.allclose(torch.stack(heads), output.member_logits, atol=1e-6)


def test_members_differ_from_the_start() -> None:
    logits = SEResNet(LABELS, members=2, widths=(8, 16), depths=(1, 1)).eval()(faces(2)).member_logits
    assert not torch.allclose(logits[0], logits[1], atol=1e-3)


def test_vgg13_has_the_layers_of_the_paper() -> None:
    """Barsoum et al. 2016, figure 3, with the dropout of section 4."""
    actual: list[object] = []
    for module in VGG13(LABELS).modules():
        if isinstance(module, nn.Conv2d):
            assert (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
            actual.append(module.out_channels)
        elif isinstance(module, nn.Linear):
            actual.append(("dense", module.out_features))
        elif isinstance(module, nn.MaxPool2d):
            assert module.kernel_size == 2
            actual.append("pool")
        elif isinstance(module, nn.Dropout):
            actual.append(("drop", module.p))
    block = ["pool", ("drop", 0.25)]
    convolutions = [64, 64, *block, 128, 128, *block, 256, 256, 256, *block, 256, 256, 256, *block]
    dense = [("dense", 1024), ("drop", 0.5), ("dense", 1024), ("drop", 0.5), ("dense", 8)]
    assert actual == convolutions + dense
    assert VGG13.input_size == 64


def test_vgg13_has_the_parameters_of_the_paper() -> None:
    widths = [1, 64, 64, 128, 128, *[256] * 6]
    convolutions = sum((9 * before + 1) * after for before, after in itertools.pairwise(widths))
    sides = [64 // 2**4 * (64 // 2**4) * 256, 1024, 1024, 8]
    dense = sum((before + 1) * after for before, after in itertools.pairwise(sides))
    assert parameters(VGG13(LABELS)) == convolutions + dense == 8_757_704


def test_vgg13_scales_to_its_own_input() -> None:
    network = VGG13(LABELS).eval()
    big = faces(1, 64)
    assert torch.equal(network(big).logits, network.head(network.dense(network.convolutions(standardize(big)))))
    assert network(faces(1, 30)).logits.shape == (1, 8)


def test_output_of_a_network_says_what_is_what() -> None:
    assert FaceOutput._fields == ("logits", "embedding", "member_logits")
