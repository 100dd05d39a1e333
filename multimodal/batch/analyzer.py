"""What a worker calls for each input of a batch: the model, or another analyzer in its place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from multimodal.batch.tasks import BatchOptions, Task, fingerprint, sha256_of


@dataclass(frozen=True)
class AnalyzedInput:
    """The result of one input.

    Attributes:
        files: File name to content; ``analysis.json`` must be among them.
        sha256: Hash of the input.
        seconds: Length of the analyzed part.
    """

    files: Mapping[str, bytes]
    sha256: str
    seconds: float


AnalyzeFn = Callable[[Task], AnalyzedInput]
"""Analyzes one input; runs in a worker's process."""

LoadFn = Callable[[BatchOptions], AnalyzeFn]
"""Loads what analyzes; runs once in each worker's process, which imports it by its module and name."""

VersionsFn = Callable[[BatchOptions], Mapping[str, str]]
"""Names and versions of further dependencies of the results; runs in the driver."""


@dataclass(frozen=True)
class Analyzer:
    """An analysis that a batch can run, such as the model or a remote service.

    Attributes:
        load: A function at the top level of a module that workers can import.
        versions: Results are computed again when its answer changes.
    """

    load: LoadFn
    versions: VersionsFn


def load_model_analysis(options: BatchOptions) -> AnalyzeFn:
    """Loads the model; the results are the files that ``infer`` writes.

    Args:
        options: Options of the batch.

    Raises:
        MultimodalError: The model, the speech-to-text or the detector cannot be loaded.
    """
    from multimodal.infer.face import open_detector
    from multimodal.infer.model import load_model

    model = load_model(options.model, options.device, options.analysis.modalities, options.asr)
    if options.asr is not None and "text" in model.parts:
        _ = model.recognizer  # an explicit speech-to-text that is missing must fail before the work begins
    if isinstance(options.analysis.detector, str):
        open_detector(options.analysis.detector)

    def analyze(task: Task) -> AnalyzedInput:
        task_options = replace(
            options.analysis,
            transcript=task.transcript,
            speakers=() if task.speaker is None else (task.speaker,),
            start_seconds=task.start_seconds,
            end_seconds=task.end_seconds,
        )
        analysis = model.analyze(task.path, task_options)
        media = analysis.media
        with tempfile.TemporaryDirectory(prefix="multimodal-") as folder:
            analysis.save(Path(folder))
            files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}
        return AnalyzedInput(files, media.sha256, media.read_end_seconds - media.read_start_seconds)

    return analyze


def model_versions(options: BatchOptions) -> dict[str, str]:
    """Hash of the card of every part in use; size and time of the detector's and the recognizer's own files.

    Args:
        options: Options of the batch.

    Raises:
        WeightsError: The weights do not exist.
    """
    from multimodal.data.speech.recognition import has_whisper_base
    from multimodal.models.selection import choose_weights, find_card

    sources = choose_weights(options.model, options.analysis.modalities)
    cards = {part: sha256_of(find_card(source, part)) for part, source in sources.items()}
    files = {"detector": str(options.analysis.detector), "asr": f"{options.asr}/model.bin"}
    prints = {name: fingerprint(path) for name, path in files.items()}
    if "audio" in cards and options.asr != "none":  # what the voice answers depends on it
        cards["speech_encoder"] = "whisper-base" if has_whisper_base() else "none"
    return cards | {name: f"{each.size} {each.modified}" for name, each in prints.items() if each is not None}


MODEL = Analyzer(load_model_analysis, model_versions)
"""The model that ``BatchOptions`` names."""
