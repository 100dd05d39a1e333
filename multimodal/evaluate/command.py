"""``python -m multimodal.evaluate face|audio|text|fusion``: metrics of one part on a corpus, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.console import DeviceOption, print_line, run_command, train_extra
from multimodal.errors import ConfigError, WeightsError

SUMMARY = """Prints metrics of one part on a labeled corpus.

Each part has its own options: multimodal evaluate face --help. Exit code 0: done; 1: failed; 2: wrong usage."""

FUSION_CORPORA = ("synthetic", "iemocap")

DataOption = Annotated[Path, typer.Option(metavar="FOLDER|FILE", help="Directory or file of the corpus.")]
ModelOption = Annotated[
    str,
    typer.Option(metavar="NAME|FILE|FOLDER", help="Weights to evaluate: name of shipped weights, a file or a folder."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Output directory for metrics as JSON and as pictures (default: not written)."),
]
CompareOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The figures.json of another evaluation, to put its confidence beside this one (default: none).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object (default: a table).")]


def face(
    data: DataOption,
    corpus: Annotated[str, typer.Option(metavar="NAME", help="Corpus: ferplus.")] = "ferplus",
    split: Annotated[str, typer.Option(metavar="SPLIT", help="Split of FER+: train, valid or test.")] = "valid",
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = None,
    compare: CompareOption = None,
    part: Annotated[
        str,
        typer.Option(
            metavar="PART",
            help="Pictures of the split: all, chosen (four fifths that choices may be made on), or kept (the other "
            "fifth, by the hash of the picture).",
        ),
    ] = "all",
    conditions: Annotated[
        bool,
        typer.Option(
            "--conditions",
            help="Also evaluate the pictures under bad conditions: noise, blur, darkness, covered features and so on; "
            "takes twenty times as long (default: not evaluated).",
        ),
    ] = False,
    talking: Annotated[
        bool,
        typer.Option(
            "--talking",
            help="Also compose videos of people who talk and evaluate how steady the answers are (default: not done).",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluates a face model on FER+.

    Example: multimodal evaluate face --data ferplus --split test
    """
    with _evaluation_libraries():
        from multimodal.data.corpora.ferplus import FOLDERS, KEPT_SHARE, kept_apart, read_ferplus
        from multimodal.device import choose_device
        from multimodal.evaluate.face import evaluate_face
        from multimodal.evaluate.face_talk import evaluate_talking
        from multimodal.models.weights import load_weights

    _check_choice("--corpus", corpus, ("ferplus",))
    _check_choice("--split", split, FOLDERS)
    _check_choice("--part", part, ("all", "chosen", "kept"))
    torch_device = choose_device(device)
    weights = load_weights(model, "face", torch_device)
    pictures = read_ferplus(data, split, check_counts=False)
    if part != "all":
        kept = kept_apart(pictures, KEPT_SHARE)
        pictures = pictures.subset(kept if part == "kept" else ~kept)
    figures = evaluate_face(weights, pictures, torch_device, conditions)
    if talking:
        figures["talking"] = evaluate_talking(weights, pictures, torch_device)
    title = split if part == "all" else f"{split}, {part} part"
    _print_figures(figures, weights.name, title, out, as_json, compare)


