"""Settings of the IEMOCAP experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multimodal.data.corpora.iemocap import IEMOCAP_LABEL_SETS
from multimodal.data.corpora.iemocap_protocols import PROTOCOLS
from multimodal.errors import ConfigError
from multimodal.iemocap.batches import RECIPES, NetworkSettings
from multimodal.iemocap.features import WORD_SOURCES, TurnSettings
from multimodal.train.loop import LoopSettings


@dataclass(frozen=True)
class IemocapConfig:
    """All settings of a run on IEMOCAP, as in the TOML file.

    Attributes:
        loop: How each network is trained.
        networks: Sizes of the networks, and the training of ours.
        features: How features are computed.
        compared: Some of ``RECIPES``.
        classes: 4 (5,531 turns), 5 or 6.
        protocol: One of ``PROTOCOLS``, or ``both``.
        words: One of ``WORD_SOURCES``, or ``both``.
        fold: Number of the only fold to train, from 1; 0 for all. Runs of single folds may share a run folder: each
            puts all figures of the folder into the table.
        check_counts: Whether the corpus must have its published sizes.

    Raises:
        ConfigError: Invalid value.
    """

    loop: LoopSettings
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    features: TurnSettings = field(default_factory=TurnSettings)
    compared: Sequence[str] = tuple(RECIPES)
    classes: int = 4
    protocol: str = PROTOCOLS[0]
    words: str = WORD_SOURCES[0]
    fold: int = 0
    check_counts: bool = True

    def __post_init__(self) -> None:
        choices: Mapping[str, Sequence[Any]] = {
            "classes": tuple(IEMOCAP_LABEL_SETS),
            "protocol": (*PROTOCOLS, "both"),
            "words": (*WORD_SOURCES, "both"),
            "fold": range(6),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(map(str, allowed))}")
        unknown = [name for name in self.compared if name not in RECIPES]
        if unknown or not self.compared:
            fact = f"names {unknown[0]!r}" if unknown else "names no network"
            raise ConfigError("compared", fact, f"choose from {', '.join(RECIPES)}")

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols to run."""
        return PROTOCOLS if self.protocol == "both" else (self.protocol,)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of words to run."""
        return WORD_SOURCES if self.words == "both" else (self.words,)
