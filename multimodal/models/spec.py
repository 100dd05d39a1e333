"""The contract that travels with weights: how a network is run, and the card that states it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from multimodal.errors import WeightsError

FORMER_KEYS = {"licence": "license"}
"""Keys anywhere in cards published earlier to their present names; published files never change."""

FORMER_FUSION_KEYS = {"voice_size": "audio_size", "word_size": "text_size", "evidence": "log_probabilities"}
"""The same for the shape of the fusion head."""


@dataclass(frozen=True)
class ModelSpec:
    """The contract between training and inference; inference has no other constants.

    Attributes:
        part: ``face``, ``audio``, ``text`` or ``fusion``.
        architecture: Key of the part's networks.
        labels: Labels of the outputs, in order.
        temperature: Divides the logits; fitted on held-out data.
        face_size: Height and width of the face crops in pixels.
        flip: Whether to average the probabilities with the mirrored crop.
        frames_per_second: Sampling rate of the video that results were tuned for.
        label_prior: For the face, the ``shares`` of the labels in the training corpus, in order, and the ``power`` of
            them that probabilities are divided by; empty if they are left in.
        crop_doubt: For the face, how the temperature rises for crops that are hard to see, under the names of
            ``multimodal.encoders.face_calibration.CropDoubt``; empty if it does not.
        groups: Fused label of each label, where ``labels`` are a corpus's own; else empty.
        familiarity: For audio, how the temperature rises for speakers unlike those of the corpora, under the names of
            ``multimodal.encoders.statistics.Familiarity``; empty if it does not.
        speech: For audio, where states of a speech encoder are used: its name (``encoder``), and ``temperature``,
            ``familiarity`` and ``uncertain_below`` instead of those without it; empty if it is never used.
        mfcc: Settings of the audio features, under the names of ``multimodal.encoders.mfcc.MfccSettings``.
        native_labels: The training corpus's own labels, in order, where the network estimates these too.
        text: Shape of the transformer, under the names of ``transformers.BertConfig``; for architecture ``auto`` the
            backbone's ``config.json``.
        tokenizer: Name of the tokenizer's file, next to the weights.
        tokenizer_sha256: Hash of that file.
        window_tokens: Number of tokens read at once.
        thresholds: Least score at which a label holds, where several may: for ``groups`` (``labels``) and for
            ``native`` (``native_labels``).
        fusion: Shape of the fusion head, under the names of ``multimodal.fusion.dual_recurrent.FusionShape``.
        encoders: For the fusion head, modality to the sha256 of the encoder whose states it was trained on; with other
            encoders its estimates are meaningless.
        temperatures: For the fusion head, instead of ``temperature``: the modalities present, as ``face+text``, to
            their temperature.
        uncertain_below: Confidence over the fused labels below which an estimate is called uncertain: on data unlike
            the training corpus, such a top label is more likely wrong than right. None for no such rule.
        uncertain_coverage: Share of held-out utterances with at least that confidence.
        usability_labels: For text, labels of the usability head, in order; empty for a network without it.
        usability_temperature: Divides the logits of the usability head; fitted on held-out texts.
        context: For text, sizes of the head that corrects a turn by its neighbors, under the names of
            ``multimodal.encoders.context.ContextHead``; empty for a network without it.
    """

    part: str
    architecture: str
    labels: tuple[str, ...]
    temperature: float = 1.0
    face_size: int | None = None
    flip: bool = False
    frames_per_second: float | None = None
    label_prior: Mapping[str, Any] = field(default_factory=dict)
    crop_doubt: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str | None, ...] = ()
    familiarity: Mapping[str, Any] = field(default_factory=dict)
    speech: Mapping[str, Any] = field(default_factory=dict)
    mfcc: Mapping[str, Any] = field(default_factory=dict)
    native_labels: tuple[str, ...] = ()
    text: Mapping[str, Any] = field(default_factory=dict)
    tokenizer: str | None = None
    tokenizer_sha256: str | None = None
    window_tokens: int | None = None
    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fusion: Mapping[str, Any] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    uncertain_below: float | None = None
    uncertain_coverage: float | None = None
    usability_labels: tuple[str, ...] = ()
    usability_temperature: float = 1.0
    context: Mapping[str, Any] = field(default_factory=dict)

    def with_speech(self) -> ModelSpec:
        """The calibration that holds where states of the speech encoder are used.

        Returns:
            A spec whose temperature, familiarity and threshold are those of ``speech``; the same without these.

        Example:
            >>> spec = ModelSpec("audio", "conv_bigru_whisper", ("calm",), speech={"temperature": 2.0})
            >>> spec.with_speech().temperature
            2.0
        """
        keys = ("temperature", "familiarity", "uncertain_below")
        return replace(self, **{key: self.speech[key] for key in keys if key in self.speech})


def read_card(path: Path) -> tuple[dict[str, Any], ModelSpec]:
    """Reads the card of a set of weights.

    Args:
        path: The JSON file next to the weights.

    Returns:
        The whole card, with the present names of keys, and its spec.

    Raises:
        WeightsError: The file cannot be read, or is not a card of this version.

    Example:
        >>> from multimodal.models.selection import find_card
        >>> card, spec = read_card(find_card("default", "face"))
        >>> card["name"], spec.face_size
        ('se_resnet_pair.ferplus-v4', 48)
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"), object_hook=lambda entries: _renamed(entries, FORMER_KEYS))
        entries = {**card["spec"], "fusion": _renamed(card["spec"].get("fusion", {}), FORMER_FUSION_KEYS)}
        spec: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entries.items()
        }
        return {**card, "spec": entries}, ModelSpec(**{**spec, "labels": tuple(spec["labels"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(path, f"is no card that this version can read ({error})", "copy it again") from None


def _renamed(entries: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in entries.items()}
