"""The model that joins the parts: load it once, analyse many recordings.

A frame goes from the reader's thread to the face tracker, its crops wait in a small batch for the face encoder, and
what remains of each is a ``FaceObservation``; no picture is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multimodal.analysis import Analysis
from multimodal.commands import choose_device
from multimodal.data.detectors import Detector, load_detector
from multimodal.data.emotions import FACE_LABELS
from multimodal.data.faces import FaceTracker, TrackedFace, align
from multimodal.data.frames import read_frames
from multimodal.data.media import probe
from multimodal.encoders.face import predict
from multimodal.errors import ConfigError, MediaError
from multimodal.fusion.align import face_estimate, main_face, windows, within
from multimodal.types import FaceObservation, Frame, MediaInfo, Utterance, UtteranceEstimate
from multimodal.weights import Weights, load_weights

MODALITIES = ("face",)
"""The signals that this version reads."""

BATCH = 32
"""Crops scored together: enough for the encoder to be efficient, few enough for progress to be smooth."""

SELDOM_SEEN = 0.2
"""Share of the sampled frames below which a warning says that little was seen."""

ProgressCallback = Callable[[float, float], None]


def load_model(name: str = "default", device: str = "auto") -> Model:
    """Loads the recogniser; weights are checked against the hash on their card.

    Args:
        name: ``default``, the name of shipped weights, a ``.safetensors`` file, or a folder with one.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        A model for any number of recordings.

    Raises:
        WeightsError: Unknown or damaged weights.
        ConfigError: A device that this machine lacks.

    Example:
        >>> load_model("default", "cpu").face.spec.face_size
        48
    """
    chosen = choose_device(device)
    return Model(load_weights(name, "face", chosen), chosen)


@dataclass(frozen=True)
class Model:
    """Loaded parts, ready to analyse.

    Attributes:
        face: The face encoder and its card.
        device: Where it computes: ``cpu``, ``cuda`` or ``mps``.
    """

    face: Weights
    device: str = "cpu"

    def analyze(
        self,
        path: str | PathLike[str],
        *,
        modalities: Sequence[str] = MODALITIES,
        frames_per_second: float | None = None,
        detector: str | Detector = "mtcnn",
        progress: ProgressCallback | None = None,
    ) -> Analysis:
        """Says which expressions a recording shows, when, and how surely.

        Args:
            path: A local video file.
            modalities: Signals to read, of ``MODALITIES``.
            frames_per_second: How many pictures to judge per second; None for what the weights were tuned for.
            detector: ``mtcnn``, ``yunet``, ``haar``, a YuNet file, or a loaded detector.
            progress: Called with seconds done and seconds in all.

        Returns:
            Observations per frame and estimates per utterance.

        Raises:
            InputMissingError: There is no such file.
            InputUnreadableError: A folder, an empty file, or no permission.
            MediaError: Not media, nothing decodable, or no picture.
            ConfigError: An option that cannot be.
        """
        check_modalities(modalities)
        media = probe(path)
        if not media.has_video:
            raise MediaError(media.path, "holds no picture, and this version reads only faces", "choose a video")
        finder = load_detector_for(detector) if isinstance(detector, str) else detector
        rate = frames_per_second or self.face.spec.frames_per_second or 5.0
        times, faces, warnings = self._watch(media, FaceTracker(finder), rate, progress)
        estimates = tuple(_estimate(utterance, faces) for utterance in windows(media.duration_seconds))
        facts = {"name": self.face.name, "sha256": self.face.sha256}
        models = {"face": facts, "audio": None, "text": None, "fusion": None}
        warnings += _limits(times, faces)
        return Analysis(media, models, FACE_LABELS, tuple(times), tuple(faces), estimates, tuple(warnings))

    def _watch(
        self, media: MediaInfo, tracker: FaceTracker, rate: float, progress: ProgressCallback | None
    ) -> tuple[list[float], list[FaceObservation], list[str]]:
        """Follows and scores every face in every sampled frame."""
        times: list[float] = []
        scorer = _Scorer(self.face, self.device)
        with read_frames(media.path, frames_per_second=rate, info=media) as reader:
            for frame in reader:
                times.append(frame.time_seconds)
                for face in tracker.update(frame):
                    scorer.add(frame, face)
                if progress is not None:
                    progress(min(frame.time_seconds, media.duration_seconds), media.duration_seconds)
        return times, scorer.finish(), list(reader.warnings)


class _Scorer:
    """Collects faces in the order seen and scores their crops in batches."""

    def __init__(self, weights: Weights, device: str) -> None:
        self.weights = weights
        self.device = device
        self.seen: list[FaceObservation] = []
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []

    def add(self, frame: Frame, face: TrackedFace) -> None:
        """Notes a face; keeps its crop until the batch is full if the face can be judged."""
        score = min(max(float(face.detection.score), 0.0), 1.0)
        self.seen.append(FaceObservation(frame.time_seconds, face.face_id, face.box, score, face.quality))
        if face.quality == "clear":
            size = self.weights.spec.face_size or 48
            self.waiting.append((len(self.seen) - 1, align(frame.image, face.detection, size)))
        if len(self.waiting) >= BATCH:
            self._score()

    def finish(self) -> list[FaceObservation]:
        """Scores what is left and gives all observations."""
        if self.waiting:
            self._score()
        return self.seen

    def _score(self) -> None:
        spec = self.weights.spec
        crops = torch.from_numpy(np.stack([crop for _, crop in self.waiting])).to(self.device)
        probabilities, embeddings = predict(self.weights.network, crops, spec.temperature, spec.flip)
        rows = zip(self.waiting, probabilities.cpu().double().numpy(), embeddings.cpu().numpy(), strict=True)
        for (index, _), row, embedding in rows:
            named = dict(zip(spec.labels, map(float, row), strict=True))
            self.seen[index] = replace(self.seen[index], probabilities=named, embedding=embedding)
        self.waiting.clear()


def check_modalities(modalities: Sequence[str]) -> None:
    """Raises ConfigError unless every signal is one that this version reads."""
    unknown = [name for name in modalities if name not in MODALITIES]
    if unknown or not modalities:
        fact = f"{unknown[0]!r} is not a signal this version reads" if unknown else "names no signal"
        raise ConfigError("--modalities", fact, f"choose from {', '.join(MODALITIES)}")


def load_detector_for(name: str) -> Detector:
    """A detector by its name, or YuNet from a given ``.onnx`` file."""
    if name.endswith(".onnx"):
        return load_detector("yunet", Path(name))
    return load_detector(name)


def _estimate(utterance: Utterance, faces: Sequence[FaceObservation]) -> UtteranceEstimate:
    seen = within(faces, utterance)
    face_id = main_face(seen)
    return UtteranceEstimate(utterance, face=face_estimate(seen, face_id), face_id=face_id)


def _limits(times: Sequence[float], faces: Sequence[FaceObservation]) -> list[str]:
    """Plain lines on how little was seen, where that is so."""
    scored = len({seen.time_seconds for seen in faces if seen.probabilities is not None})
    if not faces:
        return ["no face was found"]
    if not scored:
        return ["every face was too small, too blurred or half hidden to be judged"]
    if scored < SELDOM_SEEN * len(times):
        return [f"a face could be judged in only {scored} of {len(times)} sampled frames"]
    return []
