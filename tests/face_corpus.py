"""FER+ for the tests: a small corpus with a signal that can be learnt, written in both layouts; the real one unpacked.

A test file that wants the fixtures says ``pytest_plugins = ["face_corpus"]``; pytest then registers what the file has
imported already, and would warn but for this word: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import nn

from multimodal.data.corpora.ferplus import FOLDERS, SIZE, USAGES, FaceCorpus
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import FACE_NETWORKS, SEResNet

VOTES_HEADER = ["Usage", "Image name", *FACE_LABELS, "unknown", "NF"]
TINY = "tiny"


def stripes(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of its own texture for each of eight labels, alike when mirrored, at a random phase, with noise."""
    period = (4, 7, 12, 21)[label // 2]
    wave = np.sin(2 * np.pi * (np.arange(SIZE) / period + rng.random()))
    lines = np.tile(wave, (SIZE, 1)) if label % 2 else np.tile(wave[:, None], (1, SIZE))
    return np.clip(128 + 60 * lines + rng.normal(0, 15, lines.shape), 0, 255).astype(np.uint8)


def striped_corpus(each: int, seed: int, *, shuffled: bool = False) -> FaceCorpus:
    """``each`` pictures of every label, eight votes for it and two for the next; shuffled: for some other picture's."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(8), each)
    images = np.stack([stripes(label, rng) for label in labels])
    named = rng.permutation(labels) if shuffled else labels
    votes = np.zeros((len(labels), 10), np.int64)
    votes[np.arange(len(labels)), named] = 8
    votes[np.arange(len(labels)), (named + 1) % 8] = 2
    return FaceCorpus(images, votes, tuple(f"fer{seed:04}{index:04}.png" for index in range(len(labels))))


def write_pictures(folder: Path, corpora: Mapping[str, FaceCorpus]) -> Path:
    """The layout with a folder of PNG pictures and a ``label.csv`` per split."""
    for split, corpus in corpora.items():
        pictures = folder / FOLDERS[split]
        pictures.mkdir(parents=True)
        with (pictures / "label.csv").open("w", newline="", encoding="utf-8") as file:
            rows = zip(corpus.names, corpus.votes.tolist(), strict=True)
            csv.writer(file).writerows([name, f"(0, 0, {SIZE}, {SIZE})", *votes] for name, votes in rows)
        for name, image in zip(corpus.names, corpus.images, strict=True):
            cv2.imwrite(str(pictures / name), image)
    return folder


def write_tables(folder: Path, corpora: Mapping[str, FaceCorpus]) -> Path:
    """The layout of two tables: ``fer2013.csv`` with the pixels, ``fer2013new.csv`` with the votes.

    Each split ends with a picture that the publishers dropped: it has pixels and votes, and no name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "fer2013.csv").open("w", newline="", encoding="utf-8") as pixels_file,
        (folder / "fer2013new.csv").open("w", newline="", encoding="utf-8") as votes_file,
    ):
        pixels, votes = csv.writer(pixels_file), csv.writer(votes_file)
        pixels.writerow(["emotion", "pixels", "Usage"])
        votes.writerow(VOTES_HEADER)
        for split, corpus in corpora.items():
            for name, image, counts in zip(corpus.names, corpus.images, corpus.votes.tolist(), strict=True):
                pixels.writerow([0, " ".join(map(str, image.ravel())), USAGES[split]])
                votes.writerow([USAGES[split], name, *counts])
            pixels.writerow([0, " ".join(["0"] * SIZE * SIZE), USAGES[split]])
            votes.writerow([USAGES[split], "", *[0] * 9, 10])
    return folder


def tiny_network(labels: int) -> nn.Module:
    return SEResNet(labels, members=1, widths=(8, 16), depths=(1, 1), dropout=0.1)


@pytest.fixture
def tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a network of 6,000 parameters that exists during one test."""
    monkeypatch.setitem(FACE_NETWORKS, TINY, tiny_network)
    return TINY


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """accelerate keeps device and precision for the whole process; a test must neither meet nor leave such a state."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture
def accelerator(fresh_accelerate: None) -> Accelerator:
    return Accelerator(cpu=True, mixed_precision="no")


@pytest.fixture(scope="session")
def ferplus_folder(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real FER+, training and validation part."""
    folder = tmp_path_factory.mktemp("ferplus")
    with tarfile.open(shared_folder / "datasets" / "ferplus.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder
