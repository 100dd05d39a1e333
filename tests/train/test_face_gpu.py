"""Training on a CUDA device; MULTIMODAL_EXPECT_GPU=1 makes these tests fail instead of being skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from face_corpus import TINY, striped_corpus

from multimodal.encoders.face import SEResNet, predict
from multimodal.train.face import FaceConfig, FaceTask
from multimodal.train.loop import LoopSettings, fit


@pytest.mark.gpu
def test_faces_are_scored_alike_on_both_devices() -> None:
    network = SEResNet(8).eval()
    crops = torch.randint(0, 256, (5, 48, 48), dtype=torch.uint8)
    here = predict(network, crops)
    on_gpu = predict(network.cuda(), crops.cuda())
    for ours, theirs in zip(here, on_gpu, strict=True):
        torch.testing.assert_close(ours, theirs.cpu(), atol=2e-3, rtol=2e-3)


@pytest.mark.gpu
def test_training_keeps_corpus_and_network_on_the_device(
    tmp_path: Path, fresh_accelerate: None, tiny_architecture: str
) -> None:
    settings = LoopSettings(epochs=4, batch_size=16, learning_rate=0.1, precision="bf16", ema_decay=0.9)
    accelerator = Accelerator(mixed_precision="bf16")
    task = FaceTask(FaceConfig(settings, architecture=TINY), striped_corpus(24, 0), striped_corpus(6, 1), accelerator)
    fit(task, settings, tmp_path, accelerator, quiet=True)
    assert task.images.is_cuda and next(task.network.parameters()).is_cuda
    assert task.validate(task.network.eval())["accuracy"] > 0.5  # by chance 0.125
