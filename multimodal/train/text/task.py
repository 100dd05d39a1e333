"""The text stage of training: batches of augmented texts, the loss, and the figures that select the epoch.

A slice of the training part is held out: it selects the epoch here, and later the thresholds and the temperature.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.augmentation.text import TextAugmentation, augment
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import TEXT_CORPORA
from multimodal.data.corpora.usability import UsabilityCorpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.encoders.text import MINILM_L6, TextEncoder, pad, read_texts
from multimodal.encoders.tokenization import encode, token_marks
from multimodal.errors import ConfigError
from multimodal.evaluate.metrics import cross_entropy
from multimodal.evaluate.text import evaluate_predictions
from multimodal.train.loop import LoopSettings, load_tensors
from multimodal.types import USABILITY_LABELS

ARCHITECTURES = {"minilm_l6": MINILM_L6}
"""Architecture name to the shape of its transformer."""

AUTO = "auto"
"""Architecture name of any backbone that ``transformers`` can load."""

STARTS = ("teacher", "initial")
"""What the file of ``--start`` is: a teacher of a network that starts anew, or the weights to go on from."""

BUCKET = 50
"""Number of batches with texts sorted by length together: enough to pad little, few enough to stay mixed."""


@dataclass(frozen=True)
class UsabilitySettings:
    """How the usability talk of the package is trained together with the corpus.

    Attributes:
        repeats: Times that each sentence is read per epoch, changed differently each time.
        weight: Weight of the loss over the usability labels.
        native_weight: Weight of the loss over the corpus's own labels for these sentences.
        second_share: Share of the target that the groups of the second and third emotion have; the main one has the
            rest.
        augmentation: How sentences are changed.
    """

    repeats: int = 4
    weight: float = 1.0
    native_weight: float = 1.0
    second_share: float = 0.0
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError("repeats", f"is {self.repeats}", "give at least 1")
        if not 0 <= self.second_share < 1:
            raise ConfigError("second_share", f"is {self.second_share}", "give a share of at least 0, below 1")


@dataclass(frozen=True)
class ContextSettings:
    """How the context head is trained on the dialogues, after the network.

    Attributes:
        epochs: Passes over all turns.
        learning_rate: Of AdamW, falling to 0 along a cosine.
        weight_decay: Of AdamW.
        dropout: Share of inputs and features dropped.
        hidden: Features inside the head.
        before: Turns before the turn.
        after: Turns after it.
        copies: Differently changed copies of each dialogue.
        drop_share: Share of the neighbors that are left out, and of the dialogues whose speakers are unknown.
        group_weight: Weight of the loss over the seven emotions; that over the usability labels has weight 1.
    """

    epochs: int = 30
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    hidden: int = 64
    before: int = 2
    after: int = 2
    copies: int = 4
    drop_share: float = 0.2
    group_weight: float = 1.0

    def __post_init__(self) -> None:
        for key in ("epochs", "hidden", "copies"):
            if getattr(self, key) < 1:
                raise ConfigError(key, f"is {getattr(self, key)}", "give at least 1")
        if self.before + self.after < 1 or min(self.before, self.after) < 0:
            raise ConfigError("before", f"is {self.before}, and after {self.after}", "give at least one neighbor")


@dataclass(frozen=True)
class TextConfig:
    """All settings of a text training, as in the TOML file.

    Attributes:
        loop: How to train.
        augmentation: How texts are changed.
        architecture: One of ``ARCHITECTURES``, or ``auto`` for the transformer in ``backbone``.
        backbone: With ``auto``: a folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``, or a name
            on the model hub.
        download: Whether a backbone that is not in the local cache may be fetched from the hub.
        corpus: One of ``TEXT_CORPORA``.
        vocabulary: Word pieces to keep; a backbone of ``auto`` keeps its whole vocabulary.
        window_tokens: Tokens that the network reads at once, with the marks of start and end.
        dropout: Share of states dropped in training.
        native_weight: Weight of the loss over the corpus's own labels, one binary choice each.
        presence_weight: Weight of the loss over the seven emotions, one binary choice each.
        group_weight: Weight of the loss over the seven emotions as one choice.
        rare_power: Exponent of the ratio of negative to positive texts of a native label, by which its positive texts
            are weighted: 0 for equal weights, 1 for equal sums.
        self_distillation: When a run has a teacher (``--start``), the share of each target that is the teacher's
            estimate; the rest is the annotators' label. It evens out the choice of annotators.
        start_as: One of ``STARTS``, for runs with ``--start``.
        kept_share: Share that the starting weights have in the tensors of the result, with ``start_as = "initial"``;
            the trained ones have the rest.
        corpus_share: Share of the training texts of the corpus that is used, drawn once.
        frozen_layers: Layers of the transformer that keep their tensors, from the first; if any do, the embeddings do
            too. Not for architecture ``auto``.
        usability: How usability talk is trained together with the corpus; None for the corpus alone.
        context: How the context head is trained; None for none. Needs ``usability``.
        held_out_share: Share of the training part that selects the epoch, the thresholds and the temperature.
        check_counts: Whether the corpus must have the published number of texts.
    """

    loop: LoopSettings
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)
    architecture: str = "minilm_l6"
    backbone: str = ""
    download: bool = False
    corpus: str = "goemotions"
    vocabulary: int = 12_800
    window_tokens: int = 128
    dropout: float = 0.1
    native_weight: float = 1.0
    presence_weight: float = 1.0
    group_weight: float = 1.0
    rare_power: float = 0.0
    self_distillation: float = 0.0
    start_as: str = "teacher"
    kept_share: float = 0.0
    corpus_share: float = 1.0
    frozen_layers: int = 0
    usability: UsabilitySettings | None = None
    context: ContextSettings | None = None
    held_out_share: float = 0.1
    check_counts: bool = True

    def __post_init__(self) -> None:
        known = {"architecture": (*ARCHITECTURES, AUTO), "corpus": tuple(TEXT_CORPORA), "start_as": STARTS}
        for key, choices in known.items():
            if getattr(self, key) not in choices:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(choices)}")
        if self.architecture == AUTO and not self.backbone:
            raise ConfigError("backbone", f"is missing for architecture {AUTO!r}", "name a folder or a model")
        if self.architecture != AUTO and (self.backbone or self.download):
            key = "backbone" if self.backbone else "download"
            raise ConfigError(key, f"is for architecture {AUTO!r}", f"remove it, or set architecture = {AUTO!r}")
        if not 0 <= self.kept_share < 1:
            raise ConfigError("kept_share", f"is {self.kept_share}", "give a share of at least 0, below 1")
        if not 0 < self.corpus_share <= 1:
            raise ConfigError("corpus_share", f"is {self.corpus_share}", "give a share above 0, at most 1")
        if self.frozen_layers < 0 or (self.frozen_layers and self.architecture == AUTO):
            fact = f"is {self.frozen_layers} for architecture {self.architecture!r}"
            raise ConfigError("frozen_layers", fact, f"give at least 0, and 0 for {AUTO!r}")
        if self.usability is not None and self.corpus != "goemotions":
            raise ConfigError("usability", f"is for the labels of goemotions, not of {self.corpus}", "remove it")
        if self.context is not None and self.usability is None:
            raise ConfigError("context", "needs usability", "add the table usability")
        if not 0 < self.held_out_share < 1:
            raise ConfigError("held_out_share", f"is {self.held_out_share}", "give a share between 0 and 1")


class Targets(NamedTuple):
    """The targets of texts.

    Attributes:
        native: ``(texts, native labels)`` 0 … 1: whether each of the corpus's own labels holds.
        presence: ``(texts, 7)`` 0 … 1: whether each of the seven is present.
        shares: ``(texts, 7)`` summing to 1: which of the seven it is; zeros for a text without one.
        usability: ``(texts, usability labels)``: 1 for the usability label; zeros for a text without one.
        native_weights: ``(texts, 1)`` weight of the loss over the corpus's own labels.
    """

    native: Tensor
    presence: Tensor
    shares: Tensor
    usability: Tensor
    native_weights: Tensor

    def rows(self, indices: Sequence[int]) -> Targets:
        """The targets of some of the texts.

        Args:
            indices: Indices of the texts.

        Returns:
            Their targets.
        """
        return Targets(*(part[indices] for part in self))

    def mixed(self, other: Estimates, share: float) -> Targets:
        """A weighted mean of the first texts' targets and a network's estimates, ``share`` of the latter.

        Args:
            other: Estimates of the first texts.
            share: Weight of ``other``, 0 … 1.

        Returns:
            The mean; targets of later texts, and usability labels, are unchanged.
        """
        count = len(other.native)
        first = (self.native, self.presence, self.shares)
        native, presence, shares = (
            torch.cat([(1 - share) * mine[:count] + share * theirs, mine[count:]])
            for mine, theirs in zip(first, other, strict=True)
        )
        return Targets(native, presence, shares, self.usability, self.native_weights)


class Estimates(NamedTuple):
    """What a network estimates in place of targets; see ``Targets``."""

    native: Tensor
    presence: Tensor
    shares: Tensor


class TextTask:
    """The text stage as the training loop needs it."""

    metric = "pr_auc"

    def __init__(
        self,
        config: TextConfig,
        network: TextEncoder,
        tokenizer: Tokenizer,
        training: TextCorpus,
        held_out: TextCorpus,
        accelerator: Accelerator,
        sentences: UsabilityCorpus | None = None,
        sentences_dev: UsabilityCorpus | None = None,
    ) -> None:
        device = accelerator.device
        self.config = config
        self.accelerator = accelerator
        self.network: nn.Module = network.to(device)
        self.tokenizer = tokenizer
        self.marks = token_marks(tokenizer)
        self.corpus_texts = len(training)
        self.texts = training.texts + (() if sentences is None else sentences.texts)
        self.targets = self._targets(training, sentences, device)
        native = self.targets.native[: self.corpus_texts]
        self.importance = _importance(native, config.rare_power)
        if config.start_as != "initial":
            presence = self.targets.presence[: self.corpus_texts]
            _start_at_frequency(network.native_head, native, self.importance)
            _start_at_frequency(network.presence_head, presence, torch.ones((), device=device))
        self.held_out, self.sentences_dev = held_out, sentences_dev

    def _targets(self, training: TextCorpus, sentences: UsabilityCorpus | None, device: torch.device) -> Targets:
        """The targets of the corpus's texts, then of the usability talk."""
        native, groups = training.targets.astype(np.float32), training.groups.astype(np.float32)
        # A text of two groups is half of each; one without a group teaches the single choice nothing.
        shares = groups / np.maximum(groups.sum(axis=1, keepdims=True), 1)
        usability = np.zeros((len(training), len(USABILITY_LABELS)), np.float32)
        weights = np.ones((len(training), 1), np.float32)
        settings = self.config.usability
        if sentences is not None and settings is not None:
            main = np.eye(len(FUSED_LABELS), dtype=np.float32)[sentences.main]
            others = sentences.groups * (1 - main)
            count = others.sum(axis=1, keepdims=True)
            second = settings.second_share * (count > 0)
            sentence_shares = (1 - second) * main + second * others / np.maximum(count, 1)
            native = np.concatenate([native, sentences.targets])
            groups, shares = np.concatenate([groups, sentences.groups]), np.concatenate([shares, sentence_shares])
            labels = np.eye(len(USABILITY_LABELS), dtype=np.float32)[sentences.usability]
            usability = np.concatenate([usability, labels])
            weights = np.concatenate([weights, np.full((len(sentences), 1), settings.native_weight)])
        parts = (native, groups, shares, usability, weights)
        return Targets(*(torch.from_numpy(np.asarray(part, np.float32)).to(device) for part in parts))

    def learn_from(self, teacher: Path) -> None:
        """Mixes a trained network's estimates for the unchanged texts into the targets; the student starts anew.

        Source: Furlanello et al. 2018, "Born-Again Neural Networks" (arXiv 1805.04770).

        Args:
            teacher: Tensors of the trained network (safetensors).
        """
        network = copy.deepcopy(self.network)
        load_tensors(teacher, network)
        self.distill(network)

    def distill(self, teacher: nn.Module) -> None:
        """Mixes a network's estimates for the unchanged texts of the corpus into their targets.

        Args:
            teacher: The network; it is put into evaluation mode.
        """
        teacher.eval()
        order = sorted(range(self.corpus_texts), key=lambda index: len(self.texts[index]))
        batches = [self._predict(teacher, order[lower : lower + 128]) for lower in range(0, len(order), 128)]
        back = torch.tensor(order).argsort()
        estimates = Estimates(*(torch.cat(parts)[back] for parts in zip(*batches, strict=True)))
        self.targets = self.targets.mixed(estimates, self.config.self_distillation)

    @torch.no_grad()
    def _predict(self, network: nn.Module, indices: Sequence[int]) -> Estimates:
        numbers, mask = pad(self._encoded([self.texts[index] for index in indices]), self.marks.padding)
        with self.accelerator.autocast():
            output = network(numbers.to(self.accelerator.device), mask.to(self.accelerator.device))
        # A network trained with heavier positive texts overstates their odds by that factor.
        native = (output.logits.float() - self.importance.log()).sigmoid()
        presence, shares = output.presence_logits.float().sigmoid(), output.group_logits.float().softmax(dim=1)
        return Estimates(native, presence, shares)

    @property
    def _epoch_texts(self) -> int:
        """Texts per epoch, those of usability talk as often as they are repeated."""
        settings = self.config.usability
        repeats = 0 if settings is None else settings.repeats
        return self.corpus_texts + repeats * (len(self.texts) - self.corpus_texts)

    def steps(self) -> int:
        """Whole batches in an epoch; the texts left over belong to another epoch's order."""
        return max(self._epoch_texts // self.config.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor, Targets]]:
        """Token numbers, their mask and targets; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        device, size = self.accelerator.device, self.config.loop.batch_size
        order = self._order(generator)
        chance = random.Random(int(torch.randint(2**31, (1,), generator=generator, device=device)))
        for lower in range(0, self.steps() * size, BUCKET * size):
            bucket = order[lower : min(lower + BUCKET * size, self.steps() * size)]
            ids = self._encoded([self._changed(index, chance) for index in bucket])
            places = sorted(range(len(bucket)), key=lambda place: len(ids[place]))
            batches = [places[start : start + size] for start in range(0, len(places), size)]
            chance.shuffle(batches)
            for whole in batches:
                batch = whole[self.accelerator.process_index :: self.accelerator.num_processes]
                numbers, mask = pad([ids[place] for place in batch], self.marks.padding)
                rows = self.targets.rows([bucket[place] for place in batch])
                yield numbers.to(device), mask.to(device), rows

    def _order(self, generator: Generator) -> list[int]:
        """The texts of an epoch in random order; those of usability talk occur several times."""
        order = torch.randperm(self._epoch_texts, generator=generator, device=self.accelerator.device)
        extra = max(len(self.texts) - self.corpus_texts, 1)
        beyond = order >= self.corpus_texts
        order[beyond] = self.corpus_texts + (order[beyond] - self.corpus_texts) % extra
        indices: list[int] = order.tolist()
        return indices

    def _changed(self, index: int, chance: random.Random) -> str:
        settings, augmentation = self.config.usability, self.config.augmentation
        if settings is not None and index >= self.corpus_texts:
            augmentation = settings.augmentation
        return augment(self.texts[index], augmentation, chance)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers with the marks of start and end, at most a window of them."""
        room = self.marks.room(self.config.window_tokens)
        return [self.marks.around(ids[:room]) for ids in encode(self.tokenizer, texts)]

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor, Targets]) -> Tensor:
        """Mean over texts of the losses: the corpus's labels, each of the seven emotions, the seven as one choice.

        Where usability talk is trained too, the choice of its usability label is a fourth loss of its texts.

        Args:
            network: The network in training mode.
            batch: A batch of ``batches``.

        Returns:
            A scalar.
        """
        ids, mask, targets = batch
        output = network(ids, mask)
        cross_entropy = functional.binary_cross_entropy_with_logits
        native_loss = cross_entropy(output.logits.float(), targets.native, pos_weight=self.importance, reduction="none")
        presence_loss = cross_entropy(output.presence_logits.float(), targets.presence, reduction="none")
        group_loss = -(targets.shares * output.group_logits.float().log_softmax(dim=1)).sum(dim=1)
        config = self.config
        losses: Tensor = (
            config.native_weight * targets.native_weights[:, 0] * native_loss.sum(dim=1)
            + config.presence_weight * presence_loss.sum(dim=1)
            + config.group_weight * group_loss
        )
        if config.usability is not None and output.usability_logits is not None:
            logs = output.usability_logits.float().log_softmax(dim=1)
            losses = losses - config.usability.weight * (targets.usability * logs).sum(dim=1)
        return losses.mean()

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on the held-out slice; F1 is slightly optimistic, because its thresholds come from the same slice.

        Args:
            network: The network in evaluation mode.

        Returns:
            Name of the figure to its value.
        """
        with self.accelerator.autocast():
            predictions = read_texts(network, self.tokenizer, self.held_out.texts, batch_size=64)
        figures = evaluate_predictions(predictions, self.held_out, None)
        mean = (figures["pr_auc"] + figures["pr_auc_native"]) / 2
        keys = ("macro_f1", "macro_f1_native", "accuracy", "nll")
        return {"pr_auc": mean, **{key: float(figures[key]) for key in keys}, **self._usability_figures(network)}

    def _usability_figures(self, network: nn.Module) -> dict[str, float]:
        """Accuracy and cross-entropy of the main emotion and of the usability label of usability talk."""
        if self.sentences_dev is None:
            return {}
        with self.accelerator.autocast():
            read = read_texts(network, self.tokenizer, self.sentences_dev.texts, batch_size=64)
        there = np.array([one is not None for one in read], bool)
        sentences, rows = self.sentences_dev.subset(there), [one for one in read if one is not None]
        groups = np.stack([one.probabilities for one in rows])
        labels = np.stack([one.usability for one in rows if one.usability is not None])
        return {
            "talk_accuracy": float((groups.argmax(axis=1) == sentences.main).mean()),
            "talk_nll": cross_entropy(groups, sentences.main),
            "usability_accuracy": float((labels.argmax(axis=1) == sentences.usability).mean()),
            "usability_nll": cross_entropy(labels, sentences.usability),
        }


def _importance(targets: Tensor, power: float) -> Tensor:
    """The weight of a positive text of each label, ``(labels,)``."""
    share = targets.mean(0).clamp(min=1e-6, max=1 - 1e-6)
    return ((1 - share) / share) ** power


@torch.no_grad()
def _start_at_frequency(head: nn.Linear, targets: Tensor, importance: Tensor) -> None:
    """Starts a head at the labels' frequencies, so that no step is spent on learning these."""
    share = targets.mean(0).clamp(min=1e-4, max=1 - 1e-4)
    head.bias.copy_(torch.log(importance * share / (1 - share)))
    head.weight.mul_(0.1)
