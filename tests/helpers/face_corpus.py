"""A small learnable FER+ in both layouts, and a tiny network."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from multimodal.augmentation.face import FaceAugmentation
from multimodal.data.corpora.ferplus import FOLDERS, SIZE, USAGES, FaceCorpus
from multimodal.data.emotions import FACE_LABELS
from multimodal.encoders.face import SEResNet

VOTES_HEADER = ["Usage", "Image name", *FACE_LABELS, "unknown", "NF"]
TINY = "tiny"
NO_AUGMENTATION = FaceAugmentation(**dict.fromkeys((field.name for field in dataclasses.fields(FaceAugmentation)), 0.0))


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
