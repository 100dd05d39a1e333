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

import torch
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.augmentation.text import TextAugmentation, augment
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import TEXT_CORPORA
from multimodal.encoders.text import MINILM_L6, TextEncoder, pad, read_texts
from multimodal.encoders.tokenization import encode, token_marks
from multimodal.errors import ConfigError
from multimodal.evaluate.text import evaluate_predictions
from multimodal.train.loop import LoopSettings, load_tensors

ARCHITECTURES = {"minilm_l6": MINILM_L6}
"""Architecture name to the shape of its transformer."""

AUTO = "auto"
"""Architecture name of any backbone that ``transformers`` can load."""

BUCKET = 50
"""Number of batches with texts sorted by length together: enough to pad little, few enough to stay mixed."""


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
    held_out_share: float = 0.1
    check_counts: bool = True

    def __post_init__(self) -> None:
        for key, choices in {"architecture": (*ARCHITECTURES, AUTO), "corpus": tuple(TEXT_CORPORA)}.items():
            if getattr(self, key) not in choices:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(choices)}")
        if self.architecture == AUTO and not self.backbone:
            raise ConfigError("backbone", f"is missing for architecture {AUTO!r}", "name a folder or a model")
        if self.architecture != AUTO and (self.backbone or self.download):
            key = "backbone" if self.backbone else "download"
            raise ConfigError(key, f"is for architecture {AUTO!r}", f"remove it, or set architecture = {AUTO!r}")
        if not 0 < self.held_out_share < 1:
            raise ConfigError("held_out_share", f"is {self.held_out_share}", "give a share between 0 and 1")


class Targets(NamedTuple):
    """The targets of texts.

    Attributes:
        native: ``(texts, native labels)`` 0 … 1: whether each of the corpus's own labels holds.
        presence: ``(texts, 7)`` 0 … 1: whether each of the seven is present.
        shares: ``(texts, 7)`` summing to 1: which of the seven it is; zeros for a text without one.
    """

    native: Tensor
    presence: Tensor
    shares: Tensor

    def rows(self, indices: Sequence[int]) -> Targets:
        """The targets of some of the texts.

        Args:
            indices: Indices of the texts.

        Returns:
            Their targets.
        """
        return Targets(*(part[indices] for part in self))

    def mixed(self, other: Targets, share: float) -> Targets:
        """A weighted mean of both, ``share`` of the other.

        Args:
            other: Targets of the same texts.
            share: Weight of ``other``, 0 … 1.

        Returns:
            The mean.
        """
        return Targets(*((1 - share) * first + share * second for first, second in zip(self, other, strict=True)))


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
    ) -> None:
        device = accelerator.device
        self.config = config
        self.accelerator = accelerator
        self.network: nn.Module = network.to(device)
        self.tokenizer = tokenizer
        self.marks = token_marks(tokenizer)
        self.texts = training.texts
        native, groups = (torch.from_numpy(part).float().to(device) for part in (training.targets, training.groups))
        # A text of two groups is half of each; one without a group teaches the single choice nothing.
        self.targets = Targets(native, groups, groups / groups.sum(dim=1, keepdim=True).clamp(min=1))
        self.importance = _importance(native, config.rare_power)
        _start_at_frequency(network.native_head, native, self.importance)
        _start_at_frequency(network.presence_head, groups, torch.ones((), device=device))
        self.held_out = held_out

    def learn_from(self, teacher: Path) -> None:
        """Mixes a trained network's estimates for the unchanged texts into the targets; the student starts anew.

        Source: Furlanello et al. 2018, "Born-Again Neural Networks" (arXiv 1805.04770).

        Args:
            teacher: Tensors of the trained network (safetensors).
        """
        network = copy.deepcopy(self.network)
        load_tensors(teacher, network)
        network.eval()
        order = sorted(range(len(self.texts)), key=lambda index: len(self.texts[index]))
        batches = [self._predict(network, order[lower : lower + 128]) for lower in range(0, len(order), 128)]
        back = torch.tensor(order).argsort()
        estimates = Targets(*(torch.cat(parts)[back] for parts in zip(*batches, strict=True)))
        self.targets = self.targets.mixed(estimates, self.config.self_distillation)

    @torch.no_grad()
    def _predict(self, network: nn.Module, indices: Sequence[int]) -> Targets:
        numbers, mask = pad(self._encoded([self.texts[index] for index in indices]), self.marks.padding)
        with self.accelerator.autocast():
            output = network(numbers.to(self.accelerator.device), mask.to(self.accelerator.device))
        # A network trained with heavier positive texts overstates their odds by that factor.
        native = (output.logits.float() - self.importance.log()).sigmoid()
        return Targets(native, output.presence_logits.float().sigmoid(), output.group_logits.float().softmax(dim=1))

    def steps(self) -> int:
        """Whole batches in the corpus; the texts left over belong to another epoch's order."""
        return max(len(self.texts) // self.config.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor, Targets]]:
        """Token numbers, their mask and targets; several devices share each batch.

        Args:
            epoch: Number of the epoch.
            generator: Random generator of the epoch.

        Returns:
            Iterator over the batches, on the device.
        """
        device, size = self.accelerator.device, self.config.loop.batch_size
        order = torch.randperm(len(self.texts), generator=generator, device=device).tolist()
        chance = random.Random(int(torch.randint(2**31, (1,), generator=generator, device=device)))
        for lower in range(0, self.steps() * size, BUCKET * size):
            bucket = order[lower : min(lower + BUCKET * size, self.steps() * size)]
            changed = [augment(self.texts[index], self.config.augmentation, chance) for index in bucket]
            ids = dict(zip(bucket, self._encoded(changed), strict=True))
            bucket.sort(key=lambda index: len(ids[index]))
            batches = [bucket[start : start + size] for start in range(0, len(bucket), size)]
            chance.shuffle(batches)
            for whole in batches:
                batch = whole[self.accelerator.process_index :: self.accelerator.num_processes]
                numbers, mask = pad([ids[index] for index in batch], self.marks.padding)
                yield numbers.to(device), mask.to(device), self.targets.rows(batch)

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers with the marks of start and end, at most a window of them."""
        room = self.marks.room(self.config.window_tokens)
        return [self.marks.around(ids[:room]) for ids in encode(self.tokenizer, texts)]

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor, Targets]) -> Tensor:
        """Mean over texts of three losses: the corpus's labels, each of the seven emotions, the seven as one choice.

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
            config.native_weight * native_loss.sum(dim=1)
            + config.presence_weight * presence_loss.sum(dim=1)
            + config.group_weight * group_loss
        )
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
        return {"pr_auc": mean, **{key: float(figures[key]) for key in keys}}


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
