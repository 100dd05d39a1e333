"""Configuration files: defaults, errors with the name of the key, and the files of the checkout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkout import ROOT

from multimodal.encoders.audio import AUDIO_NETWORKS
from multimodal.encoders.face import FACE_NETWORKS
from multimodal.errors import ConfigError, InputMissingError
from multimodal.iemocap.config import IemocapConfig
from multimodal.mosi.config import MosiConfig
from multimodal.train.audio import AudioConfig
from multimodal.train.config import fill, read_config
from multimodal.train.face import FaceConfig
from multimodal.train.fusion import FusionConfig
from multimodal.train.text.training import ARCHITECTURES, TextConfig


@dataclass(frozen=True)
class Inner:
    rate: float
    name: str = "sgd"

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ConfigError("rate", f"is {self.rate:g}", "give a positive number")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int = 3
    exact: bool = False
    spare: Inner = field(default_factory=lambda: Inner(0.5))
    shares: dict[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def write_config(folder: Path, text: str) -> Path:
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_and_nested_tables_are_filled_and_defaults_kept(tmp_path: Path) -> None:
    path = write_config(tmp_path, "count = 5\nexact = true\n[inner]\nrate = 1\nname = 'grün'\n")
    config = read_config(path, Outer)
    assert config == Outer(Inner(1.0, "grün"), 5, True)
    assert type(config.inner.rate) is float  # a whole number is valid for a float
    assert config.spare == Inner(0.5)


def test_lists_and_free_tables_are_filled(tmp_path: Path) -> None:
    path = write_config(tmp_path, "names = ['a', 'b']\n[inner]\nrate = inf\n[shares]\na = 1\n")
    config = read_config(path, Outer)
    assert (config.names, config.shares, config.inner.rate) == (("a", "b"), {"a": 1.0}, float("inf"))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (
            "color = 1\n[inner]\nrate = 1.0",
            "job.toml: color: is an unknown key; use one of inner, count, exact, spare, shares",
        ),
        ("[inner]\nrate = 1.0\nspeed = 2", "job.toml: inner.speed: is an unknown key; use one of rate, name"),
        ("[inner]\nspeed = 2", "job.toml: inner.speed: is an unknown key; use one of rate, name"),
        ("count = 1", "job.toml: inner: is missing; add it"),
        ("[inner]\nname = 'adam'", "job.toml: inner.rate: is missing; add it"),
        ("[inner]\nrate = '1.0'", 'job.toml: inner.rate: is "1.0"; give a number'),
        ("[inner]\nrate = true", "job.toml: inner.rate: is true; give a number"),
        ("[inner]\nrate = 1.0\nname = 3", "job.toml: inner.name: is 3; give text in quotes"),
        ("[inner]\nrate = 1.0\nname = 2026-01-31", "job.toml: contains the date or time 2026-01-31; give a number or"),
        ("count = 2.5\n[inner]\nrate = 1.0", "job.toml: count: is 2.5; give a whole number"),
        ("count = 2.0\n[inner]\nrate = 1.0", "job.toml: count: is 2.0; give a whole number"),
        ("count = true\n[inner]\nrate = 1.0", "job.toml: count: is true; give a whole number"),
        ("exact = 1\n[inner]\nrate = 1.0", "job.toml: exact: is 1; give true or false"),
        ("shares = {a = 'x'}\n[inner]\nrate = 1.0", 'job.toml: shares.a: is "x"; give a number'),
        ("names = 'a'\n[inner]\nrate = 1.0", 'job.toml: names: is "a"; give a list'),
        ("inner = 7", "job.toml: inner: is 7; give a table"),
        ("[inner]\nrate = -1", "job.toml: inner.rate: is -1; give a positive number"),
        ("count = \n", "job.toml: is not valid TOML"),
        ("count = 1\ncount = 2", "job.toml: is not valid TOML"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(tmp_path: Path, text: str, fact: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(write_config(tmp_path, text), Outer)
    assert fact in str(caught.value) and "\n" not in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"none\.toml: configuration not found; check the path"):
        read_config(tmp_path / "none.toml", Outer)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path, Outer)
    (tmp_path / "latin.toml").write_bytes("name = 'grün'".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "latin.toml", Outer)


def test_filling_leaves_the_given_values_alone() -> None:
    values = {"inner": {"rate": 2}, "count": 4}
    assert fill(Outer, values, "example") == Outer(Inner(2.0), 4)
    assert values == {"inner": {"rate": 2}, "count": 4}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_configurations_of_the_checkout_load(path: Path) -> None:
    kinds = {"audio": AudioConfig, "text": TextConfig, "fusion": FusionConfig, "iemocap": IemocapConfig}
    kinds["mosi"] = MosiConfig
    config = read_config(path, kinds.get(path.stem.split("_")[0], FaceConfig))
    assert config.loop.epochs > 0
    known = {**FACE_NETWORKS, **AUDIO_NETWORKS, **ARCHITECTURES}
    assert getattr(config, "architecture", None) in (known if path.stem.split("_")[0] not in JOINT else (None,))


JOINT = ("fusion", "iemocap", "mosi")
"""Stages whose configuration names no architecture: there is one."""


def test_checkout_has_the_configuration_of_the_shipped_encoder() -> None:
    assert read_config(ROOT / "configs" / "face.toml", FaceConfig).architecture == "se_resnet_pair"


@pytest.mark.parametrize(("key", "value"), [("scheme", "plurality"), ("architecture", "resnet50")])
def test_face_configuration_names_the_choices(key: str, value: str, tmp_path: Path) -> None:
    path = write_config(
        tmp_path, f"{key} = '{value}'\n" + (ROOT / "configs" / "face.toml").read_text().split("\n\n", 1)[1]
    )
    with pytest.raises(ConfigError, match=f"job.toml: {key}: is '{value}'; choose one of "):
        read_config(path, FaceConfig)
