"""Settings of the MOSI experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from multimodal.errors import ConfigError
from multimodal.fusion.dual_recurrent import POOLINGS
from multimodal.train.loop import LoopSettings


@dataclass(frozen=True)
class NetworkSettings:
    """Sizes of the networks; all networks of a run share them.

    Attributes:
        hidden: States of each recurrent encoder of the head.
        words: Features that a token state is mapped to before the head.
        face_hidden: Features that a face vector is mapped to.
        context: States of the second GRU, over the utterances before.
        pooling: ``last`` or ``attention``, as in ``FusionShape``.
        dropout: Share of inputs and of joined states dropped in training.

    Raises:
        ConfigError: A value is invalid.
    """

    hidden: int = 32
    words: int = 32
    face_hidden: int = 32
    context: int = 24
    pooling: str = "attention"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        for key in ("hidden", "words", "face_hidden", "context"):
            if getattr(self, key) < 1:
                raise ConfigError(f"networks.{key}", f"is {getattr(self, key)}", "give at least 1")
        if self.pooling not in POOLINGS:
            fact = f"is {self.pooling!r}"
            raise ConfigError("networks.pooling", fact, f"choose one of {', '.join(POOLINGS)}")
        if not 0 <= self.dropout < 1:
            raise ConfigError("networks.dropout", f"is {self.dropout}", "give 0 or more and less than 1")


@dataclass(frozen=True)
class MosiConfig:
    """All settings of a run on MOSI, as in the TOML file.

    Attributes:
        loop: How each network is trained; ``batch_size`` counts videos, and ``seed`` is replaced by each of ``seeds``.
        networks: Sizes of the networks.
        folds: Folds by video, at least 3: one tests, the next one chooses the epoch, the others train.
        inner_folds: Parts of the training videos for the classifiers of single signals: what the head learns from is
            answered by classifiers that did not train on it.
        seeds: Each draws other folds and other first weights.
        check_counts: Whether the corpus must have its published sizes.

    Raises:
        ConfigError: A value is invalid.
    """

    loop: LoopSettings
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    folds: int = 10
    inner_folds: int = 3
    seeds: Sequence[int] = (0, 1, 2)
    check_counts: bool = True

    def __post_init__(self) -> None:
        for key, least in (("folds", 3), ("inner_folds", 2)):
            if getattr(self, key) < least:
                raise ConfigError(key, f"is {getattr(self, key)}", f"give at least {least}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError("seeds", f"is {list(self.seeds)}", "give different numbers, at least one")
        if self.loop.keep != "best":
            raise ConfigError(
                "loop.keep", f"is {self.loop.keep!r}", 'write "best": a fold of its own chooses the epoch'
            )