def audio(
    data: DataOption,
    corpus: Annotated[
        str,
        typer.Option(metavar="NAME", help="Corpus, such as ravdess or emodb, or manifest for your own table of clips."),
    ],
    labels: Annotated[
        str, typer.Option(metavar="SET", help="Label set: seven (the fused labels) or native (the corpus's own).")
    ] = "seven",
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    no_speech_encoder: Annotated[
        bool,
        typer.Option(
            "--no-speech-encoder",
            help="Read MFCCs and prosody alone (default: also the states of Whisper base, where the model does and "
            "the extra offline is installed).",
        ),
    ] = False,
    out: OutOption = None,
    compare: CompareOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluates an audio model on a speech corpus.

    Example: multimodal evaluate audio --corpus ravdess --data ravdess --labels native
    """
    with _evaluation_libraries():
        from multimodal.data.corpora.voices import VOICE_CORPORA
        from multimodal.device import choose_device
        from multimodal.evaluate.audio import LABEL_SETS, evaluate_audio, load_speech_encoder
        from multimodal.models.weights import load_weights

    _check_choice("--corpus", corpus, VOICE_CORPORA)
    _check_choice("--labels", labels, LABEL_SETS)
    torch_device = choose_device(device)
    weights = load_weights(model, "audio", torch_device)
    encoder = load_speech_encoder() if weights.spec.speech and not no_speech_encoder else None
    figures = evaluate_audio(weights, corpus, data, labels, torch_device, encoder)
    _print_figures(figures, weights.name, f"{corpus}, {labels} labels", out, as_json, compare)


def text(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|FILE", help="Directory or file of the corpus (default: that of the package, for usability)."
        ),
    ] = None,
    corpus: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Corpus: goemotions, usability, meld, isear, dailydialog, iemocap, csv or mosi."
        ),
    ] = "goemotions",
    split: Annotated[
        str,
        typer.Option(metavar="SPLIT", help="Split: train, dev or test (default: dev, or test if there is no dev)."),
    ] = "",
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = None,
    compare: CompareOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluates a text model on a corpus of labeled texts, or on the polarity of real talk (mosi).

    Of mosi, dev is the half of the videos that calibration does not use, train the other half. The usability talk of
    the package needs no --data.

    Example: multimodal evaluate text --corpus goemotions --data goemotions
    """
    with _evaluation_libraries():
        from multimodal.data.corpora.mosi import read_mosi
        from multimodal.data.corpora.texts import PARTS, TEXT_CORPORA, evaluation_split, read_text_corpus
        from multimodal.data.corpora.usability import read_dialogues, read_usability
        from multimodal.device import choose_device
        from multimodal.evaluate.text import evaluate_polarity, evaluate_text
        from multimodal.evaluate.usability import evaluate_usability
        from multimodal.models.weights import load_weights

    _check_choice("--corpus", corpus, (*TEXT_CORPORA, "mosi"))
    _check_choice("--split", split, ("", "train", "dev") if corpus == "mosi" else ("", *PARTS))
    weights = load_weights(model, "text", choose_device(device))
    if corpus == "usability":
        part = split or "dev"
        dialogues = [] if data is not None and data.is_file() else read_dialogues(data, part)
        figures = evaluate_usability(weights, read_usability(data, part), dialogues)
    elif data is None:
        raise ConfigError("--data", "is missing", f"name the directory of {corpus}")
    elif corpus == "mosi":
        part = split or "dev"
        figures = evaluate_polarity(weights, read_mosi(data, check_counts=False), part)
    else:
        part = split or evaluation_split(data)
        figures = evaluate_text(weights, read_text_corpus(corpus, data, part, check_counts=False))
    title = corpus if data is not None and data.is_file() else f"{corpus}, {part} part"
    _print_figures(figures, weights.name, title, out, as_json, compare)


def fusion(
    corpus: Annotated[
        str, typer.Option(metavar="NAME", help="Corpus: synthetic (synthetic utterances) or iemocap.")
    ] = "synthetic",
    faces: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Directory of FER+ (required for synthetic).")
    ] = None,
    voices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="Speech corpus and its directory, such as ravdess=FOLDER; repeatable (required for synthetic).",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|FILE", help="Directory or file of GoEmotions (required for synthetic)."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="SPLIT", help="Split of FER+: train, valid or test (default: the first of test, valid, train)."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Random seed of the synthetic utterances.")] = 0,
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="IEMOCAP_full_release (required for iemocap).")
    ] = None,
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluates a fusion head on synthetic utterances or on IEMOCAP.

    Synthetic utterances combine a face, a voice clip and a comment with the same label; they need --faces, --voices
    and --texts. IEMOCAP needs --data.
    """
    _check_choice("--corpus", corpus, FUSION_CORPORA)
    sources = {"--faces": faces, "--voices": voices or None, "--texts": texts}
    if corpus == "synthetic":
        _check_sources(sources, {"--data": data}, corpus)
    else:
        _check_sources({"--data": data}, {**sources, "--split": split or None}, corpus)
    if faces is not None and texts is not None:
        figures, name, title = _synthetic(model, faces, voices or [], texts, split, seed, device)
    else:
        figures, name, title = _iemocap(model, data or Path(), device)
    _print_figures(figures, name, title, out, as_json)


COMMANDS: dict[str, Callable[..., Any]] = {"face": face, "audio": audio, "text": text, "fusion": fusion}
"""The parts and their commands."""


def _synthetic(
    model: str, faces: Path, voices: list[str], texts: Path, split: str, seed: int, device: str
) -> tuple[dict[str, Any], str, str]:
    with _evaluation_libraries():
        from multimodal.data.corpora.ferplus import FOLDERS
        from multimodal.device import choose_device
        from multimodal.evaluate.synthetic.evaluation import evaluate_synthetic, parse_voices
        from multimodal.infer.model import load_model

    _check_choice("--split", split, ("", *FOLDERS))
    folders, torch_device = parse_voices(voices), choose_device(device)
    parts = load_model(model, torch_device).parts
    if "fusion" not in parts:
        raise WeightsError(model, "contains no fusion head", "choose another model with --model")
    figures = evaluate_synthetic(parts, faces, folders, texts, split=split, seed=seed, device=torch_device)
    return figures, parts["fusion"].name, f"synthetic utterances, seed {seed}"


def _iemocap(model: str, data: Path, device: str) -> tuple[dict[str, Any], str, str]:
    with _evaluation_libraries():
        from multimodal.device import choose_device
        from multimodal.iemocap.evaluate import evaluate_iemocap
        from multimodal.models.weights import load_weights

    torch_device = choose_device(device)
    weights = load_weights(model, "fusion", torch_device)
    figures = evaluate_iemocap(weights, data, device=torch_device, check_counts=False)
    note = ", which was in the training data" if figures["in_training_data"] else ""
    return figures, weights.name, f"session {figures['session']} of IEMOCAP{note}"


def _check_choice(option: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise ConfigError(option, f"invalid value {value!r}", f"choose one of {', '.join(filter(None, choices))}")


def _check_sources(required: Mapping[str, object], excluded: Mapping[str, object], corpus: str) -> None:
    """Checks that the options of one corpus are complete and the options of the other absent."""
    for option, value in excluded.items():
        if value is not None:
            raise ConfigError(option, f"does not apply to --corpus {corpus}", "remove it or choose another corpus")
    missing = [option for option, value in required.items() if value is None]
    if missing:
        raise ConfigError(missing[0], "is missing", f"add {', '.join(missing)} for --corpus {corpus}")


@contextmanager
def _evaluation_libraries() -> Iterator[None]:
    """Names the remedy if a library that only evaluation needs is missing."""
    with train_extra("evaluation"):
        import multimodal.evaluate.metrics  # noqa: F401

        yield


def _print_figures(
    figures: dict[str, Any], name: str, title: str, out: Path | None, as_json: bool, compare: Path | None = None
) -> None:
    """Writes the metrics to a folder, if one is given, and prints them."""
    from multimodal.evaluate.tables import table, with_comparison, write_figures

    if compare is not None:
        figures = with_comparison(figures, title, compare)
    if out is not None:
        write_figures(out, {"model": name, "data": title, **figures})
    print_line(json.dumps(figures) if as_json else table(name, title, figures))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code.

    Args:
        arguments: Arguments of the command line; None for the arguments of the process.

    Returns:
        The exit code.
    """
    return run_command(COMMANDS, arguments, "evaluate", SUMMARY)
